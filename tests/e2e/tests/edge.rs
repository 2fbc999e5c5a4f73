//! The edge around the module: TLS and its rotation, plain HTTP, HSTS, the access log, and Envoy's own refusals.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use portcullis_e2e::client::{Client, Version};
use portcullis_e2e::expect::HSTS;
use portcullis_e2e::message::Request;
use portcullis_e2e::stack::{Options, Stack};
use portcullis_e2e::suite::same;
use portcullis_e2e::{Outcome, fresh_address, scenarios, until};
use serde_json::{Value, json};

scenarios! { Options::default();
    envoy_validates_the_configuration,
    plain_http_redirects_what_is_safe_and_refuses_the_rest,
    every_answer_over_https_has_hsts_once,
    both_http_versions_and_both_tls_versions_are_offered,
    certificates_rotate_without_a_restart,
    a_key_that_does_not_fit_keeps_the_old_certificate,
    a_refusal_is_in_the_access_log_with_its_reason,
    a_grpc_call_is_refused_with_a_grpc_status,
    a_refusal_tells_no_cache_to_keep_it,
    the_metrics_have_no_name_made_by_a_client,
}

async fn envoy_validates_the_configuration(stack: &mut Stack) -> Outcome<()> {
    let mut command = Command::new(&stack.tools().envoy);
    command
        .args(["--mode", "validate", "--log-level", "warning", "-c"])
        .arg(stack.envoy_file());
    let output = command.output().map_err(|error| error.to_string())?;
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    same(&format!("success, with the log:\n{log}"), output.status.success(), true)?;
    // Warnings are about fields that are deprecated or that do nothing.
    same(&format!("warnings in:\n{log}"), log.contains("[warning]"), false)
}

async fn plain_http_redirects_what_is_safe_and_refuses_the_rest(stack: &mut Stack) -> Outcome<()> {
    let client = stack.plain_client();
    for method in ["GET", "HEAD"] {
        let (request, mark) = Request::new(method, "/orders?a=b").mark();
        let reply = client.send(&request).await?;
        same(method, reply.status, 301)?;
        let expected = format!("https://localhost:{}/orders?a=b", stack.ports.https);
        same("location", reply.header("location"), Some(expected.as_str()))?;
        same(
            "HSTS means nothing here (RFC 6797)",
            reply.header("strict-transport-security"),
            None,
        )?;
        same("seen", stack.backend.seen(&mark).await?.len(), 0)?;
    }
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let (request, mark) = Request::new(method, "/login").json("{\"password\":\"shown\"}").mark();
        let reply = client.send(&request).await?;
        same(method, reply.brief(), "403 https_required".to_owned())?;
        same("the connection's end", reply.header("connection"), Some("close"))?;
        same("no way on", reply.header("location"), None)?;
        same("seen", stack.backend.seen(&mark).await?.len(), 0)?;
    }
    Ok(())
}

async fn every_answer_over_https_has_hsts_once(stack: &mut Stack) -> Outcome<()> {
    let client = stack.client()?;
    let token = stack.backend.mint(&json!({})).await?;
    stack.backend.fail("/orders/2", 500, 1).await?;
    let large = "x".repeat(70 << 10);
    for (name, request) in [
        ("a passage", Request::get("/orders").bearer(&token)),
        ("the backend's 404", Request::get("/orders/1").bearer(&token)),
        ("the backend's 500", Request::get("/orders/2").bearer(&token)),
        ("the module's refusal", Request::get("/orders")),
        ("Envoy's refusal of a path", Request::get("/orders%2f1")),
        ("Envoy's refusal of a name", Request::get("/orders").header("a_b", "1")),
        (
            "Envoy's refusal of a large head",
            Request::get("/orders").header("x-large", &large),
        ),
    ] {
        let reply = client
            .send(&request)
            .await
            .map_err(|fault| format!("{name}: {fault}"))?;
        let values: Vec<_> = reply
            .headers
            .get_all("strict-transport-security")
            .iter()
            .map(|value| value.as_bytes())
            .collect();
        same(&format!("{name}, {}", reply.brief()), values, vec![HSTS.as_bytes()])?;
    }
    Ok(())
}

async fn both_http_versions_and_both_tls_versions_are_offered(stack: &mut Stack) -> Outcome<()> {
    let client = stack.client()?;
    let old = client.at_most_tls12();
    for (client, tls) in [(&client, "Some(TLSv1_3)"), (&old, "Some(TLSv1_2)")] {
        for (version, offered) in [(Version::Http1, b"http/1.1".as_slice()), (Version::Http2, b"h2")] {
            let stream = client.over(version).raw().await?;
            let connection = stream.get_ref().1;
            same(
                "ALPN",
                connection.alpn_protocol().map(<[u8]>::to_vec),
                Some(offered.to_vec()),
            )?;
            same("TLS", format!("{:?}", connection.protocol_version()), tls.to_owned())?;
            let suite = format!("{:?}", connection.negotiated_cipher_suite().map(|suite| suite.suite()));
            let authenticated = suite.contains("GCM") || suite.contains("CHACHA20_POLY1305");
            same(&format!("authenticated encryption in {suite}"), authenticated, true)?;
        }
    }
    Ok(())
}

