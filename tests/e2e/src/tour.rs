//! The tour: real requests over HTTPS, for each protection one that passes and one that is refused, as a table.
//!
//! It may be run again and again on one stack: users and client addresses are new each time. Where a port is published by
//! Docker all requests have one address, so what leaves a mark on a client (quota, ban) comes last.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::backend::Backend;
use crate::client::{Client, Trust};
use crate::message::{Reply, Request};
use crate::table::Table;
use crate::{Outcome, fresh_address, fresh_name};

// The policy's cache (1 s) and lookup, and slack for a busy machine.
const REVOCATION_SECONDS_MAX: u64 = 5;
// The quota is 20 a minute: on a slow machine a few come back while the tour asks.
const LIST_REQUESTS_MAX: usize = 40;
const WRONG_PASSWORDS: usize = 5;

/// Where the tour goes.
pub struct Target {
    /// The HTTPS edge.
    pub https: SocketAddr,
    /// Plain HTTP.
    pub http: SocketAddr,
    /// Who signed the edge's certificate.
    pub trust: Trust,
    /// The backend's admin listener: it makes the expired and the narrow token.
    pub backend: Backend,
}

impl Target {
    /// A client that nobody else is.
    pub fn client(&self) -> Client {
        Client::https(self.https, fresh_address(), self.trust.clone())
    }
}

/// Somebody who registered and logged in.
pub struct Visitor {
    /// The user name.
    pub name: String,
    /// The password.
    pub password: &'static str,
}

impl Visitor {
    /// Somebody new.
    pub fn new() -> Self {
        Self {
            name: fresh_name("visitor"),
            password: "correct horse battery staple",
        }
    }

    fn credentials(&self) -> Value {
        json!({ "username": self.name, "password": self.password })
    }

    /// The request that makes the account.
    pub fn register(&self) -> Request {
        Request::post_json("/register", &self.credentials())
    }

    /// The request that logs in.
    pub fn login(&self) -> Request {
        Request::post_json("/login", &self.credentials())
    }

    /// A guess at the password.
    pub fn guess(&self) -> Request {
        Request::post_json(
            "/login",
            &json!({ "username": self.name, "password": fresh_name("guess") }),
        )
    }
}

impl Default for Visitor {
    fn default() -> Self {
        Self::new()
    }
}

/// The token in a login's answer.
pub fn token_of(reply: &Reply) -> Outcome<String> {
    let token = reply.json()["access_token"].as_str().map(str::to_owned);
    token.ok_or_else(|| match (reply.code().as_deref(), reply.header("retry-after")) {
        (Some("client_banned" | "login_limited"), Some(seconds)) => {
            format!("this client is still banned from an earlier tour: try again in {seconds} s")
        }
        _ => format!("the login gave no token: {}", reply.brief()),
    })
}

/// An order that the policy takes.
pub fn good_order() -> Value {
    json!({ "items": [{ "sku": "ABC-1234", "qty": 2 }], "note": "ring twice" })
}

/// The same token with one letter of its signature changed; not the last, whose low bits may mean nothing.
pub fn forge(token: &str) -> String {
    let at = token.rfind('.').map_or(0, |dot| dot + 10);
    let forged = |(index, char): (usize, char)| match (index == at, char) {
        (true, 'A') => 'B',
        (true, _) => 'A',
        (false, char) => char,
    };
    token.chars().enumerate().map(forged).collect()
}

struct Tour<'a> {
    target: &'a Target,
    client: Client,
    table: Table,
}

/// Takes the whole tour. An error is something that the rest can't do without; wrong answers are in the table.
pub async fn take(target: &Target) -> Outcome<Table> {
    let mut tour = Tour {
        target,
        client: target.client(),
        table: Table::begin(),
    };
    let visitor = Visitor::new();
    let (token, second_token) = tour.accounts(&visitor).await?;
    tour.orders(&token).await?;
    tour.bodies(&token).await?;
    tour.requests(&token).await?;
    tour.plain_http().await?;
    tour.tokens(&token).await?;
    tour.logout(&token).await?;
    tour.quota(&second_token).await?;
    tour.passwords(&visitor).await?;
    Ok(tour.table)
}

