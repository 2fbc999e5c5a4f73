//! A request's way through the guards: a value that is stepped by events and says after each what the host is to do.
//!
//! Nothing here performs I/O. The order is fixed: client, ban, quotas, operation, head rules, token, revocation, body
//! rules, login. Cheap refusals come first; what costs (signature, callout, body) comes last. A pipeline gives one final
//! answer, and after it none.

mod body;
mod head;
mod login;
mod quotas;
mod revocation;
mod threats;
mod token;

use crate::client::Client;
use crate::engine::Engine;
use crate::guard::fields::beside;
use crate::guard::login::Reservation;
use crate::guard::quota::Standing;
use crate::guard::requests::BodyPlan;
use crate::host::{Counter, Host};
use crate::jose::Verified;
use crate::knowledge::{Need, Place};
use crate::operation::Operation;
use crate::path::Target;
use crate::rate::Instant;
use crate::reply::{Reply, render};
use crate::request::{Head, HeadEdit};
use crate::store::Fingerprint;
use crate::verdict::{Denial, Mode, Reason};
use std::cell::Cell;
use std::rc::Rc;

/// What the host is to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Keep the request back and go on delivering it.
    Hold,
    /// Keep it back, find out what is needed, then call [`Pipeline::resume`].
    Wait(Need),
    /// Let it go to the backend. Final.
    Allow,
    /// Answer it. Final.
    Deny(Box<Reply>),
}

/// Where a request stands; each stage is left once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Head,
    Token,
    Revocation,
    /// Quotas that count by what the token says.
    TokenQuotas,
    Body,
    Login,
    Done,
}

/// The request as far as it has come.
#[derive(Debug)]
enum Body {
    Coming,
    Complete(Vec<u8>),
}

/// What a backend's answer looks like, as far as guards ask.
pub struct Response<'r> {
    pub status: u16,
    /// Whether the backend gave it, and not Envoy or a filter.
    pub from_backend: bool,
    /// The values of a field.
    pub header: &'r dyn Fn(&str) -> Vec<Vec<u8>>,
}

pub struct Pipeline {
    engine: Rc<Engine>,
    stage: Stage,
    head: Head,
    method: String,
    /// The path in normal form, with the query.
    target: Option<Target>,
    /// Whether this is a CORS preflight for a declared operation: it has no token and no body, and no rules of its own.
    preflight: bool,
    client: Option<Client>,
    exempt: bool,
    operation: Option<usize>,
    is_login: bool,
    /// The accounts that a login names.
    accounts: Vec<String>,
    /// Whether the operation's parameters were judged and found good.
    parameters_hold: bool,
    plan: Option<BodyPlan>,
    body: Body,
    standings: Vec<Standing>,
    /// What was charged, to be given back if a later quota refuses, and counted if none does.
    charged: Vec<(usize, Fingerprint)>,
    verified: Option<Rc<Verified>>,
    waits: Waits,
    reservation: Option<Reservation>,
    edits: Vec<HeadEdit>,
    shadowed: Vec<Reason>,
}

/// How the waits of this request ended, each at most once: `true` if what was needed was told.
#[derive(Default)]
struct Waits {
    keys: Option<bool>,
    /// When this request began to wait for keys, and how often it has.
    keys_since: Option<Instant>,
    keys_rounds: u8,
    /// Among those that wait for a key, as long as this request does.
    place: Cell<Option<Place>>,
    revocation: Option<bool>,
    introspection: Option<bool>,
    feed: Option<bool>,
    status_list: Option<bool>,
}

/// What a stage that did not refuse says.
enum Pass {
    On,
    Wait(Need),
}

impl Pipeline {
    pub fn new(engine: Rc<Engine>) -> Self {
        Self {
            engine,
            stage: Stage::Head,
            head: Head::default(),
            method: String::new(),
            target: None,
            preflight: false,
            client: None,
            exempt: false,
            operation: None,
            is_login: false,
            accounts: Vec::new(),
            parameters_hold: false,
            plan: None,
            body: Body::Coming,
            standings: Vec::new(),
            charged: Vec::new(),
            verified: None,
            waits: Waits::default(),
            reservation: None,
            edits: Vec::new(),
            shadowed: Vec::new(),
        }
    }

    /// Whether the head decides anything; without it, an empty one may be given to [`Pipeline::head`].
    pub fn asks_head(&self) -> bool {
        self.engine.policy.asks_anything()
    }

    /// Takes the head; `ends` if it is the whole request.
    pub fn head(&mut self, host: &dyn Host, head: Option<Head>, ends: bool) -> Step {
        if self.stage != Stage::Head {
            return self.deny(host, Reason::Internal.into());
        }
        let Some(head) = head else {
            return self.deny(host, Reason::HeadInvalid.into());
        };
        self.head = head;
        if ends {
            self.body = Body::Complete(Vec::new());
        }
        match self.judge_head(host, ends) {
            Ok(()) => {
                self.stage = Stage::Token;
                self.advance(host)
            }
            Err(denial) => self.deny(host, denial),
        }
    }

