//! What is measured: each case names a set-up of Envoy, the request that is sent to it, and the case that it is compared
//! with. To add one, add a line to [`cases`], and a line to [`setups`] if no set-up has what it needs.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::envoy::{Shape, wasm};
use crate::load::{Ask, Token};
use crate::native::*;
use crate::peers::Peers;
use crate::tokens::{Algorithm, DISTINCT, Tokens};
use crate::{refusals, revoked};
use portcullis_cost::policies::*;
use portcullis_e2e::places;

/// The cases of which the report tells what share one has of the other.
pub const LOOKUP: &str = "token and lookup in Redis";
pub const ASKED_EACH_TIME: &str = "native jwt_authn, ext_authz in Redis";
pub const LOOKUP_ALONE: &str = "alone, token and lookup in Redis";
pub const ASKED_EACH_TIME_ALONE: &str = "alone, native jwt_authn, ext_authz in Redis";

/// What set-ups and cases are made of.
pub struct World {
    pub module: PathBuf,
    /// What it is compared with.
    pub against: Option<PathBuf>,
    pub empty_module: PathBuf,
    pub capabilities: Vec<String>,
    pub tokens: Tokens,
    pub peers: Peers,
}

/// One measurement.
#[derive(Clone)]
pub struct Case {
    pub name: &'static str,
    pub setup: &'static str,
    pub ask: Ask,
    /// What the added CPU time is added to.
    pub base: &'static str,
    pub when: When,
    /// Asked before, in this order, whatever the answer.
    pub first: Vec<Ask>,
}

/// How much of a run a case is worth, which may not take longer than ten minutes. Who names a case has it in each round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// In each round, also of the quick form.
    Quick,
    /// In each round.
    EachRound,
    /// In every second round, and without a warm-up of its own.
    SomeRounds,
    /// Only if `--case` names it.
    Named,
}

/// What is measured with the other module has this behind its name.
pub const OTHER_MODULE: &str = ", other module";

/// Names live as long as the program.
fn other_module(name: &str) -> &'static str {
    format!("{name}{OTHER_MODULE}").leak()
}

impl World {
    fn ours(&self, policy: &Value) -> Value {
        wasm(&self.module, "portcullis", &policy.to_string(), &self.capabilities)
    }

    /// Every set-up by its name, those with the other module included.
    pub fn setups(&self) -> Vec<(&'static str, Shape)> {
        let mut setups = self.own_setups();
        if let Some(against) = &self.against {
            let other = setups.iter().filter_map(|(name, shape)| {
                let shape = shape.with_module(&self.module, against)?;
                Some((other_module(name), shape))
            });
            let other: Vec<_> = other.collect();
            setups.extend(other);
        }
        setups
    }

    /// Each case, and after it the same with the other module, if there is one.
    pub fn beside(&self, cases: Vec<Case>) -> Vec<Case> {
        let setups = self.setups();
        let twin = |case: &Case| {
            let setup = other_module(case.setup);
            let known = setups.iter().any(|(name, _)| *name == setup);
            known.then(|| Case {
                name: other_module(case.name),
                setup,
                ..case.clone()
            })
        };
        let pairs = cases.into_iter().flat_map(|case| {
            let twin = twin(&case);
            [Some(case), twin]
        });
        pairs.flatten().collect()
    }

