//! A short value that is, by itself, a piece of a query: what is tried where the query's other half is known or guessed.
//! For parameters, cookies and the like only: in documents and prose such pieces are quoted.

use super::brackets::reopens;
use super::names::{ABOUT_SERVER, FUNCTIONS, TYPES};
use super::tokens::{Kind, Token, Tokens, Word};
use crate::guard::threats::bytes::{begins_with, between, find_byte, from, is_blank, is_word, listed, low, word_len};
use crate::guard::threats::profile::class;

/// Longer values are texts.
pub(super) const FRAGMENT_BYTES_MAX: usize = 256;
/// Tokens that a piece is recognised by.
const TOKENS_MAX: usize = 12;

/// How a value, whose profile is `bits`, is a piece of a query, or `None`. `whole`: it stands in a field whose values are
/// put into queries, not in one with a grammar of its own. What lacks the signs that a rule needs is not read for it.
pub fn judge(bytes: &[u8], bits: u16, whole: bool) -> Option<&'static str> {
    if bytes.len() > FRAGMENT_BYTES_MAX {
        return None;
    }
    let text = bytes.trim_ascii();
    let has = |signs: u16| bits & signs != 0;
    if has(class::COLON) && cast(text) {
        return Some("sql.cast");
    }
    if has(class::QUOTE)
        && let Some(rule) = cut_off(text)
    {
        return Some(rule);
    }
    if !whole {
        return None;
    }
    if has(class::QUOTE)
        && let Some(rule) = led_by_quote(text)
    {
        return Some(rule);
    }
    if has(class::SLASH)
        && has(class::GLOB)
        && let Some(rule) = joined_by_comments(text)
    {
        return Some(rule);
    }
    if has(class::BLANK) && aliased(text) || has(class::DOT) && has(class::DIGIT) && !is_address(text) && exponent(text)
    {
        return Some("sql.fragment");
    }
    // Each needs an operator, a bracket, a separator, or words apart.
    if !has(class::OPERATOR | class::PAREN | class::SHELL | class::QUOTE | class::BLANK | class::CONTROL) {
        return None;
    }
    Piece::new(text, &mut { EMPTY }).judge()
}

/// Room for a piece's tokens.
const EMPTY: [Token; TOKENS_MAX] = [NONE; TOKENS_MAX];
pub(super) const NONE: Token = Token {
    kind: Kind::End,
    start: 0,
    end: 0,
};

/// Whether a text is a URL in one piece: `https://a248.e.akamai.net/x.png`.
fn is_address(text: &[u8]) -> bool {
    (begins_with(text, b"http://") || begins_with(text, b"https://"))
        && !text
            .iter()
            .any(|b| b.is_ascii_whitespace() || matches!(b, b'\'' | b'"' | b'`' | b'(' | b')'))
}

/// A text's first tokens.
pub(super) struct Piece<'v> {
    pub text: &'v [u8],
    pub list: &'v [Token],
    /// Whether the list holds all tokens.
    pub complete: bool,
}

impl<'v> Piece<'v> {
    #[inline(never)]
    pub fn new(text: &'v [u8], list: &'v mut [Token]) -> Self {
        let room = list.len();
        let mut tokens = Tokens::new(text, 0);
        let mut count = 0_usize;
        for place in list.iter_mut() {
            *place = tokens.next();
            if place.kind == Kind::End {
                break;
            }
            count += 1;
        }
        Self {
            text,
            list: list.get(..count).unwrap_or_default(),
            complete: count < room,
        }
    }

    pub fn kind(&self, at: usize) -> Kind {
        self.list.get(at).map_or(Kind::End, |token| token.kind)
    }

    pub fn is(&self, at: usize, word: &str) -> bool {
        let text = self
            .list
            .get(at)
            .map(|token| between(self.text, token.start, token.end));
        text.is_some_and(|text| text.eq_ignore_ascii_case(word.as_bytes()))
    }

