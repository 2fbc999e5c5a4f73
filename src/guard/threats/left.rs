//! What closes the text or the condition that stands around a value, and goes on there: paths of XPath, and conditions of a
//! document database's scripts. Whether a sign closes something of the query's or of the value's own is told by reading the
//! value from its beginning on. Each look is one walk over the value, asked for once, when what would go on was seen.

use super::bytes::{between, find_byte, from, is_blank, is_word, listed, low, positions, starts_with, word_len};
use super::effort::Effort;

/// Taken from the value's effort, in its steps: for a bar, and for each byte each time that the value is read.
const BAR_STEPS: usize = 2;
const READ_STEPS: usize = 4;

/// How far is looked for the word behind a quote.
const NEAR_BYTES: usize = 16;

/// What leaves a condition in a path of XPath, and selects more: `x']|//*['`, `1]|//*[1`.
pub fn path(bytes: &[u8], effort: &mut Effort) -> Option<&'static str> {
    // A bar counts behind a condition that ends.
    let ended = find_byte(bytes, 0, b']')?;
    let behind = from(bytes, ended);
    let mut bars = 0_usize;
    let more = positions(behind, b'|').any(|bar| {
        bars += 1;
        // No two bars have the same blanks behind them. A comment may stand in front of the step.
        let gap = |b: &&u8| is_blank(**b) || **b == b'(';
        let step = bar + 1 + from(behind, bar + 1).iter().take_while(gap).count();
        low(behind, step - 1) == b'(' && low(behind, step) == b':' || Step::at(behind, step).is_some()
    });
    effort.spend(bars.saturating_mul(BAR_STEPS));
    if !more {
        return None;
    }
    // XPath has no escapes, so that of the three at most one is outside a text at any byte: what a value quotes or opens itself
    // is told exactly, wherever the value was put.
    [None, Some(b'\''), Some(b'"')]
        .into_iter()
        .filter(|text| text.is_none_or(|quote| find_byte(bytes, 0, quote).is_some()))
        .any(|text| {
            effort.spend(bytes.len().saturating_mul(READ_STEPS));
            closes_condition(bytes, text)
        })
        .then_some("nosql.xpath")
}

/// A step that may follow a bar.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Into everything: `//`, `/*`.
    Everywhere,
    /// Somewhere else: `/root`, `..`, `@id`, `descendant::x`, `doc(`. Texts and programs have these as well.
    Elsewhere,
}

impl Step {
    fn at(bytes: &[u8], at: usize) -> Option<Self> {
        match (low(bytes, at), low(bytes, at + 1)) {
            (b'/', b'/' | b'*') => Some(Self::Everywhere),
            (b'/' | b'*' | b'@', _) | (b'.', b'.' | b'/') => Some(Self::Elsewhere),
            (first, _) if first.is_ascii_alphabetic() => {
                let part = |b: &&u8| is_word(**b) || **b == b'-';
                let behind = at + from(bytes, at).iter().take_while(part).count();
                let calls = matches!((low(bytes, behind), low(bytes, behind + 1)), (b'(', _) | (b':', b':'));
                calls.then_some(Self::Elsewhere)
            }
            _ => None,
        }
    }
}

/// Names that stand right behind a text in XPath or XQuery, or right in front of one, sorted: other names can't, so that a
/// quote there is an apostrophe (`what's`), or closes nothing.
const BESIDE_TEXTS: [&str; 46] = [
    "and",
    "as",
    "ascending",
    "at",
    "by",
    "case",
    "cast",
    "castable",
    "collation",
    "contains",
    "descending",
    "div",
    "else",
    "empty",
    "eq",
    "except",
    "for",
    "ftand",
    "ftor",
    "ge",
    "group",
    "gt",
    "idiv",
    "in",
    "instance",
    "intersect",
    "is",
    "le",
    "let",
    "lt",
    "mod",
    "ne",
    "or",
    "order",
    "otherwise",
    "return",
    "satisfies",
    "stable",
    "text",
    "then",
    "to",
    "treat",
    "union",
    "using",
    "version",
    "where",
];

/// What a byte is to [`closes_condition`], looked up: it is asked of every byte, up to three times.
#[derive(Clone, Copy)]
struct Class(u8);

impl Class {
    const WORD: u8 = 1;
    const BLANK: u8 = 1 << 1;
    const STEP: u8 = 1 << 2;
    /// Quotes, brackets, the bar, and what comments begin and end with.
    const SIGN: u8 = 1 << 3;