    fn own_setups(&self) -> Vec<(&'static str, Shape)> {
        let keys = &self.tokens.key_set();
        let with = |filters: Vec<Value>| Shape {
            filters,
            ..Shape::default()
        };
        let ours = |policy: Value| self.shape(&policy);
        let chain = || {
            vec![
                native_jwt(keys, true),
                native_rate_limit(),
                native_ext_authz("stand_in"),
            ]
        };
        let proxied = |shape: Shape| Shape { proxied: true, ..shape };
        let tls = |shape: Shape| Shape { tls: true, ..shape };
        let bodies = || json!({ "max_body": "1100KiB" });
        let declared = |count| json!({ "requests": requests(), "operations": operations(count, false) });
        let mut setups = vec![
            ("bare", with(vec![])),
            ("bare-buffer", with(vec![native_buffer()])),
            ("bare-proxied", proxied(with(vec![]))),
            ("bare-tls", tls(with(vec![]))),
            ("empty", with(vec![wasm(&self.empty_module, "empty", "", &[])])),
            (
                "empty-proxied",
                proxied(with(vec![wasm(&self.empty_module, "empty", "", &[])])),
            ),
            ("nothing", ours(json!({}))),
            ("nothing-proxied", proxied(ours(json!({})))),
            ("quota-proxied", proxied(ours(json!({ "quotas": quota() })))),
            ("jwt-proxied", proxied(ours(json!({ "tokens": tokens(keys) })))),
            ("requests", ours(declared(12))),
            ("threats", ours(json!({ "threats": {} }))),
            ("bodies", ours(json!({ "requests": bodies() }))),
            ("bodies-threats", ours(json!({ "requests": bodies(), "threats": {} }))),
            ("operations-2", ours(declared(2))),
            ("operations-2000", ours(declared(2000))),
            ("operations-5000", ours(declared(5000))),
            ("denied-2", ours(json!({ "clients": { "deny": denied(2) } }))),
            ("denied-10000", ours(json!({ "clients": { "deny": denied(10_000) } }))),
            ("quota", ours(json!({ "quotas": quota() }))),
            ("quota-ban", ours(json!({ "quotas": quota(), "login": login(5) }))),
            ("tokens", ours(json!({ "tokens": tokens(keys) }))),
            // Of their own, so that what one case leaves in the cache is not found by another.
            ("tokens-new", ours(json!({ "tokens": tokens(keys) }))),
            ("tokens-few", ours(json!({ "tokens": tokens(keys) }))),
            ("tokens-many", ours(json!({ "tokens": tokens(keys) }))),
            (
                "revocation",
                ours(json!({ "tokens": tokens(keys), "revocation": revocation() })),
            ),
            ("all", ours(all(keys))),
            ("all-tls", tls(ours(all(keys)))),
            ("all-proxied", proxied(ours(all(keys)))),
            (
                "redis",
                Shape {
                    clusters: vec![("revocations", self.peers.webdis)],
                    ..ours(json!({ "tokens": tokens(keys), "revocation": lookup_in_redis() }))
                },
            ),
            (
                "redis-native",
                Shape {
                    clusters: vec![("authorizer", self.peers.authorizer)],
                    ..with(vec![native_jwt(keys, true), native_ext_authz("authorizer")])
                },
            ),
            ("jwt", with(vec![native_jwt(keys, true)])),
            ("jwt-uncached", with(vec![native_jwt(keys, false)])),
            ("limit", with(vec![native_rate_limit()])),
            ("chain", with(chain())),
            ("chain-proxied", proxied(with(chain()))),
        ];
        setups.extend(revoked::setups(&tokens(keys), ours));
        setups.extend(refusals::setups(keys, ours));
        setups
    }

    /// All guards with as large a document as there is: GitHub's, if `scripts/corpora` has fetched it.
    pub fn real(&self) -> Option<Shape> {
        let path = places::root().join(".cache/corpora/openapi/github.json");
        let document = serde_json::from_str(&std::fs::read_to_string(path).ok()?).ok()?;
        Some(self.shape(&with_document(&self.tokens.key_set(), &document)))
    }

    /// All guards with so many operations.
    pub fn with_operations(&self, count: usize) -> Shape {
        self.shape(&with_operations(&self.tokens.key_set(), count))
    }

    fn shape(&self, policy: &Value) -> Shape {
        Shape {
            filters: vec![self.ours(policy)],
            ..Shape::default()
        }
    }

