//! The revocation feed, served from Redis by the example script: told within its period to every worker, without a
//! callout on a request's way; and what happens while its source is down.

use std::process::Command;
use std::time::{Duration, Instant};

use portcullis_e2e::client::{Connection, Version};
use portcullis_e2e::message::Request;
use portcullis_e2e::process::Process;
use portcullis_e2e::source::{FAULTS, Mood, Said, Source};
use portcullis_e2e::stack::{Options, Part, Stack, Update};
use portcullis_e2e::suite::same;
use portcullis_e2e::trials::{Tally, bounded, first_refusal, under_load};
use portcullis_e2e::{Outcome, places, random, scenarios, until};
use serde_json::{Value, json};

scenarios! { Options::with_own_revocations();
    each_kind_of_entry_is_refused_on_every_worker_within_the_period,
    from_the_first_refusal_on_no_worker_lets_the_token_pass_and_the_time_to_it_is_bounded,
    a_feed_that_is_down_serves_while_it_may_and_then_refuses,
    with_deny_a_feed_that_fails_in_any_way_refuses_once_it_is_too_old,
    with_allow_no_fault_refuses_anybody_but_the_revoked,
    with_stale_no_fault_refuses_anybody_but_the_revoked,
    redis_killed_under_load_lets_nothing_revoked_pass_with_deny,
    redis_killed_under_load_with_allow_refuses_nobody_but_the_revoked,
    redis_killed_under_load_with_stale_refuses_nobody_but_the_revoked,
    a_feed_that_comes_in_pages_is_loaded_whole,
    a_million_entries_are_held_within_the_stated_memory,
}

const EVERY: Duration = Duration::from_secs(1);

/// The example script, where the policy's cluster looks for the revocation source.
fn start_feed(stack: &Stack) -> Outcome<Process> {
    let mut command = Command::new("python3");
    command.arg(places::root().join("envoy/revocation-feed.py"));
    command.args([stack.ports.redis.to_string(), stack.ports.webdis.to_string()]);
    Process::start("feed", command, stack.directory(), None)
}

async fn with_feed(stack: &mut Stack, stale: &str) -> Outcome<Process> {
    stack.tell_redis(&["DEL", "revocations"], ":").await?;
    let feed = start_feed(stack)?;
    let mut policy = stack.policy()?;
    policy["revocation"] = json!({ "on_error": "deny", "stale": stale,
        "feed": { "cluster": "revocations", "authority": "revocations", "path": "/feed.json", "every": "1s" } });
    same("the update", stack.set_policy(&policy).await?, Update::Accepted)?;
    stack.wait_for_keys().await?;
    Ok(feed)
}

async fn revoke(stack: &Stack, entry: Value) -> Outcome<()> {
    let text = entry.to_string();
    stack
        .tell_redis(&["XADD", "revocations", "*", "entry", &text], "$")
        .await
}

fn get(token: &str) -> Request {
    Request::get("/orders/1").bearer(token)
}

async fn on_each_worker(stack: &Stack) -> Outcome<Vec<Connection>> {
    stack
        .connect_to_each_worker(&stack.client()?.over(Version::Http2))
        .await
}

fn far() -> u64 {
    4_000_000_000
}

const ISSUER: &str = "https://demo.portcullis.example";

