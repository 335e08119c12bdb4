//! `/`: the status page. Rendered whole on the server, so that it reads without JavaScript; `live.js` then keeps it
//! fresh through `/api/live`.
//!
//! The templates hold no logic beyond `if` and `for`: everything is decided in [`Row`](super::row::Row).

use super::Web;
use super::accept::answer;
use super::row::Row;
use crate::clock;
use crate::moment::rfc3339;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;
use std::sync::Arc;
use tinytemplate::TinyTemplate;

#[derive(Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "the template engine knows no comparisons")]
struct Page {
    version: &'static str,
    empty: bool,
    address: String,
    broker: bool,
    rows: Vec<Row>,
    total: usize,
    up: usize,
    down: usize,
    any_down: bool,
    any_twice: bool,
    twice: usize,
    ready: bool,
    trouble: String,
    history_well: bool,
    history_trouble: String,
    time: String,
    /// The time of day, for who has no script to count from it.
    clock: String,
    time_ms: u64,
}

#[derive(Serialize)]
struct Missing<'a> {
    title: &'a str,
    what: &'a str,
}

const TEMPLATES: [(&str, &str); 5] = [
    ("page", include_str!("templates/page.html")),
    ("row", include_str!("templates/row.html")),
    ("missing", include_str!("templates/missing.html")),
    ("alerts", include_str!("templates/alerts.html")),
    ("alert", include_str!("templates/alert.html")),
];

thread_local! {
    /// Compiled once a thread: the engine's tables cannot be shared.
    static COMPILED: TinyTemplate<'static> = {
        let mut engine = TinyTemplate::new();
        for (name, text) in TEMPLATES {
            engine.add_template(name, text).expect("the templates compile: a test renders each");
        }
        engine
    };
}

pub(super) fn render<T: Serialize>(name: &str, of: &T) -> String {
    COMPILED
        .with(|engine| engine.render(name, of))
        .expect("the templates name fields that exist: a test renders each")
}

/// The page for what is not there.
pub(super) fn missing(title: &str, what: &str) -> String {
    render("missing", &Missing { title, what })
}

impl Web {
    fn page(&self) -> String {
        let now = clock::now();
        let troubles = self.troubles();
        let mut rows: Vec<Row> = {
            let ingest = self.shared.read();
            ingest.fleet().by_name().into_iter().map(|appliance| Row::of(appliance, now)).collect()
        };
        // What needs somebody comes first.
        rows.sort_by_key(|row| row.up);
        let up = rows.iter().filter(|row| row.up).count();
        let twice = rows.iter().filter(|row| row.twice).count();
        let time = rfc3339(now.utc_ms);
        let page = Page {
            version: env!("CARGO_PKG_VERSION"),
            empty: rows.is_empty(),
            address: self.way.address(),
            broker: self.way.is_broker(),
            total: rows.len(),
            up,
            down: rows.len() - up,
            any_down: up < rows.len(),
            any_twice: twice > 0,
            twice,
            ready: troubles.way.is_empty(),
            trouble: troubles.way,
            history_well: troubles.history.is_empty(),
            history_trouble: troubles.history,
            clock: format!("{} UTC", &time[11..19]),
            time,
            time_ms: now.utc_ms,
            rows,
        };
        render("page", &page)
    }
}

pub(super) async fn page(State(web): State<Arc<Web>>, headers: HeaderMap) -> Response {
    let writing =
        tokio::task::spawn_blocking(move || answer(&headers, "text/html; charset=utf-8", web.page()));
    writing.await.expect("writing the page does not panic, and is not cancelled")
}
