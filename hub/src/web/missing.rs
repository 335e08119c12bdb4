//! The answers to what is not there: 404 and 405, as a page for people, as one line for programs, and as a problem below `/api/`.

use super::accept::wants_page;
use super::frame;
use super::problem::{self, Problem};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use rackside_pages::Here;
use rackside_pages::missing::Missing;

pub(super) async fn not_found(headers: HeaderMap, uri: Uri) -> Response {
    let what = format!("There is nothing at {}.", uri.path());
    say(&headers, &uri, StatusCode::NOT_FOUND, "Not found", &what)
}

pub(super) async fn not_allowed(method: Method, headers: HeaderMap, uri: Uri) -> Response {
    if problem::is_here(uri.path()) {
        let what = format!("{} knows no {method}; `Allow` says what it knows", uri.path());
        return Problem::new(StatusCode::METHOD_NOT_ALLOWED, what).into_response();
    }
    let what = format!("{} can be read with GET, not changed with {method}.", uri.path());
    say(&headers, &uri, StatusCode::METHOD_NOT_ALLOWED, "Not possible", &what)
}

/// A page that says why something was not done.
pub(super) fn page(code: StatusCode, title: &str, what: &str) -> Response {
    let frame = frame::bare(title, Here::Elsewhere);
    let page = Missing { frame, title: title.to_owned(), what: what.to_owned() };
    (code, Html(page.html())).into_response()
}

/// Says no: as a page, as one line, or as a problem.
pub(super) fn say(headers: &HeaderMap, uri: &Uri, code: StatusCode, title: &str, what: &str) -> Response {
    if problem::is_here(uri.path()) {
        return Problem::new(code, what).into_response();
    }
    if wants_page(headers) {
        return page(code, title, what);
    }
    (code, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], format!("{what}\n")).into_response()
}
