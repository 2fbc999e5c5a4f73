//! Request quotas: several at once, each a GCRA state in the table. A request that one refuses is charged to none.

use crate::host::Host;
use crate::rate::{Decision, Instant, Rate, retry_after_seconds};
use crate::store::{Fingerprint, Record, StoreError, Table, Use};
use crate::verdict::Mode;
use std::time::Duration;

/// One quota of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quota {
    pub name: String,
    pub limit: u32,
    pub window: Duration,
    pub rate: Rate,
    /// What tells those apart who are counted; empty counts everybody together.
    pub by: Vec<By>,
    /// Positions of the operations it is about; `None`: every request.
    pub operations: Option<Vec<usize>>,
    pub mode: Option<Mode>,
}

/// A part of a quota's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    Client,
    Operation,
    /// The values of a header field; requests without it are counted as one.
    Header(String),
    /// The token's subject. Requests without a token are not counted.
    Subject,
    /// A claim of the token; tokens without it are counted as one. Requests without a token are not counted.
    Claim(String),
}

/// What an admitted request leaves of a quota, for the `RateLimit` fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    pub quota: usize,
    pub remaining: u32,
    /// Until one more unit.
    pub next_unit: Duration,
}

/// Why a request is not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    Exceeded { quota: usize, retry_after: Duration },
    Store(StoreError),
}

fn record(rate: &Rate, state: Instant) -> Record {
    Record {
        words: [state.0, 0, 0],
        idle_at: state,
        held_until: rate.refused_until(state),
    }
}

fn state(record: Option<Record>) -> Instant {
    let [state, ..] = record.map_or([0; 3], |r| r.words);
    Instant(state)
}

impl Quota {
    /// Whether it counts by what only a token tells, and so is charged after the token.
    pub fn asks_token(&self) -> bool {
        self.by.iter().any(|by| matches!(by, By::Subject | By::Claim(_)))
    }

    /// The key of a request in the table; `part` gives the bytes of each part of `by`.
    pub fn fingerprint(&self, table: &Table, part: impl Fn(&By) -> Vec<u8>) -> Fingerprint {
        let parts: Vec<Vec<u8>> = self.by.iter().map(part).collect();
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        table.fingerprint(Use::Quota(&self.name), &parts)
    }

    fn take(
        &self,
        table: &Table,
        host: &dyn Host,
        key: Fingerprint,
        units: u32,
    ) -> Result<(Decision, Instant), StoreError> {
        let now = host.now();
        let decision = table.update(host, key, now, |found| {
            let decision = self.rate.take(state(found), now, units);
            match decision {
                Decision::Admit { state, .. } => (Some(record(&self.rate, state)), decision),
                Decision::Refuse { .. } => (None, decision),
            }
        })?;
        Ok((decision, now))
    }

    /// Gives units back. That it fails leaves the client charged: the safe side.
    pub fn refund(&self, table: &Table, host: &dyn Host, key: Fingerprint, units: u32) {
        let _ = table.update(host, key, host.now(), |found| {
            let state = self.rate.refund(state(found), units);
            (found.map(|_| record(&self.rate, state)), ())
        });
    }
}

/// Charges a request's units to every quota in order; on a refusal, what was charged is given back.
pub fn charge(
    table: &Table,
    host: &dyn Host,
    quotas: &[(usize, &Quota, Fingerprint)],
    units: u32,
) -> Result<Vec<Standing>, Refusal> {
    let mut standings = Vec::with_capacity(quotas.len());
    for (done, (position, quota, key)) in quotas.iter().enumerate() {
        let refusal = match quota.take(table, host, *key, units) {
            Ok((Decision::Admit { state, remaining }, now)) => {
                standings.push(Standing {
                    quota: *position,
                    remaining,
                    next_unit: quota.rate.next_unit(state, now),
                });
                continue;
            }
            Ok((Decision::Refuse { retry_after }, _)) => Refusal::Exceeded {
                quota: *position,
                retry_after,
            },
            Err(error) => Refusal::Store(error),
        };
        for (_, quota, key) in quotas.iter().take(done) {
            quota.refund(table, host, *key, units);
        }
        return Err(refusal);
    }
    Ok(standings)
}

/// Which fields tell a client where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fields {
    /// `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10 §3, §4), for every quota.
    pub draft: bool,
    /// `X-RateLimit-Limit`, `-Remaining` and `-Reset` (seconds), for the quota with the least left.
    pub legacy: bool,
}

