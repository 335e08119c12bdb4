//! The log: what happened, by time. Texts that changed and what events set, of every agent or of some, the newest first.
//!
//! What has moved on stands in `texts` and `edges`, each with an index by time; what has not is found in the inbox by an index of its events. An
//! entry's place in the log follows from the entry alone, so it is the same before it has moved on and after, and a page that
//! was cut there goes on there.
//!
//! ```text
//! 1795145119000  arena-north/rack-1  error/encoder: connection refused     place: 1795145119000.1.terror/encoder
//! 1795145110021  arena-north/rack-1  rackside_tally_active{..} = 1         place: 1795145110021.1.s7
//! ```

use crate::SeriesKey;
use crate::store::catalog::{self, NOT_KEPT};
use crate::unfold::{CONFIGURATION, at};
use crate::view::{Trouble, clamp};
use rackside_proto::{AgentName, Event, Record, What};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// Events of the inbox that are looked at, the newest first; with more (a backlog of months that comes in within the hour) older ones show when they have moved on.
const PENDING: i64 = 100_000;
/// So many agents are asked one by one; of more, all is read by time and theirs is taken.
const ONE_BY_ONE: usize = 32;
/// Rows by time that are read for one page.
const READ: usize = 50_000;
/// The number of the hub itself; agents count from 1.
pub(crate) const HUB: u32 = 0;

/// What is asked of the log.
#[derive(Debug, Clone, Default)]
pub struct LogQuery<'a> {
    /// Milliseconds since 1970-01-01 UTC.
    pub range: Range<u64>,
    /// What is older than this entry; from the end of the range on, if none.
    pub before: Option<&'a Cursor>,
    /// The other way: what is at this place and newer, of that the oldest; moments are not cut, so there may be more than `limit`.
    pub from: Option<&'a Cursor>,
    /// Whose; everybody's, if none.
    pub agents: Option<&'a [AgentName]>,
    /// Besides these agents', what is of the hub itself.
    pub hub: bool,
    /// Most entries.
    pub limit: usize,
}

/// A page of the log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogPage {
    /// The newest first.
    pub entries: Vec<LogEntry>,
    /// Where it goes on, if it does: to what is older, or with `from` to what is newer.
    pub next: Option<Cursor>,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Its place.
    pub place: Cursor,
    /// Whose it is; the hub's own, if nobody's.
    pub agent: Option<AgentName>,
    /// What happened.
    pub what: Happened,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happened {
    /// An event set a series.
    Set {
        /// Which.
        series: SeriesKey,
        /// To what, on its scale; `None` where nobody knows.
        value: Option<i64>,
    },
    /// A text changed.
    Text {
        /// What it is about: `default_route`.
        subject: String,
        /// Its new content; empty where there is none any more.
        text: String,
    },
}

/// The place of an entry: of two, the one that happened later is greater. As text `1795145119000.1.terror/encoder`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cursor {
    /// When, in milliseconds since 1970-01-01 UTC.
    pub ms: u64,
    agent: u32,
    what: Key,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Key {
    Series(u32),
    Text(String),
}

impl Cursor {
    /// Below all that happened at a moment and later, above all that happened before.
    pub const fn at(ms: u64) -> Self {
        Self { ms, agent: 0, what: Key::Series(0) }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ms, agent, what } = self;
        match what {
            Key::Series(id) => write!(f, "{ms}.{agent}.s{id}"),
            Key::Text(subject) => write!(f, "{ms}.{agent}.t{subject}"),
        }
    }
}

/// The text is no place in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoCursor;

impl FromStr for Cursor {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, NoCursor> {
        let read = || {
            let mut parts = text.splitn(3, '.');
            let (ms, agent, what) = (parts.next()?, parts.next()?, parts.next()?);
            let what = match what.split_at_checked(1)? {
                ("s", id) => Key::Series(id.parse().ok()?),
                ("t", subject) => Key::Text(subject.to_owned()),
                _ => return None,
            };
            Some(Self { ms: ms.parse().ok()?, agent: agent.parse().ok()?, what })
        };
        read().ok_or(NoCursor)
    }
}

/// An entry before its names are known.
enum Raw {
    Set(Option<i64>),
    Text(String),
}

