//! Answers that may be unchanged: each has a tag (`ETag`), and who asks again with it (`If-None-Match`) is told 304 and nothing more.
//!
//! Tags are weak: compressed or not, an answer has the same. They are a digest of what is told, without the moment at which it is.

use crate::web::accept::{answer, text};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::hash::{DefaultHasher, Hash, Hasher};

/// JSON with a tag. `of` is what the tag is of: the answer itself, or that part of it which does not change by itself.
pub(in crate::web) fn json(headers: &HeaderMap, body: String, of: &str) -> Response {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    let tag = format!("W/\"{:016x}\"", hasher.finish());
    let mut response = if is_known(headers, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        answer(headers, "application/json", body)
    };
    let tag = HeaderValue::from_str(&tag).expect("hexadecimal between quotes");
    response.headers_mut().insert(header::ETAG, tag);
    // To be kept by who asked, and asked for again each time.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    response
}

fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let known = text(headers, &header::IF_NONE_MATCH).unwrap_or_default();
    let plain = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    known.split(',').any(|one| one.trim() == "*" || plain(one) == plain(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(tag: Option<&str>, body: &str) -> (StatusCode, String) {
        let mut headers = HeaderMap::new();
        if let Some(tag) = tag {
            headers.insert(header::IF_NONE_MATCH, HeaderValue::from_str(tag).expect("a header"));
        }
        let response = json(&headers, format!("{{\"time\":0,{body}"), body);
        let tag = response.headers().get(header::ETAG).expect("a tag").to_str().expect("it is text");
        (response.status(), tag.to_owned())
    }

    #[test]
    fn who_has_it_is_told_nothing_more() {
        let (status, tag) = asked(None, "one");
        assert_eq!(status, StatusCode::OK);
        let strong = tag.trim_start_matches("W/");
        for known in [tag.as_str(), strong, &format!("\"other\", {tag}"), "*"] {
            assert_eq!(asked(Some(known), "one"), (StatusCode::NOT_MODIFIED, tag.clone()), "{known}");
        }
        assert_eq!(asked(Some(&tag), "two").0, StatusCode::OK, "it has changed");
    }
}