impl Fields {
    /// The fields for what applies to a request.
    pub fn of(self, quotas: &[Quota], standings: &[Standing]) -> Vec<(&'static str, String)> {
        let known = standings
            .iter()
            .filter_map(|standing| Some((quotas.get(standing.quota)?, standing)));
        let known: Vec<(&Quota, &Standing)> = known.collect();
        let mut fields = Vec::new();
        let list = |items: Vec<String>| items.join(", ");
        if self.draft && !known.is_empty() {
            let policy = known.iter().map(|(quota, _)| {
                let window = retry_after_seconds(quota.window);
                format!("\"{}\";q={};w={window}", quota.name, quota.limit)
            });
            let limit = known.iter().map(|(quota, standing)| {
                format!(
                    "\"{}\";r={};t={}",
                    quota.name,
                    standing.remaining,
                    seconds_left(standing)
                )
            });
            fields.push(("ratelimit-policy", list(policy.collect())));
            fields.push(("ratelimit", list(limit.collect())));
        }
        if self.legacy
            && let Some((quota, standing)) = known.iter().min_by_key(|(_, standing)| standing.remaining)
        {
            fields.push(("x-ratelimit-limit", quota.limit.to_string()));
            fields.push(("x-ratelimit-remaining", standing.remaining.to_string()));
            fields.push(("x-ratelimit-reset", seconds_left(standing).to_string()));
        }
        fields
    }
}

fn seconds_left(standing: &Standing) -> u64 {
    match standing.next_unit {
        Duration::ZERO => 0,
        span => retry_after_seconds(span),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::memory::MemoryHost;

    fn quota(name: &str, limit: u32) -> Quota {
        let window = Duration::from_secs(60);
        Quota {
            name: name.into(),
            limit,
            window,
            rate: Rate::new(limit, window, limit),
            by: vec![By::Client],
            operations: None,
            mode: None,
        }
    }

    #[test]
    fn a_request_that_one_quota_refuses_is_charged_to_none() {
        let host = MemoryHost::default();
        let table = Table::open(&host, 1 << 20).unwrap();
        let (wide, narrow) = (quota("wide", 3), quota("narrow", 1));
        let key = |quota: &Quota| quota.fingerprint(&table, |_| b"client".to_vec());
        let both = [(0, &wide, key(&wide)), (1, &narrow, key(&narrow))];
        assert_eq!(charge(&table, &host, &both, 1).unwrap()[0].remaining, 2);
        for _ in 0..10 {
            let refused = charge(&table, &host, &both, 1);
            assert_eq!(
                refused,
                Err(Refusal::Exceeded {
                    quota: 1,
                    retry_after: Duration::from_secs(60)
                })
            );
        }
        let wide_only = &both[..1];
        assert_eq!(charge(&table, &host, wide_only, 1).unwrap()[0].remaining, 1);
    }

    #[test]
    fn fields_are_lists_of_named_policies() {
        let quotas = [quota("per-client", 100), quota("orders", 20)];
        let standing = |quota, remaining, millis| Standing {
            quota,
            remaining,
            next_unit: Duration::from_millis(millis),
        };
        let standings = [standing(0, 99, 600), standing(1, 0, 2001)];
        let of = |draft, legacy| Fields { draft, legacy }.of(&quotas, &standings);
        let draft = [
            ("ratelimit-policy", "\"per-client\";q=100;w=60, \"orders\";q=20;w=60"),
            ("ratelimit", "\"per-client\";r=99;t=1, \"orders\";r=0;t=3"),
        ];
        let legacy = [
            ("x-ratelimit-limit", "20"),
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", "3"),
        ];
        let owned =
            |fields: &[(&'static str, &str)]| fields.iter().map(|(n, v)| (*n, (*v).to_owned())).collect::<Vec<_>>();
        assert_eq!(of(true, false), owned(&draft));
        assert_eq!(of(false, true), owned(&legacy));
        assert_eq!(of(true, true), owned(&[&draft[..], &legacy[..]].concat()));
        assert_eq!(of(false, false), []);
        assert_eq!(
            Fields {
                draft: true,
                legacy: true
            }
            .of(&quotas, &[]),
            []
        );
    }

    #[test]
    fn a_store_that_fails_is_told_apart_from_a_quota_that_is_used_up() {
        let host = MemoryHost::default();
        let table = Table::open(&host, 1 << 20).unwrap();
        let quota = quota("q", 1);
        host.set_broken(true);
        let result = charge(
            &table,
            &host,
            &[(0, &quota, quota.fingerprint(&table, |_| b"c".to_vec()))],
            1,
        );
        assert!(matches!(result, Err(Refusal::Store(StoreError::Host(_)))));
    }
}
