//! The keys of a run and the tokens signed with them. Keys and the large sets are kept in `.cache/bench`, since signing
//! with RSA takes a while.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};

use portcullis_cost::policies::ISSUER;

/// More than the module remembers (knowledge::ENTRIES_MAX): going round, each is seen for the first time again.
pub const DISTINCT: usize = 20_000;

// 2100-01-01: a set that was kept must not expire.
const EXPIRES: u64 = 4_102_444_800;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    Rs256,
    Es256,
}

impl Algorithm {
    fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
        }
    }
}

pub struct Tokens {
    directory: PathBuf,
    rsa: RsaKeyPair,
    ec: EcdsaKeyPair,
    random: SystemRandom,
}

pub fn base64url(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = chunk
            .iter()
            .chain(&[0; 3])
            .take(3)
            .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        for place in 0..=chunk.len() {
            out.push(char::from(LETTERS[(bits >> (18 - 6 * place) & 63) as usize]));
        }
    }
    out
}

fn openssl(arguments: &[&str], out: &Path) -> Result<Vec<u8>, String> {
    if !out.exists() {
        let mut command = Command::new("openssl");
        command.args(arguments).arg("-out").arg(out);
        let done = command
            .output()
            .map_err(|error| format!("can't run openssl: {error}"))?;
        if !done.status.success() {
            return Err(format!("openssl: {}", String::from_utf8_lossy(&done.stderr)));
        }
    }
    fs::read(out).map_err(|error| format!("can't read {}: {error}", out.display()))
}

impl Tokens {
    /// Makes the keys, or reads those that `directory` holds.
    pub fn open(directory: &Path) -> Result<Self, String> {
        fs::create_dir_all(directory).map_err(|error| format!("can't make {}: {error}", directory.display()))?;
        let rsa_pem = directory.join("rsa.pem");
        openssl(
            &["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
            &rsa_pem,
        )?;
        let rsa_pem = rsa_pem.to_string_lossy().into_owned();
        let rsa = openssl(
            &["pkcs8", "-topk8", "-nocrypt", "-outform", "DER", "-in", &rsa_pem],
            &directory.join("rsa.der"),
        )?;
        let random = SystemRandom::new();
        let ec_path = directory.join("ec.der");
        if !ec_path.exists() {
            let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random);
            let made = made.map_err(|_| "can't make a P-256 key".to_owned())?;
            fs::write(&ec_path, made.as_ref()).map_err(|error| format!("can't write a key: {error}"))?;
        }
        let ec = fs::read(&ec_path).map_err(|error| format!("can't read a key: {error}"))?;
        let broken = |error| format!("a key in {} can't be used ({error}): remove it", directory.display());
        Ok(Self {
            directory: directory.to_owned(),
            rsa: RsaKeyPair::from_pkcs8(&rsa).map_err(broken)?,
            ec: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &ec, &random).map_err(broken)?,
            random,
        })
    }

    /// Both public keys as a JWK set.
    pub fn key_set(&self) -> Value {
        let PublicKeyComponents::<Vec<u8>> { n, e } = self.rsa.public().into();
        let (x, y) = self.ec.public_key().as_ref()[1..].split_at(32);
        json!({ "keys": [
            { "kty": "RSA", "kid": "RS256", "alg": "RS256", "use": "sig", "n": base64url(&n), "e": base64url(&e) },
            { "kty": "EC", "crv": "P-256", "kid": "ES256", "alg": "ES256", "use": "sig", "x": base64url(x), "y": base64url(y) },
        ] })
    }

    /// A good token of this id, but for what `claims` overrides; a null takes a claim away.
    pub fn mint(&self, algorithm: Algorithm, id: &str, claims: &Value) -> String {
        let mut payload = json!({
            "iss": ISSUER, "aud": "api", "sub": "user-4711", "jti": id, "exp": EXPIRES,
            "scope": "orders:read orders:write profile", "client_id": "web", "name": "Jane Doe", "email": "jane@example.com",
        });
        for (name, value) in claims.as_object().into_iter().flatten() {
            payload[name] = value.clone();
        }
        if let Some(payload) = payload.as_object_mut() {
            payload.retain(|_, value| !value.is_null());
        }
        self.sign(algorithm, "JWT", &payload)
    }

    /// A signed token of this type.
    pub fn sign(&self, algorithm: Algorithm, kind: &str, payload: &Value) -> String {
        let name = algorithm.name();
        let header = json!({ "alg": name, "kid": name, "typ": kind });
        let input = format!(
            "{}.{}",
            base64url(header.to_string().as_bytes()),
            base64url(payload.to_string().as_bytes())
        );
        let signature = match algorithm {
            Algorithm::Rs256 => {
                let mut signature = vec![0; self.rsa.public().modulus_len()];
                let signed = self
                    .rsa
                    .sign(&RSA_PKCS1_SHA256, &self.random, input.as_bytes(), &mut signature);
                signed.map(|()| signature)
            }
            Algorithm::Es256 => self
                .ec
                .sign(&self.random, input.as_bytes())
                .map(|s| s.as_ref().to_vec()),
        };
        // Neither signing fails with a whole key and the system's randomness; an empty signature would be refused.
        format!("{input}.{}", base64url(&signature.unwrap_or_default()))
    }

    /// Where a set of [`DISTINCT`] good tokens is kept, one a line.
    pub fn set_path(&self, algorithm: Algorithm) -> PathBuf {
        self.directory.join(format!("{}.tokens", algorithm.name()))
    }

    /// Makes the set if it is not there yet.
    pub fn make_set(&self, algorithm: Algorithm) -> Result<(), String> {
        let path = self.set_path(algorithm);
        if path.exists() {
            return Ok(());
        }
        let mut text = String::new();
        for number in 0..DISTINCT {
            text.push_str(&self.mint(algorithm, &format!("id-{number:08}"), &Value::Null));
            text.push('\n');
        }
        // In one move, so that a set that was interrupted is not taken for a whole one.
        let partial = path.with_extension("partial");
        let written = fs::write(&partial, text).and_then(|()| fs::rename(&partial, &path));
        written.map_err(|error| format!("can't write {}: {error}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64url_has_no_padding() {
        for (bytes, text) in [
            (&b""[..], ""),
            (b"f", "Zg"),
            (b"fo", "Zm8"),
            (b"foo", "Zm9v"),
            (b"\xff\xfe", "__4"),
        ] {
            assert_eq!(base64url(bytes), text);
        }
    }
}
