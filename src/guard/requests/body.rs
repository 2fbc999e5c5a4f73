//! Bodies: which types an operation takes, how much of them, and what they must hold. JSON, forms and multipart forms are
//! parsed, strictly, on every path; all else is judged by type and size.

use super::RequestPolicy;
use super::media::MediaType;
use super::multipart::{self, Part};
use super::pairs::{Coding, Pair, PairLimits, form_pairs};
use super::parameters::{Declared, Judged, Rules, Sent};
use super::shape::Shape;
use crate::json::{DEPTH_CEILING, Duplicates, FaultKind, Limits, Value, parse};
use crate::operation::Operation;
use crate::request::Head;
use crate::schema::{Outcome, Schema};
use crate::verdict::{Denial, Extra, Reason};
use std::borrow::Cow;

/// What an operation says of its body.
#[derive(Debug, Default)]
pub struct BodyRule {
    pub required: bool,
    /// Accepted types; empty accepts any.
    pub content: Vec<Content>,
    /// In place of `requests.max_body`.
    pub bytes_max: Option<u64>,
    /// Content codings that are accepted, in lower case.
    pub encodings: Vec<String>,
}

/// An accepted type and what it must hold.
#[derive(Debug, Default)]
pub struct Content {
    /// `type/subtype`, `type/*` or `*/*`, in lower case.
    pub range: String,
    /// Of a JSON document.
    pub schema: Option<Schema>,
    /// Of a form's fields, with the schema over all of them.
    pub fields: Declared,
    /// Of a multipart form's parts.
    pub parts: Vec<PartRule>,
}

/// What holds for the parts of one name.
#[derive(Debug, Default)]
pub struct PartRule {
    pub name: String,
    /// Ranges as in [`Content::range`]; empty accepts any.
    pub content_types: Vec<String>,
    pub bytes_min: Option<u64>,
    pub bytes_max: Option<u64>,
    /// Whether they must be files or must not; `None` for either.
    pub file: Option<bool>,
}

/// Whether a range such as `image/*` admits a type.
fn admits(range: &str, essence: &str) -> bool {
    match range.strip_suffix('*') {
        Some("*/") => true,
        Some(start) => essence.starts_with(start),
        None => range == essence,
    }
}

/// A body as it was read, once.
#[derive(Debug, PartialEq)]
pub enum Parsed<'b> {
    /// There is none.
    Nothing,
    /// Of a type that is not read, or (in shadow mode) malformed.
    Opaque,
    Json(Value<'b>),
    Form(Vec<Pair<'b>>),
    Multipart(Vec<Part<'b>>),
}

/// How the body of a request is to be judged, decided from its head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyPlan {
    /// Bytes that the body may have.
    pub bytes_max: u64,
    /// The refusal beyond them.
    beyond: Reason,
    required: bool,
    content: Planned,
    /// The position in the operation's `content` of the type that was sent.
    declared: Option<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Planned {
    /// By size only.
    Opaque,
    Json,
    Form,
    Multipart {
        boundary: String,
    },
    /// Without a content type: JSON if it looks like it, for many backends don't ask.
    Unnamed,
    /// Not accepted, if there is a body at all.
    Refused(Reason),
}

impl BodyPlan {
    pub(super) fn new(policy: &RequestPolicy, head: &Head, method: &str, operation: Option<&Operation>) -> Self {
        let rule = operation.and_then(|o| o.body.as_ref());
        let plan = Self {
            bytes_max: rule.and_then(|r| r.bytes_max).unwrap_or(policy.body_bytes_max),
            beyond: Reason::BodyTooLarge,
            required: rule.is_some_and(|r| r.required),
            content: Planned::Opaque,
            declared: None,
        };
        if operation.is_some() && rule.is_none() && matches!(method, "GET" | "HEAD" | "DELETE") {
            return plan.without_body();
        }
        let no_rule = BodyRule::default();
        let (content, declared) = plan_content(head, rule.unwrap_or(&no_rule));
        Self {
            content,
            declared,
            ..plan
        }
    }

    /// The plan for a request that may have no body.
    pub(super) fn without_body(self) -> Self {
        Self {
            bytes_max: 0,
            beyond: Reason::BodyUnexpected,
            required: false,
            content: Planned::Opaque,
            declared: None,
        }
    }

    /// Judges the size so far, or the declared one: the first byte also decides about the type.
    pub fn judge_size(&self, bytes: u64) -> Result<(), Denial> {
        if bytes > self.bytes_max {
            return Err(self.beyond.into());
        }
        match self.content {
            Planned::Refused(reason) if bytes > 0 => Err(reason.into()),
            _ => Ok(()),
        }
    }

    /// Judges the size of the whole body.
    pub fn judge_end(&self, bytes: u64) -> Result<(), Denial> {
        if bytes == 0 && self.required {
            return Err(Reason::BodyMissing.into());
        }
        self.judge_size(bytes)
    }

    /// What the operation says of the type that was sent.
    pub fn content<'o>(&self, operation: Option<&'o Operation>) -> Option<&'o Content> {
        let rule = operation.and_then(|o| o.body.as_ref());
        rule.zip(self.declared).and_then(|(rule, at)| rule.content.get(at))
    }

    /// Whether the body's bytes decide about the request, not only their number.
    pub fn reads_body(&self) -> bool {
        !matches!(self.content, Planned::Opaque | Planned::Refused(_))
    }
}

