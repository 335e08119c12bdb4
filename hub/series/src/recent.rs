//! The last window of every series of every appliance, in memory: what rules and live pages ask for.
//!
//! Each appliance has a lock of its own, which is held for as long as its readings are copied and no longer, so that whoever feeds
//! readings in never waits for a query. Which series have a name is found by an index. The labels of a series are made when it is asked for: what
//! racks have in common is kept once, and each rack says once whose its series are.
//!
//! That an appliance was gone ends its series here, and only here: after a restart those marks are not known, and a series lives five minutes after its last
//! sample, as it does in the history. Nothing hangs on it: `rackside_appliance_up` is kept (`derived.rs`), and so are alerts.
//!
//! What is here is not durable, and may be less than there was: [`Recent::floor`] says from when on an appliance's samples are
//! complete. What is older is the history's. Not here either: series that the hub makes itself (`derived.rs`).

use crate::appliance::Appliance;
use crate::chunk::Row;
use crate::layout::{Column, Layout};
use crate::names::Names;
use crate::rack::Rack;
use rackside_promql::{Labels, METRIC_NAME, Matcher, Sample, Test};
use rackside_proto::{Scale, Value};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::{ControlFlow, Range};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// The shortest window, in milliseconds: ten minutes.
pub const SHORTEST: i64 = 600_000;
/// The longest window, in milliseconds: two hours and five minutes.
pub const LONGEST: i64 = 7_500_000;
/// A rule is evaluated late now and then, and looks as far back as ever.
const MARGIN: i64 = 60_000;

/// One series of a catalog.
#[derive(Debug, Clone, Copy)]
pub struct Listed<'a> {
    /// The metric's name.
    pub name: &'a str,
    /// Its labels beside site and appliance.
    pub labels: &'a [(Box<str>, Box<str>)],
    /// What one step of its numbers is worth.
    pub scale: Scale,
    /// Whether it is kept; not, if it is listed twice or has a name of the hub's own.
    pub served: bool,
}

/// What the history has of one series.
#[derive(Debug, Clone, Copy)]
pub struct Stored<'a> {
    /// What it is.
    pub listed: Listed<'a>,
    /// When, in order.
    pub times: &'a [u64],
    /// What; nothing where it had ended.
    pub values: &'a [Option<i64>],
}

/// What one appliance has of what was asked for. Nothing is locked meanwhile.
#[derive(Debug)]
pub struct Found<'a> {
    /// Whose it is.
    pub slot: usize,
    /// From when on the samples are complete.
    pub floor: i64,
    /// The series, and which of `samples` are theirs.
    pub series: &'a [(Labels, Range<usize>)],
    /// Of all series, each in order of time.
    pub samples: &'a [Sample],
}

/// What a question is about.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// All of them hold for each series.
    pub matchers: &'a [Matcher],
    /// The first millisecond.
    pub from: i64,
    /// The last millisecond.
    pub to: i64,
    /// Only the last sample of each series.
    pub newest: bool,
    /// Of this appliance only.
    pub slot: Option<usize>,
}

/// The last window of all appliances.
#[derive(Debug)]
pub struct Recent {
    window: AtomicI64,
    far: RwLock<Far>,
    names: Names,
    appliances: RwLock<Vec<Arc<Appliance>>>,
    index: RwLock<Index>,
}

/// What is kept for longer: a few metrics that a few rules look far back at.
#[derive(Debug, Default)]
struct Far {
    window: i64,
    metrics: HashSet<String>,
}

/// Slot of an appliance, number of a series in it; in order.
type Entries = Vec<(u32, u32)>;

#[derive(Debug, Default)]
struct Index {
    /// By metric.
    series: BTreeMap<Arc<str>, Entries>,
    /// Slots, in order.
    sites: HashMap<Arc<str>, Vec<u32>>,
}

impl Default for Recent {
    fn default() -> Self {
        Self {
            window: AtomicI64::new(SHORTEST),
            far: RwLock::default(),
            names: Names::default(),
            appliances: RwLock::default(),
            index: RwLock::default(),
        }
    }
}

impl Recent {
    /// How far back rules look, in milliseconds: so much is kept, within [`SHORTEST`] and [`LONGEST`].
    pub fn set_window(&self, reach: i64) {
        self.window.store(reach.saturating_add(MARGIN).clamp(SHORTEST, LONGEST), Ordering::Relaxed);
    }

