//! What requests cost is measured twice: here in instructions of the native core, which a busy machine does not change, and
//! in `tests/bench` in CPU time of real Envoy. Both use these policies and requests.

/// What a request is refused for, so that none is left out here.
pub use portcullis::verdict::Reason;

pub mod policies;
pub mod scenarios;
pub mod search;
