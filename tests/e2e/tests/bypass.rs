//! Attempts to get past a rule by another spelling, another type or another framing: each is refused, with its code and
//! nothing at the backend, or matched to the operation that it means.

use portcullis_e2e::client::Client;
use portcullis_e2e::message::{Request, TEST_ID};
use portcullis_e2e::raw::RawConnection;
use portcullis_e2e::stack::{Options, Stack, Update};
use portcullis_e2e::suite::same;
use portcullis_e2e::{Outcome, fresh_name, scenarios};
use serde_json::{Value, json};

scenarios! { Options::default();
    another_spelling_of_a_path_meets_the_same_rule,
    a_path_that_servers_read_in_two_ways_is_refused,
    parameters_that_servers_read_in_two_ways_are_refused,
    a_body_of_another_type_or_charset_is_refused,
    a_multipart_body_that_servers_read_in_two_ways_is_refused,
    another_method_or_host_meets_its_own_rule,
    a_request_framed_in_two_ways_is_refused,
    in_shadow_mode_all_of_it_passes,
}

fn policy() -> Value {
    let form =
        json!({ "required": ["name"], "properties": { "name": { "type": "string", "maxLength": 8 }, "admin": false } });
    json!({
        "requests": { "undeclared": "deny", "max_body": "64KiB" },
        "operations": [
            { "id": "orders", "methods": ["GET"], "path": "/orders", "query": { "properties": { "limit": { "type": "integer" } } } },
            { "id": "order", "methods": ["GET"], "path": "/orders/{id}", "path_params": { "properties": { "id": { "type": "integer" } } } },
            { "id": "create", "methods": ["POST"], "path": "/orders", "body": { "content": { "application/json": {
                "schema": { "type": "object", "properties": { "qty": { "type": "integer" } }, "additionalProperties": false } } } } },
            { "id": "form", "methods": ["POST"], "path": "/form", "body": { "content": {
                "application/x-www-form-urlencoded": { "schema": form }, "multipart/form-data": { "schema": form } } } },
            { "id": "hosted", "methods": ["GET"], "path": "/hosted", "hosts": ["only.example.com"] },
            { "id": "files", "methods": ["GET"], "path": "/files/{rest=**}" }
        ]
    })
}

async fn ready(stack: &mut Stack) -> Outcome<Client> {
    same("the update", stack.set_policy(&policy()).await?, Update::Accepted)?;
    stack.client()
}

/// Every row is refused with this code, and the backend sees nothing. Each has a connection of its own, for what came may
/// have ended the last one.
async fn all_refused(stack: &Stack, client: &Client, rows: &[(&str, Request)], is: (u16, &str)) -> Outcome<()> {
    for (name, request) in rows {
        let mut connection = client.connect().await?;
        let outcome = stack.refused_on(&mut connection, request, is.0, is.1).await;
        outcome.map_err(|fault| format!("{name:?}: {fault}"))?;
    }
    Ok(())
}

/// The request reaches the backend, once, with this path.
async fn forwarded(stack: &Stack, client: &Client, request: Request, path: &str) -> Outcome<()> {
    let (request, mark) = request.mark();
    let reply = client.send(&request).await?;
    let seen = stack.backend.seen(&mark).await?;
    same(&format!("{path}: seen after {}", reply.brief()), seen.len(), 1)?;
    same(path, seen.first().map(|seen| seen["path"].clone()), Some(json!(path)))
}

async fn another_spelling_of_a_path_meets_the_same_rule(stack: &mut Stack) -> Outcome<()> {
    let client = ready(stack).await?;
    // The rule of `orders` refuses the parameter: so each of these was matched to it.
    let spellings = [
        "/%6Frders",
        "/%6f%72%64%65%72%73",
        "//orders",
        "///orders",
        "/./orders",
        "/x/../orders",
        "/%2e/orders",
        "/x/%2E%2e/orders",
        "/../orders",
        "/orders/",
        "/orders//",
        "/orders/.",
        "/orders/x/..",
        "/orders;a=b",
        "/orders;a=b/",
        "/;x/orders",
        "/orders%3Ba",
    ];
    let rows = spellings.map(|path| (path, Request::get(&format!("{path}?limit=x"))));
    all_refused(stack, &client, &rows, (400, "parameter_invalid")).await?;
    let rows = [
        "/Orders",
        "/ORDERS",
        "/orders%20",
        "/orders.",
        "/orders.json",
        "/order%73x",
        "/%256Frders",
        "/orders%E2%80%8B",
    ];
    // A templated operation must not take what a concrete one leaves.
    let rows = rows.map(|path| (path, Request::get(path)));
    all_refused(stack, &client, &rows, (404, "operation_unknown")).await?;
    for path in ["/files", "/files/a/b/c", "/files/a%20b"] {
        forwarded(stack, &client, Request::get(path), path).await?;
    }
    forwarded(
        stack,
        &client,
        Request::get("/files/x/../../orders?limit=1"),
        "/orders?limit=1",
    )
    .await
}

