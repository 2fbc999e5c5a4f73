//! `tokens` and `revocation`.

use super::field::{Field, Section, is_header_name};
use super::mode;
use super::sections::{header_name, statuses};
use crate::guard::OnError;
use crate::guard::revocation::{Lookup, Piece, RevocationPolicy, VerdictRule};
use crate::guard::token::{Endpoint, KeySource, Provider, Requirement, Source, TokenPolicy};
use crate::jose::{Algorithm, Claims, KeySet};
use crate::json::Value;
use crate::json::pointer::Pointer;
use crate::path::Target;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);
/// A request may wait this long for a dependency and no longer.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

pub fn tokens(field: &Field<'_>, wants_hash: bool) -> Option<TokenPolicy> {
    let section = field.section()?;
    let default = section
        .get("default")
        .and_then(|f| f.one_of(&Requirement::WORDS))
        .unwrap_or(Requirement::Required);
    let from = match section.get("from") {
        Some(field) => sources(&field),
        None => vec![Source::Header {
            name: "authorization".into(),
            scheme: Some("Bearer".into()),
        }],
    };
    let token_bytes_max = section
        .get("max_token")
        .and_then(|f| f.size(1, 64 << 10))
        .unwrap_or(16 << 10);
    let mut providers: Vec<Provider> = Vec::new();
    if let Some(field) = section.required("providers") {
        let list = field.list().unwrap_or_default();
        if list.is_empty() {
            field.note("expected at least one provider");
        }
        for item in list {
            let Some(provider) = provider(&item) else { continue };
            if providers.iter().any(|earlier| earlier.issuer == provider.issuer) {
                item.note(format!("`{}` is the issuer of an earlier provider", provider.issuer));
            }
            providers.push(provider);
        }
    }
    let mode = mode(&section);
    section.finish();
    Some(TokenPolicy {
        default,
        from,
        providers,
        token_bytes_max: usize::try_from(token_bytes_max).unwrap_or(usize::MAX),
        mode,
        wants_hash,
    })
}

fn sources(field: &Field<'_>) -> Vec<Source> {
    let list = field.list().unwrap_or_default();
    if list.is_empty() {
        field.note("expected at least one place");
    }
    let sources = list.iter().filter_map(|item| {
        let section = item.section()?;
        let (header, scheme, cookie) = (section.get("header"), section.get("scheme"), section.get("cookie"));
        section.unsupported(&["query"]);
        section.finish();
        match (header, cookie, scheme) {
            (Some(header), None, None) => Some(Source::Header {
                name: header_name(&header)?,
                scheme: None,
            }),
            (Some(header), None, Some(scheme)) => Some(Source::Header {
                name: header_name(&header)?,
                scheme: Some(scheme_name(&scheme)?),
            }),
            (None, Some(cookie), None) => Some(Source::Cookie(cookie_name(&cookie)?)),
            _ => {
                item.note("expected either `header` with or without `scheme`, or `cookie`");
                None
            }
        }
    });
    sources.collect()
}

fn cookie_name(field: &Field<'_>) -> Option<String> {
    let name = field
        .value
        .as_str()
        .filter(|text| is_header_name(&text.to_ascii_lowercase()));
    name.map(str::to_owned)
        .or_else(|| field.expected("the name of a cookie"))
}

fn scheme_name(field: &Field<'_>) -> Option<String> {
    let name = field
        .value
        .as_str()
        .filter(|text| is_header_name(&text.to_ascii_lowercase()));
    name.map(str::to_owned)
        .or_else(|| field.expected("an authentication scheme such as \"Bearer\""))
}

