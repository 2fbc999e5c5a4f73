//! Quotes that open or close what people write, not a query's string.

use super::tokens::{self, Token, Word};
use super::{NEAR_BYTES, Reader};
use crate::guard::threats::bytes::{between, find_byte, find_pair, from, is_blank, is_word, low, skip_blank, word_len};
use crate::guard::threats::profile::is_choice;

/// Whether a byte is there an even number of times.
pub(super) fn is_even(bytes: &[u8], byte: u8) -> bool {
    bytes.iter().fold(true, |even, b| even ^ (*b == byte))
}

/// Whether the quote at a position closes a word or two that stand in quotes, opened behind a blank or bracket.
pub(super) fn quoted_words(bytes: &[u8], close: usize, quote: u8) -> bool {
    /// Longer texts in quotes are no words.
    const WORDS_BYTES_MAX: usize = 64;
    let front = bytes
        .get(close.saturating_sub(WORDS_BYTES_MAX)..close)
        .unwrap_or_default();
    let Some(open) = front.iter().rposition(|b| *b == quote) else {
        return false;
    };
    let before = open.checked_sub(1).map_or(b' ', |at| low(front, at));
    let inside = from(front, open + 1);
    let next = low(bytes, skip_blank(bytes, close + 1));
    let graphic = |b: &u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\'' | b'`' | b'\\');
    (is_blank(before) || matches!(before, b'(' | b'['))
        && inside
            .first()
            .is_some_and(|b| b.is_ascii_alphabetic() || is_blank(before) && graphic(b))
        && inside.iter().all(|b| graphic(b) || *b == b' ')
        // A letter or sign that is grouped, and what is compared, are a query's.
        && !(inside.len() == 1 && (next == b')' || inside.iter().all(u8::is_ascii_digit)))
        && (!matches!(next, b'=' | b'<' | b'>' | b'!' | b'|' | b'&' | b'^' | b'+' | b'*' | b'%' | b'~')
            // `code 'L' = 'Low'`, as FHIR's narratives have it: to a query, an error.
            || next == b'=' && is_coded(bytes, (between(front, 0, open), inside), close, quote)
            || next == b'|' && (is_alternative(bytes, close - front.len() + open, close, quote) || is_choice(bytes)))
}

/// Whether a text that a quote at a position closes is a code, and what it stands for is in the same quotes behind `=`.
fn is_coded(bytes: &[u8], (front, code): (&[u8], &[u8]), close: usize, quote: u8) -> bool {
    let before = front.trim_ascii_end();
    let Some(apart) = before.strip_suffix(b"code") else {
        return false;
    };
    let second = skip_blank(bytes, skip_blank(bytes, close + 1) + 1);
    let near = between(bytes, second + 1, bytes.len().min(second + 257));
    let end = find_byte(near, 0, quote);
    let named = |first: u8| first.is_ascii_alphanumeric();
    apart.last().is_none_or(|b| is_blank(*b))
        && code.first().copied().is_some_and(named)
        && code
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
        && low(bytes, second) == quote
        && near.first().copied().is_some_and(named)
        && end.is_some()
}

/// Whether another word in the same quotes stands behind a bar behind the quote at a position, which closes one:
/// `'granted' | 'denied'`, as types are written. To a query, in quotes or not, a word beside a text is an error; so is a text
/// behind a word, but for those that compare.
fn is_alternative<'b>(bytes: &'b [u8], open: usize, close: usize, quote: u8) -> bool {
    let front = between(bytes, 0, open).trim_ascii_end();
    let last_word = |text: &'b [u8]| {
        from(
            text,
            text.len() - text.iter().rev().take_while(|b| is_word(**b)).count(),
        )
    };
    let behind_word = || {
        let word = last_word(front);
        // A number is no word, nor is nothing.
        (tokens::word(word) == Word::Name || word == b"in") && !word.iter().all(u8::is_ascii_digit)
    };
    // `type Status = 'granted' | 'denied'`
    let defined = || {
        let named = front.strip_suffix(b"=").unwrap_or_default().trim_ascii_end();
        let name = last_word(named);
        !name.is_empty() && last_word(between(named, 0, named.len() - name.len()).trim_ascii_end()) == b"type"
    };
    if !matches!(front.last(), None | Some(b'|' | b':' | b',')) && !behind_word() && !defined() {
        return false;
    }
    let bar = skip_blank(bytes, close + 1);
    let open = skip_blank(bytes, bar + 1);
    let word = from(bytes, open + 1);
    let len = word
        .iter()
        .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        .count();
    low(bytes, open) == quote && len > 0 && low(word, len) == quote && word.first().is_some_and(u8::is_ascii_alphabetic)
}

