//! What is known of the lookup's answers: by all workers, in the shared table, and by this one, which remembers what the
//! table may have forgotten.
//!
//! A record of the table holds the last answer and, while a worker asks, until when it may be at it: one worker asks for
//! all. "Revoked" stands until the token ends; "not revoked" is used for `cache`, and longer only while the source is
//! down. A record may be forgotten for another, unlike a ban: the source is asked again then, and nobody can fill the
//! table with tokens of his own.

use super::clearance::Mark;
use super::{Known, Lookup};
use crate::host::Host;
use crate::knowledge::Recent;
use crate::rate::{HELD_UP, Instant};
use crate::store::{Fingerprint, Record, StoreError, Table, Use};
use std::collections::HashMap;
use std::time::Duration;

/// How long "revoked" is remembered of a token without an end.
const ENDLESS: Duration = Duration::from_secs(24 * 3600);

/// Beyond a question's timeout, the time in which its answer must have been written down.
const WRITE_SLACK: Duration = Duration::from_millis(10);

/// The first word of a record; the second is when the answer's question was asked, the third until when a worker is
/// asking, zero once it was answered, or one once it was not.
const ANSWERED: u64 = 0;
const UNANSWERED: u64 = 1;
const UNTOLD: u64 = 0;
const REVOKED: u64 = 1;
const NOT_REVOKED: u64 = 2;

/// Who asks a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// This worker.
    Mine,
    /// Another one, which has until then.
    Elsewhere(Instant),
    /// Nobody: the source is silent, or too many questions are out.
    Nobody,
}

/// What the table says about a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shared {
    pub known: Option<Known>,
    /// "Revoked", for as long as the token lives.
    pub revoked_for_good: bool,
}

/// What this worker knows.
#[derive(Debug, Default)]
pub struct Answers {
    local: Recent<(bool, Instant)>,
    /// When the questions under way were asked; as many as there are callouts.
    asked: HashMap<Fingerprint, Instant>,
}

fn known(revoked: bool, learnt: Instant, now: Instant) -> Known {
    let age = if now < learnt { Duration::MAX } else { now.since(learnt) };
    Known { revoked, age }
}

/// The name of a question in the table. Of another service, the same path is another question.
pub fn name(table: &Table, lookup: &Lookup, path: &str) -> Fingerprint {
    let endpoint = &lookup.endpoint;
    let parts = [
        endpoint.cluster.as_bytes(),
        endpoint.authority.as_bytes(),
        path.as_bytes(),
    ];
    table.fingerprint(Use::Revocation, &parts)
}

/// What all workers know of a question.
///
/// # Errors
/// If the table can't be read.
pub fn shared(table: &Table, host: &dyn Host, lookup: &Lookup, question: Fingerprint) -> Result<Shared, StoreError> {
    let Some(record) = table.peek(host, question)? else {
        return Ok(Shared {
            known: None,
            revoked_for_good: false,
        });
    };
    let (now, learnt) = (host.now(), Instant(record.words[1]));
    Ok(match record.words[0] {
        REVOKED => Shared {
            known: Some(known(true, learnt, now)),
            revoked_for_good: lookup.names_token() && record.idle_at > now,
        },
        NOT_REVOKED => Shared {
            known: Some(known(false, learnt, now)),
            revoked_for_good: false,
        },
        _ => Shared {
            known: None,
            revoked_for_good: false,
        },
    })
}

/// Makes a question this worker's, unless another is at it, or has had an answer that `serves` since this worker looked.
/// A table that can't keep the mark stops nobody from asking. The mark of a worker that was lost holds for the timeout, and
/// longer, up to [`HELD_UP`], only where the clock was put back since by less than that.
pub fn claim(
    table: &Table,
    host: &dyn Host,
    timeout: Duration,
    question: Fingerprint,
    serves: impl Fn(Ending) -> bool,
) -> Claim {
    let now = host.now();
    let until = awaited_until(now, timeout);
    let claimed = table.update(host, question, now, |record| {
        let [kind, learnt, asked_until] = record.map_or([UNTOLD, 0, 0], |record| record.words);
        let other = Instant(asked_until);
        // A mark further ahead than any can be was made before the clock was put back.
        if now < other && other <= until.plus(HELD_UP) {
            return (None, Claim::Elsewhere(other.min(until)));
        }
        if serves(Ending::of([kind, learnt, asked_until])) {
            return (None, Claim::Elsewhere(now));
        }
        let idle_at = record.map_or(until, |record| record.idle_at.max(until));
        let record = Record {
            words: [kind, learnt, until.0],
            idle_at,
            held_until: Instant::EPOCH,
        };
        (Some(record), Claim::Mine)
    });
    claimed.unwrap_or(Claim::Mine)
}

