//! The services around Envoy, as small as they can be: the backend, the authorisation service of the native chain, and the
//! source of revocations. One answers for all, by path; every login fails.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use portcullis_cost::policies::REVOKED;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 3\r\n\r\nok\n";
const UNAUTHORIZED: &[u8] = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n";
const NOT_FOUND: &[u8] = b"HTTP/1.1 404 Not Found\r\ncontent-type: text/plain\r\ncontent-length: 3\r\n\r\nno\n";

/// Starts it; it lives as long as this program. Its port is returned.
pub fn start() -> Result<u16, String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(|error| format!("can't listen: {error}"))?;
    let port = listener.local_addr().map_err(|error| error.to_string())?.port();
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            // A connection that breaks is Envoy's to notice.
            thread::spawn(move || serve(connection));
        }
    });
    Ok(port)
}

fn serve(mut connection: TcpStream) -> std::io::Result<()> {
    connection.set_nodelay(true)?;
    let mut buffer = Vec::new();
    let mut piece = vec![0; 64 * 1024];
    loop {
        while let Some((length, answer)) = whole_request(&buffer) {
            connection.write_all(answer)?;
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
fn whole_request(text: &[u8]) -> Option<(usize, &'static [u8])> {
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
    let answer = match path.strip_prefix(b"/revoked/") {
        Some(id) if !id.starts_with(REVOKED.as_bytes()) => NOT_FOUND,
        None if path == b"/login" => UNAUTHORIZED,
        _ => OK,
    };
    (text.len() >= head + body).then_some((head + body, answer))
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
        assert_eq!(whole_request(both.as_bytes()), Some((first.len(), OK)));
        assert_eq!(whole_request(&first.as_bytes()[..first.len() - 1]), None);
        assert_eq!(whole_request(second.as_bytes()), Some((second.len(), NOT_FOUND)));
        assert_eq!(
            whole_request(b"GET /revoked/out-1 HTTP/1.1\r\n\r\n").map(|r| r.1),
            Some(OK)
        );
    }
}
