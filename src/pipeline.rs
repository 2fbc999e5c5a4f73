//! A request's way through the guards: a value that is stepped by events and says after each what the host is to do.
//!
//! Nothing here performs I/O. The order is fixed: client, ban, quotas, operation, head rules, token, revocation, body
//! rules, login. Cheap refusals come first; what costs (signature, callout, body) comes last. A pipeline gives one final
//! answer, and after it none.

use crate::client::{Client, parse_source_address};
use crate::engine::Engine;
use crate::guard::login::{self, Outcome, Reservation};
use crate::guard::quota::{self, By, Standing};
use crate::guard::requests::BodyPlan;
use crate::guard::token::{Requirement, Trouble, judge_scopes};
use crate::guard::{OnError, revocation};
use crate::host::{Counter, Host};
use crate::jose::Verified;
use crate::knowledge::Need;
use crate::operation::{Operation, Route};
use crate::path::Target;
use crate::reply::{Reply, render};
use crate::request::{Head, HeadEdit, is_authority};
use crate::store::Fingerprint;
use crate::verdict::{Denial, Extra, Mode, Reason};
use std::rc::Rc;

/// What the host is to do now.
#[derive(Debug, PartialEq, Eq)]
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
    client: Option<Client>,
    exempt: bool,
    operation: Option<usize>,
    /// The key of the client's attempts, where this is a login.
    login_key: Option<Fingerprint>,
    plan: Option<BodyPlan>,
    body: Body,
    standings: Vec<Standing>,
    /// What was charged, to be given back if a later quota refuses.
    charged: Vec<(usize, Fingerprint)>,
    verified: Option<Rc<Verified>>,
    waits: Waits,
    reservation: Option<Reservation>,
    edits: Vec<HeadEdit>,
    shadowed: Vec<Reason>,
}

/// How the waits of this request ended, each at most once: `true` if what was needed was told.
#[derive(Debug, Default)]
struct Waits {
    keys: Option<bool>,
    revocation: Option<bool>,
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
            client: None,
            exempt: false,
            operation: None,
            login_key: None,
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

    /// Takes note of `bytes` of body in all so far, with more to come.
    pub fn body_so_far(&mut self, host: &dyn Host, bytes: u64) -> Step {
        self.body_sized(host, |plan| plan.judge_size(bytes))
            .unwrap_or(Step::Hold)
    }

