//! What a part of an expression is worth at every step: series by steps, in one block of memory. Not the answer that leaves the
//! crate: `answer.rs`.
//!
//! A range query is evaluated part by part, and each part for all steps at once: labels are matched and grouped once, and then
//! numbers are computed row by row. A cell without a value is [`ABSENT`]; a row may have no value at all. Rows may have equal labels in
//! between; [`Table::unify`] makes one row of those that are never there together.
//!
//! Sample: at three steps, `{site="hall"}` → `[1.0, ABSENT, 2.0]`.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::error::EvalError;
use crate::labels::{Labels, Ready};
use crate::limits::Budget;
use crate::sample::{STALE, is_stale};

/// The cell of a series that has no value at a step. Never a value: results of arithmetic are quiet NaNs, and this one is not.
pub(crate) const ABSENT: f64 = STALE;

/// What a row's labels are charged as, in cells: a set of labels of its own is about 128 bytes.
const LABELS: usize = 16;

/// Whether a cell has no value.
pub(crate) fn is_absent(cell: f64) -> bool {
    is_stale(cell)
}

/// The moments at which an expression is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Steps {
    /// The first one, in milliseconds since 1970.
    pub(crate) first: i64,
    /// From one to the next, in milliseconds; at least 1.
    pub(crate) every: i64,
    /// How many there are; at least 1, but in a subquery there may be none.
    pub(crate) count: usize,
}

impl Steps {
    /// One moment.
    pub(crate) fn once(at: i64) -> Self {
        Self { first: at, every: 1, count: 1 }
    }

    /// The moment of a step.
    pub(crate) fn at(&self, step: usize) -> i64 {
        self.first.saturating_add(self.every.saturating_mul(step as i64))
    }

    /// The moment of the last step.
    pub(crate) fn last(&self) -> i64 {
        self.at(self.count.saturating_sub(1))
    }

    /// From one step to the next, if there is a next one.
    pub(crate) fn distance(&self) -> Option<i64> {
        (self.count > 1).then_some(self.every)
    }

    /// Every moment.
    pub(crate) fn iter(&self) -> impl Iterator<Item = i64> + use<> {
        let steps = *self;
        (0..steps.count).map(move |step| steps.at(step))
    }
}

/// Series by steps.
pub(crate) struct Table<'b> {
    budget: &'b Budget<'b>,
    steps: usize,
    labels: Vec<Labels>,
    cells: Vec<f64>,
}

impl<'b> Table<'b> {
    /// A table without rows.
    pub(crate) fn new(steps: usize, budget: &'b Budget<'b>) -> Self {
        Self { budget, steps, labels: Vec::new(), cells: Vec::new() }
    }

    /// Appends a row without values, for the caller to fill.
    pub(crate) fn push(&mut self, labels: Labels) -> Result<&mut [f64], EvalError> {
        self.budget.hold(self.steps + LABELS)?;
        let start = self.cells.len();
        self.labels.push(labels);
        self.cells.resize(start + self.steps, ABSENT);
        Ok(&mut self.cells[start..])
    }

