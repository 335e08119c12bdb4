//! `/alerts`, `/alerts/{id}` and `/api/alerts`: what fires, who was told, who has it in hand.
//!
//! Acknowledging is a POST to the alert's page and nothing else; `admit` says who may. A link in a message carries `by`, `since` and `key`, which the
//! page hands on.
//!
//! ```text
//! GET /alerts/274019e265251482?by=crew&since=1795145096120&key=3f0c…     the page, with a form
//! POST /alerts/274019e265251482   do=acknowledge&who=desk&note=…         303, back to the page
//! ```

use super::accept::{answer, wants_page};
use super::api::Form;
use super::visitor::Visitor;
use super::{Web, missing, receivers};
use crate::clock::{self, Now};
use crate::moment::{rfc3339, span};
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Request, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rackside_access::Right;
use rackside_notify::{AlertId, Booked, Held, State as At, What};
use rackside_pages::{Frame, Here};
use rackside_receivers::runbook;
use serde::Serialize;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most characters of a name, and of a note.
const WHO: usize = 80;
const NOTE: usize = 500;

/// An alert in the list.
#[derive(Serialize)]
struct Line {
    id: String,
    word: &'static str,
    severity: &'static str,
    fires: bool,
    name: String,
    place: String,
    summary: String,
    since: String,
    held: String,
}

#[derive(Serialize)]
struct List {
    empty: bool,
    told: bool,
    lines: Vec<Line>,
    receivers: Vec<receivers::Line>,
    frame: Frame,
}

#[derive(Serialize)]
struct Label {
    name: String,
    value: String,
}

#[derive(Serialize)]
struct Event {
    at: String,
    what: String,
}

/// An alert's own page.
#[derive(Serialize)]
struct Page {
    line: Line,
    description: String,
    runbook: String,
    value: String,
    on_air: &'static str,
    since_at: String,
    until: String,
    acknowledged: String,
    can_acknowledge: bool,
    can_release: bool,
    may: bool,
    why_not: String,
    by: String,
    since: String,
    key: String,
    labels: Vec<Label>,
    history: Vec<Event>,
    frame: Frame,
}

fn word(at: At) -> &'static str {
    at.as_str()
}

fn moment(at: i64) -> String {
    rfc3339(at.max(0) as u64)
}

/// For people: `2026-11-20 03:24:56 UTC`.
fn readable(at: i64) -> String {
    let text = moment(at);
    format!("{} {} UTC", &text[..10], &text[11..19])
}

fn ago(at: i64, now: Now) -> String {
    span((now.utc_ms as i64).saturating_sub(at).max(0) as u64)
}

/// Why nobody is told, in a line.
fn held(held: Option<&Held>) -> String {
    match held {
        None => String::new(),
        Some(Held::NotRouted) => "no route takes it: nobody is told".to_owned(),
        Some(Held::Inhibited(by)) => format!("explained by {by}"),
        Some(Held::Muted(id)) => format!("mute {id}"),
        Some(Held::Maintenance(name)) => format!("maintenance: {name}"),
        Some(Held::Quiet(until)) => format!("quiet hours until {}", readable(*until)),
        Some(Held::Outage) => "told as a part of an outage".to_owned(),
        Some(Held::Unknown) => "its appliance is not heard: nobody knows whether it still holds".to_owned(),
        Some(Held::CutOff) => "the hub itself reaches nothing: whoever is gone may be well".to_owned(),
    }
}

fn happened(what: &What) -> String {
    match what {
        What::Pending => "begins".to_owned(),
        What::Firing => "fires".to_owned(),
        What::Unknown => "nobody knows any more: its appliance is not heard".to_owned(),
        What::Heard => "its appliance is heard again, and it still fires".to_owned(),
        What::Resolved => "is over".to_owned(),
        What::Dropped => "is over: its rule was changed, or has too many alerts".to_owned(),
        What::Acknowledged { by, note } if note.is_empty() => format!("{by} has it in hand"),
        What::Acknowledged { by, note } => format!("{by} has it in hand: {note}"),
        What::Unacknowledged => "nobody has it in hand any more".to_owned(),
        What::Flapping => "goes up and down too often to be told each time".to_owned(),
        What::Steady => "has been quiet for long enough".to_owned(),
        What::Told { receiver, state, escalation, .. } => {
            let step = if *escalation > 0 {
                format!(", step {escalation} of the escalation")
            } else {
                String::new()
            };
            format!("{receiver} is told: {}{step}", state.as_str())
        }
    }
}

