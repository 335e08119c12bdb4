//! What appliances say of the configurations that they were handed, on its way from ingest to whoever writes it down. Ingest waits for no disk.

use crate::ingest::Ingest;
use crate::ingest::task::Watcher;
use rackside_proto::{Adopted, AgentName};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// What may wait to be written down. What is beyond it is said again: by the next birth.
const WAITING: usize = 50_000;

/// What an appliance said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Adoption {
    /// It was born: it runs on this revision, and takes others or does not.
    Runs {
        /// Which; 0 for its own file alone.
        revision: u32,
        /// Whether it takes others.
        takes: bool,
    },
    /// Something became of a revision.
    Became {
        /// Which.
        revision: u32,
        /// What.
        adopted: Adopted,
        /// Why.
        why: String,
    },
}

/// What waits.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<VecDeque<(AgentName, Adoption)>>,
    notify: Notify,
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, VecDeque<(AgentName, Adoption)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All that waits.
    pub(super) fn take(&self) -> VecDeque<(AgentName, Adoption)> {
        std::mem::take(&mut *self.waiting())
    }

    /// There is something to do.
    pub(super) fn wake(&self) {
        self.notify.notify_one();
    }

    /// Until there is something to do, but no longer than this.
    pub(super) async fn woken(&self, most: Duration) {
        let _ = tokio::time::timeout(most, self.notify.notified()).await;
    }
}

/// Hears what ingest has taken.
#[derive(Debug, Clone)]
pub(crate) struct Ears(Arc<Queue>);

impl Ears {
    pub(super) const fn new(queue: Arc<Queue>) -> Self {
        Self(queue)
    }
}

impl Watcher for Ears {
    fn changed(&mut self, _: &Ingest, _: &[usize]) {}

    fn adopted(&mut self, adoptions: &mut Vec<(AgentName, Adoption)>) {
        let mut waiting = self.0.waiting();
        let room = WAITING.saturating_sub(waiting.len());
        waiting.extend(adoptions.drain(..).take(room));
        drop(waiting);
        self.0.wake();
    }
}
