//! `multipart/form-data` (RFC 7578), strictly: every byte belongs to a delimiter, a part's head or a part's content.
//!
//! Refused, since servers read it in two ways: text before the first delimiter or behind the last, a missing last
//! delimiter, lines that end in LF or CR alone, blanks after a delimiter, a boundary inside a part, folded or unknown
//! fields, `name` missing, twice or as `name*`, `filename*` (RFC 7578 §4.2), escapes and control characters in names,
//! transfer encodings and multiparts within. Parts borrow from the body.

use super::media::{MediaType, is_token, next_parameter};

/// One part of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part<'b> {
    pub name: &'b str,
    /// There for a file, perhaps empty.
    pub file_name: Option<&'b str>,
    pub content_type: Option<MediaType>,
    pub content: &'b [u8],
}

impl<'b> Part<'b> {
    /// The content as text, where it is no file.
    pub fn text(&self) -> Option<&'b str> {
        std::str::from_utf8(self.content)
            .ok()
            .filter(|_| self.file_name.is_none())
    }
}

/// Why a body is no form; the text completes "The multipart body has ...".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MultipartFault {
    pub text: &'static str,
    /// A bound was met, rather than a rule broken.
    pub is_limit: bool,
}

const fn fault(text: &'static str) -> MultipartFault {
    MultipartFault { text, is_limit: false }
}

/// Bytes of one part's head: three short fields. Browsers' names and file names have at most 255 bytes each.
const HEAD_BYTES_MAX: usize = 4096;

/// RFC 2046 §5.1.1.
const BOUNDARY_BYTES_MAX: usize = 70;

/// Whether a text can be a boundary that every reader takes for the same: RFC 2046's characters without the space.
pub fn is_boundary(text: &str) -> bool {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"'()+_,-./:=?".contains(&b);
    (1..=BOUNDARY_BYTES_MAX).contains(&text.len()) && text.bytes().all(good)
}

fn find_line_end(text: &[u8]) -> Option<usize> {
    text.windows(2).position(|pair| pair == b"\r\n")
}

/// A text that is searched for in time that follows the body's length alone (Knuth, Morris and Pratt): both are the
/// client's.
struct Needle<'n> {
    text: &'n [u8],
    /// For each prefix, the length of the longest proper prefix that ends it too.
    falls: Vec<usize>,
}

impl<'n> Needle<'n> {
    fn new(text: &'n [u8]) -> Self {
        let mut needle = Self {
            text,
            falls: Vec::with_capacity(text.len()),
        };
        let mut length = 0;
        for (at, byte) in text.iter().enumerate() {
            if at > 0 {
                length = needle.step(length, *byte);
            }
            needle.falls.push(length);
        }
        needle
    }

    /// How much of it has come once `byte` comes after `length` bytes of it.
    fn step(&self, mut length: usize, byte: u8) -> usize {
        loop {
            if self.text.get(length) == Some(&byte) {
                return length + 1;
            }
            match length.checked_sub(1).and_then(|last| self.falls.get(last)) {
                Some(fall) => length = *fall,
                None => return 0,
            }
        }
    }

    /// Where it starts first.
    fn find(&self, text: &[u8]) -> Option<usize> {
        let mut length = 0;
        for (at, byte) in text.iter().enumerate() {
            length = self.step(length, *byte);
            if length == self.text.len() {
                return (at + 1).checked_sub(length);
            }
        }
        None
    }
}

/// Reads a whole body; at most `parts_max` parts.
///
/// # Errors
/// The first fault.
pub fn parse<'b>(body: &'b [u8], boundary: &str, parts_max: usize) -> Result<Vec<Part<'b>>, MultipartFault> {
    let delimiter = format!("--{boundary}");
    let delimiter = delimiter.as_bytes();
    let needle = Needle::new(delimiter);
    let mut rest = body.strip_prefix(delimiter).ok_or(fault("no delimiter at its start"))?;
    let mut parts = Vec::new();
    loop {
        if let Some(after) = rest.strip_prefix(b"--") {
            return match after {
                b"" | b"\r\n" => Ok(parts),
                _ => Err(fault("text behind its last delimiter")),
            };
        }
        let from_head = rest
            .strip_prefix(b"\r\n")
            .ok_or(fault("a delimiter that no line break follows"))?;
        if parts.len() >= parts_max {
            return Err(MultipartFault {
                text: "too many parts",
                is_limit: true,
            });
        }
        let (mut part, content_length, from_content) = head(from_head)?;
        // A boundary that stands anywhere but at a part's end is one to some readers; also in a head.
        let head = from_head.get(..from_head.len().saturating_sub(from_content.len()));
        if head.is_some_and(|head| needle.find(head).is_some()) {
            return Err(fault("its boundary inside a part"));
        }
        let end = needle.find(from_content).ok_or(fault("no last delimiter"))?;
        part.content = from_content
            .get(..end)
            .and_then(|before| before.strip_suffix(b"\r\n"))
            .ok_or(fault("its boundary inside a part"))?;
        if content_length.is_some_and(|length| length != part.content.len()) {
            return Err(fault("a part of another length than it says"));
        }
        rest = from_content.get(end + delimiter.len()..).unwrap_or_default();
        parts.push(part);
    }
}

