//! `tokens`.

use super::common::{DAY, MINUTE, SECOND, endpoint, header_name};
use super::field::{Field, is_header_name};
use super::mode;
use crate::guard::token::{Endpoint, KeyEndpoint, KeySource, Provider, Requirement, Source, TokenPolicy};
use crate::jose::grants::{Condition, Wanted};
use crate::jose::{Algorithm, Claims, KeySet};
use crate::json::Value;
use crate::json::pointer::Pointer;
use crate::path::Target;
use std::rc::Rc;
use std::time::Duration;

/// Each provider has shared cells of its own and is looked after at every tick.
const PROVIDERS_MAX: usize = 32;

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
        if list.len() > PROVIDERS_MAX {
            field.note(format!("expected at most {PROVIDERS_MAX} providers"));
        }
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
    let words = [("auto", true), ("module", false)];
    let ask_host = section.get("signatures").and_then(|f| f.one_of(&words)).unwrap_or(true);
    let mode = mode(&section);
    section.finish();
    Some(TokenPolicy {
        default,
        from,
        providers,
        token_bytes_max: usize::try_from(token_bytes_max).unwrap_or(usize::MAX),
        mode,
        ask_host,
        wants_hash,
        wants_status: false,
    })
}

fn sources(field: &Field<'_>) -> Vec<Source> {
    let list = field.list().unwrap_or_default();
    if list.is_empty() {
        field.note("expected at least one place");
    }
    let sources = list.iter().filter_map(|item| {
        let section = item.section()?;
        let (header, scheme) = (section.get("header"), section.get("scheme"));
        let (cookie, query) = (section.get("cookie"), section.get("query"));
        section.finish();
        match (header, scheme, cookie, query) {
            (Some(header), None, None, None) => Some(Source::Header {
                name: header_name(&header)?,
                scheme: None,
            }),
            (Some(header), Some(scheme), None, None) => Some(Source::Header {
                name: header_name(&header)?,
                scheme: Some(scheme_name(&scheme)?),
            }),
            (None, None, Some(cookie), None) => Some(Source::Cookie(token_name(&cookie, "the name of a cookie")?)),
            (None, None, None, Some(query)) => {
                let expected = "the name of a query parameter such as \"access_token\"";
                Some(Source::Query(token_name(&query, expected)?))
            }
            _ => {
                item.note("expected either `header` with or without `scheme`, or `cookie`, or `query`");
                None
            }
        }
    });
    sources.collect()
}

fn token_name(field: &Field<'_>, expected: &str) -> Option<String> {
    let name = field
        .value
        .as_str()
        .filter(|text| is_header_name(&text.to_ascii_lowercase()));
    name.map(str::to_owned).or_else(|| field.expected(expected))
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
    let access_token = [("at+jwt", true)];
    let profile = section
        .get("profile")
        .and_then(|f| f.one_of(&access_token))
        .unwrap_or(false);
    if profile && types.is_some() {
        field.note("expected either `types` or `profile`, which names its own");
    }
    let scopes_from = section.get("scopes_from").map(|f| pointers(&f)).unwrap_or_default();
    let conditions = section.get("claims").map(|f| conditions(&f)).unwrap_or_default();
    let to_headers = section
        .get("claims_to_headers")
        .map(|f| claims_to_headers(&f))
        .unwrap_or_default();
    let to_state = section
        .get("claims_to_filter_state")
        .map(|f| claims_to_state(&f))
        .unwrap_or_default();
    let forward_token = section.get("forward_token").and_then(|f| f.bool()).unwrap_or(true);
    section.finish();
    Some(Provider {
        issuer: issuer?.to_owned(),
        algorithms,
        types: match types {
            _ if profile => vec!["at+jwt".into()],
            Some(types) => types,
            None => vec!["JWT".into(), "at+jwt".into()],
        },
        type_required: profile,
        claims: Claims {
            audiences: audiences?,
            clock_skew,
            max_age: Some(max_age.unwrap_or(DAY)),
            issued_at_required: max_age_field.is_some(),
            require_written: require.clone().unwrap_or_default(),
            require: required_claims(require, profile),
            to_headers,
            to_state,
            scopes_from,
            conditions,
            keep: Vec::new(),
        },
        keys: keys?,
        forward_token,
    })
}

