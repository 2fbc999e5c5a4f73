//! Bodies in every form that HTTP lets them come: nothing is forwarded before the last byte, or the trailers, are judged.

use std::iter;
use std::time::{Duration, Instant};

use bytes::Bytes;
use portcullis_e2e::client::{Client, Version};
use portcullis_e2e::message::{Request, TEST_ID};
use portcullis_e2e::raw::RawConnection;
use portcullis_e2e::stack::{Options, Stack, Update};
use portcullis_e2e::suite::same;
use portcullis_e2e::tour::good_order;
use portcullis_e2e::{Outcome, scenarios};
use serde_json::json;

scenarios! { Options::default();
    a_body_in_every_cut_passes_once,
    a_good_body_that_ends_in_trailers_passes_once,
    a_bad_body_that_ends_in_trailers_is_refused,
    nothing_is_forwarded_before_the_end_of_the_body,
    a_body_in_one_byte_records_passes,
    a_bad_body_in_one_byte_frames_is_refused,
    a_mebibyte_in_one_byte_chunks_passes_where_it_is_allowed,
    a_mebibyte_in_one_byte_chunks_is_refused_where_it_is_not,
    a_declared_length_over_the_limit_is_refused_before_the_body_comes,
    a_body_after_a_refused_head_is_not_waited_for,
    the_deepest_body_under_a_schema_that_refers_to_itself_leaves_the_module_whole,
}

async fn ready(stack: &Stack) -> Outcome<(Client, String)> {
    Ok((stack.client()?, stack.backend.mint(&json!({})).await?))
}

/// A good order of exactly this size, by white space at its end.
fn padded(size: usize) -> String {
    let order = good_order().to_string();
    format!("{order}{}", " ".repeat(size - order.len()))
}

fn bad_order() -> String {
    json!({ "items": [{ "sku": "ABC-1234", "qty": 0 }] }).to_string()
}

fn post(token: &str, text: &str) -> Request {
    Request::post("/orders").bearer(token).json(text)
}

/// The head of a hand-written POST of JSON, up to and without what tells the body's end.
fn raw_head(client: &Client, token: &str, request: &Request) -> String {
    let mark = request.headers.iter().find(|(name, _)| name == TEST_ID);
    let mark = mark
        .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
        .unwrap_or_default();
    format!(
        "POST {} HTTP/1.1\r\nhost: {}\r\nuser-agent: raw\r\nauthorization: Bearer {token}\r\n{TEST_ID}: {mark}\r\n\
         content-type: application/json\r\n",
        request.path,
        client.authority()
    )
}

async fn a_body_in_every_cut_passes_once(stack: &mut Stack) -> Outcome<()> {
    let (client, token) = ready(stack).await?;
    let order = good_order().to_string();
    for version in [Version::Http1, Version::Http2] {
        let mut connection = client.over(version).connect().await?;
        for size in [1, 2, 7, order.len() - 1, order.len()] {
            stack
                .passes_on(&mut connection, &post(&token, &order).in_pieces(size), 201)
                .await?;
            let bad = post(&token, &bad_order()).in_pieces(size);
            stack.refused_on(&mut connection, &bad, 400, "body_invalid").await?;
            connection = client.over(version).connect().await?;
        }
        // An empty piece before, between and after.
        let mut holes = post(&token, &order).in_pieces(order.len() / 2);
        holes.body = iter::once(Bytes::new())
            .chain(holes.body)
            .chain(iter::once(Bytes::new()))
            .collect();
        stack.passes_on(&mut connection, &holes, 201).await?;
    }
    Ok(())
}

async fn a_good_body_that_ends_in_trailers_passes_once(stack: &mut Stack) -> Outcome<()> {
    let (client, token) = ready(stack).await?;
    let client = client.over(Version::Http2);
    let order = good_order().to_string();
    for size in [1, order.len() / 2, order.len()] {
        let request = post(&token, &order).in_pieces(size).trailer("x-checksum", "1");
        let (request, mark) = request.mark();
        same("status", client.send(&request).await?.status, 201)?;
        let seen = stack.seen_once(&mark).await?;
        same(
            "body bytes at the backend",
            seen["body_bytes"].clone(),
            json!(order.len()),
        )?;
    }
    // Trailers and no body at all: for an operation that takes none, and for one that needs one.
    let get = Request::get("/orders").bearer(&token).trailer("x-checksum", "1");
    stack.passes(&client, &get, 200).await?;
    let nothing = Request::post("/orders")
        .bearer(&token)
        .header("content-type", "application/json");
    stack
        .refused(&client, &nothing.trailer("x-checksum", "1"), 400, "body_missing")
        .await
        .map(drop)
}

