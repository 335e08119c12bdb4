//! `fleet.db`: what each appliance was told, and the roll-outs.
//!
//! ```text
//! texts       digest → text
//! appliances  site, appliance → sent (digest), revision, counts (digest), base
//! roll_outs   id, back_of, by, begun_at, stages, wait, on_air_too, stage, state, ended_at, why, stop_by
//! members     roll_out, site, appliance → before, after, stage, step, at, revision, up_since, gone_since, well_since, alerts, why, has_it
//! ```
//!
//! The command line writes a new roll-out or the wish to stop one while the hub runs; everything else the hub alone writes. Every change is
//! one transaction, so whatever kills the hub leaves a roll-out that goes on where it was: at worst somebody is told the same twice.

mod base;
mod rows;

pub use base::{Base, Newcomer, Snapshot};

use crate::error::BookError;
use crate::roll_out::{Digest, Member, RollOut, State};
use crate::stages::Stages;
use rackside_proto::AgentName;
use ring::digest::{SHA256, digest};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

const FILE: &str = "fleet.db";
/// "RSFL": what tells it from any other SQLite database.
const APPLICATION: i32 = 0x5253_464c;
const VERSION: i64 = 2;
/// Roll-outs that are kept; the oldest go first.
const MOST: i64 = 50;
/// Most appliances that are kept.
pub const MOST_APPLIANCES: usize = 20_000;
/// Another process may be writing it.
const BUSY: Duration = Duration::from_secs(5);

const TABLES: &str = "
CREATE TABLE texts (
  digest TEXT PRIMARY KEY,
  text   TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE appliances (
  site      TEXT NOT NULL,
  appliance TEXT NOT NULL,
  sent      TEXT NOT NULL,
  revision  INTEGER NOT NULL,
  counts    TEXT NOT NULL,
  PRIMARY KEY (site, appliance)
) WITHOUT ROWID;
CREATE TABLE roll_outs (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  back_of    INTEGER,
  by         TEXT NOT NULL,
  begun_at   INTEGER NOT NULL,
  stages     TEXT NOT NULL,
  wait       INTEGER NOT NULL,
  on_air_too INTEGER NOT NULL,
  stage      INTEGER NOT NULL,
  state      TEXT NOT NULL,
  ended_at   INTEGER,
  why        TEXT NOT NULL,
  stop_by    TEXT
);
CREATE TABLE members (
  roll_out   INTEGER NOT NULL,
  site       TEXT NOT NULL,
  appliance  TEXT NOT NULL,
  before     TEXT NOT NULL,
  after      TEXT NOT NULL,
  stage      INTEGER,
  step       TEXT NOT NULL,
  at         INTEGER,
  revision   INTEGER,
  up_since   INTEGER,
  gone_since INTEGER,
  well_since INTEGER,
  alerts     TEXT NOT NULL,
  why        TEXT NOT NULL,
  has_it     INTEGER NOT NULL,
  PRIMARY KEY (roll_out, site, appliance)
) WITHOUT ROWID;
";

/// The book.
#[derive(Debug)]
pub struct Book {
    path: PathBuf,
    db: Connection,
}

/// What an appliance was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Had {
    /// Which.
    pub name: AgentName,
    /// What it was told last; empty for nothing.
    pub sent: String,
    /// As which revision; 0 for none.
    pub revision: u32,
    /// What counts there, as far as is known; empty for nothing from the hub.
    pub counts: String,
}

/// A roll-out that somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Which other one it takes back.
    pub back_of: Option<i64>,
    /// Who wants it.
    pub by: String,
    /// How large its steps are.
    pub stages: Stages,
    /// How long somebody has to be well, in milliseconds.
    pub wait: i64,
    /// Whether sites that are on air are changed too.
    pub on_air_too: bool,
    /// Whom it is about: what they have, and what they are to have.
    pub texts: Vec<(AgentName, String, String)>,
    /// The files that it is made of; none of one that takes another one back.
    pub snapshot: Option<Snapshot>,
}

/// What came of wanting one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// It has this number.
    Yes(i64),
    /// This other one is running.
    Running(i64),
    /// Nobody would get anything.
    Nobody,
}

/// The name of a text.
pub fn digest_of(text: &str) -> Digest {
    let whole = digest(&SHA256, text.as_bytes());
    data_encoding::HEXLOWER.encode(&whole.as_ref()[..16])
}

