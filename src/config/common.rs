//! What several sections read: spans, names of header fields, methods, statuses.

use super::field::{Field, Section, is_header_name};
use crate::guard::token::Endpoint;
use std::time::Duration;

pub const MILLISECOND: Duration = Duration::from_millis(1);
pub const SECOND: Duration = Duration::from_secs(1);
pub const MINUTE: Duration = Duration::from_secs(60);
pub const DAY: Duration = Duration::from_secs(86_400);
pub const YEAR: Duration = Duration::from_secs(365 * 86_400);
/// A request may wait this long for a dependency and no longer.
pub const LONGEST_WAIT: Duration = Duration::from_secs(10);

pub fn section<'v>(field: Option<Field<'v>>) -> Option<Section<'v>> {
    field.as_ref().and_then(Field::section)
}

/// A field name, in lower case whatever was written.
pub fn header_name(field: &Field<'_>) -> Option<String> {
    let name = field.value.as_str().map(str::to_ascii_lowercase);
    name.filter(|name| is_header_name(name))
        .or_else(|| field.expected("the name of a header field"))
}

/// Methods in upper case, at least one.
pub fn methods(field: &Field<'_>) -> Vec<String> {
    let list = field.list().unwrap_or_default();
    if list.is_empty() {
        field.note("expected at least one method");
    }
    let is_method =
        |text: &&str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_uppercase() || b"-_".contains(&b));
    let methods = list.iter().filter_map(|item| {
        let method = item.value.as_str().filter(is_method).map(str::to_owned);
        method.or_else(|| item.expected("a method in upper case such as \"GET\""))
    });
    methods.collect()
}

/// HTTP statuses of final answers.
pub fn statuses(field: &Field<'_>) -> Vec<u16> {
    let list = field.list().unwrap_or_default();
    let statuses = list.iter().filter_map(|item| u16::try_from(item.count(200, 599)?).ok());
    statuses.collect()
}

/// `cluster`, `authority` and `timeout` of a service.
pub fn endpoint(section: &Section<'_>, timeout: Duration) -> Option<Endpoint> {
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
