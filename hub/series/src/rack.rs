//! The last window of one appliance: its readings in chunks, what happened between two readings beside them.
//!
//! Invariants: chunks are in order of time and do not overlap, each has one layout; every sample at `floor` or later that ever came
//! is here; of two samples of one series at one moment the one that came later counts. Whatever an appliance sends, there are bounds: on
//! bytes, on series, on samples between readings; what is beyond goes, the oldest first, and the floor rises.
//!
//! ```text
//! chunks   [12:00:00 … 12:05:10] [12:05:20 … 12:10:30] [12:10:40 …
//! beside   series 7: 12:07:31.250 = 1, 12:07:44.015 = 0
//! ends     12:09:02.000                                             gone then: all series are stale from there on
//! ```

use crate::chunk::{Chunk, Row, value};
use crate::layout::Layout;
use rackside_promql::{Labels, STALE, Sample};
use rackside_proto::Value;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Weak};

/// Most bytes of one appliance's window. The largest catalog at a tick of a second takes 4 MiB in some minutes; then its window is shorter.
const BYTES: usize = 8 << 20;
/// Most series, with those that are not listed any more: as many as the fleet keeps of one appliance. Beyond, the older half of all goes.
pub(crate) const SERIES: usize = 4 * rackside_proto::limits::SERIES;
/// So few series are not looked through for those that are listed nowhere.
const FEW: usize = 512;
/// So often it is looked for what is old beside the chunks, in milliseconds.
const PAUSE: i64 = 300_000;
/// Most samples between readings; then the older half goes.
const BESIDE: usize = 32_768;
/// Most times that an appliance is remembered to have gone.
const ENDS: usize = 1024;

/// Series by their numbers within the appliance.
#[derive(Debug, Default)]
pub(crate) struct Rack {
    /// Their labels beside site and appliance, with the metric's name: the sets that racks share.
    series: Vec<Option<Labels>>,
    free: Vec<u32>,
    layouts: Vec<Weak<Layout>>,
    chunks: VecDeque<Chunk>,
    beside: BTreeMap<(u32, i64), f64>,
    ends: Vec<i64>,
    /// The newest reading, and what it listed.
    newest: Option<(i64, Arc<Layout>)>,
    /// The latest moment of which anything came.
    latest: i64,
    floor: i64,
    /// As the floor, for the few series that are kept for longer.
    far: i64,
    /// When the next chunk becomes old.
    due: i64,
    /// What was listed last of the series that are kept for longer.
    thin: Option<Arc<Layout>>,
    /// How many series there were when those that are listed nowhere went.
    after_look: usize,
    /// The oldest moment of the window then.
    looked: i64,
    /// There is a chunk more than at the last look at their size.
    has_grown: bool,
    /// What is older was there before, and has not been brought here yet.
    before: i64,
    before_far: i64,
    /// Up to then times may differ by some milliseconds from those in the history.
    inexact: i64,
}

impl Rack {
    /// Nothing yet; what is older than `before` is elsewhere.
    pub(crate) fn new(before: i64) -> Self {
        const NEVER: i64 = i64::MIN;
        let (latest, floor, far, due, inexact, looked) = (NEVER, NEVER, NEVER, NEVER, NEVER, NEVER);
        Self { latest, floor, far, due, before, before_far: before, inexact, looked, ..Self::default() }
    }

    /// All samples from then on are here.
    pub(crate) fn floor(&self) -> i64 {
        self.floor.max(self.before)
    }

    /// The same, for the few series that are kept for longer.
    pub(crate) fn far(&self) -> i64 {
        self.far.max(self.before_far)
    }

    pub(crate) fn raise_floor(&mut self, to: i64) {
        self.floor = self.floor.max(to);
        self.far = self.far.max(to);
    }

    /// Others are kept for longer from now on: of these there is no more than of all.
    pub(crate) fn raise_far(&mut self) {
        // Apart: what is elsewhere only for now will be brought here, and does not go with it.
        self.far = self.far.max(self.floor);
        self.before_far = self.before_far.max(self.before);
    }

    /// What was elsewhere has been brought here: from `floor` on, and of the few from `far` on.
    pub(crate) fn lower_floor(&mut self, floor: i64, far: i64) {
        self.before = self.before.min(floor);
        self.before_far = self.before_far.min(far);
    }

