//! Messages until they are delivered: queued in memory, in order, and written to `notify.db` in the transaction that writes the state of
//! whoever made them. So after a kill between the two, nothing is forgotten and nothing is made twice.
//!
//! What can arrive twice: the one message a receiver that was on its way when the hub was killed, because it may have arrived and not yet
//! been marked; one whose answer was lost or came too late; and a mail that some recipients have and others not yet, then. With a disk that takes nothing: all that was sent since then, if the hub is killed before there is room again.
//!
//! Not here: sending (`send/`), and when to try again (`worker.rs`).
//!
//! Invariant: a message that was committed is handed out until it is marked; the file is behind memory only while [`Outbox::trouble`] says so.
//! Whatever is wrong with the disk, messages go out. Calls wait for the disk: they are for threads that may.
//!
//! ```text
//! commit(state, [crew ← #21]) ─▶ next("crew") = #17 … delivered(#17) … next("crew") = #21
//! ```

mod disk;
mod queue;
#[cfg(test)]
mod tests;

pub use disk::{BackupError, FILE, backup};
pub use queue::{Bounds, End, Failure, Queued};

use disk::{Disk, DiskError};
use queue::{Change, Memory, Queue};
use rackside_notify::Outgoing;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The queues of all receivers.
#[derive(Debug)]
pub struct Outbox {
    directory: PathBuf,
    bounds: Bounds,
    // Who changes anything holds this first, and the others only for a moment: pages do not wait for a disk.
    disk: Mutex<Option<Disk>>,
    memory: Mutex<Memory>,
    trouble: Mutex<Option<String>>,
}

/// How a receiver's queue stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueStatus {
    /// For whom.
    pub receiver: Arc<str>,
    /// Messages that wait.
    pub queued: usize,
    /// Since when the first one waits, in milliseconds since 1970.
    pub oldest: Option<i64>,
    /// Messages that it refused since the start.
    pub refused: u64,
    /// Messages that were given up since the start.
    pub given_up: u64,
}

impl Outbox {
    /// Opens the file in `directory`, or makes it. What cannot be used is set aside; without a disk, memory has to do.
    pub fn open(directory: &Path, bounds: Bounds, now: i64) -> Self {
        let outbox = Self {
            directory: directory.to_owned(),
            bounds,
            disk: Mutex::default(),
            memory: Mutex::default(),
            trouble: Mutex::default(),
        };
        outbox.catch_up(&mut lock(&outbox.disk), now);
        outbox
    }

    /// The state that was last committed.
    pub fn load_state(&self) -> Option<Vec<u8>> {
        lock(&self.memory).state.as_deref().map(<[u8]>::to_vec)
    }

    /// Keeps the state and queues the messages, both or neither; with a disk that takes nothing, both in memory.
    pub fn commit(&self, state: &[u8], outgoing: &[Outgoing], now: i64) {
        let mut disk = lock(&self.disk);
        let (last_id, changes) = {
            let memory = lock(&self.memory);
            let new = (memory.last_id + 1..).zip(outgoing).map(|(id, one)| Queued {
                id,
                receiver: Arc::clone(&one.receiver),
                message: Arc::new(one.message.clone()),
                at: now,
                tries: 0,
                not_before: 0,
                bytes: disk::encoded(&one.message).len(),
            });
            (memory.last_id + outgoing.len() as u64, memory.plan(new.collect(), self.bounds, now))
        };
        let written = self.write(&mut disk, Some(state), last_id, &changes);
        {
            let mut memory = lock(&self.memory);
            (memory.state, memory.last_id) = (Some(Arc::from(state)), last_id);
            for change in changes {
                tell(&change);
                memory.apply(change);
            }
        }
        self.after(&mut disk, written, now);
    }

    /// The first message that waits for this receiver, again and again until it is marked.
    pub fn next(&self, receiver: &str) -> Option<Queued> {
        lock(&self.memory).queues.get(receiver)?.waiting.front().cloned()
    }

