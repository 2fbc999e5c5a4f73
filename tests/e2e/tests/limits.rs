//! Limits under load and attack: exact over all workers, apart for every client, and not to be talked around.

use portcullis_e2e::client::Version;
use portcullis_e2e::message::{Request, TEST_ID};
use portcullis_e2e::raw::RawConnection;
use portcullis_e2e::stack::{Options, Stack, Update};
use portcullis_e2e::suite::same;
use portcullis_e2e::{Outcome, fresh_name, scenarios, until};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Barrier, Semaphore};
use tokio::task::JoinSet;

scenarios! { options();
    one_client_s_quota_is_exact_under_64_connections,
    a_thousand_clients_at_once_are_each_held_to_their_own,
    an_account_is_one_in_any_spelling_and_from_any_address,
    strangers_do_not_lock_an_owner_out,
    a_connection_that_is_reset_before_the_answer_is_an_attempt,
    pipelined_guesses_are_attempts_each,
}

/// No tokens, so that every request is about limits alone.
fn options() -> Options {
    Options {
        policy: Some(policy(json!([]), json!({}))),
        ..Options::default()
    }
}

fn policy(quotas: Value, login: Value) -> Value {
    let mut policy = json!({ "quotas": quotas, "requests": { "max_body": "64KiB" } });
    policy["login"] = json!({ "client": { "attempts": 5, "window": "15m" }, "ban": { "for": "15m" } });
    for (name, value) in login.as_object().into_iter().flatten() {
        policy["login"][name] = value.clone();
    }
    policy
}

async fn enforce(stack: &mut Stack, quotas: Value, login: Value) -> Outcome<()> {
    same(
        "the update",
        stack.set_policy(&policy(quotas, login)).await?,
        Update::Accepted,
    )
}

async fn all<T: 'static>(mut tasks: JoinSet<Outcome<T>>) -> Outcome<Vec<T>> {
    let mut values = Vec::new();
    while let Some(joined) = tasks.join_next().await {
        values.push(joined.map_err(|error| error.to_string())??);
    }
    Ok(values)
}

async fn one_client_s_quota_is_exact_under_64_connections(stack: &mut Stack) -> Outcome<()> {
    const LIMIT: f64 = 400.0;
    const BURST: f64 = 100.0;
    const SECONDS: u64 = 10;
    let quota = json!([{ "name": "hammered", "limit": 400, "window": "1s", "burst": 100 }]);
    enforce(stack, quota, json!({})).await?;
    let client = stack.client()?;
    let mut connections = stack.connect_to_each_worker(&client).await?;
    while connections.len() < 64 {
        connections.push(client.connect().await?);
    }
    let (admitted, refused) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let begun = Instant::now();
    let mut hammers = JoinSet::new();
    for mut connection in connections {
        let (admitted, refused) = (Arc::clone(&admitted), Arc::clone(&refused));
        hammers.spawn(async move {
            while begun.elapsed() < Duration::from_secs(SECONDS) {
                let reply = connection.send(&Request::get("/healthz")).await?;
                match reply.status {
                    200 => admitted.fetch_add(1, Ordering::Relaxed),
                    429 => refused.fetch_add(1, Ordering::Relaxed),
                    _ => return Err(reply.brief()),
                };
            }
            Ok(())
        });
    }
    all(hammers).await?;
    let bound = BURST + LIMIT * begun.elapsed().as_secs_f64();
    let (admitted, refused) = (admitted.load(Ordering::Relaxed), refused.load(Ordering::Relaxed));
    let share = f64::from(u32::try_from(admitted).map_err(|error| error.to_string())?) / bound;
    println!("admitted {admitted}, refused {refused}, {share:.4} of burst + limit·t");
    same("something was refused", refused > 0, true)?;
    same(
        &format!("{admitted} of at most {bound:.0}: a share of {share:.4} within [0.99, 1.00]"),
        (0.99..=1.00).contains(&share),
        true,
    )
}

/// All of them connected and all of their requests under way at once.
async fn a_thousand_clients_at_once_are_each_held_to_their_own(stack: &mut Stack) -> Outcome<()> {
    const CLIENTS: usize = 1000;
    const REQUESTS: usize = 6;
    const LIMIT: usize = 3;
    const HANDSHAKES: usize = 50;
    let mut policy = policy(json!([{ "name": "three", "limit": LIMIT, "window": "1h" }]), json!({}));
    // Counted, and then refused for a parameter that is missing: Envoy lets no three thousand at once through to a backend.
    policy["operations"] =
        json!([{ "id": "counted", "methods": ["GET"], "path": "/counted", "query": { "required": ["missing"] } }]);
    same("the update", stack.set_policy(&policy).await?, Update::Accepted)?;
    let (handshakes, all_connected) = (Arc::new(Semaphore::new(HANDSHAKES)), Arc::new(Barrier::new(CLIENTS)));
    // Of a thousand random addresses two are the same once in thirty times.
    let mut different = BTreeMap::new();
    while different.len() < CLIENTS {
        let client = stack.client()?.over(Version::Http2);
        different.insert(client.source(), client);
    }
    let mut clients = JoinSet::new();
    for client in different.into_values() {
        let (handshakes, all_connected) = (Arc::clone(&handshakes), Arc::clone(&all_connected));
        clients.spawn(async move {
            let connected = {
                let _permit = handshakes.acquire().await;
                client.connect().await
            };
            // Also who failed: the others would wait for it.
            all_connected.wait().await;
            let connection = connected?;
            let mut requests = JoinSet::new();
            for _ in 0..REQUESTS {
                let mut connection = connection.share().ok_or("not HTTP/2")?;
                requests.spawn(async move { connection.send(&Request::get("/counted")).await });
            }
            let replies = all(requests).await?;
            let count = |code: &str| {
                replies
                    .iter()
                    .filter(|reply| reply.code().as_deref() == Some(code))
                    .count()
            };
            Ok((count("parameter_invalid"), count("quota_exceeded")))
        });
    }
    let answers = all(clients).await?;
    let held = answers.iter().filter(|answer| **answer == (LIMIT, REQUESTS - LIMIT));
    same("clients with three each", held.count(), CLIENTS)
}

