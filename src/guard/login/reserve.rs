//! What a request takes before it may go on: an attempt of its client, a unit of the accounts that the client tries, and an
//! attempt at each account; or nothing, and the refusal.

use super::account::{Account, From, Known};
use super::accounts::Tried;
use super::client::{Attempts, Stop};
use super::{LoginPolicy, Outcome, Refusal, Reservation};
use crate::client::Client;
use crate::host::{Counter, Host};
use crate::rate::Instant;
use crate::store::{Fingerprint, StoreError, Table, View};

impl LoginPolicy {
    /// Reserves an attempt at the accounts of these names, in one spelling each: one read and one write for the client, and
    /// one each for every account.
    ///
    /// # Errors
    /// Who is banned or over a limit, with the time after which no limit refuses a retry; a store that can't tell.
    pub fn reserve(
        &self,
        table: &Table,
        host: &dyn Host,
        client: Client,
        names: &[String],
    ) -> Result<Reservation, Refusal> {
        let now = host.now().whole_milliseconds();
        let fresh = self.named(table, client, names);
        let home = fresh.attempts.home;
        let charged = table.change(host, home, now, |view| self.reserve_client(view, &fresh, now));
        let (mut reservation, clean) = match charged.map_err(Refusal::Store)? {
            Ok(charged) => charged,
            Err((refusal, started)) => {
                if let Some(earlier) = started {
                    host.count(Counter::BanStarted);
                    // The record of the earlier ban is written over: nobody will find its end any more.
                    if earlier > Instant::EPOCH && table.unseen(host, home, earlier) {
                        host.count(Counter::BanExpired);
                    }
                }
                return Err(self.with_longest_wait(table, host, &fresh, refusal, now));
            }
        };
        for at in 0..reservation.accounts.len() {
            let Some(named) = reservation.accounts.get(at).filter(|named| named.from != From::Own) else {
                continue;
            };
            match self.reserve_account(table, host, named.account, clean, now) {
                Ok(from) => {
                    if let Some(named) = reservation.accounts.get_mut(at) {
                        named.from = from;
                    }
                }
                Err(refusal) => {
                    self.undo(table, host, reservation, at, now);
                    return Err(self.with_longest_wait(table, host, &fresh, refusal, now));
                }
            }
        }
        host.count(Counter::AttemptReserved);
        Ok(reservation)
    }

    /// What the client's bucket says. On a refusal nothing is taken. Of a ban that starts, the end of the one before it is
    /// told.
    fn reserve_client(
        &self,
        view: &mut View,
        fresh: &Reservation,
        now: Instant,
    ) -> Result<(Reservation, bool), (Refusal, Option<Instant>)> {
        let place = view.look(fresh.attempts);
        let alone = place.is_some_and(|place| !place.is_crowd());
        let found = Attempts::of(place.and_then(|place| place.record));
        let mut attempts = found;
        let clean = attempts.is_clean(now);
        let taken = attempts.reserve(self, now, alone);
        if let Some(place) = place.filter(|_| attempts != found) {
            view.put(place, attempts.record(self));
        }
        match taken {
            Ok(()) => {}
            Err(Stop::BanStarts(left)) => return Err((Refusal::Banned(left), Some(found.banned_until))),
            Err(Stop::Banned(left)) => return Err((Refusal::Banned(left), None)),
            Err(Stop::Limited(left)) => return Err((Refusal::Limited(left), None)),
        }
        let mut reservation = Reservation {
            attempts: fresh.attempts,
            tried: fresh.tried,
            accounts: fresh.accounts.clone(),
        };
        let refused = self
            .note_accounts(view, &mut reservation, now)
            .or_else(|| self.reserve_own(view, &mut reservation, now));
        match refused {
            None => Ok((reservation, clean)),
            Some(refusal) => {
                view.leave();
                Err((refusal, None))
            }
        }
    }

    pub(super) fn note_accounts(
        &self,
        view: &mut View,
        reservation: &mut Reservation,
        now: Instant,
    ) -> Option<Refusal> {
        let rate = self.accounts.as_ref()?;
        // Without a place of its own the client is limited by its attempts alone.
        let place = view.look(reservation.tried)?;
        let seconds = Instant::from_seconds(now.seconds());
        let mut tried = Tried::of(place.record, now);
        for named in &mut reservation.accounts {
            match tried.note(rate, named.mark, seconds) {
                Ok(noted) => named.noted = noted,
                Err(left) => return Some(Refusal::Spraying(left)),
            }
        }
        view.put(place, tried.record(rate));
        None
    }

