//! What lives on: bans, counts and attempts under way when VMs are lost, when the policy changes, and when the listener is
//! replaced and drained.
//!
//! The module under test traps when trailers come, which is how a test loses a VM (`crashing.rs`); the shipped one does not.

use std::time::Duration;

use portcullis_e2e::client::{Client, Version};
use portcullis_e2e::message::{Request, TEST_ID};
use portcullis_e2e::stack::{Options, Stack, Update};
use portcullis_e2e::suite::same;
use portcullis_e2e::{Outcome, fresh_name, scenarios, until};
use serde_json::{Value, json};

scenarios! { options();
    bans_and_counts_live_through_the_loss_of_every_worker_s_vm,
    attempts_under_way_when_a_vm_is_lost_stay_counted,
    bans_and_counts_live_through_a_new_policy,
    bans_and_counts_live_through_a_drained_listener,
}

const ATTEMPTS: usize = 5;
const LIMIT: usize = 20;
const USED: usize = 12;

fn options() -> Options {
    Options {
        policy: Some(policy(LIMIT, ATTEMPTS, "15m")),
        traps_at: Some("proxy_on_request_trailers"),
        listeners_by_discovery: true,
        ..Options::default()
    }
}

fn policy(limit: usize, attempts: usize, window: &str) -> Value {
    json!({
        "quotas": [{ "name": "kept", "limit": limit, "window": "1h" }],
        "login": { "client": { "attempts": attempts, "window": window }, "ban": { "for": "15m" } },
    })
}

fn ask() -> Request {
    Request::get("/healthz")
}

fn guess() -> Request {
    Request::post_json("/login", &json!({ "username": "ann", "password": "wrong-password" }))
}

/// Clients with a past: one banned, one that has used up its quota, and one that has used some of it.
struct Past {
    banned: Client,
    spent: Client,
    spending: Client,
}

impl Past {
    async fn make(stack: &Stack) -> Outcome<Self> {
        let past = Self {
            banned: stack.client()?,
            spent: stack.client()?,
            spending: stack.client()?,
        };
        for _ in 0..ATTEMPTS {
            stack.passes(&past.banned, &guess(), 401).await?;
        }
        stack.refused(&past.banned, &guess(), 429, "client_banned").await?;
        for (client, times) in [(&past.spent, LIMIT), (&past.spending, USED)] {
            let mut connection = client.connect().await?;
            for _ in 0..times {
                stack.passes_on(&mut connection, &ask(), 200).await?;
            }
        }
        Ok(past)
    }

    /// On every worker, and to the last unit.
    async fn check(&self, stack: &Stack) -> Outcome<()> {
        for connection in &mut stack.connect_to_each_worker(&self.banned).await? {
            stack.refused_on(connection, &guess(), 429, "client_banned").await?;
        }
        for connection in &mut stack.connect_to_each_worker(&self.spent).await? {
            stack.refused_on(connection, &ask(), 429, "quota_exceeded").await?;
        }
        let mut connections = stack.connect_to_each_worker(&self.spending).await?;
        let workers = connections.len();
        for turn in 0..LIMIT - USED {
            let connection = connections.get_mut(turn % workers).ok_or("no worker")?;
            stack.passes_on(connection, &ask(), 200).await?;
        }
        for connection in &mut connections {
            stack.refused_on(connection, &ask(), 429, "quota_exceeded").await?;
        }
        Ok(())
    }
}

/// Has every worker lose its VM, and waits until each serves again.
async fn lose_every_vm(stack: &mut Stack) -> Outcome<()> {
    let client = stack.client()?.over(Version::Http2);
    let before = stack.edge.vm_marks().await?;
    let connections = stack.connect_to_each_worker(&client).await?;
    let workers = connections.len();
    for mut connection in connections {
        let trap = Request::post("/healthz").body(b"x").trailer("x-trap", "1");
        // Whatever is answered: the worker has no VM now.
        let _ = connection.send(&trap).await;
    }
    for connection in &mut stack.connect_to_each_worker(&client).await? {
        until("a new VM", Duration::from_secs(10), async || {
            let reply = connection.send(&ask()).await?;
            same("the status", reply.status, 200)
        })
        .await?;
    }
    let after = stack.edge.vm_marks().await?;
    let made = usize::try_from(after.created - before.created).map_err(|error| error.to_string())?;
    same("VMs made in place of those lost", made, workers)?;
    stack.accept_lost_vms().await
}

