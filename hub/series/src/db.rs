//! `hub.db`: what the hub makes and must not forget. One SQLite file beside the history, with two tenants: the series that the hub makes
//! (`kept.rs`), and whatever state its parts save under a name.
//!
//! Not the history: what agents sent stands in `history.db`, and is worth more. A `hub.db` that is damaged is put aside by a person;
//! until then the hub works without it.
//!
//! ```text
//! state    key → bytes                                 `alerts` → what the rules engine wrote
//! series   id, metric, labels, the last hour of it
//! fresh    hour, samples of all series since the last flush
//! hours    hour, series → its samples
//! ```

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The file in the data directory.
pub const FILE: &str = "hub.db";
/// `RSHD`.
const APPLICATION: i64 = 0x5253_4844;
const VERSION: i64 = 1;
/// Pages that are held in memory, for each of the two ways in; SQLite counts KiB below zero.
const CACHE: i64 = -1024;
/// So many damaged rows are told apart, and as many are told that nobody has asked for yet.
const DAMAGED: usize = 1000;
/// Another process, such as a backup, may be at it for so long.
const BUSY: Duration = Duration::from_secs(5);

const SCHEMA: &str = "
CREATE TABLE state (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID, STRICT;
CREATE TABLE series (id INTEGER PRIMARY KEY, metric TEXT NOT NULL, labels TEXT NOT NULL UNIQUE, last_hour INTEGER NOT NULL) STRICT;
CREATE INDEX series_metric ON series (metric);
CREATE TABLE fresh (id INTEGER PRIMARY KEY, hour INTEGER NOT NULL, samples BLOB NOT NULL) STRICT;
CREATE INDEX fresh_hour ON fresh (hour);
CREATE TABLE hours (hour INTEGER NOT NULL, series INTEGER NOT NULL, samples BLOB NOT NULL, PRIMARY KEY (hour, series)) WITHOUT ROWID, STRICT;
";

/// Why `hub.db` did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HubDbError {
    /// A newer hub wrote it.
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema's version.
        found: i64,
    },
    /// It is a database of something else.
    Other {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be read or written.
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What was said.
        what: String,
    },
    /// Something in it is not what was written.
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where it shows.
        what: String,
    },
}

impl fmt::Display for HubDbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newer { path, found } => write!(
                f,
                "{}: a newer hub wrote it (version {found}, this one knows {VERSION}); use that hub, or move the file away",
                path.display()
            ),
            Self::Other { path } => write!(f, "{}: is no database of a hub's; move it away", path.display()),
            Self::Sqlite { path, what } => write!(f, "{}: {what}", path.display()),
            Self::Damaged { path, what } => write!(
                f,
                "{}: damaged ({what}); stop the hub, move the file away, and it begins a new one",
                path.display()
            ),
        }
    }
}

impl std::error::Error for HubDbError {}

/// The open database. Who writes waits for who writes, who asks for who asks, and neither for the other.
#[derive(Debug)]
pub struct HubDb {
    path: PathBuf,
    // Ahead of the other, which is closed last: only who may write can leave a file that stands alone.
    asking: Mutex<Connection>,
    connection: Mutex<Connection>,
    damage: Mutex<Damage>,
}

