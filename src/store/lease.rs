//! One worker acts for all: a lease in a shared cell, taken by compare-and-swap, with an expiry, so that another takes
//! over when the holder dies, and a fence, so that who lost it unawares publishes nothing any more.
//!
//! The cell also says when the lease was last taken: what may happen at most once an interval is spaced over all
//! workers, not per worker. Nothing here waits: a lease is had or not.

use super::checksum;
use crate::host::{Cell, Host, HostError, Topic};
use crate::rate::Instant;
use std::time::Duration;

/// The layout of a lease's cell; another is no lease.
const VERSION: u8 = 1;

/// No lease runs longer: one that seems to is a leftover of a clock that was set back, and is no lease.
pub const SPAN_MAX: Duration = Duration::from_secs(120);

/// The right to act for all workers on one topic.
#[derive(Debug, Clone)]
pub struct Lease {
    topic: Topic,
    key: [u8; 16],
    /// Tells this worker from the others.
    holder: [u8; 16],
}

/// Grows with every taking: who holds an older one has lost the lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fence(pub u64);

/// What came of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    Yes(Fence),
    /// Another worker, or this one, holds it until then.
    Held(Instant),
    /// It was taken less than the interval ago; it may be from then on.
    TooSoon(Instant),
}

/// What the cell says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Record {
    holder: [u8; 16],
    fence: u64,
    taken: u64,
    until: u64,
}

impl Record {
    fn encode(&self, key: &[u8; 16]) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend(self.holder);
        for number in [self.fence, self.taken, self.until] {
            bytes.extend(number.to_le_bytes());
        }
        let sum = checksum(key, &[b"lease", &bytes]);
        bytes.extend(sum.to_le_bytes());
        bytes
    }

    /// `None` for anything but a record that this version wrote.
    fn decode(key: &[u8; 16], bytes: &[u8]) -> Option<Self> {
        let (body, sum) = bytes.split_last_chunk::<16>()?;
        let (version, rest) = body.split_first()?;
        if *version != VERSION || u128::from_le_bytes(*sum) != checksum(key, &[b"lease", body]) {
            return None;
        }
        let (holder, rest) = rest.split_first_chunk::<16>()?;
        let (fence, rest) = rest.split_first_chunk::<8>()?;
        let (taken, rest) = rest.split_first_chunk::<8>()?;
        let (until, []) = rest.split_first_chunk::<8>()? else {
            return None;
        };
        Some(Self {
            holder: *holder,
            fence: u64::from_le_bytes(*fence),
            taken: u64::from_le_bytes(*taken),
            until: u64::from_le_bytes(*until),
        })
    }
}

impl Lease {
    /// Makes the cell if there is none; Envoy's main thread does so before any worker runs. `key` is the workers' shared
    /// one, `holder` random and this worker's own.
    ///
    /// # Errors
    /// If the host can't keep cells.
    pub fn open(host: &dyn Host, key: [u8; 16], topic: Topic, holder: [u8; 16]) -> Result<Self, HostError> {
        let cell = Cell::Lease(topic);
        if host.read(cell)?.is_none() {
            host.write(cell, &Record::default().encode(&key), None)?;
        }
        Ok(Self { topic, key, holder })
    }

    /// Takes the lease for `span` if nobody holds it and it was last taken at least `interval` ago.
    ///
    /// # Errors
    /// If the host can't read or write cells.
    pub fn take(&self, host: &dyn Host, now: Instant, span: Duration, interval: Duration) -> Result<Taken, HostError> {
        let cell = Cell::Lease(self.topic);
        let found = host.read(cell)?;
        let version = found.as_ref().map(|cell| cell.version);
        let record = found
            .and_then(|cell| Record::decode(&self.key, &cell.bytes))
            .unwrap_or_default();
        let latest = now.plus(SPAN_MAX);
        let (until, taken) = (Instant(record.until), Instant(record.taken));
        if now < until && until <= latest {
            return Ok(Taken::Held(until));
        }
        // A time ahead is a leftover of a clock that was set back.
        let next = taken.plus(interval);
        if taken <= now && now < next {
            return Ok(Taken::TooSoon(next));
        }
        let until = now.plus(span.min(SPAN_MAX));
        let mine = Record {
            holder: self.holder,
            // Also ahead of what was taken before the cell was lost.
            fence: record.fence.saturating_add(1).max(now.0),
            taken: now.0,
            until: until.0,
        };
        if host.write(cell, &mine.encode(&self.key), version)? {
            Ok(Taken::Yes(Fence(mine.fence)))
        } else {
            // Another was faster: it holds the lease for about as long as we would have.
            Ok(Taken::Held(until))
        }
    }

    /// Whether anybody holds it.
    ///
    /// # Errors
    /// If the host can't read cells.
    pub fn is_held(&self, host: &dyn Host, now: Instant) -> Result<bool, HostError> {
        let record = host
            .read(Cell::Lease(self.topic))?
            .and_then(|cell| Record::decode(&self.key, &cell.bytes));
        Ok(record.is_some_and(|record| now.0 < record.until && Instant(record.until) <= now.plus(SPAN_MAX)))
    }

