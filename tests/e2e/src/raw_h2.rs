//! Hand-written HTTP/2: header lists that no HTTP library would send, such as an empty `:path`.
//!
//! Just enough of RFC 9113 for one request on one connection: literal fields without Huffman coding out, and of what
//! comes back only how the stream ended.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::Outcome;
use crate::client::{Client, REPLY_SECONDS_MAX, Version};

/// How the stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// A header block came: its status, where it is in HPACK's static table or a literal.
    Answered(u16),
    /// The stream was reset with this error code.
    Reset(u32),
    /// The whole connection was ended.
    Closed,
}

const FRAME_HEADERS: u8 = 1;
const FRAME_RST_STREAM: u8 = 3;
const FRAME_SETTINGS: u8 = 4;
const FRAME_GOAWAY: u8 = 7;
const END_STREAM_AND_HEADERS: u8 = 0x5;

/// Sends one request without a body, made of exactly these fields in this order.
pub async fn request(client: &Client, fields: &[(&str, &[u8])]) -> Outcome<Ending> {
    let mut stream = client.over(Version::Http2).raw().await?;
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0); // a literal field, not indexed, with a new name
        for text in [name.as_bytes(), value] {
            let length = u8::try_from(text.len()).ok().filter(|length| *length < 127);
            block.push(length.ok_or("a field too long for one length byte")?);
            block.extend_from_slice(text);
        }
    }
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    frame(&mut bytes, FRAME_SETTINGS, 0, 0, &[]);
    frame(&mut bytes, FRAME_HEADERS, END_STREAM_AND_HEADERS, 1, &block);
    stream.write_all(&bytes).await.map_err(|error| error.to_string())?;
    stream.flush().await.map_err(|error| error.to_string())?;
    let reading = async {
        loop {
            let mut head = [0; 9];
            if stream.read_exact(&mut head).await.is_err() {
                return Ending::Closed;
            }
            let [high, middle, low, kind, _, _, _, _, id] = head;
            let mut payload = vec![0; usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low)];
            if stream.read_exact(&mut payload).await.is_err() {
                return Ending::Closed;
            }
            match (kind, id) {
                (FRAME_HEADERS, 1) => return Ending::Answered(status(&payload)),
                (FRAME_RST_STREAM, 1) => {
                    return Ending::Reset(payload.try_into().map(u32::from_be_bytes).unwrap_or_default());
                }
                (FRAME_GOAWAY, _) => return Ending::Closed,
                _ => {}
            }
        }
    };
    let ending = tokio::time::timeout(Duration::from_secs(REPLY_SECONDS_MAX), reading).await;
    ending.map_err(|_| format!("no end of the stream within {REPLY_SECONDS_MAX} s"))
}

fn frame(bytes: &mut Vec<u8>, kind: u8, flags: u8, stream: u8, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap_or_default().to_be_bytes();
    bytes.extend(length.iter().skip(1));
    bytes.extend([kind, flags, 0, 0, 0, stream]);
    bytes.extend(payload);
}

/// The status at the start of a header block: RFC 7541's static entries 8 to 14, or a literal of three digits.
fn status(block: &[u8]) -> u16 {
    // The peer may begin with a change of the table's size.
    let start = block.iter().position(|byte| byte & 0xe0 != 0x20).unwrap_or(0);
    match block.get(start..) {
        Some([0x88, ..]) => 200,
        Some([0x89, ..]) => 204,
        Some([0x8a, ..]) => 206,
        Some([0x8b, ..]) => 304,
        Some([0x8c, ..]) => 400,
        Some([0x8d, ..]) => 404,
        Some([0x8e, ..]) => 500,
        Some([0x08 | 0x48, length, rest @ ..]) => literal(*length, rest),
        _ => 0,
    }
}

fn literal(length: u8, rest: &[u8]) -> u16 {
    let huffman = length & 0x80 != 0;
    let text = rest.get(..usize::from(length & 0x7f)).unwrap_or_default();
    if huffman {
        digits(text)
    } else {
        std::str::from_utf8(text)
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(0)
    }
}

/// Digits in HPACK's Huffman code: 0, 1 and 2 take five bits (their own value), 3 to 9 take six (0x19 to 0x1f).
fn digits(coded: &[u8]) -> u16 {
    let bits: Vec<u8> = coded
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |shift| byte >> shift & 1))
        .collect();
    let value = |from: usize, count: usize| {
        bits.get(from..from + count)
            .map(|bits| bits.iter().fold(0u16, |value, bit| value << 1 | u16::from(*bit)))
    };
    let (mut at, mut number) = (0, 0);
    while let (Some(five), six) = (value(at, 5), value(at, 6)) {
        match (five, six) {
            (0..=2, _) => (number, at) = (number * 10 + five, at + 5),
            (_, Some(six @ 0x19..=0x1f)) => (number, at) = (number * 10 + six - 0x16, at + 6),
            _ => break,
        }
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_read_in_all_three_spellings() {
        assert_eq!(status(&[0x8d]), 404);
        assert_eq!(status(&[0x20, 0x8c]), 400);
        assert_eq!(status(b"\x08\x03405"), 405);
        // RFC 7541 C.4.3 has "302" as 6402.
        assert_eq!(status(&[0x48, 0x82, 0x64, 0x02]), 302);
    }
}
