//! What one worker remembers beside a token: that it was not revoked, and as of what. So a token that comes again costs
//! one look at a version, and not a read of the table.
//!
//! Whoever learns of a revocation moves the mark, an empty cell of which only the version counts: such a cell is read
//! without the host entering the VM for its bytes (measured on Envoy 1.40: 0.4 µs; with bytes 0.7, and 1.9 for the first
//! call of a request that brings any). A clearance counts while the mark is where it was, so what one worker has refused,
//! none lets pass by what it remembers.

use crate::host::{Cell, Host, HostError};
use crate::rate::Instant;
use std::cell::Cell as Slot;
use std::time::Duration;

/// Where the mark stands; `None`: nobody has moved it yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark(Option<u32>);

impl Mark {
    /// # Errors
    /// If the host can't read.
    pub fn read(host: &dyn Host) -> Result<Self, HostError> {
        Ok(Self(host.read(Cell::RevokedMark)?.map(|cell| cell.version)))
    }

    /// Ends every worker's clearances; called once what is newly revoked stands in the table.
    pub fn advance(host: &dyn Host) {
        // Without it, other workers hear of a revocation when what they remember is too old.
        let _ = host.write(Cell::RevokedMark, &[], None);
    }
}

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Clearance {
    /// When the lookup was asked, and where the mark stood then.
    lookup: Slot<Option<(Instant, Mark)>>,
    /// Where the mark stood when introspection's word was not in the table.
    introspection: Slot<Option<Mark>>,
}

impl Clearance {
    /// Whether the lookup's answer still serves.
    pub fn by_lookup(&self, mark: Mark, cache: Duration, now: Instant) -> bool {
        let asked = self.lookup.get().filter(|(_, then)| *then == mark);
        asked.is_some_and(|(asked, _)| asked <= now && now.since(asked) < cache)
    }

    /// Notes that the lookup said so when it was asked, and that the table, read after the mark, did not contradict.
    pub fn note_lookup(&self, asked: Instant, mark: Mark) {
        self.lookup.set(Some((asked, mark)));
    }

    /// Whether the table has nothing of introspection.
    pub fn by_introspection(&self, mark: Mark) -> bool {
        self.introspection.get() == Some(mark)
    }

    /// Notes that the table, read after the mark, had nothing.
    pub fn note_introspection(&self, mark: Mark) {
        self.introspection.set(Some(mark));
    }
}
