//! An Alertmanager's API v2: the alerts themselves, for it to route, group and tell.
//!
//! An alert that fires is sent with the end that it has if nothing more is heard of it (`stands`), so it has to be sent again before that. Its
//! identity is its labels: empty ones and names that Alertmanager would refuse are left out, since one of them would have the whole lot refused.
//!
//! ```json
//! [{"labels":{"alertname":"SocHot",…},"annotations":{…},"startsAt":"2026-11-20T02:12:00Z","endsAt":"2026-11-20T02:20:00Z","generatorURL":"…"}]
//! ```

use super::{Letter, authorize, payload, post_json, rfc3339};
use crate::{Hidden, HttpParcel};
use rackside_notify::{Entry, State};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

pub(super) fn parcel(
    letter: &Letter,
    server: &Hidden,
    authorization: Option<&Hidden>,
    stands: Duration,
) -> HttpParcel {
    let entries = payload::entries(letter);
    let alerts: Vec<Value> = entries.iter().map(|entry| alert(letter, entry, stands)).collect();
    let url = format!("{}/api/v2/alerts", server.expose().trim_end_matches('/'));
    let mut parcel = post_json(url, &alerts);
    authorize(&mut parcel, authorization);
    parcel
}

fn alert(letter: &Letter, entry: &Entry, stands: Duration) -> Value {
    let now = letter.extras.now;
    let end = match (entry.state, entry.ends_at) {
        (State::Resolved, end) => end.unwrap_or(now).min(now),
        _ => now.saturating_add(i64::try_from(stands.as_millis()).unwrap_or(i64::MAX / 2)),
    };
    let mut labels = named(&entry.labels);
    if labels.is_empty() {
        labels.insert("alertname".to_owned(), Value::from("Rackside"));
    }
    let mut alert = json!({
        "labels": labels,
        "annotations": named(&entry.annotations),
        "startsAt": rfc3339(entry.starts_at),
        "endsAt": rfc3339(end.max(entry.starts_at)),
    });
    let page = payload::page(letter.receiver.external_url.trim_end_matches('/'), letter, entry);
    if !page.is_empty() {
        alert["generatorURL"] = Value::from(page);
    }
    alert
}

/// Those that Alertmanager takes: with a name of `[a-zA-Z_][a-zA-Z0-9_]*` and a value.
fn named(texts: &BTreeMap<String, String>) -> Map<String, Value> {
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let taken = texts.iter().filter(|(name, value)| is_name(name) && !value.is_empty());
    taken.map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect()
}
