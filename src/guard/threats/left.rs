//! What closes the text or the condition that stands around a value, and goes on there: paths of XPath. Whether a sign closes something of the query's or of the value's own is told by reading the
//! value from its beginning on. Each look is one walk over the value, asked for once, when what would go on was seen.

use super::bytes::{between, from, is_blank, is_word, positions};
use super::effort::Effort;

/// Taken from the value's effort, in its steps: for a bar, and for each byte where the value is read.
const BAR_STEPS: usize = 2;
const READ_STEPS: usize = 2;

/// How far is looked for the step behind a bar.
const NEAR_BYTES: usize = 16;

/// What leaves a condition in a path of XPath, and selects more: `x']|//*['`, `1]|//*[1`.
pub fn path(bytes: &[u8], effort: &mut Effort) -> Option<&'static str> {
    let mut bars = 0_usize;
    let more = positions(bytes, b'|').any(|bar| {
        bars += 1;
        selects(bytes, bar)
    });
    effort.spend(bars.saturating_mul(BAR_STEPS));
    if !more {
        return None;
    }
    effort.spend(bytes.len().saturating_mul(READ_STEPS));
    // XPath has no escapes, so that of the three at most one is outside a text at any byte: what a value quotes or opens itself
    // is told exactly, wherever the value was put.
    [None, Some(b'\''), Some(b'"')]
        .into_iter()
        .any(|text| closes_condition(bytes, text))
        .then_some("nosql.xpath")
}

/// Whether a step into everything follows a bar: `|//`, `| /*`, `|(//`.
fn selects(bytes: &[u8], bar: usize) -> bool {
    let near = between(bytes, bar + 1, bytes.len().min(bar + 1 + NEAR_BYTES));
    let gap = near.iter().take_while(|b| is_blank(**b) || **b == b'(').count();
    matches!(from(near, gap), [b'/', b'/' | b'*', ..])
}

/// Whether a bracket that the value did not open is closed and a bar follows, where the value is put within a text that the
/// quote in `text` closes, or outside of one.
fn closes_condition(bytes: &[u8], mut text: Option<u8>) -> bool {
    let mut open = 0_usize;
    let mut last = 0;
    let mut left = false;
    for (at, byte) in bytes.iter().copied().enumerate() {
        match (text, byte) {
            (Some(quote), _) => {
                if byte == quote {
                    text = None;
                    last = byte;
                }
                continue;
            }
            (None, b'\'' | b'"') => text = Some(byte),
            (None, b'[') => open += 1,
            (None, b']') if open > 0 => open -= 1,
            // A condition ends with a text, a number, a name or a call; `[^'"\\]` is a regular expression's.
            (None, b']') => left = is_step(last) && !matches!(last, b'/' | b'|' | b':' | b'@' | b'('),
            (None, b'|') if left && open == 0 && selects(bytes, at) => return true,
            // Between it and the bar the path may go on, and have conditions again.
            _ => left &= open > 0 || is_blank(byte) || is_step(byte),
        }
        if !is_blank(byte) {
            last = byte;
        }
    }
    false
}

/// What a path is made of, but for texts, blanks and brackets that open.
fn is_step(byte: u8) -> bool {
    is_word(byte)
        || byte >= 0x80
        || matches!(
            byte,
            b'/' | b'.' | b'*' | b':' | b'@' | b'-' | b'(' | b')' | b']' | b'|' | b'\'' | b'"'
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::threats::Account;

    #[test]
    fn patterns_are_no_conditions() {
        for (text, expected) in [
            ("[^'\"\\]|//.*", None),
            ("[\"'].*?|//.*", None),
            ("x'] | a | //b", Some("nosql.xpath")),
            ("x']|\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n//b", None),
            ("|//", None),
            ("]|//", None),
        ] {
            let mut effort = Effort::new(&Account::default(), text.len());
            assert_eq!(path(text.as_bytes(), &mut effort), expected, "{text}");
        }
    }
}