    pub(crate) fn is_inexact_at(&self, at: i64) -> bool {
        at <= self.inexact
    }

    pub(crate) fn dated_by_receipt(&mut self, at: i64) {
        self.inexact = self.inexact.max(at);
    }

    /// The labels of a series beside site and appliance.
    pub(crate) fn labels(&self, series: u32) -> Option<&Labels> {
        self.series.get(series as usize)?.as_ref()
    }

    /// The number of a series of these labels, if there is one.
    pub(crate) fn find(&self, labels: &Labels) -> Option<u32> {
        self.series.iter().position(|known| known.as_ref() == Some(labels)).map(|at| at as u32)
    }

    /// The number of each series.
    pub(crate) fn numbers(&self) -> HashMap<Labels, u32> {
        let named = self.series.iter().enumerate();
        named.filter_map(|(at, labels)| Some((labels.clone()?, at as u32))).collect()
    }

    /// Gives a new series a number.
    pub(crate) fn add(&mut self, labels: Labels) -> u32 {
        if let Some(number) = self.free.pop() {
            self.series[number as usize] = Some(labels);
            return number;
        }
        self.series.push(Some(labels));
        self.series.len() as u32 - 1
    }

    /// Notes a layout: as long as somebody holds it, its series keep their numbers.
    pub(crate) fn hold(&mut self, layout: &Arc<Layout>) {
        if self.layouts.len() == self.layouts.capacity() {
            self.layouts.retain(|layout| layout.strong_count() > 0);
        }
        self.layouts.push(Arc::downgrade(layout));
    }

    /// Takes a reading: a value for each position of the catalog. What is older than `oldest` is left out.
    pub(crate) fn reading(&mut self, layout: &Arc<Layout>, at: i64, values: &[Value], oldest: i64) {
        self.latest = self.latest.max(at);
        if at < oldest {
            self.raise_floor(at + 1);
            return;
        }
        self.follow(layout, at);
        if !self.beside.is_empty() {
            for column in layout.columns() {
                self.beside.remove(&(column.series, at));
            }
        }
        let number = |column: usize| {
            let value = values.get(layout.columns()[column].position as usize)?;
            value.known().filter(|number| *number != i64::MIN)
        };
        self.row(layout, at, &number);
    }

    /// Takes what the history has of one moment. What came by itself stays.
    pub(crate) fn older(&mut self, layout: &Arc<Layout>, row: &Row, is_event: bool) {
        let (at, numbers) = row;
        self.latest = self.latest.max(*at);
        let chunk = self.chunks.partition_point(|chunk| chunk.last() < *at);
        let known = self.chunks.get(chunk).filter(|chunk| chunk.times().binary_search(at).is_ok());
        if !is_event && known.is_none() {
            if self.newest.as_ref().is_none_or(|(newest, _)| newest < at) {
                self.newest = Some((*at, Arc::clone(layout)));
            }
            self.row(layout, *at, &|column| numbers.get(column).copied().flatten());
            return;
        }
        for (column, number) in layout.columns().iter().zip(numbers) {
            if known.is_none_or(|known| known.layout().column_of(column.series).is_none()) {
                self.beside.entry((column.series, *at)).or_insert_with(|| value(*number, column.scale));
            }
        }
        self.bound_beside();
    }

    /// Ends what a newer reading's catalog does not list any more.
    fn follow(&mut self, layout: &Arc<Layout>, at: i64) {
        if let Some((newest, before)) = &self.newest {
            if at < *newest {
                return;
            }
            if !Arc::ptr_eq(before, layout) {
                let before = Arc::clone(before);
                for column in before.columns() {
                    if layout.column_of(column.series).is_none() {
                        self.beside.insert((column.series, at), STALE);
                    }
                }
                self.bound_beside();
            }
        }
        self.newest = Some((at, Arc::clone(layout)));
    }