fn plan_content(head: &Head, rule: &BodyRule) -> (Planned, Option<usize>) {
    let refused = |reason| (Planned::Refused(reason), None);
    let mut encoded = false;
    for value in head.values("content-encoding") {
        let codings = value
            .split(|b| *b == b',')
            .map(|coding| coding.trim_ascii().to_ascii_lowercase());
        for coding in codings {
            if coding == b"identity" {
                continue;
            }
            if !rule.encodings.iter().any(|accepted| accepted.as_bytes() == coding) {
                return refused(Reason::ContentEncoding);
            }
            encoded = true;
        }
    }
    let Some(value) = head.values("content-type").next() else {
        return match rule.content.is_empty() {
            true if encoded => (Planned::Opaque, None),
            true => (Planned::Unnamed, None),
            false => refused(Reason::ContentType),
        };
    };
    let Some(media) = MediaType::parse(value) else {
        return refused(Reason::ContentType);
    };
    // The most specific range counts: an exact type before `type/*` before `*/*`.
    let admitting = rule
        .content
        .iter()
        .enumerate()
        .filter(|(_, content)| admits(&content.range, &media.essence));
    let declared = admitting.max_by_key(|(_, content)| (!content.range.ends_with('*'), content.range.len()));
    if declared.is_none() && !rule.content.is_empty() {
        return refused(Reason::ContentType);
    }
    let is_text =
        media.essence.starts_with("text/") || media.essence.ends_with("/xml") || media.essence.ends_with("+xml");
    let is_form_data = media.essence == "multipart/form-data";
    let is_read = media.is_json() || media.is_form() || is_form_data;
    // JSON is UTF-8 (RFC 8259 §8.1), and so are forms (RFC 7578 §5.1.2); any other charset is a second meaning. Of a text,
    // where the operation names its types.
    if !media.is_utf8() && (is_read || (is_text && declared.is_some())) {
        return refused(Reason::ContentType);
    }
    let content = if encoded {
        Planned::Opaque
    } else if media.is_json() {
        Planned::Json
    } else if media.is_form() {
        Planned::Form
    } else if is_form_data {
        match media
            .boundary
            .filter(|boundary| !media.others && multipart::is_boundary(boundary))
        {
            Some(boundary) => Planned::Multipart { boundary },
            None => return refused(Reason::ContentType),
        }
    } else {
        Planned::Opaque
    };
    (content, declared.map(|(at, _)| at))
}

