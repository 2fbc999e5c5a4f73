//! Access tokens as compact JWS: made, signed (RFC 9068, ES256), and checked again at logout.
//!
//! The check is a second one behind the gateway's and as strict: the algorithm is fixed, the key is found by name among
//! the published ones, and no claim is read before the signature holds.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use p256::ecdsa::signature::{Signer as _, Verifier as _};
use p256::ecdsa::{Signature, SigningKey};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::Sha256;

use crate::keys::{Key, KeyRing};

/// The scopes of a token from a login.
const SCOPE: &str = "orders:read orders:write";
/// Far above what this service makes.
const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// A `jti` becomes part of a Redis key.
const JTI_BYTES_MAX: usize = 128;

pub(crate) struct Settings {
    pub(crate) issuer: String,
    pub(crate) audience: String,
    pub(crate) lifetime_seconds: u64,
}

/// Who or what signs.
pub(crate) enum Signing<'a> {
    Es256(&'a SigningKey),
    Hs256(&'a [u8]),
    /// An empty signature.
    None,
}

/// The header of an honest token.
pub(crate) fn header(key: &Key) -> Map<String, Value> {
    object(json!({ "alg": "ES256", "kid": key.kid, "typ": "at+jwt" }))
}

/// The claims of an honest token with a fresh `jti`.
pub(crate) fn claims(settings: &Settings, subject: &str, now: u64) -> Result<Map<String, Value>, getrandom::Error> {
    let mut id = [0; 16];
    getrandom::fill(&mut id)?;
    Ok(object(json!({
        "iss": settings.issuer,
        "aud": settings.audience,
        "sub": subject,
        "jti": Base64UrlUnpadded::encode_string(&id),
        "iat": now,
        "nbf": now,
        "exp": now + settings.lifetime_seconds,
        "scope": SCOPE,
    })))
}

/// The compact form. Nothing is checked: whatever stands in `header` and `claims` is what gets signed.
pub(crate) fn sign(header: &Map<String, Value>, claims: &Map<String, Value>, signing: &Signing<'_>) -> String {
    let part = |members: &Map<String, Value>| {
        Base64UrlUnpadded::encode_string(Value::Object(members.clone()).to_string().as_bytes())
    };
    let mut token = format!("{}.{}", part(header), part(claims));
    let signature = match signing {
        Signing::Es256(key) => {
            let signature: Signature = key.sign(token.as_bytes());
            signature.to_bytes().to_vec()
        }
        Signing::Hs256(secret) => hs256(secret, token.as_bytes()),
        Signing::None => Vec::new(),
    };
    token.push('.');
    token.push_str(&Base64UrlUnpadded::encode_string(&signature));
    token
}

fn hs256(secret: &[u8], message: &[u8]) -> Vec<u8> {
    // HMAC takes keys of any length (RFC 2104 §3); the error is for other MACs.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else {
        return Vec::new();
    };
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

/// What logout needs of a token that held.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Verified {
    pub(crate) jti: String,
    /// At least 1.
    pub(crate) seconds_left: u64,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    typ: String,
    kid: String,
    crit: Option<Value>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    jti: String,
    nbf: u64,
    exp: u64,
}

/// The token, if it is one of ours and still good; why not is nobody's business here.
pub(crate) fn verify(token: &str, keys: &KeyRing, settings: &Settings, now: u64) -> Option<Verified> {
    if token.len() > TOKEN_BYTES_MAX {
        return None;
    }
    let (signed, signature) = token.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    let header: Header = decode(header)?;
    if header.alg != "ES256" || header.typ != "at+jwt" || header.crit.is_some() {
        return None;
    }
    let key = keys.find(&header.kid)?.signing.verifying_key();
    let signature = Signature::from_slice(&Base64UrlUnpadded::decode_vec(signature).ok()?).ok()?;
    key.verify(signed.as_bytes(), &signature).ok()?;
    let claims: Claims = decode(claims)?;
    let ours = claims.iss == settings.issuer && claims.aud == settings.audience;
    let good = ours && claims.nbf <= now && claims.exp > now && is_id(&claims.jti);
    good.then(|| Verified {
        jti: claims.jti,
        seconds_left: claims.exp - now,
    })
}

fn is_id(jti: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    (1..=JTI_BYTES_MAX).contains(&jti.len()) && jti.bytes().all(plain)
}

fn decode<T: for<'de> Deserialize<'de>>(part: &str) -> Option<T> {
    serde_json::from_slice(&Base64UrlUnpadded::decode_vec(part).ok()?).ok()
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}
