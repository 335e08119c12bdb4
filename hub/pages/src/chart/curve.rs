//! From samples to columns: what a chart is drawn of, in one pass and in the memory of the columns alone.
//!
//! A column is a pixel's width of time. It keeps the least and the largest value in it, so that a spike of one reading is seen in a chart of ninety days, and
//! the mean. Which columns hang together is decided here: after a pause of more than [`Gather`]'s longest, or where a series has ended, there is a
//! gap, and nothing is drawn over it. A counter becomes how fast it rose, and one that starts anew rises from 0.
//!
//! Invariants: columns are in order and each stands once; every number in them is finite.
//!
//! ```text
//! 10:00:00 41.0, 10:00:10 43.5, 10:00:20 42.0, … in four minutes a column  →  Column { x: 0, min: 41.0, mean: 42.1, max: 43.5, joins: false }
//! ```

use std::ops::Range;

/// What was measured within a pixel's width of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Column {
    /// Which, from the left.
    pub x: u32,
    /// The least value.
    pub min: f64,
    /// The mean.
    pub mean: f64,
    /// The largest value.
    pub max: f64,
    /// The last value.
    pub last: f64,
    /// Whether it goes on from the column before, without a gap.
    pub joins: bool,
}

/// All columns of a chart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curve {
    /// How many there can be.
    pub width: u32,
    /// Those with values.
    pub columns: Vec<Column>,
    /// The last value, and when that was, in milliseconds since 1970.
    pub last: Option<(i64, f64)>,
    /// Up to here the last value still holds, so that what follows is no gap.
    pub until: u32,
}

/// How a series moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moves {
    /// Up and down.
    Gauge,
    /// It holds until it changes.
    State,
    /// Only up, or from 0 again: what is drawn is how much in this many seconds.
    Counter {
        /// 1 for so much a second, 60 for so much a minute.
        per: u32,
    },
}

/// What is left of samples that are too old to be kept one by one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// Its first millisecond.
    pub start: i64,
    /// How long it is, in milliseconds.
    pub step: i64,
    /// The least value; of a counter how much it rose.
    pub min: f64,
    /// The mean; of a counter the same.
    pub mean: f64,
    /// The largest value; of a counter the same.
    pub max: f64,
    /// The last value; `None`, if the series had ended by then.
    pub last: Option<f64>,
    /// How many milliseconds or readings the mean is of.
    pub weight: f64,
}

/// Nobody reads more slowly than every ten minutes.
const SLOWEST: i64 = 600_000;

/// Gathers columns from what is handed to it in the order of time.
#[derive(Clone, Debug)]
pub struct Gather {
    range: Range<i64>,
    width: u32,
    moves: Moves,
    pause: i64,
    columns: Vec<Column>,
    /// Sum and weight of the column that is being gathered.
    sum: (f64, f64),
    /// The sample before: when, what.
    before: Option<(i64, f64)>,
    /// Until when what came before still holds.
    holds: i64,
    /// How far apart the last two samples were.
    apart: i64,
    last: Option<(i64, f64)>,
    /// The next column begins a stretch.
    is_cut: bool,
}

impl Gather {
    /// For a range of time in so many columns; after a pause of more than `pause` milliseconds there is a gap.
    pub fn new(range: Range<i64>, width: usize, moves: Moves, pause: i64) -> Self {
        Self {
            range,
            width: u32::try_from(width).unwrap_or(u32::MAX).max(1),
            moves,
            pause: pause.max(1),
            columns: Vec::new(),
            sum: (0.0, 0.0),
            before: None,
            holds: i64::MIN,
            apart: 0,
            last: None,
            is_cut: true,
        }
    }