    /// Goes on after a wait; `told`: what was needed is known now.
    pub fn resume(&mut self, host: &dyn Host, need: &Need, told: bool) -> Step {
        match need {
            Need::Keys(_) => self.waits.keys = Some(told),
            Need::Revocation(_) => self.waits.revocation = Some(told),
            Need::Introspection(_) => self.waits.introspection = Some(told),
            Need::Feed | Need::FeedPoll => self.waits.feed = Some(told),
            Need::StatusList(..) => self.waits.status_list = Some(told),
        }
        self.advance(host)
    }

    /// The changes to the head made so far, for the host to carry out before it lets the head go.
    pub fn take_edits(&mut self) -> Vec<HeadEdit> {
        std::mem::take(&mut self.edits)
    }

    /// Refusals that shadow mode let pass.
    pub fn take_shadowed(&mut self) -> Vec<Reason> {
        std::mem::take(&mut self.shadowed)
    }

    /// Whether what was answered decides anything: the outcome of a login.
    pub fn asks_response(&self) -> bool {
        self.reservation.is_some()
    }

    /// Takes the head of the answer.
    pub fn response(&mut self, host: &dyn Host, response: &Response<'_>) {
        self.settle_attempt(host, response);
    }

    /// The fields to set in an answer that has the fields that `theirs` gives the values of.
    pub fn fields_beside(&self, theirs: &dyn Fn(&str) -> Vec<Vec<u8>>) -> Vec<(&'static str, String)> {
        if self.standings.is_empty() {
            return Vec::new();
        }
        beside(self.rate_limit_fields(), theirs)
    }

    /// Takes the end of the exchange: an attempt without an answer stays counted.
    pub fn finish(&mut self, host: &dyn Host) {
        self.stage = Stage::Done;
        self.count_charged(host);
        self.count_unanswered(host);
    }

    fn rate_limit_fields(&self) -> Vec<(&'static str, String)> {
        let policy = &self.engine.policy;
        policy.rate_limit_fields.of(&policy.quotas, &self.standings)
    }

    fn operation<'e>(&self, engine: &'e Engine) -> Option<&'e Operation> {
        self.operation.and_then(|at| engine.policy.operations.get(at))
    }

    /// The mode for rules that an operation may override.
    fn mode(&self, guard: Option<Mode>) -> Mode {
        let operation = self.operation(&self.engine).and_then(|o| o.mode);
        operation.or(guard).unwrap_or(self.engine.policy.mode)
    }

    fn request_mode(&self) -> Mode {
        self.mode(self.engine.policy.requests.as_ref().and_then(|r| r.mode))
    }

    /// A refusal is an error in enforce mode; in shadow mode it is noted and the request goes on.
    fn refuse(&mut self, host: &dyn Host, mode: Mode, denial: Denial) -> Result<(), Denial> {
        match mode {
            Mode::Enforce => Err(denial),
            Mode::Shadow => {
                host.count(Counter::Shadowed(denial.reason));
                self.shadowed.push(denial.reason);
                Ok(())
            }
        }
    }

    fn judged<T>(&mut self, host: &dyn Host, mode: Mode, verdict: Result<T, Denial>) -> Result<Option<T>, Denial> {
        match verdict {
            Ok(value) => Ok(Some(value)),
            Err(denial) => self.refuse(host, mode, denial).map(|()| None),
        }
    }

    fn deny(&mut self, host: &dyn Host, denial: Denial) -> Step {
        self.stage = Stage::Done;
        self.count_charged(host);
        host.count(Counter::Denied(denial.reason));
        let mut reply = render(&denial, &self.engine.policy.style, self.head.is_grpc());
        let fields = self.rate_limit_fields().into_iter();
        reply.headers.extend(fields.map(|(name, value)| (name, value.into())));
        Step::Deny(Box::new(reply))
    }

    /// Runs the stages that can run now.
    fn advance(&mut self, host: &dyn Host) -> Step {
        let engine = Rc::clone(&self.engine);
        loop {
            let passed = match self.stage {
                // Not judged yet, or answered already: nothing to go on with.
                Stage::Head => return Step::Hold,
                Stage::Done => return Step::Allow,
                Stage::Token => self.judge_token(host, &engine).map(|pass| (pass, Stage::Revocation)),
                Stage::Revocation => self
                    .judge_revocation(host, &engine)
                    .map(|pass| (pass, Stage::TokenQuotas)),
                Stage::TokenQuotas => self
                    .charge_token_quotas(host, &engine)
                    .map(|()| (Pass::On, Stage::Body)),
                Stage::Body => match self.judge_body(host, &engine) {
                    None => return Step::Hold,
                    Some(verdict) => verdict.map(|()| (Pass::On, Stage::Login)),
                },
                Stage::Login => self.reserve_attempt(host, &engine).map(|()| (Pass::On, Stage::Done)),
            };
            match passed {
                Ok((Pass::On, next)) => self.stage = next,
                Ok((Pass::Wait(need), _)) => return Step::Wait(need),
                Err(denial) => return self.deny(host, denial),
            }
            if self.stage == Stage::Done {
                host.count(Counter::Allowed);
            }
        }
    }
}
