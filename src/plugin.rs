//! The root context: loads the configuration or refuses it, makes every callout, and takes in the answers.
//!
//! All callouts are the root's, so one serves all streams of this worker that wait for the same answer, and a stream
//! that goes away takes none with it.

use crate::callout::{Answer, Callout};
use crate::config;
use crate::engine::Engine;
use crate::filter::Stream;
use crate::guard::revocation::Claim;
use crate::host::envoy::{Envoy, ffi};
use crate::host::{Counter, Host, Level};
use crate::knowledge::Need;
use crate::rate::Instant;
use crate::request::Head;
use crate::shell;
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

/// Callouts that requests have under way at once in one worker; beyond them the guard's `on_error` answers. Envoy's own
/// bound for a cluster is 1024 unless set otherwise.
const CALLOUTS_MAX: usize = 1024;

/// Of those, introspections: whoever makes up opaque tokens leaves room for what is asked about good ones.
const INTROSPECTIONS_MAX: usize = CALLOUTS_MAX / 2;

/// Requests that wait for one answer in one worker. (For keys that nobody has, far fewer do: `knowledge::waiting`.)
const WAITERS_MAX: usize = 4096;

/// Room beyond that for what no request asks for: keys of all providers, feeds, lists.
const OWN_CALLOUTS: usize = 64;

/// How often it is looked whether another worker has heard an answer, while requests wait for one: what they wait
/// beyond the answer.
const LISTEN_MILLISECONDS: u32 = 5;

/// Streams that one callback of the root resumes. Envoy answers or releases each only when the callback is over, one within
/// the other on its stack: a thousand at once overflowed it (measured: Envoy 1.40), and the VM was lost.
const RESUMED_AT_ONCE: usize = 32;

/// How soon the next of those that are ready are resumed.
const RESUME_MILLISECONDS: u32 = 1;

/// What a plugin and its streams share.
pub struct Shared {
    root: u32,
    pub host: Envoy,
    engine: RefCell<Option<Rc<Engine>>>,
    /// Callouts under way, by the host's token, each with the largest answer that is read.
    callouts: RefCell<HashMap<u32, (Need, usize)>>,
    /// What another worker asks for, each with the time until which it may be at it.
    elsewhere: RefCell<HashMap<Need, Instant>>,
    /// Streams that wait, by what they wait for; an entry stands as long as its callout is under way, here or elsewhere.
    waiting: RefCell<HashMap<Need, Vec<u32>>>,
    /// Streams that need not wait any longer, and what they were told.
    ready: RefCell<VecDeque<(u32, Need, bool)>>,
    /// How often the host ticks now; 0: not at all.
    tick_milliseconds: Cell<u32>,
}

impl Shared {
    /// Makes `stream` wait for what it needs; `false` if nobody can be asked.
    pub fn wait(&self, stream: u32, need: &Need) -> bool {
        if let Some(waiting) = self.waiting.borrow_mut().get_mut(need) {
            if waiting.len() >= WAITERS_MAX {
                return false;
            }
            waiting.push(stream);
            if need.is_revocation() {
                self.host.count(Counter::RevocationShared);
            }
            return true;
        }
        // The host attributes a callout to the context that it is in.
        let _ = ffi::set_effective_context(self.root);
        if let Some(engine) = self.engine() {
            self.ask(&engine, need.clone());
        }
        let _ = ffi::set_effective_context(stream);
        match self.waiting.borrow_mut().get_mut(need) {
            Some(waiting) => {
                waiting.push(stream);
                true
            }
            None => false,
        }
    }

    /// Forgets a stream that is gone while it waited.
    pub fn forget(&self, id: u32, waits_for: &Need) {
        if let Some(waiting) = self.waiting.borrow_mut().get_mut(waits_for) {
            waiting.retain(|stream| *stream != id);
        }
    }

    /// Ticks as often as what is under way asks for.
    fn settle_tick(&self) {
        let (Some(engine), true) = (self.engine(), self.tick_milliseconds.get() > 0) else {
            return;
        };
        let wanted = if !self.ready.borrow().is_empty() {
            RESUME_MILLISECONDS
        } else if !self.elsewhere.borrow().is_empty() {
            LISTEN_MILLISECONDS
        } else {
            engine.policy.tick_milliseconds()
        };
        if self.tick_milliseconds.replace(wanted) != wanted {
            // Without ticks, which were asked for at configure, nothing is fetched unasked either.
            let _ = ffi::set_tick_period(wanted);
        }
    }

