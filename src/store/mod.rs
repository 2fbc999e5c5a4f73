//! The bounded table: what is remembered of clients, in a fixed number of cells that all workers share.
//!
//! A record is found by a keyed 64-bit fingerprint in one bucket of [`SLOTS`] seats. All records of one client stand in one
//! bucket, so that one read and one write serve all that is asked of it at once. Changes are pure closures under
//! compare-and-swap with bounded retries. A full bucket forgets what is idle or nearest to idle, and never a record that
//! is held (over its limit, banned): newcomers then share one record, the crowd's. A million clients cost not one byte
//! more than the configured memory.

mod bucket;
pub mod document;
pub mod lease;
#[cfg(test)]
mod model;
mod open;
mod survey;

pub use open::shared_key;

pub use bucket::{Record, SLOTS, Taking};

use crate::host::{Cell, Counter, Host, HostError};
use crate::rate::Instant;
use bucket::{Bucket, Name, Seat};
use siphasher::sip::SipHasher13;
use siphasher::sip128::Hasher128;
use std::hash::Hasher;

/// Attempts at one update before it is given up. An attempt takes about 2 µs and loses only if another worker wrote the
/// same bucket within it; with 64 workers on one bucket each waits for 63 others at the worst.
pub const ATTEMPTS_MAX: u32 = 64;

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
    /// The bucket is full of records that must not be forgotten, and this use has no crowd.
    Full,
}

/// What a record is about: keeps fingerprints of different uses apart.
#[derive(Debug, Clone, Copy)]
pub enum Use<'u> {
    /// A quota, by its name.
    Quota(&'u str),
    /// A client's login attempts.
    Login,
    /// An account's login attempts, by all clients.
    Account,
    /// One client's standing with one account.
    Pair,
    /// How many accounts a client has tried.
    Accounts,
    Revocation,
}

impl Use<'_> {
    /// What slots of this use are marked with.
    pub const fn kind(self) -> u8 {
        match self {
            Use::Quota(_) => 1,
            Use::Login => 2,
            Use::Account => 3,
            Use::Pair => 4,
            Use::Accounts => 5,
            Use::Revocation => 6,
        }
    }

    /// Seats of a bucket that records of this use may take. Those that outlast a client's limits, and that anybody can make
    /// many of (accounts by made-up names, answers about tokens, pairs of a client and an account), may not crowd out what
    /// else stands there, not even together: limits that make room for each other limit nobody.
    const fn most(self) -> usize {
        match self {
            Use::Pair => SLOTS / 4,
            Use::Account | Use::Revocation => SLOTS / 3,
            _ => SLOTS,
        }
    }

    /// Tells uses apart. No secret and not of a client's choosing, so FNV-1a will do; never zero.
    fn salt(self) -> u64 {
        let name = if let Use::Quota(name) = self { name } else { "" };
        let bytes = std::iter::once(self.kind()).chain(name.bytes());
        let hash = bytes.fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
        });
        hash.max(1)
    }

    /// Whether newcomers are counted together where every seat is held. Uses that say something of one client alone are
    /// not.
    const fn has_crowd(self) -> bool {
        matches!(self, Use::Quota(_) | Use::Login | Use::Account)
    }

    /// A name in the table, of a keyed hash.
    fn named(self, hash: u64, salt: u64) -> Name {
        Name {
            // Zero marks a free slot.
            fingerprint: hash.max(1),
            crowd: self.has_crowd().then_some(salt),
            most: self.most(),
            kind: self.kind(),
        }
    }
}

/// Where a record stands: the bucket that a client's records share, or one of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Home(u32);

impl Home {
    /// For sorting only.
    pub fn order(self) -> u32 {
        self.0
    }
}

/// One client in the table, hashed once for all that is kept of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// The bucket that its records share.
    pub home: Home,
    /// Of the keyed hash what the bucket is not chosen by.
    id: u64,
}

impl Holder {
    /// The name of what a use keeps of this client, where nothing else tells its records apart: two of them are equal as
    /// seldom as two hashes are, since what no client knows or chooses is combined with what differs by use.
    pub fn record(self, purpose: Use<'_>) -> Fingerprint {
        let salt = purpose.salt();
        Fingerprint {
            home: self.home,
            name: purpose.named(self.id ^ salt, salt),
        }
    }
}

/// A record's name in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    pub home: Home,
    name: Name,
}

