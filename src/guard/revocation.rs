//! Revoked tokens: a lookup by callout, its answer remembered for a short while by this worker and, once it was
//! "revoked", by all of them until the token ends.

use super::OnError;
use super::token::Endpoint;
use crate::callout::Answer;
use crate::guard::requests::MediaType;
use crate::host::Host;
use crate::jose::Verified;
use crate::json::pointer::Pointer;
use crate::json::{Limits, Value, parse};
use crate::path::encode_segment;
use crate::rate::Instant;
use crate::store::{Fingerprint, Record, StoreError, Table, Use};
use crate::verdict::{Mode, Reason};
use std::collections::BTreeSet;
use std::time::Duration;

/// The configuration's `revocation`.
#[derive(Debug)]
pub struct RevocationPolicy {
    pub on_error: OnError,
    /// How long the last good answer serves while the source is down.
    pub stale: Duration,
    pub lookup: Lookup,
    pub mode: Option<Mode>,
}

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
    Json { at: Pointer, equals: Value<'static> },
    Status {
        revoked: BTreeSet<u16>,
        valid: BTreeSet<u16>,
    },
}

/// How long "revoked" is remembered of a token without an end.
const ENDLESS: Duration = Duration::from_secs(24 * 3600);

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

    /// Whether an answer says "revoked"; `None` if it says neither.
    pub fn read(&self, answer: &Answer) -> Option<bool> {
        match &self.verdict {
            VerdictRule::Status { revoked, valid } => {
                match (revoked.contains(&answer.status), valid.contains(&answer.status)) {
                    (true, _) => Some(true),
                    (false, true) => Some(false),
                    (false, false) => None,
                }
            }
            VerdictRule::Json { at, equals } => {
                let json = MediaType::parse(answer.content_type()).is_some_and(|media| media.essence.ends_with("json"));
                if answer.status != 200 || !json {
                    return None;
                }
                let value = parse(&answer.body, &Limits::FOREIGN).ok()?;
                let found = at.find(&value)?;
                (found.kind() == equals.kind()).then(|| found == equals)
            }
        }
    }
}

/// The name of a token's "revoked" in the table: the question that was asked about it, within its issuer.
fn fingerprint(table: &Table, token: &Verified, path: &str) -> Fingerprint {
    table.fingerprint(Use::Revocation, &[token.issuer.as_bytes(), path.as_bytes()])
}

/// Whether any worker has seen this token revoked.
pub fn is_known_revoked(table: &Table, host: &dyn Host, token: &Verified, path: &str) -> Result<bool, StoreError> {
    let record = table.peek(host, fingerprint(table, token, path))?;
    Ok(record.is_some_and(|record| record.idle_at > host.now()))
}

/// Tells every worker that this token is revoked. The record may be forgotten for another, unlike a ban: the source is
/// asked again then, and nobody can fill the table with tokens of his own.
pub fn publish_revoked(
    table: &Table,
    host: &dyn Host,
    lookup: &Lookup,
    token: &Verified,
    path: &str,
) -> Result<(), StoreError> {
    let now = host.now();
    let until = if lookup.names_token() {
        token.ends.unwrap_or_else(|| now.plus(ENDLESS))
    } else {
        now.plus(lookup.cache)
    };
    let record = Record {
        words: [1, 0, 0],
        idle_at: until,
        held_until: Instant::EPOCH,
    };
    table.update(host, fingerprint(table, token, path), now, |_| (Some(record), ()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(verdict: VerdictRule) -> Lookup {
        Lookup {
            endpoint: Endpoint {
                cluster: "c".into(),
                authority: "a".into(),
                path: "/EXISTS/revoked:{jti}".into(),
                timeout: Duration::from_millis(200),
                refresh: Duration::ZERO,
            },
            template: vec![Piece::Literal("/EXISTS/revoked:".into()), Piece::Id],
            verdict,
            cache: Duration::from_secs(5),
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
    fn check(status: u16, content_type: &str, body: &str, expected: Option<bool>) {
        let answer = Answer::of(status, &[("content-type", content_type)], body);
        assert_eq!(lookup(json_rule()).read(&answer), expected, "{answer:?}");
    }

    #[test]
    fn an_answer_of_another_shape_is_a_failure_never_not_revoked() {
        check(200, "application/json", r#"{"EXISTS":1}"#, Some(true));
        check(200, "application/json; charset=utf-8", r#"{"EXISTS":0}"#, Some(false));
        check(200, "application/json", r#"{"EXISTS":[false,"ERR"]}"#, None);
        check(200, "application/json", r#"{"EXISTS":"1"}"#, None);
        check(200, "application/json", r#"{"EXISTS":true}"#, None);
        check(200, "application/json", r#"{"EXISTS":null}"#, None);
        check(200, "application/json", r#"{}"#, None);
        check(200, "application/json", r#"{"EXISTS":0,"EXISTS":1}"#, None);
        check(200, "application/json", r#"{"EXISTS":0"#, None);
        check(200, "application/json", "", None);
        check(200, "text/html", r#"{"EXISTS":0}"#, None);
        check(200, "", r#"{"EXISTS":0}"#, None);
        for status in [204, 301, 404, 500, 503, 504] {
            check(status, "application/json", r#"{"EXISTS":0}"#, None);
        }
    }

    #[test]
    fn statuses_can_tell_and_others_are_failures() {
        let lookup = lookup(VerdictRule::Status {
            revoked: [200].into(),
            valid: [404].into(),
        });
        let read = |status| lookup.read(&Answer::of(status, &[], ""));
        assert_eq!((read(200), read(404), read(503)), (Some(true), Some(false), None));
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
            kept: Vec::new(),
            hash: None,
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
