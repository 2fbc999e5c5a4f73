//! What leaves a query's text by a quote, asks something else, and goes back into a text by another: `' or 1=1 or '` for any
//! language that has quotes and operators (XPath, scripts of document databases, filters). What is asked is not looked into;
//! that operators and operands alternate, from the first quote to the last, is what no text has.

use super::bytes::{begins_with, between, find_byte, from, is_blank, is_word, low, word_len};

/// Longer values are texts.
const VALUE_BYTES_MAX: usize = 256;
/// In front of the first quote and behind the last one stands a word, as a value has it.
const OUTSIDE_BYTES_MAX: usize = 32;

/// Whether a value leaves a text and returns to one, asking for something by `or` between.
pub fn judge(bytes: &[u8]) -> bool {
    if bytes.len() > VALUE_BYTES_MAX {
        return false;
    }
    [b'\'', b'"'].into_iter().any(|quote| {
        let Some(first) = bytes.iter().take(OUTSIDE_BYTES_MAX).position(|b| *b == quote) else {
            return false;
        };
        let Some(last) = bytes.iter().rposition(|b| *b == quote) else {
            return false;
        };
        let plain = |b: &u8| is_word(*b) || *b >= 0x80 || matches!(b, b' ' | b'.' | b'@' | b'-' | b'%');
        let behind = from(bytes, last + 1);
        last > first
            && between(bytes, 0, first).iter().all(plain)
            && behind.len() <= OUTSIDE_BYTES_MAX
            && behind.iter().all(|b| plain(b) && *b != b' ')
            && Asked::new(between(bytes, first + 1, last)).reads_whole()
    })
}

/// What stands between, read from its beginning.
struct Asked<'v> {
    bytes: &'v [u8],
    at: usize,
    /// `or` was read where an operator may stand.
    logic: bool,
    /// Something was asked for that phrases in quotes don't have: a number, a call, a path, a comparison.
    asks: bool,
    /// A sign was read that compares.
    compares: bool,
    /// What was read last is an operator that no sentence ends with.
    joins: bool,
}