/// A bucket within one update.
#[derive(Debug)]
pub struct View {
    bucket: Bucket,
    now: Instant,
    evictions: u64,
    changed: bool,
}

/// A record's place within one [`View`], and what is there; good until the next [`View::put`].
#[derive(Debug, Clone, Copy)]
pub struct Place {
    seat: Seat,
    name: Name,
    pub record: Option<Record>,
}

impl Place {
    /// Whether the record was there: putting it again moves no other.
    pub fn is_own(&self) -> bool {
        self.seat.taking == Taking::Own
    }

    /// Whether it is shared with others who found no seat of their own.
    pub fn is_crowd(&self) -> bool {
        matches!(self.seat.taking, Taking::Crowd | Taking::NewCrowd)
    }
}

impl View {
    /// Looks a record up; `None` if there is no place for it.
    pub fn look(&self, fingerprint: Fingerprint) -> Option<Place> {
        let seat = self.bucket.seat(&fingerprint.name, self.now)?;
        Some(Place {
            seat,
            name: fingerprint.name,
            record: self.bucket.record(seat),
        })
    }

    /// The record if there is one, the crowd's included.
    pub fn find(&self, fingerprint: Fingerprint) -> Option<Record> {
        self.bucket.record_of(&fingerprint.name, self.now)
    }

    pub fn put(&mut self, place: Place, record: Record) {
        self.bucket.put(place.seat, &place.name, &record);
        self.changed = true;
        if place.seat.taking == Taking::Evicting {
            self.evictions = self.evictions.saturating_add(1);
        }
    }

    /// Whether something was put.
    pub fn is_changed(&self) -> bool {
        self.changed
    }

    /// Leaves the bucket as it was: what was put is not kept. The last thing to do with a view.
    pub fn leave(&mut self) {
        self.changed = false;
    }
}

impl Fingerprint {
    /// 16 bits of it, never zero: for short lists within a record.
    pub fn mark(self) -> u16 {
        let [low, high, ..] = self.name.fingerprint.to_le_bytes();
        u16::from_le_bytes([low, high]).max(1)
    }

    /// The same name for maps beside the table.
    pub fn key(self) -> u128 {
        u128::from(self.home.0) << 64 | u128::from(self.name.fingerprint)
    }
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

fn halves(hash: u128) -> [u64; 2] {
    let bytes = hash.to_le_bytes();
    let (halves, _) = bytes.as_chunks();
    [halves.first(), halves.last()].map(|half| half.map_or(0, |half| u64::from_le_bytes(*half)))
}

/// A fingerprint in the making.
#[derive(Debug)]
pub struct Naming<'u> {
    hasher: SipHasher13,
    purpose: Use<'u>,
}

impl Naming<'_> {
    /// Adds a part, kept apart from the others.
    pub fn part(mut self, bytes: &[u8]) -> Self {
        self.hasher.write_u64(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        self.hasher.write(bytes);
        self
    }

    fn parts(self, parts: &[&[u8]]) -> Self {
        parts.iter().fold(self, |naming, part| naming.part(part))
    }

    /// In a given bucket.
    pub fn at(self, home: Home) -> Fingerprint {
        Fingerprint {
            home,
            name: self.purpose.named(self.hasher.finish(), self.purpose.salt()),
        }
    }

    /// In a bucket of its own.
    pub fn alone(self, table: &Table) -> Fingerprint {
        let fingerprint = self.at(Home(0));
        // Of a second hash, so that slots within a bucket differ in all 64 bits.
        let home = table.home_of(table.hash(&[b"own", &fingerprint.name.fingerprint.to_le_bytes()]));
        Fingerprint { home, ..fingerprint }
    }
}

impl Table {
    pub fn buckets(&self) -> u32 {
        self.buckets
    }

    /// The shared key, also for keyed hashes beside the table.
    pub fn key(&self) -> &[u8; 16] {
        &self.key
    }

