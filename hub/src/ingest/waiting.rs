//! What waits for the disk: records that were taken and are not safe yet, in the batch that is being written and in the
//! one that is gathered behind it.
//!
//! Nothing is thrown away when writing fails: the batch goes to the front of what is gathered, and is tried again. What
//! waits is bounded in bytes; beyond that nothing is taken, and stays with its agent.
//!
//! ```text
//! take ──▶ gathered ── due: 250 ms, an event, many ──▶ flying ── committed ──▶ acked
//!             ▲                                          │
//!             └───────────────── failed ─────────────────┘
//! ```

use bytes::Bytes;
use rackside_history::{Account, Batch, NewCatalog, NewRecord, Note};
use rackside_proto::{AgentName, Channel, Run};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What may wait, in bytes: a thousand appliances for seven minutes, or a tenth of a second of the fastest flood. Twice that
/// while writing works; it bounds what a flood costs in memory.
pub const WAITING: usize = 16 << 20;
/// What a record costs beside its payload: itself, its key, what the allocator adds.
const EACH: usize = 256;
/// Most records in one batch: what a slow disk writes within a second.
const AT_ONCE: usize = 16_384;
/// Most bytes of payload in one batch.
const BYTES_AT_ONCE: usize = 8 << 20;
/// A batch that failed is tried again after this.
pub const RETRY: Duration = Duration::from_secs(2);
/// A write that takes so long counts as failing: what comes in is not held up for it any longer.
pub const STALLED: Duration = Duration::from_secs(5);

/// Which record of whom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    pub(super) slot: usize,
    pub(super) run: Run,
    pub(super) seq: u64,
}

/// What is not on the disk yet.
#[derive(Debug)]
pub(super) struct Waiting {
    records: Vec<NewRecord>,
    /// One for each of `records`.
    keys: Vec<Key>,
    catalogs: Vec<NewCatalog>,
    notes: Vec<Note>,
    /// Runs of which more is lost than was written.
    changed: BTreeSet<(usize, Run)>,
    flying: Option<Flying>,
    /// Of both batches.
    bytes: usize,
    due: Option<Instant>,
    retry_at: Option<Instant>,
    /// Most records in the next batch: few after a failure, until writing works again.
    at_once: usize,
}

#[derive(Debug)]
struct Flying {
    batch: Arc<Batch>,
    keys: Vec<Key>,
    changed: BTreeSet<(usize, Run)>,
    since: Instant,
    bytes: usize,
}

/// A batch before it flies.
#[derive(Debug)]
pub(super) struct Cut {
    records: Vec<NewRecord>,
    catalogs: Vec<NewCatalog>,
    notes: Vec<Note>,
    pub(super) keys: Vec<Key>,
    pub(super) changed: BTreeSet<(usize, Run)>,
    bytes: usize,
}

/// What became of a batch.
#[derive(Debug)]
pub(super) struct Landed {
    pub(super) keys: Vec<Key>,
    pub(super) changed: BTreeSet<(usize, Run)>,
    /// Of whom there are events in it.
    pub(super) logged: BTreeSet<usize>,
    /// Of whom the hub noted something in it; nobody, of itself.
    pub(super) noted: Vec<Option<AgentName>>,
}

impl Default for Waiting {
    fn default() -> Self {
        Self {
            records: Vec::new(),
            keys: Vec::new(),
            catalogs: Vec::new(),
            notes: Vec::new(),
            changed: BTreeSet::new(),
            flying: None,
            bytes: 0,
            due: None,
            retry_at: None,
            at_once: AT_ONCE,
        }
    }
}

fn cost(payload: &Bytes) -> usize {
    payload.len() + EACH
}

impl Waiting {
    /// Whether there is room for one more record. While writing works, more of what has been read already than that: the
    /// sockets wait then, and nobody has to send anything again.
    pub(super) fn has_room(&self, now: Instant) -> bool {
        self.bytes < if self.is_troubled(now) { WAITING } else { 2 * WAITING }
    }

    /// Whether so much waits that more should come only later.
    pub(super) fn is_full(&self) -> bool {
        self.bytes >= WAITING
    }

    /// Whether there is room for one more catalog. More than for records: what is shown needs them.
    pub(super) fn has_room_for_catalog(&self) -> bool {
        self.bytes < 2 * WAITING
    }

    /// How many records and bytes wait.
    pub(super) fn size(&self) -> (usize, usize) {
        let flying = self.flying.as_ref().map_or(0, |flying| flying.keys.len());
        (self.keys.len() + flying, self.bytes)
    }

    /// Whether a batch is being written.
    pub(super) fn is_flying(&self) -> bool {
        self.flying.is_some()
    }

    /// Whether writing fails, or takes so long that it may as well.
    pub(super) fn is_troubled(&self, now: Instant) -> bool {
        self.retry_at.is_some() || self.is_stalled(now)
    }

    /// Whether the disk does not answer.
    pub(super) fn is_stalled(&self, now: Instant) -> bool {
        let stalled = |flying: &Flying| now.saturating_duration_since(flying.since) >= STALLED;
        self.flying.as_ref().is_some_and(stalled)
    }