impl Tour<'_> {
    async fn accounts(&mut self, visitor: &Visitor) -> Outcome<(String, String)> {
        self.ask("POST /register", &visitor.register(), "201").await?;
        let reply = self.ask("POST /login", &visitor.login(), "200").await?;
        let second = self.client.send(&visitor.login()).await?;
        Ok((token_of(&reply)?, token_of(&second)?))
    }

    async fn orders(&mut self, token: &str) -> Outcome<()> {
        let order = Request::post_json("/orders", &good_order()).bearer(token);
        let reply = self.ask("POST /orders", &order, "201").await?;
        let path = reply.header("location").unwrap_or("/orders/1").to_owned();
        self.ask(
            "GET /orders/{id}, the one just made",
            &Request::get(&path).bearer(token),
            "200",
        )
        .await?;
        self.ask("GET /orders", &Request::get("/orders").bearer(token), "200")
            .await
            .map(drop)
    }

    async fn bodies(&mut self, token: &str) -> Outcome<()> {
        let post = || Request::post("/orders").bearer(token);
        let no_quantity = json!({ "items": [{ "sku": "ABC-1234", "qty": 0 }] }).to_string();
        self.ask(
            "POST /orders, quantity 0",
            &post().json(&no_quantity),
            "400 body_invalid at /items/0/qty",
        )
        .await?;
        self.ask(
            "POST /orders, half a document",
            &post().json("{\"items\": ["),
            "400 json_malformed",
        )
        .await?;
        let twice = r#"{"items":[{"sku":"ABC-1234","qty":1,"qty":99}]}"#;
        self.ask(
            "POST /orders, one member twice",
            &post().json(twice),
            "400 json_duplicate",
        )
        .await?;
        let large = json!({ "items": good_order()["items"], "note": "x".repeat(20 << 10) }).to_string();
        self.ask(
            "POST /orders, 20 KiB where 16 are allowed",
            &post().json(&large),
            "413 body_too_large",
        )
        .await?;
        let text = post().header("content-type", "text/plain").body(b"two, please");
        self.ask("POST /orders, plain text", &text, "415 content_type")
            .await
            .map(drop)
    }

    async fn requests(&mut self, token: &str) -> Outcome<()> {
        let nameless = Request::get("/orders").without("user-agent").bearer(token);
        self.ask("GET /orders without a User-Agent", &nameless, "400 header_missing")
            .await?;
        let delete = Request::new("DELETE", "/orders").bearer(token);
        self.ask("DELETE /orders", &delete, "405 method_not_allowed").await?;
        self.ask(
            "GET /admin",
            &Request::get("/admin").bearer(token),
            "404 operation_unknown",
        )
        .await
        .map(drop)
    }

    async fn plain_http(&mut self) -> Outcome<()> {
        let plain = Client::http(self.target.http, self.client.source());
        let reply = plain.send(&Request::get("/orders")).await?;
        let location = reply.header("location").unwrap_or("nowhere");
        let agrees = reply.status == 301 && location.starts_with("https://");
        self.table.row(
            "GET http://…/orders",
            "301 to https",
            &format!("{} to {location}", reply.status),
            agrees,
        );
        let login = Request::post_json("/login", &json!({ "username": "someone", "password": "secret" }));
        let reply = plain.send(&login).await?;
        self.judge("POST http://…/login", "403 https_required", &reply);
        Ok(())
    }

    async fn tokens(&mut self, token: &str) -> Outcome<()> {
        let get = || Request::get("/orders");
        self.ask("GET /orders without a token", &get(), "401 token_missing")
            .await?;
        self.ask(
            "GET /orders, forged token",
            &get().bearer(&forge(token)),
            "401 token_signature",
        )
        .await?;
        let backend = &self.target.backend;
        let unsigned = backend.mint(&json!({ "key": "none" })).await?;
        let expired = backend
            .mint(&json!({ "iat": 1_000_000, "nbf": 1_000_000, "exp": 1_000_900 }))
            .await?;
        let reader = backend.mint(&json!({ "scope": "orders:read" })).await?;
        self.ask(
            "GET /orders, token without signature",
            &get().bearer(&unsigned),
            "401 token_algorithm",
        )
        .await?;
        self.ask(
            "GET /orders, expired token",
            &get().bearer(&expired),
            "401 token_expired",
        )
        .await?;
        let order = Request::post_json("/orders", &good_order()).bearer(&reader);
        self.ask("POST /orders, token may only read", &order, "403 token_scope")
            .await
            .map(drop)
    }

    async fn logout(&mut self, token: &str) -> Outcome<()> {
        self.ask("POST /logout", &Request::post("/logout").bearer(token), "204")
            .await?;
        let begun = Instant::now();
        // By id, so that asking again and again charges no narrow quota.
        let request = Request::get("/orders/1").bearer(token);
        let reply = loop {
            let reply = self.client.send(&request).await?;
            if reply.status == 401 || begun.elapsed() > Duration::from_secs(REVOCATION_SECONDS_MAX) {
                break reply;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        };
        let got = format!("{}, {} ms after the logout", reply.brief(), begun.elapsed().as_millis());
        let agrees = reply.brief() == "401 token_revoked";
        self.table
            .row("GET /orders/1, the same token", "401 token_revoked", &got, agrees);
        Ok(())
    }

    async fn quota(&mut self, token: &str) -> Outcome<()> {
        let client = self.target.client();
        let request = Request::get("/orders").bearer(token);
        let (mut passed, mut reply) = (0, client.send(&request).await?);
        while reply.status == 200 && passed < LIST_REQUESTS_MAX {
            passed += 1;
            reply = client.send(&request).await?;
        }
        let what = format!("GET /orders, after {passed} in one minute");
        self.judge(&what, "429 quota_exceeded", &reply);
        Ok(())
    }

    async fn passwords(&mut self, visitor: &Visitor) -> Outcome<()> {
        let guesser = self.target.client();
        let mut statuses = Vec::new();
        for _ in 0..WRONG_PASSWORDS {
            statuses.push(guesser.send(&visitor.guess()).await?.status);
        }
        let got: Vec<String> = statuses.iter().map(u16::to_string).collect();
        let agrees = statuses.iter().all(|status| *status == 401);
        self.table.row(
            "POST /login, five wrong passwords",
            "401, five times",
            &got.join(" "),
            agrees,
        );
        let reply = guesser.send(&visitor.guess()).await?;
        self.judge("POST /login, the sixth", "429 client_banned", &reply);
        let reply = guesser.send(&visitor.login()).await?;
        self.judge("POST /login, now the right one", "429 client_banned", &reply);
        Ok(())
    }

    async fn ask(&mut self, what: &str, request: &Request, expected: &str) -> Outcome<Reply> {
        let reply = self.client.send(request).await?;
        self.judge(what, expected, &reply);
        Ok(reply)
    }

    /// A row: what came must be what is expected, the headers that belong to it included.
    fn judge(&mut self, what: &str, expected: &str, reply: &Reply) {
        let mut brief = match (reply.code(), reply.status) {
            (Some(_), _) => reply.brief(),
            (None, 200..=299) => reply.status.to_string(),
            (None, _) => reply.brief(),
        };
        if let Some(at) = reply.json()["errors"][0]["at"]
            .as_str()
            .filter(|_| expected.contains(" at "))
        {
            brief = format!("{brief} at {at}");
        }
        let needed = match reply.status {
            401 => Some("www-authenticate"),
            405 => Some("allow"),
            429 => Some("retry-after"),
            _ => None,
        };
        let field = needed.and_then(|name| Some((name, reply.header(name)?)));
        let agrees = brief == expected && needed.is_some() == field.is_some();
        let shown = match field {
            // Long, and always the same.
            Some(("www-authenticate", _)) | None => String::new(),
            Some((name, value)) => format!(" ({name}: {value})"),
        };
        self.table.row(what, expected, &format!("{brief}{shown}"), agrees);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forged_token_differs_in_one_letter_of_the_signature() {
        let token = "head.body.signature-of-some-length";
        assert_eq!(forge(token), "head.body.signatureAof-some-length");
        assert_eq!(forge(&forge(token)), "head.body.signatureBof-some-length");
    }
}
