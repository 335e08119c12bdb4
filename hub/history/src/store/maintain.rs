//! Housekeeping, one bounded step at a time, between commits.
//!
//! What there is to do is found by looking at the database once an hour, after a flush and at the start; a plan is only in
//! memory, and a step that fails stays planned.

use super::age::AgentDay;
use super::flush::Flush;
use super::{Step, Store};
use crate::StoreError;
use crate::keys::HOUR_MS;
use rusqlite::{Connection, params};
use std::time::Duration;

/// An hour is closed when it has been over for so long: records of its end are in by then.
const HOUR_RESTS_MS: u64 = 60_000;
/// So many records in the inbox are flushed before the hour is over...
const MANY_ROWS: usize = 2_000_000;
/// ...and so many bytes of them.
const MANY_BYTES: u64 = 64 << 20;
/// Pages that hold nothing are given back when they are more than this...
const FREE_PAGES: u64 = 64;
/// ...and more than one in so many.
const FREE_SHARE: u64 = 50;
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
    /// Agents with catalogs that are not needed any more.
    catalogs: Vec<u32>,
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
    /// The hub's machine has its clock from NTP, as its kernel says. Nothing old is deleted by a clock for which nobody vouches.
    pub const fn vouch(&mut self) {
        if self.trust.vouch() {
            self.look_again = Some(0);
        }
    }

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
        if let Some(after) = self.look_again {
            self.look_again = self.date_again(after, now_ms)?;
            return Ok(Step::More);
        }
        if let Some(mut flush) = self.plan.flush.take() {
            self.chunks_changed = true;
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
            self.chunks_changed = true;
            self.close_day(day)?;
            self.plan.close.pop();
            return Ok(Step::More);
        }
        if let Some(&day) = self.plan.roll_up.last() {
            // The clock may have been set since the plan was made.
            let more = self.trust.is_confirmed() && self.roll_up(day)?;
            self.chunks_changed = true;
            if !more {
                self.plan.roll_up.pop();
            }
            return Ok(Step::More);
        }
        if let Some(agent) = self.plan.catalogs.pop() {
            self.forget_catalogs(agent, now_ms)?;
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
                self.plan.catalogs = self.agents_with_old_catalogs(now_ms)?;
                if self.trust.is_confirmed() {
                    self.plan.roll_up = self.days_to_roll_up(now_ms)?;
                }
            }
            return Ok(Step::More);
        }
        if self.chunks_changed {
            self.count_pieces()?;
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

    /// Deletes what is kept beside chunks and too old, a slice of it. Says whether there is more.
    fn tidy(&mut self, now_ms: u64) -> Result<bool, StoreError> {
        let raw_ms = now_ms.saturating_sub(self.settings.raw.as_millis() as u64) as i64;
        let hour_ms = now_ms.saturating_sub(self.settings.hour.as_millis() as u64) as i64;
        tidy(&self.db, raw_ms, hour_ms).map_err(self.failed())
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
            "DELETE FROM edges WHERE (agent, ms, series) IN (SELECT agent, ms, series FROM edges WHERE ms < ?1 LIMIT ?2)",
            raw_ms,
        ),
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