async fn a_bad_body_that_ends_in_trailers_is_refused(stack: &mut Stack) -> Outcome<()> {
    let (client, token) = ready(stack).await?;
    let client = client.over(Version::Http2);
    for (text, status, code) in [
        (bad_order(), 400, "body_invalid"),
        ("{\"items\":".to_owned(), 400, "json_malformed"),
        (padded((16 << 10) + 1), 413, "body_too_large"),
    ] {
        for size in [text.len() / 3 + 1, text.len()] {
            let request = post(&token, &text).in_pieces(size).trailer("x-checksum", "1");
            stack
                .refused(&client, &request, status, code)
                .await
                .map_err(|fault| format!("{code}: {fault}"))?;
        }
    }
    Ok(())
}

async fn nothing_is_forwarded_before_the_end_of_the_body(stack: &mut Stack) -> Outcome<()> {
    let (client, token) = ready(stack).await?;
    let (request, mark) = post(&token, "").mark();
    let order = good_order().to_string();
    let mut connection = RawConnection::open(&client).await?;
    let head = format!(
        "{}content-length: {}\r\n\r\n",
        raw_head(&client, &token, &request),
        order.len()
    );
    connection.write(head.as_bytes()).await?;
    let (all_but_one, last) = order.split_at(order.len() - 1);
    connection.write(all_but_one.as_bytes()).await?;
    // Another request through each worker: whatever was going to be forwarded at once would have been.
    for other in &mut stack.connect_to_each_worker(&client).await? {
        stack
            .passes_on(other, &Request::get("/orders").bearer(&token), 200)
            .await?;
    }
    same("seen before the last byte", stack.backend.seen(&mark).await?.len(), 0)?;
    connection.write(last.as_bytes()).await?;
    same("status", connection.reply().await?.status, 201)?;
    stack.seen_once(&mark).await.map(drop)
}

async fn a_body_in_one_byte_records_passes(stack: &mut Stack) -> Outcome<()> {
    let (client, token) = ready(stack).await?;
    let (request, mark) = post(&token, "").mark();
    let text = padded(16 << 10);
    let head = format!(
        "{}content-length: {}\r\n\r\n",
        raw_head(&client, &token, &request),
        text.len()
    );
    let bytes = text.into_bytes().into_iter().map(|byte| vec![byte]);
    let pieces = iter::once(head.into_bytes()).chain(bytes);
    let reply = RawConnection::open(&client).await?.write_while_reading(pieces).await?;
    same("status", reply.status, 201)?;
    same(
        "body bytes at the backend",
        stack.seen_once(&mark).await?["body_bytes"].clone(),
        json!(16 << 10),
    )
}

async fn a_bad_body_in_one_byte_frames_is_refused(stack: &mut Stack) -> Outcome<()> {
    let (client, token) = ready(stack).await?;
    let client = client.over(Version::Http2);
    let bad = format!("{}{}", bad_order(), " ".repeat(8_000));
    stack
        .refused(&client, &post(&token, &bad).in_pieces(1), 400, "body_invalid")
        .await?;
    let good = post(&token, &padded(8_000)).in_pieces(1);
    stack.passes(&client, &good, 201).await.map(drop)
}

/// A mebibyte, each byte a chunk of its own, written as fast as the peer takes it.
fn mebibyte_in_chunks(head: String) -> impl Iterator<Item = Vec<u8>> + Send {
    let head = format!("{head}transfer-encoding: chunked\r\n\r\n").into_bytes();
    let chunks = padded(1 << 20).into_bytes();
    let chunks: Vec<Vec<u8>> = chunks
        .chunks(1 << 10)
        .map(|kib| {
            kib.iter()
                .flat_map(|byte| [b'1', b'\r', b'\n', *byte, b'\r', b'\n'])
                .collect()
        })
        .collect();
    iter::once(head).chain(chunks).chain(iter::once(b"0\r\n\r\n".to_vec()))
}

async fn a_mebibyte_in_one_byte_chunks_passes_where_it_is_allowed(stack: &mut Stack) -> Outcome<()> {
    let mut policy = stack.policy()?;
    policy["requests"]["max_body"] = json!("1MiB");
    for operation in policy["operations"].as_array_mut().into_iter().flatten() {
        if operation["id"] == "create-order" {
            operation["body"]["max"] = json!("1MiB");
        }
    }
    same("the update", stack.set_policy(&policy).await?, Update::Accepted)?;
    stack.wait_for_keys().await?;
    let (client, token) = ready(stack).await?;
    let (request, mark) = post(&token, "").mark();
    let begun = Instant::now();
    let pieces = mebibyte_in_chunks(raw_head(&client, &token, &request));
    let reply = RawConnection::open(&client).await?.write_while_reading(pieces).await?;
    same(&format!("status of {}", reply.brief()), reply.status, 201)?;
    same(
        "body bytes at the backend",
        stack.seen_once(&mark).await?["body_bytes"].clone(),
        json!(1 << 20),
    )?;
    // The cost must grow with the body, not with its square. A worker that reads it all again at each byte needs minutes.
    same(
        &format!("{:?} is below 20 s", begun.elapsed()),
        begun.elapsed() < Duration::from_secs(20),
        true,
    )?;
    // The same in HTTP/2 frames of one byte: each is a callback of its own.
    let frames = post(&token, &padded(100_000)).in_pieces(1);
    stack.passes(&client.over(Version::Http2), &frames, 201).await.map(drop)
}

