//! Looking through the table for what is measured of it: how full it is, and how many clients are banned.
//!
//! A round goes through all buckets, a few at each tick; its state is in a cell, so that the workers make one round
//! together. Nothing waits for it, and what is lost to another worker's write is done again.

use super::bucket::Bucket;
use super::{Home, Record, SLOTS, Table};
use crate::host::{Cell, Counter, Gauge, Host};
use crate::rate::Instant;
use std::time::Duration;

/// Buckets of one step: some 150 µs of one worker's time. A table of 8 MiB is gone through in four seconds.
const STEP_BUCKETS: u32 = 100;
/// The least time between two steps, whoever makes them.
const STEP_INTERVAL: Duration = Duration::from_millis(80);

/// The state of a round.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Round {
    /// The next bucket.
    next: u64,
    used: u64,
    held: u64,
    banned: u64,
    /// Bans that ended between the start of the round before and that of this one.
    expired: u64,
    started: Instant,
    before: Instant,
    stepped: Instant,
}

impl Round {
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (words, rest) = bytes.as_chunks::<8>();
        let [next, used, held, banned, expired, started, before, stepped] = words else {
            return None;
        };
        let word = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes);
        rest.is_empty().then(|| Self {
            next: word(next),
            used: word(used),
            held: word(held),
            banned: word(banned),
            expired: word(expired),
            started: Instant(word(started)),
            before: Instant(word(before)),
            stepped: Instant(word(stepped)),
        })
    }

    fn encode(&self) -> Vec<u8> {
        let times = [self.started.0, self.before.0, self.stepped.0];
        let counts = [self.next, self.used, self.held, self.banned, self.expired];
        counts.into_iter().chain(times).flat_map(u64::to_le_bytes).collect()
    }
}

impl Table {
    /// Whether no round has come by a bucket yet since this instant: what ended then, and is about to be written over, is in
    /// no count. A step that another worker makes right now may be mistaken for one to come.
    pub fn unseen(&self, host: &dyn Host, home: Home, end: Instant) -> bool {
        let cell = host.read(Cell::Survey).ok().flatten();
        cell.and_then(|cell| Round::decode(&cell.bytes)).is_none_or(|round| {
            let ahead = u64::from(home.0) >= round.next;
            end > round.started || (end > round.before && ahead)
        })
    }

