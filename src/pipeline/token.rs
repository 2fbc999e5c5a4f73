//! What is decided from the token: whether it is good, and grants what is asked.

use super::{Pass, Pipeline};
use crate::engine::Engine;
use crate::guard::revocation::introspection::is_opaque;
use crate::guard::token::{Requirement, Trouble, judge_scopes};
use crate::host::Host;
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
        if requirement == Requirement::None || self.preflight {
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
        if let Some(revocation) = &engine.policy.revocation
            && revocation.introspection.is_some()
            && is_opaque(token)
        {
            let judged = self.judge_opaque(host, engine, revocation, token)?;
            if let (Ok(verified), Some(operation)) = (&judged, self.operation(engine)) {
                judge_scopes(operation, verified)?;
            }
            return Ok(judged);
        }
        let now = host.now();
        let known = engine.knowledge.borrow().good_token(token, now);
        let verified = match known {
            Some(verified) => verified,
            None => {
                let judged = {
                    let knowledge = engine.knowledge.borrow();
                    policy.judge(
                        token,
                        |provider| knowledge.key_set(provider),
                        engine.signatures(host),
                        now,
                    )
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
}
