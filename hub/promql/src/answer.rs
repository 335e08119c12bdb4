//! What a query has come to: owned, sendable, for whoever prints it.
//!
//! Sample: `Answer::Vector([Point { labels: {site="hall"}, sample: (12:00, 1.0) }])`.

use crate::labels::Labels;
use crate::sample::Sample;

/// The result of a query, and what is to be said about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The result.
    pub answer: Answer,
    /// What the source had to say, each text once, in the order in which it came up.
    pub warnings: Vec<String>,
}

/// The result of a query.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// A number at a moment.
    Scalar(Sample),
    /// A text.
    String {
        /// When it was asked for, in milliseconds since 1970.
        at: i64,
        /// The text.
        text: String,
    },
    /// A value for each series; in the order of `sort` and `topk`, if the query has one.
    Vector(Vec<Point>),
    /// Values in time for each series, sorted by labels in the answer to a range query.
    Matrix(Vec<Line>),
}

/// One series at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Its labels.
    pub labels: Labels,
    /// Its value; the time is that of the query.
    pub sample: Sample,
}

/// One series over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Its labels.
    pub labels: Labels,
    /// Its values, in order of time; at least one.
    pub samples: Vec<Sample>,
}
