//! Accepts connections and serves a router on them: HTTP/1.1, or HTTP/2 when the client begins with its preface.
//!
//! Bounds what a peer can hold: connections, the size of a head, streams. It has no idle timeout on purpose: Envoy keeps
//! upstream connections for an hour, and a backend that closes first makes requests fail that did nothing wrong.

use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Leaves room below the usual limit of 1,024 open files.
pub(crate) const PUBLIC_CONNECTIONS_MAX: usize = 512;
/// One test at a time asks, through a few connections.
pub(crate) const ADMIN_CONNECTIONS_MAX: usize = 64;
/// Above Envoy's own limit of 100 with what it adds: this service must see whatever Envoy lets through.
const HEADERS_MAX: usize = 256;
/// Above Envoy's default of 60 KiB, for the same reason.
const HEAD_BYTES_MAX: u32 = 96 * 1024;
const STREAMS_MAX: u32 = 256;
/// The pause after a failed accept (no file descriptors left, for example), which would otherwise spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// Serves `router` until the task is aborted, which aborts its connections too.
pub(crate) async fn run(listener: TcpListener, router: Router, connections_max: usize) {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX as usize);
    builder
        .http2()
        .max_header_list_size(HEAD_BYTES_MAX)
        .max_concurrent_streams(STREAMS_MAX);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < connections_max => {
                let Ok((stream, _)) = accepted else {
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                };
                // Only latency is lost where the option is refused.
                let _ = stream.set_nodelay(true);
                let service = TowerToHyperService::new(router.clone());
                let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
                // A broken connection concerns nobody but its client.
                connections.spawn(async move { drop(connection.await) });
            }
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}
