//! Request quotas: several at once, each a GCRA state in the table. A request that one refuses is charged to none.
//!
//! Quotas by client stand in the client's bucket and are charged in one go; those that a token or a field names come after
//! them, and those that everybody shares last.

use crate::host::Host;
use crate::json::push_number;
use crate::rate::{Decision, Instant, Rate, retry_after_seconds};
use crate::sort;
use crate::store::{Fingerprint, Holder, Home, Place, Record, StoreError, Table, Use, View};
use crate::verdict::Mode;
use std::time::Duration;

/// One quota of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quota {
    pub name: String,
    pub limit: u32,
    pub window: Duration,
    pub rate: Rate,
    /// What tells those apart who are counted; empty counts everybody together.
    pub by: Vec<By>,
    /// Positions of the operations it is about; `None`: every request.
    pub operations: Option<Vec<usize>>,
    pub mode: Option<Mode>,
    /// The quota as `RateLimit-Policy` names it, see [`announced`].
    pub announced: String,
}

/// A part of a quota's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    Client,
    Operation,
    /// The values of a header field; requests without it are counted as one.
    Header(String),
    /// The token's subject. Requests without a token are not counted.
    Subject,
    /// A claim of the token; tokens without it are counted as one. Requests without a token are not counted.
    Claim(String),
}

/// What an admitted request leaves of a quota, for the `RateLimit` fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    pub quota: usize,
    pub remaining: u32,
    /// Until one more unit.
    pub next_unit: Duration,
}

/// One quota for one request.
#[derive(Debug, Clone, Copy)]
pub struct Charge<'q> {
    /// Its position in the configuration.
    pub at: usize,
    pub quota: &'q Quota,
    pub key: Fingerprint,
    /// Counted apart, so that a trial uses up nothing that is real.
    pub shadow: bool,
    /// What was taken of it in its bucket: kept here, since every request would pay for a list beside the charges.
    found: Option<Found>,
}

/// What a bucket that admits the units says of a charge.
#[derive(Debug, Clone, Copy)]
struct Found {
    /// Where it stands there; `None` if there is no place for it.
    place: Option<Place>,
    /// Its state with the units taken.
    state: Instant,
    standing: Standing,
}

impl<'q> Charge<'q> {
    pub fn new(at: usize, quota: &'q Quota, key: Fingerprint, shadow: bool) -> Self {
        let found = None;
        Self {
            at,
            quota,
            key,
            shadow,
            found,
        }
    }

    /// Where the client stands with an enforced quota that was charged.
    pub fn standing(&self) -> Option<Standing> {
        self.found.filter(|_| !self.shadow).map(|found| found.standing)
    }
}

/// A quota that does not admit, and when it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exceeded {
    pub quota: usize,
    pub retry_after: Duration,
}

/// What would have become of a request if what is on trial were enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shadowed {
    Exceeded(Exceeded),
    Store,
}

/// Why a request is not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal<S> {
    /// Told by the caller's own look at the client's bucket.
    Stopped(S),
    Exceeded(Exceeded),
    Store(StoreError),
}

/// A look at the client's bucket before anything is charged in it, in the same read: `Some` stops the request.
pub struct Gate<'g, S> {
    pub home: Home,
    pub look: &'g dyn Fn(&mut View) -> Option<S>,
}

fn record(rate: &Rate, state: Instant) -> Record {
    Record {
        words: [state.0, 0, 0],
        idle_at: state,
        held_until: rate.refused_until(state),
    }
}

fn state(record: Option<Record>) -> Instant {
    let [state, ..] = record.map_or([0; 3], |r| r.words);
    Instant(state)
}

impl Quota {
    /// Whether it counts by what only a token tells, and so is charged after the token.
    pub fn asks_token(&self) -> bool {
        self.by.iter().any(|by| matches!(by, By::Subject | By::Claim(_)))
    }

