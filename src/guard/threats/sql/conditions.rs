//! What comes after logic, `where` or a comparison: whether it would make a condition of the query's, and not a phrase.

use super::names::FUNCTIONS;
use super::tokens::{Kind, Token, Word};
use super::{Operand, Reader, low_is};
use crate::guard::threats::bytes::{between, from, is_word};

impl Reader<'_> {
    /// After `or`, `and`, `||`, `&&`.
    pub(super) fn logic(&mut self, before: Option<(Operand, Token, Token)>) -> Option<&'static str> {
        let first = self.next();
        if first.kind == Kind::Word(Word::Select) {
            return self.found("sql.subquery");
        }
        let operand = self.operand(first)?;
        let after = self.peek();
        // `a == "b" || c == 10` is a filter that APIs take; what goes on behind it may be more.
        if (self.owned || self.filters) && operand == Operand::Name && after.kind == Kind::Compare {
            self.next();
            let next = self.next();
            return match self.operand(next)? {
                Operand::Select => self.found("sql.subquery"),
                Operand::Name if self.tokens.text(first).eq_ignore_ascii_case(self.tokens.text(next)) => {
                    self.found("sql.boolean")
                }
                right => self.continued(right, next),
            };
        }
        let ends = matches!(after.kind, Kind::End | Kind::Cut);
        let strong = match (operand, after.kind) {
            (Operand::Select, _) => true,
            // `And [more](/x)`: a link of Markdown's, whose target is no argument.
            (Operand::Call, _) if !self.quoted && self.is_link(first) => false,
            (Operand::Call, _) => {
                // `read() and write()`: of functions that no database has, it is said what they do.
                let said = before.is_some_and(|(left, ..)| matches!(left, Operand::Name | Operand::Call));
                let said = said && !FUNCTIONS.has(self.tokens.text(first));
                self.quoted
                    || ends && !said
                    || matches!(
                        after.kind,
                        Kind::Compare | Kind::Close | Kind::Word(Word::Compare | Word::Logic)
                    )
            }
            // `"a" and "b"` is a search for two phrases.
            (Operand::Text { .. }, _) if self.phrases() => matches!(after.kind, Kind::Compare),
            (Operand::Name, _) if before.is_some_and(|(_, _, op)| op.kind == Kind::Bits) => after.kind == Kind::Cut,
            (Operand::Text { closed: false }, _) => self.quoted,
            (_, Kind::Compare) => true,
            (_, Kind::Word(Word::Compare)) => {
                self.next();
                let next = self.next();
                matches!(
                    next.kind,
                    Kind::Open
                        | Kind::Text { .. }
                        | Kind::Number
                        | Kind::Variable
                        | Kind::Word(Word::Literal | Word::Not)
                ) || self.quoted && next.kind != Kind::End
            }
            (_, Kind::Logic | Kind::Word(Word::Logic)) if self.quoted => true,
            (Operand::Number | Operand::Literal | Operand::Group | Operand::Variable | Operand::Text { .. }, _)
                if ends =>
            {
                // `1 or 2` is said in prose; `1 or 1` and `' or 1` are not.
                match before {
                    _ if self.quoted || after.kind == Kind::Cut => true,
                    Some((Operand::Number, left, _)) => {
                        let same = self.tokens.text(left) == self.tokens.text(first);
                        left.start == 0 && (operand == Operand::Literal || same && first.kind == Kind::Number)
                    }
                    Some((Operand::Text { .. }, ..)) => {
                        operand != Operand::Number && matches!(operand, Operand::Literal | Operand::Variable)
                    }
                    Some((Operand::Group, ..)) => true,
                    // ` or true`, behind what stands in the query.
                    None => operand == Operand::Literal,
                    _ => false,
                }
            }
            // `x' or id limit 1 -- x`
            (Operand::Name, Kind::Word(Word::Clause | Word::Name)) if self.quoted && !self.prose => {
                let word = self.next();
                return self.cut_tail(word);
            }
            (Operand::Name, _) => {
                self.quoted
                    && ends
                    && !self.prose
                    && before.is_some_and(|(_, _, op)| op.kind != Kind::Bits || after.kind == Kind::Cut)
            }
            (_, Kind::Close | Kind::Arithmetic | Kind::Word(Word::Clause | Word::Union) | Kind::Semicolon) => {
                self.quoted
            }
            _ => false,
        };
        // `a = b and c = d` is a filter that APIs take: as it stands, what is compared must not be two names alone.
        if strong && !self.quoted && after.kind == Kind::Compare && operand == Operand::Name {
            self.next();
            let next = self.next();
            let right = self.operand(next)?;
            let literal = matches!(
                right,
                Operand::Number | Operand::Call | Operand::Select | Operand::Text { .. }
            );
            // A name is what it is.
            let same = self.tokens.text(first).eq_ignore_ascii_case(self.tokens.text(next))
                && matches!(self.peek().kind, Kind::End | Kind::Cut);
            let number = before.is_none_or(|(left, ..)| left == Operand::Number);
            if same && number && !self.prose {
                return Some("sql.boolean");
            }
            return (literal
                && before.is_none_or(|(left, ..)| left != Operand::Name && left != Operand::Literal)
                && !self.prose)
                .then_some("sql.boolean");
        }
        if strong && !self.quoted && before.is_none() && after.kind == Kind::Compare {
            return (!self.prose && operand != Operand::Name).then_some("sql.boolean");
        }
        if strong { self.found("sql.boolean") } else { None }
    }

    /// After `where` behind an operand: two numbers or texts that are compared, as nobody asks for.
    pub(super) fn condition(&mut self) -> Option<&'static str> {
        let literal = |operand| matches!(operand, Operand::Number | Operand::Text { .. });
        let first = self.next();
        let left = self.operand(first)?;
        if self.next().kind != Kind::Compare {
            return None;
        }
        let second = self.next();
        let right = self.operand(second)?;
        if literal(left) && literal(right) {
            self.found("sql.boolean")
        } else {
            None
        }
    }

    /// After the query's string and a comparison.
    pub(super) fn compared(&mut self, operator: Token) -> Option<&'static str> {
        let mut token = self.next();
        while matches!(
            token.kind,
            Kind::Word(Word::Not | Word::Compare | Word::Part) | Kind::Compare | Kind::Not | Kind::Arithmetic
        ) {
            token = self.next();
        }
        let symbol = matches!(operator.kind, Kind::Compare | Kind::Not);
        // An arrow between two words in quotes.
        if (self.is(operator, "->") || self.is(operator, "=>")) && low_is(self.tokens.bytes, operator.end, b' ') {
            return None;
        }
        // `"like" stamp` quotes a word.
        if !symbol && operator.start > 0 && matches!(self.tokens.bytes.get(operator.start - 1), Some(b'"')) {
            return None;
        }
        match token.kind {
            Kind::Text { .. } => {
                let lone = matches!(
                    self.peek().kind,
                    Kind::End | Kind::Cut | Kind::Word(Word::Logic) | Kind::Logic | Kind::Close
                );
                (lone && !(self.prose && symbol)).then_some("sql.comparison")
            }
            // `last("30m") > 1000`
            Kind::Number if self.owned && symbol && self.ends_call(operator) => self.continued(Operand::Number, token),
            Kind::Number | Kind::Open | Kind::Variable | Kind::Word(Word::Literal) => {
                let ahead = self.peek().kind;
                let lone = matches!(ahead, Kind::End | Kind::Cut | Kind::Word(Word::Logic) | Kind::Logic);
                // `<b title="x">(remarks …`: the end of a tag. What stands behind the parenthesis may go on nevertheless.
                if token.kind == Kind::Open
                    && matches!(ahead, Kind::Word(Word::Name) | Kind::Number | Kind::Compare)
                    && self.ends_tag(operator)
                {
                    let group = self.operand(token)?;
                    return self.continued(group, token);
                }
                ((lone || token.kind == Kind::Open) && !self.prose).then_some("sql.comparison")
            }
            Kind::Word(Word::Name) => {
                let cut = self.peek();
                let cuts = cut.kind == Kind::Cut && !self.prose && !self.ends_tag(operator);
                cuts.then_some("sql.comparison")
            }
            _ => None,
        }
    }

    /// Whether a parenthesis closes in front of an operator.
    fn ends_call(&self, operator: Token) -> bool {
        between(self.tokens.bytes, 0, operator.start)
            .trim_ascii_end()
            .ends_with(b")")
    }

    /// Whether a `>` right behind a quote closes an element's tag.
    pub(super) fn ends_tag(&self, operator: Token) -> bool {
        /// Where the tag's beginning is looked for.
        const TAG_BYTES_MAX: usize = 256;
        let bytes = self.tokens.bytes;
        let front = between(bytes, operator.start.saturating_sub(TAG_BYTES_MAX), operator.start);
        let open = front.iter().rposition(|b| *b == b'<');
        self.is(operator, ">")
            && matches!(front.last(), Some(b'"' | b'\''))
            && open.is_some_and(|open| {
                from(front, open + 1).first().is_some_and(u8::is_ascii_alphabetic) && !from(front, open).contains(&b'>')
            })
    }

    /// Whether a name in brackets has a link's target behind it.
    fn is_link(&self, name: Token) -> bool {
        let target = from(self.tokens.bytes, name.end);
        low_is(self.tokens.bytes, name.start, b'[')
            && [&b"(/"[..], b"(#", b"(http"]
                .iter()
                .any(|begin| target.starts_with(begin))
    }

    /// Whether the value is put together from phrases in double quotes: it begins or ends as one, and has blanks.
    fn phrases(&self) -> bool {
        let value = self.tokens.bytes.trim_ascii();
        let edge = |quote: Option<&u8>, next: Option<&u8>| quote == Some(&b'"') && next.is_some_and(|b| is_word(*b));
        let mut back = value.iter().rev();
        (edge(value.first(), value.get(1)) || edge(back.next(), back.next()))
            && value.contains(&b' ')
            && !value.contains(&b'=')
    }
}
