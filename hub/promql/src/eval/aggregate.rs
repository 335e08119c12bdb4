//! Aggregations: series with equal grouping labels become one, or the best of them stay.
//!
//! Groups are found once for all steps, and each is worked through row by row.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::Evaluation;
use crate::error::EvalError;
use crate::expr::{Aggregate, Aggregation, Expr, Grouping};
use crate::function::quantile;
use crate::labels::{Labels, Part, Ready, is_label_name};
use crate::number;
use crate::table::{ABSENT, Steps, Table, is_absent};

impl<'b> Evaluation<'_, 'b> {
    pub(super) fn aggregate(&self, aggregate: &Aggregate, steps: Steps) -> Result<Table<'b>, EvalError> {
        let parameter = match &aggregate.parameter {
            Some(Expr::String(label)) => return self.count_values(aggregate, label, steps),
            Some(parameter) => Some(self.scalar(parameter, steps)?),
            None => None,
        };
        let table = self.vector(&aggregate.of, steps)?;
        let groups = Groups::new(&aggregate.grouping, &table)?;
        match (aggregate.operation, parameter) {
            (Aggregation::Topk, Some(k)) => best(table, &groups, &k, |one, other| other.total_cmp(&one)),
            (Aggregation::Bottomk, Some(k)) => best(table, &groups, &k, |one, other| one.total_cmp(&other)),
            (Aggregation::Quantile, Some(q)) => quantiles(&table, &groups, &q),
            (operation, _) => fold(operation, &table, &groups),
        }
    }

    fn count_values(&self, aggregate: &Aggregate, label: &str, steps: Steps) -> Result<Table<'b>, EvalError> {
        if !is_label_name(label) {
            return Err(EvalError::Argument(format!("invalid label name {label:?}")));
        }
        let table = self.vector(&aggregate.of, steps)?;
        let grouping = match &aggregate.grouping {
            Grouping::By(names) => Grouping::By(names.iter().cloned().chain([label.into()]).collect()),
            without @ Grouping::Without(_) => without.clone(),
        };
        let mut out = Table::new(steps.count, self.budget);
        let mut row_of: HashMap<Labels, usize, Ready> = HashMap::default();
        for (labels, row) in table.rows() {
            // A series has most of its values many times.
            let mut known: HashMap<u64, usize> = HashMap::new();
            for (step, value) in row.iter().enumerate().filter(|(_, cell)| !is_absent(**cell)) {
                self.budget.work(1)?;
                let counted = match known.entry(value.to_bits()) {
                    Entry::Occupied(known) => *known.get(),
                    Entry::Vacant(unknown) => {
                        let mut edit = labels.edit();
                        edit.set(label, number::format_float(*value));
                        *unknown.insert(row_for(grouping.part(&edit.done()).labels(), &mut row_of, &mut out)?)
                    }
                };
                let cell = &mut out.row_mut(counted)[step];
                *cell = if is_absent(*cell) { 1.0 } else { *cell + 1.0 };
            }
        }
        Ok(out)
    }
}

/// The row of a group, which is appended if it is new.
fn row_for(
    group: Labels,
    known: &mut HashMap<Labels, usize, Ready>,
    out: &mut Table<'_>,
) -> Result<usize, EvalError> {
    if let Some(row) = known.get(&group) {
        return Ok(*row);
    }
    out.push(group.clone())?;
    known.insert(group, out.len() - 1);
    Ok(out.len() - 1)
}

impl Grouping {
    /// The labels that tell the group of a series.
    fn part<'l>(&'l self, labels: &'l Labels) -> Part<'l> {
        match self {
            Self::By(names) => Part::only(labels, names),
            Self::Without(names) => Part::without(labels, names),
        }
    }
}

/// The rows of a table by group, in the order in which groups come up.
struct Groups {
    labels: Vec<Labels>,
    rows: Vec<Vec<usize>>,
}

impl Groups {
    fn new(grouping: &Grouping, table: &Table<'_>) -> Result<Self, EvalError> {
        let mut groups = Self { labels: Vec::new(), rows: Vec::new() };
        let _held = table.budget().lookup(table.len())?;
        let mut known: HashMap<Part<'_>, usize, Ready> = HashMap::default();
        for (row, (labels, _)) in table.rows().enumerate() {
            table.budget().work(1)?;
            let group = *known.entry(grouping.part(labels)).or_insert_with_key(|part| {
                groups.labels.push(part.labels());
                groups.rows.push(Vec::new());
                groups.rows.len() - 1
            });
            groups.rows[group].push(row);
        }
        Ok(groups)
    }

    fn iter(&self) -> impl Iterator<Item = (&Labels, &[usize])> {
        self.labels.iter().zip(&self.rows).map(|(labels, rows)| (labels, rows.as_slice()))
    }
}

/// What has been seen of a group at one step.
#[derive(Clone, Copy, Default)]
struct Seen {
    count: u32,
    /// The sum, the extreme, or the sum of squared differences from the mean.
    value: f64,
    mean: f64,
}

