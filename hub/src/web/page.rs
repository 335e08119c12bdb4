//! `/`: the fleet. Rendered whole on the server, so that it reads without JavaScript; `fleet.js` then keeps it
//! fresh through `/api/live`.

use super::accept::answer;
use super::visitor::Visitor;
use super::{Web, row};
use crate::clock;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use rackside_pages::fleet::{Fleet, Row};
use rackside_pages::{Banner, Here};
use std::sync::Arc;

impl Web {
    fn page(&self, visitor: &Visitor) -> String {
        let now = clock::now();
        let mut rows: Vec<Row> = {
            let ingest = self.shared.read();
            ingest.fleet().by_name().into_iter().map(|appliance| row::of(appliance, now)).collect()
        };
        // What needs somebody comes first.
        rows.sort_by_key(|row| row.up);
        let up = rows.iter().filter(|row| row.up).count();
        let twice = rows.iter().filter(|row| row.twice).count();
        let mut frame = self.frame("", Here::Fleet, visitor);
        frame.banners.push(Banner {
            id: "lost",
            state: "critical",
            head: "Not live.".to_owned(),
            text: "The hub does not answer; what you see is old.".to_owned(),
            hidden: true,
        });
        let fleet = Fleet {
            frame,
            empty: rows.is_empty(),
            address: self.way.address(),
            broker: self.way.is_broker(),
            total: rows.len(),
            up,
            down: rows.len() - up,
            any_down: up < rows.len(),
            any_twice: twice > 0,
            twice,
            rows,
        };
        fleet.html()
    }
}

pub(super) async fn page(State(web): State<Arc<Web>>, visitor: Visitor, headers: HeaderMap) -> Response {
    whole(headers, move || web.page(&visitor)).await
}

/// A page, written on a thread that serves nobody else.
pub(super) async fn whole(headers: HeaderMap, page: impl FnOnce() -> String + Send + 'static) -> Response {
    let writing = tokio::task::spawn_blocking(move || answer(&headers, "text/html; charset=utf-8", page()));
    writing.await.expect("writing the page does not panic, and is not cancelled")
}
