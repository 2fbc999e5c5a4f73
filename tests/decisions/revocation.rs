//! Revoked tokens.

use crate::scene::{Exchange, Request, Scene, Verdict, get, header};
use ct_codecs::{Base64UrlSafeNoPadding, Encoder};
use jwt_simple::algorithms::{HS256Key, MACLike};
use portcullis::guard::revocation::{Claim, Source};
use portcullis::host::{Counter, Gauge, Host};
use portcullis::knowledge::Need;
use std::time::Duration;

const SECRET: &[u8; 32] = b"0123456789abcdef0123456789abcdef";
const POLICY: &str = r#"{
  "tokens": { "providers": [ { "issuer": "i", "audiences": ["a"], "algorithms": ["HS256"], "jwks": { "inline": { "keys": [ { "kty": "oct", "k": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY" } ] } } } ] },
  "revocation": { "on_error": "deny", "stale": "1m", "lookup": { "cluster": "c", "authority": "a", "path": "/EXISTS/revoked:{jti}", "revoked": { "json": "/EXISTS", "equals": 1 }, "cache": "5s" } } }"#;

const VALID: Option<(u16, &str, &str)> = Some((200, "application/json", r#"{"EXISTS":0}"#));
const REVOKED: Option<(u16, &str, &str)> = Some((200, "application/json", r#"{"EXISTS":1}"#));

/// A token with these parts, signed with the key that the policies have.
pub fn signed(header: &str, payload: &str) -> String {
    let encode = |text: &str| Base64UrlSafeNoPadding::encode_to_string(text).unwrap();
    let input = format!("{}.{}", encode(header), encode(payload));
    let tag = HS256Key::from_bytes(SECRET).authentication_tag(input.as_bytes());
    format!("{input}.{}", Base64UrlSafeNoPadding::encode_to_string(tag).unwrap())
}

pub fn with_claims(scene: &Scene, members: &str) -> Request {
    let end = scene.host.now().seconds() + 3600;
    let payload = format!(r#"{{"iss":"i","aud":"a","sub":"ann","exp":{end}{members}}}"#);
    get("/x").bearer(&signed(r#"{"alg":"HS256"}"#, &payload))
}

pub fn with_id(scene: &Scene, id: &str) -> Request {
    with_claims(scene, &format!(r#","jti":"{id}""#))
}

#[track_caller]
fn asks<'s>(scene: &'s Scene, request: &Request, path: &str) -> Exchange<'s> {
    let exchange = scene.send(request);
    assert_eq!(exchange.verdict(), Verdict::Waits(Need::Revocation(path.into())));
    exchange
}

#[test]
fn an_answer_serves_for_its_time_and_a_revoked_token_is_refused() {
    let scene = Scene::new(POLICY);
    let request = with_id(&scene, "t-1");
    let path = "/EXISTS/revoked:t-1";
    assert_eq!(asks(&scene, &request, path).answered(VALID).verdict(), Verdict::Allowed);
    scene.pass(4);
    scene.allowed(&request);
    scene.pass(1);
    let reply = asks(&scene, &request, path).answered(REVOKED).into_reply();
    assert_eq!((reply.status, reply.code), (401, "token_revoked"));
    assert_eq!(
        header(&reply, "www-authenticate"),
        Some(r#"Bearer realm="api", error="invalid_token""#)
    );
    scene.pass(1800);
    scene.denied(&request, "token_revoked");
}

#[test]
fn what_one_worker_refused_every_worker_refuses() {
    let scene = Scene::new(POLICY);
    let other = scene.worker(POLICY);
    let request = with_id(&scene, "t-1");
    let exchange = scene.send_to(&other, &request).answered(VALID);
    assert_eq!(exchange.verdict(), Verdict::Allowed);
    scene.pass(5);
    asks(&scene, &request, "/EXISTS/revoked:t-1").answered(REVOKED);
    assert_eq!(
        scene.send_to(&other, &request).verdict(),
        Verdict::Denied("token_revoked")
    );
}

#[test]
fn a_source_that_is_down_or_talks_nonsense_gets_the_last_answer_then_a_refusal() {
    let nonsense = [
        None,
        Some((503, "application/json", r#"{"EXISTS":0}"#)),
        Some((200, "text/html", r#"{"EXISTS":0}"#)),
        Some((200, "application/json", r#"{"EXISTS":"0"}"#)),
        Some((200, "application/json", r#"{"EXISTS":0"#)),
    ];
    for answer in nonsense {
        let scene = Scene::new(POLICY);
        let (known, unknown) = (with_id(&scene, "known"), with_id(&scene, "unknown"));
        asks(&scene, &known, "/EXISTS/revoked:known").answered(VALID);
        scene.pass(59);
        let exchange = asks(&scene, &known, "/EXISTS/revoked:known").answered(answer);
        assert_eq!(exchange.verdict(), Verdict::Allowed, "{answer:?}");
        assert_eq!(scene.host.counted(Counter::RevocationStale), 1);
        let reply = asks(&scene, &unknown, "/EXISTS/revoked:unknown")
            .answered(answer)
            .into_reply();
        assert_eq!(
            (reply.status, reply.code),
            (503, "revocation_unavailable"),
            "{answer:?}"
        );
        // Counted from the last good answer, not from the last question.
        scene.pass(1);
        let exchange = asks(&scene, &known, "/EXISTS/revoked:known").answered(answer);
        assert_eq!(
            exchange.verdict(),
            Verdict::Denied("revocation_unavailable"),
            "{answer:?}"
        );
    }
}

#[test]
fn with_allow_a_source_that_is_down_refuses_nobody_but_the_revoked() {
    let scene = Scene::new(&POLICY.replace("\"deny\"", "\"allow\""));
    let (revoked, unknown) = (with_id(&scene, "revoked"), with_id(&scene, "unknown"));
    asks(&scene, &revoked, "/EXISTS/revoked:revoked").answered(REVOKED);
    assert_eq!(
        asks(&scene, &unknown, "/EXISTS/revoked:unknown")
            .answered(None)
            .verdict(),
        Verdict::Allowed
    );
    scene.pass(600);
    scene.denied(&revoked, "token_revoked");
}

#[test]
fn without_a_cache_every_request_asks_once() {
    let scene = Scene::new(&POLICY.replace("\"5s\"", "\"0s\""));
    let request = with_id(&scene, "t");
    for _ in 0..3 {
        assert_eq!(
            asks(&scene, &request, "/EXISTS/revoked:t").answered(VALID).verdict(),
            Verdict::Allowed
        );
    }
}

#[test]
fn a_token_that_can_not_be_looked_up_is_refused() {
    let scene = Scene::new(POLICY);
    scene.denied(&with_claims(&scene, ""), "token_without_id");
    scene.denied(&with_id(&scene, ""), "token_without_id");
    asks(
        &scene,
        &with_id(&scene, "a/../b.json"),
        "/EXISTS/revoked:a%2F%2E%2E%2Fb%2Ejson",
    );
}

#[test]
fn other_templates_ask_by_other_claims() {
    let scene = Scene::new(&POLICY.replace("revoked:{jti}", "{iss}:{sub}:{iat}"));
    let now = scene.host.now().seconds();
    asks(
        &scene,
        &with_claims(&scene, &format!(r#","iat":{now}.5"#)),
        &format!("/EXISTS/i:ann:{now}"),
    );
    scene.denied(&with_claims(&scene, ""), "token_without_id");
    let scene = Scene::new(&POLICY.replace("revoked:{jti}", "{token_hash}"));
    let Verdict::Waits(Need::Revocation(path)) = scene.send(&with_claims(&scene, "")).verdict() else {
        panic!("no question")
    };
    let hash = path.strip_prefix("/EXISTS/").unwrap();
    assert!(hash.len() == 64 && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')));
}

#[test]
fn without_a_store_the_last_word_is_on_error() {
    let scene = Scene::new(POLICY);
    let request = with_id(&scene, "t");
    scene.host.set_broken(true);
    scene.denied(&request, "revocation_unavailable");
}

#[test]
fn one_worker_asks_for_all_and_an_answer_serves_them_all() {
    let scene = Scene::new(POLICY);
    let other = scene.worker(POLICY);
    let request = with_id(&scene, "t-1");
    let first = asks(&scene, &request, "/EXISTS/revoked:t-1");
    assert_eq!(first.claim(), Claim::Mine);
    let mut second = scene.send_to(&other, &request);
    let until = scene.host.now().plus(Duration::from_millis(210));
    assert_eq!(second.claim(), Claim::Elsewhere(until));
    assert!(!second.heard());
    assert_eq!(first.answered(VALID).verdict(), Verdict::Allowed);
    assert!(second.heard());
    assert_eq!(second.verdict(), Verdict::Allowed);
    // And neither asks again within the answer's time.
    scene.pass(4);
    assert_eq!(scene.send_to(&other, &request).verdict(), Verdict::Allowed);
    assert_eq!(scene.host.counted(Counter::RevocationAsked), 1);
}

#[test]
fn a_source_that_is_silent_is_not_waited_for_and_one_question_a_second_tries_it() {
    let scene = Scene::new(POLICY);
    let probe = |id: &str| scene.send(&with_id(&scene, id));
    for i in 0..5 {
        let exchange = probe(&format!("silent-{i}"));
        assert_eq!(exchange.claim(), Claim::Mine);
        assert_eq!(
            exchange.answered(None).verdict(),
            Verdict::Denied("revocation_unavailable")
        );
    }
    assert_eq!(probe("x").claim(), Claim::Nobody);
    assert_eq!(
        probe("x").unasked().verdict(),
        Verdict::Denied("revocation_unavailable")
    );
    assert_eq!(scene.host.measured(Gauge::Breaker(Source::Lookup)), Some(2));
    scene.pass(1);
    let exchange = probe("y");
    assert_eq!((exchange.claim(), probe("z").claim()), (Claim::Mine, Claim::Nobody));
    assert_eq!(exchange.answered(VALID).verdict(), Verdict::Allowed);
    assert_eq!(probe("z").claim(), Claim::Mine);
    assert_eq!(scene.host.measured(Gauge::Breaker(Source::Lookup)), Some(0));
    assert_eq!(scene.host.counted(Counter::BreakerOpened), 1);
    // Nonsense about one token cuts no other off.
    for _ in 0..9 {
        probe("odd").answered(Some((200, "application/json", "{}")));
    }
    assert_eq!(probe("even").claim(), Claim::Mine);
}

#[test]
fn a_question_that_another_worker_asks_uses_up_no_probe() {
    let scene = Scene::new(POLICY);
    let other = scene.worker(POLICY);
    for i in 0..5 {
        let exchange = scene.send(&with_id(&scene, &format!("silent-{i}")));
        assert_eq!(exchange.claim(), Claim::Mine);
        exchange.answered(None);
    }
    scene.pass(1);
    let request = with_id(&scene, "same");
    let asked = scene.send_to(&other, &request);
    assert_eq!(asked.claim(), Claim::Mine);
    assert!(matches!(scene.send(&request).claim(), Claim::Elsewhere(_)));
    assert_eq!(scene.host.measured(Gauge::Breaker(Source::Lookup)), Some(2));
    assert_eq!(scene.send(&with_id(&scene, "another")).claim(), Claim::Mine);
    assert_eq!(scene.host.measured(Gauge::Breaker(Source::Lookup)), Some(1));
}

const INTROSPECTING: &str = r#"{
  "operations": [ { "id": "o", "methods": ["GET"], "path": "/x", "scopes": ["read"] }, { "id": "p", "methods": ["GET"], "path": "/plain" } ],
  "tokens": { "providers": [ { "issuer": "i", "audiences": ["a"], "algorithms": ["HS256"], "claims_to_headers": { "x-user": "sub" }, "jwks": { "inline": { "keys": [ { "kty": "oct", "k": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY" } ] } } } ] },
  "revocation": { "on_error": "allow", "stale": "1m", "introspection": { "cluster": "idp", "authority": "id", "path": "/introspect", "client_id": "me", "client_secret": "s", "cache": "5s" } } }"#;

fn says(body: &str) -> Option<(u16, &str, &str)> {
    Some((200, "application/json", body))
}

#[test]
fn an_opaque_token_is_what_introspection_says_it_is() {
    let scene = Scene::new(INTROSPECTING);
    let request = get("/x").bearer("opaque-1");
    let exchange = scene.send(&request);
    assert_eq!(exchange.callout().body, b"token=opaque-1&token_type_hint=access_token");
    let active = says(r#"{"active":true,"sub":"ann","scope":"read write"}"#);
    let exchange = exchange.answered(active);
    assert_eq!(exchange.verdict(), Verdict::Allowed);
    assert_eq!(exchange.edits(), [("x-user".to_owned(), Some("ann".to_owned()))]);
    scene.allowed(&request);
    scene.pass(5);
    let exchange = scene.send(&request).answered(says(r#"{"active":false}"#));
    assert_eq!(exchange.verdict(), Verdict::Denied("token_inactive"));
    scene.denied(&request, "token_inactive");
    let narrow = scene
        .send(&get("/x").bearer("opaque-2"))
        .answered(says(r#"{"active":true,"scope":"write"}"#));
    assert_eq!(narrow.verdict(), Verdict::Denied("token_scope"));
}

#[test]
fn an_opaque_token_that_nobody_vouches_for_is_refused_whatever_on_error_says() {
    let scene = Scene::new(INTROSPECTING);
    let request = get("/plain").bearer("opaque-1");
    for answer in [
        None,
        Some((500, "text/plain", "")),
        Some((200, "text/html", "{}")),
        says(r#"{"active":1}"#),
    ] {
        let exchange = scene.send(&request).answered(answer);
        assert_eq!(exchange.verdict(), Verdict::Denied("revocation_unavailable"));
    }
    assert_eq!(
        scene.send(&request).answered(says(r#"{"active":true}"#)).verdict(),
        Verdict::Allowed
    );
    // The last known answer, for as long as it may serve.
    scene.pass(59);
    assert_eq!(scene.send(&request).answered(None).verdict(), Verdict::Allowed);
    scene.pass(1);
    assert_eq!(
        scene.send(&request).answered(None).verdict(),
        Verdict::Denied("revocation_unavailable")
    );
    // Never beyond its `exp`.
    let end = scene.host.now().seconds() + 3;
    let request = get("/plain").bearer("opaque-3");
    let brief = format!(r#"{{"active":true,"exp":{end}}}"#);
    assert_eq!(scene.send(&request).answered(says(&brief)).verdict(), Verdict::Allowed);
    scene.pass(3);
    assert_eq!(
        scene.send(&request).answered(None).verdict(),
        Verdict::Denied("revocation_unavailable")
    );
}

#[test]
fn without_introspection_an_opaque_token_is_malformed_and_a_broken_jwt_always_is() {
    Scene::new(POLICY).denied(&get("/x").bearer("opaque"), "token_malformed");
    let scene = Scene::new(INTROSPECTING);
    scene.denied(&get("/x").bearer("a.b.c"), "token_malformed");
    scene.denied(&get("/x").bearer("sp ace"), "token_malformed");
}

#[test]
fn a_jwt_is_verified_first_and_then_asked_about() {
    let scene = Scene::new(INTROSPECTING);
    let other = scene.worker(INTROSPECTING);
    let request = with_claims(&scene, r#","scope":"read""#);
    let forged = {
        let token = with_claims(&scene, r#","scope":"read","x":1"#);
        let mut text = token.bearer_text().to_owned();
        text.replace_range(text.len() - 6.., "AAAAAA");
        get("/x").bearer(&text)
    };
    scene.denied(&forged, "token_signature");
    assert_eq!(
        scene.send(&request).answered(says(r#"{"active":true}"#)).verdict(),
        Verdict::Allowed
    );
    // One worker asks for all.
    assert_eq!(scene.send_to(&other, &request).verdict(), Verdict::Allowed);
    scene.pass(5);
    assert_eq!(
        scene
            .send_to(&other, &request)
            .answered(says(r#"{"active":true,"scope":"write"}"#))
            .verdict(),
        Verdict::Denied("token_scope")
    );
    scene.denied(&request, "token_scope");
    scene.pass(5);
    assert_eq!(
        scene
            .send(&request)
            .answered(says(r#"{"active":true,"iss":"other"}"#))
            .verdict(),
        Verdict::Denied("token_issuer")
    );
    scene.pass(5);
    let exchange = scene.send(&request).answered(says(r#"{"active":false}"#));
    assert_eq!(exchange.verdict(), Verdict::Denied("token_revoked"));
    // Every worker knows, for good.
    scene.pass(600);
    assert_eq!(
        scene.send_to(&other, &request).verdict(),
        Verdict::Denied("token_revoked")
    );
    // A source that is down: as `on_error` says.
    let unknown = with_claims(&scene, r#","scope":"read","y":1"#);
    assert_eq!(scene.send(&unknown).answered(None).verdict(), Verdict::Allowed);
}

#[test]
fn one_worker_introspects_for_all_and_what_it_heard_last_holds() {
    let scene = Scene::new(INTROSPECTING);
    let other = scene.worker(INTROSPECTING);
    let request = get("/x").bearer("opaque-1");
    for (answer, expected) in [
        (r#"{"active":true,"scope":"read"}"#, Verdict::Allowed),
        (r#"{"active":true,"scope":"write"}"#, Verdict::Denied("token_scope")),
        (r#"{"active":true,"iss":"other"}"#, Verdict::Denied("token_issuer")),
        (r#"{"active":false}"#, Verdict::Denied("token_inactive")),
    ] {
        let first = scene.send(&request);
        assert_eq!(first.claim(), Claim::Mine);
        let mut second = scene.send_to(&other, &request);
        assert!(matches!(second.claim(), Claim::Elsewhere(_)) && !second.heard());
        assert_eq!(first.answered(says(answer)).verdict(), expected);
        assert!(second.heard());
        assert_eq!(second.verdict(), expected);
        for worker in [&scene.engine, &other] {
            assert_eq!(scene.send_to(worker, &request).verdict(), expected);
        }
        scene.pass(5);
    }
    assert_eq!(scene.host.counted(Counter::Introspected), 4);
}

#[test]
fn a_question_that_told_nothing_leaves_nobody_an_older_answer_but_within_stale() {
    let strict = INTROSPECTING.replace("\"1m\"", "\"0s\"");
    let scene = Scene::new(&strict);
    let other = scene.worker(&strict);
    let request = get("/plain").bearer("opaque-1");
    assert_eq!(
        scene.send(&request).answered(says(r#"{"active":true}"#)).verdict(),
        Verdict::Allowed
    );
    assert_eq!(scene.send_to(&other, &request).verdict(), Verdict::Allowed);
    scene.pass(5);
    let first = scene.send(&request);
    assert_eq!(first.claim(), Claim::Mine);
    let mut second = scene.send_to(&other, &request);
    assert!(matches!(second.claim(), Claim::Elsewhere(_)));
    assert_eq!(
        first.answered(None).verdict(),
        Verdict::Denied("revocation_unavailable")
    );
    assert!(second.heard());
    assert_eq!(second.verdict(), Verdict::Denied("revocation_unavailable"));
}

#[test]
fn an_opaque_token_that_one_worker_refuses_is_refused_by_all_at_once() {
    let patient = INTROSPECTING.replace("\"5s\"", "\"1h\"");
    let scene = Scene::new(INTROSPECTING);
    let other = scene.worker(&patient);
    let request = get("/plain").bearer("opaque-1");
    assert_eq!(
        scene.send(&request).answered(says(r#"{"active":true}"#)).verdict(),
        Verdict::Allowed
    );
    assert_eq!(scene.send_to(&other, &request).verdict(), Verdict::Allowed);
    scene.pass(5);
    assert_eq!(
        scene.send(&request).answered(says(r#"{"active":false}"#)).verdict(),
        Verdict::Denied("token_inactive")
    );
    // Its own answer would serve for an hour.
    assert_eq!(
        scene.send_to(&other, &request).verdict(),
        Verdict::Denied("token_inactive")
    );
}

#[test]
fn an_old_answer_is_not_taken_for_one_that_another_worker_did_not_get() {
    let scene = Scene::new(&POLICY.replace("\"1m\"", "\"0s\""));
    let other = scene.worker(POLICY);
    let request = with_id(&scene, "t-1");
    asks(&scene, &request, "/EXISTS/revoked:t-1").answered(VALID);
    scene.pass(6);
    let first = asks(&scene, &request, "/EXISTS/revoked:t-1");
    assert_eq!(first.claim(), Claim::Mine);
    let strict = scene.worker(&POLICY.replace("\"1m\"", "\"0s\""));
    let mut second = scene.send_to(&strict, &request);
    let mut lenient = scene.send_to(&other, &request);
    assert!(matches!(second.claim(), Claim::Elsewhere(_)));
    assert_eq!(
        first.answered(None).verdict(),
        Verdict::Denied("revocation_unavailable")
    );
    assert!(second.heard() && lenient.heard());
    assert_eq!(second.verdict(), Verdict::Denied("revocation_unavailable"));
    // Where it may serve while the source is down, it does.
    assert_eq!(lenient.verdict(), Verdict::Allowed);
}

#[test]
fn what_this_worker_was_told_counts_where_the_table_can_not_keep_it() {
    let scene = Scene::new(POLICY);
    let request = with_id(&scene, "t-1");
    asks(&scene, &request, "/EXISTS/revoked:t-1").answered(VALID);
    scene.pass(6);
    let exchange = asks(&scene, &request, "/EXISTS/revoked:t-1");
    // Every write of the answer loses, so the table still has the old one.
    scene.host.lose_writes(64);
    assert_eq!(exchange.answered(REVOKED).verdict(), Verdict::Denied("token_revoked"));
}
