//! `/static/`: the page's style, script and icon. They are part of the binary, and change only with it: a browser asks
//! with the `ETag` that it has, and is told 304.

use super::accept::{answer, text};
use super::missing;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

struct Asset {
    name: &'static str,
    content_type: &'static str,
    body: &'static str,
}

static ASSETS: [Asset; 3] = [
    Asset {
        name: "page.css",
        content_type: "text/css; charset=utf-8",
        body: include_str!("static/page.css"),
    },
    Asset {
        name: "live.js",
        content_type: "text/javascript; charset=utf-8",
        body: include_str!("static/live.js"),
    },
    Asset { name: "icon.svg", content_type: "image/svg+xml", body: include_str!("static/icon.svg") },
];

pub(super) async fn asset(Path(file): Path<String>, headers: HeaderMap, uri: Uri) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == file) else {
        return missing::not_found(headers, uri).await;
    };
    let tag = format!("\"{:016x}\"", fingerprint(asset.body));
    let known = text(&headers, &header::IF_NONE_MATCH)
        .is_some_and(|tags| tags.split(',').any(|one| one.trim().trim_start_matches("W/") == tag));
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        answer(&headers, asset.content_type, asset.body.to_owned())
    };
    let headers = response.headers_mut();
    headers.insert(header::ETAG, HeaderValue::from_str(&tag).expect("hexadecimal between quotes"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// FNV-1a: the same content has the same tag on every machine.
fn fingerprint(body: &str) -> u64 {
    body.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
