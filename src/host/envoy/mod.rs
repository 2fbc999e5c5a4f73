//! Envoy's side of [`Host`], over the byte-typed calls in [`ffi`].

pub mod ffi;
mod protobuf;

use super::{Cell, Counter, Gauge, Host, HostError, Level, QuotaEvent, Topic, Versioned};
use crate::json::push_number;
use crate::rate::Instant;
use crate::verdict::Reason;
use std::cell::{Cell as Slot, RefCell};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::hash::{BuildHasherDefault, Hasher};

/// Hashes what no client chooses: context numbers and names of counters. Cheaper than what the standard library needs to
/// be safe with keys from outside.
#[derive(Debug, Default)]
pub struct PlainHasher(u64);

impl Hasher for PlainHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, number: u64) {
        // Fibonacci hashing; the table takes its places from the low bits and its tags from the high ones.
        let mixed = (self.0 ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = mixed ^ (mixed >> 32);
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(u64::try_from(number).unwrap_or(u64::MAX));
    }

    fn write_isize(&mut self, number: isize) {
        self.write_usize(number.unsigned_abs());
    }
}

/// A map whose keys no client chooses.
pub type PlainMap<K, V> = HashMap<K, V, BuildHasherDefault<PlainHasher>>;

/// The host of one plugin in one VM.
#[derive(Debug)]
pub struct Envoy {
    /// Where keys of shared data are written: one is built for every access to a cell.
    key: RefCell<String>,
    /// The length of what starts every key: Istio leaves `vm_id` blank, so that all plugins share one name space.
    prefix_bytes: usize,
    counters: RefCell<PlainMap<Counter, Option<u32>>>,
    gauges: RefCell<PlainMap<Gauge, Option<u32>>>,
    /// The time of the callback that is running, once something has asked for it.
    time: Slot<Option<u64>>,
    /// The configuration's quotas, for the names of their counters.
    quotas: RefCell<Vec<String>>,
}

impl Envoy {
    /// `plugin` names the plugin within its VM.
    pub fn new(plugin: &str) -> Self {
        let key = format!("portcullis:{plugin}:");
        Self {
            prefix_bytes: key.len(),
            key: RefCell::new(key),
            time: Slot::new(None),
            counters: RefCell::default(),
            gauges: RefCell::default(),
            quotas: RefCell::default(),
        }
    }

    /// A callback begins. The host is asked for the time once in each: all that is decided in one is decided at one time.
    pub fn begin(&self) {
        self.time.set(None);
    }

    /// Defines the counters that dashboards expect to see at zero.
    pub fn define_counters(&self, quotas: Vec<String>) {
        // Positions may mean other quotas than in the configuration before.
        self.counters
            .borrow_mut()
            .retain(|counter, _| !matches!(counter, Counter::Quota(..)));
        let events = [QuotaEvent::Admitted, QuotaEvent::Refused, QuotaEvent::Shadowed];
        let positions = 0..quotas.len();
        let of_quotas = positions.flat_map(|at| events.map(|event| Counter::Quota(event, at)));
        *self.quotas.borrow_mut() = quotas;
        let denied = Reason::ALL.iter().map(|reason| Counter::Denied(*reason));
        let others = [
            Counter::Allowed,
            Counter::BanStarted,
            Counter::BanExpired,
            Counter::AttemptReserved,
            Counter::AttemptRefunded,
            Counter::AttemptFailed,
            Counter::AttemptKept,
            Counter::StoreRetry,
            Counter::StoreFailure,
            Counter::StoreExhausted,
            Counter::StoreEviction,
            Counter::KeysFetched,
            Counter::KeysFailed,
            Counter::KeyAwaited,
            Counter::SignatureByHost,
            Counter::SignatureByModule,
            Counter::RevocationHit,
            Counter::RevocationMiss,
            Counter::RevocationShared,
            Counter::RevocationAsked,
            Counter::Introspected,
            Counter::FeedPolled,
            Counter::StatusListAsked,
            Counter::RevocationFailed,
            Counter::BreakerOpened,
            Counter::RevocationStale,
        ];
        for counter in denied.chain(others).chain(of_quotas) {
            self.id(counter);
        }
    }

