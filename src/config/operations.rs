//! `operations`: what is declared, and the rules of each.

use super::body::body;
use super::common::methods;
use super::field::{Field, Section};
use super::mode;
use super::parameters::parameters;
use crate::guard::token::Requirement;
use crate::openapi;
use crate::operation::{HOST_EXPECTED, HostPattern, Operation, Router, Segment, TEMPLATE_EXPECTED, parse_template};
use crate::schema::Options;
use std::collections::BTreeMap;

/// What is known of `tokens` when operations are read.
#[derive(Debug, Clone, Copy)]
pub enum Tokens {
    /// There is no such section.
    Off,
    /// There is one, with this default.
    On(Requirement),
}

/// The operations so far, and how they are reached.
#[derive(Default)]
struct Declared<'v> {
    all: Vec<Operation>,
    router: Router<usize>,
    /// Positions in `all` by id.
    ids: BTreeMap<String, usize>,
    /// Those of the OpenAPI document that no entry of `operations` has refined yet.
    described: BTreeMap<usize, Described<'v>>,
}

/// Where an operation of the document stands, and how it is reached.
struct Described<'v> {
    method: &'static str,
    template: Vec<Segment>,
    at: Field<'v>,
}

/// Reads the operations of the OpenAPI document and of `operations`; an entry there with the id of one of the document's
/// refines that one. Two that can't be told apart are a fault.
pub fn all<'v>(
    document: Option<&Field<'v>>,
    entries: Option<&Field<'v>>,
    options: Options<'v>,
    tokens: Tokens,
) -> (Vec<Operation>, Router<usize>) {
    let mut declared = Declared::default();
    if let Some(document) = document {
        let known = matches!(tokens, Tokens::On(_));
        for found in openapi::operations(document, options, known) {
            declared.describe(found);
        }
    }
    for item in entries.and_then(Field::list).unwrap_or_default() {
        operation(&item, options, tokens, &mut declared);
    }
    (declared.all, declared.router)
}

impl<'v> Declared<'v> {
    fn describe(&mut self, found: openapi::Described<'v>) {
        let here = self.all.len();
        if self.ids.contains_key(&found.operation.id) {
            found
                .at
                .note(format!("`{}` is the id of an earlier operation", found.operation.id));
            return;
        }
        if found.is_wide {
            // It was warned of: another operation whose path is whole takes what both would.
            let taken = self.router.insert(found.method, &found.template, here).err().copied();
            if let Some(earlier) = taken.and_then(|at| self.all.get(at)) {
                let faults = found.at.faults;
                faults.warn(
                    &found.at.path,
                    format!("can't be told apart from `{}`, whose rules hold", earlier.id),
                );
                return;
            }
        }
        self.ids.insert(found.operation.id.clone(), here);
        if !found.is_wide {
            self.insert(None, &[found.method], &found.template, here, &found.at);
        }
        self.all.push(found.operation);
        let described = Described {
            method: found.method,
            template: found.template,
            at: found.at,
        };
        self.described.insert(here, described);
    }

    fn insert(
        &mut self,
        hosts: Option<&[HostPattern]>,
        methods: &[impl AsRef<str>],
        template: &[Segment],
        here: usize,
        at: &Field<'_>,
    ) {
        for method in methods {
            let method = method.as_ref();
            let earlier = match hosts {
                None => self.router.insert(method, template, here).err().copied(),
                Some(hosts) => hosts
                    .iter()
                    .find_map(|host| self.router.insert_for(host, method, template, here).err().copied()),
            };
            if let Some(earlier) = earlier {
                let earlier = self.all.get(earlier).map_or("this one", |o| o.id.as_str());
                at.note(format!("{method} can't be told apart from `{earlier}`"));
            }
        }
    }
}

