//! The rate maths: GCRA (the generic cell rate algorithm, ITU-T I.371), as pure functions of old state, now and limit.
//!
//! The state is one instant, the theoretical arrival time: how far it lies ahead of now is how much of the burst is
//! used. In any span t at most `burst + limit·t/window` units are admitted. No clock and no store here.
#![deny(clippy::arithmetic_side_effects)]

use std::time::Duration;

/// An instant in nanoseconds since the Unix epoch, as the host gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Instant(pub u64);

impl Instant {
    pub const EPOCH: Self = Self(0);

    pub fn from_seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(NANOS_PER_SECOND))
    }

    pub fn seconds(self) -> u64 {
        self.0 / NANOS_PER_SECOND
    }

    pub fn from_milliseconds(milliseconds: u64) -> Self {
        Self(milliseconds.saturating_mul(NANOS_PER_MILLISECOND))
    }

    pub fn milliseconds(self) -> u64 {
        self.0 / NANOS_PER_MILLISECOND
    }

    /// The last whole millisecond.
    pub fn whole_milliseconds(self) -> Self {
        Self::from_milliseconds(self.milliseconds())
    }

    /// The first whole second at or after it.
    pub fn next_second(self) -> Self {
        Self::from_seconds(self.0.div_ceil(NANOS_PER_SECOND))
    }

    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(nanos(span)))
    }

    /// Stops at the epoch.
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(span)))
    }

    /// The time since `earlier`; zero if `earlier` lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

const NANOS_PER_SECOND: u64 = 1_000_000_000;
const NANOS_PER_MILLISECOND: u64 = 1_000_000;

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// `limit` units each `window`, of which `burst` may come at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Nanoseconds that earn one unit, rounded up: never more than the limit is admitted.
    unit: u64,
    burst: u32,
}

/// What one request may do, and when the next one may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Admitted: the state to keep and how many more would be admitted now.
    Admit { state: Instant, remaining: u32 },
    /// Refused: the state stays; a retry after this time is admitted if nothing else comes between.
    Refuse { retry_after: Duration },
}

/// How far the clocks of two workers that write the same state may be apart: each reads the time when its event begins, and
/// may be held up before it writes.
pub const HELD_UP: Duration = Duration::from_secs(10);

impl Decision {
    /// How long a retry has to wait; zero if it was admitted.
    pub fn wait(self) -> Duration {
        match self {
            Self::Admit { .. } => Duration::ZERO,
            Self::Refuse { retry_after } => retry_after,
        }
    }
}

impl Rate {
    /// `limit` and `burst` are at least 1, or they are taken as 1; a rate above 10^9 a second counts as 10^9.
    pub fn new(limit: u32, window: Duration, burst: u32) -> Self {
        Self {
            unit: nanos(window).div_ceil(u64::from(limit.max(1))).max(1),
            burst: burst.max(1),
        }
    }

    fn in_steps(self, step: u64) -> Self {
        let unit = self.unit.checked_next_multiple_of(step).unwrap_or(u64::MAX);
        Self { unit, ..self }
    }

    /// The same for states kept in whole milliseconds, with `now` cut to them: never more is admitted.
    #[must_use]
    pub fn in_milliseconds(self) -> Self {
        self.in_steps(NANOS_PER_MILLISECOND)
    }

    /// The same in whole seconds.
    #[must_use]
    pub fn in_seconds(self) -> Self {
        self.in_steps(NANOS_PER_SECOND)
    }

    fn span(&self, units: u32) -> u64 {
        self.unit.saturating_mul(u64::from(units))
    }

    /// What is used of the burst at `now`. A state further ahead than any admitted request leaves it (a changed limit,
    /// a clock that was set back, a damaged cell) counts as a burst used up. It heals within one window if it is kept as
    /// [`Rate::within`] gives it.
    fn used(&self, state: Instant, now: Instant) -> u64 {
        state.0.saturating_sub(now.0).min(self.span(self.burst))
    }

    /// The state, if any admitted request could leave it; the latest such state otherwise. To be kept on a refusal too: a
    /// state that stays ahead refuses again and again.
    ///
    /// A worker that was held up has an older `now` than the one that wrote the state: what lies ahead by less than
    /// [`HELD_UP`] is kept, or each such refusal would give back the difference (measured: one request of 4,104 too many).
    pub fn within(&self, state: Instant, now: Instant) -> Instant {
        let latest = now.plus(Duration::from_nanos(self.span(self.burst)));
        if state > latest.plus(HELD_UP) { latest } else { state }
    }