    #[inline(always)]
    fn of(byte: u8) -> Self {
        static CLASSES: [u8; 256] = {
            let mut table = [0_u8; 256];
            let mut byte: u8 = 0;
            loop {
                let word = if is_word(byte) { Class::WORD } else { 0 };
                let blank = if is_blank(byte) { Class::BLANK } else { 0 };
                let step = if is_step(byte) { Class::STEP } else { 0 };
                let sign = matches!(byte, b'\'' | b'"' | b'[' | b']' | b'|' | b'(' | b':');
                #[allow(
                    clippy::indexing_slicing,
                    reason = "in constants an index beyond the end does not compile"
                )]
                {
                    table[byte as usize] = word | blank | step | if sign { Class::SIGN } else { 0 };
                }
                if byte == u8::MAX {
                    break table;
                }
                byte += 1;
            }
        };
        Self(CLASSES.get(usize::from(byte)).copied().unwrap_or(0))
    }

    #[inline(always)]
    const fn has(self, any: u8) -> bool {
        self.0 & any != 0
    }
}

/// Whether a bracket that the value did not open is closed and a bar follows, where the value is put within a text that the
/// quote in `text` closes, or outside of one. One walk.
fn closes_condition(bytes: &[u8], mut text: Option<u8>) -> bool {
    let quoted = text.is_some();
    let mut open = 0_usize;
    // What stands in front, the last that is no blank, and where the last name begins.
    let (mut before, mut last, mut name) = (0, 0, 0);
    // A condition was left, and behind a text, a number or a call; a bar stands behind it.
    let (mut left, mut firm, mut barred) = (false, false, false);
    // Comments that are open.
    let mut comments = 0_usize;
    // More is selected, if what is left open is closed by the query.
    let mut more = false;
    let mut at = 0;
    while let Some(byte) = bytes.get(at).copied() {
        if let Some(quote) = text {
            let Some(end) = find_byte(bytes, at, quote) else { break };
            at = end + 1;
            if low(bytes, at).is_ascii_alphabetic() && !listed(&BESIDE_TEXTS, word_at(bytes, at)) {
                return false;
            }
            text = None;
            (before, last) = (quote, quote);
            continue;
        }
        let is = Class::of(byte);
        let previous = std::mem::replace(&mut before, byte);
        if is.has(Class::SIGN) {
            let next = low(bytes, at + 1);
            // Comments of XPath 2, one within another; nothing else in a path is written so.
            let opens = (byte, next) == (b'(', b':');
            if opens || comments > 0 && (byte, next) == (b':', b')') {
                comments = if opens { comments + 1 } else { comments - 1 };
                before = b' ';
                at += 2;
                continue;
            }
        }
        if comments > 0 {
            before = b' ';
            at += 1;
            continue;
        }
        if barred && !(is.has(Class::BLANK) || byte == b'(') {
            barred = false;
            match Step::at(bytes, at) {
                Some(Step::Everywhere) if quoted => return true,
                Some(Step::Everywhere) => more = true,
                Some(Step::Elsewhere) => more |= firm,
                None => {}
            }
        }
        if is.has(Class::WORD) && !is_word(previous) {
            name = at;
        }
        match byte {
            // Between a condition and the bar the path may go on, and have conditions again.
            _ if !is.has(Class::SIGN) => left &= open > 0 || is.has(Class::BLANK | Class::STEP),
            b'\'' | b'"' => {
                let word = between(bytes, name, at);
                let named = is_word(previous) && word.first().is_some_and(u8::is_ascii_alphabetic);
                if named && !listed(&BESIDE_TEXTS, word) {
                    return false;
                }
                text = Some(byte);
            }
            b'[' => open += 1,
            b']' if open > 0 => open -= 1,
            // A condition ends with a text, a number, a name or a call; `[^'"\\]` is a regular expression's.
            b']' => {
                left = ends_step(last);
                firm = left && (last.is_ascii_digit() || matches!(last, b'\'' | b'"' | b')'));
            }
            b'|' if left && open == 0 => barred = true,
            // A bar within, a parenthesis or a colon: all of them steps' bytes.
            _ => {}
        }
        if !is.has(Class::BLANK) {
            last = byte;
        }
        at += 1;
    }
    // The query goes on with the bracket that was to close the condition, unless something hides it, or brackets and quotes are
    // what XPath 3 and XQuery have beside: `Q{]}a`, `<a>]</a>`, "``[ ] ]``", `(#a:b ] #)`.
    let closed = text.is_none() && open == 0 && comments == 0 && ends_step(last);
    more && (!closed || bytes.iter().any(|b| matches!(b, 0 | b'{' | b'<' | b'`' | b'#')))
}

