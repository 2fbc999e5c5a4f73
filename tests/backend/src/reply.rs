//! What handlers answer besides success: a status and `{"error": code}`.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde_json::json;

/// A refusal with its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal(pub(crate) StatusCode, pub(crate) &'static str);

impl Refusal {
    /// The body is not what the operation takes.
    pub(crate) const INVALID: Self = Self(StatusCode::BAD_REQUEST, "invalid_request");
    /// The token is missing, or is none of ours, or has ended.
    pub(crate) const TOKEN: Self = Self(StatusCode::UNAUTHORIZED, "invalid_token");
    pub(crate) const INTERNAL: Self = Self(StatusCode::INTERNAL_SERVER_ERROR, "internal");
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.0, Json(json!({ "error": self.1 }))).into_response();
        if self == Self::TOKEN {
            let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// The body as JSON of one exact shape, whatever its content type says.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|_| Refusal::INVALID)
}
