//! Requests as the core meets them in Envoy, each with a policy at work on the memory host. To add one, add a line to
//! [`ALL`] and what it stands for to [`Scenario::named`].

use std::cell::Cell;
use std::rc::Rc;

use portcullis::callout::Answer;
use portcullis::config;
use portcullis::engine::Engine;
use portcullis::host::memory::{MemoryHost, SignatureCheck};
use portcullis::pipeline::{Pipeline, Response, Step};
use portcullis::request::Head;
use serde_json::{Value, json};

use crate::policies::{all, login, operations, order, quota, requests, revocation, strict, tokens};

/// Every scenario by its name, in the order of the report.
pub const ALL: &[&str] = &[
    "nothing configured",
    "requests",
    "2000 operations",
    "quota",
    "quota and ban",
    "token, cached",
    "token, first sight",
    "token and revocation, cached",
    "all guards",
    "1 KiB, requests",
    "1 KiB, all guards",
    "16 KiB, all guards",
    "threats: ten query values",
    "threats: 16 KiB of prose",
    "threats: 16 KiB of (`",
    "threats: 16 KiB of 0`",
    "threats: 16 KiB of --;",
    "threats: 16 KiB of <a ;",
    "threats: 16 KiB of &amp;$(",
    "threats: 16 KiB of a&amp;",
    "threats: 16 KiB of <a %25",
    "threats: 16 KiB of x|Type|",
    "threats: 16 KiB of HTML",
    "threats: 16 KiB of <a style=",
    "threats: 16 KiB of ``.a.[...&.",
    "threats: 16 KiB of ''\\'~\"\\'",
    "refused: client_denied",
    "refused: quota_exceeded",
    "refused: operation_unknown",
    "refused: token_missing",
    "refused: token_malformed",
    "refused: token_expired",
    "refused: token_revoked",
    "refused: json_malformed",
];

/// The scenario in which the same request is admitted as one that is refused; `None` for one that is none.
pub fn admitted(name: &str) -> Option<&'static str> {
    let code = name.strip_prefix("refused: ")?;
    let body = ["json_malformed"].contains(&code);
    Some(if body { "1 KiB, all guards" } else { "all guards" })
}

/// What is written to a shop, over and over; beside it stand the texts that cost the threats guard most (`threats_cost`).
pub const PROSE: &str =
    "The order came late on Monday, and the second parcel (a lamp) was broken; please send another. ";

/// What an editor of rich text writes.
const HTML: &str = "<p style=\"margin-top:0pt;margin-bottom:4pt;font-family:Arial;color:#222\">The lamp \
    <a href=\"https://shop.example/item?id=42&amp;ref=mail\" target=\"_blank\">42</a> came on <b>Monday</b>, broken.</p>\n";

/// Ten values as a list of a shop's orders is asked for.
const TEN_VALUES: &str = "/orders?id=48211&status=shipped&since=2026-03-14&page=3&sort=-created&mail=jane.doe%40example.com\
    &q=dark+green+lamp&path=%2Fhome%2Forders%2F48211&ref=7d3c1c9e-5b1f-4c58-9f0e-2d3a6b8c4f10&fields=id,name,total,created";

/// One request, again and again.
pub struct Scenario {
    host: MemoryHost,
    engine: Rc<Engine>,
    head: Vec<u8>,
    /// Where the last letters of the token stand in the head that change each time, and what they are next.
    fresh: Option<(usize, Cell<u32>)>,
    body: Option<Vec<u8>>,
    /// The code of the refusal; `None`: it is admitted.
    refused: Option<&'static str>,
}

struct Ask {
    method: &'static str,
    path: &'static str,
    token: Option<String>,
    body: Option<String>,
}

fn fixed() -> Value {
    // The keys of a pair that is nowhere else, and tokens until 2100; kept, so that no run differs from another.
    serde_json::from_str(include_str!("tokens.json")).expect("tokens.json is JSON")
}