/// How a question has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// With this answer to a question that was asked then.
    Told { revoked: bool, asked: Instant },
    /// It told nothing, or its record was forgotten for another's.
    Untold,
}

impl Ending {
    /// What the words of a record say of a question that nobody is at.
    const fn of([kind, learnt, asked_until]: [u64; 3]) -> Self {
        // An answer from before the question that failed is not its answer.
        if asked_until == ANSWERED && kind != UNTOLD {
            Self::Told {
                revoked: kind == REVOKED,
                asked: Instant(learnt),
            }
        } else {
            Self::Untold
        }
    }
}

/// How a question that another worker asks has ended: `None` while it is at it.
pub fn ending(table: &Table, host: &dyn Host, question: Fingerprint) -> Option<Ending> {
    let Ok(Some(record)) = table.peek(host, question) else {
        return Some(Ending::Untold);
    };
    let [kind, learnt, asked_until] = record.words;
    if host.now() < Instant(asked_until) {
        return None;
    }
    Some(Ending::of([kind, learnt, asked_until]))
}

/// Writes down how this worker's question, asked then, has ended; `until` it is to be remembered. What was asked later,
/// after the question's mark was lost, stands: a source may have heard of a revocation in between.
///
/// # Errors
/// See [`StoreError`].
pub fn settle(
    table: &Table,
    host: &dyn Host,
    question: Fingerprint,
    revoked: Option<bool>,
    asked: Instant,
    until: Instant,
) -> Result<(), StoreError> {
    let now = host.now();
    table.update(host, question, now, |record| {
        let record = match (revoked, record) {
            (Some(_), Some(record)) if record.words[0] != UNTOLD && is_between(record.words[1], asked, now) => {
                return (None, ());
            }
            (Some(revoked), _) => Record {
                words: [if revoked { REVOKED } else { NOT_REVOKED }, asked.0, ANSWERED],
                idle_at: until,
                held_until: Instant::EPOCH,
            },
            (None, Some(record)) => Record {
                words: [record.words[0], record.words[1], UNANSWERED],
                ..record
            },
            (None, None) => return (None, ()),
        };
        (Some(record), ())
    })
}

/// Whether an answer's question was asked after this one. Not what is ahead of now: the clock was put back since.
fn is_between(learnt: u64, asked: Instant, now: Instant) -> bool {
    asked < Instant(learnt) && Instant(learnt) <= now.plus(HELD_UP)
}

/// Until when those who wait for a question that was asked then may look for its ending.
pub fn awaited_until(asked: Instant, timeout: Duration) -> Instant {
    asked.plus(timeout).plus(WRITE_SLACK)
}

/// Tells every worker that this token is revoked for good.
pub fn publish_revoked(
    table: &Table,
    host: &dyn Host,
    question: Fingerprint,
    ends: Option<Instant>,
) -> Result<(), StoreError> {
    let now = host.now();
    let record = Record {
        words: [REVOKED, now.0, ANSWERED],
        idle_at: ends.unwrap_or_else(|| now.plus(ENDLESS)),
        held_until: Instant::EPOCH,
    };
    table.update(host, question, now, |_| (Some(record), ()))?;
    Mark::advance(host);
    Ok(())
}

impl Answers {
    /// The last answer that this worker got.
    pub fn last(&self, question: Fingerprint, now: Instant) -> Option<Known> {
        let (revoked, learnt) = self.local.get(question.key())?;
        Some(known(*revoked, *learnt, now))
    }

    /// Notes that a question goes out.
    pub fn note_question(&mut self, question: Fingerprint, now: Instant) {
        self.asked.insert(question, now);
    }

