//! What is tried to see whether anything evaluates it.

use super::about::NEAR_BYTES;
use super::{skip_gap, skip_parentheses};
use crate::guard::threats::bytes::{between, find_pair, from, listed, low, word_len};

/// Whether a byte may be the first of a sum.
#[inline(always)]
pub(super) fn begins_sum(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b' ' | b'(' | b'\'' | b'"')
}

/// Whether what stands behind an expression's opening is a sum or product of numbers up to what closes it.
pub(super) fn sums(bytes: &[u8], at: usize, close: &[u8]) -> bool {
    /// What is tried is short.
    const SUM_BYTES_MAX: usize = 48;
    let near = between(bytes, at, bytes.len().min(at + SUM_BYTES_MAX));
    let part = |b: &u8| {
        matches!(
            b,
            b'0'..=b'9' | b' ' | b'.' | b'\'' | b'"' | b'(' | b')' | b'*' | b'+' | b'/'
        )
    };
    // To what is none of a sum's first: openings may stand side by side.
    let len = near.iter().take_while(|b| part(b)).count();
    // A bracket that closes is a part of sums, too.
    let len = if close == b")" { len.saturating_sub(1) } else { len };
    let inside = between(near, 0, len).trim_ascii();
    let edge = |byte: Option<&u8>| byte.is_some_and(|b| !matches!(b, b'.' | b'*' | b'+' | b'/'));
    from(near, len).starts_with(close)
        && (inside.iter().any(|b| matches!(b, b'*' | b'+')) || by_zero(inside))
        && inside.iter().any(u8::is_ascii_digit)
        && edge(inside.first())
        && edge(inside.last())
}

/// Whether a sum ends with a division by zero: `7/0`, `(7 / 0)`.
fn by_zero(sum: &[u8]) -> bool {
    let mut parts = sum.iter().rev().filter(|b| !matches!(b, b' ' | b')'));
    parts.next() == Some(&b'0') && parts.next() == Some(&b'/')
}

/// Whether what stands behind `${#` is an object of Thymeleaf's or one that it reads from: `${#strings.a()}`, `${#request}`.
/// `${#list}` is how long a list is, to a shell.
pub(super) fn is_utility(bytes: &[u8], at: usize) -> bool {
    const OBJECTS: [&str; 10] = [
        "ctx",
        "execinfo",
        "httpservletrequest",
        "locale",
        "request",
        "response",
        "root",
        "servletcontext",
        "session",
        "vars",
    ];
    let len = word_len(bytes, at);
    match low(bytes, at + len) {
        b'.' => low(bytes, at).is_ascii_alphabetic(),
        b'}' => listed(&OBJECTS, between(bytes, at, at + len)),
        _ => false,
    }
}

/// Whether letters and another look-up stand behind a look-up's opening, and in it a default.
pub(super) fn nests(bytes: &[u8], at: usize) -> bool {
    let near = between(bytes, at, bytes.len().min(at + NEAR_BYTES / 2));
    let inner = from(near, near.iter().take_while(|b| b.is_ascii_alphabetic()).count());
    let Some(inner) = inner.strip_prefix(b"${") else {
        return false;
    };
    let end = inner
        .iter()
        .position(|b| matches!(b, b'}' | b'$'))
        .unwrap_or(inner.len());
    find_pair(between(inner, 0, end), 0, *b":-").is_some()
}

/// Whether two numbers are compared from a position on, behind blanks, comments and parentheses.
pub(super) fn compares_numbers(bytes: &[u8], at: usize) -> bool {
    /// Longer ones are none that somebody makes up.
    const DIGITS_MAX: usize = 20;
    let digits = |at: usize| {
        let near = from(bytes, at).iter().take(DIGITS_MAX);
        near.take_while(|b| b.is_ascii_digit()).count()
    };
    let at = skip_parentheses(bytes, at);
    let left = digits(at);
    let at = skip_gap(bytes, at + left);
    let sign = from(bytes, at)
        .iter()
        .take(2)
        .take_while(|b| matches!(b, b'=' | b'<' | b'>' | b'!'))
        .count();
    left > 0 && sign > 0 && digits(skip_gap(bytes, at + sign)) > 0
}
