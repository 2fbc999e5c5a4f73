//! Signatures over raw bytes: by the host where it has proved itself ([`super::hosted`]), otherwise by the primitives that
//! jwt-simple carries, and always under its policy on keys (RSA of 2048 to 4096 bits with exponent 65537). Its own token
//! check is not used: it would parse header and claims a second time, by other rules than ours.

use super::Algorithm;
use super::hosted::{self, Proved};
use crate::host::{Counter, Host};
use jwt_simple::algorithms::{
    ECDSAP256PublicKeyLike, ECDSAP384PublicKeyLike, ES256PublicKey, ES384PublicKey, Ed25519PublicKey,
    EdDSAPublicKeyLike, HS256Key, HS384Key, HS512Key, MACLike, PS256PublicKey, PS384PublicKey, PS512PublicKey,
    RS256PublicKey, RS384PublicKey, RS512PublicKey, RSAPublicKeyLike,
};
use p256::ecdsa::signature::Verifier as _;
use superboring::pkey::PKey;

/// Who checks signatures.
#[derive(Clone, Copy)]
pub struct Signatures<'h> {
    pub host: &'h dyn Host,
    /// What the host is asked for; what it is not, the module does.
    pub proved: Proved,
}

/// A key ready to check signatures of one algorithm.
#[derive(Debug)]
pub struct Verifier {
    algorithm: Algorithm,
    key: Key,
    /// The key as the host takes it: DER SubjectPublicKeyInfo. Empty for algorithms that it is not asked for.
    key_info: Vec<u8>,
}

#[derive(Debug)]
enum Key {
    /// With the length of a signature: that of the modulus.
    Rsa(Rsa, usize),
    Es256(ES256PublicKey),
    Es384(ES384PublicKey),
    EdDsa(Ed25519PublicKey),
    Hs256(HS256Key),
    Hs384(HS384Key),
    Hs512(HS512Key),
}

#[derive(Debug)]
enum Rsa {
    Rs256(RS256PublicKey),
    Rs384(RS384PublicKey),
    Rs512(RS512PublicKey),
    Ps256(PS256PublicKey),
    Ps384(PS384PublicKey),
    Ps512(PS512PublicKey),
}

impl Verifier {
    /// Of 2048 to 4096 bits, with exponent 65537.
    pub fn rsa(algorithm: Algorithm, n: &[u8], e: &[u8]) -> Option<Self> {
        // Some issuers put a zero in front (RFC 7518 §6.3.1.1 mentions them).
        let zeros = n.iter().take_while(|byte| **byte == 0).count();
        let n = n.get(zeros..)?;
        // No product of two odd primes is even; BoringSSL refuses such a key, other code may not.
        if n.last().is_none_or(|last| last % 2 == 0) {
            return None;
        }
        let key = match algorithm {
            Algorithm::Rs256 => RS256PublicKey::from_components(n, e).ok().map(Rsa::Rs256),
            Algorithm::Rs384 => RS384PublicKey::from_components(n, e).ok().map(Rsa::Rs384),
            Algorithm::Rs512 => RS512PublicKey::from_components(n, e).ok().map(Rsa::Rs512),
            Algorithm::Ps256 => PS256PublicKey::from_components(n, e).ok().map(Rsa::Ps256),
            Algorithm::Ps384 => PS384PublicKey::from_components(n, e).ok().map(Rsa::Ps384),
            Algorithm::Ps512 => PS512PublicKey::from_components(n, e).ok().map(Rsa::Ps512),
            _ => None,
        };
        let key_info = hosted::hash_name(algorithm).map(|_| hosted::rsa_key_info(n, e));
        Some(Self {
            algorithm,
            key: Key::Rsa(key?, n.len()),
            key_info: key_info.unwrap_or_default(),
        })
    }

    /// Coordinates are of the curve's full width (RFC 7518 §6.2.1.2), and the point is on the curve.
    pub fn ec(algorithm: Algorithm, curve: &str, x: &[u8], y: &[u8]) -> Option<Self> {
        let point = [&[4], x, y].concat();
        let key = match (algorithm, curve, x.len(), y.len()) {
            (Algorithm::Es256, "P-256", 32, 32) => ES256PublicKey::from_bytes(&point).ok().map(Key::Es256),
            (Algorithm::Es384, "P-384", 48, 48) => ES384PublicKey::from_bytes(&point).ok().map(Key::Es384),
            _ => None,
        };
        Some(Self {
            algorithm,
            key: key?,
            key_info: hosted::ec_key_info(algorithm, &point).unwrap_or_default(),
        })
    }

