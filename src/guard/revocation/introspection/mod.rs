//! Introspection (RFC 7662): what the authorization server says of a token, which may be no JWT at all. The question
//! carries credentials, so it is never shown; the answer's claims are checked as a token's are.
//!
//! Only 200 with a boolean `active` is a verdict. `iss` and `aud` need not be in an answer, which is given to us, but
//! where they are they must fit. What a provider's `require` has by default or by a token profile may be absent too; what
//! the configuration itself writes there must be in an answer as in a token.

pub mod shelf;

pub use shelf::Shelf;

use super::clearance::Mark;
use super::lookup::is_json;
use super::{Failure, Told};
use crate::callout::{Answer, Callout};
use crate::guard::token::{Endpoint, Provider, TokenPolicy, hex};
use crate::jose::{Claims, Verified};
use crate::json::{Limits, Object, Value, parse};
use crate::knowledge::Recent;
use crate::path::encode_segment;
use crate::rate::Instant;
use crate::verdict::Reason;
use ct_codecs::{Base64, Encoder};
use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

/// The configuration's `revocation.introspection`.
#[derive(Debug)]
pub struct Introspection {
    pub endpoint: Endpoint,
    pub credentials: Credentials,
    /// How long an answer is used, never beyond the token's `exp`.
    pub cache: Duration,
    /// The position of the provider whose rules an answer without `iss` goes by.
    pub provider: usize,
}

/// How we show who asks (RFC 6749 §2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authentication {
    Basic,
    Post,
}

impl Authentication {
    pub const WORDS: [(&'static str, Self); 2] = [("basic", Self::Basic), ("post", Self::Post)];
}

/// Who asks; never shown.
#[derive(Clone)]
pub struct Credentials {
    pub id: String,
    pub secret: String,
    pub how: Authentication,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(credentials)")
    }
}

/// What an answer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    Inactive,
    /// Active, but not for us or not now.
    Unacceptable(Reason),
    Active(Rc<Verified>),
}

/// An answer with its age.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    pub word: Word,
    /// Whether the answer names scopes, which then hold beside those of a JWT.
    pub names_scopes: bool,
    /// Whether the answer names an issuer.
    pub names_issuer: bool,
    /// When the question was asked.
    pub learnt: Instant,
    /// The answer's `exp`: it is not used from then on.
    pub expires: Option<Instant>,
}

impl Heard {
    /// What another worker heard when it asked then.
    pub const fn inactive(learnt: Instant) -> Self {
        Self {
            word: Word::Inactive,
            names_scopes: false,
            names_issuer: false,
            learnt,
            expires: None,
        }
    }

    /// Whether it is younger than `span` and has not expired.
    pub fn serves(&self, span: Duration, now: Instant) -> bool {
        now >= self.learnt && now.since(self.learnt) < span && self.expires.is_none_or(|expires| now < expires)
    }
}

/// What an answer is about.
#[derive(Debug)]
pub struct About<'t> {
    pub token: &'t [u8],
    /// The position of the token's provider, where it is a JWT.
    pub provider: Option<usize>,
    /// When the question was asked.
    pub asked: Instant,
}

/// Whether a token is to be judged by introspection alone: it is a bearer token (RFC 6750 §2.1) and no compact JWS,
/// which has three parts.
pub fn is_opaque(token: &[u8]) -> bool {
    let padding = token.iter().rev().take_while(|b| **b == b'=').count();
    let Some(text) = token.len().checked_sub(padding).and_then(|end| token.get(..end)) else {
        return false;
    };
    let allowed = |b: &u8| b.is_ascii_alphanumeric() || b"-._~+/".contains(b);
    !text.is_empty() && text.iter().all(allowed) && text.iter().filter(|b| **b == b'.').count() != 2
}

