//! A token: what is taken has three parts of one spelling each, a listed algorithm and the right tag; and a payload that is
//! good at one time is good until it ends and never after it.
//!
//! The first byte says what an input is: a whole token, a payload to be signed, or a header and a payload (separated by a zero
//! byte) to be signed.

use ct_codecs::{Base64UrlSafeNoPadding, Decoder, Encoder};
use portcullis::config;
use portcullis::guard::token::{TokenPolicy, Trouble};
use portcullis::host::memory::MemoryHost;
use portcullis::jose::{Proved, Signatures, Verified};
use portcullis::policy::Policy;
use portcullis::rate::Instant;
use portcullis::verdict::Reason;
use std::sync::OnceLock;
use std::time::Duration;

const SECRET: &[u8; 32] = b"0123456789abcdef0123456789abcdef";
const POLICY: &str = r#"{ "tokens": { "providers": [ { "issuer": "i", "audiences": ["a"], "algorithms": ["HS256", "ES256"],
  "claims_to_headers": { "x-user": "sub" }, "scopes_from": ["/scope", "/realm/roles"], "claims": [ { "at": "/ok", "any_of": [true] } ], "require": ["exp"],
  "jwks": { "inline": { "keys": [
    { "kty": "oct", "k": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY" },
    { "kty": "EC", "crv": "P-256", "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM" } ] } } } ] } }"#;
const NOW: u64 = 1_700_000_000;

thread_local! {
    static LOADED: OnceLock<(Policy, MemoryHost)> = const { OnceLock::new() };
}

fn encode(bytes: &[u8]) -> String {
    Base64UrlSafeNoPadding::encode_to_string(bytes).expect("it fits")
}

fn signed(header: &[u8], payload: &[u8]) -> Vec<u8> {
    let input = format!("{}.{}", encode(header), encode(payload));
    let tag = hmac_sha256::HMAC::mac(input.as_bytes(), SECRET);
    format!("{input}.{}", encode(&tag)).into_bytes()
}

fn judge(policy: &TokenPolicy, host: &MemoryHost, token: &[u8], now: Instant) -> Result<Verified, Trouble> {
    let proved = Proved::default();
    policy.judge(token, |_| None, Signatures { host, proved }, now)
}

pub fn run(input: &[u8]) {
    let Some((kind, rest)) = input.split_first() else {
        return;
    };
    let token = match kind % 3 {
        0 => rest.to_vec(),
        1 => signed(br#"{"alg":"HS256"}"#, rest),
        _ => {
            let mut parts = rest.splitn(2, |byte| *byte == 0);
            signed(parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
        }
    };
    LOADED.with(|loaded| {
        let (policy, host) = loaded.get_or_init(|| {
            let policy = config::load(POLICY.as_bytes()).expect("the target's policy");
            (policy, MemoryHost::default())
        });
        let tokens = policy.tokens.as_ref().expect("it is there");
        check(tokens, host, &token);
    });
}

fn check(policy: &TokenPolicy, host: &MemoryHost, token: &[u8]) {
    let now = Instant::from_seconds(NOW);
    let judged = judge(policy, host, token, now);
    assert_eq!(judged, judge(policy, host, token, now));
    let Ok(verified) = judged else { return };
    let text = std::str::from_utf8(token).expect("base64url and dots");
    let parts: Vec<&str> = text.split('.').collect();
    let [header, payload, tag] = parts[..] else {
        panic!("a token of {} parts", parts.len())
    };
    let decode = |part: &str| Base64UrlSafeNoPadding::decode_to_vec(part, None).expect("base64url");
    for part in [header, payload, tag] {
        assert_eq!(encode(&decode(part)), part);
    }
    let (signing_input, _) = text.rsplit_once('.').expect("three parts");
    assert_eq!(decode(tag), hmac_sha256::HMAC::mac(signing_input.as_bytes(), SECRET));
    assert_eq!(verified.issuer, "i");
    for (_, value) in &verified.headers {
        assert!(!value.iter().any(u8::is_ascii_control));
    }
    let ends = verified.ends.expect("`exp` is required");
    assert!(now < ends);
    // Doubles keep the times that an instant can hold to four microseconds.
    let grain = Duration::from_micros(10);
    let almost = Instant(ends.0.saturating_sub(10_000)).max(now);
    assert!(judge(policy, host, token, almost).is_ok());
    let after = judge(policy, host, token, ends.plus(grain));
    let over = [Trouble::Bad(Reason::TokenExpired), Trouble::Bad(Reason::TokenTooOld)];
    assert!(ends == Instant(u64::MAX) || after.is_err_and(|trouble| over.contains(&trouble)));
}
