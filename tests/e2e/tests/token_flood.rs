//! Floods of tokens: distinct good ones, of which a worker remembers no more than it has room for, and made-up keys, for
//! which few requests wait.
//!
//! Measured on a busy machine of two cores, two workers (27 November 2026): 50,000 good tokens in 19.7 s, each worker's memory
//! 1,344 KiB before, 4,160 and 4,288 KiB after; 20,000 made-up keys in 10 s: 32 requests waited, 3 fetches, 768 requests with a
//! good token passed meanwhile, the longest in 0.2 s.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use ct_codecs::{Base64UrlSafeNoPadding, Encoder};
use portcullis_e2e::client::{Connection, Version};
use portcullis_e2e::message::Request;
use portcullis_e2e::stack::{Options, Stack, Update};
use portcullis_e2e::suite::same;
use portcullis_e2e::{Outcome, scenarios, vm};
use serde_json::json;
use tokio::task::JoinSet;

scenarios! { Options::with_own_revocations();
    a_flood_of_made_up_keys_holds_few_requests_and_no_good_token_up,
    thirty_thousand_good_tokens_stay_within_the_bound,
    ; long: a_million_good_tokens_stay_within_the_bound,
}

/// What the verdicts on tokens may add to a worker's VM: ARCHITECTURE, "Bounds".
const TOKENS_BYTES_MAX: u64 = 8 << 20;
/// `NAMES_MAX` in src/knowledge/waiting.rs and `FETCH_INTERVAL` in src/knowledge/keys.rs.
const NAMES_MAX: u64 = 8;
const FETCH_INTERVAL: Duration = Duration::from_secs(5);
const WORKERS: u64 = 2;
const CONNECTIONS: usize = 8;
const LANES: usize = 128;
const SECRET: &[u8; 32] = b"0123456789abcdef0123456789abcdef";
const EXPIRES: u64 = 4_102_444_800;

fn encode(bytes: impl AsRef<[u8]>) -> String {
    Base64UrlSafeNoPadding::encode_to_string(bytes).unwrap_or_default()
}

/// A good token that no other is equal to.
fn good(number: u32) -> String {
    let header = encode(r#"{"alg":"HS256","typ":"JWT"}"#);
    let claims =
        json!({ "iss": "https://flood.example", "aud": "api", "sub": format!("user-{number}"), "exp": EXPIRES });
    let input = format!("{header}.{}", encode(claims.to_string()));
    let signature = hmac_sha256::HMAC::mac(&input, SECRET);
    format!("{input}.{}", encode(signature))
}

/// A token of the demo's issuer under a key that it never had.
fn under_made_up_key(number: u32) -> String {
    let header = json!({ "alg": "ES256", "kid": format!("made-up-{number}"), "typ": "at+jwt" });
    let claims = json!({ "iss": "https://demo.portcullis.example", "aud": "orders-api", "sub": "a", "jti": "j", "exp": EXPIRES });
    let (header, claims) = (encode(header.to_string()), encode(claims.to_string()));
    format!("{header}.{claims}.{}", encode([1; 64]))
}

/// Connections to every worker.
async fn connections(stack: &Stack) -> Outcome<Vec<Connection>> {
    let client = stack.client()?.over(Version::Http2);
    let mut connections = stack.connect_to_each_worker(&client).await?;
    while connections.len() < CONNECTIONS {
        connections.push(client.connect().await?);
    }
    Ok(connections)
}

/// Sends a request with each of `tokens` tokens over the connections; every answer must have this code.
async fn send_all(
    connections: &[Connection],
    path: &'static str,
    token: fn(u32) -> String,
    tokens: u32,
    code: &'static str,
) -> Outcome<()> {
    let (mut tasks, next) = (JoinSet::new(), Arc::<AtomicU32>::default());
    // Whoever waits holds up none of the tokens that are left.
    for connection in connections.iter().cycle().take(LANES) {
        let mut connection = connection.share().ok_or("not HTTP/2")?;
        let next = Arc::clone(&next);
        tasks.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= tokens {
                    return Outcome::Ok(());
                }
                let reply = connection.send(&Request::get(path).bearer(&token(number))).await?;
                if reply.code().as_deref() != Some(code) {
                    return Err(format!("token {number}: {}", reply.brief()));
                }
            }
        });
    }
    while let Some(joined) = tasks.join_next().await {
        joined.map_err(|error| error.to_string())??;
    }
    Ok(())
}

/// The sizes of the VMs' memories, smallest first.
fn vm_memories(stack: &Stack) -> Outcome<Vec<u64>> {
    let sizes = vm::memories(stack.edge_pid().ok_or("no Envoy")?)?;
    if sizes.len() < 2 {
        return Err(format!("{} memories of VMs", sizes.len()));
    }
    Ok(sizes)
}

/// The two largest: the main thread's VM judges nothing and stays as small as it was.
fn largest(sizes: &[u64]) -> [u64; 2] {
    let mut of = sizes.iter().rev().copied();
    [of.next().unwrap_or(0), of.next().unwrap_or(0)]
}

async fn count(stack: &Stack, name: &str) -> Outcome<u64> {
    stack.edge.counter(&format!("wasmcustom.portcullis.{name}")).await
}

