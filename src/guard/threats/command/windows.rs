//! The command interpreter of Windows.

use crate::guard::threats::bytes::{begins_with, from, is_blank, low};

/// The loops and conditions of Windows' command interpreter: `for %a in (…) do`, `if [/i] [not] exist …`, `if a==b …`.
pub(super) fn windows_at(bytes: &[u8], at: usize, begin: usize, left: &mut usize) -> Option<&'static str> {
    /// What is looked at behind the first word.
    const REACH: usize = 160;
    let rest = from(bytes, at);
    let begun = from(bytes, begin);
    if !begins_with(begun, b"if") && !begins_with(begun, b"for") {
        return None;
    }
    *left = left.saturating_sub(REACH);
    let rest = rest.get(..rest.len().min(REACH)).unwrap_or(rest);
    let mut words = rest
        .split(|b| is_blank(*b) || matches!(b, b'(' | b'"'))
        .filter(|word| !word.is_empty());
    let is = |word: &[u8], other: &str| word.eq_ignore_ascii_case(other.as_bytes());
    let first = words.next()?;
    if is(first, "for") {
        let variable = words.next()?;
        let each = low(variable, 0) == b'%' && words.next().is_some_and(|word| is(word, "in"));
        return each.then_some("command.windows");
    }
    if !is(first, "if") {
        return None;
    }
    let mut word = words.next()?;
    while is(word, "/i") || is(word, "not") {
        word = words.next()?;
    }
    let known = ["exist", "defined", "errorlevel", "cmdextversion"];
    let compares = ["equ", "neq", "lss", "leq", "gtr", "geq"];
    let shell = is(word, "errorlevel")
        || is(word, "cmdextversion")
        || rest.iter().any(|b| matches!(b, b'%' | b'(' | b'\\' | b'['))
        || words.clone().any(|word| {
            ["echo", "cmd", "goto", "set", "del", "exit"]
                .iter()
                .any(|c| is(word, c))
        });
    let condition = known.iter().any(|k| is(word, k))
        || rest.windows(2).any(|pair| pair == b"==") && !rest.contains(&b'{')
        || words.any(|word| compares.iter().any(|c| is(word, c)));
    (shell && condition).then_some("command.windows")
}
