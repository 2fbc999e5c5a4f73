//! SQL injection: whether a value, put into a query, would go on as SQL. Judged in three contexts: as it stands (a number
//! or a whole expression), inside single quotes and inside double quotes. In each, tokens are read from where the query
//! would resume, and reading stops at the first that fits no grammar: text that only mentions SQL stops soon.

pub mod brackets;
mod conditions;
mod cut;
pub mod filter;
pub mod fragment;
mod names;
mod quotes;
mod statements;
pub mod tokens;

use super::bytes::{begins_with, between, find_byte, find_pair, from, is_blank};
use super::effort::Effort;
use names::FUNCTIONS;
use quotes::{cites, elided, is_even, quoted_words};
use std::cell::Cell;
use tokens::{Kind, Token, Tokens, Word};

/// Quotes of one kind that are tried as the one that closes the query's string. An attacker needs the first; the others
/// are for values that are put together from several.
const QUOTES_MAX: usize = 8;
/// Taken from the value's effort, in its steps: for a token, for an escape or quote in a string, and for what it is made of.
const TOKEN_STEPS: usize = 24;
const SIGN_STEPS: usize = 8;
const BYTES_PER_STEP: usize = 1;
const BYTES_PER_QUOTE_STEP: usize = 16;
/// Tokens that a context is judged by: an injection shows within its first few.
const TOKENS_MAX: usize = 256;

/// How a value goes on as SQL, or `None`. In `prose`, only what is an injection to the value's end counts.
/// `quotes`: whether there is any.
pub fn judge(bytes: &[u8], quotes: bool, prose: bool, effort: &mut Effort) -> Option<&'static str> {
    // Of blanks around it one says as much as many, which would push what stands between them out of sight.
    let begin = bytes.iter().take_while(|b| is_blank(**b)).count();
    let end = bytes.iter().rposition(|b| !is_blank(*b)).map_or(0, |at| at + 1);
    let bytes = between(bytes, begin.saturating_sub(1), (end + 1).min(bytes.len()));
    if !prose {
        let mut stands = |at: usize| {
            let mut reader = Reader::new(bytes, at, prose, false);
            let found = reader.as_it_stands();
            effort.spend(reader.steps(at));
            found
        };
        if let Some(rule) = stands(0) {
            return Some(rule);
        }
        // `x: select …`: a query behind what somebody called it.
        if let Some(label) = find_pair(bytes, 0, *b": ")
            && begins_with(from(bytes, label + 2), b"select ")
            && let Some(rule) = stands(label + 2)
        {
            return Some(rule);
        }
    }
    if !quotes {
        return None;
    }
    for quote in *b"'\"`" {
        let mut at = 0;
        let mut even = None;
        for index in 0..QUOTES_MAX {
            let Some(found) = find_byte(bytes, at, quote) else {
                break;
            };
            at = found + 1;
            // Whether quotes come in pairs is asked for one after the other.
            effort.spend(bytes.len() / BYTES_PER_QUOTE_STEP);
            if elided(bytes, found, quote) || index % 2 == 0 && cites(bytes, found, quote, prose) {
                continue;
            }
            // The second of a pair closes what the value itself opened: `'open' or 'closed'` quotes two words.
            let owned = index % 2 == 1 && *even.get_or_insert_with(|| is_even(bytes, quote));
            if owned && quoted_words(bytes, found, quote) {
                continue;
            }
            let mut reader = Reader::new(bytes, at, prose, quote != b'`');
            reader.owned = owned;
            let found = reader.after_quote(quote);
            effort.spend(reader.steps(at));
            if found.is_some() {
                return found;
            }
        }
    }
    None
}

/// How far is looked at what stands around an operator.
const NEAR_BYTES: usize = 128;

struct Reader<'v> {
    tokens: Tokens<'v>,
    /// Where a token was read ahead, and what it is: what is seen is mostly taken then.
    ahead: Cell<Option<(usize, Token)>>,
    /// Escapes and quotes that were read in strings.
    signs: Cell<usize>,
    left: usize,
    /// How far was read before reading began anew.
    furthest: usize,
    prose: bool,
    quoted: bool,
    /// The quote closes what the value itself opened.
    owned: bool,
    /// A name was compared with something, as a filter does.
    filters: bool,
}

/// What an operand turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operand {
    Number,
    Text {
        closed: bool,
    },
    Variable,
    Literal,
    Name,
    Call,
    Select,
    /// In parentheses.
    Group,
}

impl<'v> Reader<'v> {
    const fn new(bytes: &'v [u8], at: usize, prose: bool, quoted: bool) -> Self {
        Self {
            tokens: Tokens::new(bytes, at),
            ahead: Cell::new(None),
            signs: Cell::new(0),
            left: TOKENS_MAX,
            furthest: 0,
            prose,
            quoted,
            owned: false,
            filters: false,
        }
    }

