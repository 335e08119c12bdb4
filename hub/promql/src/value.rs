//! What a part of an expression can be worth, while it is evaluated. Not the answer to a query: `answer.rs`.
//!
//! A range vector is no value: it exists only as the window that moves over one series at a time while a function looks at it.

use std::fmt;
use std::sync::Arc;

use crate::error::EvalError;
use crate::table::Table;

/// The types of PromQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// A number.
    Scalar,
    /// A text.
    String,
    /// A value for each series.
    Vector,
    /// A window of samples for each series.
    Matrix,
}

impl Type {
    /// Prometheus's word for it in texts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::String => "string",
            Self::Vector => "instant vector",
            Self::Matrix => "range vector",
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a part of an expression is worth at every step.
pub(crate) enum Value<'b> {
    /// A number for each step: one row without labels, and with a value in every cell.
    Scalar(Table<'b>),
    /// The same text at every step.
    String(Arc<str>),
    /// Series.
    Vector(Table<'b>),
}

impl Value<'_> {
    /// The same at `steps` steps as it is at its only one.
    pub(crate) fn repeated(self, steps: usize) -> Result<Self, EvalError> {
        Ok(match self {
            Self::Scalar(table) => Self::Scalar(table.repeated(steps)?),
            Self::Vector(table) => Self::Vector(table.repeated(steps)?),
            text @ Self::String(_) => text,
        })
    }
}
