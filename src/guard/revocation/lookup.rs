//! Revocation by lookup: one question for each token, worded by a template, to any HTTP service; and how its answer is
//! read. A value never leaves its path segment, and an answer that says neither yes nor no says nothing.

use super::{Failure, Told};
use crate::callout::Answer;
use crate::guard::requests::MediaType;
use crate::guard::token::Endpoint;
use crate::jose::Verified;
use crate::json::pointer::Pointer;
use crate::json::{Limits, Value, parse};
use crate::path::encode_segment;
use crate::verdict::Reason;
use std::time::Duration;

/// A question to an HTTP service, one for each token.
#[derive(Debug)]
pub struct Lookup {
    /// Its `path` is the template as written, for messages.
    pub endpoint: Endpoint,
    pub template: Vec<Piece>,
    pub verdict: VerdictRule,
    /// How long "not revoked" is remembered.
    pub cache: Duration,
}

/// A part of the path template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    Literal(String),
    Id,
    Subject,
    Issuer,
    IssuedAt,
    TokenHash,
}

impl Piece {
    /// What may stand in braces.
    pub const NAMED: [(&'static str, Self); 5] = [
        ("jti", Self::Id),
        ("sub", Self::Subject),
        ("iss", Self::Issuer),
        ("iat", Self::IssuedAt),
        ("token_hash", Self::TokenHash),
    ];
}

/// How an answer is read. What is neither revoked nor valid by it is a failure of the source.
#[derive(Debug)]
pub enum VerdictRule {
    /// 200 with JSON that has a value of the same type at this place: revoked if it is equal.
    Json {
        at: Pointer,
        equals: Value<'static>,
    },
    Status {
        revoked: Vec<u16>,
        valid: Vec<u16>,
    },
}

impl Lookup {
    /// Whether the question is about one token, and not about a subject or an issuer who may be taken back.
    pub fn names_token(&self) -> bool {
        self.template
            .iter()
            .any(|piece| matches!(piece, Piece::Id | Piece::TokenHash))
    }

    /// The path to ask for a token, each value percent-encoded to one segment.
    ///
    /// # Errors
    /// [`Reason::TokenWithoutId`] where the token lacks what the template asks for.
    pub fn path(&self, token: &Verified) -> Result<String, Reason> {
        let mut path = String::new();
        for piece in &self.template {
            let value = match piece {
                Piece::Literal(text) => {
                    path.push_str(text);
                    continue;
                }
                Piece::Id => token.id.as_deref(),
                Piece::Subject => token.subject.as_deref(),
                Piece::Issuer => Some(token.issuer.as_str()),
                Piece::IssuedAt => token.issued_at.as_deref(),
                Piece::TokenHash => token.hash.as_deref(),
            };
            let value = value.filter(|value| !value.is_empty()).ok_or(Reason::TokenWithoutId)?;
            path.push_str(&encode_segment(value));
        }
        Ok(path)
    }

