//! From series to charts: what is drawn on a page, in what order, and with what beside it.
//!
//! Sample: `rackside_disk_used_bytes{mount="/"}` of the last day is a [`Drawn`] "Disk used /" in the group "Machine", last 12.3 GiB.

use super::range::Range;
use super::{Subject, encoded, help};
use crate::clock::Now;
use crate::moment::span;
use crate::query::{Curved, Fleetwide, Meanwhile, SeriesName, UP, WantedCurves};
use crate::web::log::words;
use rackside_history::LogEntry;
use rackside_pages::appliance::{Drawn, Group, Line};
use rackside_pages::chart::{self, Chart, Mark, MarkKind, Size, States, said, summary, svg};
use rackside_pages::moment::rfc3339;
use rackside_pages::quantity::Unit;
use rackside_pages::series::{About, detail, rank, title};
use rackside_promql::{SourceError, Stop};
use rackside_proto::{Kind, Value, metric};
use std::collections::BTreeMap;

/// Charts on one page; of more there are parts.
pub(super) const MOST: usize = 120;
/// In the first group so many say what each mark is; in all others marks are only there.
const TELLING: usize = 3;
/// With more groups than this, those of probes that stand well are folded away.
const UNFOLDED: usize = 9;

/// What is drawn on a page.
#[derive(Debug)]
pub(super) struct Page {
    /// By what they are about.
    pub(super) groups: Vec<Group>,
    /// How many parts there are.
    pub(super) parts: usize,
    /// What happened meanwhile.
    pub(super) meanwhile: Meanwhile,
}

/// Every series of an appliance, in the order of its page: what its present catalog lists, and what the history has.
pub(super) fn listed(series: &Fleetwide, subject: &Subject) -> Result<Vec<SeriesName>, SourceError> {
    let mut all: BTreeMap<SeriesName, Kind> = series.series_of(&subject.agent)?;
    if let Some(latest) = &subject.latest {
        let served = latest.listing.series().iter().filter(|entry| entry.served);
        all.extend(served.map(|entry| {
            (SeriesName { metric: entry.name.clone(), labels: entry.labels.clone() }, entry.kind)
        }));
    }
    let mut all: Vec<(About, usize, SeriesName)> = all
        .into_keys()
        .map(|name| (About::of(&name.metric, &name.labels), rank(&name.metric), name))
        .collect();
    all.sort();
    Ok(all.into_iter().map(|(_, _, name)| name).collect())
}

/// Which charts are wanted.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    /// A part of a title, a metric's name, or a label's value; all, if it is empty.
    pub(super) text: String,
    /// Which part, from 0.
    pub(super) part: usize,
}

impl Asked {
    fn wants(&self, name: &SeriesName) -> bool {
        let text = self.text.to_lowercase();
        let has = |of: &str| of.to_lowercase().contains(&text);
        has(&title(&name.metric)) || has(&name.metric) || name.labels.iter().any(|(_, value)| has(value))
    }
}

