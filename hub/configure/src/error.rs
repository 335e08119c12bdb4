//! Why `configuration.db` cannot be used.

use std::fmt;
use std::path::PathBuf;

/// `configuration.db` cannot be used. Appliances go on with what they run on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreError {
    /// Which file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub fault: Fault,
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

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path.display())?;
        match &self.fault {
            Fault::Damaged(what) => write!(
                f,
                "is damaged ({what}), and no appliance is given a configuration; put a backup of it in its place, or move it away, and start the hub again"
            ),
            Fault::Version(found) => write!(
                f,
                "another version of the hub wrote it (version {found}, this one knows {}); run that version",
                crate::store::VERSION
            ),
            Fault::Sqlite(what) => write!(f, "cannot be used: {what}"),
            Fault::Io(what) => write!(f, "cannot be opened: {what}; it belongs to the hub's user"),
        }
    }
}

impl std::error::Error for StoreError {}