    fn hash(&self, parts: &[&[u8]]) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.key);
        for bytes in parts {
            hasher.write_u64(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
            hasher.write(bytes);
        }
        hasher.finish()
    }

    /// A client, and the bucket that its records share.
    pub fn holder(&self, client: &[u8]) -> Holder {
        let [id, home] = halves(checksum(&self.key, &[b"home", client]));
        let home = self.home_of(home);
        Holder { home, id }
    }

    /// Homes are chosen by the upper half of a hash.
    fn home_of(&self, hash: u64) -> Home {
        let bucket = ((hash >> 32) * u64::from(self.buckets)) >> 32;
        Home(u32::try_from(bucket).unwrap_or(0))
    }

    /// The fingerprint of a use and the parts of its key, in a bucket of its own; parts are separated, so `ab,c` and
    /// `a,bc` differ.
    pub fn fingerprint(&self, purpose: Use<'_>, parts: &[&[u8]]) -> Fingerprint {
        self.naming(purpose).parts(parts).alone(self)
    }

    /// The same in a given bucket.
    pub fn fingerprint_at(&self, home: Home, purpose: Use<'_>, parts: &[&[u8]]) -> Fingerprint {
        self.naming(purpose).parts(parts).at(home)
    }

    /// Begins a fingerprint whose parts come one by one.
    pub fn naming<'u>(&self, purpose: Use<'u>) -> Naming<'u> {
        let mut hasher = SipHasher13::new_with_key(&self.key);
        hasher.write_u8(purpose.kind());
        let name = if let Use::Quota(name) = purpose { name } else { "" };
        Naming { hasher, purpose }.part(name.as_bytes())
    }

    /// A bucket to look at; one read, no write.
    ///
    /// # Errors
    /// If the host can't read.
    pub fn view(&self, host: &dyn Host, home: Home, now: Instant) -> Result<View, StoreError> {
        let cell = host.read(Cell::Bucket(home.0)).map_err(StoreError::Host)?;
        Ok(View {
            bucket: cell.map(|cell| Bucket::decode(cell.bytes)).unwrap_or_default(),
            now,
            evictions: 0,
            changed: false,
        })
    }

    /// The record on a seat of its own, if there is one; one read, no write.
    ///
    /// # Errors
    /// If the host can't read.
    pub fn peek(&self, host: &dyn Host, fingerprint: Fingerprint) -> Result<Option<Record>, StoreError> {
        let cell = host.read(Cell::Bucket(fingerprint.home.0)).map_err(StoreError::Host)?;
        Ok(cell.and_then(|cell| Bucket::decode(cell.bytes).find(fingerprint.name.fingerprint)))
    }

    /// Changes one record by a pure closure: from the record as it is (`None`: a client that is not remembered) to the
    /// record to keep (`None`: leave as is) and the answer for the caller. See [`Table::change`].
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
        self.change(host, fingerprint.home, now, |view| {
            let place = view.look(fingerprint);
            let (record, answer) = change(place.and_then(|place| place.record));
            match (record, place) {
                (Some(record), Some(place)) => view.put(place, record),
                (Some(_), None) => return Err(StoreError::Full),
                (None, _) => {}
            }
            Ok(answer)
        })?
    }

    /// Changes a bucket by a pure closure, all or nothing: what it puts is kept at once, or not at all. The closure may
    /// run several times, each time on the bucket as it then is. One read, and one write if something was put.
    ///
    /// # Errors
    /// See [`StoreError`]; the bucket is then as it was. Failures and retries are counted.
    pub fn change<T>(
        &self,
        host: &dyn Host,
        home: Home,
        now: Instant,
        mut change: impl FnMut(&mut View) -> T,
    ) -> Result<T, StoreError> {
        let result = self.try_change(host, home, now, &mut change);
        match result {
            Err(StoreError::Contended) => host.count(Counter::StoreExhausted),
            Err(_) => host.count(Counter::StoreFailure),
            Ok(_) => {}
        }
        result
    }

    fn try_change<T>(
        &self,
        host: &dyn Host,
        home: Home,
        now: Instant,
        change: &mut dyn FnMut(&mut View) -> T,
    ) -> Result<T, StoreError> {
        let cell = Cell::Bucket(home.0);
        for _ in 0..ATTEMPTS_MAX {
            let found = host.read(cell).map_err(StoreError::Host)?;
            let version = found.as_ref().map(|cell| cell.version);
            let mut view = View {
                bucket: found.map(|cell| Bucket::decode(cell.bytes)).unwrap_or_default(),
                now,
                evictions: 0,
                changed: false,
            };
            let answer = change(&mut view);
            if !view.changed {
                return Ok(answer);
            }
            if host
                .write(cell, view.bucket.bytes(), version)
                .map_err(StoreError::Host)?
            {
                for _ in 0..view.evictions {
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
mod tests;
