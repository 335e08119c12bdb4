//! Why a file cannot be used.
//!
//! Sample: `/var/lib/rackside-hub/identity.db: cannot be opened: Permission denied (os error 13); it belongs to the hub's user`

use crate::file::Form;
use std::fmt;
use std::path::PathBuf;

/// A file cannot be used. What follows from that its [`Form`] says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreError {
    /// Which file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub fault: Fault,
    pub(crate) form: &'static Form,
}

/// What is wrong with the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It is none, or not whole.
    Damaged(String),
    /// Another version of the hub wrote it.
    Version(i64),
    /// It cannot be opened, read or written now.
    Sqlite(String),
    /// The system does not give it.
    Io(String),
}

impl From<&rusqlite::Error> for Fault {
    fn from(error: &rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            // What has no code of SQLite's is a column with something else in it than was written.
            Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) | None => {
                Self::Damaged(error.to_string())
            }
            Some(_) => Self::Sqlite(error.to_string()),
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path.display())?;
        match &self.fault {
            Fault::Damaged(what) => write!(f, "is damaged ({what}), {}", self.form.damaged),
            Fault::Version(found) => write!(
                f,
                "another version of the hub wrote it (version {found}, this one knows {}); run that version",
                self.form.version()
            ),
            Fault::Sqlite(what) => write!(f, "cannot be used: {what}"),
            Fault::Io(what) => write!(f, "cannot be opened: {what}{}", self.form.not_given),
        }
    }
}

impl std::error::Error for StoreError {}
