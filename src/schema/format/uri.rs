//! URIs and IRIs by their grammar (RFC 3986, RFC 3987), URI templates (RFC 6570) and JSON Pointers (RFC 6901).

use crate::schema::uri::is_scheme;
use std::net::Ipv6Addr;

/// Which characters a reference may hold beyond ASCII.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Letters {
    Ascii,
    /// RFC 3987.
    International,
}

pub fn is_uri(text: &str, letters: Letters) -> bool {
    let scheme = text.split_once(':').filter(|(scheme, _)| is_scheme(scheme));
    scheme.is_some_and(|(_, rest)| is_rest(rest, letters))
}

pub fn is_reference(text: &str, letters: Letters) -> bool {
    // A first segment with a colon would be a scheme (RFC 3986 §4.2).
    let first = text.split(['/', '?', '#']).next().unwrap_or("");
    is_uri(text, letters) || (!first.contains(':') && is_rest(text, letters))
}

/// What follows a scheme.
fn is_rest(text: &str, letters: Letters) -> bool {
    let (text, fragment) = text
        .split_once('#')
        .map_or((text, ""), |(text, fragment)| (text, fragment));
    let (text, query) = text.split_once('?').map_or((text, ""), |(text, query)| (text, query));
    let path = match text.strip_prefix("//") {
        None => text,
        Some(rest) => {
            let (authority, path) = rest
                .split_at_checked(rest.find('/').unwrap_or(rest.len()))
                .unwrap_or((rest, ""));
            if !is_authority(authority, letters) {
                return false;
            }
            path
        }
    };
    has_only(path, letters, "/:@") && has_only(query, letters, "/:@?") && has_only(fragment, letters, "/:@?")
}

fn is_authority(text: &str, letters: Letters) -> bool {
    let (user, rest) = text.rsplit_once('@').map_or(("", text), |(user, rest)| (user, rest));
    if !has_only(user, letters, ":") {
        return false;
    }
    let port = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if let Some(rest) = rest.strip_prefix('[') {
        let Some((address, after)) = rest.split_once(']') else {
            return false;
        };
        let future = || {
            let version = address.strip_prefix(['v', 'V']).and_then(|rest| rest.split_once('.'));
            version.is_some_and(|(version, rest)| {
                !version.is_empty()
                    && version.bytes().all(|b| b.is_ascii_hexdigit())
                    && !rest.is_empty()
                    && has_only(rest, Letters::Ascii, ":")
            })
        };
        let known = address.parse::<Ipv6Addr>().is_ok() || future();
        return known && (after.is_empty() || after.strip_prefix(':').is_some_and(port));
    }
    let (host, number) = rest.rsplit_once(':').map_or((rest, ""), |(host, port)| (host, port));
    has_only(host, letters, "") && port(number)
}

/// Unreserved characters, sub-delimiters, percent-encodings and `more`.
fn has_only(text: &str, letters: Letters, more: &str) -> bool {
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let fits = match c {
            '%' => {
                let mut hex = || rest.next().is_some_and(|c| c.is_ascii_hexdigit());
                hex() && hex()
            }
            c if c.is_ascii() => c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=".contains(c) || more.contains(c),
            c => letters == Letters::International && !c.is_control(),
        };
        if !fits {
            return false;
        }
    }
    true
}

/// RFC 6570: literals, and expressions in braces.
pub fn is_template(text: &str) -> bool {
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let (literal, from) = rest.split_at_checked(at).unwrap_or((rest, ""));
        let Some((expression, after)) = from.strip_prefix('{').and_then(|from| from.split_once('}')) else {
            return false;
        };
        if !is_literal(literal) || !is_expression(expression) {
            return false;
        }
        rest = after;
    }
    is_literal(rest)
}

fn is_literal(text: &str) -> bool {
    let plain = |c: char| !(c.is_control() || " \"<>\\^`{|}".contains(c));
    text.chars().all(plain)
}

fn is_expression(text: &str) -> bool {
    let text = text
        .strip_prefix(['+', '#', '.', '/', ';', '?', '&', '=', ',', '!', '@', '|'])
        .unwrap_or(text);
    text.split(',').all(|variable| {
        let (name, length) = match variable.split_once(':') {
            Some((name, length)) => (name, Some(length)),
            None => (variable.strip_suffix('*').unwrap_or(variable), None),
        };
        let digits = |text: &str| (1..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        !name.is_empty()
            && length.is_none_or(|length| digits(length) && !length.starts_with('0'))
            && name.split('.').all(|part| !part.is_empty() && has_only_word(part))
    })
}

fn has_only_word(text: &str) -> bool {
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut hex = || rest.next().is_some_and(|b| b.is_ascii_hexdigit());
        if !(byte.is_ascii_alphanumeric() || byte == b'_' || (byte == b'%' && hex() && hex())) {
            return false;
        }
    }
    true
}

pub fn is_pointer(text: &str) -> bool {
    crate::json::pointer::Pointer::parse(text).is_some()
}

/// A number of levels up, then a pointer or `#`.
pub fn is_relative_pointer(text: &str) -> bool {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let Some((up, rest)) = text.split_at_checked(digits) else {
        return false;
    };
    let number = up == "0" || (!up.is_empty() && !up.starts_with('0'));
    number && (rest == "#" || is_pointer(rest))
}
