//! Flush: records of the inbox become chunks of hours.
//!
//! A flush goes up to the inbox's last row at its start. Agent by agent, a slice of rows at a time, one transaction each:
//! samples into the chunks of their hours, the account into `runs`, and `agents.flushed_upto` says how far. When all are
//! through, the rows are deleted in slices. Whatever falls between two transactions, `flushed_upto` tells which rows are in
//! chunks already.

use super::Store;
use super::account::{Held, RunKey};
use super::chunks::{self, HOURS};
use super::commit::put_aside;
use crate::chunk::{self, ChunkError};
use crate::keys::{HOUR_MS, key};
use crate::unfold::{Edge, Text, Unfold, cut, envelope};
use crate::view::{clamp, place, walk};
use crate::{Samples, StoreError};
use rusqlite::{Connection, params};
use std::collections::HashMap;
use std::ops::ControlFlow;

/// Most rows of an agent in one step.
const ROWS: usize = 4_096;
/// No further row after so many samples: they are held in memory, at 24 bytes each.
const SAMPLES: usize = 250_000;
/// Rows of small agents are taken together until there are so many samples.
const TOGETHER: usize = 30_000;
/// Most samples of an agent in an hour: 4,096 series every two seconds. An hour is held in memory as a whole, and a record of two
/// KiB can say four million times that nothing has moved.
const HOUR_SAMPLES: usize = 8 << 20;
/// Rows deleted in one step.
const DELETED: i64 = 4_096;

/// A flush that is under way.
#[derive(Debug)]
pub(super) struct Flush {
    /// Its last row.
    pub(super) upto: i64,
    /// Agents that are not through.
    pub(super) agents: Vec<u32>,
}

/// What one slice changes in memory, once the disk has it.
struct Moved {
    agent: u32,
    upto: i64,
    samples: usize,
    accounts: Vec<(RunKey, Held)>,
}

impl Store {
    /// Begins a flush of all that there is.
    pub(super) fn begin_flush(&self) -> Flush {
        let upto = self.next_row - 1;
        Flush { upto, agents: self.index.agents(upto) }
    }

    /// One step of a flush. Says whether there is more.
    pub(super) fn flush(&mut self, flush: &mut Flush) -> Result<bool, StoreError> {
        let failed = self.failed();
        let mut moved = Vec::new();
        let mut through = 0;
        let transaction = self.db.unchecked_transaction().map_err(&failed)?;
        let mut samples = 0;
        for &agent in flush.agents.iter().rev() {
            let Some(slice) = self.slice(&transaction, agent, flush.upto).map_err(&failed)? else {
                through += 1;
                continue;
            };
            samples += slice.samples;
            let all = self.index.last(agent, flush.upto) == Some(slice.upto);
            moved.push(slice);
            if !all || samples >= TOGETHER {
                through += usize::from(all);
                break;
            }
            through += 1;
        }
        transaction.commit().map_err(&failed)?;
        flush.agents.truncate(flush.agents.len() - through);
        for slice in moved {
            if let Some(agent) = self.agents.find_mut(slice.agent) {
                agent.flushed_upto = slice.upto;
            }
            for (key, held) in slice.accounts {
                self.accounts.put(key, held);
            }
            self.index.leave(slice.agent, slice.upto);
        }
        Ok(!flush.agents.is_empty())
    }

