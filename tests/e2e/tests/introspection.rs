//! Introspection (RFC 7662): tokens, JWT or not, are what the authorization server says they are. First by a server that
//! checks its questions strictly, then by a real one, `oidc-provider`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ct_codecs::{Base64, Encoder};
use portcullis_e2e::client::{Connection, Version};
use portcullis_e2e::message::Request;
use portcullis_e2e::provider::Provider;
use portcullis_e2e::source::{FAULTS, Mood, Question, Said, Source};
use portcullis_e2e::stack::{Options, Stack, Update};
use portcullis_e2e::suite::same;
use portcullis_e2e::{Outcome, random, scenarios, until};
use serde_json::{Value, json};

scenarios! { Options::with_own_revocations();
    the_server_is_asked_as_the_rfc_says_with_either_authentication,
    an_opaque_token_is_what_the_answer_says,
    an_answer_serves_for_its_cache_and_never_beyond_its_exp,
    a_jwt_taken_back_is_refused_within_the_cache_and_then_by_every_worker,
    all_that_wait_for_one_token_wait_on_one_question,
    questions_are_as_many_as_tokens_and_periods_whatever_the_requests,
    no_fault_lets_an_opaque_token_pass_that_nobody_vouches_for,
    a_real_server_vouches_for_its_opaque_tokens_until_they_are_revoked,
}

const CACHE: Duration = Duration::from_secs(1);

/// Characters that have to be encoded twice: as a form, and in Basic as base64.
const ID: &str = "edge:1";
const SECRET: &str = "of/the ?tests+";
const ENCODED_ID: &str = "edge%3A1";
const ENCODED_SECRET: &str = "of%2Fthe%20%3Ftests%2B";

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// What the server knows: the claims of a token, as the question spells it.
type Known = Arc<Mutex<Vec<(String, Value)>>>;

/// Has the server know a token, or know it anew.
fn tell(known: &Known, token: &str, claims: Value) {
    // These two are not left as they are in a form.
    let spelled = token.replace('.', "%2E").replace('~', "%7E");
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    known.retain(|(other, _)| *other != spelled);
    known.push((spelled, claims));
}

