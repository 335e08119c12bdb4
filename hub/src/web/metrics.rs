//! `/metrics`: every series of every appliance and the hub's own, in Prometheus text 0.0.4 or OpenMetrics 1.0 as `Accept`
//! wants it. Who sees some sites alone is shown theirs, and nothing of the hub's own.

use super::accept::{answer, format, text as header_text};
use super::visitor::Visitor;
use super::{Web, own};
use crate::clock;
use crate::text::{Format, Text};
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use std::collections::BTreeSet;
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

pub(super) async fn metrics(State(web): State<Arc<Web>>, visitor: Visitor, headers: HeaderMap) -> Response {
    let format = format(header_text(&headers, &header::ACCEPT));
    let content_type = match format {
        Format::Text => "text/plain; version=0.0.4; charset=utf-8",
        Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
    };
    // A large fleet takes a while to write and to compress: not on a thread that serves others.
    let writing = tokio::task::spawn_blocking(move || {
        let all = web.exposition(format);
        match visitor.only() {
            None => answer(&headers, content_type, all),
            Some(sites) => answer(&headers, content_type, of_sites(&all, sites)),
        }
    });
    writing.await.expect("writing metrics does not panic, and is not cancelled")
}

/// The lines of these sites, under the heads of their families.
fn of_sites(all: &str, sites: &BTreeSet<String>) -> String {
    let mut shown = String::new();
    let mut heads = Vec::new();
    let mut is_below = false;
    for line in all.split_inclusive('\n') {
        if line.starts_with("# EOF") {
            shown.push_str(line);
        } else if line.starts_with('#') {
            if std::mem::take(&mut is_below) {
                heads.clear();
            }
            heads.push(line);
        } else {
            is_below = true;
            if site(line).is_some_and(|site| sites.contains(site)) {
                shown.extend(heads.drain(..));
                shown.push_str(line);
            }
        }
    }
    shown
}

/// Whose a line is. The hub writes that first, so no label that an agent made up is taken for it.
fn site(line: &str) -> Option<&str> {
    line.split_once('{')?.1.strip_prefix("site=\"")?.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_other_sites_there_is_not_even_the_name_of_a_metric() {
        let all = "# HELP rackside_hub_up x\n# TYPE rackside_hub_up gauge\nrackside_hub_up 1\n\
                   # TYPE up gauge\nup{site=\"arena\",appliance=\"rack-1\"} 1\nup{site=\"hall\",appliance=\"rack-1\"} 0\n\
                   # TYPE only gauge\nonly{site=\"hall\",probe=\"{site=\\\"arena\\\"}\"} 1\n\
                   # TYPE load gauge\nload{site=\"arena\"} 2\nload{probe=\"x\",site=\"arena\"} 2\n# EOF\n";
        let of = |site: &str| of_sites(all, &BTreeSet::from([site.to_owned()]));
        assert_eq!(
            of("arena"),
            "# TYPE up gauge\nup{site=\"arena\",appliance=\"rack-1\"} 1\n# TYPE load gauge\nload{site=\"arena\"} 2\n# EOF\n"
        );
        assert_eq!(of("nowhere"), "# EOF\n");
    }
}
