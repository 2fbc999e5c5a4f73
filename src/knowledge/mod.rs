//! What one worker has learnt and may forget: keys, and tokens that were good. (What it knows of revocations is in
//! `crate::guard::revocation`.)
//!
//! Everything here is bounded and belongs to one VM; what all workers must agree on is in `crate::store`.

mod keys;
mod recent;
mod tokens;
mod waiting;

pub(crate) use recent::Recent;

use crate::callout::{Answer, Callout};
use crate::guard::revocation::answers::Claim;
use crate::guard::token::{KeyEndpoint, KeySource, Provider, TokenPolicy, Wanted};
use crate::host::{Host, HostError};
use crate::jose::{KeySet, Verified};
use crate::rate::Instant;
use crate::store::checksum;
use crate::verdict::Reason;
use keys::{FETCH_INTERVAL, Keys, Learnt};
use std::fmt;
use std::rc::Rc;
use std::time::Duration;
use tokens::Tokens;
pub(crate) use waiting::Place;

/// Something a request waits for that a callout can tell. Requests with equal needs share one callout.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Need {
    /// The keys of the provider at this position.
    Keys(usize),
    /// The answer to this path of the revocation lookup.
    Revocation(String),
    /// What introspection says of this token.
    Introspection(Secret),
    /// The first whole feed, whichever worker gets it.
    Feed,
    /// The next part of the feed, for all workers.
    FeedPoll,
    /// A token status list: the position of the provider whose tokens name it, and its address.
    StatusList(usize, Rc<str>),
}

impl Need {
    /// Whether it is about a request's token being revoked.
    pub fn is_revocation(&self) -> bool {
        !matches!(self, Self::Keys(_) | Self::FeedPoll)
    }
}

/// A token: it is compared and sent, and never shown.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(pub Rc<[u8]>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// Beyond the interval and the callout's own time, how long a request waits for a key: another worker's lease.
const WAIT_SLACK: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub struct Knowledge {
    /// For keyed hashes, so that a client can't choose who collides.
    key: [u8; 16],
    /// One for each provider; `None` where the keys are in the configuration.
    keys: Vec<Option<Keys>>,
    tokens: Tokens,
}

/// What is known of a token that came before.
#[derive(Debug)]
pub enum Known {
    Good(Rc<Verified>),
    Bad(Reason),
    /// Nothing; with the name to remember it by.
    Nothing(u128),
}

/// What can be hoped for a token whose key is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hope {
    /// The issuer has no such key.
    None,
    /// Its keys can't be had.
    Unavailable,
    /// A fetch may bring it.
    Wait,
}

/// The keys of a provider that are fetched, with the rules for them.
fn remote<'p>(
    policy: &'p TokenPolicy,
    keys: &'p mut [Option<Keys>],
    position: usize,
) -> Option<(&'p Provider, &'p KeyEndpoint, &'p mut Keys)> {
    let provider = policy.providers.get(position)?;
    let KeySource::Remote(endpoint) = &provider.keys else {
        return None;
    };
    Some((provider, endpoint, keys.get_mut(position)?.as_mut()?))
}

impl Knowledge {
    /// `key` is the workers' shared one.
    ///
    /// # Errors
    /// If the host can't keep cells.
    pub fn open(host: &dyn Host, key: [u8; 16], policy: Option<&TokenPolicy>) -> Result<Self, HostError> {
        let mut keys = Vec::new();
        for (position, provider) in policy.iter().flat_map(|policy| policy.providers.iter().enumerate()) {
            keys.push(match &provider.keys {
                KeySource::Inline(_) => None,
                KeySource::Remote(endpoint) => {
                    let position = u8::try_from(position).map_err(|_| HostError("too many providers"))?;
                    Some(Keys::open(host, key, position, provider, endpoint)?)
                }
            });
        }
        let mut knowledge = Self {
            key,
            keys,
            tokens: Tokens::default(),
        };
        // What other workers, or a configuration before, have fetched.
        if let Some(policy) = policy {
            knowledge.take_over_keys(host, policy);
        }
        Ok(knowledge)
    }

    /// 128 bits: two tokens with one hash would be one token.
    pub(crate) fn hash(&self, bytes: &[u8]) -> u128 {
        checksum(&self.key, &[bytes])
    }

    pub fn key_set(&self, policy: &TokenPolicy, provider: usize, now: Instant) -> Option<&KeySet> {
        let KeySource::Remote(endpoint) = &policy.providers.get(provider)?.keys else {
            return None;
        };
        self.keys.get(provider)?.as_ref()?.set(endpoint, now)
    }

    pub fn token(&self, token: &[u8], now: Instant) -> Known {
        let hash = self.hash(token);
        if let Some(verified) = self.tokens.good(hash, now) {
            return Known::Good(verified);
        }
        self.tokens.bad(hash, now).map_or(Known::Nothing(hash), Known::Bad)
    }

    /// A token that was good and has not ended since.
    pub fn good_token(&self, token: &[u8], now: Instant) -> Option<Rc<Verified>> {
        self.tokens.good(self.hash(token), now)
    }

    pub fn remember_good(&mut self, hash: u128, verified: Rc<Verified>) {
        self.tokens.remember_good(hash, verified);
    }

    pub fn remember_bad(&mut self, hash: u128, reason: Reason, now: Instant) {
        self.tokens.remember_bad(hash, reason, now);
    }

