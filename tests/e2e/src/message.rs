//! What clients send and what comes back.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::{HeaderMap, Response};
use serde_json::Value;

use crate::random;

/// The header by which a test finds its own request at the backend.
pub const TEST_ID: &str = "x-test-id";

/// A request as a test writes it. Cheap to clone and to vary.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method, as it stands on the wire.
    pub method: String,
    /// The path and query, as they stand on the wire.
    pub path: String,
    /// Names in lower case and values as bytes, in order, repeated or not.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body's pieces; more than one is sent without a declared length.
    pub body: Vec<Bytes>,
    /// Fields that end the body.
    pub trailers: Vec<(&'static str, &'static str)>,
}

impl Request {
    /// A request with a user agent, which the demo's policy requires, and nothing else.
    pub fn new(method: &str, path: &str) -> Self {
        let request = Self {
            method: method.to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            trailers: Vec::new(),
        };
        request.header("user-agent", "portcullis-e2e")
    }

    /// A GET.
    pub fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    /// A POST without a body.
    pub fn post(path: &str) -> Self {
        Self::new("POST", path)
    }

    /// A POST of JSON.
    pub fn post_json(path: &str, value: &Value) -> Self {
        Self::post(path).json(&value.to_string())
    }

    /// Adds a header, also when there is one of that name.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// Leaves a header out.
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self
    }

    /// Adds a bearer token.
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    /// Sets a JSON body, well-formed or not, with its content type.
    pub fn json(self, text: &str) -> Self {
        self.header("content-type", "application/json").body(text.as_bytes())
    }

    /// Sets the body alone.
    pub fn body(mut self, bytes: &[u8]) -> Self {
        self.body = vec![Bytes::copy_from_slice(bytes)];
        self
    }

    /// Cuts the body into pieces of so many bytes, sent without a declared length.
    pub fn in_pieces(mut self, size: usize) -> Self {
        let whole: Vec<u8> = self.body.concat();
        self.body = whole.chunks(size.max(1)).map(Bytes::copy_from_slice).collect();
        self
    }

    /// Ends the body with a trailer field.
    pub fn trailer(mut self, name: &'static str, value: &'static str) -> Self {
        self.trailers.push((name, value));
        self
    }

    /// Marks the request so that the backend's list tells whether it came through; returns the mark.
    pub fn mark(mut self) -> (Self, String) {
        if let Some((_, id)) = self.headers.iter().find(|(name, _)| name == TEST_ID) {
            let id = String::from_utf8_lossy(id).into_owned();
            return (self, id);
        }
        let id = format!("{:016x}", random());
        self.headers.push((TEST_ID.to_owned(), id.clone().into_bytes()));
        (self, id)
    }
}

/// A request's body: its pieces, then its trailers. The length is declared where one piece is all.
pub struct Body {
    pieces: std::vec::IntoIter<Bytes>,
    trailers: Option<HeaderMap>,
    length: Option<u64>,
}

pub(crate) fn body_of(request: &Request) -> Body {
    let trailers: HeaderMap = request
        .trailers
        .iter()
        .filter_map(|(name, value)| Some((name.parse().ok()?, value.parse().ok()?)))
        .collect();
    let declared = request.body.len() <= 1 && trailers.is_empty();
    let length = declared.then(|| request.body.iter().map(|piece| piece.len() as u64).sum());
    let trailers = Some(trailers).filter(|trailers| !trailers.is_empty());
    Body {
        pieces: request.body.clone().into_iter(),
        trailers,
        length,
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.pieces.next().map(Frame::data);
        Poll::Ready(next.or_else(|| self.trailers.take().map(Frame::trailers)).map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.as_slice().is_empty() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

pub(crate) async fn reply_of(response: Response<Incoming>) -> Result<Reply, Box<dyn std::error::Error + Send + Sync>> {
    let (head, body) = response.into_parts();
    Ok(Reply {
        status: head.status.as_u16(),
        headers: head.headers,
        body: body.collect().await?.to_bytes(),
    })
}

impl Reply {
    /// A header's first value, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as JSON; `Null` if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The reason code of a problem+json body.
    pub fn code(&self) -> Option<String> {
        let problem = self.header("content-type")?.starts_with("application/problem+json");
        Some(self.json().get("code")?.as_str()?.to_owned()).filter(|_| problem)
    }

    /// A number in a header.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.header(name)?.parse().ok()
    }

    /// One line for a message: the status, the code or the start of the body.
    pub fn brief(&self) -> String {
        match self.code() {
            Some(code) => format!("{} {code}", self.status),
            None => {
                let text = String::from_utf8_lossy(&self.body);
                let start: String = text.chars().take(80).collect();
                format!("{} {}", self.status, start.trim()).trim_end().to_owned()
            }
        }
    }
}
