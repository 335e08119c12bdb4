//! What `access.db` is, and its copy.

use rackside_store::{Form, StoreError};
use std::path::{Path, PathBuf};

/// The file in the data directory.
pub const FILE: &str = "access.db";
/// `RSAC`.
const APPLICATION: i64 = 0x5253_4143;

// An id is never given again: whoever is told live is looked for by it, long after it was let in.
const SCHEMA: &str = "
CREATE TABLE user (
    name TEXT PRIMARY KEY COLLATE NOCASE, role TEXT NOT NULL, sites TEXT, tags TEXT, hash TEXT NOT NULL, made_at INTEGER NOT NULL,
    issuer TEXT, subject TEXT
) STRICT;
CREATE UNIQUE INDEX user_subject ON user (issuer, subject);
CREATE TABLE session (
    id INTEGER PRIMARY KEY AUTOINCREMENT, digest BLOB NOT NULL UNIQUE, user TEXT NOT NULL COLLATE NOCASE REFERENCES user (name) ON DELETE CASCADE,
    made_at INTEGER NOT NULL, seen_at INTEGER NOT NULL, address TEXT NOT NULL, agent TEXT NOT NULL, until INTEGER
) STRICT;
CREATE INDEX session_user ON session (user);
CREATE TABLE token (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE COLLATE NOCASE, digest BLOB NOT NULL UNIQUE,
    owner TEXT COLLATE NOCASE REFERENCES user (name) ON DELETE CASCADE, scopes TEXT NOT NULL, sites TEXT, tags TEXT,
    made_at INTEGER NOT NULL, expires_at INTEGER, used_day INTEGER
) STRICT;
CREATE INDEX token_owner ON token (owner);
CREATE TABLE place (
    user TEXT NOT NULL COLLATE NOCASE REFERENCES user (name) ON DELETE CASCADE, address TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (user, address)
) STRICT, WITHOUT ROWID;
CREATE TABLE setup (id INTEGER PRIMARY KEY CHECK (id = 1), digest BLOB NOT NULL, expires_at INTEGER NOT NULL) STRICT;
CREATE TABLE note (id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL) STRICT;
CREATE TABLE passwords (id INTEGER PRIMARY KEY CHECK (id = 1), until INTEGER NOT NULL) STRICT;
";

/// From version 1, which knew no users of a provider.
const FROM_1: &str = "
ALTER TABLE user ADD COLUMN issuer TEXT;
ALTER TABLE user ADD COLUMN subject TEXT;
CREATE UNIQUE INDEX user_subject ON user (issuer, subject);
ALTER TABLE session ADD COLUMN until INTEGER;
CREATE TABLE passwords (id INTEGER PRIMARY KEY CHECK (id = 1), until INTEGER NOT NULL) STRICT;
";

/// The file.
pub(super) static FORM: Form = Form {
    file: FILE,
    application: APPLICATION,
    pragmas: "PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON;",
    tables: &[SCHEMA],
    upgrades: &[FROM_1],
    damaged: "and nobody is let in; put a backup of it in its place, or move it away and make users anew, and start the hub again",
    not_given: "",
};

/// Copies the file of a hub that may be running, if there is one. Where a copy stands already, it is replaced.
pub fn backup(from: &Path, to: &Path) -> Result<Option<PathBuf>, StoreError> {
    FORM.backup(from, to)
}
