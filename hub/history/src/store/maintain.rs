//! Housekeeping, one bounded step at a time, between commits.
//!
//! What there is to do is found by looking at the database once an hour, after a flush and at the start; a plan is only in
//! memory, and a step that fails stays planned.

use super::age::AgentDay;
use super::commit::append;
use super::dates;
use super::flush::Flush;
use super::{Step, Store};
use crate::StoreError;
use crate::keys::HOUR_MS;
use crate::view::walk;
use rackside_proto::{Data, Event, Record, Time, What};
use rusqlite::{Connection, params};
use std::ops::ControlFlow;
use std::time::Duration;

/// An hour is closed when it has been over for so long: records of its end are in by then.
const HOUR_RESTS_MS: u64 = 60_000;
/// So many records in the inbox are flushed before the hour is over...
const MANY_ROWS: usize = 2_000_000;
/// ...and so many bytes of them.
const MANY_BYTES: u64 = 64 << 20;
/// Most undated records that are dated in one step.
const DATED: u32 = 1_000;
/// Pages that hold nothing are given back when they are more than this...
const FREE_PAGES: u64 = 256;
/// ...and more than one in so many.
const FREE_SHARE: u64 = 16;
/// Most pages given back in one step.
const GIVEN_BACK: u32 = 256;
/// Most rows that are tidied away in one step.
const TIDIED: u32 = 1_000;

/// What is to be done. All of it can be found again.
#[derive(Debug, Default)]
pub(super) struct Plan {
    flush: Option<Flush>,
    /// Rows of the inbox that moved on are to be deleted.
    delete: bool,
    close: Vec<AgentDay>,
    roll_up: Vec<AgentDay>,
    /// Old rollups and what is kept beside chunks are to be deleted.
    old: bool,
    tidy: bool,
    /// The hour in which the last look found nothing to flush.
    looked: Option<u64>,
}

impl Plan {
    /// At open: a crash may have left rows that had moved on.
    pub(super) fn at_open() -> Self {
        Self { delete: true, ..Self::default() }
    }
}

impl Store {
    /// Does one step of what is due: flush, put days together, roll up, delete what is too old. Aims at 20 ms.
    ///
    /// `monotonic` is any clock that never jumps: where it and `now_ms` drift apart, the calendar's was set.
    pub fn maintain(&mut self, now_ms: u64, monotonic: Duration) -> Result<Step, StoreError> {
        self.trust.look(now_ms, monotonic);
        if let Some(&boot) = self.datable.last() {
            if !self.date(boot, now_ms)? {
                self.datable.pop();
            }
            return Ok(Step::More);
        }
        if let Some(mut flush) = self.plan.flush.take() {
            let more = self.flush(&mut flush);
            if !matches!(more, Ok(false)) {
                self.plan.flush = Some(flush);
            }
            more?;
            return Ok(Step::More);
        }
        if self.plan.delete {
            self.plan.delete = self.delete_moved()?;
            return Ok(Step::More);
        }
        if let Some(&day) = self.plan.close.last() {
            self.close_day(day)?;
            self.plan.close.pop();
            return Ok(Step::More);
        }
        if let Some(&day) = self.plan.roll_up.last() {
            // The clock may have been set since the plan was made.
            if self.trust.is_confirmed() {
                self.roll_up(day)?;
            }
            self.plan.roll_up.pop();
            return Ok(Step::More);
        }
        if self.plan.old {
            self.plan.old = self.trust.is_confirmed() && self.delete_old_rollups(now_ms)?;
            return Ok(Step::More);
        }
        if self.plan.tidy {
            self.plan.tidy = self.trust.is_confirmed() && self.tidy(now_ms)?;
            return Ok(Step::More);
        }
        if self.give_back()? {
            return Ok(Step::More);
        }
        self.look(now_ms)
    }

