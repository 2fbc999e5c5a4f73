//! Limits under load and attack: exact over all workers, apart for every client, and not to be talked around.

use portcullis_e2e::client::Version;
use portcullis_e2e::message::{Request, TEST_ID};
use portcullis_e2e::raw::RawConnection;
use portcullis_e2e::stack::{Options, Stack, Update};
use portcullis_e2e::suite::same;
use portcullis_e2e::{Outcome, fresh_address, fresh_name, scenarios, until};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

scenarios! { options();
    one_client_s_quota_is_exact_under_64_connections,
    a_thousand_clients_are_each_held_to_their_own,
    an_account_is_one_in_any_spelling_and_from_any_address,
    strangers_do_not_lock_an_owner_out,
    a_connection_that_is_reset_before_the_answer_is_an_attempt,
    pipelined_guesses_are_attempts_each,
    a_flood_of_clients_makes_no_memory_and_frees_nobody,
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

async fn a_thousand_clients_are_each_held_to_their_own(stack: &mut Stack) -> Outcome<()> {
    const CLIENTS: usize = 1000;
    const AT_ONCE: usize = 50;
    let quota = json!([{ "name": "three", "limit": 3, "window": "1h" }]);
    enforce(stack, quota, json!({})).await?;
    let gate = Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
    let mut tasks = JoinSet::new();
    for _ in 0..CLIENTS {
        let (client, gate) = (stack.client()?, Arc::clone(&gate));
        tasks.spawn(async move {
            let _permit = gate.acquire().await.map_err(|error| error.to_string())?;
            let mut connection = client.connect().await?;
            let mut admitted = 0;
            for _ in 0..6 {
                admitted += u32::from(connection.send(&Request::get("/healthz")).await?.status == 200);
            }
            Ok(admitted)
        });
    }
    let admitted = all(tasks).await?;
    same(
        "clients with three each",
        admitted.iter().filter(|n| **n == 3).count(),
        CLIENTS,
    )
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

/// Distinct clients of the flood. Each is a key of a header that a quota counts by: over a few connections they come as
/// fast as Envoy takes them, which 127.0.0.0/8 with a handshake each would not.
const FLOOD: u64 = 100_000;

fn resident_bytes(pid: u32) -> Outcome<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).map_err(|error| error.to_string())?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes
        .map(|kilobytes| kilobytes * 1024)
        .ok_or_else(|| "no VmRSS".to_owned())
}

async fn a_flood_of_clients_makes_no_memory_and_frees_nobody(stack: &mut Stack) -> Outcome<()> {
    const HELD: u64 = 1000;
    const MEMORY: u64 = 8 << 20;
    let quotas = json!([{ "name": "keyed", "limit": 2, "window": "1h", "by": ["header:x-key"] }]);
    enforce(stack, quotas, json!({})).await?;
    let pid = stack.edge_pid().ok_or("no Envoy")?;
    let client = stack.client()?.over(Version::Http2);
    let connections = stack.connect_to_each_worker(&client).await?;
    let keyed = |key: u64| Request::get("/healthz").header("x-key", key.to_string());
    let run = fresh_address().octets();
    let base = u64::from(u32::from_be_bytes(run)) << 32;
    // A thousand that are over their limit.
    let each = |range: std::ops::Range<u64>, times: u32| {
        let mut tasks = JoinSet::new();
        const LANES: u64 = 64;
        for lane in 0..LANES {
            let connection = usize::try_from(lane)
                .ok()
                .and_then(|lane| connections.get(lane % connections.len()));
            let Some(mut connection) = connection.and_then(|connection| connection.share()) else {
                continue;
            };
            let keys: Vec<u64> = range.clone().filter(|key| key % LANES == lane).collect();
            tasks.spawn(async move {
                let mut refused = 0_u64;
                for key in keys {
                    for _ in 0..times {
                        let reply = connection.send(&keyed(base + key)).await?;
                        refused += u64::from(reply.code().as_deref() == Some("quota_exceeded"));
                    }
                }
                Ok(refused)
            });
        }
        tasks
    };
    let refused: u64 = all(each(0..HELD, 3)).await?.iter().sum();
    same("over their limit at first", refused, HELD)?;
    let before = resident_bytes(pid)?;
    let begun = Instant::now();
    let refused: u64 = all(each(HELD..HELD + FLOOD, 1)).await?.iter().sum();
    let after = resident_bytes(pid)?;
    println!(
        "{FLOOD} clients in {:.1} s, {refused} of them refused; resident {} KiB before, {} KiB after",
        begun.elapsed().as_secs_f64(),
        before >> 10,
        after >> 10
    );
    same(
        "memory stays within store.memory + 16 MiB",
        after <= before + MEMORY + (16 << 20),
        true,
    )?;
    let refused: u64 = all(each(0..HELD, 1)).await?.iter().sum();
    same("over their limit at the end", refused, HELD)
}
