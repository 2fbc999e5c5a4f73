//! An answer to a lookup: it says yes or no only in the form that was agreed, and a token's values never leave their
//! segment of the path.

use portcullis::callout::Answer;
use portcullis::config;
use portcullis::guard::revocation::{Failure, Lookup};
use portcullis::json::{Limits, Value, parse};
use portcullis::path::encode_segment;
use portcullis::policy::Policy;

const POLICY: &str = r#"{
  "tokens": { "providers": [ { "issuer": "i", "audiences": ["a"], "algorithms": ["HS256"], "jwks": { "inline": { "keys": [ { "kty": "oct", "k": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY" } ] } } } ] },
  "revocation": { "lookup": { "cluster": "c", "authority": "a", "path": "/EXISTS/{jti}", "revoked": { "json": "/EXISTS", "equals": 1 } } } }"#;

thread_local! {
    static LOADED: Policy = config::load(POLICY.as_bytes()).expect("the target's policy");
}

fn check(lookup: &Lookup, input: &[u8]) {
    let read = |status, kind: &str| lookup.read(Some(&Answer::of(status, &[("content-type", kind)], input)));
    assert_eq!(read(200, "text/html"), Err(Failure::Nonsense));
    assert_eq!(read(404, "application/json"), Err(Failure::Nonsense));
    assert_eq!(read(503, "application/json"), Err(Failure::Silence));
    let value = parse(input, &Limits::FOREIGN).ok();
    let object = value.as_ref().and_then(Value::as_object);
    let number = object.and_then(|object| object.get("EXISTS")?.as_number());
    match (read(200, "application/json"), number) {
        (Ok(true), Some(number)) => assert_eq!(number.text().parse(), Ok(1.0)),
        (Ok(false), Some(number)) => assert_ne!(number.as_u64(), Some(1)),
        (told, number) => assert!(told == Err(Failure::Nonsense) && number.is_none(), "{told:?}"),
    }
}

pub fn run(input: &[u8]) {
    LOADED.with(|policy| {
        let revocation = policy.revocation.as_ref().expect("it is there");
        check(revocation.lookup.as_ref().expect("it is there"), input);
    });
    if let Ok(text) = std::str::from_utf8(input) {
        let segment = encode_segment(text);
        let safe = |b: u8| b.is_ascii_alphanumeric() || b"-_%".contains(&b);
        assert!(segment.bytes().all(safe), "{segment}");
    }
}
