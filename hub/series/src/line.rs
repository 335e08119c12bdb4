//! The last window of one series that the hub makes: times as distances from the first of a few dozen, values as small as they are.
//!
//! Invariant: times rise strictly. Most such series are ones and zeroes, or do not move at all, and most are made at a steady pace: a stretch that
//! does neither is a start, a step and a number of rows, however long it is.
//!
//! Sample: `Piece { start: 12:00:00, rows: 3, times: Even(15000), values: Same(1.0) }`.

use crate::rack::in_order;
use rackside_promql::Sample;

/// Samples in one piece that has a list of times or of values; it is dropped as a whole.
const MOST: u32 = 32;

/// The samples of one series.
#[derive(Debug, Default)]
pub(crate) struct Line {
    /// A few, seldom one more: with no room to spare.
    pieces: Vec<Piece>,
}

#[derive(Debug)]
struct Piece {
    start: i64,
    rows: u32,
    times: Times,
    values: Values,
}

/// As distances from the start.
#[derive(Debug)]
enum Times {
    Even(u32),
    Any(Vec<u32>),
}

#[derive(Debug)]
enum Values {
    Same(f64),
    Small(Vec<i8>),
    Whole(Vec<i32>),
    Any(Vec<f64>),
}

impl Line {
    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    pub(crate) fn last(&self) -> Option<Sample> {
        let piece = self.pieces.last()?;
        piece.sample(piece.rows as usize - 1)
    }

    /// When its first sample is.
    pub(crate) fn first(&self) -> Option<i64> {
        self.pieces.first().map(|piece| piece.start)
    }

    /// Puts samples ahead of all that it has; they are in order, and earlier.
    pub(crate) fn put_ahead(&mut self, samples: &[Sample]) {
        let mut ahead = Self::default();
        for sample in samples {
            ahead.append(*sample);
        }
        ahead.pieces.append(&mut self.pieces);
        ahead.pieces.shrink_to_fit();
        *self = ahead;
    }

    /// Adds a sample. One of the same moment is replaced by it.
    pub(crate) fn push(&mut self, sample: Sample) {
        match self.last() {
            Some(last) if sample.at <= last.at => self.insert(sample),
            _ => self.append(sample),
        }
    }

    fn append(&mut self, sample: Sample) {
        if self.pieces.last_mut().is_some_and(|piece| piece.push(sample)) {
            return;
        }
        if let Some(full) = self.pieces.last_mut() {
            full.tidy();
        }
        self.pieces.reserve_exact(1);
        let (times, values) = (Times::Even(0), Values::Same(sample.value));
        self.pieces.push(Piece { start: sample.at, rows: 1, times, values });
    }

    /// Rare, and of a few pieces: they are made anew.
    fn insert(&mut self, sample: Sample) {
        let from = self.pieces.partition_point(|piece| piece.last() < sample.at);
        let mut rest = Vec::new();
        for piece in self.pieces.drain(from..) {
            rest.extend((0..piece.rows as usize).filter_map(|at| piece.sample(at)));
        }
        rest.push(sample);
        in_order(&mut rest, 0);
        for sample in rest {
            self.append(sample);
        }
    }

    /// Drops what is older than `oldest`, by the piece, and of a steady stretch by the row. Gives from when on nothing was dropped, if anything was.
    pub(crate) fn trim(&mut self, oldest: i64) -> Option<i64> {
        let old = self.pieces.partition_point(|piece| piece.last() < oldest);
        let dropped = self.pieces.drain(..old).next_back().map(|piece| piece.last() + 1);
        let cut = self.pieces.first_mut().and_then(|piece| piece.trim(oldest));
        if self.pieces.is_empty() {
            self.pieces = Vec::new();
        }
        cut.or(dropped)
    }

    /// The last sample from `from` to `to`.
    pub(crate) fn newest(&self, from: i64, to: i64) -> Option<Sample> {
        let piece = self.pieces.iter().rev().find(|piece| piece.start <= to)?;
        let row = piece.rows_until(to).checked_sub(1)?;
        piece.sample(row).filter(|sample| sample.at >= from)
    }

    /// Appends the samples from `from` to `to`.
    pub(crate) fn samples(&self, from: i64, to: i64, out: &mut Vec<Sample>) {
        let first = self.pieces.partition_point(|piece| piece.last() < from);
        for piece in self.pieces[first..].iter().take_while(|piece| piece.start <= to) {
            let start = if from <= piece.start { 0 } else { piece.rows_until(from - 1) };
            out.extend((start..piece.rows_until(to)).filter_map(|row| piece.sample(row)));
        }
    }

