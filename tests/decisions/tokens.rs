//! Tokens: good ones of every algorithm, and hostile ones, each with its code.

use crate::scene::{Request, Scene, Verdict, get, header};
use ct_codecs::{Base64UrlSafeNoPadding, Encoder};
use jwt_simple::algorithms::{
    ECDSAP256KeyPairLike, ECDSAP384KeyPairLike, ES256KeyPair, ES384KeyPair, Ed25519KeyPair, EdDSAKeyPairLike, HS256Key,
    MACLike, PS256KeyPair, RS256KeyPair, RSAKeyPairLike,
};
use jwt_simple::claims::Claims;
use jwt_simple::prelude::Duration as Span;
use portcullis::host::Host;
use std::sync::LazyLock;

const SECRET: &[u8; 32] = b"0123456789abcdef0123456789abcdef";

struct Keys {
    rsa: RS256KeyPair,
    pss: PS256KeyPair,
    es256: ES256KeyPair,
    es384: ES384KeyPair,
    ed25519: Ed25519KeyPair,
    jwks: String,
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let rsa = RS256KeyPair::generate(2048).unwrap().with_key_id("rsa");
    let pss = PS256KeyPair::generate(2048).unwrap().with_key_id("pss");
    let es256 = ES256KeyPair::generate().with_key_id("p256");
    let es384 = ES384KeyPair::generate().with_key_id("p384");
    let ed25519 = Ed25519KeyPair::generate().with_key_id("ed");
    let secret = format!(r#"{{"kty":"oct","kid":"hs","alg":"HS256","k":"{}"}}"#, encode(SECRET));
    let keys = [
        rsa.public_key().to_jwk(),
        pss.public_key().to_jwk(),
        es256.public_key().to_jwk(),
        es384.public_key().to_jwk(),
        ed25519.public_key().to_jwk(),
        secret,
    ];
    let jwks = format!(r#"{{"keys":[{}]}}"#, keys.join(","));
    Keys {
        rsa,
        pss,
        es256,
        es384,
        ed25519,
        jwks,
    }
});

pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    Base64UrlSafeNoPadding::encode_to_string(bytes).unwrap()
}

fn policy(algorithms: &str, extra: &str) -> String {
    format!(
        r#"{{ "operations": [ {{ "id": "open", "methods": ["GET"], "path": "/open", "token": "none" }}, {{ "id": "maybe", "methods": ["GET"], "path": "/maybe", "token": "optional" }},
               {{ "id": "scoped", "methods": ["GET"], "path": "/scoped", "scopes": ["a:read", "b"] }} ],
             "tokens": {{ "providers": [ {{ "issuer": "https://id.example", "audiences": ["api"], "algorithms": [{algorithms}], "jwks": {{ "inline": {} }},
               "claims_to_headers": {{ "X-User": "sub" }} {extra} }} ] }} }}"#,
        KEYS.jwks
    )
}

