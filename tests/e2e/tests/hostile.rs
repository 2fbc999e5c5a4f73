//! Heads that no honest client sends. Whatever comes back, nothing of it is at the backend and no VM is lost.

use portcullis_e2e::client::{Client, Version};
use portcullis_e2e::message::{Request, TEST_ID};
use portcullis_e2e::raw::RawConnection;
use portcullis_e2e::raw_h2::{self, Ending};
use portcullis_e2e::stack::{Options, Stack};
use portcullis_e2e::suite::same;
use portcullis_e2e::{Outcome, fresh_name, scenarios};
use serde_json::json;

scenarios! { Options::default();
    header_bytes_beyond_ascii_pass_unchanged,
    header_bytes_beyond_ascii_are_refused_where_they_mean_something,
    a_repeated_authorization_is_refused,
    a_repeated_framing_header_is_refused,
    an_empty_path_is_refused,
    odd_request_targets_are_refused,
    a_method_in_lower_case_is_refused,
    many_and_large_headers_are_judged_or_refused,
    pipelined_refusals_are_answered_or_end_the_connection,
    a_request_that_stops_in_the_middle_leaves_nothing_behind,
    forged_gateway_headers_are_removed,
}

fn beyond_ascii() -> Vec<u8> {
    (0x80..=0xff).collect()
}

async fn token(stack: &Stack) -> Outcome<String> {
    stack.backend.mint(&json!({})).await
}

/// Sends these bytes and returns the status, or 0 for a connection that just ends; the backend must have seen nothing.
async fn unseen(stack: &Stack, client: &Client, head: &[u8]) -> Outcome<u16> {
    let mark = fresh_name("raw");
    let mut connection = RawConnection::open(client).await?;
    connection.write(head).await?;
    let rest = format!(
        "host: {}\r\nuser-agent: raw\r\n{TEST_ID}: {mark}\r\n\r\n",
        client.authority()
    );
    connection.write(rest.as_bytes()).await?;
    let status = connection.reply().await.map_or(0, |reply| reply.status);
    same("seen", stack.backend.seen(&mark).await?.len(), 0)?;
    Ok(status)
}

async fn header_bytes_beyond_ascii_pass_unchanged(stack: &mut Stack) -> Outcome<()> {
    let (client, token) = (stack.client()?, token(stack).await?);
    for version in [Version::Http1, Version::Http2] {
        let request = Request::get("/orders").bearer(&token).header("x-bytes", beyond_ascii());
        let (request, mark) = request
            .header("cookie", [b"a=".to_vec(), beyond_ascii()].concat())
            .mark();
        same("status", client.over(version).send(&request).await?.status, 200)?;
        let seen = stack.seen_once(&mark).await?;
        let shown = beyond_ascii().escape_ascii().to_string();
        same(
            "the bytes at the backend",
            seen["headers"]["x-bytes"].clone(),
            json!([shown]),
        )?;
    }
    // The required user agent may be anything that HTTP lets be a value.
    let odd = Request::get("/orders")
        .bearer(&token)
        .without("user-agent")
        .header("user-agent", beyond_ascii());
    stack.passes(&client, &odd, 200).await.map(drop)
}

async fn header_bytes_beyond_ascii_are_refused_where_they_mean_something(stack: &mut Stack) -> Outcome<()> {
    let (client, token) = (stack.client()?, token(stack).await?);
    let with_token = |value: Vec<u8>| Request::get("/orders").header("authorization", value);
    let bearer = [b"Bearer ".to_vec(), beyond_ascii()].concat();
    stack
        .refused(&client, &with_token(bearer), 401, "token_malformed")
        .await?;
    stack
        .refused(&client, &with_token(beyond_ascii()), 401, "token_missing")
        .await?;
    let post = |kind: Vec<u8>| {
        Request::post("/orders")
            .bearer(&token)
            .header("content-type", kind)
            .body(b"{}")
    };
    stack
        .refused(&client, &post(beyond_ascii()), 415, "content_type")
        .await?;
    let coded = post(b"application/json".to_vec()).header("content-encoding", beyond_ascii());
    stack.refused(&client, &coded, 415, "content_encoding").await?;
    // In the path, the method and a name HTTP itself has no room for them.
    for line in [
        &b"GET /orders/\xff HTTP/1.1\r\n"[..],
        b"G\xc4T /orders HTTP/1.1\r\n",
        b"GET /orders HTTP/1.1\r\nx-\xff: 1\r\n",
    ] {
        let status = unseen(stack, &client, line).await?;
        same(
            &format!("{} gives {status}", line.escape_ascii()),
            [0, 400].contains(&status),
            true,
        )?;
    }
    Ok(())
}

