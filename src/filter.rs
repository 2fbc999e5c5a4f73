//! Envoy's phases, turned into events for a pipeline; and its steps, carried out.
//!
//! The request is kept from the backend until the final step. There is one final step, so there is one local reply or
//! one release; answers of others (Envoy's own, or our reply on its way out) end the matter for the pipeline too.

use crate::engine::Engine;
use crate::host::envoy::ffi;
use crate::knowledge::Need;
use crate::pipeline::{Pipeline, Response, Step};
use crate::plugin::Shared;
use crate::policy::Hold;
use crate::reply::Reply;
use crate::request::{Head, HeadEdit};
use crate::shell::Action;
use std::rc::Rc;

/// Filter state for access logs: `%FILTER_STATE(wasm.portcullis_code:PLAIN)%`.
const CODE_PROPERTY: &str = "portcullis_code";
/// The same for refusals that shadow mode let pass, separated by commas.
const SHADOW_PROPERTY: &str = "portcullis_shadowed";

/// Envoy takes any local answer of 400 for a broken message and ends an HTTP/1.1 connection after it, which costs both sides
/// more than the refused request: a new connection, and its handshake. Ours are about messages that were read well, so they
/// leave under this status, which is exchanged for 400 on their way out; whoever could not exchange it says so truly.
const STATUS_FOR_400: u32 = 422;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Judging,
    Released,
    Answered,
}

/// Where a step is carried out, which decides how a request is released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Headers,
    Body,
    /// Outside the stream's own callbacks.
    Resumed,
}

/// One request on its way.
pub struct Stream {
    id: u32,
    shared: Rc<Shared>,
    pipeline: Option<Pipeline>,
    hold: Hold,
    state: State,
    /// In [`Hold::BufferFilter`], the head went on to the buffer filter, or the body could not come.
    head_gone: bool,
    waits_for: Option<Need>,
    body_bytes: u64,
    /// Our answer left under [`STATUS_FOR_400`].
    becomes_400: bool,
}

fn length(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}

impl Stream {
    /// Without an engine, which no configured plugin is, every request is refused.
    pub fn new(id: u32, shared: Rc<Shared>, engine: Option<Rc<Engine>>) -> Self {
        Self {
            id,
            hold: engine.as_ref().map(|engine| engine.policy.hold).unwrap_or_default(),
            pipeline: engine.map(Pipeline::new),
            shared,
            state: State::Judging,
            head_gone: false,
            waits_for: None,
            body_bytes: 0,
            becomes_400: false,
        }
    }

    /// Carries out a step and says whether the phase goes on.
    fn carry_out(&mut self, mut step: Step, phase: Phase) -> Action {
        loop {
            match step {
                Step::Allow => return self.release(phase),
                Step::Deny(reply) => return self.answer(&reply),
                Step::Hold | Step::Wait(_) if !self.apply_edits() => return self.fail(),
                Step::Hold => return self.hold(phase),
                Step::Wait(need) => {
                    if self.shared.wait(self.id, &need) {
                        self.waits_for = Some(need);
                        return Action::Pause;
                    }
                    let Some(pipeline) = &mut self.pipeline else {
                        return self.fail();
                    };
                    step = pipeline.resume(&self.shared.host, &need, false);
                }
            }
        }
    }

    fn release(&mut self, phase: Phase) -> Action {
        if self.state == State::Judging {
            if !self.apply_edits() {
                return self.fail();
            }
            self.note_shadowed();
            self.state = State::Released;
            if phase == Phase::Resumed {
                let _ = ffi::continue_request();
            }
        }
        Action::Continue
    }

    fn hold(&mut self, phase: Phase) -> Action {
        if self.hold == Hold::StopIteration || self.head_gone {
            return Action::Pause;
        }
        // The body comes only once the head has gone on; the buffer filter keeps both.
        match phase {
            Phase::Headers => {
                self.head_gone = true;
                Action::Continue
            }
            Phase::Resumed => {
                self.head_gone = true;
                let _ = ffi::continue_request();
                Action::Pause
            }
            Phase::Body => Action::Pause,
        }
    }

    fn answer(&mut self, reply: &Reply) -> Action {
        if self.state != State::Judging {
            return Action::Pause;
        }
        self.state = State::Answered;
        self.note_shadowed();
        let _ = ffi::set_property(CODE_PROPERTY, reply.code.as_bytes());
        let headers: Vec<(&str, &[u8])> = reply
            .headers
            .iter()
            .map(|(name, value)| (*name, value.as_bytes()))
            .collect();
        let grpc_status = reply
            .grpc_status
            .and_then(|status| i32::try_from(status).ok())
            .unwrap_or(-1);
        // What a caller of gRPC hears is made of another status, which the reply has.
        self.becomes_400 = reply.status == 400 && reply.grpc_status.is_none();
        let status = if self.becomes_400 {
            STATUS_FOR_400
        } else {
            reply.status.into()
        };
        // That the host can't answer leaves the request where it is: it goes nowhere, and times out.
        let sent = ffi::send_local_response(status, reply.code, &headers, reply.body.as_bytes(), grpc_status);
        // What Envoy then answers of its own keeps its status.
        self.becomes_400 &= sent.is_ok();
        Action::Pause
    }

    /// Refuses a request that no pipeline can judge.
    fn fail(&mut self) -> Action {
        if self.state == State::Judging {
            self.state = State::Answered;
            let _ = ffi::send_local_response(500, "internal", &[], b"", -1);
        }
        Action::Pause
    }

