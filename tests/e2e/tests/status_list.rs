//! Token status lists: signed lists of every size of status, served to a real Envoy; lists that must not be taken; and
//! what serves while their source is down. `ttl` has at least five seconds, so each wait for it is that long.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ct_codecs::{Base64UrlSafeNoPadding, Encoder};
use miniz_oxide::deflate::compress_to_vec_zlib;
use portcullis_e2e::client::{Connection, Version};
use portcullis_e2e::message::Request;
use portcullis_e2e::source::{FAULTS, Mood, Question, Said, Source};
use portcullis_e2e::stack::{Options, Stack, Update};
use portcullis_e2e::suite::same;
use portcullis_e2e::{Outcome, random, scenarios, until};
use serde_json::{Value, json};

scenarios! { Options::with_own_revocations();
    each_status_is_judged_at_each_size_and_each_list_is_fetched_once,
    a_list_that_is_not_its_issuers_or_not_of_its_address_is_none,
    a_list_is_inflated_to_its_bound_and_no_further,
    only_listed_hosts_are_asked,
    a_list_is_fetched_anew_when_its_time_is_over_and_by_no_request,
    with_deny_no_fault_lets_a_token_of_an_unknown_list_pass,
    with_allow_no_fault_refuses_anybody_but_the_revoked,
    with_stale_a_known_list_serves_through_every_fault_but_not_beyond_its_exp,
}

const HOST: &str = "https://status.example";
const TIMEOUT: Duration = Duration::from_millis(200);
const TTL: Duration = Duration::from_secs(5);

/// `INFLATED_BYTES_MAX` in src/guard/revocation/status_list.
const INFLATED_BYTES_MAX: usize = 16 << 20;

/// What the source has, by path.
type Lists = Arc<Mutex<HashMap<String, Said>>>;

