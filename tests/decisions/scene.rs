//! A policy at work on the memory host, and requests in one line.

use portcullis::callout::{Answer, Callout};
use portcullis::config;
use portcullis::engine::Engine;
use portcullis::guard::revocation::Claim;
use portcullis::host::memory::MemoryHost;
use portcullis::knowledge::Need;
use portcullis::pipeline::{Pipeline, Response, Step};
use portcullis::reply::Reply;
use portcullis::request::{Head, HeadEdit};
use std::rc::Rc;
use std::time::Duration;

pub struct Scene {
    pub host: MemoryHost,
    pub engine: Rc<Engine>,
}

/// A request to be judged.
#[derive(Clone)]
pub struct Request {
    method: String,
    path: Vec<u8>,
    authority: String,
    fields: Vec<(String, Vec<u8>)>,
    body: Option<Vec<u8>>,
}

pub fn get(path: &str) -> Request {
    request("GET", path)
}

pub fn post_json(path: &str, body: &str) -> Request {
    request("POST", path)
        .field("content-type", "application/json")
        .body(body)
}

pub fn request(method: &str, path: &str) -> Request {
    Request {
        method: method.into(),
        path: path.into(),
        authority: "api.example".into(),
        fields: Vec::new(),
        body: None,
    }
}

impl Request {
    pub fn field(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.fields.push((name.into(), value.as_ref().into()));
        self
    }

    pub fn path_bytes(mut self, path: Vec<u8>) -> Self {
        self.path = path;
        self
    }

    pub fn authority(mut self, authority: &str) -> Self {
        self.authority = authority.into();
        self
    }

    pub fn bearer(self, token: &str) -> Self {
        self.field("authorization", format!("Bearer {token}"))
    }

    /// The token that [`Request::bearer`] set.
    pub fn bearer_text(&self) -> &str {
        let value = self.fields.iter().find(|(name, _)| name == "authorization").unwrap();
        std::str::from_utf8(&value.1).unwrap().strip_prefix("Bearer ").unwrap()
    }

    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = Some(body.as_ref().into());
        self
    }
}

/// What became of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    Allowed,
    Denied(&'static str),
    Waits(Need),
}

impl Scene {
    pub fn new(policy: &str) -> Self {
        Self::on(MemoryHost::default(), policy)
    }

    pub fn on(host: MemoryHost, policy: &str) -> Self {
        let policy = config::load(policy.as_bytes()).unwrap_or_else(|faults| panic!("{faults:#?}"));
        let engine = Rc::new(Engine::new(policy, &host).unwrap());
        Self { host, engine }
    }

    /// A second worker of the same Envoy: it shares the cells and nothing else.
    pub fn worker(&self, policy: &str) -> Rc<Engine> {
        Rc::new(Engine::new(config::load(policy.as_bytes()).unwrap(), &self.host).unwrap())
    }

    pub fn pass(&self, seconds: u64) {
        self.host.advance(Duration::from_secs(seconds));
    }

    /// Steps a request to its first final answer or wait.
    pub fn send(&self, request: &Request) -> Exchange<'_> {
        self.send_to(&self.engine, request)
    }

    /// Steps a request by its head only.
    pub fn send_head(&self, request: &Request) -> Exchange<'_> {
        let body = Request {
            body: request.body.as_ref().map(|_| Vec::new()),
            ..request.clone()
        };
        self.start(&self.engine, &body)
    }

    pub fn send_to(&self, engine: &Rc<Engine>, request: &Request) -> Exchange<'_> {
        let mut exchange = self.start(engine, request);
        if let Some(body) = &request.body
            && !matches!(exchange.step, Some(Step::Allow | Step::Deny(_)))
        {
            let bytes = u64::try_from(body.len()).unwrap();
            let step = exchange.pipeline.body_ended(&self.host, bytes, || Some(body.clone()));
            if step != Step::Hold {
                exchange.took(step);
            }
        }
        exchange
    }

    fn start(&self, engine: &Rc<Engine>, request: &Request) -> Exchange<'_> {
        let pseudo: [(&str, &[u8]); 3] = [
            (":method", request.method.as_bytes()),
            (":path", &request.path),
            (":authority", request.authority.as_bytes()),
        ];
        let fields = request
            .fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_slice()));
        let head = Head::from_fields(
            pseudo
                .into_iter()
                .filter(|(_, value)| *value != b"absent")
                .chain(fields),
        );
        let mut exchange = Exchange {
            scene: self,
            engine: Rc::clone(engine),
            pipeline: Pipeline::new(Rc::clone(engine)),
            step: None,
            edits: Vec::new(),
        };
        let step = exchange.pipeline.head(&self.host, Some(head), request.body.is_none());
        exchange.took(step);
        exchange
    }

    #[track_caller]
    pub fn denied(&self, request: &Request, code: &'static str) -> Reply {
        let exchange = self.send(request);
        assert_eq!(exchange.verdict(), Verdict::Denied(code));
        exchange.into_reply()
    }

    #[track_caller]
    pub fn allowed(&self, request: &Request) -> Exchange<'_> {
        let exchange = self.send(request);
        assert_eq!(exchange.verdict(), Verdict::Allowed, "{:?}", exchange.step);
        exchange
    }
}

