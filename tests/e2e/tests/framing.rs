//! Framing by hand: each trick is refused, or framed anew so that the backend sees what was judged and nothing else. A
//! second request follows each on the same connection; the backend sees it as one of its own or not at all.

use portcullis_e2e::client::Client;
use portcullis_e2e::message::TEST_ID;
use portcullis_e2e::raw::RawConnection;
use portcullis_e2e::stack::{Options, Stack, Update};
use portcullis_e2e::suite::same;
use portcullis_e2e::{Outcome, fresh_name, scenarios};
use serde_json::{Value, json};

scenarios! { Options::default();
    a_body_framed_by_tricks_is_refused_or_is_what_was_judged,
    what_is_hidden_by_framing_is_judged_too,
}

fn policy() -> Value {
    let form =
        json!({ "required": ["name"], "properties": { "name": { "maxLength": 2 } }, "additionalProperties": false });
    json!({
        "requests": { "undeclared": "deny" },
        "operations": [
            { "id": "form", "methods": ["POST"], "path": "/form", "query": { "additionalProperties": false }, "body": { "required": true, "content": {
                "application/x-www-form-urlencoded": { "schema": form } } } },
            { "id": "files", "methods": ["GET"], "path": "/files/{rest=**}" }
        ]
    })
}

/// What the backend saw of these bytes and of a GET behind them: method, path and body bytes of each, and the first status.
async fn seen_of(stack: &Stack, client: &Client, fields: &str, body: &str) -> Outcome<(u16, Vec<String>)> {
    let (mark, host) = (fresh_name("framing"), client.authority());
    let common = format!("host: {host}\r\nuser-agent: raw\r\n{TEST_ID}: {mark}\r\n");
    let bytes = format!(
        "POST /form HTTP/1.1\r\n{common}content-type: application/x-www-form-urlencoded\r\n{fields}\r\n{body}\
         GET /files/behind HTTP/1.1\r\n{common}connection: close\r\n\r\n"
    );
    let mut connection = RawConnection::open(client).await?;
    connection.write(bytes.as_bytes()).await?;
    let status = connection.reply().await.map_or(0, |reply| reply.status);
    // Envoy gives whoever it refuses a second to read that, unless he ends the connection himself.
    if [400, 501].contains(&status) {
        let _ = connection.end().await;
    }
    // Until the peer has answered all and closed, or closes for what it can't read.
    while status != 0 && connection.reply().await.is_ok() {}
    let seen = stack.backend.seen(&mark).await?;
    let shown = seen.iter().map(|note| {
        let word = |name: &str| note[name].as_str().unwrap_or("?").to_owned();
        format!("{} {} {}", word("method"), word("path"), note["body_bytes"])
    });
    Ok((status, shown.collect()))
}

async fn ready(stack: &mut Stack) -> Outcome<Client> {
    same("the update", stack.set_policy(&policy()).await?, Update::Accepted)?;
    stack.client()
}

const CHUNKED: &str = "transfer-encoding: chunked\r\n";

