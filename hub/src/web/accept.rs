//! What a client accepts: `Accept` for `/metrics`, `Accept-Encoding` for everything large. Parsing is a pure function of
//! the header's text; a header that is missing or makes no sense is as good as `*/*`.

use crate::text::Format;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

/// One range of an `Accept` header: type, parameters, quality.
fn ranges(text: &str) -> impl Iterator<Item = (&str, Vec<(&str, &str)>, f32)> {
    text.split(',').filter_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().filter(|kind| !kind.is_empty())?;
        let parameters: Vec<_> = parts
            .filter_map(|part| part.split_once('='))
            .map(|(name, value)| (name.trim(), value.trim().trim_matches('"')))
            .collect();
        let quality = parameters.iter().find(|(name, _)| name.eq_ignore_ascii_case("q"));
        let quality = quality.map_or(1.0, |(_, value)| value.parse().unwrap_or(0.0));
        Some((kind, parameters, quality))
    })
}

/// The format of `/metrics` that is wanted most: never a refusal.
pub(super) fn format(accept: Option<&str>) -> Format {
    let mut best = (Format::Text, 0.0);
    for (kind, parameters, quality) in ranges(accept.unwrap_or("")) {
        let version = parameters.iter().find(|(name, _)| name.eq_ignore_ascii_case("version"));
        let format = match (kind.to_ascii_lowercase().as_str(), version.map(|(_, version)| *version)) {
            ("application/openmetrics-text", None | Some("1.0.0" | "0.0.1")) => Format::OpenMetrics,
            ("text/plain", None | Some("0.0.4")) | ("text/*" | "*/*", _) => Format::Text,
            _ => continue,
        };
        if quality > best.1 {
            best = (format, quality);
        }
    }
    best.0
}

/// Whether `text/html` is asked for by name: a browser.
pub(super) fn wants_page(headers: &HeaderMap) -> bool {
    let accept = text(headers, &header::ACCEPT).unwrap_or("");
    ranges(accept).any(|(kind, _, quality)| kind.eq_ignore_ascii_case("text/html") && quality > 0.0)
}

/// Whether an answer may be compressed with gzip.
pub(super) fn gzip(headers: &HeaderMap) -> bool {
    let accept = text(headers, &header::ACCEPT_ENCODING).unwrap_or("");
    ranges(accept).any(|(kind, _, quality)| kind.eq_ignore_ascii_case("gzip") && quality > 0.0)
}

pub(super) fn text<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// With gzip, quickly.
pub(super) fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 8), Compression::new(3));
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("a Vec takes every write")
}

/// An answer of this type, compressed if that is accepted and worth it.
pub(super) fn answer(headers: &HeaderMap, content_type: &'static str, body: String) -> Response {
    let compressed = (body.len() > 1024 && gzip(headers)).then(|| compressed(body.as_bytes()));
    let encoded = compressed.is_some();
    let mut response = Response::new(compressed.map_or_else(|| Body::from(body), Body::from));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    if encoded {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prometheus_gets_openmetrics() {
        let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                          text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!(format(Some(prometheus)), Format::OpenMetrics);
        let third = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=1.0.0;q=0.4";
        assert_eq!(format(Some(third)), Format::OpenMetrics);
    }

    #[test]
    fn everybody_else_gets_plain_text() {
        for accept in
            [None, Some(""), Some("*/*"), Some("text/html,*/*;q=0.8"), Some("image/png"), Some(";;,q=x")]
        {
            assert_eq!(format(accept), Format::Text, "{accept:?}");
        }
    }

    #[test]
    fn quality_decides_and_zero_refuses() {
        assert_eq!(format(Some("application/openmetrics-text;q=0.3, text/plain;q=0.9")), Format::Text);
        assert_eq!(format(Some("application/openmetrics-text;q=0")), Format::Text);
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip;q=0, br"));
        assert!(!gzip(&headers));
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("deflate, gzip"));
        assert!(gzip(&headers));
    }
}
