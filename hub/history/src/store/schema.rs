//! The tables, and how an older file becomes one of today.
//!
//! `FORMAT.md` says what each column means. A migration is appended and never changed once released: the file's
//! `user_version` is how many of them it has been through.

use rusqlite::Connection;

/// "RSHH": what `file` shows of a history, and what tells ours from any other SQLite database.
pub(crate) const APPLICATION: i32 = 0x5253_4848;
/// "RSHB": a backup, until a hub opens it as its own.
pub(crate) const BACKUP: i32 = 0x5253_4842;

/// Each brings the file from the version of its position to the next.
const MIGRATIONS: &[&str] = &[V1, V2];

const V1: &str = "
CREATE TABLE meta (
  one        INTEGER PRIMARY KEY CHECK (one = 1),
  history    INTEGER NOT NULL,
  created_ms INTEGER NOT NULL,
  expired    INTEGER NOT NULL DEFAULT 0,
  aside      INTEGER NOT NULL DEFAULT 0,
  left_out   INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE agents (
  id           INTEGER PRIMARY KEY,
  name         TEXT NOT NULL UNIQUE,
  flushed_upto INTEGER NOT NULL,
  last_ms      INTEGER NOT NULL,
  newest_ms    INTEGER NOT NULL DEFAULT 0,
  run          INTEGER,
  number       INTEGER
);
CREATE TABLE series (
  agent  INTEGER NOT NULL,
  id     INTEGER NOT NULL,
  name   TEXT NOT NULL,
  labels TEXT NOT NULL,
  unit   TEXT NOT NULL,
  kind   INTEGER NOT NULL,
  times  INTEGER NOT NULL,
  per    INTEGER NOT NULL,
  PRIMARY KEY (agent, id)
) WITHOUT ROWID;
CREATE TABLE catalogs (
  id          INTEGER PRIMARY KEY,
  agent       INTEGER NOT NULL,
  run         INTEGER NOT NULL,
  number      INTEGER NOT NULL,
  received_ms INTEGER NOT NULL,
  series      BLOB NOT NULL,
  body        BLOB NOT NULL,
  UNIQUE (agent, run, number)
);
CREATE TABLE runs (
  agent    INTEGER NOT NULL,
  run      INTEGER NOT NULL,
  seqs     BLOB NOT NULL,
  lost     INTEGER NOT NULL,
  first_ms INTEGER NOT NULL,
  last_ms  INTEGER NOT NULL,
  PRIMARY KEY (agent, run)
) WITHOUT ROWID;
CREATE TABLE boots (
  agent    INTEGER NOT NULL,
  boot     INTEGER NOT NULL,
  segments BLOB NOT NULL,
  anchored INTEGER NOT NULL,
  set_ms   INTEGER NOT NULL,
  PRIMARY KEY (agent, boot)
) WITHOUT ROWID;
CREATE TABLE inbox (
  id          INTEGER PRIMARY KEY,
  agent       INTEGER NOT NULL,
  received_ms INTEGER NOT NULL,
  shift_ms    INTEGER NOT NULL,
  event       INTEGER NOT NULL,
  payload     BLOB NOT NULL
);
CREATE TABLE undated (
  id          INTEGER PRIMARY KEY,
  agent       INTEGER NOT NULL,
  boot        INTEGER,
  received_ms INTEGER NOT NULL,
  event       INTEGER NOT NULL,
  payload     BLOB NOT NULL
);
CREATE INDEX undated_by_boot ON undated (agent, boot);
CREATE TABLE aside (
  id          INTEGER PRIMARY KEY,
  agent       INTEGER NOT NULL,
  received_ms INTEGER NOT NULL,
  why         TEXT NOT NULL,
  payload     BLOB NOT NULL
);
CREATE TABLE texts (
  agent   INTEGER NOT NULL,
  ms      INTEGER NOT NULL,
  subject TEXT NOT NULL,
  text    TEXT NOT NULL,
  PRIMARY KEY (agent, ms, subject)
) WITHOUT ROWID;
CREATE TABLE hours   (key INTEGER PRIMARY KEY, chunk BLOB NOT NULL);
CREATE TABLE days    (key INTEGER PRIMARY KEY, chunk BLOB NOT NULL);
CREATE TABLE minutes (key INTEGER PRIMARY KEY, rollup BLOB NOT NULL);
CREATE TABLE months  (key INTEGER PRIMARY KEY, rollup BLOB NOT NULL);
";

/// The log: what events set, beside the chunks that cannot tell it from readings, and both by time.
const V2: &str = "
CREATE TABLE edges (
  agent  INTEGER NOT NULL,
  ms     INTEGER NOT NULL,
  series INTEGER NOT NULL,
  value  INTEGER,
  PRIMARY KEY (agent, ms, series)
) WITHOUT ROWID;
CREATE INDEX edges_by_time ON edges (ms);
CREATE INDEX texts_by_time ON texts (ms);
CREATE INDEX inbox_events ON inbox (id) WHERE event = 1;
";

/// The version that this hub writes.
pub(crate) const fn version() -> i64 {
    MIGRATIONS.len() as i64
}

/// Brings a file of version `from` to today's, all of it or nothing.
pub(crate) fn migrate(db: &mut Connection, from: i64) -> rusqlite::Result<()> {
    let transaction = db.transaction()?;
    for migration in MIGRATIONS.iter().skip(from as usize) {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "user_version", version())?;
    transaction.commit()
}

/// A new file: what has to be said before its first page is written, and the tables.
pub(crate) fn create(db: &mut Connection, now_ms: u64) -> rusqlite::Result<()> {
    // Incremental, so that a history that became smaller gives the room back without a rewrite of the whole.
    db.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "application_id", APPLICATION)?;
    migrate(db, 0)?;
    db.execute("INSERT INTO meta (one, history, created_ms) VALUES (1, random(), ?1)", [now_ms as i64])?;
    Ok(())
}
