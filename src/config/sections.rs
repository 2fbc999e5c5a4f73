//! `clients`, `requests`, `quotas`, `login`, `replies` and `store`.

use super::field::{Field, Section, is_header_name, is_plain_name, show_duration};
use super::mode;
use crate::client::{Networks, Prefixes, parse_network};
use crate::guard::OnError;
use crate::guard::login::{BanPolicy, BanScope, Failure, LoginPolicy};
use crate::guard::quota::{By, Fields, Quota};
use crate::guard::requests::RequestPolicy;
use crate::json::{DEPTH_CEILING, Duplicates, Limits};
use crate::operation::{Operation, Router, TEMPLATE_EXPECTED, parse_template};
use crate::policy::{Clients, Hold};
use crate::rate::Rate;
use crate::reply::Style;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);
const YEAR: Duration = Duration::from_secs(365 * 86_400);

fn section<'v>(field: Option<Field<'v>>) -> Option<Section<'v>> {
    field.as_ref().and_then(Field::section)
}

pub fn clients(field: Option<Field<'_>>) -> Clients {
    let mut clients = Clients {
        prefixes: Prefixes { ipv4: 32, ipv6: 64 },
        exempt: Networks::default(),
        deny: Networks::default(),
        mode: None,
    };
    let Some(section) = section(field) else { return clients };
    clients.mode = mode(&section);
    if let Some(bits) = section.get("ipv4_prefix").and_then(|f| f.count(1, 32)) {
        clients.prefixes.ipv4 = bits;
    }
    if let Some(bits) = section.get("ipv6_prefix").and_then(|f| f.count(1, 128)) {
        clients.prefixes.ipv6 = bits;
    }
    clients.exempt = section.get("exempt").map(|f| networks(&f)).unwrap_or_default();
    clients.deny = section.get("deny").map(|f| networks(&f)).unwrap_or_default();
    section.finish();
    clients
}

fn networks(field: &Field<'_>) -> Networks {
    let list = field.list().unwrap_or_default();
    let ranges = list.iter().filter_map(|item| {
        let range = item.value.as_str().and_then(parse_network);
        range.or_else(|| {
            item.expected("a network such as \"10.0.0.0/8\" or \"2001:db8::/32\" without host bits, or an address")
        })
    });
    Networks::new(ranges.collect())
}

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
        require_headers: Vec::new(),
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
    // The default is what this version does.
    if let Some(field) = section.get("unknown_parameters")
        && field.one_of(&[("allow", false), ("deny", true)]) == Some(true)
    {
        field.note("\"deny\" is not supported by this version");
    }
    section.finish();
    (policy, extras)
}

/// A field name, in lower case whatever was written.
pub fn header_name(field: &Field<'_>) -> Option<String> {
    let name = field.value.as_str().map(str::to_ascii_lowercase);
    name.filter(|name| is_header_name(name))
        .or_else(|| field.expected("the name of a header field"))
}

fn rate(section: &Section<'_>, counted: &'static str, limit: u32, window: Duration) -> Rate {
    let limit = section.get(counted).and_then(|f| f.count(1, u32::MAX)).unwrap_or(limit);
    let window = section
        .get("window")
        .and_then(|f| f.duration(SECOND, YEAR))
        .unwrap_or(window);
    Rate::new(limit, window, limit)
}

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

pub fn login(field: &Field<'_>) -> Option<LoginPolicy> {
    let section = field.section()?;
    let operations = match section.get("operations") {
        Some(field) => login_operations(&field),
        None => {
            let mut router = Router::default();
            let _ = router.insert("POST", &parse_template("/login").unwrap_or_default(), ());
            router
        }
    };
    let minutes = |n: u64| Duration::from_secs(n * 60);
    let client = match section.get("client").as_ref().and_then(Field::section) {
        Some(client) => {
            let rate = rate(&client, "attempts", 5, minutes(15));
            client.finish();
            rate
        }
        None => Rate::new(5, minutes(15), 5),
    };
    let ban = ban(section.get("ban"));
    let failure = failure(section.get("failure"));
    let on_error = section
        .get("on_error")
        .and_then(|f| f.one_of(&OnError::WORDS))
        .unwrap_or_default();
    let mode = mode(&section);
    section.unsupported(&["account", "accounts_per_client"]);
    section.finish();
    Some(LoginPolicy {
        operations,
        client,
        ban,
        failure,
        on_error,
        mode,
    })
}

