//! What follows a line's end in a field that goes into a protocol's head. Commands of mail protocols: SMTP (RFC 5321), POP3
//! (RFC 1939) and IMAP (RFC 9051), whose commands have a tag in front. In upper case, or tagged: a text's lines begin with
//! such words too.

use super::bytes::{between, find_byte, from, is_blank, listed};

const SIMPLE: [&str; 20] = [
    "apop", "auth", "data", "dele", "ehlo", "expn", "helo", "help", "list", "mail", "noop", "pass", "quit", "rcpt",
    "retr", "rset", "stat", "top", "uidl", "vrfy",
];
const TAGGED: [&str; 24] = [
    "append",
    "authenticate",
    "capability",
    "check",
    "close",
    "copy",
    "create",
    "delete",
    "examine",
    "expunge",
    "fetch",
    "list",
    "login",
    "logout",
    "lsub",
    "noop",
    "rename",
    "search",
    "select",
    "starttls",
    "status",
    "store",
    "subscribe",
    "uid",
];
/// Lines that are looked at: an injection follows soon.
const LINES_MAX: usize = 8;

pub fn judge(bytes: &[u8]) -> Option<&'static str> {
    let mut at = 0;
    for _ in 0..LINES_MAX {
        let end = find_byte(bytes, at, b'\n')?;
        at = end + 1;
        let line = between(bytes, at, find_byte(bytes, at, b'\n').unwrap_or(bytes.len()));
        let mut words = between(line, 0, line.len().min(64))
            .split(|b| is_blank(*b))
            .filter(|w| !w.is_empty());
        let Some(first) = words.next() else { continue };
        let upper = first.iter().all(u8::is_ascii_uppercase);
        let crlf = end.checked_sub(1).and_then(|i| bytes.get(i)) == Some(&b'\r');
        if crlf && upper && listed(&SIMPLE, first) {
            return Some("header.mail");
        }
        let digits = first.iter().rev().take_while(|b| b.is_ascii_digit()).count();
        let letters = first.len() - digits;
        let tag = (1..=3).contains(&letters)
            && digits <= 5
            && from(first, 0).iter().take(letters).all(u8::is_ascii_alphabetic);
        let command = words
            .next()
            .is_some_and(|word| listed(&TAGGED, word) && (digits > 0 || word.iter().all(u8::is_ascii_uppercase)));
        if tag && command && (crlf || digits > 1) {
            return Some("header.mail");
        }
    }
    None
}

/// Whether a value is a mail's address and, on the next line, a field of a mail's head (RFC 5322 §3.6): who puts it into one
/// sends to others, too.
pub fn addressed(bytes: &[u8]) -> bool {
    /// An address is not longer (RFC 5321 §4.5.3.1).
    const ADDRESS_BYTES_MAX: usize = 320;
    const FIELDS: [&str; 8] = [
        "bcc",
        "cc",
        "content-type",
        "from",
        "mime-version",
        "reply-to",
        "subject",
        "to",
    ];
    let Some(end) = bytes
        .iter()
        .take(ADDRESS_BYTES_MAX)
        .position(|b| matches!(b, b'\r' | b'\n'))
    else {
        return false;
    };
    let address = between(bytes, 0, end);
    let line = from(bytes, end).trim_ascii_start();
    let name = between(line, 0, line.iter().take(16).position(|b| *b == b':').unwrap_or(0));
    address.contains(&b'@')
        && !address.iter().any(|b| is_blank(*b) || matches!(b, b':' | b'<'))
        && listed(&FIELDS, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_commands_are_told_from_lines() {
        for text in [
            "x\r\nDATA\r\n",
            "\r\na001 EXAMINE INBOX",
            "V100 CAPABILITY\nV101 FETCH 4791",
            "\r\nTOP 1 2",
        ] {
            assert!(judge(text.as_bytes()).is_some(), "{text:?}");
        }
        for text in ["DATA", "a\r\nlist of x", "Hello\nQ1 results", "x\na list", "one\r\ntwo"] {
            assert!(judge(text.as_bytes()).is_none(), "{text:?}");
        }
        assert!(SIMPLE.is_sorted() && TAGGED.is_sorted());
        assert!(addressed(b"a@b.example\r\nBcc: c@d.example") && addressed(b"a@b.example\nsubject:x"));
        assert!(!addressed(b"a@b.example\nc@d.example") && !addressed(b"From: a@b.example\nTo: c@d.example"));
        assert!(!addressed(b"x\nTo: me") && !addressed(b"a@b.example\nNote: x"));
    }
}
