//! The one normalisation of a request path: what is judged is what is forwarded.
//!
//! Percent-encoded unreserved characters are decoded once (RFC 3986 §6.2.2.2), other encodings are written in upper
//! case, what must be encoded is, dot segments are removed (§5.2.4) and repeated slashes merged. Refused rather than
//! repaired: encoded slashes, backslashes and control characters, malformed and `%u` encodings, bytes that do not
//! decode to UTF-8 (so every overlong form), fragments, and dot segments that hide behind a `;`.

use std::borrow::Cow;

/// A path in normal form, with the query as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    path: String,
    query: Option<String>,
    /// Whether the normal form differs from what came, so that the head must be rewritten.
    changed: bool,
}

/// Why a path has no normal form; the text completes "the path has ...".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathFault(pub &'static str);

/// How a byte of a path is treated.
enum Byte {
    /// Stands for itself whether or not it came encoded.
    Unreserved,
    /// Stands for itself when it came as it is; stays encoded when it came encoded.
    Reserved,
    /// Always encoded.
    Encoded,
    /// Never accepted.
    Refused(&'static str),
}

fn class(byte: u8, encoded: bool) -> Byte {
    match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => Byte::Unreserved,
        0..=0x1F | 0x7F => Byte::Refused("a control character"),
        b'\\' => Byte::Refused("a backslash"),
        b'/' if encoded => Byte::Refused("an encoded slash"),
        b'#' if !encoded => Byte::Refused("a fragment"),
        // sub-delims, ":" and "@" (RFC 3986 §3.3)
        b'/' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':' | b'@' => {
            Byte::Reserved
        }
        _ => Byte::Encoded,
    }
}

fn hex_value(byte: Option<&u8>) -> Option<u8> {
    let digit = char::from(*byte?).to_digit(16)?;
    u8::try_from(digit).ok()
}

fn push_encoded(out: &mut String, byte: u8) {
    const HEX: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F',
    ];
    out.push('%');
    for nibble in [byte >> 4, byte & 0xF] {
        out.push(HEX.get(usize::from(nibble)).copied().unwrap_or('0'));
    }
}

/// Percent-encodes everything but ASCII letters, digits, `-` and `_`: one path segment that no server splits, and in
/// which no suffix means anything.
pub fn encode_segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => out.push(char::from(byte)),
            byte => push_encoded(&mut out, byte),
        }
    }
    out
}

impl Target {
    /// Normalises `:path` as it came.
    ///
    /// # Errors
    /// What can't be given a normal form, by the rule that it breaks.
    pub fn parse(raw: &[u8]) -> Result<Self, PathFault> {
        let mut parts = raw.splitn(2, |b| *b == b'?');
        let raw_path = parts.next().unwrap_or_default();
        let raw_query = parts.next();
        if raw_path.first() != Some(&b'/') {
            return Err(PathFault("no slash at its start"));
        }
        let path = match as_it_is(raw_path) {
            Some(path) => path.to_owned(),
            None => remove_dot_segments(&encode_normally(raw_path)?)?,
        };
        let query = match raw_query {
            None => None,
            Some(query) => Some(check_query(query)?.to_owned()),
        };
        Ok(Self {
            changed: path.as_bytes() != raw_path,
            path,
            query,
        })
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    /// The value for `:path`, where it differs from what came.
    pub fn rewritten(&self) -> Option<String> {
        self.changed.then(|| match &self.query {
            None => self.path.clone(),
            Some(query) => format!("{}?{query}", self.path),
        })
    }

    /// What follows the `?`, as it came.
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// The segments of [`Target::segments`], each as it stands in the path and as it is matched.
    pub fn written_segments(&self) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
        let segments = self.path.split('/').map(|written| (written, matched_part(written)));
        segments.filter(|(_, matched)| !matched.is_empty())
    }

    /// The segments that operations are matched by: decoded, each without what follows a `;`, empty ones left out, so
    /// that `/login/`, `/login;x` and `/;x/login` are `/login`.
    pub fn segments(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.written_segments().map(|(_, matched)| matched)
    }
}

/// A path that is in normal form already, as nearly all are: known by one look at each byte.
fn as_it_is(raw: &[u8]) -> Option<&str> {
    let mut before = 0;
    for &byte in raw {
        let plain = match byte {
            b'.' | b'/' => before != b'/',
            // What follows a `;` may hide a dot segment.
            b';' => false,
            byte => matches!(class(byte, false), Byte::Unreserved | Byte::Reserved),
        };
        if !plain {
            return None;
        }
        before = byte;
    }
    std::str::from_utf8(raw).ok()
}

