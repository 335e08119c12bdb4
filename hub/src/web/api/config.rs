//! `[query]` of `hub.toml`: what queries may cost.
//!
//! ```toml
//! [query]
//! concurrency = 2
//! timeout = "30s"
//! series = 500000
//! samples = 1000000000
//! memory = "128 MiB"
//! ```
//!
//! Invariant of one in a whole configuration: nothing is 0, and there are threads for as many.

use rackside_config::{Size, Span};
use rackside_promql::Limits;
use serde::Deserialize;

/// `[query]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueryConfig {
    /// Queries that are worked on at once; others wait.
    pub concurrency: usize,
    /// A query ends after this, the time that it waited included. It may ask for less.
    pub timeout: Span,
    /// Series that one selector may find.
    pub series: usize,
    /// Samples that one query may look at, each as often as it does.
    pub samples: u64,
    /// What the values that one query holds may take, its answer among them.
    pub memory: Size,
}

impl Default for QueryConfig {
    fn default() -> Self {
        Self {
            concurrency: 2,
            timeout: Span::seconds(30),
            series: 500_000,
            samples: 1_000_000_000,
            memory: Size::mebibytes(128),
        }
    }
}

/// Queries at once that threads can be had for.
const MOST: usize = 256;
/// A value in memory.
const CELL: u64 = 8;

impl QueryConfig {
    /// The first key that cannot be, and why.
    pub(crate) fn check(&self) -> Result<(), (&'static str, String)> {
        let numbers = [
            ("query.concurrency", self.concurrency as u64, "1 is the least"),
            ("query.series", self.series as u64, "1 is the least"),
            ("query.samples", self.samples, "1 is the least"),
            ("query.memory", self.memory.bytes() >> 20, "\"1 MiB\" is the least"),
            ("query.timeout", self.timeout.get().as_millis() as u64, "write for example \"30s\""),
        ];
        if self.concurrency > MOST {
            let why =
                format!("{} are more than any machine has use for; {MOST} is the most", self.concurrency);
            return Err(("query.concurrency", why));
        }
        match numbers.into_iter().find(|(_, number, _)| *number == 0) {
            Some((key, _, least)) => Err((key, format!("no query could be answered; {least}"))),
            None => Ok(()),
        }
    }

    /// As the evaluator knows them, for a query that nothing stops.
    pub fn limits(&self) -> Limits<'static> {
        let cells = self.memory.bytes() / CELL;
        Limits { series: self.series, samples: self.samples, cells, ..Limits::default() }
    }
}