    /// What it took to read from a position on, in steps of the value's effort.
    fn steps(&self, begin: usize) -> usize {
        let tokens = TOKENS_MAX - self.left + 1;
        // What was read ahead was read, too.
        let end = self.ahead.get().map_or(0, |(_, token)| token.end);
        let end = end.max(self.tokens.at).max(self.furthest);
        tokens * TOKEN_STEPS + self.signs.get() * SIGN_STEPS + end.saturating_sub(begin) / BYTES_PER_STEP
    }

    fn next(&mut self) -> Token {
        let token = self.peek();
        self.tokens.at = token.end;
        self.left = self.left.saturating_sub(1);
        token
    }

    /// The next token; one that no database takes, where enough were read.
    fn peek(&self) -> Token {
        let token = match self.ahead.get() {
            Some((at, token)) if at == self.tokens.at => token,
            _ => {
                let mut ahead = self.tokens;
                let token = ahead.next();
                self.signs.set(self.signs.get() + ahead.signs - self.tokens.signs);
                self.ahead.set(Some((self.tokens.at, token)));
                token
            }
        };
        if self.left == 0 {
            return Token {
                kind: Kind::Other,
                ..token
            };
        }
        token
    }

    fn is(&self, token: Token, word: &str) -> bool {
        self.tokens.text(token).eq_ignore_ascii_case(word.as_bytes())
    }

    /// A finding, unless this is prose in which the statement does not run to the end.
    fn found(&mut self, rule: &'static str) -> Option<&'static str> {
        if !self.prose {
            return Some(rule);
        }
        loop {
            let token = self.next();
            match token.kind {
                Kind::End | Kind::Text { closed: false } => return Some(rule),
                // Behind `--` the query's rest is cut off, and any prose with it.
                Kind::Cut if self.quoted && low_is(self.tokens.bytes, token.start, b'-') => return Some(rule),
                Kind::Cut => return (from(self.tokens.bytes, token.end).trim_ascii().is_empty()).then_some(rule),
                Kind::Other => return None,
                Kind::Word(Word::Name) if self.peek().kind == Kind::Word(Word::Name) => return None,
                _ => {}
            }
        }
    }

    fn as_it_stands(&mut self) -> Option<&'static str> {
        let mut first = self.next();
        while matches!(first.kind, Kind::Close | Kind::Comma) || matches!(first.kind, Kind::Semicolon) {
            if first.kind == Kind::Semicolon {
                return self.statement();
            }
            first = self.next();
        }
        match first.kind {
            Kind::Word(Word::Select) => return self.select(false),
            Kind::Word(Word::Statement) => return self.changes(first, false),
            Kind::Word(Word::Union) => return self.union(),
            Kind::Word(Word::Logic) => return self.logic(None),
            Kind::Logic => {
                return if self.peek().kind == Kind::End {
                    None
                } else {
                    self.logic(None)
                };
            }
            Kind::Word(Word::Clause) => return self.clause(first),
            Kind::Word(Word::Where) => first = self.next(),
            _ => {}
        }
        match self.operand(first)? {
            Operand::Select => self.found("sql.subquery"),
            operand => self.continued(operand, first),
        }
    }

