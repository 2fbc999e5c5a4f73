//! What is decided from the body: its size as it comes, its type, and what it holds.

use super::{Body, Pipeline, Stage, Step};
use crate::engine::Engine;
use crate::guard::requests::BodyPlan;
use crate::host::Host;
use crate::verdict::{Denial, Mode, Reason};
use std::rc::Rc;

/// The largest body of a login whose accounts are counted: it is read whatever `requests` says, and holds a name and a
/// secret.
const LOGIN_BODY_BYTES_MAX: u64 = 64 * 1024;

impl Pipeline {
    /// Takes note of `bytes` of body in all so far, with more to come.
    pub fn body_so_far(&mut self, host: &dyn Host, bytes: u64) -> Step {
        self.body_sized(host, bytes, |plan| plan.judge_size(bytes))
            .unwrap_or(Step::Hold)
    }

    /// Takes the end of the body, which had `bytes` in all. `read` fetches it and is called only if it decides anything.
    pub fn body_ended(&mut self, host: &dyn Host, bytes: u64, read: impl FnOnce() -> Option<Vec<u8>>) -> Step {
        if let Body::Complete(_) = self.body {
            return Step::Hold;
        }
        if let Some(step) = self.body_sized(host, bytes, |plan| plan.judge_end(bytes)) {
            return step;
        }
        let mut body = Vec::new();
        let engine = Rc::clone(&self.engine);
        let asks = engine.policy.threats.is_some()
            || self.plan.as_ref().is_some_and(BodyPlan::reads_body)
            || self.names_account(&engine).is_some();
        if bytes > 0 && asks {
            let Some(bytes) = read() else {
                return self.deny(host, Reason::Internal.because("The body could not be read."));
            };
            body = bytes;
        }
        self.body = Body::Complete(body);
        // While a callout is under way, its answer goes on.
        if self.stage == Stage::Body {
            self.advance(host)
        } else {
            Step::Hold
        }
    }

    /// Refuses a request for its trailers, where the host can't hold them.
    pub fn refuse_trailers(&mut self, host: &dyn Host) -> Step {
        if self.stage == Stage::Done {
            return Step::Allow;
        }
        self.deny(host, Reason::TrailersUnsupported.into())
    }

    /// The step to take if a size is refused, or if this request was answered or let go already.
    fn body_sized(
        &mut self,
        host: &dyn Host,
        bytes: u64,
        judge: impl FnOnce(&BodyPlan) -> Result<(), Denial>,
    ) -> Option<Step> {
        if self.stage == Stage::Done {
            return Some(Step::Allow);
        }
        let engine = Rc::clone(&self.engine);
        if bytes > LOGIN_BODY_BYTES_MAX
            && let Some(policy) = self.names_account(&engine)
            && policy.mode.unwrap_or(engine.policy.mode) == Mode::Enforce
        {
            return Some(self.deny(host, Reason::BodyTooLarge.into()));
        }
        let denial = judge(self.plan.as_ref()?).err()?;
        let mode = self.request_mode();
        Some(match self.refuse(host, mode, denial) {
            Ok(()) => {
                // Shadowed: the rest of the body is not waited for, lest Envoy's own limit refuses it.
                self.plan = None;
                self.body = Body::Complete(Vec::new());
                if self.stage == Stage::Body {
                    self.advance(host)
                } else {
                    Step::Hold
                }
            }
            Err(denial) => self.deny(host, denial),
        })
    }

    /// `None` while the body is still coming and decides.
    pub(super) fn judge_body(&mut self, host: &dyn Host, engine: &Engine) -> Option<Result<(), Denial>> {
        let judged = engine.policy.requests.as_ref().zip(self.plan.as_ref());
        if judged.is_none() && self.names_account(engine).is_none() {
            return Some(Ok(()));
        }
        let Body::Complete(body) = &mut self.body else {
            return None;
        };
        let body = std::mem::take(body);
        if let Some((policy, plan)) = judged {
            let (parsed, verdict) = policy.judge_body(plan, self.operation(engine), &body);
            let mode = self.request_mode();
            if let Err(denial) = verdict.or_else(|denial| self.refuse(host, mode, denial)) {
                return Some(Err(denial));
            }
            let content = self.content(&parsed, &body);
            if let Err(denial) = self.judge_threats(host, engine, content) {
                return Some(Err(denial));
            }
        }
        Some(self.read_accounts(host, engine, &body))
    }
}