async fn a_path_that_servers_read_in_two_ways_is_refused(stack: &mut Stack) -> Outcome<()> {
    let client = ready(stack).await?;
    let rows = [
        "/files/%c0%ae%c0%ae/orders",
        "/files/%e0%80%ae/orders",
        "/files/%ff",
        "/files/%u002e",
        "/files/%",
        "/files/%2",
        "/files/%0d%0aX:1",
        "/files/%7f",
    ];
    all_refused(
        stack,
        &client,
        &rows.map(|path| (path, Request::get(path))),
        (400, "path_invalid"),
    )
    .await?;
    let rows = [
        "/orders/1;x",
        "/orders/1%3Bx",
        "/orders/1.0",
        "/orders/%EF%BC%91",
        "/orders/1%20",
        "/orders/0x1",
    ];
    all_refused(
        stack,
        &client,
        &rows.map(|path| (path, Request::get(path))),
        (400, "parameter_invalid"),
    )
    .await?;
    // Envoy makes some of these dot segments and slashes before the filter: then the rules of `orders` hold, as for servers that cut
    // path parameters first.
    for path in [
        "/files/..;/orders",
        "/files/..;x=1/orders",
        "/files/..%3b/orders",
        "/files\\..\\orders",
        "/orders\\",
    ] {
        let (request, mark) = Request::get(&format!("{path}?limit=x")).mark();
        let reply = client.send(&request).await?;
        let refused = ["400 path_invalid", "400 parameter_invalid"].contains(&reply.brief().as_str());
        same(&format!("{path} gives {}", reply.brief()), refused, true)?;
        same("seen", stack.backend.seen(&mark).await?.len(), 0)?;
    }
    // Envoy refuses some itself, with the same status.
    for path in ["/files/%2fx", "/files/%5cx", "/files/%00"] {
        let (request, mark) = Request::get(path).mark();
        let status = client.send(&request).await.map_or(400, |reply| reply.status);
        same(path, status, 400)?;
        same("seen", stack.backend.seen(&mark).await?.len(), 0)?;
    }
    Ok(())
}

async fn parameters_that_servers_read_in_two_ways_are_refused(stack: &mut Stack) -> Outcome<()> {
    let client = ready(stack).await?;
    let rows = [
        "limit=1&limit=2",
        "limit=1&%6cimit=2",
        "limit=1&limit[]=2",
        "limit[]=1",
        "limit=1;limit=2",
        "limit=%31%",
        "limit=%u0031",
        "limit=1%00",
        "a=%ff&limit=1",
        "limit=+1",
        "limit=01",
        "limit=1e3",
        "limit=",
        "limit",
    ];
    let rows = rows.map(|query| (query, Request::get(&format!("/orders?{query}"))));
    all_refused(stack, &client, &rows, (400, "parameter_invalid")).await?;
    forwarded(
        stack,
        &client,
        Request::get("/orders?limit=%31&x=a+b"),
        "/orders?limit=%31&x=a+b",
    )
    .await
}

fn typed(path: &str, kind: &str, body: impl AsRef<[u8]>) -> Request {
    Request::post(path).header("content-type", kind).body(body.as_ref())
}

