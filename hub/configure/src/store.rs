//! `configuration.db`: the text that each appliance is to run on, its revision, and what became of it, in one SQLite file for the hub's user alone.
//!
//! The command line works on it beside a running hub, which looks whether it has changed. Each change is one transaction, synced before it returns: a
//! revision that was given is never given again after a power cut.
//!
//! ```text
//! configuration   site, appliance    revision, text    applied    state, why, since
//! ```

use crate::error::{Fault, StoreError};
use crate::outcome::{Outcome, State};
use rackside_proto::{Adopted, AgentName};
use rusqlite::types::Type;
use rusqlite::{
    Connection, OpenFlags, OptionalExtension as _, Row, Transaction, TransactionBehavior, params,
};
use std::fs::{self, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The file in the data directory.
pub const FILE: &str = "configuration.db";
/// `RSCF`.
const APPLICATION: i64 = 0x5253_4346;
/// What this version writes.
pub(crate) const VERSION: i64 = 1;
/// The hub and the command line write one after the other.
const BUSY: Duration = Duration::from_secs(5);
/// For its owner alone.
const MODE: u32 = 0o600;

const SCHEMA: &str = "
CREATE TABLE configuration (
    site TEXT NOT NULL, appliance TEXT NOT NULL, revision INTEGER NOT NULL, text TEXT NOT NULL, applied INTEGER NOT NULL,
    state TEXT NOT NULL, why TEXT NOT NULL, since_ms INTEGER NOT NULL, PRIMARY KEY (site, appliance)
) STRICT, WITHOUT ROWID;
";
const OUTCOME: &str = "revision, applied, state, why, since_ms";

/// The open file.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    path: PathBuf,
}

