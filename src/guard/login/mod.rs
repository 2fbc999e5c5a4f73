//! Login attempts: reserved when the request comes in, refunded when the backend answers otherwise than a failure.
//!
//! So a hundred parallel guesses are a hundred attempts. A client's attempts decide who gets in and who is banned; a
//! refusal that comes only from attempts still under way starts no ban. A success gives back its own attempt and nothing
//! more. Beside them, the account's attempts by all clients ([`account`]) and the accounts that a client tried
//! ([`accounts`]). Narrow limits are charged first, and what one refuses is charged to none.
#![deny(clippy::arithmetic_side_effects)]

pub mod account;
pub mod accounts;
mod client;
pub mod name;
mod waits;

pub use client::{BanPolicy, BanScope};

use super::OnError;
use crate::client::Client;
use crate::host::{Counter, Host};
use crate::json::pointer::Pointer;
use crate::operation::Router;
use crate::rate::{Instant, Rate};
use crate::store::{Fingerprint, Home, Record, StoreError, Table, Use, View};
use crate::verdict::Mode;
use account::{Account, From, Known};
use accounts::Tried;
use client::{Attempts, Stop};
use std::collections::BTreeSet;
use std::time::Duration;

/// The configuration's `login`. Its rates are of whole milliseconds, since its records are.
#[derive(Debug, Clone)]
pub struct LoginPolicy {
    pub operations: Router<()>,
    /// Attempts of one client.
    pub client: Rate,
    /// Attempts that are given back to one client: a looser bound on guesses whose answers the policy does not know for
    /// failures.
    pub refunds: Rate,
    pub account: Option<AccountPolicy>,
    /// Accounts that one client may fail with, in whole seconds.
    pub accounts: Option<Rate>,
    pub ban: BanPolicy,
    pub failure: Failure,
    pub on_error: OnError,
    pub mode: Option<Mode>,
}

/// `login.account`.
#[derive(Debug, Clone)]
pub struct AccountPolicy {
    pub rate: Rate,
    /// Where accounts are named in the body; all that are there count.
    pub from: Vec<Pointer>,
}

/// What makes a backend's answer a failed login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub statuses: BTreeSet<u16>,
    /// A header field and its value.
    pub header: Option<(String, String)>,
}

/// Why an attempt is not let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    Banned(Duration),
    /// Over the client's limit, in part by attempts still under way.
    Limited(Duration),
    /// The client tried too many accounts.
    Spraying(Duration),
    /// The account was tried too often.
    Account(Duration),
    Store(StoreError),
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The backend let somebody in: the attempt is given back, and the client is known to the account.
    Success,
    /// The backend answered otherwise than a failure, or failed itself (5xx): the attempt is given back.
    Refund,
    /// The backend called it a failure, or no answer came.
    Count,
}

/// An attempt under way, to be settled once.
#[derive(Debug, PartialEq, Eq)]
pub struct Reservation {
    attempts: Fingerprint,
    tried: Fingerprint,
    accounts: Vec<Named>,
}

/// An account of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Named {
    account: Fingerprint,
    pair: Fingerprint,
    /// Among the accounts that a client tried.
    mark: u16,
    /// Whether this attempt took a unit of the client's accounts.
    noted: bool,
    from: From,
}

/// The end of the ban that a slot of this kind tells of, for whoever looks through the table.
pub fn banned_until(kind: u8, record: &Record) -> Option<Instant> {
    (kind == Use::Login.kind()).then(|| Attempts::of(Some(*record)).banned_until)
}

impl LoginPolicy {
    pub fn key(&self, table: &Table, client: Client) -> Fingerprint {
        self.key_at(table, client, table.home(&client.key()))
    }

    /// The same where the client's bucket is known.
    pub fn key_at(&self, table: &Table, client: Client, home: Home) -> Fingerprint {
        table.fingerprint_at(home, Use::Login, &[&client.key()])
    }

    /// How long the client of this record is still banned, if it is.
    pub fn ban_left(&self, record: Option<Record>, now: Instant) -> Option<Duration> {
        Attempts::of(record).ban_left(now)
    }

    /// Whether the body of a login must be read.
    pub fn asks_body(&self) -> bool {
        self.account.is_some()
    }

