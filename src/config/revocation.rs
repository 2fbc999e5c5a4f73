//! `revocation`.

use super::common::{DAY, LONGEST_WAIT, MILLISECOND, MINUTE, SECOND, endpoint, statuses};
use super::field::{Field, Section};
use super::mode;
use super::tokens::request_path;
use crate::guard::OnError;
use crate::guard::revocation::introspection::{Authentication, Credentials};
use crate::guard::revocation::lookup::{Piece, VerdictRule};
use crate::guard::revocation::{FeedPolicy, Introspection, Lookup, RevocationPolicy, StatusListPolicy};
use crate::guard::token::{Endpoint, TokenPolicy};
use crate::json::Value;
use crate::json::pointer::Pointer;
use crate::path::Target;
use crate::request::is_authority;
use std::collections::BTreeMap;
use std::time::Duration;

pub fn revocation(field: &Field<'_>) -> Option<RevocationPolicy> {
    let section = field.section()?;
    let on_error = section
        .get("on_error")
        .and_then(|f| f.one_of(&OnError::WORDS))
        .unwrap_or_default();
    let stale = section
        .get("stale")
        .and_then(|f| f.duration(Duration::ZERO, DAY))
        .unwrap_or(5 * MINUTE);
    let (lookup_field, introspection_field) = (section.get("lookup"), section.get("introspection"));
    let (feed_field, list_field) = (section.get("feed"), section.get("status_list"));
    if [&lookup_field, &introspection_field, &feed_field, &list_field]
        .iter()
        .all(|field| field.is_none())
    {
        field.note("expected at least one source: `lookup`, `introspection`, `feed`, `status_list`");
    }
    let mode = mode(&section);
    section.finish();
    Some(RevocationPolicy {
        on_error,
        stale,
        lookup: lookup_field.as_ref().and_then(lookup),
        introspection: introspection_field.as_ref().and_then(introspection),
        feed: feed_field.as_ref().and_then(feed),
        status_list: list_field.as_ref().and_then(status_list),
        mode,
    })
}

/// Has the provider found whose rules answers without `iss` go by; it is named where there are several.
pub fn settle_issuer(field: &Field<'_>, policy: &mut RevocationPolicy, tokens: &TokenPolicy) {
    let Some(introspection) = &mut policy.introspection else {
        return;
    };
    let Some(field) = field.section().and_then(|section| section.get("introspection")) else {
        return;
    };
    let issuer = field.section().and_then(|section| section.get("issuer"));
    let named = issuer.as_ref().and_then(|issuer| issuer.value.as_str());
    match (&issuer, tokens.providers.as_slice()) {
        (None, [_]) => {}
        (None, _) => field.note("needs `issuer` where there are several providers: whose rules opaque tokens go by"),
        (Some(issuer), providers) => match providers.iter().position(|p| Some(p.issuer.as_str()) == named) {
            Some(position) => introspection.provider = position,
            None => issuer.note("expected the issuer of a provider"),
        },
    }
}

fn feed(field: &Field<'_>) -> Option<FeedPolicy> {
    let section = field.section()?;
    let endpoint = endpoint(&section, SECOND);
    let path = section.required("path").as_ref().and_then(request_path);
    let every = section
        .get("every")
        .map_or(Some(SECOND), |f| f.duration(100 * MILLISECOND, DAY));
    section.finish();
    Some(FeedPolicy {
        endpoint: Endpoint {
            path: path?,
            ..endpoint?
        },
        every: every?,
    })
}

fn status_list(field: &Field<'_>) -> Option<StatusListPolicy> {
    let section = field.section()?;
    let mut clusters = BTreeMap::new();
    if let Some(field) = section.required("clusters") {
        let members = field.members().unwrap_or_default();
        if members.is_empty() {
            field.note("expected at least one host");
        }
        for (host, cluster) in members {
            let plain = host.strip_suffix(":443").unwrap_or(host).to_ascii_lowercase();
            if !is_authority(host.as_bytes()) || host.contains('@') {
                cluster.note("expected a host, with its port unless it is 443");
            } else if let Some(name) = cluster.text()
                && clusters.insert(plain, name.to_owned()).is_some()
            {
                cluster.note("is there already, in another spelling");
            }
        }
    }
    let timeout = section
        .get("timeout")
        .map_or(Some(SECOND), |f| f.duration(MILLISECOND, LONGEST_WAIT));
    section.finish();
    Some(StatusListPolicy {
        clusters,
        timeout: timeout?,
    })
}

fn introspection(field: &Field<'_>) -> Option<Introspection> {
    let section = field.section()?;
    let endpoint = endpoint(&section, SECOND);
    let path = section.required("path").as_ref().and_then(request_path);
    let secret = |field: Field<'_>| match field.value.as_str() {
        Some(text) if !text.is_empty() => Some(text.to_owned()),
        _ => field.expected_secret("a string that is not empty"),
    };
    let id = section.required("client_id").and_then(secret);
    let password = section.required("client_secret").and_then(secret);
    let how = section
        .get("auth")
        .map_or(Some(Authentication::Basic), |f| f.one_of(&Authentication::WORDS));
    let cache = section
        .get("cache")
        .map_or(Some(5 * SECOND), |f| f.duration(Duration::ZERO, DAY));
    // Compared with the providers once they are known.
    let _ = section.get("issuer").and_then(|f| f.text());
    section.finish();
    Some(Introspection {
        endpoint: Endpoint {
            path: path?,
            ..endpoint?
        },
        credentials: Credentials {
            id: id?,
            secret: password?,
            how: how?,
        },
        cache: cache?,
        provider: 0,
    })
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
            if let Some(both) = revoked.iter().find(|status| valid_statuses.contains(status)) {
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
