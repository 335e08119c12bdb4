//! What waits, in memory: a queue for each receiver, and what could not be delivered. It is the truth; the file is what is left of it
//! after a restart.
//!
//! Not here: the disk, and who sends. Pure: what a change comes to is planned, written down by the caller, then applied.
//!
//! Invariant: a queue is in the order of ids, and never longer, larger or older than its bounds. What exceeds them goes from its old end, but
//! not the first message, which is as a rule the one on its way.
//!
//! ```text
//! crew   #17 (3 tries, not before 03:12:40) #18 #21         2 given up
//! ```

use rackside_notify::Message;
use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;
use std::sync::Arc;
use tokio::sync::Notify;

/// How much a receiver's queue holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Messages.
    pub messages: usize,
    /// Bytes of them, as they stand on the disk.
    pub bytes: usize,
    /// Milliseconds that one may wait.
    pub age: i64,
}

impl Default for Bounds {
    /// A night without a receiver, and what it missed in the morning: not more than a person can look through.
    fn default() -> Self {
        Self { messages: 1_000, bytes: 4 << 20, age: 24 * 60 * 60 * 1_000 }
    }
}

/// Failures that are kept for each receiver, to be shown.
pub(super) const FAILURES: usize = 50;

/// A message that waits.
#[derive(Debug, Clone)]
pub struct Queued {
    /// Its place in the order.
    pub id: u64,
    /// For whom.
    pub receiver: Arc<str>,
    /// What.
    pub message: Arc<Message>,
    /// Since when, in milliseconds since 1970.
    pub at: i64,
    /// How often it was tried.
    pub tries: u32,
    /// When it may be tried again, in milliseconds since 1970.
    pub not_before: i64,
    /// What it takes on the disk.
    pub(super) bytes: usize,
}

/// How a message ended that was not delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The receiver does not want it, or it could not be made.
    Refused,
    /// It waited for too long, too much waited, later news of the same came first, or its receiver is gone.
    GivenUp,
}

/// A message that nobody got.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Its place in the order.
    pub id: u64,
    /// Who should have got it.
    pub receiver: Arc<str>,
    /// What.
    pub message: Arc<Message>,
    /// When it was found out, in milliseconds since 1970.
    pub at: i64,
    /// How.
    pub end: End,
    /// Why, for a person; without secrets.
    pub why: String,
}

/// One change of what waits.
#[derive(Debug, Clone)]
pub(super) enum Change {
    /// It waits.
    Queue(Queued),
    /// It is there.
    Delivered { id: u64, receiver: Arc<str> },
    /// It was tried in vain.
    Tried { id: u64, receiver: Arc<str>, tries: u32, not_before: i64 },
    /// It is over.
    Fail(Failure),
}

/// One receiver's.
#[derive(Debug, Clone, Default)]
pub(super) struct Queue {
    pub(super) waiting: VecDeque<Queued>,
    pub(super) bytes: usize,
    pub(super) failures: VecDeque<Failure>,
    pub(super) given_up: u64,
    pub(super) refused: u64,
    pub(super) bell: Arc<Notify>,
}

/// All queues, and the state that was committed with what is in them. A copy shares the messages.
#[derive(Debug, Clone, Default)]
pub(super) struct Memory {
    pub(super) queues: BTreeMap<Arc<str>, Queue>,
    pub(super) state: Option<Arc<[u8]>>,
    pub(super) last_id: u64,
    /// What the file had is in here.
    pub(super) has_read: bool,
}

impl Memory {
    /// Whether nothing was ever in it.
    pub(super) fn is_new(&self) -> bool {
        !self.has_read && self.last_id == 0 && self.state.is_none()
    }

    /// Takes in what another run left, behind what is here; nothing, if it was read before.
    pub(super) fn adopt(&mut self, left: Self) {
        if self.has_read {
            return;
        }
        self.state = self.state.take().or(left.state);
        for mut queue in left.queues.into_values() {
            for queued in std::mem::take(&mut queue.waiting) {
                self.last_id += 1;
                self.apply(Change::Queue(Queued { id: self.last_id, ..queued }));
            }
        }
    }

