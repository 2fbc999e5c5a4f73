//! Filters, as APIs take them in place of SQL: `status = 'open' and (size gt 10 or startswith(name,'A'))`. OData 4.01 (Part 2
//! §5.1.1), SCIM (RFC 7644 §3.4.2.2), Google's AIP-160 and JQL are much alike; what is told here is what they share.
//!
//! A value is a filter only as a whole, from its first name to its end, and only where its own name says that filters are
//! taken (`q`, `$filter`): elsewhere it may be what somebody reads a database with, one comparison at a time. Between quotes
//! it is harmless: the first of its texts would follow a string without an operator between them, which no SQL takes, since
//! a text must begin with a word that is none; and it compares names with what they are to be, never with themselves.

use super::tokens::{Kind, Token, Tokens, Word, word};
use crate::guard::threats::bytes::{Words, from, listed, low, word_len};

/// Longer filters are judged as SQL.
const TOKENS_MAX: usize = 128;

/// Operators that are words.
const OPERATORS: [&str; 12] = [
    "co", "contains", "endswith", "eq", "ew", "ge", "gt", "has", "le", "lt", "ne", "sw",
];
const FUNCTIONS: [&str; 20] = [
    "cast",
    "ceiling",
    "concat",
    "contains",
    "day",
    "endswith",
    "floor",
    "indexof",
    "isof",
    "length",
    "matchespattern",
    "month",
    "round",
    "startswith",
    "substring",
    "substringof",
    "tolower",
    "toupper",
    "trim",
    "year",
];

/// Names of parameters and members that filters are given by.
static NAMES: Words<20> = Words::new([
    "$filter",
    "$orderby",
    "condition",
    "conditions",
    "criteria",
    "expr",
    "expression",
    "filter",
    "filters",
    "fq",
    "jql",
    "predicate",
    "q",
    "query",
    "rsql",
    "search",
    "soql",
    "sql_filter",
    "where",
    "where_clause",
]);

/// Whether filters are given by a name.
pub fn is_given_by(name: &[u8]) -> bool {
    NAMES.has(name)
}

pub fn is_filter(bytes: &[u8]) -> bool {
    let begins = |b: &u8| b.is_ascii_alphabetic() || *b == b'(';
    bytes.trim_ascii_start().first().is_some_and(begins) && Filter::new(bytes).read().is_some()
}

struct Filter<'v> {
    tokens: Tokens<'v>,
    left: usize,
    /// Whether a text in single quotes was there already, and in double quotes.
    single: bool,
    double: bool,
}

impl<'v> Filter<'v> {
    const fn new(bytes: &'v [u8]) -> Self {
        Self {
            tokens: Tokens::new(bytes, 0),
            left: TOKENS_MAX,
            single: false,
            double: false,
        }
    }

    fn next(&mut self) -> Option<Token> {
        self.left = self.left.checked_sub(1)?;
        Some(self.tokens.next())
    }

    fn peek(&self) -> Token {
        let mut ahead = self.tokens;
        ahead.next()
    }

    /// Takes the next token if it is of a kind.
    fn takes(&mut self, kind: Kind) -> Option<bool> {
        Some(self.peek().kind == kind && self.next().is_some())
    }

