//! A document that one worker publishes and all read: bytes in a fixed number of shared cells, found by a notice that
//! says which bank of cells holds them, how many they are, whose they are and what they sum up to.
//!
//! A document is written into the bank that the notice does not name, and then the notice is swapped: a reader takes
//! the old one or the new one, never a mixture, and the old one stays if the writer dies. What is read is not trusted:
//! what does not sum up under the workers' shared key, is too long, or is of another identity, is no document.

use super::checksum;
use super::lease::Fence;
use crate::host::{Cell, Host, HostError, Topic};
use crate::rate::Instant;

/// The layout of a notice; another is no notice.
const VERSION: u8 = 1;

/// What one cell holds: 64 KiB are copied out in 4.4 µs, under Envoy's lock for all shared data.
pub const PART_BYTES: usize = 64 * 1024;

/// Readings of a notice that a writer swaps meanwhile; after them the next poll tries again.
const TRIES_MAX: u32 = 3;

/// A place for one document at a time.
#[derive(Debug, Clone)]
pub struct Document {
    topic: Topic,
    key: [u8; 16],
    /// Keyed hash of what the document is about, such as issuer and endpoint: a changed configuration reads no other's.
    identity: u128,
    bytes_max: usize,
}

/// A document as published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// To ask [`Document::newer_than`] with.
    pub edition: Edition,
    /// When what the document says was asked for.
    pub asked: Instant,
    pub bytes: Vec<u8>,
}

/// Names one publication; the default is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Edition(u128);

/// Why nothing was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotPublished {
    Host(HostError),
    TooLong,
    /// Another worker has the lease by now.
    Outdated,
}

impl From<HostError> for NotPublished {
    fn from(error: HostError) -> Self {
        Self::Host(error)
    }
}

/// What the notice says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Notice {
    bank: u8,
    fence: u64,
    asked: u64,
    length: u32,
    identity: u128,
    sum: u128,
}

impl Notice {
    fn encode(&self, key: &[u8; 16]) -> Vec<u8> {
        let mut bytes = vec![VERSION, self.bank];
        bytes.extend(self.fence.to_le_bytes());
        bytes.extend(self.asked.to_le_bytes());
        bytes.extend(self.length.to_le_bytes());
        bytes.extend(self.identity.to_le_bytes());
        bytes.extend(self.sum.to_le_bytes());
        let own = checksum(key, &[b"notice", &bytes]);
        bytes.extend(own.to_le_bytes());
        bytes
    }

    /// `None` for anything but a notice that this version wrote.
    fn decode(key: &[u8; 16], bytes: &[u8]) -> Option<Self> {
        let (body, own) = bytes.split_last_chunk::<16>()?;
        let ([version, bank @ (0 | 1)], rest) = body.split_first_chunk::<2>()? else {
            return None;
        };
        if *version != VERSION || u128::from_le_bytes(*own) != checksum(key, &[b"notice", body]) {
            return None;
        }
        let (fence, rest) = rest.split_first_chunk::<8>()?;
        let (asked, rest) = rest.split_first_chunk::<8>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (identity, rest) = rest.split_first_chunk::<16>()?;
        let (sum, []) = rest.split_first_chunk::<16>()? else {
            return None;
        };
        Some(Self {
            bank: *bank,
            fence: u64::from_le_bytes(*fence),
            asked: u64::from_le_bytes(*asked),
            length: u32::from_le_bytes(*length),
            identity: u128::from_le_bytes(*identity),
            sum: u128::from_le_bytes(*sum),
        })
    }

    /// The sum over the notice names the publication: fences grow.
    fn edition(&self, key: &[u8; 16]) -> Edition {
        Edition(checksum(key, &[b"edition", &self.encode(key)]))
    }
}

impl Document {
    /// Makes the notice's cell if there is none; Envoy's main thread does so before any worker runs. At most
    /// `2 × bytes_max` are ever kept, rounded up to whole parts.
    ///
    /// # Errors
    /// If the host can't keep cells.
    pub fn open(
        host: &dyn Host,
        key: [u8; 16],
        topic: Topic,
        identity: &[&[u8]],
        bytes_max: usize,
    ) -> Result<Self, HostError> {
        if host.read(Cell::Notice(topic))?.is_none() {
            host.write(Cell::Notice(topic), &[], None)?;
        }
        Ok(Self {
            topic,
            key,
            identity: checksum(&key, identity),
            bytes_max,
        })
    }

