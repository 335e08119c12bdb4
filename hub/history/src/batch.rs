//! What is committed together: records as they came, the catalogs that they need, accounts that changed.

use crate::Seqs;
use bytes::Bytes;
use rackside_proto::{AgentName, Channel, Run};

/// What one commit takes; all of it or nothing.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Records that were not taken before, in the order in which they came.
    pub records: Vec<NewRecord>,
    /// Catalogs that came in a birth, or again: their records may still be on their way.
    pub catalogs: Vec<NewCatalog>,
    /// Accounts that changed in a way which `records` do not show: what is known to be lost.
    pub accounts: Vec<Account>,
    /// What the hub itself has to say of agents, for the log.
    pub notes: Vec<Note>,
}

/// What the hub saw happen: a text of the log, as agents send theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// To whom; to the hub itself, if to nobody.
    pub agent: Option<AgentName>,
    /// When, in milliseconds since 1970-01-01 UTC on the hub's clock.
    pub at_ms: u64,
    /// What it is about: `agent/start`.
    pub subject: &'static str,
    /// In words.
    pub text: String,
}

/// A record as it came.
#[derive(Debug, Clone)]
pub struct NewRecord {
    /// Whose.
    pub agent: AgentName,
    /// `data` or `event`.
    pub channel: Channel,
    /// When it came, in milliseconds since 1970-01-01 UTC on the hub's clock.
    pub received_ms: u64,
    /// Whether it came right after it was made: then, and only then, `received_ms` can date it.
    pub live: bool,
    /// The message's body: version, envelope, record.
    pub payload: Bytes,
}

/// A catalog apart from its record.
#[derive(Debug, Clone)]
pub struct NewCatalog {
    /// Whose.
    pub agent: AgentName,
    /// Of which run.
    pub run: Run,
    /// Its number in that run.
    pub number: u32,
    /// Its bytes, as `rackside_proto::Catalog` encodes them.
    pub body: Bytes,
}

/// What is accounted for of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Whose.
    pub agent: AgentName,
    /// Of which run.
    pub run: Run,
    /// The numbers that were taken or are known to be lost.
    pub seqs: Seqs,
    /// How many of them are lost.
    pub lost: u64,
}
