//! `operations`: what is declared, and the rules of each.

use super::common::methods;
use super::field::Field;
use super::mode;
use crate::guard::requests::{BodyRule, Content, MediaType};
use crate::guard::token::Requirement;
use crate::operation::{Operation, Router, TEMPLATE_EXPECTED, parse_template};
use crate::schema;

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
    let token = section.get("token");
    let scopes = section.get("scopes");
    let operation = Operation {
        id: match id.as_ref().and_then(Field::text) {
            Some(id) => id.to_owned(),
            None => format!(
                "{} {}",
                methods.join(","),
                path.as_ref().and_then(|f| f.value.as_str()).unwrap_or_default()
            ),
        },
        token: token.as_ref().and_then(|f| f.one_of(&Requirement::WORDS)),
        scopes: scopes.as_ref().map(scope_names).unwrap_or_default(),
        cost: section.get("cost").and_then(|f| f.count(1, 1_000_000)).unwrap_or(1),
        mode: mode(&section),
        body: section.get("body").and_then(|f| body(&f, assert_formats)),
    };
    section.unsupported(&[
        "hosts",
        "path_params",
        "query",
        "headers",
        "cookies",
        "unknown_parameters",
    ]);
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
    let Some(template) = path.value.as_str().and_then(parse_template) else {
        return path.expected(TEMPLATE_EXPECTED);
    };
    for method in &methods {
        if let Err(earlier) = router.insert(method, &template, all.len()) {
            let earlier = all.get(*earlier).map_or("this one", |o| o.id.as_str());
            path.note(format!("{method} can't be told apart from `{earlier}`"));
        }
    }
    all.push(operation);
    Some(())
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

fn body(field: &Field<'_>, assert_formats: bool) -> Option<BodyRule> {
    let section = field.section()?;
    let rule = BodyRule {
        required: section.get("required").and_then(|f| f.bool()).unwrap_or(false),
        content: section
            .get("content")
            .map(|f| contents(&f, assert_formats))
            .unwrap_or_default(),
        bytes_max: section.get("max").and_then(|f| f.size(1, 1 << 30)),
        encodings: section
            .get("content_encodings")
            .and_then(|f| f.texts(0))
            .unwrap_or_default()
            .iter()
            .map(|coding| coding.to_ascii_lowercase())
            .collect(),
    };
    let compressed = !rule.encodings.is_empty() && rule.content.iter().any(|content| content.schema.is_some());
    if compressed {
        field.note("`content_encodings` hide the body from its schema: put Envoy's decompressor in front instead");
    }
    section.finish();
    Some(rule)
}

fn contents(field: &Field<'_>, assert_formats: bool) -> Vec<Content> {
    let members = field.members().unwrap_or_default();
    if members.is_empty() {
        field.note("expected at least one content type; leave it out to accept any");
    }
    let mut contents: Vec<Content> = Vec::new();
    for (name, value) in members {
        let range = name.to_ascii_lowercase();
        let media = MediaType::parse(range.as_bytes());
        let wildcard = range
            .strip_suffix("/*")
            .is_some_and(|kind| kind == "*" || !kind.contains('*'));
        if media.is_none_or(|m| m.essence != range) || (range.contains('*') && !wildcard) {
            value.note("expected a content type such as \"application/json\", \"text/*\" or \"*/*\" as the name");
        }
        if contents.iter().any(|content| content.range == range) {
            value.note("is there already, in another case");
        }
        let Some(section) = value.section() else { continue };
        let schema = section.get("schema");
        let json = range.ends_with("/json") || range.ends_with("+json");
        if let (Some(schema), false) = (&schema, json) {
            schema.note("is supported for JSON types only by this version");
        }
        let options = schema::Options { assert_formats };
        contents.push(Content {
            schema: schema
                .filter(|_| json)
                .and_then(|schema| schema::compile(&schema, options)),
            range,
        });
        section.finish();
    }
    contents
}
