//! The engine's part in revocation: who asks, in which words, and what an answer teaches.

use super::Engine;
use crate::callout::{Answer, Callout};
use crate::guard::revocation::answers::{self, Claim, Ending};
use crate::guard::revocation::breaker::{Breaker, Standing};
use crate::guard::revocation::clearance::Mark;
use crate::guard::revocation::feed::Follower;
use crate::guard::revocation::introspection::{About, Heard, Word};
use crate::guard::revocation::status_list::lists::{Lists, Verify};
use crate::guard::revocation::status_list::{Issuer, List};
use crate::guard::revocation::{Failure, Introspection, Learnt, Source, Told};
use crate::guard::token::KeySource;
use crate::host::{Counter, Gauge, Host, Level};
use crate::knowledge::{Need, Secret};
use crate::rate::Instant;
use crate::store::{Fingerprint, Table, Use};
use std::rc::Rc;
use std::time::Duration;

impl Learnt {
    fn breaker(&mut self, source: Source) -> &mut Breaker {
        match source {
            Source::Lookup => &mut self.lookup_breaker,
            Source::Introspection => &mut self.introspection_breaker,
        }
    }
}

impl Engine {
    /// Who is to ask for what is needed. What belongs to no source of revocation is asked by this worker.
    pub fn claim(&self, host: &dyn Host, need: &Need) -> Claim {
        let source = match need {
            Need::Keys(provider) => {
                let Some(tokens) = &self.policy.tokens else {
                    return Claim::Nobody;
                };
                return self.knowledge.borrow_mut().claim_keys(host, tokens, *provider);
            }
            Need::FeedPoll => return Claim::Mine,
            Need::Feed => {
                let feed = self.policy.revocation.as_ref().and_then(|policy| policy.feed.as_ref());
                return feed.map_or(Claim::Nobody, |feed| {
                    Claim::Elsewhere(host.now().plus(feed.endpoint.timeout))
                });
            }
            Need::StatusList(provider, uri) => {
                let policy = self
                    .policy
                    .revocation
                    .as_ref()
                    .and_then(|policy| policy.status_list.as_ref());
                let key = (*provider, Rc::clone(uri));
                let claim = policy
                    .and_then(|policy| self.with_lists(host, |lists, verify| lists.claim(host, policy, &key, verify)));
                return claim.unwrap_or(Claim::Nobody);
            }
            Need::Revocation(_) => Source::Lookup,
            Need::Introspection(_) => Source::Introspection,
        };
        let now = host.now();
        if !self.revocation.borrow_mut().breaker(source).admits(now) {
            return Claim::Nobody;
        }
        let claim = match self.question(need) {
            Some((table, timeout, question)) => {
                let serves = |ending| self.serves(host, need, ending);
                answers::claim(table, host, timeout, question, serves)
            }
            None => Claim::Mine,
        };
        // What another worker asks is no probe of this one's breaker.
        if claim == Claim::Mine {
            self.with_breaker(host, source, |breaker| breaker.asked(now));
        }
        claim
    }

    /// Whether this ending of a question is an answer that saves asking it anew.
    fn serves(&self, host: &dyn Host, need: &Need, ending: Ending) -> bool {
        let (Ending::Told { revoked, asked }, Some(policy)) = (ending, &self.policy.revocation) else {
            return false;
        };
        let now = host.now();
        match (need, &policy.lookup, &policy.introspection) {
            (Need::Revocation(_), Some(lookup), _) => now >= asked && now.since(asked) < lookup.cache,
            (Need::Introspection(token), _, Some(introspection)) => {
                let key = self.knowledge.borrow().hash(&token.0);
                let told = self.hear_of(host, &token.0, revoked, asked);
                let learnt = self.revocation.borrow();
                // Never beyond its token's end.
                let last = learnt.heard.last(key).filter(|_| told);
                last.is_some_and(|heard| heard.serves(introspection.cache, now))
            }
            _ => false,
        }
    }

