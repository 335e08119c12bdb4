//! What an appliance is: versions, hardware, clock, backlog, link, runs, probes, and every series of its catalog.
//!
//! Sample: `Agent 0.1.0 · Machine Raspberry Pi 4 Model B Rev 1.5, 4 GB · Clock ntp · Backlog 2 records · Link 48 MiB sent`

use super::charts::{happened, in_words, values};
use super::{Subject, called, help};
use crate::clock::Now;
use crate::fleet::{Entry, State};
use rackside_history::{Happened, LogEntry, RunSpan};
use rackside_onair::Zone;
use rackside_pages::appliance::{self as page, Fact, Probe, Run};
use rackside_pages::moment::span;
use rackside_pages::quantity::{Unit, duration};
use rackside_proto::{ClockSource, Reason, Revision, SpoolPlace, Value, metric};

/// Why an appliance is down, in an operator's words; nothing while it is up.
pub(in crate::web) fn why(state: State) -> &'static str {
    match state {
        State::Up => "",
        State::Gone(Reason::Stop) => "stopped",
        State::Gone(Reason::Update) => "updating",
        State::Gone(Reason::Shutdown) => "shut down",
        State::Gone(Reason::Will | Reason::Start) => "link lost",
        State::Silent => "silent",
        State::Unknown => "not heard yet",
    }
}

/// `for 3 h; heard 4 s ago`.
pub(super) fn says(subject: &Subject, now: Now) -> String {
    let since = span(now.utc_ms.saturating_sub(subject.since_ms));
    let seen = span(now.utc_ms.saturating_sub(subject.seen_ms));
    match why(subject.state) {
        "" => format!("for {since}, heard {seen} ago"),
        why => format!("{why} for {since}, last heard {seen} ago"),
    }
}

/// What is worth a look.
pub(super) fn remarks(subject: &Subject) -> Vec<String> {
    let mut remarks = Vec::new();
    if subject.live_runs > 1 {
        remarks.push(format!("{} machines use this name", subject.live_runs));
    }
    match subject.clock {
        Some(ClockSource::Hub) => remarks.push("has no clock: its time is the hub's".to_owned()),
        Some(ClockSource::None) => remarks.push("has no clock".to_owned()),
        Some(ClockSource::Ntp | ClockSource::Trusted) | None => {}
    }
    if subject.about.as_ref().is_some_and(|about| about.spool == SpoolPlace::Memory) {
        remarks.push("keeps its backlog in memory only".to_owned());
    }
    let backlog = quantity(subject, metric::AGENT_BACKLOG.name).unwrap_or(0.0);
    // A record or two are always on their way.
    if subject.state.is_up() && backlog > 10.0 {
        remarks.push(format!("backlog of {backlog} records"));
    }
    remarks
}

fn quantity(subject: &Subject, name: &str) -> Option<f64> {
    values(subject).find(|(entry, _)| entry.served && &*entry.name == name)?.1
}

fn fact(name: &'static str, value: impl Into<String>, note: impl Into<String>) -> Fact {
    Fact { name, value: value.into(), note: note.into() }
}

