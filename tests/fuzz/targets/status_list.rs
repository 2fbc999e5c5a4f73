//! A status list's text and a token's reference to one: inflating stops at its bound, and an address is followed only to a
//! listed host.

use portcullis::guard::revocation::status_list::{INFLATED_BYTES_MAX, Reference, StatusListPolicy, inflate};
use portcullis::json::{Limits, parse};
use std::time::Duration;

pub fn run(input: &[u8]) {
    if let Ok(text) = std::str::from_utf8(input) {
        if let Some(bytes) = inflate(text) {
            assert!(bytes.len() <= INFLATED_BYTES_MAX);
        }
        let policy = StatusListPolicy {
            clusters: [("s.example".to_owned(), "c".to_owned())].into(),
            timeout: Duration::from_secs(1),
        };
        if let Some(callout) = policy.callout(text) {
            assert!(["s.example", "s.example:443"].contains(&callout.authority.as_str()));
            assert!(callout.path.starts_with('/') && !callout.path.contains('#'));
        }
    }
    if let Ok(value) = parse(input, &Limits::FOREIGN)
        && let Some(claims) = value.as_object()
        && let Ok(Some(reference)) = Reference::of(claims)
    {
        assert!(reference.uri.bytes().all(|b| b.is_ascii_graphic()));
    }
}
