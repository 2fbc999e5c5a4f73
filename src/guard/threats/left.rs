//! What closes the text or the condition that stands around a value, and goes on there: paths of XPath, and conditions of a
//! document database's scripts. Whether a sign closes something of the query's or of the value's own is told by reading the
//! value from its beginning on. Each look is one walk over the value, asked for once, when what would go on was seen.

use super::bytes::{between, from, is_blank, is_word, low, positions, starts_with, word_len};
use super::effort::Effort;

/// Taken from the value's effort, in its steps: for a bar, and for each byte where the value is read.
const BAR_STEPS: usize = 2;
const READ_STEPS: usize = 2;

/// How far is looked for the step behind a bar, and for the word behind a quote.
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

/// What joins another condition to a script's, behind a text that was left or a number: `' && this.x`, `1 || this.x`. Programs'
/// own lines have the like (`if (user && this.ready)`), and `code` is where those are sent.
pub fn condition(bytes: &[u8], code: bool) -> bool {
    let mut own = Own::default();
    let mut joined = false;
    for (at, byte) in bytes.iter().copied().enumerate() {
        let joins = matches!(byte, b'&' | b'|') && low(bytes, at + 1) == byte && {
            let behind = from(bytes, at + 2);
            starts_with(behind.strip_prefix(b" ").unwrap_or(behind), b"this.")
        };
        if joins {
            if !own.goes_on(bytes, at, code) {
                return true;
            }
            joined |= own.text.is_none();
        }
        own.read(bytes, at, byte);
    }
    // A text that the query is to close: `this.a && this.b == '`. In words there are apostrophes.
    joined
        && own.text.is_some()
        && own
            .opened
            .checked_sub(1)
            .is_some_and(|before| !is_word(low(bytes, before)))
}

/// What was read of a value as a program of its own.
#[derive(Default)]
struct Own {
    text: Option<u8>,
    /// Where it was opened, and where the last quote stands, whichever it is.
    opened: usize,
    last: usize,
    /// Comments, regular expressions, templates and escapes may hide a quote: then nothing is known.
    hidden: bool,
    digits: bool,
    words: bool,
    /// Only blanks stand behind a word.
    spaced: bool,
    /// Words side by side, or an arrow, as conditions don't have them.
    phrase: bool,
}

impl Own {
    fn read(&mut self, bytes: &[u8], at: usize, byte: u8) {
        let next = low(bytes, at + 1);
        self.hidden |=
            matches!(byte, b'`' | b'\\') || byte == b'/' && (self.text.is_none() || matches!(next, b'/' | b'*'));
        if matches!(byte, b'\'' | b'"') {
            self.last = at;
            match self.text {
                Some(quote) if quote == byte => self.text = None,
                Some(_) => {}
                None => (self.text, self.opened) = (Some(byte), at),
            }
        }
        if self.text.is_some() {
            return;
        }
        self.digits |= byte.is_ascii_digit();
        let letter = byte.is_ascii_alphabetic();
        self.phrase |= self.spaced && (letter || byte == b'(') || byte == b'=' && next == b'>';
        self.words |= letter;
        self.spaced =
            is_blank(byte) && (self.spaced || at.checked_sub(1).is_some_and(|before| is_word(low(bytes, before))));
    }

    /// Whether what joins at a position goes on in what the value itself began, or in a sentence of its own.
    fn goes_on(&self, bytes: &[u8], at: usize, code: bool) -> bool {
        if self.hidden {
            return false;
        }
        match self.text {
            // No name follows a text that is closed: `v-if="open && this.items"`, `it's there && this.x`.
            Some(_) => {
                let behind = between(bytes, self.last + 1, at.min(self.last + 1 + NEAR_BYTES));
                let name = behind.strip_prefix(b"!").unwrap_or(behind);
                let word = between(name, 0, word_len(name, 0));
                self.last == self.opened && !word.is_empty() && !matches!(word, b"in" | b"instanceof")
            }
            None if code => self.words || !self.digits,
            // A word by itself may be what a value is compared with.
            None => self.phrase,
        }
    }
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

    #[test]
    fn a_condition_goes_on_behind_what_was_left() {
        for text in [
            "' && this.password.match(/.*/)//",
            "'||this.x",
            "x' == '' && this.x",
            "x' in y && this.x",
            "x'in y && this.x",
            "x' && \"open\" && this.x",
            "\"open' && this.x",
            "x') && this.x",
            "1 || this.x",
            "1==1&&this.x",
            "this.hidden == false && this.category == '",
            "0) || this.x",
            // What hides a quote from whoever looks for it.
            "x' /*'*/ && this.x",
            "x' //'\n && this.x",
            "x' && /'/ && this.x",
            "x' && `'` && this.x",
            "x' + '\\'' && this.x",
            "x'/*\"*/&&\"if\" && this.x",
        ] {
            assert!(
                condition(text.as_bytes(), true) && condition(text.as_bytes(), false),
                "{text}"
            );
        }
        for text in [
            "x || this.y",
            "true && this.x",
            " && this.x",
            "a==b || this.x",
            "x) && this.y",
        ] {
            assert!(
                !condition(text.as_bytes(), true) && condition(text.as_bytes(), false),
                "{text}"
            );
        }
        for text in [
            "const total = this.price && this.quantity;",
            "if (user && this.ready) { go() }",
            "if (path === '/' && this.root)",
            "return this.a || this.b",
            "v-if=\"open && this.items\"",
            ":show='!open && this.items'",
            "value => value && this.validate(value)",
            "the default is name || this.name",
            "it's there && this.ready",
            "the default is name || this.name, isn't it",
            "x && that.y",
            "x & this.y",
        ] {
            assert!(
                !condition(text.as_bytes(), true) && !condition(text.as_bytes(), false),
                "{text}"
            );
        }
    }
}
