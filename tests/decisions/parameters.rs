//! Parameters in path, query, header fields and cookies: by style and schema, each fault with its place.

use crate::scene::{Request, Scene, get, post_json, request};

const POLICY: &str = r#"{
    "requests": { "undeclared": "deny" },
    "operations": [
        { "id": "search", "methods": ["GET"], "path": "/items/{kind}",
          "path_params": { "properties": { "kind": { "enum": ["book", "film"] } } },
          "query": { "required": ["q"], "properties": {
              "q": { "type": "string", "maxLength": 5 }, "limit": { "type": "integer", "minimum": 1, "maximum": 100 },
              "exact": { "type": "boolean" }, "ratio": { "type": "number" },
              "ids": { "type": "array", "items": { "type": "integer" }, "maxItems": 3 },
              "tags": { "type": "array", "items": { "type": "string" } }, "cols": { "type": "array", "items": { "enum": ["a", "b"] } },
              "filter": { "type": "object", "properties": { "min": { "type": "integer" }, "in": { "type": "array", "items": { "type": "integer" } } }, "additionalProperties": false },
              "page": { "type": "object", "properties": { "from": { "type": "integer" }, "to": { "type": "integer" } } } } },
          "styles": { "query": { "tags": { "style": "pipeDelimited" }, "cols": { "explode": false }, "filter": { "style": "deepObject" } } },
          "headers": { "required": ["x-version"], "properties": { "x-version": { "type": "integer" }, "x-ids": { "type": "array", "items": { "type": "integer" } } } },
          "cookies": { "properties": { "theme": { "enum": ["dark", "light"] } } } },
        { "id": "strict", "methods": ["GET"], "path": "/strict", "unknown_parameters": "deny",
          "query": { "properties": { "a": {} } } },
        { "id": "files", "methods": ["GET"], "path": "/files/{rest=**}",
          "path_params": { "properties": { "rest": { "pattern": "^[a-z/]*$" } } } },
        { "id": "trial", "methods": ["GET"], "path": "/trial", "mode": "shadow", "query": { "properties": { "n": { "type": "integer" } } } },
        { "id": "closed", "methods": ["GET"], "path": "/closed/{a}", "query": { "additionalProperties": false } },
        { "id": "counts", "methods": ["GET"], "path": "/counts", "query": { "additionalProperties": { "type": "integer" } },
          "headers": { "properties": { "x-map": { "type": "object", "additionalProperties": { "type": "integer" } } } } }
    ]
}"#;

fn scene() -> Scene {
    Scene::new(POLICY)
}

fn search(query: &str) -> Request {
    get(&format!("/items/book?{query}")).field("x-version", "1")
}

