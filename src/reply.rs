//! The one table from a refusal to its reply: status, header fields and body (RFC 9457 problem details).

use crate::json::{push_number, write_string};
use crate::rate::retry_after_seconds;
use crate::verdict::{Denial, Extra, Reason};
use std::borrow::Cow;

/// How refusals are shown; from the configuration's `replies`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Style {
    /// Whether the caller gets the status only, without code, detail and problems.
    pub hide_reason: bool,
    /// What codes are appended to for the problem's `type`; without it the type is `about:blank`.
    pub type_base: Option<String>,
}

/// An answer of our own, ready for the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
    pub body: String,
    /// The status for a gRPC caller, who gets `body` as its message.
    pub grpc_status: Option<u32>,
    /// The reason's code, for Envoy's response details.
    pub code: &'static str,
}

/// Problems beyond this number are not written: a reply's size does not follow the request's.
pub const PROBLEMS_MAX: usize = 8;

/// Renders a refusal. `grpc` asks for a gRPC status instead of a problem document.
pub fn render(denial: &Denial, style: &Style, grpc: bool) -> Reply {
    let reason = denial.reason;
    // The most there are, the quota's included.
    let mut headers = Vec::with_capacity(9);
    headers.push(("cache-control", Cow::Borrowed("no-store")));
    if let Some(challenge) = challenge(denial) {
        headers.push(("www-authenticate", challenge));
    }
    match &denial.extra {
        Extra::Allow(methods) => headers.push(("allow", methods.join(", ").into())),
        Extra::RetryAfter(span) | Extra::Quota { retry_after: span, .. } => {
            headers.push(("retry-after", retry_after_seconds(*span).to_string().into()));
        }
        Extra::Nothing | Extra::Problems(_) | Extra::Scope(_) => {}
    }
    if !grpc {
        headers.push(("content-type", Cow::Borrowed("application/problem+json")));
    }
    Reply {
        status: reason.status(),
        headers,
        body: match (grpc, style.hide_reason) {
            (true, true) => phrase(reason.status()).to_owned(),
            (true, false) => reason.code().to_owned(),
            (false, _) => problem_document(denial, style),
        },
        grpc_status: grpc.then(|| grpc_status(reason.status())),
        code: reason.code(),
    }
}

fn problem_document(denial: &Denial, style: &Style) -> String {
    let reason = denial.reason;
    let mut out = String::with_capacity(256);
    // A name with what stands around it.
    let mut member = |name: &str, text: &str| {
        out.push_str(name);
        write_string(&mut out, text);
    };
    let typed = style.type_base.as_deref().filter(|_| !style.hide_reason);
    match typed {
        // RFC 9457 §4.2.1: with about:blank the title is the status phrase.
        None => member("{\"type\":", "about:blank"),
        Some(base) => member("{\"type\":", &format!("{base}{}", reason.code())),
    }
    member(
        ",\"title\":",
        if typed.is_some() {
            reason.summary()
        } else {
            phrase(reason.status())
        },
    );
    if !style.hide_reason {
        member(",\"detail\":", denial.detail.as_deref().unwrap_or(reason.summary()));
        member(",\"code\":", reason.code());
        if let Extra::Quota { name, .. } = &denial.extra {
            member(",\"quota\":", name);
        }
    }
    out.push_str(",\"status\":");
    push_number(&mut out, reason.status().into());
    if !style.hide_reason
        && let Extra::Problems(problems) = &denial.extra
    {
        out.push_str(",\"errors\":[");
        for (i, problem) in problems.iter().take(PROBLEMS_MAX).enumerate() {
            out.push_str(if i == 0 { "{\"at\":" } else { ",{\"at\":" });
            write_string(&mut out, &problem.at);
            out.push_str(",\"problem\":");
            write_string(&mut out, &problem.problem);
            out.push('}');
        }
        out.push(']');
    }
    out.push('}');
    out
}

