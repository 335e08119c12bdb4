//! The file itself: made, opened, copied.

use super::Store;
use crate::error::{Fault, StoreError};
use rusqlite::{Connection, OpenFlags};
use std::fs::{self, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The file in the data directory.
pub const FILE: &str = "access.db";
/// `RSAC`.
const APPLICATION: i64 = 0x5253_4143;
/// What this version writes.
pub(crate) const VERSION: i64 = 2;
/// The hub and the command line write one after the other.
const BUSY: Duration = Duration::from_secs(5);
/// For its owner alone.
const MODE: u32 = 0o600;

// An id is never given again: whoever is told live is looked for by it, long after it was let in.
const SCHEMA: &str = "
CREATE TABLE user (
    name TEXT PRIMARY KEY COLLATE NOCASE, role TEXT NOT NULL, sites TEXT, tags TEXT, hash TEXT NOT NULL, made_at INTEGER NOT NULL,
    issuer TEXT, subject TEXT
) STRICT;
CREATE UNIQUE INDEX user_subject ON user (issuer, subject);
CREATE TABLE session (
    id INTEGER PRIMARY KEY AUTOINCREMENT, digest BLOB NOT NULL UNIQUE, user TEXT NOT NULL COLLATE NOCASE REFERENCES user (name) ON DELETE CASCADE,
    made_at INTEGER NOT NULL, seen_at INTEGER NOT NULL, address TEXT NOT NULL, agent TEXT NOT NULL, until INTEGER
) STRICT;
CREATE INDEX session_user ON session (user);
CREATE TABLE token (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE COLLATE NOCASE, digest BLOB NOT NULL UNIQUE,
    owner TEXT COLLATE NOCASE REFERENCES user (name) ON DELETE CASCADE, scopes TEXT NOT NULL, sites TEXT, tags TEXT,
    made_at INTEGER NOT NULL, expires_at INTEGER, used_day INTEGER
) STRICT;
CREATE INDEX token_owner ON token (owner);
CREATE TABLE place (
    user TEXT NOT NULL COLLATE NOCASE REFERENCES user (name) ON DELETE CASCADE, address TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (user, address)
) STRICT, WITHOUT ROWID;
CREATE TABLE setup (id INTEGER PRIMARY KEY CHECK (id = 1), digest BLOB NOT NULL, expires_at INTEGER NOT NULL) STRICT;
CREATE TABLE note (id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL) STRICT;
CREATE TABLE passwords (id INTEGER PRIMARY KEY CHECK (id = 1), until INTEGER NOT NULL) STRICT;
";

/// From version 1, which knew no users of a provider.
const FROM_1: &str = "
ALTER TABLE user ADD COLUMN issuer TEXT;
ALTER TABLE user ADD COLUMN subject TEXT;
CREATE UNIQUE INDEX user_subject ON user (issuer, subject);
ALTER TABLE session ADD COLUMN until INTEGER;
CREATE TABLE passwords (id INTEGER PRIMARY KEY CHECK (id = 1), until INTEGER NOT NULL) STRICT;
";

pub(super) fn failed(path: &Path, error: &rusqlite::Error) -> StoreError {
    let fault = match error.sqlite_error_code() {
        // What has no code of SQLite's is a column with something else in it than was written.
        Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) | None => {
            Fault::Damaged(error.to_string())
        }
        Some(_) => Fault::Sqlite(error.to_string()),
    };
    StoreError { path: path.to_owned(), fault }
}

/// Makes an empty file that nobody else can read, if there is none. Made by root, it belongs to whom the directory belongs to: the hub.
fn make(directory: &Path, path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(MODE).open(path) {
        Ok(_) => {
            let (own, of) = (fs::metadata(path)?, fs::metadata(directory)?);
            if own.uid() != of.uid() {
                // Not root: then it is the hub's user who has to see to it, and is told when it opens the file.
                let _ = chown(path, Some(of.uid()), Some(of.gid()));
            }
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let mode = fs::metadata(path)?.permissions().mode() & 0o777;
            if mode & !MODE != 0 {
                fs::set_permissions(path, Permissions::from_mode(MODE))?;
            }
            Ok(())
        }
        Err(error) => Err(error),
    }
}

impl Store {
    /// Opens the file in this directory, or makes it.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join(FILE);
        let io = |error: io::Error| StoreError { path: path.clone(), fault: Fault::Io(error.to_string()) };
        make(directory, &path).map_err(io)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags).map_err(|error| failed(&path, &error))?;
        set_up(&connection).map_err(|error| match error {
            Opening::Sqlite(error) => failed(&path, &error),
            Opening::Fault(fault) => StoreError { path: path.clone(), fault },
        })?;
        Ok(Self { connection, path })
    }
}

enum Opening {
    Sqlite(rusqlite::Error),
    Fault(Fault),
}

impl From<rusqlite::Error> for Opening {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

fn set_up(connection: &Connection) -> Result<(), Opening> {
    connection.busy_timeout(BUSY)?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA cache_size = -512; PRAGMA secure_delete = ON;",
    )?;
    // Two who open it first at the same moment: one makes the tables, the other finds them.
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let done = make_tables(connection);
    connection.execute_batch(if done.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
    done
}

fn make_tables(connection: &Connection) -> Result<(), Opening> {
    let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (application, version) = (pragma("application_id")?, pragma("user_version")?);
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match (application, version, tables) {
        (0, 0, 0) => {
            connection.execute_batch(SCHEMA)?;
            connection.pragma_update(None, "application_id", APPLICATION)?;
            connection.pragma_update(None, "user_version", VERSION)?;
            Ok(())
        }
        (APPLICATION, 1 | VERSION, _) => {
            let said: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
            if said != "ok" {
                return Err(Opening::Fault(Fault::Damaged(said)));
            }
            if version == 1 {
                connection.execute_batch(FROM_1)?;
                connection.pragma_update(None, "user_version", VERSION)?;
            }
            Ok(())
        }
        (APPLICATION, found, _) => Err(Opening::Fault(Fault::Version(found))),
        _ => Err(Opening::Fault(Fault::Damaged("it is another program's".to_owned()))),
    }
}

/// Copies the file of a hub that may be running, if there is one. Where a copy stands already, it is replaced.
pub fn backup(from: &Path, to: &Path) -> Result<Option<PathBuf>, StoreError> {
    let path = from.join(FILE);
    if !path.exists() {
        return Ok(None);
    }
    let (copy, unfinished) = (to.join(FILE), to.join(format!("{FILE}.new")));
    let io = |error: io::Error| StoreError { path: copy.clone(), fault: Fault::Io(error.to_string()) };
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error)),
        _ => {}
    }
    // SQLite fills a file that is there and empty, and its mode stays.
    OpenOptions::new().write(true).create_new(true).mode(MODE).open(&unfinished).map_err(io)?;
    let store = Store::open(from)?;
    let name = unfinished.to_string_lossy();
    store.ask(|connection| connection.execute("VACUUM INTO ?1", [&*name]))?;
    fs::rename(&unfinished, &copy).map_err(io)?;
    Ok(Some(copy))
}