    fn row(&mut self, layout: &Arc<Layout>, at: i64, number: &dyn Fn(usize) -> Option<i64>) {
        // The first that does not end before it.
        let next = self.chunks.partition_point(|chunk| chunk.last() < at);
        if self.chunks.get(next).is_none_or(|chunk| at < chunk.first()) {
            let before = next.checked_sub(1).and_then(|before| self.chunks.get_mut(before));
            if let Some(before) =
                before.filter(|before| !before.is_full() && Arc::ptr_eq(before.layout(), layout))
            {
                before.push(at, number);
                return;
            }
            let mut chunk = Chunk::new(Arc::clone(layout));
            chunk.push(at, number);
            self.chunks.insert(next, chunk);
            self.has_grown = true;
            return;
        }
        self.between(next, layout, (at, (0..layout.columns().len()).map(number).collect()));
    }

    /// A reading in the middle of a chunk, which is made anew.
    fn between(&mut self, at: usize, layout: &Arc<Layout>, row: Row) {
        let chunk = &self.chunks[at];
        let whose = Arc::clone(chunk.layout());
        let mut rows = chunk.unfold();
        let found = rows.binary_search_by_key(&row.0, |row| row.0);
        let made = match found {
            Ok(place) if Arc::ptr_eq(&whose, layout) => {
                if rows[place] == row {
                    return;
                }
                rows[place] = row;
                Chunk::of(&whose, &rows)
            }
            Err(place) if Arc::ptr_eq(&whose, layout) => {
                rows.insert(place, row);
                Chunk::of(&whose, &rows)
            }
            Ok(_) => {
                // Two readings of two catalogs at one moment: the later one is put beside.
                for (column, number) in layout.columns().iter().zip(row.1) {
                    self.beside.insert((column.series, row.0), value(number, column.scale));
                }
                self.bound_beside();
                return;
            }
            Err(place) => {
                let after = rows.split_off(place);
                let mut made = Chunk::of(&whose, &rows);
                made.append(&mut Chunk::of(layout, &[row]));
                made.append(&mut Chunk::of(&whose, &after));
                made
            }
        };
        self.has_grown = true;
        self.chunks.remove(at);
        for (more, chunk) in made.into_iter().enumerate() {
            self.chunks.insert(at + more, chunk);
        }
    }

    /// Takes what an event says of one series.
    pub(crate) fn event(&mut self, series: u32, at: i64, value: f64, oldest: i64) {
        self.latest = self.latest.max(at);
        if at < oldest {
            self.raise_floor(at + 1);
            return;
        }
        self.beside.insert((series, at), value);
        self.bound_beside();
    }

    fn bound_beside(&mut self) {
        if self.beside.len() > BESIDE {
            self.halve_beside();
        }
    }

    /// Lets go of the older half of what is between readings.
    fn halve_beside(&mut self) {
        let mut times: Vec<i64> = self.beside.keys().map(|key| key.1).collect();
        let middle = times.len() / 2;
        if middle < times.len() {
            let floor = *times.select_nth_unstable(middle).1 + 1;
            self.raise_floor(floor);
            self.beside.retain(|key, _| key.1 >= floor);
        }
    }

    /// It is gone: every series ends, after what it said last.
    pub(crate) fn gone(&mut self, at: i64) {
        let at = at.max(self.latest.saturating_add(1));
        if let Err(place) = self.ends.binary_search(&at) {
            self.ends.insert(place, at);
        }
        if self.ends.len() > ENDS {
            self.ends.remove(0);
        }
    }

    /// Of chunks that are older than `oldest` only the few series stay that are kept for longer, until `oldest_far`; and the oldest chunks of a
    /// window that is too large go. Gives the series that are listed nowhere any more: they have no numbers from then on.
    pub(crate) fn trim(
        &mut self,
        (oldest, oldest_far): (i64, i64),
        is_far: &dyn Fn(&Labels) -> bool,
    ) -> Vec<(u32, Labels)> {
        let mut size = self.bytes();
        let mut dropped = false;
        while self.chunks.front().is_some_and(|chunk| chunk.last() < oldest_far || size > BYTES) {
            let Some(chunk) = self.chunks.pop_front() else { break };
            size -= chunk.size();
            self.raise_floor(chunk.last() + 1);
            dropped = true;
        }
        let old = self.chunks.partition_point(|chunk| chunk.last() < oldest);
        for at in (0..old).rev() {
            if let Some(chunk) = self.chunks.get(at) {
                self.floor = self.floor.max(chunk.last() + 1);
                dropped |= self.make_thin(at, is_far);
            }
        }
        let next = self.chunks.iter().map(Chunk::last).find(|last| *last >= oldest);
        self.due = next.unwrap_or(i64::MAX).min(oldest.saturating_add(PAUSE));
        if !dropped && !self.is_crowded(0) && oldest < self.looked.saturating_add(PAUSE) {
            return Vec::new();
        }
        self.looked = oldest;
        self.trim_beside((oldest, oldest_far), is_far);
        self.make_room(0)
    }