    fn judge(&self) -> Option<&'static str> {
        if self.call() {
            return Some("sql.function");
        }
        if self.tautology() || self.led_by_logic() || self.condition() || reopens(self.text, false) {
            return Some("sql.boolean");
        }
        if self.led_by_clause() {
            return Some("sql.fragment");
        }
        self.led_by_semicolon().then_some("sql.stacked")
    }

    /// `abs(`, `length||(`, `now()`: a function's name and where its arguments begin, with nothing but signs between.
    fn call(&self) -> bool {
        let Some(name) = self
            .list
            .first()
            .map(|token| between(self.text, token.start, token.end))
        else {
            return false;
        };
        if !self.complete || !FUNCTIONS.has(name) {
            return false;
        }
        let mut signs = self.list.iter().skip(1).map(|token| token.kind).peekable();
        let mut open = false;
        while let Some(kind) = signs.next() {
            match kind {
                Kind::Open => open = true,
                // Dashboards and documentation ask for `time()`; of the server's own names nobody else does.
                Kind::Close if open => return signs.peek().is_none() && listed(&ABOUT_SERVER, name),
                Kind::Word(_) | Kind::Number | Kind::Variable => return false,
                Kind::Text { closed: true } => return false,
                _ => {}
            }
        }
        open || self.text.last() == Some(&b'(')
    }

    /// Two numbers compared, perhaps behind a list's comma.
    fn tautology(&self) -> bool {
        let first = match (self.kind(0), self.kind(1)) {
            (Kind::Number | Kind::Word(Word::Name), Kind::Comma) => 2,
            _ => 0,
        };
        if self.kind(first) != Kind::Number || !self.complete {
            return false;
        }
        let mut at = first + 1;
        let signs = ["=", "!=", "<>", "<=>", "==", "like", "rlike", "regexp", "is"];
        if !signs.iter().any(|sign| self.is(at, sign)) {
            return false;
        }
        at += 1;
        while matches!(self.kind(at), Kind::Word(Word::Not) | Kind::Not) {
            at += 1;
        }
        self.kind(at) == Kind::Number && self.list.len() == at + 1
    }

    /// `|| (null !=`, `and uid != (`: how a condition goes on.
    fn led_by_logic(&self) -> bool {
        let mut at = 0;
        // `/3 or`, `'3' or` stand behind what is left of the first operand.
        if self.kind(0) == Kind::Arithmetic && self.is(0, "/") {
            at = 2;
        }
        let symbol = self.kind(at) == Kind::Logic;
        if !symbol && self.kind(at) != Kind::Word(Word::Logic) {
            return false;
        }
        at += 1;
        if at == 3 && self.kind(at) == Kind::End {
            return true;
        }
        let open = self.kind(at) == Kind::Open;
        while matches!(self.kind(at), Kind::Open | Kind::Not) {
            at += 1;
        }
        let operand = matches!(
            self.kind(at),
            Kind::Word(Word::Name | Word::Literal) | Kind::Number | Kind::Variable
        );
        operand && self.kind(at + 1) == Kind::Compare && (symbol || open || !self.is(at + 1, "=") || self.ends(at + 3))
    }

    /// A whole condition in place of a number that either a comment ends (`1!=0--`, `2 or x/*`) or nobody writes so: what is asked
    /// behind `or` has a sign (`0 or~1`), or no blank or another than a space separates it (`0%09or%091`), or no row is named so
    /// (`-1 or 1`).
    fn condition(&self) -> bool {
        let (mut operand, mut logic, mut compares, mut odd) = (true, false, false, false);
        let mut literal = false;
        for (at, token) in self.list.iter().enumerate() {
            operand = match token.kind {
                // The query goes on in the next line.
                Kind::Cut if at + 1 < self.list.len() => operand,
                Kind::Cut => {
                    let behind = low(self.text, token.start + 2);
                    let rest = from(self.text, token.start + 2).trim_ascii();
                    let bare = rest.len() <= 2 && !rest.iter().any(u8::is_ascii_alphanumeric);
                    let sign = low(self.text, token.start);
                    // Two signs, to MySQL.
                    let signs = operand && !is_blank(behind) && behind != 0;
                    let cuts = !operand && (sign == b'/' || bare);
                    // `1!=0--`; `price = 10 -- note` begins with a name, and says something. `1!=0-- foo` says it apart.
                    let last = at.checked_sub(1).map_or(Kind::End, |at| self.kind(at));
                    // `8=D--`, `1>2-->3` are drawn.
                    let close = !operand
                        && matches!(behind, 0 | b' ' | b'\t' | b'\n' | b'+' | b'-')
                        && !between(self.text, 0, token.start).iter().any(|b| is_blank(*b));
                    let valued = matches!(last, Kind::Number | Kind::Word(Word::Literal));
                    let compared = compares && self.kind(0) == Kind::Number && (close || cuts) && valued;
                    return at > 1
                        && sign != b'#'
                        && (logic && literal && (signs || cuts && !self.counts(at)) || compared);
                }
                Kind::Arithmetic if self.is(at, "::") => {
                    odd |= logic;
                    true
                }
                Kind::Arithmetic | Kind::Not => {
                    let number = self.kind(at + 1) == Kind::Number;
                    odd |= logic && operand && (self.is(at, "~") || self.is(at, "!") && number);
                    true
                }
                Kind::Bits => true,
                // `1 or x notnull`, `1 or 1::bool`
                Kind::Word(Word::Compare) if self.is(at, "notnull") || self.is(at, "isnull") => {
                    odd |= logic;
                    operand
                }
                Kind::Word(Word::Logic) if !operand => {
                    let around = [
                        token.start.checked_sub(1).map_or(0, |at| low(self.text, at)),
                        low(self.text, token.end),
                    ];
                    odd |= around.iter().any(|b| !matches!(b, b' ' | b'+' | 0));
                    logic = true;
                    true
                }
                Kind::Logic if !operand => {
                    logic = true;
                    true
                }
                Kind::Compare if !operand => {
                    compares = true;
                    true
                }
                Kind::Number | Kind::Word(Word::Literal) if operand => {
                    literal = true;
                    false
                }
                Kind::Word(Word::Name) | Kind::Variable | Kind::Text { closed: true } if operand => false,
                _ => return false,
            };
        }
        // No row is named so.
        let unset = self.list.len() == 4
            && self.is(0, "-")
            && self.kind(1) == Kind::Number
            && self.list.first().map(|t| t.end) == self.list.get(1).map(|t| t.start)
            && (self.is(2, "or") || self.is(2, "||"))
            && self.kind(3) == Kind::Number
            && (self.is(1, "1") || self.list.get(1).is_some_and(|t| self.part(t).len() > 2))
            && (self.is(1, "1") || self.list.get(1).map(|t| self.part(t)) != self.list.get(3).map(|t| self.part(t)));
        self.complete && !operand && logic && (odd || unset) && literal
    }

    /// Whether what stands in front of a token says how many (`18 and over--`, `5 or more--`), or that somebody breaks off.
    pub fn counts(&self, at: usize) -> bool {
        const SAID: [&str; 20] = [
            "above", "all", "below", "both", "bust", "earlier", "empty", "fewer", "greater", "higher", "later", "less",
            "lower", "many", "more", "none", "over", "so", "under", "up",
        ];
        let Some(word) = at.checked_sub(1).and_then(|at| self.list.get(at)) else {
            return false;
        };
        word.kind == Kind::Word(Word::Name) && (listed(&SAID, self.part(word)) || at == 3 && self.is(1, "and"))
    }

    pub fn part(&self, token: &Token) -> &[u8] {
        between(self.text, token.start, token.end)
    }

    fn ends(&self, at: usize) -> bool {
        self.complete && self.list.len() <= at
    }

    /// What goes on where a query was left: `) like (`, `in (1, 2)`, `case when a then b`, `values ('x'`, `from a order by`.
    fn led_by_clause(&self) -> bool {
        let part = |at, word| self.is(at, word);
        match self.kind(0) {
            Kind::Close => matches!(self.kind(1), Kind::Word(Word::Compare | Word::Part)) && self.list.len() > 2,
            Kind::Word(Word::Compare) if part(0, "in") => {
                self.kind(1) == Kind::Open
                    && matches!(
                        self.kind(2),
                        Kind::Number | Kind::Text { .. } | Kind::Word(Word::Select)
                    )
            }
            // `like '%'` is true of every text.
            Kind::Word(Word::Compare) if part(0, "like") => {
                self.list.len() == 2 && matches!(self.kind(1), Kind::Text { .. }) && self.text.contains(&b'%')
            }
            Kind::Word(Word::Part) if part(0, "case") => {
                part(1, "when") && (2..self.list.len()).any(|at| part(at, "then"))
            }
            Kind::Word(Word::Name) if part(0, "values") => {
                self.kind(1) == Kind::Open && matches!(self.kind(2), Kind::Number | Kind::Text { .. })
            }
            Kind::Word(Word::Name) if part(0, "if") => {
                self.kind(1) == Kind::Open && self.kind(2) == Kind::Number && self.kind(3) == Kind::Compare
            }
            Kind::Word(Word::Clause) if part(0, "except") || part(0, "intersect") => {
                part(1, "values") && self.kind(2) == Kind::Open
            }
            Kind::Word(Word::From) => (1..self.list.len()).any(|at| {
                matches!(self.kind(at), Kind::Word(Word::Clause)) && part(at + 1, "by")
                    || part(at, "limit") && self.text.contains(&b'`')
                    || self.kind(at) == Kind::Word(Word::Where) && self.kind(at + 2) == Kind::Compare
            }),
            _ => false,
        }
    }

    fn led_by_semicolon(&self) -> bool {
        const VERBS: [&str; 9] = [
            "alter", "create", "delete", "drop", "insert", "replace", "select", "truncate", "update",
        ];
        self.kind(0) == Kind::Semicolon && {
            let verb = self.list.get(1).map(|token| between(self.text, token.start, token.end));
            verb.is_some_and(|verb| listed(&VERBS, verb))
        }
    }
}