async fn a_body_of_another_type_or_charset_is_refused(stack: &mut Stack) -> Outcome<()> {
    let client = ready(stack).await?;
    let kinds = [
        "text/plain",
        "application/jsonx",
        "application/json, text/plain",
        "text/plain, application/json",
        "application/json; charset=utf-16",
        "application/json; charset=utf-7",
        "application/json; charset=ibm037",
        "application/json; charset=utf-8; charset=utf-16",
        "application/json; charset=\"utf\\-8\"",
        "application/x-www-form-urlencoded",
        "json",
    ];
    let rows = kinds.map(|kind| (kind, typed("/orders", kind, r#"{"qty":1}"#)));
    all_refused(stack, &client, &rows, (415, "content_type")).await?;
    let rows = [("no type", Request::post("/orders").body(b"{}"))];
    all_refused(stack, &client, &rows, (415, "content_type")).await?;
    let coded = |coding: &str| typed("/orders", "application/json", r#"{"qty":1}"#).header("content-encoding", coding);
    let rows = ["gzip", "identity, gzip", "x", "br"].map(|coding| (coding, coded(coding)));
    all_refused(stack, &client, &rows, (415, "content_encoding")).await?;
    let utf16: Vec<u8> = r#"{"qty":1}"#.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let rows = [
        ("UTF-16", typed("/orders", "application/json", utf16)),
        ("a byte order mark", typed("/orders", "application/json", "\u{feff}{}")),
        ("not UTF-8", typed("/orders", "application/json", b"{\"qty\":\"\xff\"}")),
        ("two documents", typed("/orders", "application/json", "{}{}")),
        ("a form", typed("/orders", "application/json", "qty=1")),
        ("a comment", typed("/orders", "application/json", "{/**/}")),
    ];
    all_refused(stack, &client, &rows, (400, "json_malformed")).await?;
    let twice = typed("/orders", "application/json", r#"{"qty":1,"\u0071ty":"x"}"#);
    all_refused(stack, &client, &[("a member twice", twice)], (400, "json_duplicate")).await?;
    let form = "application/x-www-form-urlencoded";
    let rows = [
        "name=x&name=y",
        "name=x&%6eame=y",
        "name=x&name[]=y",
        "name=x&admin=1",
        "name=123456789",
    ];
    all_refused(
        stack,
        &client,
        &rows.map(|body| (body, typed("/form", form, body))),
        (400, "body_invalid"),
    )
    .await?;
    let rows = [
        "name=%",
        "name=%ff",
        "name=x;admin=1",
        "name=%00",
        "name=x&_charset_=utf-7",
        "{\"name\":\"%\"}",
    ];
    all_refused(
        stack,
        &client,
        &rows.map(|body| (body, typed("/form", form, body))),
        (400, "form_malformed"),
    )
    .await?;
    let bodies = ["GET", "HEAD", "DELETE"].map(|method| (method, Request::new(method, "/orders").body(b"{}")));
    let (deleted, read) = (&bodies[2..], &bodies[..1]);
    all_refused(stack, &client, read, (400, "body_unexpected")).await?;
    all_refused(stack, &client, deleted, (405, "method_not_allowed")).await
}

fn multipart(body: &str) -> Request {
    typed("/form", "multipart/form-data; boundary=B", body)
}

async fn a_multipart_body_that_servers_read_in_two_ways_is_refused(stack: &mut Stack) -> Outcome<()> {
    let client = ready(stack).await?;
    let part =
        |head: &str, content: &str| format!("--B\r\nContent-Disposition: form-data; name={head}\r\n\r\n{content}\r\n");
    let good = part("\"name\"", "x") + "--B--\r\n";
    forwarded(stack, &client, multipart(&good), "/form").await?;
    let closed = |parts: &[(&str, &str)]| {
        parts
            .iter()
            .map(|(head, content)| part(head, content))
            .collect::<String>()
            + "--B--"
    };
    let rows = [
        ("line feeds alone", multipart(&good.replace("\r\n", "\n"))),
        ("no last delimiter", multipart(&part("name", "x"))),
        ("half a last delimiter", multipart(&(part("name", "x") + "--B-"))),
        ("a preamble", multipart(&format!("x\r\n{good}"))),
        ("an empty line first", multipart(&format!("\r\n{good}"))),
        ("an epilogue", multipart(&format!("{good}{good}"))),
        (
            "blanks after a delimiter",
            multipart(&good.replacen("--B\r\n", "--B \r\n", 1)),
        ),
        (
            "a boundary after a line feed",
            multipart(&closed(&[(
                "name",
                "x\n--B\nContent-Disposition: form-data; name=admin\n\n1",
            )])),
        ),
        (
            "a boundary that goes on",
            multipart(&closed(&[("name", "x\r\n--Bx\r\n")])),
        ),
        ("two names", multipart(&closed(&[("name; name=admin", "x")]))),
        ("name*", multipart(&closed(&[("name; name*=utf-8''admin", "x")]))),
        ("filename*", multipart(&closed(&[("name; filename*=utf-8''x", "x")]))),
        ("an escaped quote", multipart(&closed(&[("\"na\\\"me\"", "x")]))),
        ("an open quote", multipart(&closed(&[("\"name", "x")]))),
        ("a folded field", multipart(&closed(&[("name\r\n ; filename=x", "x")]))),
        (
            "two dispositions",
            multipart(&closed(&[("name\r\nContent-Disposition: form-data; name=admin", "x")])),
        ),
        (
            "a transfer encoding",
            multipart(&closed(&[("name\r\nContent-Transfer-Encoding: base64", "eA==")])),
        ),
        (
            "quoted-printable",
            multipart(&closed(&[(
                "name\r\nContent-Transfer-Encoding: quoted-printable",
                "=78",
            )])),
        ),
        (
            "a multipart within",
            multipart(&closed(&[(
                "name\r\nContent-Type: multipart/mixed; boundary=C",
                "--C--",
            )])),
        ),
        (
            "a charset",
            multipart(&closed(&[("name\r\nContent-Type: text/plain; charset=utf-7", "x")])),
        ),
        (
            "_charset_",
            multipart(&closed(&[("_charset_", "utf-7"), ("name", "x")])),
        ),
        (
            "a file elsewhere",
            multipart(&closed(&[("name; filename=\"../x\"", "x")])),
        ),
        (
            "another length",
            multipart(&closed(&[("name\r\nContent-Length: 5", "x")])),
        ),
    ];
    all_refused(stack, &client, &rows, (400, "multipart_malformed")).await?;
    let rows = [
        ("a name twice", multipart(&closed(&[("name", "x"), ("name", "y")]))),
        ("a forbidden name", multipart(&closed(&[("name", "x"), ("admin", "1")]))),
        ("a file where none is", multipart(&closed(&[("name; filename=x", "x")]))),
        ("no parts", multipart("--B--")),
    ];
    all_refused(stack, &client, &rows, (400, "body_invalid")).await?;
    let kinds = [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=\"B \"",
        "multipart/form-data; boundary=B; boundary=C",
        "multipart/form-data; boundary=B; boundary*=C",
        "multipart/form-data; boundary*0=B",
        "multipart/form-data; boundary=B, C",
        "multipart/form-data; boundary=B; charset=utf-16",
        "multipart/mixed; boundary=B",
        "multipart/form-data;boundary=B\u{0c}",
    ];
    let (last, kinds) = kinds.split_last().ok_or("no rows")?;
    let rows: Vec<_> = kinds.iter().map(|kind| (*kind, typed("/form", kind, &good))).collect();
    all_refused(stack, &client, &rows, (415, "content_type")).await?;
    // Not a byte of a field value: whoever refuses it, it does not get through.
    let (request, mark) = typed("/form", last, &good).mark();
    let _ = client.send(&request).await;
    same("seen", stack.backend.seen(&mark).await?.len(), 0)
}

async fn another_method_or_host_meets_its_own_rule(stack: &mut Stack) -> Outcome<()> {
    let client = ready(stack).await?;
    let names = ["x-http-method-override", "x-http-method", "x-method-override"];
    let rows = names.map(|name| (name, Request::get("/orders").header(name, "POST")));
    all_refused(stack, &client, &rows, (400, "method_override")).await?;
    let rows = [(
        "x-override-url",
        Request::get("/orders").header("x-override-url", "/admin"),
    )];
    all_refused(stack, &client, &rows, (400, "method_override")).await?;
    // These the edge takes away before anything is judged.
    for name in ["x-original-url", "x-rewrite-url"] {
        let (request, mark) = Request::get("/orders").header(name, "/admin").mark();
        client.send(&request).await?;
        let seen = stack.seen_once(&mark).await?;
        same(
            name,
            (seen["path"].clone(), seen["headers"].get(name).cloned()),
            (json!("/orders"), None),
        )?;
    }
    let rows = ["DELETE", "PUT", "PATCH", "OPTIONS"].map(|method| (method, Request::new(method, "/orders")));
    all_refused(stack, &client, &rows, (405, "method_not_allowed")).await?;
    let preflight = |method: &str| {
        let request = Request::new("OPTIONS", "/orders").header("origin", "https://app.example");
        request.header("access-control-request-method", method)
    };
    all_refused(
        stack,
        &client,
        &[("PUT", preflight("PUT"))],
        (405, "method_not_allowed"),
    )
    .await?;
    forwarded(stack, &client, preflight("POST"), "/orders").await?;
    // HEAD follows GET's rules.
    let head = Request::new("HEAD", "/orders?limit=x");
    let (head, mark) = head.mark();
    same("HEAD", client.send(&head).await?.status, 400)?;
    same("seen", stack.backend.seen(&mark).await?.len(), 0)?;
    let rows = [
        ("another host", Request::get("/hosted")),
        (
            "a host in a field",
            Request::get("/hosted").header("x-forwarded-host", "only.example.com"),
        ),
    ];
    all_refused(stack, &client, &rows, (404, "operation_unknown")).await
}

/// Sends these bytes, which hold the test's mark wherever a server may see a request, and returns the status of the first
/// answer, or 0 if there is none.
async fn raw(stack: &Stack, client: &Client, framing: &str, body: &str) -> Outcome<u16> {
    let (mark, host) = (fresh_name("framed"), client.authority());
    let head = format!(
        "POST /form HTTP/1.1\r\nhost: {host}\r\nuser-agent: raw\r\n{TEST_ID}: {mark}\r\n\
         content-type: application/x-www-form-urlencoded\r\n{framing}\r\n"
    );
    let hidden =
        format!("GET /orders?limit=x HTTP/1.1\r\nhost: {host}\r\nuser-agent: raw\r\n{TEST_ID}: {mark}\r\n\r\n");
    let mut connection = RawConnection::open(client).await?;
    connection
        .write([head.as_str(), body, &hidden].concat().as_bytes())
        .await?;
    let status = connection.reply().await.map_or(0, |reply| reply.status);
    drop(connection);
    same(
        &format!("{framing:?} {body:?} gives {status}: seen"),
        stack.backend.seen(&mark).await?.len(),
        0,
    )?;
    Ok(status)
}

async fn a_request_framed_in_two_ways_is_refused(stack: &mut Stack) -> Outcome<()> {
    let client = ready(stack).await?;
    let chunked = "0\r\n\r\n";
    for (framing, body) in [
        ("content-length: 5\r\ntransfer-encoding: chunked\r\n", chunked),
        ("transfer-encoding: chunked\r\ncontent-length: 5\r\n", chunked),
        ("content-length: 5\r\ncontent-length: 6\r\n", "name="),
        ("content-length: 5, 6\r\n", "name="),
        ("content-length: +5\r\n", "name="),
        ("content-length: 0x5\r\n", "name="),
        ("content-length: 5 5\r\n", "name="),
        ("transfer-encoding: chunked, identity\r\n", chunked),
        ("transfer-encoding: identity, chunked\r\n", chunked),
        ("transfer-encoding: xchunked\r\n", chunked),
        ("transfer-encoding : chunked\r\n", chunked),
        ("transfer-encoding:\u{0b}chunked\r\n", chunked),
        ("transfer-encoding: chunked\r\ntransfer-encoding: x\r\n", chunked),
        ("x: y\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n", chunked),
        ("transfer-encoding: chunked\r\n", "5;\nname=\r\n0\r\n\r\n"),
        ("transfer-encoding: chunked\r\n", "0x5\r\nname=\r\n0\r\n\r\n"),
        ("transfer-encoding: chunked\r\n", "-1\r\n"),
        ("transfer-encoding: chunked\r\n", "5\r\nname"),
        ("transfer-encoding: chunked\r\n", "ffffffffffffffff0\r\n"),
    ] {
        let status = raw(stack, &client, framing, body).await?;
        same(
            &format!("{framing:?} {body:?} gives {status}"),
            [0, 400, 501].contains(&status),
            true,
        )?;
    }
    Ok(())
}

async fn in_shadow_mode_all_of_it_passes(stack: &mut Stack) -> Outcome<()> {
    let mut policy = policy();
    for operation in policy["operations"].as_array_mut().ok_or("no operations")? {
        operation["mode"] = json!("shadow");
    }
    same("the update", stack.set_policy(&policy).await?, Update::Accepted)?;
    let client = stack.client()?;
    let before = stack.edge.module_counters().await?;
    forwarded(stack, &client, Request::get("/orders?limit=x"), "/orders?limit=x").await?;
    forwarded(
        stack,
        &client,
        typed("/orders", "application/json", r#"{"qty":"x"}"#),
        "/orders",
    )
    .await?;
    forwarded(stack, &client, typed("/orders", "text/plain", "x"), "/orders").await?;
    forwarded(
        stack,
        &client,
        typed("/form", "application/x-www-form-urlencoded", "%"),
        "/form",
    )
    .await?;
    forwarded(stack, &client, multipart("--B"), "/form").await?;
    let after = stack.edge.module_counters().await?;
    for code in [
        "parameter_invalid",
        "body_invalid",
        "content_type",
        "form_malformed",
        "multipart_malformed",
    ] {
        let count = |counters: &portcullis_e2e::edge::Stats| {
            let named = counters
                .iter()
                .filter(|(name, _)| name.contains("shadow") && name.contains(code));
            named.map(|(_, count)| *count).sum::<u64>()
        };
        same(&format!("{code} counted"), count(&after) - count(&before), 1)?;
    }
    Ok(())
}
