//! What is in custody: a body under a number.
//!
//! The agent keeps a record's body as it was first encoded, and writes a new envelope around it each time that it is
//! sent: `floor` moves, the body never changes.

use crate::codec::{Input, put};
use crate::{Channel, Data, DecodeError, EncodeError, Event, Sink, WIRE, limits};
use core::fmt;
use serde::{Deserialize, Serialize};

/// One start of the agent process: a random number. Not a boot of the Pi.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Run(pub u32);

impl Serialize for Run {
    /// Four bytes, little-endian: a random number would take five as a varint.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.to_le_bytes().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Run {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <[u8; 4]>::deserialize(deserializer).map(|bytes| Self(u32::from_le_bytes(bytes)))
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whether a record goes out for the first time or once more. An old record that comes again is no sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Sending {
    /// For the first time, right after it was made.
    First,
    /// From the backlog.
    Again,
}

/// The number of a record, and what the agent still holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Envelope {
    /// The run that made the record; not always the run that sends it.
    pub run: Run,
    /// Records of a run are numbered from 0 without gaps.
    pub seq: u64,
    /// The lowest `seq` of the run that the agent still holds. What the hub lacks below it is lost. It may lie above
    /// `seq`, when a catalog is sent once more after its record was let go.
    pub floor: u64,
    /// For the first time, or again.
    pub sending: Sending,
}

/// The envelope's bytes: `floor` as a distance, which is nearly always one byte.
#[derive(Serialize, Deserialize)]
struct Wire {
    run: Run,
    seq: u64,
    behind: i64,
    sending: Sending,
}

impl Envelope {
    /// Appends version byte and envelope; the record's body follows.
    pub fn encode<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        sink.put(&[WIRE])?;
        let behind = self.seq.wrapping_sub(self.floor) as i64;
        put(sink, &Wire { run: self.run, seq: self.seq, behind, sending: self.sending })
    }

    /// Reads the envelope of a message on `data` or `event` whose body need not be readable.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::take(&mut Input::body(bytes, limits::LARGE)?)
    }

    fn take(input: &mut Input<'_>) -> Result<Self, DecodeError> {
        let wire: Wire = input.take("envelope")?;
        let floor = wire.seq.wrapping_sub(wire.behind as u64);
        Ok(Self { run: wire.run, seq: wire.seq, floor, sending: wire.sending })
    }
}

/// A numbered body, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a, B> {
    /// Its number.
    pub envelope: Envelope,
    /// What it says.
    pub body: B,
    /// The bytes of `body`: what the agent has in its spool.
    pub bytes: &'a [u8],
}

impl<'a> Record<'a, Data<'a>> {
    /// Reads the body of a message on `data`.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut input = Input::body(bytes, Channel::Data.limit())?;
        let envelope = Envelope::take(&mut input)?;
        let body = Data::decode(input.rest())?;
        if matches!(body, Data::Readings(_)) && bytes.len() > limits::SMALL {
            return Err(DecodeError::TooLong { len: bytes.len(), limit: limits::SMALL });
        }
        Ok(Self { envelope, body, bytes: input.rest() })
    }
}

impl<'a> Record<'a, Event<'a>> {
    /// Reads the body of a message on `event`.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut input = Input::body(bytes, limits::SMALL)?;
        let envelope = Envelope::take(&mut input)?;
        let body = Event::decode(input.rest())?;
        Ok(Self { envelope, body, bytes: input.rest() })
    }
}