    /// The first ones that wait for this receiver, at most so many, without those that `skip` names.
    pub fn first(&self, receiver: &str, most: usize, skip: impl Fn(u64) -> bool) -> Vec<Queued> {
        let memory = lock(&self.memory);
        let waiting = memory.queues.get(receiver).into_iter().flat_map(|queue| &queue.waiting);
        waiting.filter(|one| !skip(one.id)).take(most).cloned().collect()
    }

    /// One that waits for this receiver.
    pub fn waiting(&self, receiver: &str, id: u64) -> Option<Queued> {
        lock(&self.memory).queues.get(receiver)?.waiting.iter().find(|one| one.id == id).cloned()
    }

    /// What rings when a message for this receiver comes.
    pub fn bell(&self, receiver: &Arc<str>) -> Arc<Notify> {
        Arc::clone(&lock(&self.memory).queue(receiver).bell)
    }

    /// It has arrived.
    pub fn delivered(&self, queued: &Queued, now: i64) {
        let receiver = Arc::clone(&queued.receiver);
        self.change(vec![Change::Delivered { id: queued.id, receiver }], now);
    }

    /// It was tried in vain, and will be tried again.
    pub fn failed(&self, queued: &Queued, retry_at: i64, now: i64) {
        let (receiver, tries) = (Arc::clone(&queued.receiver), queued.tries.saturating_add(1));
        self.change(vec![Change::Tried { id: queued.id, receiver, tries, not_before: retry_at }], now);
    }

    /// It will never be delivered.
    pub fn refused(&self, queued: &Queued, why: &str, now: i64) {
        self.change(vec![Change::Fail(queue::over(queued, End::Refused, why, now))], now);
    }

    /// It is not delivered any more, and nobody has refused it.
    pub fn given_up(&self, queued: &Queued, why: &str, now: i64) {
        self.change(vec![Change::Fail(queue::over(queued, End::GivenUp, why, now))], now);
    }

    /// Gives up all that waits for a receiver; how many messages.
    pub fn withdraw(&self, receiver: &str, why: &str, now: i64) -> usize {
        let changes: Vec<Change> = {
            let memory = lock(&self.memory);
            let waiting = memory.queues.get(receiver).into_iter().flat_map(|queue| &queue.waiting);
            waiting.map(|one| Change::Fail(queue::over(one, End::GivenUp, why, now))).collect()
        };
        let count = changes.len();
        self.change(changes, now);
        count
    }

    /// The clock was set by `by` milliseconds within the last `within`, and is at `now`: what waits is as old as it was, and is tried again as soon.
    pub fn clock_stepped(&self, by: i64, within: i64, now: i64) {
        let mut disk = lock(&self.disk);
        lock(&self.memory).clock_stepped(by, now.saturating_sub(within)..=now);
        if let Some(written) = disk.as_mut().map(|disk| disk.rewrite(&lock(&self.memory))) {
            self.after(&mut disk, written, now);
        }
    }

    /// What has to be done now and then, every few seconds: gives up what waited for too long, and writes down what a disk did not take.
    pub fn tend(&self, now: i64) {
        let outdated = lock(&self.memory).outdated(self.bounds, now);
        self.change(outdated, now);
        if self.trouble().is_some() {
            self.catch_up(&mut lock(&self.disk), now);
        }
    }

    /// The messages that a receiver did not get, the last one first.
    pub fn failures(&self, receiver: &str) -> Vec<Failure> {
        let memory = lock(&self.memory);
        memory
            .queues
            .get(receiver)
            .map(|queue| queue.failures.iter().rev().cloned().collect())
            .unwrap_or_default()
    }

    /// How each queue stands, by receivers' names.
    pub fn status(&self) -> Vec<QueueStatus> {
        let status = |(receiver, queue): (&Arc<str>, &Queue)| QueueStatus {
            receiver: Arc::clone(receiver),
            queued: queue.waiting.len(),
            oldest: queue.waiting.front().map(|queued| queued.at),
            refused: queue.refused,
            given_up: queue.given_up,
        };
        lock(&self.memory).queues.iter().map(status).collect()
    }