/// What it is.
pub(super) fn facts(subject: &Subject) -> Vec<Fact> {
    let mut facts = Vec::new();
    if let Some(about) = &subject.about {
        facts.push(fact("Agent", &*about.version, ""));
        facts.push(fact("Machine", machine(about.model.as_ref(), about.revision), ""));
        facts.push(fact("Host name", &*about.hostname, ""));
        facts.push(fact("System", &*about.os, format!("{}, {}", about.kernel, about.arch)));
        let tick = duration(f64::from(about.tick_ms) / 1000.0);
        let sends = duration(f64::from(about.interval_ms) / 1000.0);
        let note = if about.interval_ms > about.tick_ms {
            format!("sent every {sends}, to save the line")
        } else {
            String::new()
        };
        facts.push(fact("Reads", format!("every {tick}"), note));
    }
    let source = match subject.clock {
        Some(ClockSource::Ntp) => ("its own", "kept by NTP"),
        Some(ClockSource::Trusted) => ("its own", "trusted by its configuration"),
        Some(ClockSource::Hub) => ("the hub's", "it has none of its own"),
        Some(ClockSource::None) => ("none", "what it reads is dated when it has one"),
        None => ("not known yet", ""),
    };
    facts.push(fact("Clock", source.0, source.1));
    facts.extend(offset(subject));
    let backlog = quantity(subject, metric::AGENT_BACKLOG.name);
    let place = subject.about.as_ref().map(|about| match about.spool {
        SpoolPlace::Memory => "kept in memory only",
        SpoolPlace::Disk => "goes to its disk when the hub does not answer",
    });
    let records = backlog.map_or_else(|| "not known".to_owned(), |backlog| format!("{backlog} records"));
    facts.push(fact("Backlog", records, place.unwrap_or_default()));
    if let Some(bytes) = quantity(subject, metric::AGENT_SPOOL.name) {
        facts.push(fact("Spool", Unit::Bytes.show(bytes), "on its disk"));
    }
    let link = |direction: &str| {
        let is_it = |entry: &Entry| {
            &*entry.name == metric::AGENT_LINK_BYTES.name
                && entry.labels.iter().any(|(name, value)| &**name == "direction" && &**value == direction)
        };
        values(subject).find(|(entry, _)| is_it(entry)).and_then(|(_, value)| value)
    };
    if let (Some(sent), Some(received)) = (link("transmit"), link("receive")) {
        let note = format!("{} received, since the agent started", Unit::Bytes.show(received));
        facts.push(fact("Link", format!("{} sent", Unit::Bytes.show(sent)), note));
    }
    let records = &subject.records;
    let note = format!("{} came again, {} lost, since the hub started", records.duplicates, records.lost);
    facts.push(fact("Records taken", records.taken.to_string(), note));
    facts
}

fn machine(model: &str, revision: Option<Revision>) -> String {
    let model = if model.is_empty() { "not a board that says what it is" } else { model };
    match revision.and_then(Revision::board).and_then(|board| board.memory_mb) {
        Some(mb) if mb >= 1024 => format!("{model}, {} GB", mb / 1024),
        Some(mb) => format!("{model}, {mb} MB"),
        None => model.to_owned(),
    }
}

/// How far its clock is off, where a probe asks a time server.
fn offset(subject: &Subject) -> Option<Fact> {
    let seconds = quantity(subject, metric::NTP_OFFSET.name)?;
    let ahead = if seconds < 0.0 { "ahead of" } else { "behind" };
    Some(fact(
        "Clock offset",
        duration(seconds.abs()),
        format!("{ahead} the time server that its probe asks"),
    ))
}

/// The probes of the present catalog, what fails first.
pub(super) fn probes(subject: &Subject, log: &[LogEntry], zone: Zone, now: Now) -> Vec<Probe> {
    let Some(latest) = &subject.latest else { return Vec::new() };
    let each = latest.listing.series().iter().zip(&latest.values);
    let each = each.filter(|(entry, _)| entry.served && &*entry.name == metric::PROBE_SUCCESS.name);
    let mut probes: Vec<(u8, Probe)> = each
        .map(|(entry, value)| {
            let label = |wanted: &str| {
                let found = entry.labels.iter().find(|(name, _)| &**name == wanted);
                found.map(|(_, value)| value.to_string()).unwrap_or_default()
            };
            let name = label("probe");
            let (order, state, word) = match value {
                Value::Known(0) => (0, "critical", "failed"),
                Value::Known(_) => (2, "well", "well"),
                Value::Unknown | Value::Absent => (1, "unknown", "unknown"),
            };
            let took = latest.listing.series().iter().zip(&latest.values).find(|(other, _)| {
                &*other.name == metric::PROBE_DURATION.name && other.labels == entry.labels
            });
            let error = log.iter().find(|line| is_error_of(line, &name));
            let at = |ms: u64| when(ms, zone, now);
            let probe = Probe {
                since: since(log, entry).map_or_else(|| "–".to_owned(), at),
                duration: took.map_or_else(|| "–".to_owned(), |(entry, value)| in_words(entry, *value)),
                error: error.map(error_text).unwrap_or_default(),
                error_at: error.map(|line| at(line.place.ms)).unwrap_or_default(),
                kind: label("type"),
                stream: label("stream"),
                state,
                word,
                name,
            };
            (order, probe)
        })
        .collect();
    probes.sort_by(|one, other| (one.0, &one.1.name).cmp(&(other.0, &other.1.name)));
    probes.into_iter().map(|(_, probe)| probe).collect()
}

