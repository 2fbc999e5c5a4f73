//! `login`.

use super::common::{DAY, MINUTE, SECOND, YEAR, header_name, methods, section, statuses};
use super::field::{Field, Section, show_duration};
use super::mode;
use crate::guard::OnError;
use crate::guard::login::{AccountPolicy, BanPolicy, BanScope, Failure, LoginPolicy};
use crate::json::pointer::Pointer;
use crate::operation::{Router, TEMPLATE_EXPECTED, parse_template};
use crate::rate::Rate;
use std::time::Duration;

fn rate(section: &Section<'_>, counted: &'static str, limit: u32, window: Duration) -> Rate {
    let limit = section.get(counted).and_then(|f| f.count(1, u32::MAX)).unwrap_or(limit);
    let window = section
        .get("window")
        .and_then(|f| f.duration(SECOND, YEAR))
        .unwrap_or(window);
    Rate::new(limit, window, limit)
}

/// How many times the limit of attempts may be given back in its window, unless `refunds` says otherwise: room for an
/// office behind one address.
const REFUNDS_PER_ATTEMPT: u32 = 20;

/// `client`: the attempts of one client, and how many may be given back.
fn client(section: Option<Section<'_>>) -> (Rate, Rate) {
    let count = |name| section.as_ref().and_then(|s| s.get(name)?.count(1, u32::MAX));
    let window = section.as_ref().and_then(|s| s.get("window")?.duration(SECOND, YEAR));
    let window = window.unwrap_or(15 * MINUTE);
    let attempts = count("attempts").unwrap_or(5);
    let refunds = count("refunds").unwrap_or(attempts.saturating_mul(REFUNDS_PER_ATTEMPT));
    if let Some(section) = section {
        section.finish();
    }
    let rate = |limit| Rate::new(limit, window, limit).in_milliseconds();
    (rate(attempts), rate(refunds))
}

fn account(field: &Field<'_>) -> Option<AccountPolicy> {
    let section = field.section()?;
    let rate = rate(&section, "attempts", 20, 60 * MINUTE).in_milliseconds();
    let pointer = |field: &Field<'_>| {
        let pointer = field
            .value
            .as_str()
            .filter(|text| !text.is_empty())
            .and_then(Pointer::parse);
        pointer.or_else(|| field.expected("a JSON Pointer such as \"/username\""))
    };
    let from = match section.get("from") {
        Some(field) => {
            let list = field.list().unwrap_or_default();
            if list.is_empty() {
                field.note("expected at least one JSON Pointer such as \"/username\"");
            }
            list.iter().filter_map(pointer).collect()
        }
        None => ["/username", "/email"].into_iter().filter_map(Pointer::parse).collect(),
    };
    section.finish();
    Some(AccountPolicy { rate, from })
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
    let client_field = section.get("client");
    let (client, refunds) = client(client_field.as_ref().and_then(Field::section));
    let account_field = section.get("account");
    let account = account_field.as_ref().and_then(account);
    let accounts_field = section.get("accounts_per_client");
    let accounts = accounts_field.as_ref().and_then(Field::section).map(|section| {
        let rate = rate(&section, "accounts", 10, 60 * MINUTE).in_seconds();
        section.finish();
        rate
    });
    if let (Some(field), None) = (&accounts_field, &account_field) {
        field.note("needs `account`, whose `from` tells which account is tried");
    }
    let ban = ban(section.get("ban"));
    let failure = failure(section.get("failure"));
    let on_error = section
        .get("on_error")
        .and_then(|f| f.one_of(&OnError::WORDS))
        .unwrap_or_default();
    let mode = mode(&section);
    section.finish();
    Some(LoginPolicy {
        operations,
        client,
        refunds,
        account,
        accounts,
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