/// `x::int`, `'{}'::jsonb`.
fn cast(text: &[u8]) -> bool {
    let mut at = 0;
    while let Some(colon) = find_byte(text, at, b':') {
        at = colon + 1;
        if low(text, at) != b':' {
            continue;
        }
        at += 1;
        let name = between(text, at, at + word_len(text, at));
        let before = colon.checked_sub(1).map_or(0, |at| low(text, at));
        let value = matches!(before, b')' | b'\'' | b'"' | b']');
        // `std::int` and the like are names of programs: of a bare name, only what compares or counts with it tells.
        let named = is_word(before) && (name.eq_ignore_ascii_case(b"int") || name.eq_ignore_ascii_case(b"integer"));
        if (value && (listed(&TYPES, name) || name.eq_ignore_ascii_case(b"text"))) || named {
            return true;
        }
    }
    false
}

/// A quote that opens nothing, and at the value's end what cuts the query's rest off.
fn cut_off(text: &[u8]) -> Option<&'static str> {
    for quote in *b"'\"`" {
        if text.iter().filter(|b| **b == quote).count() % 2 == 0 {
            continue;
        }
        let at = find_byte(text, 0, quote)?;
        let rest = from(text, at + 1).trim_ascii_start();
        let goes_on = ["or", "and", "is", "like", "in", "xor"]
            .iter()
            .any(|word| begins_with(rest, word.as_bytes()) && !is_word(low(rest, word.len())));
        let trimmed = text.strip_suffix(b" -").unwrap_or(text);
        let trimmed = trimmed.strip_suffix(b"+").unwrap_or(trimmed).trim_ascii_end();
        if goes_on && (trimmed.ends_with(b"--") || trimmed.ends_with(b"#")) {
            return Some("sql.comment");
        }
        // Behind a blank, a quote and a semicolon end what was said of inches.
        if without_comment(rest) == b";" && !between(text, 0, at).iter().any(|b| is_blank(*b)) {
            return Some("sql.close");
        }
    }
    None
}