    /// How a question that another worker asks has ended; `None` while it is at it.
    pub fn heard(&self, host: &dyn Host, need: &Need) -> Option<bool> {
        if let Need::Keys(provider) = need {
            let Some(tokens) = &self.policy.tokens else {
                return Some(false);
            };
            return self.knowledge.borrow_mut().heard_keys(host, tokens, *provider);
        }
        if *need == Need::Feed {
            let learnt = self.revocation.borrow();
            return learnt.feed.as_ref().is_some_and(Follower::is_loaded).then_some(true);
        }
        if let Need::StatusList(provider, uri) = need {
            return self.with_lists(host, |lists, verify| {
                lists.heard(host, &(*provider, Rc::clone(uri)), verify)
            })?;
        }
        let Some((table, _, question)) = self.question(need) else {
            return Some(false);
        };
        let ending = answers::ending(table, host, question)?;
        Some(match (need, ending) {
            (Need::Introspection(token), Ending::Told { revoked, asked }) => {
                self.hear_of(host, &token.0, revoked, asked)
            }
            (_, ending) => ending != Ending::Untold,
        })
    }

    /// A question's name in the table, and how long its answer may take; `None` for what is not asked about one token.
    fn question(&self, need: &Need) -> Option<(&Table, Duration, Fingerprint)> {
        let (table, policy) = (self.table.as_ref()?, self.policy.revocation.as_ref()?);
        match need {
            Need::Revocation(path) => {
                let lookup = policy.lookup.as_ref()?;
                Some((table, lookup.endpoint.timeout, answers::name(table, lookup, path)))
            }
            Need::Introspection(token) => {
                let timeout = policy.introspection.as_ref()?.endpoint.timeout;
                let name = self.revocation.borrow().shelf.as_ref()?.name(&token.0).0.to_le_bytes();
                let name = table.fingerprint(Use::Revocation, &[b"introspecting", &name]);
                Some((table, timeout, name))
            }
            _ => None,
        }
    }

    /// Uses a breaker and shows where it stands if that has changed.
    fn with_breaker<T>(&self, host: &dyn Host, source: Source, act: impl FnOnce(&mut Breaker) -> T) -> T {
        let mut learnt = self.revocation.borrow_mut();
        let breaker = learnt.breaker(source);
        let before = breaker.standing();
        let result = act(breaker);
        let after = breaker.standing();
        if before != after {
            let value = match after {
                Standing::Closed => 0,
                Standing::HalfOpen => 1,
                Standing::Open => 2,
            };
            host.measure(Gauge::Breaker(source), value);
            if before == Standing::Closed {
                host.count(Counter::BreakerOpened);
            }
        }
        result
    }

    pub(super) fn lookup_callout(&self, path: &str) -> Option<Callout> {
        let lookup = self.policy.revocation.as_ref()?.lookup.as_ref()?;
        Some(Callout::get(&lookup.endpoint, path.to_owned()))
    }

    pub(super) fn introspection_callout(&self, token: &Secret) -> Option<Callout> {
        let introspection = self.policy.revocation.as_ref()?.introspection.as_ref()?;
        Some(introspection.callout(&token.0))
    }

    /// Notes that a question goes out.
    pub(super) fn revocation_asked(&self, host: &dyn Host, need: &Need) {
        let now = host.now();
        match need {
            Need::Keys(_) | Need::Feed => {}
            Need::FeedPoll => host.count(Counter::FeedPolled),
            Need::StatusList(provider, uri) => {
                if let Some(lists) = &mut self.revocation.borrow_mut().lists {
                    lists.note_fetch(&(*provider, Rc::clone(uri)), now);
                }
                host.count(Counter::StatusListAsked);
            }
            Need::Revocation(_) => {
                if let Some((_, _, question)) = self.question(need) {
                    self.revocation.borrow_mut().answers.note_question(question, now);
                }
                host.count(Counter::RevocationAsked);
            }
            Need::Introspection(token) => {
                let key = self.knowledge.borrow().hash(&token.0);
                self.revocation.borrow_mut().introspecting.insert(key, now);
                host.count(Counter::Introspected);
            }
        }
    }

    /// Takes in what a source answered; whether it told something.
    pub(super) fn learn_revocation(&self, host: &dyn Host, need: &Need, answer: Option<&Answer>) -> bool {
        let (source, told) = match need {
            Need::Keys(_) | Need::Feed => return false,
            Need::FeedPoll => return self.learn_feed(host, answer),
            Need::StatusList(provider, uri) => {
                let key = (*provider, Rc::clone(uri));
                let told = self.with_lists(host, |lists, verify| lists.learn(host, &key, answer, verify).is_ok());
                if told != Some(true) {
                    host.count(Counter::RevocationFailed);
                }
                return told == Some(true);
            }
            Need::Revocation(_) => (Source::Lookup, self.learn_answer(host, need, answer)),
            Need::Introspection(token) => (
                Source::Introspection,
                self.learn_introspection(host, need, &token.0, answer),
            ),
        };
        self.with_breaker(host, source, |breaker| match told {
            Err(Failure::Silence) => breaker.failed(host.now()),
            Ok(()) | Err(Failure::Nonsense) => breaker.succeeded(),
        });
        if told.is_err() {
            host.count(Counter::RevocationFailed);
        }
        told.is_ok()
    }

