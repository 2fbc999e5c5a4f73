//! Bearer tokens: where a request carries one, whose it is, and whether it is good (`crate::jose` has the order of the
//! checks). A bad token is never skipped, and one that is required is never assumed.

use crate::guard::quota::{By, Quota};
use crate::guard::requests::pairs::{Coding, decode};
use crate::guard::revocation::status_list::Reference;
use crate::jose::claims;
use crate::jose::keys::Signature;
use crate::jose::{Algorithm, Claims, Compact, KeySet, Signatures, Verified, type_matches};
use crate::json::{Limits, Value, parse};
use crate::operation::Operation;
use crate::rate::Instant;
use crate::request::{Head, HeadEdit};
use crate::sort;
use crate::verdict::{Denial, Extra, Mode, Reason};
use std::borrow::Cow;
use std::rc::Rc;
use std::time::Duration;

/// The configuration's `tokens`.
#[derive(Debug)]
pub struct TokenPolicy {
    /// For operations that say nothing of their own.
    pub default: Requirement,
    /// Where tokens are looked for.
    pub from: Vec<Source>,
    pub providers: Vec<Provider>,
    pub token_bytes_max: usize,
    pub mode: Option<Mode>,
    /// Whether the host is tried for signatures.
    pub ask_host: bool,
    /// Whether revocation asks for the hash of the signing input.
    pub wants_hash: bool,
    /// Whether revocation goes by status lists.
    pub wants_status: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requirement {
    Required,
    /// None is fine; one that is there must be good.
    Optional,
    /// Not looked at.
    None,
}

impl Requirement {
    pub const WORDS: [(&'static str, Self); 3] = [
        ("required", Self::Required),
        ("optional", Self::Optional),
        ("none", Self::None),
    ];
}

/// A place where a token may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A header field, such as `authorization: Bearer …`.
    Header {
        /// In lower case.
        name: String,
        /// Compared in any case; `None`: the field is the token.
        scheme: Option<String>,
    },
    /// A cookie of this name (RFC 6265 §4.2.1).
    Cookie(String),
    /// A parameter of this name in the query (RFC 6750 §2.3), where logs and histories keep it: only where it must be.
    Query(String),
}

/// An issuer whose tokens are accepted.
#[derive(Debug)]
pub struct Provider {
    pub issuer: String,
    pub algorithms: Vec<Algorithm>,
    /// Accepted `typ` values.
    pub types: Vec<String>,
    /// Whether a token without `typ` is refused.
    pub type_required: bool,
    pub claims: Claims,
    pub keys: KeySource,
    /// Whether the backend gets to see the token.
    pub forward_token: bool,
}

#[derive(Debug)]
pub enum KeySource {
    Inline(Rc<KeySet>),
    Remote(KeyEndpoint),
}

/// Where a provider's keys are fetched.
#[derive(Debug)]
pub struct KeyEndpoint {
    pub service: Endpoint,
    /// Whether the path is that of a discovery document, which names that of the keys.
    pub discovers: bool,
    /// How long keys serve that no fetch has confirmed.
    pub stale: Duration,
}

/// A service asked by callout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub cluster: String,
    pub authority: String,
    pub path: String,
    pub timeout: Duration,
    /// How often it is asked unasked.
    pub refresh: Duration,
}

/// Why a token is not good, or not yet known to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    Bad(Reason),
    /// The provider at this position has no keys yet.
    NoKeys(usize),
    /// The provider's keys know none of the token's name: it may be newer than they are.
    UnknownKey(Wanted),
}

/// A key that a token names and its provider's set lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The provider's position.
    pub provider: usize,
    /// The `kid`.
    pub key_id: Option<String>,
    /// The token's own word, not verified, on when it was issued.
    pub issued: Option<Instant>,
}

impl From<Reason> for Trouble {
    fn from(reason: Reason) -> Self {
        Self::Bad(reason)
    }
}

impl TokenPolicy {
    /// What an operation asks for.
    pub fn requirement(&self, operation: Option<&Operation>) -> Requirement {
        operation.and_then(|o| o.token).unwrap_or(self.default)
    }