fn failed(path: &Path, error: &rusqlite::Error) -> StoreError {
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

/// What is wrong with it, if it could be asked.
fn set_up(connection: &Connection) -> rusqlite::Result<Option<Fault>> {
    connection.busy_timeout(BUSY)?;
    connection
        .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -512;")?;
    // Two who open it first at the same moment: one makes the table, the other finds it.
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let done = make_table(connection);
    connection.execute_batch(if done.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
    done
}

fn make_table(connection: &Connection) -> rusqlite::Result<Option<Fault>> {
    let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (application, version) = (pragma("application_id")?, pragma("user_version")?);
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match (application, version, tables) {
        (0, 0, 0) => {
            connection.execute_batch(SCHEMA)?;
            connection.pragma_update(None, "application_id", APPLICATION)?;
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

fn read_name(row: &Row<'_>) -> rusqlite::Result<AgentName> {
    let (site, appliance): (String, String) = (row.get(0)?, row.get(1)?);
    AgentName::new(&site, &appliance)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, error.into()))
}

fn read_outcome(row: &Row<'_>, at: usize) -> rusqlite::Result<Outcome> {
    let word: String = row.get(at + 2)?;
    let state = State::read(&word).ok_or_else(|| {
        let error = format!("{word:?} is no state");
        rusqlite::Error::FromSqlConversionFailure(at + 2, Type::Text, error.into())
    })?;
    let (wanted, applied) = (row.get(at)?, row.get(at + 1)?);
    Ok(Outcome { wanted, applied, state, why: row.get(at + 3)?, since_ms: row.get(at + 4)? })
}

fn outcome(of: &Connection, name: &AgentName) -> rusqlite::Result<Option<Outcome>> {
    let sql = format!("SELECT {OUTCOME} FROM configuration WHERE site = ?1 AND appliance = ?2");
    let names = [name.site.as_str(), name.appliance.as_str()];
    of.prepare_cached(&sql)?.query_row(names, |row| read_outcome(row, 0)).optional()
}

/// Writes all but the text.
fn put(transaction: &Transaction, name: &AgentName, outcome: &Outcome) -> rusqlite::Result<()> {
    let Outcome { wanted, applied, state, why, since_ms } = outcome;
    let row =
        params![name.site.as_str(), name.appliance.as_str(), wanted, applied, state.as_str(), why, since_ms];
    transaction
        .prepare_cached(
            "INSERT INTO configuration (site, appliance, revision, text, applied, state, why, since_ms)
             VALUES (?1, ?2, ?3, '', ?4, ?5, ?6, ?7)
             ON CONFLICT DO UPDATE SET revision = ?3, applied = ?4, state = ?5, why = ?6, since_ms = ?7",
        )?
        .execute(row)
        .map(drop)
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

    fn ask<T>(&self, what: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        what(&self.connection).map_err(|error| failed(&self.path, &error))
    }

    fn change<T>(&mut self, what: impl FnOnce(&Transaction) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let failed = |error: rusqlite::Error| failed(&self.path, &error);
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let done = what(&transaction).map_err(failed)?;
        transaction.commit().map_err(failed)?;
        Ok(done)
    }

    /// A number that is another one whenever somebody else has changed the file.
    pub fn version(&self) -> Result<i64, StoreError> {
        self.ask(|connection| connection.pragma_query_value(None, "data_version", |row| row.get(0)))
    }

    /// Has an appliance run on a text, which was [checked](crate::check), and says under which revision. The text that it runs on already, or that is
    /// on its way, keeps the one it has; one that has failed is tried again under another. `None` if there are no more revisions.
    pub fn want(&mut self, name: &AgentName, text: &str, now: i64) -> Result<Option<u32>, StoreError> {
        self.change(|transaction| {
            let mut outcome = outcome(transaction, name)?.unwrap_or_else(|| Outcome::unknown(now));
            let known = written(transaction, name)?;
            if known.is_some_and(|(_, known)| known == text) && !outcome.state.is_failure() {
                return Ok(Some(outcome.wanted));
            }
            let Some(revision) = outcome.next() else { return Ok(None) };
            outcome = Outcome { wanted: revision, applied: outcome.applied, ..Outcome::unknown(now) };
            put(transaction, name, &outcome)?;
            transaction.execute(
                "UPDATE configuration SET text = ?3 WHERE site = ?1 AND appliance = ?2",
                params![name.site.as_str(), name.appliance.as_str(), text],
            )?;
            Ok(Some(revision))
        })
    }

    /// What is known of an appliance.
    pub fn outcome(&self, name: &AgentName) -> Result<Option<Outcome>, StoreError> {
        self.ask(|connection| outcome(connection, name))
    }

    /// The revision and the text that an appliance is to run on.
    pub fn wanted(&self, name: &AgentName) -> Result<Option<(u32, String)>, StoreError> {
        self.ask(|connection| written(connection, name))
    }

    /// An appliance was born: it runs on this revision, and takes others or does not. What is known of it now, unless that is nothing.
    pub fn runs(
        &mut self,
        name: &AgentName,
        revision: u32,
        takes: bool,
        now: i64,
    ) -> Result<Option<Outcome>, StoreError> {
        self.turn(name, revision != 0, now, |outcome| outcome.runs(revision, takes, now))
    }

    /// An appliance told what became of a revision.
    pub fn became(
        &mut self,
        name: &AgentName,
        (revision, adopted, why): (u32, Adopted, &str),
        now: i64,
    ) -> Result<Option<Outcome>, StoreError> {
        self.turn(name, false, now, |outcome| outcome.became(revision, adopted, why, now))
    }

    /// Changes what is known of an appliance; begins with nothing known if `begins`, and else leaves out who is not known. Writes only what is another.
    fn turn(
        &mut self,
        name: &AgentName,
        begins: bool,
        now: i64,
        change: impl FnOnce(&mut Outcome),
    ) -> Result<Option<Outcome>, StoreError> {
        let known = self.ask(|connection| outcome(connection, name))?;
        if known.is_none() && !begins {
            return Ok(None);
        }
        let mut fresh = known.clone().unwrap_or_else(|| Outcome::unknown(now));
        change(&mut fresh);
        if known.as_ref() != Some(&fresh) {
            self.change(|transaction| put(transaction, name, &fresh))?;
        }
        Ok(Some(fresh))
    }

    /// Nothing is known of an appliance any more, and nothing is wanted of it. Says whether there was something.
    pub fn forget(&mut self, name: &AgentName) -> Result<bool, StoreError> {
        self.change(|transaction| {
            let gone = transaction.execute(
                "DELETE FROM configuration WHERE site = ?1 AND appliance = ?2",
                [name.site.as_str(), name.appliance.as_str()],
            )?;
            Ok(gone > 0)
        })
    }

    /// Everybody of whom something is known, by name.
    pub fn all(&self) -> Result<Vec<(AgentName, Outcome)>, StoreError> {
        let sql = format!("SELECT site, appliance, {OUTCOME} FROM configuration ORDER BY site, appliance");
        self.ask(|connection| {
            let mut select = connection.prepare_cached(&sql)?;
            select.query_map([], |row| Ok((read_name(row)?, read_outcome(row, 2)?)))?.collect()
        })
    }
}

fn written(of: &Connection, name: &AgentName) -> rusqlite::Result<Option<(u32, String)>> {
    of.prepare_cached(
        "SELECT revision, text FROM configuration WHERE site = ?1 AND appliance = ?2 AND revision > 0",
    )?
    .query_row([name.site.as_str(), name.appliance.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
    .optional()
}

/// Copies the file of a hub that may be running. Where a copy stands already, it is replaced. Returns what was copied.
pub fn backup(from: &Path, to: &Path) -> Result<Option<PathBuf>, StoreError> {
    let (path, copy, unfinished) = (from.join(FILE), to.join(FILE), to.join(format!("{FILE}.new")));
    let io = |error: io::Error| StoreError { path: unfinished.clone(), fault: Fault::Io(error.to_string()) };
    if !path.exists() {
        return Ok(None);
    }
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error)),
        _ => {}
    }
    // It is filled once nobody else can read it: SQLite fills a file that is there and empty, and its mode stays.
    OpenOptions::new().write(true).create_new(true).mode(MODE).open(&unfinished).map_err(io)?;
    let name = unfinished.to_string_lossy();
    Store::open(from)?.ask(|connection| connection.execute("VACUUM INTO ?1", [&*name]))?;
    fs::rename(&unfinished, &copy).map_err(io)?;
    Ok(Some(copy))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_219_200_000;

    fn name(appliance: &str) -> AgentName {
        AgentName::new("hall", appliance).expect("a name")
    }

    #[test]
    fn revisions_only_rise_and_the_same_text_keeps_its_own() {
        let data = tempfile::tempdir().expect("a temporary directory");
        let mut store = Store::open(data.path()).expect("made");
        let rack = name("rack-1");
        assert_eq!(store.wanted(&rack), Ok(None));
        assert_eq!(store.want(&rack, "tick = \"5s\"\n", NOW), Ok(Some(1)));
        assert_eq!(store.want(&rack, "tick = \"5s\"\n", NOW), Ok(Some(1)), "it is on its way");
        assert_eq!(store.want(&rack, "tick = \"6s\"\n", NOW), Ok(Some(2)));
        assert_eq!(store.want(&name("rack-2"), "", NOW), Ok(Some(1)), "each has its own");
        drop(store);
        let mut store = Store::open(data.path()).expect("opened");
        assert_eq!(store.wanted(&rack), Ok(Some((2, "tick = \"6s\"\n".to_owned()))));
        store.became(&rack, (2, Adopted::Refused, "line 1"), NOW + 1).expect("written");
        assert_eq!(store.want(&rack, "tick = \"6s\"\n", NOW + 2), Ok(Some(3)), "to be tried again");
        let all = store.all().expect("read");
        assert_eq!(all[0], (rack, Outcome { wanted: 3, since_ms: NOW + 2, ..Outcome::unknown(NOW) }));
        assert_eq!(all.len(), 2);
    }

    #[test]
    fn what_an_appliance_says_is_kept_and_a_stranger_leaves_nothing() {
        let data = tempfile::tempdir().expect("a temporary directory");
        let mut store = Store::open(data.path()).expect("made");
        let rack = name("rack-1");
        assert_eq!(store.runs(&rack, 0, true, NOW), Ok(None));
        assert_eq!(store.became(&rack, (3, Adopted::Applied, ""), NOW), Ok(None));
        assert_eq!(store.all(), Ok(Vec::new()));
        // It runs on something that this hub, restored from a backup, does not know.
        let known = store.runs(&rack, 7, true, NOW).expect("written").expect("worth knowing");
        assert_eq!((known.wanted, known.applied, known.is_pending()), (0, 7, false));
        assert_eq!(store.wanted(&rack), Ok(None));
        assert_eq!(store.want(&rack, "", NOW), Ok(Some(8)));
        store.runs(&rack, 8, true, NOW + 5).expect("written");
        let outcome = store.all().expect("read").remove(0).1;
        assert_eq!((outcome.state, outcome.since_ms), (State::Applied, NOW + 5));
        assert_eq!((store.forget(&rack), store.forget(&rack)), (Ok(true), Ok(false)));
    }

    #[test]
    fn somebody_elses_change_is_seen() {
        let data = tempfile::tempdir().expect("a temporary directory");
        let store = Store::open(data.path()).expect("made");
        let before = store.version();
        Store::open(data.path()).expect("opened").want(&name("rack-1"), "", NOW).expect("written");
        assert_ne!(store.version(), before);
    }

    #[test]
    fn a_backup_is_whole_and_for_its_owner_alone() {
        let [data, to] = [(); 2].map(|()| tempfile::tempdir().expect("a temporary directory"));
        assert_eq!(backup(data.path(), to.path()), Ok(None), "nothing there yet");
        Store::open(data.path()).expect("made").want(&name("rack-1"), "x = 1\n", NOW).expect("written");
        for _ in 0..2 {
            let copy = backup(data.path(), to.path()).expect("copied").expect("there is one");
            let mode = fs::metadata(copy).expect("it is there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        let wanted = Store::open(to.path()).expect("opened").wanted(&name("rack-1"));
        assert_eq!(wanted, Ok(Some((1, "x = 1\n".to_owned()))));
    }

    #[test]
    fn a_file_that_is_not_whole_is_an_error_and_never_an_empty_one() {
        let data = tempfile::tempdir().expect("a temporary directory");
        fs::write(data.path().join(FILE), vec![7; 8192]).expect("written");
        assert!(matches!(Store::open(data.path()).expect_err("damaged").fault, Fault::Damaged(_)));
        fs::remove_file(data.path().join(FILE)).expect("removed");
        let store = Store::open(data.path()).expect("made");
        store.connection.pragma_update(None, "user_version", 9).expect("written");
        drop(store);
        assert_eq!(Store::open(data.path()).expect_err("newer").fault, Fault::Version(9));
    }
}
