//! Revoked tokens.

use crate::scene::{Exchange, Request, Scene, Verdict, get, header};
use ct_codecs::{Base64UrlSafeNoPadding, Encoder};
use jwt_simple::algorithms::{HS256Key, MACLike};
use portcullis::host::{Counter, Host};
use portcullis::knowledge::Need;

const SECRET: &[u8; 32] = b"0123456789abcdef0123456789abcdef";
const POLICY: &str = r#"{
  "tokens": { "providers": [ { "issuer": "i", "audiences": ["a"], "algorithms": ["HS256"], "jwks": { "inline": { "keys": [ { "kty": "oct", "k": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY" } ] } } } ] },
  "revocation": { "on_error": "deny", "stale": "1m", "lookup": { "cluster": "c", "authority": "a", "path": "/EXISTS/revoked:{jti}", "revoked": { "json": "/EXISTS", "equals": 1 }, "cache": "5s" } } }"#;

const VALID: Option<(u16, &str, &str)> = Some((200, "application/json", r#"{"EXISTS":0}"#));
const REVOKED: Option<(u16, &str, &str)> = Some((200, "application/json", r#"{"EXISTS":1}"#));

fn with_claims(scene: &Scene, members: &str) -> Request {
    let end = scene.host.now().seconds() + 3600;
    let encode = |text: &str| Base64UrlSafeNoPadding::encode_to_string(text).unwrap();
    let payload = format!(r#"{{"iss":"i","aud":"a","sub":"ann","exp":{end}{members}}}"#);
    let input = format!("{}.{}", encode(r#"{"alg":"HS256"}"#), encode(&payload));
    let tag = HS256Key::from_bytes(SECRET).authentication_tag(input.as_bytes());
    get("/x").bearer(&format!(
        "{input}.{}",
        Base64UrlSafeNoPadding::encode_to_string(tag).unwrap()
    ))
}

fn with_id(scene: &Scene, id: &str) -> Request {
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
