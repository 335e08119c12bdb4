//! What one query may cost, and how it is stopped from outside. Not a clock: who has a deadline hands in a closure that looks at one.
//!
//! Everything that an evaluation keeps is charged before it is allocated, and given back when it is dropped. Samples that only pass by
//! are counted too, since they are time. So no expression takes memory without bound; but the limit is not one of bytes: a set of labels counts
//! the same however many there are (their texts are the source's, those that a query writes are charged), and a number for each step or
//! series may be kept beside. Work without samples, such as that of operators, and regular expressions that are compiled on the way have no
//! limit but `stop`.
//!
//! Sample: `Limits { series: 100_000, samples: 2_000_000_000, cells: 50_000_000, points: 11_000, .. }`.

use std::cell::Cell;
use std::fmt;

use crate::error::EvalError;

/// The bounds of one evaluation.
#[derive(Clone, Copy)]
pub struct Limits<'a> {
    /// Series that one selector may find.
    pub series: usize,
    /// Samples that all selectors together may read, and subqueries hand on; each is counted when it is read, and again for each window it
    /// is in.
    pub samples: u64,
    /// Values held at the same time, in the answer and on the way to it: 8 bytes each, so that 50 million are 400 MB. The labels of a
    /// series count as 16.
    pub cells: u64,
    /// Steps that a range query may have after its first; `usize::MAX` for no limit. Prometheus has 11,000.
    pub points: usize,
    /// Asked now and then; what it returns ends the query.
    pub stop: Option<&'a dyn Fn() -> Option<Stop>>,
}

/// Why a query was ended from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It took longer than it may.
    Timeout,
    /// Nobody waits for it any longer.
    Canceled,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timeout => "query timed out in expression evaluation",
            Self::Canceled => "query was canceled in expression evaluation",
        })
    }
}

/// Room enough for a day of a thousand series with a sample every 10 s, looked at by the minute with a window of an hour before each.
impl Default for Limits<'_> {
    fn default() -> Self {
        Self { series: 1_000_000, samples: 2_000_000_000, cells: 50_000_000, points: 11_000, stop: None }
    }
}

impl fmt::Debug for Limits<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limits")
            .field("series", &self.series)
            .field("samples", &self.samples)
            .field("cells", &self.cells)
            .field("points", &self.points)
            .finish_non_exhaustive()
    }
}

/// How often `stop` is asked: once for this much work, which is mostly below a millisecond. A unit of it may be longer: a text that a
/// regular expression is matched with, a row that is sorted.
const WORK_BETWEEN_LOOKS: u64 = 16_384;

/// What an entry of a map of series is charged as, in values: a part of a set of labels, its number, and what hash maps leave free.
const LOOKUP: usize = 8;

/// What is left of the limits while a query runs.
pub(crate) struct Budget<'a> {
    limits: &'a Limits<'a>,
    samples: Cell<u64>,
    cells: Cell<u64>,
    work: Cell<u64>,
}

impl<'a> Budget<'a> {
    pub(crate) fn new(limits: &'a Limits<'a>) -> Self {
        Self { limits, samples: Cell::new(0), cells: Cell::new(0), work: Cell::new(WORK_BETWEEN_LOOKS) }
    }

    /// A selector has found its `count`th series.
    pub(crate) fn series(&self, count: usize) -> Result<(), EvalError> {
        if count > self.limits.series {
            return Err(EvalError::TooMuch {
                what: "series in one selector",
                limit: self.limits.series as u64,
            });
        }
        self.work(1)
    }

    /// `count` samples are looked at.
    pub(crate) fn samples(&self, count: usize) -> Result<(), EvalError> {
        let samples = self.samples.get().saturating_add(count as u64);
        self.samples.set(samples);
        if samples > self.limits.samples {
            return Err(EvalError::TooMuch { what: "samples", limit: self.limits.samples });
        }
        self.work(count as u64)
    }

    /// A subquery is about to have `count` steps, each of which is a value for each of its series.
    pub(crate) fn steps(&self, count: u64) -> Result<(), EvalError> {
        if count > self.limits.cells {
            return Err(EvalError::TooMuch { what: "steps in a subquery", limit: self.limits.cells });
        }
        Ok(())
    }

    /// `count` values are about to be kept. They are given back by [`Budget::release`].
    pub(crate) fn hold(&self, count: usize) -> Result<(), EvalError> {
        let cells = self.cells.get().saturating_add(count as u64);
        if cells > self.limits.cells {
            return Err(EvalError::TooMuch { what: "values in memory", limit: self.limits.cells });
        }
        self.cells.set(cells);
        self.work(count as u64)
    }

    /// How many samples of one series a source may hand over. Each takes as much as two values, and as much again where stale marks are taken out.
    pub(crate) fn room(&self) -> usize {
        let cells = self.limits.cells.saturating_sub(self.cells.get());
        let samples = self.limits.samples.saturating_sub(self.samples.get());
        usize::try_from(samples.min(cells / 4)).unwrap_or(usize::MAX)
    }

    /// A map with an entry for each of so many series is about to be made; until what is returned is dropped.
    pub(crate) fn lookup(&self, series: usize) -> Result<Held<'_>, EvalError> {
        self.held(series.saturating_mul(LOOKUP))
    }

    /// Something takes about as long as a look may be apart.
    pub(crate) fn long_work(&self) -> Result<(), EvalError> {
        self.work(WORK_BETWEEN_LOOKS)
    }

    /// As [`Budget::hold`], until what is returned is dropped.
    pub(crate) fn held(&self, count: usize) -> Result<Held<'_>, EvalError> {
        self.hold(count)?;
        Ok(Held { budget: self, count })
    }

    /// `count` values that were held are gone.
    pub(crate) fn release(&self, count: usize) {
        self.cells.set(self.cells.get().saturating_sub(count as u64));
    }

    /// This much has been done (a unit is about one value computed); perhaps somebody wants the query to end.
    pub(crate) fn work(&self, units: u64) -> Result<(), EvalError> {
        let work = self.work.get().saturating_add(units);
        if work < WORK_BETWEEN_LOOKS {
            self.work.set(work);
            return Ok(());
        }
        self.work.set(0);
        self.stopped().map_or(Ok(()), |stop| Err(EvalError::Stopped(stop)))
    }

    /// Asks now whether somebody wants the query to end.
    pub(crate) fn stopped(&self) -> Option<Stop> {
        self.limits.stop.and_then(|stop| stop())
    }
}

/// Room for intermediate values, charged while this lives.
pub(crate) struct Held<'b> {
    budget: &'b Budget<'b>,
    count: usize,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.budget.release(self.count);
    }
}