    /// Takes a sample; `None`, or what is no number, says that the series has no value from here on.
    pub fn sample(&mut self, at: i64, value: Option<f64>) {
        let Some(value) = value.filter(|value| value.is_finite()) else { return self.end(at) };
        if self.before.is_some_and(|(then, _)| at <= then) {
            return;
        }
        let before = self.linked(at);
        match (self.moves, before) {
            (Moves::Gauge, _) => self.moment(at, value, 1.0),
            (Moves::State, before) => {
                if let Some((then, held)) = before {
                    self.stretch(then..at, (held, held, held), held);
                }
                self.moment(at, value, 0.0);
            }
            (Moves::Counter { per }, Some((then, earlier))) => {
                let rise = if value >= earlier { value - earlier } else { value };
                self.rate(then..at, rise, per);
            }
            // How fast it rises is known once there are two.
            (Moves::Counter { .. }, None) => {}
        }
        (self.before, self.holds) = (Some((at, value)), at.saturating_add(self.pause));
    }

    /// Takes what is left of older samples.
    pub fn bucket(&mut self, bucket: &Bucket) {
        let step = bucket.step.max(1);
        let end = bucket.start.saturating_add(step);
        let values = (bucket.min, bucket.mean, bucket.max);
        let is_known = values.0.is_finite() && values.1.is_finite() && values.2.is_finite();
        if self.before.is_some_and(|(then, _)| bucket.start < then) {
            return;
        }
        if is_known && bucket.weight > 0.0 {
            self.linked(bucket.start);
            match self.moves {
                Moves::Counter { per } => self.rate(bucket.start..end, bucket.mean, per),
                Moves::Gauge | Moves::State => {
                    self.stretch(bucket.start..end, values, bucket.last.unwrap_or(bucket.mean));
                }
            }
        }
        match bucket.last.filter(|last| last.is_finite()) {
            Some(last) => {
                self.before = Some((end - 1, last));
                self.holds = end.saturating_add(self.pause.max(step));
            }
            None => self.end(end),
        }
    }

    /// All columns. What came last still holds until `now`, if that is soon after it.
    pub fn finish(mut self, now: i64) -> Curve {
        let end = now.min(self.range.end);
        let mut until = self.columns.last().map_or(0, |column| column.x + 1);
        if let Some((then, held)) = self.before
            && then < end
        {
            let end = end.min(self.holds);
            if self.moves == Moves::State {
                let last = self.last;
                self.stretch(then..end, (held, held, held), held);
                self.last = last;
            }
            until = until.max(self.column(end).map_or(self.width, |x| x + 1));
        }
        Curve { width: self.width, columns: self.columns, last: self.last, until: until.min(self.width) }
    }

    /// The sample before, if it still holds at `at`; else what follows begins a stretch.
    fn linked(&mut self, at: i64) -> Option<(i64, f64)> {
        let then = self.before?.0;
        let apart = at.saturating_sub(then);
        // Who reads slowly is not gone: a pause like the one before is its pace.
        let is_its_pace = apart <= SLOWEST && apart <= self.apart.saturating_add(self.apart / 2);
        self.apart = apart;
        let before = self.before.filter(|_| at <= self.holds || is_its_pace);
        self.is_cut |= before.is_none();
        before
    }

    fn end(&mut self, at: i64) {
        let before = self.before.filter(|(then, _)| *then < at && at <= self.holds);
        if let (Moves::State, Some((then, held))) = (self.moves, before) {
            self.stretch(then..at, (held, held, held), held);
        }
        (self.before, self.holds, self.apart, self.is_cut) = (None, i64::MIN, 0, true);
    }

    /// A counter that rose by so much in a stretch of time.
    fn rate(&mut self, span: Range<i64>, rise: f64, per: u32) {
        let ms = span.end.saturating_sub(span.start).max(1) as f64;
        let rate = rise.max(0.0) / ms * 1000.0 * f64::from(per);
        if rate.is_finite() {
            self.stretch(span, (rate, rate, rate), rate);
        }
    }

