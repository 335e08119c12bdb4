//! The functions: one row each, in [`TABLE`], which is sorted by name. What a function does stands in the file of its kind.
//!
//! A row says what a function takes and gives and how it is run; looking at windows, dropping the metric's name, equal labels, limits
//! and steps are the evaluator's affair and the same for all.
//!
//! Sample: `rate` takes a range vector, gives an instant vector, and is run once for each window.

#![expect(clippy::float_cmp, reason = "values are compared as Prometheus compares them")]
#![expect(clippy::unnecessary_wraps, reason = "functions of one kind have one type")]

use std::fmt;
use std::sync::Arc;

use crate::error::EvalError;
use crate::expr::Expr;
use crate::labels::Labels;
use crate::limits::Budget;
use crate::sample::Sample;
use crate::source::Reduce;
use crate::table::{Steps, Table};
use crate::value::Type::{self, Matrix, Scalar, String, Vector};
use crate::value::Value;

mod calendar;
mod counter;
mod histogram;
mod kahan;
mod label;
mod maths;
mod over_time;
pub(crate) mod quantile;
mod trend;
mod trigonometry;
mod vector;

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
    /// As [`Run::Window`], of a function that refuses some of its scalars.
    CheckedWindow(fn(&Window<'_>) -> Result<Option<f64>, EvalError>),
    /// As [`Run::Window`], and the metric's name stays.
    NamedWindow(fn(&Window<'_>) -> Option<f64>),
    /// For each value. The metric's name goes.
    Each(fn(f64) -> f64),
    /// For each value, with the scalars among the arguments at its step, in order; `None` for no value. The metric's name goes.
    EachWith(fn(f64, &[f64]) -> Option<f64>),
    /// Once for all steps, with all arguments evaluated.
    Whole(for<'b> fn(&mut Call<'_, 'b>) -> Result<Value<'b>, EvalError>),
    /// As [`Run::Whole`], of what a function makes of the windows of the one range vector among the arguments.
    WholeOfWindows(
        fn(&Window<'_>) -> Option<f64>,
        for<'b> fn(&mut Call<'_, 'b>) -> Result<Value<'b>, EvalError>,
    ),
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

impl Function {
    /// Whether the time of the step goes into the result, apart from what the arguments are worth at it.
    pub(crate) fn looks_at_the_step(&self, arguments: &[Expr]) -> bool {
        let vector_is_missing = arguments.len() < self.takes.len() && self.takes[arguments.len()] == Vector;
        let times_of_samples = matches!((self.run, arguments), (Run::Timestamp, [Expr::Selector(_)]));
        let by_itself = matches!(self.name, "time" | "predict_linear" | "timestamp");
        vector_is_missing || (by_itself && !times_of_samples)
    }
}

impl Function {
    /// What it makes of a window, as far as a source can do something with it.
    pub(crate) fn reduce(&self) -> Reduce {
        match self.name {
            "last_over_time" => Reduce::Last,
            "min_over_time" => Reduce::Min,
            "max_over_time" => Reduce::Max,
            "avg_over_time" => Reduce::Mean,
            "sum_over_time" => Reduce::Sum,
            "count_over_time" => Reduce::Count,
            "rate" | "increase" => Reduce::Counter,
            _ => Reduce::Samples,
        }
    }
}

/// The function of this name.
pub(crate) fn find(name: &str) -> Option<&'static Function> {
    TABLE.binary_search_by(|row| row.name.cmp(name)).ok().map(|row| &TABLE[row])
}

impl<'b> Call<'_, 'b> {
    /// Takes the argument at this place, which is a vector.
    fn vector(&mut self, argument: usize) -> Table<'b> {
        match self.take(argument) {
            Value::Vector(table) => table,
            _ => unreachable!("arguments have the types of the function's row"),
        }
    }

    /// Takes the argument at this place, which is a scalar: one row, with a number for each step.
    fn scalar(&mut self, argument: usize) -> Table<'b> {
        match self.take(argument) {
            Value::Scalar(table) => table,
            _ => unreachable!("arguments have the types of the function's row"),
        }
    }

    /// Takes the argument at this place, which is a text.
    fn text(&mut self, argument: usize) -> Arc<str> {
        match self.take(argument) {
            Value::String(text) => text,
            _ => unreachable!("arguments have the types of the function's row"),
        }
    }

    fn take(&mut self, argument: usize) -> Value<'b> {
        std::mem::replace(&mut self.values[argument], Value::String(Arc::default()))
    }

    /// A table of one row, without labels, that the caller fills.
    fn one_row(&self, fill: impl FnOnce(&mut [f64])) -> Result<Table<'b>, EvalError> {
        let mut table = Table::new(self.steps.count, self.budget);
        fill(table.push(Labels::empty())?);
        Ok(table)
    }
}

