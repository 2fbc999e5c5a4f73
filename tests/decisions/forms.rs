//! Form and multipart bodies: read strictly on every path, as objects for their schemas where an operation has one.

use crate::scene::{Request, Scene, request};

const POLICY: &str = r#"{
    "requests": { "max_json_members": 8, "max_string": 64 },
    "operations": [
        { "id": "form", "methods": ["POST"], "path": "/form", "body": { "required": true, "content": { "application/x-www-form-urlencoded": {
            "schema": { "required": ["name"], "properties": { "name": { "minLength": 1 }, "age": { "type": "integer", "minimum": 18 },
                "tags": { "type": "array", "items": { "type": "string" }, "maxItems": 2 }, "list": { "type": "array", "items": { "type": "integer" } } }, "additionalProperties": false },
            "encoding": { "list": { "style": "pipeDelimited" } } } } } },
        { "id": "upload", "methods": ["POST"], "path": "/upload", "body": { "content": { "multipart/form-data": {
            "schema": { "required": ["title", "photo"], "properties": { "title": { "type": "string", "maxLength": 10 }, "count": { "type": "integer" },
                "meta": { "type": "object", "properties": { "a": { "type": "integer" } } },
                "photo": { "type": "string", "contentMediaType": "image/png" },
                "more": { "type": "array", "maxItems": 2, "items": { "type": "string", "format": "binary" } } }, "additionalProperties": false },
            "encoding": { "photo": { "content_types": ["image/png", "image/jpeg"], "max": 16 } } } } } },
        { "id": "trial", "methods": ["POST"], "path": "/trial", "mode": "shadow", "body": { "content": { "application/x-www-form-urlencoded": {} } } },
        { "id": "text", "methods": ["POST"], "path": "/text", "body": { "max": 8, "content": { "text/*": {}, "application/octet-stream": {} } } }
    ]
}"#;

fn scene() -> Scene {
    Scene::new(POLICY)
}

fn form(path: &str, body: &str) -> Request {
    request("POST", path)
        .field("content-type", "application/x-www-form-urlencoded")
        .body(body)
}

fn multipart(path: &str, body: &str) -> Request {
    request("POST", path)
        .field("content-type", "multipart/form-data; boundary=B")
        .body(body)
}

/// A form of parts, each the head behind `name=` and the content.
fn parts(parts: &[(&str, &str)]) -> String {
    let parts = parts
        .iter()
        .map(|(head, content)| format!("--B\r\nContent-Disposition: form-data; name={head}\r\n\r\n{content}\r\n"));
    parts.collect::<String>() + "--B--\r\n"
}