/// `WWW-Authenticate` as RFC 6750 §3 has it: no error code where no token was shown.
fn challenge(denial: &Denial) -> Option<Cow<'static, str>> {
    let error = match (denial.reason, denial.reason.status()) {
        (Reason::TokenMissing, _) => return Some(Cow::Borrowed("Bearer realm=\"api\"")),
        (Reason::TokenRepeated, _) => "invalid_request",
        (Reason::TokenScope, _) => "insufficient_scope",
        (_, 401) => "invalid_token",
        _ => return None,
    };
    let mut text = String::with_capacity(64);
    text.extend(["Bearer realm=\"api\", error=\"", error, "\""]);
    if let Extra::Scope(scope) = &denial.extra {
        text.extend([", scope=\"", scope, "\""]);
    }
    Some(text.into())
}

const fn phrase(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        429 => "Too Many Requests",
        503 => "Service Unavailable",
        _ => "Internal Server Error",
    }
}

/// The gRPC code that says the same (google.rpc.Code).
const fn grpc_status(status: u16) -> u32 {
    match status {
        400 | 413 | 415 => 3,
        401 => 16,
        403 => 7,
        404 | 405 => 12,
        429 => 8,
        503 => 14,
        _ => 13,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Limits, parse};
    use crate::verdict::Problem;
    use std::time::Duration;

    fn header<'r>(reply: &'r Reply, name: &str) -> Option<&'r str> {
        reply.headers.iter().find(|(n, _)| *n == name).map(|(_, v)| v.as_ref())
    }

    #[test]
    fn every_reason_makes_a_well_formed_problem() {
        for style in [
            Style::default(),
            Style {
                hide_reason: true,
                type_base: None,
            },
        ] {
            for reason in Reason::ALL {
                let reply = render(&(*reason).into(), &style, false);
                let value = parse(reply.body.as_bytes(), &Limits::FOREIGN).unwrap();
                let object = value.as_object().unwrap();
                assert_eq!(
                    object.get("status").unwrap().as_number().unwrap().as_u64(),
                    Some(reason.status().into())
                );
                assert_eq!(object.get("code").is_some(), !style.hide_reason);
                assert_eq!(reply.code, reason.code());
                assert_eq!(
                    header(&reply, "www-authenticate").is_some(),
                    reason.status() == 401 || matches!(reason, Reason::TokenRepeated | Reason::TokenScope)
                );
            }
        }
    }

    #[test]
    fn a_schema_fault_names_its_places_and_no_more_than_the_bound() {
        let problem = |i| Problem {
            at: format!("/items/{i}/qty"),
            problem: "must be at least 1".into(),
        };
        let denial = Reason::BodyInvalid.with(Extra::Problems((0..20).map(problem).collect()));
        let style = Style {
            hide_reason: false,
            type_base: Some("https://example.com/errors/".into()),
        };
        let body = render(&denial, &style, false).body;
        assert!(body.starts_with(r#"{"type":"https://example.com/errors/body_invalid","title":"The body does not have the expected form.""#), "{body}");
        assert!(
            body.contains(r#""errors":[{"at":"/items/0/qty","problem":"must be at least 1"},{"at""#),
            "{body}"
        );
        assert_eq!(body.matches("\"at\"").count(), PROBLEMS_MAX);
    }

    #[test]
    fn fields_follow_the_reason() {
        let denial = Reason::MethodNotAllowed.with(Extra::Allow(vec!["GET".into(), "HEAD".into()]));
        assert_eq!(
            header(&render(&denial, &Style::default(), false), "allow"),
            Some("GET, HEAD")
        );
        let denial = Reason::QuotaExceeded.retry_after(Duration::from_millis(1001));
        assert_eq!(
            header(&render(&denial, &Style::default(), false), "retry-after"),
            Some("2")
        );
        let challenge = |denial: Denial| challenge(&denial).unwrap();
        assert_eq!(challenge(Reason::TokenMissing.into()), r#"Bearer realm="api""#);
        assert_eq!(
            challenge(Reason::TokenRevoked.into()),
            r#"Bearer realm="api", error="invalid_token""#
        );
        let denial = Reason::TokenScope.with(Extra::Scope("a b".into()));
        assert_eq!(
            challenge(denial),
            r#"Bearer realm="api", error="insufficient_scope", scope="a b""#
        );
    }

    #[test]
    fn grpc_callers_get_a_grpc_status() {
        let reply = render(&Reason::TokenExpired.into(), &Style::default(), true);
        assert_eq!((reply.grpc_status, reply.body.as_str()), (Some(16), "token_expired"));
        assert_eq!(header(&reply, "content-type"), None);
    }
}
