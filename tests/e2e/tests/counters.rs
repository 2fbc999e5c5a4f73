//! The counters and gauges of quotas, logins and the table, as Envoy shows them: each moves when what it counts happens.

use std::time::Duration;

use portcullis_e2e::client::Version;
use portcullis_e2e::edge::Stats;
use portcullis_e2e::message::Request;
use portcullis_e2e::stack::{Options, Stack};
use portcullis_e2e::suite::same;
use portcullis_e2e::{Outcome, scenarios, until};
use serde_json::json;

scenarios! { options();
    quotas_are_counted_by_name,
    attempts_and_bans_are_counted_from_start_to_end,
    a_ban_is_active_until_it_ends_and_then_expired,
    the_table_tells_how_full_it_is_and_what_it_had_to_do,
}

const ATTEMPTS: usize = 5;

fn options() -> Options {
    let policy = json!({
        // Few buckets, so that newcomers displace others soon.
        "store": { "memory": "64KiB" },
        "quotas": [
            { "name": "real", "limit": 3, "window": "1h" },
            { "name": "trial", "limit": 1, "window": "1h", "mode": "shadow" },
        ],
        "login": {
            "operations": [{ "methods": ["POST"], "path": "/login" }],
            "client": { "attempts": ATTEMPTS, "window": "5s", "refunds": 1 }, "ban": { "for": "1s" },
        },
    });
    Options {
        policy: Some(policy),
        behind_proxies: true,
        ..Options::default()
    }
}

fn from(request: Request, client: &str) -> Request {
    request.header("x-forwarded-for", client)
}

fn value(stats: &Stats, name: &str) -> Outcome<u64> {
    stats.get(name).copied().ok_or_else(|| format!("no `{name}`"))
}

/// How far each of these moved since `before`.
async fn moved(stack: &Stack, before: &Stats, expected: &[(&str, u64)]) -> Outcome<()> {
    let now = stack.edge.module_counters().await?;
    for (name, by) in expected {
        same(name, value(&now, name)? - before.get(*name).copied().unwrap_or(0), *by)?;
    }
    Ok(())
}

async fn quotas_are_counted_by_name(stack: &mut Stack) -> Outcome<()> {
    let before = stack.edge.module_counters().await?;
    let client = stack.client()?;
    for status in [200, 200, 200, 429] {
        let reply = client.send(&from(Request::get("/healthz"), "198.51.100.1")).await?;
        same("the status", reply.status, status)?;
    }
    let expected = [
        ("quota.real.admitted", 3),
        ("quota.real.refused", 1),
        ("quota.trial.shadowed", 2),
        ("shadowed.quota_exceeded", 2),
        ("denied.quota_exceeded", 1),
    ];
    moved(stack, &before, &expected).await
}

async fn attempts_and_bans_are_counted_from_start_to_end(stack: &mut Stack) -> Outcome<()> {
    // Logins are not what the quotas are about here.
    let mut policy = stack.policy()?;
    policy["quotas"] = json!([]);
    stack.set_policy(&policy).await?;
    let client = stack.client()?;
    let guess = Request::post_json("/login", &json!({ "username": "ann", "password": "wrong-password" }));
    let before = stack.edge.module_counters().await?;
    // The backend fails twice: one attempt is given back, and for the other it is one too many.
    stack.backend.fail("/login", 503, 2).await?;
    for _ in 0..2 {
        client.send(&from(guess.clone(), "198.51.100.2")).await?;
    }
    let expected = [
        ("login.attempts", 2),
        ("login.refunds", 1),
        ("login.kept", 1),
        ("login.failures", 0),
    ];
    moved(stack, &before, &expected).await?;
    let mut failures = 0;
    loop {
        let reply = client.send(&from(guess.clone(), "198.51.100.3")).await?;
        match reply.status {
            401 => failures += 1,
            429 => break,
            _ => return Err(reply.brief()),
        }
    }
    // Slow machines give an attempt back meanwhile.
    same("at least the attempts", failures >= ATTEMPTS as u64, true)?;
    let expected = [
        ("login.failures", failures),
        ("login.attempts", 2 + failures),
        ("login.bans", 1),
    ];
    moved(stack, &before, &expected).await?;
    // Whoever looks through the table is several ticks behind; the ban may be over before it is seen.
    until("the end of the ban, counted", Duration::from_secs(20), async || {
        moved(stack, &before, &[("login.bans_expired", 1)]).await
    })
    .await
}