    /// Resumes those whose question another worker has had answered, or has had time for.
    fn listen(&self, engine: &Engine) {
        let now = self.host.now();
        let ended: Vec<(Need, bool)> = self
            .elsewhere
            .borrow()
            .iter()
            .filter_map(|(need, until)| {
                let told = engine.heard(&self.host, need).or((now >= *until).then_some(false))?;
                Some((need.clone(), told))
            })
            .collect();
        for (need, told) in ended {
            self.elsewhere.borrow_mut().remove(&need);
            self.resume(&need, told);
        }
    }

    /// Resumes all streams that wait for this; called in the root's context.
    fn resume(&self, need: &Need, told: bool) {
        let waiting = self.waiting.borrow_mut().remove(need).unwrap_or_default();
        let ready = waiting.into_iter().map(|id| (id, need.clone(), told));
        self.ready.borrow_mut().extend(ready);
        self.resume_some();
    }

    /// Resumes a few of those that are ready, and has the next tick go on with the rest.
    fn resume_some(&self) {
        // Without ticks nobody would come back to the rest.
        let most = if self.tick_milliseconds.get() == 0 {
            usize::MAX
        } else {
            RESUMED_AT_ONCE
        };
        for _ in 0..most {
            let Some((id, need, told)) = self.ready.borrow_mut().pop_front() else {
                break;
            };
            if let Some(stream) = shell::stream(id)
                && ffi::set_effective_context(id).is_ok()
            {
                stream.borrow_mut().resume(&need, told);
            }
        }
        let _ = ffi::set_effective_context(self.root);
        self.settle_tick();
    }

    fn engine(&self) -> Option<Rc<Engine>> {
        self.engine.borrow().clone()
    }

    /// Starts a callout, in the root's context.
    fn ask(&self, engine: &Engine, need: Need) {
        let under_way = self.waiting.borrow().contains_key(&need);
        let out = self
            .callouts
            .borrow()
            .len()
            .saturating_add(self.elsewhere.borrow().len());
        // Requests leave room for what is asked unasked, such as keys.
        let room = if need.is_revocation() {
            CALLOUTS_MAX
        } else {
            CALLOUTS_MAX.saturating_add(OWN_CALLOUTS)
        };
        if under_way || out >= room {
            return;
        }
        let introspects = |need: &Need| matches!(need, Need::Introspection(_));
        if introspects(&need) {
            let callouts = self.callouts.borrow();
            let same = callouts.values().filter(|(need, _)| introspects(need)).count();
            if same >= INTROSPECTIONS_MAX {
                return;
            }
        }
        match engine.claim(&self.host, &need) {
            Claim::Mine => {}
            Claim::Nobody => return,
            Claim::Elsewhere(until) => {
                if need.is_revocation() {
                    self.host.count(Counter::RevocationShared);
                }
                self.elsewhere.borrow_mut().insert(need.clone(), until);
                self.settle_tick();
                self.waiting.borrow_mut().insert(need, Vec::new());
                return;
            }
        }
        let Some(callout) = engine.callout(&need) else { return };
        engine.asked(&self.host, &need);
        match dispatch(&callout) {
            Ok(token) => {
                let asked = (need.clone(), callout.answer_bytes_max);
                self.callouts.borrow_mut().insert(token, asked);
                self.waiting.borrow_mut().insert(need, Vec::new());
            }
            // An unknown cluster, or one that refuses at once.
            Err(_) => {
                engine.learn(&self.host, &need, None);
            }
        }
    }
}

/// Hands a callout to the host; `Err` if the cluster is unknown or refuses at once.
fn dispatch(callout: &Callout) -> Result<u32, ffi::Failed> {
    let mut fields = vec![
        (":method", callout.method.as_bytes()),
        (":path", callout.path.as_bytes()),
        (":authority", callout.authority.as_bytes()),
    ];
    fields.extend(callout.fields.iter().map(|(name, value)| (*name, value.as_bytes())));
    ffi::http_call(&callout.cluster, &fields, &callout.body, callout.timeout)
}

