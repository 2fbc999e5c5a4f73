//! Login attempts: reserved last, settled by the backend's answer.

use super::{Pipeline, Response};
use crate::engine::Engine;
use crate::guard::OnError;
use crate::guard::login::{Outcome, Refusal};
use crate::host::Host;
use crate::verdict::{Denial, Reason};

impl Pipeline {
    pub(super) fn reserve_attempt(&mut self, host: &dyn Host, engine: &Engine) -> Result<(), Denial> {
        let (Some(policy), Some(table), Some(key)) = (&engine.policy.login, &engine.table, self.login_key) else {
            return Ok(());
        };
        let denial = match policy.reserve(table, host, key) {
            Ok(reservation) => {
                self.reservation = Some(reservation);
                return Ok(());
            }
            Err(Refusal::Banned(left)) => Reason::ClientBanned.retry_after(left),
            Err(Refusal::Limited(left)) => Reason::LoginLimited.retry_after(left),
            Err(Refusal::Store(_)) if policy.on_error == OnError::Allow => return Ok(()),
            Err(Refusal::Store(_)) => Reason::StoreUnavailable.into(),
        };
        self.refuse(host, policy.mode.unwrap_or(engine.policy.mode), denial)
    }

    /// Settles the attempt by the backend's answer.
    pub(super) fn settle_attempt(&mut self, host: &dyn Host, response: &Response<'_>) {
        if response.from_backend
            && let Some(reservation) = self.reservation.take()
            && let (Some(policy), Some(table)) = (&self.engine.policy.login, &self.engine.table)
        {
            let outcome = policy.outcome(response.status, response.header);
            policy.settle(table, host, reservation, outcome);
        }
    }

    /// An attempt that got no answer stays counted.
    pub(super) fn count_unanswered(&mut self, host: &dyn Host) {
        if let Some(reservation) = self.reservation.take()
            && let (Some(policy), Some(table)) = (&self.engine.policy.login, &self.engine.table)
        {
            policy.settle(table, host, reservation, Outcome::Count);
        }
    }
}