    fn named(&self, table: &Table, client: Client, names: &[String]) -> Reservation {
        let attempts = self.key(table, client);
        let client = client.key();
        let named = names.iter().map(|name| {
            let pair = table.fingerprint_at(attempts.home, Use::Pair, &[&client, name.as_bytes()]);
            Named {
                account: table.fingerprint(Use::Account, &[name.as_bytes()]),
                pair,
                mark: pair.mark(),
                noted: false,
                from: From::Shared,
            }
        });
        Reservation {
            attempts,
            tried: table.fingerprint_at(attempts.home, Use::Accounts, &[&client]),
            accounts: named.collect(),
        }
    }

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
                if started {
                    host.count(Counter::BanStarted);
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

    /// What the client's bucket says. On a refusal nothing is kept, but for a ban that starts.
    fn reserve_client(
        &self,
        view: &mut View,
        fresh: &Reservation,
        now: Instant,
    ) -> Result<(Reservation, bool), (Refusal, bool)> {
        let place = view.look(fresh.attempts);
        let alone = place.is_some_and(|place| !place.is_crowd());
        let mut attempts = Attempts::of(place.and_then(|place| place.record));
        let clean = attempts.is_clean(now);
        let taken = attempts.reserve(self, now, alone);
        let starts = matches!(taken, Err(Stop::BanStarts(_)));
        if let (Ok(()) | Err(Stop::BanStarts(_)), Some(place)) = (&taken, place) {
            view.put(place, attempts.record(self));
        }
        match taken {
            Ok(()) => {}
            Err(Stop::Banned(left) | Stop::BanStarts(left)) => return Err((Refusal::Banned(left), starts)),
            Err(Stop::Limited(left)) => return Err((Refusal::Limited(left), false)),
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
                Err((refusal, false))
            }
        }
    }

