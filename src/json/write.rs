//! Writing the few JSON texts that leave the module: problem documents.

/// Appends `text` as a JSON string, quotes included. Control characters are escaped, all else is written as it is.
pub fn write_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Also DEL and the C1 controls: a terminal that shows the reply must not obey it.
            c if c.is_control() => {
                out.push_str("\\u");
                for shift in [12_u32, 8, 4, 0] {
                    let nibble = (u32::from(c) >> shift) & 0xF;
                    out.push(char::from_digit(nibble, 16).unwrap_or('0'));
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
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