    /// What it takes in memory, about.
    pub(crate) fn size(&self) -> usize {
        let pieces = self.pieces.capacity() * size_of::<Piece>();
        size_of::<Self>() + pieces + self.pieces.iter().map(Piece::lists).sum::<usize>()
    }
}

impl Piece {
    fn last(&self) -> i64 {
        self.at(self.rows.saturating_sub(1))
    }

    fn at(&self, row: u32) -> i64 {
        self.start
            + match &self.times {
                Times::Even(step) => i64::from(*step) * i64::from(row),
                Times::Any(after) => after.get(row as usize).copied().map_or(0, i64::from),
            }
    }

    /// How many samples are not later than `at`.
    fn rows_until(&self, at: i64) -> usize {
        if at < self.start {
            return 0;
        }
        match &self.times {
            Times::Even(0) => 1,
            Times::Even(step) => {
                (((at - self.start) / i64::from(*step)) as u64 + 1).min(self.rows.into()) as usize
            }
            Times::Any(after) => after.partition_point(|&after| self.start + i64::from(after) <= at),
        }
    }

    fn sample(&self, row: usize) -> Option<Sample> {
        let value = match &self.values {
            Values::Same(value) => *value,
            Values::Small(values) => f64::from(*values.get(row)?),
            Values::Whole(values) => f64::from(*values.get(row)?),
            Values::Any(values) => *values.get(row)?,
        };
        let row = u32::try_from(row).ok().filter(|row| *row < self.rows)?;
        Some(Sample::new(self.at(row), value))
    }

    /// Adds a later sample, if it belongs here.
    fn push(&mut self, sample: Sample) -> bool {
        let Ok(after) = u32::try_from(sample.at - self.start) else { return false };
        let is_even = match &self.times {
            Times::Even(_) if self.rows == 1 => true,
            Times::Even(step) => i64::from(*step) * i64::from(self.rows) == i64::from(after),
            Times::Any(_) => false,
        };
        let is_same = matches!(&self.values, Values::Same(same) if same.to_bits() == sample.value.to_bits());
        if self.rows >= MOST && !(is_even && is_same) {
            return false;
        }
        match &mut self.times {
            Times::Even(step) if self.rows == 1 => *step = after,
            Times::Even(_) if is_even => {}
            Times::Even(step) => {
                let before = (0..self.rows).map(|row| *step * row);
                self.times = Times::Any(before.chain([after]).collect());
            }
            Times::Any(times) => times.push(after),
        }
        if !is_same {
            self.values.push(sample.value, self.rows as usize);
        }
        self.rows += 1;
        true
    }

    /// Drops rows of a steady stretch.
    fn trim(&mut self, oldest: i64) -> Option<i64> {
        let (Times::Even(step), Values::Same(_)) = (&self.times, &self.values) else { return None };
        let old = self.rows_until(oldest.saturating_sub(1)) as u32;
        if old < MOST || old >= self.rows {
            return None;
        }
        let floor = self.at(old - 1) + 1;
        self.start += i64::from(*step) * i64::from(old);
        self.rows -= old;
        Some(floor)
    }

    fn tidy(&mut self) {
        if let Times::Any(times) = &mut self.times {
            times.shrink_to_fit();
        }
        match &mut self.values {
            Values::Same(_) => {}
            Values::Small(values) => values.shrink_to_fit(),
            Values::Whole(values) => values.shrink_to_fit(),
            Values::Any(values) => values.shrink_to_fit(),
        }
    }

    fn lists(&self) -> usize {
        let times = if let Times::Any(times) = &self.times { times.capacity() * 4 } else { 0 };
        times
            + match &self.values {
                Values::Same(_) => 0,
                Values::Small(values) => values.capacity(),
                Values::Whole(values) => values.capacity() * 4,
                Values::Any(values) => values.capacity() * 8,
            }
    }
}

impl Values {
    /// Adds another value behind `rows` of them, in a wider form if it needs one.
    fn push(&mut self, value: f64, rows: usize) {
        if let Self::Same(same) = self {
            let same = *same;
            *self = if let Some(same) = small(same) {
                Self::Small(vec![same; rows])
            } else if let Some(same) = whole(same) {
                Self::Whole(vec![same; rows])
            } else {
                Self::Any(vec![same; rows])
            };
        }
        if let Self::Small(values) = self
            && small(value).is_none()
        {
            *self = Self::Whole(values.iter().map(|&value| value.into()).collect());
        }
        if let Self::Whole(values) = self
            && whole(value).is_none()
        {
            *self = Self::Any(values.iter().map(|&value| value.into()).collect());
        }
        match self {
            Self::Small(values) => values.extend(small(value)),
            Self::Whole(values) => values.extend(whole(value)),
            Self::Any(values) => values.push(value),
            Self::Same(_) => unreachable!("it has become a list"),
        }
    }
}