impl Introspection {
    /// The question about a token.
    pub fn callout(&self, token: &[u8]) -> Callout {
        let token = String::from_utf8_lossy(token);
        let mut body = format!("token={}&token_type_hint=access_token", encode_segment(&token));
        let mut fields = vec![
            ("accept", "application/json".to_owned()),
            ("content-type", "application/x-www-form-urlencoded".to_owned()),
        ];
        let (id, secret) = (
            encode_segment(&self.credentials.id),
            encode_segment(&self.credentials.secret),
        );
        match self.credentials.how {
            Authentication::Basic => {
                let pair = Base64::encode_to_string(format!("{id}:{secret}")).unwrap_or_default();
                fields.push(("authorization", format!("Basic {pair}")));
            }
            Authentication::Post => body.push_str(&format!("&client_id={id}&client_secret={secret}")),
        }
        Callout {
            method: "POST",
            fields,
            body: body.into_bytes(),
            ..Callout::get(&self.endpoint, self.endpoint.path.clone())
        }
    }

    /// Reads an answer.
    ///
    /// # Errors
    /// [`Failure`] for anything but 200 with a JSON object that has a boolean `active`.
    pub fn read(&self, answer: Option<&Answer>, tokens: &TokenPolicy, about: &About<'_>, now: Instant) -> Told<Heard> {
        let answer = answer.ok_or(Failure::Silence)?;
        if answer.status != 200 || !is_json(answer) {
            return Err(Failure::of(answer.status));
        }
        let value = parse(&answer.body, &Limits::FOREIGN).map_err(|_| Failure::Nonsense)?;
        let Value::Object(claims) = value else {
            return Err(Failure::Nonsense);
        };
        let Some(Value::Bool(active)) = claims.get("active") else {
            return Err(Failure::Nonsense);
        };
        let mut heard = Heard {
            word: Word::Inactive,
            names_scopes: ["scope", "scp"].iter().any(|name| claims.get(name).is_some()),
            names_issuer: claims.get("iss").is_some(),
            learnt: about.asked,
            expires: None,
        };
        if *active {
            heard.expires = claims.get("exp").and_then(Value::as_number).and_then(|exp| {
                // Fractions are cut off: never later than `exp`.
                let whole = exp.as_u64().or_else(|| exp.text().split('.').next()?.parse().ok());
                whole.map(Instant::from_seconds)
            });
            heard.word = match self.judge(claims, tokens, about.provider, now) {
                Ok(mut verified) => {
                    // A token that is not signed has no other spelling: its own hash names it.
                    verified.hash = tokens.wants_hash.then(|| hex(&hmac_sha256::Hash::hash(about.token)));
                    Word::Active(Rc::new(verified))
                }
                Err(reason) => Word::Unacceptable(reason),
            };
        }
        Ok(heard)
    }

    fn judge(
        &self,
        claims: Object<'_>,
        tokens: &TokenPolicy,
        provider: Option<usize>,
        now: Instant,
    ) -> Result<Verified, Reason> {
        let position = match claims.get("iss") {
            None => provider.unwrap_or(self.provider),
            Some(issuer) => {
                let named = |provider: &Provider| Some(provider.issuer.as_str()) == issuer.as_str();
                tokens.providers.iter().position(named).ok_or(Reason::TokenIssuer)?
            }
        };
        let provider = tokens.providers.get(position).ok_or(Reason::TokenIssuer)?;
        let mut claims = claims.with_default("iss", Value::String(provider.issuer.as_str().into()));
        if let Some(audience) = provider.claims.audiences.first() {
            claims = claims.with_default("aud", Value::String(audience.as_str().into()));
        }
        // A profile is one of JWTs: an answer need not have what it demands (RFC 7662 §2.2).
        let rules = Claims {
            require: provider.claims.require_written.clone(),
            ..provider.claims.clone()
        };
        rules.judge(position, &claims, now)
    }
}

/// What this worker has heard of tokens, by keyed hash. Inactive tokens are kept apart: a flood of made-up ones pushes
/// no good one out.
#[derive(Debug, Default)]
pub struct Memory {
    active: Recent<Remembered>,
    inactive: Recent<Remembered>,
}

/// An answer, and where the mark of revocations stood when no other worker knew a later one.
#[derive(Debug)]
struct Remembered {
    heard: Heard,
    mark: Cell<Option<Mark>>,
}

impl Memory {
    fn find(&self, token: u128) -> Option<&Remembered> {
        // The later of the two: a token may have been one and then the other.
        let both = [self.active.get(token), self.inactive.get(token)];
        both.into_iter().flatten().max_by_key(|found| found.heard.learnt)
    }

    /// The last that this worker knows of a token.
    pub fn last(&self, token: u128) -> Option<&Heard> {
        self.find(token).map(|found| &found.heard)
    }

