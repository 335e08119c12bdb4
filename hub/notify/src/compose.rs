//! Messages made of what is in the book: entries in a fixed order, cut at a bound, with the sites that they are about.
//!
//! Sample: 130 alerts of a group: 100 entries, `truncated` 30, `firing` and `resolved` counted over all.

use std::collections::{BTreeMap, BTreeSet};

use rackside_promql::Labels;

use crate::book::Booked;
use crate::message::{
    Entry, Kind, MOST_ALERTS, MOST_SITES, Message, MessageId, Severity, SiteFacts, State, Status,
};
use crate::world::World;

/// An alert as a message has it.
pub(crate) fn entry(booked: &Booked, world: &dyn World) -> Entry {
    let is_over = !booked.counts_as_firing();
    let state = match booked.state {
        State::Resolved | State::Pending if is_over => State::Resolved,
        State::Resolved | State::Pending => State::Firing,
        state => state,
    };
    Entry {
        id: booked.id,
        labels: pairs(&booked.labels),
        annotations: booked.annotations.clone(),
        value: booked.value,
        state,
        starts_at: booked.starts_at,
        ends_at: booked.ends_at.filter(|_| is_over),
        severity: booked.severity,
        on_air: (!booked.site().is_empty()).then(|| world.on_air(booked.site())),
        acknowledged: booked.acknowledged.clone(),
        flapping: booked.flaps.since.is_some(),
        query: world.query(booked.name()),
    }
}

/// Labels as a map.
pub(crate) fn pairs(labels: &Labels) -> BTreeMap<String, String> {
    labels.iter().map(|label| (label.name.to_string(), label.value.to_string())).collect()
}

/// What a message is about, apart from its alerts.
pub(crate) struct Frame<'a> {
    pub(crate) id: MessageId,
    pub(crate) kind: Kind,
    pub(crate) at: i64,
    pub(crate) group_key: String,
    pub(crate) group_labels: BTreeMap<String, String>,
    pub(crate) route: &'a str,
    pub(crate) escalation: usize,
}

/// A message about no alert.
pub(crate) fn empty(frame: Frame<'_>) -> Message {
    Message {
        id: frame.id,
        kind: frame.kind,
        at: frame.at,
        group_key: frame.group_key,
        group_labels: frame.group_labels,
        route: frame.route.to_owned(),
        status: Status::Resolved,
        alerts: Vec::new(),
        truncated: 0,
        firing: 0,
        resolved: 0,
        cause: None,
        explains: 0,
        escalation: frame.escalation,
        sites: Vec::new(),
        site_count: 0,
    }
}

/// A message about these alerts.
pub(crate) fn message(frame: Frame<'_>, mut alerts: Vec<Entry>, world: &dyn World) -> Message {
    alerts.sort_by(|one, other| order(one).cmp(&order(other)));
    let resolved = alerts.iter().filter(|entry| entry.state == State::Resolved).count();
    let firing = alerts.len() - resolved;
    let names: BTreeSet<&str> =
        alerts.iter().filter_map(|entry| entry.labels.get("site")).map(String::as_str).collect();
    let site_count = names.len();
    let sites: Vec<SiteFacts> =
        names.into_iter().take(MOST_SITES).filter_map(|site| world.site(site)).collect();
    let truncated = alerts.len().saturating_sub(MOST_ALERTS);
    alerts.truncate(MOST_ALERTS);
    let status = if firing > 0 { Status::Firing } else { Status::Resolved };
    Message { status, alerts, truncated, firing, resolved, sites, site_count, ..empty(frame) }
}

/// Firing ones first, then the worst, then by their labels.
fn order(entry: &Entry) -> (bool, std::cmp::Reverse<Severity>, &BTreeMap<String, String>) {
    (entry.state == State::Resolved, std::cmp::Reverse(entry.severity), &entry.labels)
}