struct Bench {
    source: Source,
    lists: Lists,
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

fn packed(bytes: &[u8]) -> Outcome<String> {
    Base64UrlSafeNoPadding::encode_to_string(compress_to_vec_zlib(bytes, 6)).map_err(|error| error.to_string())
}

fn fresh_path() -> String {
    format!("/lists/{:016x}", random())
}

async fn with_lists(stack: &mut Stack, on_error: &str, stale: &str) -> Outcome<Bench> {
    let lists = Lists::default();
    let shared = Arc::clone(&lists);
    let answer = move |question: &Question| {
        let lists = shared.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = Said {
            status: 404,
            ..Said::json("{}")
        };
        lists.get(question.path()).cloned().unwrap_or(missing)
    };
    let source = Source::start(stack, answer).await?;
    let mut policy = stack.policy()?;
    policy["revocation"] = json!({ "on_error": on_error, "stale": stale,
        "status_list": { "clusters": { "status.example": "revocations" }, "timeout": "200ms" } });
    same("the update", stack.set_policy(&policy).await?, Update::Accepted)?;
    stack.wait_for_keys().await?;
    Ok(Bench { source, lists })
}

impl Bench {
    /// Serves a list at a path: honest but for what the order changes, as the backend's `/mint` takes it.
    async fn serve(&self, stack: &Stack, path: &str, bits: u8, bytes: &[u8], order: Value) -> Outcome<()> {
        let mut whole = json!({
            "header": { "typ": "statuslist+jwt" },
            "claims": { "sub": format!("{HOST}{path}"), "iat": now(), "exp": null, "ttl": TTL.as_secs(),
                        "status_list": { "bits": bits, "lst": packed(bytes)? } } });
        for (part, changes) in order.as_object().into_iter().flatten() {
            match (whole[part].as_object_mut(), changes.as_object()) {
                (Some(part), Some(changes)) => part.extend(changes.clone()),
                _ => whole[part] = changes.clone(),
            }
        }
        let body = stack.backend.mint(&whole).await?.into_bytes();
        let said = Said {
            status: 200,
            kind: "application/statuslist+jwt",
            body,
        };
        self.lists
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(path.to_owned(), said);
        Ok(())
    }
}

async fn on_each_worker(stack: &Stack) -> Outcome<Vec<Connection>> {
    stack
        .connect_to_each_worker(&stack.client()?.over(Version::Http2))
        .await
}

async fn token(stack: &Stack, uri: &str, index: usize) -> Outcome<String> {
    let status = json!({ "status_list": { "idx": index, "uri": uri } });
    stack.backend.mint(&json!({ "status": status })).await
}

fn get(token: &str) -> Request {
    Request::get("/orders/1").bearer(token)
}

async fn each_status_is_judged_at_each_size_and_each_list_is_fetched_once(stack: &mut Stack) -> Outcome<()> {
    let bench = with_lists(stack, "deny", "5m").await?;
    let mut workers = on_each_worker(stack).await?;
    // Indexes 0 to 15 have the statuses 0 (valid), 1 (invalid), 2 (suspended) and so on, as far as they fit.
    for (bits, bytes) in [
        (1, vec![0b1010_1010; 2]),
        (2, vec![0b1110_0100; 4]),
        (4, vec![0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe]),
        (8, (0..16).collect()),
    ] {
        let (path, statuses) = (fresh_path(), 1 << bits.min(4));
        bench
            .serve(stack, &path, bits, &bytes, json!({ "claims": { "ttl": 300 } }))
            .await?;
        let asked = bench.source.asked();
        for index in 0..17 {
            let token = token(stack, &format!("{HOST}{path}"), index).await?;
            for worker in &mut workers {
                let judged = if index == 16 {
                    stack.refused_on(worker, &get(&token), 401, "token_status").await
                } else if index % statuses == 0 {
                    stack.passes_on(worker, &get(&token), 404).await
                } else {
                    stack.refused_on(worker, &get(&token), 401, "token_revoked").await
                };
                judged.map_err(|fault| format!("{bits} bits, index {index}: {fault}"))?;
            }
        }
        same("fetches for two workers", bench.source.asked() - asked, 1)?;
    }
    Ok(())
}

async fn a_list_that_is_not_its_issuers_or_not_of_its_address_is_none(stack: &mut Stack) -> Outcome<()> {
    let bench = with_lists(stack, "deny", "5m").await?;
    let mut workers = on_each_worker(stack).await?;
    let elsewhere = format!("{HOST}/elsewhere");
    for order in [
        json!({ "claims": { "sub": elsewhere } }),
        json!({ "claims": { "sub": null } }),
        json!({ "claims": { "iss": "https://other.example" } }),
        json!({ "claims": { "iat": null } }),
        json!({ "claims": { "iat": now() + 3600 } }),
        json!({ "claims": { "exp": now() - 1 } }),
        json!({ "claims": { "ttl": 0 } }),
        json!({ "claims": { "ttl": "300" } }),
        json!({ "claims": { "status_list": { "bits": 3, "lst": packed(&[0])? } } }),
        json!({ "claims": { "status_list": { "bits": 1, "lst": "AAAA" } } }),
        json!({ "claims": { "status_list": null } }),
        json!({ "header": { "typ": "JWT" } }),
        json!({ "header": { "typ": null } }),
        json!({ "header": { "kid": "nobody" } }),
        json!({ "header": { "crit": ["b64"] } }),
        json!({ "key": "other" }),
        json!({ "key": "none" }),
        json!({ "key": "hs256-with-public-key" }),
    ] {
        let path = fresh_path();
        bench.serve(stack, &path, 1, &[0], order.clone()).await?;
        let token = token(stack, &format!("{HOST}{path}"), 0).await?;
        for worker in &mut workers {
            let refused = stack
                .refused_on(worker, &get(&token), 503, "revocation_unavailable")
                .await;
            refused.map_err(|fault| format!("{order}: {fault}"))?;
        }
    }
    // Another list's text, good in itself, at this address.
    let (path, other) = (fresh_path(), fresh_path());
    bench.serve(stack, &other, 1, &[0], json!({})).await?;
    {
        let mut lists = bench.lists.lock().unwrap_or_else(PoisonError::into_inner);
        let said = lists.get(&other).cloned().ok_or("no list")?;
        lists.insert(path.clone(), said);
    }
    let token = token(stack, &format!("{HOST}{path}"), 0).await?;
    stack
        .refused_on(&mut workers[0], &get(&token), 503, "revocation_unavailable")
        .await
        .map(drop)
}

async fn a_list_is_inflated_to_its_bound_and_no_further(stack: &mut Stack) -> Outcome<()> {
    let bench = with_lists(stack, "deny", "5m").await?;
    let mut workers = on_each_worker(stack).await?;
    let before = stack.edge_resident_mib()?;
    // A thousand times smaller than what they inflate to; the last one is sixteen times what is taken.
    for (size, taken) in [
        (INFLATED_BYTES_MAX, true),
        (INFLATED_BYTES_MAX + 1, false),
        (INFLATED_BYTES_MAX * 16, false),
    ] {
        let path = fresh_path();
        bench.serve(stack, &path, 8, &vec![0; size], json!({})).await?;
        let token = token(stack, &format!("{HOST}{path}"), size - 1).await?;
        for worker in &mut workers {
            let begun = Instant::now();
            let brief = worker.send(&get(&token)).await?.brief();
            println!(
                "a list that inflates to {size} bytes: {brief:?} after {:?}",
                begun.elapsed()
            );
            let expected = if taken { "404" } else { "503 revocation_unavailable" };
            same(&format!("{size}: {brief}"), brief.starts_with(expected), true)?;
        }
    }
    let grown = stack.edge_resident_mib()?.saturating_sub(before);
    println!("Envoy grew by {grown} MiB with two workers");
    // Each worker holds one list of the largest size; the buffer that it inflated into grew, and a VM never shrinks.
    let most = u64::try_from((2 * 5 * INFLATED_BYTES_MAX) >> 20).unwrap_or(0);
    same(&format!("{grown} MiB are at most {most}"), grown <= most, true)
}

async fn only_listed_hosts_are_asked(stack: &mut Stack) -> Outcome<()> {
    let bench = with_lists(stack, "deny", "5m").await?;
    let mut worker = stack.client()?.connect().await?;
    let path = fresh_path();
    bench.serve(stack, &path, 1, &[0], json!({})).await?;
    let asked = bench.source.asked();
    for address in [
        "http://status.example",
        "https://status.example:8443",
        "https://other.example",
        "https://status.example@other.example",
        "https://other.example/https://status.example",
    ] {
        let token = token(stack, &format!("{address}{path}"), 0).await?;
        let refused = stack
            .refused_on(&mut worker, &get(&token), 503, "revocation_unavailable")
            .await;
        refused.map_err(|fault| format!("{address}: {fault}"))?;
    }
    // The issuer's claim, but not in the form that names a list.
    for status in [
        json!(7),
        json!({ "status_list": { "idx": -1, "uri": HOST } }),
        json!({ "status_list": { "uri": HOST } }),
    ] {
        let token = stack.backend.mint(&json!({ "status": status })).await?;
        stack.refused_on(&mut worker, &get(&token), 401, "token_claim").await?;
    }
    same("questions", bench.source.asked() - asked, 0)?;
    // Who names no list is none of its business.
    let plain = stack.backend.mint(&json!({})).await?;
    stack.passes_on(&mut worker, &get(&plain), 404).await.map(drop)
}

async fn a_list_is_fetched_anew_when_its_time_is_over_and_by_no_request(stack: &mut Stack) -> Outcome<()> {
    let bench = with_lists(stack, "deny", "5m").await?;
    let mut workers = on_each_worker(stack).await?;
    let path = fresh_path();
    let uri = format!("{HOST}{path}");
    let (good, bad) = (token(stack, &uri, 0).await?, token(stack, &uri, 1).await?);
    bench.serve(stack, &path, 1, &[0b00], json!({})).await?;
    for worker in &mut workers {
        stack.passes_on(worker, &get(&good), 404).await?;
        stack.passes_on(worker, &get(&bad), 404).await?;
    }
    bench.serve(stack, &path, 1, &[0b10], json!({})).await?;
    let begun = Instant::now();
    for worker in &mut workers {
        until("the refusal by the new list", TTL * 3, async || {
            match worker.send(&get(&bad)).await?.brief().as_str() {
                "401 token_revoked" => Ok(()),
                other => Err(other.to_owned()),
            }
        })
        .await?;
        println!(
            "refused {:?} after the list was changed, with a ttl of {TTL:?}",
            begun.elapsed()
        );
        stack.passes_on(worker, &get(&good), 404).await?;
    }
    same(
        "within a ttl and a second",
        begun.elapsed() <= TTL + Duration::from_secs(1),
        true,
    )?;
    same("fetches", bench.source.asked(), 2)
}

/// Sends and holds the answer to the timeout, as far as the machine does: what a request that asks nobody takes right
/// after comes on top.
async fn timed(worker: &mut Connection, token: &str) -> Outcome<String> {
    let begun = Instant::now();
    let brief = worker.send(&get(token)).await?.brief();
    let asked = begun.elapsed();
    worker.send(&Request::get("/orders/1")).await?;
    let unasked = begun.elapsed() - asked;
    let most = TIMEOUT + Duration::from_millis(20) + unasked;
    same(&format!("{asked:?} is at most {most:?}"), asked <= most, true)?;
    Ok(brief)
}

/// A list that both workers know, with index 0 valid and 1 revoked; `order` changes it.
async fn known_list(
    stack: &Stack,
    bench: &Bench,
    workers: &mut [Connection],
    order: Value,
) -> Outcome<(String, String)> {
    let path = fresh_path();
    let uri = format!("{HOST}{path}");
    bench.serve(stack, &path, 1, &[0b10], order).await?;
    let (good, bad) = (token(stack, &uri, 0).await?, token(stack, &uri, 1).await?);
    for worker in workers {
        stack.passes_on(worker, &get(&good), 404).await?;
        stack.refused_on(worker, &get(&bad), 401, "token_revoked").await?;
    }
    Ok((good, bad))
}

async fn with_deny_no_fault_lets_a_token_of_an_unknown_list_pass(stack: &mut Stack) -> Outcome<()> {
    let bench = with_lists(stack, "deny", "0s").await?;
    let mut workers = on_each_worker(stack).await?;
    for fault in FAULTS {
        bench.source.set(Mood::Well).await?;
        let (good, bad) = known_list(stack, &bench, &mut workers, json!({ "claims": { "ttl": 300 } })).await?;
        let path = fresh_path();
        bench.serve(stack, &path, 1, &[0b10], json!({})).await?;
        let uri = format!("{HOST}{path}");
        bench.source.set(fault).await?;
        for index in [0, 1] {
            let token = token(stack, &uri, index).await?;
            for worker in &mut workers {
                let brief = timed(worker, &token).await?;
                // A flapping source answers in between.
                let told = if index == 0 { "404" } else { "401 token_revoked" };
                let fits =
                    brief == "503 revocation_unavailable" || (fault == Mood::Flapping && brief.starts_with(told));
                same(&format!("{fault:?}, index {index}: {brief}"), fits, true)?;
            }
        }
        // Within its ttl a list needs no source.
        for worker in &mut workers {
            same(
                &format!("{fault:?}, known"),
                timed(worker, &good).await?.starts_with("404"),
                true,
            )?;
            same(
                &format!("{fault:?}, revoked"),
                timed(worker, &bad).await?.as_str(),
                "401 token_revoked",
            )?;
        }
    }
    Ok(())
}

async fn with_allow_no_fault_refuses_anybody_but_the_revoked(stack: &mut Stack) -> Outcome<()> {
    let bench = with_lists(stack, "allow", "0s").await?;
    let mut workers = on_each_worker(stack).await?;
    for fault in FAULTS {
        bench.source.set(Mood::Well).await?;
        let (good, bad) = known_list(stack, &bench, &mut workers, json!({ "claims": { "ttl": 300 } })).await?;
        bench.source.set(fault).await?;
        let unknown = token(stack, &format!("{HOST}{}", fresh_path()), 0).await?;
        for worker in &mut workers {
            for token in [&good, &unknown] {
                let brief = timed(worker, token).await?;
                same(&format!("{fault:?}: {brief}"), brief.starts_with("404"), true)?;
            }
            same(
                &format!("{fault:?}, revoked"),
                timed(worker, &bad).await?.as_str(),
                "401 token_revoked",
            )?;
        }
    }
    Ok(())
}

async fn with_stale_a_known_list_serves_through_every_fault_but_not_beyond_its_exp(stack: &mut Stack) -> Outcome<()> {
    let bench = with_lists(stack, "deny", "10m").await?;
    let mut workers = on_each_worker(stack).await?;
    let (good, bad) = known_list(stack, &bench, &mut workers, json!({})).await?;
    let learnt = Instant::now();
    for fault in FAULTS.into_iter().filter(|fault| *fault != Mood::Flapping) {
        bench.source.set(fault).await?;
        let begun = Instant::now();
        // Past the ttl with every fault but the first ones, and each for longer than two fetches that fail are apart.
        while begun.elapsed() < Duration::from_millis(1500) {
            for worker in &mut workers {
                let brief = timed(worker, &good).await?;
                same(&format!("{fault:?}: {brief}"), brief.starts_with("404"), true)?;
                let brief = timed(worker, &bad).await?;
                same(&format!("{fault:?}"), brief.as_str(), "401 token_revoked")?;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    same("a list beyond its ttl has served", learnt.elapsed() > TTL * 3 / 2, true)?;
    bench.source.set(Mood::Well).await?;
    let end = now() + 3;
    let (good, bad) = known_list(stack, &bench, &mut workers, json!({ "claims": { "exp": end } })).await?;
    bench.source.set(Mood::Down).await?;
    for worker in &mut workers {
        until("the end of a list", Duration::from_secs(10), async || {
            let brief = timed(worker, &good).await?;
            match brief.as_str() {
                "503 revocation_unavailable" => Ok(()),
                _ => Err(brief),
            }
        })
        .await?;
        same("its end", now() >= end, true)?;
        let brief = timed(worker, &bad).await?;
        same(
            "revoked by a list that has ended",
            brief.as_str(),
            "503 revocation_unavailable",
        )?;
    }
    Ok(())
}
