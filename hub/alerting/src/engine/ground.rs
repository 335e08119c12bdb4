//! What the engine stands on while it evaluates: series to read and to write, a witness, limits and a stopwatch. All of it is handed in.
//!
//! Sample: the unit tests of rules stand on a `Memory`, with the witness [`Everybody`], who always hears all.

use std::time::Duration;

use rackside_promql::{Labels, Limits, Matcher, Memory, Sample, Source};

/// Where rules read, and where what they make goes.
pub trait Store {
    /// The series that rules read, the recorded ones among them.
    fn source(&self) -> &dyn Source;

    /// Takes what one rule has made at `at` (milliseconds since 1970): a sample for each series, or the stale mark of one that has ended. The
    /// next rule sees it. An error makes the rule fail, and nothing of it counts as recorded.
    fn record(&mut self, at: i64, samples: &[(Labels, f64)]) -> Result<(), String>;
}

impl Store for Memory {
    fn source(&self) -> &dyn Source {
        self
    }

    fn record(&mut self, at: i64, samples: &[(Labels, f64)]) -> Result<(), String> {
        for (labels, value) in samples {
            self.push(labels.clone(), [Sample::new(at, *value)]);
        }
        Ok(())
    }
}

/// An alert that is pending or fires, and is not in the result of its rule's expression any more.
pub struct Missing<'a> {
    /// The alert's labels.
    pub labels: &'a Labels,
    /// What its rule reads: the matchers of each selector.
    pub selectors: &'a [Vec<Matcher>],
    /// When the alert was last in the result.
    pub seen_at: i64,
    /// When it was found missing.
    pub now: i64,
}

/// Knows who can be heard.
pub trait Witness {
    /// Whether `missing` is missing only because whoever would tell is silent: its appliance is gone, or has not been heard since the hub began, and
    /// no fresh sample came of what the rule reads. Of alerts that belong to no appliance it is never so.
    fn is_silent(&self, missing: &Missing<'_>) -> bool;
}

/// A witness to whom nobody is ever silent, as with Prometheus.
#[derive(Clone, Copy, Debug, Default)]
pub struct Everybody;

impl Witness for Everybody {
    fn is_silent(&self, _: &Missing<'_>) -> bool {
        false
    }
}

/// All that an evaluation stands on.
pub struct Ground<'a> {
    /// Series.
    pub store: &'a mut dyn Store,
    /// Who can be heard.
    pub witness: &'a dyn Witness,
    /// What one query may cost.
    pub limits: Limits<'a>,
    /// A stopwatch that runs, for how long evaluations take; it begins anywhere.
    pub elapsed: &'a dyn Fn() -> Duration,
}

impl std::fmt::Debug for Ground<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ground").field("limits", &self.limits).finish_non_exhaustive()
    }
}