fn encode_normally(raw: &[u8]) -> Result<String, PathFault> {
    let mut out = String::with_capacity(raw.len());
    let mut decoded = Vec::with_capacity(raw.len());
    let mut at = 0;
    while let Some(&byte) = raw.get(at) {
        at += 1;
        let (byte, encoded) = if byte == b'%' {
            let (Some(high), Some(low)) = (hex_value(raw.get(at)), hex_value(raw.get(at + 1))) else {
                return Err(PathFault("a malformed percent-encoding"));
            };
            at += 2;
            (high << 4 | low, true)
        } else {
            (byte, false)
        };
        decoded.push(byte);
        match class(byte, encoded) {
            Byte::Refused(what) => return Err(PathFault(what)),
            Byte::Unreserved => out.push(char::from(byte)),
            Byte::Reserved if !encoded => out.push(char::from(byte)),
            Byte::Reserved | Byte::Encoded => push_encoded(&mut out, byte),
        }
    }
    match std::str::from_utf8(&decoded) {
        Ok(_) => Ok(out),
        Err(_) => Err(PathFault("bytes that are not UTF-8")),
    }
}

fn remove_dot_segments(written: &str) -> Result<String, PathFault> {
    let mut kept: Vec<&str> = Vec::new();
    // A path that ends in a slash, or in a dot segment, names a directory: the slash stays.
    let mut directory = false;
    for segment in written.split('/').skip(1) {
        directory = false;
        match segment {
            "" | "." => directory = true,
            ".." => {
                kept.pop();
                directory = true;
            }
            segment => {
                // `/a/..;x/b` is `/b` to servers that cut path parameters first.
                if let "." | ".." = matched_part(segment).as_ref() {
                    return Err(PathFault("a dot segment with a parameter"));
                }
                kept.push(segment);
            }
        }
    }
    let mut path = String::with_capacity(written.len());
    for segment in &kept {
        path.push('/');
        path.push_str(segment);
    }
    if directory || kept.is_empty() {
        path.push('/');
    }
    Ok(path)
}

/// A query is forwarded as it came; what no parser agrees on is refused.
fn check_query(query: &[u8]) -> Result<&str, PathFault> {
    let text = std::str::from_utf8(query).map_err(|_| PathFault("a query that is not UTF-8"))?;
    if text.bytes().any(|b| b < 0x20 || b == 0x7F) {
        return Err(PathFault("a control character in the query"));
    }
    if text.contains('#') {
        return Err(PathFault("a fragment"));
    }
    Ok(text)
}

