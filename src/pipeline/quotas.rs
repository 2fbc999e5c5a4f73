//! Charging the quotas that apply to a request, before the token and after it.

use super::Pipeline;
use crate::engine::Engine;
use crate::guard::quota::{self, By, Standing};
use crate::host::Host;
use crate::jose::Verified;
use crate::verdict::{Denial, Extra, Mode, Reason};

impl Pipeline {
    /// Charges the quotas that ask for the token, or those that don't.
    pub(super) fn charge_quotas(&mut self, host: &dyn Host, engine: &Engine, token: bool) -> Result<(), Denial> {
        let (Some(table), Some(client)) = (&engine.table, self.client) else {
            return Ok(());
        };
        if self.exempt || (token && self.verified.is_none()) {
            return Ok(());
        }
        let client = client.key();
        let units = self.operation(engine).map_or(1, |o| o.cost);
        // Shadowed quotas are charged apart: what they would refuse must not undo what is enforced.
        for mode in [Mode::Enforce, Mode::Shadow] {
            let applies = |quota: &quota::Quota| {
                let named = |operations: &Vec<usize>| self.operation.is_some_and(|at| operations.contains(&at));
                quota.asks_token() == token
                    && quota.mode.unwrap_or(engine.policy.mode) == mode
                    && quota.operations.as_ref().is_none_or(named)
            };
            // A subject or claim means what its issuer says it means.
            let of_issuer = |part: &dyn Fn(&Verified) -> Option<&str>| {
                let verified = self.verified.as_ref();
                verified.map_or_else(Vec::new, |v| {
                    format!("{}\n{}", v.issuer, part(v).unwrap_or_default()).into_bytes()
                })
            };
            let part = |by: &By| match by {
                By::Client => client.to_vec(),
                By::Operation => self
                    .operation(engine)
                    .map(|o| o.id.clone().into_bytes())
                    .unwrap_or_default(),
                By::Header(name) => self.head.values(name).collect::<Vec<_>>().join(&b','),
                By::Subject => of_issuer(&|v| v.subject.as_deref()),
                By::Claim(name) => of_issuer(&|v| {
                    v.kept
                        .iter()
                        .find(|(kept, _)| kept == name)
                        .map(|(_, value)| value.as_str())
                }),
            };
            let quotas = engine
                .policy
                .quotas
                .iter()
                .enumerate()
                .filter(|(_, quota)| applies(quota));
            let keyed: Vec<_> = quotas
                .map(|(at, quota)| (at, quota, quota.fingerprint(table, part)))
                .collect();
            let denial = match quota::charge(table, host, &keyed, units) {
                Ok(standings) => {
                    let enforced = mode == Mode::Enforce;
                    self.charged
                        .extend(keyed.iter().filter(|_| enforced).map(|(at, _, key)| (*at, *key)));
                    self.standings.extend(standings.into_iter().filter(|_| enforced));
                    continue;
                }
                Err(quota::Refusal::Exceeded { quota, retry_after }) => {
                    self.standings.extend((mode == Mode::Enforce).then_some(Standing {
                        quota,
                        remaining: 0,
                        next_unit: retry_after,
                    }));
                    Reason::QuotaExceeded.with(Extra::Quota {
                        name: engine
                            .policy
                            .quotas
                            .get(quota)
                            .map(|q| q.name.clone())
                            .unwrap_or_default(),
                        retry_after,
                    })
                }
                Err(quota::Refusal::Store(_)) => Reason::StoreUnavailable.into(),
            };
            if mode == Mode::Enforce {
                for (at, key) in self.charged.drain(..) {
                    let quota = engine.policy.quotas.get(at);
                    quota.inspect(|quota| quota.refund(table, host, key, units));
                }
            }
            self.refuse(host, mode, denial)?;
        }
        Ok(())
    }
}
