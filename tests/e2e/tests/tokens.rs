//! Tokens: each fault is refused with its own reason, and what passes says who it is from the token alone.

use std::time::Duration;

use portcullis_e2e::client::Version;
use portcullis_e2e::message::Request;
use portcullis_e2e::stack::{Options, Stack, Update};
use portcullis_e2e::suite::same;
use portcullis_e2e::tour::{forge, good_order};
use portcullis_e2e::{Outcome, scenarios, until};
use serde_json::{Value, json};

scenarios! { Options::default();
    a_good_token_passes_in_every_spelling_of_the_scheme,
    a_missing_or_unreadable_token_is_refused,
    a_forged_token_is_refused,
    a_token_with_a_wrong_header_is_refused,
    a_token_with_wrong_claims_is_refused,
    a_token_without_the_scope_is_refused_and_told_which,
    a_token_of_too_great_an_age_is_refused,
    a_token_that_was_good_is_judged_again_when_changed,
    a_token_is_found_in_each_place_and_hidden_from_the_backend_and_its_claims_are_noted,
}

async fn refuse_minted(stack: &Stack, rows: Vec<(Value, &str)>) -> Outcome<()> {
    let client = stack.client()?;
    for (order, code) in rows {
        let token = stack.backend.mint(&order).await?;
        // By id: no narrow quota is charged.
        let request = Request::get("/orders/1").bearer(&token);
        stack
            .refused(&client, &request, 401, code)
            .await
            .map_err(|fault| format!("{order}: {fault}"))?;
    }
    Ok(())
}

async fn a_good_token_passes_in_every_spelling_of_the_scheme(stack: &mut Stack) -> Outcome<()> {
    let client = stack.client()?;
    let token = stack.backend.mint(&json!({ "sub": "carol" })).await?;
    for scheme in ["Bearer ", "bearer ", "BEARER ", "Bearer   "] {
        let request = Request::get("/orders").header("authorization", format!("{scheme}{token}"));
        for version in [Version::Http1, Version::Http2] {
            let (request, mark) = request.clone().mark();
            same(scheme, client.over(version).send(&request).await?.status, 200)?;
            same(
                "x-user",
                stack.seen_once(&mark).await?["headers"]["x-user"].clone(),
                json!(["carol"]),
            )?;
        }
    }
    for order in [
        json!({ "header": { "typ": "JWT" } }),
        json!({ "header": { "typ": "application/AT+JWT" } }),
        json!({ "header": { "typ": null } }),
        json!({ "aud": ["another", "orders-api"] }),
        json!({ "nbf": null }),
        json!({ "exp": 4_102_444_800.5 }),
        json!({ "scope": null, "scp": ["orders:read"] }),
        json!({ "extra": { "deep": [1, 2, { "x": "y" }] } }),
    ] {
        let token = stack.backend.mint(&order).await?;
        let passed = stack
            .passes(&client, &Request::get("/orders/1").bearer(&token), 404)
            .await;
        passed.map_err(|fault| format!("{order}: {fault}"))?;
    }
    Ok(())
}

async fn a_missing_or_unreadable_token_is_refused(stack: &mut Stack) -> Outcome<()> {
    let client = stack.client()?;
    stack
        .refused(&client, &Request::get("/orders"), 401, "token_missing")
        .await?;
    stack
        .refused(
            &client,
            &Request::get("/orders").header("authorization", "Basic YTpi"),
            401,
            "token_missing",
        )
        .await?;
    let token = stack.backend.mint(&json!({})).await?;
    let in_query = Request::get(&format!("/orders?access_token={token}"));
    stack.refused(&client, &in_query, 401, "token_missing").await?;
    let (head, rest) = token.split_once('.').ok_or("no token")?;
    let (claims, signature) = rest.split_once('.').ok_or("no token")?;
    for bad in [
        String::new(),
        "abc".to_owned(),
        "a.b".to_owned(),
        "...".to_owned(),
        format!("{token}.x"),
        format!("{token}="),
        format!("{head}.{claims}"),
        format!("{head}..{signature}"),
        format!(".{claims}.{signature}"),
        format!("{head}.{claims} .{signature}"),
        format!("{head}.{claims}!.{signature}"),
        format!("{head}.{claims}.{}", signature.replace(['-', '_'], "+") + "/"),
        format!("\"{token}\""),
    ] {
        let request = Request::get("/orders/1").header("authorization", format!("Bearer {bad}"));
        stack
            .refused(&client, &request, 401, "token_malformed")
            .await
            .map_err(|fault| format!("{bad:?}: {fault}"))?;
    }
    let large = Request::get("/orders/1").bearer(&"a".repeat((16 << 10) + 1));
    stack.refused(&client, &large, 401, "token_too_large").await.map(drop)
}