    /// Moves an agent's oldest rows on; `None` if it has none.
    fn slice(&self, db: &Connection, agent: u32, upto: i64) -> rusqlite::Result<Option<Moved>> {
        let rows = self.index.first(agent, upto, ROWS);
        let (_, place) = place(db, agent)?;
        let mut unfold = Unfold::new(db, agent, place, None);
        let mut last = None;
        let mut runs: HashMap<u32, u32> = HashMap::new();
        let mut refused = Vec::new();
        walk(db, &rows, &mut |id, row, received_ms| {
            last = Some(id);
            if let Some(envelope) = envelope(row.event, row.payload) {
                *runs.entry(envelope.run.0).or_default() += 1;
            }
            if let Err(why) = unfold.take(row)? {
                refused.push((received_ms, why, row.payload.to_vec()));
            }
            Ok::<_, rusqlite::Error>(if unfold.len() < SAMPLES {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            })
        })?;
        let Some(upto) = last else { return Ok(None) };
        for (received_ms, why, payload) in refused {
            put_aside(db, agent, received_ms, &why, &payload)?;
        }
        let samples = unfold.len();
        save_edges(db, agent, &unfold.take_edges())?;
        let (place, columns, texts) = unfold.finish();
        for (hour, columns) in cut(columns, HOUR_MS) {
            add_to_hour(db, key(hour, agent), &columns)?;
        }
        save_texts(db, agent, &texts)?;
        let mut accounts = Vec::new();
        for (run, rows) in runs {
            if let Some(held) = self.accounts.held((agent, run)) {
                held.save(db, (agent, run))?;
                accounts.push(((agent, run), Held { rows: held.rows.saturating_sub(rows), ..held.clone() }));
            }
        }
        let last_ms = self.agents.find(agent).map_or(0, |agent| agent.last_ms);
        let (run, number) = place.catalog.unzip();
        db.prepare_cached(
            "UPDATE agents SET flushed_upto = ?2, last_ms = ?3, newest_ms = ?4, run = ?5, number = ?6 WHERE id = ?1",
        )?
        .execute(params![agent, upto, clamp(last_ms), clamp(place.newest_ms), run, number])?;
        Ok(Some(Moved { agent, upto, samples, accounts }))
    }

    /// Deletes rows that have moved on, a slice of them. Says whether there is more.
    pub(super) fn delete_moved(&self) -> Result<bool, StoreError> {
        let dead_upto = self.index.oldest().unwrap_or(self.next_row) - 1;
        let delete = || {
            let first = self
                .db
                .prepare_cached("SELECT min(id) FROM inbox")?
                .query_row([], |row| row.get::<_, Option<i64>>(0))?;
            let Some(first) = first.filter(|&first| first <= dead_upto) else { return Ok(false) };
            let end = dead_upto.min(first + DELETED - 1);
            self.db.prepare_cached("DELETE FROM inbox WHERE id <= ?1")?.execute([end])?;
            Ok(true)
        };
        delete().map_err(self.failed())
    }
}

fn add_to_hour(db: &Connection, key: i64, columns: &[(u32, Samples)]) -> rusqlite::Result<()> {
    let new: usize = columns.iter().map(|(_, samples)| samples.times.len()).sum();
    if chunks::size(db, HOURS, key)?.samples + new > HOUR_SAMPLES {
        return leave_out(db, key, columns, "an hour of one appliance takes no more");
    }
    let old = chunks::columns(db, HOURS, key)?;
    let all = old.map_or_else(|| columns.to_vec(), |old| chunk::join(&[&old, columns]));
    match chunk::encode(&all) {
        Ok(bytes) => chunks::put(db, HOURS, key, &bytes),
        Err(error) => {
            debug_assert!(matches!(error, ChunkError::Limit(_)), "unfolded samples are in order");
            leave_out(db, key, columns, &error.to_string())
        }
    }
}

/// Samples that no chunk takes go, and are counted. What was there stays.
fn leave_out(db: &Connection, key: i64, columns: &[(u32, Samples)], why: &str) -> rusqlite::Result<()> {
    let left_out: usize = columns.iter().map(|(_, samples)| samples.times.len()).sum();
    log::error!("{left_out} samples of hour {} are left out: {why}", chunks::describe(key));
    db.prepare_cached("UPDATE meta SET left_out = left_out + ?1")?.execute([left_out as i64])?;
    Ok(())
}

fn save_texts(db: &Connection, agent: u32, texts: &[Text]) -> rusqlite::Result<()> {
    texts.iter().try_for_each(|(ms, subject, text)| save_text(db, agent, (*ms, subject, text)))
}

/// Moment, subject and text.
pub(super) fn save_text(
    db: &Connection,
    agent: u32,
    (ms, subject, text): (u64, &str, &str),
) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT OR REPLACE INTO texts (agent, ms, subject, text) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![agent, clamp(ms), subject, text])
        .map(drop)
}

fn save_edges(db: &Connection, agent: u32, edges: &[Edge]) -> rusqlite::Result<()> {
    let mut insert =
        db.prepare_cached("INSERT OR REPLACE INTO edges (agent, ms, series, value) VALUES (?1, ?2, ?3, ?4)")?;
    for (ms, series, value) in edges {
        insert.execute(params![agent, clamp(*ms), series, value])?;
    }
    Ok(())
}
