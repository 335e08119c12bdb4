//! Why a query has no answer. Texts are Prometheus's where it has one, so that what people find on the web fits.
//!
//! Sample: `found duplicate series for the match group {site="hall-1"} on the right hand-side of the operation: …`.

use std::fmt;

use crate::labels::Labels;
use crate::limits::Stop;
use crate::source::SourceError;

/// How the HTTP API names an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorType {
    /// The expression or its times are wrong.
    BadData,
    /// The expression is right and cannot be evaluated over these series.
    Execution,
    /// It took too long.
    Timeout,
    /// Nobody waits for it.
    Canceled,
    /// The source failed.
    Internal,
}

impl ErrorType {
    /// Prometheus's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadData => "bad_data",
            Self::Execution => "execution",
            Self::Timeout => "timeout",
            Self::Canceled => "canceled",
            Self::Internal => "internal",
        }
    }
}

/// Why a text is no query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// The text is longer or deeper than any query has to be.
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much there may be.
        limit: usize,
    },
    /// The text is no PromQL. Lines and columns count from 1, columns in characters.
    Syntax {
        /// Where, if that is known.
        place: Option<(usize, usize)>,
        /// What is wrong.
        problem: String,
    },
    /// The text is PromQL and makes no sense, or is of a later Prometheus.
    Meaning(String),
    /// The text is PromQL and not what was asked for: a selector such as `up{job="rack"}`.
    NoSelector,
    /// A selector that would find every series.
    FindsAll,
}

impl ParseError {
    /// How the HTTP API names this error.
    pub fn error_type(&self) -> ErrorType {
        ErrorType::BadData
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { what, limit } => {
                write!(f, "query has too many {what}: at most {limit} are taken")
            }
            Self::Syntax { place: Some((line, column)), problem } => {
                write!(f, "{line}:{column}: parse error: {problem}")
            }
            Self::Syntax { place: None, problem } | Self::Meaning(problem) => {
                write!(f, "parse error: {problem}")
            }
            Self::NoSelector => {
                f.write_str("parse error: expected a series selector such as up{job=\"rack\"}, without offset, @ and brackets")
            }
            Self::FindsAll => f.write_str("match[] must contain at least one non-empty matcher"),
        }
    }
}

impl std::error::Error for ParseError {}

/// Why a query could not be evaluated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EvalError {
    /// The range or step of a range query makes no sense.
    Times(&'static str),
    /// A range query has more steps than it may have.
    Resolution {
        /// How many steps it may have.
        limit: usize,
    },
    /// A range query needs an instant vector or a scalar.
    RangeOfType(&'static str),
    /// A limit was met.
    TooMuch {
        /// What there is too much of.
        what: &'static str,
        /// How much there may be.
        limit: u64,
    },
    /// The query was ended from outside.
    Stopped(Stop),
    /// The source met a limit of its own; what and which.
    SourceTooMuch(String),
    /// The source failed; what and on what.
    Source(String),
    /// Two series of a result have the same labels.
    SameLabels,
    /// Of the side that must have one series for each match group, one group has two.
    DuplicateSeries {
        /// The labels that both sides were matched by.
        group: Labels,
        /// `left` or `right`.
        side: &'static str,
        /// One of the two.
        one: Labels,
        /// The other one.
        other: Labels,
    },
    /// The other side has two as well, and no `group_left` or `group_right` says that it may.
    ManyToMany,
    /// With `group_left` or `group_right`, two results have the same labels.
    GroupingNotUnique,
    /// A function or an aggregation cannot work with the value of one of its parameters.
    Argument(String),
}

impl EvalError {
    /// How the HTTP API names this error.
    pub fn error_type(&self) -> ErrorType {
        match self {
            Self::Times(_) | Self::Resolution { .. } | Self::RangeOfType(_) => ErrorType::BadData,
            Self::Stopped(Stop::Timeout) => ErrorType::Timeout,
            Self::Stopped(Stop::Canceled) => ErrorType::Canceled,
            Self::Source(_) => ErrorType::Internal,
            _ => ErrorType::Execution,
        }
    }
}

impl From<SourceError> for EvalError {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Stopped(stop) => Self::Stopped(stop),
            SourceError::TooMuch(problem) => Self::SourceTooMuch(problem),
            SourceError::Failed(problem) => Self::Source(problem),
        }
    }
}

impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Times(problem) => f.write_str(problem),
            Self::Resolution { limit } => {
                write!(
                    f,
                    "exceeded maximum resolution of {limit} points per timeseries. Try decreasing the query resolution (?step=XX)"
                )
            }
            Self::RangeOfType(found) => {
                write!(
                    f,
                    "invalid expression type \"{found}\" for range query, must be Scalar or instant Vector"
                )
            }
            Self::TooMuch { what, limit } => {
                write!(
                    f,
                    "query processing would take too many {what}: at most {limit} are allowed; ask for less time or fewer series"
                )
            }
            Self::Stopped(stop) => fmt::Display::fmt(stop, f),
            Self::SourceTooMuch(problem) | Self::Source(problem) => write!(f, "expanding series: {problem}"),
            Self::SameLabels => f.write_str("vector cannot contain metrics with the same labelset"),
            Self::DuplicateSeries { group, side, one, other } => write!(
                f,
                "found duplicate series for the match group {group} on the {side} hand-side of the operation: [{}, {}]\
                 ;many-to-many matching not allowed: matching labels must be unique on one side",
                Braced(other),
                Braced(one)
            ),
            Self::ManyToMany => f.write_str(
                "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)",
            ),
            Self::GroupingNotUnique => {
                f.write_str("multiple matches for labels: grouping labels must ensure unique matches")
            }
            Self::Argument(problem) => f.write_str(problem),
        }
    }
}

impl std::error::Error for EvalError {}

/// Labels with the metric's name among them: `{__name__="up", site="hall"}`.
struct Braced<'a>(&'a Labels);

impl fmt::Display for Braced<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (at, label) in self.0.iter().enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            write!(f, "{comma}{label:?}")?;
        }
        f.write_str("}")
    }
}
