//! What Alertmanager sends to a webhook, version 4 of it: for programs that take that already, and for MQTT.
//!
//! A message without alerts (a test, a sign of life, an outage) has one that stands for it, since such programs look at nothing else. Labels and annotations
//! are as the rules have them; where there is a limit, annotations are shortened first, then alerts left out and counted.
//!
//! ```json
//! {"receiver":"crew","status":"firing","alerts":[{"status":"firing",…,"endsAt":"0001-01-01T00:00:00Z",…}],…,"version":"4","groupKey":"…","truncatedAlerts":0}
//! ```

use super::{Letter, rfc3339};
use rackside_notify::{AlertId, Entry, Kind, State, Status};
use serde::Serialize;
use std::collections::BTreeMap;

type Texts = BTreeMap<String, String>;

/// While an alert fires, as Go writes no time at all.
const NEVER: &str = "0001-01-01T00:00:00Z";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Payload<'a> {
    receiver: &'a str,
    status: Status,
    alerts: Vec<Alert<'a>>,
    group_labels: &'a Texts,
    common_labels: Texts,
    common_annotations: Texts,
    #[serde(rename = "externalURL")]
    external_url: &'a str,
    version: &'static str,
    group_key: &'a str,
    truncated_alerts: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Alert<'a> {
    status: &'static str,
    labels: &'a Texts,
    annotations: &'a Texts,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: String,
    fingerprint: String,
}

/// The alerts of a message, or the one that stands for it.
pub(super) fn entries(letter: &Letter) -> Vec<Entry> {
    let message = letter.message;
    if !message.alerts.is_empty() {
        return message.alerts.clone();
    }
    let name = match message.kind {
        Kind::Alerts => "RacksideAlerts",
        Kind::Outage => "RacksideOutage",
        Kind::Test => "RacksideTest",
        Kind::Heartbeat => "RacksideStillWatching",
    };
    let severity = match message.kind {
        Kind::Test | Kind::Heartbeat => rackside_notify::Severity::Info,
        Kind::Alerts | Kind::Outage => rackside_notify::Severity::Critical,
    };
    let mut labels = message.group_labels.clone();
    labels.insert("alertname".to_owned(), name.to_owned());
    labels.insert("severity".to_owned(), severity.as_str().to_owned());
    let annotations = [("summary", &letter.view.what), ("description", &letter.view.text)];
    let annotations = annotations.into_iter().filter(|(_, text)| !text.is_empty());
    let over = message.status == Status::Resolved;
    let pairs = labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    vec![Entry {
        id: AlertId::of(&rackside_promql::Labels::new(pairs)),
        annotations: annotations.map(|(name, text)| (name.to_owned(), text.clone())).collect(),
        labels,
        value: f64::NAN,
        state: if over { State::Resolved } else { State::Firing },
        starts_at: message.at,
        ends_at: over.then_some(message.at),
        severity,
        on_air: None,
        acknowledged: None,
        flapping: false,
        query: String::new(),
    }]
}

/// The payload in at most so many bytes.
pub(super) fn json(letter: &Letter, limit: usize) -> Vec<u8> {
    let mut entries = entries(letter);
    let mut left_out = letter.message.truncated;
    let mut group = (letter.message.group_key.clone(), letter.message.group_labels.clone());
    let mut steps = [1_000, 100].into_iter();
    loop {
        let json = written(letter, &entries, &group, left_out);
        if json.len() <= limit || entries.is_empty() {
            return json;
        }
        if let Some(most) = steps.next() {
            group.0 = super::text::cut(&group.0, most, super::text::units);
            shorten(&mut group.1, most);
            for entry in &mut entries {
                shorten(&mut entry.annotations, most);
                shorten(&mut entry.labels, most);
            }
        } else {
            let kept = entries.len() / 2;
            left_out += entries.len() - kept;
            entries.truncate(kept);
        }
    }
}

/// Cuts values that are longer than that, and keeps 64 at most, none whose name is a text itself.
fn shorten(texts: &mut Texts, most: usize) {
    texts.retain(|name, _| name.len() <= 100);
    while texts.len() > 64 {
        texts.pop_last();
    }
    for text in texts.values_mut().filter(|text| text.chars().nth(most).is_some()) {
        *text = super::text::cut(text, most, super::text::units);
    }
}

fn written(letter: &Letter, entries: &[Entry], group: &(String, Texts), truncated_alerts: usize) -> Vec<u8> {
    let external_url = letter.receiver.external_url.trim_end_matches('/');
    let alerts = entries.iter().map(|entry| Alert {
        status: if entry.state == State::Resolved { "resolved" } else { "firing" },
        labels: &entry.labels,
        annotations: &entry.annotations,
        starts_at: rfc3339(entry.starts_at),
        ends_at: match (entry.state, entry.ends_at) {
            (State::Resolved, end) => rfc3339(end.unwrap_or(letter.message.at)),
            _ => NEVER.to_owned(),
        },
        generator_url: page(external_url, letter, entry),
        fingerprint: entry.id.to_string(),
    });
    let payload = Payload {
        receiver: &letter.receiver.name,
        status: letter.message.status,
        alerts: alerts.collect(),
        group_labels: &group.1,
        common_labels: common(entries.iter().map(|entry| &entry.labels)),
        common_annotations: common(entries.iter().map(|entry| &entry.annotations)),
        external_url,
        version: "4",
        group_key: &group.0,
        truncated_alerts,
    };
    serde_json::to_vec(&payload).expect("text, numbers and lists of them are JSON")
}

/// The page of an alert, if it has one.
pub(super) fn page(external_url: &str, letter: &Letter, entry: &Entry) -> String {
    let has_none = letter.message.alerts.is_empty() || external_url.is_empty();
    if has_none { String::new() } else { format!("{external_url}/alerts/{}", entry.id) }
}

/// What all have alike.
fn common<'a>(mut sets: impl Iterator<Item = &'a Texts>) -> Texts {
    let mut common = sets.next().cloned().unwrap_or_default();
    for set in sets {
        common.retain(|name, value| set.get(name) == Some(value));
    }
    common
}
