//! Who waits for keys that a provider's set lacks. Anybody can make up a key's name, so those who wait are few: so many
//! names at once, and of each a share. What a fetch did not bring is not waited for again until the next may be made.
//!
//! Counted by name, so that made-up names leave room for a new key's own, and a key that was just rotated in, under which
//! many requests come at once, does not lose to one that nobody has. Per worker and provider; nothing here asks anybody.

use crate::rate::Instant;
use std::rc::Rc;
use std::time::Duration;

/// Names waited for at once: an issuer that rotates brings one or two, one for each of its algorithms.
pub(super) const NAMES_MAX: usize = 8;

/// Requests under a name if it is the only one; under each of n, the nth part. So one worker holds 512 · (1 + 1/2 + … + 1/8)
/// at most, 1,390.
pub(super) const WAITERS_MAX: usize = 512;

/// A request's place among those that wait; given up when it is dropped.
#[derive(Debug)]
pub(crate) struct Place(
    // Its count is what is looked at.
    #[expect(dead_code)] Rc<()>,
);

/// Names are keyed hashes.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    names: Vec<(u128, Rc<()>)>,
    /// Names that the keys fetched at that time lack, although requests waited for them.
    missing: Vec<u128>,
    missing_since: Instant,
}

impl Waiting {
    /// A place for a request under this name; `None` if too many wait.
    pub(super) fn admit(&mut self, name: u128) -> Option<Place> {
        self.names.retain(|(_, place)| Rc::strong_count(place) > 1);
        let found = self.names.iter().position(|(waiting, _)| *waiting == name);
        if found.is_none() && self.names.len() >= NAMES_MAX {
            return None;
        }
        let at = found.unwrap_or_else(|| {
            self.names.push((name, Rc::default()));
            self.names.len().saturating_sub(1)
        });
        let share = WAITERS_MAX.checked_div(self.names.len())?;
        let (_, place) = self.names.get(at)?;
        // One of them is the entry's own.
        (Rc::strong_count(place) <= share).then(|| Place(Rc::clone(place)))
    }

    /// Notes that the keys fetched at `asked` lack this name, for which a request waited.
    pub(super) fn note_missing(&mut self, name: u128, asked: Instant) {
        if self.missing_since != asked {
            self.missing.clear();
            self.missing_since = asked;
        }
        if self.missing.len() < NAMES_MAX && !self.missing.contains(&name) {
            self.missing.push(name);
        }
    }

    /// Whether the keys fetched at `asked`, and not `span` ago, are known to lack this name.
    pub(super) fn is_missing(&self, name: u128, asked: Instant, span: Duration, now: Instant) -> bool {
        self.missing_since == asked && now < asked.plus(span) && self.missing.contains(&name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lone_name_has_all_places_and_gives_them_back() {
        let mut waiting = Waiting::default();
        let mut places: Vec<Place> = (0..WAITERS_MAX).map(|_| waiting.admit(1).unwrap()).collect();
        assert!(waiting.admit(1).is_none());
        places.pop();
        places.push(waiting.admit(1).unwrap());
        assert!(waiting.admit(1).is_none());
        drop(places);
        assert!(waiting.admit(2).is_some());
        assert_eq!(waiting.names.len(), 1);
    }

    #[test]
    fn no_name_takes_the_places_of_another_and_all_together_are_bounded() {
        let mut waiting = Waiting::default();
        let mut places = Vec::new();
        for name in 1..=8 {
            let before = places.len();
            places.extend(std::iter::from_fn(|| waiting.admit(name)));
            assert_eq!(places.len() - before, WAITERS_MAX / usize::try_from(name).unwrap());
        }
        assert_eq!(places.len(), 1_390);
        assert!(waiting.admit(9).is_none());
        assert!((1..=8).all(|name| waiting.admit(name).is_none()));
    }

    #[test]
    fn what_a_fetch_did_not_bring_is_missing_for_the_span_or_until_the_next() {
        let (first, second) = (Instant::from_seconds(10), Instant::from_seconds(15));
        let span = Duration::from_secs(5);
        let mut waiting = Waiting::default();
        waiting.note_missing(1, first);
        let almost = Instant(second.0 - 1);
        assert!(waiting.is_missing(1, first, span, first) && waiting.is_missing(1, first, span, almost));
        assert!(!waiting.is_missing(1, first, span, second) && !waiting.is_missing(2, first, span, first));
        assert!(!waiting.is_missing(1, second, span, second));
        for name in 0..1_000 {
            waiting.note_missing(name, second);
        }
        assert_eq!(waiting.missing.len(), NAMES_MAX);
        assert!(!waiting.is_missing(1, first, span, first));
    }
}