    /// Of what is beside the chunks, what is older than the floor goes, and what is older than the window.
    fn trim_beside(&mut self, (oldest, oldest_far): (i64, i64), is_far: &dyn Fn(&Labels) -> bool) {
        let (mut floor, mut far) = (self.floor, self.far);
        let series = &self.series;
        let is_kept = |number: u32| series.get(number as usize).and_then(Option::as_ref).is_some_and(is_far);
        let (before, before_far) = (floor.max(oldest), far.max(oldest_far));
        self.beside.retain(|&(number, at), _| {
            let is_far = is_kept(number);
            let stays = at >= if is_far { before_far } else { before };
            if !stays {
                let floor = if is_far { &mut far } else { &mut floor };
                *floor = (*floor).max(at + 1);
            }
            stays
        });
        (self.floor, self.far) = (floor.max(far), far);
        self.ends.retain(|at| *at >= far);
    }

    /// Are there so many series, with `more`, that those that are listed nowhere have to go?
    pub(crate) fn is_crowded(&self, more: usize) -> bool {
        let number = self.series.len() - self.free.len() + more;
        number > SERIES.max(self.after_look) || number > 2 * self.after_look.max(FEW)
    }

    /// Makes room for so many series more. Gives those that are listed nowhere any more: they have no numbers from then on.
    pub(crate) fn make_room(&mut self, more: usize) -> Vec<(u32, Labels)> {
        let mut retired = self.retire();
        while self.series.len() - self.free.len() + more > SERIES
            && !(self.chunks.is_empty() && self.beside.is_empty())
        {
            self.thin = None;
            for _ in 0..self.chunks.len().div_ceil(2) {
                let Some(chunk) = self.chunks.pop_front() else { break };
                self.raise_floor(chunk.last() + 1);
            }
            self.halve_beside();
            retired.extend(self.retire());
        }
        self.after_look = self.series.len() - self.free.len();
        retired
    }

    /// Leaves of an old chunk what is kept for longer. Says whether there was anything else.
    fn make_thin(&mut self, at: usize, is_far: &dyn Fn(&Labels) -> bool) -> bool {
        let chunk = &self.chunks[at];
        let columns = chunk.layout().columns();
        let is_kept = |series: u32| self.labels(series).is_some_and(is_far);
        let kept: Vec<usize> = (0..columns.len()).filter(|&column| is_kept(columns[column].series)).collect();
        if kept.len() == columns.len() {
            return false;
        }
        if kept.is_empty() {
            self.chunks.remove(at);
            return true;
        }
        let listed: Vec<_> = kept.iter().map(|&column| columns[column]).collect();
        let known = self.thin.take().filter(|thin| thin.columns() == listed);
        let layout = known.unwrap_or_else(|| {
            let layout = Arc::new(Layout::new(listed));
            self.layouts.push(Arc::downgrade(&layout));
            layout
        });
        let mut thin = Chunk::new(Arc::clone(&layout));
        for (row, &time) in chunk.times().iter().enumerate() {
            thin.push(time, |column| chunk.number(*kept.get(column)?, row));
        }
        thin.tidy();
        self.thin = Some(layout);
        self.chunks[at] = thin;
        true
    }

    /// Is anything old?
    pub(crate) fn is_due(&mut self, oldest: i64, oldest_far: i64) -> bool {
        // Many small chunks are not added up each time.
        let is_looked_at = self.chunks.len() < 256 || self.chunks.len().is_multiple_of(16);
        let is_large = std::mem::take(&mut self.has_grown) && is_looked_at && self.bytes() > BYTES;
        is_large
            || self.due < oldest
            || self.chunks.front().is_some_and(|chunk| chunk.last() < oldest_far)
            || self.is_crowded(0)
    }

