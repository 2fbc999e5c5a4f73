//! A real OpenID provider: `oidc-provider` in Node.js, on the port that webdis would have, so that the module reaches it by
//! the cluster `revocations`. `tests/e2e/provider/server.mjs` says what it can be told.

use std::net::Ipv4Addr;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::Client;
use crate::message::{Reply, Request};
use crate::ports::loopback;
use crate::process::Process;
use crate::stack::Stack;
use crate::{Outcome, places, until};

const START_SECONDS_MAX: u64 = 30;
// `app` and its secret, as server.mjs has them.
const CREDENTIALS: &str = "Basic YXBwOmElMjBzZWNyZXQlMjBvZiUyMHRoZSUyMHRlc3Rz";

/// The provider, while it runs.
#[derive(Debug)]
pub struct Provider {
    process: Process,
    door: Door,
}

/// A client of the provider.
#[derive(Clone, Copy, Debug)]
pub struct Door {
    port: u16,
}

impl Provider {
    /// Starts it with new keys and waits until it serves.
    pub async fn start(stack: &Stack) -> Outcome<Self> {
        let directory = places::provider()?;
        let port = stack.ports.webdis;
        let mut command = Command::new(places::on_path("node")?);
        command.arg(places::root().join("tests/e2e/provider/server.mjs"));
        command.arg(port.to_string()).arg(directory);
        let mut process = Process::start("provider", command, stack.directory(), None)?;
        let door = Door { port };
        let limit = Duration::from_secs(START_SECONDS_MAX);
        let ready = until("the provider's start", limit, async || door.asked().await).await;
        ready.map_err(|fault| format!("{fault}\n{}", process.check_running().err().unwrap_or_default()))?;
        Ok(Self { process, door })
    }

    /// Its door.
    pub fn door(&self) -> Door {
        self.door
    }

    /// Stops it; its keys are gone.
    pub fn stop(&mut self) {
        self.process.stop();
    }
}

impl Door {
    /// The section of a policy that makes it an issuer of this stack.
    pub fn policy(self, refresh: &str) -> Value {
        json!({
            "issuer": format!("http://127.0.0.1:{}", self.port), "audiences": ["orders-api"], "profile": "at+jwt",
            "algorithms": ["RS256", "PS256", "ES256", "EdDSA"],
            "jwks": { "cluster": "revocations", "authority": format!("127.0.0.1:{}", self.port),
                      "discovery": "/.well-known/openid-configuration", "refresh": refresh, "timeout": "1s" },
            "claims_to_headers": { "x-user": "sub" },
        })
    }

    /// An access token under this algorithm, in lower case, for this audience.
    pub async fn token(self, algorithm: &str, audience: &str) -> Outcome<String> {
        self.token_for(&format!("https://{algorithm}.{audience}.example")).await
    }

    /// An access token for this resource (RFC 8707).
    pub async fn token_for(self, resource: &str) -> Outcome<String> {
        let form = format!("grant_type=client_credentials&scope=orders:read&resource={resource}");
        let request = Request::post("/token")
            .header("authorization", CREDENTIALS)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.as_bytes());
        let reply = self.ask(&request).await?;
        let token = reply.json()["access_token"].as_str().map(str::to_owned);
        token.ok_or_else(|| format!("the provider gave no token: {}", reply.brief()))
    }

    /// Revokes a token that is no JWT (RFC 7009).
    pub async fn revoke(self, token: &str) -> Outcome<()> {
        let request = Request::post("/token/revocation")
            .header("authorization", CREDENTIALS)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("token={token}").as_bytes());
        self.ask(&request).await.map(drop)
    }

    /// New keys sign from now on; so many generations of old ones stay in the set.
    pub async fn rotate(self, keep: u32) -> Outcome<()> {
        self.ask(&Request::post(&format!("/test/rotate?keep={keep}")))
            .await
            .map(drop)
    }

    /// How it answers for its keys.
    pub async fn set_mood(self, mood: &str) -> Outcome<()> {
        self.ask(&Request::post(&format!("/test/mood?is={mood}")))
            .await
            .map(drop)
    }

    /// How often it was asked for its keys or where they are.
    pub async fn asked(self) -> Outcome<u64> {
        let reply = self.ask(&Request::get("/test/asked")).await?;
        let text = String::from_utf8_lossy(&reply.body);
        text.parse().map_err(|_| format!("the provider: {}", reply.brief()))
    }

    async fn ask(self, request: &Request) -> Outcome<Reply> {
        let client = Client::http(loopback(self.port), Ipv4Addr::LOCALHOST);
        let asked = client.send(request).await;
        let reply = asked.map_err(|fault| format!("the provider: {fault}"))?;
        if reply.status == 200 {
            Ok(reply)
        } else {
            Err(format!("the provider's {}: {}", request.path, reply.brief()))
        }
    }
}