fn guess(name: &str) -> Request {
    Request::post_json("/login", &json!({ "username": name, "password": "wrong-password" }))
}

async fn an_account_is_one_in_any_spelling_and_from_any_address(stack: &mut Stack) -> Outcome<()> {
    let login = json!({ "account": { "attempts": 6, "window": "1h", "from": ["/username"] } });
    enforce(stack, json!([]), login).await?;
    let name = fresh_name("ann");
    let mark = fresh_name("spelt");
    let form = Request::post("/login")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("username={}&password=x", name.to_uppercase()).as_bytes());
    let spelt = |i: usize| match i % 4 {
        0 => guess(&name),
        1 => guess(&name.to_uppercase()),
        2 => guess(&format!("  {name}\t")),
        _ => form.clone(),
    };
    let mut refusals = 0;
    for i in 0..40 {
        // Ten addresses that fail before they come to this account: none of them is a newcomer.
        let client = stack.client()?;
        client.send(&guess(&fresh_name("other"))).await?;
        let reply = client.send(&spelt(i).header(TEST_ID, &mark)).await?;
        refusals += usize::from(reply.code().as_deref() == Some("account_limited"));
    }
    same("guesses at the backend", stack.backend.seen(&mark).await?.len(), 6)?;
    same("refused for the account", refusals, 34)
}

async fn strangers_do_not_lock_an_owner_out(stack: &mut Stack) -> Outcome<()> {
    let login = json!({ "account": { "attempts": 6, "window": "1h", "from": ["/username"] } });
    enforce(stack, json!([]), login).await?;
    let (owner, name) = (stack.client()?, fresh_name("ann"));
    let credentials = json!({ "username": name, "password": "right-password" });
    let register = Request::post_json("/register", &credentials);
    stack.passes(&owner, &register, 201).await?;
    let right = Request::post_json("/login", &credentials);
    stack.passes(&owner, &right, 200).await?;
    for _ in 0..30 {
        stack.client()?.send(&guess(&name)).await?;
    }
    let stranger = stack.client()?;
    stack.refused(&stranger, &guess(&name), 429, "account_limited").await?;
    for _ in 0..8 {
        stack.passes(&owner, &right, 200).await?;
    }
    Ok(())
}

async fn a_connection_that_is_reset_before_the_answer_is_an_attempt(stack: &mut Stack) -> Outcome<()> {
    enforce(stack, json!([]), json!({})).await?;
    let client = stack.client()?;
    let mark = fresh_name("reset");
    stack.backend.delay("/login", 400, 5).await?;
    for seen in 1..=5 {
        let mut raw = RawConnection::open(&client).await?;
        let body = json!({ "username": "ann", "password": "wrong-password" }).to_string();
        let head = format!(
            "POST /login HTTP/1.1\r\nhost: localhost\r\nuser-agent: e2e\r\n{TEST_ID}: {mark}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        raw.write(head.as_bytes()).await?;
        until("the guess at the backend", Duration::from_secs(5), async || {
            same("guesses", stack.backend.seen(&mark).await?.len(), seen)
        })
        .await?;
        drop(raw);
    }
    // Each stays counted, as a failure: Envoy notices the reset in its own time.
    until("the ban", Duration::from_secs(5), async || {
        let reply = client.send(&guess("ann")).await?;
        same("the code", reply.code().as_deref(), Some("client_banned"))
    })
    .await
}

async fn pipelined_guesses_are_attempts_each(stack: &mut Stack) -> Outcome<()> {
    enforce(stack, json!([]), json!({})).await?;
    let client = stack.client()?;
    let mark = fresh_name("piped");
    let body = json!({ "username": "ann", "password": "wrong-password" }).to_string();
    let one = format!(
        "POST /login HTTP/1.1\r\nhost: localhost\r\nuser-agent: e2e\r\n{TEST_ID}: {mark}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    for _ in 0..3 {
        let mut raw = RawConnection::open(&client).await?;
        raw.write(one.repeat(12).as_bytes()).await?;
        // Envoy ends a connection with too many refusals under way; what came before is answered.
        while raw.reply().await.is_ok() {}
    }
    same("guesses at the backend", stack.backend.seen(&mark).await?.len(), 5)
}
