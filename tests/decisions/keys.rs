//! Key sets by callout: who fetches them and when, what a rotation costs, and what a bad answer does not.

use crate::scene::{Scene, Verdict};
use crate::tokens::{encode, now, with};
use jwt_simple::algorithms::{ECDSAP256KeyPairLike, ES256KeyPair};
use jwt_simple::claims::Claims;
use jwt_simple::prelude::Duration as Span;
use portcullis::callout::Answer;
use portcullis::guard::revocation::answers::Claim;
use portcullis::host::{Counter, Host};
use portcullis::knowledge::Need;
use std::time::Duration;

const REMOTE: &str = r#"{ "tokens": { "providers": [ { "issuer": "https://id.example", "audiences": ["api"], "algorithms": ["ES256"],
  "jwks": { "cluster": "idp", "authority": "id.example", "path": "/jwks", "refresh": "10m" } } ] } }"#;

fn es256(scene: &Scene, key: &ES256KeyPair) -> String {
    let now = Span::from_secs(now(scene));
    let mut claims = Claims::create(Span::from_mins(5))
        .with_issuer("https://id.example")
        .with_audience("api")
        .with_subject("ann");
    claims.issued_at = Some(now);
    claims.invalid_before = None;
    claims.expires_at = Some(now + Span::from_secs(3600));
    key.sign(claims).unwrap()
}