impl RequestPolicy {
    /// Judges a whole body by its plan; tells what was read of it also where it is refused, for shadow mode goes on with it.
    pub fn judge_body<'b>(
        &self,
        plan: &BodyPlan,
        operation: Option<&Operation>,
        body: &'b [u8],
    ) -> (Parsed<'b>, Result<(), Denial>) {
        let parsed = match &plan.content {
            _ if body.is_empty() => return (Parsed::Nothing, Ok(())),
            Planned::Json => self.read_json(body),
            Planned::Unnamed if matches!(body.trim_ascii_start().first(), Some(b'{' | b'[')) => self.read_json(body),
            Planned::Form => self.read_form(body),
            Planned::Multipart { boundary } => self.read_multipart(body, boundary),
            Planned::Unnamed | Planned::Opaque | Planned::Refused(_) => return (Parsed::Opaque, Ok(())),
        };
        let parsed = match parsed {
            Ok(parsed) => parsed,
            Err(denial) => return (Parsed::Opaque, Err(denial)),
        };
        let verdict = plan
            .content(operation)
            .map_or(Ok(()), |content| self.judge_content(content, &parsed));
        (parsed, verdict)
    }

    fn read_json<'b>(&self, body: &'b [u8]) -> Result<Parsed<'b>, Denial> {
        let value = parse(body, &self.json).map_err(|fault| {
            let reason = match fault.kind {
                FaultKind::NotUtf8 | FaultKind::Malformed(_) => Reason::JsonMalformed,
                FaultKind::Duplicate => Reason::JsonDuplicate,
                FaultKind::TooDeep
                | FaultKind::TooManyMembers
                | FaultKind::StringTooLong
                | FaultKind::NumberTooLong => Reason::JsonLimit,
            };
            reason.because(format!("The JSON body has {fault}."))
        })?;
        Ok(Parsed::Json(value))
    }

    /// What JSON may have of members and bytes in a string, forms may have too.
    fn pair_limits(&self) -> PairLimits {
        PairLimits {
            pairs: usize::try_from(self.json.members).unwrap_or(usize::MAX),
            bytes: usize::try_from(self.json.string_bytes).unwrap_or(usize::MAX),
        }
    }

    fn read_form<'b>(&self, body: &'b [u8]) -> Result<Parsed<'b>, Denial> {
        let malformed = |what: &str| Reason::FormMalformed.because(format!("The form body has {what}."));
        let text = std::str::from_utf8(body).map_err(|_| malformed("bytes that are not UTF-8"))?;
        let pairs = form_pairs(text, self.pair_limits()).map_err(|fault| {
            if fault.is_limit() {
                Reason::FormLimit.because(format!("The form body has {}.", fault.text()))
            } else {
                malformed(fault.text())
            }
        })?;
        if pairs.iter().any(|pair| names_other_charset(&pair.name, &pair.value)) {
            return Err(malformed("another charset than UTF-8"));
        }
        Ok(Parsed::Form(pairs))
    }

    fn read_multipart<'b>(&self, body: &'b [u8], boundary: &str) -> Result<Parsed<'b>, Denial> {
        let limits = self.pair_limits();
        let parts = multipart::parse(body, boundary, limits.pairs).map_err(|fault| {
            let reason = if fault.is_limit {
                Reason::FormLimit
            } else {
                Reason::MultipartMalformed
            };
            reason.because(format!("The multipart body has {}.", fault.text))
        })?;
        for part in &parts {
            if part.file_name.is_some() {
                continue;
            }
            if part.content.len() > limits.bytes {
                return Err(Reason::FormLimit.because("The multipart body has a text that is too long."));
            }
            let charset = part.text().is_some_and(|text| names_other_charset(part.name, text));
            if charset {
                return Err(Reason::MultipartMalformed.because("The multipart body has another charset than UTF-8."));
            }
        }
        Ok(Parsed::Multipart(parts))
    }

    fn judge_content(&self, content: &Content, parsed: &Parsed<'_>) -> Result<(), Denial> {
        let rules = Rules {
            at: "",
            unknown_denied: false,
            json: &self.json,
        };
        let mut judged = Judged::default();
        match parsed {
            Parsed::Nothing | Parsed::Opaque => {}
            Parsed::Json(value) => match content.schema.as_ref().map(|schema| schema.check(value)) {
                None | Some(Outcome::Valid) => {}
                Some(Outcome::TooCostly) => judged.too_costly = true,
                Some(Outcome::Invalid(problems)) => judged.problems = problems,
            },
            Parsed::Form(pairs) => content
                .fields
                .judge(Sent::new(pairs, Coding::Form), rules, &|_| false, &mut judged),
            Parsed::Multipart(parts) => {
                let pairs = content.judge_parts(parts, &mut judged);
                content
                    .fields
                    .judge(Sent::new(&pairs, Coding::Percent), rules, &|_| false, &mut judged);
            }
        }
        if judged.too_costly {
            let reason = if matches!(parsed, Parsed::Json(_)) {
                Reason::JsonLimit
            } else {
                Reason::FormLimit
            };
            return Err(reason.into());
        }
        match judged.problems.is_empty() {
            true => Ok(()),
            false => Err(Reason::BodyInvalid.with(Extra::Problems(judged.problems))),
        }
    }
}

/// What a reading that refuses nothing may cost; what goes beyond it stays text.
const LENIENT: Limits = Limits {
    depth: DEPTH_CEILING,
    members: 100_000,
    string_bytes: u32::MAX,
    duplicates: Duplicates::Allow,
};
const LENIENT_PARTS_MAX: usize = 10_000;

