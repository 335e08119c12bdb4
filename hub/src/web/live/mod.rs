//! `/api/live`: what changes, as it changes, as Server-Sent Events or, on upgrade, over WebSocket. docs/api.md says what is told.
//!
//! | file | what |
//! |---|---|
//! | `view` | what a client wants, and may hear of |
//! | `board` | views, their rings, who is how far: no I/O, no clock |
//! | `frame` | a message in each form that it is sent in |
//! | `gather`, `picker` | what is new, from the fleet, the alerts, the log |
//! | `stream` | a client's line |
//!
//! A message is made once for all who follow a view, and packed once; a client costs its line and no more.
//!
//! ```text
//! event: rows
//! id: 1f2e3d4c-17
//! data: [{"site":"arena-north","appliance":"rack-1","up":true,...}]
//! ```

mod board;
mod frame;
mod gather;
mod picker;
#[cfg(test)]
mod simulation;

mod stream;
mod view;

pub(super) use gather::run;
pub(super) use stream::live;

use crate::ingest::Ingest;
use crate::ingest::task::Watcher;
use crate::web::places::{HERE, Places};
use gather::Desk;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Most who watch at once: the server's connections but a quarter, which is for whoever asks a question.
const WATCHERS: usize = 768;
/// Most from one address: every wall screen of a control room.
const OF_ONE: usize = 32;

/// Who watches live. Cheap to clone; all clones are the same.
#[derive(Debug, Clone)]
pub struct Live {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    desk: Mutex<Desk>,
    /// Slots that changed since they were told.
    changed: Mutex<BTreeSet<usize>>,
    /// Sites and appliances of which something happened.
    log: Mutex<BTreeSet<(String, String)>>,
    is_watched: AtomicBool,
    places: Arc<Places>,
}

/// Notes what changes, for those who watch.
#[derive(Debug)]
pub struct Updates {
    live: Live,
}

impl Live {
    /// Nobody watches yet. `boot` tells this start of the hub from all others. [`Updates`] goes to ingest.
    pub fn new(boot: u32) -> (Self, Updates) {
        let inner = Inner {
            desk: Mutex::new(Desk::new(boot)),
            changed: Mutex::default(),
            log: Mutex::default(),
            is_watched: AtomicBool::new(false),
            places: Places::new(WATCHERS, OF_ONE, &[HERE]),
        };
        let live = Self { inner: Arc::new(inner) };
        (live.clone(), Updates { live })
    }

    /// How many watch.
    pub fn watchers(&self) -> usize {
        self.inner.places.taken()
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.inner.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_watched(&self) -> bool {
        self.inner.is_watched.load(Ordering::Acquire)
    }

    fn watched(&self, is_watched: bool) {
        self.inner.is_watched.store(is_watched, Ordering::Release);
        if !is_watched {
            self.take_changed();
            self.take_log();
        }
    }

    fn take_changed(&self) -> BTreeSet<usize> {
        std::mem::take(&mut *self.changed())
    }

    /// It is not yet time to tell of these.
    fn put_back(&self, slots: BTreeSet<usize>) {
        self.changed().extend(slots);
    }

    /// The slots that changed. Ingest waits for this while it is locked: nothing else is locked meanwhile.
    fn changed(&self) -> MutexGuard<'_, BTreeSet<usize>> {
        self.inner.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log(&self) -> MutexGuard<'_, BTreeSet<(String, String)>> {
        self.inner.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Of which sites and appliances there is something new in the log.
    fn take_log(&self) -> BTreeSet<(String, String)> {
        std::mem::take(&mut *self.log())
    }
}

impl Watcher for Updates {
    fn changed(&mut self, _ingest: &Ingest, changed: &[usize]) {
        if self.live.is_watched() {
            self.live.changed().extend(changed);
        }
    }

    fn logged(&mut self, ingest: &Ingest, logged: &BTreeSet<usize>) {
        if self.live.is_watched() {
            let found = logged.iter().filter_map(|slot| ingest.fleet().appliances().get(*slot));
            let names = found.map(|one| (one.name.site.to_string(), one.name.appliance.to_string()));
            // There are no more of them than appliances.
            self.live.log().extend(names);
        }
    }

    fn logged_itself(&mut self) {
        if self.live.is_watched() {
            // What is of no site is told to who sees all.
            self.live.log().insert((String::new(), String::new()));
        }
    }
}
