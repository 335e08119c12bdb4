//! A request's body as JSON: one way to read it for every endpoint that takes one.
//!
//! A page of somebody else cannot send this type without asking first; what comes has a largest size and a longest time.
//!
//! ```text
//! content-type: application/json        {"note": "on my way"}      a value
//! content-type: text/plain                                         415
//! content-type: application/json        {"not": "known"}           400, with what serde says of it
//! ```

use super::accept::text;
use super::problem::Problem;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{Request, StatusCode, header};
use serde::de::DeserializeOwned;
use std::time::Duration;

/// The largest body.
const MOST: usize = 64 << 10;
/// One that takes longer to come is not waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the body says.
pub(super) async fn json<T: DeserializeOwned>(request: Request<Body>) -> Result<T, Problem> {
    let bytes = read(request, false).await?;
    serde_json::from_slice(&bytes).map_err(|error| Problem::bad_request(error.to_string()))
}

/// The same where nothing need be said: no body is the default.
pub(super) async fn json_or_default<T: DeserializeOwned + Default>(
    request: Request<Body>,
) -> Result<T, Problem> {
    let bytes = read(request, true).await?;
    if bytes.trim_ascii().is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(&bytes).map_err(|error| Problem::bad_request(error.to_string()))
}

/// The same where what was sent must not be told back, as a password: of what is wrong only the place is said.
pub(super) async fn secret_json<T: DeserializeOwned>(request: Request<Body>) -> Result<T, Problem> {
    let bytes = read(request, false).await?;
    serde_json::from_slice(&bytes).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        Problem::bad_request(format!("the body is not what is wanted here, at {place}"))
    })
}

/// The body, which is JSON by its type unless it is empty and may be.
async fn read(request: Request<Body>, may_lack: bool) -> Result<Bytes, Problem> {
    let (parts, body) = request.into_parts();
    let late = |_| Problem::new(StatusCode::REQUEST_TIMEOUT, "the body did not come within half a minute");
    let large = |_| {
        let what = format!("the body is larger than {} KiB, or broke off", MOST >> 10);
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, what)
    };
    let kind = text(&parts.headers, &header::CONTENT_TYPE).unwrap_or_default();
    let is_json = kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json");
    let other = || Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "send it as application/json");
    if !is_json && !may_lack {
        return Err(other());
    }
    let bytes = tokio::time::timeout(PATIENCE, to_bytes(body, MOST)).await.map_err(late)?.map_err(large)?;
    // What is derived reads lists as well, field by field: that nobody means.
    match bytes.trim_ascii_start() {
        [] if may_lack => Ok(bytes),
        _ if !is_json => Err(other()),
        [b'{', ..] => Ok(bytes),
        _ => Err(Problem::bad_request("the body is no JSON object")),
    }
}