/// What is left without a comment at the front.
fn without_comment(text: &[u8]) -> &[u8] {
    let Some(inside) = text.strip_prefix(b"/*") else {
        return text;
    };
    let end = inside.windows(2).position(|pair| pair == b"*/");
    end.map_or(text, |end| from(inside, end + 2).trim_ascii())
}

/// The value begins with a quote that nothing in it closes, and goes on as no text does: with a sign, or a word of SQL.
fn led_by_quote(text: &[u8]) -> Option<&'static str> {
    let quote = low(text, 0);
    if !matches!(quote, b'\'' | b'"' | b'`') || text.len() > 64 || text.last() == Some(&quote) {
        return None;
    }
    let rest = from(text, 1).trim_ascii_start();
    let next = low(rest, 0);
    let words = text.split(|b| is_blank(*b)).count();
    for word in ["or", "and", "xor"] {
        let after = low(rest, word.len());
        if begins_with(rest, word.as_bytes()) && is_blank(after) && rest.len() > word.len() + 1 && words <= 4 {
            return Some("sql.boolean");
        }
    }
    for word in ["alter", "union"] {
        let after = low(rest, word.len());
        if begins_with(rest, word.as_bytes()) && (is_blank(after) || after == b'/') {
            return Some("sql.fragment");
        }
    }
    let alone = text.iter().filter(|b| **b == quote).count() == 1;
    let sign = matches!(
        next,
        b'>' | b'<' | b'=' | b'*' | b',' | b':' | b';' | b'#' | b'^' | b'%' | b'!' | b'|' | b'&' | b'?'
    );
    let counted = rest.iter().any(|b| b.is_ascii_digit() || matches!(b, b'=' | b'#'));
    (sign && counted && (alone || next != b',')).then_some("sql.fragment")
}