#[track_caller]
fn refused(request: &Request, at: &str, problem: &str) {
    let reply = scene().denied(request, "body_invalid");
    let expected = format!(r#""errors":[{{"at":"{at}","problem":"{problem}"}}]"#);
    assert!(reply.body.contains(&expected), "{}", reply.body);
}

#[test]
fn a_form_is_an_object_for_its_schema() {
    for body in ["name=x", "name=a+b&age=18&tags=1&tags=2", "name=x&list=1|2%7C3"] {
        scene().allowed(&form("/form", body));
    }
    refused(&form("/form", "age=18"), "/name", "is required");
    refused(&form("/form", "name=x&age=17"), "/age", "must be at least 18");
    refused(&form("/form", "name=x&age=018"), "/age", "must be an integer");
    refused(&form("/form", "name=x&name=y"), "/name", "must come once");
    refused(
        &form("/form", "name=x&tags=1&tags=2&tags=3"),
        "/tags",
        "must have at most 2 items",
    );
    refused(&form("/form", "name=x&admin=1"), "/admin", "is not allowed");
    refused(
        &form("/form", "name=x&name[]=y"),
        "/name[]",
        "is another spelling of a declared parameter",
    );
    scene().denied(&form("/form", ""), "body_missing");
}

#[test]
fn forms_are_strict_on_every_path() {
    for path in ["/form", "/other"] {
        for body in [
            "name=%",
            "name=%zz",
            "name=%ff",
            "name=x;y=z",
            "name=%00",
            "name=%u0041",
            "name=x&_charset_=utf-7",
        ] {
            scene().denied(&form(path, body), "form_malformed");
        }
        scene().denied(&form(path, &"name=x&".repeat(9)), "form_limit");
        scene().denied(&form(path, &format!("name={}", "x".repeat(65))), "form_limit");
        let other = |kind: &str| request("POST", path).field("content-type", kind).body("name=x");
        scene().denied(
            &other("application/x-www-form-urlencoded; charset=utf-16"),
            "content_type",
        );
        scene().allowed(&other("application/x-www-form-urlencoded; charset=UTF-8"));
    }
    scene().allowed(&form("/other", "name=x&name=y&_charset_=UTF-8"));
    let bytes = request("POST", "/other")
        .field("content-type", "application/x-www-form-urlencoded")
        .body(b"a=\xff");
    scene().denied(&bytes, "form_malformed");
    scene().allowed(&form("/trial", "a=%"));
}

#[test]
fn parts_are_members_and_files_are_judged_by_type_and_size() {
    let photo = ("photo; filename=a.png\r\nContent-Type: image/png", "\u{0}1234");
    let with = |more: &[(&str, &str)]| multipart("/upload", &parts(&[&[("title", "x"), photo], more].concat()));
    scene().allowed(&with(&[]));
    scene().allowed(&with(&[
        ("count", "7"),
        ("meta\r\nContent-Type: application/json", r#"{"a":1}"#),
    ]));
    scene().allowed(&with(&[("more; filename=1", "x"), ("more; filename=2", "y")]));
    // A file field that was left empty.
    scene().allowed(&with(&[(
        "more; filename=\"\"\r\nContent-Type: application/octet-stream",
        "",
    )]));
    refused(&with(&[("count", "x")]), "/count", "must be an integer");
    refused(&with(&[("meta", "{")]), "/meta", "must be well-formed JSON");
    refused(&with(&[("meta", r#"{"a":"x"}"#)]), "/meta/a", "must be an integer");
    refused(&with(&[("title", "y")]), "/title", "must come once");
    refused(&with(&[("admin", "1")]), "/admin", "is not allowed");
    refused(&with(&[("count; filename=x", "1")]), "/count", "must not be a file");
    refused(&with(&[("more", "x")]), "/more", "must be a file");
    refused(
        &with(&[
            ("more; filename=1", ""),
            ("more; filename=2", ""),
            ("more; filename=3", ""),
        ]),
        "/more",
        "must have at most 2 items",
    );
    let photo = |head: &str, content: &str| multipart("/upload", &parts(&[("title", "x"), (head, content)]));
    refused(
        &photo("photo; filename=a.svg\r\nContent-Type: image/svg+xml", "x"),
        "/photo",
        "must be of an accepted type",
    );
    refused(
        &photo("photo; filename=a.png", "x"),
        "/photo",
        "must be of an accepted type",
    );
    refused(
        &photo("photo; filename=a.png\r\nContent-Type: image/png", &"x".repeat(17)),
        "/photo",
        "must have at most 16 bytes",
    );
    refused(
        &multipart("/upload", &parts(&[("title", "x")])),
        "/photo",
        "is required",
    );
    scene().denied(&multipart("/upload", "--B--"), "body_invalid");
}

/// A schema's rules for texts say nothing about a file; its type and its lengths do, of the part.
#[test]
fn a_file_is_judged_by_what_its_schema_says_of_files() {
    let schema = r#"{ "type": "object", "required": ["scan"], "properties": {
        "scan": { "type": "string", "contentMediaType": "image/png", "minLength": 2, "maxLength": 4, "pattern": "^never$" },
        "any": { "type": "string", "format": "binary", "minLength": 1 },
        "note": { "type": "string", "minLength": 1 },
        "free": {} } }"#;
    let operation = format!(
        r#"{{ "operations": [ {{ "methods": ["POST"], "path": "/scan",
            "body": {{ "content": {{ "multipart/form-data": {{ "schema": {schema} }} }} }} }} ] }}"#
    );
    let document = format!(
        r#"{{ "openapi": {{ "openapi": "3.1.0", "info": {{}}, "paths": {{ "/scan": {{ "post": {{
            "requestBody": {{ "content": {{ "multipart/form-data": {{ "schema": {schema} }} }} }} }} }} }} }} }}"#
    );
    for policy in [operation, document] {
        let scene = Scene::new(&policy);
        let with = |scan: &str, head: &str, more: &[(&str, &str)]| {
            let head = format!("scan; filename=a{head}");
            multipart("/scan", &parts(&[&[(head.as_str(), scan)], more].concat()))
        };
        let png = "\r\nContent-Type: image/png";
        scene.allowed(&with("12", png, &[]));
        scene.allowed(&with(
            "1234",
            png,
            &[("any; filename=b\r\nContent-Type: text/csv", "x")],
        ));
        // Without a type it is for the backend to say what it is; both ways are open.
        scene.allowed(&with("12", png, &[("free", "text")]));
        scene.allowed(&with("12", png, &[("free; filename=c", "file")]));
        for (request, at, problem) in [
            (with("1", png, &[]), "/scan", "must have at least 2 bytes"),
            (with("12345", png, &[]), "/scan", "must have at most 4 bytes"),
            (
                with("12", "\r\nContent-Type: text/html", &[]),
                "/scan",
                "must be of an accepted type",
            ),
            (with("12", "", &[]), "/scan", "must be of an accepted type"),
            (
                with("12", png, &[("any; filename=b", "")]),
                "/any",
                "must have at least 1 bytes",
            ),
            (
                with("12", png, &[("note", "")]),
                "/note",
                "must have at least 1 character",
            ),
            (
                with("12", png, &[("note; filename=d", "x")]),
                "/note",
                "must not be a file",
            ),
        ] {
            let reply = scene.denied(&request, "body_invalid");
            let expected = format!(r#""errors":[{{"at":"{at}","problem":"{problem}"}}]"#);
            assert!(reply.body.contains(&expected), "{}", reply.body);
        }
    }
}

