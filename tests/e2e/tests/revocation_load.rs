//! What revocation costs its source and how soon it works, under load, with real Redis behind webdis: callouts are counted
//! over all workers, and the time from the write to the first refusal is measured over many trials.

use std::time::{Duration, Instant};

use portcullis_e2e::client::{Connection, Version};
use portcullis_e2e::message::Request;
use portcullis_e2e::parts::tell_redis;
use portcullis_e2e::stack::{Options, Part, Stack, Update};
use portcullis_e2e::suite::same;
use portcullis_e2e::trials::{Tally, bounded, first_refusal, under_load};
use portcullis_e2e::{Outcome, random, scenarios, until};
use serde_json::json;

scenarios! { Options::default();
    lookups_are_as_many_as_tokens_and_periods_whatever_the_requests,
    a_revoked_token_is_refused_within_the_cache_and_from_then_on_by_every_worker,
    redis_killed_and_restarted_under_load_lets_nothing_revoked_pass,
    redis_killed_under_load_with_allow_refuses_nobody_but_the_revoked,
    redis_killed_under_load_with_stale_refuses_nobody_but_the_revoked,
}

const CACHE: Duration = Duration::from_secs(1);

async fn with_lookup(stack: &mut Stack, on_error: &str, stale: &str) -> Outcome<Vec<Connection>> {
    let mut policy = stack.policy()?;
    policy["quotas"] = json!([]);
    policy["revocation"]["on_error"] = json!(on_error);
    policy["revocation"]["stale"] = json!(stale);
    same("the update", stack.set_policy(&policy).await?, Update::Accepted)?;
    stack.wait_for_keys().await?;
    stack
        .connect_to_each_worker(&stack.client()?.over(Version::Http2))
        .await
}

fn get(token: &str) -> Request {
    Request::get("/orders/1").bearer(token)
}

async fn counted(stack: &Stack, name: &str) -> Outcome<u64> {
    Ok(stack
        .edge
        .stats(&format!("portcullis.revocation.{name}$"))
        .await?
        .values()
        .sum())
}

const TOKENS: usize = 100;
const REQUESTS: usize = 10_000;
const SENDERS: usize = 10;
const SPAN: Duration = Duration::from_secs(10);

async fn lookups_are_as_many_as_tokens_and_periods_whatever_the_requests(stack: &mut Stack) -> Outcome<()> {
    let workers = with_lookup(stack, "deny", "0s").await?;
    let mut tokens = Vec::new();
    for _ in 0..TOKENS {
        tokens.push(stack.backend.mint(&json!({})).await?);
    }
    let before = counted(stack, "lookups").await?;
    let begun = Instant::now();
    let mut senders = tokio::task::JoinSet::new();
    for sender in 0..SENDERS {
        let mut connections: Vec<Connection> = workers.iter().filter_map(Connection::share).collect();
        let tokens = tokens.clone();
        senders.spawn(async move {
            let each = REQUESTS / SENDERS;
            for i in 0..each {
                let due = SPAN.mul_f64(i as f64 / each as f64);
                tokio::time::sleep(due.saturating_sub(begun.elapsed())).await;
                let token = &tokens[(i * SENDERS + sender) % TOKENS];
                let worker = i % connections.len();
                let reply = connections[worker].send(&get(token)).await?;
                if reply.code().is_some() {
                    return Err(reply.brief());
                }
            }
            Ok(())
        });
    }
    while let Some(joined) = senders.join_next().await {
        joined.map_err(|error| error.to_string())??;
    }
    let (took, asked) = (begun.elapsed(), counted(stack, "lookups").await? - before);
    // A period that has begun counts.
    let periods = took.as_secs_f64() / CACHE.as_secs_f64();
    let most = (TOKENS as f64 * periods.ceil() * 1.1) as u64;
    println!("{asked} lookups for {REQUESTS} requests with {TOKENS} tokens in {took:?}; at most {most}");
    same(&format!("{asked} lookups are at most {most}"), asked <= most, true)?;
    let (hits, failures) = (counted(stack, "hits").await?, counted(stack, "failures").await?);
    same(
        &format!("{hits} hits, {failures} failures"),
        hits > 8_000 && failures == 0,
        true,
    )
}

