//! The key set of one provider, as one worker knows it: who fetches it, how old it is, and when another is due.
//!
//! One worker fetches for all, under a lease that also spaces the fetches, and publishes the document; the others take
//! it over. A failed fetch changes nothing but the time of the next; keys that were not confirmed for `stale` end.

use super::waiting::{Place, Waiting};
use crate::callout::{ANSWER_BYTES_MAX, Answer, Callout};
use crate::guard::revocation::answers::Claim;
use crate::guard::token::{KeyEndpoint, Provider};
use crate::host::{Host, HostError, Topic};
use crate::jose::KeySet;
use crate::json::{Limits, Value, parse};
use crate::rate::Instant;
use crate::store::document::{Document, Edition};
use crate::store::lease::{Fence, Lease, Taken};
use std::rc::Rc;
use std::time::Duration;

/// The least time between two fetches of one key set by all workers, whatever tokens demand.
pub const FETCH_INTERVAL: Duration = Duration::from_secs(5);

/// An issuer's `Cache-Control` shortens `refresh` to this and no further.
const REFRESH_LEAST: Duration = Duration::from_secs(30);

/// Beyond the callouts' timeouts, the time in which the answer must have been published.
const PUBLISH_SLACK: Duration = Duration::from_secs(1);

/// What of a refresh span passes before the next fetch, in percent: early, and no two workers or instances at once.
const EARLY_PERCENT: u32 = 80;
const JITTER_PERCENT: u32 = 15;

/// A document starts with the span of its freshness in seconds.
const SPAN_BYTES: usize = 4;

/// A fetch of this worker's.
#[derive(Debug, Clone, Copy)]
struct Fetch {
    fence: Fence,
    begun: Instant,
}

/// What this worker listens for while it does not ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listening {
    /// The answer to another worker's fetch.
    Answer,
    /// The time of the next fetch.
    Turn,
}

#[derive(Debug)]
pub struct Keys {
    lease: Lease,
    document: Document,
    edition: Edition,
    set: Option<Rc<KeySet>>,
    /// The text that `set` was read from: an unchanged one changes nothing.
    text: Vec<u8>,
    /// When the fetch that last confirmed `set` was begun.
    asked: Instant,
    due: Instant,
    fetch: Option<Fetch>,
    /// When the last fetch that failed here was begun.
    failed: Option<Instant>,
    listening: Listening,
    /// Whether keys were taken over since this worker listens.
    news: bool,
    /// Where discovery said that the keys are.
    discovered: Option<String>,
    /// From 0 to 255: this worker's place in the jitter.
    jitter: u8,
    waiting: Waiting,
}

/// What came of an answer or of another worker's document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learnt {
    /// The keys are as they were.
    Same,
    /// Other keys: verdicts on tokens may be others too.
    New,
    /// The place of the keys: they are to be fetched from there.
    Place,
}

impl Keys {
    /// # Errors
    /// If the host can't keep cells.
    pub fn open(
        host: &dyn Host,
        key: [u8; 16],
        position: u8,
        provider: &Provider,
        endpoint: &KeyEndpoint,
    ) -> Result<Self, HostError> {
        let holder = host.random();
        let topic = Topic::Keys(position);
        let identity = [
            provider.issuer.as_bytes(),
            endpoint.service.cluster.as_bytes(),
            endpoint.service.authority.as_bytes(),
            endpoint.service.path.as_bytes(),
        ];
        let bytes_max = ANSWER_BYTES_MAX.saturating_add(SPAN_BYTES);
        let [jitter, ..] = holder;
        Ok(Self {
            lease: Lease::open(host, key, topic, holder)?,
            document: Document::open(host, key, topic, &identity, bytes_max)?,
            edition: Edition::default(),
            set: None,
            text: Vec::new(),
            asked: Instant(0),
            due: Instant(0),
            fetch: None,
            failed: None,
            listening: Listening::Answer,
            news: false,
            discovered: None,
            jitter,
            waiting: Waiting::default(),
        })
    }