/// Draws one part of an appliance's charts.
pub(super) fn page(
    series: &Fleetwide,
    subject: &Subject,
    range: Range,
    asked: &Asked,
    stopped: &dyn Fn() -> Option<Stop>,
    now: Now,
) -> Result<Page, SourceError> {
    let part = asked.part;
    let mut listed = listed(series, subject)?;
    listed.retain(|name| asked.wants(name));
    let parts = listed.chunks(MOST).len();
    let names = listed.chunks(MOST).nth(part).unwrap_or_default();
    let wanted = wanted(subject, range, Some(names), stopped);
    let meanwhile = series.meanwhile(&subject.agent, &(range.from..range.until), stopped)?;
    let marks = marks(subject, range, &meanwhile);
    let mut curves: BTreeMap<SeriesName, Curved> = BTreeMap::new();
    for one in series.curves(&wanted, &|name| subject.kind(name), now)? {
        curves.insert(one.name.clone(), one);
    }
    let is_up = SeriesName { metric: UP.into(), labels: Box::default() };
    let up = (part == 0 && asked.wants(&is_up)).then(|| series.up(&wanted, now)).transpose()?;
    let in_order = names.iter().filter_map(|name| curves.remove(name));
    let mut groups: Vec<(About, Vec<Drawn>)> = Vec::new();
    for one in up.into_iter().chain(in_order) {
        // What was never measured in this time is shown while it is one of its present series.
        if one.curve.columns.is_empty() && subject.kind(&one.name).is_none() {
            continue;
        }
        let about = About::of(&one.name.metric, &one.name.labels);
        let is_telling =
            groups.is_empty() || (groups.len() == 1 && groups[0].0 == about && groups[0].1.len() < TELLING);
        let drawn = drawn(subject, range, one, (&marks, is_telling), now);
        match groups.last_mut().filter(|group| group.0 == about) {
            Some(group) => group.1.push(drawn),
            None => groups.push((about, vec![drawn])),
        }
    }
    // Many probes are folded away, but for those that fail.
    let is_many = groups.len() > UNFOLDED && asked.text.is_empty();
    let groups = groups.into_iter().enumerate().map(|(nth, (about, charts))| Group {
        id: format!("group-{nth}"),
        title: about.title(),
        count: charts.len(),
        is_open: !is_many || !matches!(&about, About::Probe(name) if stands_well(subject, name)),
        charts,
    });
    Ok(Page { groups: groups.collect(), parts, meanwhile })
}

/// What is asked of the series.
pub(super) fn wanted<'a>(
    subject: &'a Subject,
    range: Range,
    only: Option<&'a [SeriesName]>,
    stopped: &'a dyn Fn() -> Option<Stop>,
) -> WantedCurves<'a> {
    WantedCurves {
        agent: &subject.agent,
        range: range.from..range.until,
        width: Size::SMALL.columns(),
        pause: subject.pause(),
        only,
        stopped,
    }
}

/// A chart of a series.
pub(super) fn chart(subject: &Subject, range: Range, one: Curved, marks: &[Mark]) -> Chart {
    let name = &one.name;
    let states = (one.kind == Kind::State).then(|| States::of_metric(&name.metric, help(&name.metric)));
    let unit = Unit::of_chart(&name.metric, one.kind == Kind::Counter);
    let of = detail(&name.labels);
    let called = title(&name.metric);
    let called = if of.is_empty() { called } else { format!("{called}, {of}") };
    let chart = Chart {
        states,
        curve: one.curve,
        marks: marks.to_vec(),
        ..Chart::new(&called, unit, range.from..range.until, subject.zone)
    };
    Chart { size: Size::of(&chart), ..chart }
}

/// Whether none of a probe's results is a failure.
fn stands_well(subject: &Subject, probe: &str) -> bool {
    values(subject)
        .filter(|(entry, _)| &*entry.name == metric::PROBE_SUCCESS.name)
        .filter(|(entry, _)| entry.labels.iter().any(|(name, value)| &**name == "probe" && **value == *probe))
        .all(|(_, value)| value != Some(0.0))
}

