//! `/metrics`: every series of every appliance and the hub's own, in Prometheus text 0.0.4 or OpenMetrics 1.0 as `Accept`
//! wants it.

use super::accept::{answer, format, text as header_text};
use super::{Web, own};
use crate::clock;
use crate::text::{Format, Text};
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use std::sync::{Arc, PoisonError};

impl Web {
    fn exposition(&self, format: Format) -> String {
        let mut text = Text::new(format, 16 * 1024);
        own::write(&mut text, self, clock::now());
        let ingest = self.shared.read();
        let mut exposition = self.exposition.lock().unwrap_or_else(PoisonError::into_inner);
        exposition.write(&mut text, ingest.fleet());
        if format == Format::OpenMetrics {
            text.out.push_str("# EOF\n");
        }
        text.out
    }
}

pub(super) async fn metrics(State(web): State<Arc<Web>>, headers: HeaderMap) -> Response {
    let format = format(header_text(&headers, &header::ACCEPT));
    let content_type = match format {
        Format::Text => "text/plain; version=0.0.4; charset=utf-8",
        Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
    };
    // A large fleet takes a while to write and to compress: not on a thread that serves others.
    let writing = tokio::task::spawn_blocking(move || answer(&headers, content_type, web.exposition(format)));
    writing.await.expect("writing metrics does not panic, and is not cancelled")
}
