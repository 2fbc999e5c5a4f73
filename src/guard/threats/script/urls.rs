//! URLs that run script.

use crate::guard::threats::bytes::{
    between, contains, find_byte, from, is_blank, is_word, low, positions, starts_with,
};
use crate::guard::threats::effort::Effort;

/// Taken from the value's effort, in its steps, for what may end a scheme.
const COLON_STEPS: usize = 4;

/// What is read for a scheme.
const SCHEME_BYTES_MAX: usize = 256;

/// Whether a URL runs script. White space and controls in front of, and in, the scheme don't count for browsers.
pub(super) fn script_url(value: &[u8]) -> bool {
    let head = value.get(..SCHEME_BYTES_MAX).unwrap_or(value);
    // What none of the schemes begins with tells most.
    let begins = head.iter().find(|b| !is_skipped(**b));
    if !begins.is_some_and(u8::is_ascii_alphabetic) || !head.contains(&b':') {
        return false;
    }
    let refresh = contains(between(value, 0, value.len().min(64)), b"url=");
    scheme(value, b"javascript:", refresh)
        || scheme(value, b"vbscript:", refresh)
        || scheme(value, b"livescript:", refresh)
        || scheme(value, b"mocha:", refresh)
        || scheme(value, b"data:", refresh) && {
            let head = between(value, 0, value.len().min(96));
            let runs = |at: usize| {
                let here = from(head, at);
                match low(head, at) {
                    b't' => starts_with(here, b"text/html"),
                    b's' => starts_with(here, b"script") || starts_with(here, b"svg"),
                    b'b' => starts_with(here, b"base64") && !is_file(head),
                    b'd' => starts_with(here, b"data:,"),
                    _ => false,
                }
            };
            (0..head.len()).any(runs)
        }
}

/// Whether the media type of a `data:` URL (RFC 2397) is one that no browser runs.
fn is_file(head: &[u8]) -> bool {
    let kind = find_byte(head, 0, b':').map_or(head, |colon| from(head, colon + 1));
    let inert = [
        &b"image/"[..],
        b"audio/",
        b"video/",
        b"font",
        b"application/font",
        b"application/pdf",
        b"application/zip",
        b"application/json",
        b"application/octet-stream",
        b"application/vnd.",
        b"application/msword",
        b"text/plain",
        b"text/csv",
        b"text/markdown",
    ];
    inert.iter().any(|known| starts_with(kind, known))
}

/// What may stand in front of a scheme: what browsers don't read, and what is left of an attribute or a refresh.
const fn is_skipped(byte: u8) -> bool {
    byte <= b' ' || byte == 0x7F || matches!(byte, b'"' | b'\'' | b'`' | b'0'..=b'9' | b';' | b'=' | b',')
}

/// `refresh`: the value has a URL behind what says when it is loaded.
fn scheme(value: &[u8], scheme: &[u8], refresh: bool) -> bool {
    let mut wanted = scheme.iter();
    let Some(mut next) = wanted.next() else { return false };
    let mut begun = false;
    for byte in value.iter().take(SCHEME_BYTES_MAX) {
        if *byte <= b' ' || *byte == 0x7F || (*byte == b'\\' && begun) || !begun && is_skipped(*byte) {
            continue;
        }
        if byte.to_ascii_lowercase() != *next {
            // `0;url=javascript:` of a refresh.
            if !begun && byte.is_ascii_alphabetic() && refresh {
                continue;
            }
            return false;
        }
        begun = true;
        match wanted.next() {
            Some(following) => next = following,
            None => return true,
        }
    }
    false
}

pub(super) fn leads_nowhere(url: &[u8]) -> bool {
    const SCHEME: &[u8] = b"javascript:";
    starts_with(url, SCHEME) && does_nothing(from(url, SCHEME.len()), false)
}

/// Whether the script of a URL is what links have that are to lead nowhere: `void(0)`, or none at all. A quote behind it
/// ends it, since no script goes on with one; `>` does in a tag only, elsewhere it compares with what it then runs.
fn does_nothing(script: &[u8], in_tag: bool) -> bool {
    let void = [&b"void(0)"[..], b"void 0"];
    let rest = void
        .iter()
        .find_map(|void| script.strip_prefix(*void))
        .unwrap_or(script);
    let rest = rest.strip_prefix(b";").unwrap_or(rest);
    rest.len() < script.len()
        && (matches!(rest.first(), None | Some(b'"' | b'\'')) || in_tag && rest.first() == Some(&b'>'))
        && !starts_with(rest, b"\"+")
        && !starts_with(rest, b"'+")
}

/// A value that is, or holds after a quote, a script URL.
pub(super) fn url(bytes: &[u8], effort: &mut Effort) -> Option<&'static str> {
    if script_url(bytes) && !starts_with(bytes, b"data:image") && !is_title(bytes) && !leads_nowhere(bytes) {
        return Some("script.url");
    }
    for colon in positions(bytes, b':') {
        effort.spend(COLON_STEPS);
        let at = colon + 1;
        let before = between(bytes, 0, colon);
        for name in [&b"javascript"[..], b"vbscript"] {
            let Some(start) = before.len().checked_sub(name.len()) else {
                continue;
            };
            if !from(before, start).eq_ignore_ascii_case(name) {
                continue;
            }
            let previous = start.checked_sub(1).map_or(b' ', |i| low(before, i));
            let next = low(bytes, at);
            let near = between(before, start.saturating_sub(SCHEME_BYTES_MAX), start);
            let runs = || !does_nothing(from(bytes, at), near.contains(&b'<'));
            if !is_word(previous) && !is_blank(next) && at < bytes.len() && runs() {
                return Some("script.url");
            }
        }
    }
    None
}

/// `JavaScript: the good parts`: words behind a colon and a blank, and nothing that a script does.
fn is_title(bytes: &[u8]) -> bool {
    let does = |b: &u8| matches!(b, b'(' | b'=' | b'`' | b';' | b'/' | b'\\' | b'[' | b'%' | b'&');
    let colon = find_byte(bytes, 0, b':');
    colon.is_some_and(|colon| {
        let text = from(bytes, colon + 1);
        low(text, 0) == b' ' && low(text, 1).is_ascii_alphabetic() && !text.iter().any(does) || is_sentence(text)
    })
}

/// Whether two words stand side by side, the first with a capital: no script has that, so a browser runs none of it.
fn is_sentence(text: &[u8]) -> bool {
    let mut words = from(text, 1).split(|b| *b == b' ');
    let (Some(first), Some(second)) = (words.next(), words.next()) else {
        return false;
    };
    let word = |word: &[u8]| word.len() > 1 && word.iter().all(u8::is_ascii_alphabetic);
    low(text, 0) == b' '
        && first.first().is_some_and(u8::is_ascii_uppercase)
        && word(first)
        && word(second)
        && !matches!(second, b"in" | b"instanceof" | b"of")
}