    fn bytes(&self) -> usize {
        self.chunks.iter().map(Chunk::size).sum()
    }

    fn retire(&mut self) -> Vec<(u32, Labels)> {
        let mut listed = vec![false; self.series.len()];
        self.layouts.retain(|layout| {
            let Some(layout) = layout.upgrade() else { return false };
            for column in layout.columns() {
                if let Some(listed) = listed.get_mut(column.series as usize) {
                    *listed = true;
                }
            }
            true
        });
        for (series, _) in self.beside.keys() {
            if let Some(listed) = listed.get_mut(*series as usize) {
                *listed = true;
            }
        }
        let mut retired = Vec::new();
        for (number, labels) in self.series.iter_mut().enumerate() {
            if let Some(labels) = labels.take_if(|_| !listed[number]) {
                self.free.push(number as u32);
                retired.push((number as u32, labels));
            }
        }
        retired
    }

    /// The last sample of a series from `from` to `to`.
    pub(crate) fn newest(&self, series: u32, from: i64, to: i64) -> Option<Sample> {
        if from > to {
            return None;
        }
        let mut best = self.last_read(series, from, to);
        if !self.ends.is_empty() {
            let end = self.ends[..self.ends.partition_point(|at| *at <= to)].last();
            if let Some(&end) = end.filter(|end| **end >= from && best.is_none_or(|best| best.at < **end)) {
                best = Some(Sample::new(end, STALE));
            }
        }
        if !self.beside.is_empty()
            && let Some((&(_, at), &value)) = self.beside.range((series, from)..=(series, to)).next_back()
            && best.is_none_or(|best| best.at <= at)
        {
            best = Some(Sample::new(at, value));
        }
        best
    }

    fn last_read(&self, series: u32, from: i64, to: i64) -> Option<Sample> {
        for chunk in self.chunks.iter().rev().skip_while(|chunk| chunk.first() > to) {
            if chunk.last() < from {
                return None;
            }
            let Some(column) = chunk.layout().column_of(series) else { continue };
            let row = chunk.times().partition_point(|at| *at <= to) - 1;
            let sample = chunk.sample(column, row);
            return (sample.at >= from).then_some(sample);
        }
        None
    }

    /// Appends the samples of a series from `from` to `to`, in order of time.
    pub(crate) fn samples(&self, series: u32, from: i64, to: i64, out: &mut Vec<Sample>) {
        if from > to {
            return;
        }
        let start = out.len();
        let first = self.chunks.partition_point(|chunk| chunk.last() < from);
        for chunk in self.chunks.range(first..).take_while(|chunk| chunk.first() <= to) {
            if let Some(column) = chunk.layout().column_of(series) {
                chunk.samples(column, chunk.rows(from, to), out);
            }
        }
        let ends = within(&self.ends, from, to);
        let mut beside = self.beside.range((series, from)..=(series, to)).peekable();
        if ends.is_empty() && beside.peek().is_none() {
            return;
        }
        // Whatever came last stands last: the sort is stable.
        let read = out.split_off(start);
        let ends = self.ends[ends].iter().map(|&at| Sample::new(at, STALE));
        out.extend(ends.chain(read).chain(beside.map(|(&(_, at), &value)| Sample::new(at, value))));
        in_order(out, start);
    }

    /// What it takes in memory beside labels, about.
    pub(crate) fn size(&self) -> usize {
        self.bytes() + self.beside.len() * 40
    }
}

fn within(times: &[i64], from: i64, to: i64) -> Range<usize> {
    let start = times.partition_point(|at| *at < from);
    start..times.partition_point(|at| *at <= to).max(start)
}

/// Sorts what stands from `start` on by time; of two samples at one moment the later one stays.
pub(crate) fn in_order(samples: &mut Vec<Sample>, start: usize) {
    let mut tail = samples.split_off(start);
    tail.sort_by_key(|sample| sample.at);
    for sample in tail {
        match samples[start..].last_mut() {
            Some(before) if before.at == sample.at => *before = sample,
            _ => samples.push(sample),
        }
    }
}