async fn thirty_thousand_good_tokens_stay_within_the_bound(stack: &mut Stack) -> Outcome<()> {
    good_tokens(stack, 30_000).await
}

async fn a_million_good_tokens_stay_within_the_bound(stack: &mut Stack) -> Outcome<()> {
    good_tokens(stack, 1_000_000).await
}

async fn good_tokens(stack: &mut Stack, distinct: u32) -> Outcome<()> {
    let mut policy = stack.policy()?;
    // A token is judged, and remembered, before its scopes are looked at: the request then costs no backend.
    policy["operations"] = json!([{ "id": "flood", "methods": ["GET"], "path": "/flood", "scopes": ["never"] }]);
    policy["tokens"] = json!({ "providers": [{
        "issuer": "https://flood.example", "audiences": ["api"], "algorithms": ["HS256"],
        "jwks": { "inline": { "keys": [{ "kty": "oct", "k": encode(SECRET) }] } },
    }] });
    same("the update", stack.set_policy(&policy).await?, Update::Accepted)?;
    let connections = connections(stack).await?;
    stack.backend.reset().await?;
    let (before, checked, begun) = (
        vm_memories(stack)?,
        count(stack, "signatures.module").await?,
        Instant::now(),
    );
    send_all(&connections, "/flood", good, distinct, "token_scope").await?;
    let took = begun.elapsed();
    let after = vm_memories(stack)?;
    println!(
        "{distinct} distinct good tokens in {:.1} s; the VMs' memories {:?} KiB before, {:?} KiB after",
        took.as_secs_f64(),
        before.iter().map(|size| size >> 10).collect::<Vec<_>>(),
        after.iter().map(|size| size >> 10).collect::<Vec<_>>(),
    );
    let checked = count(stack, "signatures.module").await? - checked;
    same("signatures checked", checked, distinct.into())?;
    same("what the backend saw", stack.backend.seen_all().await?.len(), 0)?;
    same("the VMs", after.len(), before.len())?;
    let most = before.first().copied().unwrap_or(0) + TOKENS_BYTES_MAX;
    for size in largest(&after) {
        same(&format!("{size} bytes are at most {most}"), size <= most, true)?;
    }
    Ok(())
}

async fn a_flood_of_made_up_keys_holds_few_requests_and_no_good_token_up(stack: &mut Stack) -> Outcome<()> {
    const TOKENS: u32 = 5_000;
    let connections = connections(stack).await?;
    let token = stack.backend.mint(&json!({})).await?;
    let (fetched, awaited) = (count(stack, "keys.fetched").await?, count(stack, "keys.awaited").await?);
    let (allowed, memories) = (count(stack, "allowed").await?, vm_memories(stack)?);
    let begun = Instant::now();
    let flood = connections.iter().filter_map(Connection::share).collect::<Vec<_>>();
    let flood =
        tokio::spawn(
            async move { send_all(&flood, "/orders/2", under_made_up_key, TOKENS, "token_key_unknown").await },
        );
    // On both workers, from the first moment to the last.
    let (mut passed, mut longest) = (0_u64, Duration::ZERO);
    let mut good = connections
        .iter()
        .filter_map(Connection::share)
        .take(2)
        .collect::<Vec<_>>();
    while !flood.is_finished() {
        for connection in &mut good {
            let sent = Instant::now();
            let reply = connection.send(&Request::get("/orders/1").bearer(&token)).await?;
            let passed_on = reply.status == 404 && !reply.brief().contains("token");
            same(&format!("a good token: {}", reply.brief()), passed_on, true)?;
            longest = longest.max(sent.elapsed());
            passed += 1;
        }
        // The backend remembers a thousand requests; what is under test is the flood.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    flood.await.map_err(|error| error.to_string())??;
    let took = begun.elapsed();
    let fetched = count(stack, "keys.fetched").await? - fetched;
    let awaited = count(stack, "keys.awaited").await? - awaited;
    let after = vm_memories(stack)?;
    println!(
        "{TOKENS} made-up keys in {:.1} s: {awaited} requests waited, {fetched} fetches; {passed} good tokens passed meanwhile, the longest in {longest:?}; memories {memories:?}, then {after:?}",
        took.as_secs_f64()
    );
    let intervals = took.as_secs() / FETCH_INTERVAL.as_secs() + 1;
    same(
        &format!("{fetched} fetches in {intervals} intervals"),
        fetched <= intervals,
        true,
    )?;
    // So many at once on each worker, anew after each fetch and for one that may be under way.
    let most = WORKERS * NAMES_MAX * (fetched + 1);
    same(&format!("{awaited} of {most} waited"), awaited <= most, true)?;
    same("requests let go", count(stack, "allowed").await? - allowed, passed)?;
    let seen = stack.backend.seen_all().await?;
    let made_up = seen.iter().filter(|request| request["path"] == "/orders/2").count();
    same("made-up keys at the backend", made_up, 0)?;
    let most = memories.last().copied().unwrap_or(0) + TOKENS_BYTES_MAX;
    for size in largest(&after) {
        same(&format!("{size} bytes are at most {most}"), size <= most, true)?;
    }
    Ok(())
}
