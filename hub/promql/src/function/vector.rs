//! Functions of whole vectors: `absent`, `sort`, `sort_desc`, and the way between vectors and scalars: `scalar`, `vector`, `time`, `pi`.

use std::cmp::Ordering;
use std::f64::consts::PI;

use super::Call;
use crate::error::EvalError;
use crate::expr::Expr;
use crate::labels::{Labels, METRIC_NAME};
use crate::matcher::{Matcher, Test};
use crate::table::{ABSENT, Table, is_absent};
use crate::value::Value;

/// 1 at every step at which the vector is empty, with the labels that its selector would have found. Of `absent_over_time` the
/// vector is what the windows have.
pub(super) fn absent<'b>(call: &mut Call<'_, 'b>) -> Result<Value<'b>, EvalError> {
    let vector = call.vector(0);
    let mut answer = Table::new(call.steps.count, call.budget);
    let labels = match call.written {
        [Expr::Selector(selector) | Expr::Window { selector, .. }] => demanded(&selector.matchers),
        _ => Labels::empty(),
    };
    let cells = answer.push(labels)?;
    cells.fill(1.0);
    for (_, row) in vector.rows() {
        for (cell, found) in cells.iter_mut().zip(row) {
            if !is_absent(*found) {
                *cell = ABSENT;
            }
        }
    }
    Ok(Value::Vector(answer))
}

/// The labels that a selector demands by `=`. A label with any matcher beside that one is left out, though an `=` after
/// another matcher brings it back: so Prometheus has it.
fn demanded(matchers: &[Matcher]) -> Labels {
    let mut edit = Labels::empty().edit();
    let mut seen: Vec<&str> = Vec::new();
    for Matcher { name, test } in matchers.iter().filter(|matcher| *matcher.name != *METRIC_NAME) {
        match test {
            Test::Equal(value) if !seen.contains(&&**name) => {
                edit.set(name.clone(), value.clone());
                seen.push(name);
            }
            _ => {
                edit.remove(name);
            }
        }
    }
    edit.done()
}

/// The value of the only series at each step, else NaN.
pub(super) fn scalar<'b>(call: &mut Call<'_, 'b>) -> Result<Value<'b>, EvalError> {
    let vector = call.vector(0);
    let mut found = vec![0_u32; call.steps.count];
    let mut answer = call.one_row(|_| ())?;
    let cells = answer.row_mut(0);
    for (_, row) in vector.rows() {
        call.budget.work(row.len() as u64)?;
        for (step, cell) in row.iter().enumerate().filter(|(_, cell)| !is_absent(**cell)) {
            found[step] += 1;
            cells[step] = *cell;
        }
    }
    for (cell, _) in cells.iter_mut().zip(found).filter(|(_, found)| *found != 1) {
        *cell = f64::NAN;
    }
    Ok(Value::Scalar(answer))
}

/// The scalar as the value of a series without labels.
pub(super) fn vector<'b>(call: &mut Call<'_, 'b>) -> Result<Value<'b>, EvalError> {
    Ok(Value::Vector(call.scalar(0)))
}

/// Seconds since 1970.
pub(super) fn time<'b>(call: &mut Call<'_, 'b>) -> Result<Value<'b>, EvalError> {
    let seconds = call.steps.iter().map(|at| at as f64 / 1000.0);
    Ok(Value::Scalar(call.one_row(|cells| cells.iter_mut().zip(seconds).for_each(|(cell, at)| *cell = at))?))
}

pub(super) fn pi<'b>(call: &mut Call<'_, 'b>) -> Result<Value<'b>, EvalError> {
    Ok(Value::Scalar(call.one_row(|cells| cells.fill(PI))?))
}

/// The smallest value first, NaN last.
pub(super) fn sort<'b>(call: &mut Call<'_, 'b>) -> Result<Value<'b>, EvalError> {
    ordered(call, |a, b| a.partial_cmp(&b))
}

/// The largest value first, NaN last.
pub(super) fn sort_desc<'b>(call: &mut Call<'_, 'b>) -> Result<Value<'b>, EvalError> {
    ordered(call, |a, b| b.partial_cmp(&a))
}

/// Orders by the values of an instant query; over several steps there is no order to have.
fn ordered<'b>(
    call: &mut Call<'_, 'b>,
    compare: impl Fn(f64, f64) -> Option<Ordering>,
) -> Result<Value<'b>, EvalError> {
    let mut table = call.vector(0);
    if table.steps() == 1 {
        let value = |row: usize| table.row(row)[0];
        let mut order: Vec<usize> = (0..table.len()).collect();
        let nan_last = |a: f64, b: f64| a.is_nan().cmp(&b.is_nan());
        order.sort_by(|&a, &b| compare(value(a), value(b)).unwrap_or_else(|| nan_last(value(a), value(b))));
        table.reorder(&order)?;
    }
    Ok(Value::Vector(table))
}

/// No value at all: what the functions of native histograms make of plain numbers.
pub(super) fn nothing<'b>(call: &mut Call<'_, 'b>) -> Result<Value<'b>, EvalError> {
    Ok(Value::Vector(Table::new(call.steps.count, call.budget)))
}
