//! What an appliance is: versions, hardware, clock, backlog, link, and every series of its catalog.
//!
//! Sample: `Agent 0.1.0 · Machine Raspberry Pi 4 Model B Rev 1.5, 4 GB · Clock ntp · Backlog 2 records · Link 48 MiB sent`

use super::charts::{in_words, values};
use super::{Subject, called, help};
use crate::clock::Now;
use crate::fleet::{Entry, State};
use crate::query::SeriesName;
use rackside_onair::Zone;
use rackside_pages::appliance::{self as page, Fact};
use rackside_pages::moment::span;
use rackside_pages::quantity::{Unit, counted, duration};
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

/// A replaced box that has not come for so long is switched off, in milliseconds.
const OLD_BOX: u64 = 86_400_000;

/// What is worth a look.
pub(super) fn remarks(subject: &Subject, now: Now) -> Vec<String> {
    let mut remarks = Vec::new();
    if let Some(at) = subject.retired_ms {
        remarks.push(format!("retired since {}: nobody waits for it", when(at, subject.zone, now)));
    }
    if let Some(at) = subject.old_came_ms.filter(|at| now.utc_ms.saturating_sub(*at) < OLD_BOX) {
        remarks.push(format!(
            "replaced: the old box is still switched on, and was turned away last at {}",
            when(at, subject.zone, now)
        ));
    }
    remarks.extend(Some(subject.machines.clone()).filter(|machines| !machines.is_empty()));
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

/// A quantity of its own, if it has told one.
pub(super) fn quantity(subject: &Subject, name: &str) -> Option<f64> {
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
        // Of one that is gone nobody knows what has come to it since.
        _ if !subject.state.is_up() => "when it was heard last",
        SpoolPlace::Memory => "kept in memory only",
        SpoolPlace::Disk => "goes to its disk when the hub does not answer",
    });
    let records = backlog
        .map_or_else(|| "not known".to_owned(), |backlog| counted(backlog as usize, "record", "records"));
    facts.push(fact("Backlog", records, place.unwrap_or_default()));
    if let Some(bytes) = quantity(subject, metric::AGENT_SPOOL.name).filter(|bytes| *bytes > 0.0) {
        facts.push(fact("Backlog on its disk", Unit::Bytes.show(bytes), ""));
    }
    if let (Some(sent), Some(received)) = (link(subject, "transmit"), link(subject, "receive")) {
        let note = format!("{} received, since the agent started", Unit::Bytes.show(received));
        facts.push(fact("Link", format!("{} sent", Unit::Bytes.show(sent)), note));
    }
    let records = &subject.records;
    let note = format!("{} came again, {} lost, since the hub started", records.duplicates, records.lost);
    facts.push(fact("Records taken", records.taken.to_string(), note));
    facts
}

/// What its agent has sent or received since it started.
pub(super) fn link(subject: &Subject, direction: &str) -> Option<f64> {
    let is_it = |entry: &Entry| {
        &*entry.name == metric::AGENT_LINK_BYTES.name
            && entry.labels.iter().any(|(name, value)| &**name == "direction" && &**value == direction)
    };
    values(subject).find(|(entry, _)| is_it(entry))?.1
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

/// A moment on the venue's clocks, with its day where that is another than today's.
pub(in crate::web) fn when(ms: u64, zone: Zone, now: Now) -> String {
    let (then, today) = (zone.local(ms as i64), zone.local(now.utc_ms as i64));
    let form = match then.date() {
        date if date == today.date() => "%H:%M:%S",
        date if (today.date() - date).num_days() < 300 => "%-d %b %H:%M",
        _ => "%-d %b %Y %H:%M",
    };
    then.format(form).to_string()
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
            series: SeriesName { metric: entry.name.clone(), labels: entry.labels.clone() }.to_string(),
            is_old: subject.is_old(now),
            served: entry.served,
        }
    };
    each.map(entry).collect()
}