    fn text(&self, token: Token) -> &'v [u8] {
        self.tokens.text(token)
    }

    /// Terms joined by `and` and `or`, and perhaps an order, to the end; `None` for anything else.
    fn read(&mut self) -> Option<()> {
        let mut open = 0_usize;
        loop {
            while matches!(self.peek().kind, Kind::Open | Kind::Not | Kind::Word(Word::Not)) {
                open += usize::from(self.next()?.kind == Kind::Open);
            }
            self.term()?;
            while open > 0 && self.takes(Kind::Close)? {
                open -= 1;
            }
            let token = self.next()?;
            match token.kind {
                Kind::Word(Word::Logic) => {}
                Kind::End if open == 0 => return Some(()),
                Kind::Word(Word::Clause) if open == 0 && self.text(token).eq_ignore_ascii_case(b"order") => {
                    return self.order();
                }
                _ => return None,
            }
        }
    }

    fn term(&mut self) -> Option<()> {
        let name = self.name()?;
        if self.peek().kind == Kind::Open {
            if !listed(&FUNCTIONS, self.text(name)) {
                return None;
            }
            self.list()?;
            if matches!(self.peek().kind, Kind::End | Kind::Close | Kind::Word(Word::Logic)) {
                return Some(());
            }
        }
        let mut operator = self.next()?;
        if operator.kind == Kind::Word(Word::Not) {
            operator = self.next()?;
        }
        let word = self.text(operator);
        let is = |other: &str| word.eq_ignore_ascii_case(other.as_bytes());
        match operator.kind {
            // `labels.env:prod`
            Kind::Variable if word.first() == Some(&b':') => Some(()),
            Kind::Compare => self.operand(name),
            Kind::Arithmetic if word == b"~" => self.operand(name),
            Kind::Word(Word::Name) if is("pr") => Some(()),
            Kind::Word(Word::Name) if listed(&OPERATORS, word) => self.operand(name),
            Kind::Word(Word::Compare) if is("like") || is("ilike") => self.operand(name),
            Kind::Word(Word::Compare) if is("in") => self.list(),
            Kind::Word(Word::Compare) if is("is") => {
                self.takes(Kind::Word(Word::Not))?;
                self.takes(Kind::Word(Word::Literal))?.then_some(())
            }
            Kind::Word(Word::Compare) if is("between") => {
                self.operand(name)?;
                let and = self.next()?;
                (self.text(and).eq_ignore_ascii_case(b"and")).then_some(())?;
                self.operand(name)
            }
            _ => None,
        }
    }

    /// A name, of several parts perhaps: its last.
    fn name(&mut self) -> Option<Token> {
        loop {
            let token = self.next()?;
            let plain = self
                .text(token)
                .first()
                .is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_');
            if token.kind != Kind::Word(Word::Name) || !plain {
                return None;
            }
            let dot = self.peek();
            if dot.kind != Kind::Arithmetic || !matches!(self.text(dot), b"." | b"/") {
                return Some(token);
            }
            self.next()?;
        }
    }

    /// What a name is compared with: never itself, or anything that is worked out, but for `now()` and the like.
    fn operand(&mut self, name: Token) -> Option<()> {
        let mut token = self.next()?;
        if token.kind == Kind::Arithmetic && self.text(token) == b"-" {
            token = self.next()?;
        }
        match token.kind {
            Kind::Number | Kind::Word(Word::Literal) => Some(()),
            Kind::Text { closed: true } => self.is_plain(token).then_some(()),
            Kind::Word(Word::Name) => {
                let same = self.text(token).eq_ignore_ascii_case(self.text(name));
                if self.takes(Kind::Open)? {
                    self.takes(Kind::Close)?.then_some(())?;
                }
                (!same).then_some(())
            }
            _ => None,
        }
    }

    /// Names, numbers and texts in parentheses.
    fn list(&mut self) -> Option<()> {
        self.takes(Kind::Open)?.then_some(())?;
        loop {
            let token = self.next()?;
            match token.kind {
                Kind::Number | Kind::Word(Word::Literal) => {}
                Kind::Word(Word::Name) => {
                    // `Edm.String`, `Address/City`.
                    while self.peek().kind == Kind::Arithmetic && matches!(self.text(self.peek()), b"." | b"/") {
                        self.next()?;
                        if self.next()?.kind != Kind::Word(Word::Name) {
                            return None;
                        }
                    }
                }
                Kind::Text { closed: true } if self.is_plain(token) => {}
                _ => return None,
            }
            match self.next()?.kind {
                Kind::Comma => {}
                Kind::Close => return Some(()),
                _ => return None,
            }
        }
    }

    /// Whether a text holds no quote and no comment, and the first in its kind of quotes begins with a word or number that
    /// SQL takes for nothing else.
    fn is_plain(&mut self, token: Token) -> bool {
        let text = self.text(token);
        let inside = text.get(1..text.len().saturating_sub(1)).unwrap_or_default();
        let seen = match text.first() {
            Some(b'\'') => &mut self.single,
            Some(b'"') => &mut self.double,
            _ => return false,
        };
        let first = inside.get(..word_len(inside, 0)).unwrap_or_default();
        let begins = low(inside, 0) >= 0x80 || !first.is_empty() && matches!(word(first), Word::Name | Word::Literal);
        let marks = |b: &u8| b.is_ascii_alphanumeric() || *b >= 0x80 || b"_ -.:,!@%/*+&?()[]".contains(b);
        let comments = inside.windows(2).any(|pair| matches!(pair, b"--" | b"/*" | b"*/"));
        let plain = *seen || begins && !from(inside, first.len()).starts_with(b"(");
        *seen = true;
        plain && inside.iter().all(marks) && !comments
    }

    fn order(&mut self) -> Option<()> {
        let by = self.next()?;
        self.text(by).eq_ignore_ascii_case(b"by").then_some(())?;
        loop {
            self.name()?;
            self.takes(Kind::Word(Word::Part))?;
            match self.next()?.kind {
                Kind::Comma => {}
                Kind::End => return Some(()),
                _ => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted() {
        assert!(OPERATORS.is_sorted() && FUNCTIONS.is_sorted());
    }

    #[track_caller]
    fn check(text: &str, expected: bool) {
        assert_eq!(is_filter(text.as_bytes()), expected, "{text}");
    }

    #[test]
    fn filters_of_apis_are_told() {
        for text in [
            "startswith(name,'A') and endswith(name,'B')",
            "not contains(subject,'invoice') or size gt 10",
            "state = \"ACTIVE\" AND labels.env:prod",
            "(a = 1 or b = 2) and not (c != 3)",
            "status='open' AND priority>3",
            "type in ('a','b') and name like 'A%'",
            "day between '2024-01-01' and '2024-02-01'",
            "assignee = currentUser() AND status in (\"To Do\") ORDER BY created DESC, key",
            "project = \"TEST\" AND status in (\"In Progress\", \"To Do\") ORDER BY created DESC",
            "name.familyName co \"Smith\" and title pr",
            "tolower(name) eq 'ann' and deleted is not null",
        ] {
            check(text, true);
        }
    }

    #[test]
    fn what_goes_on_as_sql_is_no_filter() {
        for text in [
            "1 = 1",
            "a = a",
            "a = 1 or 1 = 1",
            "a = 1 or b = b",
            "a = 'x' or 'a' = 'a'",
            "a = ' or b = '",
            "a = 'or 1 or'",
            "a = 'union select 1'",
            "a = '' or b = ''",
            "a = '%1%' or b = 1",
            "a = 'x' union select b",
            "a = (select 1)",
            "a = 1; drop table b",
            "a = 1 -- ",
            "a = sleep(5)",
            "sleep(5) = 1",
            "a = 'x",
            "a = 'it''s'",
            "a = 1 order by (select 1)",
            "(a = 1",
            "a = 1)",
            "a",
            "",
        ] {
            check(text, false);
        }
        check(&"a = 1 and ".repeat(100), false);
    }
}
