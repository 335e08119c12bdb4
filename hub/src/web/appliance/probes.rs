//! The probes of an appliance: how each stands, since when, how long it took, and what went wrong last.
//!
//! What a box that is gone said last is not how its probes stand now: of those nobody knows, and the page says since when and how they stood.
//!
//! ```text
//! encoder  http  failed   since 14:02 (1 h)   took 5 s    connection refused, 15:31:07
//! main     rtmp  unknown  since 15:32         was well
//! ```

use super::Subject;
use super::about::when;
use super::charts::in_words;
use crate::clock::Now;
use crate::fleet::Entry;
use crate::moment::{rfc3339, span};
use crate::query::{SeriesName, Since};
use rackside_history::{Happened, LogEntry};
use rackside_pages::appliance::Probe;
use rackside_proto::{Value, metric};
use serde::Serialize;
use std::collections::BTreeMap;

/// How a probe stands, as it is told in JSON; a page has the same in words.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Standing {
    probe: String,
    #[serde(rename = "type")]
    kind: String,
    stream: Option<String>,
    state: &'static str,
    since: Option<String>,
    /// How it stood when that was last known, where it is not known now.
    was: Option<&'static str>,
    duration_seconds: Option<f64>,
    last_error: Option<LastError>,
    #[serde(skip)]
    since_ms: Option<u64>,
    #[serde(skip)]
    took: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct LastError {
    text: String,
    at: String,
    #[serde(skip)]
    at_ms: u64,
}

/// The series that say how its probes stand.
pub(super) fn named(subject: &Subject) -> Vec<SeriesName> {
    of_catalog(subject)
        .map(|(entry, _)| SeriesName { metric: entry.name.clone(), labels: entry.labels.clone() })
        .collect()
}

fn of_catalog(subject: &Subject) -> impl Iterator<Item = (&Entry, &Value)> {
    let latest = subject.latest.iter();
    let all = latest.flat_map(|latest| latest.listing.series().iter().zip(&latest.values));
    all.filter(|(entry, _)| entry.served && &*entry.name == metric::PROBE_SUCCESS.name)
}

/// The probes of the present catalog, what fails first. Without `since` their past was not read: nobody knows since when.
pub(super) fn standing(
    subject: &Subject,
    since: Option<&BTreeMap<SeriesName, Since>>,
    log: &[LogEntry],
) -> Vec<Standing> {
    let mut all: Vec<(u8, Standing)> =
        of_catalog(subject).map(|(entry, value)| one(subject, since, log, entry, *value)).collect();
    all.sort_by(|one, other| (one.0, &one.1.probe).cmp(&(other.0, &other.1.probe)));
    all.into_iter().map(|(_, one)| one).collect()
}

fn one(
    subject: &Subject,
    since: Option<&BTreeMap<SeriesName, Since>>,
    log: &[LogEntry],
    entry: &Entry,
    value: Value,
) -> (u8, Standing) {
    let label = |wanted: &str| {
        let found = entry.labels.iter().find(|(name, _)| &**name == wanted);
        found.map(|(_, value)| value.to_string()).unwrap_or_default()
    };
    let name = label("probe");
    let read_ms = subject.latest.as_ref().and_then(|latest| latest.time_ms);
    let series = SeriesName { metric: entry.name.clone(), labels: entry.labels.clone() };
    let before = since.and_then(|since| since.get(&series));
    let word = |value: f64| if value == 0.0 { "failed" } else { "well" };
    let now = value.known().map(|number| entry.scale.value(number)).filter(|_| subject.state.is_up());
    let (order, state, since_ms, was) = match (now, before) {
        (Some(is), Some(before)) if before.value.to_bits() == is.to_bits() => {
            (u8::from(is != 0.0) * 2, word(is), Some(before.from), None)
        }
        // It has just changed, or nothing of it is written yet.
        (Some(is), _) => {
            let just = read_ms.filter(|_| since.is_some()).map(|ms| ms as i64);
            (u8::from(is != 0.0) * 2, word(is), just, None)
        }
        (None, _) if !subject.state.is_up() => {
            let was = value.known().map(|number| entry.scale.value(number));
            let was = was.or(before.map(|before| before.value)).map(word);
            (1, "unknown", Some(subject.since_ms as i64), was)
        }
        (None, before) => {
            (1, "unknown", before.map(|before| before.known), before.map(|one| word(one.value)))
        }
    };
    let latest = subject.latest.as_ref();
    let took = latest
        .into_iter()
        .flat_map(|latest| latest.listing.series().iter().zip(&latest.values))
        .find(|(other, _)| &*other.name == metric::PROBE_DURATION.name && other.labels == entry.labels);
    let stream = label("stream");
    let standing = Standing {
        last_error: last_error(log, &name),
        kind: label("type"),
        stream: (!stream.is_empty()).then_some(stream),
        state,
        since: since_ms.map(|ms| rfc3339(ms.max(0) as u64)),
        since_ms: since_ms.map(|ms| ms.max(0) as u64),
        was,
        duration_seconds: took.and_then(|(entry, value)| Some(entry.scale.value(value.known()?))),
        took: took.map_or_else(|| "–".to_owned(), |(entry, value)| in_words(entry, *value)),
        probe: name,
    };
    (order, standing)
}