    /// Takes away the row that was appended last.
    pub(crate) fn pop(&mut self) {
        if self.labels.pop().is_some() {
            self.cells.truncate(self.labels.len() * self.steps);
            self.budget.release(self.steps + LABELS);
        }
    }

    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.labels.len()
    }

    /// How many cells a row has.
    pub(crate) fn steps(&self) -> usize {
        self.steps
    }

    /// What limits this evaluation; for new tables.
    pub(crate) fn budget(&self) -> &'b Budget<'b> {
        self.budget
    }

    /// The cells of a row.
    pub(crate) fn row(&self, row: usize) -> &[f64] {
        &self.cells[row * self.steps..(row + 1) * self.steps]
    }

    /// The cells of a row, to change.
    pub(crate) fn row_mut(&mut self, row: usize) -> &mut [f64] {
        &mut self.cells[row * self.steps..(row + 1) * self.steps]
    }

    /// The labels of a row.
    pub(crate) fn labels(&self, row: usize) -> &Labels {
        &self.labels[row]
    }

    /// Every row.
    pub(crate) fn rows(&self) -> impl ExactSizeIterator<Item = (&Labels, &[f64])> {
        self.labels.iter().enumerate().map(|(row, labels)| (labels, self.row(row)))
    }

    /// The rows that have a value at `step`, with it.
    pub(crate) fn at(&self, step: usize) -> impl Iterator<Item = (usize, f64)> {
        (0..self.labels.len())
            .map(move |row| (row, self.cells[row * self.steps + step]))
            .filter(|(_, cell)| !is_absent(*cell))
    }

    /// Replaces every value by what `of` makes of its step and itself; `None` takes it away.
    pub(crate) fn map(&mut self, mut of: impl FnMut(usize, f64) -> Option<f64>) -> Result<(), EvalError> {
        let steps = self.steps.max(1);
        for row in self.cells.chunks_mut(steps) {
            self.budget.work(row.len() as u64)?;
            for (step, cell) in row.iter_mut().enumerate().filter(|(_, cell)| !is_absent(**cell)) {
                *cell = of(step, *cell).unwrap_or(ABSENT);
            }
        }
        Ok(())
    }

    /// Replaces the labels of every row.
    pub(crate) fn relabel(&mut self, mut of: impl FnMut(&Labels) -> Labels) {
        for labels in &mut self.labels {
            *labels = of(labels);
        }
    }

    /// As [`Table::relabel`], until there is an error.
    pub(crate) fn try_relabel(
        &mut self,
        mut of: impl FnMut(&Labels) -> Result<Labels, EvalError>,
    ) -> Result<(), EvalError> {
        for labels in &mut self.labels {
            *labels = of(labels)?;
        }
        Ok(())
    }

    /// Puts the rows into the order that `order` lists, which has each of them once.
    pub(crate) fn reorder(&mut self, order: &[usize]) -> Result<(), EvalError> {
        self.budget.hold(self.cells.len())?;
        let cells = order.iter().flat_map(|&row| self.row(row)).copied().collect();
        self.budget.release(self.cells.len());
        self.cells = cells;
        self.labels = order.iter().map(|&row| self.labels[row].clone()).collect();
        Ok(())
    }

    /// As many steps as asked for, all like the first.
    pub(crate) fn repeated(&self, steps: usize) -> Result<Self, EvalError> {
        let mut table = Self::new(steps, self.budget);
        for (labels, row) in self.rows() {
            table.push(labels.clone())?.fill(row[0]);
        }
        Ok(table)
    }

    /// Appends the rows of another table with as many steps.
    pub(crate) fn append(&mut self, other: &Self) -> Result<(), EvalError> {
        for (labels, row) in other.rows() {
            self.push(labels.clone())?.copy_from_slice(row);
        }
        Ok(())
    }

    /// Makes one row of all that have the same labels; an error, if two of them have a value at the same step. Rows without
    /// any value go.
    pub(crate) fn unify(self) -> Result<Self, EvalError> {
        self.unified(false)
    }

    /// As [`Table::unify`], but two rows of the same labels that have any value are an error even if they are never there together.
    pub(crate) fn unify_strictly(self) -> Result<Self, EvalError> {
        self.unified(true)
    }

    fn unified(mut self, strictly: bool) -> Result<Self, EvalError> {
        let _held = self.budget.lookup(self.len())?;
        let mut known: HashMap<Labels, usize, Ready> =
            HashMap::with_capacity_and_hasher(self.len(), Ready::default());
        let (mut kept, steps) = (0, self.steps);
        for row in 0..self.len() {
            self.budget.work(1)?;
            if self.row(row).iter().all(|cell| is_absent(*cell)) {
                continue;
            }
            match known.entry(self.labels[row].clone()) {
                Entry::Vacant(entry) => {
                    entry.insert(kept);
                    self.labels.swap(kept, row);
                    self.cells.copy_within(row * steps..(row + 1) * steps, kept * steps);
                    kept += 1;
                }
                Entry::Occupied(_) if strictly => return Err(EvalError::SameLabels),
                Entry::Occupied(entry) => {
                    let (above, below) = self.cells.split_at_mut(row * steps);
                    let into = &mut above[entry.get() * steps..(entry.get() + 1) * steps];
                    for (into, from) in
                        into.iter_mut().zip(&below[..steps]).filter(|(_, from)| !is_absent(**from))
                    {
                        if !is_absent(*into) {
                            return Err(EvalError::SameLabels);
                        }
                        *into = *from;
                    }
                }
            }
        }
        self.budget.release((self.len() - kept) * (steps + LABELS));
        self.labels.truncate(kept);
        self.cells.truncate(kept * steps);
        Ok(self)
    }
}

impl Drop for Table<'_> {
    fn drop(&mut self) {
        self.budget.release(self.labels.len() * (self.steps + LABELS));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;

    fn table<'b>(budget: &'b Budget<'b>, rows: &[(&str, [f64; 2])]) -> Table<'b> {
        let mut table = Table::new(2, budget);
        for (site, cells) in rows {
            table.push(Labels::new([("site", *site)])).expect("within the limits").copy_from_slice(cells);
        }
        table
    }

    #[test]
    fn rows_that_take_turns_become_one_and_empty_ones_go() {
        let limits = Limits::default();
        let budget = Budget::new(&limits);
        let rows = [("a", [1.0, ABSENT]), ("b", [ABSENT; 2]), ("c", [f64::NAN, 5.0]), ("a", [ABSENT, 2.0])];
        let table = table(&budget, &rows).unify().expect("never at the same step");
        let lines: Vec<_> = table.rows().map(|(labels, cells)| format!("{labels} {cells:?}")).collect();
        assert_eq!(lines, [r#"{site="a"} [1.0, 2.0]"#, r#"{site="c"} [NaN, 5.0]"#]);
    }

    #[test]
    fn rows_that_are_there_together_are_an_error() {
        let limits = Limits::default();
        let budget = Budget::new(&limits);
        let together = table(&budget, &[("a", [1.0, ABSENT]), ("a", [1.0, 2.0])]);
        assert_eq!(together.unify().err(), Some(EvalError::SameLabels));
        let in_turn = table(&budget, &[("a", [1.0, ABSENT]), ("a", [ABSENT, 2.0])]);
        assert_eq!(in_turn.unify_strictly().err(), Some(EvalError::SameLabels));
    }

    #[test]
    fn what_a_table_holds_is_given_back() {
        // Three rows, and what they are looked up in.
        let limits = Limits { cells: 3 * (2 + LABELS as u64) + 24, ..Limits::default() };
        let budget = Budget::new(&limits);
        for _ in 0..2 {
            let mut full = table(&budget, &[("a", [1.0; 2]), ("a", [ABSENT; 2]), ("c", [1.0; 2])]);
            let lookup = budget.lookup(3).expect("there is room");
            assert!(full.push(Labels::empty()).is_err());
            drop(lookup);
            full.pop();
            full.push(Labels::empty()).expect("one row was taken away");
            let mut less = full.unify().expect("one row of each");
            less.push(Labels::empty()).expect("the empty row has gone");
        }
    }
}