/// The name at a position, as far as names are read here.
fn word_at(bytes: &[u8], at: usize) -> &[u8] {
    let near = between(bytes, 0, bytes.len().min(at + NEAR_BYTES));
    between(bytes, at, at + word_len(near, at))
}

/// What a path is made of, but for texts, blanks and brackets that open.
const fn is_step(byte: u8) -> bool {
    is_word(byte)
        || byte >= 0x80
        || matches!(
            byte,
            b'/' | b'.' | b'*' | b':' | b'@' | b'-' | b'(' | b')' | b']' | b'|' | b'\'' | b'"'
        )
}

/// What a step, or a condition, ends with.
fn ends_step(byte: u8) -> bool {
    is_step(byte) && !matches!(byte, b'/' | b'|' | b':' | b'@' | b'(')
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
    /// The last word is an operator.
    operator: bool,
}

impl Own {
    fn read(&mut self, bytes: &[u8], at: usize, byte: u8) {
        /// Operators that are spelt as words, between values and in front of one, sorted.
        const BETWEEN: [&str; 2] = ["in", "instanceof"];
        const BEFORE: [&str; 4] = ["delete", "new", "typeof", "void"];
        let next = low(bytes, at + 1);
        let more = from(bytes, at);
        self.hidden |= matches!(byte, b'`' | b'\\')
            || byte == b'/' && (self.text.is_none() || matches!(next, b'/' | b'*'))
            // Scripts of pages have these for comments of a line.
            || byte == b'<' && more.starts_with(b"<!--")
            || byte == b'-' && more.starts_with(b"-->");
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
        let begins = is_word(byte) && !at.checked_sub(1).is_some_and(|before| is_word(low(bytes, before)));
        let word = if begins { word_at(bytes, at) } else { &[] };
        let between_values = begins && listed(&BETWEEN, word);
        let letter = begins && byte.is_ascii_alphabetic();
        let beside = self.spaced && !self.operator;
        self.phrase |= beside && (letter && !between_values || byte == b'(') || byte == b'=' && next == b'>';
        if begins {
            self.operator = between_values || listed(&BEFORE, word);
            self.words |= !byte.is_ascii_digit() && !self.operator;
        }
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
            ("x']|\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n//b", Some("nosql.xpath")),
            ("x']|                    //*['1", Some("nosql.xpath")),
            ("1]|\n                    //*[1", Some("nosql.xpath")),
            ("1] | | a[2]]|(  ( //*[1", Some("nosql.xpath")),
            ("x']|/root/users['1", Some("nosql.xpath")),
            ("x']|/node()|x['1", Some("nosql.xpath")),
            ("x']|descendant::*['1", Some("nosql.xpath")),
            ("x']|..//*['1", Some("nosql.xpath")),
            ("1]|@*[1", Some("nosql.xpath")),
            ("x']|doc('http://a.example/')['1", Some("nosql.xpath")),
            ("x'](:':)|//*['1", Some("nosql.xpath")),
            ("x'](:'[:)|//*['1", Some("nosql.xpath")),
            ("x'](:)'(:[:):)|//*['1", Some("nosql.xpath")),
            ("x']|(:]:)//*['1", Some("nosql.xpath")),
            ("x']|( (: a :) //*)['1", Some("nosql.xpath")),
            ("x'or 1]|//*['1", Some("nosql.xpath")),
            ("x'or'1']|//*['1", Some("nosql.xpath")),
            ("1 or a]|//*[1", Some("nosql.xpath")),
            ("1]|//a\0", Some("nosql.xpath")),
            ("1]|//*|id(", Some("nosql.xpath")),
            ("[what's new] | //cdn.example/x", None),
            ("[don't] | /* x */", None),
            ("items[i's] | // comment", None),
            ("a] | //b", None),
            ("see [1] it's 5] | //x", None),
            ("string[] | /* it's */ null", None),
            ("x[1] | /path", None),
            ("f(\"a\"] | *bold*)", None),
            ("x['a'] | default('b')", None),
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
            "a b'<!--'\n&& this.x",
            "x'<!--'\n&& this.x",
            "x'\n-->'\n&& this.x",
            "0 in [1] || this.x",
            "1 in {1:1} || this.x",
            "typeof 1 && this.x",
            "void 0 || this.x",
            "!delete 1 || this.x",
            "typeof typeof (1) && this.x",
            "1e5 && this.x",
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
            "new Date || this.x",
            "1 instanceof Object || this.x",
            "0 in x || this.x",
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
            "return typeof x && this.y",
            "only 2 in the box && this.y",
            "x & this.y",
        ] {
            assert!(
                !condition(text.as_bytes(), true) && !condition(text.as_bytes(), false),
                "{text}"
            );
        }
    }
}