    /// How many share it: 0 one client, 1 whoever a token or a field names, 2 everybody.
    fn width(&self) -> u8 {
        let named = |by: &By| matches!(by, By::Header(_) | By::Subject | By::Claim(_));
        if self.by.contains(&By::Client) {
            0
        } else if self.by.iter().any(named) {
            1
        } else {
            2
        }
    }

    /// The key of a request in the table; `part` gives the bytes of each part of `by`. All that counts by client stands in
    /// the client's bucket.
    pub fn fingerprint<B: AsRef<[u8]>>(&self, table: &Table, client: Holder, part: impl Fn(&By) -> B) -> Fingerprint {
        if self.by == [By::Client] {
            return client.record(Use::Quota(&self.name));
        }
        let begun = table.naming(Use::Quota(&self.name));
        let naming = self.by.iter().fold(begun, |naming, by| naming.part(part(by).as_ref()));
        match self.width() {
            0 => naming.at(client.home),
            _ => naming.alone(table),
        }
    }
}

/// What one bucket says of the charges in it. Enforced and shadowed ones are judged apart; of either kind, what one
/// refuses is charged to none.
fn take(view: &mut View, charges: &mut [Charge<'_>], units: u32, shadow: bool, now: Instant) -> Option<Exceeded> {
    let mut refused: Option<Exceeded> = None;
    for charge in charges.iter_mut().filter(|charge| charge.shadow == shadow) {
        let rate = &charge.quota.rate;
        let place = view.look(charge.key);
        let stored = state(place.and_then(|place| place.record));
        charge.found = match rate.take(stored, now, units) {
            Decision::Admit { state, remaining } => {
                let standing = Standing {
                    quota: charge.at,
                    remaining,
                    next_unit: rate.next_unit(state, now),
                };
                Some(Found { place, state, standing })
            }
            Decision::Refuse { retry_after } => {
                // The only thing that a refusal writes, and once. Its record is there, so that no other moves.
                let kept = rate.within(stored, now);
                if let Some(place) = place.filter(|_| kept != stored) {
                    view.put(place, record(rate, kept));
                }
                let exceeded = Exceeded {
                    quota: charge.at,
                    retry_after,
                };
                refused = longer(refused, Some(exceeded));
                None
            }
        };
    }
    if refused.is_none() {
        let mut settled = true;
        for charge in charges.iter().filter(|charge| charge.shadow == shadow) {
            let Some(found) = charge.found else { continue };
            // Looked up again where what was put just now may have taken its seat.
            if let Some(place) = if settled { found.place } else { view.look(charge.key) } {
                settled &= place.is_own();
                view.put(place, record(&charge.quota.rate, found.state));
            }
        }
    } else {
        let refused = charges.iter_mut().filter(|charge| charge.shadow == shadow);
        refused.for_each(|charge| charge.found = None);
    }
    refused
}

/// Charges a request's units to quotas, narrow ones before shared ones. A request that one refuses is charged to none: within
/// a bucket at once, across buckets by giving back. One read and one write for each bucket, of which all quotas by client
/// share one. What every enforced quota admits leaves a standing in each charge; given back is what a quota in shadow mode
/// would have refused.
///
/// # Errors
/// The refusal that lasts longest of those that are known.
pub fn charge<S>(
    table: &Table,
    host: &dyn Host,
    gate: Option<&Gate<'_, S>>,
    charges: &mut [Charge<'_>],
    units: u32,
) -> Result<Option<Shadowed>, Refusal<S>> {
    let now = host.now();
    sort::few_by_key(charges, |charge| {
        (charge.quota.width(), charge.key.home.order(), charge.at)
    });
    let (mut shadowed, mut untold) = (None, false);
    if let Some(gate) = gate
        && charges.first().is_none_or(|first| first.key.home != gate.home)
    {
        let seen = table.change(host, gate.home, now, |view| (gate.look)(view));
        if let Some(stop) = seen.map_err(Refusal::Store)? {
            return Err(Refusal::Stopped(stop));
        }
    }
    let mut done = 0_usize;
    let mut refusal = None;
    for group in charges.chunk_by_mut(|a, b| a.key.home == b.key.home) {
        let Some(home) = group.first().map(|charge| charge.key.home) else {
            continue;
        };
        let gate = gate.filter(|gate| gate.home == home);
        let judged = table.change(host, home, now, |view| {
            if let Some(stop) = gate.and_then(|gate| (gate.look)(view)) {
                // A ban that had to be cut tells of a clock that was put back.
                if view.is_changed() {
                    cut(view, group, now);
                }
                return Err(stop);
            }
            let refused = take(view, group, units, false, now);
            let shadowed = match refused {
                Some(_) => None,
                None => take(view, group, units, true, now),
            };
            Ok((refused, shadowed))
        });
        match judged {
            Ok(Ok((None, here))) => {
                shadowed = longer(shadowed, here);
                done = done.saturating_add(group.len());
                continue;
            }
            Ok(Ok((Some(refused), _))) => refusal = Some(Refusal::Exceeded(refused)),
            Ok(Err(stop)) => refusal = Some(Refusal::Stopped(stop)),
            // A trial refuses nobody.
            Err(_) if gate.is_none() && group.iter().all(|charge| charge.shadow) => {
                group.iter_mut().for_each(|charge| charge.found = None);
                untold = true;
                done = done.saturating_add(group.len());
                continue;
            }
            Err(error) => refusal = Some(Refusal::Store(error)),
        }
        break;
    }
    let (charged, rest) = charges.split_at_checked(done).unwrap_or((charges, &[]));
    let Some(refusal) = refusal else {
        if shadowed.is_some() {
            // The trial refused it somewhere: what it charged elsewhere is given back.
            give_back(table, host, charged, |charge| charge.shadow, units);
        }
        let untold = untold.then_some(Shadowed::Store);
        return Ok(shadowed.map(Shadowed::Exceeded).or(untold));
    };
    give_back(table, host, charged, |_| true, units);
    Err(match refusal {
        Refusal::Exceeded(refused) => Refusal::Exceeded(longest(table, host, rest, units, now, refused)),
        other => other,
    })
}

/// Gives back what was taken for these charges: not where a trial of the same bucket refused.
fn give_back(table: &Table, host: &dyn Host, charged: &[Charge<'_>], which: impl Fn(&Charge<'_>) -> bool, units: u32) {
    let taken = charged.iter().filter(|charge| charge.found.is_some() && which(charge));
    refund(table, host, &taken.copied().collect::<Vec<_>>(), units);
}

fn longer(a: Option<Exceeded>, b: Option<Exceeded>) -> Option<Exceeded> {
    match (a, b) {
        (Some(a), Some(b)) if b.retry_after > a.retry_after => Some(b),
        (a, b) => a.or(b),
    }
}

/// The refusal that lasts longest, those of buckets that were not charged included. Writes only what had to be cut.
fn longest(table: &Table, host: &dyn Host, rest: &[Charge<'_>], units: u32, now: Instant, known: Exceeded) -> Exceeded {
    let mut worst = known;
    for group in rest.chunk_by(|a, b| a.key.home == b.key.home).skip(1) {
        let Some(home) = group.first().map(|charge| charge.key.home) else {
            continue;
        };
        let Ok(mut view) = table.view(host, home, now) else {
            continue;
        };
        if cut(&mut view, group, now) {
            let _ = table.change(host, home, now, |view| cut(view, group, now));
        }
        for charge in group.iter().filter(|charge| !charge.shadow) {
            if let Decision::Refuse { retry_after } = charge.quota.rate.take(state(view.find(charge.key)), now, units)
                && retry_after > worst.retry_after
            {
                worst = Exceeded {
                    quota: charge.at,
                    retry_after,
                };
            }
        }
    }
    worst
}

/// Cuts what lies further ahead than the quotas put it now, or the wait that is told would begin anew with each retry. Says
/// whether there was anything.
fn cut(view: &mut View, charges: &[Charge<'_>], now: Instant) -> bool {
    let mut any = false;
    for charge in charges {
        let Some(place) = view.look(charge.key) else { continue };
        let (rate, stored) = (&charge.quota.rate, state(place.record));
        let kept = rate.within(stored, now);
        if kept != stored {
            view.put(place, record(rate, kept));
            any = true;
        }
    }
    any
}

/// Gives units back. That it fails leaves the client charged: the safe side.
pub fn refund(table: &Table, host: &dyn Host, charges: &[Charge<'_>], units: u32) {
    for group in charges.chunk_by(|a, b| a.key.home == b.key.home) {
        let Some(home) = group.first().map(|charge| charge.key.home) else {
            continue;
        };
        let _ = table.change(host, home, host.now(), |view| {
            for charge in group {
                if let Some(place) = view.look(charge.key)
                    && let Some(found) = place.record
                {
                    let rate = &charge.quota.rate;
                    view.put(place, record(rate, rate.refund(state(Some(found)), units)));
                }
            }
        });
    }
}

/// A response field and its value.
pub type Field = (&'static str, String);

pub const POLICY: &str = "ratelimit-policy";
pub const LIMIT: &str = "ratelimit";
pub const REMAINING: &str = "x-ratelimit-remaining";

/// Which fields tell a client where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fields {
    /// `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10 §3, §4), for every quota.
    pub draft: bool,
    /// `X-RateLimit-Limit`, `-Remaining` and `-Reset` (seconds), for the quota with the least left.
    pub legacy: bool,
}

impl Fields {
    /// The fields for what applies to a request.
    pub fn of(self, quotas: &[Quota], standings: &[Standing]) -> Vec<Field> {
        let known = || {
            let known = standings.iter();
            known.filter_map(|standing| Some((quotas.get(standing.quota)?, standing)))
        };
        let mut fields = Vec::with_capacity(if self.legacy { 5 } else { 2 });
        if self.draft && known().next().is_some() {
            let (mut policy, mut limit) = (String::with_capacity(64), String::with_capacity(64));
            for (quota, standing) in known() {
                if !policy.is_empty() {
                    policy.push_str(", ");
                    limit.push_str(", ");
                }
                policy.push_str(&quota.announced);
                item(
                    &mut limit,
                    &quota.name,
                    [(";r=", standing.remaining.into()), (";t=", seconds_left(standing))],
                );
            }
            fields.push((POLICY, policy));
            fields.push((LIMIT, limit));
        }
        if self.legacy
            && let Some((quota, standing)) = known().min_by_key(|(_, standing)| standing.remaining)
        {
            fields.push(("x-ratelimit-limit", quota.limit.to_string()));
            fields.push((REMAINING, standing.remaining.to_string()));
            fields.push(("x-ratelimit-reset", seconds_left(standing).to_string()));
        }
        fields
    }
}

/// A quota's item of the `RateLimit-Policy` list, written once: it is the same in every answer.
pub fn announced(name: &str, limit: u32, window: Duration) -> String {
    let mut text = String::new();
    item(
        &mut text,
        name,
        [(";q=", limit.into()), (";w=", retry_after_seconds(window))],
    );
    text
}

/// Adds a named item with its parameters (RFC 9651 §3.1). Every answer pays for it, so without the formatting machinery.
fn item(text: &mut String, name: &str, parameters: [(&str, u64); 2]) {
    text.push('"');
    text.push_str(name);
    text.push('"');
    for (key, value) in parameters {
        text.push_str(key);
        push_number(text, value);
    }
}

fn seconds_left(standing: &Standing) -> u64 {
    match standing.next_unit {
        Duration::ZERO => 0,
        span => retry_after_seconds(span),
    }
}

#[cfg(test)]
mod tests;
