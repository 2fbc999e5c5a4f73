//! Quotas: exact over all workers, charged to the client that Envoy trusts, and told in RateLimit fields.

use std::time::{Duration, Instant};

use portcullis_e2e::client::Version;
use portcullis_e2e::edge::Stats;
use portcullis_e2e::message::{Reply, Request};
use portcullis_e2e::stack::{Options, Stack, Update};
use portcullis_e2e::suite::same;
use portcullis_e2e::{Outcome, scenarios};
use serde_json::{Value, json};

scenarios! { Options::default();
    the_shipped_quota_admits_twenty_lists_a_minute,
    the_workers_count_together_and_exactly,
    what_a_narrow_quota_refuses_is_not_charged_to_the_shared_one,
    a_quota_counts_the_peer_whatever_it_claims,
    a_retry_passes_at_the_stated_second_and_not_one_earlier,
    answers_tell_what_is_left,
    a_backend_s_own_limits_stand_beside_ours,
}

fn list(token: &str) -> Request {
    Request::get("/orders").bearer(token)
}

fn one(token: &str) -> Request {
    Request::get("/orders/1").bearer(token)
}

/// Puts these quotas in force, with windows so long that nothing comes back while a test runs.
async fn with_quotas(stack: &mut Stack, quotas: Value) -> Outcome<()> {
    let mut policy = stack.policy()?;
    policy["quotas"] = quotas;
    same("the update", stack.set_policy(&policy).await?, Update::Accepted)?;
    stack.wait_for_keys().await
}

async fn the_shipped_quota_admits_twenty_lists_a_minute(stack: &mut Stack) -> Outcome<()> {
    let (client, token) = (stack.client()?, stack.backend.mint(&json!({})).await?);
    let mut connection = client.connect().await?;
    let begun = Instant::now();
    for _ in 0..20 {
        stack.passes_on(&mut connection, &list(&token), 200).await?;
    }
    // One unit comes back every three seconds.
    for _ in 0..begun.elapsed().as_secs() / 3 + 1 {
        if client.send(&list(&token)).await?.status == 429 {
            break;
        }
    }
    let reply = stack.refused(&client, &list(&token), 429, "quota_exceeded").await?;
    let seconds = reply.number("retry-after").unwrap_or(0);
    same(
        &format!("retry-after {seconds} is at most one unit's time"),
        (1..=3).contains(&seconds),
        true,
    )?;
    // The same client's other requests, and another client's, go on.
    stack.passes(&client, &one(&token), 404).await?;
    stack.passes(&stack.client()?, &list(&token), 200).await.map(drop)
}

async fn the_workers_count_together_and_exactly(stack: &mut Stack) -> Outcome<()> {
    with_quotas(
        stack,
        json!([{ "name": "few", "limit": 30, "window": "1h", "by": ["client"] }]),
    )
    .await?;
    let (client, token) = (
        stack.client()?.over(Version::Http2),
        stack.backend.mint(&json!({})).await?,
    );
    let connections = stack.connect_to_each_worker(&client).await?;
    let before = stack.edge.module_counters().await?;
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..50 {
        for connection in &connections {
            let mut connection = connection.share().ok_or("not HTTP/2")?;
            let request = one(&token);
            requests.spawn(async move { connection.send(&request).await });
        }
    }
    let (mut passed, mut refused) = (0, 0);
    while let Some(joined) = requests.join_next().await {
        let reply = joined.map_err(|error| error.to_string())??;
        match reply.code().as_deref() {
            None => passed += 1,
            Some("quota_exceeded") => refused += 1,
            Some(_) => return Err(reply.brief()),
        }
    }
    same("passed and refused", (passed, refused), (30, 70))?;
    let after = stack.edge.module_counters().await?;
    let count = |stats: &Stats| stats.get("denied.quota_exceeded").copied().unwrap_or(0);
    same("counted", count(&after) - count(&before), 70)
}

