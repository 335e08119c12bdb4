//! `/alerts` and `/alerts/{id}`: what fires, who was told, who has it in hand.
//!
//! Here is what the pages and the JSON (`rest::alerts`) have in common; `list` and `page` are the pages, `act` is what is done there, `around` what else
//! was going on, `api` what the page of one has, as JSON. Acknowledging and muting are a POST to the alert's page and nothing else; a link in a message carries `by`, `since` and `key`, which the
//! page hands on.
//!
//! ```text
//! GET /alerts/274019e265251482?by=crew&since=1795145096120&key=3f0c…     the page, with a form
//! POST /alerts/274019e265251482   do=acknowledge&note=…                  303, back to the page
//! POST /alerts/274019e265251482   do=mute&for=1h&what=appliance          the same
//! ```

mod act;
mod api;
mod around;
mod cause;
mod line;
mod list;
mod page;

pub(super) use act::{NOTE, WHO, change, change_mute, has_to_ask, line, refused, site_of};
pub(super) use api::{around, mute};
pub(super) use line::{told, what};
pub(super) use list::list;
pub(super) use page::{on_call, page};

use super::Web;
use super::api::Form;
use super::venue::Venues;
use super::visitor::Visitor;
use crate::moment::rfc3339;
use rackside_notify::{AlertId, Booked, Held, What};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

fn moment(at: i64) -> String {
    rfc3339(at.max(0) as u64)
}

/// For people: `2026-11-20 03:24:56 UTC`.
fn readable(at: i64) -> String {
    let text = moment(at);
    format!("{} {} UTC", &text[..10], &text[11..19])
}

/// Why nobody is told, in a line.
fn held(held: Option<&Held>) -> String {
    match held {
        None => String::new(),
        Some(Held::NotRouted) => "no route takes it: nobody is told".to_owned(),
        Some(Held::Inhibited(by)) => format!("explained by {by}"),
        Some(Held::Muted(id)) => format!("mute {id}"),
        // Its name may be of other sites as well; `/api/maintenance` has it for who sees them.
        Some(Held::Maintenance(_)) => "maintenance goes on".to_owned(),
        Some(Held::Quiet(until)) => format!("quiet hours until {}", readable(*until)),
        Some(Held::Commissioning) => "its appliance is being set up: nobody is told yet".to_owned(),
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