    /// Takes the end of the body, which had `bytes` in all. `read` fetches it and is called only if it decides anything.
    pub fn body_ended(&mut self, host: &dyn Host, bytes: u64, read: impl FnOnce() -> Option<Vec<u8>>) -> Step {
        if let Body::Complete(_) = self.body {
            return Step::Hold;
        }
        if let Some(step) = self.body_sized(host, |plan| plan.judge_end(bytes)) {
            return step;
        }
        let mut body = Vec::new();
        if bytes > 0 && self.plan.is_some_and(|plan| plan.reads_body()) {
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

    /// The step to take if a size is refused, or if this request was answered or let go already.
    fn body_sized(&mut self, host: &dyn Host, judge: impl FnOnce(&BodyPlan) -> Result<(), Denial>) -> Option<Step> {
        if self.stage == Stage::Done {
            return Some(Step::Allow);
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

    /// Goes on after a wait; `told`: what was needed is known now.
    pub fn resume(&mut self, host: &dyn Host, need: &Need, told: bool) -> Step {
        match need {
            Need::Keys(_) => self.waits.keys = Some(told),
            Need::Revocation(_) => self.waits.revocation = Some(told),
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

    /// Whether the answer's head is of interest.
    pub fn asks_response(&self) -> bool {
        self.reservation.is_some() || !self.standings.is_empty()
    }

    /// Takes the head of the answer; gives the fields to add to it.
    pub fn response(&mut self, host: &dyn Host, response: &Response<'_>) -> Vec<(&'static str, String)> {
        if response.from_backend
            && let Some(reservation) = self.reservation.take()
            && let (Some(policy), Some(table)) = (&self.engine.policy.login, &self.engine.table)
        {
            let outcome = policy.outcome(response.status, response.header);
            policy.settle(table, host, reservation, outcome);
        }
        self.rate_limit_fields()
    }

    /// Takes the end of the exchange: an attempt without an answer stays counted.
    pub fn finish(&mut self, host: &dyn Host) {
        self.stage = Stage::Done;
        if let Some(reservation) = self.reservation.take()
            && let (Some(policy), Some(table)) = (&self.engine.policy.login, &self.engine.table)
        {
            policy.settle(table, host, reservation, Outcome::Count);
        }
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
        host.count(Counter::Denied(denial.reason));
        let mut reply = render(&denial, &self.engine.policy.style, self.head.is_grpc());
        reply.headers.extend(self.rate_limit_fields());
        Step::Deny(Box::new(reply))
    }

    fn judge_head(&mut self, host: &dyn Host, ends: bool) -> Result<(), Denial> {
        let engine = Rc::clone(&self.engine);
        if engine.policy.asks_client() {
            self.find_client(host, &engine)?;
        }
        let route = if engine.policy.asks_target() {
            self.find_target(host, &engine)?
        } else {
            None
        };
        self.judge_ban(host, &engine)?;
        self.charge_quotas(host, &engine, false)?;
        if let Some(denial) = route {
            let mode = self.request_mode();
            self.refuse(host, mode, denial)?;
        }
        if let Some(requests) = &engine.policy.requests {
            let verdict = requests.judge_head(&self.head, &self.method, self.operation(&engine), ends);
            let mode = self.request_mode();
            self.plan = self.judged(host, mode, verdict)?;
        }
        if let Some(tokens) = &engine.policy.tokens {
            self.edits.extend(tokens.removals(&self.head));
        }
        Ok(())
    }

    fn find_client(&mut self, host: &dyn Host, engine: &Engine) -> Result<(), Denial> {
        let clients = &engine.policy.clients;
        let mode = clients.mode.unwrap_or(engine.policy.mode);
        let address = host.source_address().and_then(|text| parse_source_address(&text));
        let Some(address) = address else {
            // Who can't be told apart can't be counted: that is a matter of trial only where counting is.
            let mode = if engine.policy.enforces_client() {
                Mode::Enforce
            } else {
                mode
            };
            return self.refuse(host, mode, Reason::ClientUnknown.into());
        };
        if clients.deny.contains(address) {
            self.refuse(host, mode, Reason::ClientDenied.into())?;
        }
        self.exempt = clients.exempt.contains(address);
        self.client = Some(clients.prefixes.client(address));
        Ok(())
    }

    /// Finds the operation; gives the refusal of an undeclared one, for later, since quotas come first.
    fn find_target(&mut self, host: &dyn Host, engine: &Engine) -> Result<Option<Denial>, Denial> {
        // Where a guard that is enforced goes by method and path, these are not a matter of trial.
        let enforced = engine.policy.enforces_target();
        let mode = if enforced { Mode::Enforce } else { self.request_mode() };
        let method = self.head.single(":method").ok().flatten();
        let method = method.and_then(|m| std::str::from_utf8(m).ok());
        let token = |m: &&str| !m.is_empty() && m.bytes().all(|b| b.is_ascii_uppercase() || b"-_".contains(&b));
        let Some(method) = method.filter(token).map(str::to_owned) else {
            self.refuse(host, mode, Reason::MethodInvalid.into())?;
            return Ok(None);
        };
        self.method = method;
        let authority = self.head.single(":authority").ok().flatten().unwrap_or_default();
        if !is_authority(authority) {
            self.refuse(host, mode, Reason::HostInvalid.into())?;
        }
        let path = self.head.single(":path").ok().flatten().unwrap_or_default();
        let target = match Target::parse(path) {
            Ok(target) => target,
            Err(fault) => {
                self.refuse(
                    host,
                    mode,
                    Reason::PathInvalid.because(format!("The path has {}.", fault.0)),
                )?;
                return Ok(None);
            }
        };
        if let Some(rewritten) = target.rewritten()
            && mode == Mode::Enforce
        {
            self.edits.push(HeadEdit::Set(":path".into(), rewritten.into_bytes()));
        }
        let segments: Vec<_> = target.segments().collect();
        let route = engine.policy.router.find(&self.method, &segments);
        let login = engine
            .policy
            .login
            .as_ref()
            .map(|policy| policy.operations.find(&self.method, &segments));
        let declared = route != Route::Undeclared || login.as_ref().is_some_and(|route| *route != Route::Undeclared);
        if overrides_target(&self.head, declared) {
            self.refuse(host, mode, Reason::MethodOverride.into())?;
        }
        if let (Some(policy), Some(table), Some(client)) = (&engine.policy.login, &engine.table, self.client)
            && login == Some(Route::Found(&()))
            && !self.exempt
        {
            self.login_key = Some(policy.key(table, client));
        }
        let undeclared_denied = engine.policy.requests.as_ref().is_some_and(|r| r.undeclared_denied);
        Ok(match route {
            Route::Found(operation) => {
                self.operation = Some(*operation);
                None
            }
            _ if !undeclared_denied => None,
            Route::Undeclared => Some(Reason::OperationUnknown.into()),
            Route::OtherMethods(methods) => {
                let methods = methods.into_iter().map(str::to_owned).collect();
                Some(Reason::MethodNotAllowed.with(Extra::Allow(methods)))
            }
        })
    }

    fn judge_ban(&mut self, host: &dyn Host, engine: &Engine) -> Result<(), Denial> {
        let (Some(policy), Some(table), Some(client)) = (&engine.policy.login, &engine.table, self.client) else {
            return Ok(());
        };
        let key = match (self.login_key, policy.ban.scope) {
            (Some(key), _) => key,
            (None, login::BanScope::All) if !self.exempt => policy.key(table, client),
            _ => return Ok(()),
        };
        let denial = match policy.banned(table, host, key) {
            Ok(None) => return Ok(()),
            Ok(Some(left)) => Reason::ClientBanned.retry_after(left),
            Err(_) if policy.on_error == OnError::Allow => return Ok(()),
            Err(_) => Reason::StoreUnavailable.into(),
        };
        self.refuse(host, policy.mode.unwrap_or(engine.policy.mode), denial)
    }

    /// Charges the quotas that ask for the token, or those that don't.
    fn charge_quotas(&mut self, host: &dyn Host, engine: &Engine, token: bool) -> Result<(), Denial> {
        let (Some(table), Some(client)) = (&engine.table, self.client) else {
            return Ok(());
        };
        if self.exempt || (token && self.verified.is_none()) {
            return Ok(());
        }
        let client = client.key();
        let units = self.operation(engine).map_or(1, |o| o.cost);
        // Shadowed quotas are charged apart: what they would refuse must not undo what is enforced.
        for mode in [Mode::Enforce, Mode::Shadow] {
            let applies = |quota: &quota::Quota| {
                let named = |operations: &Vec<usize>| self.operation.is_some_and(|at| operations.contains(&at));
                quota.asks_token() == token
                    && quota.mode.unwrap_or(engine.policy.mode) == mode
                    && quota.operations.as_ref().is_none_or(named)
            };
            // A subject or claim means what its issuer says it means.
            let of_issuer = |part: &dyn Fn(&Verified) -> Option<&str>| {
                let verified = self.verified.as_ref();
                verified.map_or_else(Vec::new, |v| {
                    format!("{}\n{}", v.issuer, part(v).unwrap_or_default()).into_bytes()
                })
            };
            let part = |by: &By| match by {
                By::Client => client.to_vec(),
                By::Operation => self
                    .operation(engine)
                    .map(|o| o.id.clone().into_bytes())
                    .unwrap_or_default(),
                By::Header(name) => self.head.values(name).collect::<Vec<_>>().join(&b','),
                By::Subject => of_issuer(&|v| v.subject.as_deref()),
                By::Claim(name) => of_issuer(&|v| {
                    v.kept
                        .iter()
                        .find(|(kept, _)| kept == name)
                        .map(|(_, value)| value.as_str())
                }),
            };
            let quotas = engine
                .policy
                .quotas
                .iter()
                .enumerate()
                .filter(|(_, quota)| applies(quota));
            let keyed: Vec<_> = quotas
                .map(|(at, quota)| (at, quota, quota.fingerprint(table, part)))
                .collect();
            let denial = match quota::charge(table, host, &keyed, units) {
                Ok(standings) => {
                    let enforced = mode == Mode::Enforce;
                    self.charged
                        .extend(keyed.iter().filter(|_| enforced).map(|(at, _, key)| (*at, *key)));
                    self.standings.extend(standings.into_iter().filter(|_| enforced));
                    continue;
                }
                Err(quota::Refusal::Exceeded { quota, retry_after }) => {
                    self.standings.extend((mode == Mode::Enforce).then_some(Standing {
                        quota,
                        remaining: 0,
                        next_unit: retry_after,
                    }));
                    Reason::QuotaExceeded.with(Extra::Quota {
                        name: engine
                            .policy
                            .quotas
                            .get(quota)
                            .map(|q| q.name.clone())
                            .unwrap_or_default(),
                        retry_after,
                    })
                }
                Err(quota::Refusal::Store(_)) => Reason::StoreUnavailable.into(),
            };
            if mode == Mode::Enforce {
                for (at, key) in self.charged.drain(..) {
                    let quota = engine.policy.quotas.get(at);
                    quota.inspect(|quota| quota.refund(table, host, key, units));
                }
            }
            self.refuse(host, mode, denial)?;
        }
        Ok(())
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
                    .charge_quotas(host, &engine, true)
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

    fn judge_token(&mut self, host: &dyn Host, engine: &Engine) -> Result<Pass, Denial> {
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

    fn judge_revocation(&mut self, host: &dyn Host, engine: &Engine) -> Result<Pass, Denial> {
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

    /// `None` while the body is still coming and decides.
    fn judge_body(&mut self, host: &dyn Host, engine: &Engine) -> Option<Result<(), Denial>> {
        let (Some(policy), Some(plan)) = (&engine.policy.requests, self.plan) else {
            return Some(Ok(()));
        };
        let Body::Complete(body) = &mut self.body else {
            return None;
        };
        let body = std::mem::take(body);
        if body.is_empty() {
            return Some(Ok(()));
        }
        let verdict = policy.judge_body(&plan, self.operation(engine), &body);
        let mode = self.request_mode();
        Some(verdict.or_else(|denial| self.refuse(host, mode, denial)))
    }

    fn reserve_attempt(&mut self, host: &dyn Host, engine: &Engine) -> Result<(), Denial> {
        let (Some(policy), Some(table), Some(key)) = (&engine.policy.login, &engine.table, self.login_key) else {
            return Ok(());
        };
        let denial = match policy.reserve(table, host, key) {
            Ok(reservation) => {
                self.reservation = Some(reservation);
                return Ok(());
            }
            Err(login::Refusal::Banned(left)) => Reason::ClientBanned.retry_after(left),
            Err(login::Refusal::Limited(left)) => Reason::LoginLimited.retry_after(left),
            Err(login::Refusal::Store(_)) if policy.on_error == OnError::Allow => return Ok(()),
            Err(login::Refusal::Store(_)) => Reason::StoreUnavailable.into(),
        };
        self.refuse(host, policy.mode.unwrap_or(engine.policy.mode), denial)
    }
}

/// Whether a request asks its backend to take it for another: to use another method on a declared path, or another path.
fn overrides_target(head: &Head, declared: bool) -> bool {
    let methods = ["x-http-method-override", "x-http-method", "x-method-override"];
    let paths = ["x-original-url", "x-rewrite-url", "x-override-url"];
    let has = |names: [&str; 3]| names.iter().any(|name| head.contains(name));
    has(paths) || (declared && has(methods))
}