async fn what_a_narrow_quota_refuses_is_not_charged_to_the_shared_one(stack: &mut Stack) -> Outcome<()> {
    with_quotas(
        stack,
        json!([
            { "name": "shared", "limit": 8, "window": "1h", "by": ["client"] },
            { "name": "narrow", "limit": 4, "window": "1h", "by": ["client"], "operations": ["list-orders"] },
        ]),
    )
    .await?;
    let (client, token) = (stack.client()?, stack.backend.mint(&json!({})).await?);
    for _ in 0..4 {
        stack.passes(&client, &list(&token), 200).await?;
    }
    for _ in 0..6 {
        let reply = stack.refused(&client, &list(&token), 429, "quota_exceeded").await?;
        same(
            "the quota that is named",
            names(&reply, "ratelimit").contains(&"narrow".to_owned()),
            true,
        )?;
    }
    for _ in 0..4 {
        stack.passes(&client, &one(&token), 404).await?;
    }
    stack
        .refused(&client, &one(&token), 429, "quota_exceeded")
        .await
        .map(drop)
}

async fn a_quota_counts_the_peer_whatever_it_claims(stack: &mut Stack) -> Outcome<()> {
    with_quotas(
        stack,
        json!([{ "name": "two", "limit": 2, "window": "1h", "by": ["client"] }]),
    )
    .await?;
    let (client, token) = (stack.client()?, stack.backend.mint(&json!({})).await?);
    stack
        .passes(&client, &one(&token).header("x-forwarded-for", "203.0.113.1"), 404)
        .await?;
    stack
        .passes(&client, &one(&token).header("x-forwarded-for", "203.0.113.2"), 404)
        .await?;
    for name in [
        "x-forwarded-for",
        "forwarded",
        "x-real-ip",
        "x-envoy-external-address",
        "true-client-ip",
    ] {
        let request = one(&token).header(name, "203.0.113.3");
        stack
            .refused(&client, &request, 429, "quota_exceeded")
            .await
            .map_err(|fault| format!("{name}: {fault}"))?;
    }
    Ok(())
}

async fn a_retry_passes_at_the_stated_second_and_not_one_earlier(stack: &mut Stack) -> Outcome<()> {
    // The promise under test is one of time, so here the test waits for time.
    const WINDOW: Duration = Duration::from_secs(3);
    const TRIALS_MAX: u32 = 5;
    with_quotas(
        stack,
        json!([{ "name": "slow", "limit": 1, "window": "3s", "by": ["client"] }]),
    )
    .await?;
    let token = stack.backend.mint(&json!({})).await?;
    for _ in 0..TRIALS_MAX {
        let mut connection = stack.client()?.connect().await?;
        let begun = Instant::now();
        stack.passes_on(&mut connection, &one(&token), 404).await?;
        let reply = stack
            .refused_on(&mut connection, &one(&token), 429, "quota_exceeded")
            .await?;
        let (heard, seconds) = (Instant::now(), reply.number("retry-after").ok_or("no retry-after")?);
        sleep_until(heard + Duration::from_secs(seconds.saturating_sub(1))).await;
        let early = connection.send(&one(&token)).await?;
        if begun.elapsed() >= WINDOW {
            // The machine kept this waiting until it was no longer early.
            continue;
        }
        same("a second earlier", (early.status, seconds), (429, 3))?;
        sleep_until(heard + Duration::from_secs(seconds)).await;
        return stack.passes_on(&mut connection, &one(&token), 404).await.map(drop);
    }
    Err(format!("none of {TRIALS_MAX} trials was quick enough to tell"))
}

async fn sleep_until(instant: Instant) {
    tokio::time::sleep(instant.saturating_duration_since(Instant::now())).await;
}