    /// Asks for `units` at `now`.
    pub fn take(&self, state: Instant, now: Instant, units: u32) -> Decision {
        let wanted = self.used(state, now).saturating_add(self.span(units));
        let allowed = self.span(self.burst);
        if wanted <= allowed {
            let left = allowed.saturating_sub(wanted);
            Decision::Admit {
                state: Instant(now.0.saturating_add(wanted)),
                remaining: u32::try_from(left.checked_div(self.unit).unwrap_or(0)).unwrap_or(u32::MAX),
            }
        } else {
            Decision::Refuse {
                retry_after: Duration::from_nanos(wanted.saturating_sub(allowed)),
            }
        }
    }

    /// Charges `units` whether or not they fit, up to a burst used up.
    pub fn charge(&self, state: Instant, now: Instant, units: u32) -> Instant {
        let used = self.used(state, now).saturating_add(self.span(units));
        Instant(now.0.saturating_add(used.min(self.span(self.burst))))
    }

    /// Gives back `units` that were taken and not used.
    pub fn refund(&self, state: Instant, units: u32) -> Instant {
        Instant(state.0.saturating_sub(self.span(units)))
    }

    /// The time from `now` to one more unit; zero with a full burst.
    pub fn next_unit(&self, state: Instant, now: Instant) -> Duration {
        let used = self.used(state, now);
        let into_unit = used.checked_rem(self.unit).unwrap_or(0);
        Duration::from_nanos(if used > 0 && into_unit == 0 {
            self.unit
        } else {
            into_unit
        })
    }

    /// The instant until which a client with this state is refused one unit; at or before `now` if it is not.
    pub fn refused_until(&self, state: Instant) -> Instant {
        Instant(state.0.saturating_sub(self.span(self.burst.saturating_sub(1))))
    }
}

