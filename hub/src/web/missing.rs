//! The answers to what is not there: 404 and 405, as a page for people and as one line for programs.

use super::accept::wants_page;
use super::page;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};

pub(super) async fn not_found(headers: HeaderMap, uri: Uri) -> Response {
    let what = format!("There is nothing at {}.", uri.path());
    say(&headers, StatusCode::NOT_FOUND, "Not found", &what)
}

pub(super) async fn not_allowed(method: Method, headers: HeaderMap, uri: Uri) -> Response {
    let what = format!("{} can be read with GET, not changed with {method}.", uri.path());
    say(&headers, StatusCode::METHOD_NOT_ALLOWED, "Not possible", &what)
}

fn say(headers: &HeaderMap, code: StatusCode, title: &str, what: &str) -> Response {
    if wants_page(headers) {
        return (code, Html(page::missing(title, what))).into_response();
    }
    (code, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], format!("{what}\n")).into_response()
}
