//! The configuration's `login`, and what it calls a failed login.

use super::BanPolicy;
use super::settle::Outcome;
use crate::guard::OnError;
use crate::json::pointer::Pointer;
use crate::operation::Router;
use crate::rate::Rate;
use crate::verdict::Mode;

/// The configuration's `login`. Its rates are of whole milliseconds, since its records are.
#[derive(Debug, Clone)]
pub struct LoginPolicy {
    pub operations: Router<()>,
    /// Attempts of one client.
    pub client: Rate,
    /// Attempts that are given back to one client: a looser bound on guesses whose answers the policy does not know for
    /// failures.
    pub refunds: Rate,
    pub account: Option<AccountPolicy>,
    /// Accounts that one client may fail with, in whole seconds.
    pub accounts: Option<Rate>,
    pub ban: BanPolicy,
    pub failure: Failure,
    pub on_error: OnError,
    pub mode: Option<Mode>,
}

/// `login.account`.
#[derive(Debug, Clone)]
pub struct AccountPolicy {
    pub rate: Rate,
    /// Where accounts are named in the body; all that are there count.
    pub from: Vec<Pointer>,
}

/// What makes a backend's answer a failed login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub statuses: Vec<u16>,
    /// A header field and its value.
    pub header: Option<(String, String)>,
}

impl LoginPolicy {
    /// Whether the body of a login must be read.
    pub fn asks_body(&self) -> bool {
        self.account.is_some()
    }

    /// What a backend's answer means; `header` gives the values of a response field.
    pub fn outcome(&self, status: u16, header: impl Fn(&str) -> Vec<Vec<u8>>) -> Outcome {
        let named = self
            .failure
            .header
            .as_ref()
            .is_some_and(|(name, value)| header(name).iter().any(|found| found == value.as_bytes()));
        match status {
            500.. => Outcome::Refund,
            _ if named || self.failure.statuses.contains(&status) => Outcome::Count,
            200..=399 => Outcome::Success,
            _ => Outcome::Refund,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::login::scene::policy;

    #[test]
    fn a_backend_failure_is_no_failed_login_and_a_header_can_tell() {
        let policy = policy();
        let none = |_: &str| Vec::new();
        for (status, outcome) in [
            (200, Outcome::Success),
            (302, Outcome::Success),
            (401, Outcome::Count),
            (422, Outcome::Count),
            (500, Outcome::Refund),
            (404, Outcome::Refund),
        ] {
            assert_eq!(policy.outcome(status, none), outcome, "{status}");
        }
        let failed = |name: &str| {
            if name == "x-login" {
                vec![b"failed".to_vec()]
            } else {
                Vec::new()
            }
        };
        assert_eq!(policy.outcome(200, failed), Outcome::Count);
        assert_eq!(policy.outcome(503, failed), Outcome::Refund);
    }
}
