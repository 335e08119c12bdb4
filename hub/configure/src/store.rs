//! `configuration.db`: the text that each appliance is to run on, its revision, and what became of it, in one SQLite file for the hub's user alone.
//!
//! The command line works on it beside a running hub, which looks whether it has changed. Each change is one transaction, synced before it returns: a
//! revision that was given is never given again after a power cut.
//!
//! ```text
//! configuration   site, appliance    revision, text    applied    state, why, since
//! ```

use crate::outcome::{Outcome, State};
use rackside_proto::{Adopted, AgentName};
use rackside_store::{File, Form, StoreError};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use std::path::{Path, PathBuf};

/// The file in the data directory.
pub const FILE: &str = "configuration.db";
/// `RSCF`.
const APPLICATION: i64 = 0x5253_4346;

const SCHEMA: &str = "
CREATE TABLE configuration (
    site TEXT NOT NULL, appliance TEXT NOT NULL, revision INTEGER NOT NULL, text TEXT NOT NULL, applied INTEGER NOT NULL,
    state TEXT NOT NULL, why TEXT NOT NULL, since_ms INTEGER NOT NULL, PRIMARY KEY (site, appliance)
) STRICT, WITHOUT ROWID;
";
const OUTCOME: &str = "revision, applied, state, why, since_ms";

/// The file.
static FORM: Form = Form {
    file: FILE,
    application: APPLICATION,
    pragmas: "",
    tables: &[SCHEMA],
    upgrades: &[],
    damaged: "and no appliance is given a configuration; put a backup of it in its place, or move it away, and start the hub again",
    not_given: "; it belongs to the hub's user",
};

/// The open file.
#[derive(Debug)]
pub struct Store {
    file: File,
}

fn read_name(row: &Row<'_>) -> rusqlite::Result<AgentName> {
    let (site, appliance): (String, String) = (row.get(0)?, row.get(1)?);
    AgentName::new(&site, &appliance)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, error.into()))
}

fn read_outcome(row: &Row<'_>, at: usize) -> rusqlite::Result<Outcome> {
    let word: String = row.get(at + 2)?;
    let state = State::read(&word).ok_or_else(|| {
        let error = format!("{word:?} is no state");
        rusqlite::Error::FromSqlConversionFailure(at + 2, Type::Text, error.into())
    })?;
    let (wanted, applied) = (row.get(at)?, row.get(at + 1)?);
    Ok(Outcome { wanted, applied, state, why: row.get(at + 3)?, since_ms: row.get(at + 4)? })
}

fn outcome(of: &Connection, name: &AgentName) -> rusqlite::Result<Option<Outcome>> {
    let sql = format!("SELECT {OUTCOME} FROM configuration WHERE site = ?1 AND appliance = ?2");
    let names = [name.site.as_str(), name.appliance.as_str()];
    of.prepare_cached(&sql)?.query_row(names, |row| read_outcome(row, 0)).optional()
}

/// Writes all but the text.
fn put(transaction: &Transaction, name: &AgentName, outcome: &Outcome) -> rusqlite::Result<()> {
    let Outcome { wanted, applied, state, why, since_ms } = outcome;
    let row =
        params![name.site.as_str(), name.appliance.as_str(), wanted, applied, state.as_str(), why, since_ms];
    transaction
        .prepare_cached(
            "INSERT INTO configuration (site, appliance, revision, text, applied, state, why, since_ms)
             VALUES (?1, ?2, ?3, '', ?4, ?5, ?6, ?7)
             ON CONFLICT DO UPDATE SET revision = ?3, applied = ?4, state = ?5, why = ?6, since_ms = ?7",
        )?
        .execute(row)
        .map(drop)
}