async fn each_kind_of_entry_is_refused_on_every_worker_within_the_period(stack: &mut Stack) -> Outcome<()> {
    let _feed = with_feed(stack, "5m").await?;
    let mut workers = on_each_worker(stack).await?;
    let fresh = || format!("{:016x}", random());
    let (id, gone, early) = (fresh(), fresh(), fresh());
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |d| d.as_secs());
    let by_hash = stack.backend.mint(&json!({})).await?;
    let signing_input = by_hash.rsplit_once('.').map_or("", |(input, _)| input);
    let hash = hmac_sha256::Hash::hash(signing_input.as_bytes())
        .map(|byte| format!("{byte:02x}"))
        .concat();
    let minted = async |order: Value| stack.backend.mint(&order).await;
    let tokens = [
        (by_hash, json!({ "token_hash": hash, "exp": far() })),
        (
            minted(json!({ "jti": id })).await?,
            json!({ "iss": ISSUER, "jti": id, "exp": far() }),
        ),
        (
            minted(json!({ "sub": gone })).await?,
            json!({ "iss": ISSUER, "sub": gone, "exp": far() }),
        ),
        (
            minted(json!({ "sub": early, "iat": now - 60 })).await?,
            json!({ "iss": ISSUER, "sub": early, "before": now, "exp": far() }),
        ),
        // Of nobody named so far: only the issuer's leaked key is a reason.
        (
            minted(json!({ "iat": now - 600 })).await?,
            json!({ "iss": ISSUER, "before": now - 300, "exp": far() }),
        ),
    ];
    let untouched = stack.backend.mint(&json!({ "iat": now - 60 })).await?;
    for (token, entry) in tokens {
        for worker in &mut workers {
            stack.passes_on(worker, &get(&token), 404).await?;
        }
        revoke(stack, entry.clone()).await?;
        until(&format!("the refusal for {entry}"), EVERY * 5, async || {
            match workers[0].send(&get(&token)).await?.brief().as_str() {
                "401 token_revoked" => Ok(()),
                other => Err(other.to_owned()),
            }
        })
        .await?;
        for worker in &mut workers {
            stack.refused_on(worker, &get(&token), 401, "token_revoked").await?;
        }
    }
    // Logged in again: a later token of the same subject passes, and whoever is not named.
    let later = stack.backend.mint(&json!({ "sub": early, "iat": now + 1 })).await?;
    for worker in &mut workers {
        for token in [&later, &untouched] {
            stack.passes_on(worker, &get(token), 404).await?;
        }
    }
    let lookups = stack.edge.stats("portcullis.revocation.lookups").await?;
    same("callouts on a request's way", lookups.values().sum::<u64>(), 0)
}

const TRIALS: u32 = 200;

async fn from_the_first_refusal_on_no_worker_lets_the_token_pass_and_the_time_to_it_is_bounded(
    stack: &mut Stack,
) -> Outcome<()> {
    let _feed = with_feed(stack, "5m").await?;
    let workers = on_each_worker(stack).await?;
    let mut trials = tokio::task::JoinSet::new();
    for trial in 0..TRIALS {
        let id = format!("trial-{trial}-{:x}", random());
        let token = stack.backend.mint(&json!({ "jti": id })).await?;
        let connections: Vec<Connection> = workers.iter().filter_map(Connection::share).collect();
        let redis = stack.ports.redis;
        let begins = Duration::from_millis(u64::from(trial) * 100);
        trials.spawn(async move {
            tokio::time::sleep(begins).await;
            let entry = json!({ "iss": ISSUER, "jti": id, "exp": far() }).to_string();
            let begun = Instant::now();
            portcullis_e2e::parts::tell_redis(redis, &["XADD", "revocations", "*", "entry", &entry], "$").await?;
            let mut connections = connections;
            let request = || get(&token);
            first_refusal(&mut connections, request, begun, Duration::from_millis(10), EVERY * 10).await
        });
    }
    let mut refusals = Vec::new();
    while let Some(joined) = trials.join_next().await {
        refusals.push(joined.map_err(|error| error.to_string())??);
    }
    bounded("feed", &refusals, EVERY + Duration::from_millis(100))
}

async fn a_feed_that_is_down_serves_while_it_may_and_then_refuses(stack: &mut Stack) -> Outcome<()> {
    let feed = with_feed(stack, "4s").await?;
    let mut workers = on_each_worker(stack).await?;
    let (good, bad) = (
        stack.backend.mint(&json!({})).await?,
        stack.backend.mint(&json!({ "jti": "down" })).await?,
    );
    revoke(stack, json!({ "iss": ISSUER, "jti": "down", "exp": far() })).await?;
    until("the refusal", EVERY * 5, async || {
        match workers[0].send(&get(&bad)).await?.status {
            401 => Ok(()),
            other => Err(other.to_string()),
        }
    })
    .await?;
    drop(feed);
    for worker in &mut workers {
        stack.passes_on(worker, &get(&good), 404).await?;
    }
    for worker in &mut workers {
        until("the end of the last known feed", EVERY * 15, async || {
            stack.refused_on(worker, &get(&bad), 401, "token_revoked").await?;
            match worker.send(&get(&good)).await?.brief().as_str() {
                "503 revocation_unavailable" => Ok(()),
                other => Err(other.to_owned()),
            }
        })
        .await?;
    }
    let age = stack.edge.stats("portcullis.revocation.feed_age_seconds").await?;
    same("the gauge tells", age.values().all(|age| *age >= 3), true)?;
    let _feed = start_feed(stack)?;
    for worker in &mut workers {
        until("the feed's return", EVERY * 15, async || {
            let brief = worker.send(&get(&good)).await?.brief();
            if brief.starts_with("404") { Ok(()) } else { Err(brief) }
        })
        .await?;
        stack.refused_on(worker, &get(&bad), 401, "token_revoked").await?;
    }
    // Redis goes and comes back without its data: the source then says that it starts anew.
    stack.stop_part(Part::Redis);
    stack.start_part(Part::Redis).await?;
    revoke(stack, json!({ "iss": ISSUER, "jti": "down", "exp": far() })).await?;
    until("the feed after Redis came back", EVERY * 15, async || {
        for worker in &mut workers {
            stack.refused_on(worker, &get(&bad), 401, "token_revoked").await?;
            stack.passes_on(worker, &get(&good), 404).await?;
        }
        Ok(())
    })
    .await
}

