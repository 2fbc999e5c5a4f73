//! What one worker has learnt and may forget: keys, and tokens that were good. (What it knows of revocations is in
//! `crate::guard::revocation`.)
//!
//! Everything here is bounded and belongs to one VM; what all workers must agree on is in `crate::store`.

use crate::callout::Answer;
use crate::guard::token::{Endpoint, KeySource, TokenPolicy};
use crate::jose::{KeySet, Verified};
use crate::json::{Limits, parse};
use crate::rate::Instant;
use siphasher::sip::SipHasher13;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::Hasher;
use std::rc::Rc;
use std::time::Duration;

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

/// The least time between two fetches of one key set, whatever tokens demand.
const KEY_FETCH_INTERVAL: Duration = Duration::from_secs(5);

/// Tokens and answers that are remembered, each; the oldest goes first.
const ENTRIES_MAX: usize = 8192;

/// Bytes of tokens whose verdicts are remembered: what is kept of a token is smaller than the token.
const TOKEN_BYTES_MAX: usize = 4 << 20;

/// A bounded map by keyed hash that forgets what was learnt first.
#[derive(Debug)]
pub(crate) struct Recent<T> {
    entries: HashMap<u128, (T, usize)>,
    order: VecDeque<u128>,
    weight: usize,
    weight_max: usize,
}

impl<T> Default for Recent<T> {
    /// Bounded by number alone.
    fn default() -> Self {
        Self::new(usize::MAX)
    }
}

impl<T> Recent<T> {
    pub(crate) fn new(weight_max: usize) -> Self {
        Self {
            entries: HashMap::new(),
            order: VecDeque::new(),
            weight: 0,
            weight_max,
        }
    }

    pub(crate) fn get(&self, key: u128) -> Option<&T> {
        self.entries.get(&key).map(|(value, _)| value)
    }

    pub(crate) fn insert(&mut self, key: u128, value: T, weight: usize) {
        match self.entries.insert(key, (value, weight)) {
            Some((_, old)) => self.weight = self.weight.saturating_sub(old),
            None => self.order.push_back(key),
        }
        self.weight = self.weight.saturating_add(weight);
        while self.entries.len() > ENTRIES_MAX || self.weight > self.weight_max {
            let Some(oldest) = self.order.pop_front() else { break };
            if let Some((_, weight)) = self.entries.remove(&oldest) {
                self.weight = self.weight.saturating_sub(weight);
            }
        }
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.order.clear();
        self.weight = 0;
    }
}

/// The keys of one provider, as fetched.
#[derive(Debug, Default)]
struct Keys {
    set: Option<Rc<KeySet>>,
    /// The last fetch that was started.
    asked: Option<Instant>,
    /// Whether its answer is still to come.
    under_way: bool,
    /// When the next one is due.
    due: Option<Instant>,
    /// The text that `set` was read from: an unchanged one changes nothing.
    text: Vec<u8>,
}

#[derive(Debug)]
pub struct Knowledge {
    /// For keyed hashes, so that a client can't choose who collides.
    key: [u8; 16],
    keys: Vec<Keys>,
    tokens: Recent<Rc<Verified>>,
}

impl Knowledge {
    pub fn new(key: [u8; 16], providers: usize) -> Self {
        let mut keys = Vec::new();
        keys.resize_with(providers, Keys::default);
        Self {
            key,
            keys,
            tokens: Recent::new(TOKEN_BYTES_MAX),
        }
    }

    /// 128 bits: two tokens with one hash would be one token.
    pub(crate) fn hash(&self, bytes: &[u8]) -> u128 {
        let half = |domain: u8| {
            let mut hasher = SipHasher13::new_with_key(&self.key);
            hasher.write_u8(domain);
            hasher.write(bytes);
            u128::from(hasher.finish())
        };
        half(0) << 64 | half(1)
    }

    pub fn key_set(&self, provider: usize) -> Option<&KeySet> {
        self.keys.get(provider)?.set.as_deref()
    }