pub struct Plugin {
    shared: Rc<Shared>,
}

impl Plugin {
    pub fn new(context: u32) -> Self {
        let name = ffi::property("plugin_root_id").and_then(|name| String::from_utf8(name).ok());
        Self {
            shared: Rc::new(Shared {
                root: context,
                host: Envoy::new(&name.unwrap_or_default()),
                engine: RefCell::default(),
                callouts: RefCell::default(),
                elsewhere: RefCell::default(),
                ready: RefCell::default(),
                tick_milliseconds: Cell::new(0),
                waiting: RefCell::default(),
            }),
        }
    }
}

/// The answer to a callout; `None` for one that can't be used: a reset, or more than is read.
fn read_answer(headers: usize, body_size: usize, body_max: usize) -> Option<Answer> {
    if headers == 0 || body_size > body_max {
        return None;
    }
    let fields = Head::from_block(ffi::map(ffi::Map::CallResponseHeaders).ok()?)?;
    let body = if body_size == 0 {
        Some(Vec::new())
    } else {
        ffi::buffer(ffi::Buffer::CallResponseBody, body_size)
    };
    Answer::new(fields, body?)
}

impl Plugin {
    /// The answer to a callout came, or the news that there is none.
    pub fn on_http_call_response(&self, token: u32, headers: usize, body_size: usize) {
        self.shared.host.begin();
        let Some((need, body_max)) = self.shared.callouts.borrow_mut().remove(&token) else {
            return;
        };
        let Some(engine) = self.shared.engine() else { return };
        let answer = read_answer(headers, body_size, body_max);
        let told = engine.learn(&self.shared.host, &need, answer.as_ref());
        self.shared.resume(&need, told);
    }

    /// A configuration came; `false` refuses it.
    pub fn on_configure(&self, size: usize) -> bool {
        self.shared.host.begin();
        let text = if size == 0 {
            Some(Vec::new())
        } else {
            ffi::buffer(ffi::Buffer::PluginConfiguration, size)
        };
        let host = &self.shared.host;
        let Some(text) = text else {
            host.log(
                Level::Error,
                "portcullis: the configuration can't be read from the host",
            );
            return false;
        };
        if ffi::now().is_none() {
            host.log(
                Level::Error,
                "portcullis: the host gives no time, without which no limit or token can be judged",
            );
            return false;
        }
        let policy = match config::load(&text) {
            Ok(policy) => policy,
            Err(errors) => {
                host.log(
                    Level::Error,
                    &format!(
                        "portcullis: the configuration has {} fault(s), it is not used",
                        errors.len()
                    ),
                );
                for error in errors {
                    host.log(Level::Error, &format!("portcullis: {error}"));
                }
                return false;
            }
        };
        let (ticks, tick_milliseconds) = (policy.asks_tick(), policy.tick_milliseconds());
        let quotas = policy.quotas.iter().map(|quota| quota.name.clone()).collect();
        match Engine::new(policy, host) {
            Ok(engine) => *self.shared.engine.borrow_mut() = Some(Rc::new(engine)),
            Err(error) => {
                host.log(Level::Error, &format!("portcullis: {}", error.0));
                return false;
            }
        }
        host.define_counters(quotas);
        let ticking = ticks && ffi::set_tick_period(tick_milliseconds).is_ok();
        self.shared
            .tick_milliseconds
            .set(if ticking { tick_milliseconds } else { 0 });
        if ticks && !ticking {
            host.log(
                Level::Warn,
                "portcullis: the host gives no ticks: keys are fetched when a token asks for them",
            );
        }
        true
    }

    /// A tick came.
    pub fn on_tick(&self) {
        self.shared.host.begin();
        if !self.shared.ready.borrow().is_empty() {
            self.shared.resume_some();
        }
        if let Some(engine) = self.shared.engine() {
            for need in engine.due(&self.shared.host) {
                self.shared.ask(&engine, need);
            }
            self.shared.listen(&engine);
            engine.survey(&self.shared.host);
        }
    }

    /// A new stream.
    pub fn stream(&self, context: u32) -> Stream {
        Stream::new(context, Rc::clone(&self.shared), self.shared.engine())
    }
}
