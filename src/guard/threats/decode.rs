//! The decoding chain: what a value may become on its way through a backend. One step undoes percent-encoding (also
//! `%uXXXX`), HTML entities, JavaScript's `\xXX`, `\uXXXX` and `\u{X}`, overlong UTF-8 and full-width forms, all at once;
//! steps are repeated until nothing changes, at most [`LAYERS_MAX`] times. A value without any of these is not copied.

use super::bytes::{between, from, low};
use super::profile::{self, class};

/// Decoded layers beyond the value as it came. Double encoding is a known evasion, threefold is seen in scanners' lists;
/// no backend decodes more often.
pub const LAYERS_MAX: usize = 3;

/// At most eight digits, which is what 32 bits hold.
fn hex(digits: &[u8]) -> Option<u32> {
    let mut sum = 0_u32;
    for digit in digits {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            b'A'..=b'F' => digit - b'A' + 10,
            _ => return None,
        };
        sum = sum.checked_mul(16)?.checked_add(digit.into())?;
    }
    Some(sum)
}

/// Named references that stand in for what attacks are made of, sorted.
const ENTITIES: [(&[u8], u8); 28] = [
    (b"amp;", b'&'),
    (b"apos;", b'\''),
    (b"bsol;", b'\\'),
    (b"colon;", b':'),
    (b"comma;", b','),
    (b"dollar;", b'$'),
    (b"equals;", b'='),
    (b"excl;", b'!'),
    (b"grave;", b'`'),
    (b"gt;", b'>'),
    (b"lbrace;", b'{'),
    (b"lcub;", b'{'),
    (b"lpar;", b'('),
    (b"lsqb;", b'['),
    (b"lt;", b'<'),
    (b"nbsp;", b' '),
    (b"newline;", b'\n'),
    (b"num;", b'#'),
    (b"percnt;", b'%'),
    (b"period;", b'.'),
    (b"quot;", b'"'),
    (b"rbrace;", b'}'),
    (b"rcub;", b'}'),
    (b"rpar;", b')'),
    (b"rsqb;", b']'),
    (b"semi;", b';'),
    (b"sol;", b'/'),
    (b"tab;", b'\t'),
];

/// The longest of their names: `newline`.
const NAME_BYTES_MAX: usize = 7;

/// For each letter, where the references that begin with it start, and how many they are.
static ENTITIES_BY_LETTER: [(usize, usize); 26] = by_letter();

const fn by_letter() -> [(usize, usize); 26] {
    let mut index = [(0, 0); 26];
    let mut at = 0;
    while at < ENTITIES.len() {
        #[allow(
            clippy::indexing_slicing,
            reason = "in constants an index beyond the end does not compile"
        )]
        {
            let letter = (ENTITIES[at].0[0] - b'a') as usize;
            assert!(at == 0 || ENTITIES[at - 1].0[0] <= ENTITIES[at].0[0]);
            if index[letter].1 == 0 {
                index[letter].0 = at;
            }
            index[letter].1 += 1;
        }
        at += 1;
    }
    index
}

/// The named reference that begins a text, behind its `&`.
fn entity(name: &[u8]) -> Option<&'static (&'static [u8], u8)> {
    // Most signs begin none: `&r>`, and each layer is asked for each of them.
    let letters = name.iter().take(NAME_BYTES_MAX).take_while(|b| b.is_ascii_alphabetic());
    if name.get(letters.count()) != Some(&b';') {
        return None;
    }
    let letter = usize::from(name.first()?.to_ascii_lowercase().checked_sub(b'a')?);
    let (start, count) = *ENTITIES_BY_LETTER.get(letter)?;
    ENTITIES
        .get(start..start + count)?
        .iter()
        .find(|(entity, _)| super::bytes::starts_with(name, entity))
}

