//! Works through an expression, each part of it once and for all steps.

use std::cell::RefCell;
use std::sync::Arc;

use crate::answer::Line;
use crate::error::EvalError;
use crate::expr::{At, Expr, When};
use crate::labels::Labels;
use crate::limits::Budget;
use crate::source::{Reduce, Source};
use crate::table::{Steps, Table};
use crate::value::Value;

mod aggregate;
mod binary;
mod call;
mod matching;
mod select;
mod window;

/// How long a series lives on after its last sample, in milliseconds.
pub(crate) const LOOKBACK: i64 = 300_000;

/// One evaluation of one query.
pub(crate) struct Evaluation<'a, 'b> {
    source: &'a dyn Source,
    budget: &'b Budget<'b>,
    /// What `start()` and `end()` mean, in subqueries as well: the ends of the whole query as they were given, wherever its last step is.
    start: i64,
    end: i64,
    default_step: i64,
    /// What sources had to say, each text once.
    warnings: RefCell<Vec<String>>,
}

impl<'a, 'b> Evaluation<'a, 'b> {
    pub(crate) fn new(
        source: &'a dyn Source,
        budget: &'b Budget<'b>,
        (start, end): (i64, i64),
        default_step: i64,
    ) -> Self {
        Self { source, budget, start, end, default_step, warnings: RefCell::default() }
    }

    /// What sources had to say.
    pub(crate) fn into_warnings(self) -> Vec<String> {
        self.warnings.into_inner()
    }

    /// What an expression is worth at each of `steps`. It is of any type but a range vector.
    pub(crate) fn value(&self, expr: &Expr, steps: Steps) -> Result<Value<'b>, EvalError> {
        self.budget.work(1)?;
        if steps.count > 1 && expr.is_fixed() {
            return self.value(expr, Steps { count: 1, ..steps })?.repeated(steps.count);
        }
        match expr {
            Expr::Number(number) => Ok(Value::Scalar(self.constant(*number, steps)?)),
            Expr::String(text) => Ok(Value::String(Arc::clone(text))),
            Expr::Selector(selector) => {
                Ok(Value::Vector(self.select(selector, steps, select::Give::Value)?))
            }
            Expr::Call { function, arguments } => self.call(function, arguments, steps),
            Expr::Negate(of) => self.negate(of, steps),
            Expr::Binary(binary) => self.chain(binary, steps),
            Expr::Aggregate(aggregate) => self.aggregate(aggregate, steps).map(Value::Vector),
            Expr::Window { .. } | Expr::Subquery(_) => {
                Err(EvalError::Argument("unexpected range vector".to_owned()))
            }
        }
    }

    /// The samples of a range vector before `at`.
    pub(crate) fn matrix(&self, expr: &Expr, at: i64) -> Result<Vec<Line>, EvalError> {
        let mut lines: Vec<Line> = Vec::new();
        self.windows(expr, Steps::once(at), Reduce::Samples, &mut |labels, windows| {
            windows.each(&mut |_, window| {
                self.budget.hold(2 * window.samples.len())?;
                lines.push(Line { labels: labels.clone(), samples: window.samples.to_vec() });
                Ok(())
            })
        })?;
        lines.sort_by(|one, other| one.labels.cmp(&other.labels));
        Ok(lines)
    }

    fn constant(&self, number: f64, steps: Steps) -> Result<Table<'b>, EvalError> {
        let mut table = Table::new(steps.count, self.budget);
        table.push(Labels::empty())?.fill(number);
        Ok(table)
    }

    fn negate(&self, of: &Expr, steps: Steps) -> Result<Value<'b>, EvalError> {
        Ok(match self.value(of, steps)? {
            Value::Scalar(mut table) => {
                table.map(|_, value| Some(-value))?;
                Value::Scalar(table)
            }
            Value::Vector(mut table) => {
                table.map(|_, value| Some(-value))?;
                table.relabel(Labels::without_name);
                Value::Vector(table.unify_strictly()?)
            }
            text @ Value::String(_) => text,
        })
    }

    /// The fixed moment of `@`, if there is one.
    fn pinned(&self, when: When) -> Option<i64> {
        when.at.map(|at| match at {
            At::Moment(moment) => moment,
            At::Start => self.start,
            At::End => self.end,
        })
    }

    /// The steps as `offset` and `@` move them. With `@` all steps see the same moment, so there is one.
    fn moved(&self, when: When, steps: Steps) -> Steps {
        match self.pinned(when) {
            Some(moment) => Steps::once(moment.saturating_sub(when.offset)),
            None => Steps { first: steps.first.saturating_sub(when.offset), ..steps },
        }
    }
}
