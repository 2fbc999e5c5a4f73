//! A compact set of records: 16 bytes a slot, found by name in constant time. It is cut into shards that grow one by
//! one, so that growing never needs all of its memory twice: a VM's memory never shrinks.

use super::Record;

/// A million records leave about 4,000 to a shard, so growing one moves 64 KiB.
const SHARDS: usize = 256;

/// A shard grows when more than 3 of 4 slots are taken: a name that is absent is then known as such after 8 slots on
/// average, two cache lines.
const FULL_OF_FOUR: usize = 3;

const SLOTS_MIN: usize = 16;

const FREE: Record = Record {
    name: 0,
    ends: 0,
    before: 0,
};

#[derive(Debug, Default, Clone)]
struct Shard {
    slots: Vec<Record>,
    used: usize,
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Set {
    shards: Vec<Shard>,
}

impl Default for Set {
    fn default() -> Self {
        Self {
            shards: vec![Shard::default(); SHARDS],
        }
    }
}

/// The lower half of a name chooses its slot, evenly over any number of slots.
fn home(name: u64, slots: usize) -> usize {
    let slots = u64::try_from(slots).unwrap_or(u64::MAX);
    let low = name & u64::from(u32::MAX);
    usize::try_from(low.wrapping_mul(slots) >> 32).unwrap_or(0)
}

/// The highest byte chooses the shard.
fn shard_of(name: u64) -> usize {
    usize::try_from(name >> 56).unwrap_or(0)
}

impl Shard {
    /// The slot of a name, or the free one where it would be; `None` if there is neither.
    fn slot(&self, name: u64) -> Option<usize> {
        let count = self.slots.len();
        let start = home(name, count);
        let order = (start..count).chain(0..start.min(count));
        order.into_iter().find(|at| {
            self.slots
                .get(*at)
                .is_some_and(|slot| slot.name == name || slot.name == 0)
        })
    }

    fn find(&self, name: u64) -> Option<Record> {
        let slot = self.slots.get(self.slot(name)?)?;
        (slot.name == name).then_some(*slot)
    }

    fn insert(&mut self, record: Record) {
        if self.used.saturating_add(1).saturating_mul(4) > self.slots.len().saturating_mul(FULL_OF_FOUR) {
            self.grow();
        }
        let Some(slot) = self.slot(record.name).and_then(|at| self.slots.get_mut(at)) else {
            return;
        };
        if slot.name == 0 {
            *slot = record;
            self.used = self.used.saturating_add(1);
        } else {
            // The same again: whatever is more lasting and takes more tokens holds.
            slot.ends = slot.ends.max(record.ends);
            slot.before = slot.before.max(record.before);
        }
    }

    fn grow(&mut self) {
        let wanted = self.slots.len().saturating_mul(3).div_ceil(2).max(SLOTS_MIN);
        let old = std::mem::replace(&mut self.slots, vec![FREE; wanted]);
        for record in old.into_iter().filter(|record| record.name != 0) {
            if let Some(slot) = self.slot(record.name).and_then(|at| self.slots.get_mut(at)) {
                *slot = record;
            }
        }
    }

    fn purge(&mut self, now_seconds: u64) {
        let live: Vec<Record> = self
            .records()
            .filter(|record| u64::from(record.ends) > now_seconds)
            .collect();
        *self = Self::default();
        live.into_iter().for_each(|record| self.insert(record));
    }

    fn records(&self) -> impl Iterator<Item = Record> {
        self.slots.iter().copied().filter(|record| record.name != 0)
    }
}

impl Set {
    pub fn find(&self, name: u64) -> Option<Record> {
        self.shards.get(shard_of(name))?.find(name)
    }

    pub fn insert(&mut self, record: Record) {
        if let Some(shard) = self.shards.get_mut(shard_of(record.name)) {
            shard.insert(record);
        }
    }

    /// Forgets what has ended.
    pub fn purge(&mut self, now_seconds: u64) {
        self.shards.iter_mut().for_each(|shard| shard.purge(now_seconds));
    }

    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.used).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn records(&self) -> impl Iterator<Item = Record> {
        self.shards.iter().flat_map(Shard::records)
    }

    /// What the slots take.
    pub fn bytes(&self) -> usize {
        let slots: usize = self.shards.iter().map(|shard| shard.slots.len()).sum();
        slots.saturating_mul(size_of::<Record>())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Namer;
    use super::*;

    fn name(i: u32) -> u64 {
        Namer::new([3; 16]).token("i", &i.to_string())
    }

    #[test]
    fn every_record_is_found_and_no_other() {
        let mut set = Set::default();
        for i in 0..50_000 {
            set.insert(Record {
                name: name(i),
                ends: i + 1,
                before: 0,
            });
        }
        assert_eq!((set.len(), set.records().count()), (50_000, 50_000));
        for i in 0..50_000 {
            assert_eq!(set.find(name(i)).map(|record| record.ends), Some(i + 1));
        }
        assert!((50_000..100_000).all(|i| set.find(name(i)).is_none()));
        assert!(set.bytes() <= 50_000 * 16 * 5 / 2, "{}", set.bytes());
        set.purge(25_000);
        assert_eq!(set.len(), 25_000);
        assert!(set.find(name(24_999)).is_none() && set.find(name(25_000)).is_some());
    }

    #[test]
    fn the_same_again_keeps_what_takes_more() {
        let mut set = Set::default();
        set.insert(Record {
            name: 9,
            ends: 5,
            before: 9,
        });
        set.insert(Record {
            name: 9,
            ends: 7,
            before: 3,
        });
        assert_eq!(
            set.find(9),
            Some(Record {
                name: 9,
                ends: 7,
                before: 9
            })
        );
        assert_eq!(set.len(), 1);
        assert!(Set::default().find(9).is_none() && Set::default().is_empty());
    }
}
