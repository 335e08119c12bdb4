//! What the history is made of, in numbers.

use super::Store;
use crate::StoreError;

/// For `/metrics`. Numbers of rows, and bytes on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Bytes of the database's file.
    pub bytes: u64,
    /// Of these, bytes that hold nothing and are used next.
    pub free_bytes: u64,
    /// Agents with history.
    pub agents: u64,
    /// Records that are not in chunks yet.
    pub inbox: u64,
    /// Records that nobody can date yet.
    pub undated: u64,
    /// Records that could not be understood, since the history began; the latest of them are kept.
    pub aside: u64,
    /// Records that were never dated and are too old now, since the history began.
    pub expired: u64,
    /// Samples that no chunk could hold, since the history began: more than 8 Mi of one appliance in an hour.
    pub left_out: u64,
    /// Chunks of an hour, when they were counted last.
    pub hours: u64,
    /// Chunks of a day, likewise.
    pub days: u64,
    /// Whether an agent's clock agrees with the hub's, so that old data may go.
    pub clock_confirmed: bool,
}

impl Store {
    /// Counts; reads a few pages. Chunks are counted by housekeeping when it has nothing else to do.
    pub fn stats(&self) -> Result<Stats, StoreError> {
        self.count().map_err(self.failed())
    }

    /// Counts chunks. Their tables are large, so not whenever somebody asks.
    pub(super) fn count_pieces(&mut self) -> Result<(), StoreError> {
        let count = |table: &str| {
            let sql = format!("SELECT count(*) FROM {table}");
            self.db.prepare_cached(&sql)?.query_row([], |row| row.get::<_, i64>(0)).map(|count| count as u64)
        };
        let both = || Ok((count("hours")?, count("days")?));
        self.pieces = both().map_err(self.failed())?;
        self.chunks_changed = false;
        Ok(())
    }

    fn count(&self) -> rusqlite::Result<Stats> {
        let number = |sql: &str| {
            self.db.prepare_cached(sql)?.query_row([], |row| row.get::<_, i64>(0)).map(|number| number as u64)
        };
        let page = number("PRAGMA page_size")?;
        Ok(Stats {
            bytes: number("PRAGMA page_count")? * page,
            free_bytes: number("PRAGMA freelist_count")? * page,
            agents: self.agents.iter().count() as u64,
            inbox: self.index.len() as u64,
            undated: number("SELECT count(*) FROM undated")?,
            aside: number("SELECT aside FROM meta")?,
            expired: number("SELECT expired FROM meta")?,
            left_out: number("SELECT left_out FROM meta")?,
            hours: self.pieces.0,
            days: self.pieces.1,
            clock_confirmed: self.trust.is_confirmed(),
        })
    }
}