/// Whether the quote at a position is the apostrophe of `Val-d'Or`: a letter by itself in front of it, a word of logic right
/// behind (no other is one of French, and `x'union` is an attack), and nothing in the value that compares or cuts off.
pub(super) fn elided(bytes: &[u8], at: usize, quote: u8) -> bool {
    let letter = |at: Option<usize>| at.is_some_and(|at| low(bytes, at).is_ascii_alphabetic());
    let single = letter(at.checked_sub(1)) && !letter(at.checked_sub(2));
    let signs = |b: &u8| *b < b' ' || matches!(b, b'=' | b'<' | b'>' | b'#' | b'(' | b'"' | b'`' | b'|' | b'&' | b';');
    quote == b'\''
        && single
        && tokens::word(between(bytes, at + 1, at + 1 + word_len(bytes, at + 1))) == Word::Logic
        && find_byte(bytes, at + 1, quote).is_none()
        && !bytes.iter().any(signs)
        && find_pair(bytes, at, *b"--").is_none()
        && find_pair(bytes, at, *b"/*").is_none()
}

/// Whether the quote at a position opens a citation of one word: `the "or" in it`. It stands apart, is closed, and what
/// follows would be a text in the query that is no number, which makes no condition true; unless it is compared with, as
/// `0` is by `rlike "x|0"`.
pub(super) fn cites(bytes: &[u8], open: usize, quote: u8, prose: bool) -> bool {
    /// Longer texts in quotes are no words.
    const WORD_BYTES_MAX: usize = 32;
    let before = open.checked_sub(1).map(|at| low(bytes, at));
    let inside = word_len(bytes, open + 1);
    // A sentence's end may stand within.
    let close = open + 1 + inside + usize::from(matches!(low(bytes, open + 1 + inside), b'.' | b','));
    let behind = low(bytes, close + 1);
    let rest = from(bytes, close + 1);
    let apart = |b: &u8| is_blank(*b) || matches!(b, b',' | b'.' | b')' | b':');
    let next = from(rest, rest.iter().take_while(|b| apart(b)).count());
    let sign = low(bytes, open + 1);
    if quote != b'`' && before.is_some_and(is_blank) && sign.is_ascii_punctuation() && low(bytes, open + 2) == quote {
        // `>` between two texts that are no numbers compares zero with zero, or a number with a text: never true. `&`, `|`, `+`
        // and others that bind closer than what compares make zero of them, which MySQL finds equal to any name. `<` is true
        // in SQLite, and stands in what browsers say of answers that are no JSON. Other signs are cited in sentences only.
        let token = || bytes.get(..open).is_some_and(|front| front.ends_with(b"token "));
        let harmless = sign == b'>' || sign == b'<' && token() || prose && quote == b'"';
        let rest = from(bytes, open + 3);
        let next = from(rest, rest.iter().take_while(|b| apart(b)).count());
        let stands = rest.first().is_none_or(apart);
        return harmless
            && stands
            && (next.is_empty() || next.iter().take(2).all(u8::is_ascii_alphabetic) && next.len() > 1)
            && is_even(bytes, quote);
    }
    quote != b'`'
        && before.map_or(!next.is_empty(), |b| is_blank(b) || matches!(b, b'(' | b'['))
        && (1..=WORD_BYTES_MAX).contains(&inside)
        && between(bytes, open + 1, open + 1 + inside)
            .iter()
            .all(u8::is_ascii_alphabetic)
        && (tokens::word(between(bytes, open + 1, open + 1 + inside)) != Word::Compare
            || compares_nothing(bytes, open, rest))
        && low(bytes, close) == quote
        && (apart(&behind) || close + 1 == bytes.len())
        && (next.is_empty() || next.iter().take(2).filter(|b| b.is_ascii_alphabetic()).count() == 2)
        && is_even(bytes, quote)
}

