//! One worker's side of the feed: it follows what is shared, and polls the source when it is its turn.
//!
//! A poll is claimed in the shared head by compare-and-swap, so one worker polls for all, and any other can at the next
//! turn. A snapshot may come in pages; it counts once it is whole. What is known as revoked stays so however old the
//! feed is; how old it may be for "not revoked" is the caller's matter.

use super::document::{CURSOR_BYTES_MAX, DOCUMENT_BYTES_MAX};
use super::set::Set;
use super::shared::{self, Head, PAGE_RECORDS, PAGES_MAX, RECORDS_MAX};
use super::{Document, FeedPolicy, Namer, Record, revokes};
use crate::callout::{Answer, Callout};
use crate::guard::revocation::lookup::is_json;
use crate::guard::revocation::{Failure, Told};
use crate::host::{Cell, Host, HostError};
use crate::jose::Verified;
use crate::path::encode_segment;
use crate::rate::{HELD_UP, Instant};
use std::time::Duration;

/// Shared pages that one tick takes in: 65,536 records, about 5 ms. A million are there after 16 ticks.
const PAGES_PER_TICK: u32 = 32;

/// Beyond a poll's timeout, the time in which its answer must have been shared.
const CLAIM_SLACK: Duration = Duration::from_secs(1);

/// Ticks in which the pages don't fit their head before all is asked for anew: two workers wrote at once.
const TORN_TICKS_MAX: u32 = 100;

/// Pages of one snapshot: a million entries, 128 a page.
const SNAPSHOT_PAGES_MAX: u32 = 8192;

/// See the module.
#[derive(Debug)]
pub struct Follower {
    namer: Namer,
    /// The source, in the shared head.
    source: u64,
    head: Head,
    version: Option<u32>,
    set: Set,
    /// The next generation, as far as it has been taken in.
    building: Option<Set>,
    generation: u64,
    /// Records of the head's generation that `building`, or without it `set`, holds.
    taken: u32,
    torn: u32,
    /// A snapshot that this worker is asking for, page by page.
    loading: Option<Loading>,
    /// When this worker's poll that is out began.
    asked: Option<Instant>,
    /// When this worker began to follow.
    began: Option<Instant>,
    problem: Option<&'static str>,
    /// A fingerprint of the last document that began a snapshot, and the generation it made.
    last: (u64, u64),
    /// Generation and records as the mark has them, if this worker wrote it last.
    marked: (u64, u32),
    /// Where the mark stood when all that was shared had been taken in.
    level_at: Option<u32>,
    /// Age and entries as metrics have them.
    shown: Option<(u64, u64)>,
}

#[derive(Debug)]
struct Loading {
    set: Set,
    cursor: String,
    pages: u32,
    /// When its first page was asked for: the whole is as old.
    began: Instant,
}

impl Follower {
    /// `key` is the one that all workers share.
    pub fn new(key: [u8; 16], policy: &FeedPolicy) -> Self {
        let namer = Namer::new(key);
        let endpoint = &policy.endpoint;
        let source = format!("{}\n{}\n{}", endpoint.cluster, endpoint.authority, endpoint.path);
        Self {
            source: namer.name(b'f', [&source, ""]),
            namer,
            head: Head::default(),
            version: None,
            set: Set::default(),
            building: None,
            generation: 0,
            taken: 0,
            torn: 0,
            loading: None,
            asked: None,
            began: None,
            problem: None,
            last: (0, 0),
            marked: (0, 0),
            level_at: None,
            shown: None,
        }
    }

    /// Whether a token is known as revoked.
    pub fn revokes(&self, token: &Verified, now: Instant) -> bool {
        revokes(&self.set, &self.namer, token, now)
    }

    /// Whether there is a feed to go by at all.
    pub fn is_loaded(&self) -> bool {
        self.generation != 0
    }

    /// How old the feed is that this worker holds; from the start on if there is none yet.
    pub fn age(&self, now: Instant) -> Duration {
        let polled = if self.is_loaded() {
            Some(self.head.polled)
        } else {
            self.began
        };
        polled.map_or(Duration::ZERO, |polled| {
            if now < polled { Duration::MAX } else { now.since(polled) }
        })
    }

    pub fn len(&self) -> usize {
        self.set.len()
    }

    pub fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    pub fn bytes(&self) -> usize {
        self.set.bytes()
    }

