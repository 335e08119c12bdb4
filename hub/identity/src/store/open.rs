//! What `identity.db` is, and its copy.

use crate::authority::FILE as KEY;
use rackside_store::{Form, StoreError};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The file in the data directory.
pub const FILE: &str = "identity.db";
/// `RSID`.
const APPLICATION: i64 = 0x5253_4944;

const SCHEMA: &str = "
CREATE TABLE code (
    id BLOB PRIMARY KEY, key BLOB NOT NULL, site TEXT NOT NULL, appliance TEXT NOT NULL, made_at INTEGER NOT NULL, expires_at INTEGER NOT NULL,
    used_by BLOB, used_at INTEGER, revoked_at INTEGER, tries INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX code_name ON code (site, appliance);
CREATE TABLE identity (
    serial BLOB PRIMARY KEY, site TEXT NOT NULL, appliance TEXT NOT NULL, key BLOB NOT NULL, certificate BLOB NOT NULL, code BLOB, parent BLOB,
    issued_at INTEGER NOT NULL, end TEXT, ended_at INTEGER, seen_at INTEGER, turned_away_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX identity_name ON identity (site, appliance);
CREATE INDEX identity_parent ON identity (parent);
";

/// What version 2 has more than version 1.
const SECOND: &str = "
CREATE TABLE commissioning (
    site TEXT NOT NULL, appliance TEXT NOT NULL, since INTEGER NOT NULL, holds INTEGER NOT NULL, PRIMARY KEY (site, appliance)
) STRICT, WITHOUT ROWID;
CREATE TABLE commissioning_step (
    site TEXT NOT NULL, appliance TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (site, appliance, kind, name)
) STRICT, WITHOUT ROWID;
";

/// What version 3 has more than version 2, and who was retired by then: of whom no certificate is good, and the newest was retired.
const THIRD: &str = "
CREATE TABLE retired (
    site TEXT NOT NULL, appliance TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (site, appliance)
) STRICT, WITHOUT ROWID;
INSERT INTO retired (site, appliance, at)
    SELECT site, appliance, ended_at FROM identity AS newest
    WHERE end = 'retired' AND NOT EXISTS (
        SELECT 1 FROM identity AS other WHERE other.site = newest.site AND other.appliance = newest.appliance
            AND (other.end IS NULL OR other.serial > newest.serial));
";

/// The file.
pub(super) static FORM: Form = Form {
    file: FILE,
    application: APPLICATION,
    pragmas: "PRAGMA secure_delete = ON;",
    tables: &[SCHEMA, SECOND, THIRD],
    upgrades: &[SECOND, THIRD],
    damaged: "and no appliance with a certificate is let in; put a backup of it in its place and start the hub again",
    not_given: "; it belongs to the hub's user",
};

/// Copies the file of a hub that may be running, and the authority's key if it is there too: without the key a restored hub would know none of
/// its appliances. Where copies stand already, they are replaced. Returns what was copied.
pub fn backup(from: &Path, to: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let (key, mut copied) = (from.join(KEY), Vec::new());
    if key.exists() {
        let copy = FORM.replace(to, KEY, |_, mut empty| {
            let read = fs::File::open(&key).and_then(|mut key| io::copy(&mut key, &mut empty));
            read.and_then(|_| empty.sync_all()).map_err(|error| FORM.not_given(&key, &error))
        });
        copied.push(copy?);
    }
    copied.extend(FORM.backup(from, to)?);
    Ok(copied)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Authority, Store};
    use rackside_store::{Fault, private};
    use rusqlite::Connection;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_backup_has_the_key_and_is_for_its_owner_alone() {
        let [data, to] = [(); 2].map(|()| tempfile::tempdir().expect("a temporary directory"));
        assert_eq!(backup(data.path(), to.path()), Ok(Vec::new()), "nothing there yet");
        let authority = Authority::open(data.path()).expect("made");
        drop(Store::open(data.path()).expect("made"));
        for _ in 0..2 {
            let copied = backup(data.path(), to.path()).expect("copied");
            assert_eq!(copied.len(), 2);
            for path in copied {
                let mode = fs::metadata(&path).expect("it is there").permissions().mode();
                assert_eq!(mode & 0o777, 0o600, "{}", path.display());
            }
        }
        assert_eq!(Authority::open(to.path()).expect("read").key(), authority.key());
        assert!(Store::open(to.path()).is_ok());
    }

    #[test]
    fn a_file_of_the_version_before_is_taken_on_with_all_that_is_in_it() {
        let data = tempfile::tempdir().expect("a temporary directory");
        private::make(data.path(), &data.path().join(FILE)).expect("made");
        let connection = Connection::open(data.path().join(FILE)).expect("opened");
        connection.execute_batch(SCHEMA).expect("the tables of version 1");
        connection.pragma_update(None, "application_id", APPLICATION).expect("written");
        connection.pragma_update(None, "user_version", 1).expect("written");
        let row = "INSERT INTO code (id, key, site, appliance, made_at, expires_at) VALUES (x'01', x'02', 'hall', 'rack-1', 1, 2)";
        connection.execute(row, []).expect("written");
        for (serial, appliance, end) in
            [(1, 1, "'retired'"), (2, 2, "'retired'"), (3, 2, "NULL"), (4, 3, "'revoked'")]
        {
            let row = format!(
                "INSERT INTO identity (serial, site, appliance, key, certificate, issued_at, end, ended_at) VALUES (x'{serial:032x}', 'hall', 'rack-{appliance}', x'', x'', 1, {end}, 7)"
            );
            connection.execute(&row, []).expect("written");
        }
        drop(connection);
        for _ in 0..2 {
            let store = Store::open(data.path()).expect("taken on");
            assert_eq!(store.codes().expect("read").len(), 1);
            assert_eq!(store.commissionings(), Ok(Vec::new()));
            let retired: Vec<_> =
                store.retired().expect("read").into_iter().map(|(name, at)| (name.to_string(), at)).collect();
            assert_eq!(retired, [("hall/rack-1".to_owned(), 7)], "who joined again is in service");
        }
    }

    #[test]
    fn a_file_that_is_not_whole_is_an_error_and_never_an_empty_one() {
        let data = tempfile::tempdir().expect("a temporary directory");
        fs::write(data.path().join(FILE), vec![7; 8192]).expect("written");
        let error = Store::open(data.path()).expect_err("damaged");
        assert!(matches!(error.fault, Fault::Damaged(_)), "{error}");
        let advice = "), and no appliance with a certificate is let in; put a backup of it in its place and start the hub again";
        assert!(error.to_string().ends_with(advice), "{error}");
        fs::remove_file(data.path().join(FILE)).expect("removed");
        let store = Store::open(data.path()).expect("made");
        store.file.ask(|file| file.pragma_update(None, "user_version", 9)).expect("written");
        drop(store);
        let error = Store::open(data.path()).expect_err("newer");
        assert_eq!(error.fault, Fault::Version(9));
        assert!(error.to_string().ends_with("(version 9, this one knows 3); run that version"), "{error}");
        let error = Store::open(&data.path().join("nowhere")).expect_err("no directory").to_string();
        assert!(error.ends_with("(os error 2); it belongs to the hub's user"), "{error}");
    }
}