/// A segment of a normal form: decoded, up to its first `;`.
fn matched_part(segment: &str) -> Cow<'_, str> {
    let decoded = if segment.bytes().any(|byte| byte == b'%') {
        let mut bytes = Vec::with_capacity(segment.len());
        let mut rest = segment.as_bytes();
        while let Some((&byte, tail)) = rest.split_first() {
            rest = tail;
            if byte == b'%'
                && let (Some(high), Some(low)) = (hex_value(tail.first()), hex_value(tail.get(1)))
            {
                bytes.push(high << 4 | low);
                rest = tail.get(2..).unwrap_or_default();
            } else {
                bytes.push(byte);
            }
        }
        match String::from_utf8(bytes) {
            Ok(text) => Cow::Owned(text),
            Err(_) => Cow::Borrowed(segment),
        }
    } else {
        Cow::Borrowed(segment)
    };
    match (decoded.bytes().position(|byte| byte == b';'), decoded) {
        (None, whole) => whole,
        (Some(end), Cow::Borrowed(text)) => Cow::Borrowed(text.get(..end).unwrap_or(text)),
        (Some(end), Cow::Owned(mut text)) => {
            text.truncate(end);
            Cow::Owned(text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn normal(raw: &str, expected: &str) {
        let target = Target::parse(raw.as_bytes()).unwrap();
        let whole = target.rewritten().unwrap_or_else(|| raw.to_owned());
        assert_eq!(whole, expected);
        assert_eq!(target.rewritten().is_some(), raw != expected);
        // A normal form is its own normal form.
        assert_eq!(
            Target::parse(expected.as_bytes()).unwrap().rewritten(),
            None,
            "not a fixed point"
        );
    }

    #[track_caller]
    fn refused(raw: &[u8], why: &str) {
        assert_eq!(
            Target::parse(raw).unwrap_err().0,
            why,
            "{}",
            String::from_utf8_lossy(raw)
        );
    }

    /// Every path of up to seven of the bytes that matter.
    #[test]
    fn what_is_taken_as_it_is_is_its_own_normal_form() {
        let letters = b"/.;%a~";
        let mut taken = 0;
        for number in 0..letters.len().pow(7) {
            let mut rest = number;
            let mut raw = vec![b'/'];
            while rest > 0 {
                raw.push(letters[rest % letters.len()]);
                rest /= letters.len();
            }
            if let Some(path) = as_it_is(&raw) {
                let written = encode_normally(&raw).unwrap();
                assert_eq!(remove_dot_segments(&written).as_deref(), Ok(path));
                taken += 1;
            }
        }
        assert!(taken > 1_000, "{taken}");
    }

    #[test]
    fn paths_get_their_normal_form() {
        for (raw, expected) in [
            ("/", "/"),
            ("//", "/"),
            ("/login", "/login"),
            ("/%6Cogin", "/login"),
            ("/%6c%6F%67in", "/login"),
            ("//login", "/login"),
            ("/./login", "/login"),
            ("/x/../login", "/login"),
            ("/x/%2e%2E/login", "/login"),
            ("/../../login", "/login"),
            ("/login/", "/login/"),
            ("/login/.", "/login/"),
            ("/a/b/..", "/a/"),
            ("/..", "/"),
            ("/login;x=1", "/login;x=1"),
            ("/a%3bb", "/a%3Bb"),
            ("/caf%c3%a9", "/caf%C3%A9"),
            ("/café", "/caf%C3%A9"),
            ("/a b\"<>", "/a%20b%22%3C%3E"),
            ("/a%252fb", "/a%252fb"),
            ("/x?a=%2e/../b", "/x?a=%2e/../b"),
            ("/%78?", "/x?"),
            ("/x?a?b", "/x?a?b"),
            ("/...", "/..."),
            ("/:@!$&'()*+,=", "/:@!$&'()*+,="),
        ] {
            normal(raw, expected);
        }
    }

    #[test]
    fn paths_without_one_meaning_are_refused() {
        for (raw, why) in [
            ("", "no slash at its start"),
            ("*", "no slash at its start"),
            ("login", "no slash at its start"),
            ("http://x/login", "no slash at its start"),
            ("?x", "no slash at its start"),
            ("/a%2fb", "an encoded slash"),
            ("/a%5cb", "a backslash"),
            ("/a\\b", "a backslash"),
            ("/a%00", "a control character"),
            ("/a%0d%0ab", "a control character"),
            ("/a%7F", "a control character"),
            ("/a\tb", "a control character"),
            ("/a%", "a malformed percent-encoding"),
            ("/a%2", "a malformed percent-encoding"),
            ("/a%zz", "a malformed percent-encoding"),
            ("/a%u002e", "a malformed percent-encoding"),
            ("/a%+1", "a malformed percent-encoding"),
            ("/%c0%ae%c0%ae/", "bytes that are not UTF-8"),
            ("/%ff", "bytes that are not UTF-8"),
            ("/%ed%a0%80", "bytes that are not UTF-8"),
            ("/a#b", "a fragment"),
            ("/a?b#c", "a fragment"),
            ("/a/..;x/b", "a dot segment with a parameter"),
            ("/a/..%3bx/b", "a dot segment with a parameter"),
            ("/a/.;/b", "a dot segment with a parameter"),
            ("/a?\u{1}", "a control character in the query"),
        ] {
            refused(raw.as_bytes(), why);
        }
        refused(b"/\xff", "bytes that are not UTF-8");
        refused(b"/x?\xff", "a query that is not UTF-8");
    }

    #[test]
    fn spellings_of_one_path_match_as_one() {
        for raw in [
            "/login",
            "/%6Cogin",
            "//login",
            "/./login",
            "/login/",
            "/login;x",
            "/login;x=1/",
            "/login//",
            "/;x/login",
            "/x/../login",
            "/login%3Bx",
            "/login?x=1",
            "/%6c%6f%67%69%6e/.",
        ] {
            let target = Target::parse(raw.as_bytes()).unwrap();
            assert_eq!(target.segments().collect::<Vec<_>>(), ["login"], "{raw}");
        }
        let target = Target::parse(b"/a%20b/%C3%A9/%2e%2e%2f").unwrap_err();
        assert_eq!(target.0, "an encoded slash");
        let target = Target::parse(b"/a%20b/%C3%A9/c%252Fd").unwrap();
        assert_eq!(target.segments().collect::<Vec<_>>(), ["a b", "é", "c%2Fd"]);
    }

    #[test]
    fn a_segment_is_encoded_so_that_nothing_in_it_has_a_meaning() {
        assert_eq!(encode_segment("aZ9-_"), "aZ9-_");
        assert_eq!(encode_segment("a/b.json?é%"), "a%2Fb%2Ejson%3F%C3%A9%25");
    }
}
