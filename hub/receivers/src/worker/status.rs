//! How a receiver fares, for pages and metrics.

use crate::{Kind, outbox::QueueStatus};
use std::sync::Arc;

/// What went wrong last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// What, without secrets.
    pub why: String,
}

/// A message that the receiver failed at while it took others: it is tried when nothing else waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aside {
    /// Its place in the order.
    pub id: u64,
    /// Since when it is set aside, in milliseconds since 1970.
    pub at: i64,
    /// What the receiver said, without secrets.
    pub why: String,
}

/// How a receiver fares. What is counted is counted since the start of the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiverStatus {
    /// As routes name it.
    pub name: Arc<str>,
    /// What it is.
    pub kind: Kind,
    /// Messages that wait, the one on its way among them.
    pub queued: usize,
    /// Since when the first of them waits, in milliseconds since 1970.
    pub oldest: Option<i64>,
    /// Messages that arrived.
    pub delivered: u64,
    /// Messages that it will never take.
    pub refused: u64,
    /// Messages that waited for too long, or were too many.
    pub given_up: u64,
    /// Tries that failed and were or will be repeated.
    pub retries: u64,
    /// Messages that were set aside, among those that wait.
    pub aside: Vec<Aside>,
    /// What went wrong last.
    pub last_error: Option<Trouble>,
    /// Whether that is over: a message has arrived since.
    pub recovered: bool,
    /// When a message last arrived, in milliseconds since 1970.
    pub last_delivered_at: Option<i64>,
    /// When the first message is tried again, if it is not on its way.
    pub next_try_at: Option<i64>,
    /// Why nothing is sent there any more until its configuration changes.
    pub disabled: Option<String>,
    /// The chat that a Telegram group has moved to; the configuration should say so.
    pub moved_to: Option<i64>,
}

/// What a courier knows of that.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress {
    pub(super) delivered: u64,
    pub(super) retries: u64,
    pub(super) aside: Vec<Aside>,
    pub(super) last_error: Option<Trouble>,
    pub(super) last_delivered_at: Option<i64>,
    pub(super) next_try_at: Option<i64>,
    pub(super) is_failing: bool,
    pub(super) disabled: Option<String>,
    pub(super) moved_to: Option<i64>,
}

impl Progress {
    pub(super) fn with(&self, name: &Arc<str>, kind: Kind, queue: Option<&QueueStatus>) -> ReceiverStatus {
        ReceiverStatus {
            name: Arc::clone(name),
            kind,
            queued: queue.map_or(0, |queue| queue.queued),
            oldest: queue.and_then(|queue| queue.oldest),
            delivered: self.delivered,
            refused: queue.map_or(0, |queue| queue.refused),
            given_up: queue.map_or(0, |queue| queue.given_up),
            retries: self.retries,
            aside: self.aside.clone(),
            last_error: self.last_error.clone(),
            recovered: !self.is_failing && self.last_error.is_some(),
            last_delivered_at: self.last_delivered_at,
            next_try_at: self.next_try_at,
            disabled: self.disabled.clone(),
            moved_to: self.moved_to,
        }
    }
}
