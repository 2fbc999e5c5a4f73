//! PHP's calls without a known name: by a variable, by a string, by what an expression gives. As whole values only: in
//! programs' texts they are common.

use super::bytes::{begins_with, between, find_byte, from, is_blank, is_word, listed, low, skip_blank};
use super::literals::numbers_change;
use super::profile::class;

/// Longer values are texts.
const CALL_BYTES_MAX: usize = 256;
/// Indices in a row, and comments between them, that are read over.
const PARTS_MAX: usize = 16;
/// Places of a value at which a call may begin.
const STARTS_MAX: usize = 4;

/// Whether a value, whose profile is `bits`, is such a call, or `None`.
pub fn judge(bytes: &[u8], bits: u16) -> Option<&'static str> {
    if bytes.len() > CALL_BYTES_MAX {
        return None;
    }
    let calls = bits & class::BRACE != 0 && by_variable(bytes) || bits & class::PAREN != 0 && by_value(bytes);
    calls.then_some("command.php_call")
}

/// The first position behind blanks and comments.
pub fn gap(bytes: &[u8], mut at: usize) -> usize {
    for _ in 0..PARTS_MAX {
        at = skip_blank(bytes, at);
        let rest = from(bytes, at);
        if begins_with(rest, b"/*") {
            let Some(end) = rest.windows(2).skip(2).position(|w| w == b"*/") else {
                return at;
            };
            at += end + 4;
        } else if begins_with(rest, b"//") || begins_with(rest, b"#") {
            let Some(end) = find_byte(bytes, at, b'\n') else {
                return at;
            };
            at = end + 1;
        } else {
            return at;
        }
    }
    at
}

/// `$a(1)`, `$_GET[x](y)`, `${'a'}(b)`, `$a->$b()`, and `${'a'}` by itself, which names a variable by an expression.
fn by_variable(bytes: &[u8]) -> bool {
    let mut at = 0;
    let mut closes = [Close::default(), Close::default()];
    while let Some(dollar) = find_byte(bytes, at, b'$') {
        at = dollar + 1;
        let mut end = dollar + from(bytes, dollar).iter().take_while(|b| **b == b'$').count();
        let name = from(bytes, end).iter().take_while(|b| is_word(**b)).count();
        if name > 0 && low(bytes, end).is_ascii_digit() {
            continue;
        }
        end += name;
        let mut parts = 0;
        loop {
            let next = gap(bytes, end);
            let [square, curly] = &mut closes;
            let brace = low(bytes, next) == b'{';
            let found = match low(bytes, next) {
                b'[' => square.from(bytes, next, b']'),
                b'{' => curly.from(bytes, next, b'}'),
                // `/Orders/$count(…)` is OData's, `$import (#17)` names a change.
                b'(' if parts == 0 && (is_segment(bytes, dollar, end) || next > end && numbers_change(bytes, next)) => {
                    break;
                }
                b'(' => return name + parts > 0,
                _ => break,
            };
            let Some(found) = found else {
                break;
            };
            let inside = between(bytes, next + 1, found).trim_ascii();
            // `${name}` alone is a template's; its expressions are not.
            if brace && name == 0 && inside.first().is_some_and(|b| matches!(b, b'\'' | b'"' | b'$' | b'@')) {
                return true;
            }
            end = found + 1;
            parts += 1;
            if parts > PARTS_MAX {
                return true;
            }
        }
    }
    false
}

/// Whether a variable's name is a segment of OData's (OData 4.01 Part 2 §4): `/$count`, `/$ref`.
fn is_segment(bytes: &[u8], dollar: usize, end: usize) -> bool {
    const SEGMENTS: [&str; 6] = ["all", "count", "each", "filter", "ref", "value"];
    dollar > 0 && low(bytes, dollar - 1) == b'/' && listed(&SEGMENTS, between(bytes, dollar + 1, end))
}

/// The next of a closing byte, looked for once for all that is opened between where it was looked for and where it stands.
#[derive(Default)]
struct Close {
    /// From where it was looked for, and where it was found.
    known: Option<(usize, Option<usize>)>,
}