    fn part(&self, bank: u8, number: usize) -> Option<Cell> {
        let number = u16::try_from(number).ok()?;
        Some(Cell::Part(self.topic, bank, number))
    }

    fn sum(&self, fence: u64, bytes: &[u8]) -> u128 {
        checksum(&self.key, &[b"document", &fence.to_le_bytes(), bytes])
    }

    /// Publishes a document, which was asked for at `asked`, for all workers.
    ///
    /// # Errors
    /// See [`NotPublished`]; the document before then stands.
    pub fn publish(&self, host: &dyn Host, fence: Fence, asked: Instant, bytes: &[u8]) -> Result<(), NotPublished> {
        if bytes.len() > self.bytes_max {
            return Err(NotPublished::TooLong);
        }
        let length = u32::try_from(bytes.len()).map_err(|_| NotPublished::TooLong)?;
        let cell = Cell::Notice(self.topic);
        let found = host.read(cell)?;
        let version = found.as_ref().map(|cell| cell.version);
        let before = found.and_then(|cell| Notice::decode(&self.key, &cell.bytes));
        if before.is_some_and(|before| before.fence > fence.0) {
            return Err(NotPublished::Outdated);
        }
        let bank = before.map_or(0, |before| 1 - before.bank.min(1));
        for (number, part) in bytes.chunks(PART_BYTES).enumerate() {
            let part_cell = self.part(bank, number).ok_or(NotPublished::TooLong)?;
            host.write(part_cell, part, None)?;
        }
        let notice = Notice {
            bank,
            fence: fence.0,
            asked: asked.0,
            length,
            identity: self.identity,
            sum: self.sum(fence.0, bytes),
        };
        if host.write(cell, &notice.encode(&self.key), version)? {
            Ok(())
        } else {
            Err(NotPublished::Outdated)
        }
    }

    /// The published document if it is another than `seen`; costs one small read if it is not.
    ///
    /// # Errors
    /// If the host can't read cells.
    pub fn newer_than(&self, host: &dyn Host, seen: Edition) -> Result<Option<Published>, HostError> {
        for _ in 0..TRIES_MAX {
            let found = host.read(Cell::Notice(self.topic))?;
            let Some(notice) = found.and_then(|cell| Notice::decode(&self.key, &cell.bytes)) else {
                return Ok(None);
            };
            let edition = notice.edition(&self.key);
            let length = usize::try_from(notice.length).unwrap_or(usize::MAX);
            if edition == seen || notice.identity != self.identity || length > self.bytes_max {
                return Ok(None);
            }
            if let Some(bytes) = self.read(host, &notice, length)? {
                return Ok(Some(Published {
                    edition,
                    asked: Instant(notice.asked),
                    bytes,
                }));
            }
        }
        Ok(None)
    }