/// A part's head: the part without its content, the length it declares, and what follows.
fn head(mut rest: &[u8]) -> Result<(Part<'_>, Option<usize>, &[u8]), MultipartFault> {
    let (mut disposition, mut content_type, mut transfer, mut length) = (None, None, None, None);
    let whole = rest.len();
    loop {
        let searched = rest.get(..rest.len().min(HEAD_BYTES_MAX)).unwrap_or_default();
        let end = find_line_end(searched).ok_or(fault("a part's head without an end, or too long a one"))?;
        let line = rest.get(..end).unwrap_or_default();
        rest = rest.get(end + 2..).unwrap_or_default();
        if whole - rest.len() > HEAD_BYTES_MAX {
            return Err(fault("a part's head without an end, or too long a one"));
        }
        if line.is_empty() {
            break;
        }
        let line = std::str::from_utf8(line).map_err(|_| fault("a part's head that is not UTF-8"))?;
        if line.chars().any(char::is_control) {
            return Err(fault("a control character in a part's head"));
        }
        let (name, value) = line.split_once(':').ok_or(fault("a part's field without a colon"))?;
        if !is_token(name) {
            return Err(fault("a part's field whose name is none"));
        }
        let place = match name.to_ascii_lowercase().as_str() {
            "content-disposition" => &mut disposition,
            "content-type" => &mut content_type,
            "content-transfer-encoding" => &mut transfer,
            "content-length" => &mut length,
            _ => return Err(fault("a part's field that is not accepted")),
        };
        if place.replace(value.trim_matches(' ')).is_some() {
            return Err(fault("a part's field twice"));
        }
    }
    let (name, file_name) = names(disposition.ok_or(fault("a part without a Content-Disposition"))?)?;
    let media = content_type.map(|value| MediaType::parse(value.as_bytes()).ok_or(fault("a part's type that is none")));
    let media = media.transpose()?;
    if media.as_ref().is_some_and(MediaType::is_multipart) {
        return Err(fault("a multipart within"));
    }
    if media.as_ref().is_some_and(|media| !media.is_utf8()) && file_name.is_none() {
        return Err(fault("a part in another charset than UTF-8"));
    }
    if transfer.is_some_and(|coding| {
        !["binary", "8bit", "7bit"]
            .iter()
            .any(|known| coding.eq_ignore_ascii_case(known))
    }) {
        return Err(fault("a transfer encoding"));
    }
    let digits = |text: &&str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let length = length.map(|text: &str| Some(text).filter(digits).and_then(|text| text.parse().ok()));
    let length = length.map(|length: Option<usize>| length.ok_or(fault("a part's length that is no number")));
    let part = Part {
        name,
        file_name,
        content_type: media,
        content: &[],
    };
    Ok((part, length.transpose()?, rest))
}