async fn a_forged_token_is_refused(stack: &mut Stack) -> Outcome<()> {
    let client = stack.client()?;
    let token = stack.backend.mint(&json!({})).await?;
    stack
        .refused(
            &client,
            &Request::get("/orders").bearer(&forge(&token)),
            401,
            "token_signature",
        )
        .await?;
    // Another's claims under this signature.
    let other = stack.backend.mint(&json!({ "sub": "admin" })).await?;
    let part = |token: &str, at: usize| token.split('.').nth(at).map(str::to_owned).unwrap_or_default();
    let mixed = format!("{}.{}.{}", part(&token, 0), part(&other, 1), part(&token, 2));
    stack
        .refused(&client, &Request::get("/orders").bearer(&mixed), 401, "token_signature")
        .await?;
    refuse_minted(
        stack,
        vec![
            (json!({ "key": "other" }), "token_signature"),
            (json!({ "key": "none" }), "token_algorithm"),
            (json!({ "key": "none", "header": { "alg": "NONE" } }), "token_algorithm"),
            (json!({ "key": "hs256-with-public-key" }), "token_algorithm"),
            (
                json!({ "key": "hs256-with-public-key", "header": { "alg": "ES256" } }),
                "token_signature",
            ),
            (
                json!({ "key": "none", "header": { "alg": "ES256" } }),
                "token_signature",
            ),
        ],
    )
    .await
}

async fn a_token_with_a_wrong_header_is_refused(stack: &mut Stack) -> Outcome<()> {
    let header = |members: Value| json!({ "header": members });
    refuse_minted(
        stack,
        vec![
            (header(json!({ "alg": "RS256" })), "token_algorithm"),
            (header(json!({ "alg": "es256" })), "token_algorithm"),
            (header(json!({ "alg": "ES384" })), "token_algorithm"),
            (header(json!({ "alg": 7 })), "token_malformed"),
            (header(json!({ "typ": "secevent+jwt" })), "token_type"),
            (header(json!({ "crit": ["exp"], "exp": 1 })), "token_critical"),
            (header(json!({ "crit": [] })), "token_critical"),
            (header(json!({ "crit": ["b64"], "b64": true })), "token_critical"),
            (header(json!({ "kid": "nobody" })), "token_key_unknown"),
        ],
    )
    .await
}

async fn a_token_with_wrong_claims_is_refused(stack: &mut Stack) -> Outcome<()> {
    let year_2100 = 4_102_444_800u64;
    refuse_minted(
        stack,
        vec![
            (json!({ "iss": "https://other.example" }), "token_issuer"),
            (json!({ "iss": "https://demo.portcullis.example/" }), "token_issuer"),
            (json!({ "iss": null }), "token_issuer"),
            (json!({ "aud": "another-api" }), "token_audience"),
            (json!({ "aud": [] }), "token_audience"),
            (json!({ "aud": null }), "token_audience"),
            (json!({ "aud": ["orders-api", 7] }), "token_claim"),
            (
                json!({ "iat": 1_000_000, "nbf": 1_000_000, "exp": 1_000_900 }),
                "token_expired",
            ),
            (json!({ "exp": 0 }), "token_expired"),
            (json!({ "exp": null }), "token_claim"),
            (json!({ "exp": "4102444800" }), "token_claim"),
            (json!({ "exp": 1e300 }), "token_claim"),
            (json!({ "exp": -1 }), "token_claim"),
            (json!({ "nbf": year_2100, "exp": year_2100 + 1 }), "token_not_yet_valid"),
            (json!({ "iat": year_2100, "exp": year_2100 + 1 }), "token_not_yet_valid"),
            (json!({ "sub": null }), "token_claim"),
            (json!({ "sub": 7 }), "token_claim"),
            (json!({ "sub": "a\r\nx-admin: 1" }), "token_claim"),
            (json!({ "sub": "a\u{0}b" }), "token_claim"),
            (json!({ "jti": null }), "token_without_id"),
            (json!({ "jti": "" }), "token_without_id"),
        ],
    )
    .await
}

async fn a_token_without_the_scope_is_refused_and_told_which(stack: &mut Stack) -> Outcome<()> {
    let client = stack.client()?;
    for scope in [
        json!("orders:read"),
        json!(""),
        json!(null),
        json!("orders:writeorders:read"),
        json!("ORDERS:WRITE"),
    ] {
        let token = stack.backend.mint(&json!({ "scope": scope })).await?;
        let order = Request::post_json("/orders", &good_order()).bearer(&token);
        let reply = stack.refused(&client, &order, 403, "token_scope").await?;
        let told = reply.header("www-authenticate").unwrap_or_default();
        same(
            &format!("the scope in `{told}`"),
            told.contains("scope=\"orders:write\""),
            true,
        )?;
    }
    Ok(())
}