    /// Why nothing of what came since would be left after a restart, if so.
    pub fn trouble(&self) -> Option<String> {
        lock(&self.trouble).clone()
    }

    fn change(&self, changes: Vec<Change>, now: i64) {
        if changes.is_empty() {
            return;
        }
        let mut disk = lock(&self.disk);
        let written = self.write(&mut disk, None, 0, &changes);
        {
            let mut memory = lock(&self.memory);
            for change in changes {
                tell(&change);
                memory.apply(change);
            }
        }
        self.after(&mut disk, written, now);
    }

    /// Writes what changes. A file that is behind is not written to before it is written anew.
    fn write(
        &self,
        disk: &mut Option<Disk>,
        state: Option<&[u8]>,
        last_id: u64,
        changes: &[Change],
    ) -> Result<(), DiskError> {
        match disk {
            Some(disk) if self.trouble().is_none() => disk.write(state, last_id, changes),
            _ => Ok(()),
        }
    }

    /// Memory has what was to be written; sees to a file that has not.
    fn after(&self, disk: &mut Option<Disk>, written: Result<(), DiskError>, now: i64) {
        let Err(error) = written else { return };
        let unusable = matches!(error, DiskError::Unusable(_));
        self.is_behind(&error);
        if unusable {
            *disk = None;
            self.catch_up(disk, now);
        }
    }

    /// Opens the file if it is not, and writes everything anew if it is behind.
    fn catch_up(&self, disk: &mut Option<Disk>, now: i64) {
        let caught_up = match disk {
            // Of a copy, so that couriers never wait for the disk; what changes waits for `disk`.
            Some(disk) => {
                let memory = lock(&self.memory).clone();
                disk.rewrite(&memory)
            }
            None => self.opened(now).and_then(|(mut new, left)| {
                // What another run left comes behind what this one has made meanwhile: late, and not lost.
                let mut memory = lock(&self.memory);
                let done = if memory.is_new() {
                    *memory = left;
                    Ok(())
                } else {
                    memory.adopt(left);
                    new.rewrite(&memory)
                };
                memory.has_read = true;
                *disk = Some(new);
                done
            }),
        };
        match caught_up {
            Ok(()) => {
                if lock(&self.trouble).take().is_some() {
                    log::info!("{}: written again", self.directory.join(FILE).display());
                }
            }
            Err(error) => self.is_behind(&error),
        }
    }

    /// The file, or a new one in place of one that cannot be used.
    fn opened(&self, now: i64) -> Result<(Disk, Memory), DiskError> {
        match Disk::open(&self.directory) {
            Err(DiskError::Unusable(what)) => {
                let aside = disk::set_aside(&self.directory, now).map_err(|error| {
                    DiskError::Sqlite(format!("{what}, and it cannot be moved away: {error}"))
                })?;
                log::error!(
                    "{}: {what}; it is kept as {}, and a new one begins: what waited in it is not sent",
                    self.directory.join(FILE).display(),
                    aside.display()
                );
                Disk::open(&self.directory)
            }
            opened => opened,
        }
    }

    fn is_behind(&self, error: &DiskError) {
        let what = format!(
            "{}: {error}; notifications go out, and wait in memory only",
            self.directory.join(FILE).display()
        );
        let mut trouble = lock(&self.trouble);
        if trouble.as_ref() != Some(&what) {
            log::error!("{what}");
            *trouble = Some(what);
        }
    }
}

/// Messages that end undelivered are told, each once.
fn tell(change: &Change) {
    if let Change::Fail(failure) = change {
        let how = match failure.end {
            End::Refused => "was refused",
            End::GivenUp => "is given up",
        };
        log::warn!("a message for {} {how}: {}", failure.receiver, failure.why);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
