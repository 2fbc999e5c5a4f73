//! Login attempts, through the whole pipeline.

use crate::scene::{Scene, Verdict, get, header, post_json, request};
use portcullis::host::Counter;
use portcullis::store::ATTEMPTS_MAX;
use std::time::Duration;

const POLICY: &str = r#"{ "login": { "operations": [ { "methods": ["POST"], "path": "/login" } ], "client": { "attempts": 5, "window": "15m" }, "ban": { "for": "15m" } } }"#;

fn guess() -> crate::scene::Request {
    post_json("/login", r#"{"username":"ann","password":"wrong"}"#)
}

#[test]
fn the_sixth_wrong_password_is_banned_and_the_seventh_too() {
    let scene = Scene::new(POLICY);
    for _ in 0..5 {
        scene.allowed(&guess()).responds(401);
    }
    let reply = scene.denied(&guess(), "client_banned");
    assert_eq!((reply.status, header(&reply, "retry-after")), (429, Some("900")));
    scene.pass(60);
    let reply = scene.denied(&guess(), "client_banned");
    assert_eq!(header(&reply, "retry-after"), Some("840"));
    assert_eq!(scene.host.counted(Counter::BanStarted), 1);
    scene.allowed(&get("/orders"));
    scene.pass(840);
    scene.allowed(&guess());
}

#[test]
fn spellings_of_the_login_path_count_as_one() {
    let scene = Scene::new(POLICY);
    for path in ["/login", "//login", "/%6Cogin", "/login/", "/login;x"] {
        scene.allowed(&request("POST", path)).responds(401);
    }
    scene.denied(&request("POST", "/./login"), "client_banned");
}

#[test]
fn parallel_guesses_are_as_many_attempts() {
    let scene = Scene::new(POLICY);
    let under_way: Vec<_> = (0..5).map(|_| scene.allowed(&guess())).collect();
    for _ in 0..95 {
        scene.denied(&guess(), "login_limited");
    }
    under_way.into_iter().for_each(|exchange| {
        exchange.responds(401);
    });
    scene.denied(&guess(), "client_banned");
}

#[test]
fn an_own_login_between_guesses_resets_nothing() {
    let scene = Scene::new(POLICY);
    for _ in 0..4 {
        scene.allowed(&guess()).responds(401);
        scene.allowed(&guess()).responds(200);
    }
    scene.allowed(&guess()).responds(401);
    scene.denied(&guess(), "client_banned");
}

#[test]
fn a_failing_backend_refunds_and_no_answer_stays_counted() {
    let scene = Scene::new(POLICY);
    for _ in 0..20 {
        scene.allowed(&guess()).responds(503);
    }
    for _ in 0..4 {
        // The client goes away before the answer.
        scene.allowed(&guess()).pipeline.finish(&scene.host);
    }
    // Envoy answers in the backend's place.
    scene.allowed(&guess()).respond(503, false);
    scene.denied(&guess(), "client_banned");
}

#[test]
fn a_ban_of_all_refuses_every_request() {
    let scene = Scene::new(&POLICY.replace("\"for\": \"15m\"", "\"for\": \"15m\", \"scope\": \"all\""));
    for _ in 0..5 {
        scene.allowed(&guess()).responds(401);
    }
    scene.denied(&guess(), "client_banned");
    scene.denied(&get("/orders"), "client_banned");
    scene.host.set_address("192.0.2.77:1");
    scene.allowed(&get("/orders"));
}

#[test]
fn an_invalid_body_is_refused_before_it_costs_an_attempt() {
    let scene = Scene::new(&POLICY.replacen('{', r#"{ "requests": {}, "#, 1));
    for _ in 0..20 {
        scene.denied(&post_json("/login", "{"), "json_malformed");
    }
    assert_eq!(scene.host.counted(Counter::AttemptReserved), 0);
    scene.allowed(&guess());
}

#[test]
fn without_a_store_logins_are_refused_unless_told_otherwise() {
    let scene = Scene::new(POLICY);
    scene.host.set_broken(true);
    scene.denied(&guess(), "store_unavailable");
    scene.allowed(&get("/orders"));
    let scene = Scene::new(&POLICY.replace("\"ban\"", "\"on_error\": \"allow\", \"ban\""));
    scene.host.set_broken(true);
    scene.allowed(&guess());
}

/// An update that loses every race is answered as `on_error` says, counted, and takes nothing.
#[test]
fn a_login_that_loses_every_write_is_refused_unless_told_otherwise() {
    let scene = Scene::new(POLICY);
    scene.host.lose_writes(ATTEMPTS_MAX - 1);
    scene.allowed(&guess()).responds(200);
    assert_eq!(scene.host.counted(Counter::StoreExhausted), 0);
    for times in 1..=10 {
        scene.host.lose_writes(ATTEMPTS_MAX);
        let reply = scene.denied(&guess(), "store_unavailable");
        assert_eq!(reply.status, 503);
        assert_eq!(scene.host.counted(Counter::StoreExhausted), times);
    }
    assert_eq!(scene.host.counted(Counter::StoreFailure), 0);
    assert_eq!(scene.host.counted(Counter::AttemptReserved), 1);
    for _ in 0..5 {
        scene.allowed(&guess()).responds(401);
    }
    scene.denied(&guess(), "client_banned");
    // Without a reservation there is nothing to settle.
    let scene = Scene::new(&POLICY.replace("\"ban\"", "\"on_error\": \"allow\", \"ban\""));
    for times in 1..=10 {
        scene.host.lose_writes(ATTEMPTS_MAX);
        scene.allowed(&guess()).responds(401);
        assert_eq!(scene.host.counted(Counter::StoreExhausted), times);
    }
    assert_eq!(scene.host.counted(Counter::AttemptFailed), 0);
}

#[test]
fn an_attempt_whose_settlement_is_lost_stays_counted() {
    let scene = Scene::new(POLICY);
    for times in 1..=5 {
        let exchange = scene.allowed(&guess());
        scene.host.lose_writes(ATTEMPTS_MAX);
        exchange.responds(200);
        assert_eq!(scene.host.counted(Counter::StoreExhausted), times);
    }
    assert_eq!(scene.host.counted(Counter::AttemptRefunded), 0);
    scene.denied(&guess(), "login_limited");
}

/// What time has given back already is not given back again when a slow backend answers at last.
#[test]
fn slow_logins_of_one_s_own_buy_no_guesses() {
    let scene = Scene::new(&POLICY.replace("15m\" }, \"ban\"", "5s\" }, \"ban\""));
    let under_way: Vec<_> = (0..5).map(|_| scene.allowed(&guess())).collect();
    scene.pass(5);
    for _ in 0..5 {
        scene.allowed(&guess()).responds(401);
    }
    for own in under_way {
        own.responds(200);
    }
    scene.denied(&guess(), "client_banned");
}

#[test]
fn each_ban_s_end_is_counted_also_where_the_next_follows_at_once() {
    let scene = Scene::new(&POLICY.replace("\"15m\" } }", "\"1s\", \"factor\": 1 } }"));
    for bans in 1..=3 {
        for _ in 0..5 {
            scene.allowed(&guess()).responds(401);
        }
        scene.denied(&guess(), "client_banned");
        assert_eq!(scene.host.counted(Counter::BanStarted), bans);
        assert_eq!(scene.host.counted(Counter::BanExpired), bans - 1);
        scene.pass(15 * 60);
    }
}

/// Times that were stored before the clock was put back are no longer ahead than one limit: the wait that is told is the truth.
#[test]
fn a_clock_that_is_put_back_holds_nobody_longer_than_one_window() {
    let scene = Scene::new(POLICY);
    let under_way: Vec<_> = (0..5).map(|_| scene.allowed(&guess())).collect();
    scene.denied(&guess(), "login_limited");
    scene.host.put_back(Duration::from_secs(86_400));
    let reply = scene.denied(&guess(), "login_limited");
    assert_eq!(header(&reply, "retry-after"), Some("180"));
    scene.pass(179);
    scene.denied(&guess(), "login_limited");
    scene.pass(1);
    scene.allowed(&guess());
    scene.denied(&guess(), "login_limited");
    drop(under_way);
}

/// Whether it is the login that meets it or, with bans of everything, any request.
#[test]
fn a_ban_from_before_the_clock_was_put_back_lasts_no_longer_than_the_longest() {
    let policy = POLICY.replace(
        "\"for\": \"15m\"",
        "\"for\": \"15m\", \"max\": \"1h\", \"scope\": \"all\"",
    );
    let counted = policy.replacen(
        '{',
        r#"{ "quotas": [ { "name": "q", "limit": 100, "window": "1m" } ], "#,
        1,
    );
    for policy in [&policy, &counted] {
        for request in [guess(), get("/orders")] {
            let scene = Scene::new(policy);
            for _ in 0..5 {
                scene.allowed(&guess()).responds(401);
            }
            scene.denied(&guess(), "client_banned");
            scene.host.put_back(Duration::from_secs(86_400));
            let reply = scene.denied(&request, "client_banned");
            assert_eq!(header(&reply, "retry-after"), Some("3600"));
            scene.pass(3599);
            scene.denied(&request, "client_banned");
            scene.pass(1);
            // A quota behind it was cut with it.
            scene.allowed(&request);
        }
    }
}

/// A retry at the second of `Retry-After` is let through, and one a second earlier is not; whatever the fraction of a second at
/// which it was told, and whether the limit or the ban is what lasts.
#[test]
fn a_retry_after_a_ban_passes_at_the_second_it_was_told_and_not_before() {
    for (window, length) in [
        ("15m", "15m"),
        ("15m", "1s"),
        ("15m", "30s"),
        ("5s", "1s"),
        ("7s", "90s"),
    ] {
        let policy = format!(
            r#"{{ "login": {{ "client": {{ "attempts": 5, "window": "{window}" }}, "ban": {{ "for": "{length}" }} }} }}"#
        );
        for milliseconds in [0, 1, 250, 999] {
            let scene = Scene::new(&policy);
            scene.host.advance(Duration::from_millis(milliseconds));
            for bans in 1..=4 {
                loop {
                    let exchange = scene.send(&guess());
                    if exchange.verdict() != Verdict::Allowed {
                        break;
                    }
                    exchange.responds(401);
                }
                let told = |code| -> u64 {
                    let reply = scene.denied(&guess(), code);
                    header(&reply, "retry-after").unwrap().parse().unwrap()
                };
                let seconds = told("client_banned");
                scene.pass(seconds - 1);
                assert_eq!(told("client_banned"), 1, "{policy}");
                scene.pass(1);
                scene.allowed(&guess()).responds(401);
                assert_eq!(scene.host.counted(Counter::BanStarted), bans, "{policy}");
            }
        }
    }
}
