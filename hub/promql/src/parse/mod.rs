//! From text to an expression in which nothing can be wrong: `scan`, then the grammar of promql-parser, then `lower`; and from the parser's tree
//! to the text that Prometheus makes of it: `print`.
//!
//! The crate promql-parser reads the language of Prometheus 3 with Rust's regular expressions and durations; what stands before and after it
//! makes of that the language of 2.42, bounds what a hostile text may cost, and keeps from it what it would panic at.

use std::sync::Once;

use promql_parser::parser::function::register_extra_functions;
use promql_parser::parser::value::ValueType;
use promql_parser::parser::{self as tree, Function};

use crate::error::ParseError;
use crate::expr::Expr;
use crate::matcher::Matcher;

mod duration;
mod lower;
mod print;
mod scan;
mod text;

/// What a text is read as.
pub(crate) struct Parsed {
    pub(crate) expr: Expr,
    /// As Prometheus prints it, on one line.
    pub(crate) printed: String,
}

/// Reads a query.
pub(crate) fn parse(query: &str) -> Result<Parsed, ParseError> {
    let scanned = scan::scan(query)?;
    let tree = grammar(&scanned.text)?;
    let expr = lower::lower(&tree, &scanned.strings)?;
    Ok(Parsed { expr, printed: print::on_one_line(&tree, &scanned.strings)? })
}

/// Reads a query and spreads it over lines as Prometheus does.
pub(crate) fn format(query: &str) -> Result<String, ParseError> {
    let scanned = scan::scan(query)?;
    let tree = grammar(&scanned.text)?;
    // What is wrong in it is found here.
    lower::lower(&tree, &scanned.strings)?;
    print::on_many_lines(&tree, &scanned.strings)
}

/// Reads a selector that stands for series by itself.
pub(crate) fn parse_selector(text: &str) -> Result<Vec<Matcher>, ParseError> {
    let scanned = scan::scan(text)?;
    let tree = grammar(&scanned.text).map_err(|error| match error {
        // Of `{}`, the only selector whose matchers the parser can tell to find all.
        ParseError::Syntax { problem, .. } if problem.contains("non-empty matcher") => ParseError::FindsAll,
        other => other,
    })?;
    match tree {
        // The parser does not see a plus sign.
        tree::Expr::VectorSelector(of)
            if of.offset.is_none() && of.at.is_none() && !text.trim_start().starts_with('+') =>
        {
            lower::matchers(&of, &scanned.strings)
        }
        _ => Err(ParseError::NoSelector),
    }
}

fn grammar(text: &str) -> Result<tree::Expr, ParseError> {
    know_holt_winters();
    tree::parse(text).map_err(|problem| ParseError::Syntax { place: None, problem: in_our_words(&problem) })
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
