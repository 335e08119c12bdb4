//! The copy of a file that others than its owner may read, while a hub may be using it.

use crate::file::BUSY;
use rusqlite::{Connection, OpenFlags};
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Why there is no copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyError {
    /// Which file: the one that is copied, or the copy.
    pub path: PathBuf,
    /// What is said about it.
    pub what: String,
}

impl fmt::Display for CopyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.what)
    }
}

impl std::error::Error for CopyError {}

/// Copies the file of this name, if there is one, once `finish` has done to the copy what is left to do. Where a copy stands already, it is replaced; what one
/// that was cut short has left is gone. Returns what was copied.
pub fn copy(
    from: &Path,
    to: &Path,
    name: &str,
    finish: impl FnOnce(&Path) -> rusqlite::Result<()>,
) -> Result<Option<PathBuf>, CopyError> {
    let (source, copy, partial) = (from.join(name), to.join(name), to.join(format!("{name}.partial")));
    if !source.exists() {
        return Ok(None);
    }
    let io = |path: &Path, error: &io::Error| CopyError { path: path.to_owned(), what: error.to_string() };
    match fs::remove_file(&partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(&partial, &error)),
        _ => {}
    }
    let copied = || {
        let reading = Connection::open_with_flags(
            &source,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        reading.busy_timeout(BUSY)?;
        reading.execute("VACUUM INTO ?1", [partial.to_string_lossy()])?;
        finish(&partial)
    };
    copied().map_err(|error: rusqlite::Error| CopyError { path: source.clone(), what: error.to_string() })?;
    fs::rename(&partial, &copy).map_err(|error| io(&copy, &error))?;
    Ok(Some(copy))
}