    fn id(&self, counter: Counter) -> Option<u32> {
        let mut counters = self.counters.borrow_mut();
        *counters
            .entry(counter)
            .or_insert_with(|| ffi::define_metric(ffi::Metric::Counter, &name(counter, &self.quotas.borrow())))
    }

    fn with_key<T>(&self, cell: Cell, access: impl FnOnce(&str) -> T) -> T {
        let mut key = self.key.borrow_mut();
        key.truncate(self.prefix_bytes);
        // Writing to a string does not fail.
        let _ = match cell {
            Cell::HashKey => key.write_str("key"),
            Cell::Survey => key.write_str("survey"),
            Cell::BucketCount => key.write_str("count"),
            Cell::Bucket(bucket) => {
                // Every request that is counted pays for it, twice.
                push_number(&mut key, bucket.into());
                Ok(())
            }
            Cell::FeedHead => key.write_str("feed"),
            Cell::FeedMark => key.write_str("feedmark"),
            Cell::RevokedMark => key.write_str("revokedmark"),
            Cell::FeedPage(page) => write!(key, "feed:{page}"),
            Cell::Introspected(place) => write!(key, "introspected:{place}"),
            Cell::Lease(topic) => write!(key, "{}:lease", topic_name(topic)),
            Cell::Notice(topic) => write!(key, "{}:notice", topic_name(topic)),
            Cell::Part(topic, bank, number) => write!(key, "{}:{bank}:{number}", topic_name(topic)),
        };
        access(&key)
    }
}

fn topic_name(topic: Topic) -> String {
    match topic {
        Topic::Keys(provider) => format!("keys{provider}"),
        Topic::StatusList(place) => format!("status{place}"),
    }
}

/// A counter's name; Envoy puts `wasmcustom.` before it.
fn name(counter: Counter, quotas: &[String]) -> String {
    match counter {
        Counter::Quota(event, at) => {
            let quota = quotas.get(at).map_or("", String::as_str);
            let event = match event {
                QuotaEvent::Admitted => "admitted",
                QuotaEvent::Refused => "refused",
                QuotaEvent::Shadowed => "shadowed",
            };
            format!("portcullis.quota.{quota}.{event}")
        }
        Counter::Denied(reason) => format!("portcullis.denied.{}", reason.code()),
        Counter::Shadowed(reason) => format!("portcullis.shadowed.{}", reason.code()),
        Counter::Allowed => "portcullis.allowed".to_owned(),
        Counter::BanStarted => "portcullis.login.bans".to_owned(),
        Counter::BanExpired => "portcullis.login.bans_expired".to_owned(),
        Counter::AttemptReserved => "portcullis.login.attempts".to_owned(),
        Counter::AttemptRefunded => "portcullis.login.refunds".to_owned(),
        Counter::AttemptFailed => "portcullis.login.failures".to_owned(),
        Counter::AttemptKept => "portcullis.login.kept".to_owned(),
        Counter::StoreRetry => "portcullis.store.retries".to_owned(),
        Counter::StoreFailure => "portcullis.store.failures".to_owned(),
        Counter::StoreExhausted => "portcullis.store.exhausted".to_owned(),
        Counter::StoreEviction => "portcullis.store.evictions".to_owned(),
        Counter::KeysFetched => "portcullis.keys.fetched".to_owned(),
        Counter::KeysFailed => "portcullis.keys.failed".to_owned(),
        Counter::KeyAwaited => "portcullis.keys.awaited".to_owned(),
        Counter::SignatureByHost => "portcullis.signatures.host".to_owned(),
        Counter::SignatureByModule => "portcullis.signatures.module".to_owned(),
        Counter::RevocationHit => "portcullis.revocation.hits".to_owned(),
        Counter::RevocationMiss => "portcullis.revocation.misses".to_owned(),
        Counter::RevocationShared => "portcullis.revocation.shared_waits".to_owned(),
        Counter::RevocationAsked => "portcullis.revocation.lookups".to_owned(),
        Counter::Introspected => "portcullis.revocation.introspections".to_owned(),
        Counter::FeedPolled => "portcullis.revocation.feed_polls".to_owned(),
        Counter::StatusListAsked => "portcullis.revocation.status_lists".to_owned(),
        Counter::BreakerOpened => "portcullis.revocation.breaker_opened".to_owned(),
        Counter::RevocationFailed => "portcullis.revocation.failures".to_owned(),
        Counter::RevocationStale => "portcullis.revocation.stale".to_owned(),
    }
}

