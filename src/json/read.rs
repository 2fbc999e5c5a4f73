//! The reader: recursive descent over bytes that were checked to be UTF-8 once.

use super::{DEPTH_CEILING, Duplicates, Limits, Number, Object, Value};
use std::borrow::Cow;
use std::fmt;

/// Why a document was refused, and at which byte (counted from 0).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub kind: FaultKind,
    pub at: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    NotUtf8,
    Malformed(&'static str),
    Duplicate,
    TooDeep,
    TooManyMembers,
    StringTooLong,
    NumberTooLong,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            FaultKind::NotUtf8 => "text that is not UTF-8",
            FaultKind::Malformed(what) => what,
            FaultKind::Duplicate => "an object that names a member twice",
            FaultKind::TooDeep => "nesting beyond the limit",
            FaultKind::TooManyMembers => "more members and elements than the limit",
            FaultKind::StringTooLong => "a string longer than the limit",
            FaultKind::NumberTooLong => "a number longer than the limit",
        };
        write!(f, "{what} at byte {}", self.at)
    }
}

/// The longest number in bytes: 2^1024 has 309 digits, so every finite double fits in full.
const NUMBER_BYTES_MAX: usize = 512;

/// Reads one document that fills `bytes`.
///
/// # Errors
/// The first fault, with its byte offset. Limits are checked while reading.
pub fn parse<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Value<'a>, Fault> {
    let text = std::str::from_utf8(bytes).map_err(|e| Fault {
        kind: FaultKind::NotUtf8,
        at: e.valid_up_to(),
    })?;
    let mut reader = Reader {
        text,
        bytes,
        at: 0,
        members: 0,
        limits,
    };
    reader.skip_white_space();
    let value = reader.value(limits.depth.min(DEPTH_CEILING))?;
    reader.skip_white_space();
    if reader.at < bytes.len() {
        return Err(reader.malformed("data after the document"));
    }
    Ok(value)
}

struct Reader<'a, 'l> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    members: u32,
    limits: &'l Limits,
}

