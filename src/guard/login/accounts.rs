//! How many accounts one client tries (password spraying): the accounts that it failed with last, in bounded space.
//!
//! An account that is remembered costs nothing more; another one takes a unit. Who goes round more accounts than are
//! remembered pays for each again.

use crate::rate::{Decision, Instant, Rate};
use crate::store::Record;
use std::time::Duration;

/// Accounts that are remembered of a client. Each by 16 bits of a keyed hash: one new account of 6,500 is taken for one
/// of them and costs nothing.
pub const REMEMBERED: usize = 10;

/// See the module. Times are whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tried {
    state: Instant,
    /// The last one first; 0 is none.
    marks: [u16; REMEMBERED],
}

impl Tried {
    /// A record that is idle says nothing any more.
    pub fn of(record: Option<Record>, now: Instant) -> Self {
        let Some(record) = record.filter(|record| record.idle_at > now) else {
            return Self::default();
        };
        let halves = record.words.into_iter().flat_map(u64::to_le_bytes).collect::<Vec<u8>>();
        let (pairs, _) = halves.as_chunks::<2>();
        let mut halves = pairs.iter().map(|pair| u16::from_le_bytes(*pair));
        let (low, high) = (halves.next().unwrap_or(0), halves.next().unwrap_or(0));
        let mut marks = [0; REMEMBERED];
        for (mark, stored) in marks.iter_mut().zip(halves) {
            *mark = stored;
        }
        Self {
            state: Instant::from_seconds(u64::from(high) << 16 | u64::from(low)),
            marks,
        }
    }

    pub fn record(&self, rate: &Rate) -> Record {
        let seconds = u32::try_from(self.state.seconds()).unwrap_or(u32::MAX);
        let bytes: Vec<u8> = seconds
            .to_le_bytes()
            .into_iter()
            .chain(self.marks.into_iter().flat_map(u16::to_le_bytes))
            .collect();
        let (words, _) = bytes.as_chunks::<8>();
        let mut stored = [0; 3];
        for (word, bytes) in stored.iter_mut().zip(words) {
            *word = u64::from_le_bytes(*bytes);
        }
        Record {
            words: stored,
            idle_at: self.state,
            held_until: rate.refused_until(self.state),
        }
    }

    /// Cuts what lies further ahead than this policy puts it now: left by a clock that was put back.
    pub fn cut(&mut self, rate: &Rate, now: Instant) {
        self.state = rate.within(self.state, now);
    }

    /// Takes note of an account; `true` if it took a unit for it.
    ///
    /// # Errors
    /// When another new account may be tried.
    pub fn note(&mut self, rate: &Rate, mark: u16, now: Instant) -> Result<bool, Duration> {
        let known = self.marks.iter().position(|found| *found == mark);
        if known.is_none() {
            match rate.take(self.state, now, 1) {
                Decision::Admit { state, .. } => self.state = state,
                Decision::Refuse { retry_after } => return Err(retry_after),
            }
        }
        let end = known.unwrap_or(REMEMBERED.saturating_sub(1));
        if let Some(moved) = self.marks.get_mut(..=end) {
            moved.rotate_right(1);
        }
        if let Some(first) = self.marks.first_mut() {
            *first = mark;
        }
        Ok(known.is_none())
    }

    /// Forgets an account that turned out to be the client's own, and gives its unit back.
    pub fn forgive(&mut self, rate: &Rate, mark: u16) {
        if let Some(found) = self.marks.iter_mut().find(|found| **found == mark) {
            *found = 0;
            self.state = rate.refund(self.state, 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant(1_000_000_000_000_000);

    #[test]
    fn the_eleventh_account_is_refused_and_known_ones_are_not() {
        let rate = Rate::new(10, Duration::from_secs(3600), 10).in_seconds();
        let mut tried = Tried::default();
        for account in 1..=10 {
            assert_eq!(tried.note(&rate, account, NOW), Ok(true));
            tried = Tried::of(Some(tried.record(&rate)), NOW);
        }
        assert_eq!(tried.note(&rate, 11, NOW), Err(Duration::from_secs(360)));
        for account in (1..=10).rev() {
            assert_eq!(tried.note(&rate, account, NOW), Ok(false));
        }
        tried.forgive(&rate, 5);
        assert_eq!(tried.note(&rate, 11, NOW), Ok(true));
        assert!(tried.note(&rate, 12, NOW).is_err());
        assert_eq!(tried.note(&rate, 12, NOW.plus(Duration::from_secs(360))), Ok(true));
    }

    #[test]
    fn who_goes_round_more_accounts_than_are_remembered_pays_again() {
        let rate = Rate::new(100, Duration::from_secs(3600), 100).in_seconds();
        let mut tried = Tried::default();
        let taken = (0..99_u16).filter(|i| tried.note(&rate, i % 11 + 1, NOW) == Ok(true));
        assert_eq!(taken.count(), 99);
    }
}
