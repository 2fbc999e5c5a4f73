//! Decisions: a configuration's text, scripted requests and times, and the verdict of the whole pipeline, natively.
// A test that can't go on says so by panicking.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

mod accounts;
mod attacks;
mod claims;
mod clients;
mod cost;
mod feed;
mod forms;
mod hostile;
mod keys;
mod login;
mod never_echo;
mod parameters;
mod quotas;
mod requests;
mod revocation;
mod robustness;
mod scene;
mod shadow;
mod signatures;
mod status_list;
mod threats;
mod threats_cost;
mod threats_documents;
mod threats_names;
mod tokens;
#[path = "../vectors/mod.rs"]
mod vectors;
