//! The hub's receipt.

use crate::codec::{Input, put};
use crate::{DecodeError, EncodeError, Run, Sink, WIRE, limits};
use heapless::Vec;
use serde::{Deserialize, Serialize};

/// What the hub has, and what it lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// Names the hub's history. When it changes (a new or a restored database), the agent sends all that it holds.
    pub history: u64,
    /// The hub's clock, in milliseconds since 1970-01-01 UTC.
    pub time_ms: u64,
    /// What the agent may let go, by run.
    pub safe: Vec<Safe, { limits::PAIRS }>,
    /// What the agent is asked to send.
    pub wants: Vec<Want, { limits::PAIRS }>,
}

/// Every record of `run` with a `seq` below `below` is safe with the hub, or known to be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Safe {
    /// Whose records.
    pub run: Run,
    /// The first `seq` that is not safe; 0 when none is.
    pub below: u64,
}

/// Something that the hub lacks. New kinds are added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Want {
    /// The birth.
    Birth,
    /// A catalog that data are waiting for.
    Catalog {
        /// Of this run.
        run: Run,
        /// With this number.
        number: u32,
    },
}

impl Ack {
    /// Appends the body.
    pub fn encode<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        sink.put(&[WIRE])?;
        put(sink, self)
    }

    /// Reads a body.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Input::body(bytes, limits::SMALL)?.take("ack")
    }
}
