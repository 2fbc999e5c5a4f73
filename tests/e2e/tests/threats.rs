//! Grades the `threats` guard in real Envoy: the corpora of `tests/threats`, sent over kept connections in parallel, and
//! for every request the verdict that the decision core gives natively. Without the corpora it is skipped.
//!
//! The normal run takes a part of each corpus; all of it, with the report by category:
//! `cargo test -p portcullis-e2e --test threats -- --ignored --nocapture`. `PORTCULLIS_VECTORS` names another folder of
//! corpora, `PORTCULLIS_MORE` a file of one's own texts (`corpus::more` says how it looks), which are then graded instead.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use portcullis::verdict::Reason;
use portcullis_e2e::client::Client;
use portcullis_e2e::message::Reply;
use portcullis_e2e::raw::RawConnection;
use portcullis_e2e::stack::{Options, Part, Stack};
use portcullis_e2e::{Outcome, places, scenarios};
use serde_json::json;

// The rows and their native verdicts, as the native grader has them; not all of it is needed here.
#[allow(dead_code, clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)]
#[path = "../../threats/corpus.rs"]
mod corpus;
#[allow(clippy::unwrap_used)]
#[path = "../../threats/native.rs"]
mod native;

use corpus::Sample;

scenarios! { options();
    a_part_of_the_corpora_is_judged_as_natively,
    ; long: the_corpora_are_judged_as_natively,
}

/// One row in so many is in the normal run.
const PART: usize = 24;
/// Connections that are driven at the same time.
const CONNECTIONS: usize = 16;
/// Rows that are shown where Envoy and the native verdict disagree.
const SHOWN_MAX: usize = 20;

fn options() -> Options {
    Options {
        policy: Some(json!({ "threats": { "mode": "enforce" } })),
        without: vec![Part::Webdis],
        ..Options::default()
    }
}

async fn a_part_of_the_corpora_is_judged_as_natively(stack: &mut Stack) -> Outcome<()> {
    grade(stack, PART).await
}

async fn the_corpora_are_judged_as_natively(stack: &mut Stack) -> Outcome<()> {
    grade(stack, 1).await
}

/// What became of a row in Envoy.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate {
    /// The backend answered.
    Passed,
    /// The guard refused, by this code.
    Refused(String),
    /// Envoy's own codec or connection manager refused it, with this status, or ended the connection (0).
    Envoy(u16),
    /// It can't be written as HTTP/1.1.
    Unsendable,
}

#[derive(Debug, Default)]
struct Count {
    judged: u32,
    refused: u32,
    by_envoy: u32,
    unsendable: u32,
}

impl Count {
    fn rate(&self) -> f64 {
        f64::from(self.refused) / f64::from(self.judged.max(1))
    }
}

async fn grade(stack: &mut Stack, one_in: usize) -> Outcome<()> {
    let part = |samples: Vec<Sample>| samples.into_iter().step_by(one_in).collect::<Vec<_>>();
    if let Ok(more) = std::env::var("PORTCULLIS_MORE") {
        let (groups, differing) = send(stack, part(corpus::more(more.as_ref()))).await?;
        report("refused", &groups);
        return agreed(&differing);
    }
    // Tests of this package run in its own folder.
    let beside = places::root().join("../shared/vectors/threats");
    let vectors = corpus::vectors().or_else(|| beside.is_dir().then_some(beside));
    let Some(vectors) = vectors else {
        println!("skipped: no corpora in $PORTCULLIS_VECTORS or ../shared/vectors");
        return Ok(());
    };
    let (attacks, mut differing) = send(stack, part(corpus::attacks(&vectors))).await?;
    let (benign, more) = send(stack, part(corpus::benign(&vectors))).await?;
    let (caught, caught_mean) = report("caught", &attacks);
    let (alarms, alarms_mean) = report("false alarms", &benign);
    let balanced = |caught: f64, alarms: f64| 100.0 * (caught + 1.0 - alarms) / 2.0;
    println!(
        "balanced accuracy {:.2} %, of the means {:.2} %",
        balanced(caught, alarms),
        balanced(caught_mean, alarms_mean)
    );
    differing.extend(more);
    agreed(&differing)
}