    fn note_accounts(&self, view: &mut View, reservation: &mut Reservation, now: Instant) -> Option<Refusal> {
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
    fn reserve_own(&self, view: &mut View, reservation: &mut Reservation, now: Instant) -> Option<Refusal> {
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
            let mut account = Account::of(place.record, now);
            let taken = account.reserve(&policy.rate, now, clean, !place.is_crowd(), self.ban.forget);
            let from = taken.map_err(Refusal::Account)?;
            view.put(place, account.record(&policy.rate));
            Ok(from)
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

    fn forgive_accounts(&self, view: &mut View, reservation: &Reservation, now: Instant) {
        let noted = || reservation.accounts.iter().filter(|named| named.noted);
        if let Some(rate) = self.accounts.as_ref().filter(|_| noted().next().is_some())
            && let Some(place) = view.look(reservation.tried)
        {
            let mut tried = Tried::of(place.record, now);
            noted().for_each(|named| tried.forgive(rate, named.mark));
            view.put(place, tried.record(rate));
        }
    }

    fn settle_own(&self, view: &mut View, reservation: &Reservation, outcome: Outcome, now: Instant) {
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

    fn settle_accounts(
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
                if named.from == From::Own && place.record.is_none() {
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

    /// Settles an attempt. That the store fails leaves it counted: the safe side.
    pub fn settle(&self, table: &Table, host: &dyn Host, reservation: &Reservation, outcome: Outcome) {
        let now = host.now().whole_milliseconds();
        let settled = table.change(host, reservation.attempts.home, now, |view| {
            let mut refunded = false;
            if let Some(place) = view.look(reservation.attempts) {
                let mut attempts = Attempts::of(place.record);
                match outcome {
                    Outcome::Count => attempts.count(self, now),
                    Outcome::Success | Outcome::Refund => refunded = attempts.refund(self, now),
                }
                view.put(place, attempts.record(self));
            }
            if outcome == Outcome::Success {
                self.forgive_accounts(view, reservation, now);
            }
            self.settle_own(view, reservation, outcome, now);
            refunded
        });
        self.settle_accounts(table, host, reservation, outcome, now);
        match (outcome, settled) {
            (Outcome::Count, Ok(_)) => host.count(Counter::AttemptFailed),
            (_, Ok(true)) => host.count(Counter::AttemptRefunded),
            (_, Ok(false)) => host.count(Counter::AttemptKept),
            (_, Err(_)) => {}
        }
    }

    /// What a backend's answer means; `header` gives the values of a response field.
    pub fn outcome(&self, status: u16, header: impl Fn(&str) -> Vec<Vec<u8>>) -> Outcome {
        let named = self
            .failure
            .header
            .as_ref()
            .is_some_and(|(name, value)| header(name).iter().any(|found| found == value.as_bytes()));
        match status {
            500.. => Outcome::Refund,
            _ if named || self.failure.statuses.contains(&status) => Outcome::Count,
            200..=399 => Outcome::Success,
            _ => Outcome::Refund,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Prefixes;
    use crate::host::memory::MemoryHost;

    fn policy() -> LoginPolicy {
        LoginPolicy {
            operations: Router::default(),
            client: Rate::new(5, Duration::from_secs(900), 5),
            refunds: Rate::new(100, Duration::from_secs(900), 100),
            account: None,
            accounts: None,
            ban: BanPolicy {
                first: Duration::from_secs(900),
                factor: 2,
                longest: Duration::from_secs(3000),
                forget: Duration::from_secs(86_400),
                scope: BanScope::Login,
            },
            failure: Failure {
                statuses: [400, 401, 403, 422].into(),
                header: Some(("x-login".into(), "failed".into())),
            },
            on_error: OnError::Deny,
            mode: None,
        }
    }

    struct Scene {
        host: MemoryHost,
        table: Table,
        policy: LoginPolicy,
        client: Client,
    }

    impl Scene {
        fn new() -> Self {
            let host = MemoryHost::default();
            let table = Table::open(&host, 1 << 20).unwrap();
            let client = Prefixes { ipv4: 32, ipv6: 64 }.client("192.0.2.1".parse().unwrap());
            let policy = policy();
            Self {
                host,
                table,
                policy,
                client,
            }
        }

        fn reserve(&self) -> Result<Reservation, Refusal> {
            self.policy.reserve(&self.table, &self.host, self.client, &[])
        }

        fn settle(&self, reservation: Reservation, outcome: Outcome) {
            self.policy.settle(&self.table, &self.host, &reservation, outcome);
        }

        fn fail(&self, times: u32) {
            for _ in 0..times {
                self.settle(self.reserve().unwrap(), Outcome::Count);
            }
        }

        fn pass(&self, seconds: u64) {
            self.host.advance(Duration::from_secs(seconds));
        }
    }

    const fn banned(seconds: u64) -> Result<Reservation, Refusal> {
        Err(Refusal::Banned(Duration::from_secs(seconds)))
    }

    #[test]
    fn the_sixth_attempt_after_five_failures_is_banned() {
        let scene = Scene::new();
        scene.fail(5);
        assert_eq!(scene.reserve(), banned(900));
        assert_eq!(scene.host.counted(Counter::BanStarted), 1);
        scene.pass(899);
        assert_eq!(scene.reserve(), banned(1));
        let record = scene
            .table
            .peek(&scene.host, scene.policy.key(&scene.table, scene.client))
            .unwrap();
        let left = scene.policy.ban_left(record, scene.host.now());
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
    fn a_success_gives_back_its_own_attempt_and_nothing_more() {
        let scene = Scene::new();
        scene.fail(4);
        for _ in 0..20 {
            scene.settle(scene.reserve().unwrap(), Outcome::Refund);
        }
        scene.fail(1);
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

    #[test]
    fn a_backend_failure_is_no_failed_login_and_a_header_can_tell() {
        let policy = policy();
        let none = |_: &str| Vec::new();
        for (status, outcome) in [
            (200, Outcome::Success),
            (302, Outcome::Success),
            (401, Outcome::Count),
            (422, Outcome::Count),
            (500, Outcome::Refund),
            (404, Outcome::Refund),
        ] {
            assert_eq!(policy.outcome(status, none), outcome, "{status}");
        }
        let failed = |name: &str| {
            if name == "x-login" {
                vec![b"failed".to_vec()]
            } else {
                Vec::new()
            }
        };
        assert_eq!(policy.outcome(200, failed), Outcome::Count);
        assert_eq!(policy.outcome(503, failed), Outcome::Refund);
    }

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
