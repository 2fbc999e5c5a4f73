//! Every fault of a revocation source, by a source that can have each of them: with `deny` nothing revoked or unknown
//! passes, with `allow` everything else does, with `stale` the last known answer serves. No request waits longer than the
//! lookup's timeout allows.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use portcullis_e2e::client::{Connection, Version};
use portcullis_e2e::message::Request;
use portcullis_e2e::stack::{Options, Stack, Update};
use portcullis_e2e::suite::same;
use portcullis_e2e::{Outcome, random, scenarios, until};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

scenarios! { Options::with_own_revocations();
    with_deny_no_fault_lets_a_revoked_or_unknown_token_pass,
    with_allow_no_fault_refuses_anybody_but_the_revoked,
    with_stale_the_last_known_answer_serves_and_the_unknown_are_refused,
    waiters_that_are_cut_off_leave_nothing_behind,
}

const TIMEOUT: Duration = Duration::from_millis(200);

/// How the source behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
enum Mood {
    Well,
    Slow,
    Reset,
    Status500,
    Html,
    Truncated,
    Huge,
    Flapping,
    /// It refuses connections, as far as a listener can: it closes each at once.
    Down,
}

const FAULTS: [Mood; 8] = [
    Mood::Slow,
    Mood::Reset,
    Mood::Status500,
    Mood::Html,
    Mood::Truncated,
    Mood::Huge,
    Mood::Flapping,
    Mood::Down,
];

/// A source in the place of webdis: ids that begin with `bad` are revoked.
struct Source {
    mood: Arc<AtomicUsize>,
    asked: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Source {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Source {
    async fn start(stack: &Stack) -> Outcome<Self> {
        let address = ("127.0.0.1", stack.ports.webdis);
        let listener = until("the source's port", Duration::from_secs(5), async || {
            TcpListener::bind(address).await.map_err(|error| error.to_string())
        })
        .await?;
        let (mood, asked) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let (shared_mood, shared_asked) = (Arc::clone(&mood), Arc::clone(&asked));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared_mood), Arc::clone(&shared_asked)));
            }
        });
        Ok(Self { mood, asked, task })
    }

    fn set(&self, mood: Mood) {
        self.mood.store(mood as usize, Ordering::SeqCst);
    }
}

