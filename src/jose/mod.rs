//! JSON Web Tokens (RFC 7519, 7515, 8725): compact form, key sets, claims; every check in a documented order.
//!
//! 1. size;
//! 2. three parts of canonical base64url, a header that is a JSON object;
//! 3. nothing critical, nothing nested;
//! 4. an algorithm that exists;
//! 5. an issuer that is configured, lists the algorithm and accepts the type;
//! 6. a key of that issuer that is bound to the algorithm;
//! 7. the signature;
//! 8. times, audience, what must be there.
//!
//! The issuer is looked at before the signature only to choose the keys.

pub(crate) mod base64url;
pub mod claims;
pub mod grants;
pub mod hosted;
pub mod keys;
mod signature;

pub use claims::{Claims, Verified};
pub use hosted::Proved;
pub use keys::{Algorithm, KeySet};
pub use signature::Signatures;

use crate::json::{Limits, Value, parse};
use crate::verdict::Reason;
use std::borrow::Cow;

/// The largest header, decoded. A token's own limit is `tokens.max_token`.
const HEADER_BYTES_MAX: usize = 4096;

/// What is looked at for it: its letters and a dot. A status list's token has megabytes behind it, for which no room is made.
const HEADER_LETTERS_MAX: usize = HEADER_BYTES_MAX.div_ceil(3) * 4 + 1;

/// A token taken apart; nothing of it is verified yet.
#[derive(Debug)]
pub struct Compact<'t> {
    /// The bytes that the signature is over: header and payload as they came.
    pub signing_input: &'t [u8],
    pub header: Vec<u8>,
    pub payload: Vec<u8>,
    pub signature: Vec<u8>,
}

/// What the header says that matters. `jku`, `x5u`, `jwk` and `x5c` are never read: keys come from the configuration.
#[derive(Debug, PartialEq, Eq)]
pub struct Header<'t> {
    pub algorithm: Algorithm,
    pub key_id: Option<Cow<'t, str>>,
    pub token_type: Option<Cow<'t, str>>,
}

impl<'t> Compact<'t> {
    /// Takes a token apart (RFC 7515 §7.1).
    ///
    /// # Errors
    /// [`Reason::TokenMalformed`] for anything but three parts of canonical base64url.
    pub fn parse(token: &'t [u8]) -> Result<Self, Reason> {
        let part = |text: &'t [u8]| base64url::decode_letters(text).ok_or(Reason::TokenMalformed);
        let after_dot = |rest: &'t [u8]| rest.strip_prefix(b".").ok_or(Reason::TokenMalformed);
        let front = token.get(..HEADER_LETTERS_MAX).unwrap_or(token);
        let (header, rest) = part(front)?;
        let rest = token.get(front.len().saturating_sub(rest.len())..).unwrap_or_default();
        let (payload, rest) = part(after_dot(rest)?)?;
        let last = after_dot(rest)?;
        let (signature, rest) = part(last)?;
        if !rest.is_empty() || header.len() > HEADER_BYTES_MAX {
            return Err(Reason::TokenMalformed);
        }
        let signed = token.len().saturating_sub(last.len()).saturating_sub(1);
        Ok(Self {
            signing_input: token.get(..signed).unwrap_or_default(),
            header,
            payload,
            signature,
        })
    }

    /// Reads the header.
    ///
    /// # Errors
    /// [`Reason::TokenMalformed`], [`Reason::TokenCritical`], [`Reason::TokenType`] (a nested token) or
    /// [`Reason::TokenAlgorithm`], in this order.
    pub fn header(&self) -> Result<Header<'_>, Reason> {
        let value = parse(&self.header, &Limits::FOREIGN).map_err(|_| Reason::TokenMalformed)?;
        let header = value.as_object().ok_or(Reason::TokenMalformed)?;
        let (mut algorithm, mut key_id, mut token_type, mut content_type) = (None, None, None, None);
        let mut critical = false;
        for (name, value) in header.members() {
            let text = match name.as_ref() {
                "alg" => &mut algorithm,
                "kid" => &mut key_id,
                "typ" => &mut token_type,
                "cty" => &mut content_type,
                // No extension is supported, so any `crit`, and the members that only mean something with it, are refused.
                "crit" | "b64" | "zip" | "enc" => {
                    critical = true;
                    continue;
                }
                _ => continue,
            };
            let Value::String(found) = value else {
                return Err(Reason::TokenMalformed);
            };
            *text = Some(found.clone());
        }
        let algorithm = algorithm.ok_or(Reason::TokenMalformed)?;
        if critical {
            return Err(Reason::TokenCritical);
        }
        if content_type.is_some_and(|cty| type_matches(&cty, "jwt")) {
            return Err(Reason::TokenType);
        }
        Ok(Header {
            algorithm: Algorithm::named(&algorithm).ok_or(Reason::TokenAlgorithm)?,
            key_id,
            token_type,
        })
    }
}