    /// The keys, unless they ended.
    pub fn set(&self, endpoint: &KeyEndpoint, now: Instant) -> Option<&KeySet> {
        let ends = self.asked.plus(endpoint.stale);
        self.set.as_deref().filter(|_| now < ends)
    }

    /// Whether the keys are of a fetch that was begun at `since` or later: what they lack, the issuer lacks.
    pub fn are_newer_than(&self, since: Instant) -> bool {
        self.set.is_some() && self.asked >= since
    }

    /// Whether a token that was issued then, as it says itself, came before the keys were fetched, clocks considered.
    pub fn know_of(&self, issued: Instant, skew: Duration) -> bool {
        self.set.is_some() && issued.plus(skew) < self.asked
    }

    /// A place for a request that waits for the key of this name; `None` if too many wait.
    pub(super) fn admit(&mut self, name: u128) -> Option<Place> {
        self.waiting.admit(name)
    }

    /// Notes that the keys lack the one of this name, although a request waited for a fetch to bring it.
    pub fn note_missing(&mut self, name: u128) {
        self.waiting.note_missing(name, self.asked);
    }

    /// Whether the keys are known to lack the one of this name, and it is too soon to fetch them for its sake.
    pub fn are_known_to_lack(&self, name: u128, now: Instant) -> bool {
        self.set.is_some() && self.waiting.is_missing(name, self.asked, FETCH_INTERVAL, now)
    }

    /// Whether it is time for a fetch.
    pub fn is_due(&self, now: Instant) -> bool {
        now >= self.due
    }

    /// From here on, what is taken over is news.
    pub fn listen(&mut self) {
        self.news = false;
    }

    /// Who is to fetch, after [`Keys::listen`] and a look at what others have published.
    pub fn claim(&mut self, host: &dyn Host, endpoint: &KeyEndpoint, now: Instant) -> Claim {
        let requests = if endpoint.discovers { 2 } else { 1 };
        let span = endpoint
            .service
            .timeout
            .saturating_mul(requests)
            .saturating_add(PUBLISH_SLACK);
        if self.fetch.is_some_and(|fetch| now < fetch.begun.plus(span)) {
            // The second request of a fetch.
            return Claim::Mine;
        }
        if self.news {
            // What is needed may be there; where it is not, whoever waits asks again.
            return Claim::Elsewhere(now);
        }
        let interval = FETCH_INTERVAL.min(endpoint.service.refresh);
        match self.lease.take(host, now, span, interval) {
            Ok(Taken::Yes(fence)) => {
                self.fetch = Some(Fetch { fence, begun: now });
                Claim::Mine
            }
            Ok(Taken::Held(until)) => {
                self.listening = Listening::Answer;
                Claim::Elsewhere(until)
            }
            Ok(Taken::TooSoon(next)) => {
                self.due = self.due.max(next);
                self.listening = Listening::Turn;
                // Who has keys waits for newer ones; who has none asked in vain a moment ago.
                if self.set(endpoint, now).is_some() {
                    Claim::Elsewhere(next)
                } else {
                    Claim::Nobody
                }
            }
            Err(HostError(_)) => Claim::Nobody,
        }
    }

    /// Whether another worker's fetch has ended: what it has published is there to be taken over, if anything.
    pub fn has_ended(&self, host: &dyn Host, now: Instant) -> bool {
        self.listening == Listening::Answer && !self.lease.is_held(host, now).unwrap_or(false)
    }

    /// Whether keys were taken over since [`Keys::listen`].
    pub fn has_news(&self) -> bool {
        self.news
    }

    /// Whether a fetch of this worker's that was begun at `since` or later failed.
    pub fn failed_since(&self, since: Instant) -> bool {
        self.failed.is_some_and(|failed| failed >= since)
    }

