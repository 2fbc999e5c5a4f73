//! A configuration compiled: everything that the guards ask, nothing that they don't.

use crate::client::{Networks, Prefixes};
use crate::config::ConfigError;
use crate::guard::login::LoginPolicy;
use crate::guard::quota::{By, Fields, Quota};
use crate::guard::requests::RequestPolicy;
use crate::guard::revocation::RevocationPolicy;
use crate::guard::threats::ThreatPolicy;
use crate::guard::token::{KeySource, TokenPolicy};
use crate::operation::{Operation, Router};
use crate::reply::Style;
use crate::verdict::Mode;

/// The whole configuration. A guard that is `None` is off.
#[derive(Debug)]
pub struct Policy {
    pub mode: Mode,
    pub clients: Clients,
    /// On if `requests`, `operations` or `openapi` is there.
    pub requests: Option<RequestPolicy>,
    pub operations: Vec<Operation>,
    /// From method and path to a position in `operations`.
    pub router: Router<usize>,
    pub quotas: Vec<Quota>,
    pub threats: Option<ThreatPolicy>,
    pub login: Option<LoginPolicy>,
    pub tokens: Option<TokenPolicy>,
    pub revocation: Option<RevocationPolicy>,
    pub style: Style,
    /// Which fields of answers tell where a client stands.
    pub rate_limit_fields: Fields,
    pub hold: Hold,
    /// What the table may cost all workers together.
    pub store_bytes: u64,
    /// What is written and not enforced, for the operator.
    pub warnings: Vec<ConfigError>,
}

/// The configuration's `clients`.
#[derive(Debug)]
pub struct Clients {
    pub prefixes: Prefixes,
    /// Never counted or banned.
    pub exempt: Networks,
    pub deny: Networks,
    pub mode: Option<Mode>,
}

/// How a request is kept from the backend until the verdict (`requests.hold`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hold {
    /// The head stops too; needs the filter's `allow_on_headers_stop_iteration`.
    #[default]
    StopIteration,
    /// The head goes on to a buffer filter that stands after this one.
    BufferFilter,
}

impl Policy {
    /// Whether any guard asks anything at all. A section that is new has to be named here before it compiles.
    pub fn asks_anything(&self) -> bool {
        let Self {
            mode: _,
            clients,
            requests,
            operations: _,
            router: _,
            quotas,
            threats,
            login,
            tokens,
            revocation,
            style: _,
            rate_limit_fields: _,
            hold: _,
            store_bytes: _,
            warnings: _,
        } = self;
        !clients.deny.is_empty()
            || requests.is_some()
            || !quotas.is_empty()
            || threats.is_some()
            || login.is_some()
            || tokens.is_some()
            || revocation.is_some()
    }

    /// Whether any guard asks who the client is.
    pub fn asks_client(&self) -> bool {
        !self.clients.deny.is_empty() || !self.quotas.is_empty() || self.login.is_some()
    }

    /// Whether any guard asks for method and path.
    pub fn asks_target(&self) -> bool {
        self.requests.is_some() || self.login.is_some()
    }

    fn enforced(&self, mode: Option<Mode>) -> bool {
        mode.unwrap_or(self.mode) == Mode::Enforce
    }

    /// Whether an enforced guard other than `requests` goes by method and path.
    pub fn enforces_target(&self) -> bool {
        let by_operation = |quota: &Quota| quota.operations.is_some() || quota.by.contains(&By::Operation);
        self.login.as_ref().is_some_and(|login| self.enforced(login.mode))
            || self.tokens.as_ref().is_some_and(|tokens| self.enforced(tokens.mode))
            || self
                .quotas
                .iter()
                .any(|quota| by_operation(quota) && self.enforced(quota.mode))
    }

    /// Whether an enforced guard counts clients.
    pub fn enforces_client(&self) -> bool {
        self.login.as_ref().is_some_and(|login| self.enforced(login.mode))
            || self.quotas.iter().any(|quota| self.enforced(quota.mode))
    }

    /// Whether any guard remembers in the shared table.
    pub fn asks_store(&self) -> bool {
        !self.quotas.is_empty() || self.login.is_some() || self.revocation.is_some()
    }

    /// Whether the plugin needs a tick: to fetch keys, and to hear what other workers were answered.
    pub fn asks_tick(&self) -> bool {
        self.fetches_keys() || self.asks_store()
    }

    /// Whether any provider's keys are fetched.
    pub fn fetches_keys(&self) -> bool {
        let remote = |tokens: &TokenPolicy| tokens.providers.iter().any(|p| matches!(p.keys, KeySource::Remote(_)));
        self.tokens.as_ref().is_some_and(remote)
    }

    /// How often it is looked for what is due.
    pub fn tick_milliseconds(&self) -> u32 {
        // What a feed tells is late by up to a tick.
        let feed = self
            .revocation
            .as_ref()
            .is_some_and(|revocation| revocation.feed.is_some());
        if feed { 20 } else { 100 }
    }
}