/// Every function of Prometheus 2.42, sorted by name.
static TABLE: &[Function] = &[
    each("abs", f64::abs),
    whole("absent", &[Vector], vector::absent),
    Function {
        name: "absent_over_time",
        takes: &[Matrix],
        last: Last::Once,
        gives: Vector,
        run: Run::WholeOfWindows(over_time::present, vector::absent),
    },
    each("acos", f64::acos),
    each("acosh", trigonometry::acosh),
    each("asin", f64::asin),
    each("asinh", trigonometry::asinh),
    each("atan", f64::atan),
    each("atanh", trigonometry::atanh),
    windows("avg_over_time", &[Matrix], over_time::avg),
    each("ceil", f64::ceil),
    windows("changes", &[Matrix], counter::changes),
    each_with("clamp", &[Vector, Scalar, Scalar], maths::clamp),
    each_with("clamp_max", &[Vector, Scalar], maths::clamp_max),
    each_with("clamp_min", &[Vector, Scalar], maths::clamp_min),
    each("cos", f64::cos),
    each("cosh", f64::cosh),
    windows("count_over_time", &[Matrix], over_time::count),
    moments("day_of_month", calendar::day_of_month),
    moments("day_of_week", calendar::day_of_week),
    moments("day_of_year", calendar::day_of_year),
    moments("days_in_month", calendar::days_in_month),
    each("deg", trigonometry::degrees),
    windows("delta", &[Matrix], counter::delta),
    windows("deriv", &[Matrix], trend::deriv),
    each("exp", f64::exp),
    each("floor", f64::floor),
    whole("histogram_count", &[Vector], vector::nothing),
    whole("histogram_fraction", &[Scalar, Scalar, Vector], vector::nothing),
    whole("histogram_quantile", &[Scalar, Vector], histogram::over_buckets),
    whole("histogram_sum", &[Vector], vector::nothing),
    Function {
        name: "holt_winters",
        takes: &[Matrix, Scalar, Scalar],
        last: Last::Once,
        gives: Vector,
        run: Run::CheckedWindow(trend::holt_winters),
    },
    moments("hour", calendar::hour),
    windows("idelta", &[Matrix], counter::idelta),
    windows("increase", &[Matrix], counter::increase),
    windows("irate", &[Matrix], counter::irate),
    Function { last: Last::Repeated, ..whole("label_join", &[Vector, String, String, String], label::join) },
    whole("label_replace", &[Vector, String, String, String, String], label::replace),
    Function {
        name: "last_over_time",
        takes: &[Matrix],
        last: Last::Once,
        gives: Vector,
        run: Run::NamedWindow(over_time::last),
    },
    each("ln", f64::ln),
    each("log10", f64::log10),
    each("log2", maths::log2),
    windows("max_over_time", &[Matrix], over_time::max),
    windows("min_over_time", &[Matrix], over_time::min),
    moments("minute", calendar::minute),
    moments("month", calendar::month),
    Function { gives: Scalar, ..whole("pi", &[], vector::pi) },
    windows("predict_linear", &[Matrix, Scalar], trend::predict_linear),
    windows("present_over_time", &[Matrix], over_time::present),
    windows("quantile_over_time", &[Scalar, Matrix], over_time::phi_quantile),
    each("rad", trigonometry::radians),
    windows("rate", &[Matrix], counter::rate),
    windows("resets", &[Matrix], counter::resets),
    Function { last: Last::Optional, ..each_with("round", &[Vector, Scalar], maths::round) },
    Function { gives: Scalar, ..whole("scalar", &[Vector], vector::scalar) },
    each("sgn", maths::sgn),
    each("sin", f64::sin),
    each("sinh", f64::sinh),
    whole("sort", &[Vector], vector::sort),
    whole("sort_desc", &[Vector], vector::sort_desc),
    each("sqrt", f64::sqrt),
    windows("stddev_over_time", &[Matrix], over_time::stddev),
    windows("stdvar_over_time", &[Matrix], over_time::stdvar),
    windows("sum_over_time", &[Matrix], over_time::sum),
    each("tan", f64::tan),
    each("tanh", f64::tanh),
    Function { gives: Scalar, ..whole("time", &[], vector::time) },
    Function { name: "timestamp", takes: &[Vector], last: Last::Once, gives: Vector, run: Run::Timestamp },
    whole("vector", &[Scalar], vector::vector),
    moments("year", calendar::year),
];

/// Of windows.
const fn windows(name: &'static str, takes: &'static [Type], of: fn(&Window<'_>) -> Option<f64>) -> Function {
    Function { name, takes, last: Last::Once, gives: Vector, run: Run::Window(of) }
}

/// Of each value.
const fn each(name: &'static str, of: fn(f64) -> f64) -> Function {
    Function { name, takes: &[Vector], last: Last::Once, gives: Vector, run: Run::Each(of) }
}

/// Of each value and scalars.
const fn each_with(
    name: &'static str,
    takes: &'static [Type],
    of: fn(f64, &[f64]) -> Option<f64>,
) -> Function {
    Function { name, takes, last: Last::Once, gives: Vector, run: Run::EachWith(of) }
}

/// Of each value taken as seconds since 1970, or of the step's own time.
const fn moments(name: &'static str, of: fn(f64) -> f64) -> Function {
    Function { last: Last::Optional, ..each(name, of) }
}

/// Of all steps at once.
const fn whole(
    name: &'static str,
    takes: &'static [Type],
    of: for<'b> fn(&mut Call<'_, 'b>) -> Result<Value<'b>, EvalError>,
) -> Function {
    Function { name, takes, last: Last::Once, gives: Vector, run: Run::Whole(of) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One sample every ten seconds, the first at 0.
    pub(super) fn every_ten_seconds(values: &[f64]) -> Vec<Sample> {
        (0..).zip(values).map(|(i, value)| Sample::new(i * 10_000, *value)).collect()
    }

    /// Without scalars, and at its own end.
    pub(super) fn window(samples: &[Sample], from: i64, to: i64) -> Window<'_> {
        Window { samples, from, to, at: to, scalars: &[] }
    }

    #[test]
    fn the_table_is_sorted_so_that_every_row_is_found() {
        assert!(TABLE.is_sorted_by_key(|row| row.name));
        assert!(TABLE.iter().all(|row| find(row.name).is_some_and(|found| std::ptr::eq(found, row))));
        assert!(find("no_such_function").is_none());
    }

    #[test]
    fn every_function_has_answers_of_prometheus_to_be_compared_with() {
        let expressions = include_str!("../../tests/functions/expressions.txt");
        for row in TABLE {
            assert!(
                expressions.contains(&format!("\n{}(", row.name)),
                "no expression begins with {}(",
                row.name
            );
        }
    }
}
