//! A command's name as shells read it, and what is soon told to be none.

use super::names::{COMMANDS, KNOWN, WORDS};
use super::{raw, sign};
use crate::guard::threats::bytes::{between, find_byte, from, low, starts_with};

/// What is read for one name, with its path and what obscures it: text that never ends one would else be read to its end
/// behind every separator.
const SPELLING_BYTES_MAX: usize = 256;
/// A command's name with what obscures it is not longer.
const NAME_BYTES_MAX: usize = 48;
/// `${…}` within a name; what is longer stands for no empty text.
const EXPANSION_BYTES_MAX: usize = 64;

/// A command's name as a shell would read it.
pub(super) struct Spelled {
    pub name: [u8; NAME_BYTES_MAX],
    pub len: usize,
    /// Quotes, expansions or escapes stand within it.
    pub obscured: bool,
    /// It is a path's last part.
    pub pathed: bool,
    /// Behind it.
    pub end: usize,
}

/// Reads a name from a position on; what was looked at is taken from `left`. `None` if it is no command's.
pub(super) fn spelled(bytes: &[u8], start: usize, begin: usize, left: &mut usize) -> Option<Spelled> {
    let mut at = begin;
    let mut spelled = Spelled {
        name: [0; NAME_BYTES_MAX],
        len: 0,
        obscured: false,
        pathed: false,
        end: start,
    };
    let mut broken = false;
    // Of each quote, whether one is open.
    let (mut single, mut double) = (false, false);
    let mut fits = true;
    let stop = at.saturating_add(SPELLING_BYTES_MAX);
    while let Some(byte) = bytes.get(at).copied().filter(|_| at < stop && fits) {
        let len = spelled.len;
        if sign::is(byte, sign::NAME) {
            // What stands behind a name, and not in it, obscures nothing.
            spelled.obscured |= broken;
            match spelled.name.get_mut(len) {
                Some(slot) => *slot = byte.to_ascii_lowercase(),
                None => fits = false,
            }
            spelled.len += 1;
            at += 1;
            continue;
        }
        match byte {
            // An escaped end of line that was never unescaped, at the value's end.
            b'\\' if len > 0 && at + 2 == bytes.len() && matches!(low(bytes, at + 1), b'n' | b'r') => break,
            b'\'' | b'"' | b'\\' | b'^' => {
                single ^= byte == b'\'';
                double ^= byte == b'"';
                broken |= len > 0;
                at += 1;
            }
            b'$' if len > 0 && matches!(low(bytes, at + 1), b'(' | b'{') => {
                let close = if low(bytes, at + 1) == b'(' { b')' } else { b'}' };
                let reach = between(bytes, at, bytes.len().min(at + EXPANSION_BYTES_MAX));
                let Some(end) = find_byte(reach, 0, close) else {
                    *left = left.saturating_sub(reach.len());
                    break;
                };
                broken = true;
                at += end + 1;
            }
            b'$' if len > 0
                && matches!(
                    low(bytes, at + 1),
                    b'@' | b'*' | b'-' | b'!' | b'?' | b'$' | b'1'..=b'9' | b'u'
                ) =>
            {
                broken = true;
                at += 2;
            }
            // Empty substitutions.
            b'`' if len > 0 && low(bytes, at + 1) == b'`' => {
                broken = true;
                at += 2;
            }
            b'<' | b'>' if len > 0 && low(bytes, at + 1) == b'(' && low(bytes, at + 2) == b')' => {
                broken = true;
                at += 3;
            }
            b'/' => {
                // Only the last part of a path is the name.
                spelled.pathed = true;
                spelled.len = 0;
                at += 1;
            }
            _ => break,
        }
    }
    *left = left.saturating_sub(at.saturating_sub(start) + 1);
    spelled.end = at;
    for byte in between(bytes, start, begin) {
        single ^= *byte == b'\'';
        double ^= *byte == b'"';
    }
    // With a quote that is still open a shell reads on: `I'd like` is no `id`. One at the end belongs to what the value stands in.
    match bytes.last() {
        Some(b'\'') if at == bytes.len() => single = false,
        Some(b'"') if at == bytes.len() => double = false,
        _ => {}
    }
    let open = (single || double) && spelled.obscured;
    (fits && !open).then_some(spelled)
}

/// What is read of a text that is no command, as can be told without reading over what obscures it; `None`: it may be one.
#[inline(always)]
pub(super) fn unknown(text: &[u8]) -> Option<usize> {
    /// What is read so; the names of programs' variables are seldom longer.
    const SHORT: usize = 24;
    // Most are a word that is none, and nothing that goes on within a name.
    let near = text.iter().take(SHORT + 1);
    let len = near.take_while(|b| sign::is(**b, sign::NAME)).count();
    let ends = match raw(text, len) {
        b'`' => raw(text, len + 1) != b'`',
        behind => !sign::is(behind, sign::SPELLS | sign::EXPANDS),
    };
    let executable = len > 4 && raw(text, len - 4) == b'.';
    if len <= SHORT && ends && !executable && !is_known(between(text, 0, len)) {
        return Some(len);
    }
    unknown_at_length(text)
}

/// Whether what stands at a position may belong to the name of `len` bytes in front of it.
#[inline(always)]
fn goes_on(text: &[u8], at: usize, len: usize) -> bool {
    let behind = raw(text, at + 1);
    match raw(text, at) {
        b'\'' | b'"' | b'\\' | b'^' => true,
        b'$' => len > 0 && behind.is_ascii_graphic(),
        b'`' => len > 0 && behind == b'`',
        b'<' | b'>' => len > 0 && behind == b'(',
        _ => false,
    }
}

/// Whether a name is in one of the lists.
#[inline(always)]
fn is_known(name: &[u8]) -> bool {
    KNOWN.may_have(name) && (COMMANDS.has(name) || WORDS.has(name))
}

fn unknown_at_length(text: &[u8]) -> Option<usize> {
    let (mut start, mut len);
    let mut end = 0;
    loop {
        start = end;
        let name = from(text, start).iter().take(NAME_BYTES_MAX + 1);
        len = name.take_while(|b| sign::is(**b, sign::NAME)).count();
        end = start + len;
        if end > SPELLING_BYTES_MAX / 2 {
            return None;
        }
        if len > NAME_BYTES_MAX {
            return Some(end);
        }
        // Only the last part of a path is the name.
        if raw(text, end) != b'/' {
            break;
        }
        end += 1;
    }
    if goes_on(text, end, len) {
        return None;
    }
    let name = between(text, start, end);
    let wild = start > 0 && name.first() != Some(&b'*') && name.iter().any(|b| matches!(b, b'?' | b'*' | b'['));
    let known = || is_known(name) || len > 4 && starts_with(from(name, len - 4), b".exe");
    (len == 0 || !wild && !known()).then_some(end)
}