async fn serve(mut stream: TcpStream, mood: Arc<AtomicUsize>, asked: Arc<AtomicUsize>) {
    let mut head = Vec::new();
    let mut byte = [0; 4096];
    loop {
        let at = |mood: Mood| mood as usize;
        if mood.load(Ordering::SeqCst) == at(Mood::Down) {
            return;
        }
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read(&mut byte).await {
                Ok(0) | Err(_) => return,
                Ok(read) => head.extend_from_slice(&byte[..read]),
            }
        }
        let revoked = u8::from(String::from_utf8_lossy(&head).contains("revoked:bad"));
        head.clear();
        let turn = asked.fetch_add(1, Ordering::SeqCst);
        let well = format!("{{\"EXISTS\":{revoked}}}");
        let answer = |status: &str, kind: &str, length: usize| {
            format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n")
        };
        let json = "application/json";
        let now = mood.load(Ordering::SeqCst);
        let text = if now == at(Mood::Well) || (now == at(Mood::Flapping) && turn.is_multiple_of(2)) {
            answer("200 OK", json, well.len()) + &well
        } else if now == at(Mood::Slow) || now == at(Mood::Flapping) {
            tokio::time::sleep(TIMEOUT * 4).await;
            answer("200 OK", json, well.len()) + &well
        } else if now == at(Mood::Status500) {
            answer("500 Internal Server Error", json, well.len()) + &well
        } else if now == at(Mood::Html) {
            answer("200 OK", "text/html", 6) + "<html>"
        } else if now == at(Mood::Truncated) {
            answer("200 OK", json, 10) + "{\"EXISTS\":"
        } else if now == at(Mood::Huge) {
            let size = 100 << 20;
            if stream.write_all(answer("200 OK", json, size).as_bytes()).await.is_err() {
                return;
            }
            let block = vec![b' '; 1 << 16];
            for _ in 0..size / block.len() {
                if stream.write_all(&block).await.is_err() {
                    return;
                }
            }
            continue;
        } else {
            // Reset: closing with a linger of zero.
            let _ = stream.set_zero_linger();
            return;
        };
        if stream.write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn with_policy(stack: &mut Stack, on_error: &str, stale: &str) -> Outcome<Source> {
    let source = Source::start(stack).await?;
    let mut policy = stack.policy()?;
    policy["revocation"] = json!({ "on_error": on_error, "stale": stale,
        "lookup": { "cluster": "revocations", "authority": "revocations", "path": "/EXISTS/revoked:{jti}",
                    "revoked": { "json": "/EXISTS", "equals": 1 }, "timeout": "200ms", "cache": "100ms" } });
    same("the update", stack.set_policy(&policy).await?, Update::Accepted)?;
    stack.wait_for_keys().await?;
    Ok(source)
}

fn get(token: &str) -> Request {
    Request::get("/orders/1").bearer(token)
}

/// Tokens for one fault: one known as good, one known as revoked, and never seen ones of both kinds.
struct Tokens {
    known: String,
    known_bad: String,
    unknown: Vec<String>,
    unknown_bad: Vec<String>,
}

/// Makes both workers well and shows them what they are to know, then lets the fault begin.
async fn begin(stack: &Stack, source: &Source, workers: &mut [Connection], fault: Mood) -> Outcome<Tokens> {
    source.set(Mood::Well);
    let tag = format!("{:x}", random());
    let mint = async |id: String| stack.backend.mint(&json!({ "jti": id })).await;
    let known = mint(format!("good-{tag}")).await?;
    let known_bad = mint(format!("bad-{tag}")).await?;
    for worker in &mut *workers {
        // Only an answer of the source refuses it so: with `allow`, what is good passes without one.
        until("the source's recovery", Duration::from_secs(20), async || {
            let brief = worker.send(&get(&known_bad)).await?.brief();
            if brief == "401 token_revoked" {
                Ok(())
            } else {
                Err(brief)
            }
        })
        .await?;
        until(
            "the source's word on the good one",
            Duration::from_secs(20),
            async || {
                let brief = worker.send(&get(&known)).await?.brief();
                if brief.starts_with("404") { Ok(()) } else { Err(brief) }
            },
        )
        .await?;
    }
    let (mut unknown, mut unknown_bad) = (Vec::new(), Vec::new());
    for i in 0..6 {
        unknown.push(mint(format!("good-{tag}-{i}")).await?);
        unknown_bad.push(mint(format!("bad-{tag}-{i}")).await?);
    }
    source.set(fault);
    // Longer than an answer is kept: from here on each use asks.
    tokio::time::sleep(Duration::from_millis(250)).await;
    Ok(Tokens {
        known,
        known_bad,
        unknown,
        unknown_bad,
    })
}

/// Sends and notes how long the answer took.
async fn timed(worker: &mut Connection, token: &str, times: &mut Vec<Duration>) -> Outcome<String> {
    let begun = Instant::now();
    let brief = worker.send(&get(token)).await?.brief();
    times.push(begun.elapsed());
    Ok(brief)
}

/// The client's clock runs on a machine that does other things too: the median is held to the bound, and each single
/// one to a bound that a wait without end breaks.
fn check_times(fault: Mood, mut times: Vec<Duration>) -> Outcome<()> {
    times.sort_unstable();
    let (median, longest) = (times[times.len() / 2], times[times.len() - 1]);
    println!("{fault:?}: median {median:?}, longest {longest:?} of {}", times.len());
    same(
        &format!("{fault:?}: median {median:?}"),
        median <= TIMEOUT + Duration::from_millis(20),
        true,
    )?;
    same(
        &format!("{fault:?}: longest {longest:?}"),
        longest <= TIMEOUT * 10,
        true,
    )
}

async fn with_deny_no_fault_lets_a_revoked_or_unknown_token_pass(stack: &mut Stack) -> Outcome<()> {
    let source = with_policy(stack, "deny", "0s").await?;
    let mut workers = stack
        .connect_to_each_worker(&stack.client()?.over(Version::Http2))
        .await?;
    for fault in FAULTS {
        let tokens = begin(stack, &source, &mut workers, fault).await?;
        let mut times = Vec::new();
        for worker in &mut workers {
            for token in tokens.unknown_bad.iter().chain([&tokens.known_bad]) {
                let brief = timed(worker, token, &mut times).await?;
                let refused = ["503 revocation_unavailable", "401 token_revoked"].contains(&brief.as_str());
                same(&format!("{fault:?}, revoked: {brief}"), refused, true)?;
            }
            for token in tokens.unknown.iter().chain([&tokens.known]) {
                let brief = timed(worker, token, &mut times).await?;
                // A flapping source answers in between.
                let fits =
                    brief == "503 revocation_unavailable" || (fault == Mood::Flapping && brief.starts_with("404"));
                same(&format!("{fault:?}, unknown: {brief}"), fits, true)?;
            }
        }
        check_times(fault, times)?;
    }
    Ok(())
}

async fn with_allow_no_fault_refuses_anybody_but_the_revoked(stack: &mut Stack) -> Outcome<()> {
    let source = with_policy(stack, "allow", "0s").await?;
    let mut workers = stack
        .connect_to_each_worker(&stack.client()?.over(Version::Http2))
        .await?;
    for fault in FAULTS {
        let tokens = begin(stack, &source, &mut workers, fault).await?;
        let mut times = Vec::new();
        for worker in &mut workers {
            for token in tokens.unknown.iter().chain([&tokens.known]) {
                let brief = timed(worker, token, &mut times).await?;
                same(&format!("{fault:?}: {brief}"), brief.starts_with("404"), true)?;
            }
            let brief = timed(worker, &tokens.known_bad, &mut times).await?;
            same(
                &format!("{fault:?}, known as revoked"),
                brief.as_str(),
                "401 token_revoked",
            )?;
        }
        check_times(fault, times)?;
    }
    Ok(())
}

async fn with_stale_the_last_known_answer_serves_and_the_unknown_are_refused(stack: &mut Stack) -> Outcome<()> {
    let source = with_policy(stack, "deny", "10m").await?;
    let mut workers = stack
        .connect_to_each_worker(&stack.client()?.over(Version::Http2))
        .await?;
    for fault in FAULTS {
        let tokens = begin(stack, &source, &mut workers, fault).await?;
        let mut times = Vec::new();
        for worker in &mut workers {
            for _ in 0..4 {
                let brief = timed(worker, &tokens.known, &mut times).await?;
                same(&format!("{fault:?}, known: {brief}"), brief.starts_with("404"), true)?;
            }
            for token in tokens.unknown_bad.iter().chain([&tokens.known_bad]) {
                let brief = timed(worker, token, &mut times).await?;
                let refused = ["503 revocation_unavailable", "401 token_revoked"].contains(&brief.as_str());
                same(&format!("{fault:?}, revoked: {brief}"), refused, true)?;
            }
        }
        check_times(fault, times)?;
    }
    Ok(())
}

/// Streams of one connection; Envoy takes 100 at once.
const STREAMS: usize = 100;
const CONNECTIONS: usize = 20;
const WAVES: usize = 50;

/// Resident memory of a process.
fn resident_kib(pid: u32) -> Outcome<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).map_err(|error| error.to_string())?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| "no VmRSS".to_owned())
}

