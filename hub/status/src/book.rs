//! `status.db`: days and incidents.
//!
//! ```text
//! days       site, day (days since 1970-01-01 at the site) → known_ms, disturbed_ms
//! incidents  id, site (empty: all that are public), title, text, starts_at, ends_at, by, changed_at
//! ```

use crate::BookError;
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const FILE: &str = "status.db";
/// "RSST": what tells it from any other SQLite database.
const APPLICATION: i32 = 0x5253_5354;
const VERSION: i64 = 1;
/// Days that are kept of a site.
pub const MOST_DAYS: i64 = 400;
/// Incidents that are kept; the oldest go first.
const MOST_INCIDENTS: i64 = 1_000;
/// Most characters of a title, and of a text.
const TITLE: usize = 120;
const TEXT: usize = 2_000;
const BY: usize = 80;
/// Another process may be copying it.
const BUSY: Duration = Duration::from_secs(5);

const TABLES: &str = "
CREATE TABLE days (
  site         TEXT NOT NULL,
  day          INTEGER NOT NULL,
  known_ms     INTEGER NOT NULL,
  disturbed_ms INTEGER NOT NULL,
  PRIMARY KEY (site, day)
) WITHOUT ROWID;
CREATE TABLE incidents (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  site       TEXT NOT NULL,
  title      TEXT NOT NULL,
  text       TEXT NOT NULL,
  starts_at  INTEGER NOT NULL,
  ends_at    INTEGER,
  by         TEXT NOT NULL,
  changed_at INTEGER NOT NULL
);
";

/// How a site was on a day, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Day {
    /// For so long somebody knew.
    pub known_ms: i64,
    /// For so long of that it was disturbed.
    pub disturbed_ms: i64,
}

/// An incident, in somebody's words. Times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// Its number.
    pub id: i64,
    /// Where; empty, if it concerns all.
    pub site: String,
    /// In a few words.
    pub title: String,
    /// In more words.
    pub text: String,
    /// Since when.
    pub starts_at: i64,
    /// Since when it is over.
    pub ends_at: Option<i64>,
    /// Who wrote it: not for the public.
    pub by: String,
    /// When it was written, or changed last.
    pub changed_at: i64,
}

/// An incident that somebody writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewIncident {
    /// Where; empty, if it concerns all.
    pub site: String,
    /// In a few words.
    pub title: String,
    /// In more words.
    pub text: String,
    /// Since when.
    pub starts_at: i64,
    /// Since when it is over, if it is.
    pub ends_at: Option<i64>,
    /// Who writes it.
    pub by: String,
}

/// The book.
#[derive(Debug)]
pub struct Book {
    path: PathBuf,
    db: Mutex<Connection>,
}

impl Book {
    /// Opens the one in `directory`, or begins it.
    pub fn open(directory: &Path) -> Result<Self, BookError> {
        let path = directory.join(FILE);
        let db = Connection::open(&path).map_err(|error| BookError::of(&path, &error))?;
        Self::with(db, path)
    }

    /// One that is forgotten with the program: for a hub whose disk takes none.
    pub fn in_memory() -> Result<Self, BookError> {
        let path = PathBuf::from(":memory:");
        let db = Connection::open_in_memory().map_err(|error| BookError::of(&path, &error))?;
        Self::with(db, path)
    }

    fn with(mut db: Connection, path: PathBuf) -> Result<Self, BookError> {
        let failed = |error: rusqlite::Error| BookError::of(&path, &error);
        db.busy_timeout(BUSY).map_err(failed)?;
        db.pragma_update(None, "journal_mode", "WAL").map_err(failed)?;
        let found: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
        if found > VERSION {
            return Err(BookError::Newer { path, found });
        }
        if found == 0 {
            let made = db.transaction().and_then(|transaction| {
                transaction.execute_batch(TABLES)?;
                transaction.pragma_update(None, "application_id", APPLICATION)?;
                transaction.pragma_update(None, "user_version", VERSION)?;
                transaction.commit()
            });
            made.map_err(failed)?;
        }
        Ok(Self { path, db: Mutex::new(db) })
    }

