//! What charts are drawn of: the series of one appliance over a stretch of time, gathered into columns while they are read.
//!
//! Not a query: nothing is evaluated, and no sample is kept beyond the piece that is being read. The history is read a piece of time at once for all series, so that
//! a page of sixty charts costs what one costs that reads sixty columns; rollups come in as what they are (least, mean, largest), where a query
//! would have to ask three times. What is in memory joins on, from the moment on from which it is complete.
//!
//! ```text
//! rollups by the hour ─ by the minute ─┐ samples, a piece at a time ─┐ memory
//! ───────────────────────────────────────────────────────────────────┴─────────▶ Gather ─▶ Curve
//! ```

use super::past::Ages;
use super::{Fleetwide, failed};
use crate::clock::Now;
use crate::fleet::escape;
use rackside_history::{Reader, Resolution, RunSpan, SeriesId, SeriesKey, rollup};
use rackside_pages::chart::{Bucket, Curve, Gather, Moves};
use rackside_pages::quantity::Unit;
use rackside_promql::{Labels, METRIC_NAME, Matcher, Sample, SourceError, Stop, Test, parse_selector};
use rackside_proto::{AgentName, Kind};
use rackside_series::Asked;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::{ControlFlow, Range};
use std::str::FromStr;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 3_600_000;
const DAY: i64 = 86_400_000;
/// Series that are read at once.
const AT_ONCE: usize = 64;
/// Buckets of each series that are read at once: eight days of minutes, a year and more of hours.
const BUCKETS: i64 = 11_520;

/// The hub's own word on an appliance, every so many milliseconds.
pub const UP: &str = "rackside_appliance_up";
const UP_EVERY: i64 = 15_000;

/// A series of an appliance: its metric and its labels beside site and appliance, in order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesName {
    /// The metric's name.
    pub metric: Box<str>,
    /// Names and values.
    pub labels: Box<[(Box<str>, Box<str>)]>,
}

/// What is asked for.
#[derive(Clone)]
pub struct Wanted<'a> {
    /// Whose.
    pub agent: &'a AgentName,
    /// From when to when, in milliseconds since 1970; the end is not in it.
    pub range: Range<i64>,
    /// How many columns.
    pub width: usize,
    /// After a longer pause there is a gap, in milliseconds.
    pub pause: i64,
    /// Which series; nothing, if all are wanted.
    pub only: Option<&'a [SeriesName]>,
    /// Why whoever asked does not want it any more.
    pub stopped: &'a dyn Fn() -> Option<Stop>,
}

/// A series of an appliance, gathered.
#[derive(Debug, Clone, PartialEq)]
pub struct Curved {
    /// Which.
    pub name: SeriesName,
    /// How it moves.
    pub kind: Kind,
    /// What it was.
    pub curve: Curve,
}

/// What is known of a series ahead of its samples, and what is gathered of it.
struct Gathering {
    kind: Kind,
    /// In the history: a series whose kind or scale changed is several there.
    stored: Vec<(SeriesId, SeriesKey)>,
    gather: Gather,
}

impl SeriesName {
    /// Of labels that say whose it is as well.
    pub fn of(labels: &Labels) -> Self {
        let own = labels.iter().filter(|label| !matches!(&*label.name, METRIC_NAME | "site" | "appliance"));
        Self {
            metric: labels.value(METRIC_NAME).into(),
            labels: own.map(|label| ((*label.name).into(), (*label.value).into())).collect(),
        }
    }
}

/// `rackside_disk_used_bytes{mount="/"}`
impl fmt::Display for SeriesName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.metric)?;
        if self.labels.is_empty() {
            return Ok(());
        }
        f.write_str("{")?;
        for (nth, (name, value)) in self.labels.iter().enumerate() {
            let mut text = String::new();
            escape(&mut text, value);
            write!(f, "{}{name}=\"{text}\"", if nth > 0 { "," } else { "" })?;
        }
        f.write_str("}")
    }
}

/// The same, read. The text is a selector of equals, in any order.
impl FromStr for SeriesName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| {
            format!("{text:?} is no series{why}; write for example rackside_disk_used_bytes{{mount=\"/\"}}")
        };
        let matchers = parse_selector(text).map_err(|error| wrong(&format!(" ({error})")))?;
        let mut found = Self { metric: Box::default(), labels: Box::default() };
        let mut labels: Vec<(Box<str>, Box<str>)> = Vec::new();
        for matcher in matchers {
            let Test::Equal(value) = &matcher.test else { return Err(wrong(", but asks for several")) };
            match &*matcher.name {
                METRIC_NAME => found.metric = (**value).into(),
                name => labels.push((name.into(), (**value).into())),
            }
        }
        labels.sort();
        found.labels = labels.into();
        if found.metric.is_empty() { Err(wrong(": it has no name")) } else { Ok(found) }
    }
}