/// A feed from a source that can fail in each way, with one token revoked.
async fn with_faulty_feed(stack: &mut Stack, on_error: &str, stale: &str) -> Outcome<Source> {
    let document = json!({ "version": 1, "reset": true, "entries": [{ "iss": ISSUER, "jti": "bad", "exp": far() }] });
    let text = document.to_string();
    let source = Source::start(stack, move |_| Said::json(text.as_str())).await?;
    let mut policy = stack.policy()?;
    policy["revocation"] = json!({ "on_error": on_error, "stale": stale,
        "feed": { "cluster": "revocations", "authority": "revocations", "path": "/faulty.json", "every": "100ms", "timeout": "200ms" } });
    same("the update", stack.set_policy(&policy).await?, Update::Accepted)?;
    stack.wait_for_keys().await?;
    Ok(source)
}

/// Two tokens through every fault: the revoked one is refused as that all the time, and `judge` says what else may be
/// said of the good one, so long after the fault began. No request waits for the source.
async fn through_each_fault(
    stack: &Stack,
    source: &Source,
    judge: impl Fn(Mood, &str, Duration) -> bool,
) -> Outcome<()> {
    const SPAN: Duration = Duration::from_millis(1700);
    let mut workers = on_each_worker(stack).await?;
    let good = stack.backend.mint(&json!({})).await?;
    let bad = stack.backend.mint(&json!({ "jti": "bad" })).await?;
    for fault in FAULTS {
        source.set(Mood::Well).await?;
        for worker in &mut workers {
            for (token, expected) in [(&good, "404"), (&bad, "401 token_revoked")] {
                until("the feed's recovery", EVERY * 10, async || {
                    let brief = worker.send(&get(token)).await?.brief();
                    if brief.starts_with(expected) {
                        Ok(())
                    } else {
                        Err(brief)
                    }
                })
                .await?;
            }
        }
        source.set(fault).await?;
        let (begun, mut asked, mut unasked) = (Instant::now(), Duration::ZERO, Duration::ZERO);
        while begun.elapsed() < SPAN {
            for worker in &mut workers {
                let mut times = [Duration::ZERO; 3];
                let mut briefs = Vec::new();
                let requests = [get(&bad), get(&good), Request::get("/orders/1")];
                for (request, time) in requests.iter().zip(&mut times) {
                    let sent = Instant::now();
                    briefs.push(worker.send(request).await?.brief());
                    *time = sent.elapsed();
                }
                same(&format!("{fault:?}, revoked"), briefs[0].as_str(), "401 token_revoked")?;
                let fits = judge(fault, &briefs[1], begun.elapsed());
                same(&format!("{fault:?}: {}", briefs[1]), fits, true)?;
                asked = asked.max(times[0]).max(times[1]);
                unasked = unasked.max(times[2]);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        println!("{fault:?}: the longest answer after {asked:?}; without a token after {unasked:?}");
        let most = Duration::from_millis(20) + unasked;
        same(
            &format!("{fault:?}: {asked:?} is at most {most:?}"),
            asked <= most,
            true,
        )?;
    }
    Ok(())
}

async fn with_deny_a_feed_that_fails_in_any_way_refuses_once_it_is_too_old(stack: &mut Stack) -> Outcome<()> {
    let source = with_faulty_feed(stack, "deny", "0s").await?;
    // A poll's turn, its timeout and half a second, as documented; then half as much again for the machine.
    let too_old = Duration::from_millis(800 + 400);
    through_each_fault(stack, &source, |fault, brief, after| {
        let refused = brief == "503 revocation_unavailable";
        refused || (brief.starts_with("404") && (fault == Mood::Flapping || after < too_old))
    })
    .await
}

async fn with_allow_no_fault_refuses_anybody_but_the_revoked(stack: &mut Stack) -> Outcome<()> {
    let source = with_faulty_feed(stack, "allow", "0s").await?;
    through_each_fault(stack, &source, |_, brief, _| brief.starts_with("404")).await
}

async fn with_stale_no_fault_refuses_anybody_but_the_revoked(stack: &mut Stack) -> Outcome<()> {
    let source = with_faulty_feed(stack, "deny", "10m").await?;
    through_each_fault(stack, &source, |_, brief, _| brief.starts_with("404")).await
}

/// Redis is killed for longer than the feed serves without it, and started again with its data; what became of the good
/// token. The revoked one never passes, and what is revoked afterwards is refused as well.
async fn through_an_outage_of_redis(stack: &mut Stack, on_error: &str, stale: &str) -> Outcome<Tally> {
    let _feed = with_feed(stack, "0s").await?;
    let mut policy = stack.policy()?;
    policy["quotas"] = json!([]);
    policy["revocation"] = json!({ "on_error": on_error, "stale": stale,
        "feed": { "cluster": "revocations", "authority": "revocations", "path": "/feed.json", "every": "200ms", "timeout": "200ms" } });
    same("the update", stack.set_policy(&policy).await?, Update::Accepted)?;
    stack.wait_for_keys().await?;
    let workers = on_each_worker(stack).await?;
    let fresh = || format!("{:016x}", random());
    let (id, later) = (fresh(), fresh());
    let minted = async |id: &str| stack.backend.mint(&json!({ "jti": id })).await;
    let (bad, after) = (get(&minted(&id).await?), get(&minted(&later).await?));
    let good = get(&stack.backend.mint(&json!({})).await?);
    revoke(stack, json!({ "iss": ISSUER, "jti": id, "exp": far() })).await?;
    for worker in &workers {
        let mut worker = worker.share().ok_or("not HTTP/2")?;
        until("the first refusal", EVERY * 5, async || {
            stack
                .refused_on(&mut worker, &bad, 401, "token_revoked")
                .await
                .map(drop)
        })
        .await?;
    }
    stack.tell_redis(&["SAVE"], "+OK").await?;
    let tally = under_load(&workers, (&good, &bad), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        stack.kill_part(Part::Redis);
        // A poll's turn, its timeout and half a second, and as much again.
        tokio::time::sleep(Duration::from_millis(1800)).await;
        stack.start_part(Part::Redis).await?;
        revoke(stack, json!({ "iss": ISSUER, "jti": later, "exp": far() })).await?;
        for worker in &workers {
            let mut worker = worker.share().ok_or("not HTTP/2")?;
            // By the answers alone: under load, counters and the backend's log move for others too.
            until("the feed's return", EVERY * 15, async || {
                let briefs = [worker.send(&after).await?.brief(), worker.send(&good).await?.brief()];
                let fit = briefs[0] == "401 token_revoked" && briefs[1].starts_with("404");
                if fit { Ok(()) } else { Err(briefs.join(", ")) }
            })
            .await?;
        }
        Ok(())
    })
    .await?;
    println!("{on_error}, stale {stale}: {tally:?}, none revoked passed");
    Ok(tally)
}

async fn redis_killed_under_load_lets_nothing_revoked_pass_with_deny(stack: &mut Stack) -> Outcome<()> {
    let tally = through_an_outage_of_redis(stack, "deny", "0s").await?;
    same("both happened", tally.passed > 0 && tally.unavailable > 0, true)
}

async fn redis_killed_under_load_with_allow_refuses_nobody_but_the_revoked(stack: &mut Stack) -> Outcome<()> {
    let tally = through_an_outage_of_redis(stack, "allow", "0s").await?;
    same("availability", (tally.passed > 0, tally.unavailable), (true, 0))
}

async fn redis_killed_under_load_with_stale_refuses_nobody_but_the_revoked(stack: &mut Stack) -> Outcome<()> {
    let tally = through_an_outage_of_redis(stack, "deny", "1m").await?;
    same("availability", (tally.passed > 0, tally.unavailable), (true, 0))
}

async fn a_feed_that_comes_in_pages_is_loaded_whole(stack: &mut Stack) -> Outcome<()> {
    const ENTRIES: u32 = 20_000;
    stack.tell_redis(&["DEL", "revocations"], ":").await?;
    let script = format!(
        "for i=1,{ENTRIES} do redis.call('XADD','revocations','*','entry','{{\"iss\":\"{ISSUER}\",\"jti\":\"p'..i..'\",\"exp\":{}}}') end return 1",
        far()
    );
    let mut policy = stack.policy()?;
    policy["revocation"] = json!({ "feed": { "cluster": "revocations", "authority": "revocations", "path": "/feed.json?of=all", "every": "1s" } });
    stack.tell_redis(&["EVAL", &script, "0"], ":1").await?;
    let _feed = start_feed(stack)?;
    same("the update", stack.set_policy(&policy).await?, Update::Accepted)?;
    stack.wait_for_keys().await?;
    for worker in &mut on_each_worker(stack).await? {
        for i in [1, 1999, 2000, 2001, 10_000, ENTRIES] {
            let token = stack.backend.mint(&json!({ "jti": format!("p{i}") })).await?;
            stack.refused_on(worker, &get(&token), 401, "token_revoked").await?;
        }
        let token = stack.backend.mint(&json!({ "jti": "p0" })).await?;
        stack.passes_on(worker, &get(&token), 404).await?;
    }
    let entries = stack.edge.stats("portcullis.revocation.feed_entries").await?;
    same("entries", entries.values().sum::<u64>(), ENTRIES.into())
}

const MILLION: u32 = 1_000_000;
const PAGE: u32 = 8_000;

/// Serves a million entries in pages, to whoever asks.
async fn serve_a_million(port: u16) -> Outcome<tokio::task::JoinHandle<()>> {
    let listener = until("the source's port", Duration::from_secs(5), async || {
        let bound = tokio::net::TcpListener::bind(("127.0.0.1", port)).await;
        bound.map_err(|error| error.to_string())
    })
    .await?;
    Ok(tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve_pages(stream));
        }
    }))
}

