//! Multipart forms: the parts that are accepted, written again as RFC 7578 has them, are the body that came.

use portcullis::guard::requests::multipart::{is_boundary, parse};

const PARTS_MAX: usize = 8;

/// The boundary, a line break, and the body.
pub fn run(input: &[u8]) {
    let Some(end) = input.iter().position(|b| *b == b'\n') else {
        return;
    };
    let (boundary, body) = input.split_at(end);
    let Some(boundary) = std::str::from_utf8(boundary).ok().filter(|text| is_boundary(text)) else {
        return;
    };
    let body = &body[1..];
    let Ok(parts) = parse(body, boundary, PARTS_MAX) else {
        return;
    };
    assert!(parts.len() <= PARTS_MAX);
    // Delimiters are where they must be and nowhere else.
    let delimiter = format!("--{boundary}");
    let count = body
        .windows(delimiter.len())
        .filter(|w| *w == delimiter.as_bytes())
        .count();
    assert!(
        count == parts.len() + 1 || delimiter.bytes().all(|b| b == b'-'),
        "{count} delimiters"
    );
    let mut rest = body
        .strip_prefix(delimiter.as_bytes())
        .expect("a delimiter at the start");
    for part in &parts {
        assert!(!part.name.is_empty() && !part.name.chars().any(|c| c.is_control() || c == '"' || c == '\\'));
        assert!(
            part.file_name
                .is_none_or(|name| !name.contains("..\\") && !name.contains('"'))
        );
        assert_eq!(
            part.text().is_some(),
            part.file_name.is_none() && std::str::from_utf8(part.content).is_ok()
        );
        let head = rest.strip_prefix(b"\r\n").expect("a line break");
        let at = head
            .windows(4)
            .position(|w| w == b"\r\n\r\n")
            .expect("an end of the head");
        let (fields, content) = head.split_at(at);
        let fields = std::str::from_utf8(fields)
            .expect("fields in UTF-8")
            .to_ascii_lowercase();
        let named = |name: &str| fields.lines().filter(|line| line.starts_with(name)).count();
        assert_eq!(named("content-disposition:"), 1, "{fields}");
        assert!(
            part.content_type
                .as_ref()
                .is_none_or(|media| !media.essence.starts_with("multipart/"))
        );
        let content = &content[4..];
        assert!(content.starts_with(part.content));
        let after = &content[part.content.len()..];
        rest = after
            .strip_prefix(b"\r\n")
            .and_then(|after| after.strip_prefix(delimiter.as_bytes()))
            .expect("a delimiter");
    }
    assert!(rest == b"--" || rest == b"--\r\n");
}
