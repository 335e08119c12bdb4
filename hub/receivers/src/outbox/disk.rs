//! `notify.db`: what is left of the queues after a restart, and the notifier's state with it, in one SQLite file.
//!
//! Not the truth: that is in memory, and a file that fell behind is written anew from there. A file that is damaged, or that another version
//! wrote, is set aside under another name, and a new one begins.
//!
//! Invariant: each call is one transaction, synced before it returns.
//!
//! ```text
//! kept      the notifier's state, the last id
//! waiting   id, receiver, since when, tries, not before, message as JSON
//! failed    id, receiver, when, how, why, message as JSON        50 a receiver
//! ```

use super::queue::{Change, End, FAILURES, Failure, Memory, Queue, Queued};
use rackside_notify::Message;
use rackside_store::CopyError;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The file in the data directory.
pub const FILE: &str = "notify.db";
/// `RSNB`.
const APPLICATION: i64 = 0x5253_4e42;
const VERSION: i64 = 1;
/// Another process, such as a backup, may be at it for so long.
const BUSY: Duration = Duration::from_secs(2);

const SCHEMA: &str = "
CREATE TABLE kept (id INTEGER PRIMARY KEY CHECK (id = 1), state BLOB, last_id INTEGER NOT NULL) STRICT;
CREATE TABLE waiting (id INTEGER PRIMARY KEY, receiver TEXT NOT NULL, at INTEGER NOT NULL, tries INTEGER NOT NULL, not_before INTEGER NOT NULL, message BLOB NOT NULL) STRICT;
CREATE TABLE failed (id INTEGER PRIMARY KEY, receiver TEXT NOT NULL, at INTEGER NOT NULL, given_up INTEGER NOT NULL, why TEXT NOT NULL, message BLOB NOT NULL) STRICT;
CREATE INDEX failed_receiver ON failed (receiver, id);
";

/// Why the file did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DiskError {
    /// It cannot be used, and never will.
    Unusable(String),
    /// Not now.
    Sqlite(String),
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unusable(what) | Self::Sqlite(what) => f.write_str(what),
        }
    }
}

impl From<rusqlite::Error> for DiskError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            // What has no code of SQLite's is a column of another type than was written.
            Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) | None => {
                Self::Unusable(error.to_string())
            }
            Some(_) => Self::Sqlite(error.to_string()),
        }
    }
}

/// The open file.
#[derive(Debug)]
pub(super) struct Disk(Connection);

impl Disk {
    /// Opens the file in `directory`, or makes it, and reads what is in it.
    pub(super) fn open(directory: &Path) -> Result<(Self, Memory), DiskError> {
        let connection = Connection::open(directory.join(FILE))?;
        connection.busy_timeout(BUSY)?;
        let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let (application, version) = (pragma("application_id")?, pragma("user_version")?);
        let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        match (application, version, tables) {
            (0, 0, 0) => connection.execute_batch(&format!(
                "PRAGMA journal_mode = WAL; BEGIN; {SCHEMA} PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}; COMMIT;"
            ))?,
            (APPLICATION, VERSION, _) => {
                let said: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
                if said != "ok" {
                    return Err(DiskError::Unusable(said));
                }
            }
            (APPLICATION, found, _) => {
                return Err(DiskError::Unusable(format!(
                    "another version of the hub wrote it (version {found}, this one knows {VERSION})"
                )));
            }
            _ => return Err(DiskError::Unusable("is no outbox of a hub's".to_owned())),
        }
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -1024; PRAGMA journal_size_limit = 8388608;",
        )?;
        let memory = read(&connection)?;
        Ok((Self(connection), memory))
    }

    /// Writes what changed, and the state if there is a new one.
    pub(super) fn write(
        &mut self,
        state: Option<&[u8]>,
        last_id: u64,
        changes: &[Change],
    ) -> Result<(), DiskError> {
        let transaction = self.0.transaction()?;
        if let Some(state) = state {
            keep(&transaction, Some(state), last_id)?;
        }
        for change in changes {
            write(&transaction, change)?;
        }
        Ok(transaction.commit()?)
    }

    /// Writes everything anew.
    pub(super) fn rewrite(&mut self, memory: &Memory) -> Result<(), DiskError> {
        let transaction = self.0.transaction()?;
        transaction.execute_batch("DELETE FROM waiting; DELETE FROM failed;")?;
        keep(&transaction, memory.state.as_deref(), memory.last_id)?;
        for queue in memory.queues.values() {
            for queued in &queue.waiting {
                insert(&transaction, queued)?;
            }
            for failure in &queue.failures {
                shelve(&transaction, failure)?;
            }
        }
        Ok(transaction.commit()?)
    }

    /// Lets it grow to this size and no further, as on a disk that is full.
    #[cfg(test)]
    pub(super) fn at_most(&self, pages: i64) {
        self.0.pragma_update(None, "max_page_count", pages).expect("it is set");
    }

    /// How large it is, in pages.
    #[cfg(test)]
    pub(super) fn pages(&self) -> i64 {
        self.0.pragma_query_value(None, "page_count", |row| row.get(0)).expect("it is known")
    }
}

/// Moves the file, and what SQLite keeps beside it, out of the way; where to.
pub(super) fn set_aside(directory: &Path, now: i64) -> std::io::Result<PathBuf> {
    let aside = directory.join(format!("{FILE}.damaged-{now}"));
    std::fs::rename(directory.join(FILE), &aside)?;
    for beside in ["-wal", "-shm"] {
        let from = directory.join(format!("{FILE}{beside}"));
        if from.exists() {
            std::fs::rename(from, directory.join(format!("{FILE}.damaged-{now}{beside}")))?;
        }
    }
    Ok(aside)
}

