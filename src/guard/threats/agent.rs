//! What begins as an agent's name does (RFC 9110 §10.1.5): its comments have separators and words.

use super::bytes::{between, find_byte, is_blank, is_word};

/// Whether a value is an agent, in which no command is looked for: it begins with a product and its version, or has a comment
/// behind a name.
pub fn is_one(value: &[u8]) -> bool {
    let first = value.split(|b| is_blank(*b)).next().unwrap_or_default();
    first.contains(&b'/') && first.first() != Some(&b'/') || begins_with_comment(value)
}

/// Whether there is a comment behind a name without a version, `App (Android 4.2;gzip)`: a parenthesis behind a word is an
/// error to shells, which then run nothing of the line.
fn begins_with_comment(value: &[u8]) -> bool {
    let Some(open) = find_byte(value, 0, b'(') else {
        return false;
    };
    let front = between(value, 0, open);
    let name = front.trim_ascii_end();
    let plain = |b: &u8| is_word(*b) || matches!(b, b' ' | b'.' | b'-');
    // A shell's own words (`time (…)`) have no capitals. Within quotes a parenthesis is text, Windows' shell reads on behind
    // one, and one that holds nothing heads a function.
    name.first().is_some_and(u8::is_ascii_uppercase)
        && name.len() < front.len()
        && name.iter().all(plain)
        && value.get(open + 1).copied().is_some_and(is_word)
        && !value
            .iter()
            .any(|b| matches!(b, b'$' | b'`' | b'"' | b'\'' | b'&' | b'|' | b'\n' | b'\r'))
}