    /// Goes a step further, if nobody else just did; `banned_until` tells the end of a record's ban from its kind and
    /// itself. What is found is measured when a round ends.
    pub fn survey(&self, host: &dyn Host, banned_until: impl Fn(u8, &Record) -> Option<Instant>) {
        let now = host.now();
        let Ok(found) = host.read(Cell::Survey) else { return };
        let version = found.as_ref().map(|cell| cell.version);
        let fresh = Round {
            started: now,
            before: now,
            ..Round::default()
        };
        // What lies ahead of the clock was set back with it.
        let mut round = found
            .and_then(|cell| Round::decode(&cell.bytes))
            .filter(|round| round.stepped <= now && round.next < u64::from(self.buckets))
            .unwrap_or(fresh);
        if round.stepped > Instant::EPOCH && now.since(round.stepped) < STEP_INTERVAL {
            return;
        }
        round.stepped = now;
        let from = u32::try_from(round.next).unwrap_or(0);
        let to = from.saturating_add(STEP_BUCKETS).min(self.buckets);
        for bucket in from..to {
            let Ok(Some(cell)) = host.read(Cell::Bucket(bucket)) else {
                return;
            };
            for (kind, record) in Bucket::decode(cell.bytes).records() {
                let add = |count: u64, one: bool| count.saturating_add(one.into());
                round.used = add(round.used, record.idle_at > now);
                round.held = add(round.held, record.held_until > now);
                if let Some(end) = banned_until(kind, &record) {
                    round.banned = add(round.banned, end > now);
                    round.expired = add(round.expired, end > round.before && end <= round.started);
                }
            }
        }
        let ended = to >= self.buckets;
        let next = Round {
            started: now,
            before: round.started,
            stepped: now,
            ..Round::default()
        };
        round.next = to.into();
        let kept = if ended { next } else { round };
        let written = host.write(Cell::Survey, &kept.encode(), version);
        if written != Ok(true) || !ended {
            return;
        }
        let slots = u64::from(self.buckets).saturating_mul(u64::try_from(SLOTS).unwrap_or(0));
        host.measure(Gauge::StoreSlots, slots);
        host.measure(Gauge::StoreUsed, round.used);
        host.measure(Gauge::StoreHeld, round.held);
        host.measure(Gauge::BansActive, round.banned);
        for _ in 0..round.expired {
            host.count(Counter::BanExpired);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::memory::MemoryHost;
    use crate::store::Use;

    fn ban(host: &MemoryHost, table: &Table, client: &[u8], seconds: u64) {
        let until = host.now().plus(Duration::from_secs(seconds));
        let record = Record {
            words: [until.0, 0, 0],
            idle_at: until,
            held_until: until,
        };
        let key = table.holder(client).record(Use::Login);
        table.update(host, key, host.now(), |_| (Some(record), ())).unwrap();
    }

    fn round(host: &MemoryHost, tables: &[Table; 2]) {
        for _ in 0..tables[0].buckets().div_ceil(STEP_BUCKETS) {
            for table in tables {
                table.survey(host, |kind, record| (kind == 2).then(|| Instant(record.words[0])));
            }
            host.advance(Duration::from_millis(100));
        }
    }

    #[test]
    fn workers_count_the_table_together_and_each_ban_s_end_once() {
        let host = MemoryHost::default();
        let tables = [1, 2].map(|_| Table::open(&host, 1 << 20).unwrap());
        for client in 0..30_u8 {
            ban(&host, &tables[0], &[client], if client < 10 { 60 } else { 3600 });
        }
        round(&host, &tables);
        assert_eq!(host.measured(Gauge::BansActive), Some(30));
        assert_eq!(host.measured(Gauge::StoreHeld), Some(30));
        let slots = u64::from(tables[0].buckets()) * 48;
        assert_eq!(host.measured(Gauge::StoreSlots), Some(slots));
        host.advance(Duration::from_secs(60));
        for _ in 0..4 {
            round(&host, &tables);
        }
        assert_eq!(host.measured(Gauge::BansActive), Some(20));
        assert_eq!(host.counted(Counter::BanExpired), 10);
    }

    #[test]
    fn what_a_round_has_counted_is_seen_and_nothing_else() {
        let host = MemoryHost::default();
        let tables = [1, 2].map(|_| Table::open(&host, 1 << 20).unwrap());
        let [table, _] = &tables;
        let last = Home(table.buckets() - 1);
        assert!(table.unseen(&host, Home(0), host.now()));
        round(&host, &tables);
        let end = host.now();
        host.advance(Duration::from_millis(100));
        for home in [Home(0), last] {
            assert!(table.unseen(&host, home, end));
        }
        // The round under way began before it; the next one comes by the first buckets at its first step.
        round(&host, &tables);
        table.survey(&host, |_, _| None);
        assert!(!table.unseen(&host, Home(0), end));
        assert!(table.unseen(&host, last, end));
        round(&host, &tables);
        assert!(!table.unseen(&host, last, end));
    }

    #[test]
    fn a_cell_of_another_shape_starts_a_new_round() {
        let host = MemoryHost::default();
        let table = Table::open(&host, 64 << 10).unwrap();
        for bytes in [&b""[..], b"x", &[0xFF; 64], &[0xFF; 65]] {
            host.write(Cell::Survey, bytes, None).unwrap();
            table.survey(&host, |_, _| None);
        }
        assert_eq!(host.measured(Gauge::BansActive), Some(0));
    }
}
