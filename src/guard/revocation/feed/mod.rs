//! The feed: who is revoked, told ahead, so that a request costs no callout. One worker polls for all; each decides
//! locally, in constant time, from a set of its own.
//!
//! An entry names a token (issuer and `jti`, or its hash), a subject, a subject's tokens before an instant, or an
//! issuer's. What the source says goes through [`document`] into records of 16 bytes, which [`shared`] hands to all
//! workers in pages, and [`set`] finds again.

pub mod document;
pub mod follow;
pub mod set;
pub mod shared;

pub use document::Document;
pub use follow::Follower;

use crate::guard::token::Endpoint;
use crate::jose::Verified;
use crate::rate::Instant;
use set::Set;
use siphasher::sip::SipHasher13;
use std::hash::Hasher;
use std::time::Duration;

/// The configuration's `revocation.feed`.
#[derive(Debug)]
pub struct FeedPolicy {
    pub endpoint: Endpoint,
    /// From the start of one poll to the start of the next.
    pub every: Duration,
}

impl FeedPolicy {
    /// How old the last good poll may be for the feed to serve: a poll's turn and its time at the least.
    pub fn serves(&self, stale: Duration) -> Duration {
        // Half a second for ticks and other workers' turns.
        let turn = self
            .every
            .saturating_add(self.endpoint.timeout)
            .saturating_add(Duration::from_millis(500));
        stale.max(turn)
    }
}

/// One revocation: what it is about, until when it is told, and for "before" entries, before which second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    pub name: u64,
    /// In whole seconds, rounded up.
    pub ends: u32,
    /// Tokens issued before this second are revoked; 0 for an entry that does not ask.
    pub before: u32,
}

/// Names what entries are about, by keyed 64-bit fingerprints. Whoever doesn't know the key can't look for a token with
/// another's name; that one of a million entries names a given good token by chance is less likely than 10^-12.
#[derive(Debug, Clone)]
pub struct Namer {
    key: [u8; 16],
}

impl Namer {
    pub fn new(key: [u8; 16]) -> Self {
        Self { key }
    }

    fn name(&self, kind: u8, parts: [&str; 2]) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.key);
        hasher.write_u8(kind);
        for part in parts {
            hasher.write_u64(u64::try_from(part.len()).unwrap_or(u64::MAX));
            hasher.write(part.as_bytes());
        }
        // Zero marks a free slot.
        hasher.finish().max(1)
    }

    pub fn token(&self, issuer: &str, id: &str) -> u64 {
        self.name(b't', [issuer, id])
    }

    pub fn hash(&self, hash: &str) -> u64 {
        self.name(b'h', [hash, ""])
    }

    pub fn subject(&self, issuer: &str, subject: &str) -> u64 {
        self.name(b's', [issuer, subject])
    }

    pub fn subject_before(&self, issuer: &str, subject: &str) -> u64 {
        self.name(b'b', [issuer, subject])
    }

    pub fn issuer_before(&self, issuer: &str) -> u64 {
        self.name(b'i', [issuer, ""])
    }
}

/// Whether a set revokes a token now.
pub fn revokes(set: &Set, namer: &Namer, token: &Verified, now: Instant) -> bool {
    let now = now.seconds();
    let issuer = token.issuer.as_str();
    let told = |name: u64| set.find(name).filter(|record| u64::from(record.ends) > now);
    let subject = token.subject.as_deref();
    let plain = [
        token.id.as_deref().map(|id| namer.token(issuer, id)),
        token.hash.as_deref().map(|hash| namer.hash(hash)),
        subject.map(|subject| namer.subject(issuer, subject)),
    ];
    if plain.into_iter().flatten().any(|name| told(name).is_some()) {
        return true;
    }
    let instants = [
        Some(namer.issuer_before(issuer)),
        subject.map(|subject| namer.subject_before(issuer, subject)),
    ];
    instants.into_iter().flatten().filter_map(told).any(|record| {
        let issued = token.issued_at.as_deref().and_then(|text| text.parse::<u64>().ok());
        // Who does not say when it was issued may have been issued before.
        issued.is_none_or(|issued| issued < u64::from(record.before))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(id: Option<&str>, subject: Option<&str>, issued: Option<&str>) -> Verified {
        Verified {
            provider: 0,
            issuer: "i".into(),
            subject: subject.map(str::to_owned),
            id: id.map(str::to_owned),
            issued_at: issued.map(str::to_owned),
            ends: None,
            scopes: Vec::new(),
            headers: Vec::new(),
            state: Vec::new(),
            kept: Vec::new(),
            hash: Some("aa".into()),
            status: None,
            clearance: Default::default(),
        }
    }

    #[track_caller]
    fn check(entry: &str, token: &Verified, expected: bool) {
        let namer = Namer::new([7; 16]);
        let text = format!(r#"{{"version":1,"reset":true,"entries":[{entry}]}}"#);
        let document = Document::read(text.as_bytes(), &namer, Instant::from_seconds(1000)).unwrap();
        let mut set = Set::default();
        document.records.iter().for_each(|record| set.insert(*record));
        assert_eq!(
            revokes(&set, &namer, token, Instant::from_seconds(1000)),
            expected,
            "{entry}"
        );
    }

    #[test]
    fn each_kill_switch_takes_what_it_names_and_nothing_else() {
        let ann = token(Some("t1"), Some("ann"), Some("500"));
        check(r#"{"iss":"i","jti":"t1","exp":1001}"#, &ann, true);
        check(r#"{"iss":"i","jti":"t1","exp":1000}"#, &ann, false);
        check(r#"{"iss":"i","jti":"t2","exp":2000}"#, &ann, false);
        check(r#"{"iss":"j","jti":"t1","exp":2000}"#, &ann, false);
        check(r#"{"token_hash":"aa","exp":2000}"#, &ann, true);
        check(r#"{"token_hash":"ab","exp":2000}"#, &ann, false);
        check(r#"{"iss":"i","sub":"ann","exp":2000}"#, &ann, true);
        check(r#"{"iss":"i","sub":"bob","exp":2000}"#, &ann, false);
        check(r#"{"iss":"i","sub":"t1","exp":2000}"#, &ann, false);
        check(r#"{"iss":"i","sub":"ann","before":501,"exp":2000}"#, &ann, true);
        check(r#"{"iss":"i","sub":"ann","before":500.1,"exp":2000}"#, &ann, true);
        check(r#"{"iss":"i","sub":"ann","before":500,"exp":2000}"#, &ann, false);
        check(r#"{"iss":"i","before":501,"exp":2000}"#, &ann, true);
        check(r#"{"iss":"i","before":500,"exp":2000}"#, &ann, false);
        check(r#"{"iss":"j","before":501,"exp":2000}"#, &ann, false);
        let silent = token(None, Some("ann"), None);
        check(r#"{"iss":"i","sub":"ann","before":5,"exp":2000}"#, &silent, true);
        check(r#"{"iss":"i","before":5,"exp":2000}"#, &silent, true);
        check(r#"{"iss":"i","sub":"bob","before":5,"exp":2000}"#, &silent, false);
    }
}
