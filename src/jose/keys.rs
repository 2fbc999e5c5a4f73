//! Key sets (RFC 7517): what of them can be used, each key bound to its algorithms.
//!
//! A key that is for encryption, too short, private, of an unknown kind, or for no algorithm that the provider lists is
//! skipped; a set without one usable key is malformed. jwt-simple imports the keys and keeps its own policy on them.

use super::base64url;
use super::signature::{Signatures, Verifier};
use crate::json::{Object, Value};
use std::collections::BTreeSet;

/// Signature algorithms (RFC 7518 §3.1, RFC 8037), compared case-sensitively.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    /// `EdDSA` and its fully specified name `Ed25519` (RFC 9864) are one algorithm.
    EdDsa,
    Hs256,
    Hs384,
    Hs512,
}

impl Algorithm {
    const NAMES: [(&str, Self); 13] = [
        ("RS256", Self::Rs256),
        ("RS384", Self::Rs384),
        ("RS512", Self::Rs512),
        ("PS256", Self::Ps256),
        ("PS384", Self::Ps384),
        ("PS512", Self::Ps512),
        ("ES256", Self::Es256),
        ("ES384", Self::Es384),
        ("EdDSA", Self::EdDsa),
        ("Ed25519", Self::EdDsa),
        ("HS256", Self::Hs256),
        ("HS384", Self::Hs384),
        ("HS512", Self::Hs512),
    ];

    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES
            .iter()
            .find(|(n, _)| *n == name)
            .map(|(_, algorithm)| *algorithm)
    }

    pub fn names() -> String {
        Self::NAMES.map(|(name, _)| name).join(", ")
    }
}

/// Keys of one set beyond this number are not looked at.
const KEYS_MAX: usize = 64;

/// Keys without a matching `kid` that one token is tried against: each try is a signature check (1 ms in wasm).
const TRIES_MAX: usize = 4;

/// One key for one algorithm.
#[derive(Debug)]
pub struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    verifier: Verifier,
}

/// The usable keys of one provider.
#[derive(Debug, Default)]
pub struct KeySet {
    keys: Vec<Key>,
}

/// What a token's key lookup gives.
#[derive(Debug, PartialEq, Eq)]
pub enum Signature {
    Good,
    Bad,
    /// No key of this id, or without an id, is bound to the algorithm.
    UnknownKey,
}

impl KeySet {
    /// Reads a set, keeping the keys that are usable with one of `algorithms`.
    ///
    /// # Errors
    /// What is wrong with the set as a whole, for a log line or a configuration fault.
    pub fn parse(set: &Value<'_>, algorithms: &[Algorithm]) -> Result<Self, &'static str> {
        let keys = set
            .as_object()
            .and_then(|object| object.get("keys"))
            .and_then(Value::as_array);
        let Some(keys) = keys else {
            return Err("expected a key set: an object with an array `keys`");
        };
        let usable = keys
            .iter()
            .take(KEYS_MAX)
            .filter_map(Value::as_object)
            .flat_map(|key| import(key, algorithms))
            .collect::<Vec<_>>();
        if usable.is_empty() {
            return Err("the key set has no key that is usable with the listed algorithms");
        }
        Ok(Self { keys: usable })
    }

    /// Checks a signature with the key that the token names, or, if it names none, with those of its algorithm.
    pub fn check(
        &self,
        signatures: Signatures<'_>,
        algorithm: Algorithm,
        key_id: Option<&str>,
        input: &[u8],
        signature: &[u8],
    ) -> Signature {
        let candidates = self
            .keys
            .iter()
            .filter(|key| key.algorithm == algorithm && key_id.is_none_or(|wanted| key.id.as_deref() == Some(wanted)));
        let mut verdict = Signature::UnknownKey;
        for key in candidates.take(TRIES_MAX) {
            if key.verifier.verify(signatures, input, signature) {
                return Signature::Good;
            }
            verdict = Signature::Bad;
        }
        verdict
    }

    pub fn len(&self) -> usize {
        self.keys.len()
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

/// A JWK's text member; `None` if absent or of another type.
fn text<'k>(jwk: &'k Object<'_>, name: &str) -> Option<&'k str> {
    jwk.get(name).and_then(Value::as_str)
}

fn bytes(jwk: &Object<'_>, name: &str) -> Option<Vec<u8>> {
    base64url::decode(text(jwk, name)?.as_bytes())
}

/// Whether the key's own members allow checking signatures with it. Operations that are no texts, or named twice, say nothing
/// that can be relied on (RFC 7517 §4.3).
fn is_for_signatures(jwk: &Object<'_>) -> bool {
    let used_for = match jwk.get("use") {
        None => true,
        Some(value) => value.as_str() == Some("sig"),
    };
    let operations = match jwk.get("key_ops") {
        None => true,
        Some(value) => value.as_array().is_some_and(|operations| {
            let mut named = BTreeSet::new();
            let each_once = |op: &Value<'_>| op.as_str().is_some_and(|op| named.insert(op.to_owned()));
            operations.iter().all(each_once) && named.contains("verify")
        }),
    };
    used_for && operations
}

/// One key for each of `algorithms` that its type, curve, size and `alg` allow.
fn import(jwk: &Object<'_>, algorithms: &[Algorithm]) -> Vec<Key> {
    let id = match jwk.get("kid") {
        None => None,
        Some(Value::String(id)) => Some(id.to_string()),
        Some(_) => return Vec::new(),
    };
    let bound = match jwk.get("alg") {
        None => None,
        Some(alg) => match alg.as_str().and_then(Algorithm::named) {
            Some(algorithm) => Some(algorithm),
            None => return Vec::new(),
        },
    };
    let kind = text(jwk, "kty").unwrap_or_default();
    // Who publishes a private key has lost it.
    let private = kind != "oct"
        && ["d", "p", "q", "dp", "dq", "qi", "oth", "k"]
            .iter()
            .any(|name| jwk.get(name).is_some());
    if private || !is_for_signatures(jwk) {
        return Vec::new();
    }
    let allowed = algorithms
        .iter()
        .filter(|algorithm| bound.is_none_or(|b| b == **algorithm));
    let keys = allowed.filter_map(|algorithm| {
        let verifier = match kind {
            "RSA" => Verifier::rsa(*algorithm, &bytes(jwk, "n")?, &bytes(jwk, "e")?),
            "EC" => Verifier::ec(*algorithm, text(jwk, "crv")?, &bytes(jwk, "x")?, &bytes(jwk, "y")?),
            "OKP" if text(jwk, "crv") == Some("Ed25519") => Verifier::ed25519(*algorithm, &bytes(jwk, "x")?),
            "oct" => Verifier::hmac(*algorithm, &bytes(jwk, "k")?),
            _ => None,
        };
        Some(Key {
            id: id.clone(),
            algorithm: *algorithm,
            verifier: verifier?,
        })
    });
    keys.collect()
}