/// Compares media types as RFC 7515 §4.1.9 has it: any case, `application/` optional.
pub fn type_matches(found: &str, expected: &str) -> bool {
    const PREFIX: &str = "application/";
    let bare = |text| match str::split_at_checked(text, PREFIX.len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case(PREFIX) => rest,
        _ => text,
    };
    bare(found).eq_ignore_ascii_case(bare(expected))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ct_codecs::{Base64UrlSafeNoPadding, Encoder};

    fn encode(text: &str) -> String {
        Base64UrlSafeNoPadding::encode_to_string(text).unwrap()
    }

    #[track_caller]
    fn header(json: &str, expected: Result<Algorithm, Reason>) {
        let token = format!("{}.{}.", encode(json), encode("{}"));
        let compact = Compact::parse(token.as_bytes()).unwrap();
        assert_eq!(compact.header().map(|h| h.algorithm), expected, "{json}");
    }

    #[test]
    fn only_three_canonical_parts_are_a_token() {
        let good = format!("{}.{}.{}", encode("{}"), encode("{\"a\":1}"), encode("sig"));
        let compact = Compact::parse(good.as_bytes()).unwrap();
        assert_eq!(compact.payload, b"{\"a\":1}");
        assert_eq!(compact.signing_input, good.rsplit_once('.').unwrap().0.as_bytes());
        for bad in [
            "",
            ".",
            "..",
            "a.b",
            "a.b.c.d",
            "e30.e30.c2ln=",
            "e30.e30. c2ln",
            "e30.e30.c2ln\n",
            "e30=.e30.c2ln",
            "e30.e30.c2l+",
            "e30.e30.c2/n",
            "e31.e30.c2ln",
            "e30.e30.c2lnZ",
            "{}.{}.x",
            "e30.e30.c2ln.",
            "e30.e30.é",
        ] {
            if bad == ".." {
                continue;
            }
            assert_eq!(
                Compact::parse(bad.as_bytes()).err(),
                Some(Reason::TokenMalformed),
                "{bad:?}"
            );
        }
        assert_eq!(Compact::parse(b"..").unwrap().header(), Err(Reason::TokenMalformed));
        // A short header takes no room for what stands behind it; one of the greatest length is read, and no longer one.
        let long = format!("e30.{}.c2ln", encode(&"a".repeat(1 << 20)));
        assert!(Compact::parse(long.as_bytes()).unwrap().header.capacity() < 2 * HEADER_BYTES_MAX);
        for (length, read) in [
            (HEADER_BYTES_MAX, true),
            (HEADER_BYTES_MAX + 1, false),
            (3 * HEADER_BYTES_MAX, false),
        ] {
            let token = format!("{}.e30.c2ln", encode(&"a".repeat(length)));
            assert_eq!(Compact::parse(token.as_bytes()).is_ok(), read, "{length}");
        }
    }

    #[test]
    fn headers_are_judged_in_order() {
        header(r#"{"alg":"RS256"}"#, Ok(Algorithm::Rs256));
        header(
            r#"{"alg":"EdDSA","kid":"1","typ":"JWT","jku":"https://evil"}"#,
            Ok(Algorithm::EdDsa),
        );
        for alg in [
            "none", "None", "NONE", "nOnE", "", "rs256", "RS256 ", "HS1", "ES256K", "RSA1_5", "dir",
        ] {
            header(&format!(r#"{{"alg":"{alg}"}}"#), Err(Reason::TokenAlgorithm));
        }
        for json in [
            "",
            "[]",
            "\"x\"",
            "{}",
            r#"{"alg":1}"#,
            r#"{"alg":null}"#,
            r#"{"alg":["RS256"]}"#,
            r#"{"alg":"RS256","alg":"none"}"#,
            r#"{"alg":"RS256","kid":1}"#,
            r#"{"alg":"RS256","typ":{}}"#,
            r#"{"alg":"RS256"}x"#,
        ] {
            header(json, Err(Reason::TokenMalformed));
        }
        for extra in [
            r#""crit":[]"#,
            r#""crit":["exp"]"#,
            r#""crit":"x""#,
            r#""crit":null"#,
            r#""b64":false"#,
            r#""b64":true"#,
            r#""zip":"DEF""#,
            r#""enc":"A128GCM""#,
        ] {
            header(&format!(r#"{{"alg":"RS256",{extra}}}"#), Err(Reason::TokenCritical));
        }
        header(r#"{"alg":"RS256","cty":"JWT"}"#, Err(Reason::TokenType));
        let long = format!(r#"{{"alg":"RS256","x":"{}"}}"#, "x".repeat(5000));
        assert_eq!(
            Compact::parse(format!("{}.e30.", encode(&long)).as_bytes()).err(),
            Some(Reason::TokenMalformed)
        );
    }

    #[test]
    fn types_compare_in_any_case_with_application_optional() {
        assert!(
            type_matches("at+JWT", "at+jwt")
                && type_matches("Application/AT+jwt", "at+jwt")
                && type_matches("JWT", "application/jwt")
        );
        assert!(!type_matches("at+jwt", "jwt") && !type_matches("application/", "jwt"));
    }
}
