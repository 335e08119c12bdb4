//! What can go wrong with `status.db`.
//!
//! Sample: `/var/lib/rackside-hub/status.db: disk I/O error`

use rackside_store::CopyError;
use std::fmt;
use std::path::{Path, PathBuf};

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
    /// There is no such incident, or it is over.
    NoIncident(i64),
    /// A text is missing or too long: which, and how long it may be.
    Text(&'static str, usize),
    /// It ends before it begins.
    Ends,
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
            Self::NoIncident(id) => write!(f, "there is no incident {id} that is not over"),
            Self::Text(which, most) => write!(f, "the {which} is missing, or longer than {most} characters"),
            Self::Ends => f.write_str("the incident ends before it begins"),
        }
    }
}

impl std::error::Error for BookError {}
