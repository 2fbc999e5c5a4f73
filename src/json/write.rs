//! Writing the few JSON texts that leave the module: problem documents.

/// Appends `text` as a JSON string, quotes included. Control characters are escaped, all else is written as it is.
pub fn write_string(out: &mut String, text: &str) {
    out.push('"');
    // Most texts are plain ASCII without anything to escape, and are copied at once; every refusal writes several.
    let plain = |b: u8| (b' '..0x7F).contains(&b) && !matches!(b, b'"' | b'\\');
    if text.bytes().all(plain) {
        out.push_str(text);
        out.push('"');
        return;
    }
    let mut rest = text;
    while let Some((at, c)) = rest
        .char_indices()
        .find(|(_, c)| c.is_control() || matches!(c, '"' | '\\'))
    {
        out.push_str(rest.get(..at).unwrap_or_default());
        escape(out, c);
        rest = rest.get(at.saturating_add(c.len_utf8())..).unwrap_or_default();
    }
    out.push_str(rest);
    out.push('"');
}

/// Appends a number in decimal, without the formatting machinery: every answer writes some.
pub fn push_number(text: &mut String, number: u64) {
    // Divisions of 64 bits by a constant are true divisions in the VM.
    let Ok(mut rest) = u32::try_from(number) else {
        text.push_str(&number.to_string());
        return;
    };
    let mut digits = [b'0'; 10];
    let mut used = 0_usize;
    for digit in digits.iter_mut().rev() {
        *digit = b'0'.saturating_add(u8::try_from(rest % 10).unwrap_or(0));
        rest /= 10;
        used = used.saturating_add(1);
        if rest == 0 {
            break;
        }
    }
    let used = digits.get(digits.len().saturating_sub(used)..).unwrap_or_default();
    text.push_str(std::str::from_utf8(used).unwrap_or_default());
}

fn escape(out: &mut String, c: char) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        // Also DEL and the C1 controls: a terminal that shows the reply must not obey it.
        c => {
            out.push_str("\\u");
            for shift in [12_u32, 8, 4, 0] {
                let nibble = (u32::from(c) >> shift) & 0xF;
                out.push(char::from_digit(nibble, 16).unwrap_or('0'));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::push_number;

    #[test]
    fn numbers_are_written_in_full() {
        for number in [0, 9, 10, 99, 100, 4_294_967_295, 4_294_967_296, u64::MAX] {
            let mut text = String::new();
            push_number(&mut text, number);
            assert_eq!(text, number.to_string());
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        let text = "a\"b\\c\n\r\t\u{0}\u{1f}\u{7f}\u{9b}é\u{1F600}/";
        let mut out = String::new();
        super::write_string(&mut out, text);
        let value = super::super::parse(out.as_bytes(), &super::super::Limits::FOREIGN).unwrap();
        assert_eq!(value.as_str(), Some(text));
        assert!(!out.chars().any(char::is_control));
    }
}