/// A strict server: 400 for a question of another form, 401 for other credentials, and `exp` holds.
fn answer(question: &Question, known: &Known, basic: bool) -> Said {
    let refusal = |status| Said {
        status,
        ..Said::json(r#"{"error":"as the status says"}"#)
    };
    let form = question.field("content-type") == Some("application/x-www-form-urlencoded");
    let parameters: Vec<(&str, &str)> = question
        .body
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .collect();
    let parameter = |name| {
        parameters
            .iter()
            .find(|(found, _)| *found == name)
            .map(|(_, value)| *value)
    };
    let (Some(token), true) = (
        parameter("token"),
        form && question.head.starts_with("POST /introspect "),
    ) else {
        return refusal(400);
    };
    let pair = Base64::encode_to_string(format!("{ENCODED_ID}:{ENCODED_SECRET}")).unwrap_or_default();
    let (field, form) = (
        question.field("authorization") == Some(&format!("Basic {pair}")),
        (parameter("client_id"), parameter("client_secret")) == (Some(ENCODED_ID), Some(ENCODED_SECRET)),
    );
    if (field, form) != (basic, !basic) {
        return refusal(401);
    }
    let known = known.lock().unwrap_or_else(PoisonError::into_inner);
    let claims = known
        .iter()
        .find(|(found, _)| found == token)
        .map(|(_, claims)| claims.clone());
    let claims = claims.unwrap_or(json!({ "active": false }));
    let ended = claims["exp"].as_u64().is_some_and(|end| end <= now());
    Said::json(if ended { json!({ "active": false }) } else { claims }.to_string())
}

async fn set_introspection(stack: &mut Stack, changes: Value) -> Outcome<()> {
    let mut policy = stack.policy()?;
    let mut section = json!({ "cluster": "revocations", "authority": "id.example", "path": "/introspect",
        "client_id": ID, "client_secret": SECRET, "timeout": "200ms", "cache": "1s" });
    if let (Some(section), Some(changes)) = (section.as_object_mut(), changes.as_object()) {
        section.extend(changes.clone());
    }
    policy["quotas"] = json!([]);
    policy["revocation"] = json!({ "on_error": "allow", "stale": "0s", "introspection": section });
    // Not until the keys are there: the server knows of no token but those that it was told of.
    same("the update", stack.set_policy(&policy).await?, Update::Accepted)
}

async fn with_server(stack: &mut Stack) -> Outcome<(Source, Known)> {
    let known = Known::default();
    let shared = Arc::clone(&known);
    let source = Source::start(stack, move |question| answer(question, &shared, true)).await?;
    set_introspection(stack, json!({})).await?;
    Ok((source, known))
}

async fn on_each_worker(stack: &Stack) -> Outcome<Vec<Connection>> {
    stack
        .connect_to_each_worker(&stack.client()?.over(Version::Http2))
        .await
}

fn get(token: &str) -> Request {
    Request::get("/orders/1").bearer(token)
}

/// A token that is no JWT and that nobody has seen.
fn opaque() -> String {
    format!("{:016x}.~_-{:016x}", random(), random())
}

fn active(members: Value) -> Value {
    let mut claims = json!({ "active": true, "sub": "ann", "scope": "orders:read" });
    if let (Some(claims), Some(members)) = (claims.as_object_mut(), members.as_object()) {
        claims.extend(members.clone());
    }
    claims
}

async fn the_server_is_asked_as_the_rfc_says_with_either_authentication(stack: &mut Stack) -> Outcome<()> {
    for (auth, other) in [("basic", "post"), ("post", "basic")] {
        let known = Known::default();
        let shared = Arc::clone(&known);
        let _source = Source::start(stack, move |question| answer(question, &shared, auth == "basic")).await?;
        // Only the server's word lets it pass.
        let (first, second) = (opaque(), opaque());
        tell(&known, &first, active(json!({})));
        tell(&known, &second, active(json!({})));
        set_introspection(stack, json!({ "auth": auth })).await?;
        let client = stack.client()?;
        let (request, mark) = get(&first).mark();
        stack.passes(&client, &request, 404).await?;
        let user = stack.seen_once(&mark).await?["headers"]["x-user"].clone();
        same("x-user", user, json!(["ann"]))?;
        for wrong in [
            json!({ "auth": other }),
            json!({ "auth": auth, "client_secret": "another" }),
        ] {
            set_introspection(stack, wrong).await?;
            stack
                .refused(&client, &get(&second), 503, "revocation_unavailable")
                .await?;
        }
    }
    Ok(())
}

async fn an_opaque_token_is_what_the_answer_says(stack: &mut Stack) -> Outcome<()> {
    let (_source, known) = with_server(stack).await?;
    let mut workers = on_each_worker(stack).await?;
    let issuer = "https://demo.portcullis.example";
    for claims in [
        active(json!({})),
        active(json!({ "exp": now() + 60, "iss": issuer, "aud": ["orders-api", "other"] })),
        active(json!({ "scope": "a orders:read b", "aud": "orders-api" })),
    ] {
        let token = opaque();
        tell(&known, &token, claims.clone());
        for worker in &mut workers {
            let passed = stack.passes_on(worker, &get(&token), 404).await;
            passed.map_err(|fault| format!("{claims}: {fault}"))?;
        }
    }
    for (claims, status, code) in [
        (json!({ "active": false }), 401, "token_inactive"),
        (
            json!({ "active": false, "sub": "ann", "scope": "orders:read" }),
            401,
            "token_inactive",
        ),
        (active(json!({ "scope": "orders:write" })), 403, "token_scope"),
        (active(json!({ "scope": 7 })), 401, "token_claim"),
        (active(json!({ "iss": "https://other.example" })), 401, "token_issuer"),
        (active(json!({ "aud": "other" })), 401, "token_audience"),
        (active(json!({ "nbf": now() + 600 })), 401, "token_not_yet_valid"),
        (active(json!({ "active": "true" })), 503, "revocation_unavailable"),
        (active(json!({ "active": 1 })), 503, "revocation_unavailable"),
        (json!({ "sub": "ann" }), 503, "revocation_unavailable"),
        (json!([true]), 503, "revocation_unavailable"),
    ] {
        let token = opaque();
        tell(&known, &token, claims.clone());
        for worker in &mut workers {
            let refused = stack.refused_on(worker, &get(&token), status, code).await;
            refused.map_err(|fault| format!("{claims}: {fault}"))?;
        }
    }
    let unknown = opaque();
    stack
        .refused_on(&mut workers[0], &get(&unknown), 401, "token_inactive")
        .await
        .map(drop)
}

async fn an_answer_serves_for_its_cache_and_never_beyond_its_exp(stack: &mut Stack) -> Outcome<()> {
    let (source, known) = with_server(stack).await?;
    set_introspection(stack, json!({ "cache": "1h" })).await?;
    let mut worker = stack.client()?.connect().await?;
    let (token, end) = (opaque(), now() + 3);
    tell(&known, &token, active(json!({ "exp": end })));
    stack.passes_on(&mut worker, &get(&token), 404).await?;
    let asked = source.asked();
    until("the refusal of an ended token", Duration::from_secs(10), async || {
        let before = now();
        match worker.send(&get(&token)).await?.brief().as_str() {
            "401 token_inactive" => Ok(()),
            other if before > end => Err(format!("{other}, although it ended {} s ago", before - end)),
            other => Err(other.to_owned()),
        }
    })
    .await?;
    same("ended no sooner than it says", now() >= end, true)?;
    same("questions: one when it ended", source.asked() - asked, 1)?;
    // Beyond its cache an answer is asked for anew.
    set_introspection(stack, json!({})).await?;
    let mut worker = stack.client()?.connect().await?;
    let token = opaque();
    tell(&known, &token, active(json!({})));
    stack.passes_on(&mut worker, &get(&token), 404).await?;
    tell(&known, &token, json!({ "active": false }));
    until("the refusal of an inactive token", CACHE * 5, async || {
        match worker.send(&get(&token)).await?.brief().as_str() {
            "401 token_inactive" => Ok(()),
            other => Err(other.to_owned()),
        }
    })
    .await
}

async fn a_jwt_taken_back_is_refused_within_the_cache_and_then_by_every_worker(stack: &mut Stack) -> Outcome<()> {
    let (source, known) = with_server(stack).await?;
    let mut workers = on_each_worker(stack).await?;
    let token = stack.backend.mint(&json!({})).await?;
    tell(&known, &token, active(json!({})));
    for worker in &mut workers {
        until("the keys", Duration::from_secs(20), async || {
            stack.passes_on(worker, &get(&token), 404).await.map(drop)
        })
        .await?;
    }
    // Scopes of the answer hold beside those of the token.
    let narrow = stack.backend.mint(&json!({})).await?;
    tell(&known, &narrow, active(json!({ "scope": "other" })));
    stack
        .refused_on(&mut workers[0], &get(&narrow), 403, "token_scope")
        .await?;
    let foreign = stack.backend.mint(&json!({ "key": "other" })).await?;
    tell(&known, &foreign, active(json!({})));
    let asked = source.asked();
    stack
        .refused_on(&mut workers[0], &get(&foreign), 401, "token_signature")
        .await?;
    same("questions about a forged token", source.asked() - asked, 0)?;

    tell(&known, &token, json!({ "active": false }));
    let begun = Instant::now();
    let mut refused = None;
    // Both are asked in turn; from the first refusal on, neither may let it pass.
    while begun.elapsed() < CACHE * 2 {
        for worker in &mut workers {
            match (worker.send(&get(&token)).await?.brief().as_str(), refused) {
                ("401 token_revoked", None) => refused = Some(begun.elapsed()),
                ("401 token_revoked", Some(_)) => {}
                (brief, None) if brief.starts_with("404") => {}
                (brief, _) => return Err(format!("{brief} after {:?}, refused {refused:?}", begun.elapsed())),
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    println!("taken back and refused after {refused:?}; an answer serves for {CACHE:?}");
    same(
        "refused within the cache and half a second",
        refused.is_some_and(|after| after <= CACHE + Duration::from_millis(500)),
        true,
    )
}

async fn all_that_wait_for_one_token_wait_on_one_question(stack: &mut Stack) -> Outcome<()> {
    let (source, known) = with_server(stack).await?;
    let workers = on_each_worker(stack).await?;
    for _ in 0..3 {
        let token = opaque();
        tell(&known, &token, active(json!({})));
        let asked = source.asked();
        let mut requests = tokio::task::JoinSet::new();
        for worker in &workers {
            for _ in 0..20 {
                let mut connection = worker.share().ok_or("not HTTP/2")?;
                let request = get(&token);
                requests.spawn(async move { connection.send(&request).await });
            }
        }
        while let Some(joined) = requests.join_next().await {
            let brief = joined.map_err(|error| error.to_string())??.brief();
            same(&brief, brief.starts_with("404"), true)?;
        }
        same("questions of two workers", source.asked() - asked, 1)?;
    }
    Ok(())
}

const TOKENS: usize = 100;
const REQUESTS: usize = 10_000;
const SENDERS: usize = 10;
const SPAN: Duration = Duration::from_secs(10);

async fn questions_are_as_many_as_tokens_and_periods_whatever_the_requests(stack: &mut Stack) -> Outcome<()> {
    let (source, known) = with_server(stack).await?;
    let workers = on_each_worker(stack).await?;
    let tokens: Vec<String> = (0..TOKENS).map(|_| opaque()).collect();
    for token in &tokens {
        tell(&known, token, active(json!({})));
    }
    let (before, begun) = (source.asked(), Instant::now());
    let mut senders = tokio::task::JoinSet::new();
    for sender in 0..SENDERS {
        let mut connections: Vec<Connection> = workers.iter().filter_map(Connection::share).collect();
        let tokens = tokens.clone();
        senders.spawn(async move {
            let each = REQUESTS / SENDERS;
            for i in 0..each {
                let due = SPAN.mul_f64(i as f64 / each as f64);
                tokio::time::sleep(due.saturating_sub(begun.elapsed())).await;
                // Each token comes to each worker in turn.
                let worker = (i + i / TOKENS) % connections.len();
                let brief = connections[worker]
                    .send(&get(&tokens[(i * SENDERS + sender) % TOKENS]))
                    .await?
                    .brief();
                same(&brief, brief.starts_with("404"), true)?;
            }
            Ok::<_, String>(())
        });
    }
    while let Some(joined) = senders.join_next().await {
        joined.map_err(|error| error.to_string())??;
    }
    let (took, asked) = (begun.elapsed(), source.asked() - before);
    // A period that has begun counts.
    let periods = (took.as_secs_f64() / CACHE.as_secs_f64()).ceil();
    let most = (TOKENS as f64 * periods * 1.1) as usize;
    println!("{asked} questions for {REQUESTS} requests with {TOKENS} tokens in {took:?}; at most {most}");
    same(&format!("{asked} questions are at most {most}"), asked <= most, true)
}

async fn no_fault_lets_an_opaque_token_pass_that_nobody_vouches_for(stack: &mut Stack) -> Outcome<()> {
    // The policy says `allow`, which is about tokens that are good in themselves.
    let (source, known) = with_server(stack).await?;
    let mut worker = stack.client()?.over(Version::Http2).connect().await?;
    for fault in FAULTS {
        source.set(Mood::Well).await?;
        until("the server's recovery", Duration::from_secs(20), async || {
            let token = opaque();
            tell(&known, &token, active(json!({})));
            let brief = worker.send(&get(&token)).await?.brief();
            if brief.starts_with("404") { Ok(()) } else { Err(brief) }
        })
        .await?;
        source.set(fault).await?;
        for _ in 0..6 {
            let token = opaque();
            let brief = worker.send(&get(&token)).await?.brief();
            // A flapping server answers in between, that it does not know it.
            let fits =
                brief == "503 revocation_unavailable" || (fault == Mood::Flapping && brief == "401 token_inactive");
            same(&format!("{fault:?}: {brief}"), fits, true)?;
        }
    }
    Ok(())
}

async fn a_real_server_vouches_for_its_opaque_tokens_until_they_are_revoked(stack: &mut Stack) -> Outcome<()> {
    let provider = Provider::start(stack).await?;
    let door = provider.door();
    let resource = "https://opaque.example";
    let mut issuer = door.policy("10m");
    issuer["audiences"] = json!([resource]);
    // Whoever has a token by client credentials is no user: its answers have no `sub`.
    issuer["claims_to_headers"] = json!({ "x-user": "client_id" });
    for (auth, client) in [("basic", "app"), ("post", "app-post")] {
        let mut policy = stack.policy()?;
        let shipped = policy["tokens"]["providers"][0].clone();
        policy["tokens"]["providers"] = json!([shipped, issuer]);
        policy["revocation"] = json!({ "on_error": "deny", "stale": "0s", "introspection": {
            "cluster": "revocations", "authority": "id.example", "path": "/token/introspection", "issuer": issuer["issuer"],
            "client_id": client, "client_secret": "a secret of the tests", "auth": auth, "timeout": "1s", "cache": "1s" } });
        same("the update", stack.set_policy(&policy).await?, Update::Accepted)?;
        let mut workers = on_each_worker(stack).await?;
        let token = door.token_for(resource).await?;
        same("a token that is no JWT", token.contains('.'), false)?;
        for worker in &mut workers {
            stack.passes_on(worker, &get(&token), 404).await?;
            // The server granted `orders:read` alone.
            let write = Request::post_json("/orders", &json!({ "items": [{ "sku": "ABC-1234", "qty": 1 }] }));
            stack
                .refused_on(worker, &write.bearer(&token), 403, "token_scope")
                .await?;
            stack
                .refused_on(worker, &get("no-token-of-its"), 401, "token_inactive")
                .await?;
        }
        let foreign = door.token_for("https://opaque.elsewhere.example").await?;
        stack
            .refused_on(&mut workers[0], &get(&foreign), 401, "token_audience")
            .await?;
        door.revoke(&token).await?;
        for worker in &mut workers {
            until("the refusal of a revoked token", CACHE * 5, async || {
                match worker.send(&get(&token)).await?.brief().as_str() {
                    "401 token_inactive" => Ok(()),
                    other => Err(other.to_owned()),
                }
            })
            .await?;
        }
    }
    Ok(())
}
