//! What the hub may have this box do: flash its LEDs, run a probe now, tell its last log lines, mute the local alarm.
//!
//! [`Gate`] decides whether a message is a command of the hub that this box joined, for this box, this run and this moment, and whether the
//! venue's own file allows it. What is done is done by the agent's loop (`app/obey.rs`); [`Commands`] is what passes between that
//! and the conversation with the broker. Pure.
//!
//! Invariants: nothing is done that is not signed by the hub's authority; nothing is done twice; what waits is bounded.
//!
//! ```text
//! broker ── inbox ──► Gate: signature, run, number, expiry, venue ──► done, an event in custody ──► outbox ── reply ──►
//! ```

mod gate;
#[cfg(test)]
mod tests;

pub use gate::{Gate, Heard};

use rackside_proto::Capabilities;
use serde::Deserialize;
use std::collections::VecDeque;
use std::time::Instant;

/// Messages that wait to be looked at, and replies that wait for the line. A hub sends one at a time.
const WAITING: usize = 4;

/// `[commands]`: what the venue allows.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct FileCommands {
    accept: Vec<Kind>,
}

/// A kind of command.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Identify,
    Probe,
    Log,
    Mute,
}

impl Default for FileCommands {
    fn default() -> Self {
        Self { accept: vec![Kind::Identify, Kind::Probe, Kind::Log, Kind::Mute] }
    }
}

impl FileCommands {
    /// As the birth says it.
    pub(crate) fn accepted(&self) -> Capabilities {
        let bit = |kind: &Kind| match kind {
            Kind::Identify => Capabilities::IDENTIFY,
            Kind::Probe => Capabilities::PROBE,
            Kind::Log => Capabilities::LOG,
            Kind::Mute => Capabilities::MUTE,
        };
        self.accept.iter().map(bit).fold(Capabilities::default(), Capabilities::with)
    }
}

/// Probes that the hub has asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Asked {
    /// The command's number.
    pub id: u64,
    /// Which one; empty for all.
    pub probe: String,
    /// What ended later than this is an answer.
    pub since: Instant,
    /// What has not ended by then is not waited for.
    pub until: Instant,
}

/// What comes from the hub and what goes back to it.
#[derive(Debug)]
pub struct Commands {
    /// Who decides.
    pub gate: Gate,
    /// Probes that were asked for and are not told yet.
    pub asked: Option<Asked>,
    inbox: VecDeque<Vec<u8>>,
    outbox: VecDeque<Vec<u8>>,
}

impl Commands {
    /// Nothing has come yet.
    pub fn new(gate: Gate) -> Self {
        Self { gate, asked: None, inbox: VecDeque::new(), outbox: VecDeque::new() }
    }

    /// A message came on the channel. Of too many at once the last ones are not looked at.
    pub fn put(&mut self, body: &[u8]) {
        if self.inbox.len() < WAITING {
            self.inbox.push_back(body.to_vec());
        } else {
            self.gate.count();
        }
    }

    /// The next message to look at.
    pub fn take(&mut self) -> Option<Vec<u8>> {
        self.inbox.pop_front()
    }

    /// A reply is to be sent. Nobody waits for an old one any more.
    pub fn reply(&mut self, body: Vec<u8>) {
        if self.outbox.len() >= WAITING {
            self.outbox.pop_front();
        }
        self.outbox.push_back(body);
    }

    /// The next reply to send.
    pub fn take_reply(&mut self) -> Option<Vec<u8>> {
        self.outbox.pop_front()
    }
}
