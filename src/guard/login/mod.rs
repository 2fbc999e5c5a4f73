//! Login attempts: reserved when the request comes in, refunded when the backend answers otherwise than a failure.
//!
//! So a hundred parallel guesses are a hundred attempts. A client's attempts decide who gets in and who is banned; a
//! refusal that comes only from attempts still under way starts no ban. A success gives back its own attempt and nothing
//! more. Beside them, the account's attempts by all clients ([`account`]) and the accounts that a client tried
//! ([`accounts`]). Narrow limits are charged first, and what one refuses is charged to none.
//!
//! `policy` is what is configured, `reserve` what a request takes, `settle` what an answer gives back, `waits` what a refusal
//! says about when to come again; each limit's own arithmetic stands in `client`, `account` and `accounts`. Here is what an
//! attempt is, and where its records stand.
#![deny(clippy::arithmetic_side_effects)]

pub mod account;
pub mod accounts;
mod client;
pub mod name;
mod policy;
mod reserve;
#[cfg(test)]
mod scene;
mod settle;
mod waits;

pub use client::{BanPolicy, BanScope};
pub use policy::{AccountPolicy, Failure, LoginPolicy};
pub use settle::Outcome;

use crate::client::Client;
use crate::rate::Instant;
use crate::store::{Fingerprint, Record, StoreError, Table, Use, View};
use account::From;
use client::Attempts;
use std::time::Duration;

/// Why an attempt is not let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    Banned(Duration),
    /// Over the client's limit, in part by attempts still under way.
    Limited(Duration),
    /// The client tried too many accounts.
    Spraying(Duration),
    /// The account was tried too often.
    Account(Duration),
    Store(StoreError),
}

/// An attempt under way, to be settled once.
#[derive(Debug, PartialEq, Eq)]
pub struct Reservation {
    attempts: Fingerprint,
    tried: Fingerprint,
    accounts: Vec<Named>,
}

/// An account of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Named {
    account: Fingerprint,
    pair: Fingerprint,
    /// Among the accounts that a client tried.
    mark: u16,
    /// Whether this attempt took a unit of the client's accounts.
    noted: bool,
    from: From,
}

/// The end of the ban that a slot of this kind tells of, for whoever looks through the table.
pub fn banned_until(kind: u8, record: &Record) -> Option<Instant> {
    (kind == Use::Login.kind()).then(|| Attempts::of(Some(*record)).banned_until)
}

impl LoginPolicy {
    pub fn key(&self, table: &Table, client: Client) -> Fingerprint {
        table.holder(&client.key()).record(Use::Login)
    }

    /// How long a client is still banned, if it is. Writes only what had to be cut.
    pub fn ban_left(&self, view: &mut View, key: Fingerprint, now: Instant) -> Option<Duration> {
        let record = view.find(key)?;
        let found = Attempts::of(Some(record));
        let mut attempts = found;
        attempts.cut(self, now);
        if attempts != found
            && let Some(place) = view.look(key)
        {
            view.put(place, attempts.record(self));
        }
        attempts.ban_left(now)
    }

    fn named(&self, table: &Table, client: Client, names: &[String]) -> Reservation {
        let client = client.key();
        let holder = table.holder(&client);
        let named = names.iter().map(|name| {
            let pair = table.fingerprint_at(holder.home, Use::Pair, &[&client, name.as_bytes()]);
            Named {
                account: table.fingerprint(Use::Account, &[name.as_bytes()]),
                pair,
                mark: pair.mark(),
                noted: false,
                from: From::Shared,
            }
        });
        Reservation {
            attempts: holder.record(Use::Login),
            tried: holder.record(Use::Accounts),
            accounts: named.collect(),
        }
    }
}
