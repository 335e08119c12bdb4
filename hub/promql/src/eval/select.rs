//! Instant vectors of selectors: for each series and step the newest sample, no older than five minutes.

use std::ops::ControlFlow;

use super::{Evaluation, LOOKBACK};
use crate::error::EvalError;
use crate::expr::Selector;
use crate::labels::Labels;
use crate::limits::Stop;
use crate::sample::Sample;
use crate::source::{Reduce, Select, Take, Wanted};
use crate::table::{ABSENT, Steps, Table, is_absent};

/// How many different warnings one query has. More than that say nothing more.
const WARNINGS: usize = 32;

/// What of a sample is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Give {
    Value,
    /// Its time in seconds.
    Time,
}

impl<'b> Evaluation<'_, 'b> {
    pub(super) fn select(
        &self,
        selector: &Selector,
        steps: Steps,
        give: Give,
    ) -> Result<Table<'b>, EvalError> {
        let moved = self.moved(selector.when, steps);
        let mut table = Table::new(steps.count, self.budget);
        let wanted = Select {
            matchers: &selector.matchers,
            from: moved.first.saturating_sub(LOOKBACK),
            to: moved.last(),
            wanted: if moved.count == 1 { Wanted::Newest } else { Wanted::All },
            step: moved.distance(),
            window: None,
            reduce: if give == Give::Value { Reduce::Last } else { Reduce::Samples },
        };
        let mut count = 0;
        self.visit(&wanted, |labels, samples| {
            count += 1;
            self.budget.series(count)?;
            self.budget.samples(if wanted.wanted == Wanted::Newest { 1 } else { samples.len() })?;
            let row = table.push(labels.clone())?;
            newest_at_steps(samples, moved, give, row);
            if row.iter().all(|cell| is_absent(*cell)) {
                table.pop();
            }
            Ok(())
        })?;
        Ok(table)
    }

    /// Asks the source, and ends the asking at the first error.
    pub(super) fn visit(
        &self,
        wanted: &Select<'_>,
        each: impl FnMut(&Labels, &[Sample]) -> Result<(), EvalError>,
    ) -> Result<(), EvalError> {
        let mut taking = Taking { each, failed: None, evaluation: self };
        self.source.select(wanted, &mut taking)?;
        taking.failed.map_or(Ok(()), Err)
    }
}

/// Takes from the source, up to the first error.
struct Taking<'t, 'a, 'b, F> {
    each: F,
    failed: Option<EvalError>,
    evaluation: &'t Evaluation<'a, 'b>,
}

impl<F: FnMut(&Labels, &[Sample]) -> Result<(), EvalError>> Take for Taking<'_, '_, '_, F> {
    fn series(&mut self, labels: &Labels, samples: &[Sample]) -> ControlFlow<()> {
        match (self.each)(labels, samples) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.failed = Some(error);
                ControlFlow::Break(())
            }
        }
    }

    fn stopped(&self) -> Option<Stop> {
        self.evaluation.budget.stopped()
    }

    fn room(&self) -> usize {
        self.evaluation.budget.room()
    }

    fn warn(&mut self, text: &str) {
        let mut warnings = self.evaluation.warnings.borrow_mut();
        if warnings.len() < WARNINGS && !warnings.iter().any(|known| known == text) {
            warnings.push(text.to_owned());
        }
    }
}

/// Walks once over the samples and once over the steps.
fn newest_at_steps(samples: &[Sample], steps: Steps, give: Give, row: &mut [f64]) {
    let mut next = 0;
    for (at, cell) in steps.iter().zip(row) {
        while samples.get(next).is_some_and(|sample| sample.at <= at) {
            next += 1;
        }
        let newest = next.checked_sub(1).map(|newest| samples[newest]);
        *cell = match newest.filter(|sample| sample.at >= at.saturating_sub(LOOKBACK) && !sample.is_stale()) {
            None => ABSENT,
            Some(sample) if give == Give::Value => sample.value,
            Some(sample) => sample.at as f64 / 1000.0,
        };
    }
}
