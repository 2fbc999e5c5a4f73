//! Policies that change while requests come: a bad one is refused with every fault in the log and changes nothing, a good
//! one is live without a restart and forgets no ban.

use portcullis_e2e::edge::Stats;
use portcullis_e2e::message::Request;
use portcullis_e2e::stack::{Options, Stack, Update};
use portcullis_e2e::suite::same;
use portcullis_e2e::tour::Visitor;
use portcullis_e2e::{Outcome, scenarios};
use serde_json::{Value, json};

scenarios! { Options::default();
    a_bad_policy_is_refused_with_its_message_and_the_old_one_goes_on,
    all_faults_are_told_at_once_each_with_its_path,
    a_text_that_is_no_json_is_refused,
    a_good_policy_is_live_on_every_worker_without_a_restart,
    a_ban_outlives_a_new_policy,
    a_section_that_is_absent_is_off_and_an_empty_one_is_on,
    in_shadow_mode_refusals_are_counted_and_the_request_goes_on,
    no_log_line_has_a_secret,
}

/// What the module's part of Envoy's log has gained.
fn gained(stack: &Stack, before: usize) -> String {
    stack.edge_log().get(before..).unwrap_or_default().to_owned()
}

async fn still_enforces(stack: &Stack) -> Outcome<()> {
    let client = stack.client()?;
    let token = stack.backend.mint(&json!({})).await?;
    stack
        .passes(&client, &Request::get("/orders").bearer(&token), 200)
        .await?;
    stack
        .refused(&client, &Request::get("/orders"), 401, "token_missing")
        .await?;
    stack
        .refused(&client, &Request::get("/new").bearer(&token), 404, "operation_unknown")
        .await
        .map(drop)
}

async fn refused_with(stack: &mut Stack, policy: &Value, messages: &[&str]) -> Outcome<()> {
    let before = stack.edge_log().len();
    same("the update", stack.set_policy(policy).await?, Update::Refused)?;
    let log = gained(stack, before);
    for message in messages {
        same(&format!("`{message}` in the log:\n{log}"), log.contains(message), true)?;
    }
    still_enforces(stack).await
}

async fn a_bad_policy_is_refused_with_its_message_and_the_old_one_goes_on(stack: &mut Stack) -> Outcome<()> {
    let shipped = stack.policy()?;
    let mut policy = shipped.clone();
    policy["quotas"][1]["window"] = json!("1 minute");
    refused_with(
        stack,
        &policy,
        &["quotas[1].window: expected a duration such as \"1m\", found \"1 minute\""],
    )
    .await?;
    let mut policy = shipped.clone();
    policy["tokens"]["provider"] = json!([]);
    refused_with(stack, &policy, &["tokens.provider"]).await?;
    // And back: the shipped one is taken again.
    let mut policy = shipped;
    policy["quotas"][1]["limit"] = json!(19);
    same("the update", stack.set_policy(&policy).await?, Update::Accepted)?;
    stack.wait_for_keys().await?;
    still_enforces(stack).await
}

async fn all_faults_are_told_at_once_each_with_its_path(stack: &mut Stack) -> Outcome<()> {
    let mut policy = stack.policy()?;
    policy["quotas"][0]["limit"] = json!(0);
    policy["login"]["ban"]["for"] = json!(15);
    policy["operations"][1]["methods"] = json!([]);
    policy["requests"]["max_body"] = json!("64 KiB or so");
    policy["unheard_of"] = json!(true);
    let paths = [
        "quotas[0].limit: ",
        "login.ban.for: ",
        "operations[1].methods",
        "requests.max_body: ",
        "unheard_of",
    ];
    refused_with(stack, &policy, &paths).await
}

async fn a_text_that_is_no_json_is_refused(stack: &mut Stack) -> Outcome<()> {
    for text in ["{", "{}{}", "[]", "{\"mode\":\"enforce\",\"mode\":\"shadow\"}"] {
        let outcome = stack
            .set_policy_text(text)
            .await
            .map_err(|fault| format!("{text:?}: {fault}"))?;
        same(&format!("{text:?}"), outcome, Update::Refused)?;
        still_enforces(stack)
            .await
            .map_err(|fault| format!("after {text:?}: {fault}"))?;
    }
    Ok(())
}

