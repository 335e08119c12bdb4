//! What lasts: the hub's history on disk.
//!
//! A record comes in, is on the disk before its agent hears so, and ends as samples in columns that are small enough to be
//! kept for months:
//!
//! ```text
//! Batch ── commit ──▶ inbox ── an hour closes ──▶ hours ── a day closes ──▶ days ── retention ──▶ gone
//!          synced      (records, as they came)     └──▶ minute and hour rollups, kept longer
//! ```
//!
//! [`Store`] is the one writer and runs on a thread of its own; any number of [`Reader`]s look on. Nothing here knows MQTT,
//! the fleet or a clock: moments are arguments. `FORMAT.md` says how the database and a chunk are laid out.

mod backup;
mod batch;
pub mod chunk;
mod column;
mod dating;
mod error;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod keys;
mod log;
mod names;
mod numbers;
mod reader;
pub mod rollup;
mod salvage;
mod samples;
mod seqs;
mod store;
mod timeline;
mod unfold;
mod view;

pub use backup::{BackupError, backup};
pub use batch::{Account, Batch, NewCatalog, NewRecord, Note};
pub use dating::dated;
pub use error::{OpenError, StoreError};
pub use log::{Cursor, Happened, LogEntry, LogPage, LogQuery};
pub use names::appliances;
pub use reader::{Reader, RunSpan, SeriesId};
pub use salvage::{Salvaged, SalvagedTable, salvage};
pub use samples::{Labels, Samples, SeriesKey};
pub use seqs::{Entry, INTERVALS, Seqs};
pub use store::{Committed, KnownAgent, Settings, Stats, Step, Store};
pub use view::Resolution;