    /// The same for all of a stretch of time, whose end is not in it.
    fn stretch(&mut self, span: Range<i64>, values: (f64, f64, f64), last: f64) {
        let (from, to) = (span.start.max(self.range.start), span.end.min(self.range.end));
        if to <= from {
            return;
        }
        let (Some(first), Some(latest)) = (self.column(from), self.column(to - 1)) else { return };
        for x in first..=latest {
            let (left, right) = (self.moment_of(x).max(from), self.moment_of(x + 1).min(to));
            self.add(x, values, last, right.saturating_sub(left).max(1) as f64);
        }
        self.last = Some((span.end, last));
    }

    fn moment(&mut self, at: i64, value: f64, weight: f64) {
        if let Some(x) = self.column(at) {
            self.add(x, (value, value, value), value, weight);
            self.last = Some((at, value));
        }
    }

    fn add(&mut self, x: u32, (min, mean, max): (f64, f64, f64), last: f64, weight: f64) {
        let joins = !std::mem::replace(&mut self.is_cut, false);
        if let Some(column) = self.columns.last_mut().filter(|column| column.x >= x) {
            self.sum = (self.sum.0 + mean * weight, self.sum.1 + weight);
            (column.min, column.max, column.last) = (column.min.min(min), column.max.max(max), last);
            let mean = if self.sum.1 > 0.0 { self.sum.0 / self.sum.1 } else { last };
            let mean = if mean.is_finite() { mean } else { last };
            column.mean = mean.clamp(column.min, column.max);
        } else {
            self.sum = (mean * weight, weight);
            self.columns.push(Column { x, min, mean, max, last, joins });
        }
    }

    /// The column of a moment; the right edge belongs to the last one.
    fn column(&self, at: i64) -> Option<u32> {
        if at < self.range.start || at > self.range.end || self.range.end <= self.range.start {
            return None;
        }
        let share = i128::from(at) - i128::from(self.range.start);
        let span = i128::from(self.range.end) - i128::from(self.range.start);
        let x = share * i128::from(self.width) / span;
        Some(u32::try_from(x).unwrap_or(u32::MAX).min(self.width - 1))
    }

    /// The first moment of a column.
    fn moment_of(&self, x: u32) -> i64 {
        let span = i128::from(self.range.end) - i128::from(self.range.start);
        let width = i128::from(self.width);
        let at = i128::from(self.range.start) + (i128::from(x) * span + width - 1) / width;
        i64::try_from(at).unwrap_or(i64::MAX)
    }
}

impl Curve {
    /// The least and the largest value of all.
    pub fn extremes(&self) -> Option<(f64, f64)> {
        let min = self.columns.iter().map(|column| column.min).reduce(f64::min)?;
        let max = self.columns.iter().map(|column| column.max).reduce(f64::max)?;
        Some((min, max))
    }

    /// Stretches without a gap.
    pub fn stretches(&self) -> impl Iterator<Item = &[Column]> {
        self.columns.chunk_by(|_, next| next.joins)
    }

