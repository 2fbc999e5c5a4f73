//! Token status lists (draft-ietf-oauth-status-list): one signed, compressed list says of many tokens whether each is
//! valid. A list is fetched once for all workers, and a request costs no callout.
//!
//! A list counts only with the signature of a key of the token's own provider, of type `statuslist+jwt`, about exactly
//! the address that the token names, and before its `exp`. Every status but valid is refused. Only `https` addresses of
//! configured hosts are followed, and only for tokens that are good in themselves.

pub mod lists;

pub use lists::Lists;

use crate::callout::{Answer, Callout};
use crate::guard::revocation::{Failure, Told};
use crate::guard::token::{Endpoint, Provider};
use crate::jose::keys::Signature;
use crate::jose::{Compact, KeySet, Signatures, base64url, type_matches};
use crate::json::{Duplicates, Limits, Object, Value, parse};
use crate::rate::Instant;
use crate::verdict::Reason;
use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;
use std::collections::BTreeMap;
use std::time::Duration;

/// The largest answer: a million statuses of 8 bits that can't be compressed take 1.9 MiB.
pub const ANSWER_BYTES_MAX: usize = 4 << 20;

/// The most that a list inflates to; past it, inflating stops.
pub const INFLATED_BYTES_MAX: usize = 16 << 20;

/// What a list without `ttl` is used for, and the bounds of one: `ttl` steers our requests.
const TTL_DEFAULT: u64 = 300;
const TTL_MIN: u64 = 5;
const TTL_MAX: u64 = 86_400;

/// The longest address that is followed.
const URI_BYTES_MAX: usize = 2048;

/// The only status that is not refused.
pub const VALID: u8 = 0;

const LIMITS: Limits = Limits {
    depth: 4,
    members: 64,
    // Longer than any answer: it bounds the text.
    string_bytes: 4 << 20,
    duplicates: Duplicates::Deny,
};

/// The configuration's `revocation.status_list`.
#[derive(Debug)]
pub struct StatusListPolicy {
    /// From host (with its port, unless it is 443) to cluster.
    pub clusters: BTreeMap<String, String>,
    pub timeout: Duration,
}

/// Where a token's status stands (`status.status_list`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    pub index: u64,
    pub uri: String,
}

impl Reference {
    /// Reads a token's `status` claim; `None` for a token that has no status list.
    ///
    /// # Errors
    /// [`Reason::TokenClaim`] for one of another form.
    pub fn of(claims: &Object<'_>) -> Result<Option<Self>, Reason> {
        let Some(status) = claims.get("status") else {
            return Ok(None);
        };
        let status = status.as_object().ok_or(Reason::TokenClaim)?;
        let Some(list) = status.get("status_list") else {
            return Ok(None);
        };
        let list = list.as_object().ok_or(Reason::TokenClaim)?;
        let index = list.get("idx").and_then(Value::as_number).and_then(|n| n.as_u64());
        let uri = list.get("uri").and_then(Value::as_str);
        let uri = uri.filter(|uri| uri.len() <= URI_BYTES_MAX && uri.bytes().all(|b| b.is_ascii_graphic()));
        match (index, uri) {
            (Some(index), Some(uri)) => Ok(Some(Self {
                index,
                uri: uri.to_owned(),
            })),
            _ => Err(Reason::TokenClaim),
        }
    }
}

impl StatusListPolicy {
    /// The question for a list; `None` for an address that is not followed.
    pub fn callout(&self, uri: &str) -> Option<Callout> {
        let rest = uri.strip_prefix("https://")?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end)?;
        let authority = authority.to_ascii_lowercase();
        // User information stands before an @, and no listed host has one.
        let cluster = self
            .clusters
            .get(authority.strip_suffix(":443").unwrap_or(&authority))?;
        if path.contains('#') || path.starts_with('?') {
            return None;
        }
        let endpoint = Endpoint {
            cluster: cluster.clone(),
            authority,
            path: String::new(),
            timeout: self.timeout,
            refresh: Duration::ZERO,
        };
        let path = if path.is_empty() { "/" } else { path };
        Some(Callout {
            fields: vec![("accept", "application/statuslist+jwt".to_owned())],
            answer_bytes_max: ANSWER_BYTES_MAX,
            ..Callout::get(&endpoint, path.to_owned())
        })
    }
}

/// Who may have signed a list: the provider of the token that names it.
pub struct Issuer<'i> {
    pub provider: &'i Provider,
    pub keys: &'i KeySet,
    pub signatures: Signatures<'i>,
}

/// A list that was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// 1, 2, 4 or 8.
    bits: u8,
    bytes: Vec<u8>,
    /// When it was asked for.
    pub asked: Instant,
    /// How long it is used before it is asked for anew.
    pub ttl: Duration,
    /// Its own end (`exp`).
    pub expires: Option<Instant>,
}

