//! A model check of the table: every interleaving of a few workers' reads and writes, on the real code.
//!
//! Each worker is a thread that stops before every access to a cell until it is chosen; a schedule is the list of choices.
//! All schedules are run (of the longest, all with up to three or four delays), by trying the next choice at the last place where there
//! is one.

mod workers;

use super::{Fingerprint, Record, Table, Use};
use crate::client::{Client, Prefixes};
use crate::guard::OnError;
use crate::guard::login::{self, BanPolicy, BanScope, Failure, LoginPolicy, Outcome};
use crate::guard::quota::{By, Charge, Quota, Refusal, charge};
use crate::host::Host;
use crate::operation::Router;
use crate::rate::{Instant, Rate};
use std::sync::Arc;
use std::time::Duration;
use workers::{Cells, Job, explore};

const SMALL: u64 = 2_268;
fn table() -> (Cells, Table) {
    let host = Cells::default();
    let table = Table::open(&host, SMALL).unwrap();
    (host, table)
}

fn quota(limit: u32) -> Quota {
    let window = Duration::from_secs(60);
    Quota {
        name: "q".into(),
        limit,
        window,
        rate: Rate::new(limit, window, limit),
        by: vec![By::Client],
        operations: None,
        mode: None,
        announced: String::new(),
    }
}

fn charging(table: &Table, limit: u32) -> Job {
    let table = table.clone();
    Arc::new(move |host| {
        let quota = quota(limit);
        let key = quota.fingerprint(&table, table.holder(b"client"), |_| b"client".to_vec());
        let mut charges = [Charge::new(0, &quota, key, false)];
        match charge::<()>(&table, host, None, &mut charges, 1) {
            Ok(_) => 1,
            Err(Refusal::Exceeded(_)) => 0,
            Err(other) => panic!("{other:?}"),
        }
    })
}

fn banned(table: &Table) -> Fingerprint {
    table.holder(b"client").record(Use::Login)
}

#[test]
fn no_interleaving_admits_more_than_the_limit() {
    for (workers, limit) in [(2, 1), (3, 2), (3, 1)] {
        let (_, view) = table();
        let jobs: Vec<Job> = (0..workers).map(|_| charging(&view, limit)).collect();
        let runs = explore(
            || table().0,
            &jobs,
            usize::MAX,
            |answers, _| assert_eq!(answers.iter().sum::<u64>(), u64::from(limit)),
        );
        assert!(runs > 2, "{runs}");
    }
}

#[test]
fn no_interleaving_loses_a_ban() {
    let (_, view) = table();
    let until = Instant::from_seconds(1_900_000_000);
    let ban: Job = {
        let table = view.clone();
        Arc::new(move |host| {
            let record = Record {
                words: [7, 8, 9],
                idle_at: until,
                held_until: until,
            };
            table
                .update(host, banned(&table), host.now(), |_| (Some(record), 1))
                .unwrap()
        })
    };
    // Others write the same bucket: a quota of the same client, and a newcomer.
    let newcomer: Job = {
        let table = view.clone();
        Arc::new(move |host| {
            let key = table.fingerprint(Use::Quota("other"), &[b"x"]);
            let record = Record::default();
            table.update(host, key, host.now(), |_| (Some(record), 1)).unwrap()
        })
    };
    let runs = explore(
        || table().0,
        &[ban, charging(&view, 1), newcomer],
        usize::MAX,
        |answers, host| {
            assert_eq!(answers, [1, 1, 1]);
            let found = view.peek(host, banned(&view)).unwrap().unwrap();
            assert_eq!((found.words, found.held_until), ([7, 8, 9], until));
        },
    );
    assert!(runs > 20, "{runs}");
}

#[test]
fn workers_that_open_at_once_see_one_table_and_lose_nothing() {
    let open: Job = Arc::new(|host| {
        let table = Table::open(host, SMALL).unwrap();
        let key = banned(&table);
        let counted = table.update(host, key, host.now(), |found| {
            let count = found.map_or(0, |record| record.words[0]) + 1;
            let until = Instant::from_seconds(1_900_000_000);
            let record = Record {
                words: [count, 0, 0],
                idle_at: until,
                held_until: until,
            };
            (Some(record), ())
        });
        counted.unwrap();
        u64::from_le_bytes(table.key()[..8].try_into().unwrap())
    });
    let runs = explore(Cells::default, &[Arc::clone(&open), open], 3, |answers, host| {
        assert_eq!(answers[0], answers[1], "one key");
        let table = Table::open(host, SMALL).unwrap();
        let found = table.peek(host, banned(&table)).unwrap().unwrap();
        assert_eq!(found.words[0], 2);
    });
    assert!(runs > 100, "{runs}");
}