async fn serve_pages(mut stream: tokio::net::TcpStream) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut block = [0; 4096];
    let mut head = Vec::new();
    loop {
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read(&mut block).await {
                Ok(0) | Err(_) => return,
                Ok(read) => head.extend_from_slice(&block[..read]),
            }
        }
        let text = String::from_utf8_lossy(&head).into_owned();
        head.clear();
        let after = text.split_once("after=").map_or("", |(_, rest)| rest);
        let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
        let first: u32 = digits.parse().unwrap_or(0);
        let end = MILLION.min(first.saturating_add(PAGE));
        let entries: Vec<String> = (first..end)
            .map(|i| format!(r#"{{"iss":"{ISSUER}","jti":"m{i}","exp":{}}}"#, far()))
            .collect();
        let body = format!(
            r#"{{"version":1,"reset":{},"more":{},"cursor":"{end}","entries":[{}]}}"#,
            first == 0,
            end < MILLION,
            entries.join(",")
        );
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn a_million_entries_are_held_within_the_stated_memory(stack: &mut Stack) -> Outcome<()> {
    let mut policy = stack.policy()?;
    policy["revocation"] = json!({ "feed": { "cluster": "revocations", "authority": "revocations", "path": "/million.json", "every": "1s" } });
    same("the update", stack.set_policy(&policy).await?, Update::Accepted)?;
    let before = stack.edge_resident_mib()?;
    let source = serve_a_million(stack.ports.webdis).await?;
    let begun = Instant::now();
    until("the whole feed on every worker", Duration::from_secs(60), async || {
        let entries = stack.edge.stats("portcullis.revocation.feed_entries").await?;
        same("entries", entries.values().sum::<u64>(), MILLION.into())
    })
    .await?;
    let loaded = begun.elapsed();
    stack.wait_for_keys().await?;
    for worker in &mut on_each_worker(stack).await? {
        for i in [0, PAGE - 1, PAGE, MILLION / 2, MILLION - 1] {
            let token = stack.backend.mint(&json!({ "jti": format!("m{i}") })).await?;
            stack.refused_on(worker, &get(&token), 401, "token_revoked").await?;
        }
        let token = stack.backend.mint(&json!({ "jti": format!("m{MILLION}") })).await?;
        stack.passes_on(worker, &get(&token), 404).await?;
    }
    let grown = stack.edge_resident_mib()?.saturating_sub(before);
    source.abort();
    println!("a million entries: loaded in {loaded:?}, Envoy grew by {grown} MiB with two workers");
    // 16 MiB are shared, 28 MiB a worker's, and one worker has read the pages and built the snapshot.
    same(&format!("{grown} MiB are within the bound"), grown <= 256, true)
}
