//! Looking on: consistent views of the history while the one writer works.
//!
//! Each answer comes from one snapshot of the database. Rows of the inbox are found by the index in memory, which is asked
//! first; see [`Index`] for why that finds each record exactly once.

use crate::chunk::{self, ChunkError, Directory};
use crate::keys::{DAY_MS, HOUR_MS, key, parts};
use crate::store::catalog;
use crate::store::index::Index;
use crate::store::{Held, connect, envelope};
use crate::unfold::{Place, Row, Text, Unfold};
use crate::{Account, Samples, SeriesKey, StoreError};
use rackside_proto::{AgentName, Run};
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Connections that are kept for the next question.
const KEPT: usize = 4;
/// Cache of each, in KiB.
const CACHE: i32 = 2_048;

/// A series of an agent, by its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesId(pub u32);

/// A way to look on. Cheap to clone; works on any thread, and none waits for the writer.
#[derive(Debug, Clone)]
pub struct Reader {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    path: Arc<Path>,
    index: Arc<Index>,
    idle: Mutex<Vec<Connection>>,
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

impl Reader {
    pub(crate) fn new(path: Arc<Path>, index: Arc<Index>) -> Self {
        Self { shared: Arc::new(Shared { path, index, idle: Mutex::default() }) }
    }

    /// What is accounted for of a run; `None` if it was never heard of.
    pub fn account(&self, agent: &AgentName, run: Run) -> Result<Option<Account>, StoreError> {
        self.view(agent, |view| {
            let mut held = Held::load(view.db, (view.agent, run.0))?;
            view.rows(|row, received_ms| {
                if let Some(envelope) = envelope(row.event, row.payload).filter(|found| found.run == run) {
                    held.get_or_insert_with(|| Held::open(&envelope, received_ms)).enter(&envelope, received_ms);
                }
                Ok(())
            })?;
            Ok(held.map(|held| held.into_account(agent.clone(), run.0)))
        })
        .map(Option::flatten)
    }

    /// A catalog, as `rackside_proto::Catalog` encodes it.
    pub fn catalog(&self, agent: &AgentName, run: Run, number: u32) -> Result<Option<Vec<u8>>, StoreError> {
        self.view(agent, |view| {
            let mut select = view
                .db
                .prepare_cached("SELECT body FROM catalogs WHERE agent = ?1 AND run = ?2 AND number = ?3")?;
            Ok(select.query_row([view.agent, run.0, number], |row| row.get(0)).optional()?)
        })
        .map(Option::flatten)
    }

    /// All agents with history, in order of their names.
    pub fn agents(&self) -> Result<Vec<AgentName>, StoreError> {
        self.snapshot(|db| {
            let mut select = db.prepare_cached("SELECT name FROM agents ORDER BY name")?;
            let names = select.query_map([], |row| crate::store::name(row.get_ref(0)?.as_str()?))?;
            Ok(names.collect::<Result<_, _>>()?)
        })
    }

    /// The agent's series; none if it has no history.
    pub fn series(&self, agent: &AgentName) -> Result<Vec<(SeriesId, SeriesKey)>, StoreError> {
        let series = self.view(agent, |view| Ok(catalog::series(view.db, view.agent)?))?;
        Ok(series.unwrap_or_default().into_iter().map(|(id, key)| (SeriesId(id), key)).collect())
    }

    /// The samples of a series within `range`, in milliseconds since 1970-01-01 UTC: those that are not rolled up yet.
    pub fn samples(
        &self,
        agent: &AgentName,
        series: SeriesId,
        range: Range<u64>,
    ) -> Result<Samples, StoreError> {
        let samples = self.view(agent, |view| view.samples(series.0, range))?;
        Ok(samples.unwrap_or_default())
    }

    /// Texts that changed within `range`: when, what they are about, their new content. In order of time.
    pub fn texts(&self, agent: &AgentName, range: Range<u64>) -> Result<Vec<Text>, StoreError> {
        Ok(self.view(agent, |view| view.texts(&range))?.unwrap_or_default())
    }

