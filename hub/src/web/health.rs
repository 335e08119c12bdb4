//! `/health/liveness`, `/health/readiness`, `/health/detailed`: `{status, message, timestamp, details}`, 200 or 503; the details as `/api/hub` as well.
//!
//! Alive is who answers. Ready is who can take telemetry, keep it and tell people of alerts: the listener listens, or the outside broker is
//! connected, history can be written, and the threads of rules and notifications turn.

use super::accept::answer;
use super::visitor::Visitor;
use super::{WayIn, Web, own};
use crate::clock::{self, Now};
use crate::moment::rfc3339;
use crate::storage::Status;
use crate::turns::Turns;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rackside_access::Right;
use serde_json::{Value as Json, json};
use std::sync::Arc;

fn health(ok: bool, message: &str, details: &Json) -> Response {
    let code = if ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({
        "status": if ok { "ok" } else { "unavailable" },
        "message": message,
        "timestamp": rfc3339(clock::now().utc_ms),
        "details": details,
    });
    (code, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

pub(super) async fn liveness() -> Response {
    health(true, "the hub is running", &json!({}))
}

/// For everybody; how and why is for those who may see the hub.
pub(super) async fn readiness(State(web): State<Arc<Web>>, visitor: Visitor) -> Response {
    let (ready, message) = web.ready(clock::now());
    health(ready, shown(sees_all(&visitor), ready, &message), &json!({}))
}

/// The message, of which only those who see all of the hub learn addresses, paths and what failed.
pub(super) fn shown(sees_all: bool, ready: bool, message: &str) -> &str {
    match (sees_all, ready) {
        (true, _) => message,
        (false, true) => "the hub is ready",
        (false, false) => "the hub is not ready; who may see it is told why",
    }
}

fn sees_all(visitor: &Visitor) -> bool {
    visitor.may(Right::See) && visitor.only().is_none()
}

/// Whether telemetry can come in and be kept, and people are told of alerts, and how or why not.
pub(crate) fn ready(way: &dyn WayIn, history: &Status, turns: &Turns, now: Now) -> (bool, String) {
    let (ready, message) = way.ready();
    let troubles = history.trouble(now).into_iter().chain(turns.trouble(now));
    let all: Vec<String> = (!ready).then(|| message.clone()).into_iter().chain(troubles).collect();
    if all.is_empty() { (true, message) } else { (false, all.join("; ")) }
}

impl Web {
    /// Whether the hub is ready, and how or why not.
    pub(super) fn ready(&self, now: Now) -> (bool, String) {
        ready(self.way.as_ref(), &self.history, &self.turns(), now)
    }
}

/// In numbers; those that are counted over all sites for who sees them all.
fn details(web: &Web, visitor: &Visitor, now: Now) -> Json {
    if visitor.only().is_some() {
        return json!({
            "version": env!("CARGO_PKG_VERSION"),
            "uptime_seconds": now.since(web.started.instant).as_secs(),
        });
    }
    let kept = web.queries.trouble();
    let ingest = web.shared.read();
    let (fleet, counts) = (ingest.fleet(), ingest.counts());
    let rejected: u64 = counts.rejected().map(|(_, count)| count).sum();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_seconds": now.since(web.started.instant).as_secs(),
        "resident_memory_bytes": own::resident_bytes(),
        "appliances": { "up": fleet.up(), "down": fleet.in_service().count() - fleet.up() },
        "records": { "taken": counts.records, "duplicates": counts.duplicates, "lost": counts.lost, "refused": counts.refused, "aside": counts.aside },
        "messages_rejected": rejected,
        "history": web.history.details(now, ingest.waiting()),
        "kept": { "up": kept.is_none(), "trouble": kept },
        "live_watchers": web.live.watchers(),
    })
}

pub(super) async fn detailed(State(web): State<Arc<Web>>, visitor: Visitor) -> Response {
    let now = clock::now();
    let (ready, message) = web.ready(now);
    health(ready, shown(sees_all(&visitor), ready, &message), &details(&web, &visitor, now))
}

/// `/api/hub`: the same for programs that want an answer in any case: 200, also while the hub is not ready.
pub(super) async fn api(State(web): State<Arc<Web>>, visitor: Visitor, headers: HeaderMap) -> Response {
    let now = clock::now();
    let (ready, message) = web.ready(now);
    let mut told = details(&web, &visitor, now);
    told["time"] = Json::from(rfc3339(now.utc_ms));
    told["started_at"] = Json::from(rfc3339(web.started.utc_ms));
    told["ready"] = Json::from(ready);
    told["message"] = Json::from(shown(sees_all(&visitor), ready, &message));
    answer(&headers, "application/json", told.to_string())
}