impl Store {
    /// Opens the file in this directory, or makes it.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        FORM.open(directory).map(|file| Self { file })
    }

    /// A number that is another one whenever somebody else has changed the file.
    pub fn version(&self) -> Result<i64, StoreError> {
        self.file.version()
    }

    /// Has an appliance run on a text, which was [checked](crate::check), and says under which revision. The text that it runs on already, or that is
    /// on its way, keeps the one it has; one that has failed is tried again under another. `None` if there are no more revisions.
    pub fn want(&mut self, name: &AgentName, text: &str, now: i64) -> Result<Option<u32>, StoreError> {
        self.file.change(|transaction| {
            let mut outcome = outcome(transaction, name)?.unwrap_or_else(|| Outcome::unknown(now));
            let known = written(transaction, name)?;
            if known.is_some_and(|(_, known)| known == text) && !outcome.state.is_failure() {
                return Ok(Some(outcome.wanted));
            }
            let Some(revision) = outcome.next() else { return Ok(None) };
            outcome = Outcome { wanted: revision, applied: outcome.applied, ..Outcome::unknown(now) };
            put(transaction, name, &outcome)?;
            transaction.execute(
                "UPDATE configuration SET text = ?3 WHERE site = ?1 AND appliance = ?2",
                params![name.site.as_str(), name.appliance.as_str(), text],
            )?;
            Ok(Some(revision))
        })
    }

    /// What is known of an appliance.
    pub fn outcome(&self, name: &AgentName) -> Result<Option<Outcome>, StoreError> {
        self.file.ask(|connection| outcome(connection, name))
    }

    /// The revision and the text that an appliance is to run on.
    pub fn wanted(&self, name: &AgentName) -> Result<Option<(u32, String)>, StoreError> {
        self.file.ask(|connection| written(connection, name))
    }

    /// An appliance was born: it runs on this revision, and takes others or does not. What is known of it now, unless that is nothing.
    pub fn runs(
        &mut self,
        name: &AgentName,
        revision: u32,
        takes: bool,
        now: i64,
    ) -> Result<Option<Outcome>, StoreError> {
        self.turn(name, revision != 0, now, |outcome| outcome.runs(revision, takes, now))
    }

    /// An appliance told what became of a revision.
    pub fn became(
        &mut self,
        name: &AgentName,
        (revision, adopted, why): (u32, Adopted, &str),
        now: i64,
    ) -> Result<Option<Outcome>, StoreError> {
        self.turn(name, false, now, |outcome| outcome.became(revision, adopted, why, now))
    }

    /// Changes what is known of an appliance; begins with nothing known if `begins`, and else leaves out who is not known. Writes only what is another.
    fn turn(
        &mut self,
        name: &AgentName,
        begins: bool,
        now: i64,
        change: impl FnOnce(&mut Outcome),
    ) -> Result<Option<Outcome>, StoreError> {
        let known = self.file.ask(|connection| outcome(connection, name))?;
        if known.is_none() && !begins {
            return Ok(None);
        }
        let mut fresh = known.clone().unwrap_or_else(|| Outcome::unknown(now));
        change(&mut fresh);
        if known.as_ref() != Some(&fresh) {
            self.file.change(|transaction| put(transaction, name, &fresh))?;
        }
        Ok(Some(fresh))
    }

    /// Nothing is known of an appliance any more, and nothing is wanted of it. Says whether there was something.
    pub fn forget(&mut self, name: &AgentName) -> Result<bool, StoreError> {
        self.file.change(|transaction| {
            let gone = transaction.execute(
                "DELETE FROM configuration WHERE site = ?1 AND appliance = ?2",
                [name.site.as_str(), name.appliance.as_str()],
            )?;
            Ok(gone > 0)
        })
    }

    /// Everybody of whom something is known, by name.
    pub fn all(&self) -> Result<Vec<(AgentName, Outcome)>, StoreError> {
        let sql = format!("SELECT site, appliance, {OUTCOME} FROM configuration ORDER BY site, appliance");
        self.file.ask(|connection| {
            let mut select = connection.prepare_cached(&sql)?;
            select.query_map([], |row| Ok((read_name(row)?, read_outcome(row, 2)?)))?.collect()
        })
    }
}

