//! One bucket as bytes: a header, then slots of one size. What is read from shared data is not trusted: bytes of another
//! header or length are an empty bucket, and any bytes of the right length are a bucket.
//!
//! A record has a seat of its own. Where every seat is held by somebody who must not be forgotten, newcomers share the
//! seats of the crowd, one for each use: they are counted together, neither uncounted nor turned away.

use crate::rate::Instant;

/// Seats of one bucket. Copying them costs little (4 KiB: 0.1 µs over 256 B), and the more there are, the nearer to full
/// the table can be before one bucket is: at two thirds, three buckets of a thousand.
pub const SLOTS: usize = 48;
/// Seats for the crowd: one for each use, of which few are crowded at once; beyond, the one nearest to idle is reused.
const CROWD_SLOTS: usize = 4;

/// Layout 2: this header, then the slots: fingerprint, kind, two times in seconds, three words.
const HEADER: [u8; 8] = *b"pcul\x02\0\0\0";
const SLOT_BYTES: usize = 8 + 1 + 4 + 4 + 24;
/// What every bucket takes, full or not: what the table costs is known from the start.
pub const BYTES: usize = HEADER.len() + (SLOTS + CROWD_SLOTS) * SLOT_BYTES;

/// What the table remembers of one client for one use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Record {
    /// For the use to fill.
    pub words: [u64; 3],
    /// From this instant on the record says nothing any more; kept in whole seconds, rounded up.
    pub idle_at: Instant,
    /// Until this instant the record must not be forgotten; kept in whole seconds, rounded up.
    pub held_until: Instant,
}

/// What a record is looked for by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Name {
    /// Never zero, which marks a free slot.
    pub fingerprint: u64,
    /// Whom newcomers without a seat are counted as; `None`: they are not kept at all.
    pub crowd: Option<u64>,
    /// Tells uses apart for who looks at every slot.
    pub kind: u8,
    /// Seats that records of this kind may take; beyond, they make room for each other.
    pub most: usize,
}

/// Where a record stands, or would be put; good for the bucket as it was when it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seat {
    at: usize,
    pub taking: Taking,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taking {
    /// The record is there.
    Own,
    /// A free seat, or one whose record says nothing any more.
    Free,
    /// Another record is forgotten for it.
    Evicting,
    /// The crowd's record, which is there.
    Crowd,
    /// The crowd's record, which is not there yet.
    NewCrowd,
}

#[derive(Debug)]
pub struct Bucket {
    bytes: Vec<u8>,
}

impl Default for Bucket {
    fn default() -> Self {
        let mut bytes = HEADER.to_vec();
        bytes.resize(BYTES, 0);
        Self { bytes }
    }
}

type Slot = [u8; SLOT_BYTES];