async fn a_token_of_too_great_an_age_is_refused(stack: &mut Stack) -> Outcome<()> {
    let mut policy = stack.policy()?;
    policy["tokens"]["providers"][0]["max_age"] = json!("1h");
    same("the update", stack.set_policy(&policy).await?, Update::Accepted)?;
    stack.wait_for_keys().await?;
    let far = json!({ "iat": 1_700_000_000, "exp": 4_102_444_800u64 });
    refuse_minted(
        stack,
        vec![(far, "token_too_old"), (json!({ "iat": null }), "token_claim")],
    )
    .await
}

async fn a_token_that_was_good_is_judged_again_when_changed(stack: &mut Stack) -> Outcome<()> {
    let client = stack.client()?;
    let token = stack.backend.mint(&json!({})).await?;
    for connection in &mut stack.connect_to_each_worker(&client).await? {
        stack
            .passes_on(connection, &Request::get("/orders").bearer(&token), 200)
            .await?;
        let forged = Request::get("/orders").bearer(&forge(&token));
        stack.refused_on(connection, &forged, 401, "token_signature").await?;
        stack
            .passes_on(connection, &Request::get("/orders").bearer(&token), 200)
            .await?;
    }
    Ok(())
}

async fn a_token_is_found_in_each_place_and_hidden_from_the_backend_and_its_claims_are_noted(
    stack: &mut Stack,
) -> Outcome<()> {
    let client = stack.client()?;
    let token = stack.backend.mint(&json!({ "sub": "dora" })).await?;
    // Without being listed, the query is no place.
    let asked = Request::get(&format!("/orders/1?a=%31&access_token={token}&b"));
    stack.refused(&client, &asked, 401, "token_missing").await?;
    let mut policy = stack.policy()?;
    policy["requests"]["unknown_parameters"] = json!("allow");
    policy["tokens"]["from"] = json!([
        { "header": "authorization", "scheme": "Bearer" }, { "header": "x-token" }, { "cookie": "session" }, { "query": "access_token" },
    ]);
    let provider = &mut policy["tokens"]["providers"][0];
    provider["forward_token"] = json!(false);
    provider["claims_to_filter_state"] = json!({ "subject": "sub" });
    same("the update", stack.set_policy(&policy).await?, Update::Accepted)?;
    stack.wait_for_keys().await?;
    for (place, request) in [
        ("header", Request::get("/orders/1?a=%31&b").bearer(&token)),
        (
            "bare header",
            Request::get("/orders/1?a=%31&b").header("x-token", &token),
        ),
        (
            "cookie",
            Request::get("/orders/1?a=%31&b").header("cookie", format!("a=1; session={token}; b=2")),
        ),
        ("query", asked.clone()),
        (
            "query, respelt",
            Request::get(&format!("/orders/1?access%5Ftoken={token}&a=%31&b")),
        ),
    ] {
        // What only this filter may set comes along, as clients would have it.
        let (request, mark) = request.header("x-user", "admin").mark();
        let passed = stack.passes(&client, &request, 404).await;
        passed.map_err(|fault| format!("{place}: {fault}"))?;
        let seen = stack.seen_once(&mark).await?;
        let shown = seen.to_string();
        same(&format!("{place}: the token in {shown}"), shown.contains(&token), false)?;
        same(place, seen["headers"]["x-user"].clone(), json!(["dora"]))?;
        same(place, seen["path"].clone(), json!("/orders/1?a=%31&b"))?;
        if place == "cookie" {
            same(place, seen["headers"]["cookie"].clone(), json!(["a=1; b=2"]))?;
        }
    }
    for twice in [
        asked.clone().bearer(&token),
        Request::get("/orders/1").bearer(&token).header("x-token", &token),
        Request::get(&format!("/orders/1?access_token={token}&access_token={token}")),
    ] {
        stack.refused(&client, &twice, 400, "token_repeated").await?;
    }
    until("the subject in the access log", Duration::from_secs(5), async || {
        let log = stack.access_log();
        let of = |status: u64| log.iter().rev().find(|entry| entry["status"] == status);
        let subjects = (
            of(404).map(|entry| entry["subject"].clone()),
            of(400).map(|entry| entry["subject"].clone()),
        );
        same("the subjects", subjects, (Some(json!("dora")), Some(Value::Null)))
    })
    .await
}
