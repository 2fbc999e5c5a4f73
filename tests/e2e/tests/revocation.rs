//! Revocation by lookup: a token that was logged out is refused by every worker, and silence is never taken for a yes.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use portcullis_e2e::client::{Client, Connection, Version};
use portcullis_e2e::message::{Reply, Request};
use portcullis_e2e::stack::{Options, Part, Stack, Update};
use portcullis_e2e::suite::same;
use portcullis_e2e::tour::{Visitor, token_of};
use portcullis_e2e::{Outcome, random, scenarios, until};
use serde_json::{Value, json};

scenarios! { Options::default();
    after_logout_the_token_is_refused_on_every_worker_within_the_cache_s_life,
    a_refused_token_is_refused_at_once_on_the_other_worker,
    logout_ends_one_token_and_no_other,
    while_the_source_is_down_a_known_answer_serves_and_an_unknown_token_is_refused,
    a_known_answer_serves_no_longer_than_it_may,
    where_the_policy_says_so_a_source_that_is_down_lets_pass,
    an_answer_of_another_form_is_no_answer,
    a_source_that_does_not_answer_in_time_is_a_failure,
    an_id_of_any_characters_is_looked_up_as_it_is,
    each_value_of_the_template_is_a_kill_switch_of_its_own,
    all_that_wait_for_one_token_wait_on_one_lookup,
    a_client_that_leaves_during_the_lookup_harms_nobody,
}

// The policy's: how long an answer is kept.
const CACHE: Duration = Duration::from_secs(1);
const SLACK: Duration = Duration::from_secs(2);

fn get(token: &str) -> Request {
    Request::get("/orders/1").bearer(token)
}

async fn logged_in(stack: &Stack) -> Outcome<(Client, Visitor, String)> {
    let (client, visitor) = (stack.client()?, Visitor::new());
    stack.passes(&client, &visitor.register(), 201).await?;
    let token = token_of(&stack.passes(&client, &visitor.login(), 200).await?)?;
    Ok((client, visitor, token))
}

/// Asks until it is refused as revoked; what passes until then must really pass.
async fn until_revoked(connection: &mut Connection, token: &str, limit: Duration) -> Outcome<()> {
    until("the refusal of a revoked token", limit, async || {
        let reply = connection.send(&get(token)).await?;
        if reply.brief() == "401 token_revoked" {
            Ok(())
        } else {
            Err(reply.brief())
        }
    })
    .await
}

async fn with_revocation(stack: &mut Stack, change: impl FnOnce(&mut Value)) -> Outcome<()> {
    let mut policy = stack.policy()?;
    change(&mut policy["revocation"]);
    same("the update", stack.set_policy(&policy).await?, Update::Accepted)?;
    stack.wait_for_keys().await
}

async fn after_logout_the_token_is_refused_on_every_worker_within_the_cache_s_life(stack: &mut Stack) -> Outcome<()> {
    let (client, _, token) = logged_in(stack).await?;
    let mut connections = stack.connect_to_each_worker(&client).await?;
    for connection in &mut connections {
        stack.passes_on(connection, &get(&token), 404).await?;
    }
    stack
        .passes(&client, &Request::post("/logout").bearer(&token), 204)
        .await?;
    for connection in &mut connections {
        until_revoked(connection, &token, CACHE + SLACK).await?;
        stack.refused_on(connection, &get(&token), 401, "token_revoked").await?;
        stack
            .refused_on(
                connection,
                &Request::get("/orders").bearer(&token),
                401,
                "token_revoked",
            )
            .await?;
        stack
            .refused_on(
                connection,
                &Request::post("/logout").bearer(&token),
                401,
                "token_revoked",
            )
            .await?;
    }
    Ok(())
}

