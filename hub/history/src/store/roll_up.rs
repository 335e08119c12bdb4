//! Samples that are too old to be kept one by one become rollups: by the minute for their day, and of these by the hour for
//! their month.
//!
//! One day of one agent at a time; of a large one some series at a time, so that neither memory nor the time between two
//! commits depends on how large it is. The samples of a series leave its day in the transaction that writes its rollups.
//!
//! Late samples of a day that was rolled up join its buckets. By how much a counter rose between two of its buckets was counted
//! with the later one, so late samples from between them add nothing to that: it may be too little, and is never too much.

use super::Store;
use super::age::{AgentDay, hours_of};
use super::catalog;
use super::chunks::{self, DAYS, HOURS, MINUTES, MONTHS, Table};
use crate::chunk::{self, Chunk, ChunkError};
use crate::keys::{DAY_MS, HOUR_MS, MINUTE_MS, MONTH_MS, key};
use crate::rollup::{self, Bucket, Rollup, last_of, together};
use crate::view::clip;
use crate::{Samples, StoreError};
use rackside_proto::Kind;
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Series are taken together until they have so many samples...
const SAMPLES: usize = 2 << 20;
/// ...or are so many: each has at most 1,440 minutes.
const SERIES: usize = 256;

impl Store {
    /// Makes rollups of a day, or of some series of a large one, and lets their samples go. Says whether there is more of it.
    pub(super) fn roll_up(&mut self, (day, agent): AgentDay) -> Result<bool, StoreError> {
        let failed = self.failed();
        let transaction = self.db.unchecked_transaction().map_err(&failed)?;
        let more = roll_up(&transaction, day, agent).map_err(&failed)?;
        transaction.commit().map_err(&failed)?;
        if !more {
            self.left_in_hours.remove(&(day, agent));
        }
        Ok(more)
    }
}

/// A chunk of the day, as it lies there.
struct Piece {
    table: Table,
    key: i64,
    bytes: Vec<u8>,
}

impl Piece {
    /// Puts it aside: it cannot be read.
    fn set_aside(&self, db: &Connection, error: &ChunkError) -> rusqlite::Result<()> {
        chunks::set_aside(db, self.table, self.key, &self.bytes, &error.to_string())
    }
}

fn roll_up(db: &Connection, day: u64, agent: u32) -> rusqlite::Result<bool> {
    let mut pieces = Vec::new();
    let hours = hours_of(day).map(|hour| (HOURS, key(hour, agent)));
    for (table, key) in std::iter::once((DAYS, key(day, agent))).chain(hours) {
        pieces.extend(chunks::read(db, table, key)?.map(|bytes| Piece { table, key, bytes }));
    }
    let mut sizes: BTreeMap<u32, usize> = BTreeMap::new();
    for piece in &pieces {
        match Chunk::open(&piece.bytes) {
            Ok(chunk) => {
                let directory = chunk.directory();
                directory.series().for_each(|id| *sizes.entry(id).or_default() += directory.samples(id));
            }
            Err(error) => return piece.set_aside(db, &error).map(|()| true),
        }
    }
    let ids = first_of(&sizes);
    let mut parts = Vec::new();
    for piece in &pieces {
        match Chunk::open(&piece.bytes).and_then(|chunk| chunk.columns_of(&ids)) {
            Ok(columns) => parts.push(columns),
            Err(error) => return piece.set_aside(db, &error).map(|()| true),
        }
    }
    let parts: Vec<&[(u32, Samples)]> = parts.iter().map(Vec::as_slice).collect();
    save(db, (day, agent), &ids, chunk::join(&parts))?;
    for piece in &pieces {
        match Chunk::open(&piece.bytes).and_then(|chunk| chunk.without(&ids)) {
            Ok(Some(rest)) => chunks::put(db, piece.table, piece.key, &rest)?,
            Ok(None) => chunks::delete(db, piece.table, piece.key)?,
            Err(error) => return piece.set_aside(db, &error).map(|()| true),
        }
    }
    Ok(ids.len() < sizes.len())
}

