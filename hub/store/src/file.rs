//! What a file is, and one that is open.

use crate::error::{Fault, StoreError};
use crate::private;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The hub and the command line write one after the other.
pub(crate) const BUSY: Duration = Duration::from_secs(5);
const COMMON: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -512;";

/// What a file is.
#[derive(Debug, PartialEq, Eq)]
pub struct Form {
    /// Its name in the data directory.
    pub file: &'static str,
    /// Four letters that tell it from any other SQLite file.
    pub application: i64,
    /// What is set for a connection besides what all files have.
    pub pragmas: &'static str,
    /// The tables of a new one.
    pub tables: &'static [&'static str],
    /// What makes version 2 of version 1, version 3 of that, and so on. A new file has the last of them.
    pub upgrades: &'static [&'static str],
    /// What follows when it is damaged, and what to do: after "is damaged (…), ".
    pub damaged: &'static str,
    /// What to add when the system does not give it: after "cannot be opened: …".
    pub not_given: &'static str,
}

impl Form {
    /// The version that is written.
    pub const fn version(&self) -> i64 {
        self.upgrades.len() as i64 + 1
    }

    /// Opens the file in this directory, or makes it.
    pub fn open(&'static self, directory: &Path) -> Result<File, StoreError> {
        let path = directory.join(self.file);
        private::make(directory, &path).map_err(|error| self.not_given(&path, &error))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let opened = Connection::open_with_flags(&path, flags).and_then(|mut connection| {
            let fault = self.set_up(&mut connection)?;
            Ok((connection, fault))
        });
        match opened {
            Ok((connection, None)) => Ok(File { connection, path, form: self }),
            Ok((_, Some(fault))) => Err(StoreError { path, fault, form: self }),
            Err(error) => Err(StoreError { path, fault: Fault::from(&error), form: self }),
        }
    }

    /// What is wrong with it, if it could be asked.
    fn set_up(&self, connection: &mut Connection) -> rusqlite::Result<Option<Fault>> {
        connection.busy_timeout(BUSY)?;
        connection.execute_batch(COMMON)?;
        connection.execute_batch(self.pragmas)?;
        // Two who open it first at the same moment: one makes the tables, the other finds them.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let fault = self.make_tables(&transaction)?;
        if fault.is_none() {
            transaction.commit()?;
        }
        Ok(fault)
    }

    fn make_tables(&self, of: &Connection) -> rusqlite::Result<Option<Fault>> {
        let pragma = |name: &str| of.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let (application, version) = (pragma("application_id")?, pragma("user_version")?);
        let tables: i64 = of.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if (application, version, tables) == (0, 0, 0) {
            self.tables.iter().try_for_each(|sql| of.execute_batch(sql))?;
            of.pragma_update(None, "application_id", self.application)?;
            of.pragma_update(None, "user_version", self.version())?;
            return Ok(None);
        }
        if application != self.application {
            return Ok(Some(Fault::Damaged("it is another program's".to_owned())));
        }
        let behind = usize::try_from(version - 1).ok().and_then(|at| self.upgrades.get(at..));
        let Some(upgrades) = behind else { return Ok(Some(Fault::Version(version))) };
        let said: String = of.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if said != "ok" {
            return Ok(Some(Fault::Damaged(said)));
        }
        if !upgrades.is_empty() {
            upgrades.iter().try_for_each(|sql| of.execute_batch(sql))?;
            of.pragma_update(None, "user_version", self.version())?;
        }
        Ok(None)
    }

    /// Copies the file of a hub that may be running, if there is one. Where a copy stands already, it is replaced. Returns what was copied.
    pub fn backup(&'static self, from: &Path, to: &Path) -> Result<Option<PathBuf>, StoreError> {
        if !from.join(self.file).exists() {
            return Ok(None);
        }
        let file = self.open(from)?;
        // SQLite fills a file that is there and empty, and its mode stays.
        self.replace(to, self.file, |unfinished, empty| {
            drop(empty);
            let name = unfinished.to_string_lossy();
            file.ask(|connection| connection.execute("VACUUM INTO ?1", [&*name])).map(drop)
        })
        .map(Some)
    }

    /// Puts a private file of this name into the directory, in place of another, once `fill` has written it: it is given its path and the file itself.
    pub fn replace(
        &'static self,
        directory: &Path,
        name: &str,
        fill: impl FnOnce(&Path, fs::File) -> Result<(), StoreError>,
    ) -> Result<PathBuf, StoreError> {
        let (path, unfinished) = (directory.join(name), directory.join(format!("{name}.new")));
        let begun = private::anew(&unfinished).map_err(|error| self.not_given(&unfinished, &error))?;
        fill(&unfinished, begun)?;
        fs::rename(&unfinished, &path).map_err(|error| self.not_given(&path, &error))?;
        Ok(path)
    }

    /// That the system does not give this file, or one that goes with it.
    pub fn not_given(&'static self, path: &Path, error: &io::Error) -> StoreError {
        StoreError { path: path.to_owned(), fault: Fault::Io(error.to_string()), form: self }
    }
}

/// An open file.
#[derive(Debug)]
pub struct File {
    connection: Connection,
    path: PathBuf,
    form: &'static Form,
}

impl File {
    /// What an error of SQLite's says about this file.
    pub fn failed(&self, error: &rusqlite::Error) -> StoreError {
        StoreError { path: self.path.clone(), fault: Fault::from(error), form: self.form }
    }

    /// Asks.
    pub fn ask<T>(&self, what: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        what(&self.connection).map_err(|error| self.failed(&error))
    }

    /// Changes: all of it or nothing.
    pub fn change<T>(
        &mut self,
        what: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.attempt(what).map_err(|error| self.failed(&error))
    }

    /// Changes, unless `what` has something against it: all of it or nothing.
    pub fn attempt<T, E: From<rusqlite::Error>>(
        &mut self,
        what: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = what(&transaction)?;
        transaction.commit()?;
        Ok(done)
    }

    /// A number that is another one whenever somebody else has changed the file.
    pub fn version(&self) -> Result<i64, StoreError> {
        self.ask(|connection| connection.pragma_query_value(None, "data_version", |row| row.get(0)))
    }
}