/// The token in an answer.
///
/// # Errors
/// [`Failure`] for anything but 200 and the type that the draft names.
pub fn token_of(answer: Option<&Answer>) -> Told<&[u8]> {
    let answer = answer.ok_or(Failure::Silence)?;
    let essence = answer
        .content_type()
        .split(|b| *b == b';')
        .next()
        .unwrap_or_default()
        .trim_ascii();
    if answer.status != 200 || !essence.eq_ignore_ascii_case(b"application/statuslist+jwt") {
        return Err(Failure::of(answer.status));
    }
    Ok(answer.body.trim_ascii())
}

impl List {
    /// Verifies and inflates a status list token.
    ///
    /// # Errors
    /// [`Failure::Nonsense`] if any check fails.
    pub fn read(token: &[u8], uri: &str, issuer: &Issuer<'_>, asked: Instant, now: Instant) -> Told<Self> {
        Self::try_read(token, uri, issuer, asked, now).ok_or(Failure::Nonsense)
    }

    fn try_read(token: &[u8], uri: &str, issuer: &Issuer<'_>, asked: Instant, now: Instant) -> Option<Self> {
        let Issuer {
            provider,
            keys,
            signatures,
        } = *issuer;
        let compact = Compact::parse(token).ok()?;
        let header = compact.header().ok()?;
        let typed = header
            .token_type
            .as_deref()
            .is_some_and(|found| type_matches(found, "statuslist+jwt"));
        if !typed || !provider.algorithms.contains(&header.algorithm) {
            return None;
        }
        let signature = keys.check(
            signatures,
            header.algorithm,
            header.key_id.as_deref(),
            compact.signing_input,
            &compact.signature,
        );
        if signature != Signature::Good {
            return None;
        }
        let payload = parse(&compact.payload, &LIMITS).ok()?;
        let claims = payload.as_object()?;
        if claims.get("sub")?.as_str()? != uri {
            return None;
        }
        if claims
            .get("iss")
            .is_some_and(|issuer| issuer.as_str() != Some(&provider.issuer))
        {
            return None;
        }
        let whole = |name: &str| match claims.get(name) {
            None => Some(None),
            Some(value) => Some(Some(seconds(value)?)),
        };
        let (issued, expires, ttl) = (whole("iat")??, whole("exp")?, whole("ttl")?);
        let skewed = now.plus(provider.claims.clock_skew);
        let expires = expires.map(Instant::from_seconds);
        if Instant::from_seconds(issued) > skewed || expires.is_some_and(|expires| now >= expires) || ttl == Some(0) {
            return None;
        }
        let list = claims.get("status_list")?.as_object()?;
        let bits = u8::try_from(list.get("bits")?.as_number()?.as_u64()?).ok()?;
        let bytes = inflate(list.get("lst")?.as_str()?)?;
        let ttl = Duration::from_secs(ttl.unwrap_or(TTL_DEFAULT).clamp(TTL_MIN, TTL_MAX));
        [1, 2, 4, 8].contains(&bits).then_some(Self {
            bits,
            bytes,
            asked,
            ttl,
            expires,
        })
    }

    /// The status at an index, least significant bits first; `None` beyond the list's end.
    pub fn status(&self, index: u64) -> Option<u8> {
        let per_byte = 8_u8.checked_div(self.bits)?;
        let byte = usize::try_from(index.checked_div(per_byte.into())?).ok()?;
        let place = u8::try_from(index.checked_rem(per_byte.into())?).ok()?;
        let shifted = self
            .bytes
            .get(byte)?
            .checked_shr(place.checked_mul(self.bits)?.into())?;
        let mask = u8::MAX.checked_shr(8_u32.checked_sub(self.bits.into())?)?;
        Some(shifted & mask)
    }

    /// What it takes in memory.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }
}

/// A time or a span in whole seconds; fractions are cut off.
fn seconds(value: &Value<'_>) -> Option<u64> {
    let number = value.as_number()?;
    number.as_u64().or_else(|| {
        let (whole, fraction) = number.text().split_once('.')?;
        fraction
            .bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| whole.parse().ok())?
    })
}

