//! Opening `identity.db`, and copying it.

use super::Store;
use crate::error::{Fault, StoreError};
use rusqlite::{Connection, OpenFlags};
use std::fs::{self, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The file in the data directory.
pub const FILE: &str = "identity.db";
/// `RSID`.
const APPLICATION: i64 = 0x5253_4944;
/// What this version writes.
pub(crate) const VERSION: i64 = 2;
/// The hub and the command line write one after the other.
const BUSY: Duration = Duration::from_secs(5);
/// For its owner alone.
const MODE: u32 = 0o600;

const SCHEMA: &str = "
CREATE TABLE code (
    id BLOB PRIMARY KEY, key BLOB NOT NULL, site TEXT NOT NULL, appliance TEXT NOT NULL, made_at INTEGER NOT NULL, expires_at INTEGER NOT NULL,
    used_by BLOB, used_at INTEGER, revoked_at INTEGER, tries INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX code_name ON code (site, appliance);
CREATE TABLE identity (
    serial BLOB PRIMARY KEY, site TEXT NOT NULL, appliance TEXT NOT NULL, key BLOB NOT NULL, certificate BLOB NOT NULL, code BLOB, parent BLOB,
    issued_at INTEGER NOT NULL, end TEXT, ended_at INTEGER, seen_at INTEGER, turned_away_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX identity_name ON identity (site, appliance);
CREATE INDEX identity_parent ON identity (parent);
";

/// What version 2 has more than version 1.
const SECOND: &str = "
CREATE TABLE commissioning (
    site TEXT NOT NULL, appliance TEXT NOT NULL, since INTEGER NOT NULL, holds INTEGER NOT NULL, PRIMARY KEY (site, appliance)
) STRICT, WITHOUT ROWID;
CREATE TABLE commissioning_step (
    site TEXT NOT NULL, appliance TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (site, appliance, kind, name)
) STRICT, WITHOUT ROWID;
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
        match set_up(&connection) {
            Ok(None) => Ok(Self { connection, path }),
            Ok(Some(fault)) => Err(StoreError { path, fault }),
            Err(error) => Err(failed(&path, &error)),
        }
    }
}

/// What is wrong with it, if it could be asked.
fn set_up(connection: &Connection) -> rusqlite::Result<Option<Fault>> {
    connection.busy_timeout(BUSY)?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -512; PRAGMA secure_delete = ON;",
    )?;
    // Two who open it first at the same moment: one makes the tables, the other finds them.
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let done = make_tables(connection);
    connection.execute_batch(if done.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
    done
}

fn make_tables(connection: &Connection) -> rusqlite::Result<Option<Fault>> {
    let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (application, version) = (pragma("application_id")?, pragma("user_version")?);
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match (application, version, tables) {
        (0, 0, 0) => {
            connection.execute_batch(SCHEMA)?;
            connection.execute_batch(SECOND)?;
            connection.pragma_update(None, "application_id", APPLICATION)?;
            connection.pragma_update(None, "user_version", VERSION)?;
            Ok(None)
        }
        (APPLICATION, 1, _) => {
            connection.execute_batch(SECOND)?;
            connection.pragma_update(None, "user_version", VERSION)?;
            Ok(None)
        }
        (APPLICATION, VERSION, _) => {
            let said: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
            Ok((said != "ok").then_some(Fault::Damaged(said)))
        }
        (APPLICATION, found, _) => Ok(Some(Fault::Version(found))),
        _ => Ok(Some(Fault::Damaged("it is another program's".to_owned()))),
    }
}

/// Copies the file of a hub that may be running, and the authority's key if it is there too: without the key a restored hub would know none of
/// its appliances. Where copies stand already, they are replaced. Returns what was copied.
pub fn backup(from: &Path, to: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let mut copied = Vec::new();
    let io = |path: &Path, error: &io::Error| StoreError {
        path: path.to_owned(),
        fault: Fault::Io(error.to_string()),
    };
    for file in [crate::authority::FILE, FILE] {
        let (path, copy, unfinished) = (from.join(file), to.join(file), to.join(format!("{file}.new")));
        if !path.exists() {
            continue;
        }
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(&unfinished, &error)),
            _ => {}
        }
        // It is filled once nobody else can read it: SQLite fills a file that is there and empty, and its mode stays.
        let made = OpenOptions::new().write(true).create_new(true).mode(MODE).open(&unfinished);
        let mut empty = made.map_err(|error| io(&unfinished, &error))?;
        if file == FILE {
            let name = unfinished.to_string_lossy();
            Store::open(from)?.ask(|connection| connection.execute("VACUUM INTO ?1", [&*name]))?;
        } else {
            let read = fs::File::open(&path).and_then(|mut key| io::copy(&mut key, &mut empty));
            read.and_then(|_| empty.sync_all()).map_err(|error| io(&path, &error))?;
        }
        fs::rename(&unfinished, &copy).map_err(|error| io(&copy, &error))?;
        copied.push(copy);
    }
    Ok(copied)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Authority;

    #[test]
    fn a_backup_has_the_key_and_is_for_its_owner_alone() {
        let [data, to] = [(); 2].map(|()| tempfile::tempdir().expect("a temporary directory"));
        assert_eq!(backup(data.path(), to.path()), Ok(Vec::new()), "nothing there yet");
        let authority = Authority::open(data.path()).expect("made");
        drop(Store::open(data.path()).expect("made"));
        for _ in 0..2 {
            let copied = backup(data.path(), to.path()).expect("copied");
            assert_eq!(copied.len(), 2);
            for path in copied {
                let mode = fs::metadata(&path).expect("it is there").permissions().mode();
                assert_eq!(mode & 0o777, 0o600, "{}", path.display());
            }
        }
        assert_eq!(Authority::open(to.path()).expect("read").key(), authority.key());
        assert!(Store::open(to.path()).is_ok());
    }

    #[test]
    fn a_file_of_the_version_before_is_taken_on_with_all_that_is_in_it() {
        let data = tempfile::tempdir().expect("a temporary directory");
        make(data.path(), &data.path().join(FILE)).expect("made");
        let connection = Connection::open(data.path().join(FILE)).expect("opened");
        connection.execute_batch(SCHEMA).expect("the tables of version 1");
        connection.pragma_update(None, "application_id", APPLICATION).expect("written");
        connection.pragma_update(None, "user_version", 1).expect("written");
        let row = "INSERT INTO code (id, key, site, appliance, made_at, expires_at) VALUES (x'01', x'02', 'hall', 'rack-1', 1, 2)";
        connection.execute(row, []).expect("written");
        drop(connection);
        for _ in 0..2 {
            let store = Store::open(data.path()).expect("taken on");
            assert_eq!(store.codes().expect("read").len(), 1);
            assert_eq!(store.commissionings(), Ok(Vec::new()));
        }
    }

    #[test]
    fn a_file_that_is_not_whole_is_an_error_and_never_an_empty_one() {
        let data = tempfile::tempdir().expect("a temporary directory");
        fs::write(data.path().join(FILE), vec![7; 8192]).expect("written");
        let error = Store::open(data.path()).expect_err("damaged");
        assert!(matches!(error.fault, Fault::Damaged(_)), "{error}");
        fs::remove_file(data.path().join(FILE)).expect("removed");
        let store = Store::open(data.path()).expect("made");
        store.connection.pragma_update(None, "user_version", 9).expect("written");
        drop(store);
        assert_eq!(Store::open(data.path()).expect_err("newer").fault, Fault::Version(9));
    }
}
