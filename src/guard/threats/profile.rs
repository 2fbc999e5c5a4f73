//! What kind of text a value is, found in one pass: whether there is anything in it that could act at all, and whether it
//! is prose, in which mentions of code are common and only what acts where it stands counts.

use super::bytes::{Words, between, find_bits, find_byte, find_pair, from, is_blank, low};

/// Bytes by what they may begin; a value's bits are those of all its bytes.
pub mod class {
    /// Quotes: a string may end here.
    pub const QUOTE: u16 = 1;
    /// `<`: markup may begin.
    pub const ANGLE: u16 = 1 << 1;
    /// `%`, `&`, `\` and lead bytes of look-alikes: something may be encoded.
    pub const ENCODED: u16 = 1 << 2;
    /// Separators and substitutions of shells.
    pub const SHELL: u16 = 1 << 3;
    pub const BLANK: u16 = 1 << 4;
    pub const PAREN: u16 = 1 << 5;
    /// Operators of SQL and of other languages.
    pub const OPERATOR: u16 = 1 << 6;
    pub const SLASH: u16 = 1 << 7;
    pub const COLON: u16 = 1 << 8;
    pub const BRACE: u16 = 1 << 9;
    pub const DOT: u16 = 1 << 10;
    pub const CONTROL: u16 = 1 << 11;
    pub const DIGIT: u16 = 1 << 12;
    pub const UNDERSCORE: u16 = 1 << 13;
    /// `?` and `*`, `[`: patterns of file names.
    pub const GLOB: u16 = 1 << 14;
    /// A back-quote or `~`: Markdown may mark code.
    pub const MARK: u16 = 1 << 15;
}

const fn classes() -> [u16; 256] {
    let mut table = [0_u16; 256];
    let mut byte: u8 = 0;
    loop {
        let bits = match byte {
            b'\'' | b'"' => class::QUOTE,
            b'`' => class::QUOTE | class::SHELL | class::MARK,
            b'<' => class::ANGLE | class::OPERATOR | class::SHELL,
            b'>' => class::OPERATOR | class::SHELL,
            b'%' => class::ENCODED | class::OPERATOR,
            b'&' => class::ENCODED | class::SHELL | class::OPERATOR,
            b'\\' => class::ENCODED | class::SLASH,
            b';' | b'|' => class::SHELL | class::OPERATOR,
            b'$' => class::SHELL | class::BRACE,
            b'\n' | b'\r' => class::SHELL | class::CONTROL | class::BLANK,
            b'\t' | 0x0B | 0x0C | b' ' => class::BLANK,
            0..=8 | 0x0E..=0x1F | 0x7F => class::CONTROL,
            b'(' | b')' => class::PAREN,
            b'~' => class::OPERATOR | class::MARK,
            b'=' | b'!' | b'^' | b'+' | b'#' | b'@' => class::OPERATOR,
            b'*' | b'?' | b'[' | b']' => class::GLOB | class::OPERATOR,
            b'/' => class::SLASH | class::OPERATOR,
            b':' => class::COLON,
            b'{' | b'}' => class::BRACE,
            b'.' => class::DOT,
            b'0'..=b'9' => class::DIGIT,
            b'_' => class::UNDERSCORE,
            0xC0..=0xC2 | 0xCA | 0xE0 | 0xE2 | 0xE3 | 0xEF | 0xF0 | 0xF8 | 0xFC => class::ENCODED,
            _ => 0,
        };
        #[allow(clippy::indexing_slicing)]
        {
            table[byte as usize] = bits;
        }
        if byte == u8::MAX {
            return table;
        }
        byte += 1;
    }
}

static CLASSES: [u16; 256] = classes();

/// The classes of a byte.
#[inline(always)]
pub fn of(byte: u8) -> u16 {
    CLASSES.get(usize::from(byte)).copied().unwrap_or(0)
}

/// The bits of all bytes together.
pub fn bits(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |bits, byte| bits | of(*byte))
}

