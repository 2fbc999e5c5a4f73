//! Whether the token was revoked.

use super::{Pass, Pipeline};
use crate::engine::Engine;
use crate::guard::{OnError, revocation};
use crate::host::{Counter, Host};
use crate::knowledge::Need;
use crate::verdict::{Denial, Reason};

impl Pipeline {
    pub(super) fn judge_revocation(&mut self, host: &dyn Host, engine: &Engine) -> Result<Pass, Denial> {
        let (Some(policy), Some(table), Some(token)) =
            (&engine.policy.revocation, &engine.table, self.verified.clone())
        else {
            return Ok(Pass::On);
        };
        let mode = self.mode(policy.mode);
        let path = match policy.lookup.path(&token) {
            Ok(path) => path,
            Err(reason) => return self.refuse(host, mode, reason.into()).map(|()| Pass::On),
        };
        let known = engine.knowledge.borrow().answer(&path, host.now());
        let unavailable = match policy.on_error {
            OnError::Deny => Some(Denial::from(Reason::RevocationUnavailable)),
            OnError::Allow => None,
        };
        let fresh = |age| age < policy.lookup.cache || self.waits.revocation == Some(true);
        let denial = match (revocation::is_known_revoked(table, host, &token, &path), known) {
            (Ok(true), _) => Some(Reason::TokenRevoked.into()),
            // What is about one token stays so; a subject or an issuer can be taken back.
            (_, Some(known)) if known.revoked && (policy.lookup.names_token() || fresh(known.age)) => {
                // That the store fails leaves the answer with this worker.
                let _ = revocation::publish_revoked(table, host, &policy.lookup, &token, &path);
                Some(Reason::TokenRevoked.into())
            }
            (Err(_), _) => unavailable,
            (Ok(false), Some(known)) if fresh(known.age) => None,
            (Ok(false), _) if self.waits.revocation.is_none() => return Ok(Pass::Wait(Need::Revocation(path))),
            // The source is down: the last known answer.
            (Ok(false), Some(known)) if known.revoked => Some(Reason::TokenRevoked.into()),
            (Ok(false), Some(known)) if known.age < policy.stale => {
                host.count(Counter::RevocationStale);
                None
            }
            (Ok(false), _) => unavailable,
        };
        match denial {
            None => Ok(Pass::On),
            Some(denial) => self.refuse(host, mode, denial).map(|()| Pass::On),
        }
    }
}