impl Book {
    /// Opens the one in `directory`, or begins it.
    pub fn open(directory: &Path) -> Result<Self, BookError> {
        let path = directory.join(FILE);
        let mut db = Connection::open(&path).map_err(|error| BookError::of(&path, &error))?;
        let failed = |error: rusqlite::Error| BookError::of(&path, &error);
        db.busy_timeout(BUSY).map_err(failed)?;
        db.pragma_update(None, "journal_mode", "WAL").map_err(failed)?;
        let transaction =
            db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(failed)?;
        let found: i64 =
            transaction.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
        if found > VERSION {
            drop(transaction);
            return Err(BookError::Newer { path, found });
        }
        if found == 0 {
            let made = transaction
                .execute_batch(TABLES)
                .and_then(|()| transaction.pragma_update(None, "application_id", APPLICATION))
                .and_then(|()| transaction.pragma_update(None, "user_version", VERSION));
            made.map_err(failed)?;
        }
        if found < VERSION {
            let made = transaction
                .execute_batch(base::TABLES)
                .and_then(|()| transaction.pragma_update(None, "user_version", VERSION));
            made.map_err(failed)?;
        }
        transaction.commit().map_err(failed)?;
        Ok(Self { path, db })
    }

    fn failed(&self) -> impl Fn(rusqlite::Error) -> BookError + use<> {
        let path = self.path.clone();
        move |error| BookError::of(&path, &error)
    }

    fn write<T>(
        &mut self,
        change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, BookError> {
        let failed = self.failed();
        let written = self.db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).and_then(
            |transaction| {
                let came = change(&transaction)?;
                transaction.commit()?;
                Ok(came)
            },
        );
        written.map_err(failed)
    }

    /// Which appliances there are. Whoever is new has nothing from the hub; whoever is not there any more is forgotten.
    pub fn know(&mut self, names: &[AgentName]) -> Result<(), BookError> {
        let none = digest_of("");
        self.write(|db| {
            let mut known = BTreeSet::new();
            for had in rows::appliances(db)? {
                known.insert((had.0, had.1));
            }
            for name in names.iter().take(MOST_APPLIANCES) {
                let key = (name.site.to_string(), name.appliance.to_string());
                if !known.remove(&key) {
                    db.prepare_cached("INSERT INTO appliances (site, appliance, sent, revision, counts, base) VALUES (?1, ?2, ?3, 0, ?3, 0)")?
                        .execute(params![key.0, key.1, none])?;
                }
            }
            for (site, appliance) in known {
                db.prepare_cached("DELETE FROM appliances WHERE site = ?1 AND appliance = ?2")?
                    .execute(params![site, appliance])?;
            }
            Ok(())
        })
    }

    /// Every appliance, and what it was told.
    pub fn appliances(&self) -> Result<Vec<Had>, BookError> {
        let read = || -> rusqlite::Result<Vec<Had>> {
            let texts = rows::texts(&self.db)?;
            let text = |digest: &str| texts.get(digest).cloned().unwrap_or_default();
            let rows = rows::appliances(&self.db)?.into_iter();
            let had = rows.filter_map(|(site, appliance, sent, revision, counts)| {
                let name = AgentName::new(&site, &appliance).ok()?;
                Some(Had { name, sent: text(&sent), revision, counts: text(&counts) })
            });
            Ok(had.collect())
        };
        read().map_err(self.failed())
    }

    /// A text by its digest; the empty one has none.
    pub fn text(&self, digest: &str) -> Result<String, BookError> {
        if digest == digest_of("") {
            return Ok(String::new());
        }
        let found = self
            .db
            .prepare_cached("SELECT text FROM texts WHERE digest = ?1")
            .and_then(|mut select| select.query_row([digest], |row| row.get(0)).optional());
        let missing =
            || BookError::Damaged { path: self.path.clone(), what: format!("the text {digest} is missing") };
        found.map_err(self.failed())?.ok_or_else(missing)
    }

    /// Begins a roll-out, unless one is running.
    pub fn begin(&mut self, wanted: &Wanted, now: i64) -> Result<Begun, BookError> {
        if wanted.texts.is_empty() {
            return Ok(Begun::Nobody);
        }
        self.write(|db| {
            let running = "SELECT id FROM roll_outs WHERE state = 'running'";
            if let Some(id) = db.query_row(running, [], |row| row.get(0)).optional()? {
                return Ok(Begun::Running(id));
            }
            let Wanted { back_of, by, stages, wait, on_air_too, texts, snapshot } = wanted;
            db.execute(
                "INSERT INTO roll_outs (back_of, by, begun_at, stages, wait, on_air_too, stage, state, why)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, 'running', '')",
                params![back_of, by, now, stages.to_string(), wait, on_air_too],
            )?;
            let id = db.last_insert_rowid();
            for (name, before, after) in texts {
                for text in [before, after].into_iter().filter(|text| !text.is_empty()) {
                    db.prepare_cached("INSERT OR IGNORE INTO texts (digest, text) VALUES (?1, ?2)")?
                        .execute([digest_of(text), text.clone()])?;
                }
                rows::put(db, id, &Member::new(name.clone(), digest_of(before), digest_of(after)))?;
            }
            if let Some(snapshot) = snapshot {
                base::begin(db, id, snapshot)?;
            }
            if let Some(back_of) = back_of {
                base::take_back(db, *back_of)?;
            }
            base::forget(db, id - MOST)?;
            rows::forget(db, id - MOST)?;
            Ok(Begun::Yes(id))
        })
    }