fn agreed(differing: &[String]) -> Outcome<()> {
    if differing.is_empty() {
        return Ok(());
    }
    let shown = differing.iter().take(SHOWN_MAX).cloned().collect::<Vec<_>>().join("\n");
    Err(format!(
        "{} verdicts are not the native ones:\n{shown}",
        differing.len()
    ))
}

/// Prints a line for each group; gives the rate over all rows that reached the guard, and the mean over groups.
fn report(title: &str, groups: &BTreeMap<String, Count>) -> (f64, f64) {
    println!("{title} (in Envoy)");
    let line = |name: &str, count: &Count, more: &str| {
        let (own, unsendable) = (count.by_envoy, count.unsendable);
        println!(
            "  {name:45} {:6} of {:6}  {:6.2} %{more}   besides: {own} refused by Envoy itself, {unsendable} no HTTP/1.1",
            count.refused,
            count.judged,
            100.0 * count.rate()
        );
    };
    let mut all = Count::default();
    let (mut sum, mut number) = (0.0, 0.0);
    for (name, count) in groups {
        line(name, count, "");
        all.judged += count.judged;
        all.refused += count.refused;
        all.by_envoy += count.by_envoy;
        all.unsendable += count.unsendable;
        if count.judged > 0 {
            sum += count.rate();
            number += 1.0;
        }
    }
    let mean = sum / f64::max(number, 1.0);
    line("all", &all, &format!(", mean {:6.2} %", 100.0 * mean));
    (all.rate(), mean)
}

/// Sends all rows; counts them by group, and names those whose verdict is not the native one.
async fn send(stack: &Stack, samples: Vec<Sample>) -> Outcome<(BTreeMap<String, Count>, Vec<String>)> {
    let samples = Arc::new(samples);
    let next = Arc::new(AtomicUsize::new(0));
    let mut drivers = Vec::new();
    for _ in 0..CONNECTIONS {
        let driver = drive(stack.client()?, Arc::clone(&samples), Arc::clone(&next));
        drivers.push(tokio::spawn(driver));
    }
    let judge = native::Judge::new();
    let mut groups: BTreeMap<String, Count> = BTreeMap::new();
    let mut differing = Vec::new();
    for driver in drivers {
        for (index, fate) in driver.await.map_err(|error| error.to_string())?? {
            let Some(sample) = samples.get(index) else { continue };
            let count = groups.entry(sample.group.clone()).or_default();
            match &fate {
                Fate::Envoy(_) => count.by_envoy += 1,
                Fate::Unsendable => count.unsendable += 1,
                Fate::Passed | Fate::Refused(_) => count.judged += 1,
            }
            let refused = matches!(fate, Fate::Refused(_));
            count.refused += u32::from(refused);
            let reached = refused || fate == Fate::Passed;
            if reached && refused != judge.refuses(sample).is_some() && !rewritten(sample) {
                let target = String::from_utf8_lossy(&sample.target).into_owned();
                differing.push(format!(
                    "{} [{}] {} {target}: {fate:?}",
                    sample.group, sample.label, sample.method
                ));
            }
        }
    }
    Ok((groups, differing))
}

