//! Tables of chunks: one blob for each piece of time and agent.
//!
//! A blob that fails its checksum is put aside and the rest goes on: one bad hour of one agent is not worth the others.

use super::commit::put_aside;
use crate::Samples;
use crate::chunk::{Chunk, Directory};
use crate::keys::parts;
use crate::rollup::{self, Rollup};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::{BTreeSet, HashMap};

/// A table, and the name of its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) column: &'static str,
}

/// Chunks of an hour.
pub(crate) const HOURS: Table = Table { name: "hours", column: "chunk" };
/// Chunks of a day.
pub(crate) const DAYS: Table = Table { name: "days", column: "chunk" };
/// Rollups by the minute, of a day.
pub(crate) const MINUTES: Table = Table { name: "minutes", column: "rollup" };
/// Rollups by the hour, of a month.
pub(crate) const MONTHS: Table = Table { name: "months", column: "rollup" };

/// All columns of a chunk; `None` if there is none, or none that can be read.
pub(crate) fn columns(
    db: &Connection,
    table: Table,
    key: i64,
) -> rusqlite::Result<Option<Vec<(u32, Samples)>>> {
    let Some(bytes) = read(db, table, key)? else { return Ok(None) };
    match Chunk::open(&bytes).and_then(|chunk| chunk.columns()) {
        Ok(columns) => Ok(Some(columns)),
        Err(error) => set_aside(db, table, key, &bytes, &error.to_string()).map(|()| None),
    }
}

/// The rollups of some series; likewise.
pub(crate) fn rollups_of(
    db: &Connection,
    table: Table,
    key: i64,
    series: &BTreeSet<u32>,
) -> rusqlite::Result<HashMap<u32, Rollup>> {
    let Some(bytes) = read(db, table, key)? else { return Ok(HashMap::new()) };
    match rollup::columns_of(&bytes, series) {
        Ok(columns) => Ok(columns.into_iter().collect()),
        Err(error) => {
            set_aside(db, table, key, &bytes, &error.to_string())?;
            Ok(HashMap::new())
        }
    }
}

/// How large a chunk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Size {
    pub(crate) bytes: usize,
    pub(crate) samples: usize,
}

/// How large a chunk is, without reading its columns; nothing if it is not there or cannot be read.
pub(crate) fn size(db: &Connection, table: Table, key: i64) -> rusqlite::Result<Size> {
    let Some(bytes) = read(db, table, key)? else { return Ok(Size::default()) };
    let Ok(directory) = Directory::open(&bytes) else { return Ok(Size::default()) };
    let samples = directory.series().map(|series| directory.samples(series)).sum();
    Ok(Size { bytes: bytes.len(), samples })
}

/// Writes a piece, in place of the one that was there.
pub(crate) fn put(db: &Connection, table: Table, key: i64, bytes: &[u8]) -> rusqlite::Result<()> {
    let Table { name, column } = table;
    db.prepare_cached(&format!("INSERT OR REPLACE INTO {name} (key, {column}) VALUES (?1, ?2)"))?
        .execute(params![key, bytes])?;
    Ok(())
}

/// Deletes a piece, if it is there.
pub(crate) fn delete(db: &Connection, table: Table, key: i64) -> rusqlite::Result<()> {
    db.prepare_cached(&format!("DELETE FROM {} WHERE key = ?1", table.name))?.execute([key])?;
    Ok(())
}

/// The keys below `end`, in order, at most `most`.
pub(crate) fn keys_below(db: &Connection, table: Table, end: i64, most: u32) -> rusqlite::Result<Vec<i64>> {
    db.prepare_cached(&format!("SELECT key FROM {} WHERE key < ?1 ORDER BY key LIMIT ?2", table.name))?
        .query_map(params![end, most], |row| row.get(0))?
        .collect()
}

/// `12345 of agent 7`: for people.
pub(crate) fn describe(key: i64) -> String {
    let (piece, agent) = parts(key);
    format!("{piece} of agent {agent}")
}

/// A piece as it lies there, if it does.
pub(crate) fn read(db: &Connection, table: Table, key: i64) -> rusqlite::Result<Option<Vec<u8>>> {
    let Table { name, column } = table;
    db.prepare_cached(&format!("SELECT {column} FROM {name} WHERE key = ?1"))?
        .query_row([key], |row| row.get(0))
        .optional()
}

/// Puts a piece that cannot be read aside.
pub(crate) fn set_aside(
    db: &Connection,
    table: Table,
    key: i64,
    bytes: &[u8],
    why: &str,
) -> rusqlite::Result<()> {
    let why = format!("{} {}: {why}", table.name, describe(key));
    log::error!("a damaged chunk is put aside: {why}");
    put_aside(db, parts(key).1, 0, &why, bytes)?;
    delete(db, table, key)
}