    /// Every case, in the order of the report.
    pub fn cases(&self) -> Vec<Case> {
        let tokens = &self.tokens;
        let good = |algorithm| Token::Fixed(tokens.mint(algorithm, "id-1", &Value::Null));
        let revoked = || Token::Fixed(tokens.mint(Algorithm::Rs256, "id-1", &json!({ "jti": revoked_id() })));
        let (rs, es) = (|| good(Algorithm::Rs256), || good(Algorithm::Es256));
        let distinct = |algorithm, count| Token::Each(algorithm, tokens.set_path(algorithm), count);
        let get = || Ask::get("/orders/4711");
        let post = |bytes| Ask::post("/orders", order(bytes));
        let case = |name, setup, ask, base| Case {
            name,
            setup,
            ask,
            base,
            when: When::EachRound,
            first: Vec::new(),
        };
        let some = |name, setup, ask, base| Case {
            when: When::SomeRounds,
            ..case(name, setup, ask, base)
        };
        let named = |name, setup, ask, base| Case {
            when: When::Named,
            ..case(name, setup, ask, base)
        };
        let quick = |name, setup, ask, base| Case {
            when: When::Quick,
            ..case(name, setup, ask, base)
        };
        let kib = 1 << 10;
        let ten = || Ask::get(TEN_VALUES);
        let text = |size: usize| Ask::post("/notes", prose(size * kib));
        let mut cases = vec![
            // What the sandbox costs, and each guard alone.
            quick("bare", "bare", get(), "bare"),
            quick("empty filter", "empty", get(), "bare"),
            quick("nothing configured", "nothing", get(), "bare"),
            case("requests", "requests", get(), "bare"),
            case("quota", "quota", get(), "bare"),
            case("quota and ban", "quota-ban", get(), "bare"),
            case("token, cached", "tokens", get().token(rs()), "bare"),
            case("token and revocation, cached", "revocation", get().token(rs()), "bare"),
            quick("all guards", "all", get().token(rs()), "bare"),
            // What a user would run instead.
            case("native jwt_authn, cached", "jwt", get().token(rs()), "bare"),
            case("native local_ratelimit", "limit", get(), "bare"),
            quick("native chain", "chain", get().token(rs()), "bare"),
            // The same with a real backend.
            quick("bare, proxied", "bare-proxied", get(), "bare, proxied"),
            case("empty filter, proxied", "empty-proxied", get(), "bare, proxied"),
            case("nothing configured, proxied", "nothing-proxied", get(), "bare, proxied"),
            case("quota, proxied", "quota-proxied", get(), "bare, proxied"),
            case("token, proxied", "jwt-proxied", get().token(rs()), "bare, proxied"),
            quick("all guards, proxied", "all-proxied", get().token(rs()), "bare, proxied"),
            case(
                "native chain, proxied",
                "chain-proxied",
                get().token(rs()),
                "bare, proxied",
            ),
            // A token that is seen for the first time.
            some(
                "RS256, first sight",
                "tokens-new",
                get().token(distinct(Algorithm::Rs256, DISTINCT)),
                "bare",
            ),
            some("native RS256, uncached", "jwt-uncached", get().token(rs()), "bare"),
            some(
                "ES256, first sight",
                "tokens-new",
                get().token(distinct(Algorithm::Es256, DISTINCT)),
                "bare",
            ),
            some("native ES256, uncached", "jwt-uncached", get().token(es()), "bare"),
            // Bodies.
            quick("1 KiB, buffered", "bare-buffer", post(kib), "1 KiB, buffered"),
            quick("1 KiB, all guards", "all", post(kib).token(rs()), "1 KiB, buffered"),
            case("1 KiB, requests", "requests", post(kib), "1 KiB, buffered"),
            some("16 KiB, buffered", "bare-buffer", post(16 * kib), "16 KiB, buffered"),
            some(
                "16 KiB, all guards",
                "all",
                post(16 * kib).token(rs()),
                "16 KiB, buffered",
            ),
            some("128 KiB, buffered", "bare-buffer", post(128 * kib), "128 KiB, buffered"),
            some(
                "128 KiB, all guards",
                "all",
                post(128 * kib).token(rs()),
                "128 KiB, buffered",
            ),
            some("1 MiB, buffered", "bare-buffer", post(kib * kib), "1 MiB, buffered"),
            some(
                "1 MiB, all guards",
                "all",
                post(kib * kib).token(rs()),
                "1 MiB, buffered",
            ),
            // Malicious content: what it adds to a module that does nothing, and to one that reads bodies.
            some("ten values, nothing", "nothing", ten(), "ten values, nothing"),
            some("ten values, threats", "threats", ten(), "ten values, nothing"),
            some(
                "1 KiB of prose, requests",
                "bodies",
                text(1),
                "1 KiB of prose, requests",
            ),
            some(
                "1 KiB of prose, threats",
                "bodies-threats",
                text(1),
                "1 KiB of prose, requests",
            ),
            named(
                "4 KiB of prose, requests",
                "bodies",
                text(4),
                "4 KiB of prose, requests",
            ),
            named(
                "4 KiB of prose, threats",
                "bodies-threats",
                text(4),
                "4 KiB of prose, requests",
            ),
            some(
                "16 KiB of prose, requests",
                "bodies",
                text(16),
                "16 KiB of prose, requests",
            ),
            some(
                "16 KiB of prose, threats",
                "bodies-threats",
                text(16),
                "16 KiB of prose, requests",
            ),
            named(
                "64 KiB of prose, requests",
                "bodies",
                text(64),
                "64 KiB of prose, requests",
            ),
            named(
                "64 KiB of prose, threats",
                "bodies-threats",
                text(64),
                "64 KiB of prose, requests",
            ),
            named(
                "256 KiB of prose, requests",
                "bodies",
                text(256),
                "256 KiB of prose, requests",
            ),
            named(
                "256 KiB of prose, threats",
                "bodies-threats",
                text(256),
                "256 KiB of prose, requests",
            ),
            some(
                "1 MiB of prose, requests",
                "bodies",
                text(1024),
                "1 MiB of prose, requests",
            ),
            some(
                "1 MiB of prose, threats",
                "bodies-threats",
                text(1024),
                "1 MiB of prose, requests",
            ),
            // Other ways in.
            some("HTTP/2, bare", "bare", get().http2(), "HTTP/2, bare"),
            some("HTTP/2, all guards", "all", get().token(rs()).http2(), "HTTP/2, bare"),
            some("TLS, bare", "bare-tls", get(), "TLS, bare"),
            some("TLS, all guards", "all-tls", get().token(rs()), "TLS, bare"),
            // Revocation: two ways to the same Redis.
            some(LOOKUP, "redis", get().token(rs()), "bare"),
            some(ASKED_EACH_TIME, "redis-native", get().token(rs()), "bare"),
            some("alone, bare", "bare", get().alone(), "alone, bare"),
            some(LOOKUP_ALONE, "redis", get().alone().token(rs()), "alone, bare"),
            some(
                ASKED_EACH_TIME_ALONE,
                "redis-native",
                get().alone().token(rs()),
                "alone, bare",
            ),
            // That both really ask it: a token that is revoked there.
            some(
                "token revoked in Redis, lookup",
                "redis",
                get().token(revoked()).refused(401, "token_revoked"),
                "bare",
            ),
            some(
                "token revoked in Redis, native",
                "redis-native",
                get().token(revoked()).refused(403, "revoked_by_authorizer"),
                "bare",
            ),
            // What must not grow.
            case("2 operations", "operations-2", get(), "bare"),
            some("2000 operations", "operations-2000", get(), "2 operations"),
            case("5000 operations", "operations-5000", get(), "2 operations"),
            case("2 denied networks", "denied-2", get(), "bare"),
            case("10000 denied networks", "denied-10000", get(), "2 denied networks"),
            case("2 clients", "quota", get().clients(2), "bare"),
            case("1000000 clients", "quota", get().clients(1_000_000), "2 clients"),
            case(
                "2 tokens",
                "tokens-few",
                get().token(distinct(Algorithm::Rs256, 2)),
                "bare",
            ),
            case(
                "3000 tokens",
                "tokens-many",
                get().token(distinct(Algorithm::Rs256, 3000)),
                "2 tokens",
            ),
        ];
        cases.extend(revoked::cases(tokens));
        cases.extend(refusals::cases(tokens));
        cases
    }
}
