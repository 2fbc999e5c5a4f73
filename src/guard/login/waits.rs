//! How long whoever is refused an attempt has to wait: until no limit refuses him any more, not only the one that spoke.

use super::account::{Account, From, Known};
use super::accounts::Tried;
use super::client::{Attempts, Stop};
use super::{LoginPolicy, Refusal, Reservation};
use crate::host::Host;
use crate::rate::Instant;
use crate::store::{Fingerprint, Table, View};
use std::time::Duration;

impl Refusal {
    /// Has a retry wait at least so long.
    fn at_least(self, wait: Duration) -> Self {
        match self {
            Self::Banned(left) => Self::Banned(left.max(wait)),
            Self::Limited(left) => Self::Limited(left.max(wait)),
            Self::Spraying(left) => Self::Spraying(left.max(wait)),
            Self::Account(left) => Self::Account(left.max(wait)),
            Self::Store(error) => Self::Store(error),
        }
    }
}

impl LoginPolicy {
    /// The refusal, with the longest wait of all limits that would refuse this attempt; what can't be read adds nothing. Writes
    /// only what had to be cut, or the wait that is told would begin anew with each retry.
    pub(super) fn with_longest_wait(
        &self,
        table: &Table,
        host: &dyn Host,
        fresh: &Reservation,
        refusal: Refusal,
        now: Instant,
    ) -> Refusal {
        // Changed like the real ones, and never written.
        let (Ok(mut view), false) = (
            table.view(host, fresh.attempts.home, now),
            matches!(refusal, Refusal::Store(_)),
        ) else {
            return refusal;
        };
        if self.cut_own(&mut view, fresh, now) {
            let home = fresh.attempts.home;
            let _ = table.change(host, home, now, |view| self.cut_own(view, fresh, now));
        }
        let mut refusal = refusal;
        let place = view.look(fresh.attempts);
        let alone = place.is_some_and(|place| !place.is_crowd());
        let mut attempts = Attempts::of(place.and_then(|place| place.record));
        let clean = attempts.is_clean(now);
        if let Err(Stop::Banned(left) | Stop::BanStarts(left) | Stop::Limited(left)) =
            attempts.reserve(self, now, alone)
        {
            refusal = refusal.at_least(left);
        }
        let mut tried = fresh.again();
        let mut own = fresh.again();
        let others = [
            self.note_accounts(&mut view, &mut tried, now),
            self.reserve_own(&mut view, &mut own, now),
        ];
        for other in others.into_iter().flatten() {
            if let Refusal::Spraying(left) | Refusal::Account(left) = other {
                refusal = refusal.at_least(left);
            }
        }
        let Some(policy) = &self.account else { return refusal };
        for named in own.accounts.iter().filter(|named| named.from != From::Own) {
            let home = named.account.home;
            let Ok(mut view) = table.view(host, home, now) else {
                continue;
            };
            if self.cut_account(&mut view, named.account, now) {
                let _ = table.change(host, home, now, |view| self.cut_account(view, named.account, now));
            }
            if let Some(place) = view.look(named.account)
                && let Err(left) =
                    Account::of(place.record, now).reserve(&policy.rate, now, clean, !place.is_crowd(), &self.ban)
            {
                refusal = refusal.at_least(left);
            }
        }
        refusal
    }

    /// Cuts what a clock that was put back left of the accounts that a client tried and of its own allowances; says whether
    /// there was anything.
    fn cut_own(&self, view: &mut View, fresh: &Reservation, now: Instant) -> bool {
        let mut any = false;
        if let Some(rate) = &self.accounts
            && let Some(place) = view.look(fresh.tried)
        {
            let found = Tried::of(place.record, now);
            let mut tried = found;
            tried.cut(rate, Instant::from_seconds(now.seconds()));
            if tried != found {
                view.put(place, tried.record(rate));
                any = true;
            }
        }
        let Some(policy) = &self.account else { return any };
        for named in &fresh.accounts {
            if let Some(place) = view.look(named.pair)
                && let Some(found) = Known::of(place.record, now)
            {
                let mut known = found;
                known.cut(&policy.rate, now);
                if known != found {
                    view.put(place, known.record(&policy.rate));
                    any = true;
                }
            }
        }
        any
    }

    /// The same of an account.
    fn cut_account(&self, view: &mut View, account: Fingerprint, now: Instant) -> bool {
        let (Some(policy), Some(place)) = (&self.account, view.look(account)) else {
            return false;
        };
        let found = Account::of(place.record, now);
        let mut account = found;
        account.cut(&policy.rate, now, &self.ban);
        let any = account != found;
        if any {
            view.put(place, account.record(&policy.rate));
        }
        any
    }
}

impl Reservation {
    /// The same attempt, of which nothing is taken yet.
    fn again(&self) -> Self {
        Self {
            attempts: self.attempts,
            tried: self.tried,
            accounts: self.accounts.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::login::scene::{Scene, policy};
    use crate::guard::login::{AccountPolicy, BanPolicy};
    use crate::rate::Rate;

    #[test]
    fn a_refusal_tells_the_longest_wait_of_all_limits_and_a_retry_then_passes() {
        let mut scene = Scene::new();
        let ban = BanPolicy {
            first: Duration::from_secs(1),
            ..scene.policy.ban
        };
        let from = vec![crate::json::pointer::Pointer::parse("/username").unwrap()];
        scene.policy = LoginPolicy {
            client: Rate::new(2, Duration::from_secs(20), 2),
            account: Some(AccountPolicy {
                rate: Rate::new(1, Duration::from_secs(3600), 1),
                from,
            }),
            accounts: Some(Rate::new(2, Duration::from_secs(600), 2)),
            ban,
            ..policy()
        };
        let reserve = |name: &str| {
            let Scene {
                host,
                table,
                policy,
                client,
            } = &scene;
            policy.reserve(table, host, *client, &[name.to_owned()])
        };
        let _under_way = [reserve("a").unwrap(), reserve("b").unwrap()];
        // By itself, the client's limit would say 10 s.
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        assert_eq!(reserve("c"), Err(Refusal::Limited(minutes(5))));
        assert_eq!(reserve("a"), Err(Refusal::Limited(minutes(60))));
        scene.pass(299);
        assert!(reserve("c").is_err());
        scene.pass(1);
        assert!(reserve("c").is_ok());
        assert_eq!(reserve("a"), Err(Refusal::Account(minutes(55))));
        scene.pass(55 * 60);
        assert!(reserve("a").is_ok());
    }
}