    /// Looks what is due, and plans it.
    fn look(&mut self, now_ms: u64) -> Result<Step, StoreError> {
        let hour = now_ms.saturating_sub(HOUR_RESTS_MS) / HOUR_MS;
        if self.is_flush_due(hour)? {
            self.bytes_since_flush = 0;
            self.plan.flush = Some(self.begin_flush());
            self.plan.delete = true;
            self.plan.looked = None;
            return Ok(Step::More);
        }
        if self.plan.looked != Some(hour) {
            self.plan.close = self.days_to_close(now_ms)?;
            if self.plan.close.is_empty() {
                self.plan.looked = Some(hour);
                (self.plan.old, self.plan.tidy) = (true, true);
                if self.trust.is_confirmed() {
                    self.plan.roll_up = self.days_to_roll_up(now_ms)?;
                }
            }
            return Ok(Step::More);
        }
        Ok(Step::IdleUntil((hour + 1) * HOUR_MS + HOUR_RESTS_MS))
    }

    fn is_flush_due(&self, hour: u64) -> Result<bool, StoreError> {
        if self.index.len() >= MANY_ROWS || self.bytes_since_flush >= MANY_BYTES {
            return Ok(true);
        }
        let Some(oldest) = self.index.oldest() else { return Ok(false) };
        let received_ms = || {
            self.db
                .prepare_cached("SELECT received_ms FROM inbox WHERE id = ?1")?
                .query_row([oldest], |row| row.get::<_, i64>(0))
        };
        let received = received_ms().map_err(self.failed())? as u64 / HOUR_MS;
        // One from the future came before the clock was set back.
        Ok(received < hour || received > hour + 1)
    }

    /// Puts records whose boot is dated by now back into the inbox, behind all others. Says whether there may be more.
    fn date(&mut self, (agent, boot): (u32, u32), now_ms: u64) -> Result<bool, StoreError> {
        let failed = self.failed();
        let (rows, more) = self.put_back((agent, boot), now_ms).map_err(failed)?;
        if let Some((_, last)) = rows.last() {
            self.next_row = last + 1;
        }
        self.index.enter(&rows);
        Ok(more)
    }

    fn put_back(&self, (agent, boot): (u32, u32), now_ms: u64) -> rusqlite::Result<(Vec<(u32, i64)>, bool)> {
        let transaction = self.db.unchecked_transaction()?;
        let mut rows = Vec::new();
        let mut seen = 0;
        {
            let mut select = transaction.prepare_cached(
                "SELECT id, received_ms, event, payload FROM undated WHERE agent = ?1 AND boot = ?2 ORDER BY id LIMIT ?3",
            )?;
            let mut found = select.query(params![agent, boot, DATED])?;
            while let Some(row) = found.next()? {
                let id: i64 = row.get(0)?;
                let received_ms = row.get::<_, i64>(1)? as u64;
                let event = row.get(2)?;
                let payload = row.get_ref(3)?.as_blob()?;
                seen += 1;
                let shift = match time_of(event, payload) {
                    Some(time) => dates::shift(&transaction, agent, time, (false, now_ms), &self.trust)?,
                    None => None,
                };
                let Some(shift) = shift else {
                    // Its moment cannot be, whatever the boot's date: it is not looked at again.
                    transaction
                        .prepare_cached("UPDATE undated SET boot = NULL WHERE id = ?1")?
                        .execute([id])?;
                    continue;
                };
                let next = self.next_row + rows.len() as i64;
                append(&transaction, next, (agent, received_ms, shift, event), payload)?;
                transaction.prepare_cached("DELETE FROM undated WHERE id = ?1")?.execute([id])?;
                rows.push((agent, next));
            }
        }
        transaction.commit()?;
        Ok((rows, seen == DATED))
    }

    /// Deletes what is kept beside chunks and too old, a slice of it. Says whether there is more.
    fn tidy(&mut self, now_ms: u64) -> Result<bool, StoreError> {
        let raw_ms = now_ms.saturating_sub(self.settings.raw.as_millis() as u64) as i64;
        let hour_ms = now_ms.saturating_sub(self.settings.hour.as_millis() as u64) as i64;
        let tidied = tidy(&self.db, raw_ms, hour_ms).map_err(self.failed())?;
        Ok(tidied || self.delete_old_catalogs(raw_ms).map_err(self.failed())?)
    }

