//! Signatures over raw bytes, by the primitives that jwt-simple carries and under its policy on keys (RSA of 2048 to
//! 4096 bits with exponent 65537). Its own token check is not used: it would parse header and claims a second time, by
//! other rules than ours.

use super::Algorithm;
use jwt_simple::algorithms::{
    ECDSAP256PublicKeyLike, ECDSAP384PublicKeyLike, ES256PublicKey, ES384PublicKey, Ed25519PublicKey,
    EdDSAPublicKeyLike, HS256Key, HS384Key, HS512Key, MACLike, PS256PublicKey, PS384PublicKey, PS512PublicKey,
    RS256PublicKey, RS384PublicKey, RS512PublicKey, RSAPublicKeyLike,
};
use p256::ecdsa::signature::Verifier as _;
use superboring::pkey::PKey;

/// A key ready to check signatures of one algorithm.
#[derive(Debug)]
pub enum Verifier {
    Rs256(RS256PublicKey),
    Rs384(RS384PublicKey),
    Rs512(RS512PublicKey),
    Ps256(PS256PublicKey),
    Ps384(PS384PublicKey),
    Ps512(PS512PublicKey),
    Es256(ES256PublicKey),
    Es384(ES384PublicKey),
    EdDsa(Ed25519PublicKey),
    Hs256(HS256Key),
    Hs384(HS384Key),
    Hs512(HS512Key),
}

impl Verifier {
    pub fn rsa(algorithm: Algorithm, n: &[u8], e: &[u8]) -> Option<Self> {
        match algorithm {
            Algorithm::Rs256 => RS256PublicKey::from_components(n, e).ok().map(Self::Rs256),
            Algorithm::Rs384 => RS384PublicKey::from_components(n, e).ok().map(Self::Rs384),
            Algorithm::Rs512 => RS512PublicKey::from_components(n, e).ok().map(Self::Rs512),
            Algorithm::Ps256 => PS256PublicKey::from_components(n, e).ok().map(Self::Ps256),
            Algorithm::Ps384 => PS384PublicKey::from_components(n, e).ok().map(Self::Ps384),
            Algorithm::Ps512 => PS512PublicKey::from_components(n, e).ok().map(Self::Ps512),
            _ => None,
        }
    }

    /// Coordinates are of the curve's full width (RFC 7518 §6.2.1.2).
    pub fn ec(algorithm: Algorithm, curve: &str, x: &[u8], y: &[u8]) -> Option<Self> {
        let point = [&[4], x, y].concat();
        match (algorithm, curve, x.len(), y.len()) {
            (Algorithm::Es256, "P-256", 32, 32) => ES256PublicKey::from_bytes(&point).ok().map(Self::Es256),
            (Algorithm::Es384, "P-384", 48, 48) => ES384PublicKey::from_bytes(&point).ok().map(Self::Es384),
            _ => None,
        }
    }

    pub fn ed25519(algorithm: Algorithm, x: &[u8]) -> Option<Self> {
        match algorithm {
            Algorithm::EdDsa => Ed25519PublicKey::from_bytes(x).ok().map(Self::EdDsa),
            _ => None,
        }
    }

    /// A key is at least as long as the hash (RFC 7518 §3.2).
    pub fn hmac(algorithm: Algorithm, key: &[u8]) -> Option<Self> {
        match algorithm {
            Algorithm::Hs256 if key.len() >= 32 => Some(Self::Hs256(HS256Key::from_bytes(key))),
            Algorithm::Hs384 if key.len() >= 48 => Some(Self::Hs384(HS384Key::from_bytes(key))),
            Algorithm::Hs512 if key.len() >= 64 => Some(Self::Hs512(HS512Key::from_bytes(key))),
            _ => None,
        }
    }

    /// Whether `signature` is this key's over `input`.
    pub fn verify(&self, input: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Rs256(key) => verify_rsa(key, input, signature),
            Self::Rs384(key) => verify_rsa(key, input, signature),
            Self::Rs512(key) => verify_rsa(key, input, signature),
            Self::Ps256(key) => verify_rsa(key, input, signature),
            Self::Ps384(key) => verify_rsa(key, input, signature),
            Self::Ps512(key) => verify_rsa(key, input, signature),
            Self::Es256(key) => p256::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.public_key().as_ref().verify(input, &signature).is_ok()),
            Self::Es384(key) => p384::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.public_key().as_ref().verify(input, &signature).is_ok()),
            Self::EdDsa(key) => signature
                .try_into()
                .is_ok_and(|signature| key.public_key().as_ref().verify(input, &signature).is_ok()),
            Self::Hs256(key) => ct_codecs::verify(&key.authentication_tag(input), signature),
            Self::Hs384(key) => ct_codecs::verify(&key.authentication_tag(input), signature),
            Self::Hs512(key) => ct_codecs::verify(&key.authentication_tag(input), signature),
        }
    }
}

fn verify_rsa<K: RSAPublicKeyLike>(key: &K, input: &[u8], signature: &[u8]) -> bool {
    let check = || {
        let public = PKey::from_rsa(key.public_key().as_ref().clone()).ok()?;
        let mut verifier = superboring::sign::Verifier::new(K::hash(), &public).ok()?;
        verifier.set_rsa_padding(key.padding_scheme()).ok()?;
        verifier.update(input).ok()?;
        verifier.verify(signature).ok()
    };
    check() == Some(true)
}
