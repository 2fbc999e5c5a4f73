//! What texts of a request are: decoded as forms are, and told apart where their form alone says what is meant.

use crate::guard::threats::bytes::{Words, begins_with, between, find_byte, from, listed, low};
use std::borrow::Cow;

/// A URL with another host in the place of its own, where that is made of nothing but what names have: a name is no attack,
/// though it may look like an object of a program (`console.example.com`). Nothing is fetched from where somebody came from.
pub(super) fn without_host(url: &[u8]) -> Cow<'_, [u8]> {
    let scheme = [&b"https://"[..], b"http://"]
        .into_iter()
        .find(|scheme| url.starts_with(scheme));
    let rest = scheme.map_or(&[][..], |scheme| from(url, scheme.len()));
    let named = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':');
    let host = rest.iter().take_while(|b| named(b)).count();
    match scheme {
        Some(scheme) if host > 0 && matches!(rest.get(host), None | Some(b'/')) => {
            Cow::Owned([scheme, b"a.example", from(rest, host)].concat())
        }
        _ => Cow::Borrowed(url),
    }
}

/// Whether a path's quotes are those of keys as OData has them (OData 4.01 Part 2 §4.3.1), and of nothing else:
/// `/Orders('a-1')/Items(2)`.
pub(super) fn has_keys(path: &[u8]) -> bool {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'@');
    let signs = |b: &u8| plain(b) || matches!(b, b'/' | b'(' | b')' | b'\'' | b',' | b'=' | b'$' | b':' | b'~');
    if !path.contains(&b'\'') || !path.iter().all(signs) {
        return false;
    }
    let (mut at, mut any) = (0, false);
    while let Some(open) = find_byte(path, at, b'\'') {
        let Some(close) = find_byte(path, open + 1, b'\'') else {
            return false;
        };
        let front = between(path, 0, open);
        let typed = front.iter().rev().take_while(|b| b.is_ascii_alphabetic()).count();
        let before = low(front, front.len().wrapping_sub(typed + 1));
        let key = between(path, open + 1, close);
        if !matches!(before, b'(' | b'=' | b',')
            || !matches!(low(path, close + 1), b')' | b',')
            || !key.iter().all(plain)
        {
            return false;
        }
        (at, any) = (close + 1, true);
    }
    any
}

/// Whether a value is a URL of another machine, as far as can be told.
pub(super) fn remote(value: &[u8]) -> bool {
    value.len() > 9
        && matches!(low(value, 0), b'h' | b'f' | b'/')
        && [&b"http://"[..], b"https://", b"ftp://", b"ftps://", b"//"]
            .iter()
            .any(|scheme| begins_with(value, scheme))
}

/// Whether a body is parts with heads of their own (RFC 2046 §5.1.1), as SOAP with attachments is: an answer's head is what
/// its lines are meant to look like.
pub(super) fn is_mime(bytes: &[u8]) -> bool {
    /// A boundary has at most 70 characters.
    const LINE_BYTES_MAX: usize = 80;
    let text = bytes.trim_ascii_start();
    let Some(end) = find_byte(between(text, 0, text.len().min(LINE_BYTES_MAX)), 0, b'\n') else {
        return false;
    };
    let boundary = between(text, 0, end);
    let last = bytes
        .trim_ascii_end()
        .rsplit(|b| *b == b'\n')
        .next()
        .unwrap_or_default();
    text.starts_with(b"--")
        && boundary.trim_ascii().len() > 2
        && begins_with(from(text, end + 1), b"content-")
        && last.starts_with(boundary.trim_ascii())
        && last.ends_with(b"--")
        && bytes.iter().take(4096).filter(|b| **b == b'\n').count() > 3
}

/// Whether a value is a URL as inclusions have it, whatever its parameter's name: one that a trailing `?` cuts off from what
/// the program appends, or a program's text on a machine without a name.
pub(super) fn included(value: &[u8]) -> bool {
    const PROGRAMS: [&str; 11] = [
        "asp", "aspx", "cgi", "exe", "inc", "jsp", "php", "pl", "py", "sh", "txt",
    ];
    static SCHEMES: Words<5> = Words::new(["file", "ftp", "ftps", "http", "https"]);
    let scheme = value.iter().take_while(|b| b.is_ascii_alphabetic()).count();
    if !SCHEMES.has(between(value, 0, scheme)) {
        return false;
    }
    let rest = from(value, scheme);
    if value.last() == Some(&b'?') && value.iter().filter(|b| **b == b'?').count() == 1 {
        // Of a site alone, the question has been left out.
        let named = rest
            .strip_prefix(b"://")
            .and_then(|rest| find_byte(rest, 0, b'/').map(|slash| from(rest, slash)));
        return rest.len() == 1 || named.is_some_and(|path| path.len() > 2);
    }
    let Some(rest) = rest.strip_prefix(b"://") else {
        return false;
    };
    let host = rest.iter().position(|b| *b == b'/').unwrap_or(rest.len());
    let address = between(rest, 0, host);
    let unnamed =
        address.first() == Some(&b'[') || address.iter().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b':'));
    let path = from(rest, host);
    let path = between(path, 0, find_byte(path, 0, b'?').unwrap_or(path.len()));
    let ending = path.rsplit(|b| *b == b'.').next().unwrap_or_default();
    unnamed && ending.len() < path.len() && listed(&PROGRAMS, ending)
}