    fn after_quote(&mut self, quote: u8) -> Option<&'static str> {
        let start = self.tokens.at;
        // A doubled quote stands for itself.
        if self.tokens.bytes.get(start) == Some(&quote) && start >= 2 {
            self.tokens.at += 1;
        }
        let mut closes = false;
        while self.peek().kind == Kind::Close {
            self.next();
            closes = true;
        }
        let token = self.peek();
        match token.kind {
            // The end of what begins a page of Markdown's, between lines of three dashes.
            Kind::Cut if self.is_front_matter(token.start) => None,
            Kind::Cut => {
                let rest = from(self.tokens.bytes, token.start + 1).trim_ascii();
                let short = rest.len() <= 3 && !self.prose && !rest.iter().any(u8::is_ascii_alphanumeric);
                if short || closes && !self.prose {
                    return Some("sql.comment");
                }
                self.cut_expression()
            }
            Kind::End => (closes && !self.prose && start > 3 && quote != b'`' && self.opens_nothing(start))
                .then_some("sql.close"),
            _ => {
                let begin = self.tokens.at;
                let found = self.continued(Operand::Text { closed: true }, token);
                if found.is_some() {
                    return found;
                }
                self.furthest = self.tokens.at;
                self.tokens.at = begin;
                self.cut_expression()
            }
        }
    }

    /// Whether the value begins with a line of three dashes, and from a position on is another.
    fn is_front_matter(&self, at: usize) -> bool {
        let bytes = self.tokens.bytes;
        let line = |before: Option<usize>| before.is_some_and(|before| low_is(bytes, before, b'\n'));
        bytes.trim_ascii_start().starts_with(b"---\n")
            && line(at.checked_sub(1))
            && from(bytes, at).trim_ascii_end() == b"---"
    }

    /// Whether no parenthesis is open before a position, so that one that closes there is the query's.
    fn opens_nothing(&self, at: usize) -> bool {
        !self.tokens.bytes.iter().take(at).any(|b| *b == b'(')
    }

    /// What comes after a whole operand.
    fn continued(&mut self, mut operand: Operand, first: Token) -> Option<&'static str> {
        loop {
            let token = self.next();
            match token.kind {
                Kind::Close => {}
                // A method's call: `"a,b".split(",")`. No database joins so.
                Kind::Arithmetic if self.quoted && self.is(token, ".") => return None,
                Kind::Cut => {
                    let rest = from(self.tokens.bytes, token.start + 1).trim_ascii();
                    // `admin'-- 2`: a digit keeps the blank that the comment needs.
                    let digit = self.quoted && matches!(rest, [b'-', b' ', b'0'..=b'9']);
                    let bare = digit || rest.len() <= 3 && !rest.iter().any(u8::is_ascii_alphanumeric);
                    let known = matches!(
                        operand,
                        Operand::Group | Operand::Call | Operand::Select | Operand::Number
                    ) || self.quoted;
                    return (bare && known && !self.prose && low_is(self.tokens.bytes, token.start, b'-'))
                        .then_some("sql.comment");
                }
                Kind::Word(Word::Union) => return self.union(),
                Kind::Word(Word::Logic) | Kind::Logic => return self.logic(Some((operand, first, token))),
                Kind::Bits if self.quoted => return self.logic(Some((operand, first, token))),
                Kind::Semicolon => return self.statement(),
                Kind::Word(Word::Where) => return self.condition(),
                // An alias, between what is selected from and its condition.
                Kind::Word(Word::Part) if self.quoted && self.is(token, "as") => {
                    if self.next().kind != Kind::Word(Word::Name) || self.peek().kind != Kind::Word(Word::Where) {
                        return None;
                    }
                }
                // `label:"a b" is:open`
                Kind::Word(Word::Compare) if self.is(token, "is") && self.is_search(token) => return None,
                // SQLite and PostgreSQL write these behind what they ask about.
                Kind::Word(Word::Compare) if self.quoted && (self.is(token, "isnull") || self.is(token, "notnull")) => {
                }
                Kind::Word(Word::Compare | Word::Not) | Kind::Compare | Kind::Not if self.quoted => {
                    return self.compared(token);
                }
                Kind::Word(Word::Compare) if self.is(token, "in") || self.is(token, "is") => return None,
                Kind::Word(Word::Statement) if self.quoted => return self.changes(token, false),
                Kind::Word(Word::Select) if self.quoted => return self.select(false),
                Kind::Arithmetic | Kind::Compare | Kind::Bits | Kind::Comma => {
                    self.filters |= token.kind == Kind::Compare && operand == Operand::Name;
                    let next = self.next();
                    // `<select>`, the element.
                    if self.is(token, "<") && next.kind == Kind::Word(Word::Select) && self.is(self.peek(), ">") {
                        return None;
                    }
                    // `'%env(X)%'` stands for a variable of the environment.
                    if self.is(token, "%") && self.is(next, "env") {
                        return None;
                    }
                    let joined = self.operand(next)?;
                    if self.quoted && token.kind != Kind::Comma {
                        match joined {
                            Operand::Text { closed: false } if !self.prose && self.makes_zero(token, next) => {
                                return Some("sql.expression");
                            }
                            // `'R: '+format(x)` is a program's.
                            Operand::Call if self.owned => {}
                            Operand::Call | Operand::Select => return self.found("sql.expression"),
                            Operand::Group if matches!(self.peek().kind, Kind::End | Kind::Cut) && !self.prose => {
                                return Some("sql.expression");
                            }
                            _ => {}
                        }
                    }
                    if joined == Operand::Select {
                        return self.found("sql.subquery");
                    }
                    operand = joined;
                }
                _ => return self.tail(token),
            }
        }
    }

    /// From a word that a whole condition is behind.
    fn tail(&mut self, word: Token) -> Option<&'static str> {
        if word.kind == Kind::Word(Word::Clause) {
            if let Some(rule) = self.clause(word) {
                return Some(rule);
            }
            // What the clause read is asked again.
            self.tokens.at = word.end;
        }
        self.cut_tail(word)
    }

    /// Whether a word is the name of another qualifier of a search, behind a text in double quotes that one has: `label:"a b" is:`.
    fn is_search(&self, word: Token) -> bool {
        let bytes = self.tokens.bytes;
        let near = between(bytes, word.start.saturating_sub(NEAR_BYTES), word.start);
        let text = near.trim_ascii_end().strip_suffix(b"\"");
        let open = text.and_then(|text| text.iter().rposition(|b| matches!(b, b'"' | b'\'')));
        low_is(bytes, word.end, b':') && open.is_some_and(|open| between(near, 0, open + 1).ends_with(b":\""))
    }

    /// An operand from its first token; `None` if there is none.
    fn operand(&mut self, first: Token) -> Option<Operand> {
        let mut token = first;
        let mut depth = 0_usize;
        loop {
            match token.kind {
                Kind::Arithmetic if !self.is(token, "*") && !self.is(token, "/") && !self.is(token, "%") => {}
                Kind::Not | Kind::Word(Word::Not) => {}
                Kind::Word(Word::Part)
                    if self.is(token, "binary") || self.is(token, "distinct") || self.is(token, "all") => {}
                Kind::Open => depth += 1,
                _ => break,
            }
            token = self.next();
        }
        let operand = match token.kind {
            Kind::Number => Operand::Number,
            Kind::Text { closed } => Operand::Text { closed },
            Kind::Variable => Operand::Variable,
            Kind::Word(Word::Literal) => Operand::Literal,
            Kind::Word(Word::Select) => return self.select(depth > 0).map(|_| Operand::Select),
            Kind::Word(Word::Part) if self.is(token, "case") || self.is(token, "exists") => Operand::Call,
            Kind::Word(Word::Name | Word::Part | Word::Compare | Word::Statement | Word::Clause) => {
                let mut call = false;
                // `a.b.c`, then perhaps a call.
                loop {
                    let ahead = self.peek();
                    if ahead.kind == Kind::Arithmetic && self.is(ahead, ".") {
                        self.next();
                        self.next();
                    } else if ahead.kind == Kind::Open {
                        // `conditions (PDF)`: a remark, outside quotes, where a function would be known.
                        let remark = ahead.start > token.end && !self.quoted && !FUNCTIONS.has(self.tokens.text(token));
                        call = !remark;
                        if self.arguments() && call {
                            return Some(Operand::Select);
                        }
                        break;
                    } else {
                        break;
                    }
                }
                if call {
                    Operand::Call
                } else if token.kind == Kind::Word(Word::Name) {
                    Operand::Name
                } else {
                    return None;
                }
            }
            _ => return None,
        };
        // PostgreSQL's casts.
        while self.peek().kind == Kind::Arithmetic && self.is(self.peek(), "::") && self.left > 0 {
            self.next();
            self.next();
        }
        if depth == 0 {
            return Some(operand);
        }
        // To the end of the group, as far as it is one.
        let mut open = depth;
        let mut ahead = self.tokens;
        while open > 0 && self.left > 0 {
            self.left -= 1;
            match ahead.next().kind {
                Kind::Open => open += 1,
                Kind::Close => open -= 1,
                Kind::End | Kind::Cut | Kind::Other | Kind::Semicolon => break,
                _ => {}
            }
            self.signs.set(self.signs.get() + ahead.signs - self.tokens.signs);
            self.tokens = ahead;
        }
        Some(if operand == Operand::Call {
            operand
        } else {
            Operand::Group
        })
    }

    /// Skips a call's arguments; whether a query in parentheses is among them.
    fn arguments(&mut self) -> bool {
        let mut open = 0_usize;
        let (mut selects, mut queries) = (false, false);
        let mut before = Kind::End;
        while self.left > 0 {
            let kind = self.next().kind;
            match kind {
                Kind::Open => open += 1,
                Kind::Close => {
                    open = open.saturating_sub(1);
                    if open == 0 {
                        break;
                    }
                }
                Kind::Word(Word::Select) => selects |= before == Kind::Open && open > 1,
                Kind::Word(Word::From) => queries |= selects,
                Kind::End | Kind::Cut => break,
                _ => {}
            }
            before = kind;
        }
        queries
    }

    fn union(&mut self) -> Option<&'static str> {
        loop {
            let token = self.next();
            match token.kind {
                Kind::Open | Kind::Word(Word::Part) => {}
                Kind::Word(Word::Select) => return self.found("sql.union"),
                Kind::Word(Word::Name) if self.is(token, "values") || self.is(token, "table") => {
                    return self.found("sql.union");
                }
                _ => return None,
            }
        }
    }
}

fn low_is(bytes: &[u8], at: usize, byte: u8) -> bool {
    bytes.get(at) == Some(&byte)
}
