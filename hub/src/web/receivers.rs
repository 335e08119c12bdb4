//! `/api/receivers`, and the same on `/alerts`: how each receiver fares, and what it never got.
//!
//! Invariant: no secret, and no address, is shown; what went wrong was freed of them where it was found out.
//!
//! ```json
//! {"receivers": [{"name": "crew", "kind": "slack", "queued": 2, "last_error": {"at": "…", "why": "it answered 503"}, "failures": [], …}]}
//! ```

use super::Web;
use super::accept::answer;
use crate::moment::{rfc3339, span};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use rackside_receivers::outbox::{End, Failure};
use rackside_receivers::worker::{Aside, ReceiverStatus};
use serde::Serialize;
use serde_json::{Value as Json, json};
use std::sync::Arc;

/// Failures of a receiver that the page shows; the JSON has all that are kept.
const SHOWN: usize = 5;

/// A receiver on the page.
#[derive(Serialize)]
pub(super) struct Line {
    name: String,
    kind: &'static str,
    well: bool,
    says: String,
    failures: Vec<String>,
}

fn all(web: &Web) -> Vec<(ReceiverStatus, Vec<Failure>)> {
    let office = web.notifications.office();
    let receivers = office.couriers().status().into_iter();
    receivers
        .map(|one| (office.outbox().failures(&one.name), one))
        .map(|(failed, one)| (one, failed))
        .collect()
}

/// For the page.
pub(super) fn lines(web: &Web, now: i64) -> Vec<Line> {
    all(web).iter().map(|(one, failures)| Line::of(one, failures, now)).collect()
}

/// What is wrong with receivers, in a line; nothing, if nothing is.
pub(super) fn trouble(web: &Web, now: i64) -> String {
    let ill = lines(web, now).into_iter().filter(|line| !line.well);
    ill.map(|line| format!("{}: {}.", line.name, line.says)).collect::<Vec<_>>().join(" ")
}

fn ago(at: i64, now: i64) -> String {
    format!("{} ago", span(now.saturating_sub(at).max(0) as u64))
}

fn end(end: End) -> &'static str {
    match end {
        End::Refused => "refused",
        End::GivenUp => "given up",
    }
}

impl Line {
    fn of(one: &ReceiverStatus, failures: &[Failure], now: i64) -> Self {
        let mut says = vec![format!("{} wait, {} delivered", one.queued, one.delivered)];
        says.extend(one.last_delivered_at.map(|at| format!("the last {}", ago(at, now))));
        if let Some(error) = &one.last_error {
            let over = if one.recovered { ", over since" } else { "" };
            says.push(format!("{}: {}{over}", ago(error.at, now), error.why));
        }
        says.extend(
            one.aside.iter().map(|aside| {
                format!("set aside {}, behind what else comes: {}", ago(aside.at, now), aside.why)
            }),
        );
        let next = one.next_try_at.filter(|_| one.queued > 0);
        says.extend(next.map(|at| format!("next try in {}", span(at.saturating_sub(now).max(0) as u64))));
        says.extend(
            one.disabled.as_ref().map(|_| "nothing is sent there until its configuration changes".to_owned()),
        );
        says.extend(
            one.moved_to.map(|chat| format!("its group is {chat} now: put that into the configuration")),
        );
        let failed = |one: &Failure| format!("{} {}: {}", end(one.end), ago(one.at, now), one.why);
        Self {
            name: one.name.to_string(),
            kind: one.kind.as_str(),
            well: one.disabled.is_none()
                && one.aside.is_empty()
                && (one.last_error.is_none() || one.recovered),
            says: says.join("; "),
            failures: failures.iter().take(SHOWN).map(failed).collect(),
        }
    }
}

fn moment(at: i64) -> String {
    rfc3339(at.max(0) as u64)
}

/// A receiver as `/api/receivers` has it.
fn json(one: &ReceiverStatus, failures: &[Failure]) -> Json {
    let failed = |one: &Failure| {
        json!({
            "at": moment(one.at),
            "end": end(one.end),
            "why": one.why,
            "alerts": one.message.alerts.iter().map(|entry| entry.id.to_string()).collect::<Vec<_>>(),
        })
    };
    let aside = |one: &Aside| json!({ "at": moment(one.at), "why": one.why });
    json!({
        "name": &*one.name,
        "kind": one.kind.as_str(),
        "queued": one.queued,
        "oldest_at": one.oldest.map(moment),
        "delivered": one.delivered,
        "refused": one.refused,
        "given_up": one.given_up,
        "retries": one.retries,
        "set_aside": one.aside.iter().map(aside).collect::<Vec<_>>(),
        "last_delivered_at": one.last_delivered_at.map(moment),
        "last_error": one.last_error.as_ref().map(|error| json!({ "at": moment(error.at), "why": error.why })),
        "recovered": one.recovered,
        "next_try_at": one.next_try_at.map(moment),
        "disabled": one.disabled,
        "moved_to": one.moved_to,
        "failures": failures.iter().map(failed).collect::<Vec<_>>(),
    })
}

pub(super) async fn list(State(web): State<Arc<Web>>, headers: HeaderMap) -> Response {
    let receivers: Vec<Json> = all(&web).iter().map(|(one, failures)| json(one, failures)).collect();
    answer(&headers, "application/json", json!({ "receivers": receivers }).to_string())
}
