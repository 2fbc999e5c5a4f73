//! What is decided from the token: whether it is good, and grants what is asked.

use super::{Body, Pass, Pipeline};
use crate::engine::Engine;
use crate::guard::revocation::introspection::is_opaque;
use crate::guard::token::{Requirement, Trouble, judge_scopes};
use crate::host::{Counter, Host};
use crate::jose::Verified;
use crate::knowledge::{Hope, Known, Need};
use crate::path::Target;
use crate::rate::Instant;
use crate::verdict::{Denial, Mode, Reason};
use std::rc::Rc;

/// How often one request waits for keys: for a fetch that was under way when it came, for the time of the next, for that
/// one's discovery, and for its answer; each once more, since another worker may be faster.
const KEY_ROUNDS_MAX: u8 = 8;

impl Pipeline {
    pub(super) fn judge_token(&mut self, host: &dyn Host, engine: &Engine) -> Result<Pass, Denial> {
        let Some(policy) = &engine.policy.tokens else {
            return Ok(Pass::On);
        };
        let mode = self.mode(policy.mode);
        let requirement = policy.requirement(self.operation(engine));
        // A preflight has no body: where that is a matter of trial, one that has is none.
        let bodiless = matches!(&self.body, Body::Complete(body) if body.is_empty());
        let preflight = self.preflight && (bodiless || self.request_mode() == Mode::Enforce);
        if requirement == Requirement::None || preflight {
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
                let path = self.target.as_ref().map(Target::path);
                self.edits.extend(policy.edits(&self.head, path, &verified));
                self.verified = Some(verified);
                Ok(Pass::On)
            }
            Ok(Err(need)) => {
                if matches!(need, Need::Keys(_)) {
                    self.waits.keys_since.get_or_insert(host.now());
                    self.waits.keys_rounds = self.waits.keys_rounds.saturating_add(1);
                }
                Ok(Pass::Wait(need))
            }
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
        // Kept only by who goes on waiting.
        let place = self.waits.place.take();
        let now = host.now();
        let known = engine.knowledge.borrow().token(token, now);
        let verified = match known {
            Known::Good(verified) => verified,
            Known::Bad(reason) => return Err(reason.into()),
            Known::Nothing(hash) => {
                let judged = {
                    let knowledge = engine.knowledge.borrow();
                    let keys = |provider| knowledge.key_set(policy, provider, now);
                    policy.judge(token, keys, engine.signatures(host), now)
                };
                let mut knowledge = engine.knowledge.borrow_mut();
                match judged {
                    Ok(verified) => {
                        let verified = Rc::new(verified);
                        knowledge.remember_good(hash, Rc::clone(&verified));
                        verified
                    }
                    Err(Trouble::Bad(reason)) => {
                        knowledge.remember_bad(hash, reason, now);
                        return Err(reason.into());
                    }
                    Err(Trouble::NoKeys(provider)) => {
                        let hope = match self.waits.keys {
                            Some(false) => Hope::Unavailable,
                            _ => knowledge.hope_for_keys(policy, provider, self.keys_since(now), now),
                        };
                        return self.wait_for_keys(provider, hope);
                    }
                    Err(Trouble::UnknownKey(wanted)) => {
                        let hope = knowledge.hope_for_key(policy, &wanted, self.keys_since(now), now);
                        let waits = self.wait_for_keys(wanted.provider, hope)?;
                        let place = match place {
                            Some(place) => place,
                            None => {
                                let place = knowledge.admit(&wanted).ok_or(Reason::TokenKeyUnknown)?;
                                host.count(Counter::KeyAwaited);
                                place
                            }
                        };
                        self.waits.place.set(Some(place));
                        return Ok(waits);
                    }
                }
            }
        };
        if let Some(operation) = self.operation(engine) {
            judge_scopes(operation, &verified)?;
        }
        Ok(Ok(verified))
    }

    fn keys_since(&self, now: Instant) -> Instant {
        self.waits.keys_since.unwrap_or(now)
    }

    fn wait_for_keys(&self, provider: usize, hope: Hope) -> Result<Result<Rc<Verified>, Need>, Denial> {
        match hope {
            Hope::Wait if self.waits.keys_rounds < KEY_ROUNDS_MAX => Ok(Err(Need::Keys(provider))),
            Hope::Wait | Hope::Unavailable => Err(Reason::TokenKeysUnavailable.into()),
            Hope::None => Err(Reason::TokenKeyUnknown.into()),
        }
    }
}
