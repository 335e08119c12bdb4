//! What the fleet has: the files of each roll-out that was begun, and whether it came to its end; and who came too late to be in it.
//!
//! A box that comes after a roll-out is to have what that has brought. The files on the disk may say something newer that nobody has proven yet, so those of
//! the roll-out are kept. A *base* is *rolling* while its roll-out goes on, *proven* when that is done, and *taken back* when another one took it back;
//! that of one that was stopped is forgotten.
//!
//! ```text
//! bases        roll_out, selection, state
//! base_files   roll_out, path → digest
//! appliances   … base: the newest one that it came after or was in; none for whoever was there before there were bases
//! ```

use super::{Book, MOST, digest_of};
use crate::error::{BookError, Fault};
use crate::roll_out::{Digest, RollOut, State};
use crate::selection::Selection;
use crate::sources::Sources;
use rackside_proto::AgentName;
use rusqlite::{Connection, OptionalExtension as _, params};

/// What version 2 of the file has more than version 1.
pub(super) const TABLES: &str = "
CREATE TABLE bases (
  roll_out  INTEGER PRIMARY KEY,
  selection TEXT NOT NULL,
  state     TEXT NOT NULL
);
CREATE TABLE base_files (
  roll_out INTEGER NOT NULL,
  path     TEXT NOT NULL,
  digest   TEXT NOT NULL,
  PRIMARY KEY (roll_out, path)
) WITHOUT ROWID;
ALTER TABLE appliances ADD COLUMN base INTEGER;
";

const ROLLING: &str = "rolling";
const PROVEN: &str = "proven";
const TAKEN_BACK: &str = "taken back";

/// What a roll-out is made of, for those who come later.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// Who is meant.
    pub selection: Selection,
    /// The files: their names below the directory, and what they say.
    pub files: Vec<(String, String)>,
}

/// The base of one roll-out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// Of which one.
    pub roll_out: i64,
    /// Who was meant.
    pub selection: Selection,
    /// Whether it counts: it was proven, and nobody took it back.
    pub is_proven: bool,
    /// Whether somebody took it back.
    pub is_taken_back: bool,
}

/// An appliance that came when there were bases already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Newcomer {
    /// Which.
    pub name: AgentName,
    /// What it was told last.
    pub sent: Digest,
    /// As which revision.
    pub revision: u32,
    /// What counts there, as far as is known.
    pub counts: Digest,
    /// The newest base that it was given or was in; 0 for none.
    pub base: i64,
}

/// A roll-out begins.
pub(super) fn begin(db: &Connection, roll_out: i64, snapshot: &Snapshot) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO bases (roll_out, selection, state) VALUES (?1, ?2, ?3)",
        params![roll_out, snapshot.selection.to_string(), ROLLING],
    )?;
    for (path, text) in &snapshot.files {
        let digest = digest_of(text);
        db.prepare_cached("INSERT OR IGNORE INTO texts (digest, text) VALUES (?1, ?2)")?
            .execute([&digest, text])?;
        db.prepare_cached("INSERT INTO base_files (roll_out, path, digest) VALUES (?1, ?2, ?3)")?
            .execute(params![roll_out, path, digest])?;
    }
    Ok(())
}

/// Somebody takes a roll-out back.
pub(super) fn take_back(db: &Connection, roll_out: i64) -> rusqlite::Result<()> {
    db.execute("UPDATE bases SET state = ?2 WHERE roll_out = ?1", params![roll_out, TAKEN_BACK]).map(drop)
}

/// A roll-out has come to an end.
pub(super) fn end(db: &Connection, after: &RollOut) -> rusqlite::Result<()> {
    match after.state {
        State::Running => Ok(()),
        State::Done { .. } => db
            .execute(
                "UPDATE bases SET state = ?2 WHERE roll_out = ?1 AND state = ?3",
                params![after.id, PROVEN, ROLLING],
            )
            .map(drop),
        State::Stopped { .. } => {
            db.execute("DELETE FROM bases WHERE roll_out = ?1", [after.id])?;
            db.execute("DELETE FROM base_files WHERE roll_out = ?1", [after.id]).map(drop)
        }
    }
}

/// Forgets those of roll-outs up to this one, but for the newest two that everybody was meant by: they may be what all newcomers get.
pub(super) fn forget(db: &Connection, up_to: i64) -> rusqlite::Result<()> {
    db.execute(
        "DELETE FROM bases WHERE roll_out <= ?1 AND roll_out NOT IN
           (SELECT roll_out FROM bases WHERE state = ?2 AND selection = '' ORDER BY roll_out DESC LIMIT 2)",
        params![up_to, PROVEN],
    )?;
    db.execute("DELETE FROM base_files WHERE roll_out NOT IN (SELECT roll_out FROM bases)", []).map(drop)
}