/// Words that begin a query or change, with comments in place of blanks: `select/**/a`, `dr/**/op/**/t`.
fn joined_by_comments(text: &[u8]) -> Option<&'static str> {
    const WORDS: [&str; 9] = [
        "alter", "create", "delete", "drop", "exec", "insert", "select", "union", "update",
    ];
    let mut first = [0_u8; 8];
    let (mut len, mut at, mut comments) = (0_usize, 0_usize, 0_usize);
    loop {
        let word = word_len(text, at);
        for byte in between(text, at, at + word) {
            if let Some(place) = first.get_mut(len) {
                *place = byte.to_ascii_lowercase();
                len += 1;
            }
        }
        at += word;
        let rest = from(text, at);
        let end = rest
            .strip_prefix(b"/*")
            .and_then(|inside| inside.windows(2).position(|pair| pair == b"*/"));
        let Some(end) = end else { break };
        comments += 1;
        at += end + 4;
        if listed(&WORDS, first.get(..len).unwrap_or_default()) && word_len(text, at) > 0 {
            return Some("sql.comment");
        }
        if comments > TOKENS_MAX {
            break;
        }
    }
    None
}

/// `) as x from`, `` ` as `x` from ``: the end of a list, its alias, and the source.
fn aliased(text: &[u8]) -> bool {
    let mut words = text.split(|b| is_blank(*b)).filter(|word| !word.is_empty());
    let bare = |word: &[u8], is: &str| {
        let quote = |b: &u8| matches!(b, b'\'' | b'"' | b'`');
        let start = word.iter().take_while(|b| quote(b)).count();
        let end = word.len() - from(word, start).iter().rev().take_while(|b| quote(b)).count();
        between(word, start, end).eq_ignore_ascii_case(is.as_bytes())
    };
    let Some(first) = words.next() else { return false };
    // `10 as seen from above` has no signs.
    let signs = |word: &[u8]| {
        word.iter()
            .any(|b| matches!(b, b')' | b'\'' | b'"' | b'`' | b';' | b'!'))
    };
    let marked = signs(first) || words.clone().take(2).any(signs);
    !first.iter().any(u8::is_ascii_alphabetic)
        && marked
        && words.next().is_some_and(|word| bare(word, "as"))
        && words.take(2).any(|word| bare(word, "from"))
}

