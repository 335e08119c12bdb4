//! Regular expressions as PromQL has them: Go's dialect, always over the whole text, with a bound on what one may cost.
//!
//! The crate `regex` runs them: in linear time, whatever the pattern. `dialect.rs` says how Go's syntax reads in its own.
//!
//! Sample: `hall-(\d+)` matches `hall-12` and not `hall-12b`.

use std::fmt;

use regex::Regex;

use crate::dialect;

/// The largest program that one pattern may become. A list of a thousand names is below a tenth of it.
const PROGRAM_BYTES: usize = 1 << 20;

/// A pattern that can be matched.
#[derive(Clone)]
pub struct Pattern {
    source: String,
    compiled: Regex,
}

impl Pattern {
    /// Compiles Go's syntax. The error is for a person: what is wrong, in one line.
    pub fn new(source: &str) -> Result<Self, String> {
        let compiled = compiled(&format!("^(?:{})$", dialect::translate(source)?))?;
        Ok(Self { source: source.to_owned(), compiled })
    }

    /// Whether all of `text` matches.
    pub fn matches_whole(&self, text: &str) -> bool {
        self.compiled.is_match(text)
    }

    /// The groups of a match over all of `text`.
    pub fn captures<'t>(&self, text: &'t str) -> Option<regex::Captures<'t>> {
        self.compiled.captures(text)
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.source
    }
}

/// Go's syntax, to be found anywhere in a text; templates of rules have such patterns. The error is for a person.
pub fn go_regex(source: &str) -> Result<Regex, String> {
    compiled(&dialect::translate(source)?)
}

fn compiled(translated: &str) -> Result<Regex, String> {
    regex::RegexBuilder::new(translated)
        .size_limit(PROGRAM_BYTES)
        .dfa_size_limit(PROGRAM_BYTES)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "expression too large".to_owned(),
            other => other.to_string().lines().last().unwrap_or("invalid").to_owned(),
        })
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.source)
    }
}
