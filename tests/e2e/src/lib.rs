//! The end-to-end harness: a real Envoy with the module, the demo backend, Redis and webdis, all on loopback, and clients
//! that send what honest and hostile callers send.
//!
//! Scenarios are in `tests/`, one a file; each file starts one [`stack::Stack`] and runs its tests on it in order, apart by
//! source address. The demo's program (`src/bin/demo.rs`) starts the same stack on fixed ports and runs the [`tour`].
//! Errors are one line for whoever started the run, so they are plain strings.

use std::hash::{BuildHasher, RandomState};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

pub mod backend;
pub mod client;
pub mod crashing;
pub mod edge;
pub mod expect;
pub mod files;
pub mod message;
pub mod parts;
pub mod places;
pub mod policy;
pub mod ports;
pub mod process;
pub mod provider;
pub mod raw;
pub mod raw_h2;
pub mod source;
pub mod stack;
pub mod suite;
pub mod table;
pub mod tour;
pub mod trials;
mod variant;
pub mod vm;

/// A value, or one line that says why there is none.
pub type Outcome<T> = Result<T, String>;

/// A number that no other call gave; not for secrets.
pub fn random() -> u64 {
    RandomState::new().hash_one(0)
}

/// A random address of 127.0.0.0/8, but never 127.0.0.x: a client that nobody else is.
pub fn fresh_address() -> Ipv4Addr {
    let [a, b, c, ..] = random().to_le_bytes();
    Ipv4Addr::new(127, a.max(1), b, c.clamp(1, 254))
}

/// A user name that the demo's policy takes and nobody has.
pub fn fresh_name(start: &str) -> String {
    format!("{start}-{:010x}", random() >> 24)
}

/// Calls `attempt` until it gives a value, at most for `limit`; the last fault tells what was missing.
pub async fn until<T>(what: &str, limit: Duration, mut attempt: impl AsyncFnMut() -> Outcome<T>) -> Outcome<T> {
    let deadline = Instant::now() + limit;
    loop {
        match attempt().await {
            Ok(value) => return Ok(value),
            Err(fault) if Instant::now() >= deadline => {
                return Err(format!("{what}: not within {} s: {fault}", limit.as_secs()));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}