    /// Takes a record; the batch is due `within` from now at the latest.
    pub(super) fn push(&mut self, key: Key, record: NewRecord, due: Instant) {
        self.bytes += cost(&record.payload);
        self.records.push(record);
        self.keys.push(key);
        self.due_at(due);
    }

    /// Takes a catalog that came apart from its record.
    pub(super) fn push_catalog(&mut self, catalog: NewCatalog, due: Instant) {
        self.bytes += cost(&catalog.body);
        self.catalogs.push(catalog);
        self.due_at(due);
    }

    /// Takes what the hub has to say itself, if there is room: nobody else has it, and nobody is to wait for it.
    pub(super) fn push_note(&mut self, note: Note, due: Instant) -> bool {
        let has_room = self.has_room_for_catalog();
        if has_room {
            self.bytes += note.text.len() + EACH;
            self.notes.push(note);
            self.due_at(due);
        }
        has_room
    }

    /// More of a run is lost than was written.
    pub(super) fn change(&mut self, slot: usize, run: Run, due: Instant) {
        self.changed.insert((slot, run));
        self.due_at(due);
    }

    fn due_at(&mut self, due: Instant) {
        self.due = Some(self.due.map_or(due, |before| before.min(due)));
    }

    /// Whatever waits is due now, and tried once more if it failed.
    pub(super) fn hurry(&mut self, now: Instant) {
        if self.due.is_some() {
            (self.due, self.retry_at) = (Some(now), self.retry_at.map(|_| now));
        }
    }

    /// When the next batch is due, if that is known.
    pub(super) fn due(&self) -> Option<Instant> {
        let due = self.due.filter(|_| self.flying.is_none())?;
        Some(self.retry_at.map_or(due, |retry| retry.max(due)))
    }

    /// Cuts the next batch off, if it is due.
    pub(super) fn cut(&mut self, now: Instant) -> Option<Cut> {
        self.due().filter(|due| *due <= now)?;
        let mut bytes: usize = self.catalogs.iter().map(|catalog| cost(&catalog.body)).sum();
        bytes += self.notes.iter().map(|note| note.text.len() + EACH).sum::<usize>();
        let mut count = 0;
        for record in self.records.iter().take(self.at_once) {
            if count > 0 && bytes >= BYTES_AT_ONCE {
                break;
            }
            bytes += cost(&record.payload);
            count += 1;
        }
        let behind = (self.records.split_off(count), self.keys.split_off(count));
        let (records, keys) =
            (std::mem::replace(&mut self.records, behind.0), std::mem::replace(&mut self.keys, behind.1));
        self.due = (!self.records.is_empty()).then_some(now);
        let (catalogs, changed) = (std::mem::take(&mut self.catalogs), std::mem::take(&mut self.changed));
        let notes = std::mem::take(&mut self.notes);
        Some(Cut { records, catalogs, notes, keys, changed, bytes })
    }

    /// The batch goes to the disk.
    pub(super) fn fly(&mut self, cut: Cut, accounts: Vec<Account>, since: Instant) -> Arc<Batch> {
        let Cut { records, catalogs, notes, keys, changed, bytes } = cut;
        let batch = Arc::new(Batch { records, catalogs, accounts, notes });
        self.flying = Some(Flying { batch: Arc::clone(&batch), keys, changed, since, bytes });
        batch
    }

    /// What waits for a later batch than the one that was cut off.
    pub(super) fn behind(&self) -> &[Key] {
        &self.keys
    }

    /// The batch is on the disk.
    pub(super) fn committed(&mut self) -> Option<Landed> {
        let Flying { batch, keys, changed, bytes, .. } = self.flying.take()?;
        self.bytes -= bytes;
        self.at_once = self.at_once.saturating_mul(4).min(AT_ONCE);
        self.retry_at = None;
        let events = batch.records.iter().zip(&keys).filter(|(record, _)| record.channel == Channel::Event);
        let logged = events.map(|(_, key)| key.slot).collect();
        let noted = batch.notes.iter().map(|note| note.agent.clone()).collect();
        Some(Landed { keys, changed, logged, noted })
    }

    /// The batch is not on the disk: it is the first of what waits.
    pub(super) fn failed(&mut self, now: Instant) -> Option<Landed> {
        let Flying { batch, keys, changed, .. } = self.flying.take()?;
        let Batch { mut records, mut catalogs, mut notes, .. } = Arc::unwrap_or_clone(batch);
        self.at_once = (records.len() / 8).max(1);
        records.append(&mut self.records);
        catalogs.append(&mut self.catalogs);
        notes.append(&mut self.notes);
        (self.records, self.catalogs, self.notes) = (records, catalogs, notes);
        let landed = Landed { keys: keys.clone(), changed, logged: BTreeSet::new(), noted: Vec::new() };
        self.keys.splice(0..0, keys);
        self.changed.extend(landed.changed.iter().copied());
        self.due_at(now);
        self.retry_at = Some(now + RETRY);
        Some(landed)
    }
}
