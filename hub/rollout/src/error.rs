//! What is wrong, in a line for whoever edits the files.
//!
//! Sample: `tags/city.toml:3: mqtt.address: is the box's own business and is not sent; take it out`

use rackside_store::CopyError;
use std::fmt;
use std::path::{Path, PathBuf};

/// A line that says what is wrong, where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault(pub String);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Fault {}

/// Why the book did not do what it was asked.
#[derive(Debug)]
pub enum BookError {
    /// SQLite says no.
    Database {
        /// The file.
        path: PathBuf,
        /// What it says.
        what: String,
    },
    /// A newer hub wrote it.
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
    },
    /// What is in it makes no sense.
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not.
        what: String,
    },
}

impl BookError {
    pub(crate) fn of(path: &Path, error: &rusqlite::Error) -> Self {
        Self::Database { path: path.to_owned(), what: error.to_string() }
    }
}

impl From<CopyError> for BookError {
    fn from(error: CopyError) -> Self {
        Self::Database { path: error.path, what: error.what }
    }
}

impl fmt::Display for BookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database { path, what } => write!(f, "{}: {what}", path.display()),
            Self::Newer { path, found } => write!(
                f,
                "{}: a newer hub wrote it (version {found}); install that version or a later one",
                path.display()
            ),
            Self::Damaged { path, what } => write!(
                f,
                "{}: {what}; restore it from a backup, or move it away: appliances keep what they have",
                path.display()
            ),
        }
    }
}

impl std::error::Error for BookError {}
