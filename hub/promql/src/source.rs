//! Where series come from: the one thing that an evaluation asks of the outside. Not a store: the hub's is elsewhere, the one
//! in `memory.rs` is for tests and for rules' unit tests.
//!
//! A selector of a query asks once, for all the time that all its steps need. The source hands over one series at a time, by
//! reference, and may use the same buffer for the next: the evaluation keeps what it makes of a series and never the series. So a
//! day of a thousand series costs the memory of one of them, and an instant query over the newest values costs no copy at all.
//!
//! Sample: `up{job="rack"}[5m]` at noon asks for `Select { matchers: [__name__="up", job="rack"], from: 11:55, to: 12:00,
//! wanted: Wanted::All }`.

use std::ops::ControlFlow;

use crate::labels::Labels;
use crate::matcher::Matcher;
use crate::sample::Sample;

/// What a selector wants to see.
#[derive(Clone, Copy, Debug)]
pub struct Select<'a> {
    /// All of them hold for the labels of each series that is handed over.
    pub matchers: &'a [Matcher],
    /// The first millisecond of interest.
    pub from: i64,
    /// The last millisecond of interest.
    pub to: i64,
    /// Which samples from `from` to `to` are of interest.
    pub wanted: Wanted,
}

/// Which samples of its window a selector will look at. A source may always hand over all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The last one only, stale mark or not.
    Newest,
    /// Every one.
    All,
}

impl Select<'_> {
    /// Whether all matchers hold for `labels`.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.matchers.iter().all(|matcher| matcher.matches(labels))
    }
}

/// Takes one series: its labels, and its samples in order of time, each later than the one before. After `Break` no more is wanted.
pub type Visit<'a> = dyn FnMut(&Labels, &[Sample]) -> ControlFlow<()> + 'a;

/// Series to evaluate a query over.
pub trait Source {
    /// Hands every series that matches to `visit`, in an order that is the same each time, each label set once. Samples outside of the window
    /// do no harm. A series without samples in it need not be handed over. Ends early, without an error, when `visit` says so.
    fn select(&self, wanted: &Select<'_>, visit: &mut Visit<'_>) -> Result<(), SourceError>;
}

/// A source could not read what was asked of it; the text says what failed and on what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceError(pub String);

impl std::fmt::Display for SourceError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SourceError {}
