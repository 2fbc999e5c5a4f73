//! `threats`: which categories of attacks are looked for, in which mode, and where not.

use super::field::Field;
use super::mode;
use crate::guard::threats::{Categories, Category, Engine, Exemption, ThreatMode, ThreatPolicy};
use crate::operation::Operation;
use crate::verdict::Mode;

/// The words for a mode of one category or operation.
pub const MODES: [(&str, ThreatMode); 3] = [
    ("enforce", ThreatMode::On(Mode::Enforce)),
    ("shadow", ThreatMode::On(Mode::Shadow)),
    ("off", ThreatMode::Off),
];

/// Four times the default of `requests.max_body`: the body and the three layers that may lie beneath it.
const BUDGET_BYTES: u64 = 4 << 20;

fn categories(field: &Field<'_>) -> Categories {
    let list = field.list().unwrap_or_default();
    list.iter()
        .filter_map(|item| item.one_of(&Category::ALL))
        .fold(Categories::NONE, Categories::with)
}

/// `None` if the section can't be read; its faults are noted.
pub fn threats(field: &Field<'_>, operations: &[Operation]) -> Option<ThreatPolicy> {
    let section = field.section()?;
    let all = Category::ALL
        .iter()
        .fold(Categories::NONE, |set, (_, category)| set.with(*category));
    let mut modes = Vec::new();
    for (name, field) in section.get("modes").and_then(|f| f.members()).unwrap_or_default() {
        match Category::ALL.iter().find(|(known, _)| *known == name) {
            Some((_, category)) => modes.extend(field.one_of(&MODES).map(|mode| (*category, mode))),
            None => field.note("is not a known category"),
        }
    }
    let policy = ThreatPolicy {
        mode: mode(&section),
        categories: section.get("categories").map_or(all, |f| categories(&f)),
        modes,
        exempt: section
            .get("exempt")
            .and_then(|f| f.list())
            .unwrap_or_default()
            .iter()
            .filter_map(|item| exemption(item, operations, all))
            .collect(),
        budget_bytes: section
            .get("budget")
            .and_then(|f| f.size(1 << 10, 1 << 30))
            .unwrap_or(BUDGET_BYTES),
        engine: Engine::new(),
    };
    section.finish();
    Some(policy)
}

fn exemption(item: &Field<'_>, operations: &[Operation], all: Categories) -> Option<Exemption> {
    let section = item.section()?;
    let operation = section.get("operation").and_then(|f| {
        let id = f.text()?;
        if !operations.iter().any(|o| o.id == id) {
            return f.expected("the id of an operation");
        }
        Some(id.to_owned())
    });
    let at = section.required("at").and_then(|f| {
        let known = ["/path", "/query", "/headers", "/cookies", "/body"];
        let text = f.string()?;
        let good = known.iter().any(|root| {
            text.strip_prefix(root)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        if good {
            Some(text.to_owned())
        } else {
            f.expected("a place such as \"/body/text\", \"/query/q\" or \"/headers/referer\"")
        }
    });
    let categories = section.get("categories").map_or(all, |f| categories(&f));
    section.finish();
    Some(Exemption {
        operation,
        at: at?,
        categories,
    })
}
