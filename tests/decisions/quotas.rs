//! Quotas.

use crate::scene::{Scene, Verdict, get, header, request};

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