async fn bans_and_counts_live_through_the_loss_of_every_worker_s_vm(stack: &mut Stack) -> Outcome<()> {
    let past = Past::make(stack).await?;
    lose_every_vm(stack).await?;
    past.check(stack).await
}

async fn attempts_under_way_when_a_vm_is_lost_stay_counted(stack: &mut Stack) -> Outcome<()> {
    const UNDER_WAY: usize = 3;
    let client = stack.client()?.over(Version::Http2);
    let mark = fresh_name("lost");
    // Longer than the loss takes; nobody waits for these answers.
    stack.backend.delay("/login", 20_000, 3).await?;
    let connection = client.connect().await?;
    let mut guesses = tokio::task::JoinSet::new();
    for _ in 0..UNDER_WAY {
        let mut connection = connection.share().ok_or("not HTTP/2")?;
        let guess = guess().header(TEST_ID, &mark);
        guesses.spawn(async move { connection.send(&guess).await });
    }
    until("the guesses at the backend", Duration::from_secs(5), async || {
        same("guesses", stack.backend.seen(&mark).await?.len(), UNDER_WAY)
    })
    .await?;
    lose_every_vm(stack).await?;
    for _ in UNDER_WAY..ATTEMPTS {
        stack.passes(&client, &guess(), 401).await?;
    }
    // Not a ban: of these attempts nobody knows how they ended.
    stack.refused(&client, &guess(), 429, "login_limited").await.map(drop)
}

async fn bans_and_counts_live_through_a_new_policy(stack: &mut Stack) -> Outcome<()> {
    let past = Past::make(stack).await?;
    let mut old_connections = stack.connect_to_each_worker(&past.banned.over(Version::Http2)).await?;
    // Other limits, another window and another size of the table.
    let mut other = policy(10, 50, "1m");
    other["store"] = json!({ "memory": "2MiB" });
    same("the update", stack.set_policy(&other).await?, Update::Accepted)?;
    for connection in &mut old_connections {
        stack.refused_on(connection, &guess(), 429, "client_banned").await?;
    }
    stack.refused(&past.spent, &ask(), 429, "quota_exceeded").await?;
    // Of what was allowed three fifths are used: so of half as much four are left.
    for _ in 0..4 {
        stack.passes(&past.spending, &ask(), 200).await?;
    }
    stack.refused(&past.spending, &ask(), 429, "quota_exceeded").await?;
    // And back again.
    let first = policy(LIMIT, ATTEMPTS, "15m");
    same("the update", stack.set_policy(&first).await?, Update::Accepted)?;
    for connection in &mut old_connections {
        stack.refused_on(connection, &guess(), 429, "client_banned").await?;
    }
    stack
        .refused(&past.spent, &ask(), 429, "quota_exceeded")
        .await
        .map(drop)
}

async fn bans_and_counts_live_through_a_drained_listener(stack: &mut Stack) -> Outcome<()> {
    let past = Past::make(stack).await?;
    let mut old_connections = stack.connect_to_each_worker(&past.banned.over(Version::Http2)).await?;
    stack.replace_listener().await?;
    // What the old listener still serves says the same as the new one.
    for connection in &mut old_connections {
        stack.refused_on(connection, &guess(), 429, "client_banned").await?;
    }
    drop(old_connections);
    until("the end of the old listener", Duration::from_secs(20), async || {
        let draining = stack.edge.counter("listener_manager.total_listeners_draining").await?;
        same("listeners draining", draining, 0)
    })
    .await?;
    past.check(stack).await
}
