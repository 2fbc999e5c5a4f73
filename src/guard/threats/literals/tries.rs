//! What is tried to see whether anything evaluates it.

use super::{NEAR_BYTES, skip_gap};
use crate::guard::threats::bytes::{between, find_pair, from, low};

/// Whether what stands behind an expression's opening is a sum or product of numbers up to what closes it.
pub(super) fn sums(bytes: &[u8], at: usize, close: &[u8]) -> bool {
    /// What is tried is short.
    const SUM_BYTES_MAX: usize = 48;
    let near = between(bytes, at, bytes.len().min(at + SUM_BYTES_MAX));
    let Some(end) = near.windows(close.len()).position(|w| w == close) else {
        return false;
    };
    let inside = between(near, 0, end).trim_ascii();
    let mut operators = 0_usize;
    for (at, byte) in inside.iter().enumerate() {
        match byte {
            b'0'..=b'9' | b' ' | b'.' | b'\'' | b'"' | b'(' | b')' => {}
            b'*' | b'+' if at > 0 && at + 1 < inside.len() => operators += 1,
            _ => return false,
        }
    }
    let edge = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_digit() || matches!(b, b'\'' | b'"' | b'(' | b')'));
    operators > 0 && edge(inside.first()) && edge(inside.last())
}

/// Whether letters and another look-up stand behind a look-up's opening, and in it a default.
pub(super) fn nests(bytes: &[u8], at: usize) -> bool {
    let near = between(bytes, at, bytes.len().min(at + NEAR_BYTES / 2));
    let inner = from(near, near.iter().take_while(|b| b.is_ascii_alphabetic()).count());
    inner.starts_with(b"${") && find_pair(inner, 0, *b":-").is_some()
}

/// Whether two numbers are compared from a position on, behind blanks, comments and parentheses.
pub(super) fn compares_numbers(bytes: &[u8], at: usize) -> bool {
    /// Longer ones are none that somebody makes up.
    const DIGITS_MAX: usize = 20;
    let digits = |at: usize| {
        let near = from(bytes, at).iter().take(DIGITS_MAX);
        near.take_while(|b| b.is_ascii_digit()).count()
    };
    let mut at = skip_gap(bytes, at);
    while low(bytes, at) == b'(' {
        at = skip_gap(bytes, at + 1);
    }
    let left = digits(at);
    at = skip_gap(bytes, at + left);
    let sign = from(bytes, at)
        .iter()
        .take(2)
        .take_while(|b| matches!(b, b'=' | b'<' | b'>' | b'!'))
        .count();
    left > 0 && sign > 0 && digits(skip_gap(bytes, at + sign)) > 0
}
