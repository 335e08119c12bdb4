//! Events API v2 of `PagerDuty`: a group is an incident; it is triggered, acknowledged when all of its alerts are, and resolved.
//!
//! ```json
//! {"routing_key":"…","event_action":"trigger","dedup_key":"on air:{site=\"hall\"}","payload":{"summary":"…","severity":"critical",…}}
//! ```

use super::text::{cut, units};
use super::{Letter, post_json, rfc3339, short_hash, verdict};
use crate::{Answer, Hidden, HttpParcel, Outcome};
use rackside_notify::{Message, State, Status};
use serde::Deserialize;
use serde_json::{Map, Value, json};

const SUMMARY: usize = 1_024;
const DEDUP_KEY: usize = 255;
/// Far below the 512 kB of an event, and more than anybody reads.
const DETAILS: usize = 10_000;

pub(super) fn parcel(letter: &Letter, server: &str, routing_key: &Hidden) -> HttpParcel {
    let (message, view) = (letter.message, &letter.view);
    let action = action(message);
    let mut event = json!({
        "routing_key": routing_key.expose(),
        "event_action": action,
        "dedup_key": dedup_key(message),
    });
    if action == "trigger" {
        let alert = view.alerts.first();
        let source =
            alert.map_or("rackside", |alert| if alert.site.is_empty() { "rackside" } else { &alert.site });
        let label = |name: &str| {
            let labels = alert.map(|alert| alert.labels.iter());
            labels.into_iter().flatten().find(|label| label.name == name).map(|label| label.value.clone())
        };
        let began = message.alerts.iter().filter(|entry| entry.state != State::Resolved);
        let began = began.map(|entry| entry.starts_at).min().unwrap_or(message.at);
        event["payload"] = json!({
            "summary": letter.title(SUMMARY, units),
            "source": source,
            "severity": view.severity,
            "timestamp": rfc3339(began),
            "component": alert.map(|alert| alert.appliance.clone()).unwrap_or_default(),
            "group": source,
            "class": label("component").unwrap_or_default(),
            "custom_details": details(letter),
        });
        event["client"] = Value::from("Rackside");
        if !view.url.is_empty() {
            event["client_url"] = Value::from(view.url.as_str());
        }
        let links = letter.links().into_iter().map(|(label, url)| json!({"href": url, "text": label}));
        event["links"] = links.collect();
    }
    post_json(format!("{}/v2/enqueue", server.trim_end_matches('/')), &event)
}

/// The words, and the labels of an alert that is alone.
fn details(letter: &Letter) -> Map<String, Value> {
    let mut details = Map::new();
    details.insert("message".to_owned(), Value::from(letter.body(DETAILS, units)));
    if let [alert] = letter.view.alerts.as_slice() {
        let labels = alert.labels.iter().map(|label| (label.name.clone(), Value::from(label.value.as_str())));
        details.insert("labels".to_owned(), Value::Object(labels.collect()));
    }
    details
}

fn action(message: &Message) -> &'static str {
    let mut open = message.alerts.iter().filter(|entry| entry.state != State::Resolved).peekable();
    let acknowledged = message.truncated == 0
        && open.peek().is_some()
        && open.all(|entry| entry.state == State::Acknowledged);
    match message.status {
        Status::Resolved => "resolve",
        Status::Firing if acknowledged => "acknowledge",
        Status::Firing => "trigger",
    }
}

/// The group's key; one that is too long ends in its hash.
fn dedup_key(message: &Message) -> String {
    let key = &message.group_key;
    if key.trim().is_empty() {
        return format!("rackside {}", message.id);
    }
    if key.chars().count() <= DEDUP_KEY && !key.chars().any(char::is_control) {
        return key.clone();
    }
    let plain: String = key.chars().filter(|c| !c.is_control()).take(200).collect();
    format!("{plain} {}", short_hash(&[key]))
}

#[derive(Deserialize)]
struct Reply {
    #[serde(default)]
    message: String,
    #[serde(default)]
    errors: Vec<String>,
}

pub(super) fn judge(answer: &Answer) -> Outcome {
    match serde_json::from_slice::<Reply>(answer.body) {
        Ok(reply) => {
            let said = format!("{} {}", reply.message, reply.errors.join("; "));
            verdict::by_status_saying(answer, &cut(&said, 1_000, units))
        }
        Err(_) => verdict::by_status(answer),
    }
}
