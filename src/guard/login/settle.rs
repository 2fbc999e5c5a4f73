//! What an answer gives back of an attempt, and what it leaves counted. A store that fails leaves everything counted.

use super::account::{Account, From, Known};
use super::accounts::Tried;
use super::client::Attempts;
use super::{LoginPolicy, Reservation};
use crate::host::{Counter, Host};
use crate::rate::Instant;
use crate::store::{Table, View};

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The backend let somebody in: the attempt is given back, and the client is known to the account, if it named no other.
    Success,
    /// The backend answered otherwise than a failure, or failed itself (5xx): the attempt is given back.
    Refund,
    /// The backend called it a failure, or no answer came.
    Count,
}

impl LoginPolicy {
    /// Settles an attempt. That the store fails leaves it counted: the safe side.
    pub fn settle(&self, table: &Table, host: &dyn Host, reservation: &Reservation, outcome: Outcome) {
        let now = host.now().whole_milliseconds();
        // Of two names the backend looked one up, nobody knows which: whoever logs in to his own account with another's name
        // beside it has proved nothing of that one.
        let of_accounts = match outcome {
            Outcome::Success if reservation.accounts.len() > 1 => Outcome::Refund,
            other => other,
        };
        let settled = table.change(host, reservation.attempts.home, now, |view| {
            let mut refunded = false;
            let place = view.look(reservation.attempts);
            if outcome != Outcome::Count && place.is_some_and(|place| place.record.is_none()) {
                // Forgotten, and so given back.
                refunded = true;
            } else if let Some(place) = place {
                let mut attempts = Attempts::of(place.record);
                match outcome {
                    Outcome::Count => attempts.count(self, now),
                    Outcome::Success | Outcome::Refund => refunded = attempts.refund(self, now),
                }
                view.put(place, attempts.record(self));
            }
            if of_accounts == Outcome::Success {
                self.forgive_accounts(view, reservation, now);
            }
            self.settle_own(view, reservation, of_accounts, now);
            refunded
        });
        self.settle_accounts(table, host, reservation, of_accounts, now);
        match (outcome, settled) {
            (Outcome::Count, Ok(_)) => host.count(Counter::AttemptFailed),
            (_, Ok(true)) => host.count(Counter::AttemptRefunded),
            (_, Ok(false)) => host.count(Counter::AttemptKept),
            (_, Err(_)) => {}
        }
    }

    pub(super) fn forgive_accounts(&self, view: &mut View, reservation: &Reservation, now: Instant) {
        let noted = || reservation.accounts.iter().filter(|named| named.noted);
        if let Some(rate) = self.accounts.as_ref().filter(|_| noted().next().is_some())
            && let Some(place) = view.look(reservation.tried)
        {
            let mut tried = Tried::of(place.record, now);
            noted().for_each(|named| tried.forgive(rate, named.mark));
            view.put(place, tried.record(rate));
        }
    }

    pub(super) fn settle_own(&self, view: &mut View, reservation: &Reservation, outcome: Outcome, now: Instant) {
        let Some(policy) = &self.account else { return };
        for named in &reservation.accounts {
            let Some(place) = view.look(named.pair) else { continue };
            let known = Known::of(place.record, now);
            let known = match (outcome, known) {
                (Outcome::Success, known) => {
                    Some(Known::new(known.filter(|_| named.from == From::Own), &policy.rate, now))
                }
                (Outcome::Refund, Some(mut known)) if named.from == From::Own => {
                    known.refund(&policy.rate);
                    Some(known)
                }
                _ => None,
            };
            if let Some(known) = known {
                view.put(place, known.record(&policy.rate));
            }
        }
    }

    pub(super) fn settle_accounts(
        &self,
        table: &Table,
        host: &dyn Host,
        reservation: &Reservation,
        outcome: Outcome,
        now: Instant,
    ) {
        let Some(policy) = &self.account else { return };
        for named in &reservation.accounts {
            if named.from == From::Own && outcome != Outcome::Success {
                continue;
            }
            // That it fails leaves the attempt counted: the safe side.
            let _ = table.change(host, named.account.home, now, |view| {
                let Some(place) = view.look(named.account) else { return };
                // Nothing is remembered that could be given back or counted: no other makes room for that.
                if place.record.is_none() {
                    return;
                }
                let mut account = Account::of(place.record, now);
                match outcome {
                    Outcome::Success => account.succeed(&policy.rate, named.from),
                    Outcome::Refund => account.refund(&policy.rate, named.from),
                    Outcome::Count => account.count(now, self.ban.longest, !place.is_crowd()),
                }
                view.put(place, account.record(&policy.rate));
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::login::scene::{Scene, banned};

    #[test]
    fn a_success_gives_back_its_own_attempt_and_nothing_more() {
        let scene = Scene::new();
        scene.fail(4);
        for _ in 0..20 {
            scene.settle(scene.reserve().unwrap(), Outcome::Refund);
        }
        scene.fail(1);
        assert_eq!(scene.reserve(), banned(900));
    }
}
