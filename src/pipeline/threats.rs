//! What is decided from the values of the whole request: whether one of them carries an attack.

use super::Pipeline;
use crate::engine::Engine;
use crate::guard::requests::{self, Parsed, read_leniently};
use crate::guard::threats::request::{Content, Part, Subject};
use crate::guard::threats::{ThreatMode, ThreatPolicy};
use crate::host::Host;
use crate::operation::Operation;
use crate::verdict::{Denial, Mode};

/// Types of bodies that are data if they hold NUL. Of programs four in five have text that looks like an attack.
const DATA: [&[u8]; 8] = [
    b"application/gzip",
    b"application/octet-stream",
    b"application/pdf",
    b"application/zip",
    b"audio/",
    b"font/",
    b"image/",
    b"video/",
];

/// The operation's own mode for this guard: a trial of all its rules is one of these too.
fn own_mode(operation: Option<&Operation>) -> Option<ThreatMode> {
    operation.and_then(|o| o.threats.or(o.mode.map(ThreatMode::On)))
}

impl Pipeline {
    /// What the guard says here: where it is off there is nothing to read for it.
    fn threats<'e>(&self, engine: &'e Engine) -> Option<(&'e ThreatPolicy, Option<ThreatMode>, Mode)> {
        let policy = engine.policy.threats.as_ref()?;
        let own = own_mode(self.operation(engine));
        Some((policy, own, policy.mode.unwrap_or(engine.policy.mode)))
    }

    /// Whether the body is to be read for this guard. Where `requests` refuses it, in shadow mode, only a guard that is
    /// enforced keeps it back: Envoy's own limits might refuse what a trial may not.
    pub(super) fn scans_body(&self, engine: &Engine) -> bool {
        let Some((policy, own, mode)) = self.threats(engine) else {
            return false;
        };
        let refused = engine.policy.requests.is_some() && self.plan.is_none();
        match policy.strictest(own, mode) {
            None => false,
            Some(Mode::Shadow) => !refused,
            Some(Mode::Enforce) => true,
        }
    }

    /// The mode to refuse in, if a body of which no other guard bounds the size is larger than this one judges.
    pub(super) fn scan_exceeded(&self, engine: &Engine, bytes: u64) -> Option<Mode> {
        let (policy, own, mode) = self.threats(engine)?;
        let requests = engine.policy.requests.as_ref().map_or(0, |r| r.body_bytes_max);
        let exceeded = self.plan.is_none() && bytes > policy.body_bytes_max().max(requests);
        policy
            .strictest(own, mode)
            .filter(|_| exceeded && self.scans_body(engine))
    }

    pub(super) fn judge_threats(
        &mut self,
        host: &dyn Host,
        engine: &Engine,
        parsed: Parsed<'_>,
        body: &[u8],
        declared: Option<&requests::Content>,
    ) -> Result<(), Denial> {
        let Some((policy, operation_mode, mode)) = self.threats(engine) else {
            return Ok(());
        };
        let parsed = match parsed {
            // Of a type that is not read, refused in shadow mode, or without `requests`.
            Parsed::Opaque => read_leniently(&self.head, body),
            parsed => parsed,
        };
        let operation = self.operation(engine);
        let subject = Subject {
            head: &self.head,
            content: self.content(&parsed, body),
            parameters: operation.map(|o| &o.parameters).filter(|_| self.parameters_hold),
            declared,
            operation: operation.map(|o| o.id.as_str()),
            operation_mode,
        };
        for (mode, denial) in policy.judge(&subject, mode) {
            self.refuse(host, mode, denial)?;
        }
        Ok(())
    }

    /// What was read of a body, as this guard takes it; what was not read is told apart by its type.
    fn content<'r>(&self, parsed: &'r Parsed<'r>, body: &'r [u8]) -> Content<'r> {
        match parsed {
            Parsed::Nothing => Content::Nothing,
            Parsed::Json(value) => Content::Json(value),
            Parsed::Form(_) => Content::Form(body),
            Parsed::Multipart(parts) => Content::Multipart(
                parts
                    .iter()
                    .map(|part| Part {
                        name: part.name,
                        file_name: part.file_name,
                        content: part.content,
                    })
                    .collect(),
            ),
            Parsed::Opaque => {
                let kind = self.head.single("content-type").ok().flatten().unwrap_or_default();
                let has = |word: &[u8]| kind.windows(word.len()).any(|w| w.eq_ignore_ascii_case(word));
                match () {
                    () if kind.is_empty() || has(b"urlencoded") => Content::Form(body),
                    () if has(b"xml") => Content::Xml(body),
                    () if body.contains(&0) && DATA.iter().any(|start| kind.starts_with(start)) => Content::Nothing,
                    () => Content::Text(body),
                }
            }
        }
    }
}
