//! How long whoever is refused an attempt has to wait: until no limit refuses him any more, not only the one that spoke.

use super::account::{Account, From};
use super::client::{Attempts, Stop};
use super::{LoginPolicy, Refusal, Reservation};
use crate::host::Host;
use crate::rate::Instant;
use crate::store::Table;
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
    /// The refusal, with the longest wait of all limits that would refuse this attempt. Reads only; what can't be read adds
    /// nothing.
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
            let Ok(view) = table.view(host, named.account.home, now) else {
                continue;
            };
            if let Some(place) = view.look(named.account)
                && let Err(left) =
                    Account::of(place.record, now).reserve(&policy.rate, now, clean, !place.is_crowd(), self.ban.forget)
            {
                refusal = refusal.at_least(left);
            }
        }
        refusal
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