/// One page.
pub(crate) fn page(db: &Connection, query: &LogQuery<'_>) -> Result<LogPage, Trouble> {
    let Some(agents) = numbers(db, query)? else { return Ok(LogPage::default()) };
    let gather = Gather { db, query, agents: &agents };
    // One more than is wanted says whether there is more.
    let mut found: BTreeMap<Cursor, Raw> = BTreeMap::new();
    let mut horizon = None;
    gather.saved(&mut found, &mut horizon)?;
    gather.pending(&mut found)?;
    let (mut page, mut names, mut series) = (LogPage::default(), HashMap::new(), HashMap::new());
    let rises = query.from.is_some();
    let in_order: Box<dyn Iterator<Item = (Cursor, Raw)>> =
        if rises { Box::new(found.into_iter()) } else { Box::new(found.into_iter().rev()) };
    for (place, raw) in in_order {
        let is_beyond = |horizon: &Cursor| if rises { place >= *horizon } else { place < *horizon };
        if horizon.as_ref().is_some_and(is_beyond) {
            break;
        }
        let last = page.entries.last().filter(|_| page.entries.len() >= query.limit);
        if let Some(last) = last.filter(|last: &&LogEntry| !rises || last.place.ms != place.ms) {
            page.next = Some(if rises { Cursor::at(place.ms) } else { last.place.clone() });
            break;
        }
        let agent = if place.agent == HUB {
            None
        } else {
            let Some(agent) = known(&mut names, place.agent, || name(db, place.agent))? else { continue };
            Some(agent)
        };
        let what = match (&place.what, raw) {
            (Key::Text(subject), Raw::Text(text)) => Happened::Text { subject: subject.clone(), text },
            (Key::Series(id), Raw::Set(value)) => {
                let of = (place.agent, *id);
                let Some(key) = known(&mut series, of, || catalog::one_series(db, of.0, of.1))? else {
                    continue;
                };
                Happened::Set { series: key, value }
            }
            _ => continue,
        };
        page.entries.push(LogEntry { place, agent, what });
    }
    // What was read ended before the range did.
    page.next = page.next.or(horizon);
    if rises {
        page.entries.reverse();
    }
    Ok(page)
}

fn known<K: Eq + std::hash::Hash, V: Clone>(
    all: &mut HashMap<K, Option<V>>,
    key: K,
    ask: impl FnOnce() -> rusqlite::Result<Option<V>>,
) -> rusqlite::Result<Option<V>> {
    if let Some(value) = all.get(&key) {
        return Ok(value.clone());
    }
    let value = ask()?;
    all.insert(key, value.clone());
    Ok(value)
}

fn name(db: &Connection, agent: u32) -> rusqlite::Result<Option<AgentName>> {
    let mut select = db.prepare_cached("SELECT name FROM agents WHERE id = ?1")?;
    select.query_row([agent], |row| crate::store::name(row.get_ref(0)?.as_str()?)).optional()
}

/// The numbers of agents; all, if none is named. `None` if nobody is left.
fn numbers(db: &Connection, query: &LogQuery<'_>) -> rusqlite::Result<Option<BTreeSet<u32>>> {
    let Some(agents) = query.agents else { return Ok(Some(BTreeSet::new())) };
    let mut select = db.prepare_cached("SELECT id FROM agents WHERE name = ?1")?;
    let mut found: BTreeSet<u32> = query.hub.then_some(HUB).into_iter().collect();
    for agent in agents {
        found.extend(select.query_row([agent.to_string()], |row| row.get::<_, u32>(0)).optional()?);
    }
    Ok((!found.is_empty()).then_some(found))
}

struct Gather<'a> {
    db: &'a Connection,
    query: &'a LogQuery<'a>,
    /// Empty: everybody's.
    agents: &'a BTreeSet<u32>,
}

