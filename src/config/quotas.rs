//! `quotas`.

use super::common::{SECOND, YEAR};
use super::field::{Field, is_header_name, is_plain_name};
use super::mode;
use crate::guard::quota::{By, Quota, announced};
use crate::operation::Operation;
use crate::rate::Rate;

pub fn quotas(field: &Field<'_>, operations: &[Operation], tokens: bool) -> Vec<Quota> {
    let mut quotas: Vec<Quota> = Vec::new();
    for item in field.list().unwrap_or_default() {
        let Some(section) = item.section() else { continue };
        let name = section.required("name");
        let limit = section.required("limit").and_then(|f| f.count(1, 1_000_000_000));
        let window = section.required("window").and_then(|f| f.duration(SECOND, YEAR));
        let burst = section.get("burst").and_then(|f| f.count(1, 1_000_000_000));
        let by = section.get("by").map(|f| by(&f, tokens));
        let about = section.get("operations").map(|f| named_operations(&f, operations));
        let mode = mode(&section);
        section.finish();
        if let Some(field) = &name {
            match field.value.as_str() {
                Some(text) if !is_plain_name(text) => field
                    .expected("a name of letters, digits, `-` and `_`, at most 64")
                    .unwrap_or_default(),
                Some(text) if quotas.iter().any(|q| q.name == text) => {
                    field.note(format!("`{text}` is the name of an earlier quota"))
                }
                Some(_) => {}
                None => field.expected("a string").unwrap_or_default(),
            }
        }
        let name = name.and_then(|f| f.value.as_str()).unwrap_or_default().to_owned();
        let (Some(limit), Some(window)) = (limit, window) else {
            continue;
        };
        let burst = burst.unwrap_or(limit);
        let dearest = operations
            .iter()
            .enumerate()
            .filter(|(at, _)| about.as_ref().is_none_or(|about| about.contains(at)));
        if let Some((_, operation)) = dearest.max_by_key(|(_, o)| o.cost).filter(|(_, o)| o.cost > burst) {
            item.note(format!(
                "a burst of {burst} never admits `{}`, which costs {}",
                operation.id, operation.cost
            ));
        }
        quotas.push(Quota {
            announced: announced(&name, limit, window),
            name,
            limit,
            window,
            rate: Rate::new(limit, window, burst),
            by: by.unwrap_or_else(|| vec![By::Client]),
            operations: about,
            mode,
        });
    }
    quotas
}

fn by(field: &Field<'_>, tokens: bool) -> Vec<By> {
    const EXPECTED: &str = "\"client\", \"operation\", \"subject\", \"header:NAME\" or \"claim:NAME\"";
    let mut parts = Vec::new();
    for item in field.list().unwrap_or_default() {
        let text = item.value.as_str().unwrap_or_default();
        let part = match text.split_once(':') {
            None if text == "client" => Some(By::Client),
            None if text == "operation" => Some(By::Operation),
            None if text == "subject" => Some(By::Subject),
            Some(("header", name)) if is_header_name(&name.to_ascii_lowercase()) => {
                Some(By::Header(name.to_ascii_lowercase()))
            }
            Some(("claim", name)) if !name.is_empty() => Some(By::Claim(name.to_owned())),
            _ => item.expected(EXPECTED),
        };
        if !tokens && matches!(part, Some(By::Subject | By::Claim(_))) {
            item.note("needs a `tokens` section: without it no token is known");
        }
        parts.extend(part);
    }
    parts
}

fn named_operations(field: &Field<'_>, operations: &[Operation]) -> Vec<usize> {
    let list = field.list().unwrap_or_default();
    if list.is_empty() {
        field.note("expected at least one operation; leave it out for every request");
    }
    let named = list.iter().filter_map(|item| {
        let id = item.text()?;
        let at = operations.iter().position(|o| o.id == id);
        at.or_else(|| {
            item.note(format!("`{id}` is not the id of an operation"));
            None
        })
    });
    named.collect()
}
