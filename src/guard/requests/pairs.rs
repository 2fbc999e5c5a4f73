//! Names and values in texts: query, form body (WHATWG's `application/x-www-form-urlencoded`) and cookies.
//!
//! Decoded once and strictly: a malformed or `%u` encoding, bytes that are not UTF-8 and NUL are refused, never replaced
//! or passed through. `;` is no separator to some servers and one to others, so it is refused where it is not encoded.

use std::borrow::Cow;

/// A name and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair<'r> {
    /// Decoded.
    pub name: Cow<'r, str>,
    /// Decoded.
    pub value: Cow<'r, str>,
    /// As it came.
    pub raw: &'r str,
}

/// How a text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// As it stands: a header field.
    Plain,
    /// Percent-encoded: a path segment, a cookie.
    Percent,
    /// Percent-encoded, with `+` for a space: query and form.
    Form,
}

/// Why pairs can't be read; completes "... has ...".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PairFault {
    Encoding,
    NotUtf8,
    Nul,
    Semicolon,
    TooMany,
    TooLong,
}

impl PairFault {
    pub const fn text(self) -> &'static str {
        match self {
            Self::Encoding => "a malformed percent-encoding",
            Self::NotUtf8 => "bytes that are not UTF-8",
            Self::Nul => "a NUL character",
            Self::Semicolon => "a `;` that is not encoded",
            Self::TooMany => "too many names",
            Self::TooLong => "a name or value that is too long",
        }
    }

    /// Whether a bound was met, rather than a rule broken.
    pub const fn is_limit(self) -> bool {
        matches!(self, Self::TooMany | Self::TooLong)
    }
}

/// Bounds on what is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PairLimits {
    pub pairs: usize,
    /// Of a decoded name or value.
    pub bytes: usize,
}

/// Pairs of a query or the cookies: a browser keeps 180 cookies for a host, and no form that is sent by GET is larger.
pub const HEAD_PAIRS_MAX: PairLimits = PairLimits {
    pairs: 512,
    bytes: 64 << 10,
};

/// Decodes a text once.
///
/// # Errors
/// What is no encoding, or encodes what is refused.
pub fn decode(text: &str, coding: Coding) -> Result<Cow<'_, str>, PairFault> {
    let special = |b: u8| b == b'%' || (b == b'+' && coding == Coding::Form);
    if coding == Coding::Plain || !text.bytes().any(special) {
        return if text.contains('\0') {
            Err(PairFault::Nul)
        } else {
            Ok(Cow::Borrowed(text))
        };
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' if coding == Coding::Form => b' ',
            b'%' => {
                let mut digit = || {
                    char::from(bytes.next()?)
                        .to_digit(16)
                        .and_then(|d| u8::try_from(d).ok())
                };
                let (Some(high), Some(low)) = (digit(), digit()) else {
                    return Err(PairFault::Encoding);
                };
                high << 4 | low
            }
            byte => byte,
        });
    }
    let out = String::from_utf8(out).map_err(|_| PairFault::NotUtf8)?;
    if out.contains('\0') {
        Err(PairFault::Nul)
    } else {
        Ok(Cow::Owned(out))
    }
}

/// Reads a query or a form body. Empty pieces are left out, and a piece without `=` is a name with an empty value, as every
/// reader has it.
///
/// # Errors
/// The first fault.
pub fn form_pairs(text: &str, limits: PairLimits) -> Result<Vec<Pair<'_>>, PairFault> {
    if text.contains(';') {
        return Err(PairFault::Semicolon);
    }
    let pieces = text.split('&').filter(|piece| !piece.is_empty());
    read(
        pieces.map(|piece| piece.split_once('=').unwrap_or((piece, ""))),
        Coding::Form,
        limits,
    )
}

