//! Requests and operations: what the policy doesn't allow is refused with its reason, and nothing of it reaches the backend.

use portcullis_e2e::client::Client;
use portcullis_e2e::message::Request;
use portcullis_e2e::stack::{Options, Stack, Update};
use portcullis_e2e::suite::same;
use portcullis_e2e::tour::good_order;
use portcullis_e2e::{Outcome, scenarios};
use serde_json::json;

scenarios! { Options::default();
    a_declared_request_passes,
    an_undeclared_path_or_method_is_refused,
    a_path_that_would_have_to_be_guessed_at_is_refused,
    another_spelling_is_forwarded_in_the_normal_one,
    a_missing_or_forbidden_header_is_refused,
    a_denied_network_is_refused,
}

async fn ready(stack: &Stack) -> Outcome<(Client, String)> {
    Ok((stack.client()?, stack.backend.mint(&json!({})).await?))
}

/// Every row must be refused with the same status and code.
async fn all_refused(stack: &Stack, client: &Client, rows: Vec<(&str, Request)>, is: (u16, &str)) -> Outcome<()> {
    let mut connection = client.connect().await?;
    for (name, request) in rows {
        let outcome = stack.refused_on(&mut connection, &request, is.0, is.1).await;
        outcome.map_err(|fault| format!("{name}: {fault}"))?;
        // What came may have ended the connection.
        connection = client.connect().await?;
    }
    Ok(())
}

async fn a_declared_request_passes(stack: &mut Stack) -> Outcome<()> {
    let (client, token) = ready(stack).await?;
    let before = stack.edge.module_counters().await?;
    let order = Request::post_json("/orders", &good_order()).bearer(&token);
    let made = stack.passes(&client, &order, 201).await?;
    let path = made.header("location").ok_or("no location")?;
    let found = stack.passes(&client, &Request::get(path).bearer(&token), 200).await?;
    same("the note", found.json()["note"].clone(), json!("ring twice"))?;
    // Without a body; and HEAD follows GET's rules.
    stack
        .passes(&client, &Request::get("/orders").bearer(&token), 200)
        .await?;
    stack
        .passes(&client, &Request::get("/orders?page=2&x=%20y").bearer(&token), 200)
        .await?;
    let head = Request::new("HEAD", "/orders").bearer(&token);
    stack.passes(&client, &head, 200).await?;
    let after = stack.edge.module_counters().await?;
    let allowed = |counters: &portcullis_e2e::edge::Stats| counters.get("allowed").copied().unwrap_or(0);
    same("requests counted as allowed", allowed(&after) - allowed(&before), 5)
}

async fn an_undeclared_path_or_method_is_refused(stack: &mut Stack) -> Outcome<()> {
    let (client, token) = ready(stack).await?;
    let rows = [
        "/",
        "/admin",
        "/Orders",
        "/orders/1/items",
        "/order",
        "/healthz",
        "/.well-known/jwks.json",
    ];
    let rows = rows.map(|path| (path, Request::get(path).bearer(&token))).to_vec();
    all_refused(stack, &client, rows, (404, "operation_unknown")).await?;
    for (method, path, allow) in [
        ("DELETE", "/orders", ["GET", "POST"].as_slice()),
        ("PUT", "/orders/1", &["GET"]),
        ("GET", "/login", &["POST"]),
        ("OPTIONS", "/orders", &["GET", "POST"]),
        ("PROPFIND", "/orders", &["GET", "POST"]),
    ] {
        let request = Request::new(method, path).bearer(&token);
        // Envoy itself may refuse a method that it doesn't know.
        if method == "PROPFIND" {
            let (request, mark) = request.mark();
            let reply = client.send(&request).await?;
            same(
                "PROPFIND's status is a refusal",
                (400..=405).contains(&reply.status),
                true,
            )?;
            same("seen", stack.backend.seen(&mark).await?.len(), 0)?;
            continue;
        }
        let reply = stack.refused(&client, &request, 405, "method_not_allowed").await?;
        let listed: Vec<&str> = reply
            .header("allow")
            .unwrap_or_default()
            .split(',')
            .map(str::trim)
            .collect();
        for method in allow {
            same(&format!("{method} among {listed:?}"), listed.contains(method), true)?;
        }
    }
    Ok(())
}

async fn a_path_that_would_have_to_be_guessed_at_is_refused(stack: &mut Stack) -> Outcome<()> {
    let (client, token) = ready(stack).await?;
    let rows = [
        "/orders/%zz",
        "/orders/%",
        "/orders/%u0041",
        "/orders/%c0%af",
        "/orders/%ff",
        "/orders/%0a",
        "/orders/%7f",
    ];
    let rows = rows.map(|path| (path, Request::get(path).bearer(&token))).to_vec();
    all_refused(stack, &client, rows, (400, "path_invalid")).await?;
    // These Envoy refuses before the module is asked: the same status and code, and nothing forwarded.
    for path in ["/orders%2f1", "/orders%2F1", "/orders%5c1", "/orders/%00"] {
        let (request, mark) = Request::get(path).bearer(&token).mark();
        let reply = client.send(&request).await?;
        same(path, reply.brief(), "400 path_invalid".to_owned())?;
        same("seen", stack.backend.seen(&mark).await?.len(), 0)?;
    }
    Ok(())
}

async fn another_spelling_is_forwarded_in_the_normal_one(stack: &mut Stack) -> Outcome<()> {
    let (client, token) = ready(stack).await?;
    for path in [
        "/%6Frders",
        "//orders",
        "/./orders",
        "/x/../orders",
        "/../orders",
        "/%6f%72ders",
        "/orders?a=%6F",
        "/orders#part",
    ] {
        let (request, mark) = Request::get(path).bearer(&token).mark();
        let reply = client.send(&request).await?;
        same(
            path,
            reply.brief().split(' ').next().map(str::to_owned),
            Some("200".to_owned()),
        )?;
        let forwarded = stack.backend.seen(&mark).await?;
        let expected = if path.contains('?') { "/orders?a=%6F" } else { "/orders" };
        same(
            path,
            forwarded.first().map(|request| request["path"].clone()),
            Some(json!(expected)),
        )?;
    }
    Ok(())
}

async fn a_missing_or_forbidden_header_is_refused(stack: &mut Stack) -> Outcome<()> {
    let (client, token) = ready(stack).await?;
    let nameless = Request::get("/orders").bearer(&token).without("user-agent");
    stack.refused(&client, &nameless, 400, "header_missing").await?;
    let rows = ["x-http-method-override", "x-http-method", "x-method-override"];
    let rows = rows
        .map(|name| (name, Request::get("/orders").bearer(&token).header(name, "DELETE")))
        .to_vec();
    all_refused(stack, &client, rows, (400, "method_override")).await
}

async fn a_denied_network_is_refused(stack: &mut Stack) -> Outcome<()> {
    let client = stack.client()?;
    let mut policy = stack.policy()?;
    policy["clients"] = json!({ "deny": [format!("{}/32", client.source())] });
    same("the update", stack.set_policy(&policy).await?, Update::Accepted)?;
    let token = stack.backend.mint(&json!({})).await?;
    stack.wait_for_keys().await?;
    stack
        .refused(&client, &Request::get("/orders").bearer(&token), 403, "client_denied")
        .await?;
    stack
        .passes(&stack.client()?, &Request::get("/orders").bearer(&token), 200)
        .await
        .map(drop)
}
