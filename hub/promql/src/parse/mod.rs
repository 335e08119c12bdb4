//! From text to an expression in which nothing can be wrong: `scan`, then the grammar of promql-parser, then `lower`.
//!
//! The crate promql-parser reads the language of Prometheus 3 with Rust's regular expressions and durations; what stands before and after it
//! makes of that the language of 2.42, bounds what a hostile text may cost, and keeps from it what it would panic at.

use std::sync::Once;

use promql_parser::parser::Function;
use promql_parser::parser::function::register_extra_functions;
use promql_parser::parser::value::ValueType;

use crate::error::ParseError;
use crate::expr::Expr;

mod duration;
mod lower;
mod scan;
mod text;

/// Reads a query.
pub(crate) fn parse(query: &str) -> Result<Expr, ParseError> {
    let scanned = scan::scan(query)?;
    know_holt_winters();
    let tree = promql_parser::parser::parse(&scanned.text)
        .map_err(|problem| ParseError::Syntax { place: None, problem: in_our_words(&problem) })?;
    lower::lower(&tree, &scanned.strings)
}

/// The parser's texts where they name types otherwise than Prometheus, or show what only stands for a string.
fn in_our_words(problem: &str) -> String {
    if problem.starts_with("metric name must not be set twice") {
        return "metric name must not be set twice".to_owned();
    }
    let mut words = problem.to_owned();
    for before in ["type ", "got ", "type scalar or "] {
        for (theirs, ours) in [("matrix", "range vector"), ("vector", "instant vector")] {
            words = words.replace(&format!("{before}{theirs}"), &format!("{before}{ours}"));
        }
    }
    words
}

/// Prometheus 3 has another name for this function, and promql-parser knows that one only. Its list is one for the whole process.
fn know_holt_winters() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let takes = vec![ValueType::Matrix, ValueType::Scalar, ValueType::Scalar];
        let function = Function::new("holt_winters", takes, 0, ValueType::Vector, false);
        register_extra_functions(vec![function]).expect("no function of this name is built in");
    });
}
