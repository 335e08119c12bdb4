//! Which series of two vectors belong together: those that agree in the labels that count.
//!
//! Series are put into groups once for all steps; who of a group is there is looked at step by step, because what would be ambiguous
//! in one step may be two series that take turns.

use std::collections::HashMap;

use super::binary::{Compute, drops_name};
use crate::error::EvalError;
use crate::expr::{Binary, Many, Matching};
use crate::labels::{Labels, METRIC_NAME, Part, Ready};
use crate::limits::Budget;
use crate::table::{ABSENT, Table, is_absent};

/// The rows of two tables by the labels that they are matched by.
pub(super) struct Meeting<'b> {
    budget: &'b Budget<'b>,
    steps: usize,
    groups: usize,
    /// The group of each row.
    pub(super) left: Vec<usize>,
    pub(super) right: Vec<usize>,
}

impl<'b> Meeting<'b> {
    pub(super) fn new(matching: &Matching, left: &Table<'b>, right: &Table<'b>) -> Result<Self, EvalError> {
        let budget = left.budget();
        let _held = budget.lookup(left.len() + right.len())?;
        let mut known: HashMap<Part<'_>, usize, Ready> = HashMap::default();
        let mut groups = Vec::with_capacity(left.len() + right.len());
        for (labels, _) in left.rows().chain(right.rows()) {
            budget.work(1)?;
            let count = known.len();
            groups.push(*known.entry(part(matching, labels)).or_insert(count));
        }
        let right = groups.split_off(left.len());
        Ok(Self { budget, steps: left.steps(), groups: known.len(), left: groups, right })
    }

    /// In which steps any row of a group has a value.
    pub(super) fn presence(&self, table: &Table<'b>, group_of: &[usize]) -> Result<Presence<'b>, EvalError> {
        let mut there = Table::new(self.steps, self.budget);
        for _ in 0..self.groups {
            there.push(Labels::empty())?;
        }
        for ((_, row), group) in table.rows().zip(group_of) {
            self.budget.work(row.len() as u64)?;
            let present = there.row_mut(*group);
            for (present, _) in present.iter_mut().zip(row).filter(|(_, cell)| !is_absent(**cell)) {
                *present = 1.0;
            }
        }
        Ok(Presence { there })
    }
}

/// In which steps a group has anything on one side.
pub(super) struct Presence<'b> {
    there: Table<'b>,
}

impl Presence<'_> {
    /// Leaves in `table` the values whose group is there (or is not, unless `wanted`).
    pub(super) fn filter(
        &self,
        table: &mut Table<'_>,
        group_of: &[usize],
        wanted: bool,
    ) -> Result<(), EvalError> {
        for (row, group) in group_of.iter().enumerate() {
            table.budget().work(self.there.steps() as u64)?;
            for (cell, there) in table.row_mut(row).iter_mut().zip(self.there.row(*group)) {
                if is_absent(*there) == wanted {
                    *cell = ABSENT;
                }
            }
        }
        Ok(())
    }
}

/// The labels that a series is matched by.
fn part<'l>(matching: &'l Matching, labels: &'l Labels) -> Part<'l> {
    if matching.on { Part::only(labels, &matching.labels) } else { Part::without(labels, &matching.labels) }
}

/// Computes with each pair of series that belong together. The side of which a group has one series is `one`; the other, `many`, has one as
/// well, unless `group_left` or `group_right` allows more.
pub(super) fn join<'b>(
    binary: &Binary,
    compute: Compute,
    left: &Table<'b>,
    right: &Table<'b>,
) -> Result<Table<'b>, EvalError> {
    let meeting = Meeting::new(&binary.matching, left, right)?;
    let swapped = binary.matching.many == Many::Right;
    let ((many, many_groups), (one, one_groups)) = if swapped {
        ((right, meeting.right), (left, meeting.left))
    } else {
        ((left, meeting.left), (right, meeting.right))
    };
    let mut one_of = vec![Vec::new(); meeting.groups];
    for (row, group) in one_groups.into_iter().enumerate() {
        one_of[group].push(row);
    }
    let join = Join { binary, compute, swapped, many, one, many_groups, one_of };
    join.refuse_two_at_once()?;
    join.run()
}

struct Join<'t, 'b> {
    binary: &'t Binary,
    compute: Compute,
    /// Whether `many` is the right side.
    swapped: bool,
    many: &'t Table<'b>,
    one: &'t Table<'b>,
    many_groups: Vec<usize>,
    /// The rows of `one` in each group.
    one_of: Vec<Vec<usize>>,
}

