//! Questions about the hub's own series on the disk. One series is read at a time, and only when it is its turn: what a question takes in
//! memory is the names that it matches and the samples of one of them. Writes nothing, and whoever writes does not wait for it.
//!
//! A row that is damaged is left out, and counted: one bad row takes nothing else along.
//!
//! Invariant: rows of `fresh` are read ahead of those of `hours`, so that an hour which is closed meanwhile is seen twice and never missed.
//!
//! Sample: `up{site="hall"}` of two weeks is `Entry { id: 7, last_hour: 498651 }`, 336 rows of `hours`, and what `fresh` has of series 7.

use crate::db::{HubDb, HubDbError};
use crate::kept::{BySeries, decode, hour, labels, stored, unfold};
use crate::rack::in_order;
use rackside_promql::{Labels, METRIC_NAME, Matcher, Sample, Test};
use rusqlite::{Connection, params};
use std::ops::{ControlFlow, RangeInclusive};

/// Series whose samples in `fresh` are held at once.
const AT_ONCE: usize = 4096;

/// Whether more is wanted.
type Turn = Result<ControlFlow<()>, HubDbError>;

/// A series on the disk.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) labels: Labels,
    id: i64,
    /// Nothing of it is later than this hour.
    last_hour: i64,
}

/// The series that match and have samples in or after the hour of `from`; when they began nobody looks.
pub(crate) fn listed(db: &HubDb, matchers: &[Matcher], from: i64) -> Result<Vec<Entry>, HubDbError> {
    let rows = db.ask(|db| rows(db, matchers, hour(from)))?;
    let mut listed = Vec::new();
    for (id, text, last_hour) in rows {
        let Some(labels) = labels(&text) else {
            db.spoilt(("series", id, 0), "its labels");
            continue;
        };
        if matchers.iter().all(|matcher| matcher.matches(&labels)) {
            listed.push(Entry { labels, id, last_hour });
        }
    }
    Ok(listed)
}

fn rows(db: &Connection, matchers: &[Matcher], first: i64) -> rusqlite::Result<Vec<(i64, String, i64)>> {
    let metric = matchers.iter().find_map(|matcher| match &matcher.test {
        Test::Equal(name) if *matcher.name == *METRIC_NAME => Some(name.as_ref()),
        _ => None,
    });
    let mut select = db.prepare_cached(
        "SELECT id, labels, last_hour FROM series WHERE last_hour >= ?1 AND (?2 IS NULL OR metric = ?2) ORDER BY labels",
    )?;
    select.query_map(params![first, metric], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
}

/// Samples of a stretch of time, of one series after the other.
pub(crate) struct Older<'a> {
    db: &'a HubDb,
    from: i64,
    to: i64,
    newest: bool,
    /// Rows of `fresh`.
    batches: Vec<(i64, Vec<u8>)>,
    /// What they have of the series whose turn is next.
    newer: BySeries,
    /// Hours that have rows of their own, or nothing.
    hours: RangeInclusive<i64>,
}

impl<'a> Older<'a> {
    /// From `from` to `to`, both included; `newest`, if only the last sample is wanted.
    pub(crate) fn new(db: &'a HubDb, from: i64, to: i64, newest: bool) -> Result<Self, HubDbError> {
        let (first, last) = (hour(from), hour(to));
        let (batches, held) = db.ask(|db| {
            let mut select =
                db.prepare_cached("SELECT id, samples FROM fresh WHERE hour BETWEEN ?1 AND ?2 ORDER BY id")?;
            let batches = select.query_map([first, last], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let batches = batches.collect::<rusqlite::Result<Vec<_>>>()?;
            let held: Option<i64> =
                db.prepare_cached("SELECT min(hour) FROM hours")?.query_row([], |row| row.get(0))?;
            Ok((batches, held))
        })?;
        let hours = held.unwrap_or(i64::MAX).max(first)..=last;
        Ok(Self { db, from, to, newest, batches, newer: BySeries::new(), hours })
    }

    /// Hands over each entry. What is to be known of `fresh` is looked up for several ahead of them.
    pub(crate) fn each(
        &mut self,
        entries: &[Entry],
        take: &mut dyn FnMut(&mut Self, &Entry) -> Turn,
    ) -> Turn {
        for some in entries.chunks(AT_ONCE) {
            self.newer = some.iter().map(|entry| (entry.id, Vec::new())).collect();
            for (row, bytes) in &self.batches {
                let (range, newest) = (self.from..=self.to, self.newest);
                let mut put = |id, sample: Sample| {
                    let Some(samples) = self.newer.get_mut(&id).filter(|_| range.contains(&sample.at)) else {
                        return;
                    };
                    match samples.last_mut().filter(|_| newest) {
                        Some(last) if last.at > sample.at => {}
                        Some(last) => *last = sample,
                        None => samples.push(sample),
                    }
                };
                if let Err(what) = unfold(bytes, &mut put) {
                    self.db.spoilt(("fresh", *row, 0), &what);
                }
            }
            for entry in some {
                if take(self, entry)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The samples of a series up to `to`, or the last of them, in place of what is in `samples`.
    pub(crate) fn read(
        &mut self,
        entry: &Entry,
        to: i64,
        samples: &mut Vec<Sample>,
    ) -> Result<(), HubDbError> {
        samples.clear();
        let mut newer = self.newer.remove(&entry.id).unwrap_or_default();
        newer.retain(|sample| sample.at <= to);
        let last = (*self.hours.end()).min(entry.last_hour).min(hour(to));
        let first = *self.hours.start();
        if self.newest {
            let first = newer.last().map_or(first, |sample| first.max(hour(sample.at)));
            for at in (first..=last).rev() {
                self.row(entry, at, to, samples)?;
                if !samples.is_empty() {
                    break;
                }
            }
        } else {
            for at in first..=last {
                self.row(entry, at, to, samples)?;
            }
        }
        samples.append(&mut newer);
        in_order(samples, 0);
        if self.newest {
            samples.drain(..samples.len().saturating_sub(1));
        }
        Ok(())
    }

    fn row(&self, entry: &Entry, hour: i64, to: i64, samples: &mut Vec<Sample>) -> Result<(), HubDbError> {
        let Some(bytes) = self.db.ask(|db| stored(db, hour, entry.id))? else { return Ok(()) };
        let row = decode(&bytes).unwrap_or_else(|what| {
            self.db.spoilt(("hours", entry.id, hour), &what);
            Vec::new()
        });
        samples.extend(row.into_iter().filter(|sample| (self.from..=to).contains(&sample.at)));
        Ok(())
    }
}