fn provider(field: &Field<'_>) -> Option<Provider> {
    let section = field.section()?;
    let issuer = section.required("issuer").and_then(|f| f.text());
    let audiences = section.required("audiences").and_then(|f| f.texts(1));
    let algorithms = section
        .required("algorithms")
        .map(|f| algorithms(&f))
        .unwrap_or_default();
    let keys = section.required("jwks").and_then(|f| key_source(&f, &algorithms));
    let span = |name, least, most| section.get(name).and_then(|f| f.duration(least, most));
    let clock_skew = span("clock_skew", Duration::ZERO, 10 * MINUTE).unwrap_or(Duration::from_secs(30));
    let max_age_field = section.get("max_age");
    let max_age = max_age_field.as_ref().and_then(|f| f.duration(SECOND, 3650 * DAY));
    let require = section.get("require").and_then(|f| f.texts(0));
    let types = section.get("types").and_then(|f| f.texts(0));
    let to_headers = section
        .get("claims_to_headers")
        .map(|f| claims_to_headers(&f))
        .unwrap_or_default();
    let forward_token = section.get("forward_token").and_then(|f| f.bool()).unwrap_or(true);
    section.finish();
    Some(Provider {
        issuer: issuer?.to_owned(),
        algorithms,
        types: types.unwrap_or_else(|| vec!["JWT".into(), "at+jwt".into()]),
        claims: Claims {
            audiences: audiences?,
            clock_skew,
            max_age: Some(max_age.unwrap_or(DAY)),
            issued_at_required: max_age_field.is_some(),
            require: require.unwrap_or_else(|| vec!["sub".into(), "exp".into()]),
            to_headers,
            keep: Vec::new(),
        },
        keys: keys?,
        forward_token,
    })
}

fn algorithms(field: &Field<'_>) -> BTreeSet<Algorithm> {
    let list = field.list().unwrap_or_default();
    if list.is_empty() {
        field.note("expected at least one algorithm");
    }
    let named = list.iter().filter_map(|item| {
        let algorithm = item.value.as_str().and_then(Algorithm::named);
        algorithm.or_else(|| item.expected(&format!("one of {}", Algorithm::names())))
    });
    named.collect()
}

fn claims_to_headers(field: &Field<'_>) -> Vec<(String, String)> {
    let mut headers: Vec<(String, String)> = Vec::new();
    for (name, claim) in field.members().unwrap_or_default() {
        let lower = name.to_ascii_lowercase();
        let reserved = [
            "host",
            "content-length",
            "transfer-encoding",
            "connection",
            "authorization",
            "content-type",
        ];
        if !is_header_name(&lower) || reserved.contains(&lower.as_str()) {
            claim.note("expected the name of a header field that a claim may set");
        } else if headers.iter().any(|(earlier, _)| *earlier == lower) {
            claim.note("is there already, in another case");
        } else if let Some(claim) = claim.text() {
            headers.push((lower, claim.to_owned()));
        }
    }
    headers
}

fn key_source(field: &Field<'_>, algorithms: &BTreeSet<Algorithm>) -> Option<KeySource> {
    let section = field.section()?;
    if let Some(inline) = section.get("inline") {
        let set = KeySet::parse(inline.value, algorithms);
        section.finish();
        return match set {
            Ok(set) => Some(KeySource::Inline(Rc::new(set))),
            // Without usable algorithms every key looks unusable: that fault is noted already.
            Err(_) if algorithms.is_empty() => None,
            Err(problem) => {
                inline.note(problem);
                None
            }
        };
    }
    let endpoint = endpoint(&section, SECOND);
    let refresh = section.get("refresh").and_then(|f| f.duration(SECOND, DAY));
    let path = section.required("path").as_ref().and_then(request_path);
    section.finish();
    Some(KeySource::Remote(Endpoint {
        path: path?,
        refresh: refresh.unwrap_or(10 * MINUTE),
        ..endpoint?
    }))
}

/// `cluster`, `authority` and `timeout` of a service.
fn endpoint(section: &Section<'_>, timeout: Duration) -> Option<Endpoint> {
    let cluster = section.required("cluster").and_then(|f| f.text());
    let authority = section.required("authority").and_then(|f| {
        let plain = |text: &&str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
        f.value
            .as_str()
            .filter(plain)
            .or_else(|| f.expected("a host such as \"id.example.com\""))
    });
    let timeout = section
        .get("timeout")
        .map_or(Some(timeout), |f| f.duration(MILLISECOND, LONGEST_WAIT));
    Some(Endpoint {
        cluster: cluster?.to_owned(),
        authority: authority?.to_owned(),
        path: String::new(),
        timeout: timeout?,
        refresh: Duration::ZERO,
    })
}

fn request_path(field: &Field<'_>) -> Option<String> {
    let normal = |text: &&str| Target::parse(text.as_bytes()).is_ok_and(|target| target.rewritten().is_none());
    let path = field.value.as_str().filter(normal);
    path.map(str::to_owned)
        .or_else(|| field.expected("a path in its normal form such as \"/.well-known/jwks.json\""))
}

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
        .map_or(Some(5 * SECOND), |f| f.duration(Duration::ZERO, DAY));
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
