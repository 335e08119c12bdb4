//! Why the spool cannot do what it was asked to. Whatever it is, records stay where they are: in memory, or on the disk as far
//! as [`Spool::written`](super::Spool::written) says.

use super::layout::BODY_MOST;
use std::fmt;
use std::io;

/// Why the spool cannot do what it was asked to.
#[derive(Debug)]
pub enum SpoolError {
    /// The file system has no room.
    Full {
        /// What was written.
        file: String,
        /// What the system said.
        error: io::Error,
    },
    /// The disk refused.
    Io {
        /// What was tried: `read`, `write`, `sync`, `make`, `remove`.
        doing: &'static str,
        /// On which file.
        file: String,
        /// What the system said.
        error: io::Error,
    },
    /// No channel would carry the record.
    TooLarge {
        /// Its number.
        seq: u64,
        /// Its length in bytes.
        len: usize,
    },
}

impl SpoolError {
    pub(super) fn of(doing: &'static str, file: &str, error: io::Error) -> Self {
        let file = file.to_owned();
        if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            Self::Full { file, error }
        } else {
            Self::Io { doing, file, error }
        }
    }
}

impl fmt::Display for SpoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { file, error } => {
                write!(
                    f,
                    "no room on the disk for {file} ({error}); make room, or set a smaller [spool] disk"
                )
            }
            Self::Io { doing, file, error } => write!(f, "cannot {doing} {file}: {error}"),
            Self::TooLarge { seq, len } => {
                write!(f, "record {seq} has {len} bytes, more than the {BODY_MOST} that a message carries")
            }
        }
    }
}

impl std::error::Error for SpoolError {}
