//! Hand-written HTTP/1.1 over TLS: bytes that no HTTP library would send.

use std::time::Duration;

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::Outcome;
use crate::client::{Client, REPLY_SECONDS_MAX};
use crate::message::Reply;

// No answer of the stack is larger; it ends a reader that would wait for ever for the end of a broken one.
const REPLY_BYTES_MAX: usize = 4 << 20;

/// A TLS connection on which the caller writes the bytes. Writing and reading are independent, as an early refusal needs.
pub struct RawConnection {
    reader: RawReader,
    writer: WriteHalf<TlsStream<TcpStream>>,
}

/// The reading half: whole answers, one after another.
pub struct RawReader {
    stream: ReadHalf<TlsStream<TcpStream>>,
    pending: Vec<u8>,
    ended: bool,
}

impl RawConnection {
    /// Opens one from the client's address.
    pub async fn open(client: &Client) -> Outcome<Self> {
        let (stream, writer) = tokio::io::split(client.raw().await?);
        Ok(Self {
            reader: RawReader {
                stream,
                pending: Vec::new(),
                ended: false,
            },
            writer,
        })
    }

    /// Writes all bytes, in records of at most 16 KiB.
    pub async fn write(&mut self, bytes: &[u8]) -> Outcome<()> {
        let writing = async {
            self.writer.write_all(bytes).await?;
            self.writer.flush().await
        };
        timed("writing", writing).await
    }

    /// Says that nothing more will be written.
    pub async fn end(&mut self) -> Outcome<()> {
        timed("ending", self.writer.shutdown()).await
    }

    /// Writes the first piece of `pieces`, then each next one, each in a record of its own, while reading the answer: the
    /// peer may refuse and close before all is written.
    pub async fn write_while_reading(mut self, pieces: impl Iterator<Item = Vec<u8>> + Send) -> Outcome<Reply> {
        let writing = async {
            for piece in pieces {
                if self.writer.write_all(&piece).await.is_err() || self.writer.flush().await.is_err() {
                    break;
                }
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            reply = self.reader.reply("GET") => reply,
            () = writing => Err("the writer never ends".to_owned()),
        }
    }

    /// The next answer. An error if the connection ends before one is whole.
    pub async fn reply(&mut self) -> Outcome<Reply> {
        self.reader.reply("GET").await
    }

    /// The next answer, to a request of this method: one to HEAD has no body, whatever its fields say.
    pub async fn reply_to(&mut self, method: &str) -> Outcome<Reply> {
        self.reader.reply(method).await
    }

    /// Whether the peer has closed the connection, waiting for it or for another byte.
    pub async fn is_closed(&mut self) -> Outcome<bool> {
        self.reader.fill().await?;
        Ok(self.reader.ended && self.reader.pending.is_empty())
    }
}

impl RawReader {
    async fn reply(&mut self, method: &str) -> Outcome<Reply> {
        timed("an answer", async {
            loop {
                if let Some(reply) = self.parse(method)? {
                    return Ok(reply);
                }
                if self.ended {
                    let text = String::from_utf8_lossy(&self.pending).into_owned();
                    return Err(format!("the connection ended within an answer: {text:?}"));
                }
                self.fill().await?;
            }
        })
        .await
    }

    async fn fill(&mut self) -> Outcome<()> {
        let mut piece = [0; 16 << 10];
        // A peer that closes without TLS's farewell is an end like any other here.
        let read = timed("reading", self.stream.read(&mut piece)).await.unwrap_or(0);
        self.ended |= read == 0;
        self.pending.extend(piece.iter().take(read));
        if self.pending.len() > REPLY_BYTES_MAX {
            Err("an answer without end".to_owned())
        } else {
            Ok(())
        }
    }

    /// Takes one answer from what has come, if it is whole.
    fn parse(&mut self, method: &str) -> Outcome<Option<Reply>> {
        let Some(head_end) = position(&self.pending, b"\r\n\r\n") else {
            return Ok(None);
        };
        let head = String::from_utf8_lossy(self.pending.get(..head_end).unwrap_or_default()).into_owned();
        let mut lines = head.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.split(' ').nth(1))
            .and_then(|status| status.parse().ok());
        let status: u16 = status.ok_or_else(|| format!("no status line: {head:?}"))?;
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line
                .split_once(':')
                .ok_or_else(|| format!("no header line: {line:?}"))?;
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| error.to_string())?;
            headers.append(
                name,
                HeaderValue::from_str(value.trim()).map_err(|error| error.to_string())?,
            );
        }
        let rest = self.pending.get(head_end + 4..).unwrap_or_default();
        let chunked = headers.get("transfer-encoding").is_some_and(|value| value == "chunked");
        let declared = headers
            .get("content-length")
            .and_then(|value| value.to_str().ok()?.parse().ok());
        let (body, used) = match (chunked, declared) {
            _ if method == "HEAD" || status < 200 || status == 204 || status == 304 => (Vec::new(), 0),
            (true, _) => match unchunk(rest) {
                Some(found) => found,
                None => return Ok(None),
            },
            (false, Some(length)) => match rest.get(..length) {
                Some(body) => (body.to_vec(), length),
                None => return Ok(None),
            },
            (false, None) if self.ended => (rest.to_vec(), rest.len()),
            (false, None) => return Ok(None),
        };
        self.pending.drain(..head_end + 4 + used);
        Ok(Some(Reply {
            status,
            headers,
            body: Bytes::from(body),
        }))
    }
}

/// The chunked body at the start of `bytes` and how many bytes it took; `None` while it isn't whole.
fn unchunk(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let rest = bytes.get(at..)?;
        let line = position(rest, b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(rest.get(..line)?).ok()?.trim(), 16).ok()?;
        let data = rest.get(line + 2..line + 2 + size)?;
        rest.get(line + 2 + size..line + 4 + size)?;
        body.extend(data);
        at += line + 4 + size;
        if size == 0 {
            return Some((body, at));
        }
    }
}

fn position(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    bytes.windows(pattern.len()).position(|window| window == pattern)
}

async fn timed<T, E: ToString>(what: &str, future: impl Future<Output = Result<T, E>>) -> Outcome<T> {
    match tokio::time::timeout(Duration::from_secs(REPLY_SECONDS_MAX), future).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(format!("{what}: {}", error.to_string())),
        Err(_) => Err(format!("{what}: nothing within {REPLY_SECONDS_MAX} s")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunked_body_is_read_when_it_is_whole_and_not_before() {
        let whole = b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nHTTP/1.1 200";
        assert_eq!(unchunk(whole), Some((b"abcde".to_vec(), 20)));
        for cut in 0..20 {
            assert_eq!(unchunk(&whole[..cut]), None, "{cut}");
        }
    }
}
