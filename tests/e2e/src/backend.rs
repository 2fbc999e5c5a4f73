//! The demo backend's admin listener: what it has seen, tokens to order, keys to rotate, failures to script.

use std::net::{Ipv4Addr, SocketAddr};

use serde_json::{Value, json};

use crate::Outcome;
use crate::client::Client;
use crate::message::{Reply, Request, TEST_ID};

/// A client of the admin listener.
#[derive(Clone)]
pub struct Backend(Client);

impl Backend {
    /// Of the listener at `admin`.
    pub fn new(admin: SocketAddr) -> Self {
        Self(Client::http(admin, Ipv4Addr::LOCALHOST))
    }

    /// Fails unless it serves and Redis answers it.
    pub async fn check_health(&self) -> Outcome<()> {
        self.ask(&Request::get("/healthz"), 200).await.map(drop)
    }

    /// The requests that reached the public listener with this mark.
    pub async fn seen(&self, mark: &str) -> Outcome<Vec<Value>> {
        let all = self.seen_all().await?;
        let marked = |request: &&Value| request["headers"][TEST_ID] == json!([mark]);
        Ok(all.iter().filter(marked).cloned().collect())
    }

    /// The last thousand requests that reached the public listener, the module's own key fetches among them.
    pub async fn seen_all(&self) -> Outcome<Vec<Value>> {
        let reply = self.ask(&Request::get("/seen"), 200).await?;
        let all = reply.json()["requests"].as_array().cloned();
        all.ok_or_else(|| format!("the backend's /seen holds no requests: {}", reply.brief()))
    }

    /// Forgets what was seen.
    pub async fn reset(&self) -> Outcome<()> {
        self.ask(&Request::post("/seen/reset"), 204).await.map(drop)
    }

    /// A token: honest for `{}`, otherwise as ordered (claims to override or drop, `header`, `key`).
    pub async fn mint(&self, order: &Value) -> Outcome<String> {
        let reply = self.ask(&Request::post_json("/mint", order), 200).await?;
        let token = reply.json()["token"].as_str().map(str::to_owned);
        token.ok_or_else(|| format!("the backend's /mint gave no token: {}", reply.brief()))
    }

    /// A new signing key; the old one leaves the published set.
    pub async fn rotate_keys(&self) -> Outcome<()> {
        self.ask(&Request::post("/rotate-keys"), 200).await.map(drop)
    }

    /// The next `count` answers to `path` have this status.
    pub async fn fail(&self, path: &str, status: u16, count: u32) -> Outcome<()> {
        let order = json!({ "path": path, "status": status, "count": count });
        self.ask(&Request::post_json("/fail", &order), 204).await.map(drop)
    }

    /// The next `count` answers to `path` come so much later.
    pub async fn delay(&self, path: &str, milliseconds: u64, count: u32) -> Outcome<()> {
        let order = json!({ "path": path, "delay_ms": milliseconds, "count": count });
        self.ask(&Request::post_json("/fail", &order), 204).await.map(drop)
    }

    /// The next answer to `path` has these fields too.
    pub async fn add_fields(&self, path: &str, fields: &[(&str, &str)]) -> Outcome<()> {
        let order = json!({ "path": path, "headers": fields });
        self.ask(&Request::post_json("/fail", &order), 204).await.map(drop)
    }

    async fn ask(&self, request: &Request, status: u16) -> Outcome<Reply> {
        let reply = self
            .0
            .send(request)
            .await
            .map_err(|error| format!("the backend's admin listener: {error}"))?;
        if reply.status == status {
            Ok(reply)
        } else {
            Err(format!(
                "the backend's {} {}: {}",
                request.method,
                request.path,
                reply.brief()
            ))
        }
    }
}