fn jwks(key: &ES256KeyPair) -> String {
    format!(r#"{{"keys":[{}]}}"#, key.public_key().to_jwk())
}

const JSON: &str = "application/json";

#[test]
fn keys_are_fetched_when_first_needed_and_refreshed_for_an_unknown_one() {
    let scene = Scene::new(REMOTE);
    let (old, new) = (
        ES256KeyPair::generate().with_key_id("1"),
        ES256KeyPair::generate().with_key_id("2"),
    );
    let exchange = scene.send(&with(&es256(&scene, &old)));
    assert_eq!(exchange.verdict(), Verdict::Waits(Need::Keys(0)));
    assert_eq!(
        exchange.answered(Some((200, JSON, &jwks(&old)))).verdict(),
        Verdict::Allowed
    );
    scene.allowed(&with(&es256(&scene, &old)));
    scene.pass(5);
    let exchange = scene.send(&with(&es256(&scene, &new)));
    assert_eq!(exchange.verdict(), Verdict::Waits(Need::Keys(0)));
    assert_eq!(
        exchange.answered(Some((200, JSON, &jwks(&new)))).verdict(),
        Verdict::Allowed
    );
    // The old key is gone, and with it what was remembered of its tokens; that is known, for the keys are no older.
    scene.denied(&with(&es256(&scene, &old)), "token_key_unknown");
}

#[test]
fn a_bad_answer_leaves_the_old_keys() {
    let scene = Scene::new(REMOTE);
    let (key, other) = (
        ES256KeyPair::generate().with_key_id("1"),
        ES256KeyPair::generate().with_key_id("2"),
    );
    let good = jwks(&key);
    scene
        .send(&with(&es256(&scene, &key)))
        .answered(Some((200, JSON, &good)));
    let private = format!(r#"{{"keys":[{}]}}"#, other.to_jwk());
    let for_encryption = jwks(&other).replace("\"sig\"", "\"enc\"");
    let large = format!(r#"{{"keys":[],"x":"{}"}}"#, "x".repeat(300 << 10));
    for answer in [
        None,
        Some((500, JSON, good.as_str())),
        Some((204, JSON, "")),
        Some((302, JSON, good.as_str())),
        Some((200, "text/html", good.as_str())),
        Some((200, "", good.as_str())),
        Some((200, JSON, "<html>")),
        Some((200, JSON, "{}")),
        Some((200, JSON, r#"{"keys":{}}"#)),
        Some((200, JSON, r#"{"keys":[]}"#)),
        Some((200, JSON, r#"{"keys":[{"kty":"EC"}]}"#)),
        Some((200, JSON, r#"{"keys":[],"keys":[]}"#)),
        Some((200, JSON, private.as_str())),
        Some((200, JSON, for_encryption.as_str())),
        Some((200, JSON, large.as_str())),
    ] {
        scene.pass(5);
        let exchange = scene.send(&with(&es256(&scene, &other))).answered(answer);
        // It can't be told whether the issuer has this key.
        assert_eq!(
            exchange.verdict(),
            Verdict::Denied("token_keys_unavailable"),
            "{answer:?}"
        );
        scene.allowed(&with(&es256(&scene, &key)));
    }
}

#[test]
fn keys_that_no_fetch_confirms_end() {
    let scene = Scene::new(&REMOTE.replace("\"10m\"", "\"10m\", \"stale\": \"1h\""));
    let key = ES256KeyPair::generate().with_key_id("1");
    scene
        .send(&with(&es256(&scene, &key)))
        .answered(Some((200, JSON, &jwks(&key))));
    scene.pass(3599);
    scene.allowed(&with(&es256(&scene, &key)));
    scene.pass(1);
    let exchange = scene.send(&with(&es256(&scene, &key))).answered(None);
    assert_eq!(exchange.verdict(), Verdict::Denied("token_keys_unavailable"));
}

#[test]
fn without_keys_nothing_passes() {
    let scene = Scene::new(REMOTE);
    let key = ES256KeyPair::generate().with_key_id("1");
    let exchange = scene.send(&with(&es256(&scene, &key))).answered(None);
    assert_eq!(exchange.verdict(), Verdict::Denied("token_keys_unavailable"));
    assert_eq!(exchange.into_reply().status, 503);
}

#[test]
fn tokens_wait_for_a_fetch_that_is_under_way_and_start_no_second_one() {
    let scene = Scene::new(REMOTE);
    let key = ES256KeyPair::generate().with_key_id("1");
    let token = es256(&scene, &key);
    let first = scene.send(&with(&token));
    assert_eq!(scene.send(&with(&token)).verdict(), Verdict::Waits(Need::Keys(0)));
    assert_eq!(
        first.answered(None).verdict(),
        Verdict::Denied("token_keys_unavailable")
    );
    scene.pass(1);
    // It failed: for five seconds nobody asks again, whatever tokens come, and none waits.
    for _ in 0..100 {
        let exchange = scene.send(&with(&token));
        assert_eq!(exchange.claim(), Claim::Nobody);
        assert_eq!(exchange.unasked().verdict(), Verdict::Denied("token_keys_unavailable"));
    }
    scene.pass(4);
    let exchange = scene.send(&with(&token)).answered(Some((200, JSON, &jwks(&key))));
    assert_eq!(exchange.verdict(), Verdict::Allowed);
}

#[test]
fn keys_are_due_at_start_and_early_before_their_refresh_ends() {
    let scene = Scene::new(REMOTE);
    let key = ES256KeyPair::generate().with_key_id("1");
    let due = || scene.engine.due(&scene.host);
    let fetch = |cache_control: &str| {
        assert_eq!(scene.engine.claim(&scene.host, &Need::Keys(0)), Claim::Mine);
        let fields = [("content-type", JSON), ("cache-control", cache_control)];
        let answer = Answer::of(200, &fields, jwks(&key));
        assert!(scene.engine.learn(&scene.host, &Need::Keys(0), Some(&answer)));
    };
    for (cache_control, early, late) in [
        ("", 480, 570),
        ("max-age=100", 80, 95),
        ("max-age=0", 24, 29),
        ("max-age=9999", 480, 570),
    ] {
        assert_eq!(due(), [Need::Keys(0)]);
        fetch(cache_control);
        assert_eq!(due(), []);
        scene.pass(early - 1);
        assert_eq!(due(), [], "{cache_control}");
        scene.pass(late - early + 1);
    }
    // A failed one is tried again after five seconds.
    assert_eq!(scene.engine.claim(&scene.host, &Need::Keys(0)), Claim::Mine);
    assert!(!scene.engine.learn(&scene.host, &Need::Keys(0), None));
    scene.pass(4);
    assert_eq!(due(), []);
    scene.pass(1);
    assert_eq!(due(), [Need::Keys(0)]);
}

#[test]
fn a_new_key_right_after_a_fetch_waits_for_the_next_and_is_not_refused() {
    let scene = Scene::new(REMOTE);
    let (old, new) = (
        ES256KeyPair::generate().with_key_id("1"),
        ES256KeyPair::generate().with_key_id("2"),
    );
    scene
        .send(&with(&es256(&scene, &old)))
        .answered(Some((200, JSON, &jwks(&old))));
    scene.pass(1);
    let mut waiting = scene.send(&with(&es256(&scene, &new)));
    let turn = scene.host.now().plus(Duration::from_secs(4));
    assert_eq!(waiting.claim(), Claim::Elsewhere(turn));
    assert!(!waiting.heard());
    scene.pass(4);
    // Its turn has come, and nobody told it anything.
    let waiting = waiting.unasked();
    assert_eq!(waiting.verdict(), Verdict::Waits(Need::Keys(0)));
    assert_eq!(
        waiting.answered(Some((200, JSON, &jwks(&new)))).verdict(),
        Verdict::Allowed
    );
}

#[test]
fn a_key_that_nobody_has_is_unknown_after_a_fetch_that_was_begun_later() {
    let scene = Scene::new(REMOTE);
    let (key, other) = (
        ES256KeyPair::generate().with_key_id("1"),
        ES256KeyPair::generate().with_key_id("2"),
    );
    scene
        .send(&with(&es256(&scene, &key)))
        .answered(Some((200, JSON, &jwks(&key))));
    let before = es256(&scene, &other);
    scene.pass(6);
    let waiting = scene.send(&with(&es256(&scene, &other)));
    let waiting = waiting.answered(Some((200, JSON, &jwks(&key))));
    assert_eq!(waiting.verdict(), Verdict::Denied("token_key_unknown"));
    // Until the next fetch may be made, nobody waits for this key again; for yet another one, but not for ever.
    scene.pass(1);
    scene.denied(&with(&es256(&scene, &other)), "token_key_unknown");
    let third = ES256KeyPair::generate().with_key_id("3");
    let waiting = scene.send(&with(&es256(&scene, &third)));
    assert!(matches!(waiting.claim(), Claim::Elsewhere(_)));
    scene.pass(7);
    assert_eq!(waiting.unasked().verdict(), Verdict::Denied("token_keys_unavailable"));
    // A token that says itself that it is older than the keys waits for nothing.
    scene.pass(30);
    let fresh = scene.send(&with(&es256(&scene, &other)));
    fresh.answered(Some((200, JSON, &jwks(&key))));
    scene.pass(1);
    scene.denied(&with(&before), "token_key_unknown");
}

#[test]
fn a_flood_of_keys_that_nobody_has_holds_few_requests_and_leaves_room_for_a_new_one() {
    let scene = Scene::new(REMOTE);
    let (old, new) = (
        ES256KeyPair::generate().with_key_id("1"),
        ES256KeyPair::generate().with_key_id("2"),
    );
    let forged = |name: &str| {
        let token = es256(&scene, &old);
        let (_, rest) = token.split_once('.').unwrap();
        format!("{}.{rest}", encode(format!(r#"{{"alg":"ES256","kid":"{name}"}}"#)))
    };
    scene
        .send(&with(&es256(&scene, &old)))
        .answered(Some((200, JSON, &jwks(&old))));
    scene.pass(1);
    let awaited = || scene.host.counted(Counter::KeyAwaited);
    // One name, as often as one likes: a bound for it alone.
    let mut held: Vec<_> = (0..600).map(|_| scene.send(&with(&forged("x")))).collect();
    held.retain(|exchange| exchange.verdict() == Verdict::Waits(Need::Keys(0)));
    assert_eq!((held.len(), awaited()), (512, 512));
    // It takes no place from a key that was just rotated in; a hundred further names take none either.
    let rotated = scene.send(&with(&es256(&scene, &new)));
    assert_eq!(rotated.verdict(), Verdict::Waits(Need::Keys(0)));
    for number in 0..100 {
        let exchange = scene.send(&with(&forged(&format!("made-up-{number}"))));
        if matches!(exchange.verdict(), Verdict::Waits(_)) {
            held.push(exchange);
        } else {
            assert_eq!(exchange.verdict(), Verdict::Denied("token_key_unknown"));
        }
    }
    assert_eq!(held.len(), 512 + 6);
    // Known keys are not concerned.
    scene.allowed(&with(&es256(&scene, &old)));
    let both = format!(
        r#"{{"keys":[{},{}]}}"#,
        old.public_key().to_jwk(),
        new.public_key().to_jwk()
    );
    scene.pass(4);
    let rotated = rotated.unasked();
    assert_eq!(rotated.verdict(), Verdict::Waits(Need::Keys(0)));
    assert_eq!(rotated.answered(Some((200, JSON, &both))).verdict(), Verdict::Allowed);
    // All of the others come to know, and their places are free.
    for exchange in held {
        assert_eq!(exchange.unasked().verdict(), Verdict::Denied("token_key_unknown"));
    }
    // What was waited for in vain is refused at once until the next fetch may be made, and then triggers no more than that.
    let before = awaited();
    for _ in 0..600 {
        scene.denied(&with(&forged("x")), "token_key_unknown");
    }
    assert_eq!(awaited(), before);
    scene.pass(5);
    let next = scene.send(&with(&forged("x")));
    assert_eq!(next.claim(), Claim::Mine);
    let next = next.answered(Some((200, JSON, &both)));
    assert_eq!(next.verdict(), Verdict::Denied("token_key_unknown"));
    scene.pass(1);
    scene.denied(&with(&forged("x")), "token_key_unknown");
    let other = scene.send(&with(&forged("y")));
    assert!(matches!(other.claim(), Claim::Elsewhere(_)));
}

#[test]
fn one_worker_fetches_for_all() {
    let scene = Scene::new(REMOTE);
    let other = scene.worker(REMOTE);
    let (old, new) = (
        ES256KeyPair::generate().with_key_id("1"),
        ES256KeyPair::generate().with_key_id("2"),
    );
    let token = es256(&scene, &old);
    let first = scene.send(&with(&token));
    assert_eq!(first.claim(), Claim::Mine);
    let mut second = scene.send_to(&other, &with(&token));
    assert!(matches!(second.claim(), Claim::Elsewhere(_)) && !second.heard());
    assert_eq!(
        first.answered(Some((200, JSON, &jwks(&old)))).verdict(),
        Verdict::Allowed
    );
    assert!(second.heard());
    assert_eq!(second.verdict(), Verdict::Allowed);
    // A third worker, or a configuration that comes later, has them from the start.
    let third = scene.worker(REMOTE);
    assert_eq!(scene.send_to(&third, &with(&token)).verdict(), Verdict::Allowed);
    // A withdrawn key is withdrawn everywhere by the next tick.
    scene.pass(5);
    let exchange = scene.send(&with(&es256(&scene, &new)));
    assert_eq!(
        exchange.answered(Some((200, JSON, &jwks(&new)))).verdict(),
        Verdict::Allowed
    );
    assert_eq!(scene.send_to(&other, &with(&token)).verdict(), Verdict::Allowed);
    assert_eq!(other.due(&scene.host), []);
    assert_ne!(scene.send_to(&other, &with(&token)).verdict(), Verdict::Allowed);
    assert_eq!(
        scene.send_to(&other, &with(&es256(&scene, &new))).verdict(),
        Verdict::Allowed
    );
    // Of another issuer's place, nothing is taken over.
    let elsewhere = scene.worker(&REMOTE.replace("/jwks", "/other"));
    assert_eq!(
        scene.send_to(&elsewhere, &with(&es256(&scene, &new))).verdict(),
        Verdict::Waits(Need::Keys(0))
    );
}

#[test]
fn what_was_published_since_the_last_tick_serves_the_next_request() {
    let scene = Scene::new(REMOTE);
    let other = scene.worker(REMOTE);
    let (old, new) = (
        ES256KeyPair::generate().with_key_id("1"),
        ES256KeyPair::generate().with_key_id("2"),
    );
    for key in [old, new] {
        let token = es256(&scene, &key);
        let fetched = scene.send(&with(&token)).answered(Some((200, JSON, &jwks(&key))));
        assert_eq!(fetched.verdict(), Verdict::Allowed);
        // The other worker may not ask again so soon, and need not.
        let mut waiting = scene.send_to(&other, &with(&token));
        assert_eq!(waiting.claim(), Claim::Elsewhere(scene.host.now()));
        assert!(waiting.heard());
        assert_eq!(waiting.verdict(), Verdict::Allowed);
        scene.pass(5);
    }
}

#[test]
fn a_worker_that_dies_while_it_fetches_is_followed() {
    let scene = Scene::new(REMOTE);
    let other = scene.worker(REMOTE);
    let key = ES256KeyPair::generate().with_key_id("1");
    let token = es256(&scene, &key);
    assert_eq!(scene.send(&with(&token)).claim(), Claim::Mine);
    let mut waiting = scene.send_to(&other, &with(&token));
    let Claim::Elsewhere(until) = waiting.claim() else {
        panic!("nobody was at it")
    };
    assert_eq!(until, scene.host.now().plus(Duration::from_secs(2)));
    scene.pass(5);
    assert!(waiting.heard());
    let next = scene.send_to(&other, &with(&token));
    assert_eq!(
        next.answered(Some((200, JSON, &jwks(&key)))).verdict(),
        Verdict::Allowed
    );
}

#[test]
fn discovery_names_the_keys_of_the_issuer_itself() {
    let policy = REMOTE.replace(
        "\"path\": \"/jwks\"",
        "\"discovery\": \"/.well-known/openid-configuration\"",
    );
    let key = ES256KeyPair::generate().with_key_id("1");
    let document = |issuer: &str, uri: &str| format!(r#"{{"issuer":"{issuer}","jwks_uri":"{uri}"}}"#);
    let good = document("https://id.example", "https://id.example/keys?v=1");
    let scene = Scene::new(&policy);
    let token = es256(&scene, &key);
    let path = |scene: &Scene| scene.engine.callout(&Need::Keys(0)).unwrap().path;
    let exchange = scene.send(&with(&token));
    assert_eq!(path(&scene), "/.well-known/openid-configuration");
    let exchange = exchange.answered(Some((200, JSON, &good)));
    assert_eq!(
        (exchange.verdict(), path(&scene)),
        (Verdict::Waits(Need::Keys(0)), "/keys?v=1".to_owned())
    );
    assert_eq!(scene.engine.due(&scene.host), [Need::Keys(0)]);
    let exchange = exchange.answered(Some((200, JSON, &jwks(&key))));
    assert_eq!(exchange.verdict(), Verdict::Allowed);
    for bad in [
        document("https://id.example/", "https://id.example/keys"),
        document("https://evil.example", "https://id.example/keys"),
        document("https://id.example", "https://evil.example/keys"),
        document("https://id.example", "https://id.example.evil/keys"),
        document("https://id.example", "https://id.example@evil/keys"),
        document("https://id.example", "https://id.example:1/keys"),
        document("https://id.example", "https://id.example"),
        document("https://id.example", "https://id.example/a b"),
        document("https://id.example", "file://id.example/keys"),
        r#"{"issuer":"https://id.example"}"#.to_owned(),
        "[]".to_owned(),
    ] {
        let scene = Scene::new(&policy);
        let exchange = scene.send(&with(&token)).answered(Some((200, JSON, &bad)));
        assert_eq!(exchange.verdict(), Verdict::Denied("token_keys_unavailable"), "{bad}");
    }
}

#[test]
fn a_refused_token_is_refused_again_without_a_look_until_the_keys_change() {
    let scene = Scene::new(REMOTE);
    let (key, other) = (
        ES256KeyPair::generate().with_key_id("1"),
        ES256KeyPair::generate().with_key_id("1"),
    );
    let token = es256(&scene, &other);
    let checks = || scene.host.counted(Counter::SignatureByModule);
    let exchange = scene.send(&with(&token)).answered(Some((200, JSON, &jwks(&key))));
    assert_eq!((exchange.verdict(), checks()), (Verdict::Denied("token_signature"), 1));
    for _ in 0..10 {
        scene.denied(&with(&token), "token_signature");
    }
    assert_eq!(checks(), 1);
    scene.pass(10);
    scene.denied(&with(&token), "token_signature");
    assert_eq!(checks(), 2);
    assert_eq!(scene.engine.claim(&scene.host, &Need::Keys(0)), Claim::Mine);
    let answer = Answer::of(200, &[("content-type", JSON)], jwks(&other));
    assert!(scene.engine.learn(&scene.host, &Need::Keys(0), Some(&answer)));
    scene.allowed(&with(&token));
    scene.allowed(&with(&token));
    assert_eq!(checks(), 3);
}
