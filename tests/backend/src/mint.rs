//! Tokens to order, honest or forged, for tests.
//!
//! An order is a JSON object. Its members replace claims of an honest token, or drop them where they are `null`; they
//! may also stand in a member `claims`. `header` does the same to the header. `key` says who signs.

use serde_json::{Map, Value};

use crate::keys::KeyRing;
use crate::tokens::{self, Settings, Signing};

/// The subject unless the order names one.
const SUBJECT: &str = "alice";

/// Why no token was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MintError {
    /// `claims` or `header` is no object, or `key` none of those there are.
    Order,
    Randomness,
}

/// Makes the token.
///
/// `key` is absent (the signing key), `"other"` (a key that is not published, under the published one's name), `"none"`
/// (`alg` none and an empty signature) or `"hs256-with-public-key"` (`alg` HS256, the secret being the published key's
/// uncompressed point). The members of `header` are applied after that.
pub(crate) fn mint(
    mut order: Map<String, Value>,
    keys: &KeyRing,
    settings: &Settings,
    now: u64,
) -> Result<String, MintError> {
    let mut header = tokens::header(keys.current());
    let mut claims = tokens::claims(settings, SUBJECT, now).map_err(|_| MintError::Randomness)?;
    let header_changes = take_object(&mut order, "header")?;
    let claim_changes = take_object(&mut order, "claims")?;
    let key = order.remove("key").unwrap_or(Value::Null);
    let public = keys.current().signing.verifying_key().to_sec1_point(false);
    let signing = match (&key, key.as_str()) {
        (Value::Null, _) => Signing::Es256(&keys.current().signing),
        (_, Some("other")) => Signing::Es256(&keys.stranger().signing),
        (_, Some("none")) => {
            header.insert("alg".to_owned(), "none".into());
            Signing::None
        }
        (_, Some("hs256-with-public-key")) => {
            header.insert("alg".to_owned(), "HS256".into());
            Signing::Hs256(public.as_bytes())
        }
        _ => return Err(MintError::Order),
    };
    change(&mut header, header_changes);
    change(&mut claims, order);
    change(&mut claims, claim_changes);
    Ok(tokens::sign(&header, &claims, &signing))
}

fn take_object(order: &mut Map<String, Value>, name: &str) -> Result<Map<String, Value>, MintError> {
    match order.remove(name) {
        None => Ok(Map::new()),
        Some(Value::Object(members)) => Ok(members),
        Some(_) => Err(MintError::Order),
    }
}

fn change(members: &mut Map<String, Value>, changes: Map<String, Value>) {
    for (name, value) in changes {
        if value.is_null() {
            members.remove(&name);
        } else {
            members.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64ct::{Base64UrlUnpadded, Encoding as _};
    use serde_json::json;

    const NOW: u64 = 1_800_000_000;

    fn settings() -> Settings {
        Settings {
            issuer: "https://i.example".into(),
            audience: "api".into(),
            lifetime_seconds: 60,
        }
    }

    fn order(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    /// Whether this service itself takes the token that comes of `value`.
    #[track_caller]
    fn check(value: Value, accepted: bool) {
        let keys = KeyRing::new().unwrap();
        let token = mint(order(value.clone()), &keys, &settings(), NOW).unwrap();
        assert_eq!(
            tokens::verify(&token, &keys, &settings(), NOW).is_some(),
            accepted,
            "{value}"
        );
    }

    #[test]
    fn an_honest_token_is_taken_and_each_forgery_is_not() {
        check(json!({}), true);
        check(json!({ "sub": "bob", "extra": [1] }), true);
        check(json!({ "scope": null }), true);
        check(json!({ "exp": NOW + 1 }), true);
        check(json!({ "exp": NOW }), false);
        check(json!({ "claims": { "exp": NOW - 1 } }), false);
        check(json!({ "exp": null }), false);
        check(json!({ "nbf": NOW + 1 }), false);
        check(json!({ "iss": "https://other.example" }), false);
        check(json!({ "aud": "other" }), false);
        check(json!({ "jti": null }), false);
        check(json!({ "jti": "a b" }), false);
        check(json!({ "jti": "x".repeat(128) }), true);
        check(json!({ "jti": "x".repeat(129) }), false);
        check(json!({ "key": "other" }), false);
        check(json!({ "key": "none" }), false);
        check(json!({ "key": "hs256-with-public-key" }), false);
        check(
            json!({ "key": "hs256-with-public-key", "header": { "alg": "ES256" } }),
            false,
        );
        check(json!({ "header": { "kid": "nobody" } }), false);
        check(json!({ "header": { "kid": null } }), false);
        check(json!({ "header": { "typ": "JWT" } }), false);
        check(json!({ "header": { "crit": ["b64"] } }), false);
    }

    #[test]
    fn a_forgery_keeps_the_published_name_and_states_its_algorithm() {
        let keys = KeyRing::new().unwrap();
        for (key, alg) in [("other", "ES256"), ("none", "none"), ("hs256-with-public-key", "HS256")] {
            let token = mint(order(json!({ "key": key })), &keys, &settings(), NOW).unwrap();
            let parts: Vec<&str> = token.split('.').collect();
            let header: Value = serde_json::from_slice(&Base64UrlUnpadded::decode_vec(parts[0]).unwrap()).unwrap();
            assert_eq!(
                header,
                json!({ "alg": alg, "kid": keys.current().kid, "typ": "at+jwt" })
            );
            assert_eq!(parts[2].is_empty(), key == "none");
        }
    }

    #[test]
    fn a_wrong_order_makes_no_token() {
        let keys = KeyRing::new().unwrap();
        for wrong in [
            json!({ "key": "mine" }),
            json!({ "key": 1 }),
            json!({ "header": [] }),
            json!({ "claims": "x" }),
        ] {
            assert_eq!(
                mint(order(wrong.clone()), &keys, &settings(), NOW),
                Err(MintError::Order),
                "{wrong}"
            );
        }
    }
}
