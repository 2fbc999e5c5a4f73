//! Workers as threads that stop before every access to a cell until they are chosen, and every order to choose them in.

use crate::host::{Cell, Counter, Gauge, Host, HostError, Level, Versioned};
use crate::rate::Instant;
use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex};

/// Whose turn it is, and who has ended.
struct Baton {
    turn: Option<usize>,
    waiting: Vec<bool>,
    ended: Vec<bool>,
}

/// Cells as Envoy keeps them, to go between threads.
#[derive(Default)]
pub struct Cells(Mutex<HashMap<Cell, Versioned>>);

impl Host for Cells {
    fn now(&self) -> Instant {
        Instant::from_seconds(1_800_000_000)
    }

    fn random(&self) -> [u8; 16] {
        [0; 16]
    }

    fn read(&self, cell: Cell) -> Result<Option<Versioned>, HostError> {
        Ok(self.0.lock().unwrap().get(&cell).cloned())
    }

    fn write(&self, cell: Cell, bytes: &[u8], expected: Option<u32>) -> Result<bool, HostError> {
        let mut cells = self.0.lock().unwrap();
        let found = cells.get(&cell).map(|found| found.version);
        if let (Some(expected), Some(version)) = (expected, found)
            && expected != version
        {
            return Ok(false);
        }
        let written = Versioned {
            bytes: bytes.into(),
            version: found.unwrap_or(0) + 1,
        };
        cells.insert(cell, written);
        Ok(true)
    }

    fn verify_signature(&self, _: &str, _: &[u8], _: &[u8], _: &[u8]) -> Option<bool> {
        None
    }

    fn source_address(&self) -> Option<Vec<u8>> {
        None
    }

    fn count(&self, _: Counter) {}

    fn measure(&self, _: Gauge, _: u64) {}

    fn log(&self, _: Level, _: &str) {}
}

/// The cells, in a host that only the chosen worker enters.
struct Shared {
    cells: Cells,
    baton: Mutex<Baton>,
    changed: Condvar,
}

struct Worker {
    number: usize,
    shared: Arc<Shared>,
}

impl Worker {
    fn step<T>(&self, access: impl FnOnce(&Cells) -> T) -> T {
        let mut baton = self.shared.baton.lock().unwrap();
        baton.waiting[self.number] = true;
        self.shared.changed.notify_all();
        while baton.turn != Some(self.number) {
            baton = self.shared.changed.wait(baton).unwrap();
        }
        let answer = access(&self.shared.cells);
        baton.turn = None;
        baton.waiting[self.number] = false;
        self.shared.changed.notify_all();
        answer
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let mut baton = self.shared.baton.lock().unwrap();
        baton.ended[self.number] = true;
        self.shared.changed.notify_all();
    }
}

impl Host for Worker {
    fn now(&self) -> Instant {
        Instant::from_seconds(1_800_000_000)
    }

    fn random(&self) -> [u8; 16] {
        [u8::try_from(self.number).unwrap() + 1; 16]
    }

    fn read(&self, cell: Cell) -> Result<Option<Versioned>, HostError> {
        self.step(|host| host.read(cell))
    }

    fn write(&self, cell: Cell, bytes: &[u8], expected: Option<u32>) -> Result<bool, HostError> {
        self.step(|host| host.write(cell, bytes, expected))
    }

    fn verify_signature(&self, _: &str, _: &[u8], _: &[u8], _: &[u8]) -> Option<bool> {
        None
    }

    fn source_address(&self) -> Option<Vec<u8>> {
        None
    }

    fn count(&self, _: Counter) {}

    fn measure(&self, _: Gauge, _: u64) {}

    fn log(&self, _: Level, _: &str) {}
}

pub type Job = Arc<dyn Fn(&dyn Host) -> u64 + Send + Sync>;

/// Runs the jobs by one schedule, then always the first who can go; gives the answers and the choices that there were.
fn run(cells: Cells, jobs: &[Job], schedule: &[usize]) -> (Vec<u64>, Vec<(usize, usize)>, Cells) {
    let shared = Arc::new(Shared {
        cells,
        baton: Mutex::new(Baton {
            turn: None,
            waiting: vec![false; jobs.len()],
            ended: vec![false; jobs.len()],
        }),
        changed: Condvar::new(),
    });
    let threads: Vec<_> = jobs
        .iter()
        .enumerate()
        .map(|(number, job)| {
            let (job, shared) = (Arc::clone(job), Arc::clone(&shared));
            std::thread::spawn(move || job(&Worker { number, shared }))
        })
        .collect();
    let mut taken = Vec::new();
    loop {
        let mut baton = shared.baton.lock().unwrap();
        while baton.turn.is_some() || (0..jobs.len()).any(|w| !baton.waiting[w] && !baton.ended[w]) {
            baton = shared.changed.wait(baton).unwrap();
        }
        let ready: Vec<usize> = (0..jobs.len()).filter(|w| baton.waiting[*w]).collect();
        if ready.is_empty() {
            break;
        }
        let choice = schedule.get(taken.len()).copied().unwrap_or(0);
        taken.push((choice, ready.len()));
        baton.turn = Some(ready[choice]);
        shared.changed.notify_all();
    }
    let answers = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    let shared = Arc::into_inner(shared).unwrap();
    (answers, taken, shared.cells)
}

/// Runs every schedule with at most `delays` choices other than the first who can go; gives how many there were.
pub fn explore(cells: impl Fn() -> Cells, jobs: &[Job], delays: usize, check: impl Fn(&[u64], &Cells)) -> u32 {
    let (mut schedule, mut runs) = (Vec::new(), 0);
    loop {
        let (answers, taken, host) = run(cells(), jobs, &schedule);
        runs += 1;
        check(&answers, &host);
        let delayed = |end: usize| taken[..end].iter().filter(|(choice, _)| *choice > 0).count();
        let more =
            |(at, (choice, of)): &(usize, &(usize, usize))| choice + 1 < *of && (*choice > 0 || delayed(*at) < delays);
        let Some((last, _)) = taken.iter().enumerate().rfind(more) else {
            return runs;
        };
        schedule = taken[..=last].iter().map(|(choice, _)| *choice).collect();
        schedule[last] += 1;
    }
}