    /// Gives the lease back before its time; one that was lost meanwhile stays with who has it.
    ///
    /// # Errors
    /// If the host can't read or write cells; the lease then ends by itself.
    pub fn release(&self, host: &dyn Host, now: Instant, fence: Fence) -> Result<(), HostError> {
        let cell = Cell::Lease(self.topic);
        let Some(found) = host.read(cell)? else { return Ok(()) };
        let Some(record) = Record::decode(&self.key, &found.bytes) else {
            return Ok(());
        };
        if record.holder == self.holder && record.fence == fence.0 {
            let ended = Record { until: now.0, ..record };
            host.write(cell, &ended.encode(&self.key), Some(found.version))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::memory::MemoryHost;

    const SPAN: Duration = Duration::from_secs(2);
    const INTERVAL: Duration = Duration::from_secs(5);

    fn worker(host: &MemoryHost, number: u8) -> Lease {
        Lease::open(host, [7; 16], Topic::Keys(0), [number; 16]).unwrap()
    }

    fn take(host: &MemoryHost, lease: &Lease) -> Taken {
        lease.take(host, host.now(), SPAN, INTERVAL).unwrap()
    }

    #[test]
    fn one_of_many_has_it_and_the_next_after_the_interval() {
        let host = MemoryHost::default();
        let (a, b) = (worker(&host, 1), worker(&host, 2));
        let start = host.now();
        let Taken::Yes(first) = take(&host, &a) else { panic!() };
        assert_eq!(take(&host, &b), Taken::Held(start.plus(SPAN)));
        assert_eq!(take(&host, &a), Taken::Held(start.plus(SPAN)));
        a.release(&host, host.now(), first).unwrap();
        assert_eq!(take(&host, &b), Taken::TooSoon(start.plus(INTERVAL)));
        host.advance(INTERVAL - Duration::from_nanos(1));
        assert_eq!(take(&host, &b), Taken::TooSoon(start.plus(INTERVAL)));
        host.advance(Duration::from_nanos(1));
        let Taken::Yes(second) = take(&host, &b) else { panic!() };
        assert!(second > first);
        // Who lost it can't give it back.
        a.release(&host, host.now(), first).unwrap();
        assert!(matches!(take(&host, &a), Taken::Held(_)));
        assert_eq!(a.is_held(&host, host.now()), Ok(true));
        assert_eq!(a.is_held(&host, host.now().plus(SPAN)), Ok(false));
    }

    #[test]
    fn a_dead_holder_is_followed_when_its_time_is_up() {
        let host = MemoryHost::default();
        let (a, b) = (worker(&host, 1), worker(&host, 2));
        assert!(matches!(
            a.take(&host, host.now(), SPAN, Duration::ZERO),
            Ok(Taken::Yes(_))
        ));
        host.advance(SPAN - Duration::from_nanos(1));
        assert!(matches!(
            b.take(&host, host.now(), SPAN, Duration::ZERO),
            Ok(Taken::Held(_))
        ));
        host.advance(Duration::from_nanos(1));
        assert!(matches!(
            b.take(&host, host.now(), SPAN, Duration::ZERO),
            Ok(Taken::Yes(_))
        ));
    }

    #[test]
    fn of_two_at_once_one_has_it() {
        let host = MemoryHost::default();
        let a = worker(&host, 1);
        host.lose_writes(1);
        assert!(matches!(take(&host, &a), Taken::Held(_)));
        assert!(matches!(take(&host, &a), Taken::Yes(_)));
    }

    #[test]
    fn what_is_no_lease_holds_nobody_up_and_fences_still_grow() {
        let host = MemoryHost::default();
        let a = worker(&host, 1);
        let Taken::Yes(first) = take(&host, &a) else { panic!() };
        for garbage in [&b""[..], b"x", &[VERSION; 57], &[0xff; 200]] {
            host.advance(Duration::from_nanos(1));
            host.write(Cell::Lease(Topic::Keys(0)), garbage, None).unwrap();
            let Taken::Yes(fence) = take(&host, &a) else {
                panic!("{garbage:?}")
            };
            assert!(fence > first);
        }
        // The clock was set back by a day: what seems held for a day is not.
        let record = Record {
            holder: [2; 16],
            fence: 1,
            taken: host.now().0 + 86_400_000_000_000,
            until: host.now().0 + 86_401_000_000_000,
        };
        host.write(Cell::Lease(Topic::Keys(0)), &record.encode(&[7; 16]), None)
            .unwrap();
        assert!(matches!(take(&host, &a), Taken::Yes(_)));
        // Under another key it is another's.
        let other = Lease::open(&host, [8; 16], Topic::Keys(0), [3; 16]).unwrap();
        assert!(matches!(take(&host, &other), Taken::Yes(_)));
    }
}
