//! The hub's process: ingest's core and the history's store on a real SQLite file, without a thread or a socket.
//!
//! What the hub's storage thread does happens here in virtual time: a batch takes a while to be written, and the hub may die
//! before it is, or after, when nobody has heard of it yet.

use crate::ledger::Ledger;
use crate::moment::Virtual;
use bytes::Bytes;
use rackside_history::{Batch, Reader, Settings, Step, Store};
use rackside_hub::clock::Now;
use rackside_hub::inbound::{Inbound, Outbound, Via};
use rackside_hub::ingest::Ingest;
use rackside_proto::{AgentName, Prefix};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A page of SQLite's file.
const PAGE: u64 = 4096;
/// The longest that a batch takes to be written, in milliseconds.
const SLOWEST: u64 = 40;
/// Between two steps of maintenance while there is more to do.
const BREATH: Duration = Duration::from_millis(50);
/// A hub looks after its history this often when it has nothing to do there.
const IDLE: Duration = Duration::from_mins(1);

/// The hub: its machine and, while it runs, its process.
pub(crate) struct Hub {
    directory: PathBuf,
    backup: PathBuf,
    agents: Vec<AgentName>,
    /// By how many milliseconds its clock is wrong.
    pub(crate) error_ms: i64,
    max_pages: Option<u32>,
    process: Option<Process>,
    dice: fastrand::Rng,
}

struct Process {
    ingest: Ingest,
    store: Store,
    reader: Reader,
    writing: Option<Writing>,
    maintain_at: Instant,
    /// The monotonic clock starts with the process.
    started: Instant,
}

/// How far the batch in flight is.
enum Writing {
    /// On its way to the disk, until then.
    Before(Instant, Arc<Batch>),
    /// On the disk, and ingest hears of it then.
    After(Instant),
}

impl Hub {
    pub(crate) fn new(root: &Path, agents: Vec<AgentName>, dice: fastrand::Rng) -> Self {
        let (directory, backup) = (root.join("data"), root.join("backup"));
        std::fs::create_dir_all(&directory).expect("the directory can be written");
        Self { directory, backup, agents, error_ms: 0, max_pages: None, process: None, dice }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.process.is_some()
    }

    fn now(&self, now: Virtual) -> Now {
        Now { instant: now.instant, utc_ms: now.shown(self.error_ms) }
    }

    /// Starts the process, if there is none.
    pub(crate) fn start(&mut self, now: Virtual) -> Result<(), String> {
        if self.process.is_some() {
            return Ok(());
        }
        let moment = self.now(now);
        let settings = Settings { max_pages: self.max_pages, ..Settings::new(moment.utc_ms) };
        let store = Store::open(&self.directory, settings)
            .map_err(|error| format!("the hub does not start: {error}"))?;
        let reader = store.reader();
        let known = store.known().map_err(|error| error.to_string())?;
        let mut ingest = Ingest::new(Prefix::default(), store.id(), Arc::new(reader.clone()), moment);
        ingest.know(known, moment);
        let started = now.instant;
        self.process = Some(Process { ingest, store, reader, writing: None, maintain_at: started, started });
        Ok(())
    }

    /// `kill -9`: whatever is in memory is gone.
    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    pub(crate) fn take(&mut self, topic: String, payload: Bytes, retained: bool, now: Virtual) {
        let now = self.now(now);
        if let Some(process) = &mut self.process {
            process.ingest.take(&Inbound { topic, payload, retained, via: Via::Broker }, now);
        }
    }

