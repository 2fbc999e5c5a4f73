//! Key sets by callout: a backend that is down at the start, and one that changes its keys.

use std::time::{Duration, Instant};

use portcullis_e2e::message::Request;
use portcullis_e2e::stack::{Options, Part, Stack};
use portcullis_e2e::suite::same;
use portcullis_e2e::{Outcome, scenarios};
use serde_json::json;

// In this order: the first has the backend still down, the others have it up.
scenarios! { Options { without: vec![Part::Backend], ..Options::default() };
    without_keys_every_token_is_refused_as_unavailable,
    once_the_issuer_is_up_good_tokens_pass_on_every_worker,
    an_unknown_key_is_fetched_by_the_request_that_names_it,
    a_second_rotation_costs_a_wait_and_no_refusal,
    a_key_that_nobody_has_costs_the_issuer_no_more_than_one_fetch_an_interval,
    keys_outlive_the_issuer,
}

/// Well-formed, of the right issuer, signed by nobody.
const SOME_TOKEN: &str = concat!(
    "eyJhbGciOiJFUzI1NiIsImtpZCI6ImsiLCJ0eXAiOiJhdCtqd3QifQ",
    ".eyJpc3MiOiJodHRwczovL2RlbW8ucG9ydGN1bGxpcy5leGFtcGxlIiwiYXVkIjoib3JkZXJzLWFwaSIsInN1YiI6ImEiLCJqdGkiOiJqIiwiZXhwIjo0MTAyNDQ0ODAwfQ",
    ".AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ",
);
// DESIGN: an unknown key triggers a fetch at most every five seconds.
const FETCH_INTERVAL: Duration = Duration::from_secs(5);
const SLACK: Duration = Duration::from_secs(5);
const KEYS_PATH: &str = "/.well-known/jwks.json";

fn get(token: &str) -> Request {
    Request::get("/orders/1").bearer(token)
}

async fn fetches(stack: &Stack) -> Outcome<usize> {
    let seen = stack.backend.seen_all().await?;
    Ok(seen.iter().filter(|request| request["path"] == KEYS_PATH).count())
}

/// Refused as unavailable, with the counter; there is no backend that could be asked what it saw.
async fn without_keys_every_token_is_refused_as_unavailable(stack: &mut Stack) -> Outcome<()> {
    let client = stack.client()?;
    for connection in &mut stack.connect_to_each_worker(&client).await? {
        let before = stack.edge.module_counters().await?;
        let reply = connection.send(&get(SOME_TOKEN)).await?;
        same("the answer", reply.brief(), "503 token_keys_unavailable".to_owned())?;
        let after = stack.edge.module_counters().await?;
        let name = "denied.token_keys_unavailable";
        same(
            name,
            after.get(name).copied(),
            Some(before.get(name).copied().unwrap_or(0) + 1),
        )?;
        // What can be judged without keys still is.
        same(
            "no token",
            connection.send(&Request::get("/orders")).await?.brief(),
            "401 token_missing".to_owned(),
        )?;
        same(
            "not a token",
            connection.send(&get("a.b")).await?.brief(),
            "401 token_malformed".to_owned(),
        )?;
    }
    Ok(())
}

async fn once_the_issuer_is_up_good_tokens_pass_on_every_worker(stack: &mut Stack) -> Outcome<()> {
    stack.start_part(Part::Backend).await?;
    stack.wait_for_keys().await?;
    let client = stack.client()?;
    stack
        .refused(&client, &get(SOME_TOKEN), 401, "token_key_unknown")
        .await
        .map(drop)
}

async fn an_unknown_key_is_fetched_by_the_request_that_names_it(stack: &mut Stack) -> Outcome<()> {
    let client = stack.client()?;
    let unused = stack.backend.mint(&json!({})).await?;
    // The test before has triggered a fetch; this one needs the next to be allowed.
    tokio::time::sleep(FETCH_INTERVAL).await;
    stack.backend.rotate_keys().await?;
    let token = stack.backend.mint(&json!({})).await?;
    // On every worker, at once: the first waits for the fetch, none is refused.
    for connection in &mut stack.connect_to_each_worker(&client).await? {
        stack.passes_on(connection, &get(&token), 404).await?;
    }
    // The old key is gone, and with it what was signed by it and never seen.
    for connection in &mut stack.connect_to_each_worker(&client).await? {
        stack
            .refused_on(connection, &get(&unused), 401, "token_key_unknown")
            .await?;
    }
    Ok(())
}

async fn a_second_rotation_costs_a_wait_and_no_refusal(stack: &mut Stack) -> Outcome<()> {
    let client = stack.client()?;
    // The fetch of the test before was a moment ago, or this makes it so.
    let nobody = stack.backend.mint(&json!({ "header": { "kid": "nobody" } })).await?;
    client.send(&get(&nobody)).await?;
    stack.backend.rotate_keys().await?;
    let token = stack.backend.mint(&json!({})).await?;
    let begun = Instant::now();
    let mut connections = stack.connect_to_each_worker(&client).await?;
    for connection in &mut connections {
        stack.passes_on(connection, &get(&token), 404).await?;
    }
    same(
        &format!("{:?} is within the interval and slack", begun.elapsed()),
        begun.elapsed() < FETCH_INTERVAL + SLACK,
        true,
    )
}

async fn a_key_that_nobody_has_costs_the_issuer_no_more_than_one_fetch_an_interval(stack: &mut Stack) -> Outcome<()> {
    const TOKENS: usize = 60;
    let client = stack.client()?;
    let before = fetches(stack).await?;
    let begun = Instant::now();
    let mut tokens = Vec::new();
    for number in 0..TOKENS {
        let order = json!({ "header": { "kid": format!("nobody-{number}") } });
        tokens.push(stack.backend.mint(&order).await?);
    }
    // At once, each on a connection of its own: each waits for a fetch that was begun after it came.
    let mut asked = tokio::task::JoinSet::new();
    for token in tokens {
        let client = client.clone();
        asked.spawn(async move { client.send(&get(&token)).await.map(|reply| reply.brief()) });
    }
    while let Some(reply) = asked.join_next().await {
        let reply = reply.map_err(|fault| fault.to_string())??;
        same("the answer", reply, "401 token_key_unknown".to_owned())?;
    }
    let intervals = usize::try_from(begun.elapsed().as_secs() / FETCH_INTERVAL.as_secs()).unwrap_or(usize::MAX) + 1;
    let fetched = fetches(stack).await? - before;
    // One worker fetches for all.
    same(
        &format!("{fetched} fetches in {intervals} intervals by two workers"),
        fetched <= intervals,
        true,
    )
}

async fn keys_outlive_the_issuer(stack: &mut Stack) -> Outcome<()> {
    let client = stack.client()?;
    let token = stack.backend.mint(&json!({})).await?;
    stack.passes(&client, &get(&token), 404).await?;
    stack.stop_part(Part::Backend);
    for connection in &mut stack.connect_to_each_worker(&client).await? {
        // The token is taken; it is the backend that isn't there.
        let reply = connection.send(&get(&token)).await?;
        same("the answer", reply.brief(), "503 unavailable".to_owned())?;
        let reply = connection.send(&get(SOME_TOKEN)).await?;
        same(
            "an unknown key",
            reply.code().is_some_and(|code| code.starts_with("token_key")),
            true,
        )?;
    }
    stack.start_part(Part::Backend).await
}