impl<'b> Join<'_, 'b> {
    /// Of the side `one` no two series of a group may have a value at the same step, unless there is nothing on the other side at all.
    fn refuse_two_at_once(&self) -> Result<(), EvalError> {
        let budget = self.one.budget();
        let _held = budget.held(2 * self.one.steps())?;
        let mut first = vec![usize::MAX; self.one.steps()];
        // Of each step, once it matters: whether there is anything on the other side.
        let mut others = vec![None; self.one.steps()];
        for rows in self.one_of.iter().filter(|rows| rows.len() > 1) {
            first.fill(usize::MAX);
            for &row in rows {
                budget.work(first.len() as u64)?;
                for (step, first) in first.iter_mut().enumerate() {
                    if is_absent(self.one.row(row)[step]) {
                        continue;
                    }
                    if *first != usize::MAX {
                        let others = if let Some(known) = others[step] {
                            known
                        } else {
                            budget.work(self.many.len() as u64)?;
                            *others[step].insert(self.many.at(step).next().is_some())
                        };
                        if others {
                            return Err(self.duplicate(*first, row));
                        }
                    }
                    *first = row;
                }
            }
        }
        Ok(())
    }

    fn duplicate(&self, one: usize, other: usize) -> EvalError {
        let labels = self.one.labels(one);
        EvalError::DuplicateSeries {
            group: part(&self.binary.matching, labels).labels(),
            side: if self.swapped { "left" } else { "right" },
            one: labels.clone(),
            other: self.one.labels(other).clone(),
        }
    }

    fn run(&self) -> Result<Table<'b>, EvalError> {
        let mut out = Table::new(self.one.steps(), self.one.budget());
        let explicit = self.binary.matching.many != Many::Neither;
        // Of groups with several rows on the side `many`: in which steps one of them has given a result.
        let mut rows_of_group = vec![0_u32; self.one_of.len()];
        for group in &self.many_groups {
            rows_of_group[*group] += 1;
        }
        let mut taken: HashMap<usize, Vec<bool>> = HashMap::new();
        // Most pairs of a filter come to nothing, and need no labels.
        let mut result = vec![ABSENT; out.steps()];
        for (many, group) in self.many_groups.iter().enumerate() {
            for &one in &self.one_of[*group] {
                out.budget().work(result.len() as u64)?;
                result.fill(ABSENT);
                if !self.pair(self.many.row(many), self.one.row(one), &mut result) {
                    continue;
                }
                let labels = self.labels(self.many.labels(many), self.one.labels(one));
                let row = out.push(labels)?;
                row.copy_from_slice(&result);
                if !explicit && rows_of_group[*group] > 1 {
                    let taken = taken.entry(*group).or_insert_with(|| vec![false; row.len()]);
                    for (taken, _) in taken.iter_mut().zip(row.iter()).filter(|(_, cell)| !is_absent(**cell))
                    {
                        if std::mem::replace(taken, true) {
                            return Err(EvalError::ManyToMany);
                        }
                    }
                }
            }
        }
        out.unify().map_err(|error| match error {
            EvalError::SameLabels if explicit => EvalError::GroupingNotUnique,
            other => other,
        })
    }

    /// Computes one pair, and says whether it came to anything.
    fn pair(&self, many: &[f64], one: &[f64], out: &mut [f64]) -> bool {
        let mut any = false;
        for ((many, one), cell) in many.iter().zip(one).zip(out) {
            if is_absent(*many) || is_absent(*one) {
                continue;
            }
            let (left, right) = if self.swapped { (*one, *many) } else { (*many, *one) };
            if let Some(value) = self.compute.apply(left, right, left) {
                *cell = value;
                any = true;
            }
        }
        any
    }

    /// The labels of a result.
    fn labels(&self, many: &Labels, one: &Labels) -> Labels {
        let matching = &self.binary.matching;
        let mut labels = many.clone();
        if matching.many == Many::Neither && matching.on {
            labels = labels.only(&matching.labels);
        } else if matching.many == Many::Neither && !matching.labels.is_empty() {
            let mut edit = labels.edit();
            for name in &matching.labels {
                edit.remove(name);
            }
            labels = edit.done();
        }
        if drops_name(self.binary) {
            labels = labels.without_name();
        }
        if matching.include.is_empty() {
            return labels;
        }
        let mut edit = labels.edit();
        for name in &matching.include {
            edit.set(name.clone(), one.value(name));
        }
        // `bool` drops the name at last, even one that was taken over.
        if self.binary.to_bool {
            edit.remove(METRIC_NAME);
        }
        edit.done()
    }
}
