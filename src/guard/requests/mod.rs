//! What a request may look like: required header fields, parameters by style and schema, and a body by type, size, strict
//! reading and schema. Everything is decided from a request's own bytes; what can't be read is refused.

mod body;
mod inputs;
mod known;
mod media;
pub mod multipart;
pub mod pairs;
pub mod parameters;
pub mod shape;

pub use body::{BodyPlan, BodyRule, Content, Parsed, PartRule, read_leniently};
pub use inputs::Inputs;
pub use media::MediaType;

use crate::json::Limits;
use crate::operation::{Operation, Segment};
use crate::path::Target;
use crate::request::Head;
use crate::verdict::{Denial, Extra, Mode, Reason};
use pairs::{Coding, HEAD_PAIRS_MAX, Pair, PairFault, cookie_pairs, form_pairs};
use parameters::{Judged, Rules, Sent};
use std::borrow::Cow;

/// The configuration's `requests`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestPolicy {
    pub body_bytes_max: u64,
    pub json: Limits,
    pub undeclared_denied: bool,
    /// Whether a CORS preflight of a declared operation goes without a token and an operation of its own.
    pub preflights_allowed: bool,
    /// Whether parameters that an operation does not declare are refused.
    pub unknown_denied: bool,
    /// Names in lower case.
    pub require_headers: Vec<String>,
    /// Header fields, cookies and query parameters that other guards ask for: never unknown. Fields in lower case.
    pub asked_headers: Vec<String>,
    pub asked_cookies: Vec<String>,
    pub asked_query: Vec<String>,
    pub mode: Option<Mode>,
}

impl RequestPolicy {
    /// Judges a head, and plans for the body. `ends`: the head is the whole request. `preflight`: it is a CORS preflight of a
    /// declared operation, which has no body.
    ///
    /// # Errors
    /// The refusal, the cheapest one first.
    pub fn judge_head(
        &self,
        head: &Head,
        method: &str,
        operation: Option<&Operation>,
        preflight: bool,
        ends: bool,
    ) -> Result<BodyPlan, Denial> {
        for name in ["content-type", "content-length", "authorization", "host"] {
            if head.single(name).is_err() {
                return Err(Reason::HeaderRepeated.because(format!("The header field {name} came more than once.")));
            }
        }
        if let Some(name) = self
            .require_headers
            .iter()
            .find(|name| !head.contains(name) && !preflight)
        {
            return Err(Reason::HeaderMissing.because(format!("The header field {name} is required.")));
        }
        let mut plan = BodyPlan::new(self, head, method, operation);
        if preflight {
            plan = plan.without_body();
        }
        if ends {
            plan.judge_end(0)?;
        } else if let Some(length) = content_length(head)? {
            plan.judge_size(length)?;
        }
        Ok(plan)
    }

