//! What is remembered of an account, and of one client's standing with it: slowing guessers down without locking the
//! owner out.
//!
//! Strangers share the account's allowance. A client that has logged in to it before has an allowance of its own, which no
//! stranger can use up; and a client that was never seen failing may draw on a reserve when strangers have used up the
//! rest. After [`ROW_MAX`] failures in a row strangers are shut out for a pause; who is known is not.

use super::client::{BanPolicy, pack, unpack};
use crate::rate::{Decision, HELD_UP, Instant, Rate};
use crate::store::Record;
use std::time::Duration;

/// Failures in a row after which an account is closed to strangers, and a known client is known no more (NIST SP 800-63B-4
/// §3.2.2: no more than 100).
pub const ROW_MAX: u8 = 100;

/// Each failure in a row is remembered longer than the one before by this part of the ban's `forget`. What is nearest to being
/// forgotten is displaced first: so a row of many is displaced by as long a one, and not by names made up for a single try.
const REMEMBERED_PART: u32 = 4;

/// How long after a success a client's standing with an account is not forgotten, whoever else logs in.
const KNOWN_HELD: Duration = Duration::from_secs(86_400);

/// How long a client stays known to an account after its last success.
pub const KNOWN_FOR: Duration = Duration::from_secs(30 * 86_400);

/// From whose allowance an attempt was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// The client's own with this account.
    Own,
    /// What strangers share.
    Shared,
    /// What is kept for clients never seen failing.
    Reserve,
}

/// An account, for all strangers together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Account {
    shared: Instant,
    reserve: Instant,
    closed_until: Instant,
    /// Failures since the last success, attempts under way included.
    row: u8,
    under_way: u8,
    /// When all of this is forgotten.
    idle_at: Instant,
}

impl Account {
    pub fn of(record: Option<Record>, now: Instant) -> Self {
        let Some(record) = record.filter(|record| record.idle_at > now) else {
            return Self::default();
        };
        let [a, b, c] = record.words;
        let ((shared, counts), (reserve, _), (closed_until, _)) = (unpack(a), unpack(b), unpack(c));
        let [row, under_way] = counts.to_le_bytes();
        let account = Self {
            shared,
            reserve,
            closed_until,
            row,
            under_way,
            idle_at: record.idle_at,
        };
        // After the pause strangers may try again, from the start.
        let reopened = closed_until > Instant::EPOCH && closed_until <= now;
        if reopened {
            Self {
                closed_until: Instant::EPOCH,
                row: 0,
                under_way: 0,
                ..account
            }
        } else {
            account
        }
    }

    pub fn record(&self, rate: &Rate) -> Record {
        // Without a row there is nothing to remember but what is used.
        let row_until = if self.row > 0 { self.idle_at } else { Instant::EPOCH };
        let used_until = self.shared.max(self.reserve).max(self.closed_until);
        Record {
            words: [
                pack(self.shared, u16::from_le_bytes([self.row, self.under_way])),
                pack(self.reserve, 0),
                pack(self.closed_until, 0),
            ],
            idle_at: used_until.max(row_until),
            held_until: self.closed_until.max(rate.refused_until(self.shared)),
        }
    }

    /// Takes a stranger's attempt; `clean`: the client was never seen failing. `alone`: this is not the crowd's record,
    /// which many accounts share and whose rows mean nothing.
    ///
    /// # Errors
    /// When the next one may be let through.
    pub fn reserve(
        &mut self,
        rate: &Rate,
        now: Instant,
        clean: bool,
        alone: bool,
        ban: &BanPolicy,
    ) -> Result<From, Duration> {
        self.cut(rate, now, ban);
        if self.closed_until > now {
            return Err(self.closed_until.since(now));
        }
        let from = match rate.take(self.shared, now, 1) {
            Decision::Admit { state, .. } if self.row < ROW_MAX || !alone => {
                self.shared = state;
                From::Shared
            }
            // All that is left is under way: how it ends decides.
            Decision::Admit { .. } => return Err(Duration::from_secs(1)),
            Decision::Refuse { retry_after } => match rate.take(self.reserve, now, 1) {
                Decision::Admit { state, .. } if clean && (self.row < ROW_MAX || !alone) => {
                    self.reserve = state;
                    From::Reserve
                }
                _ => return Err(retry_after),
            },
        };
        self.row = self.row.saturating_add(1);
        self.under_way = self.under_way.saturating_add(1);
        let longer = ban.forget.checked_div(REMEMBERED_PART).unwrap_or_default();
        let forget = ban.forget.saturating_add(longer.saturating_mul(self.row.into()));
        self.idle_at = self.idle_at.max(now.plus(forget));
        Ok(from)
    }

