//! Everything that a query can be about, as one source of series: the last window of the fleet in memory, what the hub makes itself, and the
//! history on disk.
//!
//! ```text
//! ingest ── feed ──▶ Recent  ─┐
//! rules, own numbers ▶ Derived ├──▶ Fleetwide ──▶ evaluator: rules, /api/v1
//!                    history  ─┘
//! ```
//!
//! What memory covers is answered from memory, and no disk is touched. What is older comes from the history up to the moment from which on
//! memory is complete, which each appliance knows for itself; the two are joined by their labels. A series that changed its kind or its scale
//! is several in the history, and one here.

mod curves;
mod feed;
mod keeper;
mod labels;
mod meanwhile;
mod past;
mod since;
mod then;
mod warm;

pub use curves::{Curved, SeriesName, UP, Wanted as WantedCurves};
pub use feed::{Feed, Rows, Touched, up};
pub use keeper::{Own, keep};
pub(crate) use meanwhile::LINES;
pub use meanwhile::{Fired, Meanwhile};
pub use past::Kept;
pub use since::Since;
pub(crate) use then::Then;
pub use warm::Remembered;

use crate::clock::{self, Now};
use past::{Past, SERIES_DAYS, Wish, warning};
use rackside_history::{LogPage, LogQuery, Reader, SeriesId, SeriesKey, StoreError};
use rackside_promql::{
    Labels, METRIC_NAME, Matcher, Query, Sample, Select, Source, SourceError, Stop, Take, Test, Wanted,
};
use rackside_proto::AgentName;
use rackside_series::{Asked, Derived, Found, HubDb, LONGEST, Recent, SHORTEST};
use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

const DAY: i64 = 86_400_000;
/// A rule that looks no further back than this counts for the window of all series: twenty minutes.
const SHARED: i64 = 1_200_000;

/// All series that the hub knows. Cheap to ask for what is recent: then no disk is touched.
#[derive(Debug)]
pub struct Fleetwide {
    recent: Arc<Recent>,
    derived: Arc<Derived>,
    history: Option<(Reader, Kept)>,
    trouble: Mutex<Option<String>>,
    is_warm: AtomicBool,
    noted: since::Noted,
}

/// Series of one appliance in the history, by their labels.
type Listed = BTreeMap<Labels, Vec<(SeriesId, SeriesKey)>>;

impl Fleetwide {
    /// Over what is in memory and on disk; without a history, over memory alone.
    pub fn new(recent: Arc<Recent>, derived: Arc<Derived>, history: Option<(Reader, Kept)>) -> Self {
        let is_warm = AtomicBool::new(history.is_none());
        let noted = since::Noted::default();
        Self { recent, derived, history, trouble: Mutex::default(), is_warm, noted }
    }

    /// Whether what rules look back at is in memory: nothing is left to be read, but for what could not be read at once.
    pub fn is_warm(&self) -> bool {
        self.is_warm.load(Ordering::Relaxed)
    }

    /// What happened, the newest first: see [`Reader::log`]. Without a history nothing did.
    pub fn log(&self, query: &LogQuery<'_>) -> Result<LogPage, StoreError> {
        self.history.as_ref().map_or_else(|| Ok(LogPage::default()), |(reader, _)| reader.log(query))
    }

    /// The last window of what appliances measure.
    pub fn recent(&self) -> &Arc<Recent> {
        &self.recent
    }

    /// What the hub makes itself; rules push what they record here.
    pub fn derived(&self) -> &Arc<Derived> {
        &self.derived
    }

