//! `/api/sites`: every site with its appliances and their latest readings, as JSON.
//!
//! `{"time": "...", "sites": [{"site": "arena-north", "appliances": [{"appliance": "rack-1", "up": true, ...}]}]}`

use super::Web;
use super::accept::answer;
use crate::clock;
use crate::fleet::Appliance;
use crate::json::{self, OfSite};
use crate::moment::rfc3339;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;
use std::sync::Arc;

#[derive(Serialize)]
struct Sites<'a> {
    time: String,
    sites: Vec<Site<'a>>,
}

#[derive(Serialize)]
struct Site<'a> {
    site: &'a str,
    appliances: Vec<OfSite<'a>>,
}

impl Web {
    fn sites(&self) -> String {
        let now = clock::now();
        let ingest = self.shared.read();
        let mut all: Vec<(usize, &Appliance)> = ingest.fleet().appliances().iter().enumerate().collect();
        all.sort_by(|a, b| a.1.name.cmp(&b.1.name));
        let sites = all
            .chunk_by(|a, b| a.1.name.site == b.1.name.site)
            .map(|group| Site {
                site: group[0].1.name.site.as_str(),
                appliances: group
                    .iter()
                    .map(|&(slot, one)| OfSite::new(one, ingest.records(slot), now))
                    .collect(),
            })
            .collect();
        json::text(&Sites { time: rfc3339(now.utc_ms), sites })
    }
}

pub(super) async fn sites(State(web): State<Arc<Web>>, headers: HeaderMap) -> Response {
    let writing = tokio::task::spawn_blocking(move || answer(&headers, "application/json", web.sites()));
    writing.await.expect("writing JSON does not panic, and is not cancelled")
}
