//! Quotas.

use crate::scene::{Scene, Verdict, get, header, request};
use ct_codecs::{Base64UrlSafeNoPadding, Encoder};
use jwt_simple::algorithms::{HS256Key, MACLike};
use portcullis::host::{Counter, Host, QuotaEvent};
use portcullis::store::ATTEMPTS_MAX;
use portcullis::verdict::Reason;
use std::time::Duration;

const POLICY: &str = r#"{
  "operations": [ { "id": "list", "methods": ["GET"], "path": "/orders" }, { "id": "dear", "methods": ["GET"], "path": "/dear", "cost": 3 } ],
  "quotas": [ { "name": "all", "limit": 6, "window": "1m" }, { "name": "orders", "limit": 2, "window": "10s", "operations": ["list"] } ],
  "clients": { "exempt": ["198.51.100.0/24"] } }"#;

#[test]
fn the_narrow_quota_refuses_and_the_wide_one_is_not_charged_for_it() {
    let scene = Scene::new(POLICY);
    scene.allowed(&get("/orders"));
    let fields = scene.allowed(&get("/orders")).responds(200);
    let expected = [
        ("ratelimit-policy", "\"all\";q=6;w=60, \"orders\";q=2;w=10"),
        ("ratelimit", "\"all\";r=4;t=10, \"orders\";r=0;t=5"),
    ];
    assert_eq!(fields, expected.map(|(name, value)| (name, value.to_owned())));
    for _ in 0..10 {
        let reply = scene.denied(&get("/orders"), "quota_exceeded");
        assert_eq!(reply.status, 429);
        assert_eq!(header(&reply, "retry-after"), Some("5"));
        assert_eq!(header(&reply, "ratelimit"), Some("\"orders\";r=0;t=5"));
        assert!(reply.body.contains("\"quota\":\"orders\""));
    }
    for _ in 0..4 {
        scene.allowed(&get("/other"));
    }
    scene.denied(&get("/other"), "quota_exceeded");
}

#[test]
fn a_retry_passes_at_the_second_it_was_told_and_not_before() {
    let scene = Scene::new(POLICY);
    scene.allowed(&get("/orders"));
    scene.allowed(&get("/orders"));
    scene.pass(4);
    scene.denied(&get("/orders"), "quota_exceeded");
    scene.pass(1);
    scene.allowed(&get("/orders"));
}

#[test]
fn a_dear_operation_takes_more() {
    let scene = Scene::new(POLICY);
    scene.allowed(&get("/dear"));
    scene.allowed(&get("/dear"));
    scene.denied(&get("/other"), "quota_exceeded");
}

#[test]
fn clients_are_counted_apart_and_a_prefix_is_one_client() {
    let scene = Scene::new(r#"{ "quotas": [ { "name": "q", "limit": 1, "window": "1m" } ] }"#);
    for (address, verdict) in [
        ("192.0.2.1:1", Verdict::Allowed),
        ("192.0.2.1:2", Verdict::Denied("quota_exceeded")),
        ("[::ffff:192.0.2.1]:2", Verdict::Denied("quota_exceeded")),
        ("192.0.2.2:1", Verdict::Allowed),
        ("[2001:db8::1]:1", Verdict::Allowed),
        ("[2001:db8::ffff:2]:1", Verdict::Denied("quota_exceeded")),
        ("[2001:db8:0:1::1]:1", Verdict::Allowed),
        ("", Verdict::Denied("client_unknown")),
        ("/tmp/socket", Verdict::Denied("client_unknown")),
    ] {
        scene.host.set_address(address);
        assert_eq!(
            scene.send(&get("/x").field("x-forwarded-for", "203.0.113.9")).verdict(),
            verdict,
            "{address}"
        );
    }
}

#[test]
fn workers_count_together() {
    let scene = Scene::new(POLICY);
    let other = scene.worker(POLICY);
    scene.allowed(&get("/orders"));
    assert_eq!(scene.send_to(&other, &get("/orders")).verdict(), Verdict::Allowed);
    scene.denied(&get("/orders"), "quota_exceeded");
    assert_eq!(
        scene.send_to(&other, &get("/orders")).verdict(),
        Verdict::Denied("quota_exceeded")
    );
}

#[test]
fn exempt_clients_are_not_counted_and_still_validated() {
    let scene = Scene::new(POLICY);
    scene.host.set_address("198.51.100.7:1");
    for _ in 0..20 {
        scene.allowed(&get("/orders"));
    }
    scene.denied(&request("get", "/orders"), "method_invalid");
}

#[test]
fn by_operation_counts_each_operation_and_by_nothing_everybody() {
    let policy = |by: &str| {
        format!(
            r#"{{ "operations": [ {{ "id": "a", "methods": ["GET"], "path": "/a" }}, {{ "id": "b", "methods": ["GET"], "path": "/b" }} ],
              "quotas": [ {{ "name": "q", "limit": 1, "window": "1m", "by": [{by}] }} ] }}"#
        )
    };
    let scene = Scene::new(&policy("\"client\", \"operation\""));
    scene.allowed(&get("/a"));
    scene.allowed(&get("/b"));
    scene.denied(&get("/a"), "quota_exceeded");
    let scene = Scene::new(&policy(""));
    scene.allowed(&get("/a"));
    scene.host.set_address("192.0.2.99:1");
    scene.denied(&get("/b"), "quota_exceeded");
}

