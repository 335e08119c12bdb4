//! Series that the hub makes itself: what rules record, alerts, whether an appliance is up, the hub's own numbers. The last window in
//! memory, and all of it in `hub.db`, for as long as the history keeps samples one by one.
//!
//! What is pushed is in memory at once and on the disk within a minute, when whoever runs the hub calls [`Derived::flush`]. A disk that
//! fails stops nothing: what is not written waits, up to a bound, and the loss of more is counted and said.

use crate::db::{HubDb, HubDbError};
use crate::kept::{self, Limits};
use crate::line::Line;
use crate::older::{self, Older};
use rackside_promql::{Labels, METRIC_NAME, Matcher, Sample, Stop, Take, Test};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::{ControlFlow, Range};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Samples that may wait for the disk: 24 MiB.
const WAITING: usize = 1 << 20;
/// Most series. What is beyond is left out and counted.
pub const MOST: usize = 500_000;
/// Series that are copied before the lock is given back.
const AT_ONCE: usize = 256;
/// Series that are trimmed before the lock is given back.
const TRIMMED_AT_ONCE: usize = 1024;

/// What the hub makes.
#[derive(Debug)]
pub struct Derived {
    db: Option<Arc<HubDb>>,
    inner: Mutex<Inner>,
    /// Held while something is let go or brought in: what is brought in is not let go before it counts.
    moving: Mutex<()>,
}

#[derive(Debug, Default)]
struct Inner {
    window: i64,
    /// A few metrics are kept for longer: for so long, and which.
    far_window: i64,
    far: HashSet<String>,
    lines: Vec<Option<(Labels, Line)>>,
    free: Vec<u32>,
    numbers: HashMap<Labels, u32>,
    /// By metric: which lines.
    index: BTreeMap<Arc<str>, BTreeSet<u32>>,
    waiting: Vec<(Labels, Sample)>,
    /// What is older than this is asked of the disk. Memory has it until the next time that something is let go, for whoever began to ask before.
    floor: i64,
    /// As the floor, for the few metrics that are kept for longer.
    far_floor: i64,
    lost: u64,
}

/// Leaves out series that have no samples, and the samples of those that have.
struct Named<'a>(&'a mut dyn Take);

impl Take for Named<'_> {
    fn series(&mut self, labels: &Labels, samples: &[Sample]) -> ControlFlow<()> {
        if samples.is_empty() { ControlFlow::Continue(()) } else { self.0.series(labels, &[]) }
    }

    fn stopped(&self) -> Option<Stop> {
        self.0.stopped()
    }

    fn warn(&mut self, text: &str) {
        self.0.warn(text);
    }
}

/// What a series comes to in a window.
pub(crate) type Copied = (Labels, Range<usize>);

impl Derived {
    /// Over a database, of which the last window is read; or without one, when it cannot be opened.
    pub fn new(db: Option<Arc<HubDb>>, window: i64, now: i64) -> Result<Self, HubDbError> {
        let floor = if db.is_some() { now } else { i64::MIN };
        let inner = Inner { window, floor, far_floor: floor, ..Inner::default() };
        let derived = Self { db, inner: Mutex::new(inner), moving: Mutex::default() };
        derived.bring(now.saturating_sub(window), &|_| true, &|inner, from| {
            (inner.floor, inner.far_floor) = (inner.floor.min(from), inner.far_floor.min(from));
        })?;
        Ok(derived)
    }

    /// How far back rules look, in milliseconds; and the few metrics that a few of them look further back at, and how far. What memory lacks of it
    /// is brought from the disk.
    pub fn keep_for(
        &self,
        window: i64,
        (far_window, far): (i64, HashSet<String>),
        now: i64,
    ) -> Result<(), HubDbError> {
        let (floor, far_floor, is_new) = {
            let mut inner = self.lock();
            let is_new = !far.is_subset(&inner.far);
            (inner.window, inner.far_window, inner.far) = (window, far_window.max(window), far);
            if is_new && self.db.is_some() {
                inner.far_floor = inner.far_floor.max(inner.floor);
            }
            (inner.floor, inner.far_floor, is_new)
        };
        let (near, distant) = (now.saturating_sub(window), now.saturating_sub(far_window.max(window)));
        if near < floor {
            self.bring(near, &|_| true, &|inner, from| inner.floor = inner.floor.min(from))?;
        }
        if is_new || distant < far_floor {
            let far = self.lock().far.clone();
            self.bring(distant, &|metric| far.contains(metric), &|inner, from| {
                inner.far_floor = inner.far_floor.min(from);
            })?;
        }
        Ok(())
    }