    /// Where nothing is known, in columns, both ends included in what is drawn.
    pub fn gaps(&self) -> Vec<Range<u32>> {
        let mut gaps = Vec::new();
        let mut end = 0;
        for stretch in self.stretches() {
            let (first, last) = (stretch[0].x, stretch[stretch.len() - 1].x);
            if first > end {
                gaps.push(end..first);
            }
            end = last + 1;
        }
        let end = end.max(self.until.min(self.width));
        if end < self.width {
            gaps.push(end..self.width);
        }
        gaps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gather(moves: Moves, samples: &[(i64, Option<f64>)]) -> Curve {
        let mut gather = Gather::new(0..1000, 10, moves, 250);
        for &(at, value) in samples {
            gather.sample(at, value);
        }
        gather.finish(1000)
    }

    fn means(curve: &Curve) -> Vec<(u32, f64)> {
        curve.columns.iter().map(|column| (column.x, column.mean)).collect()
    }

    #[test]
    fn a_spike_of_one_reading_is_in_its_column() {
        let samples: Vec<_> = (0..100).map(|n| (n * 10, Some(if n == 55 { 90.0 } else { 40.0 }))).collect();
        let curve = gather(Moves::Gauge, &samples);
        let spiked = &curve.columns[5];
        assert_eq!((spiked.min, spiked.max, spiked.mean), (40.0, 90.0, 45.0));
        assert_eq!((curve.extremes(), curve.gaps()), (Some((40.0, 90.0)), vec![]));
    }

    #[test]
    fn a_pause_is_a_gap_and_a_short_one_is_not() {
        let curve = gather(Moves::Gauge, &[(0, Some(1.0)), (200, Some(2.0)), (600, Some(3.0))]);
        let joins: Vec<bool> = curve.columns.iter().map(|column| column.joins).collect();
        assert_eq!(joins, [false, true, false]);
        assert_eq!(curve.gaps(), [3..6, 9..10], "and what is past the last sample's hold");
    }

    #[test]
    fn who_reads_slowly_has_a_line() {
        let samples: Vec<_> = (0..4).map(|n| (n * 300, Some(1.0))).collect();
        let joins: Vec<bool> =
            gather(Moves::Gauge, &samples).columns.iter().map(|column| column.joins).collect();
        assert_eq!(joins, [false, false, true, true], "once two pauses were alike");
    }

    #[test]
    fn a_series_that_ended_is_a_gap_at_once() {
        let samples = [(0, Some(1.0)), (100, None), (200, Some(f64::NAN)), (300, Some(1.0))];
        let curve = gather(Moves::Gauge, &samples);
        assert_eq!(curve.gaps(), [1..3, 6..10]);
    }

    #[test]
    fn a_state_holds_until_it_changes_ends_or_is_not_heard_of() {
        let curve = gather(Moves::State, &[(0, Some(1.0)), (150, Some(0.0)), (390, None), (700, Some(1.0))]);
        assert_eq!(means(&curve)[..4], [(0, 1.0), (1, 0.5), (2, 0.0), (3, 0.0)]);
        assert_eq!((curve.columns[1].min, curve.columns[1].max), (0.0, 1.0));
        assert_eq!(curve.gaps(), std::slice::from_ref(&(4..7)), "after 700 it holds for 250");
    }

    #[test]
    fn a_counter_is_how_fast_it_rises_and_starts_from_nothing() {
        let per_second = Moves::Counter { per: 1 };
        let curve = gather(per_second, &[(0, Some(100.0)), (100, Some(110.0)), (200, Some(5.0))]);
        assert_eq!(means(&curve), [(0, 100.0), (1, 50.0)]);
        let alone = gather(per_second, &[(0, Some(100.0))]);
        assert_eq!((alone.columns.len(), alone.last), (0, None), "one sample is no speed");
    }

    #[test]
    fn buckets_and_samples_join() {
        let mut gather = Gather::new(0..1000, 10, Moves::Counter { per: 1 }, 250);
        let bucket =
            Bucket { start: 0, step: 300, min: 30.0, mean: 30.0, max: 30.0, last: Some(130.0), weight: 1.0 };
        gather.bucket(&bucket);
        gather.sample(399, Some(140.0));
        let curve = gather.finish(400);
        assert_eq!(means(&curve), [(0, 100.0), (1, 100.0), (2, 100.0), (3, 100.0)]);
        assert!(curve.columns[3].joins);
    }

    #[test]
    fn one_sample_is_a_column_and_none_is_a_gap_over_all() {
        let one = gather(Moves::Gauge, &[(500, Some(3.0))]);
        assert_eq!((means(&one), one.last), (vec![(5, 3.0)], Some((500, 3.0))));
        assert_eq!(gather(Moves::Gauge, &[]).gaps(), vec![0..10]);
    }

    #[test]
    fn numbers_at_the_end_of_their_range_have_a_mean() {
        let curve = gather(Moves::Gauge, &[(1, Some(f64::MAX)), (2, Some(f64::MAX)), (3, Some(f64::MIN))]);
        assert!(curve.columns[0].mean.is_finite());
        let nothing = Gather::new(5..5, 10, Moves::Gauge, 1);
        assert_eq!(nothing.finish(5).columns, []);
    }
}