    pub fn ed25519(algorithm: Algorithm, x: &[u8]) -> Option<Self> {
        let key = match algorithm {
            Algorithm::EdDsa => Ed25519PublicKey::from_bytes(x).ok().map(Key::EdDsa),
            _ => None,
        };
        Some(Self::in_module(algorithm, key?))
    }

    /// A key is at least as long as the hash (RFC 7518 §3.2).
    pub fn hmac(algorithm: Algorithm, key: &[u8]) -> Option<Self> {
        let key = match algorithm {
            Algorithm::Hs256 if key.len() >= 32 => Some(Key::Hs256(HS256Key::from_bytes(key))),
            Algorithm::Hs384 if key.len() >= 48 => Some(Key::Hs384(HS384Key::from_bytes(key))),
            Algorithm::Hs512 if key.len() >= 64 => Some(Key::Hs512(HS512Key::from_bytes(key))),
            _ => None,
        };
        Some(Self::in_module(algorithm, key?))
    }

    const fn in_module(algorithm: Algorithm, key: Key) -> Self {
        Self {
            algorithm,
            key,
            key_info: Vec::new(),
        }
    }

    /// Whether `signature` is this key's over `input`.
    pub fn verify(&self, signatures: Signatures<'_>, input: &[u8], signature: &[u8]) -> bool {
        if !self.is_well_formed(signature) {
            return false;
        }
        if let Some(verdict) = self.verify_by_host(signatures, input, signature) {
            signatures.host.count(Counter::SignatureByHost);
            return verdict;
        }
        signatures.host.count(Counter::SignatureByModule);
        self.verify_here(input, signature)
    }

    /// What libraries may see differently is decided once: RSA signatures are as long as the modulus (RFC 8017 §8.2.2), r
    /// and s have the curve's width and are neither zero nor beyond its order (RFC 7518 §3.4).
    fn is_well_formed(&self, signature: &[u8]) -> bool {
        match &self.key {
            Key::Rsa(_, length) => signature.len() == *length,
            Key::Es256(_) => p256::ecdsa::Signature::from_slice(signature).is_ok(),
            Key::Es384(_) => p384::ecdsa::Signature::from_slice(signature).is_ok(),
            Key::EdDsa(_) | Key::Hs256(_) | Key::Hs384(_) | Key::Hs512(_) => true,
        }
    }

    /// `None` where the host is not asked, or gives no answer.
    fn verify_by_host(&self, signatures: Signatures<'_>, input: &[u8], signature: &[u8]) -> Option<bool> {
        if !signatures.proved.has(self.algorithm) {
            return None;
        }
        let hash = hosted::hash_name(self.algorithm)?;
        let ask = |signature: &[u8]| signatures.host.verify_signature(hash, &self.key_info, signature, input);
        match &self.key {
            Key::Rsa(..) => ask(signature),
            Key::Es256(_) | Key::Es384(_) => ask(&hosted::ecdsa_signature(signature)),
            Key::EdDsa(_) | Key::Hs256(_) | Key::Hs384(_) | Key::Hs512(_) => None,
        }
    }

    fn verify_here(&self, input: &[u8], signature: &[u8]) -> bool {
        match &self.key {
            Key::Rsa(Rsa::Rs256(key), _) => verify_rsa(key, input, signature),
            Key::Rsa(Rsa::Rs384(key), _) => verify_rsa(key, input, signature),
            Key::Rsa(Rsa::Rs512(key), _) => verify_rsa(key, input, signature),
            Key::Rsa(Rsa::Ps256(key), _) => verify_rsa(key, input, signature),
            Key::Rsa(Rsa::Ps384(key), _) => verify_rsa(key, input, signature),
            Key::Rsa(Rsa::Ps512(key), _) => verify_rsa(key, input, signature),
            Key::Es256(key) => p256::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.public_key().as_ref().verify(input, &signature).is_ok()),
            Key::Es384(key) => p384::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.public_key().as_ref().verify(input, &signature).is_ok()),
            Key::EdDsa(key) => signature
                .try_into()
                .is_ok_and(|signature| key.public_key().as_ref().verify(input, &signature).is_ok()),
            Key::Hs256(key) => ct_codecs::verify(&key.authentication_tag(input), signature),
            Key::Hs384(key) => ct_codecs::verify(&key.authentication_tag(input), signature),
            Key::Hs512(key) => ct_codecs::verify(&key.authentication_tag(input), signature),
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
