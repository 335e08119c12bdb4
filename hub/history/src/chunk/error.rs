//! What can be wrong with a chunk.

use std::fmt;

/// Why a chunk cannot be written or read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChunkError {
    /// Its first byte is above [`VERSION`](super::VERSION): a newer hub wrote it.
    Newer {
        /// The byte found.
        found: u8,
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
            Self::Newer { found } => {
                write!(f, "chunk of version {found} is newer than {}: upgrade this hub", super::VERSION)
            }
            Self::Damaged(what) => write!(f, "the chunk's {what} is damaged: its checksum does not match"),
            Self::Malformed(what) => write!(f, "malformed {what} in a chunk"),
            Self::Limit(what) => write!(f, "{what} exceeds what a chunk takes"),
            Self::Refused(what) => write!(f, "not written into a chunk: {what}"),
        }
    }
}

impl std::error::Error for ChunkError {}