    /// Takes from what the client has of its own with accounts that know it.
    pub(super) fn reserve_own(&self, view: &mut View, reservation: &mut Reservation, now: Instant) -> Option<Refusal> {
        let rate = &self.account.as_ref()?.rate;
        for named in &mut reservation.accounts {
            let Some(place) = view.look(named.pair) else { continue };
            let Some(mut known) = Known::of(place.record, now) else {
                continue;
            };
            if let Err(left) = known.reserve(rate, now) {
                return Some(Refusal::Account(left));
            }
            view.put(place, known.record(rate));
            named.from = From::Own;
        }
        None
    }

    fn reserve_account(
        &self,
        table: &Table,
        host: &dyn Host,
        account: Fingerprint,
        clean: bool,
        now: Instant,
    ) -> Result<From, Refusal> {
        let Some(policy) = &self.account else {
            return Ok(From::Shared);
        };
        let taken = table.change(host, account.home, now, |view| {
            let Some(place) = view.look(account) else {
                return Err(Refusal::Store(StoreError::Full));
            };
            let found = Account::of(place.record, now);
            let mut account = found;
            let taken = account.reserve(&policy.rate, now, clean, !place.is_crowd(), &self.ban);
            if account != found {
                view.put(place, account.record(&policy.rate));
            }
            taken.map_err(Refusal::Account)
        });
        taken.map_err(Refusal::Store)?
    }

    /// Gives back what an attempt took that a later limit refused: the client's, and that of the first `done` accounts.
    fn undo(&self, table: &Table, host: &dyn Host, mut reservation: Reservation, done: usize, now: Instant) {
        let _ = table.change(host, reservation.attempts.home, now, |view| {
            if let Some(place) = view.look(reservation.attempts)
                && let Some(record) = place.record
            {
                let mut attempts = Attempts::of(Some(record));
                attempts.reserved = self.client.refund(attempts.reserved, 1);
                view.put(place, attempts.record(self));
            }
            self.forgive_accounts(view, &reservation, now);
            self.settle_own(view, &reservation, Outcome::Refund, now);
        });
        reservation.accounts.truncate(done);
        self.settle_accounts(table, host, &reservation, Outcome::Refund, now);
    }
}

#[cfg(test)]
mod tests {
    use crate::guard::login::Outcome;
    use crate::guard::login::Refusal;
    use crate::guard::login::scene::{Scene, banned};
    use crate::host::{Counter, Host};
    use std::time::Duration;

    #[test]
    fn the_sixth_attempt_after_five_failures_is_banned() {
        let scene = Scene::new();
        scene.fail(5);
        assert_eq!(scene.reserve(), banned(900));
        assert_eq!(scene.host.counted(Counter::BanStarted), 1);
        scene.pass(899);
        assert_eq!(scene.reserve(), banned(1));
        let key = scene.policy.key(&scene.table, scene.client);
        let mut view = scene.table.view(&scene.host, key.home, scene.host.now()).unwrap();
        let left = scene.policy.ban_left(&mut view, key, scene.host.now());
        assert_eq!(left, Some(Duration::from_secs(1)));
        scene.pass(1);
        assert!(scene.reserve().is_ok());
        assert_eq!(scene.host.counted(Counter::BanStarted), 1);
    }

    #[test]
    fn parallel_attempts_are_all_counted_and_start_no_ban_while_under_way() {
        let scene = Scene::new();
        let under_way: Vec<_> = (0..5).map(|_| scene.reserve().unwrap()).collect();
        for _ in 0..95 {
            assert!(matches!(scene.reserve(), Err(Refusal::Limited(_))));
        }
        for reservation in under_way {
            scene.settle(reservation, Outcome::Count);
        }
        assert_eq!(scene.reserve(), banned(900));
    }

    #[test]
    fn bans_grow_to_their_longest_and_are_forgotten_after_quiet() {
        let scene = Scene::new();
        for length in [900, 1800, 3000, 3000] {
            scene.fail(5);
            assert_eq!(scene.reserve(), banned(length));
            scene.pass(length + 900);
        }
        scene.pass(86_400);
        scene.fail(5);
        assert_eq!(scene.reserve(), banned(900));
    }

    #[test]
    fn attempts_come_back_one_at_a_time() {
        let scene = Scene::new();
        scene.fail(4);
        scene.pass(180);
        scene.fail(2);
        assert_eq!(scene.reserve(), banned(900));
    }
}
