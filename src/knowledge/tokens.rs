//! Verdicts on whole tokens, so that one that comes again costs a hash: good ones until they end, bad ones for a moment.
//!
//! The two are kept apart, so that a flood of bad tokens forgets no good one. All of it goes when a key set changes.

use super::recent::Recent;
use crate::jose::Verified;
use crate::rate::Instant;
use crate::verdict::Reason;
use std::rc::Rc;
use std::time::Duration;

/// What good tokens may weigh together, in bytes: at 500 bytes each, as many as [`super::recent::ENTRIES_MAX`].
const GOOD_BYTES_MAX: usize = 4 << 20;

/// What is remembered of a bad token: a reason and a time.
const BAD_BYTES: usize = 64;
/// 4096 bad tokens: a forged one that is repeated is among them, a flood of different ones is no cheaper for it.
const BAD_BYTES_MAX: usize = 4096 * BAD_BYTES;

/// How long a refusal is repeated unexamined: long against the 1 ms of a signature check, short for an operator who has
/// set a clock or a key right.
const BAD_SPAN: Duration = Duration::from_secs(10);

/// The verdicts of one worker.
#[derive(Debug)]
pub(crate) struct Tokens {
    good: Recent<Rc<Verified>>,
    bad: Recent<(Reason, Instant)>,
}

impl Default for Tokens {
    fn default() -> Self {
        Self {
            good: Recent::new(GOOD_BYTES_MAX),
            bad: Recent::new(BAD_BYTES_MAX),
        }
    }
}

impl Tokens {
    /// A token that was good and has not ended since.
    pub(crate) fn good(&self, hash: u128, now: Instant) -> Option<Rc<Verified>> {
        let verified = self.good.get(hash)?;
        verified.ends.is_none_or(|ends| now < ends).then(|| Rc::clone(verified))
    }

    /// Why a token was refused a moment ago.
    pub(crate) fn bad(&self, hash: u128, now: Instant) -> Option<Reason> {
        let (reason, learnt) = self.bad.get(hash)?;
        (*learnt <= now && now.since(*learnt) < BAD_SPAN).then_some(*reason)
    }

    pub(crate) fn remember_good(&mut self, hash: u128, verified: Rc<Verified>) {
        let weight = verified.weight_bytes();
        self.good.insert(hash, verified, weight);
    }

    /// Remembers a refusal that time does not lift.
    pub(crate) fn remember_bad(&mut self, hash: u128, reason: Reason, now: Instant) {
        if reason != Reason::TokenNotYetValid {
            self.bad.insert(hash, (reason, now), BAD_BYTES);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.good.clear();
        self.bad.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_repeated_for_a_moment_and_no_early_one_at_all() {
        let mut tokens = Tokens::default();
        let now = Instant::from_seconds(100);
        tokens.remember_bad(1, Reason::TokenSignature, now);
        tokens.remember_bad(2, Reason::TokenNotYetValid, now);
        let almost = now.plus(BAD_SPAN - Duration::from_nanos(1));
        assert_eq!(tokens.bad(1, almost), Some(Reason::TokenSignature));
        assert_eq!(tokens.bad(1, now.plus(BAD_SPAN)), None);
        // The clock was set back.
        assert_eq!(tokens.bad(1, Instant::from_seconds(99)), None);
        assert_eq!(tokens.bad(2, now), None);
        tokens.clear();
        assert_eq!(tokens.bad(1, now), None);
    }
}