    fn learn_answer(&self, host: &dyn Host, need: &Need, answer: Option<&Answer>) -> Result<(), Failure> {
        let lookup = self
            .policy
            .revocation
            .as_ref()
            .and_then(|policy| policy.lookup.as_ref());
        let (Some((table, _, question)), Some(lookup)) = (self.question(need), lookup) else {
            return Err(Failure::Nonsense);
        };
        let told = lookup.read(answer);
        let answers = &mut self.revocation.borrow_mut().answers;
        answers.learn(table, host, lookup, question, told.ok());
        told.map(|_| ())
    }

    fn introspection(&self) -> Option<&Introspection> {
        self.policy.revocation.as_ref()?.introspection.as_ref()
    }

    /// What an answer says of a token that was asked about then.
    fn read_introspection(
        &self,
        host: &dyn Host,
        token: &[u8],
        answer: Option<&Answer>,
        asked: Instant,
    ) -> Told<Heard> {
        let now = host.now();
        let known = self.knowledge.borrow().good_token(token, now);
        let about = About {
            token,
            provider: known.map(|verified| verified.provider),
            asked,
        };
        let (Some(introspection), Some(tokens)) = (self.introspection(), &self.policy.tokens) else {
            return Err(Failure::Nonsense);
        };
        introspection.read(answer, tokens, &about, now)
    }

    fn learn_introspection(&self, host: &dyn Host, need: &Need, token: &[u8], answer: Option<&Answer>) -> Told<()> {
        let key = self.knowledge.borrow().hash(token);
        let asked = self.revocation.borrow_mut().introspecting.remove(&key);
        let asked = asked.unwrap_or_else(|| host.now());
        let heard = self.read_introspection(host, token, answer, asked);
        let told = heard.as_ref().map(|heard| heard.word == Word::Inactive);
        if let (Some(shelf), Some(answer), Ok(inactive)) = (&self.revocation.borrow().shelf, answer, told) {
            let name = shelf.name(token);
            if !inactive {
                shelf.put(host, name, asked, &answer.body);
            } else if shelf.take_back(host, name, asked, &answer.body) {
                Mark::advance(host);
            }
        }
        // Last: whoever hears that there is an answer finds it. Where the store fails, it stays with this worker, and that
        // was counted.
        if let Some((table, timeout, question)) = self.question(need) {
            let until = answers::awaited_until(asked, timeout);
            let _ = answers::settle(table, host, question, told.ok(), asked, until);
        }
        self.revocation.borrow_mut().heard.insert(key, heard?);
        Ok(())
    }

    /// Takes over what another worker heard of a token when it asked then; whether that was still there.
    fn hear_of(&self, host: &dyn Host, token: &[u8], inactive: bool, asked: Instant) -> bool {
        let key = self.knowledge.borrow().hash(token);
        if inactive {
            let heard = &mut self.revocation.borrow_mut().heard;
            heard.insert(key, Heard::inactive(asked));
            return true;
        }
        self.take_from_shelf(host, token, key);
        let learnt = self.revocation.borrow();
        learnt.heard.last(key).is_some_and(|heard| heard.learnt >= asked)
    }

    /// Takes over what is on the shelf of a token, if it is later than what this worker knows.
    fn take_from_shelf(&self, host: &dyn Host, token: &[u8], key: u128) {
        let shelved = {
            let learnt = self.revocation.borrow();
            let last = learnt.heard.last(key).map(|heard| heard.learnt);
            let found = learnt
                .shelf
                .as_ref()
                .and_then(|shelf| shelf.read(host, shelf.name(token)));
            found.filter(|found| found.asked <= host.now() && last.is_none_or(|last| last < found.asked))
        };
        let Some(shelved) = shelved else { return };
        let answer = Answer::of(200, &[("content-type", "application/json")], shelved.body);
        if let Ok(heard) = self.read_introspection(host, token, Some(&answer), shelved.asked) {
            self.revocation.borrow_mut().heard.insert(key, heard);
        }
    }