fn scene() -> Scene {
    Scene::new(&policy(r#""RS256", "PS256", "ES256", "ES384", "EdDSA", "HS256""#, ""))
}

pub fn now(scene: &Scene) -> u64 {
    scene.host.now().seconds()
}

fn payload(scene: &Scene) -> String {
    let now = now(scene);
    format!(
        r#"{{"iss":"https://id.example","aud":"api","sub":"ann","iat":{now},"exp":{},"scope":"a:read b"}}"#,
        now + 300
    )
}

/// A token under the shared secret with any header and payload.
fn hs256(header: &str, payload: &str) -> String {
    let input = format!("{}.{}", encode(header), encode(payload));
    let tag = HS256Key::from_bytes(SECRET).authentication_tag(input.as_bytes());
    format!("{input}.{}", encode(tag))
}

const HS256: &str = r#"{"alg":"HS256","kid":"hs"}"#;

pub fn with(token: &str) -> Request {
    get("/orders").bearer(token)
}

#[test]
fn good_tokens_of_every_algorithm_pass() {
    let scene = scene();
    let now = Span::from_secs(now(&scene));
    let claims = || {
        let mut claims = Claims::create(Span::from_mins(5))
            .with_issuer("https://id.example")
            .with_audience("api")
            .with_subject("ann");
        claims.issued_at = Some(now);
        claims.invalid_before = Some(now);
        claims.expires_at = Some(now + Span::from_secs(300));
        claims
    };
    for token in [
        KEYS.rsa.sign(claims()).unwrap(),
        KEYS.pss.sign(claims()).unwrap(),
        KEYS.es256.sign(claims()).unwrap(),
        KEYS.es384.sign(claims()).unwrap(),
        KEYS.ed25519.sign(claims()).unwrap(),
        HS256Key::from_bytes(SECRET)
            .with_key_id("hs")
            .authenticate(claims())
            .unwrap(),
    ] {
        let exchange = scene.allowed(&with(&token));
        assert_eq!(exchange.edits(), [("x-user".to_owned(), Some("ann".to_owned()))]);
        let mut broken = token.clone().into_bytes();
        let at = token.rfind('.').unwrap() + 5;
        broken[at] = if broken[at] == b'A' { b'B' } else { b'A' };
        scene.denied(&with(std::str::from_utf8(&broken).unwrap()), "token_signature");
    }
}

#[test]
fn hostile_tokens_get_their_codes() {
    let scene = scene();
    let good = payload(&scene);
    let (head, body) = (encode(HS256), encode(&good));
    let signed = hs256(HS256, &good);
    let replaced = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        hs256(HS256, &good.replace(from, to))
    };
    let header = |json: &str| hs256(json, &good);
    let time = now(&scene);
    let public_rsa = KEYS.rsa.public_key().to_der().unwrap();
    let confused_input = format!("{}.{body}", encode(r#"{"alg":"HS256","kid":"rsa"}"#));
    let confused = format!(
        "{confused_input}.{}",
        encode(HS256Key::from_bytes(&public_rsa).authentication_tag(confused_input.as_bytes()))
    );
    let es_as_rs = format!(
        "{}.{body}.{}",
        encode(r#"{"alg":"RS256","kid":"p256"}"#),
        encode([7; 64])
    );
    for (name, token, code) in [
        (
            "alg none",
            format!("{}.{body}.", encode(r#"{"alg":"none"}"#)),
            "token_algorithm",
        ),
        (
            "alg nOnE",
            format!("{}.{body}.", encode(r#"{"alg":"nOnE"}"#)),
            "token_algorithm",
        ),
        (
            "alg lower case",
            header(r#"{"alg":"hs256","kid":"hs"}"#),
            "token_algorithm",
        ),
        (
            "alg not listed",
            header(r#"{"alg":"HS512","kid":"hs"}"#),
            "token_algorithm",
        ),
        ("no alg", header(r#"{"kid":"hs"}"#), "token_malformed"),
        ("public key as secret", confused, "token_key_unknown"),
        ("key of another type", es_as_rs, "token_key_unknown"),
        (
            "unknown kid",
            header(r#"{"alg":"HS256","kid":"x"}"#),
            "token_key_unknown",
        ),
        (
            "kid with a path",
            header(r#"{"alg":"HS256","kid":"../../dev/null"}"#),
            "token_key_unknown",
        ),
        ("empty kid", header(r#"{"alg":"HS256","kid":""}"#), "token_key_unknown"),
        (
            "crit",
            header(r#"{"alg":"HS256","kid":"hs","crit":["b64"],"b64":false}"#),
            "token_critical",
        ),
        (
            "empty crit",
            header(r#"{"alg":"HS256","kid":"hs","crit":[]}"#),
            "token_critical",
        ),
        (
            "typ of another kind",
            header(r#"{"alg":"HS256","kid":"hs","typ":"logout+jwt"}"#),
            "token_type",
        ),
        (
            "nested",
            header(r#"{"alg":"HS256","kid":"hs","cty":"JWT"}"#),
            "token_type",
        ),
        ("no signature", format!("{head}.{body}."), "token_signature"),
        (
            "cut signature",
            signed[..signed.len() - 3].to_owned(),
            "token_signature",
        ),
        ("padded", format!("{signed}="), "token_malformed"),
        ("white space inside", signed.replacen('.', ". ", 1), "token_malformed"),
        ("five parts", format!("{signed}.a.b"), "token_malformed"),
        ("two parts", format!("{head}.{body}"), "token_malformed"),
        ("not a token", "opaque".to_owned(), "token_malformed"),
        ("JSON form", r#"{"payload":"x"}"#.to_owned(), "token_malformed"),
        ("payload no JSON", hs256(HS256, "hello"), "token_malformed"),
        ("payload an array", hs256(HS256, "[]"), "token_malformed"),
        (
            "duplicate claim",
            replaced("\"sub\":\"ann\"", "\"sub\":\"ann\",\"sub\":\"root\""),
            "token_malformed",
        ),
        (
            "issuer with a slash",
            replaced("https://id.example", "https://id.example/"),
            "token_issuer",
        ),
        ("issuer missing", replaced("\"iss\"", "\"is\""), "token_issuer"),
        (
            "issuer in an array",
            replaced("\"https://id.example\"", "[\"https://id.example\"]"),
            "token_issuer",
        ),
        (
            "other audience",
            replaced("\"aud\":\"api\"", "\"aud\":\"apis\""),
            "token_audience",
        ),
        (
            "audience with a number",
            replaced("\"aud\":\"api\"", "\"aud\":[\"api\",1]"),
            "token_claim",
        ),
        ("no audience", replaced("\"aud\"", "\"au\""), "token_audience"),
        (
            "expired",
            replaced(&format!("\"exp\":{}", time + 300), &format!("\"exp\":{}", time - 30)),
            "token_expired",
        ),
        ("no expiry", replaced("\"exp\"", "\"ex\""), "token_claim"),
        (
            "expiry as text",
            replaced(&format!("\"exp\":{}", time + 300), "\"exp\":\"9999999999\""),
            "token_claim",
        ),
        (
            "expiry too large",
            replaced(&format!("\"exp\":{}", time + 300), "\"exp\":1e999"),
            "token_claim",
        ),
        (
            "issued tomorrow",
            replaced(&format!("\"iat\":{time}"), &format!("\"iat\":{}", time + 86_400)),
            "token_not_yet_valid",
        ),
        (
            "issued two days ago",
            replaced(&format!("\"iat\":{time}"), &format!("\"iat\":{}", time - 2 * 86_400)),
            "token_too_old",
        ),
        ("no subject", replaced("\"sub\"", "\"su\""), "token_claim"),
        (
            "subject with a line break",
            replaced("ann", "ann\\r\\nx-admin: 1"),
            "token_claim",
        ),
        (
            "deep",
            hs256(
                HS256,
                &good.replace(
                    "\"ann\"",
                    &format!("\"ann\",\"x\":{}1{}", "[".repeat(40), "]".repeat(40)),
                ),
            ),
            "token_malformed",
        ),
        (
            "too large",
            format!("{signed}{}", "a".repeat(17_000)),
            "token_too_large",
        ),
    ] {
        let exchange = scene.send(&with(&token));
        assert_eq!(exchange.verdict(), Verdict::Denied(code), "{name}");
        assert!(exchange.edits().is_empty(), "{name}");
    }
    scene.allowed(&with(&signed));
    // A key set member of the token's own is never looked at.
    scene.allowed(&with(&header(
        r#"{"alg":"HS256","kid":"hs","jku":"https://evil","x5u":"https://evil","jwk":{"kty":"oct"}}"#,
    )));
    scene.allowed(&with(&header(r#"{"alg":"HS256"}"#)));
}

#[test]
fn a_missing_token_is_asked_for_and_two_are_refused() {
    let scene = scene();
    let reply = scene.denied(&get("/orders"), "token_missing");
    assert_eq!(
        (reply.status, header(&reply, "www-authenticate")),
        (401, Some(r#"Bearer realm="api""#))
    );
    scene.denied(&get("/orders").field("authorization", "Basic YTpi"), "token_missing");
    scene.denied(&get("/orders").field("authorization", b"\xff\xfe"), "token_missing");
    scene.denied(
        &get("/orders").field("authorization", b"Bearer \xff\xfe"),
        "token_malformed",
    );
    let token = hs256(HS256, &payload(&scene));
    let reply = scene.denied(&with(&format!("{token},Bearer {token}")), "token_repeated");
    assert_eq!(reply.status, 400);
    scene.denied(&with(&token).bearer(&token), "header_repeated");
    scene.allowed(&get("/open"));
    scene.allowed(&get("/maybe"));
    scene.denied(&get("/maybe").bearer("x"), "token_malformed");
}

#[test]
fn scopes_are_needed_as_the_operation_says() {
    let scene = scene();
    let good = payload(&scene);
    scene.allowed(&get("/scoped").bearer(&hs256(HS256, &good)));
    let reply = scene.denied(
        &get("/scoped").bearer(&hs256(HS256, &good.replace("a:read b", "b"))),
        "token_scope",
    );
    assert_eq!(reply.status, 403);
    assert_eq!(
        header(&reply, "www-authenticate"),
        Some(r#"Bearer realm="api", error="insufficient_scope", scope="a:read b""#)
    );
}

#[test]
fn copies_of_mapped_headers_are_always_removed() {
    let scene = scene();
    let removed = [("x-user".to_owned(), None)];
    assert_eq!(scene.allowed(&get("/open").field("x-user", "root")).edits(), removed);
    assert_eq!(
        scene
            .allowed(&get("/maybe").field("x-user", "root").field("x-user", "two"))
            .edits(),
        removed
    );
    let token = hs256(HS256, &payload(&scene));
    let edits = scene.allowed(&with(&token).field("x-user", "root")).edits();
    assert_eq!(
        edits,
        [
            ("x-user".to_owned(), None),
            ("x-user".to_owned(), Some("ann".to_owned()))
        ]
    );
    let hidden = Scene::new(&policy("\"HS256\"", ", \"forward_token\": false"));
    let edits = hidden.allowed(&with(&token)).edits();
    assert_eq!(
        edits,
        [
            ("x-user".to_owned(), Some("ann".to_owned())),
            ("authorization".to_owned(), None)
        ]
    );
}

#[test]
fn a_token_in_the_query_is_taken_where_it_is_listed_and_stripped_where_it_is_hidden() {
    let (from, hidden) = (
        r#", "from": [ { "header": "authorization", "scheme": "Bearer" }, { "query": "access_token" } ]"#,
        r#", "forward_token": false, "claims_to_filter_state": { "subject": "sub" }"#,
    );
    let scene = scene();
    let token = hs256(HS256, &payload(&scene));
    let asked = get(&format!("/orders?a=1&access_token={token}&b=%32"));
    // Off unless it is listed.
    scene.denied(&asked, "token_missing");
    let with_query = |extra: &str| {
        let policy = policy("\"HS256\"", extra);
        Scene::new(&policy.replace(
            "\"tokens\": {",
            &format!("\"tokens\": {{ {},", from.trim_start_matches(',')),
        ))
    };
    let shown = with_query("");
    assert_eq!(
        shown.allowed(&asked).edits(),
        [("x-user".to_owned(), Some("ann".to_owned()))]
    );
    shown.denied(&asked.clone().bearer(&token), "token_repeated");
    shown.denied(&get("/orders?access_token=abc"), "token_malformed");
    let stripped = with_query(hidden).allowed(&asked).edits();
    let set = |name: &str, value: &str| (name.to_owned(), Some(value.to_owned()));
    assert_eq!(
        stripped,
        [
            set("x-user", "ann"),
            set("state portcullis_subject", "ann"),
            ("authorization".to_owned(), None),
            set(":path", "/orders?a=1&b=%32"),
        ]
    );
}

#[test]
fn a_remembered_token_ends_when_it_ends() {
    let scene = scene();
    let token = hs256(HS256, &payload(&scene));
    scene.allowed(&with(&token));
    scene.pass(329);
    scene.allowed(&with(&token));
    scene.pass(1);
    scene.denied(&with(&token), "token_expired");
}

#[test]
fn the_access_token_profile_asks_for_type_and_claims() {
    let scene = Scene::new(&policy("\"HS256\"", r#", "profile": "at+jwt""#));
    let time = now(&scene);
    let full = format!(
        r#"{{"iss":"https://id.example","aud":"api","sub":"ann","client_id":"app","iat":{time},"exp":{},"jti":"1"}}"#,
        time + 300
    );
    let header = r#"{"alg":"HS256","kid":"hs","typ":"at+jwt"}"#;
    scene.allowed(&with(&hs256(header, &full)));
    scene.allowed(&with(&hs256(&header.replace("at+jwt", "application/AT+JWT"), &full)));
    scene.denied(&with(&hs256(HS256, &full)), "token_type");
    scene.denied(&with(&hs256(&header.replace("at+jwt", "JWT"), &full)), "token_type");
    for claim in ["sub", "client_id", "iat", "exp", "jti"] {
        let without = full.replace(&format!("\"{claim}\""), "\"x\"");
        scene.denied(&with(&hs256(header, &without)), "token_claim");
    }
    for claim in ["aud", "iss"] {
        let without = full.replace(&format!("\"{claim}\""), "\"x\"");
        let code = if claim == "aud" {
            "token_audience"
        } else {
            "token_issuer"
        };
        scene.denied(&with(&hs256(header, &without)), code);
    }
}

#[test]
fn roles_count_as_scopes_where_they_are_named_and_claims_meet_their_conditions() {
    let scene = Scene::new(&policy(
        "\"HS256\"",
        r#", "scopes_from": ["/realm_access/roles", "/scope"], "claims": [ { "at": "/tenant", "any_of": ["acme", "umbrella"] } ]"#,
    ));
    let token = |extra: &str| {
        let time = now(&scene);
        hs256(
            HS256,
            &format!(
                r#"{{"iss":"https://id.example","aud":"api","sub":"ann","iat":{time},"exp":{}{extra}}}"#,
                time + 300
            ),
        )
    };
    let send = |extra: &str| scene.send(&get("/scoped").bearer(&token(extra))).verdict();
    let roles = r#","tenant":"acme","realm_access":{"roles":["b"]},"scope":"a:read""#;
    assert_eq!(send(roles), Verdict::Allowed);
    assert_eq!(send(&roles.replace("\"b\"", "\"c\"")), Verdict::Denied("token_scope"));
    assert_eq!(
        send(&roles.replace("\"acme\"", "\"evil\"")),
        Verdict::Denied("token_claim")
    );
    assert_eq!(send(&roles.replace("\"acme\"", "[\"x\",\"acme\"]")), Verdict::Allowed);
    assert_eq!(
        send(&roles.replace("tenant", "tenants")),
        Verdict::Denied("token_claim")
    );
}