/// A code point as one byte where it has an ASCII look-alike.
fn ascii(point: u32) -> Option<u8> {
    let folded = match point {
        0..=0x7F => point,
        // Full-width forms.
        0xFF01..=0xFF5E => point.checked_sub(0xFEE0)?,
        0x00A0 | 0x2000..=0x200A | 0x2028 | 0x2029 | 0x202F | 0x3000 => 0x20,
        0x2018 | 0x2019 | 0x201B | 0x2032 | 0x02B9 | 0x02BC => 0x27,
        0x201C | 0x201D | 0x02BA => 0x22,
        0xFE64 | 0x2039 | 0x3008 => 0x3C,
        0xFE65 | 0x203A | 0x3009 => 0x3E,
        0x2215 | 0x2044 => 0x2F,
        // What code pages of Windows map to a backslash.
        0x2216 | 0xEFC8 => 0x5C,
        0x3002 | 0xFF61 => 0x2E,
        // Circled digits and letters.
        0x2460..=0x2468 => point.checked_sub(0x2460)?.checked_add(0x31)?,
        0x24EA => 0x30,
        0x24B6..=0x24CF => point.checked_sub(0x24B6)?.checked_add(0x61)?,
        0x24D0..=0x24E9 => point.checked_sub(0x24D0)?.checked_add(0x61)?,
        _ => return None,
    };
    u8::try_from(folded).ok()
}

/// What something encoded stands for: a byte, or a character in UTF-8.
struct Piece {
    bytes: [u8; 4],
    len: usize,
}

impl Piece {
    const fn byte(byte: u8) -> Self {
        Self {
            bytes: [byte, 0, 0, 0],
            len: 1,
        }
    }

    fn point(point: u32) -> Option<Self> {
        if let Some(byte) = ascii(point) {
            return Some(Self::byte(byte));
        }
        let mut bytes = [0; 4];
        let len = char::from_u32(point)?.encode_utf8(&mut bytes).len();
        Some(Self { bytes, len })
    }
}

/// What stands at the start of `rest`, decoded, and the bytes that it took; `None` if nothing is encoded there.
fn decode_at(rest: &[u8]) -> Option<(Piece, usize)> {
    match low(rest, 0) {
        b'%' => {
            if low(rest, 1) == b'u' {
                return Some((Piece::point(hex(rest.get(2..6)?)?)?, 6));
            }
            let byte = u8::try_from(hex(rest.get(1..3)?)?).ok()?;
            Some((Piece::byte(byte), 3))
        }
        b'&' => {
            let name = from(rest, 1);
            if name.first() != Some(&b'#') {
                let (entity, byte) = entity(name)?;
                return Some((Piece::byte(*byte), entity.len().checked_add(1)?));
            }
            let (start, radix) = if low(name, 1) == b'x' { (2, 16) } else { (1, 10) };
            // Leading zeros are padding; this many digits are more than any reference needs.
            let digits = from(name, start).iter().take(32);
            let digits = digits.map_while(|digit| char::from(*digit).to_digit(radix));
            let (mut point, mut count) = (0_u32, 0);
            for digit in digits {
                point = point.checked_mul(radix)?.checked_add(digit)?;
                count += 1;
            }
            if count == 0 {
                return None;
            }
            let end = start.checked_add(count)?.checked_add(1)?;
            let end = end.checked_add(usize::from(low(rest, end) == b';'))?;
            Some((Piece::point(point)?, end))
        }
        b'\\' => match low(rest, 1) {
            b'x' => {
                let byte = u8::try_from(hex(rest.get(2..4)?)?).ok()?;
                Some((Piece::byte(byte), 4))
            }
            b'u' if low(rest, 2) == b'{' => {
                let digits = from(rest, 3).iter().take(8).take_while(|b| **b != b'}').count();
                let end = digits.checked_add(3)?;
                let point = hex(rest.get(3..end)?).filter(|_| digits > 0)?;
                Some((Piece::point(point)?, end.checked_add(1)?))
            }
            b'u' => Some((Piece::point(hex(rest.get(2..6)?)?)?, 6)),
            _ => None,
        },
        // Overlong forms of ASCII, which lenient decoders take: C0 and C1 lead no valid sequence, and some of those
        // decoders look at six bits of whatever byte follows.
        lead @ (0xC0 | 0xC1) => {
            let tail = rest.get(1)?;
            let folded = (lead & 1) << 6 | (tail & 0x3F);
            if !(0x80..0xC0).contains(tail) && !matches!(folded, b'.' | b'/' | b'\\') {
                return None;
            }
            Some((Piece::byte(folded), 2))
        }
        lead @ (0xE0 | 0xF0 | 0xF8 | 0xFC) => {
            let len = usize::try_from(lead.leading_ones()).ok()?;
            let (zeros, tail) = rest.get(1..len)?.split_at_checked(len.checked_sub(3)?)?;
            let [high @ 0x80..0x82, low @ 0x80..0xC0] = tail else {
                return None;
            };
            zeros.iter().all(|b| *b == 0x80).then_some(())?;
            Some((Piece::byte((high & 1) << 6 | (low & 0x3F)), len))
        }
        0xC2 | 0xCA | 0xE2 | 0xE3 | 0xEF => {
            let len = if low(rest, 0) < 0xE0 { 2 } else { 3 };
            let text = std::str::from_utf8(rest.get(..len)?).ok()?;
            Some((Piece::byte(ascii(u32::from(text.chars().next()?))?), len))
        }
        _ => None,
    }
}

