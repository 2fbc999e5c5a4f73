//! The public listener's routes, and what happens to every request before them: it is noted, its body is read within
//! bounds, and an ordered answer is given in place of the real one.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http_body_util::BodyExt as _;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::accounts::{HashingFailed, RegisterError};
use crate::orders::Draft;
use crate::reply::{Refusal, parse};
use crate::seen::BodyBytes;
use crate::tokens::{self, Signing};
use crate::{App, now_seconds};

type Shared = State<Arc<App>>;

/// Ours, above whatever limit the gateway has: a body that this refuses is one that the gateway let through.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// A peer that stops in the middle of a body does not hold its request for ever.
const BODY_WAIT_MAX: Duration = Duration::from_secs(60);
const USER_BYTES_MAX: usize = 256;

pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/register", post(register))
        .route("/login", post(login))
        .route("/logout", post(logout))
        .route("/orders", get(list_orders).post(create_order))
        .route("/orders/{id}", get(find_order))
        .route("/.well-known/jwks.json", get(jwks))
        .route("/healthz", get(|| async { Json(json!({ "status": "ok" })) }))
        .fallback(|| async { Refusal(StatusCode::NOT_FOUND, "not_found") })
        .method_not_allowed_fallback(|| async { Refusal(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed") })
        .layer(from_fn_with_state(Arc::clone(&app), before))
        .with_state(app)
}

async fn before(State(app): Shared, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    // First of all, before anything waits for the body: a head that arrived has got through.
    let body_bytes = app.seen.note(&head);
    let scripted = app.scripts.take(head.uri.path());
    let body = match timeout(BODY_WAIT_MAX, read(body, &body_bytes)).await {
        Ok(Ok(body)) => body,
        Ok(Err(refusal)) => return refusal.into_response(),
        Err(_) => return Refusal(StatusCode::REQUEST_TIMEOUT, "body_timeout").into_response(),
    };
    let request = Request::from_parts(head, Body::from(body));
    let Some(scripted) = scripted else {
        return next.run(request).await;
    };
    sleep(scripted.delay).await;
    let mut response = match scripted.status {
        Some(status) => Refusal(status, "scripted").into_response(),
        None => next.run(request).await,
    };
    response.headers_mut().extend(scripted.headers);
    response
}

/// The whole body, counted as it arrives.
async fn read(mut body: Body, body_bytes: &BodyBytes) -> Result<Bytes, Refusal> {
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refusal(StatusCode::BAD_REQUEST, "body_incomplete"))?;
        // What is no data is a trailer, which nothing here reads.
        let Ok(data) = frame.into_data() else { continue };
        body_bytes.fetch_add(data.len() as u64, Ordering::Relaxed);
        if whole.len() + data.len() > BODY_BYTES_MAX {
            return Err(Refusal(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"));
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.into())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Credentials {
    username: String,
    password: String,
}

async fn register(State(app): Shared, body: Bytes) -> Result<Response, Refusal> {
    let Credentials { username, password } = parse(&body)?;
    if !is_username(&username) || !(8..=128).contains(&password.chars().count()) {
        return Err(Refusal::INVALID);
    }
    match app.accounts.register(username.clone(), password).await {
        Ok(()) => Ok((StatusCode::CREATED, Json(json!({ "username": username }))).into_response()),
        Err(RegisterError::Taken) => Err(Refusal(StatusCode::CONFLICT, "username_taken")),
        Err(RegisterError::Full) => Err(Refusal(StatusCode::INSUFFICIENT_STORAGE, "full")),
        Err(RegisterError::Failed) => Err(Refusal::INTERNAL),
    }
}

/// A lower-case letter, then letters, digits, `_` and `-`; 3 to 32 in all.
fn is_username(name: &str) -> bool {
    let rest = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    (3..=32).contains(&name.len()) && name.starts_with(|c: char| c.is_ascii_lowercase()) && name.bytes().all(rest)
}

async fn login(State(app): Shared, body: Bytes) -> Result<Response, Refusal> {
    let Credentials { username, password } = parse(&body)?;
    let matches = app.accounts.password_matches(&username, password).await;
    if !matches.map_err(|HashingFailed| Refusal::INTERNAL)? {
        return Err(Refusal(StatusCode::UNAUTHORIZED, "invalid_credentials"));
    }
    let claims = tokens::claims(&app.tokens, &username, now_seconds()).map_err(|_| Refusal::INTERNAL)?;
    let token = {
        let keys = app.keys.read().unwrap_or_else(PoisonError::into_inner);
        let key = keys.current();
        tokens::sign(&tokens::header(key), &claims, &Signing::Es256(&key.signing))
    };
    let answer = json!({ "access_token": token, "token_type": "Bearer", "expires_in": app.tokens.lifetime_seconds });
    // RFC 6749 §5.1: an answer with a token is not to be stored.
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

async fn logout(State(app): Shared, headers: HeaderMap) -> Result<StatusCode, Refusal> {
    let token = bearer(&headers).ok_or(Refusal::TOKEN)?;
    let verified = {
        let keys = app.keys.read().unwrap_or_else(PoisonError::into_inner);
        tokens::verify(token, &keys, &app.tokens, now_seconds()).ok_or(Refusal::TOKEN)?
    };
    // 204 is a promise: without the store's word the caller must know that the token still works.
    let kept = app.revocations.revoke(&verified.jti, verified.seconds_left).await;
    kept.map_err(|_| Refusal(StatusCode::SERVICE_UNAVAILABLE, "revocation_unavailable"))?;
    Ok(StatusCode::NO_CONTENT)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = single(headers, "authorization")?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

/// The value of a header that stands exactly once.
fn single<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// The caller as the gateway names him; it strips what the client itself sent under that name.
fn user(headers: &HeaderMap) -> Result<&str, Refusal> {
    let user = single(headers, "x-user").filter(|user| (1..=USER_BYTES_MAX).contains(&user.len()));
    user.ok_or(Refusal(StatusCode::UNAUTHORIZED, "user_missing"))
}

async fn list_orders(State(app): Shared, headers: HeaderMap) -> Result<Json<Value>, Refusal> {
    Ok(Json(json!({ "orders": app.orders.list(user(&headers)?) })))
}

async fn create_order(State(app): Shared, headers: HeaderMap, body: Bytes) -> Result<Response, Refusal> {
    let user = user(&headers)?;
    let draft: Draft = parse(&body)?;
    if !draft.is_valid() {
        return Err(Refusal::INVALID);
    }
    let order = app.orders.create(user, draft);
    let location = [(header::LOCATION, format!("/orders/{}", order.id))];
    Ok((StatusCode::CREATED, location, Json(order)).into_response())
}

async fn find_order(State(app): Shared, Path(id): Path<String>, headers: HeaderMap) -> Result<Response, Refusal> {
    let user = user(&headers)?;
    let order = id.parse().ok().and_then(|id| app.orders.find(user, id));
    Ok(Json(order.ok_or(Refusal(StatusCode::NOT_FOUND, "not_found"))?).into_response())
}

async fn jwks(State(app): Shared) -> Response {
    let jwks = app.keys.read().unwrap_or_else(PoisonError::into_inner).jwks();
    ([(header::CONTENT_TYPE, "application/jwk-set+json")], jwks.to_string()).into_response()
}