/// Refused with these faults.
#[track_caller]
fn refused(request: &Request, errors: &[(&str, &str)]) {
    let reply = scene().denied(request, "parameter_invalid");
    let start = reply.body.find("\"errors\":[").unwrap();
    let expected: Vec<_> = errors
        .iter()
        .map(|(at, problem)| format!(r#"{{"at":"{at}","problem":"{problem}"}}"#))
        .collect();
    assert_eq!(&reply.body[start..], format!("\"errors\":[{}]}}", expected.join(",")));
}

#[test]
fn what_fits_passes_in_every_style() {
    for query in [
        "q=x",
        "q=%C3%A9+%26&limit=100&exact=true&ratio=-1.5e3",
        "q=x&ids=1&ids=2",
        "q=x&tags=a|b%7Cc&cols=a,b",
        "q=x&filter[min]=1&filter%5Bin%5D=1&filter[in]=2",
        "q=x&from=1&to=2",
        "q=&unknown=1&unknown=2&&",
    ] {
        scene().allowed(&search(query));
    }
    scene().allowed(&search("q=x").field("x-ids", "1, 2").field("x-ids", "3"));
    scene().allowed(
        &search("q=x")
            .field("cookie", "theme=dark; theme2=x")
            .field("cookie", "other=%zz"),
    );
    scene().allowed(&get("/strict?a=1").field("accept", "*/*").field("x-forwarded-for", "1"));
    scene().allowed(&get("/files/a/b"));
    scene().allowed(&get("/files"));
}

#[test]
fn what_does_not_fit_is_named_by_its_place() {
    refused(&search("limit=5"), &[("query/q", "is required")]);
    refused(
        &search("q=toolong&limit=0"),
        &[
            ("query/limit", "must be at least 1"),
            ("query/q", "must have at most 5 characters"),
        ],
    );
    for limit in ["1.0", "1e1", "+1", "01", "%201", "", "one", "0x1", "%EF%BC%91"] {
        refused(
            &search(&format!("q=x&limit={limit}")),
            &[("query/limit", "must be an integer")],
        );
    }
    refused(&search("q=x&exact=True"), &[("query/exact", "must be true or false")]);
    refused(&search("q=x&ids=1&ids=x"), &[("query/ids/1", "must be an integer")]);
    refused(&search("q=x&ids=1,2"), &[("query/ids/0", "must be an integer")]);
    refused(
        &search("q=x&ids=1&ids=1&ids=1&ids=1"),
        &[("query/ids", "must have at most 3 items")],
    );
    refused(
        &search("q=x&cols=a%2Cb"),
        &[("query/cols/0", "must be one of the allowed values")],
    );
    refused(&search("q=x&filter[max]=1"), &[("query/filter/max", "is not allowed")]);
    refused(&search("q=x&from=x"), &[("query/page/from", "must be an integer")]);
    refused(
        &get("/items/game?q=x").field("x-version", "1"),
        &[("path/kind", "must be one of the allowed values")],
    );
    refused(&get("/items/book?q=x"), &[("headers/x-version", "is required")]);
    refused(
        &search("q=x").field("x-ids", "1,x"),
        &[("headers/x-ids/1", "must be an integer")],
    );
    refused(
        &search("q=x").field("cookie", "theme=blue"),
        &[("cookies/theme", "must be one of the allowed values")],
    );
    refused(&get("/files/a/B"), &[("path/rest", "must match the pattern")]);
    scene().allowed(&get("/counts?a=1&b=2").field("x-map", "a,1,b,2"));
    refused(&get("/counts?a=x"), &[("query/a", "must be an integer")]);
    refused(
        &get("/counts").field("x-map", "a,1,a,2"),
        &[("headers/x-map", "must be names and values")],
    );
    refused(
        &get("/counts").field("x-map", "a,1,b"),
        &[("headers/x-map", "must be names and values")],
    );
    refused(&get("/closed/1?x=1"), &[("query/x", "is not allowed")]);
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    refused(&search("q=x&q=y"), &[("query/q", "must come once")]);
    refused(&search("q=x&%71=y"), &[("query/q", "must come once")]);
    refused(
        &search("q=x&limit=1&limit[]=2"),
        &[("query/limit[]", "is another spelling of a declared parameter")],
    );
    refused(&search("q=x&cols=a&cols=b"), &[("query/cols", "must come once")]);
    refused(
        &search("q=x&filter[min]=1&filter[min]=2"),
        &[("query/filter[min]", "must come once")],
    );
    refused(
        &search("q=x&filter[min][x]=1"),
        &[("query/filter[min][x]", "must name one member in brackets")],
    );
    refused(
        &search("q=x&filter=1"),
        &[("query/filter", "must be written with its members in brackets")],
    );
    refused(&search("q=x;limit=1"), &[("query", "has a `;` that is not encoded")]);
    refused(&search("q=%"), &[("query", "has a malformed percent-encoding")]);
    refused(&search("q=%u0041"), &[("query", "has a malformed percent-encoding")]);
    refused(&search("q=%ff"), &[("query", "has bytes that are not UTF-8")]);
    refused(&search("q=%00"), &[("query", "has a NUL character")]);
    refused(&search(&"&a".repeat(513)), &[("query", "has too many names")]);
    refused(
        &search("q=x").field("x-version", "1"),
        &[("headers/x-version", "must come once")],
    );
    refused(
        &search("q=x").field("cookie", "theme=dark; theme=light"),
        &[("cookies/theme", "must come once")],
    );
    for kind in ["book;x=1", "book%3Bx"] {
        refused(
            &get(&format!("/items/{kind}?q=x")).field("x-version", "1"),
            &[("path/kind", "must not hold a `;`")],
        );
    }
}

#[test]
fn unknown_parameters_are_refused_where_that_is_asked() {
    refused(&get("/strict?a=1&b=2"), &[("query/b", "is not declared")]);
    refused(
        &get("/strict").field("x-debug", "1"),
        &[("headers/x-debug", "is not declared")],
    );
    refused(
        &get("/strict").field("cookie", "id=1"),
        &[("cookies/id", "is not declared")],
    );
    let long = get(&format!("/strict?{}=secret", "x".repeat(200)));
    refused(&long, &[(&format!("query/{}", "x".repeat(64)), "is not declared")]);
}

#[test]
fn an_operation_in_shadow_lets_them_pass_and_tells() {
    let scene = scene();
    let mut exchange = scene.allowed(&get("/trial?n=x"));
    let codes: Vec<_> = exchange
        .pipeline
        .take_shadowed()
        .iter()
        .map(|reason| reason.code())
        .collect();
    assert_eq!(codes, ["parameter_invalid"]);
}

const HOSTS: &str = r#"{
    "requests": { "undeclared": "deny" }, "tokens": { "providers": [ { "issuer": "https://id.example", "audiences": ["a"], "algorithms": ["RS256"],
        "jwks": { "cluster": "idp", "authority": "id.example", "path": "/jwks" } } ] },
    "operations": [
        { "methods": ["GET", "DELETE"], "path": "/a", "token": "required" },
        { "methods": ["GET"], "path": "/open", "hosts": ["api.example.com"], "token": "none" },
        { "methods": ["GET"], "path": "/open", "hosts": ["*.example.com"], "token": "required" }
    ]
}"#;

#[test]
fn the_most_concrete_host_decides_in_every_spelling() {
    let scene = Scene::new(HOSTS);
    for host in [
        "api.example.com",
        "API.EXAMPLE.COM",
        "api.example.com.",
        "api.example.com:443",
    ] {
        scene.allowed(&get("/open").authority(host));
    }
    scene.denied(&get("/open").authority("x.example.com"), "token_missing");
    scene.denied(&get("/open").authority("x.api.example.com"), "token_missing");
    for host in ["example.com", "other", "api.example.com.evil"] {
        scene.denied(&get("/open").authority(host), "operation_unknown");
    }
}

#[test]
fn a_preflight_is_judged_by_the_method_that_it_asks_for() {
    let scene = Scene::new(HOSTS);
    let preflight = |method: &str| {
        request("OPTIONS", "/a")
            .field("origin", "https://app")
            .field("access-control-request-method", method)
    };
    scene.allowed(&preflight("GET"));
    scene.allowed(&preflight("DELETE"));
    scene.denied(&preflight("PUT"), "method_not_allowed");
    scene.denied(&preflight("GET").body("x"), "body_unexpected");
    scene.denied(
        &request("OPTIONS", "/a").field("origin", "https://app"),
        "method_not_allowed",
    );
    scene.denied(
        &request("OPTIONS", "/a").field("access-control-request-method", "GET"),
        "method_not_allowed",
    );
    scene.denied(&preflight("GET").field("origin", "https://other"), "method_not_allowed");
    let elsewhere = request("OPTIONS", "/b")
        .field("origin", "x")
        .field("access-control-request-method", "GET");
    scene.denied(&elsewhere, "operation_unknown");
}

/// Only what a browser sends before a request goes without a token, and only where that is wished.
#[test]
fn what_is_no_preflight_needs_its_token() {
    let policy = |requests: &str| {
        let tokens = r#""tokens": { "providers": [ { "issuer": "i", "audiences": ["a"], "algorithms": ["ES256"],
            "jwks": { "cluster": "c", "authority": "a", "path": "/p" } } ] }"#;
        let operations = r#""operations": [ { "methods": ["GET"], "path": "/a" }, { "methods": ["GET", "OPTIONS"], "path": "/own" } ]"#;
        Scene::new(&format!("{{ {requests} {operations}, {tokens} }}"))
    };
    let options = |path: &str| request("OPTIONS", path);
    let preflight = |path: &str, method: &str| {
        let request = options(path).field("origin", "https://app");
        request.field("access-control-request-method", method)
    };
    for requests in ["", r#""requests": { "preflights": "allow" },"#] {
        let scene = policy(requests);
        scene.allowed(&preflight("/a", "GET"));
        for other in [
            options("/a"),
            options("/a").field("origin", "https://app"),
            options("/a").field("access-control-request-method", "GET"),
            preflight("/a", "PUT"),
            preflight("/a", "get"),
            preflight("/b", "GET"),
            preflight("/a", "GET").field("access-control-request-method", "GET"),
            // An OPTIONS of its own is an operation like any other.
            preflight("/own", "GET"),
            get("/a")
                .field("origin", "x")
                .field("access-control-request-method", "GET"),
        ] {
            scene.denied(&other, "token_missing");
        }
        let with_body = preflight("/a", "GET").body("x");
        scene.denied(&with_body, "body_unexpected");
        scene.denied(&with_body.field("content-length", "1"), "body_unexpected");
    }
    let scene = policy(r#""requests": { "mode": "shadow" },"#);
    scene.allowed(&preflight("/a", "GET"));
    scene.denied(&preflight("/a", "GET").body("x"), "token_missing");
    let scene = policy(r#""requests": { "preflights": "judge" },"#);
    scene.denied(&preflight("/a", "GET"), "token_missing");
    let scene = policy(r#""requests": { "preflights": "judge", "undeclared": "deny" },"#);
    scene.denied(&preflight("/a", "GET"), "method_not_allowed");
}

/// `schemas`: documents that bodies and parameters refer to, and that refer to each other.
#[test]
fn schemas_may_refer_to_documents_that_the_configuration_gives() {
    let scene = Scene::new(
        r##"{
            "schemas": {
                "https://x.example/order.json": { "type": "object", "required": ["count"],
                    "properties": { "count": { "$ref": "common.json#/$defs/count" }, "next": { "$ref": "#" } } },
                "https://x.example/common.json": { "$defs": { "count": { "type": "integer", "minimum": 1 }, "tag": { "$anchor": "tag", "maxLength": 2 } } }
            },
            "operations": [
                { "methods": ["POST"], "path": "/orders", "query": { "properties": { "page": { "$ref": "https://x.example/common.json#/$defs/count" } } },
                  "body": { "content": { "application/json": { "schema": { "allOf": [ { "$ref": "https://x.example/order.json" },
                    { "properties": { "tag": { "$ref": "https://x.example/common.json#tag" } } } ] } } } } }
            ]
        }"##,
    );
    scene.allowed(&post_json(
        "/orders?page=2",
        r#"{"count":1,"next":{"count":2},"tag":"ab"}"#,
    ));
    scene.denied(&post_json("/orders?page=0", r#"{"count":1}"#), "parameter_invalid");
    for (body, at) in [
        (r#"{"count":0}"#, "/count"),
        (r#"{"count":1,"next":{"count":"2"}}"#, "/next/count"),
        (r#"{"count":1,"tag":"abc"}"#, "/tag"),
    ] {
        let reply = scene.denied(&post_json("/orders", body), "body_invalid");
        assert!(reply.body.contains(&format!(r#""at":"{at}""#)), "{}", reply.body);
    }
}
