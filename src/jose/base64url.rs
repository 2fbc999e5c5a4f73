//! Base64url without padding (RFC 4648 §5, RFC 7515 §2), one spelling for all bytes: RFC 8725bis asks for no less, since
//! a second spelling would be a second name of the same token.
//!
//! By a table: what is decoded here is sent in the clear by whoever asks, so nothing needs to take the same time. The
//! library that encodes elsewhere decodes in constant time, which costs several times as much on each token's first sight.

/// Marks what is no letter of the alphabet; no six bits in any place have this one.
const NONE: u32 = 1 << 31;

/// Each byte's six bits, where they stand in a group's 24: a table for each place, so that a group is four of them and nothing
/// shifted.
static PLACES: [[u32; 256]; 4] = [values(18), values(12), values(6), values(0)];

#[allow(
    clippy::indexing_slicing,
    reason = "in constants an index beyond the end does not compile"
)]
const fn values(shift: u32) -> [u32; 256] {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut values = [NONE; 256];
    let mut value = 0_u32;
    while value < 64 {
        values[ALPHABET[value as usize] as usize] = value << shift;
        value += 1;
    }
    values
}

#[inline]
fn at(place: &[u32; 256], letter: u8) -> u32 {
    place.get(usize::from(letter)).copied().unwrap_or(NONE)
}

/// The 24 bits of a group, [`NONE`] among them if one of its bytes is no letter.
#[inline]
fn bits([a, b, c, d]: [u8; 4]) -> u32 {
    let [first, second, third, fourth] = &PLACES;
    at(first, a) | at(second, b) | at(third, c) | at(fourth, d)
}

/// The bytes that a text spells; `None` for a letter of another alphabet, padding, a length that no text of bytes has, and
/// bits left over that are not zero.
pub(crate) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let (bytes, rest) = decode_letters(text)?;
    rest.is_empty().then_some(bytes)
}

/// The bytes that the letters at a text's start spell, and what follows them, in one pass. `None` for a number of letters
/// that no text of bytes has, and for bits left over that are not zero.
pub(crate) fn decode_letters(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (groups, _) = text.as_chunks::<4>();
    let mut out = vec![0; groups.len().saturating_add(1).saturating_mul(3)];
    let (places, _) = out.as_chunks_mut::<3>();
    let mut whole = 0_usize;
    for (group, place) in groups.iter().zip(places) {
        let bits = bits(*group);
        if bits & NONE != 0 {
            break;
        }
        let [_, bytes @ ..] = bits.to_be_bytes();
        *place = bytes;
        whole += 1;
    }
    out.truncate(whole.saturating_mul(3));
    let ending = text.get(whole.saturating_mul(4)..)?;
    let [_, _, _, letter] = &PLACES;
    let letters = ending.iter().take(3).take_while(|byte| at(letter, **byte) != NONE);
    let (letters, rest) = ending.split_at_checked(letters.count())?;
    // `A` spells zeros, so what it fills up adds nothing.
    let ([_, one, two, left_over], bytes) = match *letters {
        [] => return Some((out, rest)),
        [a, b] => (bits([a, b, b'A', b'A']).to_be_bytes(), 1),
        [a, b, c] => (bits([a, b, c, b'A']).to_be_bytes(), 2),
        _ => return None,
    };
    let two_left_over = if bytes == 1 { two } else { 0 };
    out.extend([one, two].into_iter().take(bytes));
    (left_over | two_left_over == 0).then_some((out, rest))
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
            // What follows the letters is handed back as it is.
            let (letters, others) = text.split_at(text.iter().take_while(|byte| value(**byte).is_some()).count());
            assert_eq!(decode_letters(text), decode(letters).map(|bytes| (bytes, others)));
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