/// Words that sentences are joined by and that no language of programs or queries has, sorted.
static JOINTS: Words<40> = Words::new([
    "a", "an", "are", "be", "been", "but", "can", "could", "do", "does", "has", "have", "how", "i", "it", "its",
    "just", "may", "my", "of", "on", "our", "should", "so", "some", "that", "the", "there", "they", "this", "to",
    "was", "we", "were", "which", "will", "with", "would", "you", "your",
]);

/// This many joints make prose. The ones below are for a longer text in which they are frequent.
const JOINTS_MIN: usize = 8;
/// A value shorter than this is no prose, whatever words it has.
const PROSE_BYTES_MIN: usize = 60;
/// Bytes for each joint, at most, of what counts as prose: code between sentences thins them out.
const BYTES_PER_JOINT: usize = 120;

/// Whether a text is prose: joints are frequent in it. Stops as soon as that is clear.
pub fn is_prose(bytes: &[u8]) -> bool {
    if bytes.len() < PROSE_BYTES_MIN {
        return false;
    }
    let wanted = JOINTS_MIN.min((bytes.len() / BYTES_PER_JOINT).max(3));
    let mut joints = 0;
    // What stands after this is as the beginning is.
    let head = bytes.get(..bytes.len().min(16 << 10)).unwrap_or(bytes);
    for word in head.split(|b| is_blank(*b)) {
        let word = match word.last() {
            Some(b',' | b'.' | b':' | b'?' | b'!') => word.get(..word.len() - 1).unwrap_or(word),
            _ => word,
        };
        if word.len() <= 6 && word.first().is_some_and(u8::is_ascii_alphabetic) && JOINTS.has(word) {
            joints += 1;
            if joints >= wanted {
                return true;
            }
        }
    }
    false
}

/// Lines and bytes from which a text counts as a document: what a person wrote or pasted, not a value that is put
/// somewhere.
const DOCUMENT_LINES_MIN: usize = 5;
const DOCUMENT_BYTES_MIN: usize = 160;

/// Of its lines, those that are not empty: line ends alone are no document.
const DOCUMENT_FULL_LINES_MIN: usize = 3;

/// Whether a text has the lines of a document, in whatever language.
pub fn is_document(bytes: &[u8]) -> bool {
    if bytes.len() < DOCUMENT_BYTES_MIN {
        return false;
    }
    let mut at = 0;
    let (mut ends, mut full) = (0, 0);
    while ends + 1 < DOCUMENT_LINES_MIN || full < DOCUMENT_FULL_LINES_MIN {
        let Some(end) = find_byte(bytes, at, b'\n') else {
            return full + 1 == DOCUMENT_FULL_LINES_MIN && ends + 1 >= DOCUMENT_LINES_MIN && has_text(from(bytes, at));
        };
        full += usize::from(has_text(between(bytes, at, end)));
        ends += 1;
        at = end + 1;
    }
    true
}

fn has_text(line: &[u8]) -> bool {
    line.iter().any(u8::is_ascii_graphic)
}

/// The first and the last line of a text of several, each with what the line beside it begins with.
pub fn outer_lines(bytes: &[u8]) -> [(&[u8], u8); 2] {
    let bytes = bytes.trim_ascii();
    let ends = |b: &u8| matches!(b, b'\n' | b'\r');
    let first = bytes.iter().position(ends).unwrap_or(bytes.len());
    let last = bytes.iter().rposition(ends).map_or(bytes.len(), |at| at + 1);
    let begins = |text: &[u8]| text.trim_ascii_start().first().copied().unwrap_or_default();
    let behind = begins(from(bytes, first));
    let front = between(bytes, 0, last).trim_ascii_end();
    let above = front.iter().rposition(ends).map_or(0, |at| at + 1);
    [
        (between(bytes, 0, first).trim_ascii(), behind),
        (from(bytes, last).trim_ascii(), begins(from(front, above))),
    ]
}

