//! SQL as databases read it, one token at a time: strings, numbers, words, operators, comments (which are skipped, but
//! for MySQL's executable ones, whose inside is read). The union of what MySQL, PostgreSQL, SQL Server, Oracle and
//! SQLite take. A token borrows nothing: it is a kind and where it stands.

use crate::guard::threats::bytes::{
    Marks, Words, between, find_byte, find_pair, from, is_blank, is_word, low, positions_of, starts_with, word_len,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    End,
    /// A comment that runs to the end of the value or line: what stands behind it is cut off.
    Cut,
    Number,
    /// A string; unterminated if the value ends in it, as one does that meets the query's own quote.
    Text {
        closed: bool,
    },
    /// `@x`, `@@x`, `:x`, `$1`.
    Variable,
    Word(Word),
    /// `+ - * / % ~ ^ << >> . ::` and the like.
    Arithmetic,
    /// `= < > <= >= <> != <=> := !~ ~ @> <@ ->`.
    Compare,
    /// `|| &&`, which are operators of logic in MySQL, and joining ones elsewhere.
    Logic,
    /// `| &`.
    Bits,
    Not,
    Open,
    Close,
    Comma,
    Semicolon,
    /// What no database takes.
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// `or and xor`.
    Logic,
    Not,
    Union,
    Select,
    /// Begins a statement that changes something or runs code.
    Statement,
    From,
    Where,
    /// `like in between is regexp rlike sounds similar glob div mod collate`.
    Compare,
    /// `having group order limit procedure into waitfor`.
    Clause,
    /// `null true false`.
    Literal,
    /// `case when then else end exists all distinct binary as by asc desc`.
    Part,
    Name,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    pub kind: Kind,
    pub start: usize,
    pub end: usize,
}

/// What [`word`] tells one by one.
static CORE: Words<11> = Words::new([
    "and", "false", "from", "not", "null", "or", "select", "true", "union", "where", "xor",
]);
static STATEMENTS: Words<23> = Words::new([
    "alter", "attach", "backup", "begin", "call", "copy", "create", "declare", "delete", "drop", "exec", "execute",
    "goto", "grant", "insert", "merge", "rename", "replace", "set", "shutdown", "truncate", "update", "waitfor",
]);
static COMPARES: Words<17> = Words::new([
    "between", "collate", "div", "glob", "ilike", "in", "is", "isnull", "like", "match", "mod", "notnull", "overlaps",
    "regexp", "rlike", "similar", "sounds",
]);
static CLAUSES: Words<9> = Words::new([
    "except",
    "fetch",
    "group",
    "having",
    "intersect",
    "into",
    "limit",
    "order",
    "procedure",
]);
static PARTS: Words<20> = Words::new([
    "all",
    "any",
    "as",
    "asc",
    "binary",
    "by",
    "case",
    "cast",
    "desc",
    "distinct",
    "distinctrow",
    "else",
    "end",
    "escape",
    "exists",
    "interval",
    "some",
    "then",
    "when",
    "with",
]);

/// Of all of them: most words of texts are in none.
static KEYWORDS: Marks = CORE
    .marks()
    .with(STATEMENTS.marks())
    .with(COMPARES.marks())
    .with(CLAUSES.marks())
    .with(PARTS.marks());

/// What a word is to a database.
pub fn word(text: &[u8]) -> Word {
    let is = |other: &str| text.eq_ignore_ascii_case(other.as_bytes());
    if !(2..=12).contains(&text.len()) || !KEYWORDS.may_have(text) {
        return Word::Name;
    }
    if !CORE.has(text) {
        return if STATEMENTS.has(text) {
            Word::Statement
        } else if COMPARES.has(text) {
            Word::Compare
        } else if CLAUSES.has(text) {
            Word::Clause
        } else if PARTS.has(text) {
            Word::Part
        } else {
            Word::Name
        };
    }
    if is("or") || is("and") || is("xor") {
        Word::Logic
    } else if is("not") {
        Word::Not
    } else if is("union") {
        Word::Union
    } else if is("select") {
        Word::Select
    } else if is("from") {
        Word::From
    } else if is("where") {
        Word::Where
    } else {
        Word::Literal
    }
}

