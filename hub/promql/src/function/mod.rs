//! The functions: one row each, in [`TABLE`], which is sorted by name. What a function does stands in the file of its kind.
//!
//! A row says what a function takes and gives and how it is run; looking at windows, dropping the metric's name, equal labels, limits
//! and steps are the evaluator's affair and the same for all.
//!
//! Sample: `rate` takes a range vector, gives an instant vector, and is run once for each window.

use std::fmt;

use crate::error::EvalError;
use crate::expr::Expr;
use crate::limits::Budget;
use crate::sample::Sample;
use crate::table::Steps;
use crate::value::{Type, Value};

mod math;
mod window;

/// One function of PromQL.
pub(crate) struct Function {
    pub(crate) name: &'static str,
    /// The types of its arguments.
    pub(crate) takes: &'static [Type],
    pub(crate) last: Last,
    pub(crate) gives: Type,
    pub(crate) run: Run,
}

/// How often the last of the arguments is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Last {
    /// Once, like all others.
    Once,
    /// Once or not at all. A vector that is missing is `vector(time())`, without labels.
    Optional,
    /// Any number of times, or not at all.
    Repeated,
}

/// How a function is run.
#[derive(Clone, Copy)]
pub(crate) enum Run {
    /// For each series and step that have samples in the window; `None` for no value. The metric's name goes.
    Window(fn(&Window<'_>) -> Option<f64>),
    /// As [`Run::Window`], and the metric's name stays.
    NamedWindow(fn(&Window<'_>) -> Option<f64>),
    /// For each value, with the scalars among the arguments at its step, in order; `None` for no value. The metric's name goes.
    Each(fn(f64, &[f64]) -> Option<f64>),
    /// Once for all steps, with all arguments evaluated.
    Whole(for<'b> fn(Call<'_, 'b>) -> Result<Value<'b>, EvalError>),
    /// As [`Run::Whole`], of what a function makes of the windows of the one range vector among the arguments.
    WholeOfWindows(fn(&Window<'_>) -> Option<f64>, for<'b> fn(Call<'_, 'b>) -> Result<Value<'b>, EvalError>),
    /// The time of each sample that a selector finds, or else of each step.
    Timestamp,
}

/// The samples of one series in the time before one step.
pub(crate) struct Window<'a> {
    /// In order of time, at least one, from `from` to `to`, both included; no stale marks.
    pub(crate) samples: &'a [Sample],
    /// Where the window begins: the range before `to`.
    pub(crate) from: i64,
    /// Where the window ends: the step, moved by `offset` and `@`.
    pub(crate) to: i64,
    /// The step.
    pub(crate) at: i64,
    /// The scalars among the arguments at this step, in order.
    pub(crate) scalars: &'a [f64],
}

/// A function with its arguments, for all steps.
pub(crate) struct Call<'a, 'b> {
    /// The arguments as written.
    pub(crate) written: &'a [Expr],
    /// What they are worth.
    pub(crate) values: Vec<Value<'b>>,
    pub(crate) steps: Steps,
    /// For new tables.
    pub(crate) budget: &'b Budget<'b>,
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// The function of this name.
pub(crate) fn find(name: &str) -> Option<&'static Function> {
    TABLE.binary_search_by(|row| row.name.cmp(name)).ok().map(|row| &TABLE[row])
}

const fn row(name: &'static str, takes: &'static [Type], last: Last, gives: Type, run: Run) -> Function {
    Function { name, takes, last, gives, run }
}

/// Every function of Prometheus 2.42, sorted by name.
static TABLE: &[Function] = &[
    row("abs", &[Type::Vector], Last::Once, Type::Vector, Run::Each(math::abs)),
    row("count_over_time", &[Type::Matrix], Last::Once, Type::Vector, Run::Window(window::count)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_so_that_every_row_is_found() {
        assert!(TABLE.is_sorted_by_key(|row| row.name));
        assert!(TABLE.iter().all(|row| find(row.name).is_some_and(|found| std::ptr::eq(found, row))));
        assert!(find("no_such_function").is_none());
    }
}