/// `name` and `filename` of a Content-Disposition.
fn names(value: &str) -> Result<(&str, Option<&str>), MultipartFault> {
    let (kind, rest) = value.split_once(';').unwrap_or((value, ""));
    if !kind.trim_matches(' ').eq_ignore_ascii_case("form-data") {
        return Err(fault("a part that is no form-data"));
    }
    let (mut name, mut file_name) = (None, None);
    let mut rest = rest.trim_start_matches(' ');
    while !rest.is_empty() {
        let (key, value, after) = next_parameter(rest).ok_or(fault("a malformed Content-Disposition"))?;
        let place = match key.to_ascii_lowercase().as_str() {
            "name" => &mut name,
            "filename" => &mut file_name,
            _ => return Err(fault("a Content-Disposition with more than a name and a file name")),
        };
        if place.replace(value).is_some() {
            return Err(fault("a part with two names"));
        }
        rest = after;
    }
    let name = name
        .filter(|name| !name.is_empty())
        .ok_or(fault("a part without a name"))?;
    // A path in a file name is for the server to mistake.
    let stray = file_name.is_some_and(|name: &str| {
        name.contains('\\') || name.starts_with('/') || name.split('/').any(|part| part == "." || part == "..")
    });
    if stray {
        return Err(fault("a file name that leads elsewhere"));
    }
    Ok((name, file_name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good(name: &str, head: &str, content: &str) -> String {
        format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"{head}\r\n\r\n{content}\r\n")
    }

    #[track_caller]
    fn refused(body: &str, why: &str) {
        let found = parse(body.as_bytes(), "B", 3);
        assert_eq!(found.map_err(|fault| fault.text), Err(why), "{body}");
    }

    #[test]
    fn parts_are_read_as_they_are() {
        let body = [
            good("a", "", "1"),
            good(
                "f",
                "; filename=\"x/y é.png\"\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: binary",
                "\u{0}\r\n--\r\nb",
            ),
            "--B\r\ncontent-disposition:form-data;name=t\r\ncontent-length: 0\r\n\r\n\r\n--B--\r\n".to_owned(),
        ]
        .concat();
        let parts = parse(body.as_bytes(), "B", 3).unwrap();
        let shown: Vec<_> = parts.iter().map(|p| (p.name, p.file_name, p.content)).collect();
        let file = &b"\0\r\n--\r\nb"[..];
        assert_eq!(
            shown,
            [("a", None, &b"1"[..]), ("f", Some("x/y é.png"), file), ("t", None, b"")]
        );
        assert_eq!(parts[1].content_type.as_ref().unwrap().essence, "image/png");
        assert_eq!(parts[0].text(), Some("1"));
        assert_eq!(parts[1].text(), None);
        assert_eq!(parse(b"--B--", "B", 3), Ok(vec![]));
        // Every cut of it is refused.
        let whole = body.len() - 2;
        for end in 0..whole {
            assert!(parse(&body.as_bytes()[..end], "B", 3).is_err(), "{end}");
        }
    }

    #[test]
    fn what_has_two_meanings_is_refused() {
        let one = good("a", "", "1");
        refused("", "no delimiter at its start");
        refused(&format!("x\r\n{one}--B--"), "no delimiter at its start");
        refused(&format!("\r\n{one}--B--"), "no delimiter at its start");
        refused(&one, "no last delimiter");
        refused(&format!("{one}--B"), "a delimiter that no line break follows");
        refused(&format!("{one}--B--x"), "text behind its last delimiter");
        refused(&format!("{one}--B--\r\n\r\n"), "text behind its last delimiter");
        refused(&format!("{one}--B--\r\n{one}--B--"), "text behind its last delimiter");
        refused(
            &format!("{one}--B \r\n{one}--B--"),
            "a delimiter that no line break follows",
        );
        refused(&format!("{one}--BB\r\n"), "a delimiter that no line break follows");
        refused(&good("a", "", "x\n--B\r\n"), "its boundary inside a part");
        refused(&good("a", "", "x--B--"), "its boundary inside a part");
        refused(
            &format!("{}--B--", good("a", "; filename=\"x--B\"", "1")),
            "its boundary inside a part",
        );
        refused(&one.replace("\r\n", "\n"), "a delimiter that no line break follows");
        refused(&good("a", "\nX: 1", "1"), "a control character in a part's head");
        refused(&good("a", "\r\n folded", "1"), "a part's field without a colon");
        refused(&good("a", "\r\nX-Other: 1", "1"), "a part's field that is not accepted");
        refused(
            &good("a", "\r\nContent-Type : text/plain", "1"),
            "a part's field whose name is none",
        );
        refused(
            &good("a", "\r\nContent-Disposition: form-data; name=\"b\"", "1"),
            "a part's field twice",
        );
        refused(&good("a", "; name=\"b\"", "1"), "a part with two names");
        refused(&good("a", "; NAME=b", "1"), "a part with two names");
        refused(&good("", "", "1"), "a part without a name");
        refused(&good("a\\\"b", "", "1"), "a malformed Content-Disposition");
        refused(&good("a\"b", "", "1"), "a malformed Content-Disposition");
        refused(&good("a\tb", "", "1"), "a control character in a part's head");
        for extra in ["; filename*=UTF-8''x", "; name*=UTF-8''x", "; x=1"] {
            refused(
                &good("a", extra, "1"),
                "a Content-Disposition with more than a name and a file name",
            );
        }
        for name in ["..", "../x", "a/../b", "/etc/passwd", "."] {
            refused(
                &good("a", &format!("; filename=\"{name}\""), "1"),
                "a file name that leads elsewhere",
            );
        }
        refused(
            &good("a", "; filename=\"C:\\x\"", "1"),
            "a malformed Content-Disposition",
        );
        refused(
            &good("a", "\r\nContent-Type: multipart/mixed; boundary=C", "1"),
            "a multipart within",
        );
        refused(
            &good("a", "\r\nContent-Type: text/plain; charset=utf-7", "1"),
            "a part in another charset than UTF-8",
        );
        refused(&good("a", "\r\nContent-Type: text", "1"), "a part's type that is none");
        refused(
            &good("a", "\r\nContent-Transfer-Encoding: base64", "1"),
            "a transfer encoding",
        );
        refused(
            &format!("{}--B--", good("a", "\r\nContent-Length: 2", "1")),
            "a part of another length than it says",
        );
        refused(
            &good("a", "\r\nContent-Length: +1", "1"),
            "a part's length that is no number",
        );
        refused(
            "--B\r\nContent-Type: text/plain\r\n\r\nx\r\n--B--",
            "a part without a Content-Disposition",
        );
        refused(
            "--B\r\nContent-Disposition: attachment; name=a\r\n\r\nx\r\n--B--",
            "a part that is no form-data",
        );
        refused(&format!("{}--B--", one.repeat(4)), "too many parts");
        let long = good(&"x".repeat(HEAD_BYTES_MAX), "", "1");
        refused(&long, "a part's head without an end, or too long a one");
    }

    #[test]
    fn a_boundary_is_plain() {
        assert!(is_boundary("----WebKitFormBoundary7MA4YWxkTrZu0gW"));
        assert!(is_boundary(&"a".repeat(70)));
        for text in ["", " ", "a b", "a\"b", "a;b", "é", &"a".repeat(71)] {
            assert!(!is_boundary(text), "{text}");
        }
    }
}
