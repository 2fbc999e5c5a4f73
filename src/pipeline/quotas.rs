//! Charging the quotas that apply to a request, before the token and after it; bans are looked at on the way.

use super::Pipeline;
use crate::client::Client;
use crate::engine::Engine;
use crate::guard::quota::{self, By, Charge, Exceeded, Gate, Quota, Refusal, Shadowed, Standing};
use crate::host::{Counter, Host, QuotaEvent};
use crate::jose::Verified;
use crate::sort;
use crate::store::{Holder, Table};
use crate::verdict::{Denial, Extra, Mode, Reason};
use std::borrow::Cow;
use std::time::Duration;

impl Pipeline {
    /// Looks at bans and charges the quotas that do not ask for the token: with one read and one write, where nothing but
    /// the client is counted.
    pub(super) fn judge_client(&mut self, host: &dyn Host, engine: &Engine) -> Result<(), Denial> {
        let (Some(table), Some(client)) = (&engine.table, self.client) else {
            return Ok(());
        };
        let holder = table.holder(&client.key());
        let ban = self.ban_watch(engine, holder);
        let look = |view: &mut crate::store::View| ban.as_ref().and_then(|watch| watch.left(view, host.now()));
        let enforced = ban.as_ref().is_some_and(|watch| watch.mode == Mode::Enforce);
        let gate = Gate {
            home: holder.home,
            look: &look,
        };
        let mut charges = self.charges(engine, table, client, holder, false);
        let counted = charges.iter().any(|charge| !charge.shadow);
        if let Some(watch) = ban.as_ref().filter(|_| !enforced || !counted) {
            // In shadow a ban stops nothing; and where nothing is counted but on trial, a store that fails is the login's to
            // answer.
            if let Some(denial) = watch.denial(table.change(host, gate.home, host.now(), |view| look(view))) {
                self.refuse(host, watch.mode, denial)?;
            }
        }
        let gate = ban.is_some().then_some(&gate).filter(|_| enforced && counted);
        self.charge(host, engine, gate, &mut charges)
    }

    /// Charges the quotas that ask for the token.
    pub(super) fn charge_token_quotas(&mut self, host: &dyn Host, engine: &Engine) -> Result<(), Denial> {
        let (Some(table), Some(client)) = (&engine.table, self.client) else {
            return Ok(());
        };
        if self.verified.is_some() && engine.policy.quotas.iter().any(Quota::asks_token) {
            let mut charges = self.charges(engine, table, client, table.holder(&client.key()), true);
            self.charge(host, engine, None, &mut charges)?;
        }
        self.count_charged(host);
        Ok(())
    }

    /// Counts what was charged and can't be given back any more.
    pub(super) fn count_charged(&mut self, host: &dyn Host) {
        for (at, _) in self.charged.drain(..) {
            host.count(Counter::Quota(QuotaEvent::Admitted, at));
        }
    }

    fn charge(
        &mut self,
        host: &dyn Host,
        engine: &Engine,
        gate: Option<&Gate<'_, Duration>>,
        charges: &mut [Charge<'_>],
    ) -> Result<(), Denial> {
        let Some(table) = engine.table.as_ref().filter(|_| !charges.is_empty()) else {
            return Ok(());
        };
        let units = self.operation(engine).map_or(1, |o| o.cost);
        let refusal = match quota::charge(table, host, gate, charges, units) {
            Ok(shadowed) => {
                sort::few_by_key(charges, |charge| charge.at);
                // Where quotas come after the token, they may refuse what these admit.
                let more = engine.policy.quotas.iter().any(Quota::asks_token);
                for charge in charges.iter() {
                    let Some(standing) = charge.standing() else { continue };
                    if more {
                        self.charged.push((charge.at, charge.key));
                    } else {
                        host.count(Counter::Quota(QuotaEvent::Admitted, charge.at));
                    }
                    self.standings.push(standing);
                }
                return match shadowed {
                    None => Ok(()),
                    Some(Shadowed::Store) => self.refuse(host, Mode::Shadow, Reason::StoreUnavailable.into()),
                    Some(Shadowed::Exceeded(exceeded)) => {
                        host.count(Counter::Quota(QuotaEvent::Shadowed, exceeded.quota));
                        self.refuse(host, Mode::Shadow, denial(engine, &exceeded))
                    }
                };
            }
            Err(refusal) => refusal,
        };
        // What the quotas before the token took, of which the answer then says nothing.
        self.standings.clear();
        let taken: Vec<Charge<'_>> = self
            .charged
            .drain(..)
            .filter_map(|(at, key)| Some(Charge::new(at, engine.policy.quotas.get(at)?, key, false)))
            .collect();
        quota::refund(table, host, &taken, units);
        match refusal {
            Refusal::Exceeded(exceeded) => {
                host.count(Counter::Quota(QuotaEvent::Refused, exceeded.quota));
                self.standings.push(Standing {
                    quota: exceeded.quota,
                    remaining: 0,
                    next_unit: exceeded.retry_after,
                });
                Err(denial(engine, &exceeded))
            }
            Refusal::Stopped(left) => Err(Reason::ClientBanned.retry_after(left)),
            Refusal::Store(_) => Err(Reason::StoreUnavailable.into()),
        }
    }

    fn charges<'e>(
        &self,
        engine: &'e Engine,
        table: &Table,
        client: Client,
        holder: Holder,
        token: bool,
    ) -> Vec<Charge<'e>> {
        if self.exempt {
            return Vec::new();
        }
        let client = client.key();
        let applies = |quota: &Quota| {
            let named = |operations: &Vec<usize>| self.operation.is_some_and(|at| operations.contains(&at));
            quota.asks_token() == token && quota.operations.as_ref().is_none_or(named)
        };
        // A subject or claim means what its issuer says it means.
        let of_issuer = |part: &dyn Fn(&Verified) -> Option<&str>| {
            let verified = self.verified.as_ref();
            Cow::Owned(verified.map_or_else(Vec::new, |v| {
                format!("{}\n{}", v.issuer, part(v).unwrap_or_default()).into_bytes()
            }))
        };
        let part = |by: &By| match by {
            By::Client => Cow::Borrowed(&client[..]),
            By::Operation => Cow::Borrowed(self.operation(engine).map_or(&b""[..], |o| o.id.as_bytes())),
            By::Header(name) => Cow::Owned(self.head.values(name).collect::<Vec<_>>().join(&b',')),
            By::Subject => of_issuer(&|v| v.subject.as_deref()),
            By::Claim(name) => of_issuer(&|v| {
                let kept = v.kept.iter().find(|(kept, _)| kept == name);
                kept.map(|(_, value)| value.as_str())
            }),
        };
        let quotas = engine.policy.quotas.iter().enumerate();
        let applying = quotas.filter(|(_, quota)| applies(quota));
        let charges = applying.map(|(at, quota)| {
            let key = quota.fingerprint(table, holder, part);
            let shadow = quota.mode.unwrap_or(engine.policy.mode) == Mode::Shadow;
            Charge::new(at, quota, key, shadow)
        });
        charges.collect()
    }
}

fn denial(engine: &Engine, exceeded: &Exceeded) -> Denial {
    let quota = engine.policy.quotas.get(exceeded.quota);
    Reason::QuotaExceeded.with(Extra::Quota {
        name: quota.map(|quota| quota.name.clone()).unwrap_or_default(),
        retry_after: exceeded.retry_after,
    })
}
