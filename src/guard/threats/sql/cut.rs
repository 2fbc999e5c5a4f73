//! What asks something behind the query's string, whatever it comes to, and then cuts the query's rest off: `'=0%2-- ` is true of
//! most names, and no password is asked for. The rules that know what is asked are in `conditions`.

use super::tokens::{Kind, Token, Word};
use super::{Reader, low_is};
use crate::guard::threats::bytes::{find_byte, from, is_blank, is_word, low};

/// Tokens that such an expression is told by.
const EXPRESSION_TOKENS_MAX: usize = 24;

/// What was read of an expression.
#[derive(Default)]
struct Asked {
    /// The next is to be an operand; the query's string is one.
    operand: bool,
    /// `or`, or what makes the query's own rest a part of it.
    logic: bool,
    /// An operator that is no sign of paths and of names in more than one word: `"/search/*`, `DRESSES' -SHOES --KIDS`.
    asks: bool,
    /// A sign compares, or a number, a value or a variable is asked for: what begins a phrase in quotes (`"In Paris."`) has none.
    exact: bool,
    /// Something is compared, or another condition joined: `12" * 10 #` are inches.
    compares: bool,
    /// The last operator is one that no phrase ends with.
    joins: bool,
}

impl Reader<'_> {
    /// From behind the query's string: whether operators and operands follow in turns, and then a comment, or behind `or` the
    /// query's next quote.
    pub(super) fn cut_expression(&mut self) -> Option<&'static str> {
        if !self.quoted || self.owned || self.prose {
            return None;
        }
        let mut asked = Asked::default();
        let quote = self.tokens.at.saturating_sub(1);
        let measured = quote
            .checked_sub(1)
            .is_some_and(|at| low(self.tokens.bytes, at).is_ascii_digit());
        for index in 0..EXPRESSION_TOKENS_MAX {
            let token = self.next();
            let operand = asked.operand;
            asked.operand = match token.kind {
                // To MySQL it is a comment only in front of a blank, and two signs else.
                Kind::Cut if (operand || !asked.asks) && self.is_signs(token) => {
                    self.tokens.at = token.start + 2;
                    true
                }
                // MySQL and others go on in the next line.
                Kind::Cut if operand && asked.asks && !low_is(self.tokens.bytes, token.start, b'/') => {
                    self.tokens.at = find_byte(self.tokens.bytes, token.start, b'\n')?;
                    true
                }
                Kind::Cut if measured && !asked.compares => return None,
                Kind::Cut => {
                    let whole = asked.asks && asked.exact && self.cuts(token)
                        || (asked.exact || index <= 2) && self.ends_bare(token);
                    return (index > 0 && !operand && whole).then_some("sql.comparison");
                }
                Kind::Text { closed: false } => {
                    let whole = operand && asked.logic && asked.exact && asked.joins;
                    return (index > 2 && whole).then_some("sql.boolean");
                }
                Kind::Word(Word::Compare) if self.is(token, "isnull") || self.is(token, "notnull") => {
                    (asked.asks, asked.exact) = (true, true);
                    operand
                }
                Kind::Logic | Kind::Bits | Kind::Compare | Kind::Word(Word::Logic) if operand => return None,
                // `<b title="">price`, `"></b>`: the end of a tag.
                Kind::Compare if index == 0 && (self.ends_tag(token) || self.is_tag_end(token)) => return None,
                Kind::Logic
                | Kind::Compare
                | Kind::Arithmetic
                | Kind::Bits
                | Kind::Not
                | Kind::Word(Word::Logic | Word::Compare | Word::Not) => {
                    self.operator(token, &mut asked);
                    true
                }
                // `is distinct from 1`
                Kind::Word(Word::Part | Word::From)
                    if operand && asked.asks && (self.is(token, "distinct") || self.is(token, "from")) =>
                {
                    true
                }
                Kind::Number | Kind::Variable | Kind::Word(Word::Literal) if operand => {
                    asked.exact = true;
                    false
                }
                Kind::Text { closed: true } | Kind::Word(Word::Name) if operand => false,
                Kind::Open if index > 0 => operand,
                Kind::Close => {
                    (asked.asks, asked.exact) = (true, true);
                    operand
                }
                _ => return None,
            };
        }
        None
    }

    fn operator(&self, token: Token, asked: &mut Asked) {
        let text = self.tokens.text(token);
        let word = matches!(token.kind, Kind::Word(_));
        // `'<1 between'`: the query's own `and` goes on. `'rlike@a:='` is true, too.
        asked.logic |= matches!(token.kind, Kind::Logic | Kind::Word(Word::Logic))
            || [":=", "between", "rlike", "regexp"]
                .iter()
                .any(|word| self.is(token, word));
        asked.exact |= token.kind == Kind::Compare || asked.asks && self.is(token, "between");
        asked.asks |= !(token.kind == Kind::Arithmetic && matches!(text, b"/" | b"-" | b"+" | b"."));
        asked.compares |= word || matches!(token.kind, Kind::Compare | Kind::Logic | Kind::Bits);
        asked.joins = word || !matches!(text, b"." | b"/" | b"%" | b"!" | b"::");
    }

    /// Whether a `>` stands between a double quote and what is no number, as behind the last attribute of a tag.
    fn is_tag_end(&self, token: Token) -> bool {
        let bytes = self.tokens.bytes;
        let front = token.start.checked_sub(1).map_or(0, |at| low(bytes, at));
        let next = low(bytes, token.start + 1);
        low_is(bytes, token.start, b'>') && (front == b'"' && !next.is_ascii_digit() || next == b'<')
    }

    /// Whether two hyphens have something right behind them.
    fn is_signs(&self, token: Token) -> bool {
        let bytes = self.tokens.bytes;
        let next = low(bytes, token.start + 2);
        low_is(bytes, token.start, b'-') && next != 0 && next != b'-' && !is_blank(next)
    }

    /// Whether a comment is one, and no option (`--verbose`), number (`#12`) or place in a page (`/a#b`).
    pub(super) fn cuts(&self, token: Token) -> bool {
        match low(self.tokens.bytes, token.start) {
            b'#' => self.ends_bare(token),
            b'-' => !is_word(low(self.tokens.bytes, token.start + 2)),
            _ => true,
        }
    }

    /// Whether hardly anything is behind a comment's beginning, and no quote, which would end what is cited.
    pub(super) fn ends_bare(&self, token: Token) -> bool {
        let rest = from(self.tokens.bytes, token.start + 1).trim_ascii();
        let says = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'\'' | b'"' | b'`');
        rest.len() <= 3 && !rest.iter().any(says) && !low_is(self.tokens.bytes, token.start, b'/')
    }
}
