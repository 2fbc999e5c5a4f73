//! A host in memory with a clock moved by hand, for tests and simulation: cells behave as Envoy's shared data does.

use super::{Cell, Counter, Gauge, Host, HostError, Level, Versioned};
use crate::rate::Instant;
use std::cell::{Cell as Shared, RefCell};
use std::collections::HashMap;
use std::time::Duration;

/// See the module. Every field a test needs to see or move has a method.
#[derive(Debug)]
pub struct MemoryHost {
    signatures: RefCell<Option<Signatures>>,
    now: Shared<Instant>,
    cells: RefCell<HashMap<Cell, Versioned>>,
    counters: RefCell<HashMap<Counter, u64>>,
    gauges: RefCell<HashMap<Gauge, u64>>,
    address: RefCell<String>,
    lines: RefCell<Vec<String>>,
    /// Writes still to be refused as if another worker had been faster.
    lost_writes: Shared<u32>,
    broken: Shared<bool>,
    /// Reads and writes of cells so far.
    accesses: Shared<(u64, u64)>,
}

impl Default for MemoryHost {
    /// A host at 2026-01-01T00:00:00Z whose peer is 192.0.2.1.
    fn default() -> Self {
        Self {
            signatures: RefCell::default(),
            now: Shared::new(Instant::from_seconds(1_767_225_600)),
            cells: RefCell::default(),
            counters: RefCell::default(),
            gauges: RefCell::default(),
            address: RefCell::new("192.0.2.1:50000".into()),
            lines: RefCell::default(),
            lost_writes: Shared::new(0),
            broken: Shared::new(false),
            accesses: Shared::default(),
        }
    }
}

/// What the host says of a hash, a key, a signature and a text.
pub type SignatureCheck = Box<dyn Fn(&str, &[u8], &[u8], &[u8]) -> Option<bool>>;

struct Signatures(SignatureCheck);

impl std::fmt::Debug for Signatures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signatures")
    }
}

impl MemoryHost {
    /// Gives the host a way to check signatures; it has none from the start.
    pub fn set_signatures(&self, check: SignatureCheck) {
        *self.signatures.borrow_mut() = Some(Signatures(check));
    }

    pub fn advance(&self, span: Duration) {
        self.now.set(self.now.get().plus(span));
    }

    /// Puts the clock back, as whoever sets a host's time may.
    pub fn put_back(&self, span: Duration) {
        self.now.set(self.now.get().minus(span));
    }

    /// Sets what `source.address` gives, such as `192.0.2.1:50000`.
    pub fn set_address(&self, address: &str) {
        *self.address.borrow_mut() = address.to_owned();
    }

    /// Lets the next `count` conditional writes lose.
    pub fn lose_writes(&self, count: u32) {
        self.lost_writes.set(count);
    }

    /// Lets every access to a cell fail, or work again.
    pub fn set_broken(&self, broken: bool) {
        self.broken.set(broken);
    }

    pub fn counted(&self, counter: Counter) -> u64 {
        self.counters.borrow().get(&counter).copied().unwrap_or(0)
    }

    /// The value last measured.
    pub fn measured(&self, gauge: Gauge) -> Option<u64> {
        self.gauges.borrow().get(&gauge).copied()
    }

    pub fn cell_count(&self) -> usize {
        self.cells.borrow().len()
    }

    /// How often cells were read and written so far.
    pub fn accesses(&self) -> (u64, u64) {
        self.accesses.get()
    }

    pub fn lines(&self) -> Vec<String> {
        self.lines.borrow().clone()
    }
}

impl Host for MemoryHost {
    fn now(&self) -> Instant {
        self.now.get()
    }

    /// Fixed, so that a simulation gives the same answer each time.
    fn random(&self) -> [u8; 16] {
        *b"not random: test"
    }

    fn read(&self, cell: Cell) -> Result<Option<Versioned>, HostError> {
        if self.broken.get() {
            return Err(HostError("broken by the test"));
        }
        let (reads, writes) = self.accesses.get();
        self.accesses.set((reads.saturating_add(1), writes));
        Ok(self.cells.borrow().get(&cell).cloned())
    }

    fn write(&self, cell: Cell, bytes: &[u8], expected: Option<u32>) -> Result<bool, HostError> {
        if self.broken.get() {
            return Err(HostError("broken by the test"));
        }
        let (reads, writes) = self.accesses.get();
        self.accesses.set((reads, writes.saturating_add(1)));
        if expected.is_some() && self.lost_writes.get() > 0 {
            self.lost_writes.set(self.lost_writes.get().saturating_sub(1));
            return Ok(false);
        }
        let mut cells = self.cells.borrow_mut();
        let found = cells.get(&cell).map(|found| found.version);
        // As Envoy does: only the version of a cell that is there is compared.
        if let (Some(expected), Some(version)) = (expected, found)
            && expected != version
        {
            return Ok(false);
        }
        let version = found.unwrap_or(0);
        let written = Versioned {
            bytes: bytes.to_vec(),
            version: version.saturating_add(1),
        };
        cells.insert(cell, written);
        Ok(true)
    }

    fn verify_signature(&self, hash: &str, key_info: &[u8], signature: &[u8], text: &[u8]) -> Option<bool> {
        let signatures = self.signatures.borrow();
        let Signatures(check) = signatures.as_ref()?;
        check(hash, key_info, signature, text)
    }

    fn source_address(&self) -> Option<Vec<u8>> {
        let address = self.address.borrow();
        (!address.is_empty()).then(|| address.clone().into_bytes())
    }

    fn count(&self, counter: Counter) {
        let mut counters = self.counters.borrow_mut();
        let count = counters.entry(counter).or_default();
        *count = count.saturating_add(1);
    }

    fn measure(&self, gauge: Gauge, value: u64) {
        self.gauges.borrow_mut().insert(gauge, value);
    }

    fn log(&self, _level: Level, text: &str) {
        self.lines.borrow_mut().push(text.to_owned());
    }
}
