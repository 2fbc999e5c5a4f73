//! `revocation`.

use super::common::{DAY, MINUTE, endpoint, statuses};
use super::field::{Field, Section};
use super::mode;
use crate::guard::OnError;
use crate::guard::revocation::{Lookup, Piece, RevocationPolicy, VerdictRule};
use crate::guard::token::Endpoint;
use crate::json::Value;
use crate::json::pointer::Pointer;
use crate::path::Target;
use std::time::Duration;

pub fn revocation(field: &Field<'_>) -> Option<RevocationPolicy> {
    let section = field.section()?;
    section.unsupported(&["introspection", "feed", "status_list"]);
    let on_error = section
        .get("on_error")
        .and_then(|f| f.one_of(&OnError::WORDS))
        .unwrap_or_default();
    let stale = section
        .get("stale")
        .and_then(|f| f.duration(Duration::ZERO, DAY))
        .unwrap_or(5 * MINUTE);
    let lookup = section.required("lookup").and_then(|f| lookup(&f));
    let mode = mode(&section);
    section.finish();
    Some(RevocationPolicy {
        on_error,
        stale,
        lookup: lookup?,
        mode,
    })
}

/// Whether a lookup asks by the hash of the token.
pub fn asks_hash(policy: &RevocationPolicy) -> bool {
    policy.lookup.template.contains(&Piece::TokenHash)
}

fn lookup(field: &Field<'_>) -> Option<Lookup> {
    let section = field.section()?;
    let endpoint = endpoint(&section, Duration::from_millis(200));
    let path = section.required("path");
    let template = path.as_ref().and_then(template);
    let verdict = verdict(&section);
    let cache = section
        .get("cache")
        .map_or(Some(Duration::from_secs(5)), |f| f.duration(Duration::ZERO, DAY));
    section.finish();
    Some(Lookup {
        endpoint: Endpoint {
            path: path?.value.as_str()?.to_owned(),
            ..endpoint?
        },
        template: template?,
        verdict: verdict?,
        cache: cache?,
    })
}

fn template(field: &Field<'_>) -> Option<Vec<Piece>> {
    const EXPECTED: &str =
        "a path with at least one of {jti}, {sub}, {iss}, {iat}, {token_hash}, such as \"/EXISTS/revoked:{jti}\"";
    let text = field.string()?;
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((literal, after)) = rest.split_once('{') {
        let named = after.split_once('}').and_then(|(name, after)| {
            let piece = Piece::NAMED.iter().find(|(n, _)| *n == name);
            piece.map(|(_, piece)| (piece.clone(), after))
        });
        let Some((piece, after)) = named else {
            return field.expected(EXPECTED);
        };
        pieces.extend([Piece::Literal(literal.to_owned()), piece]);
        rest = after;
    }
    let named = !pieces.is_empty();
    pieces.push(Piece::Literal(rest.to_owned()));
    let literals: String = pieces
        .iter()
        .map(|p| {
            if let Piece::Literal(text) = p {
                text.as_str()
            } else {
                "x"
            }
        })
        .collect();
    if !named || Target::parse(literals.as_bytes()).is_err() {
        return field.expected(EXPECTED);
    }
    Some(pieces)
}

fn verdict(section: &Section<'_>) -> Option<VerdictRule> {
    let valid_field = section.get("valid");
    let revoked = section.required("revoked")?.section()?;
    let json = revoked.get("json");
    let equals = revoked.get("equals");
    let status = revoked.get("status");
    let path = revoked.path.clone();
    let faults = revoked.faults;
    revoked.finish();
    match (json, equals, status) {
        (Some(json), Some(equals), None) => {
            if let Some(field) = valid_field {
                field.note("has no meaning beside `revoked.json`: any other value of the same type is valid");
            }
            let Some(at) = json.value.as_str().and_then(Pointer::parse) else {
                return json.expected("a JSON Pointer such as \"/EXISTS\"");
            };
            match equals.value {
                Value::Bool(_) | Value::Number(_) | Value::String(_) => Some(VerdictRule::Json {
                    at,
                    equals: equals.value.clone().into_owned(),
                }),
                _ => equals.expected("a string, a number, true or false"),
            }
        }
        (None, None, Some(status)) => {
            let revoked = statuses(&status);
            let Some(valid) = valid_field else {
                faults.note(
                    &format!("{}.valid", section.path),
                    "is required beside `revoked.status`",
                );
                return None;
            };
            let valid_section = valid.section()?;
            let valid_statuses = valid_section
                .required("status")
                .map(|f| statuses(&f))
                .unwrap_or_default();
            valid_section.finish();
            if revoked.is_empty() || valid_statuses.is_empty() {
                faults.note(&path, "expected at least one status for revoked and one for valid");
            }
            if let Some(both) = revoked.intersection(&valid_statuses).next() {
                valid.note(format!("{both} means revoked already"));
            }
            Some(VerdictRule::Status {
                revoked,
                valid: valid_statuses,
            })
        }
        _ => {
            faults.note(&path, "expected either `json` and `equals`, or `status`");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Limits, parse};

    #[test]
    fn a_template_knows_its_pieces() {
        let faults = crate::config::field::Faults::default();
        let value = parse(
            br#"["/a/{iss}:{jti}", "/a", "/{x}", "/{jti", "a{jti}", "/%2f{jti}"]"#,
            &Limits::CONFIGURATION,
        )
        .unwrap();
        let field = Field {
            value: &value,
            path: String::new(),
            faults: &faults,
        };
        let list = field.list().unwrap();
        let expected = [
            Piece::Literal("/a/".into()),
            Piece::Issuer,
            Piece::Literal(":".into()),
            Piece::Id,
            Piece::Literal(String::new()),
        ];
        assert_eq!(template(&list[0]).unwrap(), expected);
        assert!(list[1..].iter().all(|item| template(item).is_none()));
        assert_eq!(faults.count(), 5);
    }
}