/// The newest text of `error/NAME` that says something.
fn is_error_of(line: &LogEntry, probe: &str) -> bool {
    let Happened::Text { subject, text } = &line.what else { return false };
    !text.is_empty() && subject.strip_prefix("error/") == Some(probe)
}

fn error_text(line: &LogEntry) -> String {
    match &line.what {
        Happened::Text { text, .. } => text.clone(),
        Happened::Set { .. } => happened(line),
    }
}

/// When a series was last set by an event.
fn since(log: &[LogEntry], entry: &Entry) -> Option<u64> {
    let is_it = |line: &&LogEntry| match &line.what {
        Happened::Set { series, .. } => series.name == entry.name && series.labels == entry.labels,
        Happened::Text { .. } => false,
    };
    log.iter().find(is_it).map(|line| line.place.ms)
}

/// A moment on the venue's clocks, with its day where that is another than today's.
pub(super) fn when(ms: u64, zone: Zone, now: Now) -> String {
    let (then, today) = (zone.local(ms as i64), zone.local(now.utc_ms as i64));
    let form = if then.date() == today.date() { "%H:%M:%S" } else { "%-d %b %H:%M" };
    then.format(form).to_string()
}

/// The runs, the newest first.
pub(super) fn runs(subject: &Subject, spans: &[RunSpan], now: Now) -> Vec<Run> {
    let zone = subject.zone;
    let run = |(nth, of): (usize, &RunSpan)| {
        let id = of.run.to_string();
        let is_shown = subject.run.as_deref() == Some(&id);
        let is_up = is_shown && subject.state.is_up();
        let end = if is_up { now.utc_ms } else { of.last_ms };
        Run {
            start: when(of.first_ms, zone, now),
            end: if is_up { "now".to_owned() } else { when(of.last_ms, zone, now) },
            span: span(end.saturating_sub(of.first_ms)),
            why: match (is_shown, nth) {
                (true, _) if is_up => String::new(),
                (true, _) => why(subject.state).to_owned(),
                (false, 0) => "not heard since".to_owned(),
                (false, _) => "a newer run began".to_owned(),
            },
            lost: if of.lost == 0 { "–".to_owned() } else { format!("{} records", of.lost) },
            id,
        }
    };
    spans.iter().enumerate().map(run).collect()
}

/// Every series of the present catalog, with its latest value.
pub(super) fn catalog(subject: &Subject, now: Now) -> Vec<page::Entry> {
    let Some(latest) = &subject.latest else { return Vec::new() };
    let age = latest.time_ms.map_or_else(|| "–".to_owned(), |ms| span(now.utc_ms.saturating_sub(ms)));
    let each = latest.listing.series().iter().zip(&latest.values);
    let entry = |(entry, value): (&Entry, &Value)| {
        let labels = entry.labels.iter().map(|(name, value)| format!("{name}={value:?}"));
        page::Entry {
            metric: entry.name.to_string(),
            labels: labels.collect::<Vec<_>>().join(" "),
            help: help(&entry.name).to_owned(),
            kind: called(entry.kind),
            unit: if entry.unit.is_empty() { "–".to_owned() } else { entry.unit.to_string() },
            value: in_words(entry, *value),
            age: if *value == Value::Absent { "–".to_owned() } else { age.clone() },
            served: entry.served,
        }
    };
    each.map(entry).collect()
}
