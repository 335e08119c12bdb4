//! Where series come from: the one thing that an evaluation asks of the outside. Not a store: the hub's is elsewhere, the one
//! in `memory.rs` is for tests and for rules' unit tests.
//!
//! A selector of a query asks once, for all the time that all its steps need. The source hands over one series at a time, by
//! reference, and may use the same buffer for the next: the evaluation keeps what it makes of a series and never the series. So a
//! day of a thousand series costs the memory of one of them, and an instant query over the newest values costs no copy at all.
//!
//! While it hands over a series, a source holds no lock that whoever asked could need: what is made of a series takes its time.
//!
//! Sample: `rate(up{job="rack"}[5m])` at noon asks for `Select { matchers: [__name__="up", job="rack"], from: 11:55, to: 12:00,
//! wanted: Wanted::All, step: None, window: Some(300_000), reduce: Reduce::Counter }`.

use std::fmt;
use std::ops::ControlFlow;

use crate::labels::Labels;
use crate::limits::Stop;
use crate::matcher::Matcher;
use crate::sample::Sample;

/// What a selector wants to see. All times are in milliseconds.
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
    /// From one step of the evaluation to the next; `None`, if it has one step only. In a subquery the steps are the subquery's.
    pub step: Option<i64>,
    /// How long the window of a range vector is; `None` for an instant vector, which looks back for five minutes.
    pub window: Option<i64>,
    /// What the evaluation makes of the samples that it finds in the time before each step.
    pub reduce: Reduce,
}

/// Which samples of its window a selector will look at. A source may always hand over all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The last one only, stale mark or not.
    Newest,
    /// Every one.
    All,
}

/// What a window's samples come to in the end: for a source that no longer has them all, and has to choose what to hand over instead.
/// Whatever that is, the function is applied to it as if it were samples. So what stands for a stretch of time is the largest value in it for
/// `Max`, its sum for `Sum`, its last value for `Last` and `Counter`; for `Count` and `Samples` nothing can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduce {
    /// The newest value: an instant vector, `last_over_time`.
    Last,
    /// `min_over_time`
    Min,
    /// `max_over_time`
    Max,
    /// `avg_over_time`
    Mean,
    /// `sum_over_time`
    Sum,
    /// `count_over_time`: how many there are, whatever they are.
    Count,
    /// `rate`, `increase`: how much a counter has grown, over its resets.
    Counter,
    /// Anything else: what a single sample is, and when it was, goes into the result.
    Samples,
}

impl Select<'_> {
    /// Whether all matchers hold for `labels`.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.matchers.iter().all(|matcher| matcher.matches(labels))
    }
}

/// Takes what a source hands over. A closure that takes series is one that is never stopped, and deaf to warnings.
pub trait Take {
    /// Takes one series: its labels, and its samples in order of time, each later than the one before. After `Break` no more is wanted.
    fn series(&mut self, labels: &Labels, samples: &[Sample]) -> ControlFlow<()>;

    /// Why the query is to end, if it is. A source asks at least once for some ten milliseconds of work between two series, and gives up
    /// with [`SourceError::Stopped`].
    fn stopped(&self) -> Option<Stop>;

    /// How many samples of one series there is room for. A source that knows of more before it has read them gives up with
    /// [`SourceError::TooMuch`].
    fn room(&self) -> usize {
        usize::MAX
    }

    /// Something that whoever reads the answer should know, such as that old samples are means of five minutes. However often it is said in a
    /// query, the same text is told once.
    fn warn(&mut self, text: &str);
}

impl<F: FnMut(&Labels, &[Sample]) -> ControlFlow<()>> Take for F {
    fn series(&mut self, labels: &Labels, samples: &[Sample]) -> ControlFlow<()> {
        self(labels, samples)
    }

    fn stopped(&self) -> Option<Stop> {
        None
    }

    fn warn(&mut self, _: &str) {}
}

/// Series to evaluate a query over.
pub trait Source {
    /// Hands every series that matches to `take`, in an order that is the same each time, each label set once. Samples outside of the window
    /// do no harm. A series without samples in it need not be handed over. Ends early, without an error, when `take` says so.
    fn select(&self, wanted: &Select<'_>, take: &mut dyn Take) -> Result<(), SourceError>;
}

/// Why a source has not handed over all that was asked of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceError {
    /// It was told to stop, and has.
    Stopped(Stop),
    /// It would have to read more than it may for one query; the text says of what, and how much that is.
    TooMuch(String),
    /// It could not read; the text says what failed and on what.
    Failed(String),
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped(stop) => fmt::Display::fmt(stop, f),
            Self::TooMuch(text) | Self::Failed(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for SourceError {}
