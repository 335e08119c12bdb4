//! The thread that owns the history: writes each batch that comes, says what became of it, and uses the time between two
//! for the upkeep, in small steps.

use super::Status;
use crate::clock::{self, Now};
use rackside_history::{Batch, Stats, Step, Store, StoreError};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// The upkeep looks this often whether there is something to do, whatever it said before: clocks are set, inboxes fill.
const LOOK: Duration = Duration::from_secs(1);
/// An upkeep that failed is tried again after this.
const RETRY: Duration = Duration::from_secs(2);
/// Numbers are gathered this often.
const COUNT: Duration = Duration::from_secs(10);

/// What the thread needs of a history.
pub trait Journal: Send + 'static {
    /// All of it is on the disk, or nothing and an error.
    fn commit(&mut self, batch: &Batch, now_ms: u64) -> Result<(), StoreError>;

    /// One small step of the upkeep. `running` is how long the hub has been running, on a clock that never jumps.
    fn maintain(&mut self, now_ms: u64, running: Duration) -> Result<Step, StoreError>;

    /// This machine's clock is right, as NTP says.
    fn vouch(&mut self) {}

    /// The history's numbers.
    fn stats(&mut self) -> Result<Stats, StoreError>;
}

impl Journal for Store {
    fn commit(&mut self, batch: &Batch, now_ms: u64) -> Result<(), StoreError> {
        Self::commit(self, batch, now_ms).map(|_| ())
    }

    fn maintain(&mut self, now_ms: u64, running: Duration) -> Result<Step, StoreError> {
        Self::maintain(self, now_ms, running)
    }

    fn vouch(&mut self) {
        Self::vouch(self);
    }

    fn stats(&mut self) -> Result<Stats, StoreError> {
        Self::stats(self)
    }
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is on the disk.
    Committed,
    /// It is not.
    Failed,
}

/// Ingest's end. When it is dropped, the thread closes the history and ends.
#[derive(Debug)]
pub struct Commits {
    batches: SyncSender<Arc<Batch>>,
    outcomes: mpsc::UnboundedReceiver<Outcome>,
}

impl Commits {
    /// Has a batch written. One at a time: the outcome comes before the next.
    pub fn write(&self, batch: Arc<Batch>) {
        match self.batches.try_send(batch) {
            // The thread is gone; that it is shows in `outcome`.
            Ok(()) | Err(TrySendError::Disconnected(_)) => {}
            Err(TrySendError::Full(_)) => unreachable!("ingest has one batch written at a time"),
        }
    }

    /// What became of the batch; `None` when the thread has ended.
    pub async fn outcome(&mut self) -> Option<Outcome> {
        self.outcomes.recv().await
    }
}

/// Starts the thread. The second one resolves when it has ended and the history is closed: to an error if it panicked.
pub fn start(journal: impl Journal, status: Status) -> std::io::Result<(Commits, oneshot::Receiver<()>)> {
    let (batches, taken) = sync_channel(1);
    let (said, outcomes) = mpsc::unbounded_channel();
    let (ended, end) = oneshot::channel();
    let work = move || {
        run(journal, &taken, &said, &status);
        // Whoever waited for the end may be gone.
        let _ = ended.send(());
    };
    std::thread::Builder::new().name("history".to_owned()).spawn(work)?;
    Ok((Commits { batches, outcomes }, end))
}