pub struct Exchange<'s> {
    scene: &'s Scene,
    engine: Rc<Engine>,
    pub pipeline: Pipeline,
    step: Option<Step>,
    edits: Vec<HeadEdit>,
}

impl Exchange<'_> {
    fn took(&mut self, step: Step) {
        self.edits.extend(self.pipeline.take_edits());
        self.step = Some(step);
    }

    #[track_caller]
    pub fn verdict(&self) -> Verdict {
        match self.step.as_ref().unwrap() {
            Step::Allow => Verdict::Allowed,
            Step::Deny(reply) => Verdict::Denied(reply.code),
            Step::Wait(need) => Verdict::Waits(need.clone()),
            Step::Hold => panic!("the request is held without end"),
        }
    }

    #[track_caller]
    pub fn into_reply(self) -> Reply {
        match self.step {
            Some(Step::Deny(reply)) => *reply,
            step => panic!("no refusal: {step:?}"),
        }
    }

    /// Finds that what the request waits for can't be asked.
    pub fn unasked(mut self) -> Self {
        let Some(Step::Wait(need)) = self.step.take() else {
            panic!("the request does not wait")
        };
        let step = self.pipeline.resume(&self.scene.host, &need, false);
        self.took(step);
        self
    }

    /// Who is to ask for what the request waits for.
    #[track_caller]
    pub fn claim(&self) -> Claim {
        let Some(Step::Wait(need)) = &self.step else {
            panic!("the request does not wait")
        };
        self.engine.claim(&self.scene.host, need)
    }

    /// The callout that the request waits for.
    #[track_caller]
    pub fn callout(&self) -> Callout {
        let Some(Step::Wait(need)) = &self.step else {
            panic!("the request does not wait")
        };
        self.engine.callout(need).unwrap()
    }

    /// Goes on once another worker's question has ended; `false` if it has not.
    #[track_caller]
    pub fn heard(&mut self) -> bool {
        let Some(Step::Wait(need)) = self.step.clone() else {
            panic!("the request does not wait")
        };
        let Some(told) = self.engine.heard(&self.scene.host, &need) else {
            return false;
        };
        let step = self.pipeline.resume(&self.scene.host, &need, told);
        self.took(step);
        true
    }

    /// Answers the callout that the request waits for; `None`: no answer came.
    #[track_caller]
    pub fn answered(mut self, answer: Option<(u16, &str, &str)>) -> Self {
        let Some(Step::Wait(need)) = self.step.take() else {
            panic!("the request does not wait")
        };
        let answer =
            answer.map(|(status, content_type, body)| Answer::of(status, &[("content-type", content_type)], body));
        if matches!(need, Need::Keys(_)) {
            assert_eq!(self.engine.claim(&self.scene.host, &need), Claim::Mine);
        }
        self.engine.asked(&self.scene.host, &need);
        let told = self.engine.learn(&self.scene.host, &need, answer.as_ref());
        let step = self.pipeline.resume(&self.scene.host, &need, told);
        self.took(step);
        self
    }

    /// The backend answers.
    pub fn responds(mut self, status: u16) -> Vec<(&'static str, String)> {
        self.respond(status, true)
    }

    pub fn respond(&mut self, status: u16, from_backend: bool) -> Vec<(&'static str, String)> {
        let response = Response {
            status,
            from_backend,
            header: &|_| Vec::new(),
        };
        self.pipeline.response(&self.scene.host, &response);
        let fields = self.pipeline.fields_beside(&|_| Vec::new());
        self.pipeline.finish(&self.scene.host);
        fields
    }

    /// The changes to the head.
    pub fn edits(&self) -> Vec<(String, Option<String>)> {
        let text = |value: &Vec<u8>| Some(String::from_utf8(value.clone()).unwrap());
        let edits = self.edits.iter().map(|edit| match edit {
            HeadEdit::Set(name, value) => (name.clone(), text(value)),
            HeadEdit::Remove(name) => (name.clone(), None),
            HeadEdit::State(name, value) => (format!("state {name}"), text(value)),
        });
        edits.collect()
    }
}

pub fn header<'r>(reply: &'r Reply, name: &str) -> Option<&'r str> {
    reply.headers.iter().find(|(n, _)| *n == name).map(|(_, v)| v.as_ref())
}