fn word(slot: &Slot, at: usize) -> u64 {
    slot.get(at..)
        .and_then(<[u8]>::first_chunk)
        .map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

fn seconds(slot: &Slot, at: usize) -> Instant {
    let stored = slot.get(at..).and_then(<[u8]>::first_chunk);
    Instant::from_seconds(stored.map_or(0, |bytes| u32::from_le_bytes(*bytes)).into())
}

/// Seconds as 32 bits, rounded up: enough until 2106, then the latest there is.
fn stored_seconds(instant: Instant) -> [u8; 4] {
    let seconds = instant.0.div_ceil(1_000_000_000);
    u32::try_from(seconds).unwrap_or(u32::MAX).to_le_bytes()
}

const AT_KIND: usize = 8;
const AT_IDLE: usize = 9;
const AT_HELD: usize = 13;
const AT_WORDS: [usize; 3] = [17, 25, 33];

fn record_of(slot: &Slot) -> Record {
    Record {
        words: AT_WORDS.map(|at| word(slot, at)),
        idle_at: seconds(slot, AT_IDLE),
        held_until: seconds(slot, AT_HELD),
    }
}

fn slot_of(fingerprint: u64, kind: u8, record: &Record) -> Slot {
    let mut slot = [0; SLOT_BYTES];
    let parts: [(usize, &[u8]); 7] = [
        (0, &fingerprint.to_le_bytes()),
        (AT_KIND, &[kind]),
        (AT_IDLE, &stored_seconds(record.idle_at)),
        (AT_HELD, &stored_seconds(record.held_until)),
        (AT_WORDS[0], &record.words[0].to_le_bytes()),
        (AT_WORDS[1], &record.words[1].to_le_bytes()),
        (AT_WORDS[2], &record.words[2].to_le_bytes()),
    ];
    for (at, bytes) in parts {
        if let Some(place) = slot.get_mut(at..at.saturating_add(bytes.len())) {
            place.copy_from_slice(bytes);
        }
    }
    slot
}

impl Bucket {
    pub fn decode(bytes: Vec<u8>) -> Self {
        if bytes.len() == BYTES && bytes.starts_with(&HEADER) {
            Self { bytes }
        } else {
            Self::default()
        }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn slots(&self) -> &[Slot] {
        self.bytes.get(HEADER.len()..).unwrap_or_default().as_chunks().0
    }

    /// The record of this name on a seat of its own.
    pub fn find(&self, fingerprint: u64) -> Option<Record> {
        let own = self.slots().iter().take(SLOTS);
        own.into_iter().find(|slot| word(slot, 0) == fingerprint).map(record_of)
    }

    /// Every record that is there, with its kind; the crowd's are left out.
    pub fn records(&self) -> impl Iterator<Item = (u8, Record)> {
        let taken = self.slots().iter().take(SLOTS).filter(|slot| word(slot, 0) != 0);
        taken.map(|slot| (slot.get(AT_KIND).copied().unwrap_or(0), record_of(slot)))
    }

    /// The record of this name, or the crowd's where it would be counted with them.
    pub fn record_of(&self, name: &Name, now: Instant) -> Option<Record> {
        self.find(name.fingerprint).or_else(|| {
            let crowd = name.crowd?;
            let counted = self.slots().iter().skip(SLOTS).any(|slot| word(slot, 0) == crowd);
            counted.then(|| self.record(self.seat_for_another(name, now)?))?
        })
    }

    /// The seat of this name: its own, or a free one, or that of the record nearest to idle that is not held, or the
    /// crowd's. `None` if every seat is held and there is no crowd for this use.
    pub fn seat(&self, name: &Name, now: Instant) -> Option<Seat> {
        let mut slots = self.slots().iter().take(SLOTS);
        match slots.position(|slot| word(slot, 0) == name.fingerprint) {
            Some(at) => Some(Seat {
                at,
                taking: Taking::Own,
            }),
            None => self.seat_for_another(name, now),
        }
    }

    /// The seat of a name that has none.
    fn seat_for_another(&self, name: &Name, now: Instant) -> Option<Seat> {
        let mut victim: Option<(usize, Instant)> = None;
        let mut own_kind: Option<(usize, Instant)> = None;
        let mut alike = 0_usize;
        for (at, slot) in self.slots().iter().take(SLOTS).enumerate() {
            let fingerprint = word(slot, 0);
            let (idle_at, held) = match fingerprint {
                0 => (Instant::EPOCH, false),
                _ => (seconds(slot, AT_IDLE), seconds(slot, AT_HELD) > now),
            };
            if fingerprint != 0 && slot.get(AT_KIND) == Some(&name.kind) {
                alike = alike.saturating_add(1);
                if !held && own_kind.is_none_or(|(_, nearest)| idle_at < nearest) {
                    own_kind = Some((at, idle_at));
                }
            }
            if !held && victim.is_none_or(|(_, nearest)| idle_at < nearest) {
                victim = Some((at, idle_at));
            }
        }
        match if alike >= name.most { own_kind } else { victim } {
            Some((at, idle_at)) => {
                let taking = if idle_at <= now { Taking::Free } else { Taking::Evicting };
                Some(Seat { at, taking })
            }
            None => self.crowd_seat(name.crowd?),
        }
    }

    fn crowd_seat(&self, fingerprint: u64) -> Option<Seat> {
        let crowd = || self.slots().iter().enumerate().skip(SLOTS);
        if let Some((at, _)) = crowd().find(|(_, slot)| word(slot, 0) == fingerprint) {
            let taking = Taking::Crowd;
            return Some(Seat { at, taking });
        }
        let nearest = crowd().min_by_key(|(_, slot)| (word(slot, 0) != 0, seconds(slot, AT_IDLE)));
        let taking = Taking::NewCrowd;
        nearest.map(|(at, _)| Seat { at, taking })
    }

    /// The record on a seat, if it is that of the name that the seat was found for.
    pub fn record(&self, seat: Seat) -> Option<Record> {
        match seat.taking {
            Taking::Own | Taking::Crowd => self.slots().get(seat.at).map(record_of),
            Taking::Free | Taking::Evicting | Taking::NewCrowd => None,
        }
    }

    /// Puts a record on the seat that was found for its name.
    pub fn put(&mut self, seat: Seat, name: &Name, record: &Record) {
        let fingerprint = match seat.taking {
            Taking::Own | Taking::Free | Taking::Evicting => name.fingerprint,
            Taking::Crowd | Taking::NewCrowd => name.crowd.unwrap_or(name.fingerprint),
        };
        let slots = self.bytes.get_mut(HEADER.len()..).unwrap_or_default();
        if let Some(slot) = slots.as_chunks_mut().0.get_mut(seat.at) {
            *slot = slot_of(fingerprint, name.kind, record);
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

    fn name(fingerprint: u64) -> Name {
        Name {
            fingerprint,
            crowd: Some(7_000),
            kind: 3,
            most: SLOTS,
        }
    }

    const NOW: Instant = Instant(100_000_000_000);

    #[track_caller]
    fn place(bucket: &mut Bucket, fingerprint: u64, record: Record, now: Instant, taking: Taking) {
        let seat = bucket.seat(&name(fingerprint), now).unwrap();
        assert_eq!(seat.taking, taking);
        bucket.put(seat, &name(fingerprint), &record);
    }

    const FULL: u64 = 48;

    fn full(held: u64) -> Bucket {
        let mut bucket = Bucket::default();
        for i in 0..FULL {
            place(&mut bucket, i + 1, record(200 + i, held), NOW, Taking::Free);
        }
        bucket
    }

    #[test]
    fn a_bucket_reads_back_as_written_and_has_the_stated_size() {
        let bytes = full(150).bytes().to_vec();
        assert_eq!(bytes.len(), BYTES);
        let again = Bucket::decode(bytes);
        for i in 0..FULL {
            assert_eq!(again.find(i + 1), Some(record(200 + i, 150)));
        }
        assert_eq!(again.find(99), None);
        assert_eq!(again.records().filter(|(kind, _)| *kind == 3).count(), SLOTS);
    }

    #[test]
    fn bytes_of_another_shape_are_an_empty_bucket() {
        let bytes = full(0).bytes().to_vec();
        let mut other_version = bytes.clone();
        other_version[4] = 1;
        let too_long = [&bytes[..], &[0; 41]].concat();
        for bytes in [&b""[..], b"x", &bytes[..47], &other_version, &too_long] {
            assert_eq!(Bucket::decode(bytes.to_vec()).records().count(), 0);
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
        place(&mut bucket, 1, odd, Instant::EPOCH, Taking::Free);
        let found = bucket.find(1).unwrap();
        assert_eq!(found.idle_at, Instant::from_seconds(1));
        assert_eq!(found.held_until, Instant::from_seconds(u64::from(u32::MAX)));
    }

    #[test]
    fn the_record_nearest_to_idle_is_forgotten_first() {
        let mut bucket = full(0);
        place(&mut bucket, 50, record(300, 0), NOW, Taking::Evicting);
        assert_eq!(bucket.find(1), None);
        // At 201 the record of slot 2 says nothing any more.
        place(
            &mut bucket,
            51,
            record(300, 0),
            Instant::from_seconds(201),
            Taking::Free,
        );
        assert_eq!(bucket.find(2), None);
    }

    #[test]
    fn a_held_record_is_never_forgotten_and_newcomers_are_counted_together() {
        let mut bucket = full(150);
        // Not even for one that is to be held for longer.
        place(&mut bucket, 50, record(300, 900), NOW, Taking::NewCrowd);
        place(&mut bucket, 51, record(300, 900), NOW, Taking::Crowd);
        for i in 0..FULL {
            assert_eq!(bucket.find(i + 1), Some(record(200 + i, 150)));
        }
        let alone = Name {
            crowd: None,
            ..name(52)
        };
        assert_eq!(bucket.seat(&alone, NOW), None);
        // More uses than seats: the one nearest to idle makes room.
        for crowd in 0..9 {
            let other = Name {
                crowd: Some(8_000 + crowd),
                ..name(53)
            };
            let seat = bucket.seat(&other, NOW).unwrap();
            assert_eq!(seat.taking, Taking::NewCrowd);
            bucket.put(seat, &other, &record(400 + crowd, 900));
        }
        // When the hold is over, they are as others.
        place(
            &mut bucket,
            51,
            record(300, 0),
            Instant::from_seconds(150),
            Taking::Evicting,
        );
    }

    #[test]
    fn a_kind_takes_no_more_seats_than_it_may() {
        let mut bucket = Bucket::default();
        place(&mut bucket, 1, record(110, 0), NOW, Taking::Free);
        for i in 0..100 {
            let pair = Name {
                kind: 4,
                most: 12,
                ..name(100 + i)
            };
            let seat = bucket.seat(&pair, NOW).unwrap();
            bucket.put(seat, &pair, &record(9_000, 0));
        }
        assert_eq!(bucket.records().filter(|(kind, _)| *kind == 4).count(), 12);
        assert!(bucket.find(1).is_some());
    }

    /// A small deterministic generator over whole cells: no bytes panic, and a held record stays.
    #[test]
    fn any_bytes_of_the_right_length_are_a_bucket() {
        let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
        let mut random = move || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed
        };
        for _ in 0..2_000 {
            let mut bytes: Vec<u8> = (0..BYTES).map(|_| random().to_le_bytes()[0]).collect();
            bytes[..8].copy_from_slice(&HEADER);
            let mut bucket = Bucket::decode(bytes);
            let now = Instant(random());
            let held = bucket.records().filter(|(_, r)| r.held_until > now).count();
            let seat = bucket.seat(&name(random().max(1)), now);
            if let Some(seat) = seat {
                bucket.put(seat, &name(1), &record(1, 1));
            }
            assert!(bucket.records().filter(|(_, r)| r.held_until > now).count() >= held);
        }
    }
}
