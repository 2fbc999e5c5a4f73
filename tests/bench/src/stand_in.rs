//! The services around Envoy, as small as they can be: the backend, the authorisation service of the native chain, and the
//! source of revocations, by lookup and by introspection. One answers for all, by path; every login fails.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use portcullis_cost::policies::{ISSUER, REVOKED};
use serde_json::json;

use crate::revoked::feed_page;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 3\r\n\r\nok\n";
const UNAUTHORIZED: &[u8] = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n";
const NOT_FOUND: &[u8] = b"HTTP/1.1 404 Not Found\r\ncontent-type: text/plain\r\ncontent-length: 3\r\n\r\nno\n";

/// Status lists by path.
type Lists = BTreeMap<String, String>;

/// Starts it; it lives as long as this program. Its port is returned.
pub fn start(lists: Lists) -> Result<u16, String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(|error| format!("can't listen: {error}"))?;
    let port = listener.local_addr().map_err(|error| error.to_string())?.port();
    let lists = Arc::new(lists);
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            // A connection that breaks is Envoy's to notice.
            let lists = Arc::clone(&lists);
            thread::spawn(move || serve(connection, &lists));
        }
    });
    Ok(port)
}

fn serve(mut connection: TcpStream, lists: &Lists) -> std::io::Result<()> {
    connection.set_nodelay(true)?;
    let mut buffer = Vec::new();
    let mut piece = vec![0; 64 * 1024];
    loop {
        while let Some((length, answer)) = whole_request(&buffer, lists) {
            connection.write_all(&answer)?;
            buffer.drain(..length);
        }
        match connection.read(&mut piece)? {
            0 => return Ok(()),
            read => buffer.extend_from_slice(&piece[..read]),
        }
    }
}

fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    text.windows(needle.len()).position(|window| window == needle)
}

/// The length of the first request, if all of it is there, and its answer. Envoy writes field names in lower case.
fn whole_request(text: &[u8], lists: &Lists) -> Option<(usize, Cow<'static, [u8]>)> {
    let head = find(text, b"\r\n\r\n")? + 4;
    let body = if let Some(at) = find(&text[..head], b"\r\ncontent-length: ") {
        let digits = text[at + 18..head].iter().take_while(|byte| byte.is_ascii_digit());
        digits.fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'))
    } else if find(&text[..head], b"\r\ntransfer-encoding: chunked").is_some() {
        find(&text[head..], b"0\r\n\r\n")? + 5
    } else {
        0
    };
    let path = text.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    if text.len() < head + body {
        return None;
    }
    if path == b"/introspect" {
        let out = find(&text[head..head + body], format!("token={REVOKED}").as_bytes()).is_some();
        let told = json!({ "active": !out, "iss": ISSUER, "aud": "api", "sub": "user-4711", "exp": 4_102_444_800_u64 });
        return Some((head + body, with_body("application/json", &told.to_string()).into()));
    }
    let answer = match path.strip_prefix(b"/revoked/") {
        Some(id) if !id.starts_with(REVOKED.as_bytes()) => NOT_FOUND,
        None if path == b"/login" => UNAUTHORIZED,
        _ => OK,
    };
    let told = || {
        let path = std::str::from_utf8(path).ok()?;
        let list = || Some(with_body("application/statuslist+jwt", lists.get(path)?));
        list().or_else(|| Some(with_body("application/json", &feed_page(path)?)))
    };
    Some((head + body, told().map_or(Cow::Borrowed(answer), Cow::Owned)))
}

fn with_body(kind: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_apart_and_answered_by_path() {
        let (first, second) = (
            "POST /orders HTTP/1.1\r\ncontent-length: 5\r\n\r\n12345",
            "GET /revoked/a HTTP/1.1\r\n\r\n",
        );
        let both = format!("{first}{second}");
        let lists = Lists::from([("/statuses/1".to_owned(), "a.b.c".to_owned())]);
        let request = |text: &[u8]| whole_request(text, &lists);
        let of = |text: &str, answer: &'static [u8]| Some((text.len(), Cow::Borrowed(answer)));
        assert_eq!(request(both.as_bytes()), of(first, OK));
        assert_eq!(request(&first.as_bytes()[..first.len() - 1]), None);
        assert_eq!(request(second.as_bytes()), of(second, NOT_FOUND));
        for (token, active) in [("out-1", false), ("opaque", true)] {
            let body = format!("token={token}");
            let asked = format!(
                "POST /introspect HTTP/1.1\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            let (length, answer) = request(asked.as_bytes()).unwrap();
            assert_eq!(length, asked.len());
            let answer = String::from_utf8_lossy(&answer).into_owned();
            assert!(answer.contains(&format!("\"active\":{active}")), "{answer}");
        }
        let revoked = "GET /revoked/out-1 HTTP/1.1\r\n\r\n";
        assert_eq!(request(revoked.as_bytes()), of(revoked, OK));
        for (path, end) in [("/statuses/1", "\r\n\r\na.b.c"), ("/feed/id/1", "}]}")] {
            let (_, answer) = request(format!("GET {path} HTTP/1.1\r\n\r\n").as_bytes()).unwrap();
            assert!(answer.ends_with(end.as_bytes()), "{path}");
        }
    }
}
