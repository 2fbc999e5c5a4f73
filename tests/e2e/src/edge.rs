//! Envoy's admin interface: readiness and counters.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use crate::Outcome;
use crate::client::Client;
use crate::message::{Reply, Request};

/// Every counter and gauge by its full name.
pub type Stats = BTreeMap<String, u64>;

/// A client of the admin interface.
#[derive(Clone)]
pub struct Edge {
    client: Client,
    https: u16,
}

/// What shows that no VM was lost: how many were ever made and what marks a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VmMarks {
    /// `wasm.envoy.wasm.runtime.v8.created`.
    pub created: u64,
    /// Counters of reloads, tried or done, that are not zero, by name.
    pub reloads: Stats,
}

impl Edge {
    /// Of the interface at `admin`, whose HTTPS listener has this port.
    pub fn new(admin: SocketAddr, https: u16) -> Self {
        Self {
            client: Client::http(admin, Ipv4Addr::LOCALHOST),
            https,
        }
    }

    /// Fails unless Envoy says that it is live.
    pub async fn check_ready(&self) -> Outcome<()> {
        self.ask("/ready").await.map(drop)
    }

    /// Counters and gauges whose name matches a regular expression.
    pub async fn stats(&self, filter: &str) -> Outcome<Stats> {
        let reply = self.ask(&format!("/stats?filter={filter}")).await?;
        let text = String::from_utf8_lossy(&reply.body);
        let lines = text.lines().filter_map(|line| line.split_once(": "));
        Ok(lines
            .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
            .collect())
    }

    /// One counter or gauge; 0 if there is none of that name yet.
    pub async fn counter(&self, name: &str) -> Outcome<u64> {
        let escaped = name.replace('.', "%5C.");
        let stats = self.stats(&format!("^{escaped}$")).await?;
        Ok(stats.get(name).copied().unwrap_or(0))
    }

    /// The module's own counters, without their common prefix: `denied.token_expired`, `allowed`.
    pub async fn module_counters(&self) -> Outcome<Stats> {
        const PREFIX: &str = "wasmcustom.portcullis.";
        let stats = self.stats("^wasmcustom%5C.portcullis%5C.").await?;
        Ok(stats
            .into_iter()
            .filter_map(|(name, value)| Some((name.strip_prefix(PREFIX)?.to_owned(), value)))
            .collect())
    }

    /// How many connections each worker of the HTTPS listener has had, by the worker's number.
    pub async fn worker_connections(&self) -> Outcome<Vec<u64>> {
        let stats = self.stats("^listener%5C..*worker_.*%5C.downstream_cx_total$").await?;
        let port = format!("_{}.worker_", self.https);
        let mut workers = BTreeMap::new();
        for (name, value) in &stats {
            let number = name
                .split_once(&port)
                .and_then(|(_, rest)| rest.split('.').next()?.parse::<u32>().ok());
            if let Some(number) = number {
                workers.insert(number, *value);
            }
        }
        Ok(workers.into_values().collect())
    }

    /// The state of the VMs.
    pub async fn vm_marks(&self) -> Outcome<VmMarks> {
        let stats = self.stats("^wasm%5C.").await?;
        let created = stats.get("wasm.envoy.wasm.runtime.v8.created").copied().unwrap_or(0);
        let reloads = stats
            .into_iter()
            .filter(|(name, value)| *value > 0 && name.contains(".vm_reload"))
            .collect();
        Ok(VmMarks { created, reloads })
    }

    async fn ask(&self, path: &str) -> Outcome<Reply> {
        let asked = self.client.send(&Request::get(path)).await;
        let reply = asked.map_err(|error| format!("Envoy's admin interface: {error}"))?;
        if reply.status == 200 {
            Ok(reply)
        } else {
            Err(format!("Envoy's admin {path}: {}", reply.brief()))
        }
    }
}
