//! The one writer.
//!
//! What comes in is on the disk when [`Store::commit`] returns; [`Store::maintain`] makes chunks of it, one bounded step at
//! a time. Each sample is in exactly one place, and each step moves it on in one transaction, so a crash between any two
//! finds everything once:
//!
//! ```text
//! undated ──▶ inbox ──▶ hours ──▶ days ──▶ minutes and months (rollups)
//!               └─▶ aside (never understood)   └─▶ texts
//! ```
//!
//! Invariant: each (agent, run, seq) is taken once. [`Store::commit`] keeps it whatever it is offered: it asks the run's
//! account ([`account`]), and writes the record and what makes the account contain it in one transaction.

pub(crate) mod account;
mod age;
mod agents;
pub(crate) mod catalog;
pub(crate) mod chunks;
mod commit;
mod dates;
mod flush;
mod forget;
pub(crate) mod index;
mod known;
mod maintain;
mod names;
pub(crate) mod open;
mod roll_up;
pub(crate) mod schema;
mod stats;
mod undated;

pub(crate) use agents::name;
pub use commit::Committed;
pub use known::KnownAgent;
pub(crate) use open::{Claim, DATABASE, SALVAGING, beside, claim, connect, create_partial, lock, settle};
pub use stats::Stats;

use crate::{OpenError, Reader, StoreError};
use account::Accounts;
use age::AgentDay;
use agents::Agents;
use dates::Trust;
use index::Index;
use maintain::Plan;
use names::Names;
use rusqlite::Connection;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How long what is kept, and what the moment is.
#[derive(Debug, Clone)]
pub struct Settings {
    /// For so long every sample is kept.
    pub raw: Duration,
    /// For so long rollups of a minute are kept; not less than `raw`.
    pub minute: Duration,
    /// For so long rollups of an hour are kept; not less than `minute`.
    pub hour: Duration,
    /// Now, in milliseconds since 1970-01-01 UTC.
    pub now_ms: u64,
    /// Most pages of 4 KiB that the file may have: a disk of that size, for tests.
    pub max_pages: Option<u32>,
}

impl Settings {
    /// 30 days, 180 days, 3 years.
    pub const fn new(now_ms: u64) -> Self {
        const DAY: u64 = 86_400;
        Self {
            raw: Duration::from_secs(30 * DAY),
            minute: Duration::from_secs(180 * DAY),
            hour: Duration::from_secs(1095 * DAY),
            now_ms,
            max_pages: None,
        }
    }
}

/// What [`Store::maintain`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// There is more to do.
    More,
    /// There is nothing to do before this moment, in milliseconds since 1970-01-01 UTC.
    IdleUntil(u64),
}

/// The history on disk, open for writing.
#[derive(Debug)]
pub struct Store {
    db: Connection,
    path: Arc<Path>,
    names: Names,
    history: u64,
    settings: Settings,
    agents: Agents,
    accounts: Accounts,
    index: Arc<Index>,
    trust: Trust,
    /// Boots that can be dated now and have records in `undated`.
    datable: Vec<(u32, u32)>,
    /// After which row of `undated` to look again for records whose agent knew the time: a clock agrees by now.
    look_again: Option<i64>,
    /// Of boots heard of since the start: the latest moment that was dated.
    boots: HashMap<(u32, u32), u64>,
    /// The next row of the inbox. Never one that was used before, even when the inbox is empty.
    next_row: i64,
    bytes_since_flush: u64,
    plan: Plan,
    /// Chunks of hours and of days, when they were counted last.
    pieces: (u64, u64),
    chunks_changed: bool,
    /// Days that are too large to be put together.
    left_in_hours: HashSet<AgentDay>,
    readers: Reader,
    /// Locked as long as the store is open.
    _lock: File,
}

impl Store {
    /// Opens `dir/history.db`, or begins one where there is none. One at a time: the directory is locked.
    pub fn open(dir: &Path, settings: Settings) -> Result<Self, OpenError> {
        open::open(dir, settings)
    }

    /// Names what this hub has. Changes when a backup is opened or a damaged file was salvaged.
    pub const fn id(&self) -> u64 {
        self.history
    }

    /// Where the file is.
    pub fn path(&self) -> PathBuf {
        self.path.to_path_buf()
    }

    /// Another size of the disk from now on, in pages of 4 KiB; `None`: whatever there is. For tests.
    pub fn limit_pages(&mut self, most: Option<u32>) -> Result<(), StoreError> {
        let most = most.unwrap_or(u32::MAX - 1);
        self.db.pragma_update(None, "max_page_count", most).map_err(self.failed())
    }

    /// A way to look on, for any thread.
    pub fn reader(&self) -> Reader {
        self.readers.clone()
    }

    fn failed(&self) -> impl Fn(rusqlite::Error) -> StoreError + use<> {
        let path = Arc::clone(&self.path);
        move |error| StoreError::sqlite(&path, &error)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.readers.rest();
    }
}