    /// Judges the parameters of an operation, all places at once.
    ///
    /// # Errors
    /// The refusal, with the first few faults.
    pub fn judge_parameters(&self, operation: &Operation, head: &Head, target: &Target) -> Result<(), Denial> {
        let parameters = &operation.parameters;
        let unknown_denied = parameters.unknown_denied.unwrap_or(self.unknown_denied);
        let mut judged = Judged::default();
        let rules = |at, unknown_denied| Rules {
            at,
            unknown_denied,
            json: &self.json,
        };
        if !parameters.path.is_empty() {
            let pairs = path_pairs(&parameters.template, target, &mut judged);
            let sent = Sent::new(&pairs, Coding::Percent);
            parameters
                .path
                .judge(sent, rules("path", false), &|_| false, &mut judged);
        }
        if !parameters.query.is_empty() || unknown_denied {
            match form_pairs(target.query().unwrap_or_default(), HEAD_PAIRS_MAX) {
                Ok(pairs) => {
                    let sent = Sent::new(&pairs, Coding::Form);
                    let excused = |name: &str| self.asked_query.iter().any(|asked| asked == name);
                    parameters
                        .query
                        .judge(sent, rules("query", unknown_denied), &excused, &mut judged);
                }
                Err(fault) => judged.note("query", "", &format!("has {}", fault.text())),
            }
        }
        if !parameters.headers.is_empty() || unknown_denied {
            let excused = |name: &str| {
                let asked = self.require_headers.iter().chain(&self.asked_headers);
                name.starts_with(':') || known::is_usual(name) || asked.into_iter().any(|asked| asked == name)
            };
            match field_pairs(head, |name| {
                unknown_denied || parameters.headers.parameters.iter().any(|p| p.name == name)
            }) {
                Ok(pairs) => {
                    let sent = Sent::new(&pairs, Coding::Plain);
                    parameters
                        .headers
                        .judge(sent, rules("headers", unknown_denied), &excused, &mut judged);
                }
                Err(fault) => judged.note("headers", "", &format!("has {}", fault.text())),
            }
        }
        if !parameters.cookies.is_empty() || unknown_denied {
            let excused = |name: &str| self.asked_cookies.iter().any(|asked| asked == name);
            match cookies(head) {
                Ok(pairs) => {
                    let sent = Sent::new(&pairs, Coding::Percent);
                    parameters
                        .cookies
                        .judge(sent, rules("cookies", unknown_denied), &excused, &mut judged);
                }
                Err(fault) => judged.note("cookies", "", &format!("has {}", fault.text())),
            }
        }
        if judged.too_costly {
            return Err(Reason::ParameterInvalid.because("The parameters are more complex than allowed."));
        }
        match judged.problems.is_empty() {
            true => Ok(()),
            false => Err(Reason::ParameterInvalid.with(Extra::Problems(judged.problems))),
        }
    }
}

/// The values of a template's parameters.
fn path_pairs<'r>(template: &'r [Segment], target: &'r Target, judged: &mut Judged) -> Vec<Pair<'r>> {
    let mut pairs = Vec::new();
    let mut sent = target.written_segments();
    for part in template {
        match part {
            Segment::Literal(_) => drop(sent.next()),
            Segment::Parameter(name) => {
                let Some((raw, matched)) = sent.next() else { break };
                // To servers that know path parameters, what follows is no part of the value; to others it is.
                if raw.contains(';') || raw.contains("%3B") {
                    judged.note("path", name, "must not hold a `;`");
                }
                pairs.push(Pair {
                    name: Cow::Borrowed(name),
                    value: matched,
                    raw,
                });
            }
            Segment::Rest(name) => {
                let mut rest = Vec::new();
                for (raw, matched) in sent.by_ref() {
                    if raw.contains(';') || raw.contains("%3B") {
                        judged.note("path", name, "must not hold a `;`");
                    }
                    rest.push(matched);
                }
                pairs.push(Pair {
                    name: Cow::Borrowed(name),
                    value: Cow::Owned(rest.join("/")),
                    raw: "",
                });
            }
        }
    }
    pairs
}

fn field_pairs<'h>(head: &'h Head, wanted: impl Fn(&str) -> bool) -> Result<Vec<Pair<'h>>, PairFault> {
    let mut pairs = Vec::new();
    for (name, value) in head.fields() {
        let name = std::str::from_utf8(name).map_err(|_| PairFault::NotUtf8)?;
        if !wanted(name) {
            continue;
        }
        let value = std::str::from_utf8(value).map_err(|_| PairFault::NotUtf8)?;
        pairs.push(Pair {
            name: Cow::Borrowed(name),
            value: Cow::Borrowed(value),
            raw: value,
        });
    }
    Ok(pairs)
}

/// A request's cookies.
fn cookies(head: &Head) -> Result<Vec<Pair<'_>>, PairFault> {
    let fields = head.values("cookie").map(std::str::from_utf8);
    let fields: Vec<&str> = fields.collect::<Result<_, _>>().map_err(|_| PairFault::NotUtf8)?;
    cookie_pairs(fields.into_iter(), HEAD_PAIRS_MAX)
}

/// The declared length, if there is one.
fn content_length(head: &Head) -> Result<Option<u64>, Denial> {
    match head.values("content-length").next() {
        None => Ok(None),
        Some(value) => {
            let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
            let length = std::str::from_utf8(value)
                .ok()
                .filter(|_| digits)
                .and_then(|text| text.parse().ok());
            length
                .map(Some)
                .ok_or_else(|| Reason::HeaderInvalid.because("The header field content-length is no number."))
        }
    }
}