    /// What was wrong with the last poll of this worker.
    pub fn problem(&self) -> Option<&'static str> {
        self.problem
    }

    pub fn is_failing(&self) -> bool {
        self.problem.is_some()
    }

    /// Whether age and number of entries are others than last time.
    pub fn take_changed(&mut self, shown: (u64, u64)) -> bool {
        self.shown.replace(shown) != Some(shown)
    }

    /// Whether all that is shared has been taken in.
    fn is_level(&self) -> bool {
        self.building.is_none() && self.generation == self.head.generation && self.taken == self.head.records
    }

    /// Whether other workers have shared records that this one has not taken in: one look at a version.
    pub fn is_behind(&self, host: &dyn Host) -> bool {
        // A cell that can't be read leaves it to the next tick.
        shared::mark(host).is_ok_and(|mark| mark != self.level_at)
    }

    /// Takes in what other workers have shared; called at every tick, and by requests that find it behind.
    ///
    /// # Errors
    /// If the cells can't be read.
    pub fn follow(&mut self, host: &dyn Host) -> Result<(), HostError> {
        self.began.get_or_insert(host.now());
        // Before the head: what is shared between the two is then found by the next look.
        let mark = shared::mark(host)?;
        let (head, version) = Head::read(host)?;
        self.version = version;
        if head.source != self.source {
            // Another source's, or nobody's: this worker's next poll starts anew, and what it holds is no younger.
            self.head = Head {
                polled: self.head.polled,
                started: Instant::EPOCH,
                source: 0,
                ..Head::default()
            };
            self.level_at = mark;
            return Ok(());
        }
        // The set is not as young as a head whose records are still to be taken in.
        let polled = self.head.polled;
        self.head = head;
        if self.head.generation == 0 {
            self.level_at = mark;
            return Ok(());
        }
        if self.head.generation != self.generation && self.building.is_none() {
            self.building = Some(Set::default());
            self.taken = 0;
        }
        if self.take_pages(host)? {
            self.level_at = mark;
        } else {
            self.head.polled = polled;
        }
        Ok(())
    }

    /// Takes in pages, so many a tick; whether the set is now as young as the head.
    fn take_pages(&mut self, host: &dyn Host) -> Result<bool, HostError> {
        for _ in 0..PAGES_PER_TICK {
            if self.taken >= self.head.records {
                break;
            }
            let page = self.taken / PAGE_RECORDS;
            let skip = usize::try_from(self.taken % PAGE_RECORDS).unwrap_or(usize::MAX);
            let due = self
                .head
                .records
                .saturating_sub(page.saturating_mul(PAGE_RECORDS))
                .min(PAGE_RECORDS);
            let records = shared::read_page(host, self.head.generation, page)?.unwrap_or_default();
            let due = usize::try_from(due).unwrap_or(usize::MAX);
            if records.len() < due {
                return self.torn(host).map(|()| false);
            }
            let into = self.building.as_mut().unwrap_or(&mut self.set);
            let fresh = records.iter().take(due).skip(skip);
            fresh.for_each(|record| into.insert(*record));
            self.taken = page
                .saturating_mul(PAGE_RECORDS)
                .saturating_add(u32::try_from(due).unwrap_or(0));
        }
        if self.taken < self.head.records {
            return Ok(false);
        }
        self.torn = 0;
        if let Some(built) = self.building.take() {
            self.set = built;
        }
        self.generation = self.head.generation;
        Ok(true)
    }

    fn torn(&mut self, host: &dyn Host) -> Result<(), HostError> {
        self.building = Some(Set::default());
        self.taken = 0;
        self.torn = self.torn.saturating_add(1);
        if self.torn >= TORN_TICKS_MAX {
            self.torn = 0;
            let anew = Head {
                source: self.source,
                ..Head::default()
            };
            anew.write(host, self.version)?;
        }
        Ok(())
    }

    /// Whether this worker is to poll now, which is then its claim.
    ///
    /// # Errors
    /// If the cells can't be written.
    pub fn claim(&mut self, host: &dyn Host, policy: &FeedPolicy) -> Result<bool, HostError> {
        let now = host.now();
        let longest = policy.endpoint.timeout.saturating_add(CLAIM_SLACK);
        if let Some(asked) = self.asked
            && now >= asked
            && now.since(asked) < longest
        {
            return Ok(false);
        }
        let ahead = |at: Instant, most: Duration| now < at && at.since(now) <= most;
        let next = self.head.started.plus(policy.every);
        let own_pages = self.loading.is_some();
        let claim_longest = longest.saturating_add(HELD_UP);
        if !own_pages && (ahead(self.head.claimed_until, claim_longest) || ahead(next, policy.every)) {
            return Ok(false);
        }
        if self.head.source == self.source && self.head.generation != 0 && !self.is_level() {
            return Ok(false);
        }
        let mut head = self.head.clone();
        if head.source != self.source {
            head = Head {
                source: self.source,
                polled: self.head.polled,
                ..Head::default()
            };
        }
        head.started = now;
        head.claimed_until = now.plus(longest);
        if !head.write(host, self.version)? {
            // Another worker was faster; without the claim, pages of a snapshot are void.
            self.loading = None;
            return Ok(false);
        }
        let (_, version) = Head::read(host)?;
        (self.head, self.version) = (head, version);
        self.asked = Some(now);
        Ok(true)
    }

    /// The poll that was claimed.
    pub fn callout(&self, policy: &FeedPolicy) -> Callout {
        let cursor = self
            .loading
            .as_ref()
            .map_or(&self.head.cursor, |loading| &loading.cursor);
        let mut path = policy.endpoint.path.clone();
        if !cursor.is_empty() {
            path.push(if path.contains('?') { '&' } else { '?' });
            path.push_str("after=");
            path.push_str(&encode_segment(cursor));
        }
        let mut callout = Callout {
            answer_bytes_max: DOCUMENT_BYTES_MAX,
            ..Callout::get(&policy.endpoint, path)
        };
        if self.asks_unless_changed() {
            callout.fields.push(("if-none-match", self.head.tag.clone()));
        }
        callout
    }

    fn asks_unless_changed(&self) -> bool {
        self.loading.is_none() && self.head.generation != 0 && !self.head.tag.is_empty()
    }

    /// Takes in the answer to the poll, or that there was none, and shares it.
    ///
    /// # Errors
    /// [`Failure`] if it is no document that can be used; what was known stays.
    pub fn learn(&mut self, host: &dyn Host, answer: Option<&Answer>) -> Told<()> {
        let asked = self.asked.take().unwrap_or_else(|| host.now());
        let learnt = self.take_answer(host, asked, answer);
        self.problem = learnt.err().map(|(_, problem)| problem);
        if learnt.is_err() {
            self.loading = None;
            // The claim ends, and nothing else changes; the next turn is after `every`. A write that is lost is another
            // worker's claim, and one that fails ends by itself.
            if let Ok((mut head, version)) = Head::read(host) {
                head.claimed_until = Instant::EPOCH;
                let _ = head.write(host, version);
            }
        }
        learnt.map_err(|(failure, _)| failure)
    }

    fn take_answer(
        &mut self,
        host: &dyn Host,
        asked: Instant,
        answer: Option<&Answer>,
    ) -> Result<(), (Failure, &'static str)> {
        let answer = answer.ok_or((Failure::Silence, "no answer, or one too large"))?;
        let nonsense = |problem| (Failure::Nonsense, problem);
        if answer.status == 304 && self.asks_unless_changed() {
            self.head.polled = asked;
            return self.finish(host);
        }
        if answer.status != 200 || !is_json(answer) {
            return Err((
                Failure::of(answer.status),
                "a status other than 200, or another type than JSON",
            ));
        }
        let document = Document::read(&answer.body, &self.namer, host.now()).map_err(nonsense)?;
        if document.reset {
            let digest = self.namer.name(b'd', [&String::from_utf8_lossy(&answer.body), ""]);
            if !document.more && self.loading.is_none() && self.last == (digest, self.head.generation) {
                // A file that is served whole each time, and has not changed.
                self.head.polled = asked;
                return self.finish(host);
            }
            self.last.0 = digest;
            self.loading = Some(Loading {
                set: Set::default(),
                cursor: String::new(),
                pages: 0,
                began: asked,
            });
        }
        let tag = answer.field("etag").filter(|tag| tag.len() <= CURSOR_BYTES_MAX);
        let tag = tag
            .and_then(|tag| std::str::from_utf8(tag).ok())
            .unwrap_or_default()
            .to_owned();
        let cursor = document.cursor.clone().unwrap_or_default();
        let Some(loading) = &mut self.loading else {
            if self.head.generation == 0 {
                return Err(nonsense("changes without a snapshot before them"));
            }
            return self.take_changes(host, &document, asked, cursor, tag);
        };
        loading.pages = loading.pages.saturating_add(1);
        if document.more && (loading.cursor == cursor || loading.pages >= SNAPSHOT_PAGES_MAX) {
            return Err(nonsense("`more` without an end"));
        }
        document.records.iter().for_each(|record| loading.set.insert(*record));
        if loading.set.len() > usize::try_from(RECORDS_MAX).unwrap_or(usize::MAX) {
            return Err(nonsense("more entries than are held"));
        }
        loading.cursor.clone_from(&cursor);
        if document.more {
            return Ok(());
        }
        let began = loading.began;
        if let Some(loaded) = self.loading.take() {
            self.set = loaded.set;
        }
        // An entity tag is of one resource: of a snapshot in pages, the last page's says nothing.
        let tag = if document.reset { tag } else { String::new() };
        self.head = Head {
            polled: began,
            cursor,
            tag,
            ..self.head.clone()
        };
        self.share_anew(host)
    }

    fn take_changes(
        &mut self,
        host: &dyn Host,
        document: &Document,
        asked: Instant,
        cursor: String,
        tag: String,
    ) -> Result<(), (Failure, &'static str)> {
        if document.more {
            if cursor == self.head.cursor {
                return Err((Failure::Nonsense, "`more` with a cursor that does not move"));
            }
            // The rest is due at once, and until it is there the feed is no younger.
            self.head.started = Instant::EPOCH;
        } else {
            self.head.polled = asked;
        }
        if !cursor.is_empty() {
            self.head.cursor = cursor;
        }
        self.head.tag = tag;
        let added = u32::try_from(document.records.len()).unwrap_or(u32::MAX);
        let total = self.head.records.saturating_add(added);
        document.records.iter().for_each(|record| self.set.insert(*record));
        if total > RECORDS_MAX {
            return self.share_anew(host);
        }
        self.append(host, &document.records)
            .map_err(|HostError(problem)| (Failure::Silence, problem))?;
        self.head.records = total;
        self.taken = total;
        self.finish(host)
    }

    /// Adds records after those that are shared.
    fn append(&self, host: &dyn Host, mut records: &[Record]) -> Result<(), HostError> {
        let mut at = self.head.records;
        while !records.is_empty() {
            let page = at / PAGE_RECORDS;
            let held = usize::try_from(at % PAGE_RECORDS).unwrap_or(0);
            let mut all = if held == 0 {
                Vec::new()
            } else {
                shared::read_page(host, self.head.generation, page)?.unwrap_or_default()
            };
            if all.len() < held {
                return Err(HostError("the feed's last page is gone"));
            }
            all.truncate(held);
            let room = usize::try_from(PAGE_RECORDS)
                .unwrap_or(0)
                .saturating_sub(held)
                .min(records.len());
            let (now, later) = records.split_at_checked(room).unwrap_or((records, &[]));
            all.extend_from_slice(now);
            shared::write_page(host, self.head.generation, page, &all)?;
            at = at.saturating_add(u32::try_from(now.len()).unwrap_or(0));
            records = later;
        }
        Ok(())
    }

    /// Shares the whole set under a new generation.
    fn share_anew(&mut self, host: &dyn Host) -> Result<(), (Failure, &'static str)> {
        self.set.purge(host.now().seconds());
        let records: Vec<Record> = self.set.records().collect();
        if records.len() > usize::try_from(RECORDS_MAX).unwrap_or(usize::MAX) {
            return Err((Failure::Nonsense, "more entries than are held"));
        }
        let [a, b, c, d, e, f, g, h, ..] = host.random();
        let generation = (u64::from_le_bytes([a, b, c, d, e, f, g, h]) ^ host.now().0).max(1);
        let pages = records.chunks(usize::try_from(PAGE_RECORDS).unwrap_or(1));
        for (page, records) in (0..PAGES_MAX).zip(pages) {
            let written = shared::write_page(host, generation, page, records);
            written.map_err(|HostError(problem)| (Failure::Silence, problem))?;
        }
        self.generation = generation;
        self.last.1 = generation;
        self.building = None;
        self.taken = u32::try_from(records.len()).unwrap_or(0);
        self.head.generation = generation;
        self.head.records = self.taken;
        self.finish(host)
    }

    /// Writes the head, with which the poll is over and the claim ends.
    fn finish(&mut self, host: &dyn Host) -> Result<(), (Failure, &'static str)> {
        self.head.claimed_until = Instant::EPOCH;
        match self.head.write(host, self.version) {
            Ok(true) if self.marked == (self.head.generation, self.head.records) => Ok(()),
            Ok(true) => {
                self.marked = (self.head.generation, self.head.records);
                // Without the mark, other workers follow by their ticks.
                let _ = host.write(Cell::FeedMark, &[], None);
                Ok(())
            }
            // Another worker took over; what it shares will be followed.
            Ok(false) => Err((Failure::Silence, "another worker's poll came between")),
            Err(HostError(problem)) => Err((Failure::Silence, problem)),
        }
    }
}
