//! An introspection answer: only a boolean `active` is a verdict, and what is not active is never taken for it.

use portcullis::callout::Answer;
use portcullis::config;
use portcullis::guard::revocation::introspection::{About, Word, is_opaque};
use portcullis::json::{Limits, Value, parse};
use portcullis::policy::Policy;
use portcullis::rate::Instant;
use std::sync::OnceLock;

const POLICY: &str = r#"{
  "tokens": { "providers": [ { "issuer": "i", "audiences": ["a"], "algorithms": ["HS256"], "jwks": { "inline": { "keys": [ { "kty": "oct", "k": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY" } ] } } } ] },
  "revocation": { "introspection": { "cluster": "idp", "authority": "id", "path": "/introspect", "client_id": "me", "client_secret": "s" } } }"#;

thread_local! {
    static LOADED: OnceLock<Policy> = const { OnceLock::new() };
}

pub fn run(input: &[u8]) {
    // The opaque form is decided about the raw token.
    let _ = is_opaque(input);
    LOADED.with(|loaded| {
        let policy = loaded.get_or_init(|| config::load(POLICY.as_bytes()).expect("the target's policy"));
        let (Some(tokens), Some(revocation)) = (&policy.tokens, &policy.revocation) else {
            return;
        };
        let introspection = revocation.introspection.as_ref().expect("it is there");
        let answer = Answer::of(200, &[("content-type", "application/json")], input);
        let now = Instant::from_seconds(1_700_000_000);
        let about = About {
            token: b"t",
            provider: None,
            asked: now,
        };
        let active = parse(input, &Limits::FOREIGN)
            .ok()
            .and_then(|value| match value.as_object()?.get("active")? {
                Value::Bool(active) => Some(*active),
                _ => None,
            });
        match introspection.read(Some(&answer), tokens, &about, now) {
            Err(_) => assert_eq!(active, None),
            Ok(heard) => match heard.word {
                Word::Inactive => assert_eq!(active, Some(false)),
                Word::Unacceptable(_) => assert_eq!(active, Some(true)),
                Word::Active(verified) => {
                    assert_eq!(active, Some(true));
                    assert_eq!(verified.issuer, "i");
                }
            },
        }
    });
}
