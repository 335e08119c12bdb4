//! What becomes of chunks as they grow old: hours become days, days become rollups, rollups go.
//!
//! Each step moves one piece of one agent in one transaction, so that a sample is always in exactly one place: in the inbox,
//! in an hour, in a day, or in the rollups, of which those by the hour are made from those by the minute at the same time.

use super::Store;
use super::chunks::{self, DAYS, HOURS, MINUTES, MONTHS};
use crate::chunk;
use crate::keys::{DAY_MS, HOUR_MS, MONTH_MS, first, key, parts};
use crate::{Samples, StoreError};
use rusqlite::Connection;

/// A day is put together when it has been over for so long: by then most of what was late is in.
const DAY_RESTS_MS: u64 = 2 * HOUR_MS;
/// A day with more bytes in its hours than this stays in hours: it is held in memory as a whole.
const DAY_BYTES: usize = 4 << 20;
/// Likewise for a day with more samples.
const DAY_SAMPLES: usize = 4 << 20;
/// Most keys that are looked at for one plan.
const KEYS: u32 = 100_000;
/// Most rows deleted in one step.
const DELETED: u32 = 1_000;

/// An agent's day.
pub(super) type AgentDay = (u64, u32);

impl Store {
    /// The days that are over and still lie in hours.
    pub(super) fn days_to_close(&self, now_ms: u64) -> Result<Vec<AgentDay>, StoreError> {
        let end = now_ms.saturating_sub(DAY_RESTS_MS) / DAY_MS;
        let keys = chunks::keys_below(&self.db, HOURS, first(end * 24), KEYS).map_err(self.failed())?;
        let days = keys.into_iter().map(parts).map(|(hour, agent)| (hour / 24, agent));
        Ok(distinct(days).into_iter().filter(|day| !self.left_in_hours.contains(day)).collect())
    }

    /// Makes a day of its hours, and of the day that was there already.
    pub(super) fn close_day(&mut self, (day, agent): AgentDay) -> Result<(), StoreError> {
        let failed = self.failed();
        let transaction = self.db.unchecked_transaction().map_err(&failed)?;
        let closed = close_day(&transaction, day, agent).map_err(&failed)?;
        transaction.commit().map_err(&failed)?;
        if !closed {
            self.left_in_hours.insert((day, agent));
        }
        Ok(())
    }

    /// The days all of whose samples are older than raw data are kept.
    pub(super) fn days_to_roll_up(&self, now_ms: u64) -> Result<Vec<AgentDay>, StoreError> {
        let end = now_ms.saturating_sub(self.settings.raw.as_millis() as u64) / DAY_MS;
        let days = chunks::keys_below(&self.db, DAYS, first(end), KEYS).map_err(self.failed())?;
        let hours = chunks::keys_below(&self.db, HOURS, first(end * 24), KEYS).map_err(self.failed())?;
        let hours = hours.into_iter().map(parts).map(|(hour, agent)| (hour / 24, agent));
        Ok(distinct(days.into_iter().map(parts).chain(hours)))
    }

    /// Deletes rollups that are too old, a slice of them. Says whether there is more.
    pub(super) fn delete_old_rollups(&self, now_ms: u64) -> Result<bool, StoreError> {
        let ends = [
            (MINUTES, now_ms.saturating_sub(self.settings.minute.as_millis() as u64) / DAY_MS),
            (MONTHS, now_ms.saturating_sub(self.settings.hour.as_millis() as u64) / MONTH_MS),
        ];
        for (table, end) in ends {
            let keys = chunks::keys_below(&self.db, table, first(end), DELETED).map_err(self.failed())?;
            if let Some(last) = keys.last() {
                let delete = format!("DELETE FROM {} WHERE key <= ?1", table.name);
                self.db.execute(&delete, [last]).map_err(self.failed())?;
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn distinct(days: impl Iterator<Item = AgentDay>) -> Vec<AgentDay> {
    let mut days: Vec<AgentDay> = days.collect();
    // The last is taken first: the oldest day.
    days.sort_unstable_by(|a, b| b.cmp(a));
    days.dedup();
    days
}

/// All samples of an agent's day; what came in later counts.
fn samples_of(db: &Connection, day: u64, agent: u32) -> rusqlite::Result<Vec<(u32, Samples)>> {
    let mut parts = Vec::new();
    parts.extend(chunks::columns(db, DAYS, key(day, agent))?);
    for hour in hours_of(day) {
        parts.extend(chunks::columns(db, HOURS, key(hour, agent))?);
    }
    let parts: Vec<&[(u32, Samples)]> = parts.iter().map(Vec::as_slice).collect();
    Ok(chunk::join(&parts))
}

pub(super) fn hours_of(day: u64) -> std::ops::Range<u64> {
    day * 24..day * 24 + 24
}

/// Says whether the day was put together; one that is too large stays in hours.
fn close_day(db: &Connection, day: u64, agent: u32) -> rusqlite::Result<bool> {
    let (mut bytes, mut samples) = (0, 0);
    let day_itself = chunks::size(db, DAYS, key(day, agent))?;
    for size in std::iter::once(Ok(day_itself))
        .chain(hours_of(day).map(|hour| chunks::size(db, HOURS, key(hour, agent))))
    {
        let size = size?;
        bytes += size.bytes;
        samples += size.samples;
    }
    if bytes > DAY_BYTES || samples > DAY_SAMPLES {
        return Ok(false);
    }
    let all = samples_of(db, day, agent)?;
    let Ok(chunk) = chunk::encode(&all) else { return Ok(false) };
    if !all.is_empty() {
        chunks::put(db, DAYS, key(day, agent), &chunk)?;
    }
    for hour in hours_of(day) {
        chunks::delete(db, HOURS, key(hour, agent))?;
    }
    Ok(true)
}