impl Line {
    fn of(alert: &Booked, now: Now) -> Self {
        let appliance = alert.appliance();
        let dash = if appliance.is_empty() { "" } else { "/" };
        let until = alert.ends_at.map_or_else(String::new, |at| format!(", over for {}", ago(at, now)));
        Self {
            id: alert.id.to_string(),
            word: word(alert.state),
            severity: alert.severity.as_str(),
            fires: alert.fires(),
            name: alert.name().to_owned(),
            place: format!("{}{dash}{appliance}", alert.site()),
            summary: alert.annotations.get("summary").cloned().unwrap_or_default(),
            since: format!("{}{until}", ago(alert.starts_at, now)),
            held: held(alert.held.as_ref()),
        }
    }
}

/// All alerts, what needs somebody first.
fn sorted(web: &Web) -> Vec<Booked> {
    let mut alerts: Vec<Booked> = web.notifications.look(|notifier, _| notifier.alerts().cloned().collect());
    let rank = |alert: &Booked| match alert.state {
        At::Firing => 0,
        At::Unknown => 1,
        At::Acknowledged => 2,
        At::Pending => 3,
        At::Resolved => 4,
    };
    alerts.sort_by_key(|alert| {
        (rank(alert), std::cmp::Reverse(alert.severity), std::cmp::Reverse(alert.starts_at))
    });
    alerts
}

pub(super) async fn list(State(web): State<Arc<Web>>, visitor: Visitor, headers: HeaderMap) -> Response {
    let writing = tokio::task::spawn_blocking(move || {
        let now = clock::now();
        let lines: Vec<Line> = sorted(&web).iter().map(|alert| Line::of(alert, now)).collect();
        let told = web.notifications.look(|notifier, _| !notifier.policy().receivers.is_empty());
        let receivers = receivers::lines(&web, now.utc_ms as i64);
        let frame = web.frame("Alerts", Here::Alerts, &visitor);
        let list = List { empty: lines.is_empty(), told, lines, receivers, frame };
        answer(&headers, "text/html; charset=utf-8", rackside_pages::render("alerts", &list))
    });
    writing.await.expect("writing the page does not panic, and is not cancelled")
}

pub(super) async fn api(State(web): State<Arc<Web>>, headers: HeaderMap) -> Response {
    let writing = tokio::task::spawn_blocking(move || {
        let alerts: Vec<Json> = sorted(&web).iter().map(json).collect();
        answer(&headers, "application/json", json!({ "alerts": alerts }).to_string())
    });
    writing.await.expect("writing JSON does not panic, and is not cancelled")
}

/// An alert as `/api/alerts` has it.
pub(super) fn json(alert: &Booked) -> Json {
    let labels: BTreeMap<&str, &str> =
        alert.labels.iter().map(|label| (&*label.name, &*label.value)).collect();
    let history: Vec<Json> = alert
        .history
        .iter()
        .map(|event| json!({ "at": moment(event.at), "what": happened(&event.what) }))
        .collect();
    json!({
        "id": alert.id.to_string(),
        "state": alert.state.as_str(),
        "severity": alert.severity.as_str(),
        "labels": labels,
        "annotations": alert.annotations,
        "value": if alert.value.is_finite() { json!(alert.value) } else { json!(alert.value.to_string()) },
        "active_at": moment(alert.active_at),
        "starts_at": moment(alert.starts_at),
        "ends_at": alert.ends_at.map(moment),
        "unknown_since": alert.unknown_since.map(moment),
        "acknowledged": alert.acknowledged.as_ref().map(|by| json!({ "by": by.by, "at": moment(by.at), "note": by.note })),
        "held": alert.held.as_ref().map(|why| held(Some(why))),
        "history": history,
    })
}

/// Whose link it is, if it is somebody's and of this alert as it fires now.
fn sent_to(web: &Web, alert: &Booked, form: &Form) -> Option<String> {
    let (by, since, key) = (form.first("by"), form.first("since"), form.first("key"));
    let since: i64 = since.parse().ok().filter(|since| *since == alert.starts_at)?;
    web.links.signed(alert.id, since, by, key).then(|| by.to_owned())
}

fn booked(web: &Web, id: &str) -> Option<Booked> {
    let id: AlertId = id.parse().ok()?;
    web.notifications.look(|notifier, _| notifier.alert(id).cloned())
}