#[test]
fn multipart_is_strict_on_every_path() {
    let good = parts(&[("a", "1")]);
    for path in ["/upload", "/other"] {
        for body in [
            &good[..good.len() - 4],
            &good.replace("\r\n", "\n"),
            &format!("preamble\r\n{good}"),
            &format!("{good}epilogue"),
            &parts(&[("a; name=b", "1")]),
            &parts(&[("a; filename*=UTF-8''x", "1")]),
            &parts(&[("a", "x\n--B\nContent-Disposition: form-data; name=b\n\n1")]),
            &parts(&[("a\r\nContent-Transfer-Encoding: base64", "MQ==")]),
            &parts(&[("a\r\nContent-Type: multipart/mixed; boundary=C", "--C--")]),
            &parts(&[("_charset_", "iso-8859-1"), ("a", "1")]),
        ] {
            scene().denied(&multipart(path, body), "multipart_malformed");
        }
        for kind in [
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=\"B C\"",
            "multipart/form-data; boundary=B; boundary=C",
            "multipart/form-data; boundary=B; boundary*=C",
            "multipart/form-data; boundary=B, multipart/form-data; boundary=C",
            "multipart/form-data; boundary=B; charset=utf-7",
        ] {
            scene().denied(
                &request("POST", path).field("content-type", kind).body(&good),
                "content_type",
            );
        }
        scene().denied(&multipart(path, &parts(&[("a", "1"); 9])), "form_limit");
        scene().denied(&multipart(path, &parts(&[("a", &"x".repeat(65))])), "form_limit");
    }
    let quoted = request("POST", "/other").field("content-type", "multipart/form-data; boundary=\"B\"; charset=utf-8");
    scene().allowed(&quoted.body(&good));
}

#[test]
fn other_types_are_judged_by_type_size_and_charset() {
    let text = |kind: &str, body: &str| request("POST", "/text").field("content-type", kind).body(body);
    scene().allowed(&text("text/csv; charset=utf-8", "a,b"));
    scene().allowed(&text("application/octet-stream", "\u{0}"));
    scene().denied(&text("text/csv; charset=utf-16", "a,b"), "content_type");
    scene().denied(&text("text/csv", "123456789"), "body_too_large");
    scene().denied(&text("image/png", "x"), "content_type");
    // The coding that is none hides nothing, however often it is named.
    let json = request("POST", "/other")
        .field("content-type", "application/json")
        .field("content-encoding", "identity, identity");
    scene().denied(&json.body("{"), "json_malformed");
}