async fn a_refused_token_is_refused_at_once_on_the_other_worker(stack: &mut Stack) -> Outcome<()> {
    let (client, _, token) = logged_in(stack).await?;
    let mut connections = stack.connect_to_each_worker(&client).await?;
    let [first, second] = &mut connections[..] else {
        return Err("not two workers".to_owned());
    };
    for connection in [&mut *first, &mut *second] {
        stack.passes_on(connection, &get(&token), 404).await?;
    }
    stack
        .passes(&client, &Request::post("/logout").bearer(&token), 204)
        .await?;
    // The second worker keeps its answer fresh until the first one knows better.
    until("the first worker's refusal", CACHE + SLACK, async || {
        let refused = first.send(&get(&token)).await?.brief() == "401 token_revoked";
        if refused { Ok(()) } else { Err("not yet".to_owned()) }
    })
    .await?;
    stack
        .refused_on(second, &get(&token), 401, "token_revoked")
        .await
        .map(drop)
}

async fn logout_ends_one_token_and_no_other(stack: &mut Stack) -> Outcome<()> {
    let (client, visitor, token) = logged_in(stack).await?;
    let other = token_of(&stack.passes(&client, &visitor.login(), 200).await?)?;
    stack
        .passes(&client, &Request::post("/logout").bearer(&token), 204)
        .await?;
    let mut connection = client.connect().await?;
    until_revoked(&mut connection, &token, CACHE + SLACK).await?;
    stack.passes_on(&mut connection, &get(&other), 404).await?;
    // A new login is a new token.
    let again = token_of(&stack.passes(&client, &visitor.login(), 200).await?)?;
    stack.passes_on(&mut connection, &get(&again), 404).await.map(drop)
}

async fn while_the_source_is_down_a_known_answer_serves_and_an_unknown_token_is_refused(
    stack: &mut Stack,
) -> Outcome<()> {
    let (client, _, token) = logged_in(stack).await?;
    let (_, _, ended) = logged_in(stack).await?;
    let unknown = stack.backend.mint(&json!({})).await?;
    let mut connections = stack.connect_to_each_worker(&client).await?;
    stack
        .passes(&client, &Request::post("/logout").bearer(&ended), 204)
        .await?;
    for connection in &mut connections {
        stack.passes_on(connection, &get(&token), 404).await?;
        until_revoked(connection, &ended, CACHE + SLACK).await?;
    }
    stack.stop_part(Part::Webdis);
    // Longer than an answer is kept: from here on each use asks, in vain.
    tokio::time::sleep(CACHE + Duration::from_millis(200)).await;
    for connection in &mut connections {
        stack.passes_on(connection, &get(&token), 404).await?;
        stack.refused_on(connection, &get(&ended), 401, "token_revoked").await?;
        stack
            .refused_on(connection, &get(&unknown), 503, "revocation_unavailable")
            .await?;
    }
    stack.start_part(Part::Webdis).await?;
    for connection in &mut connections {
        until("the unknown token's passage", CACHE + SLACK, async || {
            passed(&connection.send(&get(&unknown)).await?)
        })
        .await?;
    }
    Ok(())
}

fn passed(reply: &Reply) -> Outcome<()> {
    if reply.code().is_none() && reply.status == 404 {
        Ok(())
    } else {
        Err(reply.brief())
    }
}

async fn a_known_answer_serves_no_longer_than_it_may(stack: &mut Stack) -> Outcome<()> {
    with_revocation(stack, |revocation| revocation["stale"] = json!("2s")).await?;
    let (client, _, token) = logged_in(stack).await?;
    let mut connection = client.connect().await?;
    stack.passes_on(&mut connection, &get(&token), 404).await?;
    let answered = Instant::now();
    stack.stop_part(Part::Webdis);
    until(
        "the end of the known answer",
        Duration::from_secs(2) + SLACK,
        async || {
            let reply = connection.send(&get(&token)).await?;
            if reply.brief() == "503 revocation_unavailable" {
                Ok(())
            } else {
                Err(reply.brief())
            }
        },
    )
    .await?;
    let served = answered.elapsed();
    same(
        &format!("served for {served:?}, at least as long as it may"),
        served >= CACHE,
        true,
    )?;
    stack
        .refused_on(&mut connection, &get(&token), 503, "revocation_unavailable")
        .await?;
    stack.start_part(Part::Webdis).await
}

