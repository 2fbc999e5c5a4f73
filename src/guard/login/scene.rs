//! A client that logs in, for the tests of this guard: five attempts in fifteen minutes, then bans of fifteen.

use super::{BanPolicy, BanScope, Failure, LoginPolicy, Outcome, Refusal, Reservation};
use crate::client::{Client, Prefixes};
use crate::guard::OnError;
use crate::host::memory::MemoryHost;
use crate::operation::Router;
use crate::rate::Rate;
use crate::store::Table;
use std::time::Duration;

pub fn policy() -> LoginPolicy {
    LoginPolicy {
        operations: Router::default(),
        client: Rate::new(5, Duration::from_secs(900), 5),
        refunds: Rate::new(100, Duration::from_secs(900), 100),
        account: None,
        accounts: None,
        ban: BanPolicy {
            first: Duration::from_secs(900),
            factor: 2,
            longest: Duration::from_secs(3000),
            forget: Duration::from_secs(86_400),
            scope: BanScope::Login,
        },
        failure: Failure {
            statuses: [400, 401, 403, 422].into(),
            header: Some(("x-login".into(), "failed".into())),
        },
        on_error: OnError::Deny,
        mode: None,
    }
}

pub struct Scene {
    pub host: MemoryHost,
    pub table: Table,
    pub policy: LoginPolicy,
    pub client: Client,
}

impl Scene {
    pub fn new() -> Self {
        let host = MemoryHost::default();
        let table = Table::open(&host, 1 << 20).unwrap();
        let client = Prefixes { ipv4: 32, ipv6: 64 }.client("192.0.2.1".parse().unwrap());
        let policy = policy();
        Self {
            host,
            table,
            policy,
            client,
        }
    }

    pub fn reserve(&self) -> Result<Reservation, Refusal> {
        self.policy.reserve(&self.table, &self.host, self.client, &[])
    }

    pub fn settle(&self, reservation: Reservation, outcome: Outcome) {
        self.policy.settle(&self.table, &self.host, &reservation, outcome);
    }

    pub fn fail(&self, times: u32) {
        for _ in 0..times {
            self.settle(self.reserve().unwrap(), Outcome::Count);
        }
    }

    pub fn pass(&self, seconds: u64) {
        self.host.advance(Duration::from_secs(seconds));
    }
}

pub const fn banned(seconds: u64) -> Result<Reservation, Refusal> {
    Err(Refusal::Banned(Duration::from_secs(seconds)))
}
