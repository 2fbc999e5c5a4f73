//! What every refusal must be, and every passage.
//!
//! A refusal: the status, the reason code in a problem document, the headers that belong to it, HSTS, **nothing at the
//! backend**, and the reason's counter one higher. A passage: no code, and seen by the backend exactly once.

use serde_json::{Value, json};

use crate::Outcome;
use crate::client::{Client, Connection};
use crate::message::{Reply, Request};
use crate::stack::Stack;

/// What the shipped edge sends with every answer over HTTPS.
pub const HSTS: &str = "max-age=63072000; includeSubDomains";

/// A refusal that is about to happen.
#[derive(Debug)]
pub struct Refusal {
    status: u16,
    code: String,
    mark: String,
    counted: u64,
}

impl Stack {
    /// Sends the request on a connection of its own and checks that it is refused like this, in all ways.
    pub async fn refused(&self, client: &Client, request: &Request, status: u16, code: &str) -> Outcome<Reply> {
        self.refused_on(&mut client.connect().await?, request, status, code)
            .await
    }

    /// The same on a connection that is there.
    pub async fn refused_on(
        &self,
        connection: &mut Connection,
        request: &Request,
        status: u16,
        code: &str,
    ) -> Outcome<Reply> {
        let (request, refusal) = self.expect_refusal(request, status, code).await?;
        let reply = connection.send(&request).await?;
        self.check_refusal(&refusal, &reply).await?;
        Ok(reply)
    }

    /// Marks a request that is to be refused and notes the counter; for requests that are sent by hand.
    pub async fn expect_refusal(&self, request: &Request, status: u16, code: &str) -> Outcome<(Request, Refusal)> {
        let (request, mark) = request.clone().mark();
        let counted = self.edge.counter(&denied(code)).await?;
        Ok((
            request,
            Refusal {
                status,
                code: code.to_owned(),
                mark,
                counted,
            },
        ))
    }

    /// Checks the answer, the backend and the counter.
    pub async fn check_refusal(&self, refusal: &Refusal, reply: &Reply) -> Outcome<()> {
        let Refusal {
            status,
            code,
            mark,
            counted,
        } = refusal;
        if reply.status != *status || reply.code().as_ref() != Some(code) {
            return Err(format!("expected {status} {code}, got {}", reply.brief()));
        }
        check_problem(reply, code)?;
        check_headers(reply, code)?;
        let seen = self.backend.seen(mark).await?;
        if !seen.is_empty() {
            return Err(format!("{status} {code}, but the backend saw it: {}", json!(seen)));
        }
        let now = self.edge.counter(&denied(code)).await?;
        if now == counted + 1 {
            Ok(())
        } else {
            Err(format!(
                "{status} {code}: the counter {} went from {counted} to {now}",
                denied(code)
            ))
        }
    }

    /// Sends the request on a connection of its own and checks that it passes with this status.
    pub async fn passes(&self, client: &Client, request: &Request, status: u16) -> Outcome<Reply> {
        self.passes_on(&mut client.connect().await?, request, status).await
    }

    /// The same on a connection that is there.
    pub async fn passes_on(&self, connection: &mut Connection, request: &Request, status: u16) -> Outcome<Reply> {
        let (request, mark) = request.clone().mark();
        let reply = connection.send(&request).await?;
        if reply.status != status || reply.code().is_some() {
            return Err(format!(
                "{} {}: expected {status}, got {}",
                request.method,
                request.path,
                reply.brief()
            ));
        }
        self.seen_once(&mark).await?;
        check_hsts(&reply)?;
        Ok(reply)
    }

    /// The one request with this mark that the backend saw.
    pub async fn seen_once(&self, mark: &str) -> Outcome<Value> {
        let seen = self.backend.seen(mark).await?;
        match &seen[..] {
            [one] => Ok(one.clone()),
            _ => Err(format!(
                "the backend saw a request {} times instead of once: {}",
                seen.len(),
                json!(seen)
            )),
        }
    }
}

fn denied(code: &str) -> String {
    format!("wasmcustom.portcullis.denied.{code}")
}

/// RFC 9457's members, agreeing with the reply itself.
fn check_problem(reply: &Reply, code: &str) -> Outcome<()> {
    let problem = reply.json();
    let text = |name: &str| problem[name].as_str().is_some_and(|text| !text.is_empty());
    if text("type") && text("title") && text("detail") && problem["status"] == json!(reply.status) {
        Ok(())
    } else {
        Err(format!("{code}: not a whole problem document: {problem}"))
    }
}

fn check_hsts(reply: &Reply) -> Outcome<()> {
    let values: Vec<_> = reply.headers.get_all("strict-transport-security").iter().collect();
    if values == [HSTS] {
        Ok(())
    } else {
        Err(format!("expected one `{HSTS}`, got {values:?} on {}", reply.brief()))
    }
}

/// The fields that belong to a status or a code.
fn check_headers(reply: &Reply, code: &str) -> Outcome<()> {
    check_hsts(reply)?;
    let needs = |name: &str, what: &str, good: &dyn Fn(&str) -> bool| match reply.header(name) {
        Some(value) if good(value) => Ok(()),
        found => Err(format!(
            "{} {code}: expected {name} {what}, found {found:?}",
            reply.status
        )),
    };
    let bearer_error = |error: &'static str| {
        move |value: &str| value.starts_with("Bearer") && value.contains(&format!("error=\"{error}\""))
    };
    match (reply.status, code) {
        // RFC 6750 §3.1: no error code where no credentials came.
        (401, "token_missing") => {
            needs("www-authenticate", "without an error", &|value| {
                value.starts_with("Bearer") && !value.contains("error")
            })?;
        }
        (401, _) => needs("www-authenticate", "with invalid_token", &bearer_error("invalid_token"))?,
        (403, "token_scope") => {
            needs(
                "www-authenticate",
                "with insufficient_scope",
                &bearer_error("insufficient_scope"),
            )?;
        }
        (405, _) => needs("allow", "with methods", &|value| !value.is_empty())?,
        (429, _) => needs("retry-after", "of a second or more", &|value| {
            value.parse().is_ok_and(|n: u64| n >= 1)
        })?,
        _ => {}
    }
    if code == "quota_exceeded" {
        needs("ratelimit-policy", "with a limit and a window", &|value| {
            value.contains(";q=") && value.contains(";w=")
        })?;
        needs("ratelimit", "with nothing remaining", &|value| {
            value.contains(";r=0") && value.contains(";t=")
        })?;
    }
    Ok(())
}
