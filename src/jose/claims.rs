//! The claims of a token whose signature is good (RFC 7519 §4): times, audience, what must be there.

use super::grants::{Condition, scopes};
use crate::guard::revocation::clearance::Clearance;
use crate::guard::revocation::status_list::Reference;
use crate::json::pointer::Pointer;
use crate::json::{Object, Value};
use crate::rate::Instant;
use crate::verdict::Reason;
use std::time::Duration;

/// What a provider asks of claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    pub audiences: Vec<String>,
    pub clock_skew: Duration,
    /// The greatest age by `iat`.
    pub max_age: Option<Duration>,
    /// Whether a token without `iat` is refused; so where `max_age` was written and not just the default.
    pub issued_at_required: bool,
    /// Claims that must be there and not null.
    pub require: Vec<String>,
    /// Those of them that the configuration names itself; the others are defaults, or a profile's.
    pub require_written: Vec<String>,
    /// Header field and claim: what the backend gets to see.
    pub to_headers: Vec<(String, String)>,
    /// Name and claim: what access logs and other filters get to see.
    pub to_state: Vec<(String, String)>,
    /// Where scopes are; none: in `scope` or `scp`.
    pub scopes_from: Vec<Pointer>,
    /// All of them must hold.
    pub conditions: Vec<Condition>,
    /// Claims that quotas count by.
    pub keep: Vec<String>,
}

/// A token that passed every check, reduced to what guards ask of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The position of its provider in the configuration.
    pub provider: usize,
    pub issuer: String,
    pub subject: Option<String>,
    /// `jti`
    pub id: Option<String>,
    /// `iat`, in whole seconds as text.
    pub issued_at: Option<String>,
    /// When it stops being acceptable, skew included; `None` if it never does.
    pub ends: Option<Instant>,
    pub scopes: Vec<String>,
    /// Header fields to set for the backend.
    pub headers: Vec<(String, Vec<u8>)>,
    /// What the host is to keep beside the request.
    pub state: Vec<(String, Vec<u8>)>,
    /// The claims that quotas count by, as text; absent and null ones are left out.
    pub kept: Vec<(String, String)>,
    /// SHA-256 of the signing input in lower-case hex, where revocation asks for it.
    pub hash: Option<String>,
    /// Where its status stands, where revocation goes by status lists.
    pub status: Option<Reference>,
    /// That it was not revoked, as this worker remembers.
    pub clearance: Clearance,
}

/// A time claim: a number from 0 and below 2^53, fractions allowed (RFC 7519 §2).
fn time(claims: &Object<'_>, name: &str) -> Result<Option<f64>, Reason> {
    const LATEST: f64 = 9_007_199_254_740_992.0;
    match claims.get(name) {
        None => Ok(None),
        Some(Value::Number(number)) => match number.as_f64() {
            Some(seconds) if (0.0..LATEST).contains(&seconds) => Ok(Some(seconds)),
            _ => Err(Reason::TokenClaim),
        },
        Some(_) => Err(Reason::TokenClaim),
    }
}

fn text(claims: &Object<'_>, name: &str) -> Result<Option<String>, Reason> {
    match claims.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.to_string())),
        Some(_) => Err(Reason::TokenClaim),
    }
}

/// Seconds as an instant; the value is checked to be in range, later than 2554 counts as then.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn instant(seconds: f64) -> Instant {
    // A float-to-integer cast saturates.
    Instant((seconds * 1e9) as u64)
}

/// Whole seconds of a time that is in range.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn whole(seconds: f64) -> u64 {
    // The cast drops the fraction.
    seconds as u64
}

/// The current time in seconds; a double keeps it to the microsecond.
#[allow(clippy::cast_precision_loss)]
fn seconds(now: Instant) -> f64 {
    now.0 as f64 / 1e9
}

/// When a token says that it was issued; `None` if it says nothing that can be read.
pub fn issued(claims: &Object<'_>) -> Option<Instant> {
    time(claims, "iat").ok().flatten().map(instant)
}

impl Verified {
    /// What it takes to remember it, in bytes: its texts, and for each of them and itself what an allocator adds.
    pub fn weight_bytes(&self) -> usize {
        const EACH: usize = 48;
        let optional = [&self.subject, &self.id, &self.issued_at, &self.hash];
        let status = self.status.as_ref().map(|status| &status.uri);
        let texts = optional.into_iter().flatten().chain(status);
        let texts = texts.chain([&self.issuer]).chain(&self.scopes);
        let texts = texts.map(|text| text.capacity().saturating_add(EACH));
        let headers = self
            .headers
            .iter()
            .chain(&self.state)
            .map(|(name, value)| (name.capacity(), value.capacity()));
        let kept = self
            .kept
            .iter()
            .map(|(name, value)| (name.capacity(), value.capacity()));
        let pairs = headers.chain(kept);
        let pairs = pairs.map(|(a, b)| a.saturating_add(b).saturating_add(2 * EACH));
        texts
            .chain(pairs)
            .fold(size_of::<Self>().saturating_add(2 * EACH), usize::saturating_add)
    }
}