    /// Cuts what lies further ahead than this policy puts it now: left by a clock that was put back, or by longer windows.
    pub fn cut(&mut self, rate: &Rate, now: Instant, ban: &BanPolicy) {
        for state in [&mut self.shared, &mut self.reserve] {
            *state = rate.within(*state, now);
        }
        let latest = now.plus(ban.longest);
        if self.closed_until > latest.plus(HELD_UP) {
            self.closed_until = latest;
        }
    }

    fn ended(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// Gives an attempt back that was taken from here.
    pub fn refund(&mut self, rate: &Rate, from: From) {
        match from {
            From::Own => return,
            From::Shared => self.shared = rate.refund(self.shared, 1),
            From::Reserve => self.reserve = rate.refund(self.reserve, 1),
        }
        self.ended();
        self.row = self.row.saturating_sub(1);
    }

    /// A stranger failed: the last of a row closes the account to strangers for `pause`.
    pub fn count(&mut self, now: Instant, pause: Duration, alone: bool) {
        self.ended();
        if alone && self.row >= ROW_MAX && self.closed_until <= now {
            self.closed_until = now.plus(pause);
        }
    }

    /// Somebody logged in: the row is broken, but for attempts whose answers are still to come.
    pub fn succeed(&mut self, rate: &Rate, from: From) {
        self.refund(rate, from);
        self.row = self.row.min(self.under_way);
        self.closed_until = Instant::EPOCH;
    }
}

/// One client's standing with one account that it has logged in to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    state: Instant,
    row: u8,
    until: Instant,
}

impl Known {
    pub fn of(record: Option<Record>, now: Instant) -> Option<Self> {
        let [a, b, _] = record?.words;
        let ((state, row), (until, _)) = (unpack(a), unpack(b));
        let row = u8::try_from(row).unwrap_or(u8::MAX);
        (until > now && row < ROW_MAX).then_some(Self { state, row, until })
    }

    /// Of a client that has just logged in.
    pub fn new(earlier: Option<Self>, rate: &Rate, now: Instant) -> Self {
        Self {
            state: earlier.map_or(Instant::EPOCH, |known| rate.refund(known.state, 1)),
            row: 0,
            until: now.plus(KNOWN_FOR),
        }
    }

    pub fn record(&self, rate: &Rate) -> Record {
        let says_nothing = self.row >= ROW_MAX;
        let kept_until = if says_nothing {
            Instant::EPOCH
        } else {
            self.until.minus(KNOWN_FOR).plus(KNOWN_HELD)
        };
        Record {
            words: [pack(self.state, self.row.into()), pack(self.until, 0), 0],
            idle_at: if says_nothing { self.state } else { self.until },
            held_until: kept_until.max(rate.refused_until(self.state)),
        }
    }

    /// As [`Account::cut`].
    pub fn cut(&mut self, rate: &Rate, now: Instant) {
        self.state = rate.within(self.state, now);
    }

    /// Takes an attempt, which counts into the row until it is given back.
    pub fn reserve(&mut self, rate: &Rate, now: Instant) -> Result<(), Duration> {
        match rate.take(self.state, now, 1) {
            Decision::Admit { state, .. } => {
                self.state = state;
                self.row = self.row.saturating_add(1);
                Ok(())
            }
            Decision::Refuse { retry_after } => Err(retry_after),
        }
    }

