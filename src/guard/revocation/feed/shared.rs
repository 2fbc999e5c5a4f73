//! The feed as all workers share it: a head that says what there is, and pages of records that are only ever added to,
//! until a new generation starts anew. Its bytes are read as if anybody could have written them.

use super::Record;
use super::document::CURSOR_BYTES_MAX;
use crate::host::{Cell, Host, HostError};
use crate::rate::Instant;

/// Records that are kept for all workers: 16 MiB in pages, and 22 to 32 MiB for each worker's set.
pub const RECORDS_MAX: u32 = 1 << 20;

/// Records of one page: 32 KiB, of which a copy takes 3 µs.
pub const PAGE_RECORDS: u32 = 2048;

/// The pages that there can be.
pub const PAGES_MAX: u32 = RECORDS_MAX / PAGE_RECORDS;

const MAGIC: [u8; 8] = *b"pcfd\x01\0\0\0";
const PAGE_HEADER_BYTES: usize = 8;
const RECORD_BYTES: usize = 16;

/// What all workers know of the feed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    /// A fingerprint of the source: another one's records are not used.
    pub source: u64,
    /// Which snapshot the pages hold; 0: none yet.
    pub generation: u64,
    /// Records in all pages.
    pub records: u32,
    /// When the last poll began, whatever came of it.
    pub started: Instant,
    /// When the last good poll began: the feed is as old.
    pub polled: Instant,
    /// Until when a worker polls, and nobody else may.
    pub claimed_until: Instant,
    pub cursor: String,
    pub tag: String,
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    let array = bytes.get(at..at.checked_add(8)?)?.try_into().ok()?;
    Some(u64::from_le_bytes(array))
}

impl Head {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        let words = [
            self.source,
            self.generation,
            self.records.into(),
            self.started.0,
            self.polled.0,
            self.claimed_until.0,
        ];
        words.iter().for_each(|word| out.extend(word.to_le_bytes()));
        for text in [&self.cursor, &self.tag] {
            out.extend(u16::try_from(text.len()).unwrap_or(0).to_le_bytes());
            out.extend(text.bytes());
        }
        out
    }

    /// Bytes of another shape are a feed of which nothing is known.
    pub fn decode(bytes: &[u8]) -> Self {
        Self::try_decode(bytes).unwrap_or_default()
    }

    fn try_decode(bytes: &[u8]) -> Option<Self> {
        let words = bytes.strip_prefix(&MAGIC)?;
        let mut rest = words.get(48..)?;
        let mut text = || {
            let (length, after) = rest.split_first_chunk::<2>()?;
            let (text, after) = after.split_at_checked(u16::from_le_bytes(*length).into())?;
            rest = after;
            if text.len() > CURSOR_BYTES_MAX {
                return None;
            }
            String::from_utf8(text.to_vec()).ok()
        };
        let (cursor, tag) = (text()?, text()?);
        Some(Self {
            source: word(words, 0)?,
            generation: word(words, 8)?,
            records: u32::try_from(word(words, 16)?)
                .ok()
                .filter(|records| *records <= RECORDS_MAX)?,
            started: Instant(word(words, 24)?),
            polled: Instant(word(words, 32)?),
            claimed_until: Instant(word(words, 40)?),
            cursor,
            tag,
        })
    }

    /// The head with the version that a write must name.
    pub fn read(host: &dyn Host) -> Result<(Self, Option<u32>), HostError> {
        let cell = host.read(Cell::FeedHead)?;
        Ok(cell.map_or((Self::default(), None), |cell| {
            (Self::decode(&cell.bytes), Some(cell.version))
        }))
    }

    /// Writes the head; `false` if another was faster.
    pub fn write(&self, host: &dyn Host, version: Option<u32>) -> Result<bool, HostError> {
        host.write(Cell::FeedHead, &self.encode(), version)
    }
}

/// Where the mark stands, an empty cell whose version only changes with the records: the host hands no bytes over for it.
/// `None`: nobody has moved it yet.
pub fn mark(host: &dyn Host) -> Result<Option<u32>, HostError> {
    Ok(host.read(Cell::FeedMark)?.map(|cell| cell.version))
}

/// Makes the head's cell, so that no later write is the first, which can't be compared.
pub fn open(host: &dyn Host) -> Result<(), HostError> {
    if host.read(Cell::FeedHead)?.is_none() {
        host.write(Cell::FeedHead, &Head::default().encode(), None)?;
    }
    Ok(())
}

/// The records of a page; `None` if it is none of this generation.
pub fn read_page(host: &dyn Host, generation: u64, page: u32) -> Result<Option<Vec<Record>>, HostError> {
    let Some(cell) = host.read(Cell::FeedPage(page))? else {
        return Ok(None);
    };
    let Some(records) = cell.bytes.get(PAGE_HEADER_BYTES..) else {
        return Ok(None);
    };
    if word(&cell.bytes, 0) != Some(generation) || records.len() % RECORD_BYTES != 0 {
        return Ok(None);
    }
    let record = |bytes: &[u8]| {
        let packed = word(bytes, 8)?;
        Some(Record {
            name: word(bytes, 0)?.max(1),
            ends: u32::try_from(packed & u64::from(u32::MAX)).ok()?,
            before: u32::try_from(packed >> 32).ok()?,
        })
    };
    Ok(records.chunks_exact(RECORD_BYTES).map(record).collect())
}

/// Writes a page.
pub fn write_page(host: &dyn Host, generation: u64, page: u32, records: &[Record]) -> Result<(), HostError> {
    let mut bytes = generation.to_le_bytes().to_vec();
    for record in records {
        let packed = u64::from(record.ends) | u64::from(record.before) << 32;
        bytes.extend(record.name.to_le_bytes());
        bytes.extend(packed.to_le_bytes());
    }
    host.write(Cell::FeedPage(page), &bytes, None).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::memory::MemoryHost;

    #[test]
    fn a_head_reads_back_as_written_and_other_bytes_are_none() {
        let head = Head {
            source: 1,
            generation: 2,
            records: RECORDS_MAX,
            started: Instant(4),
            polled: Instant(5),
            claimed_until: Instant(6),
            cursor: "c".repeat(256),
            tag: "\"t\"".into(),
        };
        let bytes = head.encode();
        assert_eq!(Head::decode(&bytes), head);
        for length in 0..bytes.len() {
            assert_eq!(Head::decode(&bytes[..length]), Head::default());
        }
        let too_many = Head {
            records: RECORDS_MAX + 1,
            ..head
        };
        assert_eq!(Head::decode(&too_many.encode()), Head::default());
    }

    #[test]
    fn a_page_of_another_generation_or_shape_is_none() {
        let host = MemoryHost::default();
        let records = [
            Record {
                name: 5,
                ends: 6,
                before: 7,
            },
            Record {
                name: 8,
                ends: 9,
                before: 0,
            },
        ];
        write_page(&host, 3, 0, &records).unwrap();
        assert_eq!(read_page(&host, 3, 0), Ok(Some(records.to_vec())));
        assert_eq!(read_page(&host, 4, 0), Ok(None));
        assert_eq!(read_page(&host, 3, 1), Ok(None));
        host.write(Cell::FeedPage(0), b"short", None).unwrap();
        assert_eq!(read_page(&host, 3, 0), Ok(None));
    }
}
