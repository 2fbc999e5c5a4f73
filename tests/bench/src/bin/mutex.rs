//! Where Envoy's one mutex for shared data saturates: measures what a lock is held for on a model of the host's map, then
//! simulates 2 to 64 workers that share it, and prints a table.
//!
//! The model is proxy-wasm-cpp-host's `SharedData`: a mutex, a map by key, values copied in and out under the lock. The
//! simulation has a core for each worker, which few machines have; requests come as fast as a worker serves them, which is
//! the worst there is. It leaves out the kernel's waking of who slept on the lock: that delays one worker and holds no lock.
//!
//! usage: mutex [BYTES-OF-A-CELL [MICROSECONDS-OF-A-REQUEST]]

use std::collections::{HashMap, VecDeque};
use std::hint::black_box;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What the table's bucket takes, and what a request costs Envoy's worker beside the lock, if nothing else is said.
const CELL_BYTES: usize = 2_140;
const REQUEST_MICROSECONDS: f64 = 33.0;
/// Between a bucket's read and its write.
const JUDGING_MICROSECONDS: f64 = 2.0;
const CELLS: usize = 3_698;
const ROUNDS: usize = 400_000;
const SIMULATED_MICROSECONDS: f64 = 2_000_000.0;
/// As `store::ATTEMPTS_MAX`.
const ATTEMPTS_MAX: u32 = 64;

/// Microseconds that one reading and one writing hold the lock, on average over cells in random order.
fn measured(bytes: usize) -> (f64, f64) {
    let names: Vec<String> = (0..CELLS).map(|n| format!("portcullis.bucket.{n:05}")).collect();
    let cells = names.iter().map(|name| (name.clone(), (vec![1_u8; bytes], 1_u32)));
    let map: Mutex<HashMap<_, _>> = Mutex::new(cells.collect());
    let (value, mut random) = (vec![2_u8; bytes], Random(7));
    let order: Vec<&String> = (0..ROUNDS).filter_map(|_| names.get(random.below(CELLS))).collect();
    let lock = || map.lock().unwrap_or_else(PoisonError::into_inner);
    let begun = Instant::now();
    for name in &order {
        black_box(lock().get(*name).cloned());
    }
    let (read, begun) = (begun.elapsed(), Instant::now());
    for name in &order {
        if let Some((stored, version)) = lock().get_mut(*name) {
            stored.clear();
            stored.extend_from_slice(&value);
            *version += 1;
        }
    }
    let each = |span: Duration| span.as_secs_f64() * 1e6 / ROUNDS as f64;
    (each(read), each(begun.elapsed()))
}

/// A small deterministic generator.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// Exponential with this mean.
    fn around(&mut self, mean: f64) -> f64 {
        let uniform = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        -mean * (1.0 - uniform).ln()
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Doing {
    Other,
    Reading,
    Judging,
    Writing,
}

struct Worker {
    doing: Doing,
    /// When it is done with that; without end while it waits for the lock.
    until: f64,
    asked: f64,
    seen: u64,
    attempts: u32,
}

impl Worker {
    fn asks(&mut self, doing: Doing, now: f64) {
        (self.doing, self.asked, self.until) = (doing, now, f64::INFINITY);
    }
}

#[derive(Debug, Default)]
struct Found {
    requests: u64,
    held: f64,
    waited: f64,
    retries: u64,
    exhausted: u64,
}

/// `workers` for two seconds; all on one bucket if `hot`, otherwise never on the same.
fn simulated(workers: usize, other: f64, (read, write): (f64, f64), hot: bool) -> Found {
    let (mut random, mut found) = (Random(42), Found::default());
    let (mut version, mut is_held, mut queue) = (0_u64, false, VecDeque::new());
    let start = |_| Worker {
        doing: Doing::Other,
        until: random.around(other),
        asked: 0.0,
        seen: 0,
        attempts: 0,
    };
    let mut all: Vec<Worker> = (0..workers).map(start).collect();
    loop {
        let next = all
            .iter()
            .enumerate()
            .min_by(|(_, a), (_, b)| a.until.total_cmp(&b.until));
        let Some((at, now)) = next.map(|(at, worker)| (at, worker.until)) else {
            return found;
        };
        let Some(worker) = all.get_mut(at).filter(|_| now < SIMULATED_MICROSECONDS) else {
            return found;
        };
        match worker.doing {
            Doing::Other => {
                worker.attempts = 0;
                worker.asks(Doing::Reading, now);
            }
            Doing::Reading => {
                is_held = false;
                worker.seen = version;
                (worker.doing, worker.until) = (Doing::Judging, now + JUDGING_MICROSECONDS);
            }
            Doing::Judging => worker.asks(Doing::Writing, now),
            Doing::Writing => {
                is_held = false;
                worker.attempts += 1;
                let lost = hot && worker.seen != version;
                if lost && worker.attempts < ATTEMPTS_MAX {
                    found.retries += 1;
                    worker.asks(Doing::Reading, now);
                } else {
                    found.exhausted += u64::from(lost);
                    found.requests += 1;
                    version += u64::from(!lost);
                    (worker.doing, worker.until) = (Doing::Other, now + random.around(other));
                }
            }
        }
        if worker.until == f64::INFINITY {
            queue.push_back(at);
        }
        if !is_held
            && let Some(first) = queue.pop_front()
            && let Some(worker) = all.get_mut(first)
        {
            let span = if worker.doing == Doing::Reading { read } else { write };
            is_held = true;
            found.held += span;
            found.waited += now - worker.asked;
            worker.until = now + span;
        }
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let bytes = arguments
        .next()
        .and_then(|text| text.parse().ok())
        .unwrap_or(CELL_BYTES);
    let other = arguments.next().and_then(|text| text.parse().ok());
    let other = other.unwrap_or(REQUEST_MICROSECONDS);
    let (read, write) = measured(bytes);
    println!(
        "a cell of {bytes} bytes: a read holds the lock for {read:.3} µs, a write for {write:.3} µs; {other} µs a request beside it"
    );
    println!(
        "| workers | clients | requests/s | of unhindered | lock busy | waits a request | retries a request | given up |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (hot, clients) in [(false, "many"), (true, "one")] {
        for workers in [2_u32, 8, 32, 64] {
            let found = simulated(workers as usize, other, (read, write), hot);
            let requests = found.requests as f64;
            let alone = SIMULATED_MICROSECONDS / (other + read + write + JUDGING_MICROSECONDS);
            println!(
                "| {workers} | {clients} | {:.0} | {:.1} % | {:.1} % | {:.2} µs | {:.3} | {} |",
                requests * 1e6 / SIMULATED_MICROSECONDS,
                100.0 * requests / (alone * f64::from(workers)),
                100.0 * found.held / SIMULATED_MICROSECONDS,
                found.waited / requests,
                found.retries as f64 / requests,
                found.exhausted,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPANS: (f64, f64) = (0.5, 0.5);

    #[test]
    fn one_worker_waits_for_nobody_and_a_lock_that_is_always_asked_for_is_always_busy() {
        let alone = simulated(1, 33.0, SPANS, true);
        assert_eq!((alone.waited, alone.retries, alone.exhausted), (0.0, 0, 0));
        let crowded = simulated(64, 1.0, SPANS, false);
        // Never idle, and nothing is served twice at once.
        let busy = crowded.held / SIMULATED_MICROSECONDS;
        assert!((0.99..1.000_001).contains(&busy), "{crowded:?}");
        assert!(simulated(64, 33.0, SPANS, true).retries > 0);
    }
}