const TRIALS: u32 = 200;

async fn a_revoked_token_is_refused_within_the_cache_and_from_then_on_by_every_worker(
    stack: &mut Stack,
) -> Outcome<()> {
    let workers = with_lookup(stack, "deny", "0s").await?;
    let mut trials = tokio::task::JoinSet::new();
    for trial in 0..TRIALS {
        let id = format!("trial-{trial}-{:x}", random());
        let token = stack.backend.mint(&json!({ "jti": id })).await?;
        let mut connections: Vec<Connection> = workers.iter().filter_map(Connection::share).collect();
        let redis = stack.ports.redis;
        let begins = Duration::from_millis(u64::from(trial) * 40);
        trials.spawn(async move {
            tokio::time::sleep(begins).await;
            for connection in &mut connections {
                let brief = connection.send(&get(&token)).await?.brief();
                same("before", brief.starts_with("404"), true)?;
            }
            let begun = Instant::now();
            tell_redis(redis, &["SET", &format!("revoked:{id}"), "1"], "+OK").await?;
            let request = || get(&token);
            first_refusal(&mut connections, request, begun, Duration::from_millis(5), CACHE * 10).await
        });
    }
    let mut refusals = Vec::new();
    while let Some(joined) = trials.join_next().await {
        refusals.push(joined.map_err(|error| error.to_string())??);
    }
    bounded("lookup", &refusals, CACHE + Duration::from_millis(50))
}

/// Redis is killed and started again under load, so often; what became of the good token. The revoked one never passes.
async fn through_outages(stack: &mut Stack, on_error: &str, stale: &str, outages: u32) -> Outcome<Tally> {
    let workers = with_lookup(stack, on_error, stale).await?;
    let (good, bad) = (
        get(&stack.backend.mint(&json!({})).await?),
        get(&stack.backend.mint(&json!({ "jti": "killed" })).await?),
    );
    stack.set_in_redis("revoked:killed").await?;
    let tally = under_load(&workers, (&good, &bad), async {
        for _ in 0..outages {
            tokio::time::sleep(Duration::from_millis(1500)).await;
            stack.kill_part(Part::Redis);
            tokio::time::sleep(Duration::from_millis(2500)).await;
            stack.start_part(Part::Redis).await?;
            stack.set_in_redis("revoked:killed").await?;
        }
        let mut worker = stack.client()?.connect().await?;
        // Revoked during the outage, and never seen before: only the source can know.
        stack.set_in_redis("revoked:later").await?;
        let unknown = stack.backend.mint(&json!({ "jti": "later" })).await?;
        until("the source's return", Duration::from_secs(20), async || {
            let brief = worker.send(&get(&unknown)).await?.brief();
            if brief == "401 token_revoked" {
                Ok(())
            } else {
                Err(brief)
            }
        })
        .await
    })
    .await?;
    println!("{on_error}, stale {stale}: {tally:?}, none revoked passed");
    Ok(tally)
}

async fn redis_killed_and_restarted_under_load_lets_nothing_revoked_pass(stack: &mut Stack) -> Outcome<()> {
    let tally = through_outages(stack, "deny", "0s", 2).await?;
    same("both happened", tally.passed > 0 && tally.unavailable > 0, true)
}

async fn redis_killed_under_load_with_allow_refuses_nobody_but_the_revoked(stack: &mut Stack) -> Outcome<()> {
    let tally = through_outages(stack, "allow", "0s", 1).await?;
    same("availability", (tally.passed > 0, tally.unavailable), (true, 0))
}

async fn redis_killed_under_load_with_stale_refuses_nobody_but_the_revoked(stack: &mut Stack) -> Outcome<()> {
    let tally = through_outages(stack, "deny", "1m", 1).await?;
    same("availability", (tally.passed > 0, tally.unavailable), (true, 0))
}