async fn answers_tell_what_is_left(stack: &mut Stack) -> Outcome<()> {
    with_quotas(
        stack,
        json!([{ "name": "told", "limit": 3, "window": "1h", "by": ["client"] }]),
    )
    .await?;
    let (client, token) = (stack.client()?, stack.backend.mint(&json!({})).await?);
    for left in ["r=2", "r=1", "r=0"] {
        let reply = stack.passes(&client, &one(&token), 404).await?;
        same(
            "the policy",
            reply.header("ratelimit-policy"),
            Some("\"told\";q=3;w=3600"),
        )?;
        let told = reply.header("ratelimit").unwrap_or_default();
        same(
            &format!("`{left}` in `{told}`"),
            told.starts_with("\"told\";") && told.contains(left),
            true,
        )?;
    }
    let reply = stack.refused(&client, &one(&token), 429, "quota_exceeded").await?;
    let (after, t) = (
        reply.number("retry-after").unwrap_or(0),
        parameter(&reply, "t").unwrap_or(u64::MAX),
    );
    // The draft: Retry-After not before t.
    same(&format!("retry-after {after} is not before t={t}"), after >= t, true)
}

async fn a_backend_s_own_limits_stand_beside_ours(stack: &mut Stack) -> Outcome<()> {
    let mut policy = stack.policy()?;
    policy["quotas"] = json!([{ "name": "ours", "limit": 50, "window": "1h", "by": ["client"] }]);
    policy["replies"]["rate_limit_fields"] = json!("both");
    same("the update", stack.set_policy(&policy).await?, Update::Accepted)?;
    stack.wait_for_keys().await?;
    let (client, token) = (stack.client()?, stack.backend.mint(&json!({})).await?);
    let (list, policy) = ("ratelimit", "ratelimit-policy");
    let (limit, left, reset) = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset");
    let ours = |left: u32| format!("\"ours\";r={left}");
    let rows = [
        (vec![], vec![ours(49)], "50", "49"),
        // One list, in one field.
        (
            vec![
                (list, "\"theirs\";r=5"),
                (policy, "\"theirs\";q=9;w=1"),
                (limit, "9"),
                (left, "5"),
                (reset, "1"),
            ],
            vec!["\"theirs\";r=5".to_owned(), ours(48)],
            "9",
            "5",
        ),
        (
            vec![(limit, "900"), (left, "500"), (reset, "1")],
            vec![ours(47)],
            "50",
            "47",
        ),
        // Of an earlier draft's form, and of our own name: what the backend says stays.
        (
            vec![(list, "limit=9, remaining=5, reset=1")],
            vec!["limit=9, remaining=5, reset=1".to_owned()],
            "50",
            "46",
        ),
        (
            vec![(list, "\"ours\";r=3")],
            vec!["\"ours\";r=3".to_owned()],
            "50",
            "45",
        ),
    ];
    for (fields, expected, expected_limit, expected_left) in rows {
        stack.backend.add_fields("/orders/1", &fields).await?;
        let reply = stack.passes(&client, &one(&token), 404).await?;
        let all = |name: &str| {
            reply
                .headers
                .get_all(name)
                .iter()
                .filter_map(|value| value.to_str().ok())
                .collect::<Vec<_>>()
        };
        let told = all(list).join(" | ");
        // Seconds pass meanwhile.
        let told: Vec<&str> = told.split(", ").filter_map(|item| item.split(";t=").next()).collect();
        same(
            &format!("{list} beside {fields:?}"),
            told.join(", "),
            expected.join(", "),
        )?;
        same(&format!("{limit} beside {fields:?}"), all(limit), vec![expected_limit])?;
        same(&format!("{left} beside {fields:?}"), all(left), vec![expected_left])?;
        same(&format!("{reset} beside {fields:?}"), all(reset).len(), 1)?;
    }
    Ok(())
}

fn names(reply: &Reply, field: &str) -> Vec<String> {
    let items = reply.header(field).unwrap_or_default().split(',');
    items
        .filter_map(|item| Some(item.trim().split(';').next()?.trim_matches('"').to_owned()))
        .collect()
}

fn parameter(reply: &Reply, name: &str) -> Option<u64> {
    let mut parameters = reply.header("ratelimit")?.split(';');
    parameters.find_map(|parameter| parameter.trim().strip_prefix(name)?.strip_prefix('=')?.parse().ok())
}
