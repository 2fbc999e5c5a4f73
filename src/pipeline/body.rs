//! What is decided from the body: its size as it comes, its type, and what it holds.

use super::{Body, Pipeline, Stage, Step};
use crate::engine::Engine;
use crate::guard::requests::{BodyPlan, Parsed};
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
        let asks = self.scans_body(&engine)
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
        let account = self
            .names_account(&engine)
            .is_some_and(|policy| policy.mode.unwrap_or(engine.policy.mode) == Mode::Enforce);
        if bytes > LOGIN_BODY_BYTES_MAX && account {
            return Some(self.deny(host, Reason::BodyTooLarge.into()));
        }
        if let Some(denial) = self.plan.as_ref().and_then(|plan| judge(plan).err()) {
            let mode = self.request_mode();
            if let Err(denial) = self.refuse(host, mode, denial) {
                return Some(self.deny(host, denial));
            }
            // Shadowed: what plans for the body no longer holds, and other guards read it without.
            self.plan = None;
            if !account && !self.scans_body(&engine) {
                return Some(self.give_up_body(host));
            }
        }
        let mode = self.scan_exceeded(&engine, bytes)?;
        Some(match self.refuse(host, mode, Reason::ThreatBudget.into()) {
            Ok(()) => self.give_up_body(host),
            Err(denial) => self.deny(host, denial),
        })
    }

    /// Goes on without the rest of the body, lest Envoy's own limit refuses what shadow mode lets pass.
    fn give_up_body(&mut self, host: &dyn Host) -> Step {
        self.body = Body::Complete(Vec::new());
        if self.stage == Stage::Body {
            self.advance(host)
        } else {
            Step::Hold
        }
    }

    /// `None` while the body is still coming and decides.
    pub(super) fn judge_body(&mut self, host: &dyn Host, engine: &Engine) -> Option<Result<(), Denial>> {
        let planned = engine.policy.requests.is_some() && self.plan.is_some();
        let decides = planned || self.scans_body(engine) || self.names_account(engine).is_some();
        let body = match &mut self.body {
            Body::Complete(body) => std::mem::take(body),
            Body::Coming if decides => return None,
            Body::Coming => Vec::new(),
        };
        Some(self.judge_whole(host, engine, &body))
    }

    fn judge_whole(&mut self, host: &dyn Host, engine: &Engine, body: &[u8]) -> Result<(), Denial> {
        let (mut parsed, mut declared) = (Parsed::Opaque, None);
        if let Some((policy, plan)) = engine.policy.requests.as_ref().zip(self.plan.as_ref()) {
            let operation = self.operation(engine);
            let (read, verdict) = policy.judge_body(plan, operation, body);
            parsed = read;
            declared = plan.content(operation).filter(|_| verdict.is_ok());
            let mode = self.request_mode();
            verdict.or_else(|denial| self.refuse(host, mode, denial))?;
        }
        self.judge_threats(host, engine, parsed, body, declared)?;
        self.read_accounts(host, engine, body)
    }
}
