//! Token status lists: one signed list tells of many tokens, and a request costs no callout once it is there.

use crate::revocation::{signed, with_claims};
use crate::scene::{Exchange, Request, Scene, Verdict};
use ct_codecs::{Base64UrlSafeNoPadding, Encoder};
use portcullis::callout::Answer;
use portcullis::engine::Engine;
use portcullis::guard::revocation::Claim;
use portcullis::host::{Counter, Host};
use portcullis::knowledge::Need;
use std::rc::Rc;

const POLICY: &str = r#"{
  "tokens": { "providers": [ { "issuer": "i", "audiences": ["a"], "algorithms": ["HS256"], "jwks": { "inline": { "keys": [ { "kty": "oct", "k": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY" } ] } } } ] },
  "revocation": { "on_error": "deny", "stale": "1m", "status_list": { "clusters": { "s.example": "status" } } } }"#;

/// What is done to a list's claims before they are signed.
type Change = fn(String) -> String;

const URI: &str = "https://s.example/lists/1";

fn token(scene: &Scene, index: u64) -> Request {
    with_claims(
        scene,
        &format!(r#","status":{{"status_list":{{"idx":{index},"uri":"{URI}"}}}}"#),
    )
}

/// A list of two bits a token, signed as the issuer does; `change` is made to its claims.
fn list(scene: &Scene, statuses: &[u8], change: impl Fn(String) -> String) -> String {
    let bytes: Vec<u8> = statuses
        .chunks(4)
        .map(|four| four.iter().enumerate().map(|(at, status)| status << (2 * at)).sum())
        .collect();
    let packed = miniz_oxide::deflate::compress_to_vec_zlib(&bytes, 9);
    let lst = Base64UrlSafeNoPadding::encode_to_string(packed).unwrap();
    let now = scene.host.now().seconds();
    let claims = format!(
        r#"{{"sub":"{URI}","iat":{now},"exp":{},"ttl":100,"status_list":{{"bits":2,"lst":"{lst}"}}}}"#,
        now + 1000
    );
    signed(r#"{"alg":"HS256","typ":"statuslist+jwt"}"#, &change(claims))
}

fn answer(text: &str) -> Option<(u16, &str, &str)> {
    Some((200, "application/statuslist+jwt", text))
}

#[track_caller]
fn asks<'s>(scene: &'s Scene, request: &Request) -> Exchange<'s> {
    let exchange = scene.send(request);
    assert_eq!(exchange.verdict(), Verdict::Waits(Need::StatusList(0, URI.into())));
    exchange
}

fn due(scene: &Scene, worker: &Rc<Engine>) -> Vec<Need> {
    worker.due(&scene.host)
}

#[test]
fn every_status_but_valid_is_refused_and_one_fetch_serves_all() {
    let scene = Scene::new(POLICY);
    let other = scene.worker(POLICY);
    let first = asks(&scene, &token(&scene, 0));
    let callout = first.callout();
    assert_eq!(
        (callout.cluster.as_str(), callout.path.as_str()),
        ("status", "/lists/1")
    );
    assert_eq!(callout.fields, [("accept", "application/statuslist+jwt".to_owned())]);
    assert_eq!(first.claim(), Claim::Mine);
    let mut second = scene.send_to(&other, &token(&scene, 1));
    assert!(matches!(second.claim(), Claim::Elsewhere(_)) && !second.heard());
    let text = list(&scene, &[0, 1, 2, 3], |claims| claims);
    assert_eq!(first.answered(answer(&text)).verdict(), Verdict::Allowed);
    assert!(second.heard());
    assert_eq!(second.verdict(), Verdict::Denied("token_revoked"));
    for worker in [&scene.engine, &other] {
        assert_eq!(scene.send_to(worker, &token(&scene, 0)).verdict(), Verdict::Allowed);
        for index in [1, 2, 3] {
            assert_eq!(
                scene.send_to(worker, &token(&scene, index)).verdict(),
                Verdict::Denied("token_revoked")
            );
        }
        for index in [4, 1 << 40, u64::MAX] {
            assert_eq!(
                scene.send_to(worker, &token(&scene, index)).verdict(),
                Verdict::Denied("token_status")
            );
        }
    }
    assert_eq!(scene.host.counted(Counter::StatusListAsked), 1);
    // A token that names no list is none of its business.
    scene.allowed(&with_claims(&scene, ""));
}

#[test]
fn a_worker_that_has_not_looked_yet_takes_over_what_another_has_fetched() {
    let scene = Scene::new(POLICY);
    let text = list(&scene, &[0, 1], |claims| claims);
    let first = asks(&scene, &token(&scene, 0));
    assert_eq!(first.claim(), Claim::Mine);
    assert_eq!(first.answered(answer(&text)).verdict(), Verdict::Allowed);
    let other = scene.worker(POLICY);
    let mut second = scene.send_to(&other, &token(&scene, 1));
    assert!(matches!(second.claim(), Claim::Elsewhere(_)) && second.heard());
    assert_eq!(second.verdict(), Verdict::Denied("token_revoked"));
    assert_eq!(scene.host.counted(Counter::StatusListAsked), 1);
    // One that is to be fetched anew is asked for.
    scene.pass(90);
    let late = scene.worker(POLICY);
    assert_eq!(scene.send_to(&late, &token(&scene, 1)).claim(), Claim::Mine);
}

#[test]
fn a_list_is_fetched_anew_before_its_time_is_over_and_by_one_worker() {
    let scene = Scene::new(POLICY);
    let other = scene.worker(POLICY);
    let text = list(&scene, &[0], |claims| claims);
    assert_eq!(
        asks(&scene, &token(&scene, 0)).answered(answer(&text)).verdict(),
        Verdict::Allowed
    );
    scene.pass(89);
    assert!(due(&scene, &scene.engine).is_empty());
    scene.pass(1);
    let needs = due(&scene, &scene.engine);
    assert_eq!(needs, [Need::StatusList(0, URI.into())]);
    assert_eq!(scene.engine.claim(&scene.host, &needs[0]), Claim::Mine);
    assert!(matches!(other.claim(&scene.host, &needs[0]), Claim::Elsewhere(_)));
    scene.engine.asked(&scene.host, &needs[0]);
    assert!(due(&scene, &scene.engine).is_empty());
    let revoked = list(&scene, &[1], |claims| claims);
    let fields = [("content-type", "application/statuslist+jwt")];
    assert!(
        scene
            .engine
            .learn(&scene.host, &needs[0], Some(&Answer::of(200, &fields, revoked)))
    );
    assert!(due(&scene, &other).is_empty());
    for worker in [&scene.engine, &other] {
        assert_eq!(
            scene.send_to(worker, &token(&scene, 0)).verdict(),
            Verdict::Denied("token_revoked")
        );
    }
    // Nobody asks for it any more: it is let go.
    scene.pass(300);
    assert!(due(&scene, &scene.engine).is_empty());
}

#[test]
fn a_list_that_fails_any_check_is_none() {
    let changes: [(&str, Change); 10] = [
        ("sub", |claims| claims.replace("lists/1", "lists/2")),
        ("iat", |claims| claims.replace("\"iat\"", "\"iat2\"")),
        ("future", |claims| claims.replace("\"iat\":1", "\"iat\":2")),
        ("expired", |claims| claims.replace("\"exp\":1", "\"exp\":0.1")),
        ("ttl", |claims| claims.replace("\"ttl\":100", "\"ttl\":0")),
        ("ttl text", |claims| claims.replace("\"ttl\":100", "\"ttl\":\"100\"")),
        ("bits", |claims| claims.replace("\"bits\":2", "\"bits\":3")),
        ("issuer", |claims| {
            claims.replace("{\"sub\"", "{\"iss\":\"other\",\"sub\"")
        }),
        ("lst", |claims| claims.replace("\"lst\":\"e", "\"lst\":\"f")),
        ("list", |claims| claims.replace("status_list", "status_lists")),
    ];
    for (what, change) in changes {
        let scene = Scene::new(POLICY);
        let text = list(&scene, &[0], change);
        let exchange = asks(&scene, &token(&scene, 0)).answered(answer(&text));
        assert_eq!(exchange.verdict(), Verdict::Denied("revocation_unavailable"), "{what}");
    }
    let scene = Scene::new(POLICY);
    let good = list(&scene, &[0], |claims| claims);
    let forged = good.replace(good.rsplit('.').next().unwrap(), "AAAA");
    let plain = good.replacen(
        good.split('.').next().unwrap(),
        &Base64UrlSafeNoPadding::encode_to_string(r#"{"alg":"HS256","typ":"JWT"}"#).unwrap(),
        1,
    );
    let answers = [
        None,
        Some((200, "application/jwt", good.as_str())),
        Some((404, "application/statuslist+jwt", good.as_str())),
        Some((503, "application/statuslist+jwt", good.as_str())),
        answer(&forged),
        answer(&plain),
        answer(""),
    ];
    for found in answers {
        let scene = Scene::new(POLICY);
        let exchange = asks(&scene, &token(&scene, 0)).answered(found);
        assert_eq!(
            exchange.verdict(),
            Verdict::Denied("revocation_unavailable"),
            "{found:?}"
        );
        // It is not asked for again at once.
        scene.denied(&token(&scene, 0), "revocation_unavailable");
        scene.pass(1);
        let text = list(&scene, &[0], |claims| claims);
        assert_eq!(
            asks(&scene, &token(&scene, 0)).answered(answer(&text)).verdict(),
            Verdict::Allowed
        );
    }
}

#[test]
fn an_address_that_is_not_listed_is_not_followed_and_an_invalid_token_causes_no_fetch() {
    let scene = Scene::new(POLICY);
    for uri in ["http://s.example/1", "https://evil/1", "https://s.example@evil/1"] {
        let request = with_claims(
            &scene,
            &format!(r#","status":{{"status_list":{{"idx":0,"uri":"{uri}"}}}}"#),
        );
        scene.denied(&request, "revocation_unavailable");
    }
    scene.denied(&with_claims(&scene, r#","status":7"#), "token_claim");
    scene.denied(
        &with_claims(
            &scene,
            r#","status":{"status_list":{"idx":-1,"uri":"https://s.example/1"}}"#,
        ),
        "token_claim",
    );
    let forged = {
        let mut text = token(&scene, 0).bearer_text().to_owned();
        text.replace_range(text.len() - 6.., "AAAAAA");
        crate::scene::get("/x").bearer(&text)
    };
    scene.denied(&forged, "token_signature");
    assert!(due(&scene, &scene.engine).is_empty());
    assert_eq!(scene.host.counted(Counter::StatusListAsked), 0);
}

#[test]
fn a_list_whose_source_is_down_serves_while_it_may_and_never_beyond_its_end() {
    let policy = POLICY.replace("\"1m\"", "\"1h\"");
    let scene = Scene::new(&policy);
    let request = |scene: &Scene| token(scene, 0);
    let text = list(&scene, &[0], |claims| claims);
    assert_eq!(
        asks(&scene, &request(&scene)).answered(answer(&text)).verdict(),
        Verdict::Allowed
    );
    for _ in 0..9 {
        scene.pass(100);
        let needs = due(&scene, &scene.engine);
        assert_eq!(needs.len(), 1);
        scene.engine.asked(&scene.host, &needs[0]);
        assert!(!scene.engine.learn(&scene.host, &needs[0], None));
        scene.allowed(&request(&scene));
    }
    assert!(scene.host.counted(Counter::RevocationStale) >= 7);
    scene.pass(100);
    assert_eq!(
        asks(&scene, &request(&scene)).answered(None).verdict(),
        Verdict::Denied("revocation_unavailable")
    );
}

#[test]
fn a_list_past_its_end_says_nothing_of_anybody_and_on_error_answers() {
    for (on_error, expected) in [
        ("deny", Verdict::Denied("revocation_unavailable")),
        ("allow", Verdict::Allowed),
    ] {
        let policy = POLICY
            .replace("\"1m\"", "\"1h\"")
            .replace("\"deny\"", &format!("\"{on_error}\""));
        let scene = Scene::new(&policy);
        let text = list(&scene, &[1, 0], |claims| claims);
        assert_eq!(
            asks(&scene, &token(&scene, 0)).answered(answer(&text)).verdict(),
            Verdict::Denied("token_revoked")
        );
        // Its source is down from now on. `stale` lets it serve beyond its `ttl`, for what was revoked as for the rest.
        for _ in 0..9 {
            scene.pass(100);
            for need in due(&scene, &scene.engine) {
                scene.engine.asked(&scene.host, &need);
                assert!(!scene.engine.learn(&scene.host, &need, None));
            }
            scene.denied(&token(&scene, 0), "token_revoked");
            scene.allowed(&token(&scene, 1));
        }
        // A list beyond its `exp` is to be rejected (Token Status List, section 8.3): the status of both is unknown.
        scene.pass(100);
        for index in [0, 1] {
            let request = token(&scene, index);
            assert_eq!(asks(&scene, &request).answered(None).verdict(), expected);
            assert_eq!(scene.send(&request).verdict(), expected, "at rest");
            scene.pass(1);
        }
    }
}
