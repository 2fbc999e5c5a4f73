//! What the corpus' reader takes of YAML: scalars.

/// A scalar of YAML's: plain, quoted (perhaps over several lines), or a block.
pub fn scalar(first: &str, indent: usize, lines: &[&str], at: &mut usize) -> String {
    let first = first.trim();
    if first.starts_with('|') || first.starts_with('>') {
        let folded = first.starts_with('>');
        let keep = first.contains('-');
        let mut block: Vec<&str> = Vec::new();
        while let Some(line) = lines.get(*at) {
            let deep = line.len() - line.trim_start().len();
            if !line.trim().is_empty() && deep <= indent {
                break;
            }
            block.push(line);
            *at += 1;
        }
        while block.last().is_some_and(|l| l.trim().is_empty()) {
            block.pop();
        }
        let depth = block
            .iter()
            .filter(|l| !l.trim().is_empty())
            .map(|l| l.len() - l.trim_start().len())
            .min()
            .unwrap_or(0);
        let block: Vec<&str> = block.iter().map(|l| l.get(depth..).unwrap_or("")).collect();
        let mut text = block.join(if folded { " " } else { "\n" });
        if !keep {
            text.push('\n');
        }
        return text;
    }
    let quote = first.chars().next().filter(|c| *c == '"' || *c == '\'');
    let Some(quote) = quote else {
        let plain = first.split(" #").next().unwrap_or(first).trim();
        // A plain scalar goes on in deeper lines.
        let mut text = plain.to_owned();
        while let Some(line) = lines.get(*at) {
            let deep = line.len() - line.trim_start().len();
            if line.trim().is_empty() || deep <= indent || line.trim_start().starts_with('#') {
                break;
            }
            if text.is_empty() {
                break;
            }
            text.push(' ');
            text.push_str(line.trim());
            *at += 1;
        }
        return text;
    };
    let mut text = first[1..].to_owned();
    loop {
        if let Some(value) = unquoted(&text, quote) {
            return value;
        }
        let Some(line) = lines.get(*at) else { return text };
        *at += 1;
        if text.ends_with('\\') && quote == '"' {
            text.pop();
            text.push_str(line.trim());
        } else {
            text.push(if line.trim().is_empty() { '\n' } else { ' ' });
            text.push_str(line.trim());
        }
    }
}

/// The value of a quoted scalar, if it is closed.
fn unquoted(text: &str, quote: char) -> Option<String> {
    let mut out = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\'' if quote == '\'' => match chars.peek() {
                Some('\'') => {
                    chars.next();
                    out.push('\'');
                }
                _ => return Some(out),
            },
            '"' if quote == '"' => return Some(out),
            '\\' if quote == '"' => {
                let next = chars.next()?;
                let mut hex = |n: usize| -> Option<char> {
                    let digits: String = chars.by_ref().take(n).collect();
                    char::from_u32(u32::from_str_radix(&digits, 16).ok()?)
                };
                match next {
                    'n' => out.push('\n'),
                    'r' => out.push('\r'),
                    't' => out.push('\t'),
                    '0' => out.push('\0'),
                    'b' => out.push('\u{8}'),
                    'v' => out.push('\u{b}'),
                    'f' => out.push('\u{c}'),
                    'e' => out.push('\u{1b}'),
                    'x' => out.push(hex(2)?),
                    'u' => out.push(hex(4)?),
                    other => out.push(other),
                }
            }
            c => out.push(c),
        }
    }
    None
}
