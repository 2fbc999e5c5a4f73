//! The bounded table: what is remembered of clients, in a fixed number of cells that all workers share.
//!
//! A client's record is found by a keyed 64-bit fingerprint in one bucket of at most [`SLOTS`] slots, and changed by a
//! pure closure under compare-and-swap with bounded retries. A full bucket forgets what is idle or nearest to idle,
//! but never a record that is held (over its limit, banned) for one that is not: then the update fails, and the
//! caller's `on_error` answers. A million clients cost not one byte more than the configured memory.

mod bucket;
pub mod document;
pub mod lease;

pub use bucket::{Record, SLOTS};

use crate::host::{Cell, Counter, Host, HostError, Level};
use crate::rate::Instant;
use bucket::{Bucket, Placed};
use siphasher::sip::SipHasher13;
use siphasher::sip128::Hasher128;
use std::hash::Hasher;

/// Attempts at one update before it is given up. An attempt takes about 2 µs and loses only if another worker wrote the
/// same bucket within it; with 64 workers on one bucket each waits for 63 others at the worst.
pub const ATTEMPTS_MAX: u32 = 64;

/// What one bucket costs at most: its bytes, its key, and about 100 bytes of Envoy's map.
const BUCKET_COST: u64 = bucket::BYTES_MAX + 128;

/// The table as one worker sees it.
#[derive(Debug, Clone)]
pub struct Table {
    buckets: u32,
    key: [u8; 16],
}

/// An update that did not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreError {
    Host(HostError),
    /// Lost against other workers [`ATTEMPTS_MAX`] times.
    Contended,
    /// The bucket is full of records that must not be forgotten.
    Full,
}

/// What a record is about: keeps fingerprints of different uses apart.
#[derive(Debug, Clone, Copy)]
pub enum Use<'u> {
    /// A quota, by its name.
    Quota(&'u str),
    Login,
    Revocation,
}

/// A record's name in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// The same name for maps beside the table.
    pub fn key(self) -> u128 {
        self.0.into()
    }
}

/// The key that all workers share. It is read back after writing: of two writers the later one's key counts.
///
/// # Errors
/// If the host can't keep cells.
pub fn shared_key(host: &dyn Host) -> Result<[u8; 16], HostError> {
    let stored = |host: &dyn Host| -> Result<Option<[u8; 16]>, HostError> {
        Ok(host.read(Cell::HashKey)?.and_then(|cell| cell.bytes.try_into().ok()))
    };
    if let Some(key) = stored(host)? {
        return Ok(key);
    }
    host.write(Cell::HashKey, &host.random(), None)?;
    stored(host)?.ok_or(HostError("the hash key can't be read back"))
}

/// A keyed hash of 128 bits over parts, which are kept apart.
pub(crate) fn checksum(key: &[u8; 16], parts: &[&[u8]]) -> u128 {
    let mut hasher = siphasher::sip128::SipHasher13::new_with_key(key);
    for part in parts {
        hasher.write_u64(u64::try_from(part.len()).unwrap_or(u64::MAX));
        hasher.write(part);
    }
    hasher.finish128().as_u128()
}

impl Table {
    /// Opens the table, making the cells if there are none yet; `memory_bytes` bounds what all of them cost together.
    /// Envoy calls this on its main thread before any worker, so that no two workers make a cell at once.
    ///
    /// A table that is there keeps its size as long as Envoy lives, whatever `memory_bytes` says now: in another size
    /// every client would be looked for in another bucket, and every ban forgotten.
    ///
    /// # Errors
    /// If the host can't keep cells.
    pub fn open(host: &dyn Host, memory_bytes: u64) -> Result<Self, HostError> {
        let wanted = u32::try_from(memory_bytes / BUCKET_COST).unwrap_or(u32::MAX).max(1);
        let key = shared_key(host)?;
        let made = match host.read(Cell::BucketCount)? {
            Some(cell) => cell.bytes.try_into().map_or(0, u32::from_le_bytes),
            None => 0,
        };
        if made > 0 {
            if made != wanted {
                host.log(
                    Level::Info,
                    "portcullis: store.memory was changed: it takes effect when Envoy starts anew, so that no ban or count is lost",
                );
            }
            return Ok(Self { buckets: made, key });
        }
        for bucket in 0..wanted {
            if host.read(Cell::Bucket(bucket))?.is_none() {
                host.write(Cell::Bucket(bucket), &Bucket::default().encode(), None)?;
            }
        }
        // Last, so that a table half made is not taken for a whole one.
        host.write(Cell::BucketCount, &wanted.to_le_bytes(), None)?;
        Ok(Self { buckets: wanted, key })
    }