    /// Wants the running one to end. Its number, if there is one.
    pub fn stop(&mut self, by: &str) -> Result<Option<i64>, BookError> {
        self.write(|db| {
            let running = "SELECT id FROM roll_outs WHERE state = 'running'";
            let id: Option<i64> = db.query_row(running, [], |row| row.get(0)).optional()?;
            if let Some(id) = id {
                db.execute("UPDATE roll_outs SET stop_by = ?2 WHERE id = ?1", params![id, by])?;
            }
            Ok(id)
        })
    }

    /// Who wants this one to end, if somebody does.
    pub fn stop_by(&self, id: i64) -> Result<Option<String>, BookError> {
        let asked = self
            .db
            .prepare_cached("SELECT stop_by FROM roll_outs WHERE id = ?1")
            .and_then(|mut select| select.query_row([id], |row| row.get(0)).optional());
        asked.map(Option::flatten).map_err(self.failed())
    }

    /// The number of the newest roll-out.
    pub fn newest_id(&self) -> Result<Option<i64>, BookError> {
        let read = self
            .db
            .prepare_cached("SELECT MAX(id) FROM roll_outs")
            .and_then(|mut select| select.query_row([], |row| row.get(0)));
        read.map_err(self.failed())
    }

    /// The newest roll-out, whether it goes on or not.
    pub fn newest(&self) -> Result<Option<RollOut>, BookError> {
        self.roll_out("SELECT MAX(id) FROM roll_outs", None)
    }

    /// The one with this number.
    pub fn find(&self, id: i64) -> Result<Option<RollOut>, BookError> {
        self.roll_out("SELECT id FROM roll_outs WHERE id = ?1", Some(id))
    }

    fn roll_out(&self, which: &str, id: Option<i64>) -> Result<Option<RollOut>, BookError> {
        let failed = self.failed();
        let id: Option<i64> = match id {
            Some(id) => self.db.query_row(which, [id], |row| row.get(0)).optional().map_err(&failed)?,
            None => self.db.query_row(which, [], |row| row.get(0)).map_err(&failed)?,
        };
        let Some(id) = id else { return Ok(None) };
        let damaged =
            || BookError::Damaged { path: self.path.clone(), what: format!("roll-out {id} makes no sense") };
        rows::roll_out(&self.db, id).map_err(failed)?.ok_or_else(damaged).map(Some)
    }

    /// Writes how a roll-out stands: those of its members that are otherwise than in `before`, and what counts at them.
    pub fn keep(&mut self, before: &RollOut, after: &RollOut) -> Result<(), BookError> {
        if before == after {
            return Ok(());
        }
        self.write(|db| {
            let (state, ended_at, why) = match &after.state {
                State::Running => ("running", None, ""),
                State::Done { at } => ("done", Some(*at), ""),
                State::Stopped { at, why } => ("stopped", Some(*at), why.as_str()),
            };
            db.prepare_cached(
                "UPDATE roll_outs SET stage = ?2, state = ?3, ended_at = ?4, why = ?5 WHERE id = ?1",
            )?
            .execute(params![after.id, after.stage as i64, state, ended_at, why])?;
            if before.is_running() {
                base::end(db, after)?;
            }
            for (was, is) in before.members.iter().zip(&after.members) {
                if (was.stage, &was.step) == (is.stage, &is.step) {
                    continue;
                }
                rows::put(db, after.id, is)?;
                rows::has(db, is)?;
            }
            Ok(())
        })
    }
}

/// Copies `fleet.db` of `data` into `target`, while a hub may be using it. None, if there is none.
pub fn backup(data: &Path, target: &Path) -> Result<Option<PathBuf>, BookError> {
    Ok(rackside_store::copy(data, target, FILE, |_| Ok(()))?)
}

#[cfg(test)]
mod tests;