fn login_operations(field: &Field<'_>) -> Router<()> {
    let mut router = Router::default();
    let list = field.list().unwrap_or_default();
    if list.is_empty() {
        field.note("expected at least one operation");
    }
    for item in list {
        let Some(section) = item.section() else { continue };
        let methods = section.required("methods").map(|f| methods(&f)).unwrap_or_default();
        if let Some(path) = section.required("path") {
            match path.value.as_str().and_then(parse_template) {
                Some(template) => {
                    for method in methods {
                        // The same one twice is the same one.
                        let _ = router.insert(&method, &template, ());
                    }
                }
                None => path.expected(TEMPLATE_EXPECTED).unwrap_or_default(),
            }
        }
        section.finish();
    }
    router
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

fn ban(field: Option<Field<'_>>) -> BanPolicy {
    let mut ban = BanPolicy {
        first: Duration::from_secs(900),
        factor: 2,
        longest: DAY,
        forget: DAY,
        scope: BanScope::default(),
    };
    let Some(section) = section(field) else { return ban };
    let span = |name| section.get(name).and_then(|f| f.duration(SECOND, YEAR));
    ban.first = span("for").unwrap_or(ban.first);
    ban.longest = span("max").unwrap_or(ban.longest.max(ban.first));
    ban.forget = span("forget").unwrap_or(ban.forget);
    ban.factor = section.get("factor").and_then(|f| f.count(1, 10)).unwrap_or(ban.factor);
    if ban.longest < ban.first
        && let Some(field) = section.get("max")
    {
        field.expected::<()>(&format!("a duration of at least `for`, {}", show_duration(ban.first)));
    }
    let scopes = [("login", BanScope::Login), ("all", BanScope::All)];
    ban.scope = section.get("scope").and_then(|f| f.one_of(&scopes)).unwrap_or_default();
    section.finish();
    ban
}

fn failure(field: Option<Field<'_>>) -> Failure {
    let mut failure = Failure {
        statuses: [400, 401, 403, 422].into(),
        header: None,
    };
    let Some(section) = section(field) else { return failure };
    let listed = section.get("statuses");
    if let Some(field) = &listed {
        failure.statuses = statuses(field);
        if let Some(status) = failure.statuses.iter().find(|status| **status >= 500) {
            field.note(format!(
                "{status} is a failure of the backend, which never counts as a failed login"
            ));
        }
    }
    if let Some(header) = section.get("header").as_ref().and_then(Field::section) {
        let name = header.required("name").as_ref().and_then(header_name);
        let value = header.required("value").as_ref().and_then(Field::text);
        failure.header = name.zip(value.map(str::to_owned));
        header.finish();
    } else if let Some(field) = listed.filter(|_| failure.statuses.is_empty()) {
        field.note("expected at least one status, or a `header`: no login would ever fail");
    }
    section.finish();
    failure
}

/// HTTP statuses of final answers.
pub fn statuses(field: &Field<'_>) -> std::collections::BTreeSet<u16> {
    let list = field.list().unwrap_or_default();
    let statuses = list.iter().filter_map(|item| u16::try_from(item.count(200, 599)?).ok());
    statuses.collect()
}

pub fn replies(field: Option<Field<'_>>) -> (Style, Fields) {
    let mut style = Style::default();
    let mut fields = Fields {
        draft: true,
        legacy: false,
    };
    let Some(section) = section(field) else {
        return (style, fields);
    };
    style.hide_reason = section.get("hide_reason").and_then(|f| f.bool()).unwrap_or(false);
    style.type_base = section.get("type_base").and_then(|f| {
        let plain = |text: &&str| {
            text.contains(':')
                && text
                    .bytes()
                    .all(|b| b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&b))
        };
        let base = f.value.as_str().filter(plain).map(str::to_owned);
        base.or_else(|| f.expected("a URI such as \"https://example.com/errors/\""))
    });
    let words = [
        ("draft", (true, false)),
        ("legacy", (false, true)),
        ("both", (true, true)),
        ("none", (false, false)),
    ];
    if let Some((draft, legacy)) = section.get("rate_limit_fields").and_then(|f| f.one_of(&words)) {
        fields = Fields { draft, legacy };
    }
    section.finish();
    (style, fields)
}

pub fn store(field: Option<Field<'_>>) -> u64 {
    const DEFAULT: u64 = 8 << 20;
    let Some(section) = section(field) else { return DEFAULT };
    let bytes = section
        .get("memory")
        .and_then(|f| f.size(64 << 10, 1 << 30))
        .unwrap_or(DEFAULT);
    section.unsupported(&["rate_limit_service"]);
    section.finish();
    bytes
}