    /// What rules look back at is kept in memory: all series for as long as most rules need them, and the few metrics for longer that a few rules
    /// look further back at. What one looks at beyond two hours is left to the disk.
    pub fn serve<'q>(&self, queries: impl Iterator<Item = &'q Query>, now: Now) {
        let (mut reach, mut far, mut metrics) = (0, 0, HashSet::new());
        for query in queries {
            let Some(back) = query.reach().filter(|back| *back <= LONGEST) else { continue };
            let names: Option<Vec<String>> = query.selectors().map(metric_of).collect();
            match names.filter(|_| back > SHARED) {
                Some(names) => {
                    metrics.extend(names);
                    far = back.max(far);
                }
                None => reach = back.max(reach),
            }
        }
        self.recent.set_window(reach);
        self.recent.keep_longer(far, metrics.iter().cloned());
        let far = (self.recent.far_window(), metrics);
        let brought = self.derived.keep_for(self.recent.window(), far, now.utc_ms as i64);
        if let Err(error) = brought {
            log::error!(
                "{error}; what rules recorded before is read from there again and again, as far as it can be"
            );
        }
    }

    /// Why what the hub makes is not written to the disk, if it is not.
    pub fn trouble(&self) -> Option<String> {
        if self.derived.db().is_none() {
            return Some("hub.db could not be opened when the hub started; its log says why".to_owned());
        }
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_trouble(&self, trouble: Option<String>) {
        let mut before = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if *before != trouble {
            match &trouble {
                Some(trouble) => log::error!("what the hub makes cannot be kept: {trouble}"),
                None => log::info!("what the hub makes is kept again"),
            }
            *before = trouble;
        }
    }
}

/// Opens `hub.db` in `directory`, and brings into memory what every rule may look back at; [`Fleetwide::serve`] brings the rest. A hub that cannot says so
/// and works without: what it makes itself is then in memory only.
pub fn derived(directory: &Path, now: Now) -> Derived {
    let now = now.utc_ms as i64;
    let opened = HubDb::open(directory).and_then(|db| Derived::new(Some(Arc::new(db)), SHORTEST, now));
    opened.unwrap_or_else(|error| {
        log::error!("{error}; until then what rules make is lost when the hub stops");
        Derived::new(None, SHORTEST, now).expect("without a database nothing can fail")
    })
}

impl Source for Fleetwide {
    fn select(&self, wanted: &Select<'_>, take: &mut dyn Take) -> Result<(), SourceError> {
        let flow = match &self.history {
            Some((reader, kept)) => {
                let behind = self.recent.behind(wanted.matchers, wanted.from);
                self.joined(wanted, (reader, *kept), !behind.is_empty(), take)?
            }
            None => self.of_memory(wanted, take)?,
        };
        if flow.is_break() { Ok(()) } else { self.of_the_hub(wanted, take) }
    }
}

