//! A map that forgets what was learnt first: by keyed hash, bounded in number and weight.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

/// What one map remembers at most.
pub(crate) const ENTRIES_MAX: usize = 8192;

/// Takes a key as it is: it is a keyed hash already.
#[derive(Debug, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    #[allow(clippy::cast_possible_truncation, reason = "half of a hash is one")]
    fn write_u128(&mut self, key: u128) {
        self.0 = key as u64;
    }

    fn write(&mut self, bytes: &[u8]) {
        // Not called for keys of this map; any order of bytes does.
        self.0 = bytes
            .iter()
            .fold(self.0, |hash, byte| hash.rotate_left(8) ^ u64::from(*byte));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// See the module. The keys are hashes that a client can't choose.
#[derive(Debug)]
pub(crate) struct Recent<T> {
    entries: HashMap<u128, (T, usize), BuildHasherDefault<AsItIs>>,
    order: VecDeque<u128>,
    weight: usize,
    weight_max: usize,
}

impl<T> Default for Recent<T> {
    /// Bounded by number alone.
    fn default() -> Self {
        Self::new(usize::MAX)
    }
}

impl<T> Recent<T> {
    pub(crate) fn new(weight_max: usize) -> Self {
        Self {
            entries: HashMap::default(),
            order: VecDeque::new(),
            weight: 0,
            weight_max,
        }
    }

    pub(crate) fn get(&self, key: u128) -> Option<&T> {
        self.entries.get(&key).map(|(value, _)| value)
    }

    pub(crate) fn insert(&mut self, key: u128, value: T, weight: usize) {
        match self.entries.insert(key, (value, weight)) {
            Some((_, old)) => self.weight = self.weight.saturating_sub(old),
            None => self.order.push_back(key),
        }
        self.weight = self.weight.saturating_add(weight);
        while self.entries.len() > ENTRIES_MAX || self.weight > self.weight_max {
            let Some(oldest) = self.order.pop_front() else { break };
            if let Some((_, weight)) = self.entries.remove(&oldest) {
                self.weight = self.weight.saturating_sub(weight);
            }
        }
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.order.clear();
        self.weight = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_bounded_by_number_and_weight() {
        let mut recent = Recent::new(100);
        for i in 0..1000_u32 {
            recent.insert(u128::from(i), i, 10);
            assert!(recent.weight <= 100 && recent.entries.len() == recent.order.len());
        }
        assert_eq!(
            (recent.get(999), recent.get(990), recent.get(989)),
            (Some(&999), Some(&990), None)
        );
        recent.insert(999, 1, 50);
        assert_eq!(recent.get(999), Some(&1));
        assert!(recent.weight <= 100);
        let mut many = Recent::default();
        for i in 0..20_000_u32 {
            many.insert(u128::from(i), (), 1);
        }
        assert_eq!(many.entries.len(), ENTRIES_MAX);
    }
}
