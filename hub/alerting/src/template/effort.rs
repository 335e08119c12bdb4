//! What an expansion may cost, and what it has cost. No template that somebody writes comes near; one that does has an error, and the hub goes on.
//!
//! Sample: a range in a range over a thousand series is out of steps.

use super::value::Value;
use super::{Context, MOST_BYTES, MOST_QUERIES, MOST_STEPS, MOST_TEXT};
use std::sync::Arc;

/// A pattern costs as much as so many steps: compiling one takes up to milliseconds.
const PATTERN_STEPS: usize = 500;

/// The account of an expansion.
pub(super) struct Effort<'c> {
    context: &'c Context<'c>,
    steps: usize,
    bytes: usize,
    queries: usize,
}

impl<'c> Effort<'c> {
    pub(super) fn new(context: &'c Context<'c>) -> Self {
        Self { context, steps: MOST_STEPS, bytes: MOST_BYTES, queries: MOST_QUERIES }
    }

    pub(super) fn context(&self) -> &'c Context<'c> {
        self.context
    }

    /// Takes steps off the account.
    pub(super) fn spend(&mut self, steps: usize) -> Result<(), String> {
        self.steps = self.steps.checked_sub(steps).ok_or_else(|| format!("more than {MOST_STEPS} steps"))?;
        Ok(())
    }

    /// Whether a text may become so long.
    pub(super) fn room_for(&self, bytes: usize) -> Result<(), String> {
        if bytes <= self.room() { Ok(()) } else { Err(too_long()) }
    }

    /// How long the next text may become.
    pub(super) fn room(&self) -> usize {
        self.bytes.min(MOST_TEXT)
    }

    /// A text that a function made.
    pub(super) fn made(&mut self, text: String) -> Result<Value, String> {
        self.room_for(text.len())?;
        self.bytes -= text.len();
        Ok(Value::text(text))
    }

    pub(super) fn query(&mut self, text: &str) -> Result<Value, String> {
        self.queries =
            self.queries.checked_sub(1).ok_or_else(|| format!("more than {MOST_QUERIES} queries"))?;
        let points = (self.context.query)(text)?;
        self.spend(points.len())?;
        Ok(Value::Samples(points.into_iter().map(Arc::new).collect()))
    }

    /// A pattern in Go's syntax, to be found anywhere in a text.
    pub(super) fn pattern(&mut self, go: &str) -> Result<regex::Regex, String> {
        self.spend(PATTERN_STEPS)?;
        rackside_promql::go_regex(go).map_err(|why| format!("error parsing regexp: {why}: `{go}`"))
    }
}

pub(super) fn too_long() -> String {
    format!("texts longer than {MOST_TEXT} bytes, or {MOST_BYTES} together")
}
