//! Shadow mode: decided and counted, never refused.

use crate::scene::{Scene, get, post_json, request};
use portcullis::host::Counter;
use portcullis::verdict::Reason;

#[test]
fn in_shadow_nothing_is_refused_and_everything_is_counted() {
    let scene = Scene::new(
        r#"{ "mode": "shadow", "requests": { "undeclared": "deny", "require_headers": ["x-app"] }, "clients": { "deny": ["203.0.113.0/24"] },
             "quotas": [ { "name": "q", "limit": 1, "window": "1m" } ],
             "tokens": { "providers": [ { "issuer": "i", "audiences": ["a"], "algorithms": ["ES256"], "jwks": { "cluster": "c", "authority": "a", "path": "/p" } } ] } }"#,
    );
    let mut exchange = scene.allowed(&get("/x"));
    let codes = exchange.pipeline.take_shadowed();
    assert_eq!(
        codes,
        [Reason::OperationUnknown, Reason::HeaderMissing, Reason::TokenMissing]
    );
    let mut exchange = scene.allowed(&request("get", "/%zz").field("x-app", "1"));
    assert!(exchange.pipeline.take_shadowed().contains(&Reason::QuotaExceeded));
    assert!(exchange.edits().is_empty());
    assert_eq!(exchange.responds(200), []);
    scene.host.set_address("203.0.113.1:1");
    scene.allowed(&post_json("/x", "{"));
    assert_eq!(scene.host.counted(Counter::Shadowed(Reason::ClientDenied)), 1);
    assert_eq!(scene.host.counted(Counter::Denied(Reason::ClientDenied)), 0);
    assert_eq!(scene.host.counted(Counter::Allowed), 3);
}

#[test]
fn a_shadowed_body_fault_lets_the_body_through() {
    let scene = Scene::new(r#"{ "requests": { "mode": "shadow", "max_body": 3 } }"#);
    for body in ["{", "xxxx", "{}"] {
        scene.allowed(&post_json("/x", body));
    }
    assert_eq!(scene.host.counted(Counter::Shadowed(Reason::JsonMalformed)), 1);
    assert_eq!(scene.host.counted(Counter::Shadowed(Reason::BodyTooLarge)), 1);
}

#[test]
fn an_operation_or_a_quota_can_be_in_shadow_by_itself() {
    let scene = Scene::new(
        r#"{ "operations": [ { "methods": ["POST"], "path": "/a", "mode": "shadow", "body": { "required": true } }, { "methods": ["POST"], "path": "/b", "body": { "required": true } } ],
             "quotas": [ { "name": "trial", "limit": 1, "window": "1m", "mode": "shadow" }, { "name": "real", "limit": 3, "window": "1m" } ] }"#,
    );
    scene.allowed(&request("POST", "/a"));
    scene.denied(&request("POST", "/b"), "body_missing");
    let fields = scene.allowed(&request("POST", "/a")).responds(200);
    assert_eq!(fields[0].1, "\"real\";q=3;w=60");
    scene.denied(&request("POST", "/a"), "quota_exceeded");
    assert_eq!(scene.host.counted(Counter::Shadowed(Reason::QuotaExceeded)), 2);
}