impl<'v> Asked<'v> {
    const fn new(bytes: &'v [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            logic: false,
            asks: false,
            compares: false,
            joins: false,
        }
    }

    /// Whether operators and operands alternate to the end, where an operator, a semicolon or a line's end stands.
    fn reads_whole(mut self) -> bool {
        let mut operand = false;
        let mut ended = false;
        loop {
            let blanks = from(self.bytes, self.at).iter().take_while(|b| is_blank(**b)).count();
            ended |= between(self.bytes, self.at, self.at + blanks).contains(&b'\n');
            self.at += blanks;
            if self.at >= self.bytes.len() {
                return (operand && self.joins || ended) && self.logic && self.asks;
            }
            let read = if operand { self.operand() } else { self.operator() };
            let Some(next) = read else { return false };
            (operand, ended) = (next, low(self.bytes, self.at.saturating_sub(1)) == b';');
        }
    }

    /// Reads what may stand behind an operand; whether an operand is to follow. `None` if nothing such stands there.
    fn operator(&mut self) -> Option<bool> {
        let rest = from(self.bytes, self.at);
        // `<*`, `+-1`: what is a sign of both kinds belongs to the operand, but for the first.
        let run = rest.iter().take(3).take_while(|b| b"=<>!|&^%".contains(b)).count();
        let signs = if run == 0 {
            usize::from(matches!(low(rest, 0), b'+' | b'-' | b'*'))
        } else {
            run
        };
        if signs > 0 {
            self.logic |= begins_with(rest, b"||");
            self.compares |= rest.iter().take(signs).any(|b| matches!(b, b'=' | b'<' | b'>'));
            self.joins = !matches!(low(rest, signs - 1), b'%' | b'!');
            self.at += signs;
            return Some(true);
        }
        match low(rest, 0) {
            b',' | b')' if self.at == 0 && low(rest, 1) != b' ' => None,
            b'/' | b'[' | b'(' | b'.' | b',' | b';' => {
                self.asks |= low(rest, 0) == b'(';
                self.joins = false;
                self.at += 1;
                Some(true)
            }
            b']' | b')' | b'}' => {
                self.at += 1;
                Some(false)
            }
            _ => {
                // libxml2 needs no blank in front of a call or a number: `1ortrue()`. `order` and `organic` are words.
                let word = word_len(rest, 0);
                let calls = matches!(low(rest, word), b'(' | b':');
                let is = |operator: &&str| {
                    let next = low(rest, operator.len());
                    begins_with(rest, operator.as_bytes()) && (!is_word(next) || next.is_ascii_digit() || calls)
                };
                let operator = ["or", "xor", "and", "div", "mod"].into_iter().find(is)?;
                self.joins = true;
                self.logic |= operator.ends_with("or");
                self.at += operator.len();
                Some(true)
            }
        }
    }

    /// Reads an operand or what stands in front of one; whether one is still to follow. `None` if there is none.
    fn operand(&mut self) -> Option<bool> {
        let rest = from(self.bytes, self.at);
        let first = low(rest, 0);
        self.asks |= self.compares;
        self.joins = false;
        match first {
            b'\'' | b'"' | b'`' => {
                self.at += find_byte(rest, 1, first)? + 1;
                Some(false)
            }
            b'/' if matches!(low(rest, 1), b'=' | b'<' | b'>' | b'!' | b'|') => {
                self.at += 1;
                Some(false)
            }
            b'-' | b'+' | b'!' | b'~' | b'@' | b'$' | b'/' | b'(' | b'[' | b'{' | b';' => {
                self.asks |= first == b'/';
                self.at += 1;
                Some(true)
            }
            b'*' | b'.' | b')' | b']' | b'}' => {
                self.asks |= first == b'*';
                self.at += if begins_with(rest, b"..") { 2 } else { 1 };
                Some(first == b'.' && low(rest, 1).is_ascii_digit())
            }
            b'0'..=b'9' => {
                self.asks = true;
                self.at += rest.iter().take_while(|b| b.is_ascii_digit() || **b == b'.').count();
                Some(false)
            }
            _ => {
                let len = rest
                    .iter()
                    .take_while(|b| is_word(**b) || **b == b':' || **b == b'$')
                    .count();
                // `self::*`
                let any = between(rest, 0, len).ends_with(b"::") && low(rest, len) == b'*';
                self.at += len + usize::from(any);
                let word = between(rest, 0, len);
                self.asks |= word == b"this" || word == b"true" || word.ends_with(b"::");
                let leads = ["new", "not", "return", "typeof", "void"];
                (len > 0).then(|| leads.iter().any(|lead| word.eq_ignore_ascii_case(lead.as_bytes())))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_returns_to_a_text_is_found() {
        for text in [
            "' or 1=1 or '",
            "x' or true() or '",
            "'or 1ornode()='",
            "'=\"\"ortrue()+'",
            "'||1\n'",
            "'||this;'",
            "' || this.n != '",
            "'+//*or 1or1+'",
            "\"-..or 1 or p+\"",
            "admin' or count(//*) > 1 or 'a' = '",
            "'||true||'x",
        ] {
            assert!(judge(text.as_bytes()), "{text}");
        }
        for text in [
            "'a' or 'b'",
            "rock 'n' roll",
            "'this' or 'that' or 'other'",
            "the 'or' of it",
            "John's or Mary's",
            "', '",
            "' + name + '",
            "'yes'||'no'",
            "say 'or else' now",
            "5' or 6'",
            "can't or won't",
            "\"a\" OR \"b\"",
            "title:\"x\" or body:\"y\"",
            "'or'",
            "\"Orange!\"",
            "\"Order;\"",
            "\"organic-\"",
            "\"Or what?\"",
            "\"or else!\"",
            "\"or not\"",
            "\"(yes or no).\"",
            "\"or all=\"",
        ] {
            assert!(!judge(text.as_bytes()), "{text}");
        }
    }
}
