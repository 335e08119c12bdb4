//! What a selector asks of a label: `=`, `!=`, `=~`, `!~`. A label that a series does not have is matched as an empty value.
//!
//! Sample: `Matcher { name: "site", test: Test::Pattern(hall-.*) }` is `site=~"hall-.*"`.

use std::fmt;
use std::sync::Arc;

use crate::labels::Labels;
use crate::pattern::Pattern;
use crate::quoted::Quoted;

/// One matcher of a selector.
#[derive(Clone)]
pub struct Matcher {
    /// The label.
    pub name: Arc<str>,
    /// What its value must be.
    pub test: Test,
}

/// What a label's value must be.
#[derive(Clone)]
pub enum Test {
    /// `=`
    Equal(Arc<str>),
    /// `!=`
    NotEqual(Arc<str>),
    /// `=~`: the whole value matches.
    Pattern(Pattern),
    /// `!~`: the whole value does not match.
    NotPattern(Pattern),
}

impl Matcher {
    /// Whether a series with these labels passes.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.accepts(labels.value(&self.name))
    }

    /// Whether this value of the label passes; empty stands for a label that is not there.
    pub fn accepts(&self, value: &str) -> bool {
        match &self.test {
            Test::Equal(wanted) => **wanted == *value,
            Test::NotEqual(other) => **other != *value,
            Test::Pattern(pattern) => pattern.matches_whole(value),
            Test::NotPattern(pattern) => !pattern.matches_whole(value),
        }
    }
}

/// As Prometheus writes it: `site=~"hall-.*"`.
impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (operator, value) = match &self.test {
            Test::Equal(value) => ("=", value.as_ref()),
            Test::NotEqual(value) => ("!=", value.as_ref()),
            Test::Pattern(pattern) => ("=~", pattern.as_str()),
            Test::NotPattern(pattern) => ("!~", pattern.as_str()),
        };
        write!(f, "{}{operator}{}", self.name, Quoted(value))
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