    /// Takes over the keys that other workers have fetched since.
    pub fn take_over_keys(&mut self, host: &dyn Host, policy: &TokenPolicy) {
        for position in 0..self.keys.len() {
            if let Some((provider, endpoint, keys)) = remote(policy, &mut self.keys, position)
                && keys.take_over(host, provider, endpoint) == Some(Learnt::New)
            {
                // A key may have been withdrawn: every token is looked at again.
                self.tokens.clear();
            }
        }
    }

    /// The providers whose keys are due for a fetch.
    pub fn keys_due(&self, now: Instant) -> Vec<usize> {
        let due = |(position, keys): (usize, &Option<Keys>)| keys.as_ref()?.is_due(now).then_some(position);
        self.keys.iter().enumerate().filter_map(due).collect()
    }

    /// Who is to fetch a provider's keys.
    pub fn claim_keys(&mut self, host: &dyn Host, policy: &TokenPolicy, provider: usize) -> Claim {
        if let Some(Some(keys)) = self.keys.get_mut(provider) {
            keys.listen();
        }
        // Another worker may have fetched them since this one's last tick.
        self.take_over_keys(host, policy);
        match remote(policy, &mut self.keys, provider) {
            Some((_, endpoint, keys)) => keys.claim(host, endpoint, host.now()),
            None => Claim::Nobody,
        }
    }

    /// How what this worker listens for has ended; `None` while it has not.
    pub fn heard_keys(&mut self, host: &dyn Host, policy: &TokenPolicy, provider: usize) -> Option<bool> {
        let Some(Some(keys)) = self.keys.get(provider) else {
            return Some(false);
        };
        // Looked at first: what a fetch has published before it ended is then taken over.
        let ended = keys.has_ended(host, host.now());
        self.take_over_keys(host, policy);
        let told = matches!(self.keys.get(provider), Some(Some(keys)) if keys.has_news());
        (told || ended).then_some(told)
    }

    pub fn keys_callout(&self, policy: &TokenPolicy, provider: usize) -> Option<Callout> {
        let KeySource::Remote(endpoint) = &policy.providers.get(provider)?.keys else {
            return None;
        };
        Some(self.keys.get(provider)?.as_ref()?.callout(endpoint))
    }

    /// Takes a provider's keys from the answer to a fetch; what can't be used leaves the old ones.
    ///
    /// # Errors
    /// What is wrong with the answer, for the log.
    pub fn learn_keys(
        &mut self,
        host: &dyn Host,
        policy: &TokenPolicy,
        provider: usize,
        answer: Option<&Answer>,
    ) -> Result<(), &'static str> {
        let Some((rules, endpoint, keys)) = remote(policy, &mut self.keys, provider) else {
            return Err("the provider's keys are not fetched");
        };
        if keys.learn(host, rules, endpoint, answer)? == Learnt::New {
            self.tokens.clear();
        }
        Ok(())
    }

    /// What can be hoped at `now` for a token that came at `since`, whose provider has no set of keys.
    pub fn hope_for_keys(&self, policy: &TokenPolicy, provider: usize, since: Instant, now: Instant) -> Hope {
        let rules = policy.providers.get(provider).map(|provider| &provider.keys);
        let (Some(KeySource::Remote(endpoint)), Some(Some(keys))) = (rules, self.keys.get(provider)) else {
            return Hope::None;
        };
        hope(keys, endpoint, since, now)
    }

    /// What can be hoped at `now` for a token that came at `since`, and is under a key that its provider's set lacks.
    pub fn hope_for_key(&mut self, policy: &TokenPolicy, wanted: &Wanted, since: Instant, now: Instant) -> Hope {
        let name = self.name(wanted);
        let Some((rules, endpoint, keys)) = remote(policy, &mut self.keys, wanted.provider) else {
            return Hope::None;
        };
        // The word of a token that is not verified: it can only make its refusal come sooner.
        let known = wanted
            .issued
            .is_some_and(|issued| keys.know_of(issued, rules.claims.clock_skew));
        if keys.are_newer_than(since) {
            keys.note_missing(name);
            Hope::None
        } else if (known && keys.set(endpoint, now).is_some()) || keys.are_known_to_lack(name, now) {
            Hope::None
        } else {
            hope(keys, endpoint, since, now)
        }
    }

    /// A place for a request that waits for a key; `None` if too many wait.
    pub(crate) fn admit(&mut self, wanted: &Wanted) -> Option<Place> {
        let name = self.name(wanted);
        self.keys.get_mut(wanted.provider)?.as_mut()?.admit(name)
    }

    fn name(&self, wanted: &Wanted) -> u128 {
        // Keys without a name are as one.
        self.hash(wanted.key_id.as_deref().unwrap_or_default().as_bytes())
    }
}

/// What can be hoped for whoever came at `since` and needs other keys than there are.
fn hope(keys: &Keys, endpoint: &KeyEndpoint, since: Instant, now: Instant) -> Hope {
    let longest = FETCH_INTERVAL
        .saturating_add(endpoint.service.timeout)
        .saturating_add(WAIT_SLACK);
    if keys.are_newer_than(since) {
        Hope::None
    } else if keys.failed_since(since) || now >= since.plus(longest) {
        Hope::Unavailable
    } else {
        Hope::Wait
    }
}