impl Claims {
    /// Judges the claims of a token from a provider at `now`.
    ///
    /// # Errors
    /// The first reason in this order: types, expiry, not before, issued in the future, age, audience, required claims and conditions,
    /// claims that a header field can't carry.
    pub fn judge(&self, provider: usize, claims: &Object<'_>, now: Instant) -> Result<Verified, Reason> {
        let (expires, not_before, issued) = (time(claims, "exp")?, time(claims, "nbf")?, time(claims, "iat")?);
        let (issuer, subject, id) = (text(claims, "iss")?, text(claims, "sub")?, text(claims, "jti")?);
        let (now, skew) = (seconds(now), self.clock_skew.as_secs_f64());
        let expiry_missing = expires.is_none() && self.require.iter().any(|name| name == "exp");
        if expires.is_some_and(|at| now >= at + skew) {
            return Err(Reason::TokenExpired);
        }
        if not_before.is_some_and(|at| now < at - skew) || issued.is_some_and(|at| now < at - skew) {
            return Err(Reason::TokenNotYetValid);
        }
        let age_ends = match (self.max_age, issued) {
            (Some(max_age), Some(at)) => Some(at + max_age.as_secs_f64() + skew),
            (Some(_), None) if self.issued_at_required => return Err(Reason::TokenClaim),
            _ => None,
        };
        if age_ends.is_some_and(|ends| now >= ends) {
            return Err(Reason::TokenTooOld);
        }
        self.audience(claims)?;
        let missing = |name: &String| matches!(claims.get(name), None | Some(Value::Null));
        let unmet = |condition: &Condition| !condition.holds(claims);
        if expiry_missing || self.require.iter().any(missing) || self.conditions.iter().any(unmet) {
            return Err(Reason::TokenClaim);
        }
        let ends = [expires.map(|at| at + skew), age_ends]
            .into_iter()
            .flatten()
            .reduce(f64::min);
        Ok(Verified {
            provider,
            issuer: issuer.unwrap_or_default(),
            subject,
            id,
            issued_at: issued.map(|at| whole(at).to_string()),
            ends: ends.map(instant),
            scopes: scopes(&self.scopes_from, claims)?,
            headers: values(&self.to_headers, claims)?,
            state: values(&self.to_state, claims)?,
            kept: self.kept(claims)?,
            hash: None,
            status: None,
            clearance: Clearance::default(),
        })
    }

    /// `aud` is a text or an array of nothing but texts (RFC 7519 §4.1.3).
    fn audience(&self, claims: &Object<'_>) -> Result<(), Reason> {
        let ours = |text: &str| self.audiences.iter().any(|audience| audience == text);
        let found = match claims.get("aud") {
            Some(Value::String(text)) => ours(text),
            Some(Value::Array(items)) => {
                let texts: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
                texts.ok_or(Reason::TokenClaim)?.into_iter().any(ours)
            }
            None => false,
            Some(_) => return Err(Reason::TokenClaim),
        };
        if found { Ok(()) } else { Err(Reason::TokenAudience) }
    }

    fn kept(&self, claims: &Object<'_>) -> Result<Vec<(String, String)>, Reason> {
        let kept = self
            .keep
            .iter()
            .map(|name| Ok(scalar(claims, name)?.map(|value| (name.clone(), value))));
        kept.filter_map(Result::transpose).collect()
    }
}

/// The values of claims under their new names; absent ones are left out.
fn values(names: &[(String, String)], claims: &Object<'_>) -> Result<Vec<(String, Vec<u8>)>, Reason> {
    let mut values = Vec::new();
    for (name, claim) in names {
        let Some(value) = scalar(claims, claim)? else { continue };
        // A field's edges are trimmed by receivers, so white space there would not arrive; and a line in a log is one line.
        if value.chars().any(char::is_control) || value.trim() != value {
            return Err(Reason::TokenClaim);
        }
        values.push((name.clone(), value.into_bytes()));
    }
    Ok(values)
}