#[test]
fn without_a_store_nothing_passes_uncounted() {
    let scene = Scene::new(POLICY);
    scene.host.set_broken(true);
    assert_eq!(scene.denied(&get("/orders"), "store_unavailable").status, 503);
}

#[test]
fn a_charge_that_loses_every_write_is_refused_counted_and_takes_nothing() {
    let scene = Scene::new(POLICY);
    scene.host.lose_writes(ATTEMPTS_MAX - 1);
    scene.allowed(&get("/other"));
    assert_eq!(scene.host.counted(Counter::StoreExhausted), 0);
    for times in 1..=10 {
        scene.host.lose_writes(ATTEMPTS_MAX);
        assert_eq!(scene.denied(&get("/other"), "store_unavailable").status, 503);
        assert_eq!(scene.host.counted(Counter::StoreExhausted), times);
        assert_eq!(scene.host.counted(Counter::Denied(Reason::StoreUnavailable)), times);
    }
    assert_eq!(scene.host.counted(Counter::StoreFailure), 0);
    let fields = scene.allowed(&get("/other")).responds(200);
    assert_eq!(fields[1].1, "\"all\";r=4;t=10");
    // In a trial a store that fails refuses nobody.
    let scene = Scene::new(&POLICY.replacen('{', "{ \"mode\": \"shadow\", ", 1));
    scene.host.lose_writes(ATTEMPTS_MAX);
    scene.allowed(&get("/other"));
    assert_eq!(scene.host.counted(Counter::Shadowed(Reason::StoreUnavailable)), 1);
    assert_eq!(scene.host.counted(Counter::StoreExhausted), 1);
}

#[test]
fn a_clock_that_is_put_back_holds_nobody_longer_than_one_window() {
    let scene = Scene::new(POLICY);
    scene.allowed(&get("/orders"));
    scene.allowed(&get("/orders"));
    scene.host.put_back(Duration::from_secs(86_400));
    let reply = scene.denied(&get("/orders"), "quota_exceeded");
    // The wider one is used up as far as anybody can tell.
    assert_eq!(header(&reply, "retry-after"), Some("10"));
    scene.pass(9);
    scene.denied(&get("/orders"), "quota_exceeded");
    scene.pass(1);
    scene.allowed(&get("/orders"));
    scene.denied(&get("/orders"), "quota_exceeded");
}