impl Fleetwide {
    /// The series of an appliance from oldest to newest sample within the range. Those without any are left out, unless they were asked for by name. `kind` says how a
    /// series moves that the history does not know yet.
    pub fn curves(
        &self,
        wanted: &Wanted<'_>,
        kind: &dyn Fn(&SeriesName) -> Option<Kind>,
        now: Now,
    ) -> Result<Vec<Curved>, SourceError> {
        if let Some([name]) = wanted.only
            && *name.metric == *UP
        {
            return Ok(vec![self.up(wanted, now)?]);
        }
        let now = now.utc_ms as i64;
        let matchers = matchers(wanted);
        // A rate, and what a state holds on from, begin with the sample ahead of the range.
        let from = wanted.range.start.saturating_sub(wanted.pause);
        let to = wanted.range.end.saturating_sub(1);
        let slot = self.recent.slots(&matchers).into_iter().next();
        let (newer, upto) =
            slot.map_or((BTreeMap::new(), to), |slot| self.newer(slot, &matchers, (from, to)));
        let mut all: BTreeMap<SeriesName, Gathering> = BTreeMap::new();
        let gather = |kind: Kind, name: &SeriesName| {
            let moves = moves(kind, &name.metric);
            Gather::new(wanted.range.clone(), wanted.width, moves, wanted.pause)
        };
        if let Some((reader, kept)) = self.history.as_ref().filter(|_| from <= upto) {
            for (id, key) in reader.series(wanted.agent).map_err(|error| failed(&error))? {
                let name = SeriesName { metric: key.name.clone(), labels: own(&key.labels) };
                if wanted.wants(&name) {
                    let one = all.entry(name.clone()).or_insert_with(|| Gathering {
                        kind: key.kind,
                        stored: Vec::new(),
                        gather: gather(key.kind, &name),
                    });
                    // The newest says how it moves.
                    if one.kind != key.kind {
                        (one.kind, one.gather) = (key.kind, gather(key.kind, &name));
                    }
                    one.stored.push((id, key));
                }
            }
            let mut all: Vec<&mut Gathering> = all.values_mut().collect();
            let older = Older { reader, ages: kept.ages(now), wanted, bucket: step(wanted) };
            older.read(&mut all, from, upto)?;
        }
        for (labels, samples) in newer {
            let name = SeriesName::of(&labels);
            if !wanted.wants(&name) {
                continue;
            }
            let one = all.entry(name.clone()).or_insert_with(|| {
                let kind = kind(&name).unwrap_or(Kind::Gauge);
                Gathering { kind, stored: Vec::new(), gather: gather(kind, &name) }
            });
            for sample in samples {
                one.gather.sample(sample.at, (!sample.is_stale()).then_some(sample.value));
            }
        }
        let curved =
            all.into_iter().map(|(name, one)| Curved { name, kind: one.kind, curve: one.gather.finish(now) });
        Ok(curved.filter(|one| wanted.only.is_some() || !one.curve.columns.is_empty()).collect())
    }

    /// Whether an appliance was up, as the hub has noted it.
    pub fn up(&self, wanted: &Wanted<'_>, now: Now) -> Result<Curved, SourceError> {
        let name = SeriesName { metric: UP.into(), labels: Box::default() };
        let mut gather = Gather::new(wanted.range.clone(), wanted.width, Moves::State, UP_EVERY * 4);
        let mut matchers = matchers(&Wanted { only: None, ..wanted.clone() });
        matchers.push(Matcher { name: METRIC_NAME.into(), test: Test::Equal(UP.into()) });
        let range = wanted.range.start - UP_EVERY * 4..wanted.range.end;
        self.made(&matchers, &range, wanted.stopped, &mut |_, samples| {
            for sample in samples {
                gather.sample(sample.at, (!sample.is_stale()).then_some(sample.value));
            }
        })?;
        Ok(Curved { name, kind: Kind::State, curve: gather.finish(now.utc_ms as i64) })
    }

    /// Every series that the history has of an appliance, whenever that was, with how it moves.
    pub fn series_of(&self, agent: &AgentName) -> Result<BTreeMap<SeriesName, Kind>, SourceError> {
        let Some((reader, _)) = &self.history else { return Ok(BTreeMap::new()) };
        let listed = reader.series(agent).map_err(|error| failed(&error))?;
        let named = listed
            .into_iter()
            .map(|(_, key)| (SeriesName { labels: own(&key.labels), metric: key.name }, key.kind));
        Ok(named.collect())
    }

