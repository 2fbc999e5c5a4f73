//! The verdict of the decision core on a row of a corpus, natively, through the whole pipeline.

use super::corpus::Sample;
use portcullis::config;
use portcullis::engine::Engine;
use portcullis::host::memory::MemoryHost;
use portcullis::pipeline::{Pipeline, Step};
use portcullis::request::Head;
use std::rc::Rc;

/// The guard alone, with all categories.
pub struct Judge {
    host: MemoryHost,
    engine: Rc<Engine>,
}

impl Judge {
    pub fn new() -> Self {
        let host = MemoryHost::default();
        let engine = Rc::new(Engine::new(config::load(br#"{"threats":{}}"#).unwrap(), &host).unwrap());
        Self { host, engine }
    }

    /// The rule or the reason's code of a refusal; `None` if the row is let go.
    pub fn refuses(&self, sample: &Sample) -> Option<String> {
        let pseudo: [(&str, &[u8]); 3] = [
            (":method", sample.method.as_bytes()),
            (":path", &sample.target),
            (":authority", b"api.example"),
        ];
        let fields = sample
            .fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_slice()));
        let mut pipeline = Pipeline::new(Rc::clone(&self.engine));
        let mut step = pipeline.head(
            &self.host,
            Some(Head::from_fields(pseudo.into_iter().chain(fields))),
            sample.body.is_none(),
        );
        if let (Step::Hold, Some(body)) = (&step, &sample.body) {
            step = pipeline.body_ended(&self.host, u64::try_from(body.len()).unwrap(), || Some(body.clone()));
        }
        match step {
            Step::Deny(reply) => Some(match reply.body.split_once("matches ") {
                Some((_, rule)) => rule.split('"').next().unwrap_or_default().to_owned(),
                None => reply.code.to_owned(),
            }),
            _ => None,
        }
    }
}
