//! What went wrong with a request under `/api/`, by RFC 9457: one form for every endpoint there but those of `/api/v1`, which are Prometheus's.
//!
//! [`everywhere`] makes one of whatever else says no there (a router that knows no such path, an extractor, a handler that panics), so that
//! a program needs to read one form alone. What went wrong inside the hub stands in its log and not in the answer.
//!
//! ```text
//! 404   content-type: application/problem+json
//! {"type":"about:blank","title":"Not Found","status":404,"detail":"there is no site \"arena-south\"","instance":"/api/sites/arena-south"}
//! ```

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use serde::Serialize;
use std::panic::AssertUnwindSafe;

/// The type of its body.
const PROBLEM_JSON: &str = "application/problem+json";
/// Of somebody else's words at most so many bytes are taken over.
const WORDS: usize = 4 << 10;

/// Why a request under `/api/` has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    status: StatusCode,
    detail: String,
    instance: Option<String>,
}

#[derive(Serialize)]
struct Told<'a> {
    /// No problem here has a page of its own: the code says what kind it is, `detail` the rest.
    r#type: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<&'a str>,
}

impl Problem {
    /// Of this code; `detail` says what failed, on what, and what to do.
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), instance: None }
    }

    /// 400: what was asked makes no sense.
    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 404: there is no such thing, or none that the visitor may see.
    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// 409: not in the state that the thing is in.
    pub(super) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    /// 403: whoever asks may not.
    pub(super) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let told = Told {
            r#type: "about:blank",
            title,
            status: self.status.as_u16(),
            detail: &self.detail,
            instance: self.instance.as_deref(),
        };
        let body = serde_json::to_string(&told).expect("a problem has text keys only");
        (self.status, [(header::CONTENT_TYPE, PROBLEM_JSON)], body).into_response()
    }
}

/// Whether errors at this path have this form.
pub(super) fn is_here(path: &str) -> bool {
    let below =
        |root: &str| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    below("/api") && !below("/api/v1")
}

/// Makes a [`Problem`] of every error below `/api/` that is none yet, and answers 500 for a handler that panics, wherever it is.
pub(super) async fn everywhere(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let Ok(response) = AssertUnwindSafe(next.run(request)).catch_unwind().await else {
        // The panic's own words are in the log, by the hook.
        log::error!("web: the answer to {path} failed; this is a fault of the hub");
        let what = "the hub failed at it; its log says more";
        if !is_here(&path) {
            return (StatusCode::INTERNAL_SERVER_ERROR, format!("{what}\n")).into_response();
        }
        let problem = Problem::new(StatusCode::INTERNAL_SERVER_ERROR, what);
        return Problem { instance: Some(path), ..problem }.into_response();
    };
    let status = response.status();
    if !is_here(&path) || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let kind = response.headers().get(header::CONTENT_TYPE);
    if kind.is_some_and(|kind| kind == PROBLEM_JSON) {
        return response;
    }
    let is_page = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    let (mut parts, body) = response.into_parts();
    let words = to_bytes(body, WORDS).await.unwrap_or_default();
    let words = String::from_utf8_lossy(&words);
    let detail = match words.trim() {
        _ if is_page => status.canonical_reason().unwrap_or("it was refused").to_owned(),
        "" => status.canonical_reason().unwrap_or("it was refused").to_owned(),
        words => words.to_owned(),
    };
    let made = Problem { instance: Some(path), ..Problem::new(status, detail) }.into_response();
    // What else was said stays: `Allow`, `Retry-After`, `WWW-Authenticate`.
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    let (_, body) = made.into_parts();
    Response::from_parts(parts, Body::new(body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::body::Bytes;
    use axum::extract::Path;
    use axum::middleware::from_fn;
    use axum::routing::{get, post};
    use hyper::service::Service as _;
    use hyper_util::service::TowerToHyperService;
    use serde_json::{Value as Json, json};

    /// A router as the hub's, as far as refusals go.
    fn router() -> Router {
        Router::new()
            .route("/api/number/{id}", get(|Path(id): Path<u64>| async move { id.to_string() }))
            .route("/api/told", get(|| async { Problem::not_found("there is no site \"arena-south\"") }))
            .route("/api/body", post(|_: Bytes| async { "" }))
            .route("/api/panic", get(panics))
            .route("/panic", get(panics))
            .route("/api/v1/query", get(|| async { (StatusCode::BAD_REQUEST, "as Prometheus says it") }))
            .layer(from_fn(everywhere))
    }

    async fn panics() -> &'static str {
        let empty: [u8; 0] = [];
        if empty.is_empty() { panic!("on purpose") } else { "" }
    }

    async fn ask(method: &str, path: &str) -> (StatusCode, Option<String>, String, String) {
        let request =
            axum::http::Request::builder().method(method).uri(path).body(Body::empty()).expect("a request");
        let response =
            TowerToHyperService::new(router()).call(request).await.expect("a router always answers");
        let text = |name: header::HeaderName| {
            response.headers().get(name).map(|value| value.to_str().expect("it is text").to_owned())
        };
        let (kind, allow) = (text(header::CONTENT_TYPE).unwrap_or_default(), text(header::ALLOW));
        let status = response.status();
        let body = to_bytes(response.into_body(), 1 << 16).await.expect("a body");
        (status, allow, kind, String::from_utf8(body.to_vec()).expect("it is text"))
    }

    async fn problem(method: &str, path: &str) -> (u16, Json) {
        let (status, _, kind, body) = ask(method, path).await;
        assert_eq!(kind, PROBLEM_JSON, "{method} {path}: {body}");
        let json: Json = serde_json::from_str(&body).expect("a problem is JSON");
        assert_eq!(json["status"], status.as_u16());
        assert_eq!(json["title"], status.canonical_reason().unwrap_or_default());
        (status.as_u16(), json)
    }

    #[tokio::test]
    async fn every_refusal_below_api_has_one_form() {
        let (status, told) = problem("GET", "/api/told").await;
        assert_eq!((status, &told["detail"]), (404, &json!("there is no site \"arena-south\"")));
        assert_eq!(told["type"], "about:blank");
        let (status, missing) = problem("GET", "/api/nothing/here").await;
        assert_eq!((status, &missing["instance"]), (404, &json!("/api/nothing/here")));
        let (status, extractor) = problem("GET", "/api/number/seven").await;
        assert_eq!(status, 400);
        assert!(extractor["detail"].as_str().is_some_and(|detail| detail.contains("seven")), "{extractor}");
        assert_eq!(problem("GET", "/api/panic").await.0, 500);
    }

    #[tokio::test]
    async fn what_may_be_done_instead_is_still_said() {
        let (status, allow, kind, _) = ask("DELETE", "/api/told").await;
        assert_eq!((status, kind.as_str()), (StatusCode::METHOD_NOT_ALLOWED, PROBLEM_JSON));
        assert_eq!(allow.as_deref(), Some("GET,HEAD"));
    }

    #[tokio::test]
    async fn others_keep_their_own() {
        let (status, _, kind, body) = ask("GET", "/api/v1/query").await;
        assert_eq!((status, body.as_str()), (StatusCode::BAD_REQUEST, "as Prometheus says it"));
        assert_ne!(kind, PROBLEM_JSON);
        let (status, _, kind, _) = ask("GET", "/panic").await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(kind.starts_with("text/plain"));
        assert_ne!(ask("GET", "/apiary").await.2, PROBLEM_JSON);
    }
}
