//! `/api/on_call`: who is on call now, by team, and until when.
//!
//! ```json
//! {"teams":[{"team":"crew","who":["first"],"until":"2026-11-23T08:00:00.000Z","time_zone":"Europe/Berlin"}]}
//! ```

use super::moment;
use super::tag;
use crate::web::Web;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use rackside_notify::Notifier;
use serde_json::{Value as Json, json};
use std::sync::Arc;

/// Who is on call, by team.
pub(in crate::web) fn teams(notifier: &Notifier, now: i64) -> Vec<Json> {
    let teams = notifier.policy().teams.iter().map(|team| {
        json!({
            "team": &*team.name,
            "who": team.on_call(now).iter().map(|who| &**who).collect::<Vec<_>>(),
            "until": team.next_edge(now).map(moment::text),
            "time_zone": team.zone.name(),
        })
    });
    teams.collect()
}

pub(in crate::web) async fn list(State(web): State<Arc<Web>>, headers: HeaderMap) -> Response {
    let teams = web.notifications.look(teams);
    let body = json!({ "teams": teams }).to_string();
    tag::json(&headers, body.clone(), &body)
}