async fn waiters_that_are_cut_off_leave_nothing_behind(stack: &mut Stack) -> Outcome<()> {
    let source = with_policy(stack, "deny", "0s").await?;
    let pid = stack.edge_pid().ok_or("no Envoy")?;
    let client = stack.client()?.over(Version::Http2);
    let mut levels = Vec::new();
    for wave in 0..WAVES {
        source.set(Mood::Slow);
        let token = stack
            .backend
            .mint(&json!({ "jti": format!("cut-{wave}-{:x}", random()) }))
            .await?;
        let mut waiting = tokio::task::JoinSet::new();
        for _ in 0..CONNECTIONS {
            let connection = client.connect().await?;
            for _ in 0..STREAMS {
                let mut stream = connection.share().ok_or("not HTTP/2")?;
                let request = get(&token);
                // Cut off while the lookup is out: some before it times out, some just as it does.
                waiting.spawn(async move {
                    let _ = tokio::time::timeout(Duration::from_millis(150), stream.send(&request)).await;
                });
            }
            drop(connection);
        }
        while waiting.join_next().await.is_some() {}
        if wave % 10 == 9 {
            tokio::time::sleep(Duration::from_millis(500)).await;
            levels.push(resident_kib(pid)?);
        }
    }
    println!(
        "{} waiters cut off; resident KiB after every ten waves: {levels:?}",
        WAVES * CONNECTIONS * STREAMS
    );
    let (first, last) = (levels[0], levels[levels.len() - 1]);
    same(
        &format!("memory back to its level: {levels:?} KiB"),
        last <= first + first / 10,
        true,
    )?;
    // Nobody hangs: the same workers judge as before.
    source.set(Mood::Well);
    let good = stack.backend.mint(&json!({ "jti": "good-after" })).await?;
    for worker in &mut stack.connect_to_each_worker(&client).await? {
        until("a good token's passage", Duration::from_secs(20), async || {
            let brief = worker.send(&get(&good)).await?.brief();
            if brief.starts_with("404") { Ok(()) } else { Err(brief) }
        })
        .await?;
    }
    same("the source was asked", source.asked.load(Ordering::SeqCst) > 0, true)
}