    /// The same, if no other worker can know better: nobody has learnt of a revocation since `note_mark`.
    pub fn settled(&self, token: u128, mark: Mark) -> Option<&Heard> {
        let found = self.find(token).filter(|found| found.mark.get() == Some(mark));
        found.map(|found| &found.heard)
    }

    /// Notes that no other worker knew better; the mark was read before it was looked.
    pub fn note_mark(&self, token: u128, mark: Mark) {
        if let Some(found) = self.find(token) {
            found.mark.set(Some(mark));
        }
    }

    pub fn insert(&mut self, token: u128, heard: Heard) {
        let place = if heard.word == Word::Inactive {
            &mut self.inactive
        } else {
            &mut self.active
        };
        let mark = Cell::default();
        place.insert(token, Remembered { heard, mark }, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    const POLICY: &str = r#"{
      "tokens": { "providers": [ { "issuer": "i", "audiences": ["a"], "algorithms": ["HS256"], "jwks": { "inline": { "keys": [ { "kty": "oct", "k": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY" } ] } } } ] },
      "revocation": { "introspection": { "cluster": "idp", "authority": "id", "path": "/introspect", "client_id": "me:1", "client_secret": "s/?", "auth": "AUTH" } } }"#;

    fn policy(auth: &str) -> crate::policy::Policy {
        config::load(POLICY.replace("AUTH", auth).as_bytes()).unwrap()
    }

    #[test]
    fn a_question_is_a_form_with_credentials_that_are_not_shown() {
        let policy = policy("basic");
        let introspection = policy.revocation.as_ref().unwrap().introspection.as_ref().unwrap();
        let callout = introspection.callout(b"a.b+/=");
        assert_eq!(callout.method, "POST");
        assert_eq!(callout.body, b"token=a%2Eb%2B%2F%3D&token_type_hint=access_token");
        // base64("me%3A1:s%2F%3F")
        assert!(
            callout
                .fields
                .contains(&("authorization", "Basic bWUlM0ExOnMlMkYlM0Y=".into()))
        );
        assert!(!format!("{policy:?}").contains("s/?"));
        let policy = self::policy("post");
        let introspection = policy.revocation.as_ref().unwrap().introspection.as_ref().unwrap();
        let callout = introspection.callout(b"x");
        assert_eq!(
            callout.body,
            b"token=x&token_type_hint=access_token&client_id=me%3A1&client_secret=s%2F%3F"
        );
        assert!(callout.fields.iter().all(|(name, _)| *name != "authorization"));
    }

    #[track_caller]
    fn check(status: u16, content_type: &str, body: &str, expected: Told<Result<bool, Reason>>) {
        let policy = policy("basic");
        let (tokens, revocation) = (policy.tokens.as_ref().unwrap(), policy.revocation.as_ref().unwrap());
        let answer = Answer::of(status, &[("content-type", content_type)], body);
        let now = Instant::from_seconds(1_700_000_000);
        let about = About {
            token: b"t",
            provider: None,
            asked: now,
        };
        let introspection = revocation.introspection.as_ref().unwrap();
        let read = introspection.read(Some(&answer), tokens, &about, now);
        let brief = read.map(|heard| match heard.word {
            Word::Inactive => Ok(false),
            Word::Active(_) => Ok(true),
            Word::Unacceptable(reason) => Err(reason),
        });
        assert_eq!(brief, expected, "{body}");
    }

    #[test]
    fn only_a_boolean_is_a_verdict_and_its_claims_must_fit() {
        let json = "application/json";
        check(200, json, r#"{"active":true}"#, Ok(Ok(true)));
        check(200, json, r#"{"active":false}"#, Ok(Ok(false)));
        check(200, json, r#"{"active":false,"exp":"soon","iss":7}"#, Ok(Ok(false)));
        for nonsense in [
            "",
            "[]",
            "true",
            "{}",
            r#"{"active":"true"}"#,
            r#"{"active":1}"#,
            r#"{"active":null}"#,
        ] {
            check(200, json, nonsense, Err(Failure::Nonsense));
        }
        check(200, json, r#"{"active":true,"active":false}"#, Err(Failure::Nonsense));
        check(200, "text/html", r#"{"active":true}"#, Err(Failure::Nonsense));
        check(401, json, r#"{"active":true}"#, Err(Failure::Nonsense));
        check(500, json, r#"{"active":true}"#, Err(Failure::Silence));
        check(
            200,
            json,
            r#"{"active":true,"iss":"i","aud":["x","a"],"exp":1700000001}"#,
            Ok(Ok(true)),
        );
        check(
            200,
            json,
            r#"{"active":true,"iss":"other"}"#,
            Ok(Err(Reason::TokenIssuer)),
        );
        check(200, json, r#"{"active":true,"iss":7}"#, Ok(Err(Reason::TokenIssuer)));
        check(
            200,
            json,
            r#"{"active":true,"aud":"other"}"#,
            Ok(Err(Reason::TokenAudience)),
        );
        check(
            200,
            json,
            r#"{"active":true,"exp":1699999000}"#,
            Ok(Err(Reason::TokenExpired)),
        );
        check(
            200,
            json,
            r#"{"active":true,"nbf":1700000100}"#,
            Ok(Err(Reason::TokenNotYetValid)),
        );
        check(200, json, r#"{"active":true,"scope":7}"#, Ok(Err(Reason::TokenClaim)));
    }

    #[test]
    fn a_profile_of_jwts_demands_nothing_of_an_answer() {
        let text = POLICY.replace("AUTH", "basic");
        let profiled = text.replace(r#""algorithms""#, r#""profile": "at+jwt", "algorithms""#);
        for text in [text, profiled] {
            let policy = config::load(text.as_bytes()).unwrap();
            let (tokens, revocation) = (policy.tokens.as_ref().unwrap(), policy.revocation.as_ref().unwrap());
            let answer = Answer::of(200, &[("content-type", "application/json")], r#"{"active":true}"#);
            let now = Instant::from_seconds(1_700_000_000);
            let about = About {
                token: b"t",
                provider: None,
                asked: now,
            };
            let heard = revocation
                .introspection
                .as_ref()
                .unwrap()
                .read(Some(&answer), tokens, &about, now);
            assert!(matches!(heard.unwrap().word, Word::Active(_)), "{text}");
        }
    }

    #[test]
    fn what_is_required_in_so_many_words_is_required_of_an_answer() {
        let text = POLICY.replace("AUTH", "basic");
        for name in ["exp", "sub", "jti", "client_id", "tenant"] {
            let text = text.replace(
                r#""algorithms""#,
                &format!(r#""profile": "at+jwt", "require": ["{name}"], "algorithms""#),
            );
            let policy = config::load(text.as_bytes()).unwrap();
            let (tokens, revocation) = (policy.tokens.as_ref().unwrap(), policy.revocation.as_ref().unwrap());
            let now = Instant::from_seconds(1_700_000_000);
            let about = About {
                token: b"t",
                provider: None,
                asked: now,
            };
            let answer = Answer::of(200, &[("content-type", "application/json")], r#"{"active":true}"#);
            let introspection = revocation.introspection.as_ref().unwrap();
            let heard = introspection.read(Some(&answer), tokens, &about, now).unwrap();
            assert!(
                matches!(heard.word, Word::Unacceptable(Reason::TokenClaim)),
                "{name}: {:?}",
                heard.word
            );
        }
    }

    #[test]
    fn an_answer_serves_for_its_time_and_never_beyond_the_expiry() {
        let heard = Heard {
            word: Word::Inactive,
            names_scopes: false,
            names_issuer: false,
            learnt: Instant::from_seconds(100),
            expires: Some(Instant::from_seconds(103)),
        };
        let serves = |at| heard.serves(Duration::from_secs(5), Instant::from_seconds(at));
        assert_eq!([99, 100, 102, 103, 104].map(serves), [false, true, true, false, false]);
    }

    #[test]
    fn a_token_of_three_parts_or_other_characters_is_never_opaque() {
        for opaque in ["abc", "a.b", "a.b.c.d.e", "0~x+/=="] {
            assert!(is_opaque(opaque.as_bytes()), "{opaque}");
        }
        for other in ["", "==", "a.b.c", "..", "a b", "a=b", "é", "a\n\0b", "a,b"] {
            assert!(!is_opaque(other.as_bytes()), "{other}");
        }
    }
}
