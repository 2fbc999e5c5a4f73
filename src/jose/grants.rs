//! What a token grants: its scopes, from the claims where its issuer puts them, and claims that must have certain values.
//! Called once the signature is good; a claim of another shape than expected is refused, never skipped.

use crate::json::pointer::Pointer;
use crate::json::{Object, Value};
use crate::verdict::Reason;

/// A claim that must have one of these values, or be an array that holds one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    pub at: Pointer,
    pub any_of: Vec<Wanted>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    Text(String),
    Flag(bool),
}

impl Condition {
    pub fn holds(&self, claims: &Object<'_>) -> bool {
        let wanted = |value: &Value<'_>| {
            self.any_of.iter().any(|wanted| match (wanted, value) {
                (Wanted::Text(text), Value::String(found)) => found == text,
                (Wanted::Flag(flag), Value::Bool(found)) => found == flag,
                _ => false,
            })
        };
        match self.at.find_in(claims) {
            Some(Value::Array(items)) => items.iter().any(wanted),
            Some(value) => wanted(value),
            None => false,
        }
    }
}

/// Scopes from all of `places`; where none is named, from `scope` (RFC 8693 §4.2) or, without it, `scp`. Each is a text
/// that separates them by spaces, or an array of texts.
///
/// # Errors
/// [`Reason::TokenClaim`] for any other shape.
pub fn scopes(places: &[Pointer], claims: &Object<'_>) -> Result<Vec<String>, Reason> {
    let mut scopes = Vec::new();
    if places.is_empty() {
        add(&mut scopes, claims.get("scope").or_else(|| claims.get("scp")))?;
    }
    for place in places {
        add(&mut scopes, place.find_in(claims))?;
    }
    Ok(scopes)
}

fn add(scopes: &mut Vec<String>, value: Option<&Value<'_>>) -> Result<(), Reason> {
    match value {
        None | Some(Value::Null) => {}
        Some(Value::String(text)) => {
            // By bytes: a search for a character is set up anew behind each short word.
            let words = text
                .as_bytes()
                .split(|byte| *byte == b' ')
                .filter(|word| !word.is_empty());
            scopes.extend(words.filter_map(|word| Some(std::str::from_utf8(word).ok()?.to_owned())));
        }
        Some(Value::Array(items)) => {
            for item in items {
                scopes.push(item.as_str().ok_or(Reason::TokenClaim)?.to_owned());
            }
        }
        Some(_) => return Err(Reason::TokenClaim),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Limits, parse};

    #[track_caller]
    fn check(places: &[&str], claims: &str, expected: Result<&[&str], Reason>) {
        let places: Vec<Pointer> = places.iter().map(|p| Pointer::parse(p).unwrap()).collect();
        let value = parse(claims.as_bytes(), &Limits::FOREIGN).unwrap();
        let found = scopes(&places, value.as_object().unwrap());
        let found = found.map(|scopes| scopes.join("|"));
        assert_eq!(found, expected.map(|scopes| scopes.join("|")), "{claims}");
    }

    #[test]
    fn scopes_are_found_where_they_are_said_to_be() {
        check(&[], r#"{"scope":"a  b","scp":["c"]}"#, Ok(&["a", "b"]));
        check(&[], r#"{"scp":["a","b c"]}"#, Ok(&["a", "b c"]));
        check(&[], r#"{"scp":"a b"}"#, Ok(&["a", "b"]));
        check(&[], r#"{"roles":["admin"]}"#, Ok(&[]));
        check(
            &["/realm/roles", "/scope"],
            r#"{"scope":"a","realm":{"roles":["b"]}}"#,
            Ok(&["b", "a"]),
        );
        check(&["/realm/roles"], r#"{"scope":"a","realm":1}"#, Ok(&[]));
        check(&["/realm"], r#"{"realm":{"a":1}}"#, Err(Reason::TokenClaim));
        check(&["/realm"], r#"{"realm":["a",1]}"#, Err(Reason::TokenClaim));
        check(&[], r#"{"scope":1}"#, Err(Reason::TokenClaim));
    }

    #[test]
    fn a_condition_holds_for_one_of_its_values_of_the_same_type() {
        let condition = Condition {
            at: Pointer::parse("/org/tier").unwrap(),
            any_of: vec![Wanted::Text("gold".into()), Wanted::Flag(true)],
        };
        for (claims, holds) in [
            (r#"{"org":{"tier":"gold"}}"#, true),
            (r#"{"org":{"tier":true}}"#, true),
            (r#"{"org":{"tier":["silver","gold"]}}"#, true),
            (r#"{"org":{"tier":"Gold"}}"#, false),
            (r#"{"org":{"tier":"true"}}"#, false),
            (r#"{"org":{"tier":[["gold"]]}}"#, false),
            (r#"{"org":{"tier":null}}"#, false),
            (r#"{"org":{"tier":{"gold":true}}}"#, false),
            (r#"{"org":["gold"]}"#, false),
            ("{}", false),
        ] {
            let value = parse(claims.as_bytes(), &Limits::FOREIGN).unwrap();
            assert_eq!(condition.holds(value.as_object().unwrap()), holds, "{claims}");
        }
    }
}
