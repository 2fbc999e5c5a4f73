//! A real OpenID provider, `oidc-provider`: its discovery and its tokens as they are, its keys rotated under load, and its
//! faults.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use portcullis_e2e::client::{Connection, Version};
use portcullis_e2e::message::Request;
use portcullis_e2e::provider::{Door, Provider};
use portcullis_e2e::stack::{Options, Stack, Update};
use portcullis_e2e::suite::same;
use portcullis_e2e::{Outcome, scenarios, until};
use serde_json::json;
use tokio::sync::RwLock;
use tokio::task::JoinSet;

scenarios! { Options::with_own_revocations();
    its_tokens_are_judged_as_they_are_under_each_algorithm,
    rotations_under_load_refuse_no_good_token,
    no_fault_of_its_drops_good_keys_and_its_end_brings_new_ones,
}

/// `FETCH_INTERVAL` in src/knowledge/keys.rs, a timeout for each of discovery and keys, and `WAIT_SLACK`.
const LONGEST_WAIT: Duration = Duration::from_secs(5 + 2 + 1);

fn get(token: &str) -> Request {
    Request::get("/orders/1").bearer(token)
}

/// The provider beside the demo's own issuer.
async fn with_provider(stack: &mut Stack, refresh: &str) -> Outcome<Provider> {
    let provider = Provider::start(stack).await?;
    let mut policy = stack.policy()?;
    let providers = policy["tokens"]["providers"].as_array_mut().ok_or("no providers")?;
    providers.push(provider.door().policy(refresh));
    same("the update", stack.set_policy(&policy).await?, Update::Accepted)?;
    Ok(provider)
}

async fn workers(stack: &Stack) -> Outcome<Vec<Connection>> {
    let client = stack.client()?.over(Version::Http2);
    stack.connect_to_each_worker(&client).await
}

async fn its_tokens_are_judged_as_they_are_under_each_algorithm(stack: &mut Stack) -> Outcome<()> {
    let provider = with_provider(stack, "10m").await?;
    let door = provider.door();
    let mut workers = workers(stack).await?;
    for algorithm in ["rs256", "ps256", "es256", "eddsa"] {
        let (good, foreign) = (
            door.token(algorithm, "orders-api").await?,
            door.token(algorithm, "billing").await?,
        );
        let (input, signature) = good.rsplit_once('.').ok_or("no token")?;
        let reversed: String = signature.chars().rev().collect();
        for worker in &mut workers {
            let (request, mark) = get(&good).mark();
            let passed = stack.passes_on(worker, &request, 404).await;
            passed.map_err(|fault| format!("{algorithm}: {fault}"))?;
            let user = stack.seen_once(&mark).await?["headers"]["x-user"].clone();
            same("x-user", user, json!(["app"]))?;
            stack.refused_on(worker, &get(&foreign), 401, "token_audience").await?;
            let reply = worker.send(&get(&format!("{input}.{reversed}"))).await?;
            // What is left of the last digit may not be canonical any more.
            let refused = ["401 token_signature", "401 token_malformed"].contains(&reply.brief().as_str());
            same(
                &format!("{algorithm}, its signature reversed: {}", reply.brief()),
                refused,
                true,
            )?;
        }
    }
    let opaque = door.token_for("https://opaque.example").await?;
    stack
        .refused_on(&mut workers[0], &get(&opaque), 401, "token_malformed")
        .await?;
    // Two documents, fetched once for all workers, for whatever number of algorithms and tokens.
    same("its documents were asked for", door.asked().await?, 2)?;
    Ok(())
}

/// A token and the generation of the key that signed it.
type Pool = Arc<RwLock<Vec<(u32, String)>>>;

const POOL: usize = 40;
const SENDERS: usize = 6;

/// Sends the newest tokens and those before, over both workers, until told to stop: how many, and the longest time.
async fn send_good_tokens(
    sender: usize,
    mut connections: Vec<Connection>,
    pool: Pool,
    stop: Arc<AtomicBool>,
) -> Outcome<(u32, Duration)> {
    let (mut sent, mut longest) = (0, Duration::ZERO);
    for turn in sender.. {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let (generation, token) = {
            let pool = pool.read().await;
            // Every other request has the newest token, which most workers see for the first time.
            let back = if turn % 2 == 0 { 0 } else { turn % POOL };
            pool[pool.len() - 1 - back.min(pool.len() - 1)].clone()
        };
        let begun = Instant::now();
        let at = turn / 2 % connections.len();
        let brief = connections[at].send(&get(&token)).await?.brief();
        if !brief.starts_with("404") || brief.contains("token") {
            return Err(format!("a good token of generation {generation}: {brief}"));
        }
        longest = longest.max(begun.elapsed());
        sent += 1;
    }
    Ok((sent, longest))
}

/// Keeps the newest tokens in the pool, and none that a rotation with one generation kept would make bad.
async fn mint(door: Door, pool: &Pool, generation: u32) -> Outcome<()> {
    let token = door.token("rs256", "orders-api").await?;
    let mut pool = pool.write().await;
    pool.push((generation, token));
    pool.retain(|(of, _)| of + 1 >= generation);
    let surplus = pool.len().saturating_sub(POOL);
    pool.drain(..surplus);
    Ok(())
}

