//! Who changed what: written with each change, so that the command line's are told in the hub's log as well.

use super::Store;
use crate::error::ChangeError;
use rackside_store::StoreError;
use rusqlite::{Connection, params};

/// So many are kept.
const KEPT: i64 = 1000;

/// A change that somebody made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Rises by one.
    pub id: i64,
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// Who.
    pub who: String,
    /// What, without a secret: `added the user desk, operator`.
    pub what: String,
}

pub(super) fn write(connection: &Connection, at: i64, who: &str, what: &str) -> rusqlite::Result<()> {
    connection.execute("INSERT INTO note (at, who, what) VALUES (?1, ?2, ?3)", params![at, who, what])?;
    connection.execute("DELETE FROM note WHERE id <= (SELECT max(id) FROM note) - ?1", [KEPT])?;
    Ok(())
}

impl Store {
    /// Notes what somebody changed that does not stand here: `made a code for hall/rack-1`.
    pub fn note(&mut self, who: &str, what: &str, now: i64) -> Result<(), ChangeError> {
        self.change(|transaction| Ok(write(transaction, now, who, what)?))
    }

    /// What was changed after this note, oldest first.
    pub fn notes_after(&self, id: i64) -> Result<Vec<Note>, StoreError> {
        self.file.ask(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT id, at, who, what FROM note WHERE id > ?1 ORDER BY id")?;
            let note = |row: &rusqlite::Row<'_>| {
                Ok(Note { id: row.get(0)?, at: row.get(1)?, who: row.get(2)?, what: row.get(3)? })
            };
            statement.query_map([id], note)?.collect()
        })
    }

    /// The newest note's number; 0 without any.
    pub fn last_note(&self) -> Result<i64, StoreError> {
        self.file.ask(|connection| {
            connection.query_row("SELECT coalesce(max(id), 0) FROM note", [], |row| row.get(0))
        })
    }
}
