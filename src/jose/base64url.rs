//! Base64url without padding (RFC 4648 §5, RFC 7515 §2), one spelling for all bytes: RFC 8725bis asks for no less, since
//! a second spelling would be a second name of the same token.
//!
//! By a table: what is decoded here is sent in the clear by whoever asks, so nothing needs to take the same time. The
//! library that encodes elsewhere decodes in constant time, which costs several times as much on each token's first sight.

/// Marks what is no letter of the alphabet; no value of one has this bit.
const NONE: u8 = 0x80;

/// Each byte's six bits.
const VALUES: [u8; 256] = values();

#[allow(
    clippy::indexing_slicing,
    reason = "in constants an index beyond the end does not compile"
)]
const fn values() -> [u8; 256] {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut values = [NONE; 256];
    let mut value = 0_u8;
    while value < 64 {
        values[ALPHABET[value as usize] as usize] = value;
        value += 1;
    }
    values
}

#[inline]
fn value(letter: u8) -> u8 {
    VALUES.get(usize::from(letter)).copied().unwrap_or(NONE)
}

/// The bytes that a text spells; `None` for a letter of another alphabet, padding, a length that no text of bytes has, and
/// bits left over that are not zero.
pub(crate) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let (groups, rest) = text.as_chunks::<4>();
    let mut out = vec![
        0;
        groups
            .len()
            .saturating_mul(3)
            .saturating_add(rest.len().saturating_sub(1))
    ];
    let mut seen = 0;
    let (places, ending) = out.as_chunks_mut::<3>();
    for ([a, b, c, d], place) in groups.iter().zip(places) {
        // Not by `map`, which is a call for each letter unless everything is inlined.
        let (a, b, c, d) = (value(*a), value(*b), value(*c), value(*d));
        seen |= a | b | c | d;
        *place = [a << 2 | b >> 4, b << 4 | c >> 2, c << 6 | d];
    }
    let left_over = match (rest, ending) {
        ([], []) => 0,
        ([a, b], [first]) => {
            let (a, b) = (value(*a), value(*b));
            seen |= a | b;
            *first = a << 2 | b >> 4;
            b & 0x0F
        }
        ([a, b, c], [first, second]) => {
            let (a, b, c) = (value(*a), value(*b), value(*c));
            seen |= a | b | c;
            [*first, *second] = [a << 2 | b >> 4, b << 4 | c >> 2];
            c & 0x03
        }
        _ => return None,
    };
    (seen & NONE == 0 && left_over == 0).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ct_codecs::{Base64UrlSafeNoPadding, Decoder, Encoder};

    #[test]
    fn base64url_has_one_spelling_for_all_bytes() {
        const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        const OTHERS: &[u8] = b"+/=. \n\0%\xff";
        let value = |byte: u8| LETTERS.iter().position(|letter| *letter == byte);
        let all: Vec<u8> = [LETTERS, OTHERS].concat();
        let check = |text: &[u8]| {
            let last = text.last().and_then(|byte| value(*byte));
            // What is left over of the last letter's bits is zero.
            let ends_well = match text.len() % 4 {
                0 => true,
                2 => last.is_some_and(|bits| bits % 16 == 0),
                3 => last.is_some_and(|bits| bits % 4 == 0),
                _ => false,
            };
            let good = ends_well && text.iter().all(|byte| value(*byte).is_some());
            let decoded = decode(text);
            assert_eq!(decoded.is_some(), good, "{}", text.escape_ascii());
            // The library's decoder, which other code is known to agree with, says the same.
            assert_eq!(decoded, Base64UrlSafeNoPadding::decode_to_vec(text, None).ok());
            if let Some(bytes) = decoded {
                let spelt = Base64UrlSafeNoPadding::encode_to_string(bytes).unwrap();
                assert_eq!(spelt.as_bytes(), text);
            }
        };
        check(b"");
        for a in &all {
            check(&[*a]);
            for b in &all {
                check(&[*a, *b]);
                check(&[b'A', *a, b'_', *b]);
                check(&[b'A', b'-', b'0', b'z', *a, *b]);
                for c in &all {
                    check(&[*a, *b, *c]);
                }
            }
        }
    }
}