    /// The next request of a fetch.
    pub fn callout(&self, endpoint: &KeyEndpoint) -> Callout {
        let path = self.discovered.as_ref().unwrap_or(&endpoint.service.path);
        Callout::get(&endpoint.service, path.clone())
    }

    /// Takes over what another worker published; `None` if there is nothing new.
    pub fn take_over(&mut self, host: &dyn Host, provider: &Provider, endpoint: &KeyEndpoint) -> Option<Learnt> {
        let published = self.document.newer_than(host, self.edition).ok().flatten()?;
        self.edition = published.edition;
        self.news = true;
        let (span, text) = published.bytes.split_first_chunk::<SPAN_BYTES>()?;
        let span = Duration::from_secs(u32::from_le_bytes(*span).into());
        // A time ahead is a leftover of a clock that was set back.
        let asked = published.asked.min(host.now());
        self.take_in(provider, endpoint, text, span, asked).ok()
    }

    /// Takes in the answer to a fetch; what can't be used leaves the keys as they were.
    ///
    /// # Errors
    /// What is wrong with the answer, for the log.
    pub fn learn(
        &mut self,
        host: &dyn Host,
        provider: &Provider,
        endpoint: &KeyEndpoint,
        answer: Option<&Answer>,
    ) -> Result<Learnt, &'static str> {
        let now = host.now();
        let Some(fetch) = self.fetch else {
            return Err("an answer that was not asked for");
        };
        let result = self.read(provider, endpoint, answer, fetch);
        if let Ok((Learnt::Place, _)) = result {
            return Ok(Learnt::Place);
        }
        self.fetch = None;
        if let Ok((_, document)) = &result {
            // A worker that was overtaken publishes nothing; what the one that overtook it did is taken over at the next tick.
            let published = self.document.publish(host, fetch.fence, fetch.begun, document);
            if published.is_ok()
                && let Ok(Some(published)) = self.document.newer_than(host, self.edition)
                && published.asked == fetch.begun
            {
                self.edition = published.edition;
            }
        } else {
            self.discovered = None;
            self.failed = Some(fetch.begun);
            self.due = now.plus(FETCH_INTERVAL.min(endpoint.service.refresh));
        }
        // A lease that can't be given back ends by itself.
        let _ = self.lease.release(host, now, fetch.fence);
        result.map(|(learnt, _)| learnt)
    }

    fn read(
        &mut self,
        provider: &Provider,
        endpoint: &KeyEndpoint,
        answer: Option<&Answer>,
        fetch: Fetch,
    ) -> Result<(Learnt, Vec<u8>), &'static str> {
        let answer = answer.ok_or("no answer, or one that is too large")?;
        if answer.status != 200 {
            return Err("a status other than 200");
        }
        if !is_json(answer.content_type()) {
            return Err("a content type other than JSON");
        }
        if endpoint.discovers && self.discovered.is_none() {
            self.discovered = Some(place(provider, endpoint, &answer.body)?);
            return Ok((Learnt::Place, Vec::new()));
        }
        let span = freshness(answer, endpoint.service.refresh);
        let learnt = self.take_in(provider, endpoint, &answer.body, span, fetch.begun)?;
        let seconds = u32::try_from(span.as_secs()).unwrap_or(u32::MAX);
        Ok((learnt, [&seconds.to_le_bytes(), answer.body.as_slice()].concat()))
    }

    fn take_in(
        &mut self,
        provider: &Provider,
        endpoint: &KeyEndpoint,
        text: &[u8],
        span: Duration,
        asked: Instant,
    ) -> Result<Learnt, &'static str> {
        let learnt = if self.set.is_some() && self.text == text {
            Learnt::Same
        } else {
            let value = parse(text, &Limits::FOREIGN).map_err(|_| "a body that is not JSON")?;
            self.set = Some(Rc::new(KeySet::parse(&value, &provider.algorithms)?));
            self.text = text.to_vec();
            Learnt::New
        };
        self.asked = asked;
        let percent = EARLY_PERCENT.saturating_add(u32::from(self.jitter).saturating_mul(JITTER_PERCENT) / 255);
        let span = span.min(endpoint.service.refresh).saturating_mul(percent) / 100;
        self.due = asked.plus(span);
        Ok(learnt)
    }
}

