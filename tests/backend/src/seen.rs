//! The witness: what reached the public listener.
//!
//! A request is noted when its head arrives, before anything looks at its body or its route; the count of body bytes
//! grows while they arrive. Keeps the last thousand requests and the total of all.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use axum::http::request::Parts;
use serde_json::{Value, json};

use crate::lock;

const KEPT_MAX: usize = 1000;

/// How many body bytes of one request have arrived.
pub(crate) type BodyBytes = Arc<AtomicU64>;

#[derive(Default)]
pub(crate) struct Seen(Mutex<Notes>);

#[derive(Default)]
struct Notes {
    total: u64,
    kept: VecDeque<Note>,
}

struct Note {
    method: String,
    path: String,
    headers: BTreeMap<String, Vec<String>>,
    body_bytes: BodyBytes,
}

impl Seen {
    /// Notes a request by its head; the caller counts its body on the counter that comes back.
    pub(crate) fn note(&self, head: &Parts) -> BodyBytes {
        let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
        // HTTP/2 carries the host here and not in a header.
        if let Some(authority) = head.uri.authority() {
            headers
                .entry(":authority".to_owned())
                .or_default()
                .push(authority.to_string());
        }
        for (name, value) in &head.headers {
            headers
                .entry(name.as_str().to_owned())
                .or_default()
                .push(text(value.as_bytes()));
        }
        let body_bytes = BodyBytes::default();
        let note = Note {
            method: head.method.to_string(),
            path: head.uri.path_and_query().map_or_else(String::new, ToString::to_string),
            headers,
            body_bytes: Arc::clone(&body_bytes),
        };
        let mut notes = lock(&self.0);
        notes.total += 1;
        if notes.kept.len() == KEPT_MAX {
            notes.kept.pop_front();
        }
        notes.kept.push_back(note);
        body_bytes
    }

    /// Forgets everything, the total too.
    pub(crate) fn reset(&self) {
        *lock(&self.0) = Notes::default();
    }

    /// `{"total": N, "requests": [...]}`, oldest first.
    pub(crate) fn report(&self) -> Value {
        let notes = lock(&self.0);
        let requests: Vec<Value> = notes
            .kept
            .iter()
            .map(|note| {
                json!({
                    "method": note.method,
                    "path": note.path,
                    "headers": note.headers,
                    "body_bytes": note.body_bytes.load(Ordering::Relaxed),
                })
            })
            .collect();
        json!({ "total": notes.total, "requests": requests })
    }
}

/// UTF-8 as it is; anything else with `\xNN` for what is not ASCII, so that a test can still compare bytes.
fn text(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes).map_or_else(|_| bytes.escape_ascii().to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    fn head(path: &str) -> Parts {
        Request::builder().uri(path).body(()).unwrap().into_parts().0
    }

    #[test]
    fn the_newest_thousand_are_kept_and_all_are_counted() {
        let seen = Seen::default();
        for n in 0..=KEPT_MAX {
            seen.note(&head(&format!("/{n}")));
        }
        let report = seen.report();
        assert_eq!(report["total"], 1001);
        assert_eq!(report["requests"].as_array().unwrap().len(), KEPT_MAX);
        assert_eq!(report["requests"][0]["path"], "/1");
        seen.reset();
        assert_eq!(seen.report(), json!({ "total": 0, "requests": [] }));
    }

    #[test]
    fn repeated_and_non_utf8_values_are_told_apart() {
        let mut head = head("/a?b=c");
        for value in [&b"one"[..], b"caf\xc3\xa9", b"\xff\x80z"] {
            head.headers.append("x-a", value.try_into().unwrap());
        }
        let seen = Seen::default();
        seen.note(&head).fetch_add(7, Ordering::Relaxed);
        let note = &seen.report()["requests"][0];
        assert_eq!(note["path"], "/a?b=c");
        assert_eq!(note["headers"]["x-a"], json!(["one", "café", "\\xff\\x80z"]));
        assert_eq!(note["body_bytes"], 7);
    }
}