fn login(attempts: u32) -> LoginPolicy {
    let window = Duration::from_secs(900);
    let rate = |limit| Rate::new(limit, window, limit).in_milliseconds();
    LoginPolicy {
        operations: Router::default(),
        client: rate(attempts),
        refunds: rate(100),
        account: None,
        accounts: None,
        ban: BanPolicy {
            first: window,
            factor: 2,
            longest: window,
            forget: window,
            scope: BanScope::Login,
        },
        failure: Failure {
            statuses: [401].into(),
            header: None,
        },
        on_error: OnError::Deny,
        mode: None,
    }
}

fn client() -> Client {
    Prefixes { ipv4: 32, ipv6: 64 }.client([192, 0, 2, 1].into())
}

/// Reserves an attempt and, if it got one, settles it so.
fn trying(table: &Table, attempts: u32, outcome: Outcome) -> Job {
    let table = table.clone();
    Arc::new(move |host| {
        let policy = login(attempts);
        match policy.reserve(&table, host, client(), &[]) {
            Ok(reservation) => {
                policy.settle(&table, host, &reservation, outcome);
                1
            }
            Err(login::Refusal::Limited(_) | login::Refusal::Banned(_)) => 0,
            Err(other) => panic!("{other:?}"),
        }
    })
}

#[test]
fn no_interleaving_of_guesses_gets_more_than_the_attempts_or_loses_the_ban() {
    for (guesses, attempts) in [(2, 1), (3, 1), (3, 2)] {
        let (_, view) = table();
        let jobs: Vec<Job> = (0..guesses).map(|_| trying(&view, attempts, Outcome::Count)).collect();
        let runs = explore(
            || table().0,
            &jobs,
            4,
            |answers, host| {
                assert_eq!(answers.iter().sum::<u64>(), u64::from(attempts));
                // All have failed: whoever comes now is banned, and only now or since one of these was refused.
                let policy = login(attempts);
                let next = policy.reserve(&view, host, client(), &[]);
                assert!(matches!(next, Err(login::Refusal::Banned(_))), "{next:?}");
                let key = policy.key(&view, client());
                let mut bucket = view.view(host, key.home, host.now()).unwrap();
                assert!(policy.ban_left(&mut bucket, key, host.now()).is_some());
            },
        );
        assert!(runs > 10, "{runs}");
    }
}

#[test]
fn no_interleaving_of_a_good_login_gives_a_guesser_more() {
    let (_, view) = table();
    let jobs = [
        trying(&view, 2, Outcome::Count),
        trying(&view, 2, Outcome::Success),
        trying(&view, 2, Outcome::Count),
    ];
    let runs = explore(
        || table().0,
        &jobs,
        3,
        |answers, host| {
            let policy = login(2);
            let mut failed = answers[0] + answers[2];
            while let Ok(reservation) = policy.reserve(&view, host, client(), &[]) {
                policy.settle(&view, host, &reservation, Outcome::Count);
                failed += 1;
            }
            assert_eq!(failed, 2);
        },
    );
    assert!(runs > 10, "{runs}");
}

/// A quota of each client's own and one that all share, in buckets of their own.
fn charging_both(table: &Table, client: &'static [u8]) -> Job {
    let table = table.clone();
    Arc::new(move |host| u64::from(charge_both(&table, host, client, true)))
}

fn charge_both(table: &Table, host: &dyn Host, client: &[u8], shared: bool) -> bool {
    let own = quota(1);
    let all = Quota {
        name: "all".into(),
        by: Vec::new(),
        ..quota(1)
    };
    let quotas = [&own, &all];
    let mut charges: Vec<_> = (0..=usize::from(shared))
        .map(|at| {
            let key = quotas[at].fingerprint(table, table.holder(client), |_| client.to_vec());
            Charge::new(at, quotas[at], key, false)
        })
        .collect();
    match charge::<()>(table, host, None, &mut charges, 1) {
        Ok(_) => true,
        Err(Refusal::Exceeded(_)) => false,
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn no_interleaving_over_two_buckets_admits_more_or_keeps_what_was_refused() {
    // Enough buckets for these three to stand apart.
    let open = || {
        let host = Cells::default();
        let table = Table::open(&host, 64 * SMALL).unwrap();
        (host, table)
    };
    let (_, view) = open();
    assert_ne!(view.holder(b"a").home, view.holder(b"b").home);
    let jobs = [
        charging_both(&view, b"a"),
        charging_both(&view, b"b"),
        charging_both(&view, b"a"),
    ];
    let runs = explore(
        || open().0,
        &jobs,
        3,
        |answers, host| {
            assert_eq!(answers.iter().sum::<u64>(), 1, "the shared limit");
            for (client, admitted) in [(&b"a"[..], answers[0] + answers[2]), (b"b", answers[1])] {
                assert_eq!(charge_both(&view, host, client, false), admitted == 0, "{client:?}");
            }
        },
    );
    assert!(runs > 10, "{runs}");
}