/// `application/json`, `application/jwk-set+json` (RFC 7517 §8.5) and their like.
fn is_json(content_type: &[u8]) -> bool {
    let media = content_type.split(|b| *b == b';').next().unwrap_or_default();
    let media = media.trim_ascii().to_ascii_lowercase();
    media == b"application/json" || (media.starts_with(b"application/") && media.ends_with(b"+json"))
}

/// For how long an answer is fresh (RFC 9111 §5.2.2), within bounds.
fn freshness(answer: &Answer, refresh: Duration) -> Duration {
    let directives = answer.field("cache-control").unwrap_or_default();
    let directives = std::str::from_utf8(directives).unwrap_or_default().to_ascii_lowercase();
    let said = directives
        .split(',')
        .map(str::trim)
        .find_map(|directive| match directive {
            "no-store" | "no-cache" => Some(0),
            other => other.strip_prefix("max-age=")?.trim_matches('"').parse::<u32>().ok(),
        });
    said.map_or(refresh, |seconds| {
        Duration::from_secs(seconds.into()).clamp(REFRESH_LEAST.min(refresh), refresh)
    })
}

/// The path of the keys by OpenID Connect Discovery 1.0 §4.3; they are asked from the same cluster and authority, since a
/// document can't be let choose whom this filter asks.
fn place(provider: &Provider, endpoint: &KeyEndpoint, body: &[u8]) -> Result<String, &'static str> {
    let value = parse(body, &Limits::FOREIGN).map_err(|_| "a discovery document that is not JSON")?;
    let member = |name: &str| {
        value
            .as_object()
            .and_then(|object| object.get(name))
            .and_then(Value::as_str)
    };
    if member("issuer") != Some(provider.issuer.as_str()) {
        return Err("a discovery document of another issuer");
    }
    let uri = member("jwks_uri").ok_or("a discovery document without `jwks_uri`")?;
    let rest = uri.strip_prefix("https://").or_else(|| uri.strip_prefix("http://"));
    let path = rest.and_then(|rest| rest.strip_prefix(endpoint.service.authority.as_str()));
    let plain = |path: &&str| path.starts_with('/') && path.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
    path.filter(plain)
        .map(str::to_owned)
        .ok_or("a `jwks_uri` that is not of the configured authority")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn fresh(field: &str, refresh: u64, expected: u64) {
        let answer = Answer::of(200, &[("cache-control", field)], "");
        assert_eq!(
            freshness(&answer, Duration::from_secs(refresh)),
            Duration::from_secs(expected),
            "{field}"
        );
    }

    #[test]
    fn cache_control_shortens_the_refresh_within_bounds() {
        fresh("", 600, 600);
        fresh("public", 600, 600);
        fresh("public, max-age=60", 600, 60);
        fresh("MAX-AGE=60", 600, 60);
        fresh("max-age=\"60\"", 600, 60);
        fresh("max-age=1", 600, 30);
        fresh("max-age=86400", 600, 600);
        fresh("max-age=1", 1, 1);
        fresh("no-store", 600, 30);
        fresh("max-age=99999999999999999999", 600, 600);
        fresh("s-maxage=5", 600, 600);
    }

    #[test]
    fn types_of_json_are_told_from_others() {
        for good in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/jwk-set+json",
        ] {
            assert!(is_json(good.as_bytes()), "{good}");
        }
        for bad in [
            "",
            "text/html",
            "text/json",
            "application/jsonp",
            "image/svg+json",
            "application/jose",
        ] {
            assert!(!is_json(bad.as_bytes()), "{bad}");
        }
    }
}