    fn db(&self) -> MutexGuard<'_, Connection> {
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self) -> impl Fn(rusqlite::Error) -> BookError + '_ {
        |error| BookError::of(&self.path, &error)
    }

    /// Adds what was found out of some sites, each on its day. All of it or nothing.
    pub fn add(&self, found: &[(&str, i64, Day)]) -> Result<(), BookError> {
        let mut db = self.db();
        let added = db.transaction().and_then(|transaction| {
            for (site, day, Day { known_ms, disturbed_ms }) in found {
                let known = (*known_ms).max(0);
                let disturbed = (*disturbed_ms).clamp(0, known);
                transaction
                    .prepare_cached(
                        "INSERT INTO days (site, day, known_ms, disturbed_ms) VALUES (?1, ?2, ?3, ?4)
                         ON CONFLICT (site, day) DO UPDATE SET known_ms = known_ms + ?3, disturbed_ms = disturbed_ms + ?4",
                    )?
                    .execute(params![site, day, known, disturbed])?;
                transaction
                    .prepare_cached("DELETE FROM days WHERE site = ?1 AND day <= ?2")?
                    .execute(params![site, day - MOST_DAYS])?;
            }
            transaction.commit()
        });
        added.map_err(self.failed())
    }

    /// The days of a site from one on, by their numbers.
    pub fn days(&self, site: &str, from: i64) -> Result<BTreeMap<i64, Day>, BookError> {
        let db = self.db();
        let read = || {
            let mut select = db.prepare_cached(
                "SELECT day, known_ms, disturbed_ms FROM days WHERE site = ?1 AND day >= ?2",
            )?;
            let days = select.query_map(params![site, from], |row| {
                Ok((row.get(0)?, Day { known_ms: row.get(1)?, disturbed_ms: row.get(2)? }))
            })?;
            days.collect::<Result<_, _>>()
        };
        read().map_err(self.failed())
    }

    /// Incidents that go on or ended at `since` or later, the newest first.
    pub fn incidents(&self, since: i64) -> Result<Vec<Incident>, BookError> {
        let db = self.db();
        let read = || {
            let mut select = db.prepare_cached(
                "SELECT id, site, title, text, starts_at, ends_at, by, changed_at FROM incidents
                 WHERE ends_at IS NULL OR ends_at >= ?1 ORDER BY starts_at DESC, id DESC",
            )?;
            select.query_map([since], incident)?.collect::<Result<_, _>>()
        };
        read().map_err(self.failed())
    }

    /// Writes a new one, and gives its number.
    pub fn begin(&self, new: &NewIncident, now: i64) -> Result<i64, BookError> {
        new.check()?;
        let db = self.db();
        let write = || {
            db.prepare_cached(
                "INSERT INTO incidents (site, title, text, starts_at, ends_at, by, changed_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                new.site,
                new.title,
                new.text,
                new.starts_at,
                new.ends_at,
                new.by,
                now
            ])?;
            let id = db.last_insert_rowid();
            db.prepare_cached("DELETE FROM incidents WHERE id <= ?1")?.execute([id - MOST_INCIDENTS])?;
            Ok(id)
        };
        write().map_err(self.failed())
    }

    /// Writes more of one that goes on, or ends it.
    pub fn change(
        &self,
        id: i64,
        text: &str,
        ends_at: Option<i64>,
        (by, now): (&str, i64),
    ) -> Result<(), BookError> {
        let db = self.db();
        let failed = self.failed();
        let open = "SELECT id, site, title, text, starts_at, ends_at, by, changed_at FROM incidents WHERE id = ?1 AND ends_at IS NULL";
        let found = db.query_row(open, [id], incident).optional().map_err(&failed)?;
        let before = found.ok_or(BookError::NoIncident(id))?;
        let Incident { site, title, starts_at, .. } = before;
        let changed =
            NewIncident { site, title, text: text.to_owned(), starts_at, ends_at, by: by.to_owned() };
        changed.check()?;
        db.execute(
            "UPDATE incidents SET text = ?2, ends_at = ?3, by = ?4, changed_at = ?5 WHERE id = ?1",
            params![id, text, ends_at, by, now],
        )
        .map(drop)
        .map_err(failed)
    }
}

impl NewIncident {
    fn check(&self) -> Result<(), BookError> {
        let is_line = |text: &str, most| {
            !text.trim().is_empty() && text.chars().count() <= most && !text.chars().any(char::is_control)
        };
        if !is_line(&self.title, TITLE) {
            return Err(BookError::Text("title", TITLE));
        }
        if self.text.chars().count() > TEXT {
            return Err(BookError::Text("text", TEXT));
        }
        if !is_line(&self.by, BY) {
            return Err(BookError::Text("author", BY));
        }
        if self.ends_at.is_some_and(|end| end < self.starts_at) { Err(BookError::Ends) } else { Ok(()) }
    }
}