impl Fleetwide {
    /// Appliances, of which nothing but memory is asked.
    fn of_memory(&self, wanted: &Select<'_>, take: &mut dyn Take) -> Result<ControlFlow<()>, SourceError> {
        let mut outcome = Ok(ControlFlow::Continue(()));
        self.recent.select(&asked(wanted, None), &mut |found| {
            outcome = hand_over(found, take);
            if matches!(outcome, Ok(ControlFlow::Continue(()))) {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        });
        outcome
    }

    /// Appliances, of which the history is asked where memory does not go back far enough; nowhere, if none is `behind`.
    fn joined(
        &self,
        wanted: &Select<'_>,
        (reader, kept): (&Reader, Kept),
        behind: bool,
        take: &mut dyn Take,
    ) -> Result<ControlFlow<()>, SourceError> {
        let joining = Joining {
            recent: &self.recent,
            reader,
            wanted,
            wish: Wish { reduce: wanted.reduce, step: wanted.step, window: wanted.window },
            ages: kept.ages(clock::now().utc_ms as i64),
        };
        if behind {
            for slot in self.recent.slots(wanted.matchers) {
                if joining.appliance(slot, take)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            return Ok(ControlFlow::Continue(()));
        }
        let mut outcome = Ok(ControlFlow::Continue(()));
        self.recent.select(&asked(wanted, None), &mut |found| {
            // Between the two looks something old may have been dropped.
            let is_behind = found.floor > wanted.from;
            outcome = if is_behind { joining.appliance(found.slot, take) } else { hand_over(found, take) };
            if matches!(outcome, Ok(ControlFlow::Continue(()))) {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        });
        outcome
    }

    /// What the hub makes; a series that an appliance has as well is the appliance's.
    fn of_the_hub(&self, wanted: &Select<'_>, take: &mut dyn Take) -> Result<(), SourceError> {
        let newest = wanted.wanted == Wanted::Newest;
        let mut own = TheHubs { recent: &self.recent, is_named: false, take };
        let told = self.derived.select(wanted.matchers, (wanted.from, wanted.to), newest, &mut own);
        told.map_err(|error| SourceError::Failed(error.to_string()))?;
        own.stopped().map_or(Ok(()), |stop| Err(SourceError::Stopped(stop)))
    }

    /// The series of an appliance in the history, whenever they were.
    fn listed(&self, slot: usize, matchers: &[Matcher]) -> Result<Vec<Labels>, SourceError> {
        let Some((reader, _)) = &self.history else { return Ok(Vec::new()) };
        let Some(agent) = agent(&self.recent, slot) else { return Ok(Vec::new()) };
        Ok(listed(&self.recent, reader, (slot, &agent), matchers)?.into_keys().collect())
    }
}

/// The one metric that a selector names.
fn metric_of(matchers: &[Matcher]) -> Option<String> {
    matchers.iter().find_map(|matcher| match &matcher.test {
        Test::Equal(name) if *matcher.name == *METRIC_NAME => Some(name.to_string()),
        _ => None,
    })
}

fn asked<'a>(wanted: &Select<'a>, slot: Option<usize>) -> Asked<'a> {
    let newest = wanted.wanted == Wanted::Newest;
    Asked { matchers: wanted.matchers, from: wanted.from, to: wanted.to, newest, slot }
}

fn hand_over(found: &Found<'_>, take: &mut dyn Take) -> Result<ControlFlow<()>, SourceError> {
    if let Some(stop) = take.stopped() {
        return Err(SourceError::Stopped(stop));
    }
    for (labels, range) in found.series {
        let samples = &found.samples[range.clone()];
        if !samples.is_empty() && take.series(labels, samples).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

fn failed(error: &StoreError) -> SourceError {
    SourceError::Failed(error.to_string())
}

fn agent(recent: &Recent, slot: usize) -> Option<AgentName> {
    let (site, appliance) = recent.name(slot)?;
    AgentName::new(&site, &appliance).ok()
}

/// What the history lists of an appliance that matches.
fn listed(
    recent: &Recent,
    reader: &Reader,
    (slot, agent): (usize, &AgentName),
    matchers: &[Matcher],
) -> Result<Listed, SourceError> {
    let names: Vec<&Matcher> = matchers.iter().filter(|matcher| *matcher.name == *METRIC_NAME).collect();
    let mut listed = Listed::new();
    for (id, key) in reader.series(agent).map_err(|error| failed(&error))? {
        if !names.iter().all(|matcher| matcher.accepts(&key.name)) {
            continue;
        }
        let Some(labels) = recent.labels(slot, &key.name, &key.labels) else { continue };
        if matchers.iter().all(|matcher| matcher.matches(&labels)) {
            listed.entry(labels).or_default().push((id, key));
        }
    }
    Ok(listed)
}

/// Leaves out what appliances have as well, and series without samples, unless it is names that are asked for.
struct TheHubs<'a> {
    recent: &'a Recent,
    is_named: bool,
    take: &'a mut dyn Take,
}

impl Take for TheHubs<'_> {
    fn series(&mut self, labels: &Labels, samples: &[Sample]) -> ControlFlow<()> {
        if (samples.is_empty() && !self.is_named) || self.recent.has(labels) {
            return ControlFlow::Continue(());
        }
        self.take.series(labels, samples)
    }

    fn stopped(&self) -> Option<Stop> {
        self.take.stopped()
    }

    fn room(&self) -> usize {
        self.take.room()
    }

    fn warn(&mut self, text: &str) {
        self.take.warn(text);
    }
}

/// A question while it is answered from memory and history.
struct Joining<'a> {
    recent: &'a Recent,
    reader: &'a Reader,
    wanted: &'a Select<'a>,
    wish: Wish,
    ages: past::Ages,
}

