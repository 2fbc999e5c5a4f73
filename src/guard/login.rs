//! Login attempts: reserved when the request comes in, refunded when the backend answers otherwise than a failure.
//!
//! So a hundred parallel guesses are a hundred attempts. Two GCRA states are kept for a client: what is reserved
//! decides who gets in, what has failed decides about bans; a refusal that comes only from attempts still under way
//! starts none. A success gives back its own attempt and nothing more. Bans grow and are forgotten after quiet.
#![deny(clippy::arithmetic_side_effects)]

use super::OnError;
use crate::client::Client;
use crate::host::{Counter, Host};
use crate::operation::Router;
use crate::rate::{Decision, Instant, Rate};
use crate::store::{Fingerprint, Record, StoreError, Table, Use};
use crate::verdict::Mode;
use std::collections::BTreeSet;
use std::time::Duration;

/// The configuration's `login`.
#[derive(Debug, Clone)]
pub struct LoginPolicy {
    pub operations: Router<()>,
    /// Attempts of one client.
    pub client: Rate,
    pub ban: BanPolicy,
    pub failure: Failure,
    pub on_error: OnError,
    pub mode: Option<Mode>,
}

/// How long bans last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BanPolicy {
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

/// What makes a backend's answer a failed login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub statuses: BTreeSet<u16>,
    /// A header field and its value.
    pub header: Option<(String, String)>,
}

/// What the table holds of a client's attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Attempts {
    reserved: Instant,
    failed: Instant,
    banned_until: Instant,
    /// How many bans in a row, at most 255.
    bans: u8,
}

/// Why an attempt is not let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    Banned(Duration),
    /// Over the limit, in part by attempts still under way.
    Limited(Duration),
    Store(StoreError),
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The backend answered otherwise than a failure, or failed itself (5xx): the attempt is given back.
    Refund,
    /// The backend called it a failure, or no answer came.
    Count,
}

/// An attempt under way, to be settled once.
#[derive(Debug, PartialEq, Eq)]
pub struct Reservation(Fingerprint);

impl Attempts {
    /// The ban's end is kept in milliseconds in the upper 56 bits of the third word, the count of bans below.
    fn from_record(record: Option<Record>) -> Self {
        let [reserved, failed, ban] = record.map_or([0; 3], |r| r.words);
        Self {
            reserved: Instant(reserved),
            failed: Instant(failed),
            banned_until: Instant((ban >> 8).saturating_mul(1_000_000)),
            bans: u8::try_from(ban & 0xFF).unwrap_or(u8::MAX),
        }
    }

    fn into_record(self, policy: &LoginPolicy) -> Record {
        let milliseconds = self.banned_until.0.div_ceil(1_000_000).min(u64::MAX >> 8);
        let forgotten = if self.bans > 0 {
            self.banned_until.plus(policy.ban.forget)
        } else {
            Instant::EPOCH
        };
        Record {
            words: [self.reserved.0, self.failed.0, milliseconds << 8 | u64::from(self.bans)],
            idle_at: self.reserved.max(self.failed).max(forgotten),
            held_until: self.banned_until.max(policy.client.refused_until(self.reserved)),
        }
    }

    fn ban_left(&self, now: Instant) -> Option<Duration> {
        (self.banned_until > now).then(|| self.banned_until.since(now))
    }
}

impl BanPolicy {
    /// The length of the ban after `earlier` ones.
    fn length(&self, earlier: u8) -> Duration {
        let factor = self.factor.checked_pow(u32::from(earlier)).unwrap_or(u32::MAX);
        self.first.saturating_mul(factor).min(self.longest.max(self.first))
    }
}

impl LoginPolicy {
    pub fn key(&self, table: &Table, client: Client) -> Fingerprint {
        let client = client.key();
        table.fingerprint_at(table.home(&client), Use::Login, &[&client])
    }

    /// How long the client of this record is still banned, if it is.
    pub fn ban_left(&self, record: Option<Record>, now: Instant) -> Option<Duration> {
        Attempts::from_record(record).ban_left(now)
    }

