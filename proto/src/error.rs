//! What can go wrong between bytes and messages. "Newer than I know" and "malformed" are different errors, because the
//! cure differs: upgrade the reader, or look at the sender.

use core::fmt;

/// Why bytes are not a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecodeError {
    /// There are no bytes at all. On a retained topic this is how the topic is cleared.
    Empty,
    /// The version byte is above [`WIRE`](crate::WIRE): the sender is newer than this reader.
    Newer {
        /// The version byte found.
        found: u8,
    },
    /// The body is longer than its channel allows.
    TooLong {
        /// Its length in bytes.
        len: usize,
        /// The channel's bound in bytes.
        limit: usize,
    },
    /// The bytes do not form what is named here.
    Malformed(&'static str),
    /// The bytes are well formed but exceed the bound of what is named here; see [`limits`](crate::limits).
    Limit(&'static str),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the body is empty"),
            Self::Newer { found } => {
                write!(f, "wire version {found} is newer than {}: upgrade this reader", crate::WIRE)
            }
            Self::TooLong { len, limit } => write!(f, "the body has {len} bytes, more than {limit}"),
            Self::Malformed(what) => write!(f, "malformed {what}"),
            Self::Limit(what) => write!(f, "{what} exceeds the wire's bound"),
        }
    }
}

impl core::error::Error for DecodeError {}

/// Why a message cannot be put into bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncodeError {
    /// The [`Sink`](crate::Sink) has no room.
    Full,
    /// What is named here exceeds its bound; see [`limits`](crate::limits).
    Limit(&'static str),
    /// The readings of one record cannot be told apart in time, or do not fit their catalog.
    Mismatch(&'static str),
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("no room for the message"),
            Self::Limit(what) => write!(f, "{what} exceeds the wire's bound"),
            Self::Mismatch(what) => write!(f, "{what}"),
        }
    }
}

impl core::error::Error for EncodeError {}
