//! Opening the table: its cells are made once, whichever VM comes first and however many come at once.

use super::Table;
use super::bucket::{BYTES, Bucket};
use crate::host::{Cell, Host, HostError, Level};

/// What one bucket costs: its bytes, its key, and about 100 bytes of Envoy's map.
const BUCKET_COST: u64 = 128 + 2_140;
const _: () = assert!(BYTES == 2_140);

/// Marks the layout that the cells were counted for: a module of another layout makes its own count.
const LAYOUT: [u8; 4] = *b"pc2:";

/// A version that no cell has: a write that names it makes a cell, or loses to whoever made it first. (The host
/// compares versions only where there is a cell.)
const ABSENT: Option<u32> = Some(u32::MAX);

impl Table {
    /// Opens the table, making the cells if there are none yet; `memory_bytes` bounds what all of them cost together.
    ///
    /// A table that is there keeps its size as long as Envoy lives, whatever `memory_bytes` says now: in another size
    /// every client would be looked for in another bucket, and every ban forgotten.
    ///
    /// # Errors
    /// If the host can't keep cells.
    pub fn open(host: &dyn Host, memory_bytes: u64) -> Result<Self, HostError> {
        let wanted = u32::try_from(memory_bytes / BUCKET_COST).unwrap_or(u32::MAX).max(1);
        let key = made_once(host, Cell::HashKey, &host.random())?;
        let key = key
            .try_into()
            .map_err(|_| HostError("the hash key has another length"))?;
        let found = host.read(Cell::BucketCount)?;
        if let Some(made) = found.as_ref().and_then(|cell| count_of(&cell.bytes)) {
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
                host.write(Cell::Bucket(bucket), Bucket::default().bytes(), ABSENT)?;
            }
        }
        // Last, so that a table half made is not taken for a whole one; of two counts the first is the table's.
        let count = [LAYOUT, wanted.to_le_bytes()].concat();
        host.write(
            Cell::BucketCount,
            &count,
            found.map_or(ABSENT, |cell| Some(cell.version)),
        )?;
        let made = host.read(Cell::BucketCount)?;
        let buckets = made.and_then(|cell| count_of(&cell.bytes));
        Ok(Self {
            buckets: buckets.ok_or(HostError("the table can't be read back"))?,
            key,
        })
    }
}

fn count_of(bytes: &[u8]) -> Option<u32> {
    let count = bytes.strip_prefix(&LAYOUT)?.try_into().ok().map(u32::from_le_bytes)?;
    (count > 0).then_some(count)
}

/// The key that all workers share: random, of whoever makes it first.
///
/// # Errors
/// If the host can't keep cells.
pub fn shared_key(host: &dyn Host) -> Result<[u8; 16], HostError> {
    let key = made_once(host, Cell::HashKey, &host.random())?;
    key.try_into().map_err(|_| HostError("the hash key has another length"))
}

/// The cell's value, which is `proposed` if there is none yet. All who ask get the same.
fn made_once(host: &dyn Host, cell: Cell, proposed: &[u8]) -> Result<Vec<u8>, HostError> {
    if host.read(cell)?.is_none() {
        host.write(cell, proposed, ABSENT)?;
    }
    let made = host.read(cell)?;
    made.map(|cell| cell.bytes)
        .ok_or(HostError("a cell can't be read back"))
}