/// Whether the comparison that is cited at a position would be none to a database, with what follows as a text behind it:
/// `in` and `is` take no text, and a text of letters is `like` no truth value.
fn compares_nothing(bytes: &[u8], open: usize, rest: &[u8]) -> bool {
    let cited = from(bytes, open + 1);
    let word = between(cited, 0, word_len(cited, 0));
    let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
    let letters = |b: &u8| b.is_ascii_alphabetic() || matches!(b, b' ' | b'.' | b',' | b'!' | b'?' | b'-');
    is("in") || is("is") || is("like") && rest.iter().all(letters)
}

impl Reader<'_> {
    /// Whether an operator makes a number of two texts, zero as a rule, which MySQL finds equal to any name: `x'-'y` for a name
    /// is a login without a password. (Division by zero gives nothing.) That is a sign in quotes right behind a word, or
    /// alone, or between two words: `sep='-'` and `near '*'` have other fronts. What stands around is looked at nearby.
    pub(super) fn makes_zero(&self, operator: Token, text: Token) -> bool {
        let bytes = self.tokens.bytes;
        let before = between(bytes, operator.start.saturating_sub(NEAR_BYTES), operator.start);
        let Some(open) = before.iter().rposition(|b| *b == b'\'') else {
            return false;
        };
        let front = between(before, 0, open);
        let behind = from(bytes, text.start);
        let whole = operator.start <= NEAR_BYTES;
        let front = if whole { front.trim_ascii_start() } else { front };
        let letter = |b: &u8| is_word(*b) || *b >= 0x80;
        let word = |text: &[u8]| !text.is_empty() && text.iter().all(letter);
        let named = front.last().is_some_and(letter)
            && front
                .iter()
                .all(|b| letter(b) || matches!(b, b'.' | b'@' | b'-' | b'+' | b' ' | b'\''));
        // Read to where it ends, which the next quote does: `judge` has left one blank at the most.
        let rest = from(behind, 1).trim_ascii();
        let between_words = || whole && word(front.trim_ascii()) && word(rest);
        // A sign or two at either side change nothing.
        let bare = whole
            && front.len() <= 2
            && !front
                .iter()
                .any(|b| is_blank(*b) || matches!(b, b'\\' | b'[' | b'{' | b'='));
        let alone = || bare && (rest.len() <= 2 || word(rest));
        // Formats of dates (`yyyy'-'MM'-'dd`) have several, and nothing else in them.
        let format = |b: &u8| {
            matches!(
                b,
                b'y' | b'M' | b'd' | b'H' | b'h' | b'm' | b's' | b'T' | b'\'' | b'-' | b'.' | b':' | b' '
            )
        };
        let dated = || {
            let alike = |pair: Option<&[u8; 2]>| pair.is_some_and(|[a, b]| a == b && a.is_ascii_alphabetic());
            self.tokens.text(operator) == b"-"
                && whole
                && rest.len() <= NEAR_BYTES
                && alike(front.last_chunk())
                && alike(rest.first_chunk())
                && (front.contains(&b'\'') || rest.contains(&b'\''))
                && front.iter().chain(rest).all(format)
        };
        matches!(self.tokens.text(operator), b"+" | b"-" | b"*" | b"^" | b"<<" | b">>")
            && behind.starts_with(b"'")
            && !behind.starts_with(b"''''")
            && !dated()
            && (named || alone() || between_words())
    }
}