    /// The runs of an appliance, the one that was heard of last first.
    pub fn runs_of(&self, agent: &AgentName, limit: usize) -> Result<Vec<RunSpan>, SourceError> {
        let Some((reader, _)) = &self.history else { return Ok(Vec::new()) };
        reader.runs(agent, limit).map_err(|error| failed(&error))
    }

    /// What is in memory of an appliance, and up to when the history has to be asked.
    fn newer(
        &self,
        slot: usize,
        matchers: &[Matcher],
        (from, to): (i64, i64),
    ) -> (BTreeMap<Labels, Vec<Sample>>, i64) {
        let mut newer: BTreeMap<Labels, Vec<Sample>> = BTreeMap::new();
        // The floor ahead of the samples: it only rises while an appliance is fed.
        let floor = self.recent.floor(slot, matchers);
        self.recent.select(&Asked { matchers, from, to, newest: false, slot: Some(slot) }, &mut |found| {
            for (labels, range) in found.series {
                newer.insert(labels.clone(), found.samples[range.clone()].to_vec());
            }
            ControlFlow::Continue(())
        });
        let floor = floor.max(self.recent.floor(slot, matchers));
        if self.history.is_none() {
            return (newer, i64::MIN);
        }
        let upto = to.min(floor.saturating_sub(1));
        for samples in newer.values_mut() {
            samples.retain(|sample| sample.at > upto);
        }
        (newer, upto)
    }
}

impl Wanted<'_> {
    fn wants(&self, name: &SeriesName) -> bool {
        self.only.is_none_or(|only| only.contains(name))
    }
}

/// Labels beside those that say whose a series is.
fn own(labels: &[(Box<str>, Box<str>)]) -> Box<[(Box<str>, Box<str>)]> {
    labels.iter().filter(|(name, _)| !matches!(&**name, "site" | "appliance")).cloned().collect()
}

fn matchers(wanted: &Wanted<'_>) -> Vec<Matcher> {
    let is = |name: &str, value: &str| Matcher { name: name.into(), test: Test::Equal(value.into()) };
    let mut all =
        vec![is("site", wanted.agent.site.as_str()), is("appliance", wanted.agent.appliance.as_str())];
    // One metric is found by its index.
    if let Some([first, rest @ ..]) = wanted.only
        && rest.iter().all(|other| other.metric == first.metric)
    {
        all.push(is(METRIC_NAME, &first.metric));
    }
    all
}

fn moves(kind: Kind, metric: &str) -> Moves {
    match kind {
        Kind::Gauge => Moves::Gauge,
        Kind::State => Moves::State,
        Kind::Counter => Moves::Counter { per: Unit::of_chart(metric, true).per() },
    }
}

/// Which rollups are fine enough for the columns: those of an hour, where a column holds one.
fn step(wanted: &Wanted<'_>) -> Resolution {
    let span = wanted.range.end.saturating_sub(wanted.range.start);
    let is_wide = span / wanted.width.max(1) as i64 >= HOUR;
    if is_wide { Resolution::Hour } else { Resolution::Minute }
}

/// Whose samples a series of the history is: the `nth` of what is stored of the one `at` that place.
#[derive(Debug, Clone, Copy)]
struct Place {
    id: SeriesId,
    at: usize,
    nth: usize,
}

/// The history, as it is read for charts.
struct Older<'a> {
    reader: &'a Reader,
    ages: Ages,
    wanted: &'a Wanted<'a>,
    bucket: Resolution,
}

