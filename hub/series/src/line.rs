//! The last window of one series that the hub makes: times as distances from the first of a few dozen, values as small as they are.
//!
//! Invariant: times rise strictly. Most such series are ones and zeroes, or do not move at all.
//!
//! Sample: `Piece { start: 12:00:00, after: [0, 15000, 30000], values: Same(1.0) }`.

use crate::rack::in_order;
use rackside_promql::Sample;
use std::collections::VecDeque;

/// Samples in one piece; a piece is dropped as a whole.
const MOST: usize = 32;

/// The samples of one series.
#[derive(Debug, Default)]
pub(crate) struct Line {
    pieces: VecDeque<Piece>,
}

#[derive(Debug)]
struct Piece {
    start: i64,
    after: Vec<u32>,
    values: Values,
}

#[derive(Debug)]
enum Values {
    Same(f64),
    Whole(Vec<i32>),
    Any(Vec<f64>),
}

impl Line {
    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    pub(crate) fn last(&self) -> Option<Sample> {
        let piece = self.pieces.back()?;
        piece.sample(piece.after.len() - 1)
    }

    /// Adds a sample. One of the same moment is replaced by it.
    pub(crate) fn push(&mut self, sample: Sample) {
        match self.last() {
            Some(last) if sample.at <= last.at => self.insert(sample),
            _ => self.append(sample),
        }
    }

    fn append(&mut self, sample: Sample) {
        let fits =
            |piece: &&mut Piece| piece.after.len() < MOST && u32::try_from(sample.at - piece.start).is_ok();
        match self.pieces.back_mut().filter(fits) {
            Some(piece) => piece.push(sample),
            None => self.pieces.push_back(Piece {
                start: sample.at,
                after: vec![0],
                values: Values::Same(sample.value),
            }),
        }
    }

    /// Rare, and of a few pieces: they are made anew.
    fn insert(&mut self, sample: Sample) {
        let from = self.pieces.partition_point(|piece| piece.last() < sample.at);
        let mut rest = Vec::new();
        for piece in self.pieces.drain(from..) {
            rest.extend((0..piece.after.len()).filter_map(|at| piece.sample(at)));
        }
        rest.push(sample);
        in_order(&mut rest, 0);
        for sample in rest {
            self.append(sample);
        }
    }

    /// Drops what is older than `oldest`, by the piece. Gives from when on nothing was dropped, if anything was.
    pub(crate) fn trim(&mut self, oldest: i64) -> Option<i64> {
        let mut floor = None;
        while self.pieces.front().is_some_and(|piece| piece.last() < oldest) {
            floor = self.pieces.pop_front().map(|piece| piece.last() + 1);
        }
        floor
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
        for piece in self.pieces.range(first..).take_while(|piece| piece.start <= to) {
            let start = if from <= piece.start { 0 } else { piece.rows_until(from - 1) };
            out.extend((start..piece.rows_until(to)).filter_map(|row| piece.sample(row)));
        }
    }

    /// What it takes in memory, about.
    pub(crate) fn size(&self) -> usize {
        let values = |piece: &Piece| match &piece.values {
            Values::Same(_) => 0,
            Values::Whole(values) => values.capacity() * 4,
            Values::Any(values) => values.capacity() * 8,
        };
        self.pieces
            .iter()
            .map(|piece| size_of::<Piece>() + piece.after.capacity() * 4 + values(piece))
            .sum::<usize>()
            + size_of::<Self>()
    }
}

impl Piece {
    fn last(&self) -> i64 {
        self.start + self.after.last().copied().map_or(0, i64::from)
    }

    /// How many samples are not later than `at`.
    fn rows_until(&self, at: i64) -> usize {
        self.after.partition_point(|&after| self.start + i64::from(after) <= at)
    }

    fn sample(&self, row: usize) -> Option<Sample> {
        let after = *self.after.get(row)?;
        let value = match &self.values {
            Values::Same(value) => *value,
            Values::Whole(values) => f64::from(*values.get(row)?),
            Values::Any(values) => *values.get(row)?,
        };
        Some(Sample::new(self.start + i64::from(after), value))
    }

    fn push(&mut self, sample: Sample) {
        let rows = self.after.len();
        self.after.push((sample.at - self.start) as u32);
        let value = sample.value;
        match &mut self.values {
            Values::Same(same) if same.to_bits() == value.to_bits() => {}
            Values::Same(same) => {
                let same = *same;
                self.values = if let (Some(same), Some(value)) = (whole(same), whole(value)) {
                    Values::Whole(std::iter::repeat_n(same, rows).chain([value]).collect())
                } else {
                    Values::Any(std::iter::repeat_n(same, rows).chain([value]).collect())
                };
            }
            Values::Whole(values) => {
                if let Some(value) = whole(value) {
                    values.push(value);
                } else {
                    let before = values.iter().map(|&value| f64::from(value));
                    self.values = Values::Any(before.chain([value]).collect());
                }
            }
            Values::Any(values) => values.push(value),
        }
    }
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

    #[test]
    fn a_trimmed_line_says_from_when_on_it_is_whole() {
        let mut line = Line::default();
        for at in 0..100 {
            line.push(Sample::new(at, 1.0));
        }
        assert_eq!(line.trim(50), Some(32));
        assert_eq!(line.trim(50), None);
        let mut found = Vec::new();
        line.samples(0, 99, &mut found);
        assert_eq!(found.first().map(|sample| sample.at), Some(32));
    }
}