    /// The request's one token, if it has any.
    ///
    /// # Errors
    /// [`Reason::TokenRepeated`] for two, in one place or in several (RFC 6750 §2), [`Reason::TokenTooLarge`],
    /// [`Reason::TokenMalformed`] for a scheme without a token. Two that the host has joined are told by [`Self::judge`].
    pub fn extract<'h>(&self, head: &'h Head) -> Result<Option<&'h [u8]>, Denial> {
        let (mut found, mut repeated) = (None, false);
        for source in &self.from {
            source.each_token(head, &mut |token| repeated |= found.replace(token).is_some());
        }
        match found {
            _ if repeated => Err(Reason::TokenRepeated.into()),
            Some(token) if token.len() > self.token_bytes_max => Err(Reason::TokenTooLarge.into()),
            Some([]) => Err(Reason::TokenMalformed.into()),
            found => Ok(found),
        }
    }

    /// Judges a token with the keys that this worker has.
    ///
    /// # Errors
    /// See [`Trouble`]; the first reason in the order that `crate::jose` documents.
    pub fn judge<'k>(
        &self,
        token: &[u8],
        keys: impl Fn(usize) -> Option<&'k KeySet>,
        signatures: Signatures<'_>,
        now: Instant,
    ) -> Result<Verified, Trouble> {
        let compact = Compact::parse(token).map_err(|reason| {
            // Envoy joins repeated fields with a comma, which no token has.
            let joined = token.contains(&b',');
            if joined { Reason::TokenRepeated } else { reason }
        })?;
        let header = compact.header()?;
        let payload = parse(&compact.payload, &Limits::FOREIGN).map_err(|_| Reason::TokenMalformed)?;
        let members = payload.as_object().ok_or(Reason::TokenMalformed)?;
        let issuer = members.get("iss").and_then(Value::as_str);
        let mut providers = self.providers.iter().enumerate();
        let Some((position, provider)) = providers.find(|(_, provider)| Some(provider.issuer.as_str()) == issuer)
        else {
            return Err(Reason::TokenIssuer.into());
        };
        if !provider.algorithms.contains(&header.algorithm) {
            return Err(Reason::TokenAlgorithm.into());
        }
        let accepted = match &header.token_type {
            Some(found) => provider.types.iter().any(|accepted| type_matches(found, accepted)),
            None => !provider.type_required,
        };
        if !accepted {
            return Err(Reason::TokenType.into());
        }
        let set = match &provider.keys {
            KeySource::Inline(set) => set,
            KeySource::Remote(_) => keys(position).ok_or(Trouble::NoKeys(position))?,
        };
        match set.check(
            signatures,
            header.algorithm,
            header.key_id.as_deref(),
            compact.signing_input,
            &compact.signature,
        ) {
            Signature::Good => {}
            Signature::Bad => return Err(Reason::TokenSignature.into()),
            Signature::UnknownKey => {
                return Err(Trouble::UnknownKey(Wanted {
                    provider: position,
                    key_id: header.key_id.map(Cow::into_owned),
                    issued: claims::issued(members),
                }));
            }
        }
        let mut verified = provider.claims.judge(position, members, now)?;
        if self.wants_hash {
            verified.hash = Some(hex(&hmac_sha256::Hash::hash(compact.signing_input)));
        }
        if self.wants_status {
            verified.status = Reference::of(members)?;
        }
        Ok(verified)
    }

    /// Has the claims kept that quotas count by.
    pub fn keep_claims(&mut self, quotas: &[Quota]) {
        let mut names: Vec<String> = quotas
            .iter()
            .flat_map(|quota| &quota.by)
            .filter_map(|by| {
                if let By::Claim(name) = by {
                    Some(name.clone())
                } else {
                    None
                }
            })
            .collect();
        sort::by(&mut names, Ord::cmp);
        names.dedup();
        for provider in &mut self.providers {
            provider.claims.keep.clone_from(&names);
        }
    }

    /// The header fields that only this filter may set: incoming copies go, whatever becomes of the token.
    pub fn removals(&self, head: &Head) -> Vec<HeadEdit> {
        // Some servers take `x_user` for `x-user`.
        fn plain(name: &str) -> impl Iterator<Item = u8> {
            name.bytes().map(|byte| if byte == b'_' { b'-' } else { byte })
        }
        let mapped = || self.providers.iter().flat_map(|provider| &provider.claims.to_headers);
        if mapped().next().is_none() {
            return Vec::new();
        }
        let is_mapped = |name: &str| mapped().any(|(header, _)| plain(header).eq(plain(name)));
        let names = head.fields().filter_map(|(name, _)| std::str::from_utf8(name).ok());
        let mut names: Vec<&str> = names.filter(|name| is_mapped(name)).collect();
        sort::by(&mut names, Ord::cmp);
        names.dedup();
        names
            .into_iter()
            .map(|name| HeadEdit::Remove(name.to_owned()))
            .collect()
    }

    /// The change that takes every cookie that may be a token out; other cookies stay.
    fn without_token_cookies(&self, head: &Head) -> Option<HeadEdit> {
        let is_token = |found: &[u8]| {
            self.from
                .iter()
                .any(|source| *source == Source::Cookie(String::from_utf8_lossy(found).into_owned()))
        };
        if !cookies(head).any(|(name, _)| is_token(name)) {
            return None;
        }
        let kept = cookies(head).filter(|(name, _)| !is_token(name));
        let kept: Vec<Vec<u8>> = kept.map(|(name, value)| [name, b"=", value].concat()).collect();
        Some(if kept.is_empty() {
            HeadEdit::Remove("cookie".into())
        } else {
            HeadEdit::Set("cookie".into(), kept.join(&b"; "[..]))
        })
    }

    /// The change that takes every query parameter that may be a token out; others stay as they came. The path is in
    /// its normal form, where that is known.
    fn without_token_parameters(&self, head: &Head, path: Option<&str>) -> Option<HeadEdit> {
        let target = head.values(":path").next().unwrap_or_default();
        let is_token = |piece: &&[u8]| {
            self.from
                .iter()
                .any(|source| matches!(source, Source::Query(name) if parameter(piece, name).is_some()))
        };
        if !query_pieces(target).any(|piece| is_token(&piece)) {
            return None;
        }
        let kept: Vec<&[u8]> = query_pieces(target).filter(|piece| !is_token(piece)).collect();
        let path = path.map(str::as_bytes);
        let mut out = path
            .or_else(|| target.split(|b| *b == b'?').next())
            .unwrap_or_default()
            .to_vec();
        if !kept.is_empty() {
            out.push(b'?');
            out.extend(kept.join(&b'&'));
        }
        Some(HeadEdit::Set(":path".into(), out))
    }

    /// What a good token changes in the head, and what it leaves for access logs and other filters.
    pub fn edits(&self, head: &Head, path: Option<&str>, verified: &Verified) -> Vec<HeadEdit> {
        let headers = verified.headers.iter();
        let headers = headers.map(|(name, value)| HeadEdit::Set(name.clone(), value.clone()));
        let state = verified.state.iter();
        let state = state.map(|(name, value)| HeadEdit::State(name.clone(), value.clone()));
        let mut edits: Vec<HeadEdit> = headers.chain(state).collect();
        let forwarded = self
            .providers
            .get(verified.provider)
            .is_none_or(|provider| provider.forward_token);
        if !forwarded {
            edits.extend(self.from.iter().filter_map(|source| match source {
                Source::Header { name, .. } => Some(HeadEdit::Remove(name.clone())),
                Source::Cookie(_) | Source::Query(_) => None,
            }));
            edits.extend(self.without_token_cookies(head));
            edits.extend(self.without_token_parameters(head, path));
        }
        edits
    }
}

