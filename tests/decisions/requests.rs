//! Requests and operations.

use crate::scene::{Scene, get, header, post_json, request};
use portcullis::host::Counter;

const POLICY: &str = r##"{
  "requests": { "max_body": 200, "undeclared": "deny", "require_headers": ["x-app"], "max_json_depth": 4, "max_json_members": 20, "max_string": 40 },
  "operations": [
    { "id": "login", "methods": ["POST"], "path": "/login" },
    { "id": "list", "methods": ["GET"], "path": "/orders" },
    { "id": "delete", "methods": ["DELETE"], "path": "/orders/{id}" },
    { "id": "create", "methods": ["POST"], "path": "/orders",
      "body": { "required": true, "max": 300, "content": { "application/json": { "schema": {
        "type": "object", "required": ["items"], "additionalProperties": false,
        "properties": { "items": { "type": "array", "minItems": 1, "items": { "$ref": "#/$defs/item" } }, "note": { "type": "string", "maxLength": 5 } },
        "$defs": { "item": { "type": "object", "required": ["sku"], "properties": { "sku": { "type": "string", "pattern": "^[A-Z]{3}$" }, "qty": { "type": "integer", "minimum": 1 } } } }
      } } } } },
    { "id": "upload", "methods": ["PUT"], "path": "/files/{name}", "body": { "content": { "text/*": {} }, "content_encodings": ["gzip"] } }
  ] }"##;

fn scene() -> Scene {
    Scene::new(POLICY)
}

fn order(body: &str) -> crate::scene::Request {
    post_json("/orders", body).field("x-app", "1")
}

