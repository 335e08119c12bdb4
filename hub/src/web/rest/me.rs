//! `/api/me`: who asks, by the hub's understanding: what they are called, what they may, which sites they see.
//!
//! A page with a session learns here what it has to send as `x-csrf-token`; a token has none and needs none.
//!
//! ```json
//! {"name":"desk","how":"session","role":"operator","rights":["read","metrics","act"],"sites":["arena-north"],"csrf":"6f1c…"}
//! ```

use crate::web::accept::answer;
use crate::web::visitor::Visitor;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use rackside_access::{How, Right};
use serde_json::json;

/// How somebody came in, in a word.
fn word(how: &How) -> &'static str {
    match how {
        How::Open => "open",
        How::Nobody => "nobody",
        How::Anonymous => "anonymous",
        How::Link => "link",
        How::Session => "session",
        How::Token(_) => "token",
    }
}

pub(in crate::web) async fn me(visitor: Visitor, headers: HeaderMap) -> Response {
    let rights = Right::ALL.into_iter().filter(|right| visitor.may(*right)).map(Right::as_str);
    let told = json!({
        "name": visitor.name.as_deref(),
        "how": word(&visitor.how),
        "role": visitor.role.as_str(),
        "rights": rights.collect::<Vec<_>>(),
        "sites": visitor.only(),
        "csrf": Some(&visitor.csrf).filter(|csrf| !csrf.is_empty()),
    });
    let mut response = answer(&headers, "application/json", told.to_string());
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    response
}