impl Older<'_> {
    /// From `from` to `to`, both included.
    fn read(&self, all: &mut [&mut Gathering], from: i64, to: i64) -> Result<(), SourceError> {
        let (from, to) = (from.max(0), to.min(self.ages.end));
        for some in all.chunks_mut(AT_ONCE) {
            let mut places: Vec<Place> = Vec::new();
            for (at, one) in some.iter().enumerate() {
                places.extend(one.stored.iter().enumerate().map(|(nth, (id, _))| Place { id: *id, at, nth }));
            }
            places.sort_unstable_by_key(|place| place.id);
            if from < self.ages.raw {
                self.rolled(some, &places, from, to.min(self.ages.raw - 1))?;
            }
            self.goes_on()?;
            self.samples(some, &places, from.max(self.ages.raw), to)?;
        }
        Ok(())
    }

    fn samples(
        &self,
        some: &mut [&mut Gathering],
        places: &[Place],
        from: i64,
        to: i64,
    ) -> Result<(), SourceError> {
        if to < from || places.is_empty() {
            return Ok(());
        }
        let ids: Vec<SeriesId> = places.iter().map(|place| place.id).collect();
        let mut stop = None;
        let read = self.reader.by_day(self.wanted.agent, &ids, span(from, to), &mut |day| {
            let mut several: BTreeMap<usize, Vec<(i64, Option<f64>)>> = BTreeMap::new();
            for (id, samples) in day {
                let Ok(found) = places.binary_search_by_key(&id, |place| place.id) else { continue };
                let Place { at, nth, .. } = places[found];
                let scale = some[at].stored[nth].1.scale;
                let each = samples.times.iter().zip(&samples.values);
                let each = each.map(|(&ms, value)| (ms as i64, value.map(|number| scale.value(number))));
                if some[at].stored.len() == 1 {
                    each.for_each(|(ms, value)| some[at].gather.sample(ms, value));
                } else {
                    several.entry(at).or_default().extend(each);
                }
            }
            for (at, mut samples) in several {
                samples.sort_by_key(|sample| sample.0);
                for (ms, value) in samples {
                    some[at].gather.sample(ms, value);
                }
            }
            stop = (self.wanted.stopped)();
            if stop.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        read.map_err(|error| failed(&error))?;
        stop.map_or(Ok(()), |stop| Err(SourceError::Stopped(stop)))
    }

    fn rolled(
        &self,
        some: &mut [&mut Gathering],
        places: &[Place],
        from: i64,
        to: i64,
    ) -> Result<(), SourceError> {
        let minutes = match self.bucket {
            Resolution::Hour => to + 1,
            Resolution::Minute => self.ages.minute.clamp(from, to + 1),
        };
        let ids: Vec<SeriesId> = places.iter().map(|place| place.id).collect();
        for (from, to, resolution) in
            [(from, minutes - 1, Resolution::Hour), (minutes, to, Resolution::Minute)]
        {
            let step = if resolution == Resolution::Hour { HOUR } else { MINUTE };
            let mut start = from;
            while start <= to {
                self.goes_on()?;
                let end = to.min(start.saturating_add(BUCKETS * step).div_euclid(DAY) * DAY - 1).max(start);
                let found = self.reader.rollups(self.wanted.agent, &ids, span(start, end), resolution);
                let mut buckets: BTreeMap<usize, Vec<Bucket>> = BTreeMap::new();
                for (id, found) in found.map_err(|error| failed(&error))? {
                    let Ok(place) = places.binary_search_by_key(&id, |place| place.id) else { continue };
                    let Place { at, nth, .. } = places[place];
                    let key = &some[at].stored[nth].1;
                    let of = found.iter().filter_map(|found| bucket(found, key, step));
                    buckets.entry(at).or_default().extend(of);
                }
                for (at, mut buckets) in buckets {
                    buckets.sort_by_key(|bucket| bucket.start);
                    for bucket in &buckets {
                        some[at].gather.bucket(bucket);
                    }
                }
                start = end + 1;
            }
        }
        Ok(())
    }

    fn goes_on(&self) -> Result<(), SourceError> {
        (self.wanted.stopped)().map_or(Ok(()), |stop| Err(SourceError::Stopped(stop)))
    }
}

/// A rollup in the series' own unit.
fn bucket(found: &rollup::Bucket, key: &SeriesKey, step: i64) -> Option<Bucket> {
    let of = |number: i64| key.scale.value(number);
    let last = found.last.map(of);
    let start = found.start as i64;
    let nothing = Bucket { start, step, min: 0.0, mean: 0.0, max: 0.0, last, weight: 0.0 };
    let values = match key.kind {
        Kind::Counter => {
            let rise = of(i64::try_from(found.increase).unwrap_or(i64::MAX));
            (found.count > 0).then_some((rise, rise, rise))
        }
        Kind::Gauge | Kind::State => found.min.zip(found.max).zip(found.mean()).map(|((min, max), mean)| {
            (of(min), mean * f64::from(key.scale.times) / f64::from(key.scale.per), of(max))
        }),
    };
    match values {
        Some((min, mean, max)) => Some(Bucket { min, mean, max, weight: step as f64, ..nothing }),
        // Nothing but its end.
        None => last.is_none().then_some(nothing),
    }
}

fn span(from: i64, to: i64) -> Range<u64> {
    let ms = |at: i64| u64::try_from(at).unwrap_or_default();
    ms(from)..ms(to.saturating_add(1))
}