    /// Asks about an agent; `None` if it has no history.
    pub(crate) fn view<T>(
        &self,
        agent: &AgentName,
        ask: impl FnOnce(&View<'_>) -> Result<T, Trouble>,
    ) -> Result<Option<T>, StoreError> {
        // The index first, the snapshot afterwards. Rows are found by the agent's number, so that is asked ahead of both.
        let number = self.snapshot(|db| {
            let mut select = db.prepare_cached("SELECT id FROM agents WHERE name = ?1")?;
            Ok(select.query_row([agent.to_string()], |row| row.get::<_, u32>(0)).optional()?)
        })?;
        let Some(agent) = number else { return Ok(None) };
        let rows = self.shared.index.rows(agent);
        self.snapshot(|db| ask(&View::new(db, agent, rows)?)).map(Some)
    }

    fn snapshot<T>(&self, ask: impl FnOnce(&Connection) -> Result<T, Trouble>) -> Result<T, StoreError> {
        let path = &self.shared.path;
        let idle = self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let db = idle.map_or_else(|| open(path), Ok)?;
        let answer = (|| {
            let transaction = db.unchecked_transaction()?;
            ask(&transaction)
        })();
        if answer.is_ok() {
            let mut idle = self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner);
            if idle.len() < KEPT {
                idle.push(db);
            }
        }
        answer.map_err(|trouble| trouble.at(path))
    }
}

fn open(path: &Path) -> Result<Connection, StoreError> {
    let db = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    db.pragma_update(None, "cache_size", -CACHE).map_err(|error| StoreError::sqlite(path, &error))?;
    Ok(db)
}

impl<'d> View<'d> {
    pub(crate) fn new(db: &'d Connection, agent: u32, rows: Vec<i64>) -> Result<Self, Trouble> {
        let (flushed_upto, place) = place(db, agent)?;
        Ok(Self { db, agent, flushed_upto, place, rows })
    }

    /// Walks the agent's rows that have not moved on, with the moment at which each came in.
    fn rows(
        &self,
        mut each: impl FnMut(Row<'_>, u64) -> Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        let from = self.rows.partition_point(|&row| row <= self.flushed_upto);
        walk(self.db, &self.rows[from..], &mut each)
    }

    fn unfold(&self, only: Option<&[u32]>) -> Result<(Vec<(u32, Samples)>, Vec<Text>), Trouble> {
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
        let mut pieces = Vec::new();
        for (table, width) in [("days", DAY_MS), ("hours", HOUR_MS)] {
            let Some(held) = pieces_held(self.db, table)? else { continue };
            let from = (range.start / width).max(held.start);
            let to = range.end.div_ceil(width).min(held.end);
            for piece in from..to {
                if let Some(samples) = self.column(table, key(piece, self.agent), series)? {
                    pieces.push(vec![(series, samples)]);
                }
            }
        }
        pieces.push(self.unfold(Some(&[series]))?.0);
        let parts: Vec<&[(u32, Samples)]> = pieces.iter().map(Vec::as_slice).collect();
        let samples = chunk::join(&parts).pop().map(|(_, samples)| samples).unwrap_or_default();
        Ok(clip(samples, &range))
    }

    fn column(&self, table: &str, key: i64, series: u32) -> Result<Option<Samples>, Trouble> {
        let Some(mut blob) = Blob::open(self.db, (table, "chunk"), key)? else { return Ok(None) };
        let directory = blob.directory()?;
        directory.column(series, |range| blob.read(range))
    }

    fn texts(&self, range: &Range<u64>) -> Result<Vec<Text>, Trouble> {
        let (_, unfolded) = self.unfold(Some(&[]))?;
        let mut select = self.db.prepare_cached(
            "SELECT ms, subject, text FROM texts WHERE agent = ?1 AND ms >= ?2 AND ms < ?3 ORDER BY ms",
        )?;
        let bounds = [i64::from(self.agent), clamp(range.start), clamp(range.end)];
        let saved = select.query_map(bounds, |row| Ok((row.get::<_, i64>(0)? as u64, row.get(1)?, row.get(2)?)))?;
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

/// Walks rows of the inbox; one that is gone is skipped.
pub(crate) fn walk<E: From<rusqlite::Error>>(
    db: &Connection,
    rows: &[i64],
    each: &mut impl FnMut(Row<'_>, u64) -> Result<(), E>,
) -> Result<(), E> {
    let mut select =
        db.prepare_cached("SELECT event, shift_ms, payload, received_ms FROM inbox WHERE id = ?1")?;
    for row in rows {
        let mut found = select.query([row])?;
        if let Some(found) = found.next()? {
            let payload = found.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?;
            let row = Row { event: found.get(0)?, shift_ms: found.get(1)?, payload };
            each(row, found.get::<_, i64>(3)? as u64)?;
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
        (table, column): (&str, &str),
        key: i64,
    ) -> rusqlite::Result<Option<Self>> {
        let exists =
            db.prepare_cached(&format!("SELECT 1 FROM {table} WHERE key = ?1"))?.exists([key])?;
        if !exists {
            return Ok(None);
        }
        db.blob_open("main", table, column, key, true).map(|blob| Some(Self { blob }))
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