    /// Whether an answer says "revoked".
    ///
    /// # Errors
    /// [`Failure`] if it says neither yes nor no.
    pub fn read(&self, answer: Option<&Answer>) -> Told<bool> {
        let answer = answer.ok_or(Failure::Silence)?;
        let otherwise = Failure::of(answer.status);
        match &self.verdict {
            VerdictRule::Status { revoked, valid } => {
                match (revoked.contains(&answer.status), valid.contains(&answer.status)) {
                    (true, _) => Ok(true),
                    (false, true) => Ok(false),
                    (false, false) => Err(otherwise),
                }
            }
            VerdictRule::Json { at, equals } => {
                if answer.status != 200 || !is_json(answer) {
                    return Err(otherwise);
                }
                let value = parse(&answer.body, &Limits::FOREIGN).map_err(|_| Failure::Nonsense)?;
                let found = at.find(&value).ok_or(Failure::Nonsense)?;
                if found.kind() == equals.kind() {
                    Ok(found == equals)
                } else {
                    Err(Failure::Nonsense)
                }
            }
        }
    }
}

/// Whether an answer calls itself JSON.
pub fn is_json(answer: &Answer) -> bool {
    MediaType::parse(answer.content_type()).is_some_and(|media| media.essence.ends_with("json"))
}

/// A lookup for tests.
#[cfg(test)]
pub fn sample(cache: Duration) -> Lookup {
    let at = Pointer::parse("/EXISTS").unwrap();
    let equals = parse(b"1", &Limits::FOREIGN).unwrap();
    Lookup {
        endpoint: Endpoint {
            cluster: "c".into(),
            authority: "a".into(),
            path: "/EXISTS/revoked:{jti}".into(),
            timeout: Duration::from_millis(200),
            refresh: Duration::ZERO,
        },
        template: vec![Piece::Literal("/EXISTS/revoked:".into()), Piece::Id],
        verdict: VerdictRule::Json { at, equals },
        cache,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(verdict: VerdictRule) -> Lookup {
        Lookup {
            verdict,
            ..sample(Duration::from_secs(5))
        }
    }

    fn json_rule() -> VerdictRule {
        let one = parse(b"1", &Limits::FOREIGN).unwrap();
        VerdictRule::Json {
            at: Pointer::parse("/EXISTS").unwrap(),
            equals: one,
        }
    }

    #[track_caller]
    fn check(status: u16, content_type: &str, body: &str, expected: Told<bool>) {
        let answer = Answer::of(status, &[("content-type", content_type)], body);
        assert_eq!(lookup(json_rule()).read(Some(&answer)), expected, "{answer:?}");
    }

    #[test]
    fn an_answer_of_another_shape_is_a_failure_never_not_revoked() {
        check(200, "application/json", r#"{"EXISTS":1}"#, Ok(true));
        check(200, "application/json; charset=utf-8", r#"{"EXISTS":0}"#, Ok(false));
        check(
            200,
            "application/json",
            r#"{"EXISTS":[false,"ERR"]}"#,
            Err(Failure::Nonsense),
        );
        check(200, "application/json", r#"{"EXISTS":"1"}"#, Err(Failure::Nonsense));
        check(200, "application/json", r#"{"EXISTS":true}"#, Err(Failure::Nonsense));
        check(200, "application/json", r#"{"EXISTS":null}"#, Err(Failure::Nonsense));
        check(200, "application/json", r#"{}"#, Err(Failure::Nonsense));
        check(
            200,
            "application/json",
            r#"{"EXISTS":0,"EXISTS":1}"#,
            Err(Failure::Nonsense),
        );
        check(200, "application/json", r#"{"EXISTS":0"#, Err(Failure::Nonsense));
        check(200, "application/json", "", Err(Failure::Nonsense));
        check(200, "text/html", r#"{"EXISTS":0}"#, Err(Failure::Nonsense));
        check(200, "", r#"{"EXISTS":0}"#, Err(Failure::Nonsense));
        for status in [204, 301, 404] {
            check(status, "application/json", r#"{"EXISTS":0}"#, Err(Failure::Nonsense));
        }
        for status in [500, 503, 504] {
            check(status, "application/json", r#"{"EXISTS":0}"#, Err(Failure::Silence));
        }
        assert_eq!(lookup(json_rule()).read(None), Err(Failure::Silence));
    }

    #[test]
    fn statuses_can_tell_and_others_are_failures() {
        let lookup = lookup(VerdictRule::Status {
            revoked: [200].into(),
            valid: [404].into(),
        });
        let read = |status| lookup.read(Some(&Answer::of(status, &[], "")));
        assert_eq!((read(200), read(404)), (Ok(true), Ok(false)));
        assert_eq!((read(503), read(403)), (Err(Failure::Silence), Err(Failure::Nonsense)));
    }

    #[test]
    fn values_stay_within_their_segment() {
        let token = |id: Option<&str>| Verified {
            provider: 0,
            issuer: "i".into(),
            subject: None,
            id: id.map(str::to_owned),
            issued_at: None,
            ends: None,
            scopes: Vec::new(),
            headers: Vec::new(),
            state: Vec::new(),
            kept: Vec::new(),
            hash: None,
            status: None,
            clearance: Default::default(),
        };
        let lookup = lookup(json_rule());
        assert_eq!(lookup.path(&token(Some("a-1"))), Ok("/EXISTS/revoked:a-1".into()));
        assert_eq!(
            lookup.path(&token(Some("../x?y#z.json"))),
            Ok("/EXISTS/revoked:%2E%2E%2Fx%3Fy%23z%2Ejson".into())
        );
        assert_eq!(lookup.path(&token(Some(""))), Err(Reason::TokenWithoutId));
        assert_eq!(lookup.path(&token(None)), Err(Reason::TokenWithoutId));
    }
}
