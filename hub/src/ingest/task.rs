//! The loop around [`Ingest`]: takes batches from both ways in, sends what the core wants sent, tells the pages what
//! changed. Decides nothing.

use super::Ingest;
use crate::clock;
use crate::inbound::{Inbound, Outlet};
use crate::shutdown;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::sync::{mpsc, watch};

/// The core, shared with the pages that read it.
#[derive(Debug, Clone)]
pub struct Shared(Arc<RwLock<Ingest>>);

impl Shared {
    /// Shares `ingest`.
    pub fn new(ingest: Ingest) -> Self {
        Self(Arc::new(RwLock::new(ingest)))
    }

    /// To read; never across an await.
    pub fn read(&self) -> RwLockReadGuard<'_, Ingest> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Ingest> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Told of the appliances that changed, with the core to look at.
pub trait Watcher: Send {
    /// `changed` are slots.
    fn changed(&mut self, ingest: &Ingest, changed: &[usize]);
}

/// Runs until `shutdown` says so or nobody can send any more. `mirror` is true while somebody listens to the JSON mirror.
pub async fn run(
    shared: Shared,
    mut inbound: mpsc::Receiver<Vec<Inbound>>,
    outlet: Arc<dyn Outlet>,
    mut watcher: impl Watcher,
    mut mirror: watch::Receiver<bool>,
    mut shutdown: watch::Receiver<bool>,
) {
    let mut batches = Vec::new();
    let mut mirror_ended = false;
    shared.write().mirror(outlet.mirror_wanted());
    mirror.mark_unchanged();
    loop {
        let due = shared.read().due();
        tokio::select! {
            count = inbound.recv_many(&mut batches, 64) => if count == 0 { return },
            () = tokio::time::sleep_until(due.into()) => {}
            changed = mirror.changed(), if !mirror_ended => match changed {
                Ok(()) => {
                    let wanted = *mirror.borrow_and_update();
                    shared.write().mirror(wanted);
                }
                Err(_) => mirror_ended = true,
            },
            () = shutdown::asked(&mut shutdown) => return,
        }
        let mut ingest = shared.write();
        let now = clock::now();
        for message in batches.drain(..).flatten() {
            ingest.take(&message, now);
        }
        ingest.tick(now);
        while ingest.take_batch(now).is_some() {
            ingest.committed(now);
            ingest.tick(now);
        }
        let changed = ingest.take_changed();
        let out = ingest.take_out();
        if !changed.is_empty() {
            watcher.changed(&ingest, &changed);
        }
        drop(ingest);
        for message in out {
            outlet.publish(message);
        }
    }
}

/// How many batches may wait for ingest; each is one read of a socket.
pub const BATCHES: usize = 1024;
