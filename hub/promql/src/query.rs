//! A query: parsed once, evaluated as often as one likes.

use std::fmt;
use std::sync::Arc;

use crate::answer::{Answer, Line, Outcome, Point};
use crate::error::{EvalError, ParseError};
use crate::eval::Evaluation;
use crate::expr::Expr;
use crate::limits::{Budget, Limits};
use crate::matcher::Matcher;
use crate::sample::Sample;
use crate::source::Source;
use crate::table::{Steps, Table, is_absent};
use crate::value::{Type, Value};

/// How far a subquery without a step of its own moves on, unless [`Query::with_default_step`] says otherwise: a minute, in milliseconds.
const DEFAULT_STEP: i64 = 60_000;

/// A parsed query.
#[derive(Clone)]
pub struct Query {
    expr: Arc<Expr>,
    printed: Arc<str>,
    default_step: i64,
}

impl Query {
    /// Reads PromQL.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let parsed = crate::parse::parse(text)?;
        Ok(Self { expr: Arc::new(parsed.expr), printed: parsed.printed.into(), default_step: DEFAULT_STEP })
    }

    /// The step of subqueries that name none, in milliseconds; Prometheus takes its evaluation interval.
    #[must_use]
    pub fn with_default_step(mut self, milliseconds: i64) -> Self {
        self.default_step = milliseconds.max(1);
        self
    }

    /// What an instant query of this gives; a range query gives a matrix, and is only possible for vectors and scalars.
    pub fn value_type(&self) -> Type {
        self.expr.value_type()
    }

    /// What the query is worth at one moment, in milliseconds since 1970.
    pub fn instant(&self, source: &dyn Source, at: i64, limits: &Limits<'_>) -> Result<Outcome, EvalError> {
        let budget = Budget::new(limits);
        let steps = Steps::once(at);
        let evaluation = Evaluation::new(source, &budget, (at, at), self.default_step);
        let answer = if self.expr.value_type() == Type::Matrix {
            Answer::Matrix(evaluation.matrix(&self.expr, at)?)
        } else {
            match evaluation.value(&self.expr, steps)? {
                Value::Scalar(number) => Answer::Scalar(Sample::new(at, number.row(0)[0])),
                Value::String(text) => Answer::String { at, text: text.to_string() },
                Value::Vector(table) => Answer::Vector(points(&table, at)),
            }
        };
        Ok(Outcome { answer, warnings: evaluation.into_warnings() })
    }

    /// What the query is worth at every step from `start` to `end`, both included; all in milliseconds.
    pub fn range(
        &self,
        source: &dyn Source,
        start: i64,
        end: i64,
        step: i64,
        limits: &Limits<'_>,
    ) -> Result<Outcome, EvalError> {
        if !matches!(self.value_type(), Type::Scalar | Type::Vector) {
            return Err(EvalError::RangeOfType(self.value_type().as_str()));
        }
        if step <= 0 {
            return Err(EvalError::Times(
                "zero or negative query resolution step widths are not accepted. Try a positive integer",
            ));
        }
        if end < start {
            return Err(EvalError::Times("end timestamp must not be before start time"));
        }
        let count = end.saturating_sub(start) / step;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if count > limits.points {
            return Err(EvalError::Resolution { limit: limits.points });
        }
        let steps = Steps { first: start, every: step, count: count.saturating_add(1) };
        let budget = Budget::new(limits);
        // Some of what is kept for each step is not charged: it must not be more than a row.
        drop(budget.held(steps.count)?);
        let evaluation = Evaluation::new(source, &budget, (start, end), self.default_step);
        let answer = Answer::Matrix(match evaluation.value(&self.expr, steps)? {
            Value::Scalar(table) | Value::Vector(table) => {
                // A sample of the answer takes as much as two cells.
                budget.hold(2 * table.len() * table.steps())?;
                lines(&table, steps)
            }
            Value::String(_) => Vec::new(),
        });
        Ok(Outcome { answer, warnings: evaluation.into_warnings() })
    }

    /// What each of its selectors asks for, in the order in which they are written.
    pub fn selectors(&self) -> impl Iterator<Item = &[Matcher]> {
        self.expr.selectors().map(|found| found.selector.matchers.as_slice())
    }

    /// How far into the past an evaluation at one moment looks, in milliseconds: windows, subqueries, offsets and the five minutes for which a
    /// series lives on. `None` if a moment is written in it (`x @ 1795100200`): it looks there, whenever it is asked.
    pub fn reach(&self) -> Option<i64> {
        self.expr.selectors().map(|found| found.past).try_fold(0, |most, past| Some(past?.max(most)))
    }
}

/// Reads what stands for series by itself, such as the parameter `match[]` of the HTTP API: a name, matchers or both.
pub fn parse_selector(text: &str) -> Result<Vec<Matcher>, ParseError> {
    crate::parse::parse_selector(text)
}

/// The query spread over lines as Prometheus does it for `/api/v1/format_query`: what is longer than 100 bytes is broken, with two spaces for each
/// level. The longest of chains take some megabytes.
pub fn format_query(text: &str) -> Result<String, ParseError> {
    crate::parse::format(text)
}

/// On one line, as Prometheus prints it: `sum by (site) (rate(x[1m30s])) > 1000`.
impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.printed)
    }
}

/// Without its parts, which may be many.
impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Query").field("type", &self.value_type()).finish_non_exhaustive()
    }
}

fn points(table: &Table<'_>, at: i64) -> Vec<Point> {
    table
        .at(0)
        .map(|(row, value)| Point { labels: table.labels(row).clone(), sample: Sample::new(at, value) })
        .collect()
}

fn lines(table: &Table<'_>, steps: Steps) -> Vec<Line> {
    let mut lines: Vec<Line> = table
        .rows()
        .map(|(labels, row)| Line {
            labels: labels.clone(),
            samples: steps
                .iter()
                .zip(row)
                .filter(|(_, cell)| !is_absent(**cell))
                .map(|(at, cell)| Sample::new(at, *cell))
                .collect(),
        })
        .filter(|line| !line.samples.is_empty())
        .collect();
    lines.sort_by(|one, other| one.labels.cmp(&other.labels));
    lines
}