    /// Reads from the disk what memory lacks of some metrics from `from` on, and says that it has them.
    fn bring(
        &self,
        from: i64,
        is_wanted: &dyn Fn(&str) -> bool,
        done: &dyn Fn(&mut Inner, i64),
    ) -> Result<(), HubDbError> {
        let Some(db) = &self.db else { return Ok(()) };
        let _moving = self.moving.lock().unwrap_or_else(PoisonError::into_inner);
        let mut entries = older::listed(db, &[], from)?;
        entries.retain(|entry| is_wanted(entry.labels.value(METRIC_NAME)));
        if !entries.is_empty() {
            let mut samples = Vec::new();
            let _ = Older::new(db, from, i64::MAX, false)?.each(&entries, &mut |older, entry| {
                older.read(entry, i64::MAX, &mut samples)?;
                self.lock().put_ahead(&entry.labels, &samples);
                Ok(ControlFlow::Continue(()))
            })?;
        }
        done(&mut self.lock(), from);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where it is kept; nothing, when that could not be opened.
    pub fn db(&self) -> Option<&Arc<HubDb>> {
        self.db.as_ref()
    }

    /// Adds a sample to a series, new or not; [`STALE`](rackside_promql::STALE) ends it. One of the same moment is replaced by it.
    pub fn push(&self, labels: &Labels, at: i64, value: f64) {
        self.lock().add(labels, Sample::new(at, value), self.db.is_some());
    }

    /// Adds many.
    pub fn extend(&self, samples: impl IntoIterator<Item = (Labels, Sample)>) {
        let mut inner = self.lock();
        for (labels, sample) in samples {
            inner.add(&labels, sample, self.db.is_some());
        }
    }

    /// Hands over every series that matches, with its samples from `from` to `to`, or only the last of them, until `take` has enough or is
    /// stopped. Nothing is locked meanwhile. The disk is read a series at a time, and only for what memory lacks.
    pub fn select(
        &self,
        matchers: &[Matcher],
        (from, to): (i64, i64),
        newest: bool,
        take: &mut dyn Take,
    ) -> Result<(), HubDbError> {
        let Some(db) = self.older(matchers, from).filter(|_| from <= to) else {
            let _ = self.of_memory(matchers, (from, to), newest, &HashSet::new(), take);
            return Ok(());
        };
        let entries = older::listed(db, matchers, from)?;
        let (mut samples, mut recent) = (Vec::new(), Vec::new());
        let flow = Older::new(db, from, to, newest)?.each(&entries, &mut |older, entry| {
            if take.stopped().is_some() {
                return Ok(ControlFlow::Break(()));
            }
            let floor = self.lock().one(&entry.labels, (from, to), newest, &mut recent);
            samples.clear();
            if from < floor && (!newest || recent.is_empty()) {
                older.read(entry, to.min(floor - 1), &mut samples)?;
            }
            samples.append(&mut recent);
            Ok(take.series(&entry.labels, &samples))
        })?;
        if flow.is_continue() {
            let known = entries.into_iter().map(|entry| entry.labels).collect();
            let _ = self.of_memory(matchers, (from, to), newest, &known, take);
        }
        Ok(())
    }

    /// Hands over every series that matches and has, or may have, something from `from` to `to`, without samples. Of one that is on the disk nobody
    /// looks when it began.
    pub fn names(
        &self,
        matchers: &[Matcher],
        (from, to): (i64, i64),
        take: &mut dyn Take,
    ) -> Result<(), HubDbError> {
        let mut known = HashSet::new();
        if let Some(db) = self.older(matchers, from).filter(|_| from <= to) {
            for entry in older::listed(db, matchers, from)? {
                if take.stopped().is_some() || take.series(&entry.labels, &[]).is_break() {
                    return Ok(());
                }
                known.insert(entry.labels);
            }
        }
        let mut there = Named(take);
        let _ = self.of_memory(matchers, (from, to), true, &known, &mut there);
        Ok(())
    }

    /// The disk, if memory does not go back as far as `from` of what is asked for.
    fn older(&self, matchers: &[Matcher], from: i64) -> Option<&Arc<HubDb>> {
        let floor = {
            let inner = self.lock();
            let are_far = matchers.iter().any(|matcher| {
                *matcher.name == *METRIC_NAME
                    && matches!(&matcher.test, Test::Equal(name) if inner.far.contains(&**name))
            });
            if are_far { inner.far_floor } else { inner.floor }
        };
        self.db.as_ref().filter(|_| from < floor)
    }

    /// What is in memory of series that are not `known`.
    fn of_memory(
        &self,
        matchers: &[Matcher],
        window: (i64, i64),
        newest: bool,
        known: &HashSet<Labels>,
        take: &mut dyn Take,
    ) -> ControlFlow<()> {
        let candidates = self.lock().candidates(matchers);
        let (mut series, mut samples) = (Vec::new(), Vec::new());
        for some in candidates.chunks(AT_ONCE) {
            self.lock().copy(some, matchers, window, newest, (&mut series, &mut samples));
            if take.stopped().is_some() {
                return ControlFlow::Break(());
            }
            for (labels, range) in series.iter().filter(|(labels, _)| !known.contains(labels)) {
                take.series(labels, &samples[range.clone()])?;
            }
        }
        ControlFlow::Continue(())
    }

    /// Writes what waits, closes hours, and lets go of what is older than `keep` milliseconds on the disk, and than the window in memory. On the
    /// disk nothing is too old while nobody vouches for the clock: then there is no `keep`.
    ///
    /// What was not written waits for the next time; beside what is damaged on the disk all is written, and the damage is told.
    pub fn flush(&self, now: i64, keep: Option<i64>) -> Result<(), HubDbError> {
        self.trim(now);
        let waiting = std::mem::take(&mut self.lock().waiting);
        let Some(db) = &self.db else { return Ok(()) };
        let written = kept::write(db, &waiting, now, Limits { keep, bytes: kept::BYTES });
        if written.is_err() {
            let mut inner = self.lock();
            let meanwhile = std::mem::replace(&mut inner.waiting, waiting);
            inner.waiting.extend(meanwhile);
        }
        written.and_then(|damage| damage.map_or(Ok(()), Err))
    }

    fn trim(&self, now: i64) {
        let _moving = self.moving.lock().unwrap_or_else(PoisonError::into_inner);
        let (oldest, lines) = {
            let mut inner = self.lock();
            // What is not on the disk yet is in memory, however long the disk fails.
            let waits = inner.waiting.first().map_or(i64::MAX, |(_, sample)| sample.at);
            let near = now.saturating_sub(inner.window).min(waits);
            let far = now.saturating_sub(inner.far_window.max(inner.window)).min(waits);
            // Of a floor that a clock put too far ahead nothing is let go that is newer than the window.
            let oldest = (inner.floor.min(near), inner.far_floor.min(far));
            inner.floor = inner.floor.max(near);
            inner.far_floor = inner.far_floor.max(far);
            (oldest, inner.lines.len())
        };
        for start in (0..lines).step_by(TRIMMED_AT_ONCE) {
            self.lock().trim(start..lines.min(start + TRIMMED_AT_ONCE), oldest);
        }
    }

    /// How many samples had to be given up, since the disk failed for too long or there were too many series.
    pub fn lost(&self) -> u64 {
        self.lock().lost
    }

    /// How many series there are in memory, and about how many bytes their samples take.
    pub fn size(&self) -> (usize, usize) {
        let inner = self.lock();
        (inner.numbers.len(), inner.lines.iter().flatten().map(|(_, line)| line.size()).sum())
    }
}

impl Inner {
    fn add(&mut self, labels: &Labels, sample: Sample, is_kept: bool) {
        let Some(labels) = self.push(labels, sample) else {
            self.lost += 1;
            return;
        };
        if is_kept {
            if self.waiting.len() >= WAITING {
                // The older half: what is new is asked for.
                self.waiting.drain(..WAITING / 2);
                self.lost += WAITING as u64 / 2;
            }
            self.waiting.push((labels, sample));
        }
    }