    pub fn refund(&mut self, rate: &Rate) {
        self.state = rate.refund(self.state, 1);
        self.row = self.row.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::login::BanScope;

    const RATE: Duration = Duration::from_secs(3600);
    const DAY: Duration = Duration::from_secs(86_400);

    const BAN: BanPolicy = BanPolicy {
        first: RATE,
        factor: 1,
        longest: DAY,
        forget: DAY,
        scope: BanScope::Login,
    };

    fn rate() -> Rate {
        Rate::new(20, RATE, 20)
    }

    fn at(seconds: u64) -> Instant {
        Instant::from_seconds(1_000_000).plus(Duration::from_secs(seconds))
    }

    #[test]
    fn strangers_never_fail_more_than_a_hundred_times_in_a_row_then_a_day_is_quiet() {
        let (rate, mut record, mut failures, mut now) = (rate(), None, 0, 0);
        let mut closed_at = None;
        while closed_at.is_none() {
            let mut account = Account::of(record, at(now));
            match account.reserve(&rate, at(now), true, true, &BAN) {
                Ok(_) => {
                    failures += 1;
                    account.count(at(now), DAY, true);
                }
                Err(left) if left > RATE => closed_at = Some((now, left)),
                Err(left) => now += left.as_secs().max(1),
            }
            record = Some(account.record(&rate));
        }
        assert_eq!(failures, 100);
        let (now, left) = closed_at.unwrap();
        assert!(record.unwrap().held_until >= at(now).plus(left));
        let mut before = Account::of(record, at(now + left.as_secs() - 1));
        assert!(
            before
                .reserve(&rate, at(now + left.as_secs() - 1), true, true, &BAN)
                .is_err()
        );
        let mut after = Account::of(record, at(now + left.as_secs()));
        assert!(after.reserve(&rate, at(now + left.as_secs()), true, true, &BAN).is_ok());
    }

    #[test]
    fn the_reserve_is_for_who_was_never_seen_failing() {
        let rate = rate();
        let mut account = Account::default();
        for _ in 0..20 {
            assert_eq!(account.reserve(&rate, at(0), false, true, &BAN), Ok(From::Shared));
        }
        assert_eq!(
            account.reserve(&rate, at(0), false, true, &BAN),
            Err(Duration::from_secs(180))
        );
        assert_eq!(account.reserve(&rate, at(0), true, true, &BAN), Ok(From::Reserve));
    }

    /// Its row is that of many accounts, and means nothing.
    #[test]
    fn the_crowd_s_reserve_stays_open_after_a_hundred_failures() {
        let rate = rate();
        let mut crowd = Account::default();
        for i in 0..120 {
            crowd.reserve(&rate, at(180 * i), false, false, &BAN).unwrap();
            crowd.count(at(180 * i), DAY, false);
        }
        let now = at(180 * 120);
        while crowd.reserve(&rate, now, false, false, &BAN).is_ok() {}
        assert_eq!(crowd.reserve(&rate, now, true, false, &BAN), Ok(From::Reserve));
    }

    #[test]
    fn a_success_breaks_the_row_but_not_attempts_under_way() {
        let rate = rate();
        let mut account = Account::default();
        for _ in 0..5 {
            account.reserve(&rate, at(0), false, true, &BAN).unwrap();
        }
        for _ in 0..3 {
            account.count(at(0), DAY, true);
        }
        account.succeed(&rate, From::Shared);
        assert_eq!((account.row, account.under_way), (1, 1));
        account.succeed(&rate, From::Own);
        assert_eq!(account.row, 1);
    }

    #[test]
    fn a_known_client_is_known_until_a_hundred_failures_in_a_row() {
        let rate = Rate::new(1000, RATE, 1000);
        let mut record = Some(Known::new(None, &rate, at(0)).record(&rate));
        for _ in 0..100 {
            let mut known = Known::of(record, at(1)).unwrap();
            known.reserve(&rate, at(1)).unwrap();
            record = Some(known.record(&rate));
        }
        assert_eq!(Known::of(record, at(1)), None);
        let fresh = Known::new(None, &rate, at(0)).record(&rate);
        assert!(Known::of(Some(fresh), at(30 * 86_400 - 1)).is_some());
        assert_eq!(Known::of(Some(fresh), at(30 * 86_400)), None);
    }
}
