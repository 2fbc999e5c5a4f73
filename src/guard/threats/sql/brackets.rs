//! A bracket of the query's that a value closes, and goes on behind: `1) or (1=1`.

use super::fragment::{FRAGMENT_BYTES_MAX, NONE, Piece};
use super::tokens::{Kind, Token, Word};
use crate::guard::threats::bytes::{from, is_blank, low};

/// Tokens that are read: brackets and conditions may be several.
const TOKENS_MAX: usize = 32;

/// Whether a text closes a bracket of the query's behind what stands for a number, goes on behind it, and leaves another open
/// for the query to close, or a comment cuts the rest off: `1) or (1=1`, `0)|(1`, `0)or 1--`. A string of a JSON document
/// (`json`) may be a part of a sum (`5) - (3`), as an editor sends it.
#[inline(never)]
pub fn reopens(bytes: &[u8], json: bool) -> bool {
    let text = bytes.trim_ascii();
    text.len() <= FRAGMENT_BYTES_MAX && text.contains(&b')') && Piece::new(text, &mut [NONE; TOKENS_MAX]).reopens(json)
}

impl Piece<'_> {
    fn reopens(&self, json: bool) -> bool {
        let (mut depth, mut closed) = (0_i32, None);
        let (mut cut, mut soon, mut says) = (false, false, false);
        for (at, token) in self.list.iter().enumerate() {
            match token.kind {
                Kind::Open => depth += 1,
                Kind::Close if depth > 0 => depth -= 1,
                Kind::Close if closed.is_none() => closed = Some(at),
                // `1) or later -- see below`: behind a name, a dash stands what people say.
                Kind::Cut => {
                    let rest = from(self.text, token.start + 1);
                    let mut behind = self.list.iter().take(at).skip(closed.unwrap_or(0));
                    let unnamed = !behind.any(|token| token.kind == Kind::Word(Word::Name));
                    let sign = low(self.text, token.start);
                    let number = sign == b'#' && rest.iter().any(u8::is_ascii_digit);
                    soon = rest.len() <= 3 && !number && !self.counts(at);
                    let spoken = sign != b'/' && self.is_spaced(token.start);
                    says = spoken && rest.split(|b| !b.is_ascii_alphabetic()).any(|word| word.len() > 2);
                    let bare = soon || rest.len() <= 3 && !rest.iter().any(u8::is_ascii_alphanumeric);
                    cut = bare || sign == b'/' || unnamed || sign == b'-' && !self.is_spaced(token.start);
                }
                _ => {}
            }
        }
        let closed = closed.filter(|_| self.complete && (depth > 0 || cut));
        // The query may have several.
        let Some(closed) =
            closed.and_then(|first| (first..self.list.len()).find(|at| self.kind(at + 1) != Kind::Close))
        else {
            return false;
        };
        let value = |kind: Kind| {
            matches!(
                kind,
                Kind::Number | Kind::Text { closed: true } | Kind::Word(Word::Literal)
            )
        };
        let operand = |kind: Kind| value(kind) || matches!(kind, Kind::Word(Word::Name) | Kind::Variable);
        let pairs = self.list.iter().zip(self.list.iter().skip(1));
        // A half of a program's line (`).reply(200, `) or of a text has what no condition has.
        let odd = pairs.clone().any(|(one, two)| {
            operand(one.kind) && operand(two.kind) || one.kind == Kind::Compare && two.kind == Kind::Compare
        }) || self.list.iter().any(|token| {
            matches!(token.kind, Kind::Semicolon | Kind::Other | Kind::Text { closed: false })
                || matches!(self.part(token), b"===" | b"!==")
        });
        // In front stands a list, perhaps.
        let listed = self.list.iter().skip(closed).any(|token| token.kind == Kind::Comma);
        // `'/form')->withInput(`
        let method = self.is(closed + 1, "->") && self.kind(closed + 3) == Kind::Open;
        if odd || listed || method || self.is(closed + 1, ".") {
            return false;
        }
        let mut behind = (closed + 2..self.list.len()).map(|at| self.kind(at));
        // Behind a name's half (`i < 10) && (j > 5`) only two values.
        let strict = self.kind(0) == Kind::Word(Word::Name)
            && self
                .list
                .iter()
                .take(closed)
                .any(|token| matches!(token.kind, Kind::Compare | Kind::Logic));
        let compared = || {
            (closed + 2..self.list.len()).any(|at| {
                self.kind(at) == Kind::Compare && value(self.kind(at + 1)) && (!strict || value(self.kind(at - 1)))
            })
        };
        let signs = || !self.is_spaced(self.text.len());
        let number = matches!(
            self.kind(0),
            Kind::Number | Kind::Close | Kind::Arithmetic | Kind::Open | Kind::Word(Word::Literal)
        );
        let named = || self.list.iter().any(|token| token.kind == Kind::Word(Word::Name));
        // A name or variable of the query's, with no blank anywhere.
        let close = matches!(
            self.kind(0),
            Kind::Word(Word::Name) | Kind::Variable | Kind::Text { closed: true }
        ) && signs();
        match self.kind(closed + 1) {
            // `2019) and (2020`
            Kind::Word(Word::Logic) if self.is(closed + 1, "and") && self.are_years() => false,
            // `1) order by id desc -- x`
            Kind::Word(Word::Clause) => number && soon && (self.is(closed + 2, "by") || value(self.kind(closed + 2))),
            // `1) or id -- x`
            Kind::Word(Word::Logic) | Kind::Logic if number && soon && self.kind(closed + 3) == Kind::Cut => true,
            Kind::Word(Word::Logic | Word::Compare | Word::Not) => {
                compared() || number && signs() || (number && !named() || close) && behind.any(value)
            }
            Kind::Arithmetic
                if json && depth > 0 && self.list.len() == 5 && self.is_spaced(self.text.len()) && !named() =>
            {
                false
            }
            // `2) + 2 = 4 -- easy`
            Kind::Arithmetic if says => false,
            Kind::Logic | Kind::Compare | Kind::Arithmetic | Kind::Bits => {
                let first = self.kind(0) == Kind::Close;
                // `x+1)/(x-1` is a sum's.
                let close = close && self.kind(closed + 1) != Kind::Arithmetic;
                compared() || number && signs() && !first || (number || close) && behind.any(value)
            }
            _ => false,
        }
    }

    /// Whether the first and the last token are two years.
    fn are_years(&self) -> bool {
        let year = |token: Option<&Token>| {
            token.map(|token| self.part(token)).filter(|text| {
                let century = [&b"18"[..], b"19", b"20"].iter().any(|begin| text.starts_with(begin));
                century && text.len() == 4 && text.iter().all(u8::is_ascii_digit)
            })
        };
        let (first, last) = (year(self.list.first()), year(self.list.last()));
        self.list.len() == 5 && first.is_some() && last.is_some() && first != last && self.is_spaced(self.text.len())
    }

    /// Whether any byte in front of a position is blank.
    fn is_spaced(&self, end: usize) -> bool {
        self.text.iter().take(end).any(|b| is_blank(*b))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bracket_that_is_closed_and_another_left_open_is_a_querys() {
        for text in [
            "1) or (1=1",
            ") AND (1=1",
            "0)|(1",
            "0)or(1",
            "0)or 1#",
            "1,2)or(rowid",
            "0) or 1-- ",
            "13, 14, 154) OR (1=1",
            "1) and (1",
            "1111) and (1111",
            "1)-1=0-- foo",
            "1) + 1/*foo",
            "1) and not (0",
            "1) and ('a'",
            "1) order by id desc -- x",
            "1) and 1=1 and ('a'='a'",
            "1)) or ((1=1",
            "1))) or (((1=1",
            "1)) || ((1",
            "1) ) or ( (1=1",
            "1)) or id -- x",
            "1) or id -- x",
            "x)) or ((1=1",
            "0) = 0 -- x",
            "1)>0 -- x",
            "1) is not null -- x",
            "1) in (1) -- x",
            "1) like 1 -- x",
            "1) | 1 -- x",
            "1) > 5 -- large",
            "id) or (id>0",
            "id) or (id=1",
            "id) or id>0 #",
            "id+1) or (id>0",
            "a.id) or (a.id>0",
            "1) or (1=1 and 2=2 and 3=3",
            "1)))))) or ((((((1=1",
        ] {
            assert!(reopens(text.as_bytes(), false), "{text}");
        }
        for text in [
            "a) or (b",
            "1) or (b=c",
            "(1) or (1=1)",
            "1) and (see below",
            "f(x) + g(x",
            "1) one -- two",
            ").reply(200, ",
            ") === 0 && get(",
            "'/form')->withInput(",
            "a)|(b",
            ":) > 2 (",
            "i < 10) && (j > 5",
            "price < 100) AND (rating > 4",
            "x+1)/(x-1",
            "a) <span x=\"1\">(b",
            "2019) and (2020",
            "2) + 2 = 4 -- easy",
            "12) - 3 -- remaining",
            "3) or die #2",
            "4) order #",
            "1) or later -- see below",
            "5) or more --",
        ] {
            assert!(!reopens(text.as_bytes(), false), "{text}");
        }
        for text in ["5) - (3", "1) / (2", "2019) - (2020"] {
            assert!(
                reopens(text.as_bytes(), false) && !reopens(text.as_bytes(), true),
                "{text}"
            );
        }
    }
}
