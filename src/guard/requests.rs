//! What a request may look like: required header fields, and a body by type, size, strict JSON and schema.

use crate::json::{FaultKind, Limits, parse};
use crate::operation::Operation;
use crate::request::Head;
use crate::schema::{Outcome, Schema};
use crate::verdict::{Denial, Extra, Mode, Reason};

/// The configuration's `requests`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestPolicy {
    pub body_bytes_max: u64,
    pub json: Limits,
    pub undeclared_denied: bool,
    /// Names in lower case.
    pub require_headers: Vec<String>,
    pub mode: Option<Mode>,
}

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
#[derive(Debug)]
pub struct Content {
    /// `type/subtype`, `type/*` or `*/*`, in lower case.
    pub range: String,
    pub schema: Option<Schema>,
}

impl Content {
    fn admits(&self, essence: &str) -> bool {
        match self.range.strip_suffix('*') {
            Some("*/") => true,
            Some(start) => essence.starts_with(start),
            None => self.range == essence,
        }
    }
}

/// `Content-Type`, read strictly (RFC 9110 §8.3).
#[derive(Debug, PartialEq, Eq)]
pub struct MediaType {
    /// `type/subtype` in lower case.
    pub essence: String,
    /// In lower case.
    pub charset: Option<String>,
}

fn is_token(text: &str) -> bool {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(token)
}

impl MediaType {
    /// `None` for what is no single media type: a list (as Envoy joins repeated fields), a parameter without a value or
    /// twice, a quoted value that does not end.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(value).ok()?;
        let (essence, mut rest) = text
            .split_once(';')
            .map_or((text, ""), |(essence, rest)| (essence, rest));
        let essence = essence.trim_matches([' ', '\t']).to_ascii_lowercase();
        let (kind, subtype) = essence.split_once('/')?;
        if !is_token(kind) || !is_token(subtype) {
            return None;
        }
        let mut names = Vec::new();
        let mut charset = None;
        loop {
            rest = rest.trim_start_matches([' ', '\t']);
            if rest.is_empty() {
                break;
            }
            let (name, after) = rest.split_once('=')?;
            let name = name.to_ascii_lowercase();
            let (value, after) = match after.strip_prefix('"') {
                Some(quoted) => {
                    let (value, after) = quoted.split_once('"')?;
                    // Escapes in quoted strings are legal and used by nobody but those who test parsers.
                    if value.contains('\\') {
                        return None;
                    }
                    (value, after.trim_start_matches([' ', '\t']))
                }
                None => {
                    let end = after.find(';').unwrap_or(after.len());
                    let (value, after) = after.split_at_checked(end)?;
                    let value = value.trim_end_matches([' ', '\t']);
                    if !is_token(value) {
                        return None;
                    }
                    (value, after)
                }
            };
            if !is_token(&name) || names.contains(&name) {
                return None;
            }
            if name == "charset" {
                charset = Some(value.to_ascii_lowercase());
            }
            names.push(name);
            rest = match after.strip_prefix(';') {
                Some(rest) => rest,
                None if after.is_empty() => "",
                None => return None,
            };
        }
        Some(Self { essence, charset })
    }

    fn is_json(&self) -> bool {
        ["/json", "+json", "/x-json"]
            .iter()
            .any(|end| self.essence.ends_with(end))
    }
}

/// How the body of a request is to be judged, decided from its head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyPlan {
    /// Bytes that the body may have.
    pub bytes_max: u64,
    /// The refusal beyond them.
    beyond: Reason,
    required: bool,
    content: PlannedContent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PlannedContent {
    /// By size only.
    Opaque,
    Json {
        /// The position in the operation's `content` of the type that has the schema.
        schema: Option<usize>,
    },
    /// Without a content type: JSON if it looks like it, for many backends don't ask.
    Unnamed,
    /// Not accepted, if there is a body at all.
    Refused(Reason),
}

impl RequestPolicy {
    /// Judges a head, and plans for the body. `ends`: the head is the whole request.
    ///
    /// # Errors
    /// The refusal, the cheapest one first.
    pub fn judge_head(
        &self,
        head: &Head,
        method: &str,
        operation: Option<&Operation>,
        ends: bool,
    ) -> Result<BodyPlan, Denial> {
        for name in ["content-type", "content-length", "authorization", "host"] {
            if head.single(name).is_err() {
                return Err(Reason::HeaderRepeated.because(format!("The header field {name} came more than once.")));
            }
        }
        if let Some(name) = self.require_headers.iter().find(|name| !head.contains(name)) {
            return Err(Reason::HeaderMissing.because(format!("The header field {name} is required.")));
        }
        let plan = self.plan(head, method, operation);
        if ends {
            plan.judge_end(0)?;
        } else if let Some(length) = content_length(head)? {
            plan.judge_size(length)?;
        }
        Ok(plan)
    }

    fn plan(&self, head: &Head, method: &str, operation: Option<&Operation>) -> BodyPlan {
        let rule = operation.and_then(|o| o.body.as_ref());
        let plan = BodyPlan {
            bytes_max: rule.and_then(|r| r.bytes_max).unwrap_or(self.body_bytes_max),
            beyond: Reason::BodyTooLarge,
            required: rule.is_some_and(|r| r.required),
            content: PlannedContent::Opaque,
        };
        if operation.is_some() && rule.is_none() && matches!(method, "GET" | "HEAD" | "DELETE") {
            return BodyPlan {
                bytes_max: 0,
                beyond: Reason::BodyUnexpected,
                ..plan
            };
        }
        let no_rule = BodyRule::default();
        BodyPlan {
            content: plan_content(head, rule.unwrap_or(&no_rule)),
            ..plan
        }
    }