/// The same number in 8 bits, if there is one.
fn small(value: f64) -> Option<i8> {
    i8::try_from(whole(value)?).ok()
}

/// The same number in 32 bits, if there is one; not for minus zero.
fn whole(value: f64) -> Option<i32> {
    let number = value as i32;
    (f64::from(number).to_bits() == value.to_bits()).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rackside_promql::STALE;
    use std::collections::BTreeMap;

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            4 => Just(1.0),
            2 => (-3..300_i32).prop_map(f64::from),
            2 => (-2..2_i32).prop_map(f64::from),
            1 => any::<f64>(),
            1 => prop_oneof![Just(STALE), Just(-0.0), Just(f64::NAN)],
        ]
    }

    proptest! {
        #[test]
        fn a_line_is_what_was_pushed_last_at_each_moment(
            pushed in prop::collection::vec((0..400_i64, value()), 0..300), from in 0..400_i64, long in 0..400_i64
        ) {
            let (mut line, mut model) = (Line::default(), BTreeMap::new());
            for (at, value) in pushed {
                line.push(Sample::new(at * 1000, value));
                model.insert(at * 1000, value);
            }
            let (from, to) = (from * 1000, (from + long) * 1000);
            let expected: Vec<Sample> = model.range(from..=to).map(|(&at, &value)| Sample::new(at, value)).collect();
            let mut found = Vec::new();
            line.samples(from, to, &mut found);
            prop_assert_eq!(&found, &expected);
            prop_assert_eq!(line.newest(from, to), expected.last().copied());
            prop_assert_eq!(line.last().map(|sample| sample.at), model.keys().next_back().copied());
        }
    }

    proptest! {
        #[test]
        fn steady_stretches_are_what_they_were(
            stretches in prop::collection::vec((1..80_i64, 1..4_i64, value(), any::<bool>()), 1..8), oldest in 0..400_i64
        ) {
            let (mut line, mut model, mut at) = (Line::default(), Vec::new(), 0);
            for (rows, step, value, moves) in stretches {
                for row in 0..rows {
                    at += step;
                    let sample = Sample::new(at, if moves { row as f64 } else { value });
                    line.push(sample);
                    model.push(sample);
                }
            }
            let floor = line.trim(oldest).unwrap_or(0);
            prop_assert!(floor <= oldest.max(0) || line.is_empty(), "{} {}", floor, oldest);
            let mut found = Vec::new();
            line.samples(floor, at, &mut found);
            model.retain(|sample| sample.at >= floor);
            prop_assert_eq!(&found, &model);
            for to in (0..at).step_by(13) {
                prop_assert_eq!(line.newest(floor, to), model.iter().rfind(|sample| sample.at <= to).copied());
            }
        }
    }

    #[test]
    fn a_trimmed_line_says_from_when_on_it_is_whole() {
        let mut line = Line::default();
        for at in 0..100 {
            line.push(Sample::new(at, 1.0));
        }
        assert_eq!((line.trim(50), line.trim(50)), (Some(50), None));
        let mut found = Vec::new();
        line.samples(0, 99, &mut found);
        assert_eq!(found.first().map(|sample| sample.at), Some(50), "a steady one is cut where it has to be");
        let mut moving = Line::default();
        for at in 0..100 {
            moving.push(Sample::new(at, at as f64));
        }
        assert_eq!((moving.trim(50), moving.trim(50)), (Some(32), None));
        found.clear();
        moving.samples(0, 99, &mut found);
        assert_eq!(found.first().map(|sample| sample.at), Some(32), "one that moves goes by the piece");
    }

    #[test]
    fn what_stands_still_costs_nothing_more_however_long() {
        let mut line = Line::default();
        line.push(Sample::new(0, 1.0));
        let one = line.size();
        for at in 1..100_000 {
            line.push(Sample::new(at * 15_000, 1.0));
        }
        assert_eq!(line.size(), one);
        assert_eq!(line.newest(0, 15_000 * 700 + 14_999), Some(Sample::new(15_000 * 700, 1.0)));
        line.push(Sample::new(100_000 * 15_000, 0.0));
        assert_eq!(line.newest(0, i64::MAX / 2).map(|sample| sample.value), Some(0.0));
    }

    #[test]
    fn what_is_put_ahead_comes_before_what_is_there() {
        let samples: Vec<Sample> = (0..90).map(|at| Sample::new(at * 1000, (at % 7) as f64)).collect();
        let mut line = Line::default();
        for sample in &samples[50..] {
            line.push(*sample);
        }
        line.put_ahead(&samples[..50]);
        let mut found = Vec::new();
        line.samples(0, 90_000, &mut found);
        assert_eq!((line.first(), found), (Some(0), samples));
    }
}