async fn a_good_policy_is_live_on_every_worker_without_a_restart(stack: &mut Stack) -> Outcome<()> {
    let client = stack.client()?;
    let pid = stack.edge_pid();
    let mut connections = stack.connect_to_each_worker(&client).await?;
    let health = Request::get("/healthz");
    for connection in &mut connections {
        stack.refused_on(connection, &health, 404, "operation_unknown").await?;
    }
    let shipped = stack.policy()?;
    let mut policy = shipped.clone();
    let operation = json!({ "id": "health", "methods": ["GET"], "path": "/healthz", "token": "none" });
    policy["operations"]
        .as_array_mut()
        .ok_or("no operations")?
        .push(operation);
    same("the update", stack.set_policy(&policy).await?, Update::Accepted)?;
    // On the connections that were there before.
    for connection in &mut connections {
        stack.passes_on(connection, &health, 200).await?;
    }
    same("the update back", stack.set_policy(&shipped).await?, Update::Accepted)?;
    for connection in &mut connections {
        stack.refused_on(connection, &health, 404, "operation_unknown").await?;
    }
    same("Envoy's process", stack.edge_pid(), pid)
}

async fn a_ban_outlives_a_new_policy(stack: &mut Stack) -> Outcome<()> {
    let (client, visitor) = (stack.client()?, Visitor::new());
    stack.passes(&client, &visitor.register(), 201).await?;
    for _ in 0..5 {
        stack.passes(&client, &visitor.guess(), 401).await?;
    }
    stack.refused(&client, &visitor.login(), 429, "client_banned").await?;
    let mut policy = stack.policy()?;
    policy["login"]["client"]["attempts"] = json!(50);
    policy["quotas"][0]["limit"] = json!(500);
    same("the update", stack.set_policy(&policy).await?, Update::Accepted)?;
    for connection in &mut stack.connect_to_each_worker(&client).await? {
        stack
            .refused_on(connection, &visitor.login(), 429, "client_banned")
            .await?;
    }
    stack.passes(&stack.client()?, &visitor.login(), 200).await.map(drop)
}

async fn a_section_that_is_absent_is_off_and_an_empty_one_is_on(stack: &mut Stack) -> Outcome<()> {
    same("the update", stack.set_policy(&json!({})).await?, Update::Accepted)?;
    let client = stack.client()?;
    stack.passes(&client, &Request::get("/healthz"), 200).await?;
    stack
        .passes(&client, &Request::get("/orders").without("user-agent"), 401)
        .await?;
    stack
        .passes(&client, &Request::post("/anything").json("{"), 404)
        .await?;
    same(
        "the update",
        stack.set_policy(&json!({ "requests": {} })).await?,
        Update::Accepted,
    )?;
    stack.passes(&client, &Request::get("/anything"), 404).await?;
    // A JSON body is parsed on every path, declared or not.
    stack
        .refused(&client, &Request::post("/anything").json("{"), 400, "json_malformed")
        .await
        .map(drop)
}

async fn in_shadow_mode_refusals_are_counted_and_the_request_goes_on(stack: &mut Stack) -> Outcome<()> {
    let mut policy = stack.policy()?;
    policy["mode"] = json!("shadow");
    same("the update", stack.set_policy(&policy).await?, Update::Accepted)?;
    stack.wait_for_keys().await?;
    let client = stack.client()?;
    let before = stack.edge.module_counters().await?;
    // The backend's own refusal: it came through, without a user.
    stack.passes(&client, &Request::get("/orders"), 401).await?;
    stack.passes(&client, &Request::post("/orders").json("{"), 401).await?;
    stack.passes(&client, &Request::get("/nowhere"), 404).await?;
    let after = stack.edge.module_counters().await?;
    let moved = |name: &str| after.get(name).copied().unwrap_or(0) - before.get(name).copied().unwrap_or(0);
    same("shadowed.token_missing", moved("shadowed.token_missing") >= 2, true)?;
    same("shadowed.operation_unknown", moved("shadowed.operation_unknown"), 1)?;
    let denied = |counters: &Stats| {
        counters
            .iter()
            .filter(|(name, _)| name.starts_with("denied."))
            .map(|(_, value)| *value)
            .sum::<u64>()
    };
    same("refusals", denied(&after) - denied(&before), 0)
}

async fn no_log_line_has_a_secret(stack: &mut Stack) -> Outcome<()> {
    let (client, visitor) = (stack.client()?, Visitor::new());
    let token = stack.backend.mint(&json!({ "exp": 1 })).await?;
    let password = "a-very-particular-password";
    let login = Request::post_json("/login", &json!({ "username": visitor.name, "password": password }));
    stack.passes(&client, &login, 401).await?;
    stack
        .refused(
            &client,
            &Request::get(&format!("/orders?token={password}")).bearer(&token),
            401,
            "token_expired",
        )
        .await?;
    let bad = json!({ "username": visitor.name, "password": 1, "secret": password });
    stack
        .refused(&client, &Request::post_json("/login", &bad), 400, "body_invalid")
        .await?;
    let shown = format!("{}{}", stack.edge_log(), json!(stack.access_log()));
    for secret in [password, &token, token.rsplit('.').next().unwrap_or(&token)] {
        same(&format!("`{secret}` in a log"), shown.contains(secret), false)?;
    }
    Ok(())
}