    /// Makes the pipeline's changes to the head; `false` if the host does not: then the request must not go on.
    fn apply_edits(&mut self) -> bool {
        let edits = self.pipeline.as_mut().map(Pipeline::take_edits).unwrap_or_default();
        edits.into_iter().all(|edit| {
            let done = match edit {
                HeadEdit::Set(name, value) => ffi::set_map_value(ffi::Map::RequestHeaders, &name, &value),
                HeadEdit::Remove(name) => ffi::remove_map_value(ffi::Map::RequestHeaders, &name),
                HeadEdit::State(name, value) => ffi::set_property(&name, &value),
            };
            done.is_ok()
        })
    }

    fn note_shadowed(&mut self) {
        let shadowed = self.pipeline.as_mut().map(Pipeline::take_shadowed).unwrap_or_default();
        if !shadowed.is_empty() {
            let codes: Vec<&str> = shadowed.into_iter().map(|reason| reason.code()).collect();
            let _ = ffi::set_property(SHADOW_PROPERTY, codes.join(",").as_bytes());
        }
    }

    /// The head came; `ends` if it is the whole request.
    pub fn headers(&mut self, ends: bool) -> Action {
        self.shared.host.begin();
        if self.state != State::Judging {
            return Action::Pause;
        }
        let Some(pipeline) = &mut self.pipeline else {
            return self.fail();
        };
        // Where no guard asks for anything, the head is not fetched either.
        let head = if pipeline.asks_head() {
            ffi::map(ffi::Map::RequestHeaders).ok().and_then(Head::from_block)
        } else {
            Some(Head::default())
        };
        let step = pipeline.head(&self.shared.host, head, ends);
        self.carry_out(step, Phase::Headers)
    }

    /// `bytes` of the body came in all so far.
    pub fn body(&mut self, bytes: usize, ends: bool) -> Action {
        self.shared.host.begin();
        match self.state {
            State::Released => return Action::Continue,
            State::Answered => return Action::Pause,
            State::Judging => {}
        }
        self.body_bytes = length(bytes);
        if ends {
            return self.body_ended();
        }
        let Some(pipeline) = &mut self.pipeline else {
            return self.fail();
        };
        let step = pipeline.body_so_far(&self.shared.host, length(bytes));
        self.carry_out(step, Phase::Body)
    }

    /// At the end of the body, or at the trailers, after which no body callback comes.
    fn body_ended(&mut self) -> Action {
        match self.state {
            State::Released => return Action::Continue,
            State::Answered => return Action::Pause,
            State::Judging => {}
        }
        let bytes = self.body_bytes;
        let read = || {
            let body = ffi::buffer(ffi::Buffer::RequestBody, usize::try_from(bytes).ok()?)?;
            // What is judged is what is forwarded: all of it.
            (length(body.len()) == bytes).then_some(body)
        };
        let Some(pipeline) = &mut self.pipeline else {
            return self.fail();
        };
        let step = pipeline.body_ended(&self.shared.host, bytes, read);
        self.carry_out(step, Phase::Body)
    }

    /// Trailers end the body, and no body callback says so.
    pub fn trailers(&mut self) -> Action {
        self.shared.host.begin();
        // Measured on Envoy 1.40: with the buffer filter after this one, a body of many pieces that ends in trailers can
        // reach the backend other than it was judged.
        if self.hold == Hold::BufferFilter
            && self.state == State::Judging
            && let Some(pipeline) = &mut self.pipeline
        {
            let step = pipeline.refuse_trailers(&self.shared.host);
            return self.carry_out(step, Phase::Body);
        }
        self.body_ended()
    }

    /// Goes on after a wait; called by the plugin, in this stream's context.
    pub fn resume(&mut self, need: &Need, told: bool) {
        self.waits_for = None;
        if self.state != State::Judging {
            return;
        }
        if let Some(pipeline) = &mut self.pipeline {
            let step = pipeline.resume(&self.shared.host, need, told);
            self.carry_out(step, Phase::Resumed);
        }
    }

    /// The head of an answer came: the backend's, Envoy's own, or ours on its way out.
    pub fn response(&mut self) {
        self.shared.host.begin();
        match self.state {
            State::Released => {}
            // Our own reply on its way out, or Envoy's answer to a request that it gave up: nothing is left to judge.
            State::Judging | State::Answered => {
                self.state = State::Answered;
                if std::mem::take(&mut self.becomes_400) {
                    let _ = ffi::set_map_value(ffi::Map::ResponseHeaders, ":status", b"400");
                }
                return;
            }
        }
        let Some(pipeline) = &mut self.pipeline else { return };
        let header = |name: &str| {
            // A field that is not there costs a tenth of the whole head, which is asked for since a field may be repeated.
            if ffi::map_value(ffi::Map::ResponseHeaders, name).is_none() {
                return Vec::new();
            }
            let head = ffi::map(ffi::Map::ResponseHeaders)
                .ok()
                .and_then(Head::from_block)
                .unwrap_or_default();
            head.values(name).map(<[u8]>::to_vec).collect()
        };
        // Each of these would cost a request that asks for none of it about a microsecond.
        if pipeline.asks_response() {
            let status = ffi::map_value(ffi::Map::ResponseHeaders, ":status");
            let details = ffi::property("response\0code_details");
            let response = Response {
                status: status
                    .and_then(|text| std::str::from_utf8(&text).ok()?.parse().ok())
                    .unwrap_or(0),
                from_backend: details.as_deref() == Some(b"via_upstream"),
                header: &header,
            };
            pipeline.response(&self.shared.host, &response);
        }
        for (name, value) in pipeline.fields_beside(&header) {
            let _ = ffi::set_map_value(ffi::Map::ResponseHeaders, name, value.as_bytes());
        }
    }

    fn finish(&mut self) {
        if let Some(pipeline) = &mut self.pipeline {
            pipeline.finish(&self.shared.host);
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.shared.host.begin();
        self.finish();
        if let Some(need) = self.waits_for.take() {
            self.shared.forget(self.id, &need);
        }
    }
}