impl Book {
    /// All bases that are remembered, the newest first. One whose selection makes no sense any more is left out.
    pub fn bases(&self) -> Result<Vec<Base>, BookError> {
        let read = || -> rusqlite::Result<Vec<Base>> {
            let sql = "SELECT roll_out, selection, state FROM bases ORDER BY roll_out DESC LIMIT ?1";
            let mut select = self.db.prepare_cached(sql)?;
            let rows = select.query_map([MOST * 2], |row| {
                let (roll_out, selection, state): (i64, String, String) =
                    (row.get(0)?, row.get(1)?, row.get(2)?);
                let selection =
                    if selection.is_empty() { Some(Selection::default()) } else { selection.parse().ok() };
                Ok(selection.map(|selection| Base {
                    roll_out,
                    selection,
                    is_proven: state == PROVEN,
                    is_taken_back: state == TAKEN_BACK,
                }))
            })?;
            rows.filter_map(Result::transpose).collect()
        };
        read().map_err(self.failed())
    }

    /// The files of a base.
    pub fn base(&self, roll_out: i64) -> Result<Result<Sources, Vec<Fault>>, BookError> {
        let read = || -> rusqlite::Result<Vec<(String, String)>> {
            let sql = "SELECT path, text FROM base_files JOIN texts USING (digest) WHERE roll_out = ?1 ORDER BY path";
            self.db
                .prepare_cached(sql)?
                .query_map([roll_out], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        };
        Ok(Sources::of(&read().map_err(self.failed())?))
    }

    /// Everybody who came when there were bases already.
    pub fn newcomers(&self) -> Result<Vec<Newcomer>, BookError> {
        let read = || -> rusqlite::Result<Vec<Newcomer>> {
            let sql = "SELECT site, appliance, sent, revision, counts, base FROM appliances WHERE base IS NOT NULL ORDER BY site, appliance";
            let mut select = self.db.prepare_cached(sql)?;
            let rows = select.query_map([], |row| {
                let (site, appliance): (String, String) = (row.get(0)?, row.get(1)?);
                let name = AgentName::new(&site, &appliance).ok();
                let (sent, revision, counts, base) = (row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?);
                Ok(name.map(|name| Newcomer { name, sent, revision, counts, base }))
            })?;
            rows.filter_map(Result::transpose).collect()
        };
        read().map_err(self.failed())
    }

    /// Whether a roll-out was about an appliance.
    pub fn was_about(&self, roll_out: i64, name: &AgentName) -> Result<bool, BookError> {
        let sql = "SELECT 1 FROM members WHERE roll_out = ?1 AND site = ?2 AND appliance = ?3";
        let asked = self.db.prepare_cached(sql).and_then(|mut select| {
            let of = params![roll_out, name.site.as_str(), name.appliance.as_str()];
            select.query_row(of, |_| Ok(())).optional()
        });
        Ok(asked.map_err(self.failed())?.is_some())
    }

    /// This base is the appliance's, and it was told nothing for that: it had been in the roll-out, or has the same already.
    pub fn follows(&mut self, name: &AgentName, base: i64) -> Result<(), BookError> {
        self.write(|db| {
            db.prepare_cached("UPDATE appliances SET base = ?3 WHERE site = ?1 AND appliance = ?2")?
                .execute(params![name.site.as_str(), name.appliance.as_str(), base])
                .map(drop)
        })
    }

    /// A newcomer was told what a base says for it.
    pub fn gave(&mut self, name: &AgentName, text: &str, revision: u32, base: i64) -> Result<(), BookError> {
        let digest = digest_of(text);
        self.write(|db| {
            if !text.is_empty() {
                db.prepare_cached("INSERT OR IGNORE INTO texts (digest, text) VALUES (?1, ?2)")?
                    .execute([digest.as_str(), text])?;
            }
            db.prepare_cached(
                "UPDATE appliances SET sent = ?3, revision = ?4, base = ?5 WHERE site = ?1 AND appliance = ?2",
            )?
            .execute(params![name.site.as_str(), name.appliance.as_str(), digest, revision, base])
            .map(drop)
        })
    }

    /// A newcomer runs on what it was told.
    pub fn runs(&mut self, name: &AgentName) -> Result<(), BookError> {
        self.write(|db| {
            db.prepare_cached("UPDATE appliances SET counts = sent WHERE site = ?1 AND appliance = ?2")?
                .execute([name.site.as_str(), name.appliance.as_str()])
                .map(drop)
        })
    }
}