    /// Does what is due. What it says is returned.
    pub(crate) fn work(&mut self, ledger: &mut Ledger, now: Virtual) -> Result<Vec<Outbound>, String> {
        let moment = self.now(now);
        let Some(process) = &mut self.process else { return Ok(Vec::new()) };
        process.ingest.tick(moment);
        if process.writing.is_none()
            && let Some(batch) = process.ingest.take_batch(moment)
        {
            let after = Duration::from_millis(self.dice.u64(1..SLOWEST));
            process.writing = Some(Writing::Before(now.instant + after, batch));
        }
        match &process.writing {
            Some(Writing::Before(at, batch)) if *at <= now.instant => {
                let batch = Arc::clone(batch);
                if let Ok(committed) = process.store.commit(&batch, moment.utc_ms) {
                    ledger.commit(&batch, &self.agents, committed)?;
                    let after = Duration::from_millis(self.dice.u64(0..SLOWEST));
                    process.writing = Some(Writing::After(now.instant + after));
                } else {
                    process.ingest.failed(moment);
                    process.writing = None;
                }
            }
            Some(Writing::After(at)) if *at <= now.instant => {
                process.ingest.committed(moment);
                process.writing = None;
            }
            _ => {}
        }
        if process.maintain_at <= now.instant {
            process.maintain(moment);
        }
        process.ingest.take_changed();
        Ok(process.ingest.take_out())
    }

    /// Maintenance out of turn.
    pub(crate) fn maintain(&mut self, steps: u8, now: Virtual) {
        let moment = self.now(now);
        for _ in 0..steps {
            if let Some(process) = &mut self.process {
                process.maintain(moment);
            }
        }
    }

    /// Maintains until there is nothing to do.
    pub(crate) fn maintain_all(&mut self, now: Virtual) -> Result<(), String> {
        let moment = self.now(now);
        let Some(process) = &mut self.process else { return Ok(()) };
        for _ in 0..10_000 {
            match process.step(moment) {
                Ok(Step::More) => {}
                Ok(Step::IdleUntil(_)) => return Ok(()),
                Err(error) => return Err(format!("maintenance fails: {error}")),
            }
        }
        Err("maintenance does not end".to_owned())
    }

    /// When there will be something to do.
    pub(crate) fn due(&self) -> Option<Instant> {
        let process = self.process.as_ref()?;
        let writing = match &process.writing {
            Some(Writing::Before(at, _) | Writing::After(at)) => *at,
            None => process.ingest.due(),
        };
        // A batch may be due while another is written.
        Some(writing.min(process.maintain_at))
    }

    pub(crate) fn fill_disk(&mut self, pages: u32) {
        let size = std::fs::metadata(self.directory.join("history.db")).map_or(0, |file| file.len());
        self.limit(Some((size / PAGE) as u32 + pages));
    }

    pub(crate) fn make_room(&mut self) {
        self.limit(None);
    }

    fn limit(&mut self, pages: Option<u32>) {
        self.max_pages = pages;
        if let Some(process) = &mut self.process {
            process.store.limit_pages(pages).expect("it is only remembered");
        }
    }

    /// `rackside-hub backup`, also while the hub runs.
    pub(crate) fn back_up(&mut self, ledger: &mut Ledger) -> Result<(), String> {
        if !self.directory.join("history.db").exists() {
            return Ok(());
        }
        rackside_history::backup(&self.directory, &self.backup)
            .map_err(|error| format!("backup: {error}"))?;
        ledger.back_up();
        Ok(())
    }

    /// What the manual says: stop the hub, put the copy in the database's place, start it.
    pub(crate) fn restore(&mut self, ledger: &mut Ledger) {
        self.process = None;
        if !ledger.has_backup() {
            return;
        }
        for entry in std::fs::read_dir(&self.directory).expect("it is there").flatten() {
            if entry.file_name().to_string_lossy().starts_with("history.db") {
                std::fs::remove_file(entry.path()).expect("it is ours");
            }
        }
        std::fs::copy(self.backup.join("history.db"), self.directory.join("history.db"))
            .expect("there is room");
        ledger.restore();
    }

    /// What the history says, while the hub runs.
    pub(crate) fn reader(&self) -> Option<Reader> {
        self.process.as_ref().map(|process| process.reader.clone())
    }
}

impl Process {
    fn step(&mut self, now: Now) -> Result<Step, rackside_history::StoreError> {
        self.store.maintain(now.utc_ms, now.since(self.started))
    }

    fn maintain(&mut self, now: Now) {
        let wait = match self.step(now) {
            Ok(Step::More) => BREATH,
            // A full disk: later again.
            Ok(Step::IdleUntil(_)) | Err(_) => IDLE,
        };
        self.maintain_at = now.instant + wait;
    }
}