async fn a_mebibyte_in_one_byte_chunks_is_refused_where_it_is_not(stack: &mut Stack) -> Outcome<()> {
    let (client, token) = ready(stack).await?;
    let (request, refusal) = stack.expect_refusal(&post(&token, ""), 413, "body_too_large").await?;
    let pieces = mebibyte_in_chunks(raw_head(&client, &token, &request));
    let reply = RawConnection::open(&client).await?.write_while_reading(pieces).await?;
    stack.check_refusal(&refusal, &reply).await
}

async fn a_declared_length_over_the_limit_is_refused_before_the_body_comes(stack: &mut Stack) -> Outcome<()> {
    let (client, token) = ready(stack).await?;
    let (request, refusal) = stack.expect_refusal(&post(&token, ""), 413, "body_too_large").await?;
    let mut connection = RawConnection::open(&client).await?;
    let head = format!("{}content-length: 16385\r\n\r\n", raw_head(&client, &token, &request));
    connection.write(head.as_bytes()).await?;
    stack.check_refusal(&refusal, &connection.reply().await?).await
}

async fn a_body_after_a_refused_head_is_not_waited_for(stack: &mut Stack) -> Outcome<()> {
    let client = stack.client()?;
    let (request, refusal) = stack
        .expect_refusal(&post("no-token", ""), 401, "token_malformed")
        .await?;
    let mut connection = RawConnection::open(&client).await?;
    let head = format!("{}content-length: 100\r\n\r\n", raw_head(&client, "no-token", &request));
    connection.write(head.as_bytes()).await?;
    stack.check_refusal(&refusal, &connection.reply().await?).await
}

/// The worst nesting there is: as deep as any policy admits, every level through several rules that refer on.
async fn the_deepest_body_under_a_schema_that_refers_to_itself_leaves_the_module_whole(
    stack: &mut Stack,
) -> Outcome<()> {
    const DEPTH: usize = 256;
    let mut policy = stack.policy()?;
    policy["requests"]["max_json_depth"] = json!(DEPTH);
    policy["quotas"] = json!([]);
    let client = stack.client()?;
    let token = stack.backend.mint(&json!({})).await?;
    let everywhere = json!({ "items": { "$ref": "#" }, "additionalProperties": { "$ref": "#" } });
    let branches = ["allOf", "anyOf", "oneOf"].map(|branch| json!({ branch: [everywhere] }));
    let unevaluated = json!({ "allOf": [{ "anyOf": [{ "items": { "$ref": "#" } }] }],
        "unevaluatedItems": false, "unevaluatedProperties": { "$ref": "#" } });
    let condition = json!({ "if": { "not": { "not": { "type": ["array", "object"] } } }, "then": everywhere });
    let dependent = json!({ "allOf": [{ "allOf": [{ "allOf": [{ "allOf": [everywhere] }] }] }] });
    let schemas = branches
        .into_iter()
        .chain([everywhere.clone(), unevaluated, condition, dependent]);
    for schema in schemas {
        let named = schema.to_string();
        let operations = policy["operations"].as_array_mut().ok_or("no operations")?;
        let order = operations
            .iter_mut()
            .find(|operation| operation["path"] == "/orders" && operation["body"].is_object())
            .ok_or("no operation that takes orders")?;
        order["body"]["content"] = json!({ "application/json": { "schema": schema } });
        same(&named, stack.set_policy(&policy).await?, Update::Accepted)?;
        stack.wait_for_keys().await?;
        let arrays = format!("{}{}", "[".repeat(DEPTH), "]".repeat(DEPTH));
        let objects = format!("{}1{}", "{\"a\":".repeat(DEPTH), "}".repeat(DEPTH));
        for body in [arrays, objects] {
            // Whatever the verdict: a module that traps answers 503, and another VM than before.
            let reply = client.send(&post(&token, &body)).await?;
            println!("{named}: {}", reply.brief());
            same(
                &format!("{named}: a verdict, not {}", reply.brief()),
                reply.status < 500,
                true,
            )?;
        }
        stack.check_vms().await?;
    }
    Ok(())
}
