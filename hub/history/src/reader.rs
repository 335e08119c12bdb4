//! Looking on: consistent views of the history while the one writer works.
//!
//! Each answer comes from one snapshot of the database. Rows of the inbox are found by the index in memory, which is asked
//! first; see [`Index`] for why that finds each record exactly once.

use crate::log::{self, LogPage, LogQuery};
use crate::rollup::Bucket;
use crate::store::account::Held;
use crate::store::catalog;
use crate::store::index::Index;
use crate::store::open::connect;
use crate::unfold::{Text, envelope};
use crate::view::{Resolution, Trouble, View};
use crate::{Account, Samples, SeriesKey, StoreError};
use rackside_proto::{AgentName, Run};
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Connections that are kept for the next question.
const KEPT: usize = 4;
/// Cache of each, in KiB.
const CACHE: i32 = 2_048;

/// A series of an agent, by its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesId(pub u32);

/// When a run was heard of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunSpan {
    /// Which.
    pub run: Run,
    /// When its first record came in, in milliseconds since 1970-01-01 UTC.
    pub first_ms: u64,
    /// When its last one did.
    pub last_ms: u64,
    /// How many of its records are known to be lost.
    pub lost: u64,
}

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

impl Reader {
    pub(crate) fn new(path: Arc<Path>, index: Arc<Index>) -> Self {
        Self { shared: Arc::new(Shared { path, index, idle: Mutex::default() }) }
    }

    /// Closes the connections that wait: the last one to close a database tidies up, and these cannot write.
    pub(crate) fn rest(&self) {
        self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// What is accounted for of a run; `None` if it was never heard of.
    pub fn account(&self, agent: &AgentName, run: Run) -> Result<Option<Account>, StoreError> {
        self.view(agent, |view| {
            let mut held = Held::load(view.db, (view.agent, run.0))?;
            view.rows(|row, received_ms| {
                if let Some(envelope) = envelope(row.event, row.payload).filter(|found| found.run == run) {
                    held.get_or_insert_with(|| Held::open(&envelope, received_ms))
                        .enter(&envelope, received_ms);
                }
                Ok(())
            })?;
            Ok(held.map(|held| held.into_account(agent.clone(), run.0)))
        })
        .map(Option::flatten)
    }

    /// The agent's runs, the one that was heard of last first, at most so many.
    pub fn runs(&self, agent: &AgentName, limit: usize) -> Result<Vec<RunSpan>, StoreError> {
        let runs = self.view(agent, |view| {
            let mut spans: BTreeMap<u32, RunSpan> = BTreeMap::new();
            let mut select = view.db.prepare_cached(
                "SELECT run, first_ms, last_ms, lost FROM runs WHERE agent = ?1 ORDER BY last_ms DESC LIMIT ?2",
            )?;
            let kept = select.query_map([i64::from(view.agent), limit as i64], |row| {
                let run = Run(row.get(0)?);
                let ms = |column| row.get::<_, i64>(column).map(|ms| ms as u64);
                Ok(RunSpan { run, first_ms: ms(1)?, last_ms: ms(2)?, lost: ms(3)? })
            })?;
            for span in kept {
                let span = span?;
                spans.insert(span.run.0, span);
            }
            view.rows(|row, received_ms| {
                if let Some(envelope) = envelope(row.event, row.payload) {
                    let new = RunSpan { run: envelope.run, first_ms: received_ms, last_ms: received_ms, lost: 0 };
                    let span = spans.entry(envelope.run.0).or_insert(new);
                    span.last_ms = span.last_ms.max(received_ms);
                }
                Ok(())
            })?;
            Ok(spans.into_values().collect::<Vec<_>>())
        })?;
        let mut runs = runs.unwrap_or_default();
        runs.sort_by_key(|span| std::cmp::Reverse((span.last_ms, span.first_ms)));
        runs.truncate(limit);
        Ok(runs)
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
        // A salvage leaves a series of that name where numbers had been given that must not be given again.
        let kept =
            series.unwrap_or_default().into_iter().filter(|(_, key)| !catalog::is_of_the_hub(&key.name));
        Ok(kept.map(|(id, key)| (SeriesId(id), key)).collect())
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

    /// The samples of several series of one agent, as [`samples`](Self::samples) has those of one, for less work; series without
    /// any are left out.
    pub fn several(
        &self,
        agent: &AgentName,
        series: &[SeriesId],
        range: Range<u64>,
    ) -> Result<Vec<(SeriesId, Samples)>, StoreError> {
        let ids: Vec<u32> = series.iter().map(|id| id.0).collect();
        let several = self.view(agent, |view| view.several(&ids, &range))?.unwrap_or_default();
        Ok(several.into_iter().map(|(id, samples)| (SeriesId(id), samples)).collect())
    }

    /// The samples of several series, a day of UTC at a time, in order, until `each` has enough: what a year of them takes in memory is a day. All of it is of
    /// one moment. Days without any are left out.
    pub fn by_day(
        &self,
        agent: &AgentName,
        series: &[SeriesId],
        range: Range<u64>,
        each: &mut dyn FnMut(Vec<(SeriesId, Samples)>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let ids: Vec<u32> = series.iter().map(|id| id.0).collect();
        let mut take = |day: Vec<(u32, Samples)>| {
            each(day.into_iter().map(|(id, samples)| (SeriesId(id), samples)).collect())
        };
        self.view(agent, |view| view.by_day(&ids, &range, &mut take))?;
        Ok(())
    }

    /// The same as [`rollup`](Self::rollup) of several series, for less work; those of which nothing is known are left out.
    pub fn rollups(
        &self,
        agent: &AgentName,
        series: &[SeriesId],
        range: Range<u64>,
        resolution: Resolution,
    ) -> Result<Vec<(SeriesId, Vec<Bucket>)>, StoreError> {
        let ids: Vec<u32> = series.iter().map(|id| id.0).collect();
        let several = self.view(agent, |view| view.rollups(&ids, &range, resolution))?.unwrap_or_default();
        Ok(several.into_iter().map(|(id, buckets)| (SeriesId(id), buckets)).collect())
    }

    /// What is known of a series in steps of a minute or an hour within `range`, which is widened to whole steps: from
    /// rollups, and from samples where there are none yet.
    pub fn rollup(
        &self,
        agent: &AgentName,
        series: SeriesId,
        range: Range<u64>,
        resolution: Resolution,
    ) -> Result<Vec<Bucket>, StoreError> {
        let buckets = self.view(agent, |view| view.rollup(series.0, &range, resolution))?;
        Ok(buckets.unwrap_or_default())
    }

    /// Texts that changed within `range`: when, what they are about, their new content. In order of time.
    pub fn texts(&self, agent: &AgentName, range: Range<u64>) -> Result<Vec<Text>, StoreError> {
        Ok(self.view(agent, |view| view.texts(&range))?.unwrap_or_default())
    }

    /// What happened, the newest first: texts that changed and what events set, of all agents or of some. Costs by what it gives, not by what there is.
    pub fn log(&self, query: &LogQuery<'_>) -> Result<LogPage, StoreError> {
        self.snapshot(|db| log::page(db, query))
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
