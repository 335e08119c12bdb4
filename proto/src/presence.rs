//! Online or offline: the first message of a connection, and its Last Will.

use crate::codec::{Input, put};
use crate::{DecodeError, EncodeError, Run, Sink, WIRE, limits};
use serde::{Deserialize, Serialize};

/// Whether an agent is there. Retained, so a hub that comes later knows at once.
///
/// Wills come late: an offline of an older run or connection than the one known says nothing and is ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Presence {
    /// The start of the agent process that speaks.
    pub run: Run,
    /// Connections of this run are numbered from 1.
    pub connection: u32,
    /// There, or gone.
    pub online: bool,
    /// Why.
    pub reason: Reason,
}

impl Presence {
    /// Appends the body.
    pub fn encode<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        sink.put(&[WIRE])?;
        put(sink, self)
    }

    /// Reads a body.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Input::body(bytes, limits::SMALL)?.take("presence")
    }
}

/// Why an agent came or went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// Online: the connection was made.
    Start,
    /// Offline: the broker speaks for it; the link broke or the process died.
    Will,
    /// Offline: it was asked to stop.
    Stop,
    /// Offline: it makes room for a newer version of itself.
    Update,
    /// Offline: the machine shuts down.
    Shutdown,
}

impl Reason {
    /// The reason as a word: `start`, `will`, `stop`, `update`, `shutdown`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Will => "will",
            Self::Stop => "stop",
            Self::Update => "update",
            Self::Shutdown => "shutdown",
        }
    }
}
