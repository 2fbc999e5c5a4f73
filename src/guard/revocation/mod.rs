//! Revoked tokens: what is asked about a token, of whom, and what an answer means. Each source is a file of its own; a
//! token that any of them knows as revoked is refused.
//!
//! Nothing here asks or waits: the pipeline says what it needs, `crate::engine` words the question and keeps what was
//! learnt. An answer of another shape than expected is a failure of its source, never "not revoked".

pub mod answers;
pub mod breaker;
pub mod clearance;
pub mod feed;
pub mod introspection;
pub mod lookup;
pub mod status_list;

pub use answers::Claim;
pub use feed::FeedPolicy;
pub use introspection::Introspection;
pub use lookup::Lookup;
pub use status_list::StatusListPolicy;

use super::OnError;
use crate::host::{Host, HostError};
use crate::rate::Instant;
use crate::verdict::Mode;
use std::collections::HashMap;
use std::time::Duration;

/// The configuration's `revocation`; at least one source is there.
#[derive(Debug)]
pub struct RevocationPolicy {
    pub on_error: OnError,
    /// How long the last good answer serves while its source is down.
    pub stale: Duration,
    pub lookup: Option<Lookup>,
    pub introspection: Option<Introspection>,
    pub feed: Option<FeedPolicy>,
    pub status_list: Option<StatusListPolicy>,
    pub mode: Option<Mode>,
}

impl RevocationPolicy {
    /// Whether any source asks for the hash of the token.
    pub fn asks_hash(&self) -> bool {
        let lookup = self.lookup.as_ref();
        self.feed.is_some() || lookup.is_some_and(|lookup| lookup.template.contains(&lookup::Piece::TokenHash))
    }
}

/// A source of verdicts, as metrics name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    Lookup,
    Introspection,
}

impl Source {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lookup => "lookup",
            Self::Introspection => "introspection",
        }
    }
}

/// Why a source told nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// No answer, or one that says that there is none: a status of 500 and above.
    Silence,
    /// An answer of another shape than expected.
    Nonsense,
}

impl Failure {
    /// What an answer of an unexpected status is.
    pub fn of(status: u16) -> Self {
        if status >= 500 { Self::Silence } else { Self::Nonsense }
    }
}

/// What a source says of a token.
pub type Told<T> = Result<T, Failure>;

/// An answer of the lookup with its age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    pub revoked: bool,
    /// The longest there is, after a clock was put back: nothing is known of the age then.
    pub age: Duration,
}

/// What one worker has learnt of the sources.
#[derive(Debug, Default)]
pub struct Learnt {
    pub answers: answers::Answers,
    pub heard: introspection::Memory,
    /// What all workers have heard.
    pub shelf: Option<introspection::Shelf>,
    /// When the introspections under way were asked; as many as there are callouts.
    pub introspecting: HashMap<u128, Instant>,
    pub lookup_breaker: breaker::Breaker,
    pub introspection_breaker: breaker::Breaker,
    pub feed: Option<feed::Follower>,
    pub lists: Option<status_list::Lists>,
}

impl Learnt {
    /// Nothing learnt yet; `key` is the one that all workers share.
    ///
    /// # Errors
    /// If the host can't keep cells.
    pub fn open(policy: Option<&RevocationPolicy>, key: [u8; 16], host: &dyn Host) -> Result<Self, HostError> {
        let feed = policy.and_then(|policy| policy.feed.as_ref());
        if feed.is_some() {
            feed::shared::open(host)?;
        }
        let lists = policy.is_some_and(|policy| policy.status_list.is_some());
        let lists = lists.then(|| status_list::Lists::open(host, key)).transpose()?;
        let shelf = policy.and_then(|policy| policy.introspection.as_ref());
        let shelf = shelf.map(|asked| introspection::Shelf::new(key, &asked.endpoint, &asked.credentials.id));
        Ok(Self {
            shelf,
            feed: feed.map(|feed| feed::Follower::new(key, feed)),
            lists,
            ..Self::default()
        })
    }
}