/// Why there is no copy.
#[derive(Debug)]
pub struct BackupError {
    path: PathBuf,
    what: String,
}

impl fmt::Display for BackupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: cannot be copied: {}", self.path.display(), self.what)
    }
}

impl std::error::Error for BackupError {}

/// Copies `data/notify.db` to `target/notify.db`, in place of an older copy there; the hub may run. Nothing, if there is none. What waits is not in
/// the copy: by the time that it is restored, nobody should be woken by it.
pub fn backup(data: &Path, target: &Path) -> Result<Option<PathBuf>, BackupError> {
    let forget = |copy: &Path| Connection::open(copy)?.execute_batch("DELETE FROM waiting");
    let copied = rackside_store::copy(data, target, FILE, forget);
    copied.map_err(|CopyError { path, what }| BackupError { path, what })
}

fn keep(transaction: &Transaction<'_>, state: Option<&[u8]>, last_id: u64) -> rusqlite::Result<()> {
    let mut insert =
        transaction.prepare_cached("INSERT OR REPLACE INTO kept (id, state, last_id) VALUES (1, ?1, ?2)")?;
    insert.execute(params![state, last_id as i64]).map(|_| ())
}

fn write(transaction: &Transaction<'_>, change: &Change) -> rusqlite::Result<()> {
    let run = |text: &str, values: &[&dyn rusqlite::ToSql]| {
        transaction.prepare_cached(text)?.execute(values).map(|_| ())
    };
    match change {
        Change::Queue(queued) => insert(transaction, queued),
        Change::Delivered { id, .. } => run("DELETE FROM waiting WHERE id = ?1", &[&(*id as i64)]),
        Change::Tried { id, tries, not_before, .. } => run(
            "UPDATE waiting SET tries = ?2, not_before = ?3 WHERE id = ?1",
            &[&(*id as i64), tries, not_before],
        ),
        Change::Fail(failure) => {
            run("DELETE FROM waiting WHERE id = ?1", &[&(failure.id as i64)])?;
            shelve(transaction, failure)?;
            run(
                "DELETE FROM failed WHERE receiver = ?1 AND id <= (SELECT id FROM failed WHERE receiver = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
                &[&&*failure.receiver, &(FAILURES as i64)],
            )
        }
    }
}

fn insert(transaction: &Transaction<'_>, queued: &Queued) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO waiting (id, receiver, at, tries, not_before, message) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            queued.id as i64,
            &*queued.receiver,
            queued.at,
            queued.tries,
            queued.not_before,
            encoded(&queued.message)
        ])
        .map(|_| ())
}

fn shelve(transaction: &Transaction<'_>, failure: &Failure) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO failed (id, receiver, at, given_up, why, message) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            failure.id as i64,
            &*failure.receiver,
            failure.at,
            failure.end == End::GivenUp,
            failure.why,
            encoded(&failure.message)
        ])
        .map(|_| ())
}

/// A message as it stands on the disk.
pub(super) fn encoded(message: &Message) -> Vec<u8> {
    serde_json::to_vec(message).expect("a message is made of what JSON has")
}

/// A message of the disk; none, if another version of the hub wrote it so that this one cannot read it.
fn decoded(receiver: &str, bytes: &[u8]) -> Option<Arc<Message>> {
    serde_json::from_slice(bytes)
        .map(Arc::new)
        .inspect_err(|error| {
            log::error!(
                "a message for {receiver} that waited on the disk cannot be read and is dropped: {error}"
            );
        })
        .ok()
}

fn read(connection: &Connection) -> Result<Memory, DiskError> {
    let mut memory = Memory::default();
    let kept = connection
        .query_row("SELECT state, last_id FROM kept", [], |row| {
            Ok((row.get::<_, Option<Vec<u8>>>(0)?, row.get::<_, i64>(1)?))
        })
        .optional()?;
    if let Some((state, last_id)) = kept {
        (memory.state, memory.last_id) = (state.map(Arc::from), last_id as u64);
    }
    let mut select =
        connection.prepare("SELECT id, receiver, at, tries, not_before, message FROM waiting ORDER BY id")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let receiver: Arc<str> = Arc::from(row.get::<_, String>(1)?);
        let body: Vec<u8> = row.get(5)?;
        let id = row.get::<_, i64>(0)? as u64;
        memory.last_id = memory.last_id.max(id);
        let Some(message) = decoded(&receiver, &body) else { continue };
        let (at, tries, not_before) = (row.get(2)?, row.get(3)?, row.get(4)?);
        memory.apply(Change::Queue(Queued {
            id,
            receiver,
            message,
            at,
            tries,
            not_before,
            bytes: body.len(),
        }));
    }
    let mut select =
        connection.prepare("SELECT id, receiver, at, given_up, why, message FROM failed ORDER BY id")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let receiver: Arc<str> = Arc::from(row.get::<_, String>(1)?);
        let Some(message) = decoded(&receiver, &row.get::<_, Vec<u8>>(5)?) else { continue };
        let end = if row.get(3)? { End::GivenUp } else { End::Refused };
        let (id, at, why) = (row.get::<_, i64>(0)? as u64, row.get(2)?, row.get(4)?);
        let queue: &mut Queue = memory.queue(&receiver);
        queue.failures.push_back(Failure { id, receiver, message, at, end, why });
    }
    Ok(memory)
}