impl<'a> Reader<'a, '_> {
    fn fault(&self, kind: FaultKind) -> Fault {
        Fault { kind, at: self.at }
    }

    fn malformed(&self, what: &'static str) -> Fault {
        self.fault(FaultKind::Malformed(what))
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn take(&mut self, expected: u8) -> bool {
        let found = self.peek() == Some(expected);
        if found {
            self.at += 1;
        }
        found
    }

    fn skip_white_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Reads a value that may nest `depth` more levels.
    fn value(&mut self, depth: u32) -> Result<Value<'a>, Fault> {
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => Ok(Value::String(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal("true", Value::Bool(true)),
            Some(b'f') => self.literal("false", Value::Bool(false)),
            Some(b'n') => self.literal("null", Value::Null),
            Some(_) => Err(self.malformed("something that is no JSON value")),
            None => Err(self.malformed("the end of the text")),
        }
    }

    fn literal(&mut self, word: &'static str, value: Value<'a>) -> Result<Value<'a>, Fault> {
        let found = self
            .bytes
            .get(self.at..)
            .is_some_and(|rest| rest.starts_with(word.as_bytes()));
        if !found {
            return Err(self.malformed("something that is no JSON value"));
        }
        self.at += word.len();
        Ok(value)
    }

    fn count_member(&mut self) -> Result<(), Fault> {
        if self.members >= self.limits.members {
            return Err(self.fault(FaultKind::TooManyMembers));
        }
        self.members += 1;
        Ok(())
    }

    fn object(&mut self, depth: u32) -> Result<Value<'a>, Fault> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(self.fault(FaultKind::TooDeep));
        };
        let start = self.at;
        self.at += 1;
        let mut members = Vec::new();
        self.skip_white_space();
        if self.take(b'}') {
            return Ok(Value::Object(Object::default()));
        }
        loop {
            self.count_member()?;
            self.skip_white_space();
            if self.peek() != Some(b'"') {
                return Err(self.malformed("no member name where one was expected"));
            }
            let name = self.string()?;
            self.skip_white_space();
            if !self.take(b':') {
                return Err(self.malformed("no colon where one was expected"));
            }
            self.skip_white_space();
            let value = self.value(depth)?;
            members.push((name, value));
            self.skip_white_space();
            if self.take(b',') {
                continue;
            }
            if self.take(b'}') {
                break;
            }
            return Err(self.malformed("no comma or closing brace where one was expected"));
        }
        match Object::from_members(members) {
            Ok(object) => Ok(Value::Object(object)),
            Err((object, _)) if self.limits.duplicates == Duplicates::Allow => Ok(Value::Object(object)),
            Err(_) => Err(Fault {
                kind: FaultKind::Duplicate,
                at: start,
            }),
        }
    }

    fn array(&mut self, depth: u32) -> Result<Value<'a>, Fault> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(self.fault(FaultKind::TooDeep));
        };
        self.at += 1;
        let mut items = Vec::new();
        self.skip_white_space();
        if self.take(b']') {
            return Ok(Value::Array(items));
        }
        loop {
            self.count_member()?;
            self.skip_white_space();
            items.push(self.value(depth)?);
            self.skip_white_space();
            if self.take(b',') {
                continue;
            }
            if self.take(b']') {
                return Ok(Value::Array(items));
            }
            return Err(self.malformed("no comma or closing bracket where one was expected"));
        }
    }

    #[inline(always)]
    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start {
            return Err(self.malformed("no digit where one was expected"));
        }
        Ok(())
    }

    fn number(&mut self) -> Result<Value<'a>, Fault> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        } else if let Some(b'0'..=b'9') = self.peek() {
            return Err(self.malformed("a number with a leading zero"));
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if !self.take(b'+') {
                self.take(b'-');
            }
            self.digits()?;
        }
        let text = self.text.get(start..self.at).unwrap_or("0");
        if text.len() > NUMBER_BYTES_MAX {
            return Err(Fault {
                kind: FaultKind::NumberTooLong,
                at: start,
            });
        }
        Ok(Value::Number(Number::from_checked(text)))
    }

    /// Reads a string; the reader stands at its opening quote.
    fn string(&mut self) -> Result<Cow<'a, str>, Fault> {
        let opening = self.at;
        self.at += 1;
        let start = self.at;
        let too_long = |at| Fault {
            kind: FaultKind::StringTooLong,
            at,
        };
        let bytes_max = self.limits.string_bytes as usize;
        let plain = self.plain_run();
        if plain.len() > bytes_max {
            return Err(too_long(opening));
        }
        if self.take(b'"') {
            return Ok(Cow::Borrowed(
                self.text.get(start..self.at.saturating_sub(1)).unwrap_or(""),
            ));
        }
        let mut unescaped = String::from(plain);
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Cow::Owned(unescaped));
                }
                Some(b'\\') => {
                    self.at += 1;
                    unescaped.push(self.escape()?);
                }
                Some(_) => return Err(self.malformed("a control character in a string")),
                None => return Err(self.malformed("a string without its end")),
            }
            unescaped.push_str(self.plain_run());
            if unescaped.len() > bytes_max {
                return Err(too_long(opening));
            }
        }
    }

    /// The text up to the next quote, backslash or control character.
    fn plain_run(&mut self) -> &'a str {
        let rest = self.text.get(self.at..).unwrap_or("");
        let run = plain_bytes(rest.as_bytes());
        self.at += run;
        rest.get(..run).unwrap_or("")
    }

    fn escape(&mut self) -> Result<char, Fault> {
        let Some(escape) = self.peek() else {
            return Err(self.malformed("a string without its end"));
        };
        let plain = match escape {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                self.at += 1;
                return self.unicode_escape();
            }
            _ => return Err(self.malformed("an unknown escape in a string")),
        };
        self.at += 1;
        Ok(plain)
    }

    /// The reader stands after `\u`. Surrogates must come as a pair (I-JSON, RFC 7493 §2.1).
    fn unicode_escape(&mut self) -> Result<char, Fault> {
        const LONE: &str = "half of a surrogate pair in a string";
        let unit = self.four_hex_digits()?;
        let code = match unit {
            0xD800..=0xDBFF => {
                if !(self.take(b'\\') && self.take(b'u')) {
                    return Err(self.malformed(LONE));
                }
                match self.four_hex_digits()? {
                    low @ 0xDC00..=0xDFFF => 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00),
                    _ => return Err(self.malformed(LONE)),
                }
            }
            unit => unit,
        };
        char::from_u32(code).ok_or_else(|| self.malformed(LONE))
    }

    fn four_hex_digits(&mut self) -> Result<u32, Fault> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|b| char::from(b).to_digit(16));
            let Some(digit) = digit else {
                return Err(self.malformed("an unknown escape in a string"));
            };
            unit = unit * 16 + digit;
            self.at += 1;
        }
        Ok(unit)
    }
}

/// How many bytes come before the first quote, backslash or control character; eight at a time, since most of a body is text.
fn plain_bytes(bytes: &[u8]) -> usize {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * EACH;
    // The high bit of each byte that is below `limit`, and perhaps of ones above it: the lowest is right.
    let below = |word: u64, limit: u64| word.wrapping_sub(limit * EACH) & !word & HIGH;
    let (words, rest) = bytes.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let quote = below(word ^ (u64::from(b'"') * EACH), 1);
        let backslash = below(word ^ (u64::from(b'\\') * EACH), 1);
        let ends = quote | backslash | below(word, 0x20);
        if ends != 0 {
            return at * 8 + ends.trailing_zeros() as usize / 8;
        }
    }
    let ends = |byte: &u8| matches!(byte, b'"' | b'\\' | ..0x20);
    bytes.len() - rest.len() + rest.iter().position(ends).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests;
