//! What ingest counts, since the hub's start. Plain numbers; `/metrics` gives them their names.

use super::Reason;
use rackside_proto::Channel;

/// Numbers that only rise.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts {
    messages: [u64; Channel::ALL.len()],
    rejected: [u64; Reason::ALL.len()],
    /// Records taken: each once.
    pub records: u64,
    /// Records that had been taken before, and were not taken again.
    pub duplicates: u64,
    /// Records that their agent let go before the hub had them, whose catalog never came, or that can never be read.
    pub lost: u64,
    /// Records that were left with their agent, because the hub lacks their catalog.
    pub deferred: u64,
    /// Records that were left with their agent, because too much waits for the disk or what is on it cannot be read.
    pub refused: u64,
    /// Records that do not fit their catalog, and are kept aside.
    pub aside: u64,
    /// Presences of an older run or connection than the one known: late wills.
    pub presences_ignored: u64,
    /// Series that were left out of a catalog, because it has them twice or their name is the hub's own.
    pub series_ignored: u64,
    /// Acks sent.
    pub acks: u64,
    /// Verdicts sent.
    pub verdicts: u64,
}

impl Counts {
    /// Counts a message on `channel`, whatever becomes of it.
    pub(super) fn message(&mut self, channel: Channel) {
        self.messages[channel as usize] += 1;
    }

    /// Counts a message that was not taken.
    pub(super) fn reject(&mut self, reason: Reason) {
        self.rejected[reason as usize] += 1;
    }

    /// Messages by channel.
    pub fn messages(&self) -> impl Iterator<Item = (Channel, u64)> + '_ {
        Channel::ALL.into_iter().zip(self.messages)
    }

    /// Messages that were not taken, by reason.
    pub fn rejected(&self) -> impl Iterator<Item = (Reason, u64)> + '_ {
        Reason::ALL.into_iter().zip(self.rejected)
    }

    /// How many messages were not taken for this reason.
    pub fn rejected_for(&self, reason: Reason) -> u64 {
        self.rejected[reason as usize]
    }
}