fn operation<'v>(item: &Field<'v>, options: Options<'v>, tokens: Tokens, declared: &mut Declared<'v>) -> Option<()> {
    let section = item.section()?;
    let id = section.get("id");
    let same = id.as_ref().and_then(|id| declared.ids.get(id.value.as_str()?).copied());
    if let Some(at) = same
        && let Some(described) = declared.described.remove(&at)
    {
        return refine(&section, at, &described, options, tokens, declared);
    }
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
        parameters: parameters(&section, template.clone(), options),
        threats: section.get("threats").and_then(|f| f.one_of(&super::threats::MODES)),
        body: section.get("body").and_then(|f| body(&f, options)),
    };
    section.finish();
    settle_token(&operation, token.as_ref(), scopes.as_ref(), tokens);
    if same.is_some() {
        id.as_ref()
            .unwrap_or(item)
            .note(format!("`{}` is the id of an earlier operation", operation.id));
    }
    let path = path?;
    let Some(template) = template else {
        return path.expected(TEMPLATE_EXPECTED);
    };
    let here = declared.all.len();
    declared.insert(hosts.as_deref(), &methods, &template, here, &path);
    declared.ids.entry(operation.id.clone()).or_insert(here);
    declared.all.push(operation);
    Some(())
}

/// An entry of `operations` for one of the document's: what it says replaces what the document says, place by place.
fn refine<'v>(
    section: &Section<'v>,
    at: usize,
    described: &Described<'v>,
    options: Options<'v>,
    tokens: Tokens,
    declared: &mut Declared<'v>,
) -> Option<()> {
    for name in ["methods", "path", "hosts"] {
        if let Some(field) = section.get(name) {
            field.note(format!(
                "is what the document says of this id ({} at {})",
                described.method, described.at.path
            ));
        }
    }
    let (token, scopes) = (section.get("token"), section.get("scopes"));
    let cost = section.get("cost").and_then(|f| f.count(1, 1_000_000));
    let mode = mode(section);
    let threats = section.get("threats").and_then(|f| f.one_of(&super::threats::MODES));
    let own = parameters(section, Some(described.template.clone()), options);
    let body = section.get("body").map(|f| body(&f, options));
    let has = |name: &'static str| section.get(name).is_some();
    let operation = declared.all.get_mut(at)?;
    if let Some(token) = &token {
        operation.token = token.one_of(&Requirement::WORDS);
    }
    if let Some(scopes) = &scopes {
        operation.scopes = scope_names(scopes);
    }
    operation.cost = cost.unwrap_or(operation.cost);
    operation.mode = mode.or(operation.mode);
    operation.threats = threats.or(operation.threats);
    let into = &mut operation.parameters;
    if has("path_params") {
        into.path = own.path;
    }
    if has("query") {
        into.query = own.query;
    }
    if has("headers") {
        into.headers = own.headers;
    }
    if has("cookies") {
        into.cookies = own.cookies;
    }
    into.unknown_denied = own.unknown_denied.or(into.unknown_denied);
    if let Some(body) = body {
        operation.body = body;
    }
    settle_token(operation, token.as_ref(), scopes.as_ref(), tokens);
    section.note_unknown();
    Some(())
}

/// What a token asked for needs of the rest of the configuration.
fn settle_token(operation: &Operation, token: Option<&Field<'_>>, scopes: Option<&Field<'_>>, tokens: Tokens) {
    let demands = operation.token.is_some_and(|t| t != Requirement::None);
    match tokens {
        Tokens::Off => {
            let scoped = scopes.into_iter().filter(|_| !operation.scopes.is_empty());
            for field in token.into_iter().filter(|_| demands).chain(scoped) {
                field.note("needs a `tokens` section: without it no token is known");
            }
        }
        Tokens::On(default) => {
            let required = operation.token.unwrap_or(default) == Requirement::Required;
            if let Some(field) = scopes.filter(|_| !required && !operation.scopes.is_empty()) {
                field.note("needs `token` \"required\": a request without a token has no scopes to check");
            }
        }
    }
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
