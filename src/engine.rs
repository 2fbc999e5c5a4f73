//! One configuration at work in one VM: the policy, the table and what this worker has learnt. Every pipeline has a
//! share of it.

mod revocation;

use crate::callout::{Answer, Callout};
use crate::guard::login;
use crate::guard::revocation::Learnt;
use crate::host::{Counter, Host, HostError, Level};
use crate::jose::{Proved, Signatures};
use crate::knowledge::{Knowledge, Need};
use crate::policy::Policy;
use crate::store::{Table, shared_key};
use std::cell::RefCell;

#[derive(Debug)]
pub struct Engine {
    pub policy: Policy,
    pub(crate) table: Option<Table>,
    pub(crate) knowledge: RefCell<Knowledge>,
    pub(crate) revocation: RefCell<Learnt>,
    /// What the host checks of signatures.
    proved: Proved,
}

impl Engine {
    /// Sets a policy to work.
    ///
    /// # Errors
    /// If the host can't keep the table's cells.
    pub fn new(policy: Policy, host: &dyn Host) -> Result<Self, HostError> {
        let table = if policy.asks_store() {
            Some(Table::open(host, policy.store_bytes)?)
        } else {
            None
        };
        // Without remote keys and a table, workers share nothing.
        let key = match &table {
            Some(table) => *table.key(),
            None if policy.fetches_keys() => shared_key(host)?,
            None => host.random(),
        };
        let tokens = policy.tokens.as_ref().filter(|tokens| tokens.ask_host);
        let proved = tokens.map(|_| Proved::by(host)).unwrap_or_default();
        Ok(Self {
            proved,
            knowledge: RefCell::new(Knowledge::open(host, key, policy.tokens.as_ref())?),
            revocation: RefCell::new(Learnt::open(policy.revocation.as_ref(), key, host)?),
            policy,
            table,
        })
    }

    /// Who checks signatures.
    pub(crate) const fn signatures<'h>(&self, host: &'h dyn Host) -> Signatures<'h> {
        Signatures {
            host,
            proved: self.proved,
        }
    }

    /// Looks through a part of the table, for what is measured of it.
    pub fn survey(&self, host: &dyn Host) {
        if let Some(table) = &self.table {
            table.survey(host, login::banned_until);
        }
    }

    /// What is due to be asked unasked, such as keys at start.
    pub fn due(&self, host: &dyn Host) -> Vec<Need> {
        let mut needs = Vec::new();
        if let Some(tokens) = &self.policy.tokens {
            let mut knowledge = self.knowledge.borrow_mut();
            knowledge.take_over_keys(host, tokens);
            needs.extend(knowledge.keys_due(host.now()).into_iter().map(Need::Keys));
        }
        if self.feed_due(host) {
            needs.push(Need::FeedPoll);
        }
        needs.extend(self.lists_due(host));
        needs
    }

    /// The callout that tells what is needed; `None` if nothing does.
    pub fn callout(&self, need: &Need) -> Option<Callout> {
        match need {
            Need::Keys(provider) => {
                let tokens = self.policy.tokens.as_ref()?;
                self.knowledge.borrow().keys_callout(tokens, *provider)
            }
            Need::Revocation(path) => self.lookup_callout(path),
            Need::Introspection(token) => self.introspection_callout(token),
            Need::FeedPoll => self.feed_callout(),
            Need::Feed => None,
            Need::StatusList(_, uri) => self.policy.revocation.as_ref()?.status_list.as_ref()?.callout(uri),
        }
    }

    /// Notes that a callout is under way.
    pub fn asked(&self, host: &dyn Host, need: &Need) {
        match need {
            // Noted when it was claimed.
            Need::Keys(_) => {}
            _ => self.revocation_asked(host, need),
        }
    }

    /// Takes in the answer to a callout, or that there was none; whether it told what was needed.
    pub fn learn(&self, host: &dyn Host, need: &Need, answer: Option<&Answer>) -> bool {
        match need {
            Need::Keys(provider) => {
                let Some(tokens) = &self.policy.tokens else {
                    return false;
                };
                let learnt = self.knowledge.borrow_mut().learn_keys(host, tokens, *provider, answer);
                host.count(if learnt.is_ok() {
                    Counter::KeysFetched
                } else {
                    Counter::KeysFailed
                });
                if let Err(problem) = learnt {
                    // Fetches are five seconds apart, so this does not flood the log.
                    let issuer = tokens.providers.get(*provider).map_or("", |p| p.issuer.as_str());
                    host.log(
                        Level::Warn,
                        &format!("the keys of {issuer} could not be fetched: {problem}"),
                    );
                }
                learnt.is_ok()
            }
            _ => self.learn_revocation(host, need, answer),
        }
    }
}
