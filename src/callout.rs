//! A question to an HTTP service and its answer, as data: the engine words the question, the plugin carries it, the
//! engine reads the answer. Nothing here asks or waits.

use crate::guard::token::Endpoint;
use crate::request::Head;
use std::fmt;
use std::time::Duration;

/// The largest answer that is read where a need sets no bound of its own.
pub const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// A question for the host to carry to a cluster.
#[derive(Clone, PartialEq, Eq)]
pub struct Callout {
    pub cluster: String,
    pub authority: String,
    pub method: &'static str,
    pub path: String,
    /// Header fields beside the pseudo-header fields; names in lower case.
    pub fields: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    pub timeout: Duration,
    /// A larger answer is none.
    pub answer_bytes_max: usize,
}

impl Callout {
    /// A GET for JSON.
    pub fn get(endpoint: &Endpoint, path: String) -> Self {
        Self {
            cluster: endpoint.cluster.clone(),
            authority: endpoint.authority.clone(),
            method: "GET",
            path,
            fields: vec![("accept", "application/json".to_owned())],
            body: Vec::new(),
            timeout: endpoint.timeout,
            answer_bytes_max: ANSWER_BYTES_MAX,
        }
    }
}

/// Header values and body may be secret: they are not shown.
impl fmt::Debug for Callout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} to {} as {}",
            self.method, self.path, self.cluster, self.authority
        )
    }
}

/// What a service answered.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    fields: Head,
    pub body: Vec<u8>,
}

impl Answer {
    /// Takes an answer's header fields and body; `None` without a readable `:status`.
    pub fn new(fields: Head, body: Vec<u8>) -> Option<Self> {
        let status = fields.single(":status").ok().flatten()?;
        Some(Self {
            status: std::str::from_utf8(status).ok()?.parse().ok()?,
            fields,
            body,
        })
    }

    /// An answer as tests and tools word it.
    pub fn of(status: u16, fields: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            fields: Head::from_fields(fields.iter().map(|(name, value)| (*name, value.as_bytes()))),
            body: body.into(),
        }
    }

    /// The value of a field that came once.
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        self.fields.single(name).ok().flatten()
    }

    /// Empty where there is none.
    pub fn content_type(&self) -> &[u8] {
        self.field("content-type").unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(fields: &[(&str, &str)], expected: Option<u16>) {
        let head = Head::from_fields(fields.iter().map(|(name, value)| (*name, value.as_bytes())));
        assert_eq!(
            Answer::new(head, Vec::new()).map(|answer| answer.status),
            expected,
            "{fields:?}"
        );
    }

    #[test]
    fn an_answer_has_one_status_and_fields_that_came_once() {
        check(&[(":status", "200")], Some(200));
        check(&[], None);
        check(&[(":status", "2OO")], None);
        check(&[(":status", "200"), (":status", "500")], None);
        let answer = Answer::of(200, &[("etag", "a"), ("x", "1"), ("x", "2")], "");
        assert_eq!(
            (answer.field("etag"), answer.field("x"), answer.content_type()),
            (Some(&b"a"[..]), None, &b""[..])
        );
    }

    #[test]
    fn what_may_be_secret_is_not_shown() {
        let callout = Callout {
            cluster: "c".into(),
            authority: "a".into(),
            method: "POST",
            path: "/p".into(),
            fields: vec![("authorization", "Basic secret".into())],
            body: b"secret".to_vec(),
            timeout: Duration::from_secs(1),
            answer_bytes_max: 1,
        };
        assert_eq!(format!("{callout:?}"), "POST /p to c as a");
    }
}
