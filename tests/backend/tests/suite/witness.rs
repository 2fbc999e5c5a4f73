//! What the service tells about the requests that reached it, and what it can be told to answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::common::{Memory, ORDER, config, service};
use demo_backend::{StartError, serve_with};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

#[tokio::test]
async fn both_protocols_are_served_and_noted() {
    for http2 in [false, true] {
        let service = service().await;
        let service = if http2 { service.with_http2() } else { service };
        assert_eq!(
            service
                .public(
                    "POST /orders?a=b",
                    &[("x-user", "ada"), ("x-a", "1"), ("x-a", "2")],
                    ORDER
                )
                .await
                .status,
            201
        );
        service.public("GET /nowhere", &[], "").await;
        let seen = service.admin("GET /seen", "").await;
        assert_eq!(seen["total"], 2);
        let first = &seen["requests"][0];
        assert_eq!(
            (&first["method"], &first["path"]),
            (&json!("POST"), &json!("/orders?a=b"))
        );
        assert_eq!(first["headers"]["x-a"], json!(["1", "2"]));
        assert_eq!(first["body_bytes"], ORDER.len());
        let host = if http2 { ":authority" } else { "host" };
        assert_eq!(first["headers"][host], json!([service.running.public.to_string()]));
        service.admin("POST /seen/reset", "").await;
        assert_eq!(
            service.admin("GET /seen", "").await,
            json!({ "total": 0, "requests": [] })
        );
    }
}

#[tokio::test]
async fn a_request_is_noted_before_its_body_and_counted_as_it_arrives() {
    let service = service().await;
    let mut stream = TcpStream::connect(service.running.public).await.unwrap();
    stream
        .write_all(b"POST /login HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n")
        .await
        .unwrap();
    let seen = service.seen_when(|seen| seen["total"] == 1).await;
    assert_eq!(seen["requests"][0]["body_bytes"], 0);
    stream.write_all(b"{\"a").await.unwrap();
    service.seen_when(|seen| seen["requests"][0]["body_bytes"] == 3).await;
    drop(stream);
    assert_eq!(service.admin("GET /seen", "").await["total"], 1);
}

#[tokio::test]
async fn a_path_that_no_route_could_match_is_noted_too() {
    let service = service().await;
    for (n, line) in ["OPTIONS * HTTP/1.1", "CONNECT x:1 HTTP/1.1", "GET //a/../%ff HTTP/1.1"]
        .iter()
        .enumerate()
    {
        let mut stream = TcpStream::connect(service.running.public).await.unwrap();
        stream
            .write_all(format!("{line}\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes())
            .await
            .unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert!(
            answer.starts_with(b"HTTP/1.1 404 "),
            "{line}: {}",
            answer.escape_ascii()
        );
        assert_eq!(service.admin("GET /seen", "").await["total"], n + 1);
    }
}

#[tokio::test]
async fn a_body_over_one_mebibyte_is_refused() {
    let service = service().await;
    for (extra, status) in [(0, 404), (1, 413)] {
        let reply = service
            .public("POST /nowhere", &[], &"x".repeat(1024 * 1024 + extra))
            .await;
        assert_eq!(reply.status, status);
    }
}

#[tokio::test]
async fn scripted_answers_replace_the_real_ones_as_often_as_ordered() {
    let service = service().await;
    service
        .admin("POST /fail", r#"{"path":"/healthz","status":503,"count":2}"#)
        .await;
    for status in [503, 503, 200] {
        assert_eq!(service.public("GET /healthz?x", &[], "").await.status, status);
    }
    service
        .admin("POST /fail", r#"{"path":"/healthz","delay_ms":50}"#)
        .await;
    let start = Instant::now();
    assert_eq!(service.public("GET /healthz", &[], "").await.status, 200);
    assert!(start.elapsed() >= Duration::from_millis(50));
    for wrong in [
        "",
        "{}",
        r#"{"path":"/a","status":100}"#,
        r#"{"path":"/a","delay_ms":60001}"#,
        r#"{"path":"/a","x":1}"#,
    ] {
        let reply = service.send(service.running.admin, "POST /fail", &[], wrong).await;
        assert_eq!(reply.status, 400, "{wrong}");
    }
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let service = service().await;
    let mut config = config("unused");
    config.admin = service.running.admin;
    let error = serve_with(config, Arc::new(Memory::default())).await.unwrap_err();
    assert!(matches!(error, StartError::Bind { .. }));
    assert_eq!(
        error.to_string(),
        format!("{} is already in use", service.running.admin)
    );
}
