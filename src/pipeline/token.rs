//! What is decided from the token: whether it is good, grants what is asked, and was not revoked.

use super::{Pass, Pipeline};
use crate::engine::Engine;
use crate::guard::token::{Requirement, Trouble, judge_scopes};
use crate::guard::{OnError, revocation};
use crate::host::{Counter, Host};
use crate::jose::Verified;
use crate::knowledge::Need;
use crate::verdict::{Denial, Reason};
use std::rc::Rc;

impl Pipeline {
    pub(super) fn judge_token(&mut self, host: &dyn Host, engine: &Engine) -> Result<Pass, Denial> {
        let Some(policy) = &engine.policy.tokens else {
            return Ok(Pass::On);
        };
        let mode = self.mode(policy.mode);
        let requirement = policy.requirement(self.operation(engine));
        if requirement == Requirement::None {
            return Ok(Pass::On);
        }
        let verdict = match policy.extract(&self.head) {
            Ok(None) if requirement == Requirement::Optional => return Ok(Pass::On),
            Ok(None) => Err(Reason::TokenMissing.into()),
            Ok(Some(token)) => self.judge_found_token(host, engine, token),
            Err(denial) => Err(denial),
        };
        match verdict {
            Ok(Ok(verified)) => {
                self.edits.extend(policy.edits(&self.head, &verified));
                self.verified = Some(verified);
                Ok(Pass::On)
            }
            Ok(Err(need)) => Ok(Pass::Wait(need)),
            Err(denial) => self.refuse(host, mode, denial).map(|()| Pass::On),
        }
    }

    /// The token if it is good, what must be known first, or the refusal.
    fn judge_found_token(
        &self,
        host: &dyn Host,
        engine: &Engine,
        token: &[u8],
    ) -> Result<Result<Rc<Verified>, Need>, Denial> {
        let Some(policy) = &engine.policy.tokens else {
            return Err(Reason::Internal.into());
        };
        let now = host.now();
        let known = engine.knowledge.borrow().good_token(token, now);
        let verified = match known {
            Some(verified) => verified,
            None => {
                let judged = {
                    let knowledge = engine.knowledge.borrow();
                    policy.judge(token, |provider| knowledge.key_set(provider), now)
                };
                // One fetch for one request: a key that is unknown after it is unknown.
                let fetched = self.waits.keys.is_some();
                match judged {
                    Ok(verified) => {
                        let verified = Rc::new(verified);
                        engine
                            .knowledge
                            .borrow_mut()
                            .remember_token(token, Rc::clone(&verified));
                        verified
                    }
                    Err(Trouble::Bad(reason)) => return Err(reason.into()),
                    Err(Trouble::NoKeys(provider) | Trouble::UnknownKey(provider))
                        if !fetched && engine.can_learn_keys(provider, now) =>
                    {
                        return Ok(Err(Need::Keys(provider)));
                    }
                    Err(Trouble::NoKeys(_)) => return Err(Reason::TokenKeysUnavailable.into()),
                    Err(Trouble::UnknownKey(_)) => return Err(Reason::TokenKeyUnknown.into()),
                }
            }
        };
        if let Some(operation) = self.operation(engine) {
            judge_scopes(operation, &verified)?;
        }
        Ok(Ok(verified))
    }

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
