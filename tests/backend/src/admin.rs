//! The admin listener's routes: what tests ask and order. No protection at all; it belongs on loopback.

use std::sync::{Arc, PoisonError};

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::mint::{MintError, mint};
use crate::reply::{Refusal, parse};
use crate::{App, now_seconds};

type Shared = State<Arc<App>>;

/// Room for a token that is too large for the gateway.
const BODY_BYTES_MAX: usize = 1024 * 1024;

pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route(
            "/seen",
            get(|State(app): Shared| async move { Json(app.seen.report()) }),
        )
        .route("/seen/reset", post(reset))
        .route("/mint", post(forge))
        .route("/rotate-keys", post(rotate))
        .route("/fail", post(fail))
        .route("/healthz", get(health))
        .fallback(|| async { Refusal(StatusCode::NOT_FOUND, "not_found") })
        .method_not_allowed_fallback(|| async { Refusal(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed") })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(app)
}

async fn reset(State(app): Shared) -> StatusCode {
    app.seen.reset();
    StatusCode::NO_CONTENT
}

async fn forge(State(app): Shared, body: Bytes) -> Result<Json<Value>, Refusal> {
    let order: Map<String, Value> = parse(or_empty(&body))?;
    let keys = app.keys.read().unwrap_or_else(PoisonError::into_inner);
    match mint(order, &keys, &app.tokens, now_seconds()) {
        Ok(token) => Ok(Json(json!({ "token": token }))),
        Err(MintError::Order) => Err(Refusal::INVALID),
        Err(MintError::Randomness) => Err(Refusal::INTERNAL),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotation {
    #[serde(default)]
    keep_old: bool,
}

async fn rotate(State(app): Shared, body: Bytes) -> Result<Json<Value>, Refusal> {
    let Rotation { keep_old } = parse(or_empty(&body))?;
    let mut keys = app.keys.write().unwrap_or_else(PoisonError::into_inner);
    keys.rotate(keep_old).map_err(|_| Refusal::INTERNAL)?;
    Ok(Json(json!({ "kid": keys.current().kid })))
}

async fn fail(State(app): Shared, body: Bytes) -> Result<StatusCode, Refusal> {
    app.scripts.place(parse(&body)?)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn health(State(app): Shared) -> Result<Json<Value>, Refusal> {
    let answered = app.revocations.ping().await;
    answered.map_err(|_| Refusal(StatusCode::SERVICE_UNAVAILABLE, "redis_unavailable"))?;
    Ok(Json(json!({ "status": "ok" })))
}

/// No body orders what an empty object does.
fn or_empty(body: &[u8]) -> &[u8] {
    if body.is_empty() { b"{}" } else { body }
}
