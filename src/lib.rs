//! Portcullis: a proxy-wasm filter that stands in front of an API. It validates requests, limits logins and rates,
//! verifies tokens and refuses revoked ones.
//!
//! # A request's way
//! [`filter`] turns Envoy's phases into events for a [`pipeline`], which asks the guards in a fixed order: client, ban,
//! quotas, operation, head rules, token, revocation, body rules, login. It answers with a step: hold, wait for
//! a callout, let go, or refuse. A refusal is a [`verdict::Reason`], which [`reply`] turns into an answer.
//!
//! # Invariants
//! - Nothing reaches the backend before the whole verdict.
//! - Only [`shell`], [`plugin`], [`filter`] and [`host::envoy`] know Envoy; below them there is no I/O and no clock.
//! - No panic, index or unchecked conversion is reachable from a request, an answer, shared data or a configuration.
//! - Header values are bytes until a guard parses them; what can't be parsed is refused.
//! - Every table, loop, retry and wait has a named bound; where a dependency is missing, `on_error` answers.
//! - No key, counter or log line carries a secret.
//!
//! # Modules, in reading order

// The shell, on Envoy.
pub mod filter;
pub mod plugin;
pub mod shell;

// One configuration at work.
pub mod config;
pub mod engine;
pub mod pipeline;
pub mod policy;

// What is decided about, and what is decided.
pub mod client;
pub mod openapi;
pub mod operation;
pub mod path;
pub mod reply;
pub mod request;
pub mod verdict;

// Who decides.
pub mod guard;

// What they decide with.
pub mod callout;
pub mod jose;
pub mod json;
pub mod knowledge;
pub mod rate;
pub mod schema;
pub mod sort;
pub mod store;

// What all of it stands on.
pub mod host;
