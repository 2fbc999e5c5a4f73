//! `requests`: what holds for every request, declared or not.

use super::common::{header_name, section};
use super::field::Field;
use super::mode;
use super::parameters::UNKNOWN;
use crate::guard::requests::RequestPolicy;
use crate::json::{DEPTH_CEILING, Duplicates, Limits};
use crate::policy::Hold;

/// Settings of `requests` that other parts ask for.
#[derive(Debug, Clone, Copy)]
pub struct RequestExtras {
    pub assert_formats: bool,
    pub hold: Hold,
}

/// Without the section, its defaults: they hold for operations too.
pub fn requests(field: Option<Field<'_>>) -> (RequestPolicy, RequestExtras) {
    let mut policy = RequestPolicy {
        body_bytes_max: 1 << 20,
        json: Limits {
            depth: 64,
            members: 10_000,
            string_bytes: 64 << 10,
            duplicates: Duplicates::Deny,
        },
        undeclared_denied: false,
        preflights_allowed: true,
        unknown_denied: false,
        require_headers: Vec::new(),
        asked_headers: Vec::new(),
        asked_cookies: Vec::new(),
        asked_query: Vec::new(),
        mode: None,
    };
    let mut extras = RequestExtras {
        assert_formats: true,
        hold: Hold::default(),
    };
    let Some(section) = section(field) else {
        return (policy, extras);
    };
    policy.mode = mode(&section);
    let gigabyte = 1 << 30;
    if let Some(bytes) = section.get("max_body").and_then(|f| f.size(0, gigabyte)) {
        policy.body_bytes_max = bytes;
    }
    if let Some(depth) = section.get("max_json_depth").and_then(|f| f.count(1, DEPTH_CEILING)) {
        policy.json.depth = depth;
    }
    if let Some(members) = section.get("max_json_members").and_then(|f| f.count(1, 10_000_000)) {
        policy.json.members = members;
    }
    if let Some(bytes) = section.get("max_string").and_then(|f| f.size(1, gigabyte)) {
        policy.json.string_bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    }
    let duplicates = [("deny", Duplicates::Deny), ("allow", Duplicates::Allow)];
    if let Some(duplicates) = section.get("duplicate_members").and_then(|f| f.one_of(&duplicates)) {
        policy.json.duplicates = duplicates;
    }
    if let Some(denied) = section
        .get("undeclared")
        .and_then(|f| f.one_of(&[("allow", false), ("deny", true)]))
    {
        policy.undeclared_denied = denied;
    }
    if let Some(allowed) = section
        .get("preflights")
        .and_then(|f| f.one_of(&[("allow", true), ("judge", false)]))
    {
        policy.preflights_allowed = allowed;
    }
    if let Some(assert) = section
        .get("formats")
        .and_then(|f| f.one_of(&[("assert", true), ("annotate", false)]))
    {
        extras.assert_formats = assert;
    }
    let holds = [
        ("stop_iteration", Hold::StopIteration),
        ("buffer_filter", Hold::BufferFilter),
    ];
    if let Some(hold) = section.get("hold").and_then(|f| f.one_of(&holds)) {
        extras.hold = hold;
    }
    if let Some(field) = section.get("require_headers") {
        let names = field.list().unwrap_or_default();
        policy.require_headers = names.iter().filter_map(header_name).collect();
    }
    if let Some(denied) = section.get("unknown_parameters").and_then(|f| f.one_of(&UNKNOWN)) {
        policy.unknown_denied = denied;
    }
    section.finish();
    (policy, extras)
}
