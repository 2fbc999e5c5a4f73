//! What is decided from the values of the whole request: whether one of them carries an attack.

use super::Pipeline;
use crate::engine::Engine;
use crate::guard::requests::Parsed;
use crate::guard::threats::request::{Content, Part, Subject};
use crate::host::Host;
use crate::verdict::Denial;

impl Pipeline {
    /// What was read of a body, as this guard takes it; what was not read is told apart by its type.
    pub(super) fn content<'r>(&self, parsed: &'r Parsed<'r>, body: &'r [u8]) -> Content<'r> {
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
                    // What is no text is no text to act.
                    () if body.contains(&0) => Content::Nothing,
                    () => Content::Text(body),
                }
            }
        }
    }

    pub(super) fn judge_threats(
        &mut self,
        host: &dyn Host,
        engine: &Engine,
        content: Content<'_>,
    ) -> Result<(), Denial> {
        let Some(policy) = &engine.policy.threats else {
            return Ok(());
        };
        let operation = self.operation(engine);
        let subject = Subject {
            head: &self.head,
            content,
            schema: None,
            operation: operation.map(|o| o.id.as_str()),
            operation_mode: operation.and_then(|o| o.threats),
        };
        let mode = self.mode(policy.mode);
        for (mode, denial) in policy.judge(&subject, mode) {
            self.refuse(host, mode, denial)?;
        }
        Ok(())
    }
}
