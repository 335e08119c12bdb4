//! What is wrong in a rule file, as one line that a person can act on.
//!
//! Sample: `hub/rules/box.yml:14: group "box", alert "SocHot": for: not a valid duration string: "5 m"; write for example "30s", ..`.

use std::fmt;
use std::sync::Arc;

use crate::yaml::Place;

/// One thing that is wrong in a rule file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file.
    pub file: Arc<str>,
    /// The line, from 1; none, if the file could not be read.
    pub line: Option<usize>,
    /// The group in which it is, if it is in one that has a name.
    pub group: Option<String>,
    /// The rule in which it is, such as `alert "SocHot"` or `rule 3`.
    pub rule: Option<String>,
    /// What is wrong, and what to do.
    pub what: String,
}

impl Fault {
    pub(crate) fn at(file: &Arc<str>, place: Place, what: String) -> Self {
        Self { file: Arc::clone(file), line: Some(place.line), group: None, rule: None, what }
    }

    pub(crate) fn unreadable(file: &str, error: &std::io::Error) -> Self {
        Self {
            file: file.into(),
            line: None,
            group: None,
            rule: None,
            what: format!("cannot be read: {error}; check the path and who may read it"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file)?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        match (&self.group, &self.rule) {
            (Some(group), Some(rule)) => write!(f, " group {group:?}, {rule}:")?,
            (Some(group), None) => write!(f, " group {group:?}:")?,
            (None, Some(rule)) => write!(f, " {rule}:")?,
            (None, None) => {}
        }
        write!(f, " {}", self.what)
    }
}

impl std::error::Error for Fault {}