    /// Takes in an answer, or that there was none, and tells every worker. It is as old as its question: what was
    /// written after that, it may not know.
    pub fn learn(
        &mut self,
        table: &Table,
        host: &dyn Host,
        lookup: &Lookup,
        question: Fingerprint,
        revoked: Option<bool>,
    ) {
        let now = host.now();
        let learnt = self.asked.remove(&question).unwrap_or(now);
        if let Some(revoked) = revoked {
            self.local.insert(question.key(), (revoked, learnt), 1);
        }
        let told = settle(table, host, question, revoked, learnt, learnt.plus(lookup.cache));
        // That the store fails leaves the answer with this worker; it was counted.
        if told.is_ok() && revoked == Some(true) {
            Mark::advance(host);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::memory::MemoryHost;

    /// A claim for which no answer serves.
    fn mark(table: &Table, host: &MemoryHost, lookup: &Lookup, question: Fingerprint) -> Claim {
        claim(table, host, lookup.endpoint.timeout, question, |_| false)
    }

    fn lookup() -> Lookup {
        super::super::lookup::sample(Duration::from_secs(5))
    }

    #[test]
    fn one_worker_asks_and_all_hear_its_answer() {
        let (host, lookup) = (MemoryHost::default(), lookup());
        let table = Table::open(&host, 1 << 20).unwrap();
        let question = name(&table, &lookup, "/a");
        let mut answers = Answers::default();
        assert_eq!(mark(&table, &host, &lookup, question), Claim::Mine);
        answers.note_question(question, host.now());
        let until = host.now().plus(Duration::from_millis(210));
        assert_eq!(mark(&table, &host, &lookup, question), Claim::Elsewhere(until));
        assert_eq!(ending(&table, &host, question), None);
        host.advance(Duration::from_millis(50));
        answers.learn(&table, &host, &lookup, question, Some(false));
        let asked = host.now().minus(Duration::from_millis(50));
        let told = Ending::Told { revoked: false, asked };
        assert_eq!(ending(&table, &host, question), Some(told));
        let age = Duration::from_millis(50);
        let expected = Some(Known { revoked: false, age });
        assert_eq!(shared(&table, &host, &lookup, question).unwrap().known, expected);
        assert_eq!(answers.last(question, host.now()), expected);
        assert_eq!(mark(&table, &host, &lookup, question), Claim::Mine);
    }

    #[test]
    fn a_worker_whose_time_was_read_a_little_earlier_sees_the_mark_and_the_answer() {
        let (host, lookup) = (MemoryHost::default(), lookup());
        let table = Table::open(&host, 1 << 20).unwrap();
        let question = name(&table, &lookup, "/a");
        let timeout = lookup.endpoint.timeout;
        assert_eq!(mark(&table, &host, &lookup, question), Claim::Mine);
        host.put_back(Duration::from_millis(1));
        let until = awaited_until(host.now(), timeout);
        assert_eq!(mark(&table, &host, &lookup, question), Claim::Elsewhere(until));
        let (now, asked) = (host.now(), host.now().minus(Duration::from_millis(20)));
        host.advance(Duration::from_millis(1));
        publish_revoked(&table, &host, question, None).unwrap();
        host.put_back(Duration::from_millis(1));
        settle(&table, &host, question, Some(false), asked, now).unwrap();
        assert!(shared(&table, &host, &lookup, question).unwrap().revoked_for_good);
    }

    #[test]
    fn an_answer_that_came_since_this_worker_looked_is_not_asked_for_again() {
        let (host, lookup) = (MemoryHost::default(), lookup());
        let table = Table::open(&host, 1 << 20).unwrap();
        let question = name(&table, &lookup, "/a");
        let claim = |expected: Ending| {
            let serves = |ending| ending != Ending::Untold && ending == expected;
            super::claim(&table, &host, lookup.endpoint.timeout, question, serves)
        };
        assert_eq!(claim(Ending::Untold), Claim::Mine);
        let (now, revoked) = (host.now(), false);
        settle(&table, &host, question, Some(revoked), now, now.plus(lookup.cache)).unwrap();
        let told = Ending::Told { revoked, asked: now };
        assert_eq!(claim(told), Claim::Elsewhere(now));
        assert_eq!(ending(&table, &host, question), Some(told));
        assert_eq!(claim(Ending::Untold), Claim::Mine);
        settle(&table, &host, question, None, now, now).unwrap();
        assert_eq!(claim(told), Claim::Mine);
    }

    #[test]
    fn a_failed_question_keeps_the_last_answer_and_ends_the_mark() {
        let (host, lookup) = (MemoryHost::default(), lookup());
        let table = Table::open(&host, 1 << 20).unwrap();
        let question = name(&table, &lookup, "/a");
        let mut answers = Answers::default();
        assert_eq!(mark(&table, &host, &lookup, question), Claim::Mine);
        answers.learn(&table, &host, &lookup, question, None);
        assert_eq!(ending(&table, &host, question), Some(Ending::Untold));
        answers.learn(&table, &host, &lookup, question, Some(true));
        assert_eq!(mark(&table, &host, &lookup, question), Claim::Mine);
        answers.learn(&table, &host, &lookup, question, None);
        assert!(shared(&table, &host, &lookup, question).unwrap().known.unwrap().revoked);
    }

    #[test]
    fn an_answer_that_comes_late_takes_back_nothing_that_was_asked_after_it() {
        let (host, lookup) = (MemoryHost::default(), lookup());
        let table = Table::open(&host, 1 << 20).unwrap();
        let question = name(&table, &lookup, "/a");
        let (mut slow, mut quick) = (Answers::default(), Answers::default());
        slow.note_question(question, host.now());
        // The record of its question is forgotten for another's, so another worker asks.
        host.advance(Duration::from_millis(100));
        assert_eq!(mark(&table, &host, &lookup, question), Claim::Mine);
        quick.note_question(question, host.now());
        let asked = host.now();
        host.advance(Duration::from_millis(10));
        quick.learn(&table, &host, &lookup, question, Some(true));
        let ends = host.now().plus(Duration::from_secs(600));
        publish_revoked(&table, &host, question, Some(ends)).unwrap();
        host.advance(Duration::from_millis(10));
        slow.learn(&table, &host, &lookup, question, Some(false));
        assert!(shared(&table, &host, &lookup, question).unwrap().revoked_for_good);
        assert!(matches!(
            ending(&table, &host, question),
            Some(Ending::Told { revoked: true, .. })
        ));
        // A record from before the clock was put back is no later answer.
        let ahead = host.now().plus(Duration::from_secs(60));
        settle(&table, &host, question, Some(true), ahead, ahead).unwrap();
        settle(&table, &host, question, Some(false), asked, ahead).unwrap();
        assert_eq!(
            ending(&table, &host, question),
            Some(Ending::Told { revoked: false, asked })
        );
    }

    #[test]
    fn a_worker_that_is_lost_and_a_clock_put_back_hold_a_question_no_longer_than_its_timeout() {
        let (host, lookup) = (MemoryHost::default(), lookup());
        let table = Table::open(&host, 1 << 20).unwrap();
        let question = name(&table, &lookup, "/a");
        assert_eq!(mark(&table, &host, &lookup, question), Claim::Mine);
        host.advance(Duration::from_millis(210));
        assert_eq!(ending(&table, &host, question), Some(Ending::Untold));
        assert_eq!(mark(&table, &host, &lookup, question), Claim::Mine);
        let far = Record {
            words: [UNTOLD, 0, u64::MAX],
            idle_at: Instant(u64::MAX),
            held_until: Instant::EPOCH,
        };
        table.update(&host, question, host.now(), |_| (Some(far), ())).unwrap();
        assert_eq!(mark(&table, &host, &lookup, question), Claim::Mine);
    }

    #[test]
    fn a_broken_table_stops_nobody_from_asking() {
        let (host, lookup) = (MemoryHost::default(), lookup());
        let table = Table::open(&host, 1 << 20).unwrap();
        let question = name(&table, &lookup, "/a");
        host.set_broken(true);
        assert_eq!(mark(&table, &host, &lookup, question), Claim::Mine);
        assert!(shared(&table, &host, &lookup, question).is_err());
        assert_eq!(ending(&table, &host, question), Some(Ending::Untold));
    }
}