impl Joining<'_> {
    /// Hands over what matches of one appliance.
    fn appliance(&self, slot: usize, take: &mut dyn Take) -> Result<ControlFlow<()>, SourceError> {
        let Select { from, to, .. } = *self.wanted;
        let mut recent: BTreeMap<Labels, Vec<Sample>> = BTreeMap::new();
        // The floor ahead of the samples: it only rises while an appliance is fed.
        let floor = self.recent.floor(slot, self.wanted.matchers);
        let asked = Asked { newest: false, ..asked(self.wanted, Some(slot)) };
        self.recent.select(&asked, &mut |found| {
            for (labels, range) in found.series {
                recent.insert(labels.clone(), found.samples[range.clone()].to_vec());
            }
            ControlFlow::Continue(())
        });
        let floor = floor.max(self.recent.floor(slot, self.wanted.matchers));
        let mut listed = Listed::new();
        let upto = to.min(floor.saturating_sub(1));
        let agent = agent(self.recent, slot).filter(|_| from <= upto);
        if let Some(agent) = &agent {
            listed = listed_of(self, (slot, agent))?;
            if let Some(text) = warning(self.wish, self.ages, from).filter(|_| !listed.is_empty()) {
                take.warn(&text);
            }
            if self.recent.is_inexact_from(slot, from) {
                for samples in recent.values_mut() {
                    samples.retain(|sample| sample.at > upto);
                }
            }
        }
        // Those that memory answers for: all, or the newest is there and nothing older is wanted.
        let (alone, both): (Vec<_>, Vec<_>) = recent.into_iter().partition(|(labels, samples)| {
            let is_told = samples.last().is_some_and(|last| last.at >= floor);
            !listed.contains_key(labels) || (self.wanted.wanted == Wanted::Newest && is_told)
        });
        for (labels, samples) in &alone {
            listed.remove(labels);
            if !samples.is_empty() && take.series(labels, samples).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        match &agent {
            Some(agent) => self.of_history(agent, listed, both.into_iter().collect(), (from, upto), take),
            None => Ok(ControlFlow::Continue(())),
        }
    }

    fn of_history(
        &self,
        agent: &AgentName,
        listed: Listed,
        mut recent: BTreeMap<Labels, Vec<Sample>>,
        (from, upto): (i64, i64),
        take: &mut dyn Take,
    ) -> Result<ControlFlow<()>, SourceError> {
        let (reader, ages, wish, room) = (self.reader, self.ages, self.wish, take.room());
        let at_once = (SERIES_DAYS * DAY / upto.saturating_sub(from).saturating_add(1)).clamp(1, 64) as usize;
        let listed: Vec<(Labels, Vec<(SeriesId, SeriesKey)>)> = listed.into_iter().collect();
        for some in listed.chunks(at_once) {
            if let Some(stop) = take.stopped() {
                return Err(SourceError::Stopped(stop));
            }
            let series: Vec<(SeriesId, &SeriesKey)> =
                some.iter().flat_map(|(_, keys)| keys.iter().map(|(id, key)| (*id, key))).collect();
            let stopped = || take.stopped();
            let past = Past { reader, agent, ages, wish, room, stopped: &stopped };
            let mut read = past.read(&series, from, upto)?.into_iter();
            for (labels, keys) in some {
                let mut samples = read.next().unwrap_or_default();
                samples.extend(read.by_ref().take(keys.len() - 1).flatten());
                samples.extend(recent.remove(labels).unwrap_or_default());
                in_order(&mut samples);
                if !samples.is_empty() && take.series(labels, &samples).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

fn listed_of(joining: &Joining<'_>, whose: (usize, &AgentName)) -> Result<Listed, SourceError> {
    listed(joining.recent, joining.reader, whose, joining.wanted.matchers)
}

/// Sorts by time; of two samples at one moment the later one stays.
fn in_order(samples: &mut Vec<Sample>) {
    if samples.is_sorted_by(|one, other| one.at < other.at) {
        return;
    }
    samples.sort_by_key(|sample| sample.at);
    samples.reverse();
    samples.dedup_by_key(|sample| sample.at);
    samples.reverse();
}

#[cfg(test)]
mod curve_tests;
#[cfg(test)]
mod tests;
