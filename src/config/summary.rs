//! What a configuration enforces, in a few lines for the operator: the answer of `portcullis check`.

use super::field::{show_duration, show_size};
use crate::guard::OnError;
use crate::guard::login::BanScope;
use crate::guard::quota::By;
use crate::guard::token::{KeySource, Requirement};
use crate::policy::{Hold, Policy};
use crate::verdict::Mode;
use std::time::Duration;

fn span(duration: Duration) -> String {
    show_duration(duration).replace('"', "")
}

const fn on_error(policy: OnError) -> &'static str {
    match policy {
        OnError::Deny => "requests are refused",
        OnError::Allow => "requests are let through",
    }
}

fn shadow(mode: Option<Mode>, policy: &Policy) -> &'static str {
    match mode.unwrap_or(policy.mode) {
        Mode::Enforce => "",
        Mode::Shadow => " [shadow: counted, not refused]",
    }
}

/// One line for each guard that is on, then what the operator has to see to elsewhere.
pub fn summary(policy: &Policy) -> Vec<String> {
    let mut lines = Vec::new();
    if !policy.clients.deny.is_empty() {
        let mode = shadow(policy.clients.mode, policy);
        lines.push(format!(
            "clients: {} network(s) refused{mode}",
            policy.clients.deny.len()
        ));
    }
    if let Some(requests) = &policy.requests {
        let size = show_size(requests.body_bytes_max).replace('"', "");
        let undeclared = if requests.undeclared_denied {
            "refused"
        } else {
            "let through"
        };
        let schemas = policy
            .operations
            .iter()
            .filter_map(|o| o.body.as_ref())
            .flat_map(|b| &b.content)
            .filter(|c| c.schema.is_some() || !c.fields.is_empty());
        lines.push(format!(
            "requests: {} operation(s), {} with a body schema; bodies to {size}; undeclared operations are {undeclared}{}",
            policy.operations.len(),
            schemas.count(),
            shadow(requests.mode, policy),
        ));
    }
    for quota in &policy.quotas {
        let by = quota.by.iter().map(|by| match by {
            By::Client => "client".to_owned(),
            By::Operation => "operation".to_owned(),
            By::Subject => "subject".to_owned(),
            By::Header(name) => format!("value of {name}"),
            By::Claim(name) => format!("claim {name}"),
        });
        let by: Vec<String> = by.collect();
        let by = if by.is_empty() {
            "all clients together".to_owned()
        } else {
            format!("each {}", by.join(" and "))
        };
        let about = quota
            .operations
            .as_ref()
            .map_or_else(|| "every request".to_owned(), |o| format!("{} operation(s)", o.len()));
        lines.push(format!(
            "quota {}: {} in {} for {by}, on {about}{}",
            quota.name,
            quota.limit,
            span(quota.window),
            shadow(quota.mode, policy)
        ));
    }
    if let Some(login) = &policy.login {
        let scope = match login.ban.scope {
            BanScope::Login => "logins",
            BanScope::All => "every request",
        };
        lines.push(format!(
            "login: bans refuse {scope} for {} at first, {} at most; if attempts can't be counted, {}{}",
            span(login.ban.first),
            span(login.ban.longest),
            on_error(login.on_error),
            shadow(login.mode, policy),
        ));
        if let Some(account) = &login.account {
            let spraying = if login.accounts.is_some() {
                ", and so do accounts of one client"
            } else {
                ""
            };
            lines.push(format!(
                "  attempts at one account have a limit, told by {} pointer(s){spraying}",
                account.from.len()
            ));
        }
    }
    if let Some(tokens) = &policy.tokens {
        let default = match tokens.default {
            Requirement::Required => "required",
            Requirement::Optional => "optional",
            Requirement::None => "not looked at",
        };
        lines.push(format!(
            "tokens: {default} unless an operation says otherwise{}",
            shadow(tokens.mode, policy)
        ));
        for provider in &tokens.providers {
            let keys = match &provider.keys {
                KeySource::Inline(set) => format!("{} inline key(s)", set.len()),
                KeySource::Remote(endpoint) => format!("keys from cluster {}", endpoint.service.cluster),
            };
            lines.push(format!("  issuer {}: {keys}", provider.issuer));
        }
    }
    if let Some(revocation) = &policy.revocation {
        lines.push(format!(
            "revocation: the last answer serves {} while a source is down, then {}{}",
            span(revocation.stale),
            on_error(revocation.on_error),
            shadow(revocation.mode, policy),
        ));
        if let Some(lookup) = &revocation.lookup {
            let (cluster, path) = (&lookup.endpoint.cluster, &lookup.endpoint.path);
            let cache = span(lookup.cache);
            lines.push(format!("  asks cluster {cluster} for {path}; an answer serves {cache}"));
        }
        if let Some(lists) = &revocation.status_list {
            let hosts: Vec<&str> = lists.clusters.keys().map(String::as_str).collect();
            lines.push(format!("  follows status lists of {}", hosts.join(", ")));
        }
        if let Some(feed) = &revocation.feed {
            let (cluster, path) = (&feed.endpoint.cluster, &feed.endpoint.path);
            let every = span(feed.every);
            lines.push(format!(
                "  follows the feed of cluster {cluster} at {path}, every {every}"
            ));
        }
        if let Some(introspection) = &revocation.introspection {
            let (cluster, path) = (&introspection.endpoint.cluster, &introspection.endpoint.path);
            let cache = span(introspection.cache);
            lines.push(format!(
                "  introspects at cluster {cluster} by {path}, opaque tokens too; an answer serves {cache}"
            ));
        }
    }
    if lines.is_empty() {
        lines.push("nothing: every guard is off".to_owned());
    }
    if policy.requests.is_some() || policy.login.as_ref().is_some_and(|login| login.asks_body()) {
        lines.push(match policy.hold {
            Hold::StopIteration => "needs `allow_on_headers_stop_iteration: true` on the filter (Envoy 1.35 or later), or requests with a body hang".to_owned(),
            Hold::BufferFilter => "needs `envoy.filters.http.buffer` right after the filter, or the backend sees requests before their verdict".to_owned(),
        });
    }
    lines
}