async fn rotations_under_load_refuse_no_good_token(stack: &mut Stack) -> Outcome<()> {
    // When, in seconds: twice within the interval of fetches, then with a quiet time before it.
    const ROTATIONS: [u64; 3] = [1, 2, 9];
    const END: u64 = 12;
    let provider = with_provider(stack, "10m").await?;
    let door = provider.door();
    let mut workers = workers(stack).await?;
    pass_on_each(&mut workers, &door.token("rs256", "orders-api").await?).await?;
    let (pool, stop) = (Pool::default(), Arc::<AtomicBool>::default());
    mint(door, &pool, 0).await?;
    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        let connections = workers.iter().filter_map(Connection::share).collect();
        senders.spawn(send_good_tokens(
            sender,
            connections,
            Arc::clone(&pool),
            Arc::clone(&stop),
        ));
    }
    let (asked, begun, mut generation) = (door.asked().await?, Instant::now(), 0);
    while begun.elapsed() < Duration::from_secs(END) {
        let due = ROTATIONS
            .iter()
            .filter(|at| begun.elapsed() >= Duration::from_secs(**at));
        if due.count() > usize::try_from(generation).unwrap_or(usize::MAX) {
            // What the set is about to lose leaves the pool first; what was sent of it is answered while the keys are made.
            pool.write().await.retain(|(of, _)| *of == generation);
            door.rotate(1).await?;
            generation += 1;
        }
        mint(door, &pool, generation).await?;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stop.store(true, Ordering::SeqCst);
    let (mut requests, mut longest) = (0, Duration::ZERO);
    while let Some(joined) = senders.join_next().await {
        let (sent, waited) = joined.map_err(|error| error.to_string())??;
        requests += sent;
        longest = longest.max(waited);
    }
    let fetched = door.asked().await? - asked;
    println!(
        "{} rotations, {requests} requests with good tokens on {} workers: 0 refused, the longest took {longest:?}; {fetched} documents fetched",
        ROTATIONS.len(),
        workers.len()
    );
    same(
        &format!("{longest:?} is within {LONGEST_WAIT:?}"),
        longest < LONGEST_WAIT,
        true,
    )?;
    // Where the keys are is known; the first two rotations are seen by one fetch or by two.
    same(&format!("{fetched} documents"), (2..=4).contains(&fetched), true)?;
    Ok(())
}

/// How often the module could not use an answer.
async fn failures(stack: &Stack) -> Outcome<u64> {
    stack.edge.counter("wasmcustom.portcullis.keys.failed").await
}

async fn pass_on_each(workers: &mut [Connection], token: &str) -> Outcome<()> {
    for worker in workers {
        until("a good token's passage", LONGEST_WAIT, async || {
            let brief = worker.send(&get(token)).await?.brief();
            let passed = brief.starts_with("404") && !brief.contains("token");
            if passed { Ok(()) } else { Err(brief) }
        })
        .await?;
    }
    Ok(())
}

async fn no_fault_of_its_drops_good_keys_and_its_end_brings_new_ones(stack: &mut Stack) -> Outcome<()> {
    // Asked every second or so: each fault is met by fetches that nobody asked for, and by requests.
    let mut provider = with_provider(stack, "1s").await?;
    let mut door = provider.door();
    let mut workers = workers(stack).await?;
    let mut good = door.token("es256", "orders-api").await?;
    pass_on_each(&mut workers, &good).await?;
    let before = stack.edge_resident_mib()?;
    for mood in ["slow", "html", "broken", "error", "empty", "huge", "reset", "down"] {
        let failed = failures(stack).await?;
        let newer = if mood == "down" {
            provider.stop();
            None
        } else {
            door.set_mood(mood).await?;
            door.rotate(1).await?;
            Some(door.token("es256", "orders-api").await?)
        };
        until(
            &format!("two failures by `{mood}`"),
            Duration::from_secs(15),
            async || {
                let now = failures(stack).await?;
                if now >= failed + 2 {
                    Ok(())
                } else {
                    Err(format!("{now} after {failed}"))
                }
            },
        )
        .await?;
        for worker in &mut workers {
            let passed = stack.passes_on(worker, &get(&good), 404).await;
            passed.map_err(|fault| format!("{mood}: {fault}"))?;
            if let Some(newer) = &newer {
                let begun = Instant::now();
                let refused = stack
                    .refused_on(worker, &get(newer), 503, "token_keys_unavailable")
                    .await;
                refused.map_err(|fault| format!("{mood}: {fault}"))?;
                let waited = begun.elapsed();
                same(&format!("{mood}: {waited:?}"), waited < LONGEST_WAIT, true)?;
            }
        }
        let newer = match newer {
            Some(newer) => {
                door.set_mood("well").await?;
                newer
            }
            None => {
                provider = Provider::start(stack).await?;
                door = provider.door();
                door.token("es256", "orders-api").await?
            }
        };
        let passed = pass_on_each(&mut workers, &newer).await;
        passed.map_err(|fault| format!("after {mood}: {fault}"))?;
        good = newer;
    }
    let after = stack.edge_resident_mib()?;
    println!(
        "Envoy's resident memory: {before} MiB before the faults, {after} MiB after them, ten megabytes an answer among them"
    );
    same(&format!("{before} MiB became {after}"), after < before + 64, true)
}
