//! The history of this hub on disk: opened at the start, written by a thread of its own, closed at the end.
//!
//! ```text
//! ingest ── Batch ──▶ thread "history" ── commit ──▶ history.db
//!    ▲                     │    └── maintain, while nothing waits to be written
//!    └── Outcome ──────────┘
//! ```
//!
//! Who asks what is stored ([`Past`]) reads over connections of its own and waits for nobody. [`Status`] says how it goes:
//! to `/health`, `/metrics` and the page. What this is not: it knows no records; `rackside-history` does.

mod config;
mod place;
mod status;
mod thread;

pub use config::HistoryConfig;
pub use place::{PlaceError, place};
pub use status::Status;
pub use thread::{Commits, Journal, Outcome, start};

use crate::ingest::{Past, PastError};
use rackside_history::{Account, OpenError, Reader, Settings, Store};
use rackside_proto::{AgentName, Run};
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Opens the history in `directory`, which is made if it is not there, for the hub's user alone.
pub fn open(directory: &Path, config: &HistoryConfig, now_ms: u64) -> Result<Store, OpenError> {
    // A failure here is a failure of the store, too, and that one says what to do.
    let _ = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    let (raw, minute, hour) = (config.raw.get(), config.minute.get(), config.hour.get());
    Store::open(directory, Settings { raw, minute, hour, ..Settings::new(now_ms) })
}

impl Past for Reader {
    fn account(&self, agent: &AgentName, run: Run) -> Result<Option<Account>, PastError> {
        Self::account(self, agent, run).map_err(|error| PastError(error.to_string()))
    }

    fn catalog(&self, agent: &AgentName, run: Run, number: u32) -> Result<Option<Vec<u8>>, PastError> {
        Self::catalog(self, agent, run, number).map_err(|error| PastError(error.to_string()))
    }
}

/// Where a relative path leads to, for people.
pub fn whole(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Bytes that the file system of `path` has for us; `None` where nobody can say.
pub fn free_bytes(path: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(path).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}
