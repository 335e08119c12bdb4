//! What pages of other origins may ask of `/api/`: nothing, unless `[web] cors` names them.
//!
//! They bring no cookies (`Access-Control-Allow-Credentials` is never sent): what they are to see they ask for with a token of their own.
//!
//! ```text
//! OPTIONS /api/sites  Origin: https://wall.example.org      204, Access-Control-Allow-Origin: https://wall.example.org
//! OPTIONS /api/sites  Origin: https://elsewhere.example     as if there were no such method
//! ```

use crate::web::Web;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// What a page may send with a request.
const HEADERS: &str = "authorization, content-type, if-none-match, last-event-id";
/// What it may do.
const METHODS: &str = "GET, HEAD, POST, PUT, DELETE";
/// What of an answer it may read, beside what every page may.
const SHOWN: &str = "etag, retry-after";
/// Seconds that a browser need not ask again.
const KEPT: &str = "600";

/// Adds the headers for an origin that is named, and answers what its browser asks before.
pub(in crate::web) async fn cors(State(web): State<Arc<Web>>, request: Request, next: Next) -> Response {
    if web.cors.is_empty() || !request.uri().path().starts_with("/api/") {
        return next.run(request).await;
    }
    let allowed = allowed(&web.cors, request.headers());
    let is_question = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if is_question && allowed.is_some() {
        let said = [
            (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS),
            (header::ACCESS_CONTROL_MAX_AGE, KEPT),
        ];
        (StatusCode::NO_CONTENT, said).into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = allowed {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(SHOWN));
        // Else a browser would keep from it what it was allowed to see.
        let name = header::HeaderName::from_static("cross-origin-resource-policy");
        headers.insert(name, HeaderValue::from_static("cross-origin"));
    }
    response
}

/// The origin that asks, if it is one of `known`; `*` is any.
fn allowed(known: &[String], headers: &HeaderMap) -> Option<HeaderValue> {
    let origin = headers.get(header::ORIGIN)?;
    if known.iter().any(|known| known == "*") {
        return Some(HeaderValue::from_static("*"));
    }
    let text = origin.to_str().ok()?;
    known.iter().any(|known| known.eq_ignore_ascii_case(text)).then(|| origin.clone())
}

/// Whether a page that asks is of an origin that is named.
pub(in crate::web) fn is_named(known: &[String], headers: &HeaderMap) -> bool {
    allowed(known, headers).is_some()
}

/// Why this is no origin, if it is none: `https://wall.example.org`, without a path.
pub(crate) fn objection(origin: &str) -> Option<String> {
    let is_origin = origin == "*"
        || origin.split_once("://").is_some_and(|(scheme, authority)| {
            matches!(scheme, "http" | "https")
                && !authority.is_empty()
                && !authority.contains(['/', '?', '#', '@', ' ', '*'])
        });
    (!is_origin).then(|| {
        format!("{origin:?} is no origin; one is \"https://wall.example.org\", without a path, or \"*\"")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_itself_and_no_other() {
        let known = ["https://wall.example.org".to_owned()];
        let asks = |origin: &'static str| {
            let headers = HeaderMap::from_iter([(header::ORIGIN, HeaderValue::from_static(origin))]);
            allowed(&known, &headers).is_some()
        };
        assert!(asks("https://wall.example.org"));
        for other in
            ["http://wall.example.org", "https://wall.example.org.elsewhere.example", "null", "https://wall"]
        {
            assert!(!asks(other), "{other}");
        }
        assert_eq!(allowed(&known, &HeaderMap::new()), None);
    }

    #[test]
    fn what_is_no_origin_is_said() {
        for right in ["*", "https://wall.example.org", "http://192.0.2.1:3000"] {
            assert_eq!(objection(right), None);
        }
        for wrong in
            ["wall.example.org", "https://wall.example.org/", "https://*.example.org", "ftp://x", "https://"]
        {
            assert!(objection(wrong).is_some(), "{wrong}");
        }
    }
}