    /// Gives the one copy of the labels; nothing, if there are too many series.
    fn push(&mut self, labels: &Labels, sample: Sample) -> Option<Labels> {
        let number = match self.numbers.get(labels) {
            Some(&number) => number,
            None if self.numbers.len() >= MOST => return None,
            None => self.open(labels),
        };
        let (labels, line) = self.lines.get_mut(number as usize)?.as_mut()?;
        line.push(sample);
        Some(labels.clone())
    }

    fn open(&mut self, labels: &Labels) -> u32 {
        let line = Some((labels.clone(), Line::default()));
        let number = if let Some(number) = self.free.pop() {
            self.lines[number as usize] = line;
            number
        } else {
            self.lines.push(line);
            self.lines.len() as u32 - 1
        };
        self.numbers.insert(labels.clone(), number);
        self.index.entry(labels.value(METRIC_NAME).into()).or_default().insert(number);
        number
    }

    fn candidates(&self, matchers: &[Matcher]) -> Vec<u32> {
        let names: Vec<&Matcher> = matchers.iter().filter(|matcher| *matcher.name == *METRIC_NAME).collect();
        let exact = names.iter().find_map(|matcher| match &matcher.test {
            Test::Equal(name) => Some(name),
            _ => None,
        });
        match exact {
            Some(name) => self.index.get(name).into_iter().flatten().copied().collect(),
            None => self
                .index
                .iter()
                .filter(|(name, _)| names.iter().all(|matcher| matcher.accepts(name)))
                .flat_map(|(_, numbers)| numbers.iter().copied())
                .collect(),
        }
    }