/// Inflates `lst`: base64url of zlib's format (RFC 1950), in full and within the bound.
pub fn inflate(text: &str) -> Option<Vec<u8>> {
    let compressed = base64url::decode(text.as_bytes())?;
    decompress_to_vec_zlib_with_limit(&compressed, INFLATED_BYTES_MAX).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(lst: &str, bits: u8, expected: &[u8]) {
        let list = List {
            bits,
            bytes: inflate(lst).unwrap(),
            asked: Instant::EPOCH,
            ttl: Duration::ZERO,
            expires: None,
        };
        let count = u64::try_from(list.bytes() * 8 / usize::from(bits)).unwrap();
        let found: Vec<u8> = (0..count).map(|index| list.status(index).unwrap()).collect();
        assert_eq!(found, expected);
        assert_eq!((list.status(count), list.status(u64::MAX)), (None, None));
    }

    #[test]
    fn statuses_are_read_least_significant_bit_first() {
        check("eNrbuRgAAhcBXQ", 1, &[1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1]);
        check("eNo76fITAAPfAgc", 2, &[1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3]);
        check("eNrbuRgAAhcBXQ", 4, &[9, 11, 3, 10]);
        check("eNrbuRgAAhcBXQ", 8, &[0xb9, 0xa3]);
    }

    #[test]
    fn what_is_no_zlib_or_too_much_is_refused() {
        for bad in [
            "",
            "eNrbuRgAAhcBX",
            "eNrbuRgAAhcBXA",
            "eNrb",
            "AAAA",
            "eNrbuRgAAhcBXQ==",
            "é",
        ] {
            assert_eq!(inflate(bad), None, "{bad}");
        }
        let compressed = |bytes: usize| {
            use ct_codecs::{Base64UrlSafeNoPadding, Encoder};
            let packed = miniz_oxide::deflate::compress_to_vec_zlib(&vec![0; bytes], 6);
            Base64UrlSafeNoPadding::encode_to_string(packed).unwrap()
        };
        assert_eq!(
            inflate(&compressed(INFLATED_BYTES_MAX)).map(|b| b.len()),
            Some(INFLATED_BYTES_MAX)
        );
        assert_eq!(inflate(&compressed(INFLATED_BYTES_MAX + 1)), None);
    }

    #[track_caller]
    fn reference(claims: &str, expected: Result<Option<u64>, Reason>) {
        let value = parse(claims.as_bytes(), &Limits::FOREIGN).unwrap();
        let found = Reference::of(value.as_object().unwrap());
        assert_eq!(found.map(|reference| reference.map(|r| r.index)), expected, "{claims}");
    }

    #[test]
    fn a_reference_has_an_index_and_an_address() {
        reference("{}", Ok(None));
        reference(r#"{"status":{}}"#, Ok(None));
        reference(
            r#"{"status":{"status_list":{"idx":0,"uri":"https://s/1"}}}"#,
            Ok(Some(0)),
        );
        for bad in [
            r#"{"status":7}"#,
            r#"{"status":{"status_list":[]}}"#,
            r#"{"status":{"status_list":{"uri":"https://s/1"}}}"#,
            r#"{"status":{"status_list":{"idx":0}}}"#,
            r#"{"status":{"status_list":{"idx":-1,"uri":"https://s/1"}}}"#,
            r#"{"status":{"status_list":{"idx":0.5,"uri":"https://s/1"}}}"#,
            r#"{"status":{"status_list":{"idx":"0","uri":"https://s/1"}}}"#,
            r#"{"status":{"status_list":{"idx":0,"uri":"https://s/\u0000"}}}"#,
            r#"{"status":{"status_list":{"idx":99999999999999999999,"uri":"https://s/1"}}}"#,
        ] {
            reference(bad, Err(Reason::TokenClaim));
        }
    }

    #[test]
    fn only_https_addresses_of_listed_hosts_are_followed() {
        let policy = StatusListPolicy {
            clusters: [
                ("s.example".to_owned(), "c".to_owned()),
                ("p.example:8443".to_owned(), "d".to_owned()),
            ]
            .into(),
            timeout: Duration::from_secs(1),
        };
        let asked = |uri: &str| policy.callout(uri).map(|c| (c.cluster, c.authority, c.path));
        let found = |cluster: &str, authority: &str, path: &str| {
            Some((cluster.to_owned(), authority.to_owned(), path.to_owned()))
        };
        assert_eq!(
            asked("https://s.example/lists/1?x=y"),
            found("c", "s.example", "/lists/1?x=y")
        );
        assert_eq!(asked("https://S.Example:443/l"), found("c", "s.example:443", "/l"));
        assert_eq!(asked("https://s.example"), found("c", "s.example", "/"));
        assert_eq!(asked("https://p.example:8443/l"), found("d", "p.example:8443", "/l"));
        for uri in [
            "http://s.example/l",
            "HTTPS://s.example/l",
            "https://s.example.evil/l",
            "https://evil/s.example",
            "https://s.example@evil/l",
            "https://evil@s.example/l",
            "https://s.example:8443/l",
            "https://p.example/l",
            "https://s.example/l#f",
            "https:///l",
            "//s.example/l",
            "",
        ] {
            assert_eq!(asked(uri), None, "{uri}");
        }
    }
}
