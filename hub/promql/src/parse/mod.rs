//! From text to an expression in which nothing can be wrong: `scan`, then the grammar of promql-parser, then `lower`; and from the parser's tree
//! to the text that Prometheus makes of it: `print`. Where a text stops being PromQL is found by `place`.
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
use crate::quoted::Quoted;

mod lower;
mod place;
mod print;
mod scan;
mod text;

use scan::Scanned;

/// What a text is read as.
pub(crate) struct Parsed {
    pub(crate) expr: Expr,
    /// As Prometheus prints it, on one line.
    pub(crate) printed: String,
}

/// Reads a query.
pub(crate) fn parse(query: &str) -> Result<Parsed, ParseError> {
    let scanned = scan(query)?;
    let tree = grammar(query, &scanned)?;
    let expr = lower::lower(&tree, &scanned.strings)?;
    Ok(Parsed { expr, printed: print::on_one_line(&tree, &scanned.strings)? })
}

/// Reads a query and spreads it over lines as Prometheus does.
pub(crate) fn format(query: &str) -> Result<String, ParseError> {
    let scanned = scan(query)?;
    let tree = grammar(query, &scanned)?;
    // What is wrong in it is found here.
    lower::lower(&tree, &scanned.strings)?;
    print::on_many_lines(&tree, &scanned.strings)
}

/// Reads a selector that stands for series by itself.
pub(crate) fn parse_selector(text: &str) -> Result<Vec<Matcher>, ParseError> {
    let scanned = scan(text)?;
    let tree = grammar(text, &scanned).map_err(|error| match error {
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

/// Reads words. Where one is none, an earlier one may not fit, and that is where the error is.
fn scan(query: &str) -> Result<Scanned, ParseError> {
    let (scanned, wrong) = scan::scan_so_far(query);
    let Some(wrong) = wrong else { return Ok(scanned) };
    know_holt_winters();
    if matches!(wrong, ParseError::Syntax { .. })
        && let Some(found) = place::of_error(&scanned)
        && found + 1 < scanned.words.len()
    {
        let (word, place) = scanned.word(query, found);
        return Err(ParseError::Syntax {
            place: Some(place),
            problem: format!("unexpected {}", shown(word)),
        });
    }
    Err(wrong)
}

fn grammar(query: &str, scanned: &Scanned) -> Result<tree::Expr, ParseError> {
    know_holt_winters();
    tree::parse(&scanned.text).map_err(|problem| {
        let is_about_rules = problem == place::NO_RULE;
        // What has words and rules has no sense; that is nowhere in particular.
        let is_about_text = is_about_rules
            || problem.starts_with("unexpected end of input")
            || tree::lexer(&scanned.text).is_err();
        let Some(found) = is_about_text.then(|| place::of_error(scanned)).flatten() else {
            return ParseError::Syntax { place: None, problem: in_our_words(&problem) };
        };
        let (word, place) = scanned.word(query, found);
        let problem = match word {
            "" if is_about_rules => "unexpected end of input".to_owned(),
            "" => problem,
            // It may be about what comes later.
            word if is_about_rules || !is_said_of_the_last_word(&problem, scanned.beginning(found + 1)) => {
                format!("unexpected {}", shown(word))
            }
            _ => problem,
        };
        ParseError::Syntax { place: Some(place), problem }
    })
}

/// Whether the last word of a beginning is what the parser says this of; with brackets that are open anything is a beginning only.
fn is_said_of_the_last_word(problem: &str, beginning: &str) -> bool {
    let ends_early = problem.starts_with("unclosed") || problem.contains("end of input");
    !ends_early && tree::lexer(beginning).err().is_some_and(|said| said == problem)
}

/// The beginning of a word, without the comment that may follow it.
fn shown(word: &str) -> String {
    let end = word.find(char::is_whitespace).unwrap_or(word.len());
    let word: String = word[..end].chars().take(40).collect();
    Quoted(&word).to_string()
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