fn written(of: &Connection, name: &AgentName) -> rusqlite::Result<Option<(u32, String)>> {
    of.prepare_cached(
        "SELECT revision, text FROM configuration WHERE site = ?1 AND appliance = ?2 AND revision > 0",
    )?
    .query_row([name.site.as_str(), name.appliance.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
    .optional()
}

/// Copies the file of a hub that may be running. Where a copy stands already, it is replaced. Returns what was copied.
pub fn backup(from: &Path, to: &Path) -> Result<Option<PathBuf>, StoreError> {
    FORM.backup(from, to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rackside_store::Fault;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    const NOW: i64 = 1_795_219_200_000;

    fn name(appliance: &str) -> AgentName {
        AgentName::new("hall", appliance).expect("a name")
    }

    #[test]
    fn revisions_only_rise_and_the_same_text_keeps_its_own() {
        let data = tempfile::tempdir().expect("a temporary directory");
        let mut store = Store::open(data.path()).expect("made");
        let rack = name("rack-1");
        assert_eq!(store.wanted(&rack), Ok(None));
        assert_eq!(store.want(&rack, "tick = \"5s\"\n", NOW), Ok(Some(1)));
        assert_eq!(store.want(&rack, "tick = \"5s\"\n", NOW), Ok(Some(1)), "it is on its way");
        assert_eq!(store.want(&rack, "tick = \"6s\"\n", NOW), Ok(Some(2)));
        assert_eq!(store.want(&name("rack-2"), "", NOW), Ok(Some(1)), "each has its own");
        drop(store);
        let mut store = Store::open(data.path()).expect("opened");
        assert_eq!(store.wanted(&rack), Ok(Some((2, "tick = \"6s\"\n".to_owned()))));
        store.became(&rack, (2, Adopted::Refused, "line 1"), NOW + 1).expect("written");
        assert_eq!(store.want(&rack, "tick = \"6s\"\n", NOW + 2), Ok(Some(3)), "to be tried again");
        let all = store.all().expect("read");
        assert_eq!(all[0], (rack, Outcome { wanted: 3, since_ms: NOW + 2, ..Outcome::unknown(NOW) }));
        assert_eq!(all.len(), 2);
    }

    #[test]
    fn what_an_appliance_says_is_kept_and_a_stranger_leaves_nothing() {
        let data = tempfile::tempdir().expect("a temporary directory");
        let mut store = Store::open(data.path()).expect("made");
        let rack = name("rack-1");
        assert_eq!(store.runs(&rack, 0, true, NOW), Ok(None));
        assert_eq!(store.became(&rack, (3, Adopted::Applied, ""), NOW), Ok(None));
        assert_eq!(store.all(), Ok(Vec::new()));
        // It runs on something that this hub, restored from a backup, does not know.
        let known = store.runs(&rack, 7, true, NOW).expect("written").expect("worth knowing");
        assert_eq!((known.wanted, known.applied, known.is_pending()), (0, 7, false));
        assert_eq!(store.wanted(&rack), Ok(None));
        assert_eq!(store.want(&rack, "", NOW), Ok(Some(8)));
        store.runs(&rack, 8, true, NOW + 5).expect("written");
        let outcome = store.all().expect("read").remove(0).1;
        assert_eq!((outcome.state, outcome.since_ms), (State::Applied, NOW + 5));
        assert_eq!((store.forget(&rack), store.forget(&rack)), (Ok(true), Ok(false)));
    }

    #[test]
    fn somebody_elses_change_is_seen() {
        let data = tempfile::tempdir().expect("a temporary directory");
        let store = Store::open(data.path()).expect("made");
        let before = store.version();
        Store::open(data.path()).expect("opened").want(&name("rack-1"), "", NOW).expect("written");
        assert_ne!(store.version(), before);
    }

    #[test]
    fn a_backup_is_whole_and_for_its_owner_alone() {
        let [data, to] = [(); 2].map(|()| tempfile::tempdir().expect("a temporary directory"));
        assert_eq!(backup(data.path(), to.path()), Ok(None), "nothing there yet");
        Store::open(data.path()).expect("made").want(&name("rack-1"), "x = 1\n", NOW).expect("written");
        for _ in 0..2 {
            let copy = backup(data.path(), to.path()).expect("copied").expect("there is one");
            let mode = fs::metadata(copy).expect("it is there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        let wanted = Store::open(to.path()).expect("opened").wanted(&name("rack-1"));
        assert_eq!(wanted, Ok(Some((1, "x = 1\n".to_owned()))));
    }

    #[test]
    fn a_file_that_is_not_whole_is_an_error_and_never_an_empty_one() {
        let data = tempfile::tempdir().expect("a temporary directory");
        fs::write(data.path().join(FILE), vec![7; 8192]).expect("written");
        let error = Store::open(data.path()).expect_err("damaged");
        assert!(matches!(error.fault, Fault::Damaged(_)), "{error}");
        let advice = "), and no appliance is given a configuration; put a backup of it in its place, or move it away, and start the hub again";
        assert!(error.to_string().ends_with(advice), "{error}");
        fs::remove_file(data.path().join(FILE)).expect("removed");
        let store = Store::open(data.path()).expect("made");
        store.file.ask(|file| file.pragma_update(None, "user_version", 9)).expect("written");
        drop(store);
        let error = Store::open(data.path()).expect_err("newer");
        assert_eq!(error.fault, Fault::Version(9));
        assert!(error.to_string().ends_with("(version 9, this one knows 1); run that version"), "{error}");
        let error = Store::open(&data.path().join("nowhere")).expect_err("no directory").to_string();
        assert!(error.ends_with("(os error 2); it belongs to the hub's user"), "{error}");
    }
}