    /// Judges a whole body by its plan.
    ///
    /// # Errors
    /// The refusal; of a schema's faults the first few.
    pub fn judge_body(&self, plan: &BodyPlan, operation: Option<&Operation>, body: &[u8]) -> Result<(), Denial> {
        let schema = match plan.content {
            PlannedContent::Json { schema } => schema,
            PlannedContent::Unnamed if matches!(body.trim_ascii_start().first(), Some(b'{' | b'[')) => None,
            PlannedContent::Unnamed | PlannedContent::Opaque | PlannedContent::Refused(_) => return Ok(()),
        };
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
        let content = operation
            .and_then(|o| o.body.as_ref())
            .zip(schema)
            .and_then(|(rule, at)| rule.content.get(at));
        match content
            .and_then(|c| c.schema.as_ref())
            .map(|schema| schema.check(&value))
        {
            None | Some(Outcome::Valid) => Ok(()),
            Some(Outcome::TooCostly) => Err(Reason::JsonLimit.into()),
            Some(Outcome::Invalid(problems)) => Err(Reason::BodyInvalid.with(Extra::Problems(problems))),
        }
    }
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

fn plan_content(head: &Head, rule: &BodyRule) -> PlannedContent {
    for value in head.values("content-encoding") {
        let codings = value
            .split(|b| *b == b',')
            .map(|coding| coding.trim_ascii().to_ascii_lowercase());
        for coding in codings {
            if coding != b"identity" && !rule.encodings.iter().any(|accepted| accepted.as_bytes() == coding) {
                return PlannedContent::Refused(Reason::ContentEncoding);
            }
        }
    }
    let Some(value) = head.values("content-type").next() else {
        return if rule.content.is_empty() {
            PlannedContent::Unnamed
        } else {
            PlannedContent::Refused(Reason::ContentType)
        };
    };
    let Some(media) = MediaType::parse(value) else {
        return PlannedContent::Refused(Reason::ContentType);
    };
    // The most specific range counts: an exact type before `type/*` before `*/*`.
    let admitting = rule
        .content
        .iter()
        .enumerate()
        .filter(|(_, content)| content.admits(&media.essence));
    let declared = admitting.max_by_key(|(_, content)| (!content.range.ends_with('*'), content.range.len()));
    if declared.is_none() && !rule.content.is_empty() {
        return PlannedContent::Refused(Reason::ContentType);
    }
    if media.is_json() {
        // JSON is UTF-8 (RFC 8259 §8.1); any other charset is a second meaning.
        if media
            .charset
            .is_some_and(|charset| charset != "utf-8" && charset != "utf8")
        {
            return PlannedContent::Refused(Reason::ContentType);
        }
        return PlannedContent::Json {
            schema: declared.map(|(at, _)| at),
        };
    }
    PlannedContent::Opaque
}

impl BodyPlan {
    /// Judges the size so far, or the declared one: the first byte also decides about the type.
    pub fn judge_size(&self, bytes: u64) -> Result<(), Denial> {
        if bytes > self.bytes_max {
            return Err(self.beyond.into());
        }
        match self.content {
            PlannedContent::Refused(reason) if bytes > 0 => Err(reason.into()),
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

    /// Whether the body's bytes decide about the request, not only their number.
    pub fn reads_body(&self) -> bool {
        matches!(self.content, PlannedContent::Json { .. } | PlannedContent::Unnamed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn media(text: &str, expected: Option<(&str, Option<&str>)>) {
        let found = MediaType::parse(text.as_bytes());
        let found = found.as_ref().map(|m| (m.essence.as_str(), m.charset.as_deref()));
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn content_types_are_read_strictly() {
        media("application/json", Some(("application/json", None)));
        media(
            "Application/JSON ; Charset=UTF-8",
            Some(("application/json", Some("utf-8"))),
        );
        media(
            "application/json;charset=\"utf-8\"",
            Some(("application/json", Some("utf-8"))),
        );
        media(
            "multipart/form-data; boundary=x; charset=utf-8",
            Some(("multipart/form-data", Some("utf-8"))),
        );
        media("application/json;", Some(("application/json", None)));
        for text in [
            "",
            "json",
            "/",
            "a/",
            "/b",
            "a/b/c",
            "application/json, text/plain",
            "application/json;charset",
            "application/json;charset=",
            "application/json;charset=a;charset=b",
            "application/json;charset=\"utf-8",
            "application/json;charset=\"a\"b",
            "application/json;a=b c",
            "application/json;=x",
            "application/json;charset=\"ut\\f-8\"",
            "application /json",
            "application/json;charset=utf-8,text/plain",
        ] {
            media(text, None);
        }
        assert_eq!(MediaType::parse(b"application/json\xff"), None);
    }

    #[test]
    fn the_most_specific_range_counts() {
        let content = |range: &str| Content {
            range: range.into(),
            schema: None,
        };
        let rule = BodyRule {
            content: vec![content("*/*"), content("application/*"), content("application/json")],
            ..BodyRule::default()
        };
        let planned = |value: &str| plan_content(&Head::from_fields([("content-type", value.as_bytes())]), &rule);
        assert_eq!(planned("application/json"), PlannedContent::Json { schema: Some(2) });
        assert_eq!(planned("application/x+json"), PlannedContent::Json { schema: Some(1) });
        assert_eq!(planned("text/json"), PlannedContent::Json { schema: Some(0) });
        assert_eq!(planned("text/plain"), PlannedContent::Opaque);
    }
}