fn drawn(
    subject: &Subject,
    range: Range,
    one: Curved,
    (marks, is_telling): (&[Mark], bool),
    now: Now,
) -> Drawn {
    let (name, kind) = (one.name.clone(), one.kind);
    let chart = Chart { is_telling, ..chart(subject, range, one, marks) };
    let read_ms = subject.latest.as_ref().and_then(|latest| latest.time_ms);
    let curve_last = chart.curve.last.filter(|_| range.usual.is_some());
    let last = latest(subject, &name, kind)
        .map(|value| (read_ms.unwrap_or(subject.seen_ms), value))
        .or(curve_last.map(|(at, value)| (at.max(0) as u64, value)));
    // What the hub itself says of an appliance that is gone is of now.
    let is_old = |at: u64| {
        *name.metric != *UP
            && (subject.is_old(now) || now.utc_ms.saturating_sub(at) > subject.pause() as u64 * 4)
    };
    let last_age = last.filter(|(at, _)| is_old(*at)).map(|(at, _)| span(now.utc_ms.saturating_sub(at)));
    let last = last.map(|(_, value)| value);
    let here = format!("/sites/{}/{}", subject.agent.site, subject.agent.appliance);
    let query = format!("{}&series={}", range.query(), encoded(&name.to_string()));
    Drawn {
        title: title(&name.metric),
        detail: detail(&name.labels),
        help: help(&name.metric).to_owned(),
        series: name.to_string(),
        last: last.map_or_else(|| "–".to_owned(), |value| said(value, chart.unit, chart.states.as_ref())),
        last_age: last_age.unwrap_or_default(),
        svg: svg(&chart),
        summary: summary(&chart),
        csv: format!("{here}/chart.csv?{query}"),
        alone: format!("{here}/chart.svg?{query}"),
        is_strip: chart.size.height < Size::SMALL.height,
    }
}

/// The latest value that an appliance has told live; of a counter none, since its chart shows how fast it rises.
fn latest(subject: &Subject, name: &SeriesName, kind: Kind) -> Option<f64> {
    if kind == Kind::Counter {
        return None;
    }
    values(subject).find(|(entry, _)| *entry.name == *name.metric && entry.labels == name.labels)?.1
}

/// The present catalog with the latest values.
pub(super) fn values(subject: &Subject) -> impl Iterator<Item = (&crate::fleet::Entry, Option<f64>)> {
    let latest = subject.latest.iter();
    latest.flat_map(|latest| {
        let each = latest.listing.series().iter().zip(&latest.values);
        each.map(|(entry, value)| (entry, value.known().map(|number| entry.scale.value(number))))
    })
}

/// What happened meanwhile, as marks of charts.
pub(super) fn marks(subject: &Subject, range: Range, meanwhile: &Meanwhile) -> Vec<Mark> {
    let when = |at: i64| chart::moment(at, subject.zone, range.span());
    let mut marks: Vec<Mark> = Vec::new();
    for span in &meanwhile.on_air {
        let text = format!("On air {} – {}", when(span.start), when(span.end));
        marks.push(Mark { kind: MarkKind::OnAir, from: span.start, until: span.end, text });
    }
    for alert in &meanwhile.alerts {
        let severity =
            if alert.severity.is_empty() { String::new() } else { format!(", {}", alert.severity) };
        let text = format!("{}{severity}: {} – {}", alert.name, when(alert.span.start), when(alert.span.end));
        marks.push(Mark { kind: MarkKind::Alert, from: alert.span.start, until: alert.span.end, text });
    }
    for entry in &meanwhile.log {
        let at = entry.place.ms as i64;
        let text = format!("{} {}", when(at), happened(entry));
        marks.push(Mark { kind: MarkKind::Event, from: at, until: at, text });
    }
    marks
}

/// The log for the page.
pub(super) fn lines(subject: &Subject, range: Range, log: &[LogEntry]) -> Vec<Line> {
    let line = |entry: &LogEntry| Line {
        when: chart::moment(entry.place.ms as i64, subject.zone, range.span()),
        at: rfc3339(entry.place.ms),
        text: happened(entry),
    };
    log.iter().map(line).collect()
}

/// What happened, in words.
pub(super) fn happened(entry: &LogEntry) -> String {
    words(&entry.what).1
}

/// A value of the present catalog in words: `unknown` where the agent said so.
pub(super) fn in_words(entry: &crate::fleet::Entry, value: Value) -> String {
    match value {
        Value::Known(number) => {
            let states =
                (entry.kind == Kind::State).then(|| States::of_metric(&entry.name, help(&entry.name)));
            said(entry.scale.value(number), Unit::of_chart(&entry.name, false), states.as_ref())
        }
        Value::Unknown => "unknown".to_owned(),
        Value::Absent => "–".to_owned(),
    }
}