/// A gauge's name.
fn gauge_name(gauge: Gauge) -> String {
    match gauge {
        Gauge::StoreSlots => "portcullis.store.slots".to_owned(),
        Gauge::StoreUsed => "portcullis.store.used".to_owned(),
        Gauge::StoreHeld => "portcullis.store.held".to_owned(),
        Gauge::BansActive => "portcullis.login.bans_active".to_owned(),
        Gauge::FeedAge => "portcullis.revocation.feed_age_seconds".to_owned(),
        Gauge::FeedEntries => "portcullis.revocation.feed_entries".to_owned(),
        Gauge::Breaker(source) => format!("portcullis.revocation.breaker.{}", source.name()),
    }
}

impl Host for Envoy {
    fn now(&self) -> Instant {
        let time = self.time.get().unwrap_or_else(|| {
            // A host without a clock is refused at configure.
            let time = ffi::now().unwrap_or(0);
            self.time.set(Some(time));
            time
        });
        Instant(time)
    }

    fn random(&self) -> [u8; 16] {
        // A host without randomness still gets keyed hashes; the key is then known to who knows the time of the start.
        ffi::random().unwrap_or_else(|| {
            let [a, b, c, d, e, f, g, h] = self.now().0.to_le_bytes();
            [a, b, c, d, e, f, g, h, b, d, f, h, a, c, e, g]
        })
    }

    fn read(&self, cell: Cell) -> Result<Option<Versioned>, HostError> {
        let found = self
            .with_key(cell, ffi::shared_data)
            .map_err(|ffi::Failed| HostError("shared data can't be read"))?;
        Ok(found.map(|(bytes, version)| Versioned { bytes, version }))
    }

    fn write(&self, cell: Cell, bytes: &[u8], expected: Option<u32>) -> Result<bool, HostError> {
        let written = self.with_key(cell, |key| ffi::set_shared_data(key, bytes, expected.unwrap_or(0)));
        written.map_err(|ffi::Failed| HostError("shared data can't be written"))
    }

    fn verify_signature(&self, hash: &str, key_info: &[u8], signature: &[u8], text: &[u8]) -> Option<bool> {
        let question = protobuf::message(&[hash.as_bytes(), key_info, signature, text]);
        let answer = ffi::call_foreign_function("verify_signature", &question)?;
        protobuf::first_bool(&answer)
    }

    fn source_address(&self) -> Option<Vec<u8>> {
        ffi::property("source\0address")
    }

    fn count(&self, counter: Counter) {
        if let Some(id) = self.id(counter) {
            ffi::increment(id);
        }
    }

    fn measure(&self, gauge: Gauge, value: u64) {
        let mut gauges = self.gauges.borrow_mut();
        let id = gauges
            .entry(gauge)
            .or_insert_with(|| ffi::define_metric(ffi::Metric::Gauge, &gauge_name(gauge)));
        if let Some(id) = id {
            ffi::record(*id, value);
        }
    }

    fn log(&self, level: Level, text: &str) {
        let level = match level {
            Level::Info => ffi::LogLevel::Info,
            Level::Warn => ffi::LogLevel::Warn,
            Level::Error => ffi::LogLevel::Error,
        };
        ffi::log(level, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_have_distinct_plain_names() {
        let mut names: Vec<String> = Reason::ALL
            .iter()
            .flat_map(|reason| [Counter::Denied(*reason), Counter::Shadowed(*reason)])
            .chain([
                Counter::Allowed,
                Counter::BanStarted,
                Counter::StoreRetry,
                Counter::RevocationStale,
            ])
            .map(|counter| name(counter, &[]))
            .collect();
        assert!(
            names
                .iter()
                .all(|n| n.bytes().all(|b| b.is_ascii_lowercase() || b"._".contains(&b)))
        );
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