/// `1.e(a)`, `1.e.b`: MySQL reads the number and goes on with what follows.
fn exponent(text: &[u8]) -> bool {
    text.windows(4).enumerate().any(|(at, four)| {
        matches!(four, [b'0'..=b'9', b'.', b'e' | b'E', b'(' | b'.'])
            && (low(from(text, at), 3) == b'(' || low(text, at + 4).is_ascii_alphabetic())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::threats::profile;

    #[test]
    fn lists_are_sorted() {
        assert!(ABOUT_SERVER.is_sorted());
        assert!(TYPES.is_sorted());
    }

    #[test]
    fn pieces_of_queries_are_found() {
        for (text, rule) in [
            ("abs(", "sql.function"),
            ("LENGTH||!!(", "sql.function"),
            ("version()", "sql.function"),
            ("1=1", "sql.boolean"),
            ("7 is not 8", "sql.boolean"),
            ("b,2<>3", "sql.boolean"),
            ("0 or~1", "sql.boolean"),
            ("2 or x notnull", "sql.boolean"),
            ("1!=0--", "sql.boolean"),
            ("-1 or 1", "sql.boolean"),
            ("1 or id-- -", "sql.boolean"),
            ("1!=0-- foo", "sql.boolean"),
            ("-1234 or 5678", "sql.boolean"),
            ("&&(l=!0)", "sql.boolean"),
            ("|| mode ==", "sql.boolean"),
            (") as total FROM", "sql.fragment"),
            ("` AS `n` from", "sql.fragment"),
            ("in (4,5)", "sql.fragment"),
            (") like (", "sql.fragment"),
            ("case when a then b", "sql.fragment"),
            ("' union/", "sql.fragment"),
            ("`>44", "sql.fragment"),
            ("' or house 9", "sql.boolean"),
            (";drop", "sql.stacked"),
            ("pass::int", "sql.cast"),
            ("'{\"a\":1}'::jsonb", "sql.cast"),
            ("a' and b not similar to c--", "sql.comment"),
            ("me@site.example\";", "sql.close"),
            ("select/*x*/a/**/from/**/b", "sql.comment"),
            ("dr/**/op/**/t", "sql.comment"),
            ("1.e(ascii)", "sql.fragment"),
        ] {
            assert_eq!(
                judge(text.as_bytes(), profile::bits(text.as_bytes()), true),
                Some(rule),
                "{text}"
            );
        }
        for text in [
            "O'Brien",
            "don't stop --",
            "it's 5 o'clock",
            "rock 'n' roll",
            "\"exact words\"",
            "'quoted' and more",
            "time",
            "user (admin)",
            "count of items",
            "date",
            "a=b",
            "x == y",
            "std::vector",
            "a::b::c",
            "fe80::int0",
            "src/*/lib/*/x",
            "select a size",
            "order by",
            "from Paris to Rome",
            "and more",
            "or else",
            "true or false",
            "@john or 1",
            "5 or more -- see below",
            "-40 or -20",
            "10 > 5 -- note",
            "18 and over--",
            "5 or more--",
            "- 1 or 2",
            "-10 or 10",
            "2 > x --",
            "8=D--",
            "1>2-->3",
            "-10 or 20",
            "debug or --verbose",
            "image/*",
            "card--wide",
            "(a) as b",
            "in stock (5)",
            "5' 11\" tall",
            "'90s music",
            "version 1.e",
            "12\" vinyl",
            "10 as seen from above",
            "time()",
            "\"and when they are old",
            "paper (8.5 x 11\"-300 dpi) --",
            "5:30",
            "a, b; c",
            "log",
        ] {
            assert_eq!(
                judge(text.as_bytes(), profile::bits(text.as_bytes()), true),
                None,
                "{text}"
            );
        }
    }
}