    /// A token that was good and has not ended since.
    pub fn good_token(&self, token: &[u8], now: Instant) -> Option<Rc<Verified>> {
        let verified = self.tokens.get(self.hash(token))?;
        verified.ends.is_none_or(|ends| now < ends).then(|| Rc::clone(verified))
    }

    pub fn remember_token(&mut self, token: &[u8], verified: Rc<Verified>) {
        let weight = token.len().saturating_add(256);
        self.tokens.insert(self.hash(token), verified, weight);
    }

    /// Whether the last fetch of the provider's keys lies far enough back for another.
    fn may_fetch_keys(&self, provider: usize, now: Instant) -> bool {
        let asked = self.keys.get(provider).and_then(|keys| keys.asked);
        asked.is_none_or(|asked| now.since(asked) >= KEY_FETCH_INTERVAL)
    }

    /// Whether a token that needs other keys than there are can wait for them: they are being fetched, or may be.
    pub fn can_learn_keys(&self, provider: usize, now: Instant) -> bool {
        let under_way = self.keys.get(provider).is_some_and(|keys| keys.under_way);
        under_way || self.may_fetch_keys(provider, now)
    }

    /// The providers whose keys are due for a fetch.
    pub fn keys_due(&self, policy: &TokenPolicy, now: Instant) -> Vec<usize> {
        let remote = policy.providers.iter().zip(&self.keys).enumerate();
        let due = remote.filter(|(position, (provider, keys))| {
            matches!(provider.keys, KeySource::Remote(_))
                && keys.due.is_none_or(|due| now >= due)
                && self.may_fetch_keys(*position, now)
        });
        due.map(|(position, _)| position).collect()
    }

    /// Notes that a fetch was started.
    pub fn note_key_fetch(&mut self, provider: usize, now: Instant) {
        if let Some(keys) = self.keys.get_mut(provider) {
            keys.asked = Some(now);
            keys.under_way = true;
        }
    }

    /// Takes a provider's new keys from an answer; what can't be used leaves the old ones.
    ///
    /// # Errors
    /// What is wrong with the answer, for the log.
    pub fn learn_keys(
        &mut self,
        policy: &TokenPolicy,
        provider: usize,
        answer: Option<&Answer>,
        now: Instant,
    ) -> Result<(), &'static str> {
        let (Some(rules), Some(keys)) = (policy.providers.get(provider), self.keys.get_mut(provider)) else {
            return Err("no such provider");
        };
        keys.under_way = false;
        let KeySource::Remote(Endpoint { refresh, .. }) = &rules.keys else {
            return Err("the provider's keys are not fetched");
        };
        let answer = answer.ok_or("no answer")?;
        if answer.status != 200 {
            return Err("a status other than 200");
        }
        keys.due = Some(now.plus(*refresh));
        if keys.set.is_some() && keys.text == answer.body {
            return Ok(());
        }
        let value = parse(&answer.body, &Limits::FOREIGN);
        let set = value
            .map_err(|_| "a body that is not JSON")
            .and_then(|value| KeySet::parse(&value, &rules.algorithms));
        match set {
            Ok(set) => {
                keys.set = Some(Rc::new(set));
                keys.text.clone_from(&answer.body);
                // A key may have been withdrawn: every token is looked at again.
                self.tokens.clear();
                Ok(())
            }
            Err(problem) => {
                keys.due = Some(now.plus(KEY_FETCH_INTERVAL));
                Err(problem)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_bounded_by_number_and_weight() {
        let mut recent = Recent::new(100);
        for i in 0..1000_u32 {
            recent.insert(u128::from(i), i, 10);
            assert!(recent.weight <= 100 && recent.entries.len() == recent.order.len());
        }
        assert_eq!(
            (recent.get(999), recent.get(990), recent.get(989)),
            (Some(&999), Some(&990), None)
        );
        recent.insert(999, 1, 50);
        assert_eq!(recent.get(999), Some(&1));
        assert!(recent.weight <= 100);
        let mut many = Recent::new(usize::MAX);
        for i in 0..20_000_u32 {
            many.insert(u128::from(i), (), 1);
        }
        assert_eq!(many.entries.len(), ENTRIES_MAX);
    }
}