pub(super) async fn alert(
    State(web): State<Arc<Web>>,
    Path(id): Path<String>,
    visitor: Visitor,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let Some(alert) = booked(&web, &id) else { return missing::not_found(headers, uri).await };
    let form = Form::of_address(&uri);
    let may = visitor.may(Right::Act) || sent_to(&web, &alert, &form).is_some();
    let why_not = match (may, form.first("key").is_empty()) {
        (true, _) => "",
        (false, true) => {
            "To say that you have it in hand, log in as an operator, or open the link in the message that told you."
        }
        (false, false) => "The link that you came by is of another time; this alert has fired anew since.",
    };
    let why_not = why_not.to_owned();
    let body = rackside_pages::render("alert", &shown(&web, &alert, &form, &visitor, why_not));
    answer(&headers, "text/html; charset=utf-8", body)
}

fn shown(web: &Web, alert: &Booked, form: &Form, visitor: &Visitor, why_not: String) -> Page {
    let may = why_not.is_empty();
    let now = clock::now();
    let on_air = alert.site().parse().ok().and_then(|site| web.on_air.view(&site, now));
    let text = |name: &str| alert.annotations.get(name).cloned().unwrap_or_default();
    let acknowledged = alert.acknowledged.as_ref().map(|by| {
        let note = if by.note.is_empty() { String::new() } else { format!(": {}", by.note) };
        format!("{} since {}{note}", by.by, readable(by.at))
    });
    let line = Line::of(alert, now);
    let title = format!("{} {}", line.name, line.place);
    Page {
        line,
        description: text("description"),
        runbook: runbook::said(&text("runbook")),
        value: alert.value.to_string(),
        on_air: match on_air.map(|view| view.on_air()) {
            Some(true) => "on air",
            Some(false) => "off air",
            None => "",
        },
        since_at: readable(alert.starts_at),
        until: alert.ends_at.map(readable).unwrap_or_default(),
        can_acknowledge: may && alert.fires() && alert.acknowledged.is_none(),
        can_release: may && alert.fires() && alert.acknowledged.is_some(),
        acknowledged: acknowledged.unwrap_or_default(),
        may,
        why_not,
        by: form.first("by").to_owned(),
        since: form.first("since").to_owned(),
        key: form.first("key").to_owned(),
        labels: alert
            .labels
            .iter()
            .map(|label| Label { name: label.name.to_string(), value: label.value.to_string() })
            .collect(),
        history: alert
            .history
            .iter()
            .rev()
            .map(|event| Event { at: readable(event.at), what: happened(&event.what) })
            .collect(),
        frame: web.frame(&title, Here::Alerts, visitor),
    }
}

pub(super) async fn change(
    State(web): State<Arc<Web>>,
    Path(id): Path<String>,
    visitor: Visitor,
    request: Request<Body>,
) -> Response {
    let (headers, uri) = (request.headers().clone(), request.uri().clone());
    let Ok(form) = Form::read(request).await else {
        return refused(StatusCode::BAD_REQUEST, "the form cannot be read");
    };
    let Some(alert) = booked(&web, &id) else { return missing::not_found(headers, uri).await };
    let link = sent_to(&web, &alert, &form);
    if link.is_none() && !visitor.may(Right::Act) {
        return refused(
            StatusCode::FORBIDDEN,
            "open the link in the newest message that told you of this alert",
        );
    }
    let who = line(form.first("who"), WHO);
    let by = match (who.is_empty(), link) {
        // Whoever is logged in is who they are.
        (_, None) if visitor.name.is_some() => visitor.shown().to_owned(),
        (false, Some(link)) => format!("{who} ({link})"),
        (false, None) => who,
        (true, Some(link)) => link,
        (true, None) => return refused(StatusCode::BAD_REQUEST, "say who you are: `who` is empty"),
    };
    let note = line(form.first("note"), NOTE);
    let done = web.notifications.with(|notifier, now| match form.first("do") {
        "acknowledge" => Some(notifier.acknowledge(alert.id, &by, &note, now)),
        "release" => Some(notifier.unacknowledge(alert.id, now)),
        _ => None,
    });
    match done {
        None => refused(StatusCode::BAD_REQUEST, "`do` is acknowledge or release"),
        Some(false) => refused(StatusCode::CONFLICT, "it is over, or nobody has it in hand"),
        Some(true) if wants_page(&headers) => {
            let back =
                format!("{}{}", uri.path(), uri.query().map(|query| format!("?{query}")).unwrap_or_default());
            (StatusCode::SEE_OTHER, [(header::LOCATION, back)]).into_response()
        }
        Some(true) => StatusCode::NO_CONTENT.into_response(),
    }
}

/// One line of so many characters at most.
fn line(text: &str, most: usize) -> String {
    let text = text.replace(char::is_control, " ");
    text.trim().chars().take(most).collect()
}

/// For people and programs alike.
pub(super) fn refused(code: StatusCode, why: &str) -> Response {
    (code, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], format!("{why}\n")).into_response()
}