/// A claim as text; `None` if it is absent or null.
fn scalar(claims: &Object<'_>, name: &str) -> Result<Option<String>, Reason> {
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.to_string())),
        Some(Value::Number(number)) => Ok(Some(number.text().to_owned())),
        Some(Value::Bool(flag)) => Ok(Some(flag.to_string())),
        Some(Value::Array(_) | Value::Object(_)) => Err(Reason::TokenClaim),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Limits, parse};

    const NOW: u64 = 1_700_000_000;

    fn policy() -> Claims {
        Claims {
            audiences: vec!["api".into(), "other".into()],
            clock_skew: Duration::from_secs(30),
            max_age: Some(Duration::from_secs(3600)),
            issued_at_required: false,
            require: vec!["sub".into(), "exp".into()],
            require_written: Vec::new(),
            to_headers: vec![("x-user".into(), "sub".into())],
            to_state: vec![("portcullis_tenant".into(), "tenant".into())],
            scopes_from: Vec::new(),
            conditions: Vec::new(),
            keep: vec!["tenant".into()],
        }
    }

    fn judge(policy: &Claims, json: &str) -> Result<Verified, Reason> {
        let value = parse(json.as_bytes(), &Limits::FOREIGN).unwrap();
        policy.judge(0, value.as_object().unwrap(), Instant::from_seconds(NOW))
    }

    #[track_caller]
    fn check(members: &str, expected: Result<(), Reason>) {
        let base = [
            ("iss", "\"i\""),
            ("sub", "\"s\""),
            ("aud", "\"api\""),
            ("exp", "1700000100"),
        ];
        let mut json: Vec<String> = base
            .iter()
            .filter(|(name, _)| !members.contains(&format!("\"{name}\"")))
            .map(|(name, value)| format!("\"{name}\":{value}"))
            .collect();
        json.extend((!members.is_empty()).then(|| {
            members
                .replace("\"exp\":absent", "\"x\":0")
                .replace("\"aud\":absent", "\"x\":0")
                .replace("\"sub\":absent", "\"x\":0")
        }));
        assert_eq!(
            judge(&policy(), &format!("{{{}}}", json.join(","))).map(|_| ()),
            expected,
            "{members}"
        );
    }

    #[test]
    fn times_count_to_the_second_with_the_skew() {
        check("", Ok(()));
        check("\"exp\":1699999971", Ok(()));
        check("\"exp\":1699999970.5", Ok(()));
        check("\"exp\":1699999970", Err(Reason::TokenExpired));
        check("\"exp\":1.7000001e9", Ok(()));
        check("\"nbf\":1700000030", Ok(()));
        check("\"nbf\":1700000031", Err(Reason::TokenNotYetValid));
        check("\"iat\":1700000031", Err(Reason::TokenNotYetValid));
        check("\"iat\":1699996371", Ok(()));
        check("\"iat\":1699996370", Err(Reason::TokenTooOld));
        for exp in [
            "\"1700000100\"",
            "null",
            "-1",
            "9007199254740992",
            "1e400",
            "true",
            "[1700000100]",
        ] {
            check(&format!("\"exp\":{exp}"), Err(Reason::TokenClaim));
        }
    }

    #[test]
    fn audience_is_ours_or_it_is_refused() {
        check("\"aud\":[\"x\",\"other\"]", Ok(()));
        for aud in ["\"x\"", "[]", "[\"x\"]", "\"API\"", "\"api \"", "absent"] {
            check(&format!("\"aud\":{aud}"), Err(Reason::TokenAudience));
        }
        for aud in ["[\"api\",1]", "1", "{\"api\":1}", "null", "[[\"api\"]]"] {
            check(&format!("\"aud\":{aud}"), Err(Reason::TokenClaim));
        }
    }

    #[test]
    fn what_must_be_there_is() {
        check("\"exp\":absent", Err(Reason::TokenClaim));
        check("\"sub\":absent", Err(Reason::TokenClaim));
        check("\"sub\":null", Err(Reason::TokenClaim));
        check("\"sub\":1", Err(Reason::TokenClaim));
        check("\"jti\":1", Err(Reason::TokenClaim));
        let strict = Claims {
            issued_at_required: true,
            ..policy()
        };
        assert_eq!(
            judge(&strict, r#"{"sub":"s","aud":"api","exp":1700000100}"#),
            Err(Reason::TokenClaim)
        );
        let lenient = Claims {
            require: Vec::new(),
            ..policy()
        };
        assert_eq!(judge(&lenient, r#"{"aud":"api"}"#).unwrap().ends, None);
    }

    #[test]
    fn what_a_header_field_can_not_carry_is_refused() {
        check("\"sub\":\"a\\r\\nx-admin: 1\"", Err(Reason::TokenClaim));
        check("\"sub\":\" a\"", Err(Reason::TokenClaim));
        check("\"sub\":\"a\\u0085b\"", Err(Reason::TokenClaim));
        check("\"sub\":\"é\"", Ok(()));
    }

    #[test]
    fn scopes_are_read_in_their_forms_and_the_earliest_end_counts() {
        let verified = judge(
            &policy(),
            r#"{"sub":"s","aud":"api","exp":1700009999,"iat":1699999999.5,"scope":"a  b"}"#,
        )
        .unwrap();
        assert_eq!(verified.scopes, ["a", "b"]);
        assert_eq!(verified.ends, Some(Instant(1_700_003_629_500_000_000)));
        assert_eq!(verified.issued_at.as_deref(), Some("1699999999"));
        assert_eq!(verified.headers, [("x-user".to_owned(), b"s".to_vec())]);
        let verified = judge(
            &policy(),
            r#"{"sub":"s","aud":"api","exp":1700000100,"scp":["a","b c"]}"#,
        )
        .unwrap();
        assert_eq!(verified.scopes, ["a", "b c"]);
        let verified = judge(&policy(), r#"{"sub":"s","aud":"api","exp":1700000100,"tenant":7}"#).unwrap();
        assert_eq!(verified.kept, [("tenant".to_owned(), "7".to_owned())]);
        assert_eq!(verified.state, [("portcullis_tenant".to_owned(), b"7".to_vec())]);
        check("\"tenant\":[]", Err(Reason::TokenClaim));
        check("\"scope\":1", Err(Reason::TokenClaim));
        check("\"scp\":[1]", Err(Reason::TokenClaim));
    }
}