impl Gather<'_> {
    fn wants(&self, place: &Cursor) -> bool {
        self.query.range.contains(&place.ms)
            && (self.agents.is_empty() || self.agents.contains(&place.agent))
            && self.query.before.is_none_or(|before| place < before)
            && self.query.from.is_none_or(|from| place >= from)
    }

    /// The first moment that can be wanted.
    fn first_ms(&self) -> i64 {
        clamp(self.query.from.map_or(0, |from| from.ms).max(self.query.range.start))
    }

    /// The last moment that can be wanted.
    fn last_ms(&self) -> i64 {
        let end = self.query.range.end.saturating_sub(1);
        clamp(self.query.before.map_or(end, |before| before.ms.min(end)))
    }

    /// What has moved on. `horizon` is the place above which all was read; below which, with `from`.
    fn saved(&self, found: &mut BTreeMap<Cursor, Raw>, horizon: &mut Option<Cursor>) -> Result<(), Trouble> {
        if self.agents.is_empty() || self.agents.len() > ONE_BY_ONE {
            return self.saved_of("", 0, found, horizon);
        }
        for &agent in self.agents {
            self.saved_of("agent = ?3 AND", agent, found, horizon)?;
        }
        Ok(())
    }

    fn saved_of(
        &self,
        only: &str,
        agent: u32,
        found: &mut BTreeMap<Cursor, Raw>,
        horizon: &mut Option<Cursor>,
    ) -> Result<(), Trouble> {
        let rises = self.query.from.is_some();
        let order = if rises { "ASC" } else { "DESC" };
        for (table, columns) in [("edges", "series, value"), ("texts", "subject, text")] {
            let sql = format!(
                "SELECT agent, ms, {columns} FROM {table} WHERE {only} ms BETWEEN ?1 AND ?2 AND ?3 >= 0 ORDER BY ms {order}"
            );
            let mut select = self.db.prepare_cached(&sql)?;
            let mut rows = select.query(params![self.first_ms(), self.last_ms(), agent])?;
            let (mut kept, mut read, mut last_ms) = (0, 0, 0);
            while let Some(row) = rows.next()? {
                let ms = row.get::<_, i64>(1)? as u64;
                // Of one moment all is read: rows of one are in no order.
                if (kept > self.query.limit || read >= READ) && ms != last_ms {
                    let here = Cursor::at(if rises { ms } else { last_ms });
                    let is_nearer = |horizon: &Cursor| if rises { here < *horizon } else { here > *horizon };
                    if horizon.as_ref().is_none_or(is_nearer) {
                        *horizon = Some(here);
                    }
                    break;
                }
                (read, last_ms) = (read + 1, ms);
                let (what, raw) = if table == "edges" {
                    (Key::Series(row.get(2)?), Raw::Set(row.get(3)?))
                } else {
                    (Key::Text(row.get(2)?), Raw::Text(row.get(3)?))
                };
                let place = Cursor { ms, agent: row.get(0)?, what };
                if self.wants(&place) {
                    kept += 1;
                    found.insert(place, raw);
                }
            }
        }
        Ok(())
    }

    /// What is in the inbox still; it counts before what was saved of the same place.
    fn pending(&self, found: &mut BTreeMap<Cursor, Raw>) -> Result<(), Trouble> {
        let mut select = self.db.prepare_cached(
            "SELECT i.agent, i.shift_ms, i.payload FROM inbox i INDEXED BY inbox_events
             JOIN agents a ON a.id = i.agent
             WHERE i.event = 1 AND i.id > a.flushed_upto ORDER BY i.id DESC LIMIT ?1",
        )?;
        let mut ids = HashMap::new();
        let mut rows = select.query([PENDING])?;
        let mut taken = BTreeSet::new();
        while let Some(row) = rows.next()? {
            let agent: u32 = row.get(0)?;
            let shift_ms: i64 = row.get(1)?;
            let payload = row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?;
            // What cannot be understood is put aside when the writer comes to it.
            let Ok(Record { envelope, body, .. }) = Record::<Event<'_>>::decode(payload) else { continue };
            let (what, raw) = match body.what {
                What::Anchor { .. } => continue,
                What::Text { subject, text } => (Key::Text(subject.to_owned()), Raw::Text(text.to_owned())),
                What::Configuration { revision, adopted, why } => {
                    (Key::Text(CONFIGURATION.to_owned()), Raw::Text(adopted.told(revision, why).to_string()))
                }
                What::Sample { catalog, series, value } => {
                    let of = (agent, envelope.run.0, catalog, series);
                    let Some(id) = known(&mut ids, of, || position(self.db, of))? else { continue };
                    (Key::Series(id), Raw::Set(value.known()))
                }
            };
            let place = Cursor { ms: at(body.time, shift_ms), agent, what };
            // Of two at one place the later row counts, and it came first here.
            if self.wants(&place) && taken.insert(place.clone()) {
                found.insert(place, raw);
            }
        }
        Ok(())
    }
}

/// The agent's series at a position of a catalog, without reading the catalog.
fn position(
    db: &Connection,
    (agent, run, number, series): (u32, u32, u32, u32),
) -> rusqlite::Result<Option<u32>> {
    let mut select = db.prepare_cached(
        "SELECT substr(series, ?4, 4) FROM catalogs WHERE agent = ?1 AND run = ?2 AND number = ?3",
    )?;
    let from = u64::from(series) * 4 + 1;
    let bytes: Option<Vec<u8>> =
        select.query_row(params![agent, run, number, from as i64], |row| row.get(0)).optional()?;
    let id = bytes.and_then(|bytes| Some(u32::from_le_bytes(bytes.try_into().ok()?)));
    Ok(id.filter(|id| *id != NOT_KEPT))
}