impl Close {
    fn from(&mut self, bytes: &[u8], at: usize, byte: u8) -> Option<usize> {
        match self.known {
            Some((from, found)) if from <= at && found.is_none_or(|found| at <= found) => found,
            _ => {
                let found = find_byte(bytes, at, byte);
                self.known = Some((at, found));
                found
            }
        }
    }
}

/// `"system"(ls)`, `(sy.(st).em)('x')`, `[system][0](ls)`: at the value's beginning or behind `;`, `=` or `return`.
fn by_value(bytes: &[u8]) -> bool {
    let starts = std::iter::once(0).chain(
        bytes
            .iter()
            .enumerate()
            .filter(|(_, b)| matches!(b, b';' | b'='))
            .map(|(at, _)| at + 1)
            .take(STARTS_MAX),
    );
    for start in starts {
        let mut at = gap(bytes, start);
        if begins_with(from(bytes, at), b"return") {
            at = gap(bytes, at + 6);
        }
        let mut words = false;
        let mut groups = 0;
        while groups < PARTS_MAX {
            let open = low(bytes, at);
            let end = match open {
                b'(' | b'[' | b'{' => balanced(bytes, at),
                b'"' | b'\'' => find_byte(bytes, at + 1, open).map(|end| end + 1),
                _ => None,
            };
            let Some(end) = end else { break };
            let inside = between(bytes, at + 1, end.saturating_sub(1));
            if groups > 0 && words && open == b'(' {
                // What is called is alone: in prose a word or a sign follows.
                let rest = from(bytes, gap(bytes, end));
                // `[text](address)` is Markdown's.
                let linked = between(bytes, 0, at).last() == Some(&b']') && (groups == 1 || inside.contains(&b'/'));
                if !linked && (rest.is_empty() || matches!(low(rest, 0), b';' | b'.' | b')')) {
                    return true;
                }
            }
            words |= inside.iter().filter(|b| b.is_ascii_alphabetic()).count() >= 4
                && !inside.iter().any(|b| is_blank(*b) && *b != b' ')
                || open == b'('
                    && inside
                        .strip_prefix(b"$")
                        .is_some_and(|name| !name.is_empty() && name.iter().all(|b| is_word(*b)));
            groups += 1;
            at = gap(bytes, end);
            // `"sys"."tem"(x)`.
            if low(bytes, at) == b'.' && groups > 0 {
                at = gap(bytes, at + 1);
            }
        }
    }
    false
}

/// The end of what is opened at a position, if it is closed.
fn balanced(bytes: &[u8], at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (offset, byte) in from(bytes, at).iter().enumerate() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(at + offset + 1);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::profile;
    use super::*;

    #[test]
    fn calls_without_a_name_are_found() {
        for text in [
            "$a(1)",
            "$__['o'](5)",
            "${'a'}(11)",
            "$_aB_4c[5]['d'] /*lol*/ (17)",
            "${'ff'}",
            "(system)('uname') ;",
            "(sy.(st).em)('uname');",
            "[system][0](ls);",
            "\"system\"(ls);",
            "( string ) \"sys\".\"t\".\"em\" ('uname');",
            "return\"system\"(xyz).s",
            "$a[$b[0][1] (3)",
            "$y = 'sys'.'tem';($y)('uname');",
        ] {
            assert!(
                judge(text.as_bytes(), profile::bits(text.as_bytes())).is_some(),
                "{text}"
            );
        }
        for text in [
            "$5 (five)",
            "US$ (dollars)",
            "[docs](https://x.example)",
            "(optional) (see below)x",
            "f(x)(y)",
            "section 3(a)(1)",
            "${name}",
            "\"quoted\" (sic) words",
            "price: $10",
            "($)('a')",
        ] {
            assert!(
                judge(text.as_bytes(), profile::bits(text.as_bytes())).is_none(),
                "{text}"
            );
        }
    }
}
