//! As much of protobuf's wire format as `verify_signature` needs: a message of byte fields out, one flag in.

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;

fn put_varint(out: &mut Vec<u8>, mut number: usize) {
    loop {
        let low = u8::try_from(number & 0x7f).unwrap_or(0);
        number >>= 7;
        if number == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}

/// A message of byte fields, numbered from 1; at most 15, whose tags are one byte.
pub fn message(fields: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::with_capacity(fields.iter().map(|field| field.len().saturating_add(6)).sum());
    for (number, field) in (1_u8..16).zip(fields) {
        out.push(number << 3 | 2);
        put_varint(&mut out, field.len());
        out.extend_from_slice(field);
    }
    out
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(first & 0x7f).checked_shl(shift)?;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// The flag in field 1, which is left out where it is false; `None` for what is no such message.
pub fn first_bool(mut bytes: &[u8]) -> Option<bool> {
    let mut flag = false;
    while !bytes.is_empty() {
        let tag = take_varint(&mut bytes)?;
        let skip = match tag & 7 {
            VARINT => {
                let value = take_varint(&mut bytes)?;
                if tag >> 3 == 1 {
                    flag = value != 0;
                }
                0
            }
            _ if tag >> 3 == 1 => return None,
            BYTES => usize::try_from(take_varint(&mut bytes)?).ok()?,
            FIXED64 => 8,
            FIXED32 => 4,
            _ => return None,
        };
        bytes = bytes.get(skip..)?;
    }
    Some(flag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_written_with_tag_and_length() {
        assert_eq!(message(&[b"ab", b""]), [0x0a, 2, b'a', b'b', 0x12, 0]);
        let long = message(&[&[7; 300]]);
        assert_eq!(long[..3], [0x0a, 0xac, 2]);
        assert_eq!(long.len(), 303);
    }

    #[track_caller]
    fn check(bytes: &[u8], expected: Option<bool>) {
        assert_eq!(first_bool(bytes), expected, "{bytes:?}");
    }

    #[test]
    fn the_flag_is_found_and_broken_messages_have_none() {
        check(&[], Some(false));
        check(&[8, 1], Some(true));
        check(&[8, 0], Some(false));
        check(&[8, 1, 0x12, 2, b'n', b'o'], Some(true));
        check(&[0x12, 2, b'n', b'o'], Some(false));
        check(&[0x19, 0, 0, 0, 0, 0, 0, 0, 0, 8, 1], Some(true));
        check(&[0x12, 3, b'n', b'o'], None);
        check(&[8], None);
        check(&[8, 0x80], None);
        check(&[0x0a, 0], None);
        check(&[0x0b], None);
        check(&[0xff; 11], None);
    }
}