/// A name or value of a query or form: `+` is a space, percent-encoding undone once. Borrowed where there is nothing to do.
pub(super) fn form_decoded(text: &[u8]) -> Cow<'_, [u8]> {
    let encoded = |b: &u8| matches!(b, b'+' | b'%');
    let Some(mut found) = text.iter().position(encoded) else {
        return Cow::Borrowed(text);
    };
    let hex = |at: usize| {
        text.get(at)
            .and_then(|b| char::from(*b).to_digit(16))
            .and_then(|d| u8::try_from(d).ok())
    };
    let mut out = Vec::with_capacity(text.len());
    let mut kept = 0;
    loop {
        out.extend_from_slice(between(text, kept, found));
        let at = found + 1;
        kept = at;
        out.push(match (text.get(found), hex(at), hex(at + 1)) {
            (Some(b'+'), ..) => b' ',
            (_, Some(high), Some(low)) => {
                kept += 2;
                high << 4 | low
            }
            _ => b'%',
        });
        match from(text, kept).iter().position(encoded) {
            Some(next) => found = kept + next,
            None => break,
        }
    }
    out.extend_from_slice(from(text, kept));
    Cow::Owned(out)
}

/// A text in UTF-16 or UTF-32 without its zero bytes, which leaves what attacks are made of; told by a byte order mark or,
/// as XML 1.0 (appendix F) does, by the first character.
pub(super) fn utf16_as_ascii(bytes: &[u8]) -> Option<Vec<u8>> {
    let wide = match bytes {
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] | [0, 0, 0xFE, 0xFF, ..] => true,
        [0, first, ..] | [first, 0, ..] => first.is_ascii_graphic(),
        _ => false,
    };
    wide.then(|| bytes.iter().copied().filter(|b| *b != 0).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_mime_end_as_they_begin() {
        let parts = b"--x1\r\nContent-Type: text/xml\r\n\r\n<a/>\r\n--x1--\r\n";
        assert!(is_mime(parts));
        assert!(!is_mime(b"--x1\r\nContent-Type: text/xml\r\n\r\n<a/>\r\n--x2--\r\n"));
        assert!(!is_mime(b"--x1\r\nSet-Cookie: a=b\r\n\r\n<a/>\r\n--x1--\r\n"));
        assert!(!is_mime(b"x"));
    }

    #[test]
    fn a_host_is_left_out_where_it_is_one() {
        for (url, expected) in [
            ("https://console.cloud.example/a?b", "https://a.example/a?b"),
            ("http://process.env.example:8080", "http://a.example"),
            ("https://[::1]/", "https://[::1]/"),
            ("https://a@b/", "https://a@b/"),
            ("https://${jndi:x}/", "https://${jndi:x}/"),
            ("javascript:x", "javascript:x"),
            ("https:///x", "https:///x"),
        ] {
            let found = without_host(url.as_bytes());
            assert_eq!(String::from_utf8_lossy(&found), expected, "{url}");
        }
    }

    #[test]
    fn keys_in_a_path_are_plain() {
        for (path, expected) in [
            ("/odata/Orders('a-1')/Items(1)", true),
            ("/Channels(guid'1833f204-bb2a')/Videos", true),
            ("/Orders(Id='a',Line='b')", true),
            ("/Orders(1)", false),
            ("/Orders('a' or '1'='1')", false),
            ("/x' or 1=1--", false),
            ("/'a'", false),
            ("/x('a')/**/union/**/select/**/1", false),
        ] {
            assert_eq!(has_keys(path.as_bytes()), expected, "{path}");
        }
    }

    #[test]
    fn what_is_included_is_told_by_its_form() {
        for (value, expected) in [
            ("http?", true),
            ("https://a.example/shell?", true),
            ("https://a.example?", false),
            ("https://a.example/?", false),
            ("http://192.0.2.7/x.php", true),
            ("https://[2001:db8::1]/x.txt", true),
            ("https://a.example/x.php", false),
            ("https://a.example/?q=1", false),
            ("http://192.0.2.7:8080/hook", false),
            ("file", false),
            ("what?", false),
        ] {
            assert_eq!(included(value.as_bytes()), expected, "{value}");
        }
    }
}