/// One step of the chain; `None` if nothing changes.
pub fn step(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out: Vec<u8> = Vec::new();
    let (mut at, mut kept) = (0_usize, 0_usize);
    while let Some(found) = super::bytes::find_bits(bytes, at, profile::of, class::ENCODED) {
        let Some((piece, taken)) = decode_at(from(bytes, found)) else {
            at = found.saturating_add(1);
            continue;
        };
        if out.is_empty() {
            out.reserve(bytes.len());
        }
        if kept < found {
            out.extend_from_slice(between(bytes, kept, found));
        }
        match piece.len {
            1 => out.push(piece.bytes[0]),
            len => out.extend_from_slice(between(&piece.bytes, 0, len)),
        }
        at = found.saturating_add(taken);
        kept = at;
    }
    if out.is_empty() {
        return None;
    }
    out.extend_from_slice(from(bytes, kept));
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &[u8], expected: &[u8]) {
        let out = step(text).unwrap_or_else(|| text.to_vec());
        assert_eq!(
            String::from_utf8_lossy(&out),
            String::from_utf8_lossy(expected),
            "{}",
            String::from_utf8_lossy(text)
        );
    }

    #[test]
    fn every_reference_is_within_what_is_looked_at_for_one() {
        for (name, byte) in ENTITIES {
            let found = entity(name).map(|(_, byte)| *byte);
            assert_eq!(found, Some(byte), "{}", String::from_utf8_lossy(name));
        }
    }

    #[test]
    fn one_step_undoes_one_encoding_everywhere() {
        for (text, expected) in [
            ("plain", "plain"),
            ("a%27b", "a'b"),
            ("%2527", "%27"),
            ("%u0027", "'"),
            ("%uff07", "'"),
            ("100%", "100%"),
            ("%zz%4", "%zz%4"),
            ("&lt;b&gt;", "<b>"),
            ("&#60;&#x3c;&#0000060;&#x3C", "<<<<"),
            ("a & b &amp c", "a & b &amp c"),
            (r"\x3c\u003c\u{3c}", "<<<"),
            (r"\n\'\u12", r"\n\'\u12"),
            ("＜script＞", "<script>"),
            ("ⓛⓞ①。", "lo1."),
            ("é%é", "é%é"),
            ("x&lt;y%3Cz", "x<y<z"),
        ] {
            check(text.as_bytes(), expected.as_bytes());
        }
        check(b"\xc0\xae\xc0\xaf", b"./");
        check(b"..\xc0\x2f..\xc1\x1cx\xc0A", b"../..\\x\xc0A");
        check(b"\xe0\x80\xaf\xf0\x80\x80\xae\xfc\x80\x80\x80\x80\xae", b"/..");
        check("\u{1F600} \u{0928}".as_bytes(), "\u{1F600} \u{0928}".as_bytes());
        check(b"%c0%ae", b"\xc0\xae");
        assert_eq!(step(b"no change % & \\"), None);
    }
}