    /// Reserves an attempt.
    ///
    /// # Errors
    /// Who is banned or over the limit, with the time after which a retry is let through; a store that can't tell.
    pub fn reserve(&self, table: &Table, host: &dyn Host, key: Fingerprint) -> Result<Reservation, Refusal> {
        let now = host.now();
        let mut started = false;
        let decision = table.update(host, key, now, |found| {
            started = false;
            let mut attempts = Attempts::from_record(found);
            if let Some(left) = attempts.ban_left(now) {
                return (None, Err(Refusal::Banned(left)));
            }
            match self.client.take(attempts.reserved, now, 1) {
                Decision::Admit { state, .. } => {
                    attempts.reserved = state;
                    (Some(attempts.into_record(self)), Ok(()))
                }
                Decision::Refuse { retry_after } => match self.client.take(attempts.failed, now, 1) {
                    Decision::Admit { .. } => (None, Err(Refusal::Limited(retry_after))),
                    Decision::Refuse { .. } => {
                        let quiet_over = attempts.banned_until.plus(self.ban.forget) <= now;
                        let earlier = if quiet_over { 0 } else { attempts.bans };
                        let length = self.ban.length(earlier);
                        attempts.bans = earlier.saturating_add(1);
                        attempts.banned_until = now.plus(length);
                        started = true;
                        (Some(attempts.into_record(self)), Err(Refusal::Banned(length)))
                    }
                },
            }
        });
        if started && decision.is_ok() {
            host.count(Counter::BanStarted);
        }
        match decision {
            Ok(Ok(())) => {
                host.count(Counter::AttemptReserved);
                Ok(Reservation(key))
            }
            Ok(Err(refusal)) => Err(refusal),
            Err(error) => Err(Refusal::Store(error)),
        }
    }

    /// Settles an attempt. That the store fails leaves it counted: the safe side.
    pub fn settle(&self, table: &Table, host: &dyn Host, reservation: Reservation, outcome: Outcome) {
        let now = host.now();
        let settled = table.update(host, reservation.0, now, |found| {
            let mut attempts = Attempts::from_record(found);
            match outcome {
                Outcome::Refund => attempts.reserved = self.client.refund(attempts.reserved, 1),
                Outcome::Count => attempts.failed = self.client.charge(attempts.failed, now, 1),
            }
            (Some(attempts.into_record(self)), ())
        });
        if settled.is_ok() && outcome == Outcome::Refund {
            host.count(Counter::AttemptRefunded);
        }
    }

    /// What a backend's answer means; `header` gives the values of a response field.
    pub fn outcome(&self, status: u16, header: impl Fn(&str) -> Vec<Vec<u8>>) -> Outcome {
        let named = self
            .failure
            .header
            .as_ref()
            .is_some_and(|(name, value)| header(name).iter().any(|found| found == value.as_bytes()));
        if status < 500 && (self.failure.statuses.contains(&status) || named) {
            Outcome::Count
        } else {
            Outcome::Refund
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
        key: Fingerprint,
    }

    impl Scene {
        fn new() -> Self {
            let host = MemoryHost::default();
            let table = Table::open(&host, 1 << 20).unwrap();
            let client = Prefixes { ipv4: 32, ipv6: 64 }.client("192.0.2.1".parse().unwrap());
            let policy = policy();
            let key = policy.key(&table, client);
            Self {
                host,
                table,
                policy,
                key,
            }
        }

        fn reserve(&self) -> Result<Reservation, Refusal> {
            self.policy.reserve(&self.table, &self.host, self.key)
        }

        fn settle(&self, reservation: Reservation, outcome: Outcome) {
            self.policy.settle(&self.table, &self.host, reservation, outcome);
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
        let record = scene.table.peek(&scene.host, scene.key).unwrap();
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
            (200, Outcome::Refund),
            (302, Outcome::Refund),
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
