//! One consistent view of one agent: every place where its samples may be, read as one.
//!
//! Samples: `days`, `hours`, inbox; each later place holds what came in later, and that counts. Rollups: what was rolled up,
//! and the same made of samples that were not yet.

use crate::chunk::{self, ChunkError, Directory};
use crate::keys::{DAY_MS, HOUR_MS, MINUTE_MS, MONTH_MS, key, parts};
use crate::rollup::{self, Bucket, Rollup, last_of, together};
use crate::store::catalog;
use crate::store::chunks::{DAYS, HOURS, MINUTES, MONTHS, Table};
use crate::unfold::{Place, Row, Text, Unfold};
use crate::{Samples, SeriesKey, StoreError};
use rackside_proto::Kind;
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::path::Path;

/// How far back a sample ahead of a rollup is looked for: first so far, in milliseconds...
const NEAR_MS: u64 = HOUR_MS;
/// ...and then so far. A counter that was silent for longer starts anew.
const FAR_MS: u64 = 25 * HOUR_MS;

/// The samples and texts of the inbox.
type Unfolded = (Vec<(u32, Samples)>, Vec<Text>);

/// How long a step of a rollup is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Resolution {
    /// A minute.
    Minute,
    /// An hour.
    Hour,
}

impl Resolution {
    /// In milliseconds.
    pub const fn step_ms(self) -> u64 {
        match self {
            Self::Minute => MINUTE_MS,
            Self::Hour => HOUR_MS,
        }
    }
}

/// What went wrong below a question.
pub(crate) enum Trouble {
    Sqlite(rusqlite::Error),
    Chunk(ChunkError),
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<ChunkError> for Trouble {
    fn from(error: ChunkError) -> Self {
        Self::Chunk(error)
    }
}

impl Trouble {
    pub(crate) fn at(self, path: &Path) -> StoreError {
        match self {
            Self::Sqlite(error) => StoreError::sqlite(path, &error),
            Self::Chunk(error) => StoreError::Damaged { path: path.to_owned(), what: error.to_string() },
        }
    }
}

/// One consistent view, for one agent.
pub(crate) struct View<'d> {
    pub(crate) db: &'d Connection,
    pub(crate) agent: u32,
    flushed_upto: i64,
    place: Place,
    rows: Vec<i64>,
}

impl<'d> View<'d> {
    pub(crate) fn new(db: &'d Connection, agent: u32, rows: Vec<i64>) -> Result<Self, Trouble> {
        let (flushed_upto, place) = place(db, agent)?;
        Ok(Self { db, agent, flushed_upto, place, rows })
    }