/// A host that finds every token's signature good, so that the core's own work is counted and not a library's; of what is
/// no token, the first signature, since hosts have to prove themselves.
fn believing() -> SignatureCheck {
    let seen = Cell::new(0_usize);
    Box::new(move |_, key, _, text| {
        let first = seen.replace(key.len()) != key.len();
        Some(text.starts_with(b"eyJ") || first)
    })
}

/// As the host hands a request's head over.
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let number = |n: usize| u32::try_from(n).expect("a small head").to_le_bytes();
    let mut out = number(fields.len()).to_vec();
    for (name, value) in fields {
        out.extend([number(name.len()), number(value.len())].concat());
    }
    for (name, value) in fields {
        out.extend([name.as_bytes(), b"\0", value.as_bytes(), b"\0"].concat());
    }
    out
}

impl Scenario {
    /// # Panics
    /// If there is no such scenario, or it does not do what its name says.
    pub fn named(name: &str) -> Self {
        let fixed = fixed();
        let token = |which: &str| fixed[which].as_str().expect("a token").to_owned();
        let keys = &fixed["keys"];
        let get = |path| Ask {
            method: "GET",
            path,
            token: None,
            body: None,
        };
        let order_of = |token, bytes| Ask {
            method: "POST",
            path: "/orders",
            token,
            body: Some(order(bytes)),
        };
        let read = || get("/orders/4711");
        let with = |which: &str, ask: Ask| Ask {
            token: Some(token(which)),
            ..ask
        };
        let declared = |count| json!({ "requests": requests(), "operations": operations(count, false) });
        let refused = name.strip_prefix("refused: ");
        if let Some(unit) = name.strip_prefix("threats: 16 KiB of ") {
            let unit = match unit {
                "prose" => PROSE,
                "HTML" => HTML,
                _ => unit,
            };
            let text: String = unit.chars().cycle().take(16 << 10).collect();
            let ask = Ask {
                body: Some(json!({ "text": text }).to_string()),
                ..get("/notes")
            };
            return Self::new(&json!({ "threats": {} }), &Ask { method: "POST", ..ask }, false, None);
        }
        let (policy, ask) = match name {
            "nothing configured" => (json!({}), read()),
            "threats: ten query values" => (json!({ "threats": {} }), get(TEN_VALUES)),
            "requests" => (declared(12), read()),
            "2000 operations" => (declared(2000), read()),
            "quota" => (json!({ "quotas": quota() }), read()),
            "quota and ban" => (json!({ "quotas": quota(), "login": login(5) }), read()),
            "token, cached" => (json!({ "tokens": tokens(keys) }), with("good", read())),
            "token, first sight" => (json!({ "tokens": tokens(keys) }), with("good", read())),
            "token and revocation, cached" => (
                json!({ "tokens": tokens(keys), "revocation": revocation() }),
                with("good", read()),
            ),
            "all guards" => (all(keys), with("good", read())),
            "1 KiB, requests" => (declared(12), order_of(None, 1 << 10)),
            "1 KiB, all guards" => (all(keys), order_of(Some(token("good")), 1 << 10)),
            "16 KiB, all guards" => (all(keys), order_of(Some(token("good")), 16 << 10)),
            "refused: client_denied" => {
                let mut policy = all(keys);
                policy["clients"] = json!({ "deny": ["192.0.2.0/24"] });
                (policy, with("good", read()))
            }
            "refused: quota_exceeded" => (strict(keys), with("good", read())),
            "refused: operation_unknown" => (all(keys), with("good", get("/none"))),
            "refused: token_missing" => (all(keys), read()),
            "refused: token_malformed" => {
                let ask = Ask {
                    token: Some("a.b.c".to_owned()),
                    ..read()
                };
                (all(keys), ask)
            }
            "refused: token_expired" => (all(keys), with("expired", read())),
            "refused: token_revoked" => (all(keys), with("revoked", read())),
            "refused: json_malformed" => {
                let mut ask = order_of(Some(token("good")), 1 << 10);
                ask.body.as_mut().map(String::pop);
                (all(keys), ask)
            }
            _ => panic!("no scenario `{name}`"),
        };
        let refused = refused.and_then(|code| {
            ALL.iter()
                .find_map(|name| name.strip_prefix("refused: ").filter(|c| *c == code))
        });
        Self::new(&policy, &ask, name == "token, first sight", refused)
    }

