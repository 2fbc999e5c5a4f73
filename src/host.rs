//! What the core asks of its host, and nothing else: the clock, the shared cells, randomness, counters and the log.
//!
//! Callouts are not here: a pipeline that needs one says so ([`crate::pipeline::Step::Wait`]) and is resumed. Envoy's
//! adapter is the only one that calls it; [`memory`] serves tests and simulation.

pub mod envoy;
pub mod memory;

use crate::guard::revocation::Source;
use crate::rate::Instant;
use crate::verdict::Reason;

/// One of the fixed set of cells that all workers share. Never made from client input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cell {
    /// The key for fingerprints: random, made once.
    HashKey,
    /// How many buckets have been made.
    BucketCount,
    /// How far the table has been looked through.
    Survey,
    /// A bucket of the table.
    Bucket(u32),
    /// What there is of the revocation feed.
    FeedHead,
    /// Its version changes when its records do; always empty, and looked at by every request.
    FeedMark,
    /// Its version changes when a token is found revoked; always empty, and looked at by every request.
    RevokedMark,
    /// A page of its records.
    FeedPage(u32),
    /// What introspection said of an active token, in one of a few places.
    Introspected(u16),
    /// Who acts for all workers on a topic.
    Lease(Topic),
    /// What is published on a topic.
    Notice(Topic),
    /// A part of a published document: its bank, 0 or 1, and its number in it.
    Part(Topic, u8, u16),
}

/// What one worker finds out for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// The keys of the provider at this position.
    Keys(u8),
    /// A token status list, in one of a few places.
    StatusList(u8),
}

/// A cell's bytes with the version that a later write must name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned {
    pub bytes: Vec<u8>,
    pub version: u32,
}

/// A failure of the environment; the guard that meets it applies its `on_error`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostError(pub &'static str);

/// What is counted, once per event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Counter {
    /// Requests that went on to the backend with every guard's consent.
    Allowed,
    Denied(Reason),
    /// A refusal in shadow mode: the request went on.
    Shadowed(Reason),
    /// What became of a request at the quota at this position of the configuration.
    Quota(QuotaEvent, usize),
    BanStarted,
    /// A ban that has ended, counted within a round of the survey (`store::survey`), or when the next one starts first.
    BanExpired,
    AttemptReserved,
    AttemptRefunded,
    /// An attempt that failed or got no answer.
    AttemptFailed,
    /// An attempt that was not given back although it did not fail: too many were already.
    AttemptKept,
    /// A write that lost against another worker's and was tried again.
    StoreRetry,
    /// An update that the host failed, or for which there was no place that may be taken.
    StoreFailure,
    /// An update given up after [`crate::store::ATTEMPTS_MAX`] lost writes.
    StoreExhausted,
    /// An idle or nearly idle client forgotten for another.
    StoreEviction,
    KeysFetched,
    KeysFailed,
    /// A request that waits for a key that its provider's set lacks.
    KeyAwaited,
    /// Signatures that the host checked, and that the module did itself.
    SignatureByHost,
    SignatureByModule,
    /// A verdict on a token without asking: the answer was known.
    RevocationHit,
    /// A request that had to wait for an answer.
    RevocationMiss,
    /// Of those, one that waited on a question that was out already.
    RevocationShared,
    /// A lookup sent.
    RevocationAsked,
    /// An introspection sent.
    Introspected,
    /// The feed asked for, or a page of it.
    FeedPolled,
    /// A token status list asked for.
    StatusListAsked,
    RevocationFailed,
    /// A breaker opened: its source is silent.
    BreakerOpened,
    /// An answer older than `cache` that served while the source was down.
    RevocationStale,
}

/// What is measured: the last value counts, whichever worker set it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Gauge {
    /// A source's breaker: 0 closed, 1 probing, 2 open.
    Breaker(Source),
    /// Seconds since the last good poll of the feed began; from the worker's start on while there was none.
    FeedAge,
    /// What the feed names, ended or not.
    FeedEntries,
    /// Seats of the table, those that say something, and those of clients that must not be forgotten.
    StoreSlots,
    StoreUsed,
    StoreHeld,
    /// Clients that are banned.
    BansActive,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QuotaEvent {
    Admitted,
    Refused,
    /// Would have been refused, but for shadow mode.
    Shadowed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Info,
    Warn,
    Error,
}

pub trait Host {
    /// Nanoseconds since the Unix epoch.
    fn now(&self) -> Instant;

    /// 16 bytes that a client can't guess.
    fn random(&self) -> [u8; 16];

    /// `None` for a cell that was never written.
    fn read(&self, cell: Cell) -> Result<Option<Versioned>, HostError>;

    /// Writes a cell if its version is still `expected`; `false` if it is not. Without an expectation, or where there is
    /// no cell yet, it writes.
    fn write(&self, cell: Cell, bytes: &[u8], expected: Option<u32>) -> Result<bool, HostError>;

    /// Whether a signature is a key's over `text`: RSA PKCS#1 v1.5, or ECDSA in DER; `hash` is `sha256`, `sha384` or
    /// `sha512`, `key_info` DER SubjectPublicKeyInfo. `None` if the host can't tell.
    fn verify_signature(&self, hash: &str, key_info: &[u8], signature: &[u8], text: &[u8]) -> Option<bool>;

    /// The peer's address that the host trusts, as text with a port.
    fn source_address(&self) -> Option<Vec<u8>>;

    fn count(&self, counter: Counter);

    fn measure(&self, gauge: Gauge, value: u64);

    /// A log line. It may name a client's address or a subject, never a secret or a token.
    fn log(&self, level: Level, text: &str);
}