fn run(
    mut journal: impl Journal,
    batches: &Receiver<Arc<Batch>>,
    said: &mpsc::UnboundedSender<Outcome>,
    status: &Status,
) {
    let began = clock::now().instant;
    let (mut upkeep, mut count) = (began, began);
    loop {
        status.turn(clock::now());
        let wait = upkeep.saturating_duration_since(clock::now().instant);
        match batches.recv_timeout(wait) {
            Ok(batch) => {
                let outcome = commit(&mut journal, &batch, status);
                drop(batch);
                // Ingest is gone only when the hub stops.
                let _ = said.send(outcome);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let now = clock::now();
        if upkeep <= now.instant {
            let done = journal.maintain(now.utc_ms, now.since(began));
            upkeep = now.instant + rest(&done, status, now);
        }
        if count <= now.instant {
            count = now.instant + COUNT;
            if clock::is_synchronised() {
                journal.vouch();
            }
            match journal.stats() {
                Ok(numbers) => status.stats(numbers),
                // What is wrong shows when something is written.
                Err(error) => log::debug!("the history cannot be counted: {error}"),
            }
        }
    }
}

fn commit(journal: &mut impl Journal, batch: &Batch, status: &Status) -> Outcome {
    let began = clock::now();
    status.writing(began);
    let done = journal.commit(batch, began.utc_ms);
    let now = clock::now();
    match done {
        Ok(()) => {
            status.committed(batch.records.len(), now);
            Outcome::Committed
        }
        Err(error) => {
            status.failed(&error, now);
            Outcome::Failed
        }
    }
}

/// After a step: how long the upkeep rests.
fn rest(done: &Result<Step, StoreError>, status: &Status, now: Now) -> Duration {
    status.upkeep(done.as_ref().map(|_| ()));
    match done {
        Ok(Step::More) => Duration::ZERO,
        Ok(Step::IdleUntil(ms)) => Duration::from_millis(ms.saturating_sub(now.utc_ms)).min(LOOK),
        Err(_) => RETRY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inbound::{Inbound, Via};
    use crate::ingest::{ACK_WITHIN, Ingest, RETRY as RETRY_AFTER};
    use crate::rack::{Rack, series};
    use crate::storage::HistoryConfig;
    use rackside_proto::Prefix;
    use std::path::PathBuf;
    use std::sync::Mutex;

    /// A history that fails while it is told to.
    #[derive(Debug, Clone, Default)]
    struct Played(Arc<Mutex<Acts>>);

    #[derive(Debug, Default)]
    struct Acts {
        fails: bool,
        written: usize,
        steps: usize,
    }

    impl Journal for Played {
        fn commit(&mut self, batch: &Batch, _: u64) -> Result<(), StoreError> {
            let mut acts = self.0.lock().expect("nobody panics with it");
            if acts.fails {
                return Err(StoreError::Full { path: PathBuf::from("history.db") });
            }
            acts.written += batch.records.len() + 1;
            Ok(())
        }

        fn maintain(&mut self, _: u64, _: Duration) -> Result<Step, StoreError> {
            self.0.lock().expect("nobody panics with it").steps += 1;
            Ok(Step::More)
        }

        fn stats(&mut self) -> Result<Stats, StoreError> {
            Ok(Stats::default())
        }
    }

    #[tokio::test]
    async fn each_batch_has_its_outcome_and_the_upkeep_goes_on_meanwhile() {
        let played = Played::default();
        let status = Status::new("/data".into());
        let (mut commits, end) = start(played.clone(), status.clone()).expect("a thread");
        for fails in [false, true, false] {
            played.0.lock().expect("nobody panics with it").fails = fails;
            commits.write(Arc::default());
            let expected = if fails { Outcome::Failed } else { Outcome::Committed };
            assert_eq!(commits.outcome().await, Some(expected));
            assert_eq!(status.trouble(clock::now()).is_some(), fails);
        }
        drop(commits);
        end.await.expect("it ends by itself");
        let acts = played.0.lock().expect("nobody panics with it");
        assert_eq!(acts.written, 2);
        assert!(acts.steps >= 3, "a step between two batches: {}", acts.steps);
    }

    /// A real history on a disk of a size of one's own choice.
    struct Small {
        store: Store,
        pages: Arc<Mutex<Option<u32>>>,
    }

    impl Journal for Small {
        fn commit(&mut self, batch: &Batch, now_ms: u64) -> Result<(), StoreError> {
            self.store.limit_pages(*self.pages.lock().expect("nobody panics with it"))?;
            self.store.commit(batch, now_ms).map(|_| ())
        }

        fn maintain(&mut self, now_ms: u64, running: Duration) -> Result<Step, StoreError> {
            self.store.maintain(now_ms, running)
        }

        fn stats(&mut self) -> Result<Stats, StoreError> {
            self.store.stats()
        }
    }

    #[tokio::test]
    async fn a_history_that_is_full_is_written_when_there_is_room_again() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let now = clock::now();
        let store =
            super::super::open(directory.path(), &HistoryConfig::default(), now.utc_ms).expect("it opens");
        let (reader, pages) = (store.reader(), Arc::new(Mutex::new(Some(1))));
        let status = Status::new(directory.path().into());
        let small = Small { store, pages: Arc::clone(&pages) };
        let (mut commits, end) = start(small, status.clone()).expect("a thread");
        let mut ingest = Ingest::new(Prefix::default(), 1, Arc::new(reader), now);
        let mut rack = Rack::new("arena-north", "rack-1");
        let name = "x".repeat(60);
        let many: Vec<_> = (0..1000).map(|n| format!("{name}{n}")).collect();
        let (topic, body) = rack.catalog(&many.iter().map(|name| series(name, &[])).collect::<Vec<_>>());
        ingest.take(&Inbound { topic, payload: body.into(), retained: false, via: Via::Broker }, now);
        let mut now = now.plus(ACK_WITHIN);
        commits.write(ingest.take_batch(now).expect("due"));
        assert_eq!(commits.outcome().await, Some(Outcome::Failed));
        ingest.failed(now);
        let why = status.trouble(clock::now()).expect("trouble");
        assert!(why.contains("history.db: the disk is full; make room"), "{why}");
        *pages.lock().expect("nobody panics with it") = None;
        now = now.plus(RETRY_AFTER);
        commits.write(ingest.take_batch(now).expect("due again"));
        assert_eq!(commits.outcome().await, Some(Outcome::Committed));
        assert_eq!(status.trouble(clock::now()), None);
        drop(commits);
        end.await.expect("it ends by itself");
    }
}
