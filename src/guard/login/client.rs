//! What is remembered of one client's attempts, and how long bans last.

use super::LoginPolicy;
use crate::rate::{Decision, HELD_UP, Instant};
use crate::store::Record;
use std::time::Duration;

/// How long bans last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BanPolicy {
    /// Bans end at whole seconds: the first is up to one second shorter than this, and no shorter than it takes until the
    /// client has an attempt again.
    pub first: Duration,
    /// What each further ban is multiplied by, 1 to 10.
    pub factor: u32,
    pub longest: Duration,
    /// Quiet after a ban's end that makes the next one the first again.
    pub forget: Duration,
    pub scope: BanScope,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BanScope {
    /// A ban refuses login operations.
    #[default]
    Login,
    /// A ban refuses every request of the client.
    All,
}

impl BanPolicy {
    /// The length of the ban after `earlier` ones.
    pub fn length(&self, earlier: u8) -> Duration {
        let factor = self.factor.checked_pow(u32::from(earlier)).unwrap_or(u32::MAX);
        self.first.saturating_mul(factor).min(self.longest.max(self.first))
    }
}

/// A client's attempts. `reserved` bounds those that are let in, `failed` those that are known to have failed and so starts
/// bans, `refunded` what is given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attempts {
    pub reserved: Instant,
    pub failed: Instant,
    pub refunded: Instant,
    pub banned_until: Instant,
    /// How many bans in a row, at most 255.
    pub bans: u8,
}

/// Why a client gets no attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    Banned(Duration),
    /// Banned from now on.
    BanStarts(Duration),
    Limited(Duration),
}

const LOW_48: u64 = (1 << 48) - 1;

/// Milliseconds in 48 bits: until the year 10889, then the latest there is.
pub fn pack(instant: Instant, above: u16) -> u64 {
    instant.milliseconds().min(LOW_48) | u64::from(above) << 48
}

pub fn unpack(word: u64) -> (Instant, u16) {
    let above = u16::try_from(word >> 48).unwrap_or(u16::MAX);
    (Instant::from_milliseconds(word & LOW_48), above)
}

impl Attempts {
    pub fn of(record: Option<Record>) -> Self {
        let [a, b, c] = record.map_or([0; 3], |record| record.words);
        let ((reserved, low), (failed, high), (refunded, bans)) = (unpack(a), unpack(b), unpack(c));
        Self {
            reserved,
            failed,
            refunded,
            banned_until: Instant::from_seconds(u64::from(high) << 16 | u64::from(low)),
            bans: u8::try_from(bans & 0xFF).unwrap_or(u8::MAX),
        }
    }

    pub fn record(&self, policy: &LoginPolicy) -> Record {
        let seconds = u32::try_from(self.banned_until.seconds()).unwrap_or(u32::MAX);
        let [low, high] = [seconds & 0xFFFF, seconds >> 16].map(|half| u16::try_from(half).unwrap_or(u16::MAX));
        let forgotten = if self.bans > 0 {
            self.banned_until.plus(policy.ban.forget)
        } else {
            Instant::EPOCH
        };
        Record {
            words: [
                pack(self.reserved, low),
                pack(self.failed, high),
                pack(self.refunded, self.bans.into()),
            ],
            idle_at: self.reserved.max(self.failed).max(self.refunded).max(forgotten),
            held_until: self
                .banned_until
                .max(policy.client.refused_until(self.reserved.max(self.failed))),
        }
    }

    /// Cuts what lies further ahead than this policy puts it now: left by a clock that was put back, or by a policy of longer
    /// windows or bans.
    pub fn cut(&mut self, policy: &LoginPolicy, now: Instant) {
        for state in [&mut self.reserved, &mut self.failed] {
            *state = policy.client.within(*state, now);
        }
        self.refunded = policy.refunds.within(self.refunded, now);
        let longest = now.plus(policy.ban.longest.max(policy.ban.first));
        let latest = longest.max(policy.client.within(Instant(u64::MAX), now));
        let latest = latest.next_second();
        if self.banned_until > latest.plus(HELD_UP) {
            self.banned_until = latest;
        }
    }