async fn certificates_rotate_without_a_restart(stack: &mut Stack) -> Outcome<()> {
    let (client, pid) = (stack.client()?, stack.edge_pid());
    let token = stack.backend.mint(&json!({})).await?;
    let get = Request::get("/orders").bearer(&token);
    let mut old = client.connect().await?;
    stack.passes_on(&mut old, &get, 200).await?;
    let certificate = old.certificate().to_vec();
    stack.make_certificates()?;
    // A new authority too: who trusts only the old one is not answered with the new certificate.
    let renewed = Client::https(stack.https(), fresh_address(), stack.trust()?);
    let mut new = until("the new certificate", Duration::from_secs(10), async || {
        renewed.connect().await
    })
    .await?;
    same("another certificate", new.certificate() != certificate, true)?;
    stack.passes_on(&mut new, &get, 200).await?;
    same(
        "the old trust's connection fails",
        client.connect().await.is_err(),
        true,
    )?;
    // Who was connected stays so.
    stack.passes_on(&mut old, &get, 200).await?;
    same("Envoy's process", stack.edge_pid(), pid)
}

async fn a_key_that_does_not_fit_keeps_the_old_certificate(stack: &mut Stack) -> Outcome<()> {
    let client = stack.client()?;
    let directory = stack
        .authority_file()
        .parent()
        .map(std::path::Path::to_owned)
        .ok_or("no directory")?;
    let key = directory.join("server.key");
    let good = std::fs::read(&key).map_err(|error| error.to_string())?;
    let put = |bytes: &[u8]| {
        let beside = directory.join("server.key.new");
        std::fs::write(&beside, bytes)
            .and_then(|()| std::fs::rename(&beside, &key))
            .map_err(|error| error.to_string())
    };
    let rejected = async || stack.edge.counter("sds.server.key_rotation_failed").await;
    let before = rejected().await?;
    put(b"-----BEGIN PRIVATE KEY-----\nbm90IGEga2V5\n-----END PRIVATE KEY-----\n")?;
    let counted = until("Envoy's word on the key", Duration::from_secs(5), async || {
        if rejected().await? > before {
            Ok(())
        } else {
            Err("not counted".to_owned())
        }
    });
    let counted = counted.await;
    let token = stack.backend.mint(&json!({})).await?;
    let served = stack
        .passes(&client, &Request::get("/orders").bearer(&token), 200)
        .await;
    put(&good)?;
    counted.and(served.map(drop))
}

async fn a_refusal_is_in_the_access_log_with_its_reason(stack: &mut Stack) -> Outcome<()> {
    let client = stack.client()?;
    let token = stack.backend.mint(&json!({})).await?;
    let rows = [
        (Request::get("/orders").bearer(&token), 200, Value::Null, "via_upstream"),
        (Request::get("/orders"), 401, json!("token_missing"), "token_missing"),
        (
            Request::get("/nowhere").bearer(&token),
            404,
            json!("operation_unknown"),
            "operation_unknown",
        ),
        (
            Request::post("/orders").bearer(&token).json("{"),
            400,
            json!("json_malformed"),
            "json_malformed",
        ),
    ];
    for (request, status, code, details) in rows {
        let reply = client.send(&request).await?;
        same("status", reply.status, status)?;
        let id = reply
            .header("x-request-id")
            .ok_or("no x-request-id in the answer")?
            .to_owned();
        let entry = until("the entry in the access log", Duration::from_secs(5), async || {
            let entries = stack.access_log();
            entries
                .into_iter()
                .find(|entry| entry["request_id"] == json!(id))
                .ok_or_else(|| format!("no entry {id}"))
        })
        .await?;
        same(&format!("the code in {entry}"), entry["code"].clone(), code)?;
        let shown = entry["details"].as_str().unwrap_or_default();
        same(&format!("the details in {entry}"), shown.contains(details), true)?;
        same("the status", entry["status"].clone(), json!(status))?;
        same(
            "the client",
            entry["client"].clone(),
            json!(client.source().to_string()),
        )?;
    }
    Ok(())
}

async fn a_grpc_call_is_refused_with_a_grpc_status(stack: &mut Stack) -> Outcome<()> {
    let client = stack.client()?.over(Version::Http2);
    let call = Request::post("/logout")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(b"\0\0\0\0\0");
    let (call, mark) = call.mark();
    let reply = client.send(&call).await?;
    same("status", reply.status, 200)?;
    same(
        "grpc-status, «unauthenticated»",
        reply.header("grpc-status"),
        Some("16"),
    )?;
    same("seen", stack.backend.seen(&mark).await?.len(), 0)
}

async fn a_refusal_tells_no_cache_to_keep_it(stack: &mut Stack) -> Outcome<()> {
    let client = stack.client()?;
    for request in [
        Request::get("/orders"),
        Request::get("/nowhere"),
        Request::new("DELETE", "/orders"),
    ] {
        let reply = client.send(&request).await?;
        same(&reply.brief(), reply.header("cache-control"), Some("no-store"))?;
    }
    Ok(())
}

async fn the_metrics_have_no_name_made_by_a_client(stack: &mut Stack) -> Outcome<()> {
    let client = stack.client()?;
    let names = async || Ok::<BTreeSet<String>, String>(stack.edge.module_counters().await?.into_keys().collect());
    let refuse = async |start: u64| {
        for number in start..start + 20 {
            let path = format!("/path-{number}");
            let request = Request::get(&path)
                .header("host", format!("host-{number}.example"))
                .bearer(&format!("t{number}"));
            client.send(&request).await?;
        }
        Ok::<(), String>(())
    };
    refuse(0).await?;
    let before = names().await?;
    same("the module's counters are there", before.contains("allowed"), true)?;
    refuse(100).await?;
    same("the counters' names", names().await?, before)
}