#[test]
fn a_window_that_is_made_shorter_holds_nobody_longer() {
    let policy = |window: &str| format!(r#"{{ "quotas": [ {{ "name": "q", "limit": 2, "window": "{window}" }} ] }}"#);
    let scene = Scene::new(&policy("1h"));
    scene.allowed(&get("/x"));
    scene.allowed(&get("/x"));
    let after = scene.worker(&policy("10s"));
    let verdict = || scene.send_to(&after, &get("/x")).verdict();
    assert_eq!(verdict(), Verdict::Denied("quota_exceeded"));
    scene.pass(4);
    assert_eq!(verdict(), Verdict::Denied("quota_exceeded"));
    scene.pass(1);
    assert_eq!(verdict(), Verdict::Allowed);
}

/// Also where a quota of another bucket was not reached: what it holds against the client is cut with the rest.
#[test]
fn after_a_clock_was_put_back_a_retry_passes_at_the_second_it_was_told() {
    let scene = Scene::new(
        r#"{ "quotas": [ { "name": "own", "limit": 2, "window": "10s" }, { "name": "all", "limit": 2, "window": "1m", "by": [] } ] }"#,
    );
    scene.allowed(&get("/x"));
    scene.allowed(&get("/x"));
    scene.host.put_back(Duration::from_secs(86_400));
    let reply = scene.denied(&get("/x"), "quota_exceeded");
    assert_eq!(header(&reply, "retry-after"), Some("30"));
    scene.pass(29);
    scene.denied(&get("/x"), "quota_exceeded");
    scene.pass(1);
    scene.allowed(&get("/x"));
    scene.denied(&get("/x"), "quota_exceeded");
}

/// A worker that was held up has an older clock than the one that wrote last. What it refuses gives nothing back.
#[test]
fn a_refusal_by_a_clock_that_is_behind_gives_nothing_back() {
    let scene = Scene::new(r#"{ "quotas": [ { "name": "q", "limit": 60, "window": "1m", "burst": 2 } ] }"#);
    let verdict = || scene.send(&get("/x")).verdict();
    assert_eq!((verdict(), verdict()), (Verdict::Allowed, Verdict::Allowed));
    for _ in 0..9 {
        scene.host.put_back(Duration::from_millis(100));
        assert_eq!(verdict(), Verdict::Denied("quota_exceeded"));
    }
    scene.host.advance(Duration::from_millis(900));
    scene.host.advance(Duration::from_millis(999));
    assert_eq!(verdict(), Verdict::Denied("quota_exceeded"));
    scene.host.advance(Duration::from_millis(1));
    assert_eq!(verdict(), Verdict::Allowed);
}

const BY_TOKEN: &str = r#"{
  "operations": [ { "id": "open", "methods": ["GET"], "path": "/open", "token": "optional" } ],
  "tokens": { "providers": [ { "issuer": "i", "audiences": ["a"], "algorithms": ["HS256"], "jwks": { "inline": { "keys": [ { "kty": "oct", "k": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY" } ] } } } ] },
  "quotas": [ { "name": "wide", "limit": 100, "window": "1m" }, { "name": "subject", "limit": 1, "window": "1m", "by": ["subject"] }, { "name": "tenant", "limit": 3, "window": "1m", "by": ["claim:tenant"] } ],
  "replies": { "rate_limit_fields": "both" } }"#;

fn token(scene: &Scene, subject: &str, tenant: &str) -> String {
    let end = scene.host.now().seconds() + 3600;
    let encode = |text: &str| Base64UrlSafeNoPadding::encode_to_string(text).unwrap();
    let payload = format!(r#"{{"iss":"i","aud":"a","sub":"{subject}","exp":{end}{tenant}}}"#);
    let input = format!("{}.{}", encode(r#"{"alg":"HS256"}"#), encode(&payload));
    let tag = HS256Key::from_bytes(b"0123456789abcdef0123456789abcdef").authentication_tag(input.as_bytes());
    format!("{input}.{}", Base64UrlSafeNoPadding::encode_to_string(tag).unwrap())
}

#[test]
fn quotas_by_subject_and_claim_count_after_the_token() {
    let scene = Scene::new(BY_TOKEN);
    let ask = |subject: &str, tenant: &str| get("/x").bearer(&token(&scene, subject, tenant));
    let fields = scene.allowed(&ask("ann", r#","tenant":"t""#)).responds(200);
    assert_eq!(
        fields[0].1,
        r#""wide";q=100;w=60, "subject";q=1;w=60, "tenant";q=3;w=60"#
    );
    assert_eq!(fields[2], ("x-ratelimit-limit", "1".to_owned()));
    let reply = scene.denied(&ask("ann", r#","tenant":"t""#), "quota_exceeded");
    assert_eq!(header(&reply, "x-ratelimit-remaining"), Some("0"));
    scene.host.set_address("192.0.2.200:1");
    scene.denied(&ask("ann", ""), "quota_exceeded");
    scene.allowed(&ask("bob", r#","tenant":"t""#));
    scene.allowed(&ask("cid", r#","tenant":"t""#));
    scene.denied(&ask("dan", r#","tenant":"t""#), "quota_exceeded");
    // Who has no tenant is of the tenant without a name.
    scene.allowed(&ask("dan", ""));
    // A forged token is charged to nobody's subject, and none is not counted.
    scene.denied(&get("/x").bearer("e30.e30.AAAA"), "token_malformed");
    for _ in 0..5 {
        scene.allowed(&get("/open"));
    }
}

#[test]
fn quotas_by_header_count_its_values_and_its_absence() {
    let scene =
        Scene::new(r#"{ "quotas": [ { "name": "key", "limit": 1, "window": "1m", "by": ["header:X-Api-Key"] } ] }"#);
    let with = |key: &[u8]| get("/x").field("x-api-key", key);
    scene.allowed(&with(b"a"));
    scene.denied(&with(b"a"), "quota_exceeded");
    scene.allowed(&with(b"\xff"));
    scene.allowed(&with(b"a").field("x-api-key", "b"));
    scene.allowed(&get("/x"));
    scene.denied(&get("/x"), "quota_exceeded");
}

/// What a later quota refuses is charged to none: it is in no count of what was admitted, and in no field of the answer.
#[test]
fn a_quota_that_a_later_one_gave_back_says_and_counts_nothing() {
    let scene = Scene::new(BY_TOKEN);
    let ask = |subject: &str| get("/x").bearer(&token(&scene, subject, ""));
    let counted = |event, quota| scene.host.counted(Counter::Quota(event, quota));
    scene.allowed(&ask("ann"));
    assert_eq!([0, 1, 2].map(|quota| counted(QuotaEvent::Admitted, quota)), [1, 1, 1]);
    for times in 1..=5 {
        let reply = scene.denied(&ask("ann"), "quota_exceeded");
        assert_eq!(header(&reply, "ratelimit"), Some("\"subject\";r=0;t=60"));
        assert_eq!([0, 1, 2].map(|quota| counted(QuotaEvent::Admitted, quota)), [1, 1, 1]);
        assert_eq!(counted(QuotaEvent::Refused, 1), times);
    }
    // What another guard refuses stays charged, and so counted; as does what goes away, and what has no token.
    let reply = scene.denied(&get("/x").bearer("e30.e30.AAAA"), "token_malformed");
    assert_eq!(header(&reply, "ratelimit"), Some("\"wide\";r=98;t=1"));
    scene.allowed(&get("/open"));
    assert_eq!([0, 1, 2].map(|quota| counted(QuotaEvent::Admitted, quota)), [3, 1, 1]);
    let mut gone = scene.send_head(&request("POST", "/x").bearer(&token(&scene, "bob", "")).body(""));
    gone.pipeline.finish(&scene.host);
    assert_eq!([0, 1, 2].map(|quota| counted(QuotaEvent::Admitted, quota)), [4, 2, 2]);
}

/// One that loses its writes is noted, and neither refuses what is real nor gives it back.
#[test]
fn a_trial_without_a_store_takes_and_gives_back_nothing_that_is_real() {
    let scene = Scene::new(
        r#"{ "quotas": [ { "name": "real", "limit": 2, "window": "1m", "by": [] }, { "name": "trial", "limit": 9, "window": "1m", "mode": "shadow" } ] }"#,
    );
    let failures = |scene: &Scene| scene.host.counted(Counter::Shadowed(Reason::StoreUnavailable));
    for times in 1..=2 {
        scene.host.lose_writes(ATTEMPTS_MAX);
        scene.allowed(&get("/x"));
        assert_eq!(failures(&scene), times);
    }
    scene.denied(&get("/x"), "quota_exceeded");
    // After the token.
    let revocation = r#"{ "revocation": { "on_error": "allow", "lookup": { "cluster": "r", "authority": "r", "path": "/r/{sub}", "revoked": { "status": [200] }, "valid": { "status": [404] } } }, "#;
    let policy = BY_TOKEN
        .replacen('{', revocation, 1)
        .replace("\"limit\": 100", "\"limit\": 2");
    let policy = policy.replace("\"by\": [\"subject\"]", "\"by\": [\"subject\"], \"mode\": \"shadow\"");
    let policy = policy.replace("[\"claim:tenant\"]", "[\"claim:tenant\"], \"mode\": \"shadow\"");
    let scene = Scene::new(&policy);
    for times in 1..=2 {
        let waits = scene.send(&get("/x").bearer(&token(&scene, &times.to_string(), "")));
        scene.host.lose_writes(2 * ATTEMPTS_MAX);
        assert_eq!(waits.unasked().verdict(), Verdict::Allowed);
        assert_eq!(failures(&scene), times);
        assert_eq!(scene.host.counted(Counter::Quota(QuotaEvent::Admitted, 0)), times);
    }
    scene.denied(&get("/x").bearer("e30.e30.AAAA"), "quota_exceeded");
}

/// Whether a client is banned is no trial: who can't be looked up is answered as the login's `on_error` says.
#[test]
fn a_trial_beside_bans_of_everything_lets_nobody_past_a_store_that_fails() {
    for (on_error, verdict) in [
        ("deny", Verdict::Denied("store_unavailable")),
        ("allow", Verdict::Allowed),
    ] {
        let scene = Scene::new(&format!(
            r#"{{ "quotas": [ {{ "name": "trial", "limit": 9, "window": "1m", "mode": "shadow" }} ], "login": {{ "ban": {{ "scope": "all" }}, "on_error": "{on_error}" }} }}"#
        ));
        scene.host.set_broken(true);
        assert_eq!(scene.send(&get("/x")).verdict(), verdict);
    }
}
