//! `/api/receivers`, and the same on `/alerts`: how each receiver fares, and what it never got.
//!
//! Invariant: no secret, and no address, is shown; what went wrong was freed of them where it was found out.
//!
//! ```json
//! {"receivers": [{"name": "crew", "kind": "slack", "queued": 2, "last_error": {"at": "…", "why": "it answered 503"}, "failures": [], …}]}
//! ```

use super::Web;
use super::accept::answer;
use super::api::Form;
use super::problem::Problem;
use super::rest::paging::Paging;
use super::rest::tag;
use super::visitor::Visitor;
use crate::moment::{rfc3339, span};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use rackside_notify::{Nowhere, Trial};
use rackside_receivers::Outcome;
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

/// For `/settings`.
pub(super) fn settings(web: &Web, now: i64) -> Vec<rackside_pages::settings::Receiver> {
    let line = |(one, failures): &(ReceiverStatus, Vec<Failure>)| {
        let Line { name, kind, well, says, .. } = Line::of(one, failures, now);
        let state = if well { "well" } else { "critical" };
        let (path, kind, tested) = (super::admit::escaped(&name), kind.to_owned(), String::new());
        rackside_pages::settings::Receiver { path, name, kind, state, says, tested, is_delivered: false }
    };
    all(web).iter().map(line).collect()
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

/// What came of a test message at one receiver.
pub(super) struct Tried {
    /// Which; a cluster of Alertmanagers has several.
    pub(super) receiver: Arc<str>,
    /// Why it did not arrive, if it did not.
    pub(super) why: Option<String>,
}

impl Web {
    /// Sends a test message past the queue, by the courier of that receiver; nothing, if there is none of that name.
    pub(super) async fn try_out(&self, name: &str) -> Option<Vec<Tried>> {
        let target = Trial::Receiver(name.to_owned());
        let outgoing = self.notifications.with(|notifier, now| notifier.test(&target, now, &Nowhere))?;
        let office = self.notifications.office();
        let mut tried = Vec::new();
        for one in office.spread(outgoing) {
            let why = match office.couriers().send_once(&one.receiver, one.message).await {
                Some(Outcome::Delivered) => None,
                Some(
                    Outcome::Retry { why, .. }
                    | Outcome::Final { why, .. }
                    | Outcome::Elsewhere { why, .. }
                    | Outcome::Stumbles { why, .. }
                    | Outcome::Plainer { why },
                ) => Some(why),
                None => {
                    Some("it has no courier: its configuration is not good, the log says more".to_owned())
                }
            };
            tried.push(Tried { receiver: one.receiver, why });
        }
        Some(tried)
    }
}

/// `POST /api/receivers/{name}/test`: what its server said.
pub(super) async fn test(
    State(web): State<Arc<Web>>,
    Path(name): Path<String>,
    visitor: Visitor,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let tried = web.try_out(&name).await;
    let tried = tried.ok_or_else(|| Problem::not_found(format!("there is no receiver {name:?}")))?;
    log::info!("users: {} sent a test message to {name}", visitor.shown());
    let each = tried
        .iter()
        .map(|one| json!({ "name": &*one.receiver, "delivered": one.why.is_none(), "why": one.why }));
    let json = json!({ "receivers": each.collect::<Vec<_>>() });
    Ok(answer(&headers, "application/json", json.to_string()))
}

pub(super) async fn list(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let paging = Paging::of(&Form::of_address(&uri))?;
    // They are the hub's, and what they carry is of any site.
    let mut all = if visitor.only().is_none() { all(&web) } else { Vec::new() };
    all.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
    let (page, next) = paging.cut(all, |(one, _)| one.name.to_string())?;
    let receivers: Vec<Json> = page.iter().map(|(one, failures)| json(one, failures)).collect();
    let body = json!({ "receivers": receivers, "next": next }).to_string();
    Ok(tag::json(&headers, body.clone(), &body))
}