/// Reads tokens from a position on. Each byte is looked at a bounded number of times, so reading is linear.
#[derive(Debug, Clone, Copy)]
pub struct Tokens<'v> {
    pub bytes: &'v [u8],
    pub at: usize,
    /// How many escapes and quotes were read in strings.
    pub signs: usize,
}

impl<'v> Tokens<'v> {
    pub const fn new(bytes: &'v [u8], at: usize) -> Self {
        Self { bytes, at, signs: 0 }
    }

    pub fn text(&self, token: Token) -> &'v [u8] {
        between(self.bytes, token.start, token.end)
    }

    pub fn next(&mut self) -> Token {
        loop {
            let start = self.at;
            let rest = from(self.bytes, start);
            let Some(first) = rest.first().copied() else {
                return self.token(Kind::End, start, 0);
            };
            match first {
                b if is_blank(b) || b == 0 || b == 0xA0 => self.at += 1,
                b'-' if low(rest, 1) == b'-' => return self.cut(start),
                b'#' => return self.cut(start),
                b'/' if low(rest, 1) == b'*' => {
                    if low(rest, 2) == b'!' {
                        // MySQL runs what stands in it, after an optional version.
                        let digits = from(rest, 3).iter().take_while(|b| b.is_ascii_digit()).count();
                        self.at += 3 + digits;
                        continue;
                    }
                    match end_of_comment(self.bytes, start + 2) {
                        Some(end) => self.at = end,
                        None => return self.token(Kind::Cut, start, rest.len()),
                    }
                }
                // The end of an executable comment.
                b'*' if low(rest, 1) == b'/' => self.at += 2,
                _ => return self.significant(first, rest, start),
            }
        }
    }

    fn cut(&mut self, start: usize) -> Token {
        let end = find_byte(self.bytes, start, b'\n').unwrap_or(self.bytes.len());
        self.token(Kind::Cut, start, end - start)
    }

    fn token(&mut self, kind: Kind, start: usize, len: usize) -> Token {
        self.at = start + len;
        Token {
            kind,
            start,
            end: self.at,
        }
    }

    fn significant(&mut self, first: u8, rest: &[u8], start: usize) -> Token {
        let second = low(rest, 1);
        match first {
            b'\'' | b'"' => self.string(first, start, 1),
            b'`' => {
                let end = find_byte(self.bytes, start + 1, b'`').map_or(self.bytes.len(), |end| end + 1);
                self.token(Kind::Word(Word::Name), start, end - start)
            }
            b'[' => {
                // A name of SQL Server's, if it closes soon.
                let len = rest.iter().take(64).position(|b| *b == b']');
                match len {
                    Some(len) => self.token(Kind::Word(Word::Name), start, len + 1),
                    None => self.token(Kind::Other, start, 1),
                }
            }
            b'0'..=b'9' => self.number(rest, start),
            b'.' if second.is_ascii_digit() => self.number(rest, start),
            b'(' => self.token(Kind::Open, start, 1),
            b')' => self.token(Kind::Close, start, 1),
            b',' => self.token(Kind::Comma, start, 1),
            b';' => self.token(Kind::Semicolon, start, 1),
            b'@' if low(rest, 1) == b'>' => self.token(Kind::Compare, start, 2),
            b'@' | b':' | b'$' => {
                let marks = rest.iter().take(2).take_while(|b| **b == first).count();
                let len = word_len(rest, marks);
                match (first, marks, len) {
                    (b':', 2, _) => self.token(Kind::Arithmetic, start, 2),
                    (b':', 1, _) if second == b'=' => self.token(Kind::Compare, start, 2),
                    // To MySQL, a variable without a name.
                    (b'@', 1, 0) if !matches!(second, b'.' | b'[') => self.token(Kind::Variable, start, 1),
                    (_, _, 0) => self.token(Kind::Other, start, 1),
                    _ => self.token(Kind::Variable, start, marks + len),
                }
            }
            // PostgreSQL asks so whether a document has a member.
            b'?' if matches!(second, b'|' | b'&') => self.token(Kind::Compare, start, 2),
            b'?' if second == b' ' && matches!(low(rest, 2), b'\'') => self.token(Kind::Compare, start, 1),
            b'|' | b'&' if second == first => self.token(Kind::Logic, start, 2),
            b'|' | b'&' => self.token(Kind::Bits, start, 1),
            b'=' | b'<' | b'>' | b'!' => {
                let len = rest.iter().take(3).take_while(|b| b"=<>!~@".contains(b)).count();
                match between(rest, 0, len) {
                    b"!" => self.token(Kind::Not, start, 1),
                    b"<<" | b">>" => self.token(Kind::Arithmetic, start, 2),
                    _ => self.token(Kind::Compare, start, len),
                }
            }
            b'-' if second == b'>' => self.token(Kind::Compare, start, 2),
            b'+' | b'-' | b'*' | b'/' | b'%' | b'~' | b'^' | b'.' => self.token(Kind::Arithmetic, start, 1),
            b if is_word(b) || b >= 0x80 => {
                let len = rest
                    .iter()
                    .take_while(|b| is_word(**b) || **b == b'$' || **b >= 0x80)
                    .count();
                let text = between(rest, 0, len);
                if (second == b'\'' || second == b'"') && len == 1 && b"xnbeqXNBEQ".contains(&first) {
                    return self.string(second, start, 2);
                }
                let found = word(text);
                self.token(Kind::Word(found), start, len)
            }
            _ => self.token(Kind::Other, start, 1),
        }
    }

    fn number(&mut self, rest: &[u8], start: usize) -> Token {
        let hexadecimal = starts_with(rest, b"0x") || starts_with(rest, b"0b");
        let len = rest
            .iter()
            .take_while(|b| {
                if hexadecimal {
                    b.is_ascii_alphanumeric()
                } else {
                    b.is_ascii_digit() || **b == b'.'
                }
            })
            .count();
        // `0x1or 1`
        let digits = from(rest, 2).iter().take_while(|b| b.is_ascii_hexdigit()).count();
        if hexadecimal && digits > 0 && word(between(rest, 2 + digits, len)) != Word::Name {
            return self.token(Kind::Number, start, 2 + digits);
        }
        let exponent = !hexadecimal && low(rest, len) == b'e';
        let mut end = len;
        if exponent {
            let signed = usize::from(matches!(low(rest, len + 1), b'+' | b'-'));
            let digits = from(rest, len + 1 + signed)
                .iter()
                .take_while(|b| b.is_ascii_digit())
                .count();
            end = if digits > 0 { len + 1 + signed + digits } else { len + 1 };
        }
        // `1st`, `2f3a`: a word that begins with a digit is no number, but `1or` is one and a keyword.
        let tail = word_len(rest, end);
        if !hexadecimal && tail > 0 && !exponent {
            let name = between(rest, end, end + tail);
            if word(name) == Word::Name || name.iter().any(u8::is_ascii_digit) {
                return self.token(Kind::Word(Word::Name), start, end + tail);
            }
        }
        self.token(Kind::Number, start, end)
    }

    fn string(&mut self, quote: u8, start: usize, opening: usize) -> Token {
        let text = from(self.bytes, start + opening);
        let mut at = 0;
        for sign in positions_of(text, [quote, b'\\']) {
            if sign < at {
                continue;
            }
            self.signs += 1;
            if text.get(sign) == Some(&b'\\') {
                at = sign + 2;
                continue;
            }
            // Two stand for one; an odd number of them closes.
            let run = from(text, sign).iter().take_while(|b| **b == quote).count();
            at = sign + run;
            if run % 2 == 1 {
                return self.token(Kind::Text { closed: true }, start, opening + at);
            }
        }
        self.token(Kind::Text { closed: false }, start, self.bytes.len() - start)
    }
}

fn end_of_comment(bytes: &[u8], at: usize) -> Option<usize> {
    Some(find_pair(bytes, at, *b"*/")? + 2)
}