impl Seen {
    fn add(&mut self, operation: Aggregation, value: f64) {
        self.count += 1;
        let count = f64::from(self.count);
        if self.count == 1 {
            self.mean = value;
            self.value =
                if matches!(operation, Aggregation::Stddev | Aggregation::Stdvar) { 0.0 } else { value };
            return;
        }
        match operation {
            Aggregation::Sum => self.value += value,
            Aggregation::Min if self.value > value || self.value.is_nan() => self.value = value,
            Aggregation::Max if self.value < value || self.value.is_nan() => self.value = value,
            Aggregation::Avg => self.move_mean(value, count),
            Aggregation::Stddev | Aggregation::Stdvar => {
                let difference = value - self.mean;
                self.mean += difference / count;
                self.value += difference * (value - self.mean);
            }
            _ => {}
        }
    }

    /// An infinite mean stays what it is, unless the other infinity or NaN comes; each side is divided for itself, so that
    /// nothing overflows on the way.
    fn move_mean(&mut self, value: f64, count: f64) {
        let same_infinity = value.is_infinite() && (self.mean > 0.0) == (value > 0.0);
        let stays = self.mean.is_infinite() && (value.is_finite() || same_infinity);
        if !stays {
            self.mean += value / count - self.mean / count;
        }
    }

    fn result(&self, operation: Aggregation) -> f64 {
        if self.count == 0 {
            return ABSENT;
        }
        let count = f64::from(self.count);
        match operation {
            Aggregation::Group => 1.0,
            Aggregation::Count => count,
            Aggregation::Avg => self.mean,
            Aggregation::Stdvar => self.value / count,
            Aggregation::Stddev => (self.value / count).sqrt(),
            _ => self.value,
        }
    }
}

/// The aggregations that need to see each value once.
fn fold<'b>(operation: Aggregation, table: &Table<'b>, groups: &Groups) -> Result<Table<'b>, EvalError> {
    let mut out = Table::new(table.steps(), table.budget());
    let _held = table.budget().held(table.steps() * size_of::<Seen>() / size_of::<f64>())?;
    let mut seen = vec![Seen::default(); table.steps()];
    for (labels, rows) in groups.iter() {
        seen.fill(Seen::default());
        for row in rows {
            table.budget().work(seen.len() as u64)?;
            for (seen, value) in seen.iter_mut().zip(table.row(*row)).filter(|(_, cell)| !is_absent(**cell)) {
                seen.add(operation, *value);
            }
        }
        for (cell, seen) in out.push(labels.clone())?.iter_mut().zip(&seen) {
            *cell = seen.result(operation);
        }
    }
    Ok(out)
}

fn quantiles<'b>(table: &Table<'b>, groups: &Groups, q: &Table<'_>) -> Result<Table<'b>, EvalError> {
    let mut out = Table::new(table.steps(), table.budget());
    let mut values = Vec::new();
    for (labels, rows) in groups.iter() {
        let cells = out.push(labels.clone())?;
        for (step, cell) in cells.iter_mut().enumerate() {
            table.budget().work(rows.len() as u64)?;
            values.clear();
            values.extend(rows.iter().map(|row| table.row(*row)[step]).filter(|cell| !is_absent(*cell)));
            if !values.is_empty() {
                *cell = quantile::of(q.row(0)[step], &mut values);
            }
        }
    }
    Ok(out)
}

/// `topk` and `bottomk`: the first `k` of each group at each step, in the order of `compare`, with NaN behind everything. Of equals those win
/// that come first. At a single step the result is in this order.
fn best<'b>(
    mut table: Table<'b>,
    groups: &Groups,
    k: &Table<'_>,
    compare: fn(f64, f64) -> std::cmp::Ordering,
) -> Result<Table<'b>, EvalError> {
    let budget = table.budget();
    let _held = budget.held(table.steps())?;
    let limits = k.row(0).iter().map(|k| whole(*k)).collect::<Result<Vec<_>, _>>()?;
    let mut order = Vec::with_capacity(table.len());
    let mut present: Vec<(usize, f64)> = Vec::new();
    for (_, rows) in groups.iter() {
        for (step, limit) in limits.iter().enumerate() {
            budget.work(rows.len() as u64)?;
            present.clear();
            present.extend(
                rows.iter().map(|row| (*row, table.row(*row)[step])).filter(|(_, cell)| !is_absent(*cell)),
            );
            present.sort_by(|(_, one), (_, other)| match (one.is_nan(), other.is_nan()) {
                // Plus 0, because -0 is as large as 0.
                (false, false) => compare(*one + 0.0, *other + 0.0),
                (one, other) => one.cmp(&other),
            });
            for (row, _) in present.iter().skip(*limit) {
                table.row_mut(*row)[step] = ABSENT;
            }
            if limits.len() == 1 {
                order.extend(present.iter().take(*limit).map(|(row, _)| *row));
            }
        }
    }
    if limits.len() == 1 {
        let mut placed = vec![false; table.len()];
        for row in &order {
            placed[*row] = true;
        }
        order.extend((0..table.len()).filter(|row| !placed[*row]));
        table.reorder(&order)?;
    }
    table.unify()
}

/// The parameter of `topk` and `bottomk`.
fn whole(k: f64) -> Result<usize, EvalError> {
    // The largest double below 2^63, and -2^63.
    if !(-9_223_372_036_854_775_808.0..=9_223_372_036_854_774_784.0).contains(&k) {
        return Err(EvalError::Argument(format!("Scalar value {} overflows int64", number::format_float(k))));
    }
    Ok(k.max(0.0) as usize)
}