/// Whether the guard may see something else than was sent. Before any filter, Envoy takes dot segments and double slashes
/// out of a path, ends it at a fragment, removes a `Referer` that is no URL or has a fragment, and puts the peer into `X-Forwarded-For`.
fn rewritten(sample: &Sample) -> bool {
    let target = &sample.target;
    let path = target.split(|b| *b == b'?').next().unwrap_or(target);
    let holds = |text: &[u8]| path.windows(text.len()).any(|w| w.eq_ignore_ascii_case(text));
    let no_url = |value: &[u8]| {
        let url = value.starts_with(b"http://") || value.starts_with(b"https://");
        !url || value
            .iter()
            .any(|b| !b.is_ascii_graphic() || b"\"#<>\\^`{|}".contains(b))
    };
    let field = |(name, value): &(String, Vec<u8>)| match name.as_str() {
        "x-forwarded-for" => true,
        "referer" => no_url(value),
        _ => false,
    };
    holds(b"/.")
        || holds(b"//")
        || holds(b"%2")
        || holds(b"%5c")
        || holds(b"\\")
        || target.contains(&b'#')
        || sample.fields.iter().any(field)
}

/// Sends rows one after another, on a connection that is kept as long as Envoy keeps it.
async fn drive(client: Client, samples: Arc<Vec<Sample>>, next: Arc<AtomicUsize>) -> Outcome<Vec<(usize, Fate)>> {
    let mut fates = Vec::new();
    let mut kept: Option<RawConnection> = None;
    loop {
        let index = next.fetch_add(1, Ordering::Relaxed);
        let Some(sample) = samples.get(index) else {
            return Ok(fates);
        };
        let Some(bytes) = written(sample, &client.authority()) else {
            fates.push((index, Fate::Unsendable));
            continue;
        };
        let mut connection = match kept.take() {
            Some(connection) => connection,
            None => RawConnection::open(&client).await?,
        };
        let answer = match connection.write(&bytes).await {
            Ok(()) => connection.reply_to(&sample.method).await,
            Err(fault) => Err(fault),
        };
        let fate = match answer {
            Ok(reply) => {
                let closes = reply
                    .header("connection")
                    .is_some_and(|v| v.eq_ignore_ascii_case("close"));
                // After a refusal some of the body may be on its way: what follows starts afresh.
                if !closes && reply.status != 413 {
                    kept = Some(connection);
                }
                fate_of(&reply)
            }
            Err(_) => Fate::Envoy(0),
        };
        fates.push((index, fate));
    }
}

fn fate_of(reply: &Reply) -> Fate {
    let json = reply
        .header("content-type")
        .is_some_and(|kind| kind.starts_with("application/json"));
    match reply.code() {
        Some(code) if Reason::ALL.iter().any(|reason| reason.code() == code) => Fate::Refused(code),
        // The shipped edge gives Envoy's own refusals codes of its own, which are none of the module's.
        Some(_) => Fate::Envoy(reply.status),
        // The backend answers in JSON or with nothing.
        None if reply.status < 400 || json => Fate::Passed,
        None => Fate::Envoy(reply.status),
    }
}

/// A row on the wire; `None` if a part of it would end its line.
fn written(sample: &Sample, authority: &str) -> Option<Vec<u8>> {
    let breaks = |bytes: &[u8]| bytes.iter().any(|b| matches!(b, b'\r' | b'\n' | 0));
    let token = |bytes: &[u8]| !bytes.is_empty() && bytes.iter().all(u8::is_ascii_graphic) && !bytes.contains(&b':');
    let fields_fit = sample
        .fields
        .iter()
        .all(|(name, value)| token(name.as_bytes()) && !breaks(value));
    if !token(sample.method.as_bytes()) || sample.target.contains(&b' ') || breaks(&sample.target) || !fields_fit {
        return None;
    }
    let mut bytes = format!("{} ", sample.method).into_bytes();
    bytes.extend(&sample.target);
    bytes.extend(format!(" HTTP/1.1\r\nhost: {authority}\r\n").bytes());
    for (name, value) in &sample.fields {
        bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
    }
    if let Some(body) = &sample.body {
        bytes.extend(format!("content-length: {}\r\n", body.len()).bytes());
    }
    bytes.extend(b"\r\n");
    bytes.extend(sample.body.iter().flatten());
    Some(bytes)
}
