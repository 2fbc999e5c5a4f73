//! `operations`: what is declared, and the rules of each.

use super::body::body;
use super::common::methods;
use super::field::Field;
use super::mode;
use super::parameters::parameters;
use crate::guard::token::Requirement;
use crate::operation::{HOST_EXPECTED, HostPattern, Operation, Router, TEMPLATE_EXPECTED, parse_template};

/// What is known of `tokens` when operations are read.
#[derive(Debug, Clone, Copy)]
pub enum Tokens {
    /// There is no such section.
    Off,
    /// There is one, with this default.
    On(Requirement),
}

/// Reads all operations. Two that can't be told apart are a fault.
pub fn operations(field: &Field<'_>, assert_formats: bool, tokens: Tokens) -> (Vec<Operation>, Router<usize>) {
    let (mut operations, mut router) = (Vec::new(), Router::default());
    for item in field.list().unwrap_or_default() {
        operation(&item, assert_formats, tokens, &mut operations, &mut router);
    }
    (operations, router)
}

fn operation(
    item: &Field<'_>,
    assert_formats: bool,
    tokens: Tokens,
    all: &mut Vec<Operation>,
    router: &mut Router<usize>,
) -> Option<()> {
    let section = item.section()?;
    let id = section.get("id");
    let methods = section.required("methods").map(|f| methods(&f)).unwrap_or_default();
    let path = section.required("path");
    let template = path.as_ref().and_then(|f| f.value.as_str()).and_then(parse_template);
    let hosts = section.get("hosts").map(|f| hosts(&f));
    let token = section.get("token");
    let scopes = section.get("scopes");
    let operation = Operation {
        id: match id.as_ref().and_then(Field::text) {
            Some(id) => id.to_owned(),
            None => format!(
                "{} {}{}",
                methods.join(","),
                hosts
                    .iter()
                    .flatten()
                    .map(HostPattern::to_string)
                    .collect::<Vec<_>>()
                    .join(","),
                path.as_ref().and_then(|f| f.value.as_str()).unwrap_or_default()
            ),
        },
        token: token.as_ref().and_then(|f| f.one_of(&Requirement::WORDS)),
        scopes: scopes.as_ref().map(scope_names).unwrap_or_default(),
        cost: section.get("cost").and_then(|f| f.count(1, 1_000_000)).unwrap_or(1),
        mode: mode(&section),
        parameters: parameters(&section, template.clone(), assert_formats),
        threats: section.get("threats").and_then(|f| f.one_of(&super::threats::MODES)),
        body: section.get("body").and_then(|f| body(&f, assert_formats)),
    };
    section.finish();
    let demands = operation.token.is_some_and(|t| t != Requirement::None);
    match tokens {
        Tokens::Off => {
            let scoped = scopes.iter().filter(|_| !operation.scopes.is_empty());
            for field in token.iter().filter(|_| demands).chain(scoped) {
                field.note("needs a `tokens` section: without it no token is known");
            }
        }
        Tokens::On(default) => {
            let required = operation.token.unwrap_or(default) == Requirement::Required;
            if let Some(field) = scopes.as_ref().filter(|_| !required && !operation.scopes.is_empty()) {
                field.note("needs `token` \"required\": a request without a token has no scopes to check");
            }
        }
    }
    if let Some(earlier) = all.iter().find(|o| o.id == operation.id) {
        id.as_ref()
            .unwrap_or(item)
            .note(format!("`{}` is the id of an earlier operation", earlier.id));
    }
    let path = path?;
    let Some(template) = template else {
        return path.expected(TEMPLATE_EXPECTED);
    };
    for method in &methods {
        let earlier = match &hosts {
            None => router.insert(method, &template, all.len()).err().copied(),
            Some(hosts) => hosts
                .iter()
                .find_map(|host| router.insert_for(host, method, &template, all.len()).err().copied()),
        };
        if let Some(earlier) = earlier {
            let earlier = all.get(earlier).map_or("this one", |o| o.id.as_str());
            path.note(format!("{method} can't be told apart from `{earlier}`"));
        }
    }
    all.push(operation);
    Some(())
}

/// Hosts, each once, at least one.
fn hosts(field: &Field<'_>) -> Vec<HostPattern> {
    let list = field.list().unwrap_or_default();
    if list.is_empty() {
        field.note("expected at least one host; leave it out for every host");
    }
    let mut hosts = Vec::new();
    for item in &list {
        match item.value.as_str().and_then(HostPattern::parse) {
            Some(host) if hosts.contains(&host) => item.note("is there already"),
            Some(host) => hosts.push(host),
            None => drop(item.expected::<()>(HOST_EXPECTED)),
        }
    }
    hosts
}

fn scope_names(field: &Field<'_>) -> Vec<String> {
    // The characters of a scope (RFC 6749 §3.3), which also stand in WWW-Authenticate.
    let is_scope =
        |text: &&str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\');
    let list = field.list().unwrap_or_default();
    let names = list.iter().filter_map(|item| {
        let name = item.value.as_str().filter(is_scope).map(str::to_owned);
        name.or_else(|| item.expected("a scope: a text without spaces"))
    });
    names.collect()
}
