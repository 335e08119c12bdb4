//! `/api/v1`: the HTTP API of Prometheus 2.42, so that Grafana and promtool take the hub for one. One file for what belongs together:
//!
//! | file | what |
//! |---|---|
//! | `query` | an expression at a moment, or at many |
//! | `series` | which series and labels there are |
//! | `rules`, `metadata`, `status` | what the hub knows beside series |
//! | `reach` | what is left of series and rules for who sees some sites alone |
//! | `form`, `moment` | what is asked: parameters as Go reads them |
//! | `reply`, `pieces`, `json` | what is answered: to the byte as Prometheus does, a large answer bit by bit |
//! | `queue`, `counts`, [`QueryConfig`] | what queries may cost, and what has become of them |
//!
//! Nothing can be changed here, so a page of somebody else that sends a form does no harm; what it would be answered its browser keeps from it.
//! What lies behind is handed in as [`Behind`], so that tests put series of their own there.

mod config;
mod counts;
mod form;
mod json;
mod metadata;
mod moment;
mod pieces;
mod query;
mod queue;
mod reach;
mod reply;
mod rules;
mod series;
mod status;

pub use config::QueryConfig;
pub(super) use form::Form;
pub use metadata::{Meaning, Meanings, of_openmetrics, of_vocabulary};
pub use series::Series;

use crate::text::Sink;
use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use counts::Counts;
pub(super) use moment::Moment;
use queue::Queue;
use rackside_alerting::RulesView;
use rackside_promql::{SourceError, Stop};
pub(super) use reach::rules as rules_within;
pub(super) use reply::Failure;
use reply::whole;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use tokio::sync::watch;

/// What of the rules is shown to who sees these sites alone; without any all of it.
pub type RulesShown = dyn Fn(Option<&BTreeSet<String>>) -> Arc<RulesView> + Send + Sync;

/// What the API tells about.
pub struct Behind {
    /// Every series that there is.
    pub series: Arc<dyn Series>,
    /// What metrics mean.
    pub metadata: Box<dyn Fn() -> Meanings + Send + Sync>,
    /// The rules and their alerts, as who sees these sites alone is shown them; all of it for who sees every one.
    pub rules: Box<RulesShown>,
}

/// The API, for everybody who asks.
pub struct Api {
    behind: Behind,
    queue: Queue,
    counts: Arc<Counts>,
}

impl Api {
    /// Asks what is behind; when `shutdown` says so, queries end.
    pub fn new(config: QueryConfig, behind: Behind, shutdown: watch::Receiver<bool>) -> Arc<Self> {
        let counts = Arc::new(Counts::default());
        let queue = Queue::new(config, Arc::clone(&counts), shutdown);
        Arc::new(Self { behind, queue, counts })
    }

    /// Reads series on a thread of the queries', of which there are so many: `work` is told to stop when nobody waits for it any more.
    pub(super) async fn reads<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Fn() -> Option<Stop>) -> Result<T, SourceError> + Send + 'static,
    ) -> Result<T, Failure> {
        let deadline = self.queue.deadline(None);
        self.queue.work(deadline, move |reins| Ok(work(&|| reins.stopped())?)).await
    }

    /// Its own numbers for `/metrics`.
    pub(super) fn write(&self, text: &mut dyn Sink) {
        self.counts.write(text);
    }
}

#[cfg(test)]
impl Api {
    /// So many places, and nothing behind.
    pub(super) fn with_places(places: usize) -> Arc<Self> {
        let behind = Behind {
            series: Arc::new(rackside_promql::Memory::new()),
            metadata: Box::new(|| unreachable!("nobody asks")),
            rules: Box::new(|_| unreachable!("nobody asks")),
        };
        let (stop, shutdown) = watch::channel(false);
        // Without its sender it would say that the hub stops.
        Box::leak(Box::new(stop));
        Self::new(QueryConfig { concurrency: places, ..QueryConfig::default() }, behind, shutdown)
    }

    /// Waits until so much work was done.
    pub(super) async fn has_read(&self, works: u64) {
        let done = async {
            while self.counts.of("success") < works {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(30), done)
            .await
            .expect("it reads, and leaves its place");
    }
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("queue", &self.queue).finish_non_exhaustive()
    }
}

impl Api {
    /// What is written without a query, on a thread where it may take its time.
    async fn said(
        self: &Arc<Self>,
        is_packed: bool,
        write: impl FnOnce(&Self) -> Vec<u8> + Send + 'static,
    ) -> Response {
        let api = Arc::clone(self);
        let writing = tokio::task::spawn_blocking(move || whole(is_packed, write(&api)));
        writing.await.expect("writing JSON does not panic, and is not cancelled")
    }
}

/// Everything below `/api/v1`.
pub fn router(api: Arc<Api>) -> Router {
    Router::new()
        .route("/query", asked(get(query::instant).post(query::instant)))
        .route("/query_range", asked(get(query::range).post(query::range)))
        .route("/query_exemplars", asked(get(query::exemplars).post(query::exemplars)))
        .route("/format_query", asked(get(query::format).post(query::format)))
        .route("/series", asked(get(series::series).post(series::series).delete(series::delete)))
        .route("/labels", asked(get(series::labels).post(series::labels)))
        .route("/label/{name}/values", asked(get(series::values)))
        .route("/metadata", asked(get(metadata::metadata)))
        .route("/rules", asked(get(rules::rules)))
        .route("/alerts", asked(get(rules::alerts)))
        .route("/targets", asked(get(status::targets)))
        .route("/alertmanagers", asked(get(status::alertmanagers)))
        .route("/status/buildinfo", asked(get(status::build)))
        .fallback(not_found)
        .method_not_allowed_fallback(not_allowed)
        .with_state(api)
}

/// A route that answers OPTIONS as Prometheus does, but promises nothing to other origins' pages.
fn asked(route: MethodRouter<Arc<Api>>) -> MethodRouter<Arc<Api>> {
    route.options(|| async { StatusCode::NO_CONTENT })
}

const PLAIN: (header::HeaderName, &str) = (header::CONTENT_TYPE, "text/plain; charset=utf-8");

async fn not_found() -> Response {
    (StatusCode::NOT_FOUND, [PLAIN], "404 page not found\n").into_response()
}

async fn not_allowed() -> Response {
    (StatusCode::METHOD_NOT_ALLOWED, [PLAIN], "Method Not Allowed\n").into_response()
}