/// The newest text of `error/NAME` that says something.
fn last_error(log: &[LogEntry], probe: &str) -> Option<LastError> {
    log.iter().find_map(|line| match &line.what {
        Happened::Text { subject, text }
            if !text.is_empty() && subject.strip_prefix("error/") == Some(probe) =>
        {
            let at_ms = line.place.ms;
            Some(LastError { text: text.clone(), at: rfc3339(at_ms), at_ms })
        }
        _ => None,
    })
}

/// The same for the page.
pub(super) fn shown(all: Vec<Standing>, subject: &Subject, now: Now) -> Vec<Probe> {
    let at = |ms: u64| when(ms, subject.zone, now);
    all.into_iter()
        .map(|one| Probe {
            state: match one.state {
                "failed" => "critical",
                other => other,
            },
            word: one.state,
            is_well: one.state == "well",
            since: one.since_ms.map(at).unwrap_or_default(),
            since_at: one.since.unwrap_or_default(),
            lasts: one.since_ms.map(|ms| span(now.utc_ms.saturating_sub(ms))).unwrap_or_default(),
            was: one.was.unwrap_or_default(),
            duration: one.took,
            error: one.last_error.as_ref().map(|error| error.text.clone()).unwrap_or_default(),
            error_at: one.last_error.map(|error| at(error.at_ms)).unwrap_or_default(),
            kind: one.kind,
            stream: one.stream.unwrap_or_default(),
            name: one.probe,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{RunState, State};
    use crate::ingest::{Ingest, NoPast};
    use rackside_onair::Zone;
    use std::sync::Arc;

    /// An appliance with a probe that fails.
    fn failing() -> Subject {
        let now = crate::clock::now();
        let mut ingest = Ingest::new(rackside_proto::Prefix::default(), 1, Arc::new(NoPast), now);
        let mut rack = crate::rack::Rack::new("arena-north", "rack-1");
        let probe = crate::rack::series("rackside_probe_success", &[("probe", "encoder"), ("type", "tcp")]);
        let catalog = rack.catalog(&[&crate::rack::vitals()[..], &[probe]].concat());
        for (topic, body) in [rack.presence(true), catalog, rack.numbers(&[483, 0, 0, 0, 0, 0])] {
            let via = crate::inbound::Via::Broker;
            let message = crate::inbound::Inbound { topic, payload: body.into(), retained: false, via };
            ingest.take(&message, now);
        }
        let one = &ingest.fleet().appliances()[0];
        let run = one.shown();
        Subject {
            agent: one.name.clone(),
            title: "Arena North".to_owned(),
            zone: Zone::UTC,
            state: State::Up,
            since_ms: one.since_ms,
            seen_ms: one.seen.utc_ms,
            machines: String::new(),
            retired_ms: None,
            old_came_ms: None,
            interval: one.interval(),
            run: run.map(|run| run.run.to_string()),
            about: run.and_then(|run| run.about.clone()),
            clock: run.and_then(RunState::clock_source),
            latest: run.and_then(|run| run.latest.clone()),
            records: ingest.records(0),
            ends: Vec::new(),
        }
    }

    #[test]
    fn where_the_past_was_not_read_nothing_is_said_of_since_when() {
        let subject = failing();
        let unread = standing(&subject, None, &[]);
        assert_eq!((unread.len(), unread[0].state, unread[0].since.as_ref()), (1, "failed", None));
        let read = standing(&subject, Some(&BTreeMap::new()), &[]);
        let newest = subject.latest.as_ref().and_then(|latest| latest.time_ms).map(rfc3339);
        assert!(newest.is_some() && read[0].since == newest, "nothing of it is written yet: {read:?}");
    }
}
