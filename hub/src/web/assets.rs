//! `/static/`: the pages' styles, scripts and icon. Under the name with its digest a file may be kept for good; under its plain
//! name a browser asks with the `ETag` that it has, and is told 304.

use super::accept::{answer, text};
use super::missing;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

pub(super) async fn asset(Path(file): Path<String>, headers: HeaderMap, uri: Uri) -> Response {
    let Some(asset) = rackside_pages::asset::asset(&file) else {
        return missing::not_found(headers, uri).await;
    };
    let known = text(&headers, &header::IF_NONE_MATCH)
        .is_some_and(|tags| tags.split(',').any(|one| one.trim().trim_start_matches("W/") == asset.tag));
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        answer(&headers, asset.content_type, asset.body.to_owned())
    };
    let kept = if file == asset.lasting { "public, max-age=31536000, immutable" } else { "no-cache" };
    let headers = response.headers_mut();
    headers.insert(header::ETAG, HeaderValue::from_str(&asset.tag).expect("hexadecimal between quotes"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(kept));
    response
}