    pub fn ban_left(&self, now: Instant) -> Option<Duration> {
        (self.banned_until > now).then(|| self.banned_until.since(now))
    }

    /// Whether nothing is known or suspected against the client: no failure, and no attempt without an answer yet.
    pub fn is_clean(&self, now: Instant) -> bool {
        self.failed == Instant::EPOCH && self.bans == 0 && self.reserved <= now
    }

    /// Takes an attempt. On a refusal too, what is left is to be kept if it differs: a ban that starts, and states that lay
    /// ahead of a clock that was put back. `alone`: the record is this client's and not the crowd's, which is never banned.
    pub fn reserve(&mut self, policy: &LoginPolicy, now: Instant, alone: bool) -> Result<(), Stop> {
        self.cut(policy, now);
        if let Some(left) = self.ban_left(now) {
            return Err(Stop::Banned(left));
        }
        let [reserved, failed] = [self.reserved, self.failed].map(|state| policy.client.take(state, now, 1));
        let wait = reserved.wait().max(failed.wait());
        match (reserved, failed) {
            (Decision::Admit { state, .. }, Decision::Admit { .. }) => {
                self.reserved = state;
                Ok(())
            }
            // Also where `reserved` has room: a late answer gives back what time had given back already.
            (_, Decision::Refuse { .. }) if alone => {
                let quiet_over = self.banned_until.plus(policy.ban.forget) <= now;
                let earlier = if quiet_over { 0 } else { self.bans };
                self.bans = earlier.saturating_add(1);
                let length = Instant::from_seconds(now.plus(policy.ban.length(earlier)).seconds());
                // Whoever comes when the ban is over shall have an attempt, and not the next ban for having none.
                self.banned_until = length.max(now.plus(wait).next_second());
                Err(Stop::BanStarts(self.banned_until.since(now)))
            }
            _ => Err(Stop::Limited(wait)),
        }
    }

    /// Gives an attempt back, if no more than the bound were given back already; says whether it did.
    pub fn refund(&mut self, policy: &LoginPolicy, now: Instant) -> bool {
        match policy.refunds.take(self.refunded, now, 1) {
            Decision::Admit { state, .. } => {
                self.refunded = state;
                self.reserved = policy.client.refund(self.reserved, 1);
                true
            }
            Decision::Refuse { .. } => false,
        }
    }

    pub fn count(&mut self, policy: &LoginPolicy, now: Instant) {
        self.failed = policy.client.charge(self.failed, now, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_ahead_of_a_clock_that_was_put_back_makes_no_longer_ban() {
        let policy = crate::guard::login::scene::policy();
        let now = Instant::from_seconds(1_800_000_000);
        let ahead = now.plus(Duration::from_secs(365 * 86_400));
        let with = |reserved, failed| Attempts {
            reserved,
            failed,
            ..Attempts::default()
        };
        let seconds = Duration::from_secs;
        for (mut attempts, alone, stop) in [
            (with(ahead, ahead), true, Stop::BanStarts(seconds(900))),
            (with(Instant::EPOCH, ahead), true, Stop::BanStarts(seconds(900))),
            (with(ahead, Instant::EPOCH), true, Stop::Limited(seconds(180))),
            (with(Instant::EPOCH, ahead), false, Stop::Limited(seconds(180))),
        ] {
            assert_eq!(attempts.reserve(&policy, now, alone), Err(stop));
        }
    }

    #[test]
    fn ban_lengths_do_not_overflow() {
        let ban = BanPolicy {
            first: Duration::from_secs(900),
            factor: 10,
            longest: Duration::MAX,
            forget: Duration::MAX,
            scope: BanScope::All,
        };
        assert!(ban.length(255) >= ban.length(254));
    }
}