fn incident(row: &Row<'_>) -> rusqlite::Result<Incident> {
    Ok(Incident {
        id: row.get(0)?,
        site: row.get(1)?,
        title: row.get(2)?,
        text: row.get(3)?,
        starts_at: row.get(4)?,
        ends_at: row.get(5)?,
        by: row.get(6)?,
        changed_at: row.get(7)?,
    })
}

/// Copies `status.db` of `data` into `target`, while a hub may be using it. None, if there is none.
pub fn backup(data: &Path, target: &Path) -> Result<Option<PathBuf>, BookError> {
    Ok(rackside_store::copy(data, target, FILE, |_| Ok(()))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(known_ms: i64, disturbed_ms: i64) -> Day {
        Day { known_ms, disturbed_ms }
    }

    fn new(title: &str) -> NewIncident {
        let (site, text, by) = (String::new(), "Nothing arrives.".to_owned(), "stage office".to_owned());
        NewIncident { site, title: title.to_owned(), text, starts_at: 1_000, ends_at: None, by }
    }

    #[test]
    fn days_add_up_over_restarts_and_old_ones_go() {
        let dir = tempfile::tempdir().expect("a directory");
        for _ in 0..2 {
            let book = Book::open(dir.path()).expect("opens");
            book.add(&[("hall", 7, day(60, 10)), ("club", 7, day(60, 90))]).expect("adds");
        }
        let book = Book::open(dir.path()).expect("opens");
        assert_eq!(book.days("hall", 0).expect("reads"), BTreeMap::from([(7, day(120, 20))]));
        assert_eq!(book.days("club", 0).expect("reads")[&7], day(120, 120), "no more than is known");
        book.add(&[("hall", 7 + MOST_DAYS, day(1, 0))]).expect("adds");
        assert_eq!(book.days("hall", 0).expect("reads").len(), 1);
        assert_eq!(book.days("hall", 8 + MOST_DAYS).expect("reads").len(), 0);
    }

    #[test]
    fn an_incident_is_written_told_further_and_ended_once() {
        let book = Book::in_memory().expect("opens");
        let id = book.begin(&new("No picture"), 2_000).expect("writes");
        book.change(id, "We are at it.", None, ("desk", 3_000)).expect("writes");
        book.change(id, "It is mended.", Some(4_000), ("desk", 4_000)).expect("writes");
        let told = book.incidents(4_000).expect("reads");
        assert_eq!(
            (told[0].text.as_str(), told[0].ends_at, told[0].by.as_str()),
            ("It is mended.", Some(4_000), "desk")
        );
        assert_eq!(book.incidents(4_001).expect("reads"), []);
        let again = book.change(id, "", None, ("desk", 5_000));
        assert_eq!(
            again.expect_err("it is over").to_string(),
            format!("there is no incident {id} that is not over")
        );
    }

    #[test]
    fn what_is_no_incident_is_refused() {
        let book = Book::in_memory().expect("opens");
        let long = "x".repeat(121);
        for (title, by, ends_at) in [
            ("", "desk", None),
            (&*long, "desk", None),
            ("a\nb", "desk", None),
            ("a", "", None),
            ("a", "desk", Some(999)),
        ] {
            let new = NewIncident { by: by.to_owned(), ends_at, ..new(title) };
            assert!(book.begin(&new, 0).is_err(), "{title} {by} {ends_at:?}");
        }
        assert_eq!(book.incidents(0).expect("reads"), []);
    }

    #[test]
    fn a_copy_is_a_book_and_a_newer_one_is_left_alone() {
        let (dir, target) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("one"));
        assert!(backup(dir.path(), target.path()).expect("nothing to do").is_none());
        let book = Book::open(dir.path()).expect("opens");
        book.begin(&new("No picture"), 0).expect("writes");
        std::fs::write(target.path().join("status.db.partial"), "of a copy that was cut short")
            .expect("writes");
        backup(dir.path(), target.path()).expect("copies").expect("there is one");
        let copy = Book::open(target.path()).expect("opens");
        assert_eq!(copy.incidents(0).expect("reads").len(), 1);
        copy.db().pragma_update(None, "user_version", 9).expect("writes");
        drop(copy);
        let error = Book::open(target.path()).expect_err("it is newer").to_string();
        assert!(
            error.ends_with("a newer hub wrote it (version 9); install that version or a later one"),
            "{error}"
        );
    }
}
