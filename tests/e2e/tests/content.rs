//! Bodies by what they hold: kind, size, form and schema. A bad one is refused with its place and never with its value.

use portcullis_e2e::client::Client;
use portcullis_e2e::message::Request;
use portcullis_e2e::stack::{Options, Stack, Update};
use portcullis_e2e::suite::same;
use portcullis_e2e::tour::good_order;
use portcullis_e2e::{Outcome, scenarios};
use serde_json::{Value, json};

scenarios! { Options::default();
    a_body_that_breaks_the_schema_is_refused_with_the_place,
    json_is_read_strictly,
    json_is_limited_also_where_no_schema_is_declared,
    a_body_of_another_kind_is_refused,
    a_body_over_its_limit_is_refused,
    numbers_beyond_a_double_do_not_end_the_vm,
    a_body_must_be_there_exactly_where_it_is_declared,
}

async fn ready(stack: &Stack) -> Outcome<(Client, String)> {
    Ok((stack.client()?, stack.backend.mint(&json!({})).await?))
}

fn order(token: &str) -> Request {
    Request::post("/orders").bearer(token)
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

async fn a_body_that_breaks_the_schema_is_refused_with_the_place(stack: &mut Stack) -> Outcome<()> {
    let (client, token) = ready(stack).await?;
    let item = json!({ "sku": "ABC-1234", "qty": 1 });
    let with = |items: Value| json!({ "items": items });
    let rows: Vec<(&str, Value, Option<&str>)> = vec![
        ("no items", json!({}), None),
        ("not an object", json!([item]), Some("")),
        ("no item", with(json!([])), Some("/items")),
        ("21 items", with(json!(vec![item.clone(); 21])), Some("/items")),
        ("items of another type", with(json!("ABC-1234")), Some("/items")),
        ("an item of another type", with(json!([item, 7])), Some("/items/1")),
        (
            "a small letter",
            with(json!([{ "sku": "aBC-1234", "qty": 1 }])),
            Some("/items/0/sku"),
        ),
        (
            "a line after the sku",
            with(json!([{ "sku": "ABC-1234\n", "qty": 1 }])),
            Some("/items/0/sku"),
        ),
        (
            "quantity 0",
            with(json!([{ "sku": "ABC-1234", "qty": 0 }])),
            Some("/items/0/qty"),
        ),
        (
            "quantity 100",
            with(json!([item, { "sku": "ABC-1234", "qty": 100 }])),
            Some("/items/1/qty"),
        ),
        (
            "quantity 1.5",
            with(json!([{ "sku": "ABC-1234", "qty": 1.5 }])),
            Some("/items/0/qty"),
        ),
        (
            "quantity as text",
            with(json!([{ "sku": "ABC-1234", "qty": "1" }])),
            Some("/items/0/qty"),
        ),
        ("no quantity", with(json!([{ "sku": "ABC-1234" }])), None),
        ("one member more", json!({ "items": [item], "price": 0 }), None),
        (
            "one member more inside",
            with(json!([{ "sku": "ABC-1234", "qty": 1, "price": 0 }])),
            None,
        ),
        (
            "a long note",
            json!({ "items": [item], "note": "é".repeat(501) }),
            Some("/note"),
        ),
    ];
    for (name, body, at) in rows {
        let request = Request::post_json("/orders", &body).bearer(&token);
        let reply = stack.refused(&client, &request, 400, "body_invalid").await;
        let reply = reply.map_err(|fault| format!("{name}: {fault}"))?;
        let error = reply.json()["errors"][0].clone();
        same(name, error["problem"].is_string(), true)?;
        if let Some(at) = at {
            same(name, error["at"].clone(), json!(at))?;
        }
    }
    let secret = with(json!([{ "sku": "hunter2-secret", "qty": 1 }]));
    let reply = client
        .send(&Request::post_json("/orders", &secret).bearer(&token))
        .await?;
    same(
        "the value in the answer",
        String::from_utf8_lossy(&reply.body).contains("hunter2"),
        false,
    )?;
    let longest = json!({ "items": vec![item; 20], "note": "é".repeat(500) });
    stack
        .passes(&client, &Request::post_json("/orders", &longest).bearer(&token), 201)
        .await
        .map(drop)
}

async fn json_is_read_strictly(stack: &mut Stack) -> Outcome<()> {
    let (client, token) = ready(stack).await?;
    let rows = [
        "",
        " ",
        "{",
        r#"{"items":[}"#,
        "{}{}",
        "{} x",
        "// a\n{}",
        "{'items':[]}",
        r#"{"items":[],}"#,
        "\u{feff}{}",
        r#"{"a":01}"#,
        r#"{"a":+1}"#,
        r#"{"a":NaN}"#,
        r#"{"a":"\ud800"}"#,
        "{\"a\":\"\t\"}",
        "nul",
        r#"{"a":1e}"#,
    ];
    for text in rows {
        // No byte at all is no body.
        let is = if text.is_empty() {
            (400, "body_missing")
        } else {
            (400, "json_malformed")
        };
        stack
            .refused(&client, &order(&token).json(text), is.0, is.1)
            .await
            .map_err(|fault| format!("{text:?}: {fault}"))?;
    }
    let not_utf8 = order(&token)
        .header("content-type", "application/json")
        .body(b"{\"note\":\"\xff\"}");
    stack.refused(&client, &not_utf8, 400, "json_malformed").await?;
    for twice in [r#"{"items":[],"items":[]}"#, r#"{"note":1,"\u006eote":2}"#] {
        stack
            .refused(&client, &order(&token).json(twice), 400, "json_duplicate")
            .await?;
    }
    let deep = |depth: usize| format!("{{\"note\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    stack
        .refused(&client, &order(&token).json(&deep(64)), 400, "json_limit")
        .await?;
    // At the limit it is read, and the schema refuses it.
    stack
        .refused(&client, &order(&token).json(&deep(63)), 400, "body_invalid")
        .await
        .map(drop)
}

async fn json_is_limited_also_where_no_schema_is_declared(stack: &mut Stack) -> Outcome<()> {
    let (client, token) = ready(stack).await?;
    let logout = || Request::post("/logout").bearer(&token);
    stack
        .refused(&client, &logout().json("{"), 400, "json_malformed")
        .await?;
    stack
        .refused(&client, &logout().json(r#"{"a":1,"a":2}"#), 400, "json_duplicate")
        .await?;
    let deep = format!("{}{}", "[".repeat(65), "]".repeat(65));
    stack.refused(&client, &logout().json(&deep), 400, "json_limit").await?;
    // Elements count like members: 10,000 of them are the limit.
    let many = |count: usize| format!("[{}0]", "0,".repeat(count - 1));
    stack
        .refused(&client, &logout().json(&many(10_001)), 400, "json_limit")
        .await?;
    stack
        .passes(&client, &logout().json(&many(10_000)), 204)
        .await
        .map(drop)
}

async fn a_body_of_another_kind_is_refused(stack: &mut Stack) -> Outcome<()> {
    let (client, token) = ready(stack).await?;
    let body = good_order().to_string();
    let of = |kind: &str| order(&token).header("content-type", kind).body(body.as_bytes());
    let rows = [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonp",
        "application",
        "",
        "application/json, text/plain",
    ];
    let mut rows: Vec<_> = rows.map(|kind| (kind, of(kind))).to_vec();
    rows.push(("no content type", order(&token).body(body.as_bytes())));
    all_refused(stack, &client, rows, (415, "content_type")).await?;
    let coded = ["gzip", "identity, gzip", "br", "zstd"]
        .map(|coding| (coding, of("application/json").header("content-encoding", coding)));
    all_refused(stack, &client, coded.to_vec(), (415, "content_encoding")).await?;
    for kind in [
        "application/json; charset=utf-8",
        "APPLICATION/JSON",
        "application/json;charset=\"UTF-8\"",
    ] {
        stack
            .passes(&client, &of(kind), 201)
            .await
            .map_err(|fault| format!("{kind}: {fault}"))?;
    }
    Ok(())
}

async fn a_body_over_its_limit_is_refused(stack: &mut Stack) -> Outcome<()> {
    let (client, token) = ready(stack).await?;
    let sized = |size: usize| {
        let empty = json!({ "items": good_order()["items"], "note": "" }).to_string();
        // White space counts, and is all that may grow without breaking the schema.
        format!("{empty}{}", " ".repeat(size - empty.len()))
    };
    stack
        .passes(&client, &order(&token).json(&sized(16 << 10)), 201)
        .await?;
    let over = sized((16 << 10) + 1);
    stack
        .refused(&client, &order(&token).json(&over), 413, "body_too_large")
        .await?;
    // Without a declared length the running total tells.
    stack
        .refused(
            &client,
            &order(&token).json(&over).in_pieces(1000),
            413,
            "body_too_large",
        )
        .await?;
    // An operation without a limit of its own has the policy's.
    let logout = Request::post("/logout").bearer(&token);
    stack
        .refused(
            &client,
            &logout.json(&" ".repeat((64 << 10) + 1)),
            413,
            "body_too_large",
        )
        .await
        .map(drop)
}

async fn a_body_must_be_there_exactly_where_it_is_declared(stack: &mut Stack) -> Outcome<()> {
    let (client, token) = ready(stack).await?;
    stack.refused(&client, &order(&token), 400, "body_missing").await?;
    let typed = order(&token).header("content-type", "application/json");
    stack.refused(&client, &typed, 400, "body_missing").await?;
    let get = Request::get("/orders").bearer(&token).json("{}");
    stack.refused(&client, &get, 400, "body_unexpected").await?;
    stack
        .refused(&client, &get.clone().in_pieces(1), 400, "body_unexpected")
        .await
        .map(drop)
}

/// Sorting them by an order with contradictions once trapped the module; the suite sees a VM that was made anew.
async fn numbers_beyond_a_double_do_not_end_the_vm(stack: &mut Stack) -> Outcome<()> {
    let mut policy = stack.policy()?;
    for operation in policy["operations"].as_array_mut().into_iter().flatten() {
        if operation["id"] == "create-order" {
            operation["body"]["content"]["application/json"]["schema"] = json!({ "uniqueItems": true });
        }
    }
    same("the update", stack.set_policy(&policy).await?, Update::Accepted)?;
    stack.wait_for_keys().await?;
    let (client, token) = ready(stack).await?;
    let numbers = "-1e-425,1e-403,1e-459,0,-1e-466,-1e-439,1e-405,0,1e-483,0,0,0,-1e-483,1e-487,-1e-441,1e-460,1e-469,1e-449,1e-445";
    for text in [format!("[{numbers}]"), format!("[{numbers},{numbers},{numbers}]")] {
        let request = Request::post("/orders").bearer(&token).json(&text);
        stack.refused(&client, &request, 400, "body_invalid").await?;
    }
    Ok(())
}