    pub fn buckets(&self) -> u32 {
        self.buckets
    }

    /// The shared key, also for keyed hashes beside the table.
    pub fn key(&self) -> &[u8; 16] {
        &self.key
    }

    /// The fingerprint of a use and the parts of its key; parts are separated, so `ab,c` and `a,bc` differ.
    pub fn fingerprint(&self, purpose: Use<'_>, parts: &[&[u8]]) -> Fingerprint {
        let mut hasher = SipHasher13::new_with_key(&self.key);
        let mut part = |bytes: &[u8]| {
            hasher.write_u64(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
            hasher.write(bytes);
        };
        match purpose {
            Use::Quota(name) => {
                part(b"quota");
                part(name.as_bytes());
            }
            Use::Login => part(b"login"),
            Use::Revocation => part(b"revocation"),
        }
        parts.iter().for_each(|bytes| part(bytes));
        // Zero marks a free slot.
        Fingerprint(hasher.finish().max(1))
    }

    /// Buckets are chosen by the upper half, so that slots within one still differ in the lower.
    fn bucket_of(&self, fingerprint: Fingerprint) -> Cell {
        let upper = fingerprint.0 >> 32;
        let bucket = (upper * u64::from(self.buckets)) >> 32;
        Cell::Bucket(u32::try_from(bucket).unwrap_or(0))
    }

    /// The record, if there is one; one read, no write.
    pub fn peek(&self, host: &dyn Host, fingerprint: Fingerprint) -> Result<Option<Record>, StoreError> {
        let cell = host.read(self.bucket_of(fingerprint)).map_err(StoreError::Host)?;
        Ok(cell.and_then(|cell| Bucket::decode(&cell.bytes).find(fingerprint.0)))
    }

    /// Changes a record by a pure closure, which may run several times: from the record as it is (`None`: a client
    /// that is not remembered) to the record to keep (`None`: leave as is) and the answer for the caller.
    ///
    /// # Errors
    /// See [`StoreError`]; the record is then as it was. Failures and retries are counted.
    pub fn update<T>(
        &self,
        host: &dyn Host,
        fingerprint: Fingerprint,
        now: Instant,
        mut change: impl FnMut(Option<Record>) -> (Option<Record>, T),
    ) -> Result<T, StoreError> {
        let result = self.try_update(host, fingerprint, now, &mut change);
        if result.is_err() {
            host.count(Counter::StoreFailure);
        }
        result
    }

    fn try_update<T>(
        &self,
        host: &dyn Host,
        fingerprint: Fingerprint,
        now: Instant,
        change: &mut dyn FnMut(Option<Record>) -> (Option<Record>, T),
    ) -> Result<T, StoreError> {
        let cell = self.bucket_of(fingerprint);
        for _ in 0..ATTEMPTS_MAX {
            let found = host.read(cell).map_err(StoreError::Host)?;
            let version = found.as_ref().map(|cell| cell.version);
            let mut bucket = found.map(|cell| Bucket::decode(&cell.bytes)).unwrap_or_default();
            let (record, answer) = change(bucket.find(fingerprint.0));
            let Some(record) = record else {
                return Ok(answer);
            };
            let placed = bucket.place(fingerprint.0, record, now);
            if placed == Placed::Full {
                return Err(StoreError::Full);
            }
            if host.write(cell, &bucket.encode(), version).map_err(StoreError::Host)? {
                if placed == Placed::Evicting {
                    host.count(Counter::StoreEviction);
                }
                return Ok(answer);
            }
            host.count(Counter::StoreRetry);
        }
        Err(StoreError::Contended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::memory::MemoryHost;
    use std::time::Duration;

    fn bump(record: Option<Record>, now: Instant, span: Duration) -> (Option<Record>, u64) {
        let count = record.map_or(0, |r| r.words[0]) + 1;
        let record = Record {
            words: [count, 0, 0],
            idle_at: now.plus(span),
            held_until: Instant::EPOCH,
        };
        (Some(record), count)
    }

    #[test]
    fn a_record_is_shared_by_every_view_of_the_table() {
        let host = MemoryHost::default();
        let tables = [
            Table::open(&host, 1 << 20).unwrap(),
            Table::open(&host, 1 << 20).unwrap(),
        ];
        let now = host.now();
        for expected in 1..=10 {
            let table = &tables[usize::try_from(expected).unwrap() % 2];
            let fingerprint = table.fingerprint(Use::Login, &[b"client"]);
            let count = table.update(&host, fingerprint, now, |r| bump(r, now, Duration::from_secs(60)));
            assert_eq!(count, Ok(expected));
        }
    }

    #[test]
    fn opening_again_keeps_what_is_there() {
        let host = MemoryHost::default();
        let table = Table::open(&host, 1 << 20).unwrap();
        let fingerprint = table.fingerprint(Use::Login, &[b"client"]);
        let now = host.now();
        table
            .update(&host, fingerprint, now, |r| bump(r, now, Duration::from_secs(60)))
            .unwrap();
        let cells = host.cell_count();
        // Also with another size asked for.
        let again = Table::open(&host, 1 << 21).unwrap();
        assert_eq!(again.peek(&host, fingerprint).unwrap().unwrap().words[0], 1);
        assert_eq!(host.cell_count(), cells);
    }

    #[test]
    fn a_hundred_thousand_clients_make_no_new_cell_and_evict_no_held_record() {
        let host = MemoryHost::default();
        let table = Table::open(&host, 256 * 1024).unwrap();
        let cells = host.cell_count();
        let now = host.now();
        let held = table.fingerprint(Use::Login, &[b"banned"]);
        let until = now.plus(Duration::from_secs(900));
        let ban = Record {
            words: [7, 0, 0],
            idle_at: until,
            held_until: until,
        };
        table.update(&host, held, now, |_| (Some(ban), ())).unwrap();
        for i in 0..100_000_u32 {
            let fingerprint = table.fingerprint(Use::Quota("q"), &[&i.to_le_bytes()]);
            table
                .update(&host, fingerprint, now, |r| bump(r, now, Duration::from_secs(3600)))
                .unwrap();
        }
        assert_eq!(host.cell_count(), cells);
        assert_eq!(table.peek(&host, held).unwrap().unwrap().words[0], 7);
        assert!(host.counted(Counter::StoreEviction) > 90_000);
    }

    #[test]
    fn lost_writes_are_tried_again_up_to_the_bound() {
        let host = MemoryHost::default();
        let table = Table::open(&host, 1 << 20).unwrap();
        let fingerprint = table.fingerprint(Use::Login, &[b"client"]);
        let now = host.now();
        let update = || table.update(&host, fingerprint, now, |r| bump(r, now, Duration::from_secs(60)));
        host.lose_writes(ATTEMPTS_MAX - 1);
        assert_eq!(update(), Ok(1));
        host.lose_writes(ATTEMPTS_MAX);
        assert_eq!(update(), Err(StoreError::Contended));
        assert_eq!(update(), Ok(2));
        assert_eq!(host.counted(Counter::StoreFailure), 1);
    }

    #[test]
    fn a_broken_host_is_an_error_not_an_empty_table() {
        let host = MemoryHost::default();
        let table = Table::open(&host, 1 << 20).unwrap();
        host.set_broken(true);
        let fingerprint = table.fingerprint(Use::Login, &[b"client"]);
        assert!(matches!(table.peek(&host, fingerprint), Err(StoreError::Host(_))));
        let result = table.update(&host, fingerprint, host.now(), |_| (None, ()));
        assert!(matches!(result, Err(StoreError::Host(_))));
    }

    #[test]
    fn fingerprints_keep_uses_and_parts_apart() {
        let table = Table::open(&MemoryHost::default(), 1 << 20).unwrap();
        let all = [
            table.fingerprint(Use::Login, &[b"ab", b"c"]),
            table.fingerprint(Use::Login, &[b"a", b"bc"]),
            table.fingerprint(Use::Quota("x"), &[b"ab", b"c"]),
            table.fingerprint(Use::Quota("y"), &[b"ab", b"c"]),
            table.fingerprint(Use::Revocation, &[b"ab", b"c"]),
        ];
        for (i, a) in all.iter().enumerate() {
            assert!(all.iter().skip(i + 1).all(|b| a != b));
        }
    }
}