    /// Puts what was on the disk ahead of what a series has.
    fn put_ahead(&mut self, labels: &Labels, samples: &[Sample]) {
        let known = self.numbers.get(labels).copied();
        if samples.is_empty() || (known.is_none() && self.numbers.len() >= MOST) {
            return;
        }
        let number = known.unwrap_or_else(|| self.open(labels));
        if let Some(Some((_, line))) = self.lines.get_mut(number as usize) {
            let first = line.first().unwrap_or(i64::MAX);
            line.put_ahead(&samples[..samples.partition_point(|sample| sample.at < first)]);
        }
    }

    /// From when on memory has all of a metric.
    fn floor_of(&self, labels: &Labels) -> i64 {
        if self.far.contains(labels.value(METRIC_NAME)) { self.far_floor } else { self.floor }
    }

    /// Puts what memory has of one series in place of `samples`; older ones than the moment it gives are on the disk only.
    fn one(&self, labels: &Labels, (from, to): (i64, i64), newest: bool, samples: &mut Vec<Sample>) -> i64 {
        samples.clear();
        let line = self.numbers.get(labels).and_then(|&number| self.lines.get(number as usize)?.as_ref());
        let mut floor = self.floor_of(labels);
        if let Some((_, line)) = line {
            // A line is whole from its first sample on, although a clock that was ahead may have put the floor behind that.
            floor = line.first().map_or(floor, |first| floor.min(first));
            let from = from.max(floor);
            if newest {
                samples.extend(line.newest(from, to));
            } else {
                line.samples(from, to, samples);
            }
        }
        floor
    }

    fn copy(
        &self,
        numbers: &[u32],
        matchers: &[Matcher],
        (from, to): (i64, i64),
        newest: bool,
        (series, samples): (&mut Vec<Copied>, &mut Vec<Sample>),
    ) {
        series.clear();
        samples.clear();
        for &number in numbers {
            let Some(Some((labels, line))) = self.lines.get(number as usize) else { continue };
            if !matchers.iter().all(|matcher| matcher.matches(labels)) {
                continue;
            }
            let start = samples.len();
            if newest {
                samples.extend(line.newest(from, to));
            } else {
                line.samples(from, to, samples);
            }
            series.push((labels.clone(), start..samples.len()));
        }
    }

