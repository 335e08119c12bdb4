//! A backup: a consistent copy, made while the hub goes on.
//!
//! The copy is marked, so that the hub which opens it knows that it is not the database its agents last heard of: it takes a
//! new history id, and agents send what they hold.

use crate::store::{Claim, DATABASE, claim, connect, schema, settle};
use crate::{OpenError, StoreError};
use rusqlite::OpenFlags;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// Why there is no backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackupError {
    /// The data directory has no history.
    Nothing {
        /// Where it would be.
        path: PathBuf,
    },
    /// What lies where the backup would go is no backup.
    InTheWay {
        /// The file.
        path: PathBuf,
    },
    /// What lies where the history should be cannot be copied as one.
    NotAHistory(OpenError),
    /// Reading or writing failed.
    Store(StoreError),
}

impl fmt::Display for BackupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing { path } => {
                write!(
                    f,
                    "{}: there is no history; name the hub's data directory in its configuration",
                    path.display()
                )
            }
            Self::InTheWay { path } => write!(
                f,
                "{}: this is no backup, and is not overwritten; name another directory",
                path.display()
            ),
            Self::NotAHistory(error) => error.fmt(f),
            Self::Store(StoreError::Full { path }) => write!(
                f,
                "{}: the disk is full; make room there, or name a directory on another disk",
                path.display()
            ),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for BackupError {}

impl From<StoreError> for BackupError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Copies `data/history.db` to `target/history.db`, in place of an older backup there. The hub may run.
///
/// To restore: stop the hub, put the copy in place of its `history.db`, start the hub.
pub fn backup(data: &Path, target: &Path) -> Result<PathBuf, BackupError> {
    let source = data.join(DATABASE);
    if !source.exists() {
        return Err(BackupError::Nothing { path: source });
    }
    claim(&source).map_err(BackupError::NotAHistory)?;
    fs::create_dir_all(target).map_err(|error| StoreError::io(target, &error))?;
    let copy = target.join(DATABASE);
    if copy.exists() && !matches!(claim(&copy), Ok(Claim::Backup)) {
        return Err(BackupError::InTheWay { path: copy });
    }
    let partial = target.join("history.db.partial");
    let made = write(&source, &partial)
        .and_then(|()| settle(target, &partial, &copy).map_err(|error| StoreError::io(&copy, &error)));
    if let Err(error) = made {
        // A half copy is worth nothing, and the disk may be full because of it.
        let _ = fs::remove_file(&partial);
        return Err(error.into());
    }
    Ok(copy)
}

fn write(source: &Path, partial: &Path) -> Result<(), StoreError> {
    match fs::remove_file(partial) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(StoreError::io(partial, &error));
        }
        _ => {}
    }
    // One reading transaction for all of it; the copy has no empty pages.
    let db = connect(source, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let name = partial.to_str().ok_or_else(|| StoreError::Io {
        path: partial.to_owned(),
        what: "its name is not UTF-8; name another directory".to_owned(),
    })?;
    db.execute("VACUUM INTO ?1", [name]).map_err(|error| match StoreError::sqlite(source, &error) {
        StoreError::Full { .. } => StoreError::Full { path: partial.to_owned() },
        StoreError::Permission { .. } => StoreError::Permission { path: partial.to_owned() },
        error => error,
    })?;
    let copy = connect(partial, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let failed = |error| StoreError::sqlite(partial, &error);
    copy.pragma_update(None, "application_id", schema::BACKUP).map_err(failed)?;
    copy.close().map_err(|(_, error)| failed(error))
}
