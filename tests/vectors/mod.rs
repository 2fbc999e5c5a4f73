//! Tokens and what must become of them, for the decision core natively and for real Envoy: `#[path]` brings them into both.

pub mod forge;
pub mod signatures;
pub mod tokens;