async fn a_repeated_authorization_is_refused(stack: &mut Stack) -> Outcome<()> {
    let (client, token) = (stack.client()?, token(stack).await?);
    for version in [Version::Http1, Version::Http2] {
        let client = client.over(version);
        for second in [token.as_str(), "x", ""] {
            let twice = Request::get("/orders").bearer(&token).bearer(second);
            stack
                .refused(&client, &twice, 400, "token_repeated")
                .await
                .map_err(|fault| format!("{second:?}: {fault}"))?;
        }
        // Two schemes at once: not one of them is picked.
        let basic = Request::get("/orders")
            .header("authorization", "Basic YTpi")
            .bearer(&token);
        let (basic, mark) = basic.mark();
        let reply = client.send(&basic).await?;
        same(
            &format!("two schemes: {}", reply.brief()),
            (400..=401).contains(&reply.status),
            true,
        )?;
        same("seen", stack.backend.seen(&mark).await?.len(), 0)?;
    }
    Ok(())
}

async fn a_repeated_framing_header_is_refused(stack: &mut Stack) -> Outcome<()> {
    let (client, token) = (stack.client()?, token(stack).await?);
    let json = Request::post_json("/orders", &json!({})).bearer(&token);
    let kinds = json.header("content-type", "text/plain");
    let (kinds, mark) = kinds.mark();
    let reply = client.send(&kinds).await?;
    same(
        &format!("two content types: {}", reply.brief()),
        [400, 415].contains(&reply.status),
        true,
    )?;
    same("seen", stack.backend.seen(&mark).await?.len(), 0)?;
    let bearer = format!("authorization: Bearer {token}\r\n");
    for lines in [
        "host: localhost\r\n",
        "content-length: 0\r\ncontent-length: 1\r\n",
        "content-length: 1\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: gzip, chunked\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
        "content-length: -1\r\n",
        "content-length: 1x\r\n",
        "content-length: 99999999999999999999\r\n",
        "x-a: 1\r\n x-folded: 2\r\n",
        "x a: 1\r\n",
        "user_id: 7\r\n",
    ] {
        let head = format!("POST /orders HTTP/1.1\r\n{bearer}{lines}");
        let status = unseen(stack, &client, head.as_bytes()).await?;
        same(
            &format!("{lines:?} gives {status}"),
            [0, 400, 413, 501].contains(&status),
            true,
        )?;
    }
    Ok(())
}

async fn an_empty_path_is_refused(stack: &mut Stack) -> Outcome<()> {
    let client = stack.client()?;
    let status = unseen(stack, &client, b"GET  HTTP/1.1\r\n").await?;
    same(
        &format!("an empty target gives {status}"),
        [0, 400].contains(&status),
        true,
    )?;
    // An absolute form without a path is the root, which is no operation.
    let absolute = format!("GET https://{} HTTP/1.1\r\n", client.authority());
    same(
        "no path after the authority",
        unseen(stack, &client, absolute.as_bytes()).await?,
        404,
    )?;
    same(
        "a query alone",
        [0, 400].contains(&unseen(stack, &client, b"GET ?x HTTP/1.1\r\n").await?),
        true,
    )?;
    let mark = fresh_name("h2");
    let authority = client.authority();
    for path in [Some(&b""[..]), None, Some(b"orders"), Some(b"*"), Some(b"?x")] {
        let mut fields: Vec<(&str, &[u8])> = vec![
            (":method", b"GET"),
            (":scheme", b"https"),
            (":authority", authority.as_bytes()),
        ];
        fields.extend(path.map(|path| (":path", path)));
        fields.extend([("user-agent", &b"raw"[..]), (TEST_ID, mark.as_bytes())]);
        let ending = raw_h2::request(&client, &fields).await?;
        let refused = matches!(ending, Ending::Answered(400 | 404) | Ending::Reset(_) | Ending::Closed);
        same(&format!("path {path:?} gives {ending:?}"), refused, true)?;
    }
    same("seen", stack.backend.seen(&mark).await?.len(), 0)
}

async fn odd_request_targets_are_refused(stack: &mut Stack) -> Outcome<()> {
    let client = stack.client()?;
    for line in [
        "OPTIONS * HTTP/1.1\r\n",
        "CONNECT localhost:443 HTTP/1.1\r\n",
        "GET orders HTTP/1.1\r\n",
        "GET /orders\\..\\ HTTP/1.1\r\n",
        "GET /orders HTTP/1.0\r\n",
        "GET /orders HTTP/2.0\r\n",
        "GET /orders HTTP/1.1 x\r\n",
        "GET http:///orders HTTP/1.1\r\n",
    ] {
        let status = unseen(stack, &client, line.as_bytes()).await?;
        same(
            &format!("{line:?} gives {status}"),
            [0, 400, 401, 403, 404, 405, 426].contains(&status),
            true,
        )?;
    }
    Ok(())
}

