//! From text to an expression in which nothing can be wrong: `scan`, then the grammar of promql-parser, then `lower`.
//!
//! The crate promql-parser reads the language of Prometheus 3 with Rust's regular expressions and durations; what stands before and after it
//! makes of that the language of 2.42, bounds what a hostile text may cost, and keeps from it what it would panic at.

use crate::error::ParseError;
use crate::expr::Expr;

mod duration;
mod lower;
mod scan;
mod text;

/// Reads a query.
pub(crate) fn parse(query: &str) -> Result<Expr, ParseError> {
    let scanned = scan::scan(query)?;
    let tree = promql_parser::parser::parse(&scanned.text)
        .map_err(|problem| ParseError::Syntax { place: None, problem })?;
    lower::lower(&tree, &scanned.strings)
}