    /// These metrics are kept for longer, since a few rules look so far back at them, in milliseconds; at most for [`LONGEST`].
    pub fn keep_longer(&self, reach: i64, metrics: impl IntoIterator<Item = String>) {
        let window = reach.saturating_add(MARGIN).min(LONGEST);
        let metrics = metrics.into_iter().collect();
        let before = {
            let mut far = self.far.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *far, Far { window, metrics }).metrics
        };
        if !self.far.read().unwrap_or_else(PoisonError::into_inner).metrics.is_subset(&before) {
            // What was let go while a metric was as all others is not here.
            let appliances = self.appliances.read().unwrap_or_else(PoisonError::into_inner).clone();
            for appliance in &appliances {
                appliance.lock().raise_far();
            }
        }
    }

    /// How much is kept of what is kept for longer, in milliseconds.
    pub fn far_window(&self) -> i64 {
        self.far.read().unwrap_or_else(PoisonError::into_inner).window.max(self.window())
    }

    /// Whether a metric is kept for longer.
    pub fn is_far(&self, metric: &str) -> bool {
        self.far.read().unwrap_or_else(PoisonError::into_inner).metrics.contains(metric)
    }

    /// Whether all that is asked for is kept for longer.
    fn are_far(&self, matchers: &[Matcher]) -> bool {
        matchers.iter().any(|matcher| {
            *matcher.name == *METRIC_NAME && matches!(&matcher.test, Test::Equal(name) if self.is_far(name))
        })
    }

    fn trim_one(&self, slot: usize, rack: &mut Rack, now: i64) {
        let oldest = (now.saturating_sub(self.window()), now.saturating_sub(self.far_window()));
        if rack.is_due(oldest.0, oldest.1) {
            let retired = rack.trim(oldest, &|labels| self.is_far(labels.value(METRIC_NAME)));
            self.leave(slot, &retired);
        }
    }

    /// How much is kept, in milliseconds.
    pub fn window(&self) -> i64 {
        self.window.load(Ordering::Relaxed)
    }

    /// Makes room for the appliance of a slot; slots are opened in their order. What is older than `floor` is elsewhere:
    /// `i64::MIN` for an appliance that nobody has heard of before.
    pub fn open(&self, slot: usize, site: &str, appliance: &str, floor: i64) {
        let mut appliances = self.appliances.write().unwrap_or_else(PoisonError::into_inner);
        if slot != appliances.len() {
            return;
        }
        let appliance = Appliance::new(&self.names, site, appliance, floor);
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        index.sites.entry(Arc::clone(&appliance.site)).or_default().push(slot as u32);
        appliances.push(Arc::new(appliance));
    }

    /// How many appliances there are.
    pub fn appliances(&self) -> usize {
        self.appliances.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Site and appliance of a slot.
    pub fn name(&self, slot: usize) -> Option<(Arc<str>, Arc<str>)> {
        self.appliance(slot).map(|one| (Arc::clone(&one.site), Arc::clone(&one.name)))
    }

    fn appliance(&self, slot: usize) -> Option<Arc<Appliance>> {
        self.appliances.read().unwrap_or_else(PoisonError::into_inner).get(slot).cloned()
    }

    /// The labels of an appliance's series.
    pub fn labels(&self, slot: usize, name: &str, labels: &[(Box<str>, Box<str>)]) -> Option<Labels> {
        self.appliance(slot).map(|appliance| self.shape(name, labels).and(&appliance.own))
    }

    /// The labels of a series beside those that say whose it is.
    fn shape(&self, name: &str, labels: &[(Box<str>, Box<str>)]) -> Labels {
        let own = labels.iter().filter(|(name, _)| !is_whose(name));
        let own = own.map(|(name, value)| (self.names.one(name), self.names.one(value)));
        Labels::new(own.chain([(self.names.one(METRIC_NAME), self.names.one(name))]))
    }

    /// Takes a catalog in: what its readings are handed in with from then on. Nothing, if the slot is not open.
    pub fn layout<'a>(&self, slot: usize, catalog: impl Iterator<Item = Listed<'a>>) -> Option<Arc<Layout>> {
        let appliance = self.appliance(slot)?;
        let listed: Vec<(u32, Scale, Labels)> = catalog
            .enumerate()
            .filter(|(_, listed)| listed.served)
            .map(|(at, one)| (at as u32, one.scale, self.names.set(&self.shape(one.name, one.labels))))
            .collect();
        let mut rack = appliance.lock();
        let mut known = rack.numbers();
        let more = listed.iter().filter(|(_, _, labels)| !known.contains_key(labels)).count();
        if more > 0 && rack.is_crowded(more) {
            self.leave(slot, &rack.make_room(more));
            known = rack.numbers();
        }
        let mut new = Vec::new();
        let mut columns = Vec::with_capacity(listed.len());
        for (position, scale, labels) in listed {
            let series = known.get(&labels).copied().unwrap_or_else(|| {
                let number = rack.add(labels.clone());
                new.push((number, labels));
                number
            });
            columns.push(Column { series, position, scale });
        }
        let layout = Arc::new(Layout::new(columns));
        rack.hold(&layout);
        // Within the lock: whoever finds a series in the index finds it in its rack.
        self.enter(slot, &new);
        Some(layout)
    }

    fn enter(&self, slot: usize, new: &[(u32, Labels)]) {
        if new.is_empty() {
            return;
        }
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        for (name, mut numbers) in by_metric(new) {
            if !index.series.contains_key(name) {
                index.series.insert(self.names.one(name), Vec::new());
            }
            let Some(entries) = index.series.get_mut(name) else { continue };
            let own = own(entries, slot);
            numbers.extend(entries[own.clone()].iter().map(|entry| entry.1));
            numbers.sort_unstable();
            numbers.dedup();
            entries.splice(own, numbers.into_iter().map(|number| (slot as u32, number)));
        }
    }

    fn leave(&self, slot: usize, old: &[(u32, Labels)]) {
        if old.is_empty() {
            return;
        }
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        for (name, mut numbers) in by_metric(old) {
            let Some(entries) = index.series.get_mut(name) else { continue };
            numbers.sort_unstable();
            let own = own(entries, slot);
            let stay = entries[own.clone()].iter().filter(|entry| numbers.binary_search(&entry.1).is_err());
            let stay: Entries = stay.copied().collect();
            entries.splice(own, stay);
            if entries.is_empty() {
                index.series.remove(name);
            }
        }
    }

    /// Takes a reading of an appliance: a value for each position of its catalog, read at `at`. All times are in milliseconds
    /// since 1970.
    pub fn reading(&self, slot: usize, layout: &Arc<Layout>, at: i64, values: &[Value], now: i64) {
        let Some(appliance) = self.appliance(slot) else { return };
        let oldest = now.saturating_sub(self.window());
        let mut rack = appliance.lock();
        rack.reading(layout, at, values, oldest);
        self.trim_one(slot, &mut rack, now);
    }

    /// Takes what an event says of the series at one position of a catalog. Gives its labels, if it is kept.
    pub fn event(
        &self,
        slot: usize,
        layout: &Arc<Layout>,
        (position, at, value): (u32, i64, Value),
        now: i64,
    ) -> Option<Labels> {
        let column = layout.at_position(position)?;
        let appliance = self.appliance(slot)?;
        let value = crate::chunk::value(value.known(), column.scale);
        let mut rack = appliance.lock();
        rack.event(column.series, at, value, now.saturating_sub(self.window()));
        rack.labels(column.series).map(|shape| shape.and(&appliance.own))
    }

    /// An appliance is gone: its series end.
    pub fn gone(&self, slot: usize, at: i64) {
        if let Some(appliance) = self.appliance(slot) {
            appliance.lock().gone(at);
        }
    }

    /// Something of an appliance that cannot be put into its place in time, and is in the history, or will be: up to `at` that has to be asked.
    pub fn incomplete(&self, slot: usize, at: i64) {
        if let Some(appliance) = self.appliance(slot) {
            appliance.lock().raise_floor(at.saturating_add(1));
        }
    }

    /// The reading at `at` has its time from its receipt: in the history it may stand some milliseconds beside.
    pub fn dated_by_receipt(&self, slot: usize, at: i64) {
        if let Some(appliance) = self.appliance(slot) {
            appliance.lock().dated_by_receipt(at);
        }
    }

    /// Brings in what the history has of an appliance: from `floor` on, and from `far` on of what is kept for longer. What came by itself
    /// meanwhile counts. Afterwards the samples are complete from there on.
    pub fn warm(&self, slot: usize, (floor, far): (i64, i64), series: &[Stored<'_>]) {
        let Some(appliance) = self.appliance(slot) else { return };
        let mut layouts: HashMap<Vec<u32>, Arc<Layout>> = HashMap::new();
        let mut most = 0;
        for (at, members) in by_time(series, far.min(floor)) {
            most = most.max(members.len());
            let Some(layout) = layouts.get(&members).cloned().or_else(|| {
                let listed = members.iter().filter_map(|&at| Some(series.get(at as usize)?.listed));
                self.layout(slot, listed)
            }) else {
                return;
            };
            let number = |column: &Column| {
                let stored = series.get(*members.get(column.position as usize)? as usize)?;
                let row = stored.times.binary_search(&(at as u64)).ok()?;
                stored.values.get(row).copied().flatten()
            };
            let row: Row = (at, layout.columns().iter().map(number).collect());
            // An event is a few series at a moment of their own.
            appliance.lock().older(&layout, &row, members.len() * 4 < most);
            layouts.insert(members, layout);
        }
        appliance.lock().lower_floor(floor, far);
    }

    /// Lets go of what is too old of appliances that say nothing any more.
    pub fn trim(&self, now: i64) {
        for slot in 0..self.appliances() {
            let Some(appliance) = self.appliance(slot) else { return };
            self.trim_one(slot, &mut appliance.lock(), now);
        }
    }

    /// From when on the samples of an appliance are complete, of what is asked for.
    pub fn floor(&self, slot: usize, matchers: &[Matcher]) -> i64 {
        let are_far = self.are_far(matchers);
        self.appliance(slot).map_or(i64::MIN, |one| one.floor(are_far))
    }

    /// Whether times from `at` on may differ from those in the history.
    pub fn is_inexact_from(&self, slot: usize, at: i64) -> bool {
        self.appliance(slot).is_some_and(|appliance| appliance.lock().is_inexact_at(at))
    }

    /// Whether an appliance has a series of these labels.
    pub fn has(&self, labels: &Labels) -> bool {
        let (site, appliance) = (labels.value("site"), labels.value("appliance"));
        if site.is_empty() || appliance.is_empty() {
            return false;
        }
        let slots = {
            let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
            if !index.series.contains_key(labels.value(METRIC_NAME)) {
                return false;
            }
            index.sites.get(site).cloned().unwrap_or_default()
        };
        let mut shape = labels.edit();
        shape.remove("site").remove("appliance");
        let shape = shape.done();
        slots
            .into_iter()
            .filter_map(|slot| self.appliance(slot as usize))
            .any(|one| *one.name == *appliance && one.lock().find(&shape).is_some())
    }

    /// The slots whose site and appliance match, in order.
    pub fn slots(&self, matchers: &[Matcher]) -> Vec<usize> {
        let of_site = matchers.iter().find_map(|matcher| match &matcher.test {
            Test::Equal(site) if *matcher.name == *"site" => Some(Arc::clone(site)),
            _ => None,
        });
        let candidates: Vec<usize> = match of_site {
            Some(site) => {
                let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
                index.sites.get(&site).into_iter().flatten().map(|&slot| slot as usize).collect()
            }
            None => (0..self.appliances()).collect(),
        };
        let about = |name: &str| matchers.iter().filter(|matcher| *matcher.name == *name).collect::<Vec<_>>();
        let (sites, names) = (about("site"), about("appliance"));
        if sites.is_empty() && names.is_empty() {
            return candidates;
        }
        let appliances = self.appliances.read().unwrap_or_else(PoisonError::into_inner);
        let fits = |slot: &usize| {
            appliances.get(*slot).is_some_and(|one| {
                sites.iter().all(|matcher| matcher.accepts(&one.site))
                    && names.iter().all(|matcher| matcher.accepts(&one.name))
            })
        };
        candidates.into_iter().filter(fits).collect()
    }

    /// The slots whose site and appliance match, and whose samples are complete only from later than `from` on; in order.
    pub fn behind(&self, matchers: &[Matcher], from: i64) -> Vec<usize> {
        let slots = self.slots(matchers);
        let appliances = self.appliances.read().unwrap_or_else(PoisonError::into_inner);
        let are_far = self.are_far(matchers);
        let is_behind = |slot: &usize| appliances.get(*slot).is_some_and(|one| one.floor(are_far) > from);
        slots.into_iter().filter(is_behind).collect()
    }

    /// The series whose name matches, of the slots of which site and appliance match; in order.
    fn candidates(&self, matchers: &[Matcher], only: Option<usize>) -> Entries {
        let bounded = matchers.iter().any(|matcher| is_whose(&matcher.name));
        let slots = match only {
            Some(slot) => Some(vec![slot]),
            None => bounded.then(|| self.slots(matchers)),
        };
        let names: Vec<&Matcher> = matchers.iter().filter(|matcher| *matcher.name == *METRIC_NAME).collect();
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        let mut all = Vec::new();
        let mut several = 0;
        let mut add = |entries: &Entries| {
            several += 1;
            let Some(slots) = &slots else { return all.extend_from_slice(entries) };
            for &slot in slots {
                let from = entries.partition_point(|entry| entry.0 < slot as u32);
                all.extend(entries[from..].iter().take_while(|entry| entry.0 == slot as u32));
            }
        };
        let exact = names.iter().find_map(|matcher| match &matcher.test {
            Test::Equal(name) => Some(name),
            _ => None,
        });
        let fits = |name: &str| names.iter().all(|matcher| matcher.accepts(name));
        match exact {
            Some(name) => {
                if let Some(entries) = index.series.get(name).filter(|_| fits(name)) {
                    add(entries);
                }
            }
            None => index.series.iter().filter(|(name, _)| fits(name)).for_each(|(_, entries)| add(entries)),
        }
        drop(index);
        if several > 1 {
            all.sort_unstable();
        }
        all
    }

    /// Hands over what each appliance has, in the order of the slots, until it is told to stop. Appliances without a matching series are
    /// left out; series without samples are not.
    pub fn select(&self, asked: &Asked<'_>, each: &mut dyn FnMut(&Found<'_>) -> ControlFlow<()>) {
        let rest: Vec<Matcher> =
            asked.matchers.iter().filter(|matcher| !is_whose(&matcher.name)).cloned().collect();
        let are_far = self.are_far(asked.matchers);
        let candidates = self.candidates(asked.matchers, asked.slot);
        let (mut series, mut samples) = (Vec::new(), Vec::new());
        for entries in candidates.chunk_by(|one, other| one.0 == other.0) {
            let slot = entries[0].0 as usize;
            let Some(appliance) = self.appliance(slot) else { return };
            series.clear();
            samples.clear();
            let rack = appliance.lock();
            for &(_, number) in entries {
                let Some(shape) = rack.labels(number) else { continue };
                if !rest.iter().all(|matcher| matcher.matches(shape)) {
                    continue;
                }
                let start = samples.len();
                if asked.newest {
                    samples.extend(rack.newest(number, asked.from, asked.to));
                } else {
                    rack.samples(number, asked.from, asked.to, &mut samples);
                }
                series.push((shape.and(&appliance.own), start..samples.len()));
            }
            let floor = if are_far { rack.far() } else { rack.floor() };
            drop(rack);
            if !series.is_empty()
                && each(&Found { slot, floor, series: &series, samples: &samples }).is_break()
            {
                return;
            }
        }
    }

    /// How many series there are, and about how many bytes their samples take.
    pub fn size(&self) -> (usize, usize) {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        let series = index.series.values().map(Vec::len).sum();
        drop(index);
        let appliances = self.appliances.read().unwrap_or_else(PoisonError::into_inner).clone();
        (series, appliances.iter().map(|appliance| appliance.lock().size()).sum())
    }
}

/// Whether a label says whose a series is.
fn is_whose(name: &str) -> bool {
    matches!(name, "site" | "appliance")
}

/// The numbers of series, by their metric.
fn by_metric(series: &[(u32, Labels)]) -> BTreeMap<&str, Vec<u32>> {
    let mut metrics: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    for (number, labels) in series {
        metrics.entry(labels.value(METRIC_NAME)).or_default().push(*number);
    }
    metrics
}

/// Where the entries of a slot are.
fn own(entries: &Entries, slot: usize) -> Range<usize> {
    let start = entries.partition_point(|entry| entry.0 < slot as u32);
    start..entries.partition_point(|entry| entry.0 <= slot as u32)
}

/// Which of the series have a sample at each time from `floor` on.
fn by_time(series: &[Stored<'_>], floor: i64) -> BTreeMap<i64, Vec<u32>> {
    let mut members: BTreeMap<i64, Vec<u32>> = BTreeMap::new();
    for (at, stored) in series.iter().enumerate() {
        for &time in stored.times.iter().filter(|time| **time as i64 >= floor) {
            members.entry(time as i64).or_default().push(at as u32);
        }
    }
    members
}