    /// The bytes that a notice names; `None` if a writer has begun to replace them.
    fn read(&self, host: &dyn Host, notice: &Notice, length: usize) -> Result<Option<Vec<u8>>, HostError> {
        let mut bytes = Vec::with_capacity(length);
        for number in 0..length.div_ceil(PART_BYTES) {
            let Some(cell) = self.part(notice.bank, number) else {
                return Ok(None);
            };
            let Some(part) = host.read(cell)? else { return Ok(None) };
            if part.bytes.len() > PART_BYTES {
                return Ok(None);
            }
            bytes.extend(part.bytes);
        }
        // The last cell may be longer from a document before.
        Ok((bytes.len() == length && self.sum(notice.fence, &bytes) == notice.sum).then_some(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::memory::MemoryHost;

    const KEY: [u8; 16] = [7; 16];
    const TOPIC: Topic = Topic::Keys(0);

    fn document(host: &MemoryHost, identity: &[u8]) -> Document {
        Document::open(host, KEY, TOPIC, &[identity], 300_000).unwrap()
    }

    #[test]
    fn what_one_publishes_all_read_once() {
        let host = MemoryHost::default();
        let (a, b) = (document(&host, b"i"), document(&host, b"i"));
        assert_eq!(b.newer_than(&host, Edition::default()), Ok(None));
        let mut seen = Edition::default();
        for (fence, length) in [
            (1, 0),
            (2, 1),
            (3, PART_BYTES),
            (4, PART_BYTES + 1),
            (5, 300_000),
            (6, 3),
        ] {
            let bytes: Vec<u8> = (0..length).map(|n| u8::try_from(n % 251).unwrap()).collect();
            a.publish(&host, Fence(fence), Instant(fence), &bytes).unwrap();
            let read = b.newer_than(&host, seen).unwrap().unwrap();
            assert_eq!((read.bytes, read.asked), (bytes, Instant(fence)), "{length}");
            seen = read.edition;
            assert_eq!(b.newer_than(&host, seen), Ok(None));
        }
        // Five parts in each of two banks, and the notice.
        assert!(host.cell_count() <= 11);
        assert_eq!(
            a.publish(&host, Fence(7), Instant(7), &vec![0; 300_001]),
            Err(NotPublished::TooLong)
        );
        assert_eq!(b.newer_than(&host, seen), Ok(None));
    }

    #[test]
    fn who_lost_the_lease_publishes_nothing() {
        let host = MemoryHost::default();
        let document = document(&host, b"i");
        document.publish(&host, Fence(2), Instant(2), b"new").unwrap();
        assert_eq!(
            document.publish(&host, Fence(1), Instant(1), b"old"),
            Err(NotPublished::Outdated)
        );
        host.lose_writes(1);
        assert_eq!(
            document.publish(&host, Fence(3), Instant(3), b"late"),
            Err(NotPublished::Outdated)
        );
        let read = document.newer_than(&host, Edition::default()).unwrap().unwrap();
        assert_eq!(read.bytes, b"new");
    }

    #[test]
    fn a_torn_a_foreign_or_a_broken_document_is_none() {
        let host = MemoryHost::default();
        let document = document(&host, b"i");
        document.publish(&host, Fence(1), Instant(1), b"first").unwrap();
        let seen = document.newer_than(&host, Edition::default()).unwrap().unwrap().edition;
        // A writer that dies before the notice is swapped leaves the document before.
        host.write(Cell::Part(TOPIC, 1, 0), b"half", None).unwrap();
        assert_eq!(document.newer_than(&host, seen), Ok(None));
        let read = document.newer_than(&host, Edition::default()).unwrap().unwrap();
        assert_eq!(read.bytes, b"first");
        // One that writes into the bank being read is noticed.
        for torn in [&b"fIrst"[..], b"", b"first!", &[0; PART_BYTES + 1]] {
            host.write(Cell::Part(TOPIC, 0, 0), torn, None).unwrap();
            assert_eq!(document.newer_than(&host, Edition::default()), Ok(None));
        }
        host.write(Cell::Part(TOPIC, 0, 0), b"first", None).unwrap();
        let other = Document::open(&host, KEY, TOPIC, &[b"another issuer"], 100).unwrap();
        assert_eq!(other.newer_than(&host, Edition::default()), Ok(None));
        let keyed = Document::open(&host, [8; 16], TOPIC, &[b"i"], 100).unwrap();
        assert_eq!(keyed.newer_than(&host, Edition::default()), Ok(None));
        let short = Document::open(&host, KEY, TOPIC, &[b"i"], 4).unwrap();
        assert_eq!(short.newer_than(&host, Edition::default()), Ok(None));
        let good = host.read(Cell::Notice(TOPIC)).unwrap().unwrap().bytes;
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            host.write(Cell::Notice(TOPIC), &bad, None).unwrap();
            assert_eq!(document.newer_than(&host, Edition::default()), Ok(None), "byte {at}");
            host.write(Cell::Notice(TOPIC), good.get(..at).unwrap(), None).unwrap();
            assert_eq!(document.newer_than(&host, Edition::default()), Ok(None), "cut at {at}");
        }
    }
}
