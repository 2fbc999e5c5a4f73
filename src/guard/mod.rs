//! The guards: each decides one thing, purely, from its policy, the request and what the store or this worker knows.

pub mod fields;
pub mod login;
pub mod quota;
pub mod requests;
pub mod revocation;
pub mod threats;
pub mod token;

/// What a guard answers where state or a dependency is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnError {
    #[default]
    Deny,
    Allow,
}

impl OnError {
    pub const WORDS: [(&'static str, Self); 2] = [("deny", Self::Deny), ("allow", Self::Allow)];
}
