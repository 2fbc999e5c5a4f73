//! The signing keys: P-256, named by their RFC 7638 thumbprint, published as a JWK set, rotated on demand.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use p256::ecdsa::{SigningKey, VerifyingKey};
use p256::elliptic_curve::Generate as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// More than any test rotates; the set must not grow without end.
const OLDER_MAX: usize = 4;

/// A private key and the name its tokens carry.
pub(crate) struct Key {
    pub(crate) kid: String,
    pub(crate) signing: SigningKey,
}

impl Key {
    fn new() -> Result<Self, getrandom::Error> {
        let signing = SigningKey::try_generate()?;
        let (x, y) = coordinates(signing.verifying_key());
        // RFC 7638 §3: these members in this order, without spaces.
        let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        let kid = Base64UrlUnpadded::encode_string(&Sha256::digest(canonical.as_bytes()));
        Ok(Self { kid, signing })
    }

    fn jwk(&self) -> Value {
        let (x, y) = coordinates(self.signing.verifying_key());
        json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": self.kid, "use": "sig", "alg": "ES256" })
    }
}

/// The two halves of an uncompressed point: 0x04, x, y.
fn coordinates(key: &VerifyingKey) -> (String, String) {
    let point = key.to_sec1_point(false);
    let (x, y) = point.as_bytes()[1..].split_at(32);
    (Base64UrlUnpadded::encode_string(x), Base64UrlUnpadded::encode_string(y))
}

/// The key that signs, those that are still published, and one that never is.
pub(crate) struct KeyRing {
    current: Key,
    older: Vec<Key>,
    /// For forgeries: never part of the set.
    stranger: Key,
}

impl KeyRing {
    pub(crate) fn new() -> Result<Self, getrandom::Error> {
        Ok(Self {
            current: Key::new()?,
            older: Vec::new(),
            stranger: Key::new()?,
        })
    }

    pub(crate) fn current(&self) -> &Key {
        &self.current
    }

    pub(crate) fn stranger(&self) -> &Key {
        &self.stranger
    }

    /// The published key of that name.
    pub(crate) fn find(&self, kid: &str) -> Option<&Key> {
        self.published().find(|key| key.kid == kid)
    }

    /// Signs with a new key from now on. The old ones leave the set unless they are kept, the newest four at most.
    pub(crate) fn rotate(&mut self, keep_old: bool) -> Result<(), getrandom::Error> {
        let old = std::mem::replace(&mut self.current, Key::new()?);
        if keep_old {
            self.older.insert(0, old);
            self.older.truncate(OLDER_MAX);
        } else {
            self.older.clear();
        }
        Ok(())
    }

    /// The JWK set, the signing key first.
    pub(crate) fn jwks(&self) -> Value {
        json!({ "keys": self.published().map(Key::jwk).collect::<Vec<_>>() })
    }

    fn published(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.current).chain(&self.older)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kids(ring: &KeyRing) -> Vec<String> {
        let jwks = ring.jwks();
        let keys = jwks["keys"].as_array().unwrap();
        keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn rotation_keeps_old_keys_only_on_request_and_only_a_few() {
        let mut ring = KeyRing::new().unwrap();
        let first = ring.current().kid.clone();
        ring.rotate(true).unwrap();
        assert_eq!(kids(&ring), [ring.current().kid.clone(), first.clone()]);
        assert!(ring.find(&first).is_some());
        ring.rotate(false).unwrap();
        assert_eq!(kids(&ring), [ring.current().kid.clone()]);
        assert!(ring.find(&first).is_none());
        for _ in 0..10 {
            ring.rotate(true).unwrap();
        }
        assert_eq!(kids(&ring).len(), 1 + OLDER_MAX);
    }

    #[test]
    fn a_stranger_is_never_published() {
        let ring = KeyRing::new().unwrap();
        assert!(ring.find(&ring.stranger().kid).is_none());
    }

    #[test]
    fn a_jwk_holds_32_bytes_for_each_coordinate() {
        let jwk = Key::new().unwrap().jwk();
        for name in ["x", "y"] {
            assert_eq!(
                Base64UrlUnpadded::decode_vec(jwk[name].as_str().unwrap())
                    .unwrap()
                    .len(),
                32
            );
        }
    }
}