/// Whole seconds for `Retry-After`, rounded up: at that second a retry is admitted (RFC 9110 §10.2.3). At least 1.
pub fn retry_after_seconds(span: Duration) -> u64 {
    span.as_secs().saturating_add(u64::from(span.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const START: Instant = Instant(1_700_000_000 * NANOS_PER_SECOND);

    fn later(seconds: u64) -> Instant {
        START.plus(Duration::from_secs(seconds))
    }

    #[track_caller]
    fn admitted(rate: Rate, state: Instant, now: Instant) -> (Instant, u32) {
        match rate.take(state, now, 1) {
            Decision::Admit { state, remaining } => (state, remaining),
            Decision::Refuse { retry_after } => panic!("refused for {retry_after:?}"),
        }
    }

    #[test]
    fn a_burst_is_admitted_then_one_each_unit() {
        let rate = Rate::new(6, MINUTE, 3);
        let (state, remaining) = admitted(rate, Instant::EPOCH, START);
        assert_eq!(remaining, 2);
        let (state, remaining) = admitted(rate, state, START);
        assert_eq!(remaining, 1);
        let (state, remaining) = admitted(rate, state, START);
        assert_eq!(remaining, 0);
        let refused = Decision::Refuse {
            retry_after: Duration::from_secs(10),
        };
        assert_eq!(rate.take(state, START, 1), refused);
        assert_eq!(rate.refused_until(state), later(10));
        assert_eq!(rate.next_unit(state, START), Duration::from_secs(10));
        let early = Instant(later(10).0 - 1);
        assert!(matches!(rate.take(state, early, 1), Decision::Refuse { .. }));
        admitted(rate, state, later(10));
    }

    #[test]
    fn a_refund_gives_back_exactly_one_unit() {
        let rate = Rate::new(5, MINUTE, 5);
        let mut state = Instant::EPOCH;
        for _ in 0..5 {
            state = admitted(rate, state, START).0;
        }
        state = rate.refund(state, 1);
        state = admitted(rate, state, START).0;
        assert!(matches!(rate.take(state, START, 1), Decision::Refuse { .. }));
        assert_eq!(rate.refund(Instant::EPOCH, 1), Instant::EPOCH);
    }

    #[test]
    fn a_state_from_the_far_future_heals_within_one_burst() {
        let rate = Rate::new(5, MINUTE, 5);
        let refused = Decision::Refuse {
            retry_after: Duration::from_secs(12),
        };
        assert_eq!(rate.take(Instant(u64::MAX), START, 1), refused);
        let kept = rate.within(Instant(u64::MAX), START);
        assert_eq!(rate.take(kept, START, 1), refused);
        assert!(matches!(rate.take(kept, later(11), 1), Decision::Refuse { .. }));
        assert_eq!(admitted(rate, kept, later(12)).1, 0);
        assert_eq!(rate.within(later(60), START), later(60));
        assert_eq!(rate.within(later(60), later(1)), later(60));
        assert_eq!(rate.within(later(61), START), later(61));
        assert_eq!(rate.within(later(70), START), later(70));
        assert_eq!(rate.within(later(71), START), later(60));
    }

    #[test]
    fn more_units_than_the_burst_never_fit() {
        let rate = Rate::new(5, MINUTE, 5);
        assert!(matches!(rate.take(Instant::EPOCH, START, 6), Decision::Refuse { .. }));
        assert!(matches!(
            rate.take(Instant::EPOCH, START, 5),
            Decision::Admit { remaining: 0, .. }
        ));
    }

    #[test]
    fn extreme_rates_and_times_do_not_overflow() {
        for rate in [
            Rate::new(u32::MAX, Duration::from_nanos(1), u32::MAX),
            Rate::new(1, Duration::MAX, u32::MAX),
            Rate::new(0, Duration::ZERO, 0),
        ] {
            for state in [Instant(0), START, Instant(u64::MAX)] {
                for now in [Instant(0), START, Instant(u64::MAX)] {
                    let _ = rate.take(state, now, u32::MAX);
                    let _ = rate.charge(state, now, u32::MAX);
                    let _ = rate.next_unit(state, now);
                    let _ = rate.refused_until(rate.refund(state, u32::MAX));
                }
            }
        }
    }

    /// A small deterministic generator: the property is checked on the same thousand histories each time.
    #[test]
    fn no_history_admits_more_than_burst_plus_rate_times_time() {
        let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
        let mut random = move |below: u64| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed % below
        };
        for _ in 0..1000 {
            let limit = u32::try_from(random(50)).unwrap() + 1;
            let burst = u32::try_from(random(50)).unwrap() + 1;
            let window = Duration::from_millis(random(10_000) + 1);
            let rate = Rate::new(limit, window, burst);
            let (mut state, mut now, mut admissions) = (Instant::EPOCH, START, Vec::new());
            for _ in 0..200 {
                now = now.plus(Duration::from_micros(random(200_000)));
                match rate.take(state, now, 1) {
                    Decision::Admit { state: next, .. } => {
                        state = next;
                        admissions.push(now);
                    }
                    Decision::Refuse { retry_after } => {
                        let just_before = now.plus(retry_after.saturating_sub(Duration::from_nanos(1)));
                        assert!(matches!(rate.take(state, just_before, 1), Decision::Refuse { .. }));
                        assert!(matches!(
                            rate.take(state, now.plus(retry_after), 1),
                            Decision::Admit { .. }
                        ));
                        // As `Retry-After` tells it: in whole seconds.
                        let told = Duration::from_secs(retry_after_seconds(retry_after));
                        let admits = |at| matches!(rate.take(state, at, 1), Decision::Admit { .. });
                        assert!(admits(now.plus(told)));
                        assert!(!admits(now.plus(told.saturating_sub(Duration::from_secs(1)))));
                    }
                }
            }
            for (first, start) in admissions.iter().enumerate() {
                for (last, end) in admissions.iter().enumerate().skip(first) {
                    let span = end.since(*start).as_nanos();
                    let bound = u128::from(burst) + span * u128::from(limit) / window.as_nanos();
                    let count = u128::try_from(last - first + 1).unwrap();
                    assert!(count <= bound, "{count} in {span} ns, {limit}/{window:?} burst {burst}");
                }
            }
        }
    }

    #[test]
    fn retry_after_is_rounded_up_and_never_zero() {
        for (span, seconds) in [(0, 1), (1, 1), (NANOS_PER_SECOND, 1), (NANOS_PER_SECOND + 1, 2)] {
            assert_eq!(retry_after_seconds(Duration::from_nanos(span)), seconds);
        }
    }
}