async fn a_method_in_lower_case_is_refused(stack: &mut Stack) -> Outcome<()> {
    let (client, token) = (stack.client()?, token(stack).await?);
    let status = unseen(
        stack,
        &client,
        format!("get /orders HTTP/1.1\r\nauthorization: Bearer {token}\r\n").as_bytes(),
    )
    .await?;
    same(&format!("HTTP/1.1 gives {status}"), [0, 400].contains(&status), true)?;
    let (authority, mark) = (client.authority(), fresh_name("h2"));
    let fields: [(&str, &[u8]); 6] = [
        (":method", b"get"),
        (":scheme", b"https"),
        (":authority", authority.as_bytes()),
        (":path", b"/orders"),
        ("user-agent", b"raw"),
        (TEST_ID, mark.as_bytes()),
    ];
    let ending = raw_h2::request(&client, &fields).await?;
    let refused = matches!(ending, Ending::Answered(400) | Ending::Reset(_) | Ending::Closed);
    same(&format!("HTTP/2 gives {ending:?}"), refused, true)?;
    same("seen", stack.backend.seen(&mark).await?.len(), 0)
}

async fn many_and_large_headers_are_judged_or_refused(stack: &mut Stack) -> Outcome<()> {
    let (client, token) = (stack.client()?, token(stack).await?);
    for (count, size) in [(80, 1), (101, 1), (60, 900), (1, 50 << 10), (1, 70 << 10), (1000, 60)] {
        let mut request = Request::get("/orders/1").bearer(&token);
        for number in 0..count {
            request = request.header(&format!("x-many-{number}"), "y".repeat(size));
        }
        let (request, mark) = request.mark();
        // A head that is too large may also end the connection.
        let status = client.send(&request).await.map_or(431, |reply| reply.status);
        let seen = stack.backend.seen(&mark).await?.len();
        let expected = if status == 404 { 1 } else { 0 };
        same(
            &format!("{count} headers of {size} bytes give {status}: seen"),
            seen,
            expected,
        )?;
        same(
            &format!("{count} headers of {size} bytes give {status}"),
            [404, 400, 431].contains(&status),
            true,
        )?;
    }
    Ok(())
}

async fn pipelined_refusals_are_answered_or_end_the_connection(stack: &mut Stack) -> Outcome<()> {
    let client = stack.client()?;
    let mark = fresh_name("pipelined");
    let one = format!(
        "GET /orders HTTP/1.1\r\nhost: {}\r\nuser-agent: raw\r\n{TEST_ID}: {mark}\r\n\r\n",
        client.authority()
    );
    let mut connection = RawConnection::open(&client).await?;
    connection.write(one.repeat(10).as_bytes()).await?;
    // Envoy ends an HTTP/1.1 connection with more than two queued answers of its own: so at least one comes.
    let mut answers = 0;
    while let Ok(reply) = connection.reply().await {
        same("an answer", reply.brief(), "401 token_missing".to_owned())?;
        answers += 1;
        if answers == 10 {
            break;
        }
    }
    same(&format!("{answers} answers"), answers >= 1, true)?;
    same("seen", stack.backend.seen(&mark).await?.len(), 0)
}

async fn a_request_that_stops_in_the_middle_leaves_nothing_behind(stack: &mut Stack) -> Outcome<()> {
    let (client, token) = (stack.client()?, token(stack).await?);
    let mark = fresh_name("stopped");
    let head = format!(
        "POST /orders HTTP/1.1\r\nhost: {}\r\nuser-agent: raw\r\nauthorization: Bearer {token}\r\n{TEST_ID}: {mark}\r\n\
         content-type: application/json\r\ncontent-length: 100\r\n\r\n{{\"items\"",
        client.authority()
    );
    for cut in [10, head.len() / 2, head.len() - 12, head.len()] {
        let mut connection = RawConnection::open(&client).await?;
        connection.write(head.as_bytes().get(..cut).unwrap_or_default()).await?;
        drop(connection);
    }
    // The next request on the same worker shows that it is past the broken ones.
    for connection in &mut stack.connect_to_each_worker(&client).await? {
        stack
            .passes_on(connection, &Request::get("/orders").bearer(&token), 200)
            .await?;
    }
    same("seen", stack.backend.seen(&mark).await?.len(), 0)
}

async fn forged_gateway_headers_are_removed(stack: &mut Stack) -> Outcome<()> {
    let client = stack.client()?;
    let token = stack.backend.mint(&json!({ "sub": "mallory" })).await?;
    let forged = Request::get("/orders")
        .bearer(&token)
        .header("x-user", "alice")
        .header("x-user", "bob");
    let (forged, mark) = forged.mark();
    same("status", client.send(&forged).await?.status, 200)?;
    same(
        "x-user",
        stack.seen_once(&mark).await?["headers"]["x-user"].clone(),
        json!(["mallory"]),
    )?;
    // Also where no token is asked for.
    let login =
        Request::post_json("/login", &json!({ "username": "nobody", "password": "x" })).header("x-user", "alice");
    let (login, mark) = login.mark();
    same("status", client.send(&login).await?.status, 401)?;
    same(
        "x-user",
        stack.seen_once(&mark).await?["headers"].get("x-user").cloned(),
        None,
    )
}