    /// Deletes catalogs that came so long ago and that no reading needs any more. An agent's newest stays, and the one of
    /// its newest reading.
    fn delete_old_catalogs(&self, before_ms: i64) -> rusqlite::Result<bool> {
        let old: Vec<(i64, u32, u32, u32)> = self
            .db
            .prepare_cached(
                "SELECT id, agent, run, number FROM catalogs AS old WHERE received_ms < ?1
                   AND id < (SELECT max(id) FROM catalogs WHERE agent = old.agent)
                   AND NOT EXISTS (SELECT 1 FROM undated WHERE undated.agent = old.agent)
                   AND NOT EXISTS (SELECT 1 FROM agents
                                   WHERE id = old.agent AND run = old.run AND number = old.number)",
            )?
            .query_map([before_ms], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?
            .collect::<Result<_, _>>()?;
        for (id, agent, run, number) in old {
            if self.accounts.has_rows((agent, run)) && self.is_in_use(agent, run, number)? {
                continue;
            }
            self.db.prepare_cached("DELETE FROM catalogs WHERE id = ?1")?.execute([id])?;
        }
        Ok(false)
    }

    /// Whether a record of the inbox was coded against this catalog.
    fn is_in_use(&self, agent: u32, run: u32, number: u32) -> rusqlite::Result<bool> {
        let mut used = false;
        walk(&self.db, &self.index.rows(agent), &mut |_, row, _| {
            used |= uses(row.event, row.payload, run, number);
            Ok::<_, rusqlite::Error>(if used { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        Ok(used)
    }

    /// Gives pages that hold nothing back to the file system, a few at a time. Says whether there were any.
    fn give_back(&self) -> Result<bool, StoreError> {
        let give_back = || {
            let number = |sql: &str| self.db.prepare_cached(sql)?.query_row([], |row| row.get::<_, i64>(0));
            let free = number("PRAGMA freelist_count")? as u64;
            if free <= FREE_PAGES || free <= number("PRAGMA page_count")? as u64 / FREE_SHARE {
                return Ok(false);
            }
            let mut vacuum = self.db.prepare(&format!("PRAGMA incremental_vacuum({GIVEN_BACK})"))?;
            let mut pages = vacuum.query([])?;
            while pages.next()?.is_some() {}
            Ok(true)
        };
        give_back().map_err(self.failed())
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

fn uses(event: bool, payload: &[u8], run: u32, number: u32) -> bool {
    if event {
        let record = Record::<Event<'_>>::decode(payload);
        return record.is_ok_and(|record| {
            record.envelope.run.0 == run
                && matches!(record.body.what, What::Sample { catalog, .. } if catalog == number)
        });
    }
    Record::<Data<'_>>::decode(payload).is_ok_and(|record| {
        record.envelope.run.0 == run
            && matches!(record.body, Data::Readings(readings) if readings.catalog == number)
    })
}

fn tidy(db: &Connection, raw_ms: i64, hour_ms: i64) -> rusqlite::Result<bool> {
    let expired = db
        .prepare_cached(
            "DELETE FROM undated WHERE id IN (SELECT id FROM undated WHERE received_ms < ?1 LIMIT ?2)",
        )?
        .execute(params![raw_ms, TIDIED])?;
    if expired > 0 {
        db.prepare_cached("UPDATE meta SET expired = expired + ?1")?.execute([expired as i64])?;
        return Ok(true);
    }
    let statements = [
        (
            "DELETE FROM texts WHERE (agent, ms, subject) IN (SELECT agent, ms, subject FROM texts WHERE ms < ?1 LIMIT ?2)",
            raw_ms,
        ),
        (
            "DELETE FROM boots WHERE (agent, boot) IN (SELECT agent, boot FROM boots WHERE set_ms < ?1 LIMIT ?2)",
            hour_ms,
        ),
        (
            "DELETE FROM runs WHERE (agent, run) IN (SELECT agent, run FROM runs WHERE last_ms < ?1 LIMIT ?2)",
            hour_ms,
        ),
    ];
    for (sql, before_ms) in statements {
        if db.prepare_cached(sql)?.execute(params![before_ms, TIDIED])? > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}