    fn new(policy: &Value, ask: &Ask, fresh: bool, refused: Option<&'static str>) -> Self {
        let host = MemoryHost::default();
        if fresh {
            host.set_signatures(believing());
        }
        let policy = config::load(policy.to_string().as_bytes()).unwrap_or_else(|faults| panic!("{faults:#?}"));
        let engine = Engine::new(policy, &host).expect("the memory host keeps cells");
        let bearer = ask.token.as_ref().map(|token| format!("Bearer {token}"));
        let length = ask.body.as_ref().map(|body| body.len().to_string());
        let mut fields = vec![
            (":authority", "api.example.com"),
            (":path", ask.path),
            (":method", ask.method),
            (":scheme", "https"),
            ("user-agent", "curl/8.5.0"),
            ("accept", "*/*"),
            ("x-forwarded-for", "192.0.2.1"),
            ("x-forwarded-proto", "https"),
        ];
        fields.extend(bearer.as_deref().map(|value| ("authorization", value)));
        if let Some(length) = &length {
            fields.extend([("content-type", "application/json"), ("content-length", length)]);
        }
        let head = block(&fields);
        let token = bearer.as_deref().map_or(&b""[..], str::as_bytes);
        let found = head.windows(token.len().max(1)).position(|part| part == token);
        let scenario = Self {
            host,
            engine: Rc::new(engine),
            // Before the last, which has bits to spare.
            fresh: found.filter(|_| fresh).map(|at| (at + token.len() - 5, Cell::new(0))),
            head,
            body: ask.body.clone().map(String::into_bytes),
            refused,
        };
        // The second time nothing is new: keys are parsed, the token and its revocation are known, a quota of one is used up.
        scenario.judge();
        assert_eq!(scenario.judge(), scenario.refused);
        scenario
    }

    /// Judges the request once; the code of its refusal.
    pub fn once(&self) {
        self.judge();
    }

    fn next_head(&self) -> Vec<u8> {
        let mut head = self.head.clone();
        if let Some((at, next)) = &self.fresh {
            let number = next.replace(next.get() + 1);
            for (place, letter) in head[*at..*at + 4].iter_mut().zip(0..4) {
                *place = b'a' + u8::try_from(number >> (4 * letter) & 15).expect("four bits");
            }
        }
        head
    }

    fn judge(&self) -> Option<&'static str> {
        let host = &self.host;
        let mut pipeline = Pipeline::new(Rc::clone(&self.engine));
        let head = if pipeline.asks_head() {
            Head::from_block(self.next_head())
        } else {
            Some(Head::default())
        };
        let mut step = pipeline.head(host, head, self.body.is_none());
        loop {
            pipeline.take_edits();
            step = match (step, &self.body) {
                (Step::Allow, _) => {
                    if pipeline.asks_response() {
                        let response = Response {
                            status: 200,
                            from_backend: true,
                            header: &|_| Vec::new(),
                        };
                        pipeline.response(host, &response);
                    }
                    pipeline.fields_beside(&|_| Vec::new());
                    pipeline.finish(host);
                    return None;
                }
                (Step::Deny(reply), _) => {
                    pipeline.finish(host);
                    return Some(reply.code);
                }
                (Step::Wait(need), _) => {
                    // The only source that is asked says which tokens are out by their names.
                    let callout = self.engine.callout(&need).expect("something to ask");
                    self.engine.claim(host, &need);
                    self.engine.asked(host, &need);
                    let status = if callout.path.contains("/out") { 200 } else { 404 };
                    let told = self.engine.learn(host, &need, Some(&Answer::of(status, &[], "")));
                    pipeline.resume(host, &need, told)
                }
                (Step::Hold, Some(body)) => {
                    let bytes = u64::try_from(body.len()).unwrap_or(u64::MAX);
                    pipeline.body_ended(host, bytes, || Some(body.clone()))
                }
                (Step::Hold, None) => panic!("held without a body to come"),
            };
        }
    }
}
