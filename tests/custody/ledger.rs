//! What the hub committed, in its present history: kept beside the hub, from the batches that its store took.
//!
//! By it, an ack can be held to its word, a batch to taking nothing twice, and a sample that is missing in the end to a
//! reason.

use rackside_history::{Batch, Committed};
use rackside_proto::{AgentName, Channel, Data, Message, Record, Run, Time, What};
use std::collections::BTreeSet;
use std::ops::Range;

/// A record of an appliance.
pub(crate) type Number = (usize, Run, u64);

/// What was committed.
#[derive(Debug, Clone, Default)]
struct Records {
    records: BTreeSet<Number>,
    /// Boots of which a live record or an anchor came.
    dated: BTreeSet<(usize, u32)>,
}

/// What was committed, now and before.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    now: Records,
    backup: Option<Records>,
    restored_away: BTreeSet<Number>,
    /// Records that came while the hub's clock was wrong.
    doubtful: BTreeSet<Number>,
    /// Boots that were dated by a wrong clock, perhaps.
    doubtful_boots: BTreeSet<(usize, u32)>,
}

impl Ledger {
    /// A batch is on the disk. What the history made of it must be what it had to.
    pub(crate) fn commit(
        &mut self,
        batch: &Batch,
        agents: &[AgentName],
        committed: Committed,
    ) -> Result<(), String> {
        let mut stored = 0;
        for record in &batch.records {
            let agent = agents.iter().position(|name| *name == record.agent).expect("one of ours");
            let heard = Heard::of(record.channel, &record.payload).ok_or("a batch has what is no record")?;
            stored += u64::from(self.now.records.insert((agent, heard.run, heard.seq)));
            let by_receipt = heard.boot.filter(|_| record.live);
            self.now.dated.extend(heard.anchor.or(by_receipt).map(|boot| (agent, boot)));
        }
        let expected = Committed { stored, duplicates: batch.records.len() as u64 - stored, aside: 0 };
        if committed == expected {
            Ok(())
        } else {
            Err(format!("{committed:?} of a batch with {expected:?}"))
        }
    }

    /// A message reaches the hub while its clock is wrong.
    pub(crate) fn doubt(&mut self, agent: usize, channel: Channel, payload: &[u8]) {
        if let Some(heard) = Heard::of(channel, payload) {
            self.doubtful.insert((agent, heard.run, heard.seq));
            self.doubtful_boots.extend(heard.boot.map(|boot| (agent, boot)));
        }
    }

    pub(crate) fn has_backup(&self) -> bool {
        self.backup.is_some()
    }

    pub(crate) fn back_up(&mut self) {
        self.backup = Some(self.now.clone());
    }

    pub(crate) fn restore(&mut self) {
        let backup = self.backup.clone().expect("there is one");
        let before = std::mem::replace(&mut self.now, backup);
        self.restored_away.extend(before.records.difference(&self.now.records));
    }

    pub(crate) fn has(&self, number: Number) -> bool {
        self.now.records.contains(&number)
    }

    pub(crate) fn was_restored_away(&self, number: Number) -> bool {
        self.restored_away.contains(&number)
    }

    /// How many of a run's records are committed.
    pub(crate) fn count(&self, agent: usize, run: Run) -> u64 {
        self.now.records.range((agent, run, 0)..=(agent, run, u64::MAX)).count() as u64
    }

    /// Whether all of a run's records came while the hub's clock was wrong: it may take them for older than it keeps any.
    pub(crate) fn is_doubtful_run(&self, agent: usize, run: Run) -> bool {
        let mut records = self.now.records.range((agent, run, 0)..=(agent, run, u64::MAX));
        records.all(|number| self.doubtful.contains(number))
    }

    /// Whether a boot has been dated.
    pub(crate) fn is_dated(&self, agent: usize, boot: u32) -> bool {
        self.now.dated.contains(&(agent, boot))
    }

    /// Whether a sample's date may be anything, because the hub's clock was wrong.
    pub(crate) fn is_doubtful(&self, agent: usize, run: Run, mut seqs: Range<u64>, time: Time) -> bool {
        let by_boot = if let Time::Boot { boot, .. } = time {
            self.doubtful_boots.contains(&(agent, boot))
        } else {
            false
        };
        by_boot || seqs.any(|seq| self.doubtful.contains(&(agent, run, seq)))
    }
}

/// What matters here of a record.
struct Heard {
    run: Run,
    seq: u64,
    /// The boot by whose clock it is dated, if it has no date.
    boot: Option<u32>,
    /// The boot that it dates.
    anchor: Option<u32>,
}

impl Heard {
    /// Nothing, of a message that is no record.
    fn of(channel: Channel, payload: &[u8]) -> Option<Self> {
        let boot_of = |time: Time| if let Time::Boot { boot, .. } = time { Some(boot) } else { None };
        let (envelope, boot, anchor) = match Message::decode(channel, payload).ok()? {
            Message::Data(Record { envelope, body: Data::Readings(readings), .. }) => {
                (envelope, boot_of(readings.time), None)
            }
            Message::Data(record) => (record.envelope, None, None),
            Message::Event(Record { envelope, body, .. }) => {
                let anchor = if let What::Anchor { boot, .. } = body.what { Some(boot) } else { None };
                (envelope, boot_of(body.time), anchor)
            }
            _ => return None,
        };
        Some(Self { run: envelope.run, seq: envelope.seq, boot, anchor })
    }
}
