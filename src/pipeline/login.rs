//! Login attempts: reserved last, settled by the backend's answer.

use super::{Pipeline, Response};
use crate::engine::Engine;
use crate::guard::OnError;
use crate::guard::login::{BanScope, LoginPolicy, Outcome, Refusal, name};
use crate::host::Host;
use crate::rate::Instant;
use crate::store::{Fingerprint, Holder, StoreError, Use, View};
use crate::verdict::{Denial, Mode, Reason};
use std::time::Duration;

/// A look at the client's ban, where it bears on the request.
pub(super) struct BanWatch<'e> {
    policy: &'e LoginPolicy,
    key: Fingerprint,
    pub mode: Mode,
}

impl BanWatch<'_> {
    pub fn left(&self, view: &mut View, now: Instant) -> Option<Duration> {
        self.policy.ban_left(view, self.key, now)
    }

    /// The refusal for what was seen, if there is one.
    pub fn denial(&self, seen: Result<Option<Duration>, StoreError>) -> Option<Denial> {
        match seen {
            Ok(left) => Some(Reason::ClientBanned.retry_after(left?)),
            Err(_) if self.policy.on_error == OnError::Allow => None,
            Err(_) => Some(Reason::StoreUnavailable.into()),
        }
    }
}

impl Pipeline {
    /// The watch on bans, if this request is a login or bans are of everything.
    pub(super) fn ban_watch<'e>(&self, engine: &'e Engine, holder: Holder) -> Option<BanWatch<'e>> {
        let policy = engine.policy.login.as_ref()?;
        let bears = self.is_login || policy.ban.scope == BanScope::All;
        (bears && !self.exempt).then(|| BanWatch {
            policy,
            key: holder.record(Use::Login),
            mode: policy.mode.unwrap_or(engine.policy.mode),
        })
    }

    /// The login policy, if the body of this request tells the account that is tried.
    pub(super) fn names_account<'e>(&self, engine: &'e Engine) -> Option<&'e LoginPolicy> {
        let policy = engine.policy.login.as_ref().filter(|policy| policy.asks_body())?;
        (self.is_login && !self.exempt && self.client.is_some()).then_some(policy)
    }

    /// Takes the accounts from a login's body.
    pub(super) fn read_accounts(&mut self, host: &dyn Host, engine: &Engine, body: &[u8]) -> Result<(), Denial> {
        let Some(policy) = self.names_account(engine) else {
            return Ok(());
        };
        let from = policy.account.as_ref().map_or(&[][..], |account| &account.from);
        let content_type = match self.head.single("content-type") {
            Ok(content_type) => content_type,
            // Two types are none that can be relied on.
            Err(_) => Some(&b""[..]),
        };
        let denial = match name::accounts(from, content_type, body) {
            Ok(accounts) => {
                self.accounts = accounts;
                return Ok(());
            }
            Err(name::Fault::Missing) => Reason::AccountMissing,
            Err(name::Fault::Invalid) => Reason::AccountInvalid,
        };
        self.refuse(host, policy.mode.unwrap_or(engine.policy.mode), denial.into())
    }

    pub(super) fn reserve_attempt(&mut self, host: &dyn Host, engine: &Engine) -> Result<(), Denial> {
        let (Some(policy), Some(table), Some(client)) = (&engine.policy.login, &engine.table, self.client) else {
            return Ok(());
        };
        if !self.is_login || self.exempt {
            return Ok(());
        }
        let denial = match policy.reserve(table, host, client, &self.accounts) {
            Ok(reservation) => {
                self.reservation = Some(reservation);
                return Ok(());
            }
            Err(Refusal::Banned(left)) => Reason::ClientBanned.retry_after(left),
            Err(Refusal::Limited(left)) => Reason::LoginLimited.retry_after(left),
            Err(Refusal::Spraying(left)) => Reason::LoginSpraying.retry_after(left),
            Err(Refusal::Account(left)) => Reason::AccountLimited.retry_after(left),
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
            policy.settle(table, host, &reservation, outcome);
        }
    }

    /// An attempt that got no answer stays counted.
    pub(super) fn count_unanswered(&mut self, host: &dyn Host) {
        if let Some(reservation) = self.reservation.take()
            && let (Some(policy), Some(table)) = (&self.engine.policy.login, &self.engine.table)
        {
            policy.settle(table, host, &reservation, Outcome::Count);
        }
    }
}
