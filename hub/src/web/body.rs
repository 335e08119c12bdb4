//! What a program sends as JSON: read once, bounded in size and time.
//!
//! `POST /api/silences`, `content-type: application/json`, at most 64 KiB, within half a minute.

use super::problem::Problem;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{Request, StatusCode, header};
use serde::de::DeserializeOwned;
use std::time::Duration;

/// The largest body.
const MOST: usize = 64 << 10;
/// One that takes longer to come is not waited for.
const PATIENCE: Duration = Duration::from_secs(30);

async fn bytes(request: Request<Body>) -> Result<Bytes, Problem> {
    let (parts, body) = request.into_parts();
    // A page of somebody else's cannot send this type without asking first.
    let kind =
        parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "send it as application/json"));
    }
    match tokio::time::timeout(PATIENCE, to_bytes(body, MOST)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        _ => Err(Problem::bad_request("the body is larger than 64 KiB, or broke off")),
    }
}

/// What was sent; a fault says what is wrong in it.
pub(super) async fn json<T: DeserializeOwned>(request: Request<Body>) -> Result<T, Problem> {
    let bytes = bytes(request).await?;
    serde_json::from_slice(&bytes).map_err(|error| Problem::bad_request(error.to_string()))
}

/// The same of what may hold a password: a fault says where it is, and tells nothing back.
pub(super) async fn secret_json<T: DeserializeOwned>(request: Request<Body>) -> Result<T, Problem> {
    let bytes = bytes(request).await?;
    serde_json::from_slice(&bytes).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        Problem::bad_request(format!("the body is not what is wanted here, at {place}"))
    })
}
