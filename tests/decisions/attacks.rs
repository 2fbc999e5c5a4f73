//! Attacks that once got through, or cost too much; each stays closed.

use crate::scene::{Request, Scene, Verdict, get, post_json, request};
use portcullis::config::load;
use portcullis::host::{Counter, Host};
use portcullis::store::{Table, Use};

#[test]
fn unique_items_with_numbers_beyond_a_double_do_not_panic_the_sort() {
    let scene = Scene::new(
        r#"{ "operations": [ { "methods": ["POST"], "path": "/a", "body": { "content": { "application/json": { "schema": { "uniqueItems": true } } } } } ] }"#,
    );
    let numbers = "-1e-425,1e-403,1e-459,0,-1e-466,-1e-439,1e-405,0,1e-483,0,0,0,-1e-483,1e-487,-1e-441,1e-460,1e-469,1e-449,1e-445,1e-445,-1e-459";
    scene.denied(&post_json("/a", &format!("[{numbers}]")), "body_invalid");
    let distinct: Vec<String> = (0..200)
        .map(|i| format!("{}1e-{}", ["", "-"][i % 2], 380 + i))
        .collect();
    scene.allowed(&post_json("/a", &format!("[0,{}]", distinct.join(","))));
}

#[test]
fn a_costly_pattern_on_a_long_text_ends_at_the_bound() {
    let scene = Scene::new(
        r#"{ "requests": { "max_string": "1MiB" }, "operations": [ { "methods": ["POST"], "path": "/a", "body": { "content": { "application/json": { "schema": { "pattern": "[a-z]{1,200}$" } } } } } ] }"#,
    );
    scene.denied(
        &post_json("/a", &format!("\"{}\"", "a".repeat(1_000_000))),
        "json_limit",
    );
    // Refused before it is matched, which would take seconds.
    scene.allowed(&post_json("/a", "\"abc\""));
}

#[test]
fn headers_that_override_method_or_path_do_not_get_past_a_rule() {
    let policy =
        r#"{ "login": { "client": { "attempts": 1 } }, "operations": [ { "methods": ["POST"], "path": "/users" } ] }"#;
    for policy in [policy, r#"{ "login": {} }"#] {
        let scene = Scene::new(policy);
        for name in ["x-http-method-override", "x-http-method", "x-method-override"] {
            scene.denied(&get("/login").field(name, "POST"), "method_override");
        }
        for name in ["x-original-url", "x-rewrite-url"] {
            scene.denied(&get("/else").field(name, "/login"), "method_override");
        }
        scene.allowed(&get("/else").field("x-http-method-override", "POST"));
    }
    Scene::new(policy).denied(
        &request("PUT", "/users").field("x-http-method", "POST"),
        "method_override",
    );
}

#[test]
fn requests_in_shadow_do_not_open_what_is_enforced() {
    let scene = Scene::new(
        r#"{ "requests": { "mode": "shadow" }, "clients": { "mode": "shadow" }, "login": { "client": { "attempts": 1 } } }"#,
    );
    for sent in [
        request("POST", "/login?").path_bytes(b"/login?\xff".to_vec()),
        request("POST", "/%zz/../login"),
    ] {
        scene.denied(&sent, "path_invalid");
    }
    scene.denied(&request("post", "/login"), "method_invalid");
    assert_eq!(
        scene.allowed(&request("POST", "//login")).edits(),
        [(":path".to_owned(), Some("/login".to_owned()))]
    );
    scene.host.set_address("");
    scene.denied(&request("POST", "/login"), "client_unknown");
}