/// The first series of a day, and as many more as are taken together.
fn first_of(sizes: &BTreeMap<u32, usize>) -> BTreeSet<u32> {
    let mut samples = 0;
    let fits = |(_, size): &(&u32, &usize)| {
        samples += **size;
        samples <= SAMPLES
    };
    let first = sizes.keys().take(1);
    first.chain(sizes.iter().take(SERIES).take_while(fits).map(|(id, _)| id)).copied().collect()
}

/// Writes rollups of these series, joined with those that are there.
fn save(
    db: &Connection,
    (day, agent): AgentDay,
    ids: &BTreeSet<u32>,
    samples: Vec<(u32, Samples)>,
) -> rusqlite::Result<()> {
    let kinds: HashMap<u32, Kind> =
        catalog::series(db, agent)?.into_iter().map(|(id, key)| (id, key.kind)).collect();
    let minutes_of = |day: u64| chunks::rollups_of(db, MINUTES, key(day, agent), ids);
    let before = day.checked_sub(1).map(minutes_of).transpose()?.unwrap_or_default();
    let (known, after) = (minutes_of(day)?, minutes_of(day + 1)?);
    let window = day * DAY_MS..(day + 1) * DAY_MS;
    let mut minutes = Vec::new();
    let mut hours = Vec::new();
    for (id, samples) in samples {
        let Some(&kind) = kinds.get(&id) else { continue };
        let before = before.get(&id).and_then(last_of);
        let known = known.get(&id).map_or(&[][..], |rollup| &rollup.buckets);
        let buckets = if kind == Kind::Counter {
            let goes_on = after.get(&id).and_then(last_of).is_some();
            counted(&samples, before, known, goes_on, window.start..window.end)
        } else {
            rollup::of(kind, &samples, before, window.clone(), MINUTE_MS)
        };
        hours.push((id, Rollup { kind, buckets: rollup::widen(&buckets, HOUR_MS) }));
        minutes.push((id, Rollup { kind, buckets: together(known.to_vec(), buckets, MINUTE_MS) }));
    }
    let month = key(day * DAY_MS / MONTH_MS, agent);
    let mut known = chunks::rollups_of(db, MONTHS, month, ids)?;
    for (id, rollup) in &mut hours {
        let known = known.remove(id).map(|known| known.buckets).unwrap_or_default();
        rollup.buckets = together(known, std::mem::take(&mut rollup.buckets), HOUR_MS);
    }
    for (table, key, new) in [(MINUTES, key(day, agent), minutes), (MONTHS, month, hours)] {
        let old = chunks::read(db, table, key)?;
        match rollup::replace(old.as_deref(), &new) {
            Ok(bytes) if !new.is_empty() => chunks::put(db, table, key, &bytes)?,
            Ok(_) => {}
            // A day has 1,440 minutes and a month 768 hours: far below what a chunk can hold.
            Err(error) => log::error!("rollups of {} are left out: {error}", chunks::describe(key)),
        }
    }
    Ok(())
}

/// Buckets of a counter's samples of a day, of which `known` was rolled up before. `goes_on`: the next day was, too.
fn counted(
    samples: &Samples,
    before: Option<(u64, i64)>,
    known: &[Bucket],
    goes_on: bool,
    window: std::ops::Range<u64>,
) -> Vec<Bucket> {
    let of = |before, range: std::ops::Range<u64>| {
        let samples = clip(samples.clone(), &range);
        rollup::of(Kind::Counter, &samples, before, range, MINUTE_MS)
    };
    let mut known = known.iter().filter(|bucket| bucket.last.is_some());
    let Some(first) = known.next() else {
        // What comes later rose from `before`, if there was one.
        let buckets = of(before, window);
        return if goes_on && before.is_some() { without_rise(buckets) } else { buckets };
    };
    let last = known.next_back().unwrap_or(first);
    let (begin, end) = (first.start, last.start + MINUTE_MS);
    let mut buckets = of(None, window.start..begin);
    if before.is_some() {
        buckets = without_rise(buckets);
    }
    buckets.extend(without_rise(of(None, begin..end)));
    let late = of(last.last.map(|number| (end, number)), end..window.end);
    buckets.extend(if goes_on { without_rise(late) } else { late });
    buckets
}

fn without_rise(mut buckets: Vec<Bucket>) -> Vec<Bucket> {
    for bucket in &mut buckets {
        bucket.increase = 0;
    }
    buckets
}