    fn trim(&mut self, lines: Range<usize>, (oldest, oldest_far): (i64, i64)) {
        for number in lines {
            let Some(Some((labels, line))) = self.lines.get_mut(number) else { continue };
            let is_far = self.far.contains(labels.value(METRIC_NAME));
            line.trim(if is_far { oldest_far } else { oldest });
            if !line.is_empty() {
                continue;
            }
            let labels = labels.clone();
            self.lines[number] = None;
            self.numbers.remove(&labels);
            self.free.push(number as u32);
            let name = labels.value(METRIC_NAME);
            if let Some(numbers) = self.index.get_mut(name) {
                numbers.remove(&(number as u32));
                if numbers.is_empty() {
                    self.index.remove(name);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    fn series(number: usize) -> Labels {
        Labels::new([(METRIC_NAME, "site:loss:rate5m".to_owned()), ("appliance", format!("rack-{number}"))])
    }

    /// What memory has until then of all series, from `from` on: how many samples.
    fn held(derived: &Derived, from: i64) -> usize {
        let inner = derived.lock();
        let (mut series, mut samples) = (Vec::new(), Vec::new());
        inner.copy(&inner.candidates(&[]), &[], (from, 1 << 40), false, (&mut series, &mut samples));
        samples.len()
    }

    #[test]
    fn what_a_question_counts_on_is_there_although_something_is_let_go_meanwhile() {
        let derived = Derived::new(None, 15 * MINUTE, 0).expect("nothing can fail");
        for at in (0..40).map(|step| step * MINUTE / 3) {
            derived.extend((0..10).map(|number| (series(number), Sample::new(at, 1.0))));
        }
        derived.flush(14 * MINUTE, Some(0)).expect("nothing is written");
        let floor = derived.lock().floor;
        assert!(floor <= 0, "{floor}");
        derived.flush(26 * MINUTE, Some(0)).expect("nothing is written");
        assert_eq!(held(&derived, floor), 400, "who asked before has to have them");
        assert_eq!(derived.lock().floor, 11 * MINUTE, "who asks now does not count on them");
        derived.flush(27 * MINUTE, Some(0)).expect("nothing is written");
        assert_eq!(held(&derived, 0), 70);
    }

    #[test]
    fn what_is_written_beside_a_damaged_row_is_not_written_again() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let db = Arc::new(HubDb::open(directory.path()).expect("it opens"));
        let derived = Derived::new(Some(Arc::clone(&db)), 15 * MINUTE, 0).expect("it is empty");
        derived.push(&series(1), 0, 1.0);
        derived.flush(0, Some(1 << 40)).expect("it is written");
        db.with(|db| db.execute("UPDATE fresh SET samples = x'02'", [])).expect("it is written");
        derived.push(&series(1), 180 * MINUTE, 1.0);
        let error =
            derived.flush(180 * MINUTE, Some(1 << 40)).expect_err("the first hour is closed").to_string();
        assert!(error.contains("damaged (samples of hour 0"), "{error}");
        assert!(derived.lock().waiting.is_empty());
        assert_eq!(derived.flush(180 * MINUTE, Some(1 << 40)), Ok(()), "it was told once");
    }

    /// The moments that a question over everything up to `to` gives of the series.
    fn moments(derived: &Derived, to: i64) -> Vec<i64> {
        struct Moments(Vec<i64>);
        impl Take for Moments {
            fn series(&mut self, _: &Labels, samples: &[Sample]) -> ControlFlow<()> {
                self.0.extend(samples.iter().map(|sample| sample.at));
                ControlFlow::Continue(())
            }

            fn stopped(&self) -> Option<Stop> {
                None
            }

            fn warn(&mut self, _: &str) {}
        }
        let mut found = Moments(Vec::new());
        derived.select(&[], (0, to), false, &mut found).expect("it can be read");
        found.0
    }

    #[test]
    fn a_clock_that_was_ahead_for_a_while_hides_nothing() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let db = Arc::new(HubDb::open(directory.path()).expect("it opens"));
        let derived = Derived::new(Some(db), 15 * MINUTE, 300 * MINUTE).expect("it is empty");
        derived.flush(300 * MINUTE, None).expect("nothing is written");
        let real: Vec<i64> = (180..190).map(|minute| minute * MINUTE).collect();
        for (done, at) in real.iter().enumerate() {
            derived.push(&series(1), *at, 1.0);
            if done % 3 == 2 {
                derived.flush(*at, None).expect("it is written");
            }
            assert_eq!(moments(&derived, *at), real[..=done]);
        }
    }

    #[test]
    fn what_could_not_be_written_is_kept_for_longer_than_the_window() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let db = Arc::new(HubDb::open(directory.path()).expect("it opens"));
        let derived = Derived::new(Some(Arc::clone(&db)), 15 * MINUTE, 0).expect("it is empty");
        db.with(|db| db.execute("PRAGMA query_only = on", [])).ok();
        let all: Vec<i64> = (0..60).map(|minute| minute * MINUTE).collect();
        for at in &all {
            derived.push(&series(1), *at, 1.0);
            derived.flush(*at, None).expect_err("nothing can be written");
        }
        assert_eq!(moments(&derived, 60 * MINUTE), all);
    }

    #[test]
    fn series_that_end_leave_nothing_and_their_numbers_are_given_again() {
        let derived = Derived::new(None, 15 * MINUTE, 0).expect("nothing can fail");
        derived.extend((0..5000).map(|number| (series(number), Sample::new(0, 1.0))));
        derived.push(&series(9000), 60 * MINUTE, 2.0);
        for minute in [60, 61] {
            derived.flush(minute * MINUTE, Some(0)).expect("nothing is written");
        }
        assert_eq!(derived.size().0, 1);
        derived.extend((0..5000).map(|number| (series(number), Sample::new(61 * MINUTE, 3.0))));
        assert_eq!((held(&derived, 0), derived.lock().lines.len()), (5001, 5001));
    }
}
