//! Threats through the whole pipeline: judged whatever other guards make of the request, in the mode that holds where it is.

use crate::scene::{Request, Scene, Verdict, get, post_json, request};
use portcullis::guard::threats::Category;
use portcullis::host::Counter;
use portcullis::pipeline::Step;
use portcullis::verdict::Reason;

/// Passes no backend's SQL unharmed, and no script's place.
pub const SQL: &str = "x' or 1=1--";
const SCRIPT: &str = "<script>alert(1)</script>";

pub fn json(text: &str) -> Request {
    post_json("/notes", &format!(r#"{{"text":"{text}"}}"#))
}

fn plain(body: impl AsRef<[u8]>) -> Request {
    request("POST", "/notes").field("content-type", "text/plain").body(body)
}

#[test]
fn what_requests_refuse_in_shadow_is_judged_all_the_same() {
    let scene = Scene::new(
        r#"{ "requests": { "mode": "shadow", "max_body": 10, "max_json_depth": 1, "require_headers": ["x-app"] }, "threats": {},
             "operations": [ { "methods": ["POST"], "path": "/typed", "body": { "content": { "application/json": {} } } } ] }"#,
    );
    let app = |request: Request| request.field("x-app", "1");
    for (attack, why) in [
        (json(SQL), "a field that is missing"),
        (app(json(SQL)), "a body that is too large"),
        (
            app(json(SQL).field("content-length", "99")),
            "a length that is too large",
        ),
        (app(json(SQL).field("content-length", "x")), "a length that is none"),
        (app(post_json("/x", r#"[["' or 1=1--"]]"#)), "a body that is too deep"),
        (app(post_json("/x", r#"{"a":"' or 1=1--"}"#)), "two reasons"),
        (app(post_json("/x", r#"["' or 1=1--""#)), "malformed JSON"),
        (app(plain("a=' or 1=1--")), "a text"),
        (
            app(request("POST", "/typed")
                .field("content-type", "text/x")
                .body("' or 1=1--")),
            "a type",
        ),
        (
            app(request("POST", "/x")
                .field("content-encoding", "none")
                .body("' or 1=1--")),
            "a coding",
        ),
        (
            app(request("POST", "/x").field("content-type", "a/b;;").body("' or 1=1--")),
            "no type",
        ),
    ] {
        let verdict = scene.send(&attack).verdict();
        assert_eq!(verdict, Verdict::Denied("threat_sql"), "{why}");
    }
    scene.allowed(&json("a plain remark"));
    assert!(scene.host.counted(Counter::Shadowed(Reason::BodyTooLarge)) > 0);
    assert!(scene.host.counted(Counter::Shadowed(Reason::HeaderMissing)) > 0);
}

/// A body that other guards refuse in shadow mode is kept back as long as it is judged, and no longer.
#[test]
fn a_body_is_held_for_threats_within_their_budget() {
    let policy = |mode: &str| {
        format!(
            r#"{{ "requests": {{ "mode": "shadow", "max_body": 10 }}, "threats": {{ "mode": "{mode}", "budget": "4KiB" }} }}"#
        )
    };
    let sized = |scene: &Scene, bytes| {
        let mut exchange = scene.send_head(&request("POST", "/x").body(""));
        exchange.pipeline.body_so_far(&scene.host, bytes)
    };
    let scene = Scene::new(&policy("enforce"));
    assert_eq!(sized(&scene, 1024), Step::Hold);
    assert!(matches!(sized(&scene, 1025), Step::Deny(reply) if reply.code == "threat_budget"));
    let scene = Scene::new(&policy("shadow"));
    assert_eq!(sized(&scene, 10), Step::Hold);
    assert_eq!(sized(&scene, 11), Step::Allow);
    // The head is judged even so.
    let mut exchange = scene.send_head(&request("POST", "/x?q=' or 1=1--").body(""));
    assert_eq!(exchange.pipeline.body_so_far(&scene.host, 11), Step::Allow);
    assert!(exchange.pipeline.take_shadowed().contains(&Reason::ThreatSql));
}

#[test]
fn threats_alone_judge_all_of_a_request_and_turn_nothing_else_on() {
    let scene = Scene::new(r#"{ "threats": { "budget": "4KiB" } }"#);
    scene.denied(&get("/search?q=' or 1=1--"), "threat_sql");
    scene.denied(&json(SQL), "threat_sql");
    scene.denied(&plain(SQL), "threat_sql");
    scene.denied(
        &request("POST", "/x")
            .field("content-type", "application/x-www-form-urlencoded")
            .body("a=1&b=%27+or+1=1--"),
        "threat_sql",
    );
    scene.denied(
        &request("POST", "/x")
            .field("content-type", "multipart/form-data; boundary=b")
            .body("--b\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\n' or 1=1--\r\n--b--\r\n"),
        "threat_sql",
    );
    scene.denied(&plain("x".repeat(1025)), "threat_budget");
    // What `requests` would refuse.
    for sent in [
        post_json("/x", r#"{"a":1,"a":2}"#),
        post_json("/x", "{"),
        request("POST", "/%zz"),
        get("/x").field("content-length", "x"),
        post_json("/x", &format!("{}1{}", "[".repeat(65), "]".repeat(65))),
    ] {
        scene.allowed(&sent);
    }
    // Both values of a name that comes twice.
    scene.denied(&post_json("/x", r#"{"a":"' or 1=1--","a":"b"}"#), "threat_sql");
}

/// What judging for a category on trial takes beyond a request's account refuses nothing, and hides nothing from those that are
/// enforced.
#[test]
fn what_a_trial_costs_refuses_nothing() {
    // Commands in four layers run out of the account, SQL doesn't.
    let dear = format!("%25252e{}", "|| ".repeat((16 << 10) / 3));
    let both = Scene::new(r#"{ "threats": {} }"#);
    both.denied(&json(&dear), "threat_budget");
    let trial = Scene::new(r#"{ "threats": { "mode": "shadow", "modes": { "sql": "enforce" } } }"#);
    trial.allowed(&json(&dear));
    assert!(trial.host.counted(Counter::Shadowed(Reason::ThreatBudget)) > 0);
    let request = post_json("/notes", &format!(r#"{{"a":"{dear}","b":"{SQL}"}}"#));
    trial.denied(&request, "threat_sql");
}

#[test]
fn what_calls_itself_text_is_judged_as_what_it_is() {
    let scene = Scene::new(r#"{ "threats": {} }"#);
    let hidden = r#"{"q":"\u0027 \u006fr 1=1--"}"#;
    scene.denied(&plain(hidden), "threat_sql");
    scene.denied(
        &request("POST", "/x").field("content-type", "image/png").body(hidden),
        "threat_sql",
    );
}

#[test]
fn a_mode_holds_for_all_for_a_category_or_for_an_operation() {
    let operation =
        |own: &str| format!(r#""operations": [ {{ "id": "notes", "methods": ["POST"], "path": "/notes"{own} }} ]"#);
    let plain = operation("");
    // Each: what holds, and what becomes of an attack on `/notes`: refused, noted, or not looked for.
    for (threats, operations, expected) in [
        (r#"{}"#, &plain, "refused"),
        (r#"{ "mode": "shadow" }"#, &plain, "noted"),
        (r#"{ "categories": ["script"] }"#, &plain, "nothing"),
        (r#"{ "modes": { "sql": "shadow" } }"#, &plain, "noted"),
        (r#"{ "modes": { "sql": "off" } }"#, &plain, "nothing"),
        (r#"{ "modes": { "script": "off" } }"#, &plain, "refused"),
        (
            r#"{ "mode": "shadow", "modes": { "sql": "enforce" } }"#,
            &plain,
            "refused",
        ),
        (r#"{}"#, &operation(r#", "threats": "off""#), "nothing"),
        (r#"{}"#, &operation(r#", "threats": "shadow""#), "noted"),
        (
            r#"{ "mode": "shadow" }"#,
            &operation(r#", "threats": "enforce""#),
            "refused",
        ),
        // The more lenient of the two that are nearer.
        (
            r#"{ "modes": { "sql": "shadow" } }"#,
            &operation(r#", "threats": "enforce""#),
            "noted",
        ),
        (
            r#"{ "modes": { "sql": "enforce" } }"#,
            &operation(r#", "threats": "shadow""#),
            "noted",
        ),
        (
            r#"{ "modes": { "sql": "off" } }"#,
            &operation(r#", "threats": "enforce""#),
            "nothing",
        ),
        // A trial of the whole operation.
        (r#"{}"#, &operation(r#", "mode": "shadow""#), "noted"),
        (
            r#"{ "modes": { "sql": "enforce" } }"#,
            &operation(r#", "mode": "shadow""#),
            "noted",
        ),
        (
            r#"{}"#,
            &operation(r#", "mode": "shadow", "threats": "enforce""#),
            "refused",
        ),
    ] {
        let policy = format!(r#"{{ "threats": {threats}, {operations} }}"#);
        let scene = Scene::new(&policy);
        let mut exchange = scene.send(&json(SQL));
        let became = match exchange.verdict() {
            Verdict::Denied("threat_sql") => "refused",
            Verdict::Allowed if exchange.pipeline.take_shadowed() == [Reason::ThreatSql] => "noted",
            _ => "nothing",
        };
        assert_eq!(became, expected, "{policy}");
    }
    let scene = Scene::new(r#"{ "mode": "shadow", "threats": {} }"#);
    scene.allowed(&json(SQL));
    assert_eq!(scene.host.counted(Counter::Shadowed(Reason::ThreatSql)), 1);
}

#[test]
fn an_exemption_spares_its_place_its_categories_and_its_operation() {
    let scene = Scene::new(
        r#"{ "threats": { "exempt": [
               { "operation": "notes", "at": "/body/text", "categories": ["script"] },
               { "at": "/body/items/*/code" },
               { "at": "/query/q", "categories": ["sql"] },
               { "at": "/headers/x-sql" },
               { "at": "/cookies/c" } ] },
             "operations": [ { "id": "notes", "methods": ["POST"], "path": "/notes" }, { "id": "others", "methods": ["POST"], "path": "/others" } ] }"#,
    );
    let at = |path: &str, body: &str| post_json(path, body);
    scene.allowed(&json(SCRIPT));
    scene.denied(&json(SQL), "threat_sql");
    scene.denied(&at("/others", &format!(r#"{{"text":"{SCRIPT}"}}"#)), "threat_script");
    scene.denied(&at("/notes", &format!(r#"{{"title":"{SCRIPT}"}}"#)), "threat_script");
    scene.denied(&at("/notes", &format!(r#"{{"texts":"{SCRIPT}"}}"#)), "threat_script");
    scene.allowed(&at(
        "/notes",
        &format!(r#"{{"items":[{{}},{{"code":["{SQL}","{SCRIPT}"]}}]}}"#),
    ));
    scene.denied(
        &at("/notes", &format!(r#"{{"items":[{{"name":"{SQL}"}}]}}"#)),
        "threat_sql",
    );
    scene.allowed(&get("/x?q=%27%20or%201=1--"));
    scene.denied(&get("/x?p=%27%20or%201=1--"), "threat_sql");
    scene.denied(&get("/x?q=%3Cscript%3Ealert(1)%3C/script%3E"), "threat_script");
    scene.allowed(&get("/x").field("x-sql", SQL));
    scene.denied(&get("/x").field("x-other", SQL), "threat_sql");
    scene.allowed(&get("/x").field("cookie", format!("c={SQL}")));
    scene.denied(&get("/x").field("cookie", format!("d={SQL}")), "threat_sql");
}

#[test]
fn a_refusal_tells_the_rule_and_the_place_and_never_the_value() {
    let scene = Scene::new(r#"{ "threats": {} }"#);
    let reply = scene.denied(
        &post_json("/x", r#"{"items":[1,{"text":"zq' or 1=1--"}]}"#),
        "threat_sql",
    );
    assert!(
        reply.body.contains("/body/items/1/text") && reply.body.contains("matches sql."),
        "{}",
        reply.body
    );
    assert!(!reply.body.contains("zq"), "{}", reply.body);
}

#[test]
fn every_category_has_a_reason_of_its_name() {
    for (name, category) in Category::ALL {
        assert_eq!(category.reason().code(), format!("threat_{name}"));
    }
}

#[test]
fn a_nul_hides_nothing() {
    let scene = Scene::new(r#"{ "requests": {}, "threats": {} }"#);
    let wide = |text: &str| -> Vec<u8> { text.bytes().flat_map(|b| [b, 0]).collect() };
    let xxe =
        r#"<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>"#;
    let xml = |body: Vec<u8>| {
        request("POST", "/x")
            .field("content-type", "application/xml")
            .body(body)
    };
    let part = |file: &str, content: &[u8]| {
        let head = format!("--b\r\ncontent-disposition: form-data; name=\"f\"{file}\r\n\r\n");
        request("POST", "/x")
            .field("content-type", "multipart/form-data; boundary=b")
            .body([head.as_bytes(), content, b"\r\n--b--\r\n"].concat())
    };
    let file = "; filename=\"a.png\"";
    for sent in [
        plain("\0' or 1=1--"),
        plain("q=' or 1=1--\0"),
        plain([b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0", SQL.as_bytes(), b"\0\0"].concat()),
        plain([&[0xFF, 0xFE][..], &wide(SQL)].concat()),
        plain(wide(SQL)),
        part(file, &wide(SQL)),
    ] {
        scene.denied(&sent, "threat_sql");
    }
    for encoded in [wide(xxe), [&[0xFE, 0xFF, 0][..], &wide(xxe)].concat()] {
        scene.denied(&xml(encoded), "threat_xml");
    }
    // Data that is called so, whatever stands in it by chance.
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut data = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut noise: Vec<u8> = (0..1 << 16).flat_map(|_| data()).collect();
    noise[0..4].copy_from_slice(b"\x89PNG");
    scene.allowed(&request("POST", "/x").field("content-type", "image/png").body(&noise));
    scene.allowed(&part(file, &noise));
}

#[test]
fn what_its_schema_pins_down_is_not_looked_at() {
    let properties = r##""properties": {
        "kind": { "enum": ["plain", "' or 1=1--"] }, "only": { "const": "' or 1=1--" }, "id": { "type": "string", "format": "uuid" },
        "on": { "type": "string", "format": "date" }, "size": { "type": "integer" }, "slug": { "type": "string", "pattern": "^[a-z0-9_.-]{1,64}$" },
        "loose": { "type": "string", "pattern": "or" }, "free": { "type": "string" }, "tags": { "type": "array", "items": { "enum": ["' or 1=1--"] } },
        "inner": { "type": "object", "additionalProperties": { "$ref": "#/$defs/kind" } } },
        "$defs": { "kind": { "enum": ["' or 1=1--"] } }"##;
    let policy = |requests: &str| {
        format!(
            r#"{{ "requests": {requests}, "threats": {{}}, "operations": [ {{ "methods": ["POST"], "path": "/x",
                 "query": {{ {properties} }}, "headers": {{ "properties": {{ "x-kind": {{ "enum": ["' or 1=1--"] }}, "x-free": {{}} }} }},
                 "cookies": {{ "properties": {{ "c": {{ "enum": ["' or 1=1--"] }} }} }},
                 "body": {{ "content": {{
                   "application/json": {{ "schema": {{ {properties} }} }},
                   "application/x-www-form-urlencoded": {{ "schema": {{ {properties} }} }},
                   "multipart/form-data": {{ "schema": {{ {properties} }} }} }} }} }} ] }}"#
        )
    };
    let scene = Scene::new(&policy("{}"));
    let form = |name: &str| {
        request("POST", "/x")
            .field("content-type", "application/x-www-form-urlencoded")
            .body(format!("{name}=%27+or+1=1--"))
    };
    let multipart = |name: &str| {
        request("POST", "/x")
            .field("content-type", "multipart/form-data; boundary=b")
            .body(format!(
                "--b\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n' or 1=1--\r\n--b--\r\n"
            ))
    };
    let query = |name: &str| request("POST", &format!("/x?{name}=%27+or+1=1--"));
    let body = |name: &str| post_json("/x", &format!(r#"{{"{name}":"' or 1=1--"}}"#));
    for pinned in ["kind", "only"] {
        for sent in [form(pinned), multipart(pinned), query(pinned), body(pinned)] {
            scene.allowed(&sent);
        }
    }
    for free in ["free", "loose", "undeclared"] {
        for sent in [form(free), multipart(free), query(free), body(free)] {
            scene.denied(&sent, "threat_sql");
        }
    }
    scene.allowed(&post_json(
        "/x",
        r#"{"tags":["' or 1=1--"],"inner":{"a":"' or 1=1--"}}"#,
    ));
    scene.allowed(&post_json(
        "/x",
        r#"{"id":"0190a4c2-7f00-7abc-8def-0123456789ab","on":"2026-11-25","size":3,"slug":"a-b_c.d"}"#,
    ));
    scene.allowed(
        &request("POST", "/x")
            .field("x-kind", "' or 1=1--")
            .field("cookie", "c=' or 1=1--"),
    );
    scene.denied(&request("POST", "/x").field("x-free", "' or 1=1--"), "threat_sql");
    // What was not found valid is pinned by nothing.
    let scene = Scene::new(&policy(r#"{ "mode": "shadow" }"#));
    scene.allowed(&body("kind"));
    scene.denied(&post_json("/x", r#"{"kind":"' or 1=1--","size":"x"}"#), "threat_sql");
    scene.denied(&request("POST", "/x?kind=%27+or+1=1--&size=x"), "threat_sql");
}

#[test]
fn what_scripts_of_pages_send_along_passes() {
    let scene = Scene::new(r#"{ "threats": {} }"#);
    scene.allowed(&get("/list?lc=en&amp;cc=us&amp;id=155"));
    let callback = "<xml><ToUserName><![CDATA[gh_1]]></ToUserName></xml>";
    let xml = |body: &str| request("POST", "/wx").field("content-type", "text/xml").body(body);
    scene.allowed(&xml(callback));
    scene.allowed(&xml("<a><![CDATA[<p>Some <b>news</b></p>]]></a>"));
    scene.allowed(&xml("<a><!-- see 'x': <b>1</b> --><b>\"2\"</b></a>"));
    for (body, code) in [
        ("<a><![CDATA[1 or 1=1--]]></a>", "threat_sql"),
        ("<a><![CDATA[]] ' or 1=1--]]></a>", "threat_sql"),
        ("<a><!-- x --><b>' or 1=1 --</b></a>", "threat_sql"),
        ("<a><!-->' or 1=1 --</a>", "threat_sql"),
        ("<a><!-- <script>alert(1)</script> --></a>", "threat_script"),
        ("<a><![CDATA[<img src=x onerror=alert(1)>]]></a>", "threat_script"),
        ("<a>&lt;![CDATA[&lt;]]&gt;b</a>", "threat_xml"),
    ] {
        assert_eq!(scene.send(&xml(body)).verdict(), Verdict::Denied(code), "{body}");
    }
    scene.allowed(
        &get("/packages/press-fitting-applications")
            .field("x-requested-with", "XMLHttpRequest")
            .field("cookie", "cache={%22uk%22:0%2C%22n%22:1}; loid=abc"),
    );
}

/// Fields with a grammar of their own are judged where they have what no such grammar has.
#[test]
fn fields_that_hold_no_text_are_judged_for_what_they_can_not_hold() {
    let scene = Scene::new(r#"{ "threats": {} }"#);
    for (name, value) in [
        ("accept", "text/html;q=0.9, */*;q=0.1"),
        ("content-type", "multipart/form-data; boundary=\"a'b..c/d\""),
        ("authorization", "Bearer eyJhbGciOiJub25lIn0..x"),
        (
            "authorization",
            "Digest username=\"o'neill\", uri=\"/a/b?c=d\", nonce=\"x\"",
        ),
    ] {
        scene.allowed(&get("/x").field(name, value));
    }
    for (name, value) in [
        ("accept", "../../../etc/passwd{{"),
        ("content-type", "%{(#context['com.opensymphony.xwork2.dispatcher'])}"),
        ("accept-language", "${jndi:ldap://x}"),
        ("authorization", "Bearer 'and('x'='x')union(select(@@version))--"),
    ] {
        let verdict = scene.send(&get("/x").field(name, value)).verdict();
        assert!(
            matches!(verdict, Verdict::Denied(code) if code.starts_with("threat_")),
            "{value}: {verdict:?}"
        );
    }
}