async fn where_the_policy_says_so_a_source_that_is_down_lets_pass(stack: &mut Stack) -> Outcome<()> {
    with_revocation(stack, |revocation| revocation["on_error"] = json!("allow")).await?;
    let client = stack.client()?;
    let unknown = stack.backend.mint(&json!({})).await?;
    stack.stop_part(Part::Webdis);
    stack.passes(&client, &get(&unknown), 404).await?;
    stack.start_part(Part::Webdis).await
}

async fn an_answer_of_another_form_is_no_answer(stack: &mut Stack) -> Outcome<()> {
    let shipped = stack.policy()?;
    for path in ["/GET/revoked:{jti}", "/PING?{jti}", "/nothing/{jti}"] {
        let mut policy = shipped.clone();
        policy["revocation"]["lookup"]["path"] = json!(path);
        same("the update", stack.set_policy(&policy).await?, Update::Accepted)?;
        let client = stack.client()?;
        let token = stack.backend.mint(&json!({})).await?;
        until("the key set", Duration::from_secs(20), async || {
            let reply = client.send(&get(&token)).await?;
            if reply.code().as_deref() == Some("token_keys_unavailable") {
                Err(reply.brief())
            } else {
                Ok(())
            }
        })
        .await?;
        let refused = stack
            .refused(&client, &get(&token), 503, "revocation_unavailable")
            .await;
        refused.map_err(|fault| format!("{path}: {fault}"))?;
    }
    Ok(())
}

async fn a_source_that_does_not_answer_in_time_is_a_failure(stack: &mut Stack) -> Outcome<()> {
    // The backend as the source: it can be told to be slow.
    with_revocation(stack, |revocation| {
        revocation["lookup"] = json!({ "cluster": "backend", "authority": "revocations", "path": "/slow/{jti}",
                                       "revoked": { "status": [200] }, "valid": { "status": [404] },
                                       "timeout": "200ms", "cache": "1s" });
    })
    .await?;
    let client = stack.client()?;
    let (slow, quick) = (
        stack.backend.mint(&json!({ "jti": "one" })).await?,
        stack.backend.mint(&json!({ "jti": "two" })).await?,
    );
    stack.backend.delay("/slow/one", 3_000, 1).await?;
    stack.backend.fail("/slow/three", 500, 1).await?;
    let begun = Instant::now();
    stack
        .refused(&client, &get(&slow), 503, "revocation_unavailable")
        .await?;
    same(
        &format!("{:?} is below the source's three seconds", begun.elapsed()),
        begun.elapsed() < Duration::from_secs(2),
        true,
    )?;
    stack.passes(&client, &get(&quick), 404).await?;
    let failing = stack.backend.mint(&json!({ "jti": "three" })).await?;
    stack
        .refused(&client, &get(&failing), 503, "revocation_unavailable")
        .await
        .map(drop)
}

async fn an_id_of_any_characters_is_looked_up_as_it_is(stack: &mut Stack) -> Outcome<()> {
    let client = stack.client()?;
    // None of them may reach another key or another command than its own.
    for id in [
        "a/b",
        "../../GET/x",
        "a b",
        "a?b",
        "a#b",
        "%2e%2e",
        "é",
        "a.json",
        "*",
        "a+b",
        "a%20b",
    ] {
        let good = stack.backend.mint(&json!({ "jti": id })).await?;
        passed(&client.send(&get(&good)).await?).map_err(|fault| format!("{id:?}: {fault}"))?;
        let revoked_id = format!("{id}!");
        let revoked = stack.backend.mint(&json!({ "jti": revoked_id })).await?;
        stack.set_in_redis(&format!("revoked:{revoked_id}")).await?;
        let refused = stack.refused(&client, &get(&revoked), 401, "token_revoked").await;
        refused.map_err(|fault| format!("{revoked_id:?}: {fault}"))?;
    }
    Ok(())
}

