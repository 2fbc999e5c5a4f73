//! A status list's text, its signed claims and a token's reference to one: inflating stops at its bound, an address is
//! followed only to a listed host, and no claims make a list that answers beyond its bits.

use ct_codecs::{Base64UrlSafeNoPadding, Encoder};
use portcullis::config;
use portcullis::guard::revocation::status_list::{
    INFLATED_BYTES_MAX, Issuer, List, Reference, StatusListPolicy, inflate,
};
use portcullis::guard::token::KeySource;
use portcullis::host::memory::MemoryHost;
use portcullis::jose::Signatures;
use portcullis::json::{Limits, parse};
use portcullis::policy::Policy;
use portcullis::rate::Instant;
use std::time::Duration;

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
const POLICY: &str = r#"{
  "tokens": { "providers": [ { "issuer": "i", "audiences": ["a"], "algorithms": ["HS256"], "jwks": { "inline": { "keys": [ { "kty": "oct", "k": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY" } ] } } } ] } }"#;

thread_local! {
    static LOADED: (Policy, MemoryHost) =
        (config::load(POLICY.as_bytes()).expect("the target's policy"), MemoryHost::default());
}

/// A list with these claims, signed by its issuer: what a good signature still leaves to be checked.
fn check_claims(claims: &[u8]) {
    let encoded = |bytes: &[u8]| Base64UrlSafeNoPadding::encode_to_string(bytes).expect("it fits");
    let mut token = format!(
        "{}.{}",
        encoded(br#"{"alg":"HS256","typ":"statuslist+jwt"}"#),
        encoded(claims)
    );
    let tag = hmac_sha256::HMAC::mac(&token, SECRET);
    token = format!("{token}.{}", encoded(&tag));
    LOADED.with(|(policy, host)| {
        let provider = &policy.tokens.as_ref().expect("they are there").providers[0];
        let KeySource::Inline(keys) = &provider.keys else {
            return;
        };
        let issuer = Issuer {
            provider,
            keys,
            signatures: Signatures {
                host,
                proved: Default::default(),
            },
        };
        let now = Instant::from_seconds(1_700_000_000);
        let Ok(list) = List::read(token.as_bytes(), "u", &issuer, now, now) else {
            return;
        };
        assert!(list.bytes() <= INFLATED_BYTES_MAX && list.expires.is_none_or(|expires| now < expires));
        // The most bits with which the index after the last one is beyond the list.
        let beyond = |bits: &usize| list.status((list.bytes() * 8 / bits) as u64).is_none();
        let bits = [8, 4, 2, 1].into_iter().find(beyond).expect("1, 2, 4 or 8 bits");
        for index in (0..list.bytes() * 8 / bits).take(64) {
            assert!(
                list.status(index as u64)
                    .is_some_and(|status| usize::from(status) >> bits == 0)
            );
        }
        assert_eq!(list.status(u64::MAX), None);
    });
}

pub fn run(input: &[u8]) {
    check_claims(input);
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
