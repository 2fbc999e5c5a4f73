//! One worker's status lists: which it holds, when each is due, and what is shared with the other workers.
//!
//! A list that tokens ask for is fetched anew before it is too old, by the tick, so that no request waits for it but the
//! first. One worker fetches for all; what is shared is the signed token, so each worker verifies what it reads. Lists
//! that nobody asks for any more are let go.

use super::{ANSWER_BYTES_MAX, List, Reference, StatusListPolicy, token_of};
use crate::callout::Answer;
use crate::guard::revocation::Told;
use crate::guard::revocation::answers::Claim;
use crate::host::{Host, HostError, Topic};
use crate::rate::Instant;
use crate::store::document::{Document, Edition};
use crate::store::lease::{Fence, Lease, Taken};
use siphasher::sip::SipHasher13;
use std::cell::Cell;
use std::collections::HashMap;
use std::hash::Hasher;
use std::rc::Rc;
use std::time::Duration;

/// Lists that one worker holds; beyond them the one that was used longest ago goes.
const LISTS_MAX: usize = 16;

/// Inflated bytes that one worker holds in all lists.
const BYTES_MAX: usize = 32 << 20;

/// Shared places for lists, each for one at a time: lists that want the same place are fetched by every worker that needs
/// them. All places together hold at most 64 MiB, if every list is of the largest size.
const PLACES: u8 = 8;

/// Between two fetches of one list that failed.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Beyond a fetch's timeout, the time in which its answer must have been shared.
const CLAIM_SLACK: Duration = Duration::from_millis(500);

/// A list's key: the position of the token's provider, whose keys verify it, and the address.
pub type Key = (usize, Rc<str>);

/// Verifies the text of a list with a provider's keys: provider, text, address, when it was asked for, now.
pub type Verify<'v> = dyn Fn(usize, &[u8], &str, Instant, Instant) -> Told<List> + 'v;

#[derive(Debug, Default)]
struct Held {
    list: Option<List>,
    used: Cell<Instant>,
    /// When this worker last found no list that can be used.
    failed: Option<Instant>,
    /// When this worker's fetch that is out began, and its right to share what comes.
    asked: Option<Instant>,
    fence: Option<Fence>,
    /// What was last looked at in the list's place.
    seen: Edition,
    /// Whether it was taken over when it was to be asked for.
    taken: bool,
}

/// What a list says of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    Status {
        status: u8,
        /// Whether the list should have been fetched anew by now.
        stale: bool,
    },
    /// The list has no such index.
    Beyond,
    /// There is none that may be used. Whether it is worth asking now.
    Nothing { ask: bool },
}

/// See the module.
#[derive(Debug)]
pub struct Lists {
    key: [u8; 16],
    places: Vec<(Lease, Document)>,
    held: HashMap<Key, Held>,
}

fn age(since: Instant, now: Instant) -> Duration {
    if now < since { Duration::MAX } else { now.since(since) }
}

impl Lists {
    /// `key` is the one that all workers share.
    ///
    /// # Errors
    /// If the host can't keep cells.
    pub fn open(host: &dyn Host, key: [u8; 16]) -> Result<Self, HostError> {
        let holder = host.random();
        let place = |place| {
            let topic = Topic::StatusList(place);
            let lease = Lease::open(host, key, topic, holder)?;
            let most = ANSWER_BYTES_MAX.saturating_add(size_of::<u64>());
            Ok((lease, Document::open(host, key, topic, &[b"status list"], most)?))
        };
        Ok(Self {
            key,
            places: (0..PLACES).map(place).collect::<Result<_, HostError>>()?,
            held: HashMap::new(),
        })
    }

