//! One bucket as bytes: a header, then its used slots. What is read from shared data is not trusted: a header or
//! length that does not fit is an empty bucket.

use crate::rate::Instant;

/// Slots of one bucket. More make eviction fairer and every access dearer: 12 slots are 488 bytes, of which a get and a
/// compare-and-swap cost 0.9 to 1.7 µs.
pub const SLOTS: usize = 12;

/// Layout 1: this header, then 40 bytes a slot.
const HEADER: [u8; 8] = *b"pcul\x01\0\0\0";
const SLOT_BYTES: usize = 40;
/// The most that an encoded bucket takes.
pub const BYTES_MAX: u64 = 8 + 12 * 40;

/// What the table remembers of one client for one use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// For the use to fill.
    pub words: [u64; 3],
    /// From this instant on the record says nothing any more; kept in whole seconds, rounded up.
    pub idle_at: Instant,
    /// Until this instant the record must not be forgotten; kept in whole seconds, rounded up.
    pub held_until: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    fingerprint: u64,
    record: Record,
}

#[derive(Debug, Default)]
pub struct Bucket {
    slots: Vec<Slot>,
}

/// How a record found its slot.
#[derive(Debug, PartialEq, Eq)]
pub enum Placed {
    /// Over its own older one, in a free slot, or over one that was idle.
    Freely,
    /// Another record was forgotten for it.
    Evicting,
    /// Not at all: every slot is held.
    Full,
}

fn word(bytes: &[u8], at: usize) -> u64 {
    let array = at
        .checked_add(8)
        .and_then(|end| bytes.get(at..end))
        .and_then(|b| b.try_into().ok());
    array.map_or(0, u64::from_le_bytes)
}

/// Seconds as 32 bits, rounded up: enough until 2106, then the latest there is.
fn stored_seconds(instant: Instant) -> u64 {
    instant.0.div_ceil(1_000_000_000).min(u64::from(u32::MAX))
}

impl Bucket {
    pub fn decode(bytes: &[u8]) -> Self {
        let slots = match bytes.strip_prefix(&HEADER) {
            Some(slots) if slots.len() % SLOT_BYTES == 0 && slots.len() / SLOT_BYTES <= SLOTS => slots,
            _ => return Self::default(),
        };
        let slots = slots.chunks_exact(SLOT_BYTES).map(|slot| {
            let times = word(slot, 8);
            Slot {
                fingerprint: word(slot, 0),
                record: Record {
                    idle_at: Instant::from_seconds(times & u64::from(u32::MAX)),
                    held_until: Instant::from_seconds(times >> 32),
                    words: [word(slot, 16), word(slot, 24), word(slot, 32)],
                },
            }
        });
        Self { slots: slots.collect() }
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER.len() + self.slots.len() * SLOT_BYTES);
        out.extend_from_slice(&HEADER);
        for Slot { fingerprint, record } in &self.slots {
            let times = stored_seconds(record.idle_at) | stored_seconds(record.held_until) << 32;
            for word in [*fingerprint, times].iter().chain(&record.words) {
                out.extend_from_slice(&word.to_le_bytes());
            }
        }
        out
    }

    pub fn find(&self, fingerprint: u64) -> Option<Record> {
        let slot = self.slots.iter().find(|slot| slot.fingerprint == fingerprint)?;
        Some(slot.record)
    }

    /// Puts a record in its own slot, a free one, an idle one, or that of the record nearest to idle that is not held.
    pub fn place(&mut self, fingerprint: u64, record: Record, now: Instant) -> Placed {
        let slot = Slot { fingerprint, record };
        if let Some(own) = self.slots.iter_mut().find(|s| s.fingerprint == fingerprint) {
            *own = slot;
            return Placed::Freely;
        }
        if self.slots.len() < SLOTS {
            self.slots.push(slot);
            return Placed::Freely;
        }
        let newcomer_held = record.held_until > now;
        let victim = self
            .slots
            .iter_mut()
            .filter(|s| s.record.held_until <= now)
            .min_by_key(|s| s.record.idle_at);
        match victim {
            Some(victim) => {
                let idle = victim.record.idle_at <= now;
                *victim = slot;
                if idle { Placed::Freely } else { Placed::Evicting }
            }
            // All are held. One held record may replace another: the one whose hold ends first, if it ends sooner.
            None if newcomer_held => {
                let victim = self.slots.iter_mut().min_by_key(|s| s.record.held_until);
                match victim {
                    Some(victim) if victim.record.held_until < record.held_until => {
                        *victim = slot;
                        Placed::Evicting
                    }
                    _ => Placed::Full,
                }
            }
            None => Placed::Full,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(idle: u64, held: u64) -> Record {
        Record {
            words: [1, u64::MAX, 3],
            idle_at: Instant::from_seconds(idle),
            held_until: Instant::from_seconds(held),
        }
    }

    fn full(held: u64) -> Bucket {
        let mut bucket = Bucket::default();
        for i in 0..12 {
            assert_eq!(
                bucket.place(i + 1, record(200 + i, held), Instant::from_seconds(100)),
                Placed::Freely
            );
        }
        bucket
    }

    #[test]
    fn a_bucket_reads_back_as_written_and_has_the_stated_size() {
        let bucket = full(150);
        let bytes = bucket.encode();
        assert_eq!(u64::try_from(bytes.len()).unwrap(), BYTES_MAX);
        let again = Bucket::decode(&bytes);
        for i in 0..12 {
            assert_eq!(again.find(i + 1), Some(record(200 + i, 150)));
        }
        assert_eq!(again.find(99), None);
    }

    #[test]
    fn bytes_of_another_shape_are_an_empty_bucket() {
        let bytes = full(0).encode();
        let mut other_version = bytes.clone();
        other_version[4] = 2;
        let too_long = [&bytes[..], &[0; 40]].concat();
        for bytes in [&b""[..], b"x", &bytes[..47], &other_version, &too_long] {
            assert!(Bucket::decode(bytes).slots.is_empty());
        }
    }

    #[test]
    fn times_are_rounded_up_to_seconds() {
        let mut bucket = Bucket::default();
        let odd = Record {
            words: [0; 3],
            idle_at: Instant(1),
            held_until: Instant(u64::MAX),
        };
        bucket.place(1, odd, Instant::EPOCH);
        let found = Bucket::decode(&bucket.encode()).find(1).unwrap();
        assert_eq!(found.idle_at, Instant::from_seconds(1));
        assert_eq!(found.held_until, Instant::from_seconds(u64::from(u32::MAX)));
    }

    #[test]
    fn the_record_nearest_to_idle_is_forgotten_first() {
        let mut bucket = full(0);
        assert_eq!(
            bucket.place(50, record(300, 0), Instant::from_seconds(100)),
            Placed::Evicting
        );
        assert_eq!(bucket.find(1), None);
        // At 201 the record of slot 2 says nothing any more.
        assert_eq!(
            bucket.place(51, record(300, 0), Instant::from_seconds(201)),
            Placed::Freely
        );
        assert_eq!(bucket.find(2), None);
    }

    #[test]
    fn a_held_record_is_never_forgotten_for_one_that_is_not() {
        let now = Instant::from_seconds(100);
        let mut bucket = full(150);
        assert_eq!(bucket.place(50, record(300, 0), now), Placed::Full);
        assert_eq!(bucket.place(50, record(300, 150), now), Placed::Full);
        assert_eq!(bucket.place(50, record(300, 151), now), Placed::Evicting);
        // When the hold is over, they are as others.
        assert_eq!(
            bucket.place(51, record(300, 0), Instant::from_seconds(150)),
            Placed::Evicting
        );
    }
}
