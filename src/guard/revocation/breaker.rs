//! A breaker for one source: after a row of silences nobody waits for the source or asks it, but for one probe a
//! second. It decides who may ask; what is answered without asking is the caller's `stale` and `on_error`.
//!
//! Only silence counts (no answer, or a status of 500 and above): an answer that makes no sense comes at once and holds
//! nobody up, and it may be one token's doing, which must not cut off all others.

use crate::rate::Instant;
use std::time::Duration;

/// Silences in a row that open the breaker: each costs those who wait for it a whole `timeout`.
const FAILURES_MAX: u32 = 5;

/// Between two probes of a source that is silent, and so the longest that a source which is back goes unnoticed.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// How a worker stands with a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Closed,
    /// A probe is out.
    HalfOpen,
    Open,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Breaker {
    failures: u32,
    /// When the next probe may go out; set while the breaker is not closed.
    probe_at: Option<Instant>,
    probing: bool,
}

impl Breaker {
    /// Whether the source may be asked now. Of an open breaker, one question an interval may.
    pub fn admits(&self, now: Instant) -> bool {
        // A time further ahead than it can be was set before the clock was put back.
        self.probe_at
            .is_none_or(|at| at <= now || at.since(now) > PROBE_INTERVAL)
    }

    /// Notes that an admitted question goes out.
    pub fn asked(&mut self, now: Instant) {
        if self.probe_at.is_some() {
            self.probe_at = Some(now.plus(PROBE_INTERVAL));
            self.probing = true;
        }
    }

    /// Notes an answer, of whatever sense.
    pub fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// Notes a silence.
    pub fn failed(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        self.probing = false;
        if self.failures >= FAILURES_MAX {
            self.probe_at = Some(now.plus(PROBE_INTERVAL));
        }
    }

    pub fn standing(&self) -> Standing {
        match (self.probe_at, self.probing) {
            (None, _) => Standing::Closed,
            (Some(_), true) => Standing::HalfOpen,
            (Some(_), false) => Standing::Open,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Instant {
        Instant(milliseconds * 1_000_000)
    }

    /// Asks, if it may.
    fn asks(breaker: &mut Breaker, now: Instant) -> bool {
        let admitted = breaker.admits(now);
        if admitted {
            breaker.asked(now);
        }
        admitted
    }

    fn opened() -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 0..FAILURES_MAX {
            assert!(asks(&mut breaker, at(5000)) && breaker.standing() == Standing::Closed);
            breaker.failed(at(5000));
        }
        breaker
    }

    #[test]
    fn a_row_of_silences_opens_and_an_answer_between_starts_the_row_anew() {
        let mut breaker = Breaker::default();
        for _ in 0..10 {
            for _ in 1..FAILURES_MAX {
                breaker.failed(at(0));
            }
            assert!(asks(&mut breaker, at(0)));
            breaker.succeeded();
        }
        assert_eq!(opened().standing(), Standing::Open);
    }

    #[test]
    fn an_open_breaker_lets_one_probe_out_an_interval() {
        let mut breaker = opened();
        assert!(!asks(&mut breaker, at(5000)) && !asks(&mut breaker, at(5999)));
        assert!(asks(&mut breaker, at(6000)));
        assert_eq!(breaker.standing(), Standing::HalfOpen);
        assert!(!asks(&mut breaker, at(6000)) && !asks(&mut breaker, at(6999)));
        breaker.failed(at(6200));
        assert!(!asks(&mut breaker, at(7199)) && asks(&mut breaker, at(7200)));
        breaker.succeeded();
        assert!(asks(&mut breaker, at(7201)) && asks(&mut breaker, at(7201)));
        assert_eq!(breaker.standing(), Standing::Closed);
    }

    #[test]
    fn a_lost_probe_and_a_clock_put_back_hold_nobody_for_ever() {
        let mut breaker = opened();
        assert!(asks(&mut breaker, at(6000)) && asks(&mut breaker, at(7000)));
        assert!(asks(&mut breaker, at(100)) && !asks(&mut breaker, at(1099)));
    }
}
