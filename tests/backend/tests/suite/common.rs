//! A running service and a client for it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use demo_backend::revocations::{Answer, Revocations, Unavailable};
use demo_backend::{Config, Running, serve_with};
use http_body_util::BodyExt as _;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

pub const ORDER: &str = r#"{"items":[{"sku":"ABC-1234","qty":2}],"note":"soon"}"#;
pub const DEADLINE: Duration = Duration::from_secs(10);

pub fn config(redis: &str) -> Config {
    Config {
        listen: ([127, 0, 0, 1], 0).into(),
        admin: ([127, 0, 0, 1], 0).into(),
        redis: redis.to_owned(),
        issuer: "https://demo.portcullis.example".to_owned(),
        audience: "orders-api".to_owned(),
        token_seconds: 900,
    }
}

pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Reply {
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

pub struct Service {
    pub running: Running,
    client: Client<HttpConnector, Body>,
}

impl Service {
    pub async fn start(store: Arc<dyn Revocations>) -> Self {
        Self::of(serve_with(config("unused"), store).await.unwrap())
    }

    pub fn of(running: Running) -> Self {
        Self {
            running,
            client: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    /// Speaks HTTP/2 from the first byte, as Envoy may.
    pub fn with_http2(mut self) -> Self {
        self.client = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
        self
    }

    pub async fn send(&self, to: SocketAddr, call: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let (method, path) = call.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(format!("http://{to}{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let reply = tokio::time::timeout(DEADLINE, self.client.request(request))
            .await
            .unwrap()
            .unwrap();
        let (head, body) = reply.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        Reply {
            status: head.status,
            headers: head.headers,
            body,
        }
    }

    /// To the public listener: `"METHOD /path"`.
    pub async fn public(&self, call: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        self.send(self.running.public, call, headers, body).await
    }

    /// To the admin listener, which must say yes.
    pub async fn admin(&self, call: &str, body: &str) -> Value {
        let reply = self.send(self.running.admin, call, &[], body).await;
        assert!(reply.status.is_success(), "{call} {body}: {}", reply.status);
        if reply.body.is_empty() {
            Value::Null
        } else {
            reply.json()
        }
    }

    /// `/seen` once `ready` holds for it.
    pub async fn seen_when(&self, ready: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let seen = self.admin("GET /seen", "").await;
            if ready(&seen) {
                return seen;
            }
            assert!(start.elapsed() < DEADLINE, "still {seen}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// A store in memory that can be told to be down.
#[derive(Default)]
pub struct Memory {
    pub revoked: Mutex<Vec<(String, u64)>>,
    pub down: AtomicBool,
}

impl Memory {
    fn answer(&self) -> Result<(), Unavailable> {
        if self.down.load(Ordering::Relaxed) {
            Err(Unavailable)
        } else {
            Ok(())
        }
    }
}

impl Revocations for Memory {
    fn revoke<'a>(&'a self, jti: &'a str, seconds: u64) -> Answer<'a> {
        Box::pin(async move {
            self.answer()?;
            self.revoked.lock().unwrap().push((jti.to_owned(), seconds));
            Ok(())
        })
    }

    fn ping(&self) -> Answer<'_> {
        Box::pin(async move { self.answer() })
    }
}

/// With a store in memory.
pub async fn service() -> Service {
    Service::start(Arc::new(Memory::default())).await
}