async fn a_ban_is_active_until_it_ends_and_then_expired(stack: &mut Stack) -> Outcome<()> {
    let mut policy = stack.policy()?;
    policy["quotas"] = json!([]);
    // Each ban is longer than the one before: one that was over before anybody looked is followed by another.
    policy["login"]["ban"] = json!({ "for": "2s", "factor": 2, "max": "1m" });
    stack.set_policy(&policy).await?;
    let client = stack.client()?;
    let guess = from(
        Request::post_json("/login", &json!({ "username": "ann", "password": "wrong-password" })),
        "198.51.100.5",
    );
    let settled = async || {
        let now = stack.edge.module_counters().await?;
        same("active bans", value(&now, "login.bans_active")?, 0)?;
        same(
            "bans expired",
            value(&now, "login.bans_expired")?,
            value(&now, "login.bans")?,
        )
    };
    until("the end of earlier bans", Duration::from_secs(60), settled).await?;
    let before = stack.edge.module_counters().await?;
    let (mut admitted, mut refused) = (0, 0);
    until("an active ban", Duration::from_secs(120), async || {
        let reply = client.send(&guess).await?;
        match (reply.status, reply.code().as_deref()) {
            (401, None) => admitted += 1,
            (429, Some("client_banned")) => refused += 1,
            _ => return Err(reply.brief()),
        }
        let now = stack.edge.module_counters().await?;
        same("active bans", value(&now, "login.bans_active")?, 1)
    })
    .await?;
    same("at least the attempts", admitted >= ATTEMPTS as u64, true)?;
    let expected = [
        ("login.attempts", admitted),
        ("login.failures", admitted),
        ("login.refunds", 0),
        ("denied.client_banned", refused),
        ("denied.login_limited", 0),
    ];
    moved(stack, &before, &expected).await?;
    until("the end of the ban", Duration::from_secs(120), settled).await?;
    let now = stack.edge.module_counters().await?;
    let bans = value(&now, "login.bans")? - value(&before, "login.bans")?;
    same(
        &format!("{bans} bans, {refused} refusals"),
        (1..=refused).contains(&bans),
        true,
    )?;
    // Whoever was banned may try again.
    same("the status", client.send(&guess).await?.status, 401)?;
    moved(
        stack,
        &before,
        &[("login.attempts", admitted + 1), ("login.bans", bans)],
    )
    .await
}

async fn the_table_tells_how_full_it_is_and_what_it_had_to_do(stack: &mut Stack) -> Outcome<()> {
    // Whoever is refused writes nothing, and a write that nobody else writes at is never lost.
    let mut policy = stack.policy()?;
    policy["quotas"][0]["limit"] = json!(1_000_000);
    stack.set_policy(&policy).await?;
    let client = stack.client()?.over(Version::Http2);
    let before = stack.edge.module_counters().await?;
    let connections = stack.connect_to_each_worker(&client).await?;
    // One client on both workers at once until a write loses against the other's, and newcomers beyond all seats.
    let mut newcomers = 0_u32;
    until("a retry and an eviction", Duration::from_secs(60), async || {
        let mut requests = tokio::task::JoinSet::new();
        for turn in 0..400 {
            let mut connection = connections[turn % 2].share().ok_or("not HTTP/2")?;
            newcomers += 1;
            let address = std::net::Ipv4Addr::from_bits(10 << 24 | newcomers).to_string();
            let address = if turn % 4 == 0 {
                address
            } else {
                "198.51.100.4".to_owned()
            };
            requests.spawn(async move { connection.send(&from(Request::get("/healthz"), &address)).await });
        }
        while let Some(joined) = requests.join_next().await {
            joined.map_err(|error| error.to_string())??;
        }
        let now = stack.edge.module_counters().await?;
        for name in ["store.retries", "store.evictions"] {
            if value(&now, name)? == before.get(name).copied().unwrap_or(0) {
                return Err(format!("no `{name}`"));
            }
        }
        Ok(())
    })
    .await?;
    let now = stack.edge.module_counters().await?;
    for name in ["store.exhausted", "store.failures"] {
        same(name, value(&now, name)?, 0)?;
    }
    until("the gauges", Duration::from_secs(20), async || {
        let now = stack.edge.module_counters().await?;
        let (slots, used, held) = (
            value(&now, "store.slots")?,
            value(&now, "store.used")?,
            value(&now, "store.held")?,
        );
        let sound = held >= 1 && used >= held && slots >= used;
        same(&format!("slots {slots}, used {used}, held {held}"), sound, true)
    })
    .await?;
    value(&now, "login.bans_active").map(drop)
}
