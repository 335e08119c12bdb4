//! Records that nobody could date when they came: once somebody can, they go into the inbox, behind all others.

use super::commit::append;
use super::{Store, dates};
use crate::StoreError;
use rackside_proto::{Data, Event, Record, Time};
use rusqlite::{Row, params};

/// Most of them that are looked at in one step.
const AT_ONCE: u32 = 1_000;

/// A row of `undated`.
struct Undated {
    id: i64,
    agent: u32,
    received_ms: u64,
    event: bool,
    payload: Vec<u8>,
}

impl Undated {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let received_ms = row.get::<_, i64>(2)? as u64;
        Ok(Self {
            id: row.get(0)?,
            agent: row.get(1)?,
            received_ms,
            event: row.get(3)?,
            payload: row.get(4)?,
        })
    }
}

impl Store {
    /// Dates records of a boot whose date is known by now. Says whether there may be more.
    pub(super) fn date(&mut self, (agent, boot): (u32, u32), now_ms: u64) -> Result<bool, StoreError> {
        let found = || {
            self.db
                .prepare_cached(
                    "SELECT id, agent, received_ms, event, payload FROM undated
                     WHERE agent = ?1 AND boot = ?2 ORDER BY id LIMIT ?3",
                )?
                .query_map(params![agent, boot, AT_ONCE], Undated::from_row)?
                .collect::<rusqlite::Result<Vec<_>>>()
        };
        let found = found().map_err(self.failed())?;
        self.put_back(&found, now_ms)?;
        Ok(found.len() as u32 == AT_ONCE)
    }

    /// Looks again at records after this row whose agent knew the time, and was not believed. Says where to go on.
    pub(super) fn date_again(&mut self, after: i64, now_ms: u64) -> Result<Option<i64>, StoreError> {
        let found = || {
            self.db
                .prepare_cached(
                    "SELECT id, agent, received_ms, event, payload FROM undated
                     WHERE id > ?1 AND boot IS NULL ORDER BY id LIMIT ?2",
                )?
                .query_map(params![after, AT_ONCE], Undated::from_row)?
                .collect::<rusqlite::Result<Vec<_>>>()
        };
        let found = found().map_err(self.failed())?;
        self.put_back(&found, now_ms)?;
        let more = found.len() as u32 == AT_ONCE;
        Ok(found.last().filter(|_| more).map(|last| last.id))
    }

    /// Moves those that can be dated now.
    fn put_back(&mut self, undated: &[Undated], now_ms: u64) -> Result<(), StoreError> {
        let failed = self.failed();
        let mut rows = Vec::new();
        let mut bytes = 0;
        let mut put_back = || {
            let transaction = self.db.unchecked_transaction()?;
            for one in undated {
                let shift = match time_of(one.event, &one.payload) {
                    Some(time) => dates::shift(&transaction, one.agent, time, (false, now_ms), &self.trust)?,
                    None => None,
                };
                if let Some(shift) = shift {
                    let row = self.next_row + rows.len() as i64;
                    append(&transaction, row, (one.agent, one.received_ms, shift, one.event), &one.payload)?;
                    transaction.prepare_cached("DELETE FROM undated WHERE id = ?1")?.execute([one.id])?;
                    rows.push((one.agent, row));
                    bytes += one.payload.len() as u64;
                } else {
                    // Its moment cannot be, whatever its boot's date: that is not looked at again.
                    transaction
                        .prepare_cached("UPDATE undated SET boot = NULL WHERE id = ?1")?
                        .execute([one.id])?;
                }
            }
            transaction.commit()
        };
        put_back().map_err(failed)?;
        if let Some((_, last)) = rows.last() {
            self.next_row = last + 1;
        }
        self.bytes_since_flush += bytes;
        self.index.enter(&rows);
        Ok(())
    }
}

/// When a record was made, as its agent knew it; that of its last reading.
fn time_of(event: bool, payload: &[u8]) -> Option<Time> {
    if event {
        return Record::<Event<'_>>::decode(payload).ok().map(|record| record.body.time);
    }
    match Record::<Data<'_>>::decode(payload).ok()?.body {
        Data::Readings(readings) => readings.iter().last().map(|reading| reading.time),
        Data::Catalog(_) => None,
    }
}