    /// Walks the agent's rows that have not moved on, with the moment at which each came in.
    pub(crate) fn rows(
        &self,
        mut each: impl FnMut(Row<'_>, u64) -> Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        let from = self.rows.partition_point(|&row| row <= self.flushed_upto);
        walk(self.db, &self.rows[from..], &mut |_, row, received_ms| {
            each(row, received_ms).map(ControlFlow::Continue)
        })
    }

    fn unfold(&self, only: Option<&[u32]>) -> Result<Unfolded, Trouble> {
        let mut unfold = Unfold::new(self.db, self.agent, self.place, only);
        self.rows(|row, _| {
            // What cannot be understood is put aside when the writer comes to it.
            let _never = unfold.take(row)?;
            Ok(())
        })?;
        let (_, columns, texts) = unfold.finish();
        Ok((columns, texts))
    }

    /// The samples of one series: chunks of days, of hours, and the inbox; what came in later counts.
    pub(crate) fn samples(&self, series: u32, range: Range<u64>) -> Result<Samples, Trouble> {
        let mut several = self.several(&[series], &range)?;
        Ok(several.pop().map(|(_, samples)| samples).unwrap_or_default())
    }

    /// The samples of several series; those without any are left out.
    pub(crate) fn several(&self, series: &[u32], range: &Range<u64>) -> Result<Vec<(u32, Samples)>, Trouble> {
        let mut pieces = Vec::new();
        for (table, width) in [(DAYS, DAY_MS), (HOURS, HOUR_MS)] {
            for piece in self.pieces(table, width, range)? {
                pieces.push(self.columns(table, key(piece, self.agent), series)?);
            }
        }
        pieces.push(self.unfold(Some(series))?.0);
        let parts: Vec<&[(u32, Samples)]> = pieces.iter().map(Vec::as_slice).collect();
        let clipped = chunk::join(&parts).into_iter().map(|(id, samples)| (id, clip(samples, range)));
        Ok(clipped.filter(|(_, samples)| !samples.times.is_empty()).collect())
    }

    /// The samples of several series, a day of UTC at a time, in order, until `each` has enough; days without any are left out. What has not moved on is
    /// looked through once.
    pub(crate) fn by_day(
        &self,
        series: &[u32],
        range: &Range<u64>,
        each: &mut dyn FnMut(Vec<(u32, Samples)>) -> ControlFlow<()>,
    ) -> Result<(), Trouble> {
        let fresh = self.unfold(Some(series))?.0;
        let held = [self.pieces(DAYS, DAY_MS, range)?, self.pieces(HOURS, HOUR_MS, range)?];
        let oldest = fresh.iter().filter_map(|(_, samples)| samples.times.first().copied()).min();
        let newest = fresh.iter().filter_map(|(_, samples)| samples.times.last().map(|ms| ms + 1)).max();
        let places = held.iter().zip([DAY_MS, HOUR_MS]).filter(|(held, _)| !held.is_empty());
        let places: Vec<(u64, u64)> = places.map(|(held, ms)| (held.start * ms, held.end * ms)).collect();
        let start =
            places.iter().map(|place| place.0).chain(oldest).min().unwrap_or(range.end).max(range.start);
        let end = places.iter().map(|place| place.1).chain(newest).max().unwrap_or(0).min(range.end);
        for day in start / DAY_MS..end.div_ceil(DAY_MS) {
            let within = (day * DAY_MS).max(range.start)..((day + 1) * DAY_MS).min(range.end);
            let mut pieces = Vec::new();
            for (table, width) in [(DAYS, DAY_MS), (HOURS, HOUR_MS)] {
                for piece in self.pieces(table, width, &within)? {
                    pieces.push(self.columns(table, key(piece, self.agent), series)?);
                }
            }
            let part = |(id, samples): &(u32, Samples)| (*id, clip(samples.clone(), &within));
            pieces.push(fresh.iter().map(part).filter(|(_, samples)| !samples.times.is_empty()).collect());
            let parts: Vec<&[(u32, Samples)]> = pieces.iter().map(Vec::as_slice).collect();
            let joined = chunk::join(&parts).into_iter().map(|(id, samples)| (id, clip(samples, &within)));
            let joined: Vec<(u32, Samples)> =
                joined.filter(|(_, samples)| !samples.times.is_empty()).collect();
            if !joined.is_empty() && each(joined).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// What is known of one series in steps, within `range` widened to whole steps.
    pub(crate) fn rollup(
        &self,
        series: u32,
        range: &Range<u64>,
        resolution: Resolution,
    ) -> Result<Vec<Bucket>, Trouble> {
        let mut several = self.rollups(&[series], range, resolution)?;
        Ok(several.pop().map(|(_, buckets)| buckets).unwrap_or_default())
    }

    /// The same of several series; those of which nothing is known are left out.
    pub(crate) fn rollups(
        &self,
        series: &[u32],
        range: &Range<u64>,
        resolution: Resolution,
    ) -> Result<Vec<(u32, Vec<Bucket>)>, Trouble> {
        let step = resolution.step_ms();
        let window = range.start / step * step..range.end.div_ceil(step).saturating_mul(step);
        let (table, width) = match resolution {
            Resolution::Minute => (MINUTES, DAY_MS),
            Resolution::Hour => (MONTHS, MONTH_MS),
        };
        let mut fresh: BTreeMap<u32, Samples> = self.several(series, &window)?.into_iter().collect();
        let pieces: Vec<u64> = self.pieces(table, width, &window)?.collect();
        let mut known = Vec::new();
        for &id in series {
            let Some(SeriesKey { kind, .. }) = catalog::one_series(self.db, self.agent, id)? else {
                continue;
            };
            let mut rolled = Vec::new();
            for &piece in &pieces {
                let found = self.rolled(table, piece, id)?;
                rolled.extend(found.map(|rollup| rollup.buckets).unwrap_or_default());
            }
            rolled.retain(|bucket| window.contains(&bucket.start));
            if let Some(samples) = fresh.remove(&id)
                && let Some(&first) = samples.times.first()
            {
                let before = self.before(id, kind, first)?;
                let fresh = rollup::of(kind, &samples, before, window.clone(), step);
                rolled = together(rolled, fresh, step);
            }
            if !rolled.is_empty() {
                known.push((id, rolled));
            }
        }
        Ok(known)
    }

    /// The sample ahead of `ms` that a counter rises from or a state holds on from, if there is one.
    fn before(&self, series: u32, kind: Kind, ms: u64) -> Result<Option<(u64, i64)>, Trouble> {
        let mut end = ms;
        for reach in [NEAR_MS, FAR_MS] {
            let start = ms.saturating_sub(reach);
            let samples = self.samples(series, start..end)?;
            let mut latest = samples.times.iter().zip(&samples.values).rev();
            match kind {
                Kind::State if !samples.times.is_empty() => {
                    return Ok(latest.next().and_then(|(&ms, &value)| Some((ms, value?))));
                }
                _ => {
                    if let Some(known) = latest.find_map(|(&ms, &value)| Some((ms, value?))) {
                        return Ok(Some(known));
                    }
                }
            }
            end = start;
        }
        for day in [ms / DAY_MS, (ms / DAY_MS).saturating_sub(1)] {
            if let Some(mut rollup) = self.rolled(MINUTES, day, series)? {
                rollup.buckets.retain(|bucket| bucket.start + MINUTE_MS <= ms);
                if let Some(last) = last_of(&rollup) {
                    return Ok(Some(last));
                }
            }
        }
        Ok(None)
    }

    fn rolled(&self, table: Table, piece: u64, series: u32) -> Result<Option<Rollup>, Trouble> {
        let Some(mut blob) = Blob::open(self.db, table, key(piece, self.agent))? else { return Ok(None) };
        let directory = blob.directory()?;
        rollup::column(&directory, series, |range| blob.read(range))
    }

    fn columns(&self, table: Table, key: i64, series: &[u32]) -> Result<Vec<(u32, Samples)>, Trouble> {
        let Some(mut blob) = Blob::open(self.db, table, key)? else { return Ok(Vec::new()) };
        let directory = blob.directory()?;
        let mut columns = Vec::with_capacity(series.len());
        for &id in series {
            if let Some(samples) = directory.column(id, |range| blob.read(range))? {
                columns.push((id, samples));
            }
        }
        Ok(columns)
    }

    /// The pieces of a table that touch `range`.
    fn pieces(&self, table: Table, width: u64, range: &Range<u64>) -> rusqlite::Result<Range<u64>> {
        let held = pieces_held(self.db, table.name)?.unwrap_or_default();
        Ok((range.start / width).max(held.start)..range.end.div_ceil(width).min(held.end))
    }

    pub(crate) fn texts(&self, range: &Range<u64>) -> Result<Vec<Text>, Trouble> {
        let (_, unfolded) = self.unfold(Some(&[]))?;
        let mut select = self.db.prepare_cached(
            "SELECT ms, subject, text FROM texts WHERE agent = ?1 AND ms >= ?2 AND ms < ?3 ORDER BY ms",
        )?;
        let bounds = [i64::from(self.agent), clamp(range.start), clamp(range.end)];
        let saved =
            select.query_map(bounds, |row| Ok((row.get::<_, i64>(0)? as u64, row.get(1)?, row.get(2)?)))?;
        let mut texts = saved.collect::<Result<Vec<Text>, _>>()?;
        for text in unfolded.into_iter().filter(|(ms, ..)| range.contains(ms)) {
            texts.retain(|(ms, subject, _)| (*ms, subject) != (text.0, &text.1));
            texts.push(text);
        }
        texts.sort_by_key(|(ms, ..)| *ms);
        Ok(texts)
    }
}

/// Which rows of the inbox have moved on, and the place after them.
pub(crate) fn place(db: &Connection, agent: u32) -> rusqlite::Result<(i64, Place)> {
    db.prepare_cached("SELECT flushed_upto, newest_ms, run, number FROM agents WHERE id = ?1")?.query_row(
        [agent],
        |row| {
            let catalog = row.get::<_, Option<u32>>(2)?.zip(row.get(3)?);
            Ok((row.get(0)?, Place { newest_ms: row.get::<_, i64>(1)? as u64, catalog }))
        },
    )
}

/// Walks rows of the inbox while `each` says so; one that is gone is skipped.
pub(crate) fn walk<E: From<rusqlite::Error>>(
    db: &Connection,
    rows: &[i64],
    each: &mut impl FnMut(i64, Row<'_>, u64) -> Result<ControlFlow<()>, E>,
) -> Result<(), E> {
    let mut select =
        db.prepare_cached("SELECT event, shift_ms, payload, received_ms FROM inbox WHERE id = ?1")?;
    for &id in rows {
        let mut found = select.query([id])?;
        if let Some(found) = found.next()? {
            let payload = found.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?;
            let row = Row { event: found.get(0)?, shift_ms: found.get(1)?, payload };
            if each(id, row, found.get::<_, i64>(3)? as u64)?.is_break() {
                break;
            }
        }
    }
    Ok(())
}

/// From the first piece that a table of chunks has to the one after its last.
pub(crate) fn pieces_held(db: &Connection, table: &str) -> rusqlite::Result<Option<Range<u64>>> {
    // Two statements: SQLite finds either end at once, but not both in one.
    let end = |which: &str| {
        db.prepare_cached(&format!("SELECT {which}(key) FROM {table}"))?
            .query_row([], |row| row.get::<_, Option<i64>>(0))
    };
    Ok(end("min")?.zip(end("max")?).map(|(first, last)| parts(first).0..parts(last).0 + 1))
}

/// A chunk that is read in parts.
pub(crate) struct Blob<'d> {
    blob: rusqlite::blob::Blob<'d>,
}

impl<'d> Blob<'d> {
    pub(crate) fn open(
        db: &'d Connection,
        Table { name, column }: Table,
        key: i64,
    ) -> rusqlite::Result<Option<Self>> {
        let exists = db.prepare_cached(&format!("SELECT 1 FROM {name} WHERE key = ?1"))?.exists([key])?;
        if !exists {
            return Ok(None);
        }
        db.blob_open("main", name, column, key, true).map(|blob| Some(Self { blob }))
    }

    pub(crate) fn directory(&mut self) -> Result<Directory, Trouble> {
        let head = self.read(0..chunk::HEAD)?;
        let length = Directory::length(&head)?;
        Ok(Directory::open(&self.read(0..length)?)?)
    }

    pub(crate) fn read(&mut self, range: Range<usize>) -> Result<Vec<u8>, Trouble> {
        if range.end > self.blob.len() {
            return Err(ChunkError::Malformed("end").into());
        }
        let mut bytes = vec![0; range.len()];
        self.blob.read_at_exact(&mut bytes, range.start)?;
        Ok(bytes)
    }
}

/// The part of samples that lies within `range`.
pub(crate) fn clip(samples: Samples, range: &Range<u64>) -> Samples {
    let from = samples.times.partition_point(|&ms| ms < range.start);
    let to = samples.times.partition_point(|&ms| ms < range.end).max(from);
    if from == 0 && to == samples.times.len() {
        return samples;
    }
    Samples { times: samples.times[from..to].into(), values: samples.values[from..to].to_vec() }
}

/// A moment as SQLite has it.
pub(crate) fn clamp(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}