    /// The receiver's queue, which begins with this if there was none.
    pub(super) fn queue(&mut self, receiver: &Arc<str>) -> &mut Queue {
        self.queues.entry(Arc::clone(receiver)).or_default()
    }

    /// What has to go, if `new` come as well: the new ones, and the ends of those that are too many.
    pub(super) fn plan(&self, new: Vec<Queued>, bounds: Bounds, now: i64) -> Vec<Change> {
        let mut receivers: Vec<Arc<str>> = new.iter().map(|queued| Arc::clone(&queued.receiver)).collect();
        receivers.sort_unstable();
        receivers.dedup();
        let mut gone = Vec::new();
        for receiver in receivers {
            let waiting = self.queues.get(&receiver).map(|queue| queue.waiting.iter());
            let all = waiting.into_iter().flatten();
            let all: Vec<&Queued> = all.chain(new.iter().filter(|one| one.receiver == receiver)).collect();
            let (mut count, mut bytes) = (all.len(), all.iter().map(|one| one.bytes).sum::<usize>());
            let spare = &all[1..all.len().max(2) - 1];
            for one in spare {
                if count <= bounds.messages && bytes <= bounds.bytes {
                    break;
                }
                (count, bytes) = (count - 1, bytes - one.bytes);
                let why = "too many messages waited for this receiver; later ones took its place";
                gone.push(Change::Fail(over(one, End::GivenUp, why, now)));
            }
        }
        let mut changes: Vec<Change> = new.into_iter().map(Change::Queue).collect();
        changes.append(&mut gone);
        changes
    }

    /// What waits goes by a clock that was set by so much; what came at these moments goes by it already.
    pub(super) fn clock_stepped(&mut self, by: i64, since: RangeInclusive<i64>) {
        let waiting = self.queues.values_mut().flat_map(|queue| &mut queue.waiting);
        for one in waiting.filter(|one| !since.contains(&one.at)) {
            one.at = one.at.saturating_add(by);
            if one.not_before > 0 {
                one.not_before = one.not_before.saturating_add(by).max(1);
            }
        }
    }

    /// Those that waited for too long.
    pub(super) fn outdated(&self, bounds: Bounds, now: i64) -> Vec<Change> {
        let waiting = self.queues.values().flat_map(|queue| &queue.waiting);
        let old = waiting.filter(|one| now.saturating_sub(one.at) > bounds.age);
        old.map(|one| {
            Change::Fail(over(one, End::GivenUp, "the receiver could not be reached for too long", now))
        })
        .collect()
    }

    /// Makes it so.
    pub(super) fn apply(&mut self, change: Change) {
        match change {
            Change::Queue(queued) => {
                let queue = self.queue(&queued.receiver.clone());
                queue.bytes += queued.bytes;
                queue.waiting.push_back(queued);
                queue.bell.notify_one();
            }
            Change::Delivered { id, receiver } => self.queue(&receiver).take(id),
            Change::Tried { id, receiver, tries, not_before } => {
                if let Some(queued) = self.queue(&receiver).waiting.iter_mut().find(|one| one.id == id) {
                    (queued.tries, queued.not_before) = (tries, not_before);
                }
            }
            Change::Fail(failure) => {
                let queue = self.queue(&failure.receiver.clone());
                queue.take(failure.id);
                match failure.end {
                    End::Refused => queue.refused += 1,
                    End::GivenUp => queue.given_up += 1,
                }
                queue.failures.push_back(failure);
                if queue.failures.len() > FAILURES {
                    queue.failures.pop_front();
                }
            }
        }
    }
}

impl Queue {
    fn take(&mut self, id: u64) {
        if let Some(at) = self.waiting.iter().position(|queued| queued.id == id) {
            let taken = self.waiting.remove(at).expect("it was found there");
            self.bytes -= taken.bytes;
        }
    }
}

/// The end of a message that waited.
pub(super) fn over(queued: &Queued, end: End, why: &str, at: i64) -> Failure {
    Failure {
        id: queued.id,
        receiver: Arc::clone(&queued.receiver),
        message: Arc::clone(&queued.message),
        at,
        end,
        why: why.to_owned(),
    }
}