/// Table, and which row of it.
type Row = (&'static str, i64, i64);

/// Rows that cannot be read.
#[derive(Debug, Default)]
struct Damage {
    rows: HashSet<Row>,
    untold: Vec<String>,
}

impl HubDb {
    /// Opens `hub.db` in `directory`, or makes it.
    pub fn open(directory: &Path) -> Result<Self, HubDbError> {
        let path = directory.join(FILE);
        let failed = |error: rusqlite::Error| sqlite(&path, &error);
        let connection = Connection::open(&path).map_err(failed)?;
        connection.busy_timeout(BUSY).map_err(failed)?;
        let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let (application, version) =
            (pragma("application_id").map_err(failed)?, pragma("user_version").map_err(failed)?);
        let tables: i64 = connection
            .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
            .map_err(failed)?;
        match (application, version, tables) {
            (0, 0, 0) => {
                let make = format!(
                    "PRAGMA journal_mode = WAL; BEGIN; {SCHEMA} PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}; COMMIT;"
                );
                connection.execute_batch(&make).map_err(failed)?;
            }
            (APPLICATION, VERSION, _) => {}
            (APPLICATION, found, _) => return Err(HubDbError::Newer { path, found }),
            _ => return Err(HubDbError::Other { path }),
        }
        connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;").map_err(failed)?;
        connection.pragma_update(None, "cache_size", CACHE).map_err(failed)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let asking = Connection::open_with_flags(&path, flags).map_err(failed)?;
        asking.busy_timeout(BUSY).map_err(failed)?;
        asking.pragma_update(None, "cache_size", CACHE).map_err(failed)?;
        let damage = Mutex::default();
        Ok(Self { path, asking: Mutex::new(asking), connection: Mutex::new(connection), damage })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What was saved under `key`.
    pub fn state_load(&self, key: &str) -> Result<Option<Vec<u8>>, HubDbError> {
        self.with(|db| {
            db.prepare_cached("SELECT value FROM state WHERE key = ?1")?
                .query_row([key], |row| row.get(0))
                .optional()
        })
    }

    /// Saves `bytes` under `key`, in place of what was there: all of it or nothing.
    pub fn state_save(&self, key: &str, bytes: &[u8]) -> Result<(), HubDbError> {
        self.with(|db| {
            db.prepare_cached("INSERT OR REPLACE INTO state (key, value) VALUES (?1, ?2)")?
                .execute(params![key, bytes])
                .map(|_| ())
        })
    }

    pub(crate) fn with<T>(
        &self,
        ask: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, HubDbError> {
        ask(&mut lock(&self.connection)).map_err(|error| sqlite(&self.path, &error))
    }

    /// Reads, while others may write.
    pub(crate) fn ask<T>(
        &self,
        ask: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, HubDbError> {
        ask(&lock(&self.asking)).map_err(|error| sqlite(&self.path, &error))
    }

    /// How many damaged rows were met; each counts once.
    pub fn damaged_rows(&self) -> u64 {
        self.damage.lock().unwrap_or_else(PoisonError::into_inner).rows.len() as u64
    }

    /// What is wrong with the rows that were met since this was last asked.
    pub fn new_damage(&self) -> Vec<String> {
        std::mem::take(&mut self.damage.lock().unwrap_or_else(PoisonError::into_inner).untold)
    }

    /// A row is left out of an answer.
    pub(crate) fn spoilt(&self, row: Row, what: &str) {
        let mut damage = self.damage.lock().unwrap_or_else(PoisonError::into_inner);
        if damage.rows.len() < DAMAGED && damage.rows.insert(row) {
            let (table, id, hour) = row;
            let hour = if table == "hours" { format!(", hour {hour}") } else { String::new() };
            damage.untold.push(format!("row {id}{hour} of {table}: {what}"));
        }
    }

    pub(crate) fn damaged(&self, what: impl fmt::Display) -> HubDbError {
        HubDbError::Damaged { path: self.path.clone(), what: what.to_string() }
    }
}

fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Copies `data/hub.db` to `target/hub.db`, in place of an older copy there; the hub may run. Nothing, if there is none.
pub fn backup(data: &Path, target: &Path) -> Result<Option<PathBuf>, HubDbError> {
    let (source, copy) = (data.join(FILE), target.join(FILE));
    if !source.exists() {
        return Ok(None);
    }
    let partial = target.join("hub.db.partial");
    let io = |error: std::io::Error| HubDbError::Sqlite { path: copy.clone(), what: error.to_string() };
    if partial.exists() {
        std::fs::remove_file(&partial).map_err(io)?;
    }
    let db = HubDb::open(data)?;
    let to = partial.to_string_lossy().into_owned();
    db.with(|connection| connection.execute("VACUUM INTO ?1", [to]))?;
    std::fs::rename(&partial, &copy).map_err(io)?;
    Ok(Some(copy))
}

fn sqlite(path: &Path, error: &rusqlite::Error) -> HubDbError {
    let path = path.to_owned();
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) | None => {
            HubDbError::Damaged { path, what: error.to_string() }
        }
        Some(_) => HubDbError::Sqlite { path, what: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_is_there_after_a_restart_and_replaced_as_a_whole() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let db = HubDb::open(directory.path()).expect("it opens");
        assert_eq!(db.state_load("alerts"), Ok(None));
        db.state_save("alerts", b"one").expect("it is written");
        db.state_save("alerts", b"other").expect("it is written");
        drop(db);
        let db = HubDb::open(directory.path()).expect("it opens again");
        assert_eq!(db.state_load("alerts"), Ok(Some(b"other".to_vec())));
    }

    #[test]
    fn who_asks_keeps_nobody_from_writing() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let db = HubDb::open(directory.path()).expect("it opens");
        let tables = db.ask(|asking| {
            let mut select = asking.prepare("SELECT name FROM sqlite_schema")?;
            let mut rows = select.query([])?;
            assert!(rows.next()?.is_some());
            db.state_save("alerts", b"one").expect("it is written meanwhile");
            asking.execute("DELETE FROM state", []).expect_err("it only reads");
            Ok(())
        });
        assert_eq!(tables, Ok(()));
        drop(db);
        let left = std::fs::read_dir(directory.path()).expect("it is there").count();
        assert_eq!(left, 1, "no journal is left beside it");
    }

    #[test]
    fn a_backup_is_a_whole_copy_and_is_made_while_the_hub_works() {
        let (data, target) = (tempfile::tempdir().expect("one"), tempfile::tempdir().expect("another"));
        assert_eq!(backup(data.path(), target.path()), Ok(None));
        let db = HubDb::open(data.path()).expect("it opens");
        for state in [b"one", b"two"] {
            db.state_save("alerts", state).expect("it is written");
            let copy = backup(data.path(), target.path()).expect("it is copied");
            assert_eq!(copy, Some(target.path().join(FILE)));
            let copy = HubDb::open(target.path()).expect("it opens");
            assert_eq!(copy.state_load("alerts"), Ok(Some(state.to_vec())));
        }
    }

    #[test]
    fn what_is_no_database_or_a_newer_one_is_refused_and_left_alone() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join(FILE);
        let rubbish = b"this is not a database at all, and long enough to be taken for a page";
        std::fs::write(&path, rubbish).expect("it is written");
        let error = HubDb::open(directory.path()).expect_err("no database").to_string();
        assert!(error.contains("hub.db: damaged") && error.contains("move the file away"), "{error}");
        assert_eq!(std::fs::read(&path).expect("it is there"), rubbish);
        std::fs::remove_file(&path).expect("it is there");
        drop(HubDb::open(directory.path()).expect("a new one"));
        Connection::open(&path)
            .and_then(|db| db.execute_batch("PRAGMA user_version = 9"))
            .expect("it is set");
        let error = HubDb::open(directory.path()).expect_err("newer");
        assert_eq!(error, HubDbError::Newer { path, found: 9 });
    }
}