/// Reads the values of a request's `Cookie` fields (RFC 6265 §5.4). A piece without `=` is a cookie without a name, which
/// browsers do send.
///
/// # Errors
/// The first fault.
pub fn cookie_pairs<'r>(fields: impl Iterator<Item = &'r str>, limits: PairLimits) -> Result<Vec<Pair<'r>>, PairFault> {
    let pieces = fields
        .flat_map(|field| field.split(';'))
        .map(|piece| piece.trim_matches([' ', '\t']));
    let pieces = pieces.filter(|piece| !piece.is_empty());
    let cookies = pieces.map(|piece| piece.split_once('=').unwrap_or(("", piece)));
    // Most servers decode no cookie: one that can't be decoded stands for itself.
    let mut pairs = Vec::new();
    for (name, raw) in cookies {
        let value = match decode(raw, Coding::Percent) {
            Err(PairFault::Nul) => return Err(PairFault::Nul),
            decoded => decoded.unwrap_or(Cow::Borrowed(raw)),
        };
        if name.contains('\0') || value.contains('\0') {
            return Err(PairFault::Nul);
        }
        let pair = Pair {
            name: Cow::Borrowed(name),
            value,
            raw,
        };
        push(&mut pairs, pair, limits)?;
    }
    Ok(pairs)
}

fn read<'r>(
    pieces: impl Iterator<Item = (&'r str, &'r str)>,
    coding: Coding,
    limits: PairLimits,
) -> Result<Vec<Pair<'r>>, PairFault> {
    let mut pairs = Vec::new();
    for (name, raw) in pieces {
        let pair = Pair {
            name: decode(name, coding)?,
            value: decode(raw, coding)?,
            raw,
        };
        push(&mut pairs, pair, limits)?;
    }
    Ok(pairs)
}

fn push<'r>(pairs: &mut Vec<Pair<'r>>, pair: Pair<'r>, limits: PairLimits) -> Result<(), PairFault> {
    if pairs.len() >= limits.pairs {
        return Err(PairFault::TooMany);
    }
    if pair.name.len() > limits.bytes || pair.value.len() > limits.bytes {
        return Err(PairFault::TooLong);
    }
    pairs.push(pair);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: PairLimits = PairLimits { pairs: 4, bytes: 8 };

    #[track_caller]
    fn form(text: &str, expected: Result<&[(&str, &str)], PairFault>) {
        let pairs = form_pairs(text, LIMITS);
        let pairs = pairs
            .as_ref()
            .map(|pairs| pairs.iter().map(|p| (&*p.name, &*p.value)).collect::<Vec<_>>());
        assert_eq!(pairs.as_deref().map_err(|fault| **fault), expected, "{text}");
    }

    #[test]
    fn pairs_are_decoded_once_and_strictly() {
        form("", Ok(&[]));
        form("a=1&b=2", Ok(&[("a", "1"), ("b", "2")]));
        form("&&a&=b&c==d&", Ok(&[("a", ""), ("", "b"), ("c", "=d")]));
        form("a+b=%2B%20+&%C3%A9=é", Ok(&[("a b", "+  "), ("é", "é")]));
        form("a=%2525", Ok(&[("a", "%25")]));
        form("a%26b=%3D%3B", Ok(&[("a&b", "=;")]));
        for text in ["a=%", "a=%2", "a=%zz", "a=%u0041", "%=a", "a=%+1", "a=%é"] {
            form(text, Err(PairFault::Encoding));
        }
        for text in ["a=%ff", "a=%c0%af", "%ed%a0%80=1"] {
            form(text, Err(PairFault::NotUtf8));
        }
        form("a=%00", Err(PairFault::Nul));
        form("a=\0", Err(PairFault::Nul));
        form("a=1;b=2", Err(PairFault::Semicolon));
        form(
            "a=12345678&b&c&d",
            Ok(&[("a", "12345678"), ("b", ""), ("c", ""), ("d", "")]),
        );
        form("a=123456789", Err(PairFault::TooLong));
        form("a&b&c&d&e", Err(PairFault::TooMany));
    }

    #[test]
    fn cookies_are_split_at_semicolons_over_all_fields() {
        let pairs = cookie_pairs(["a=1; b=%20x", " c ; d=%zz"].into_iter(), LIMITS).unwrap();
        let pairs: Vec<_> = pairs.iter().map(|p| (&*p.name, &*p.value)).collect();
        assert_eq!(pairs, [("a", "1"), ("b", " x"), ("", "c"), ("d", "%zz")]);
        for text in ["a=%00", "a=\0", "a=\0%zz", "a\0=1"] {
            assert_eq!(
                cookie_pairs([text].into_iter(), LIMITS),
                Err(PairFault::Nul),
                "{text:?}"
            );
        }
        assert_eq!(cookie_pairs(["a;b;c;d;e"].into_iter(), LIMITS), Err(PairFault::TooMany));
    }
}
