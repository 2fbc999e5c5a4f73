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

/// Every place that an operation has rules for: what would be refused is let through, and counted as what it is.
#[test]
fn an_operation_in_shadow_lets_faults_in_every_place_through() {
    let policy = |mode: &str| {
        let one =
            r#"{ "properties": { "n": { "type": "integer" } }, "required": ["n"], "additionalProperties": false }"#;
        format!(
            r#"{{ "operations": [ {{ "methods": ["POST"], "path": "/a/{{n}}", "mode": "{mode}", "unknown_parameters": "deny",
                "path_params": {one}, "query": {one}, "headers": {{ "properties": {{ "x-n": {{ "type": "integer" }} }} }},
                "cookies": {{ "properties": {{ "n": {{ "type": "integer" }} }} }},
                "body": {{ "required": true, "max": "1KiB", "content": {{ "application/json": {{ "schema": {one} }}, "application/x-www-form-urlencoded": {{ "schema": {one} }},
                    "multipart/form-data": {{ "schema": {one} }}, "text/plain": {{}} }} }} }} ] }}"#
        )
    };
    let (enforced, shadowed) = (Scene::new(&policy("enforce")), Scene::new(&policy("shadow")));
    let at = |path: &str, kind: &str, body: &str| request("POST", path).field("content-type", kind).body(body);
    let json = |path: &str| at(path, "application/json", r#"{"n":1}"#);
    let body = |kind: &str, body: &str| at("/a/1?n=1", kind, body);
    let part = |n: &str| format!("--B\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\n{n}\r\n--B--");
    let (form, multipart) = ("application/x-www-form-urlencoded", "multipart/form-data; boundary=B");
    for good in [
        json("/a/1?n=1").field("x-n", "1").field("cookie", "n=1"),
        body(form, "n=1"),
        body(multipart, &part("1")),
        body("text/plain", "x"),
    ] {
        enforced.allowed(&good);
        assert_eq!(shadowed.allowed(&good).pipeline.take_shadowed(), []);
    }
    for (name, request, reason) in [
        ("path", json("/a/x?n=1"), Reason::ParameterInvalid),
        ("query", json("/a/1?n=x"), Reason::ParameterInvalid),
        ("query missing", json("/a/1"), Reason::ParameterInvalid),
        ("query unknown", json("/a/1?n=1&m=1"), Reason::ParameterInvalid),
        ("query torn", json("/a/1?n=%4"), Reason::ParameterInvalid),
        ("header", json("/a/1?n=1").field("x-n", "x"), Reason::ParameterInvalid),
        (
            "header unknown",
            json("/a/1?n=1").field("x-m", "1"),
            Reason::ParameterInvalid,
        ),
        (
            "cookie",
            json("/a/1?n=1").field("cookie", "n=x"),
            Reason::ParameterInvalid,
        ),
        (
            "cookie unknown",
            json("/a/1?n=1").field("cookie", "m=1"),
            Reason::ParameterInvalid,
        ),
        (
            "type twice",
            body("text/plain", "x").field("content-type", "text/plain"),
            Reason::HeaderRepeated,
        ),
        ("no body", request("POST", "/a/1?n=1"), Reason::BodyMissing),
        ("another type", body("text/html", "x"), Reason::ContentType),
        (
            "a coding",
            body("text/plain", "x").field("content-encoding", "gzip"),
            Reason::ContentEncoding,
        ),
        ("large", body("text/plain", &"x".repeat(1025)), Reason::BodyTooLarge),
        ("JSON", body("application/json", r#"{"n":"x"}"#), Reason::BodyInvalid),
        ("JSON torn", body("application/json", "{"), Reason::JsonMalformed),
        (
            "JSON twice",
            body("application/json", r#"{"n":1,"n":1}"#),
            Reason::JsonDuplicate,
        ),
        ("form", body(form, "n=x"), Reason::BodyInvalid),
        ("form torn", body(form, "n=%4"), Reason::FormMalformed),
        ("multipart", body(multipart, &part("x")), Reason::BodyInvalid),
        ("multipart torn", body(multipart, "--B"), Reason::MultipartMalformed),
    ] {
        enforced.denied(&request, reason.code());
        let before = shadowed.host.counted(Counter::Shadowed(reason));
        let mut exchange = shadowed.allowed(&request);
        assert_eq!(exchange.pipeline.take_shadowed(), [reason], "{name}");
        assert_eq!(shadowed.host.counted(Counter::Shadowed(reason)), before + 1, "{name}");
        assert_eq!(shadowed.host.counted(Counter::Denied(reason)), 0, "{name}");
    }
}