#[test]
fn good_requests_pass_and_are_counted() {
    let scene = scene();
    scene.allowed(&get("/orders").field("x-app", "1"));
    scene.allowed(&request("HEAD", "/orders").field("x-app", "1"));
    scene.allowed(&order(r#"{"items":[{"sku":"ABC","qty":2}]}"#));
    scene.allowed(
        &request("PUT", "/files/a")
            .field("x-app", "1")
            .field("content-type", "text/csv")
            .body("a,b"),
    );
    scene.allowed(&request("PUT", "/files/a").field("x-app", "1"));
    assert_eq!(scene.host.counted(Counter::Allowed), 5);
}

#[test]
fn every_spelling_of_a_path_is_judged_as_one_and_forwarded_as_one() {
    for (path, forwarded) in [
        ("/%6Cogin", Some("/login")),
        ("//login", Some("/login")),
        ("/./login", Some("/login")),
        ("/x/../login?a=1", Some("/login?a=1")),
        ("/login/", None),
        ("/login;x", None),
        ("/login", None),
    ] {
        let exchange = scene().allowed(&request("POST", path).field("x-app", "1")).edits();
        let expected: Vec<_> = forwarded
            .map(|p| (":path".to_owned(), Some(p.to_owned())))
            .into_iter()
            .collect();
        assert_eq!(exchange, expected, "{path}");
    }
}

#[test]
fn paths_and_methods_without_one_meaning_are_refused() {
    for path in [
        "",
        "*",
        "/a%2fb",
        "/a\\b",
        "/%zz",
        "/%c0%af",
        "/a%00",
        "/a#b",
        "/..;/login",
    ] {
        scene().denied(&get(path).field("x-app", "1"), "path_invalid");
    }
    scene().denied(&request("GET", "absent").field("x-app", "1"), "path_invalid");
    for method in ["get", "Get", "", "GE T", "absent"] {
        scene().denied(&request(method, "/orders").field("x-app", "1"), "method_invalid");
    }
    scene().denied(&get("/orders").field(":path", "/login"), "path_invalid");
    scene().denied(&get("/orders").field(":method", "POST"), "method_invalid");
    scene().denied(&get("/orders").field(":authority", "other"), "host_invalid");
    let named = |host: &str| get("/orders").field("x-app", "1").authority(host);
    scene().allowed(&named("api.example:443"));
    for host in ["", "localhost,evil", "a@b", "a b"] {
        scene().denied(&named(host), "host_invalid");
    }
}

#[test]
fn what_is_not_declared_is_refused_with_the_methods_that_are() {
    scene().denied(&get("/other").field("x-app", "1"), "operation_unknown");
    let reply = scene().denied(&request("PATCH", "/orders").field("x-app", "1"), "method_not_allowed");
    assert_eq!((reply.status, header(&reply, "allow")), (405, Some("GET, HEAD, POST")));
}

#[test]
fn header_rules_hold() {
    scene().denied(&get("/orders"), "header_missing");
    for name in ["content-type", "content-length", "authorization", "host"] {
        scene().denied(
            &get("/orders").field("x-app", "1").field(name, "1").field(name, "1"),
            "header_repeated",
        );
    }
    scene().denied(
        &get("/orders")
            .field("x-app", "1")
            .field("x-http-method-override", "DELETE"),
        "method_override",
    );
    scene().allowed(&get("/orders").field("x-app", b"\x80\xff"));
    scene().denied(&order("{}").field("content-length", b"\xff"), "header_invalid");
    scene().denied(&order("{}").field("content-length", "+5"), "header_invalid");
}

#[test]
fn a_body_is_where_it_is_declared_and_as_large_as_allowed() {
    let app = |r: crate::scene::Request| r.field("x-app", "1");
    scene().denied(
        &app(request("POST", "/orders").field("content-type", "application/json")),
        "body_missing",
    );
    scene().denied(&order(""), "body_missing");
    scene().denied(&app(get("/orders").body("x")), "body_unexpected");
    scene().allowed(&app(get("/orders").body("")));
    scene().denied(&app(request("DELETE", "/orders/1").body("x")), "body_unexpected");
    scene().allowed(&app(request("POST", "/login").body("x".repeat(200))));
    scene().denied(&app(request("POST", "/login").body("x".repeat(201))), "body_too_large");
    scene().denied(
        &app(request("POST", "/login").field("content-length", "201").body("")),
        "body_too_large",
    );
    scene().denied(&order(&" ".repeat(301)), "body_too_large");
}

#[test]
fn content_types_and_codings_are_as_declared() {
    let body = r#"{"items":[{"sku":"ABC"}]}"#;
    let with = |value: &str| {
        request("POST", "/orders")
            .field("x-app", "1")
            .field("content-type", value)
            .body(body)
    };
    for value in [
        "application/json",
        "Application/JSON; charset=UTF-8",
        "application/json;charset=\"utf-8\"",
    ] {
        scene().allowed(&with(value));
    }
    for value in [
        "text/plain",
        "application/json, text/plain",
        "application/json; charset=utf-16",
        "application/jsonx",
        "",
        "json",
        "application/json; charset",
    ] {
        scene().denied(&with(value), "content_type");
    }
    scene().denied(
        &request("POST", "/orders").field("x-app", "1").body(body),
        "content_type",
    );
    scene().denied(
        &with("application/json").field("content-encoding", "gzip"),
        "content_encoding",
    );
    scene().allowed(&with("application/json").field("content-encoding", "identity"));
    let upload = |coding: &str| {
        request("PUT", "/files/a")
            .field("x-app", "1")
            .field("content-type", "text/csv")
            .field("content-encoding", coding)
            .body("x")
    };
    scene().allowed(&upload("GZIP"));
    scene().denied(&upload("gzip, br"), "content_encoding");
}

#[test]
fn json_is_strict_on_every_path() {
    let login = |body: &str| post_json("/login", body).field("x-app", "1");
    scene().allowed(&login(r#"{"any":["thing",1]}"#));
    for body in ["{", "{}{}", "{'a':1}", "[1,]", "\u{feff}{}", "nul", "\"\\ud800\""] {
        scene().denied(&login(body), "json_malformed");
    }
    let invalid_utf8 = request("POST", "/login")
        .field("x-app", "1")
        .field("content-type", "application/x+json")
        .body(b"\"\xff\"");
    scene().denied(&invalid_utf8, "json_malformed");
    scene().denied(&login(r#"{"a":1,"a":2}"#), "json_duplicate");
    scene().denied(&login("[[[[[1]]]]]"), "json_limit");
    scene().denied(&login(&format!("[{}1]", "1,".repeat(20))), "json_limit");
    scene().denied(&login(&format!("\"{}\"", "x".repeat(41))), "json_limit");
}

#[test]
fn schema_faults_name_their_places_and_no_value() {
    let reply = scene().denied(
        &order(r#"{"items":[{"sku":"ABC","qty":0},{"sku":"secret"},{}],"note":"secret","secret":1}"#),
        "body_invalid",
    );
    let errors = &reply.body[reply.body.find("\"errors\"").unwrap()..];
    assert_eq!(
        errors,
        concat!(
            r#""errors":[{"at":"/items/0/qty","problem":"must be at least 1"},"#,
            r#"{"at":"/items/1/sku","problem":"must match the pattern"},"#,
            r#"{"at":"/items/2/sku","problem":"is required"},"#,
            r#"{"at":"/note","problem":"must have at most 5 characters"},"#,
            r#"{"at":"/secret","problem":"is not allowed"}]}"#
        )
    );
    for body in [
        "[]",
        "null",
        "1",
        r#"{"items":[]}"#,
        r#"{"items":{}}"#,
        r#"{"items":[{"sku":"ABC","qty":1.5}]}"#,
    ] {
        scene().denied(&order(body), "body_invalid");
    }
    scene().allowed(&order(r#"{"items":[{"sku":"ABC","qty":1.0}]}"#));
}

#[test]
fn grpc_callers_get_a_grpc_status() {
    let reply = scene().denied(
        &request("POST", "/other")
            .field("content-type", "application/grpc")
            .field("x-app", "1"),
        "operation_unknown",
    );
    assert_eq!(
        (reply.grpc_status, reply.body.as_str()),
        (Some(12), "operation_unknown")
    );
}

#[test]
fn an_empty_configuration_lets_everything_through() {
    let scene = Scene::new("{}");
    scene.allowed(&get("/anything"));
    scene.allowed(&post_json("/%zz", "{"));
    assert_eq!(scene.host.cell_count(), 0);
}