/// Whether a value is a choice of words, quoted or bare, as types are written: `'granted' | 'denied' | null`.
pub fn is_choice(bytes: &[u8]) -> bool {
    /// Longer ones are judged as others are.
    const BYTES_MAX: usize = 256;
    let plain = |word: &[u8]| {
        let is = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        !word.is_empty() && word.iter().all(is)
    };
    let mut quoted = 0_usize;
    bytes.len() <= BYTES_MAX
        && bytes.contains(&b'|')
        && bytes.split(|b| *b == b'|').all(|word| {
            let word = word.trim_ascii();
            match word {
                [b'\'', inner @ .., b'\''] | [b'"', inner @ .., b'"'] => {
                    quoted += 1;
                    plain(inner)
                }
                _ => plain(word),
            }
        })
        && quoted > 1
}

/// Whether a text has a fence of Markdown's, opened and closed on lines of their own (CommonMark §4.5): what people and
/// programs write to each other.
pub fn is_fenced(bytes: &[u8]) -> bool {
    const FENCE: &[u8] = b"```";
    // Behind the first fence from a position on.
    let next = |mut at: usize| {
        loop {
            at = find_pair(bytes, at, *b"\n`")? + 1;
            if from(bytes, at).starts_with(FENCE) {
                return Some(at + FENCE.len());
            }
        }
    };
    let begin = bytes.len() - bytes.trim_ascii_start().len();
    let opened = if from(bytes, begin).starts_with(FENCE) {
        Some(begin + FENCE.len())
    } else {
        next(begin)
    };
    opened.and_then(next).is_some()
}

/// Marks that are opened and never closed beyond this many end the search for code: it stays linear.
const UNCLOSED_MAX: u32 = 8;

/// Prose without its code, as Markdown marks it (fences on lines of their own, spans between back-quotes): blanks in
/// their place. What is opened and never closed is no code. Asked only where there is a [`class::MARK`].
pub fn without_code(bytes: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    let (mut at, mut unclosed) = (0, 0);
    while let Some(start) = find_bits(bytes, at, of, class::MARK) {
        let mark = low(bytes, start);
        let run = from(bytes, start).iter().take_while(|b| **b == mark).count();
        let inner = start + run;
        at = inner;
        let fence = run >= 3 && begins_line(bytes, start);
        if !fence && mark != b'`' {
            continue;
        }
        match closing(bytes, inner, mark, run, fence) {
            Some(end) => {
                if let Some(code) = out.get_mut(start..end) {
                    code.fill(b' ');
                }
                at = end;
            }
            // Each has been looked for to the end.
            None if unclosed == UNCLOSED_MAX => break,
            None => unclosed += 1,
        }
    }
    out
}

/// Whether only blanks stand between a position and the beginning of its line.
fn begins_line(bytes: &[u8], at: usize) -> bool {
    let front = bytes.get(..at).unwrap_or_default();
    front
        .iter()
        .rev()
        .find(|b| !matches!(b, b' ' | b'\t'))
        .is_none_or(|b| *b == b'\n')
}

/// Where the run of marks that closes a fence or, within its paragraph, a span ends.
fn closing(bytes: &[u8], mut at: usize, mark: u8, run: usize, fence: bool) -> Option<usize> {
    loop {
        let start = find_byte(bytes, at, mark)?;
        if !fence && between(bytes, at, start).windows(2).any(|pair| pair == b"\n\n") {
            return None;
        }
        let len = from(bytes, start).iter().take_while(|b| **b == mark).count();
        at = start + len;
        if if fence {
            len >= run && begins_line(bytes, start)
        } else {
            len == run
        } {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_what_is_marked_and_closed() {
        for (text, expected) in [
            ("a `b` c", "a     c"),
            ("a `b\n\nc` d", "a `b\n\nc` d"),
            ("a `b c", "a `b c"),
            ("```\nx ``` y\n```\nz", "               \nz"),
            ("a\n~~~\nx\n~~~\nz", "a\n         \nz"),
            ("a\n```\nx", "a\n```\nx"),
            ("a ~ b", "a ~ b"),
            ("plain", "plain"),
        ] {
            let bare = without_code(text.as_bytes());
            assert_eq!(String::from_utf8(bare).unwrap(), expected, "{text}");
        }
    }
}