async fn a_body_framed_by_tricks_is_refused_or_is_what_was_judged(stack: &mut Stack) -> Outcome<()> {
    let client = ready(stack).await?;
    let plain = "7\r\nname=ab\r\n0\r\n\r\n";
    let whole = ["POST /form 7", "GET /files/behind 0"];
    for (name, fields, body) in [
        ("as it should be", CHUNKED, plain),
        ("by length", "content-length: 7\r\n", "name=ab"),
        ("two chunks", CHUNKED, "3\r\nnam\r\n4\r\ne=ab\r\n0\r\n\r\n"),
    ] {
        let (status, seen) = seen_of(stack, &client, fields, body).await?;
        same(
            &format!("{name}: {status}: seen"),
            seen,
            whole.map(str::to_owned).to_vec(),
        )?;
    }
    let mut passed = Vec::new();
    for (name, fields, body) in [
        ("an extension", CHUNKED, "7;a=b\r\nname=ab\r\n0\r\n\r\n"),
        (
            "an extension with a line feed",
            CHUNKED,
            "7;a=\nb\r\nname=ab\r\n0\r\n\r\n",
        ),
        ("an extension in quotes", CHUNKED, "7;a=\"\r\nname=ab\r\n0\r\n\r\n"),
        ("an extension at the end", CHUNKED, "7\r\nname=ab\r\n0;a=b\r\n\r\n"),
        ("junk behind a chunk", CHUNKED, "7\r\nname=abXX\r\n0\r\n\r\n"),
        ("junk in place of a line break", CHUNKED, "7\r\nname=abXX0\r\n\r\n"),
        ("no line break behind a chunk", CHUNKED, "7\r\nname=ab0\r\n\r\n"),
        ("bare line feeds", CHUNKED, "7\nname=ab\n0\n\n"),
        ("a bare line feed behind the size", CHUNKED, "7\nname=ab\r\n0\r\n\r\n"),
        ("bare carriage returns", CHUNKED, "7\rname=ab\r0\r\r"),
        (
            "zeros before the size",
            CHUNKED,
            "0000000000000007\r\nname=ab\r\n0\r\n\r\n",
        ),
        (
            "many zeros before the size",
            CHUNKED,
            "00000000000000000000000000000007\r\nname=ab\r\n0\r\n\r\n",
        ),
        ("a space behind the size", CHUNKED, "7 \r\nname=ab\r\n0\r\n\r\n"),
        ("a space before the size", CHUNKED, " 7\r\nname=ab\r\n0\r\n\r\n"),
        (
            "a size over 64 bits",
            CHUNKED,
            "10000000000000007\r\nname=ab\r\n0\r\n\r\n",
        ),
        ("a negative size", CHUNKED, "-7\r\nname=ab\r\n0\r\n\r\n"),
        ("a size in C", CHUNKED, "0x7\r\nname=ab\r\n0\r\n\r\n"),
        ("a size with an underscore", CHUNKED, "0_7\r\nname=ab\r\n0\r\n\r\n"),
        ("an empty size", CHUNKED, "\r\nname=ab\r\n0\r\n\r\n"),
        (
            "trailers that frame",
            CHUNKED,
            "7\r\nname=ab\r\n0\r\ncontent-length: 50\r\n\r\n",
        ),
        (
            "trailers of any name",
            CHUNKED,
            "7\r\nname=ab\r\n0\r\nx-admin: 1\r\n\r\n",
        ),
        (
            "both framings",
            "content-length: 7\r\ntransfer-encoding: chunked\r\n",
            plain,
        ),
        (
            "both framings, turned",
            "transfer-encoding: chunked\r\ncontent-length: 7\r\n",
            plain,
        ),
        (
            "chunked twice",
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
            plain,
        ),
        ("chunked twice in one", "transfer-encoding: chunked, chunked\r\n", plain),
        (
            "chunked, then identity",
            "transfer-encoding: chunked, identity\r\n",
            plain,
        ),
        (
            "chunked, twice, another",
            "transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n",
            plain,
        ),
        ("chunked in capitals", "Transfer-Encoding: CHUNKED\r\n", plain),
        ("chunked behind a tab", "transfer-encoding:\tchunked\r\n", plain),
        ("chunked in quotes", "transfer-encoding: \"chunked\"\r\n", plain),
        ("chunked on a folded line", "transfer-encoding:\r\n chunked\r\n", plain),
        (
            "a folded line",
            "x-a: b\r\n c: d\r\ntransfer-encoding: chunked\r\n",
            plain,
        ),
        ("a folded length", "content-length: 7\r\n 0\r\n", "name=ab"),
        (
            "a bare line feed in the head",
            "x-a: b\ntransfer-encoding: chunked\r\n",
            plain,
        ),
        (
            "a bare carriage return in the head",
            "x-a: b\rtransfer-encoding: chunked\r\n",
            plain,
        ),
        (
            "lengths that agree",
            "content-length: 7\r\ncontent-length: 7\r\n",
            "name=ab",
        ),
        ("lengths in one", "content-length: 7, 7\r\n", "name=ab"),
        ("a length behind zeros", "content-length: 007\r\n", "name=ab"),
        ("a name with a space", "transfer-encoding : chunked\r\n", plain),
    ] {
        let (status, seen) = seen_of(stack, &client, fields, body).await?;
        let is_whole = seen == whole || seen == whole[..1];
        same(
            &format!("{name}: {status}: what was seen, {seen:?}, is what was judged"),
            is_whole || (seen.is_empty() && [0, 400, 413, 501].contains(&status)),
            true,
        )?;
        if is_whole {
            passed.push(name);
        }
    }
    println!("framed anew and passed: {passed:?}");
    Ok(())
}

/// What a server that frames otherwise would take for the body, or for the next request, breaks a rule.
async fn what_is_hidden_by_framing_is_judged_too(stack: &mut Stack) -> Outcome<()> {
    let client = ready(stack).await?;
    for (name, fields, body) in [
        ("a value in two chunks", CHUNKED, "6\r\nname=a\r\n3\r\nbcd\r\n0\r\n\r\n"),
        (
            "a value behind an extension",
            CHUNKED,
            "6;x\r\nname=a\r\n3;y=\"z\"\r\nbcd\r\n0\r\n\r\n",
        ),
        (
            "a pair behind junk",
            CHUNKED,
            "7\r\nname=abXX\r\n4\r\n&b=1\r\n0\r\n\r\n",
        ),
        (
            "a pair behind an empty chunk's zeros",
            CHUNKED,
            "7\r\nname=ab\r\n00004\r\n&b=1\r\n0\r\n\r\n",
        ),
        (
            "a request in the body",
            "content-length: 47\r\n",
            "name=a\r\nGET /files/hidden HTTP/1.1\r\nhost: x\r\n\r\n\r\n\r\n",
        ),
    ] {
        let (status, seen) = seen_of(stack, &client, fields, body).await?;
        let right = [0, 400].contains(&status) && seen.iter().all(|request| request == "GET /files/behind 0");
        same(&format!("{name}: {status}, seen {seen:?}"), right, true)?;
    }
    // A request behind a whole body is a request, with its own verdict.
    for (hidden, expected) in [
        ("GET /none HTTP/1.1", 0),
        ("POST /form?x=1 HTTP/1.1", 0),
        ("GET /files/hidden HTTP/1.1", 1),
    ] {
        let hidden = format!(
            "7\r\nname=ab\r\n0\r\n\r\n{hidden}\r\nhost: {}\r\nuser-agent: raw\r\n",
            client.authority()
        );
        let mark = fresh_name("hidden");
        let body = format!("{hidden}{TEST_ID}: {mark}\r\ncontent-length: 0\r\n\r\n");
        let (status, seen) = seen_of(stack, &client, CHUNKED, &body).await?;
        let first = seen.first().map(String::as_str);
        same(&format!("{status}: seen {seen:?}"), first, Some("POST /form 7"))?;
        same(&hidden, stack.backend.seen(&mark).await?.len(), expected)?;
    }
    Ok(())
}
