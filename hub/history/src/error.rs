//! What can go wrong with the history's file, sorted by what a person has to do about it, and with a chunk in it.
//!
//! Sample: `/var/lib/rackside-hub/history.db: the disk is full; make room and the hub goes on by itself`.

use rusqlite::ErrorCode;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a history cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenError {
    /// Another hub (or `salvage`) holds the directory.
    Locked {
        /// The lock's file.
        path: PathBuf,
    },
    /// There is no history to work on.
    Nothing {
        /// Where it would be.
        path: PathBuf,
    },
    /// The file is no SQLite database, or one of something else.
    NotAHistory {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        found: String,
    },
    /// A newer hub wrote it.
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema's version.
        found: i64,
        /// The newest version that this hub knows.
        known: i64,
    },
    /// Anything that can also happen later.
    Store(StoreError),
}

/// Why the history did not do what it was asked. Nothing of a commit that failed was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreError {
    /// There is no room on the disk. Goes away by itself once there is.
    Full {
        /// The file.
        path: PathBuf,
    },
    /// The file's content is not what was written.
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where it shows.
        what: String,
    },
    /// The operating system does not let us.
    Permission {
        /// The file or its directory.
        path: PathBuf,
    },
    /// Another program has been writing to the file for seconds.
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// The file lost its name while it was open.
    Gone {
        /// The name.
        path: PathBuf,
    },
    /// The disk or the operating system failed.
    Io {
        /// The file or its directory.
        path: PathBuf,
        /// What was said.
        what: String,
    },
}

impl StoreError {
    /// Whether only a person can mend it, by `rackside-hub salvage`.
    pub const fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. })
    }

    pub(crate) fn sqlite(path: &Path, error: &rusqlite::Error) -> Self {
        let path = path.to_owned();
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full { path },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Damaged { path, what: error.to_string() }
            }
            Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => {
                Self::Permission { path }
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy { path },
            Some(_) => Self::Io { path, what: error.to_string() },
            // Not SQLite's own: a column that is not what the schema says, a row that must be there and is not.
            None => Self::Damaged { path, what: error.to_string() },
        }
    }

    pub(crate) fn io(path: &Path, error: &io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path },
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::Permission { path },
            _ => Self::Io { path, what: error.to_string() },
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { path } => {
                write!(f, "{}: the disk is full; make room and the hub goes on by itself", path.display())
            }
            Self::Damaged { path, what } => write!(
                f,
                "{}: the history is damaged ({what}); stop the hub and run `rackside-hub salvage`, which keeps what can be \
                 read and the damaged file beside it",
                path.display()
            ),
            Self::Permission { path } => write!(
                f,
                "{}: cannot be written; give the hub's user read and write access to the file and its directory, on a \
                 file system that is not mounted read-only",
                path.display()
            ),
            Self::Busy { path } => write!(
                f,
                "{}: another program has locked it for too long; end the program that writes to it",
                path.display()
            ),
            Self::Gone { path } => write!(
                f,
                "{}: the file was deleted, moved or replaced while the hub had it open; put it back, or start the hub anew, \
                 which goes on with what lies there",
                path.display()
            ),
            Self::Io { path, what } => {
                write!(f, "{}: {what}; look at the disk and at the kernel's log", path.display())
            }
        }
    }
}

impl std::error::Error for StoreError {}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Locked { path } => write!(
                f,
                "{}: another hub works in this directory; stop it, or give this one a data directory of its own",
                path.display()
            ),
            Self::Nothing { path } => write!(
                f,
                "{}: there is no history; name the hub's data directory in its configuration",
                path.display()
            ),
            Self::NotAHistory { path, found } => write!(
                f,
                "{}: this is not a hub's history but {found}; move it away, and the hub begins a new history",
                path.display()
            ),
            Self::Newer { path, found, known } => write!(
                f,
                "{}: a newer hub wrote this history (schema {found}, this hub knows {known}); install that version or a \
                 later one",
                path.display()
            ),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for OpenError {}

impl From<StoreError> for OpenError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Why a chunk cannot be written or read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChunkError {
    /// A newer hub wrote it.
    Newer {
        /// Its first byte.
        found: u8,
        /// The newest version that this hub knows.
        known: u8,
    },
    /// What is named here does not match its checksum: the bytes have changed since they were written.
    Damaged(&'static str),
    /// The bytes do not form what is named here, although their checksum says that they are as written.
    Malformed(&'static str),
    /// There is more of what is named here than a chunk takes.
    Limit(&'static str),
    /// Samples that break the invariant named here are not written.
    Refused(&'static str),
}

impl fmt::Display for ChunkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newer { found, known } => {
                write!(f, "chunk of version {found} is newer than {known}: upgrade this hub")
            }
            Self::Damaged(what) => write!(f, "the chunk's {what} is damaged: its checksum does not match"),
            Self::Malformed(what) => write!(f, "malformed {what} in a chunk"),
            Self::Limit(what) => write!(f, "{what} exceeds what a chunk takes"),
            Self::Refused(what) => write!(f, "not written into a chunk: {what}"),
        }
    }
}

impl std::error::Error for ChunkError {}