/// Reads a body for a guard that looks at values whatever `requests` makes of it, by what it is rather than by what it is
/// called: many a backend does the same. What is neither JSON nor a form of parts is [`Parsed::Opaque`].
pub fn read_leniently<'b>(head: &Head, body: &'b [u8]) -> Parsed<'b> {
    if body.is_empty() {
        return Parsed::Nothing;
    }
    if matches!(body.trim_ascii_start().first(), Some(b'{' | b'[' | b'"'))
        && let Ok(value) = parse(body, &LENIENT)
    {
        return Parsed::Json(value);
    }
    let boundaries = head
        .values("content-type")
        .filter_map(|value| MediaType::parse(value)?.boundary.filter(|b| multipart::is_boundary(b)));
    boundaries
        .filter_map(|boundary| multipart::parse(body, &boundary, LENIENT_PARTS_MAX).ok())
        .next()
        .map_or(Parsed::Opaque, Parsed::Multipart)
}

/// Whether a form's field tells the server to read the others in another charset (HTML's `_charset_`).
fn names_other_charset(name: &str, value: &str) -> bool {
    name.eq_ignore_ascii_case("_charset_")
        && !["", "utf-8", "utf8"]
            .iter()
            .any(|good| value.eq_ignore_ascii_case(good))
}

impl Content {
    /// Judges parts by type and size, and gives them as pairs; a file stands in its object as an empty string, of which the
    /// schema says nothing (see [`crate::schema::Options::files`]).
    fn judge_parts<'b>(&self, parts: &[Part<'b>], judged: &mut Judged) -> Vec<Pair<'b>> {
        let mut pairs = Vec::new();
        for part in parts {
            if let Some(rule) = self.parts.iter().find(|rule| rule.name == part.name) {
                rule.judge(part, judged);
            }
            // What a browser sends of a file field that was left empty.
            if part.file_name == Some("") && part.content.is_empty() {
                continue;
            }
            let text = match (part.file_name, std::str::from_utf8(part.content)) {
                (Some(_), _) => "",
                (None, Ok(text)) => text,
                (None, Err(_)) => {
                    judged.note("", part.name, "must be text in UTF-8");
                    continue;
                }
            };
            pairs.push(Pair {
                name: Cow::Borrowed(part.name),
                value: Cow::Borrowed(text),
                raw: text,
            });
        }
        pairs
    }
}

impl PartRule {
    /// What the shape of a member says of its parts.
    pub fn of(name: &str, shape: &Shape) -> Self {
        let part = shape.part();
        let file = part.flatten();
        Self {
            name: name.to_owned(),
            content_types: file.and_then(|file| file.content_type.clone()).into_iter().collect(),
            bytes_min: file.and_then(|file| file.bytes_min),
            bytes_max: file.and_then(|file| file.bytes_max),
            file: part.map(|file| file.is_some()),
        }
    }

    fn judge(&self, part: &Part<'_>, judged: &mut Judged) {
        let mut refuse = |problem: &str| judged.note("", &self.name, problem);
        match (self.file, part.file_name) {
            (Some(true), None) => refuse("must be a file"),
            (Some(false), Some(_)) => refuse("must not be a file"),
            _ => {}
        }
        let bytes = u64::try_from(part.content.len()).unwrap_or(u64::MAX);
        if let Some(least) = self.bytes_min.filter(|least| bytes < *least) {
            refuse(&format!("must have at least {least} bytes"));
        }
        if let Some(most) = self.bytes_max.filter(|most| bytes > *most) {
            refuse(&format!("must have at most {most} bytes"));
        }
        // Without a type a part is text (RFC 7578 §4.4).
        let essence = part
            .content_type
            .as_ref()
            .map_or("text/plain", |media| media.essence.as_str());
        if !self.content_types.is_empty() && !self.content_types.iter().any(|range| admits(range, essence)) {
            refuse("must be of an accepted type");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_range_counts() {
        let content = |range: &str| Content {
            range: range.into(),
            ..Content::default()
        };
        let rule = BodyRule {
            content: vec![content("*/*"), content("application/*"), content("application/json")],
            ..BodyRule::default()
        };
        let planned = |value: &str| plan_content(&Head::from_fields([("content-type", value.as_bytes())]), &rule);
        assert_eq!(planned("application/json"), (Planned::Json, Some(2)));
        assert_eq!(planned("application/x+json"), (Planned::Json, Some(1)));
        assert_eq!(planned("text/json"), (Planned::Json, Some(0)));
        assert_eq!(planned("text/plain"), (Planned::Opaque, Some(0)));
    }
}