async fn each_value_of_the_template_is_a_kill_switch_of_its_own(stack: &mut Stack) -> Outcome<()> {
    let shipped = stack.policy()?;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    for (path, key) in [
        ("/EXISTS/gone:{sub}", "gone:SUB"),
        ("/EXISTS/hash:{token_hash}", "hash:HASH"),
        (
            "/EXISTS/second:{iss}:{iat}",
            "second:https://demo.portcullis.example:IAT",
        ),
    ] {
        let mut policy = shipped.clone();
        policy["revocation"]["lookup"]["path"] = json!(path);
        same("the update", stack.set_policy(&policy).await?, Update::Accepted)?;
        stack.wait_for_keys().await?;
        let client = stack.client()?;
        let (subject, issued) = (format!("ann-{:x}", random()), now - 100 - random() % 1000);
        let token = stack.backend.mint(&json!({ "sub": subject, "iat": issued })).await?;
        let other = stack.backend.mint(&json!({ "iat": now })).await?;
        let signing_input = token.rsplit_once('.').map_or("", |(input, _)| input);
        let hash = hmac_sha256::Hash::hash(signing_input.as_bytes())
            .map(|byte| format!("{byte:02x}"))
            .concat();
        let key = key
            .replace("SUB", &subject)
            .replace("IAT", &issued.to_string())
            .replace("HASH", &hash);
        stack.passes(&client, &get(&token), 404).await?;
        stack.set_in_redis(&key).await?;
        until_revoked(&mut client.connect().await?, &token, CACHE + SLACK)
            .await
            .map_err(|fault| format!("{path}: {fault}"))?;
        stack.passes(&client, &get(&other), 404).await?;
    }
    Ok(())
}

/// Lookups go to the backend, which can be told to be slow.
async fn with_slow_source(stack: &mut Stack) -> Outcome<()> {
    with_revocation(stack, |revocation| {
        revocation["lookup"] = json!({ "cluster": "backend", "authority": "revocations", "path": "/slow/{jti}",
                                       "revoked": { "status": [200] }, "valid": { "status": [404] },
                                       "timeout": "5s", "cache": "1s" });
    })
    .await
}

async fn lookups(stack: &Stack, id: &str) -> Outcome<usize> {
    let path = format!("/slow/{id}");
    Ok(stack
        .backend
        .seen_all()
        .await?
        .iter()
        .filter(|request| request["path"] == json!(path))
        .count())
}

async fn all_that_wait_for_one_token_wait_on_one_lookup(stack: &mut Stack) -> Outcome<()> {
    with_slow_source(stack).await?;
    let client = stack.client()?.over(Version::Http2);
    let token = stack.backend.mint(&json!({ "jti": "shared" })).await?;
    stack.backend.delay("/slow/shared", 700, 1).await?;
    let mut requests = tokio::task::JoinSet::new();
    for connection in &stack.connect_to_each_worker(&client).await? {
        for _ in 0..20 {
            let mut connection = connection.share().ok_or("not HTTP/2")?;
            let request = get(&token);
            requests.spawn(async move { connection.send(&request).await });
        }
    }
    while let Some(joined) = requests.join_next().await {
        passed(&joined.map_err(|error| error.to_string())??)?;
    }
    let asked = lookups(stack, "shared").await?;
    same("lookups for 40 requests on two workers", asked, 1)
}

async fn a_client_that_leaves_during_the_lookup_harms_nobody(stack: &mut Stack) -> Outcome<()> {
    with_slow_source(stack).await?;
    let client = stack.client()?;
    let token = stack.backend.mint(&json!({ "jti": "left" })).await?;
    stack.backend.delay("/slow/left", 700, 2).await?;
    let (request, mark) = get(&token).mark();
    for mut connection in stack.connect_to_each_worker(&client).await? {
        let left = tokio::time::timeout(Duration::from_millis(200), connection.send(&request)).await;
        same("the answer is still out", left.is_err(), true)?;
    }
    // Who comes later waits for the same answer, and gets it.
    for connection in &mut stack.connect_to_each_worker(&client).await? {
        passed(&connection.send(&get(&token)).await?)?;
    }
    same("seen of those who left", stack.backend.seen(&mark).await?.len(), 0)
}