/// What RFC 9068 §2.2 requires comes on top of what is written.
fn required_claims(written: Option<Vec<String>>, profile: bool) -> Vec<String> {
    let mut names = written.unwrap_or_else(|| vec!["sub".into(), "exp".into()]);
    if profile {
        for name in ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"] {
            if !names.iter().any(|there| there == name) {
                names.push(name.to_owned());
            }
        }
    }
    names
}

/// Pointers to claims, such as `/realm_access/roles`.
fn pointers(field: &Field<'_>) -> Vec<Pointer> {
    let list = field.list().unwrap_or_default();
    if list.is_empty() {
        field.note("expected at least one pointer");
    }
    list.iter().filter_map(pointer).collect()
}

fn pointer(field: &Field<'_>) -> Option<Pointer> {
    let pointer = field
        .value
        .as_str()
        .filter(|text| !text.is_empty())
        .and_then(Pointer::parse);
    pointer.or_else(|| field.expected("a pointer to a claim such as \"/realm_access/roles\""))
}

fn conditions(field: &Field<'_>) -> Vec<Condition> {
    let list = field.list().unwrap_or_default();
    let conditions = list.iter().filter_map(|item| {
        let section = item.section()?;
        let at = section.required("at").as_ref().and_then(pointer);
        let any_of = section.required("any_of");
        let values = any_of.as_ref().and_then(|f| f.list()).unwrap_or_default();
        if let Some(any_of) = &any_of
            && values.is_empty()
        {
            any_of.note("expected at least one value");
        }
        let any_of = values.iter().filter_map(|value| match value.value {
            Value::String(text) => Some(Wanted::Text(text.to_string())),
            Value::Bool(flag) => Some(Wanted::Flag(*flag)),
            _ => value.expected("a string, true or false"),
        });
        let any_of = any_of.collect();
        section.finish();
        Some(Condition { at: at?, any_of })
    });
    conditions.collect()
}

fn algorithms(field: &Field<'_>) -> Vec<Algorithm> {
    let list = field.list().unwrap_or_default();
    if list.is_empty() {
        field.note("expected at least one algorithm");
    }
    let mut algorithms = Vec::new();
    for item in &list {
        let named = item.value.as_str().and_then(Algorithm::named);
        let named = named.or_else(|| item.expected(&format!("one of {}", Algorithm::names())));
        // Each once: a key is imported for each of them.
        algorithms.extend(named.filter(|algorithm| !algorithms.contains(algorithm)));
    }
    algorithms
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

/// Filter state is one name space with the module's own, which is why names get its prefix.
fn claims_to_state(field: &Field<'_>) -> Vec<(String, String)> {
    let own = ["code", "shadowed"];
    let is_name = |name: &str| {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        !name.is_empty() && name.bytes().all(plain) && !own.contains(&name)
    };
    let mut state = Vec::new();
    for (name, claim) in field.members().unwrap_or_default() {
        if !is_name(name) {
            claim.note("expected a name of lower case letters, digits and `_`, but for `code` and `shadowed`");
        } else if let Some(claim) = claim.text() {
            state.push((format!("portcullis_{name}"), claim.to_owned()));
        }
    }
    state
}

fn key_source(field: &Field<'_>, algorithms: &[Algorithm]) -> Option<KeySource> {
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
    let stale = section.get("stale").and_then(|f| f.duration(MINUTE, 30 * DAY));
    let discovery = section.get("discovery");
    let path = match &discovery {
        Some(_) if section.get("path").is_some() => {
            field.note("expected either `path` or `discovery`");
            None
        }
        Some(discovery) => request_path(discovery),
        None => section.required("path").as_ref().and_then(request_path),
    };
    section.finish();
    Some(KeySource::Remote(KeyEndpoint {
        service: Endpoint {
            path: path?,
            refresh: refresh.unwrap_or(10 * MINUTE),
            ..endpoint?
        },
        discovers: discovery.is_some(),
        stale: stale.unwrap_or(DAY),
    }))
}

pub fn request_path(field: &Field<'_>) -> Option<String> {
    let normal = |text: &&str| Target::parse(text.as_bytes()).is_ok_and(|target| target.rewritten().is_none());
    let path = field.value.as_str().filter(normal);
    path.map(str::to_owned)
        .or_else(|| field.expected("a path in its normal form such as \"/.well-known/jwks.json\""))
}