#[test]
fn scopes_that_would_never_be_checked_are_a_fault() {
    let policy = |default: &str, token: &str| {
        format!(
            r#"{{ "tokens": {{ "default": "{default}", "providers": [ {{ "issuer": "i", "audiences": ["a"], "algorithms": ["ES256"], "jwks": {{ "cluster": "c", "authority": "a", "path": "/p" }} }} ] }},
              "operations": [ {{ "methods": ["GET"], "path": "/a", "scopes": ["admin"]{token} }} ] }}"#
        )
    };
    let faulty = [
        ("none", ""),
        ("optional", ""),
        ("required", r#", "token": "optional""#),
        ("required", r#", "token": "none""#),
    ];
    for (default, token) in faulty {
        let errors = load(policy(default, token).as_bytes()).unwrap_err();
        assert_eq!(errors[0].path, "operations[0].scopes", "{default} {token}");
    }
    for (default, token) in [("required", ""), ("none", r#", "token": "required""#)] {
        assert!(load(policy(default, token).as_bytes()).is_ok());
    }
}

#[test]
fn a_login_guard_that_counts_nothing_is_a_fault() {
    for failure in [r#"{ "statuses": [] }"#, r#"{ "statuses": [401, 500] }"#] {
        let errors = load(format!(r#"{{ "login": {{ "failure": {failure} }} }}"#).as_bytes()).unwrap_err();
        assert_eq!(errors[0].path, "login.failure.statuses", "{failure}");
    }
    assert!(
        load(br#"{ "login": { "failure": { "statuses": [], "header": { "name": "x-login", "value": "failed" } } } }"#)
            .is_ok()
    );
}

#[test]
fn two_schemas_with_like_names_stay_two() {
    let scene = Scene::new(
        r##"{ "operations": [ { "methods": ["POST"], "path": "/a", "body": { "content": { "application/json": { "schema": {
             "properties": { "one": { "$ref": "#/$defs/Order.items" }, "two": { "$ref": "#/$defs/Order" } },
             "$defs": { "Order": { "items": { "type": "number" } }, "Order.items": { "type": "boolean" } } } } } } } ] }"##,
    );
    scene.denied(&post_json("/a", r#"{"two":[1],"one":1}"#), "body_invalid");
    scene.denied(&post_json("/a", r#"{"one":"anything"}"#), "body_invalid");
    scene.denied(&post_json("/a", r#"{"two":[true]}"#), "body_invalid");
    scene.allowed(&post_json("/a", r#"{"one":true,"two":[1]}"#));
}

#[test]
fn json_without_a_name_is_judged_as_json() {
    let scene = Scene::new(r#"{ "requests": { "max_json_depth": 2 } }"#);
    let unnamed = |body: &str| request("POST", "/x").body(body);
    scene.denied(&unnamed(" [[[1]]]"), "json_limit");
    scene.denied(&unnamed(r#"{"a":1,"a":2}"#), "json_duplicate");
    scene.allowed(&unnamed("plain text"));
    scene.denied(
        &request("POST", "/x")
            .field("content-type", "text/x-json")
            .body("[[[1]]]"),
        "json_limit",
    );
}

#[test]
fn tokens_of_an_attacker_displace_no_ban() {
    let policy = r#"{ "store": { "memory": "64KiB" }, "login": {} }"#;
    let scene = Scene::new(policy);
    let table = Table::open(&scene.host, 64 << 10).unwrap();
    let guess = |scene: &Scene, n: usize| -> Verdict {
        scene.host.set_address(&format!("10.1.{}.{}:1", n / 250, n % 250 + 1));
        let mut exchange = scene.send(&request("POST", "/login"));
        let verdict = exchange.verdict();
        exchange.respond(401, true);
        verdict
    };
    for n in 0..50 {
        while guess(&scene, n) != Verdict::Denied("client_banned") {}
    }
    let now = scene.host.now();
    for n in 0..5000_u32 {
        // As `publish_revoked` writes them: until the token ends, and not held.
        let record = portcullis::store::Record {
            words: [1, 0, 0],
            idle_at: now.plus(std::time::Duration::from_secs(3600)),
            held_until: portcullis::rate::Instant::EPOCH,
        };
        let _ = table.update(
            &scene.host,
            table.fingerprint(Use::Revocation, &[&n.to_le_bytes()]),
            now,
            |_| (Some(record), ()),
        );
    }
    for n in 0..50 {
        assert_eq!(guess(&scene, n), Verdict::Denied("client_banned"), "{n}");
    }
    assert!(scene.host.counted(Counter::StoreEviction) > 1000);
}

#[test]
fn a_body_that_shadow_lets_pass_is_not_held_for_ever() {
    let scene = Scene::new(r#"{ "requests": { "mode": "shadow", "max_body": 10 } }"#);
    let mut exchange = scene.send_head(&request("POST", "/x").body(""));
    assert_eq!(
        exchange.pipeline.body_so_far(&scene.host, 11),
        portcullis::pipeline::Step::Allow
    );
}

#[test]
fn a_forged_copy_with_underscores_is_removed_too() {
    let scene = Scene::new(
        r#"{ "tokens": { "default": "none", "providers": [ { "issuer": "i", "audiences": ["a"], "algorithms": ["ES256"], "claims_to_headers": { "x-user": "sub" },
             "jwks": { "cluster": "c", "authority": "a", "path": "/p" } } ] } }"#,
    );
    let sent: Request = get("/x").field("x_user", "root").field("x-user", "root");
    assert_eq!(
        scene.allowed(&sent).edits(),
        [("x-user".to_owned(), None), ("x_user".to_owned(), None)]
    );
}