    fn name(&self, (provider, uri): &Key) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.key);
        hasher.write(b"status list");
        hasher.write_u64(u64::try_from(*provider).unwrap_or(u64::MAX));
        hasher.write(uri.as_bytes());
        hasher.finish()
    }

    fn place(&self, name: u64) -> Option<&(Lease, Document)> {
        self.places.get(usize::try_from(name % u64::from(PLACES)).ok()?)
    }

    /// What is known of a token's status. A list serves for its `ttl` and a fetch's time, or for `stale`, if that is
    /// longer; never beyond its own `exp`.
    pub fn says(
        &self,
        policy: &StatusListPolicy,
        stale: Duration,
        provider: usize,
        reference: &Reference,
        now: Instant,
    ) -> Says {
        let Some(held) = self.held.get(&(provider, Rc::from(reference.uri.as_str()))) else {
            return Says::Nothing { ask: true };
        };
        held.used.set(now);
        let resting = held.failed.is_some_and(|failed| age(failed, now) < RETRY_INTERVAL);
        let Some(list) = &held.list else {
            return Says::Nothing { ask: !resting };
        };
        let turn = list.ttl.saturating_add(policy.timeout).saturating_add(CLAIM_SLACK);
        let age = age(list.asked, now);
        if age > turn.max(stale) || list.expires.is_some_and(|expires| now >= expires) {
            return Says::Nothing { ask: !resting };
        }
        let status = list.status(reference.index);
        status.map_or(Says::Beyond, |status| Says::Status {
            status,
            stale: age > turn,
        })
    }

    /// Notes that a list is wanted, making room for it.
    fn want(&mut self, key: &Key, now: Instant) -> &mut Held {
        while self.held.len() >= LISTS_MAX && !self.held.contains_key(key) && self.let_go(None) {}
        let held = self.held.entry(key.clone()).or_default();
        held.used.set(now);
        held
    }

    /// Lets the list go that was used longest ago, but for `but`.
    fn let_go(&mut self, but: Option<&Key>) -> bool {
        let others = self.held.iter().filter(|(key, _)| Some(*key) != but);
        let oldest = others
            .min_by_key(|(_, held)| held.used.get())
            .map(|(key, _)| key.clone());
        oldest.and_then(|key| self.held.remove(&key)).is_some()
    }

    fn keep_within_bounds(&mut self, newest: &Key) {
        let total = |held: &HashMap<Key, Held>| -> usize {
            held.values()
                .filter_map(|held| held.list.as_ref().map(List::bytes))
                .sum()
        };
        while total(&self.held) > BYTES_MAX && self.let_go(Some(newest)) {}
    }

    /// Takes in what other workers have fetched, and says which lists are due; called at every tick.
    pub fn due(&mut self, host: &dyn Host, verify: &Verify<'_>) -> Vec<Key> {
        let now = host.now();
        let keys: Vec<Key> = self.held.keys().cloned().collect();
        for key in &keys {
            // A place that can't be read leaves a list that grows old.
            let _ = self.take_shared(host, key, verify);
        }
        let wanted = |held: &Held| {
            let ttl = held.list.as_ref().map_or(RETRY_INTERVAL, |list| list.ttl);
            age(held.used.get(), now) < ttl.saturating_mul(2)
        };
        self.held.retain(|_, held| held.asked.is_some() || wanted(held));
        let due = self.held.iter().filter(|(_, held)| held.is_due(now));
        due.map(|(key, _)| key.clone()).collect()
    }

    /// Takes a list over from another worker, if its is newer; whether it did.
    fn take_shared(&mut self, host: &dyn Host, key: &Key, verify: &Verify<'_>) -> Result<bool, HostError> {
        let name = self.name(key);
        let Some((_, document)) = self.place(name) else {
            return Ok(false);
        };
        let Some(seen) = self.held.get(key).map(|held| held.seen) else {
            return Ok(false);
        };
        let Some(published) = document.newer_than(host, seen)? else {
            return Ok(false);
        };
        let now = host.now();
        let Some(held) = self.held.get_mut(key) else {
            return Ok(false);
        };
        held.seen = published.edition;
        let Some((found, text)) = published.bytes.split_first_chunk::<8>() else {
            return Ok(false);
        };
        let newer = held.list.as_ref().is_none_or(|list| published.asked > list.asked);
        if u64::from_le_bytes(*found) != name || !newer || published.asked > now {
            return Ok(false);
        }
        // What can't be verified, such as with keys that this worker has yet to learn, is fetched anew.
        let Ok(list) = verify(key.0, text, &key.1, published.asked, now) else {
            return Ok(false);
        };
        held.list = Some(list);
        held.failed = None;
        self.keep_within_bounds(key);
        Ok(true)
    }

    /// Who is to fetch a list: nobody who can take it over from another worker, who hears of it at once.
    pub fn claim(&mut self, host: &dyn Host, policy: &StatusListPolicy, key: &Key, verify: &Verify<'_>) -> Claim {
        let now = host.now();
        self.want(key, now);
        let shared = self.take_shared(host, key, verify) == Ok(true);
        let held = self.want(key, now);
        if shared && held.list.as_ref().is_some_and(|list| list.is_fresh(now)) {
            held.taken = true;
            return Claim::Elsewhere(now);
        }
        let span = policy.timeout.saturating_add(CLAIM_SLACK);
        let taken = self
            .place(self.name(key))
            .map(|(lease, _)| lease.take(host, now, span, Duration::ZERO));
        let held = self.want(key, now);
        match taken {
            Some(Ok(Taken::Held(until) | Taken::TooSoon(until))) => return Claim::Elsewhere(until),
            Some(Ok(Taken::Yes(fence))) => held.fence = Some(fence),
            // Without cells nothing is shared, and this worker asks for itself.
            Some(Err(_)) | None => held.fence = None,
        }
        Claim::Mine
    }

    /// Whether a list that another worker fetches is there; `None` while it may be at it, for as long as the caller waits.
    pub fn heard(&mut self, host: &dyn Host, key: &Key, verify: &Verify<'_>) -> Option<bool> {
        if self
            .held
            .get_mut(key)
            .is_some_and(|held| std::mem::take(&mut held.taken))
        {
            return Some(true);
        }
        (self.take_shared(host, key, verify) == Ok(true)).then_some(true)
    }

    /// Notes that a fetch goes out.
    pub fn note_fetch(&mut self, key: &Key, now: Instant) {
        self.want(key, now).asked = Some(now);
    }

    /// Takes in the answer to a fetch, or that there was none, and shares it.
    ///
    /// # Errors
    /// A failure if it is no list that can be used; the old one stays.
    pub fn learn(&mut self, host: &dyn Host, key: &Key, answer: Option<&Answer>, verify: &Verify<'_>) -> Told<()> {
        let (name, now) = (self.name(key), host.now());
        let held = self.want(key, now);
        let (asked, fence) = (held.asked.take().unwrap_or(now), held.fence.take());
        let read = token_of(answer).and_then(|text| Ok((text, verify(key.0, text, &key.1, asked, now)?)));
        let told = match read {
            Ok((text, list)) => {
                held.list = Some(list);
                held.failed = None;
                Ok(text)
            }
            Err(failure) => {
                held.failed = Some(now);
                Err(failure)
            }
        };
        if told.is_ok() {
            self.keep_within_bounds(key);
        }
        if let (Some((lease, document)), Some(fence)) = (self.place(name), fence) {
            // What can't be shared, each worker fetches for itself; a lease that can't be given back ends by itself.
            if let Ok(text) = told {
                let _ = document.publish(host, fence, asked, &[&name.to_le_bytes(), text].concat());
            }
            let _ = lease.release(host, now, fence);
        }
        told.map(|_| ())
    }
}

impl List {
    /// Whether it is not to be fetched anew yet: nine tenths of its time are not over, and it has not ended.
    fn is_fresh(&self, now: Instant) -> bool {
        let ended = self.expires.is_some_and(|expires| now >= expires);
        !ended && age(self.asked, now) < self.ttl.saturating_mul(9) / 10
    }
}

impl Held {
    /// Fetched anew when it is not fresh any more, or a while after a fetch that failed.
    fn is_due(&self, now: Instant) -> bool {
        let Some(list) = &self.list else { return false };
        let rested = self.failed.is_none_or(|failed| age(failed, now) >= RETRY_INTERVAL);
        rested && self.asked.is_none() && !list.is_fresh(now)
    }
}
