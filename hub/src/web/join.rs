//! `POST /join`: a box asks for its certificate. The bytes are described in `rackside_proto::join`, and prove themselves; who may have one is
//! `rackside-identity`'s to decide, so nobody is asked for a login here.
//!
//! Every answer has a body, also those that say no. The status is for people who look at it, and for proxies:
//!
//! ```text
//! 200  a certificate       403  none: the body says why     400, 408, 413  it cannot be read, came too slowly, is too large
//! 429  asked too often     503  the hub cannot answer; its log says why
//! ```

use super::Web;
use super::change::Peer;
use crate::identity::{How, Said};
use axum::Extension;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rackside_identity::refusal;
use rackside_proto::join::{CONTENT_TYPE, QUESTION, Refusal};
use std::sync::Arc;
use std::time::Duration;

/// A question that takes longer to come is not waited for.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn join(
    State(web): State<Arc<Web>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Some(identities) = &web.identities else {
        return say(StatusCode::SERVICE_UNAVAILABLE, refusal(Refusal::Failing));
    };
    let from = web.door.address(&headers, peer);
    let question = match tokio::time::timeout(PATIENCE, to_bytes(body, QUESTION)).await {
        Ok(Ok(question)) => question,
        Ok(Err(_)) => return say(StatusCode::PAYLOAD_TOO_LARGE, refusal(Refusal::Unreadable)),
        Err(_) => return say(StatusCode::REQUEST_TIMEOUT, refusal(Refusal::Unreadable)),
    };
    let Said { bytes, how } = identities.answer(from, question).await;
    let status = match how {
        How::Granted => StatusCode::OK,
        How::Refused => StatusCode::FORBIDDEN,
        How::Unreadable => StatusCode::BAD_REQUEST,
        How::TooOften(_) => StatusCode::TOO_MANY_REQUESTS,
        How::Failing => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut response = say(status, bytes);
    if let How::TooOften(seconds) = how {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn say(status: StatusCode, bytes: Vec<u8>) -> Response {
    let head = [(header::CONTENT_TYPE, CONTENT_TYPE), (header::CACHE_CONTROL, "no-store")];
    (status, head, bytes).into_response()
}
