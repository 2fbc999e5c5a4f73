//! How soon a revocation works: the time from its write to the first refusal, over many trials. After the first refusal no
//! worker may let the token pass.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::client::Connection;
use crate::message::Request;
use crate::suite::same;

/// Rounds on every worker after the first refusal.
const ROUNDS_AFTER: u32 = 10;

/// One trial.
pub struct Refusal {
    after: Duration,
    /// The longest that one request of the trial took: what the machine adds.
    slowest_answer: Duration,
}

/// Sends `request` to every worker, every `pause`, until `ROUNDS_AFTER` rounds after the first refusal.
pub async fn first_refusal(
    connections: &mut [Connection],
    request: impl Fn() -> Request,
    begun: Instant,
    pause: Duration,
    patience: Duration,
) -> Outcome<Refusal> {
    let (mut after, mut slowest_answer, mut rounds_after) = (None, Duration::ZERO, 0);
    while rounds_after < ROUNDS_AFTER {
        for connection in &mut *connections {
            let sent = Instant::now();
            let brief = connection.send(&request()).await?.brief();
            slowest_answer = slowest_answer.max(sent.elapsed());
            match (brief.as_str(), after) {
                ("401 token_revoked", None) => after = Some(begun.elapsed()),
                ("401 token_revoked", Some(_)) => {}
                (_, Some(_)) => return Err(format!("{brief} after a refusal")),
                (_, None) if begun.elapsed() > patience => return Err("never refused".to_owned()),
                (_, None) => {}
            }
        }
        rounds_after += u32::from(after.is_some());
        tokio::time::sleep(pause).await;
    }
    let after = after.ok_or("never refused")?;
    Ok(Refusal { after, slowest_answer })
}

fn p99(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times
        .get((times.len() * 99).div_ceil(100).saturating_sub(1))
        .copied()
        .unwrap_or_default()
}

/// Judges the 99th percentile of the trials. What the machine itself kept requests waiting in this very run, by the same
/// percentile, comes on top of `most`: on a quiet one a few milliseconds.
pub fn bounded(what: &str, trials: &[Refusal], most: Duration) -> Outcome<()> {
    let times = p99(trials.iter().map(|trial| trial.after).collect());
    let answers = p99(trials.iter().map(|trial| trial.slowest_answer).collect());
    println!(
        "time to refuse by {what}: p99 {times:?} of {}, at most {most:?}; slowest answers, p99 {answers:?}",
        trials.len()
    );
    same(
        &format!("p99 {times:?} is at most {most:?} and {answers:?}"),
        times <= most + answers,
        true,
    )
}

/// Senders of [`under_load`], each one request after the other.
const SENDERS: usize = 4;

/// What became of a good token under load.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Went on to the backend, which knows no such order.
    pub passed: u32,
    /// Was refused as `revocation_unavailable`.
    pub unavailable: u32,
}

/// Sends a good token and a revoked one to every worker by turns while something goes on, and fails if the revoked one
/// passes even once, or if the good one is refused for another reason than that its source told nothing.
pub async fn under_load(
    workers: &[Connection],
    (good, bad): (&Request, &Request),
    during: impl Future<Output = Outcome<()>>,
) -> Outcome<Tally> {
    let stop = Arc::<AtomicBool>::default();
    let mut senders = tokio::task::JoinSet::new();
    for sender in 0..SENDERS {
        let mut connections: Vec<Connection> = workers.iter().filter_map(Connection::share).collect();
        let (good, bad, stop) = (good.clone(), bad.clone(), Arc::clone(&stop));
        senders.spawn(async move {
            let mut tally = Tally::default();
            for turn in sender.. {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                let at = turn % connections.len().max(1);
                let connection = connections.get_mut(at).ok_or("no worker")?;
                let brief = connection.send(&bad).await?.brief();
                let refused = ["401 token_revoked", "503 revocation_unavailable"].contains(&brief.as_str());
                same(&format!("the revoked token: {brief}"), refused, true)?;
                match connection.send(&good).await?.brief().as_str() {
                    "503 revocation_unavailable" => tally.unavailable += 1,
                    brief if brief.starts_with("404") => tally.passed += 1,
                    other => return Err(format!("the good token: {other}")),
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Ok::<_, String>(tally)
        });
    }
    let went = during.await;
    stop.store(true, Ordering::SeqCst);
    let mut all = Tally::default();
    while let Some(joined) = senders.join_next().await {
        let tally = joined.map_err(|error| error.to_string())??;
        all.passed += tally.passed;
        all.unavailable += tally.unavailable;
    }
    went.map(|()| all)
}
