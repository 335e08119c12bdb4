//! Range vectors: a window that moves over the samples of one series at a time.
//!
//! Both ends belong to the window, so that `[1m]` over samples of every minute has two. Stale marks are no samples.

use super::Evaluation;
use crate::error::EvalError;
use crate::expr::{Expr, Selector, Subquery};
use crate::function::Window;
use crate::labels::Labels;
use crate::limits::Budget;
use crate::sample::Sample;
use crate::source::{Reduce, Select, Wanted};
use crate::table::{Steps, Table, is_absent};
use crate::value::Value;

/// The windows of one series before every step.
pub(super) struct Windows<'a> {
    budget: &'a Budget<'a>,
    samples: &'a [Sample],
    steps: Steps,
    /// Where the windows end; of one step only, if `@` makes them all the same.
    ends: Steps,
    range: i64,
}

impl Windows<'_> {
    /// Hands over every window that has samples, with the number of its step. The scalars are for the caller to fill in.
    pub(super) fn each(
        &self,
        visit: &mut dyn FnMut(usize, Window<'_>) -> Result<(), EvalError>,
    ) -> Result<(), EvalError> {
        let (mut first, mut next) = (0, 0);
        for step in 0..self.steps.count {
            let to = self.ends.at(if self.ends.count == 1 { 0 } else { step });
            let from = to.saturating_sub(self.range);
            while self.samples.get(next).is_some_and(|sample| sample.at <= to) {
                next += 1;
            }
            while first < next && self.samples[first].at < from {
                first += 1;
            }
            self.budget.samples(next - first)?;
            if first < next {
                let samples = &self.samples[first..next];
                visit(step, Window { samples, from, to, at: self.steps.at(step), scalars: &[] })?;
            }
        }
        Ok(())
    }
}

/// Takes the windows of one series.
pub(super) type Visit<'v> = dyn FnMut(&Labels, &Windows<'_>) -> Result<(), EvalError> + 'v;

impl<'b> Evaluation<'_, 'b> {
    /// Hands over the windows of each series of a range vector, one series at a time.
    pub(super) fn windows(
        &self,
        expr: &Expr,
        steps: Steps,
        reduce: Reduce,
        visit: &mut Visit<'_>,
    ) -> Result<(), EvalError> {
        match expr {
            Expr::Window { selector, range } => {
                self.windows_of_selector((selector, *range), steps, reduce, visit)
            }
            Expr::Subquery(subquery) => self.windows_of_subquery(subquery, steps, visit),
            _ => Err(EvalError::Argument(format!("expected range vector, got {}", expr.value_type()))),
        }
    }

    fn windows_of_selector(
        &self,
        (selector, range): (&Selector, i64),
        steps: Steps,
        reduce: Reduce,
        visit: &mut Visit<'_>,
    ) -> Result<(), EvalError> {
        let ends = self.moved(selector.when, steps);
        let wanted = Select {
            matchers: &selector.matchers,
            from: ends.first.saturating_sub(range),
            to: ends.last(),
            wanted: Wanted::All,
            step: ends.distance(),
            window: Some(range),
            reduce,
        };
        let mut count = 0;
        let mut living = Vec::new();
        self.visit(&wanted, |labels, samples| {
            count += 1;
            self.budget.series(count)?;
            // Those between the windows take time as well.
            self.budget.samples(samples.len())?;
            let samples = if samples.iter().any(Sample::is_stale) {
                living.clear();
                living.extend(samples.iter().filter(|sample| !sample.is_stale()));
                &living
            } else {
                samples
            };
            visit(labels, &Windows { budget: self.budget, samples, steps, ends, range })
        })
    }

    fn windows_of_subquery(
        &self,
        subquery: &Subquery,
        steps: Steps,
        visit: &mut Visit<'_>,
    ) -> Result<(), EvalError> {
        let ends = self.moved(subquery.when, steps);
        let inner = self.steps_of(subquery, ends)?;
        // What is worth nothing is not evaluated either: it might be an error.
        if inner.count == 0 {
            return Ok(());
        }
        let Value::Vector(table) = self.value(&subquery.of, inner)? else {
            return Err(EvalError::Argument("expected instant vector in subquery".to_owned()));
        };
        // A sample takes as much as two cells.
        let _held = self.budget.held(2 * inner.count)?;
        let mut samples = Vec::new();
        for (labels, row) in table.rows() {
            let there = inner.iter().zip(row).filter(|(_, cell)| !is_absent(**cell));
            samples.clear();
            samples.extend(there.map(|(at, cell)| Sample::new(at, *cell)));
            visit(
                labels,
                &Windows { budget: self.budget, samples: &samples, steps, ends, range: subquery.range },
            )?;
        }
        Ok(())
    }

    /// The steps of a subquery that all its windows need: multiples of its step since 1970.
    fn steps_of(&self, subquery: &Subquery, ends: Steps) -> Result<Steps, EvalError> {
        let every = subquery.step.unwrap_or(self.default_step);
        let from = ends.first.saturating_sub(subquery.range);
        let to = ends.last();
        let mut first = from / every * every;
        if first < from {
            first = first.saturating_add(every);
        }
        let count = if to < first { 0 } else { (to.saturating_sub(first) / every).saturating_add(1) };
        self.budget.steps(count as u64)?;
        Ok(Steps { first, every, count: count as usize })
    }

    /// What a function makes of every window.
    pub(super) fn over_windows(
        &self,
        expr: &Expr,
        steps: Steps,
        scalars: &[Table<'_>],
        (reduce, relabel): (Reduce, fn(&Labels) -> Labels),
        function: impl Fn(&Window<'_>) -> Result<Option<f64>, EvalError>,
    ) -> Result<Table<'b>, EvalError> {
        let mut table = Table::new(steps.count, self.budget);
        let mut at_step = vec![0.0; scalars.len()];
        self.windows(expr, steps, reduce, &mut |labels, windows| {
            let row = table.push(relabel(labels))?;
            windows.each(&mut |step, window| {
                for (value, scalar) in at_step.iter_mut().zip(scalars) {
                    *value = scalar.row(0)[step];
                }
                if let Some(value) = function(&Window { scalars: &at_step, ..window })? {
                    row[step] = value;
                }
                Ok(())
            })
        })?;
        table.unify_strictly()
    }
}