impl Source {
    /// Hands over every token that a request has in this place.
    fn each_token<'h>(&self, head: &'h Head, take: &mut dyn FnMut(&'h [u8])) {
        match self {
            Self::Header { name, scheme: None } => head.values(name).for_each(take),
            Self::Header {
                name,
                scheme: Some(scheme),
            } => head
                .values(name)
                .filter_map(|value| after_scheme(value, scheme))
                .for_each(take),
            Self::Cookie(name) => {
                let named = |(found, value): (&'h [u8], &'h [u8])| (found == name.as_bytes()).then_some(value);
                cookies(head).filter_map(named).for_each(take);
            }
            Self::Query(name) => head
                .values(":path")
                .flat_map(query_pieces)
                .filter_map(|piece| parameter(piece, name))
                .for_each(take),
        }
    }
}

/// What follows a scheme and one or more spaces (RFC 9110 §11.4); `None` if the value is of another scheme.
fn after_scheme<'v>(value: &'v [u8], scheme: &str) -> Option<&'v [u8]> {
    let (found, rest) = value.split_at_checked(scheme.len())?;
    if !found.eq_ignore_ascii_case(scheme.as_bytes()) {
        return None;
    }
    match rest {
        [] => Some(rest),
        [b' ', ..] => Some(rest.trim_ascii()),
        _ => None,
    }
}

/// What stands between the `&` of a target's query.
fn query_pieces(target: &[u8]) -> impl Iterator<Item = &[u8]> {
    let query = target
        .iter()
        .position(|b| *b == b'?')
        .and_then(|at| target.get(at..)?.get(1..));
    query.unwrap_or_default().split(|b| *b == b'&')
}

/// The value of a piece of a query, as it stands, if the piece is of this name in any spelling: no token needs encoding.
fn parameter<'q>(piece: &'q [u8], name: &str) -> Option<&'q [u8]> {
    let mut parts = piece.splitn(2, |b| *b == b'=');
    let found = std::str::from_utf8(parts.next()?).ok()?;
    let same = decode(found, Coding::Form).is_ok_and(|found| found == name);
    same.then(|| parts.next().unwrap_or_default())
}

/// Names and values of all cookies; HTTP/2 may spread them over several fields (RFC 9113 §8.2.3).
fn cookies(head: &Head) -> impl Iterator<Item = (&[u8], &[u8])> {
    let pairs = head.values("cookie").flat_map(|value| value.split(|b| *b == b';'));
    pairs.filter_map(|pair| {
        let pair = pair.trim_ascii();
        let at = pair.iter().position(|b| *b == b'=')?;
        let (name, value) = pair.split_at_checked(at)?;
        Some((name.trim_ascii_end(), value.get(1..)?.trim_ascii_start()))
    })
}

/// Whether a token grants every scope that an operation needs.
///
/// # Errors
/// [`Reason::TokenScope`], naming what is needed.
pub fn judge_scopes(operation: &Operation, verified: &Verified) -> Result<(), Denial> {
    if operation.scopes.iter().all(|needed| verified.scopes.contains(needed)) {
        return Ok(());
    }
    Err(Reason::TokenScope.with(Extra::Scope(operation.scopes.join(" "))))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 0xF)])
        .collect()
}

#[cfg(test)]
mod tests;
