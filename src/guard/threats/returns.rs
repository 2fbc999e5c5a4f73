//! What a script of a document database's gives back, behind what leaves a number (`0;return true`), and what sentences say.

use super::bytes::{
    begins_with, between, contains, find_byte, find_pair, from, is_blank, is_word, listed, low, skip_blank,
};

/// Whether what stands behind `return` and a number's semicolon may be a value, as a script has it, that is true. `12.50; return
/// policy applies` is a sentence: no script has two names or numbers side by side on one line, but for operators' names; and a
/// name that neither the engine nor the value defines throws. Asked of the few semicolons that stand behind a number at the
/// value's beginning, and so read to the value's end a few times at most.
pub(super) fn returns(rest: &[u8]) -> bool {
    /// Signs that are read over, at most: behind more nothing is known.
    const SIGNS_MAX: usize = 8;
    /// Names between values, and in front of one, each sorted.
    const BETWEEN: [&str; 3] = ["extends", "in", "instanceof"];
    const BEFORE: [&str; 8] = ["async", "await", "class", "delete", "function", "new", "typeof", "void"];
    let name_at = |at: usize| {
        let is_part = |b: &&u8| is_word(**b) || **b == b'$' || **b >= 0x80;
        between(rest, at, at + from(rest, at).iter().take_while(is_part).count())
    };
    let mut at = skip_blank(rest, 0);
    let mut operator = false;
    for _ in 0..SIGNS_MAX {
        let name = name_at(at);
        let end = at + name.len();
        let next = low(rest, end);
        if name.is_empty() {
            // `return (see below)`; an arrow's parameters are a value.
            if next == b'(' && !matches!(low(rest, end + 1), b')' | b'.') {
                at = skip_blank(rest, end + 1);
                continue;
            }
            let stop =
                matches!(next, b',' | b':' | b'?' | b')') || next == b'.' && !low(rest, end + 1).is_ascii_digit();
            return !stop;
        }
        // `1in x`: what stands behind a number need not be apart everywhere.
        let number = name.first().is_some_and(u8::is_ascii_digit);
        if has_unicode_blank(name) || number && (name.ends_with(b"in") || name.ends_with(b"instanceof")) {
            return true;
        }
        // A line's end ends a statement.
        let is_near = |b: &&u8| matches!(**b, b' ' | b'\t' | 0x0B | 0x0C);
        let behind = end + from(rest, end).iter().take_while(is_near).count();
        let sign = low(rest, behind);
        if listed(&BEFORE, name) {
            if matches!(sign, b'(' | b'\'' | b'"' | b'`' | b'[' | b'{') {
                return true;
            }
            if behind > end {
                (at, operator) = (behind, true);
                continue;
            }
        }
        let second = name_at(behind);
        if behind > end && !second.is_empty() {
            return listed(&BETWEEN, second) || has_unicode_blank(second);
        }
        let ends = skip_blank(rest, behind + 1) >= rest.len();
        return match sign {
            // `2; return this.`, `3; return policy:`
            b'.' | b'!' | b'?' | b',' if ends && !number => false,
            b'.' if low(rest, behind + 1) == b'.' => number,
            b',' | b'.' | b'-' if number => !says(from(rest, behind)),
            b':' => false,
            // What is not defined may be set or made: `a=1`, `a=>1`, `function it(){}` behind it.
            b'=' | b'{' => true,
            // As programs write it, whether or not it is defined.
            b'(' | b'.' | b'?' if behind == end && !is_blank(low(rest, end + 1)) => {
                // `3; return item(s)`
                sign != b'(' || low(rest, end + 1) != b's'
            }
            _ => operator || number || is_global(name) || contains(rest, b"function") || sets(rest, end),
        };
    }
    true
}

fn is_global(name: &[u8]) -> bool {
    // `isNaN`, `NumberLong`, `MD5`; `12; return RMA` is said.
    let spelt = from(name, 1).iter().any(u8::is_ascii_uppercase) && !name.iter().all(u8::is_ascii_uppercase);
    GLOBALS.iter().any(|global| global.as_bytes() == name) || spelt
}

/// Whether a text has, in front of what ends a statement or begins a comment, a word that is no value of scripts and stands
/// by itself between blanks and marks of sentences (`3.50 EUR`); `1,this.password` and `1-0x10` are a script's.
fn says(text: &[u8]) -> bool {
    /// What stands in front of values or is one, sorted.
    const VALUES: [&str; 8] = ["class", "in", "infinity", "instanceof", "new", "null", "typeof", "void"];
    let comment = [*b"//", *b"/*"]
        .iter()
        .filter_map(|pair| find_pair(text, 0, *pair))
        .min();
    if contains(text, b"function") {
        return false;
    }
    let text = between(text, 0, comment.unwrap_or(text.len()));
    let text = between(text, 0, find_byte(text, 0, b';').unwrap_or(text.len()));
    // `1, x => 1`, `1, a || 1`, `1, a ? 0 : 1`
    let chooses = text.contains(&b'?') && text.contains(&b':') || find_pair(text, 0, *b"&&").is_some();
    let mut words = text.split(|b| is_blank(*b)).skip(1);
    !(chooses || text.iter().any(|b| matches!(b, b'=' | b'|')))
        && words.any(|word| {
            let word = word
                .strip_suffix(b".")
                .or_else(|| word.strip_suffix(b","))
                .unwrap_or(word);
            let part = |b: &u8| is_word(*b) || *b >= 0x80;
            let letter = |b: &u8| b.is_ascii_alphabetic() || *b >= 0x80;
            word.iter().all(part)
                && word.iter().any(letter)
                && !begins_with(word, b"0x")
                && !listed(&VALUES, word)
                && !GLOBALS.iter().any(|global| global.as_bytes() == word)
        })
}

/// Whether something is set between a position and the next semicolon.
fn sets(rest: &[u8], at: usize) -> bool {
    let statement = from(rest, at);
    let end = find_byte(statement, 0, b';').unwrap_or(statement.len());
    between(statement, 0, end).contains(&b'=')
}

/// What scripts of a document database find defined and true, in part. In letters as they are: `return date` is said.
const GLOBALS: [&str; 42] = [
    "Array",
    "Atomics",
    "Boolean",
    "Code",
    "Date",
    "Error",
    "Function",
    "Infinity",
    "Intl",
    "JSON",
    "Map",
    "Math",
    "Number",
    "Object",
    "Promise",
    "Proxy",
    "Reflect",
    "Set",
    "String",
    "Symbol",
    "Timestamp",
    "args",
    "arguments",
    "assert",
    "constructor",
    "db",
    "doassert",
    "emit",
    "escape",
    "eval",
    "gc",
    "hex_md5",
    "obj",
    "print",
    "printjson",
    "sleep",
    "this",
    "tojson",
    "tojsononeline",
    "true",
    "unescape",
    "version",
];

/// Whether a run of letters holds a blank or a line's end beyond ASCII that scripts take for one.
fn has_unicode_blank(name: &[u8]) -> bool {
    name.windows(2).any(|pair| pair == [0xC2, 0xA0])
        || name.windows(3).any(|part| {
            matches!(
                part,
                [0xE2, 0x80, 0x80..=0x8A | 0xA8 | 0xA9 | 0xAF]
                    | [0xE1, 0x9A, 0x80]
                    | [0xE2, 0x81, 0x9F]
                    | [0xE3, 0x80, 0x80]
                    | [0xEF, 0xBB, 0xBF]
            )
        })
}