    fn learn_feed(&self, host: &dyn Host, answer: Option<&Answer>) -> bool {
        let mut learnt = self.revocation.borrow_mut();
        let Some(feed) = &mut learnt.feed else { return false };
        let before = feed.is_failing();
        let told = feed.learn(host, answer).is_ok();
        if !told {
            host.count(Counter::RevocationFailed);
        }
        match (before, feed.problem()) {
            // Once for each time that it fails, and once when it is well again, whatever the polls between.
            (false, Some(problem)) => {
                host.log(Level::Warn, &format!("the revocation feed can't be used: {problem}"));
            }
            (true, None) => host.log(Level::Info, "the revocation feed can be used again"),
            _ => {}
        }
        self.measure_feed(host, feed);
        told
    }

    /// Follows the feed and says whether it is this worker's turn to poll.
    pub(super) fn feed_due(&self, host: &dyn Host) -> bool {
        let Some(policy) = self.policy.revocation.as_ref().and_then(|policy| policy.feed.as_ref()) else {
            return false;
        };
        let mut learnt = self.revocation.borrow_mut();
        let Some(feed) = &mut learnt.feed else { return false };
        // Cells that can't be read leave a feed that grows old.
        let due = feed.follow(host).and_then(|()| feed.claim(host, policy));
        self.measure_feed(host, feed);
        due.unwrap_or(false)
    }

    /// Follows the feed if other workers know more than this one.
    pub(crate) fn level_feed(&self, host: &dyn Host) {
        if let Some(feed) = &mut self.revocation.borrow_mut().feed
            && feed.is_behind(host)
        {
            // Cells that can't be read leave a feed that grows old.
            let _ = feed.follow(host);
        }
    }

    /// Uses the lists, with what verifies one by the keys that this worker has.
    fn with_lists<T>(&self, host: &dyn Host, act: impl FnOnce(&mut Lists, &Verify<'_>) -> T) -> Option<T> {
        let knowledge = self.knowledge.borrow();
        let verify = |position: usize, text: &[u8], uri: &str, asked: Instant, now: Instant| {
            let tokens = self.policy.tokens.as_ref().ok_or(Failure::Nonsense)?;
            let provider = tokens.providers.get(position).ok_or(Failure::Nonsense)?;
            let keys = match &provider.keys {
                KeySource::Inline(set) => Some(set.as_ref()),
                KeySource::Remote(_) => knowledge.key_set(tokens, position, now),
            };
            let issuer = Issuer {
                provider,
                keys: keys.ok_or(Failure::Nonsense)?,
                signatures: self.signatures(host),
            };
            List::read(text, uri, &issuer, asked, now)
        };
        self.revocation
            .borrow_mut()
            .lists
            .as_mut()
            .map(|lists| act(lists, &verify))
    }

    /// The lists that are to be fetched anew, having taken over what others have fetched.
    pub(super) fn lists_due(&self, host: &dyn Host) -> Vec<Need> {
        let due = self
            .with_lists(host, |lists, verify| lists.due(host, verify))
            .unwrap_or_default();
        due.into_iter()
            .map(|(provider, uri)| Need::StatusList(provider, uri))
            .collect()
    }

    fn measure_feed(&self, host: &dyn Host, feed: &mut Follower) {
        let age = feed.age(host.now()).as_secs();
        let entries = u64::try_from(feed.len()).unwrap_or(u64::MAX);
        if feed.take_changed((age, entries)) {
            host.measure(Gauge::FeedAge, age);
            host.measure(Gauge::FeedEntries, entries);
        }
    }

    pub(super) fn feed_callout(&self) -> Option<Callout> {
        let policy = self.policy.revocation.as_ref()?.feed.as_ref()?;
        Some(self.revocation.borrow().feed.as_ref()?.callout(policy))
    }

    /// The last that introspection said of a token, to whichever worker; `mark` was read before.
    pub(crate) fn introspected(&self, host: &dyn Host, token: &[u8], mark: Option<Mark>) -> Option<Heard> {
        let cache = self.introspection()?.cache;
        let key = self.knowledge.borrow().hash(token);
        let settled = mark.and_then(|mark| {
            let learnt = self.revocation.borrow();
            let heard = learnt.heard.settled(key, mark)?;
            heard.serves(cache, host.now()).then(|| heard.clone())
        });
        if settled.is_some() {
            return settled;
        }
        self.take_from_shelf(host, token, key);
        let learnt = self.revocation.borrow();
        if let Some(mark) = mark {
            learnt.heard.note_mark(key, mark);
        }
        learnt.heard.last(key).cloned()
    }
}
