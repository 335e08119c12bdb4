//! Opening: whose file is it, is it whole, and what was going on when it was closed.
//!
//! A file is created under another name and renamed, so a `history.db` is never half made, and an empty one is damage. It is
//! never recreated in place of one that cannot be read.

use super::account::Accounts;
use super::agents::Agents;
use super::dates::Trust;
use super::index::Index;
use super::maintain::Plan;
use super::names::Names;
use super::{Settings, Store, schema};
use crate::unfold::envelope;
use crate::{OpenError, Reader, StoreError};
use rusqlite::{Connection, OpenFlags};
use std::collections::{HashMap, HashSet};
use std::fs::{self, File, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The database's file in the data directory.
pub(crate) const DATABASE: &str = "history.db";
/// Lies in the directory while a salvage is under way.
pub(crate) const SALVAGING: &str = "history.db.salvaging";
/// Whoever writes holds a lock on this one.
const LOCK: &str = "history.lock";
/// How a SQLite database begins.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// SQLite's header; the application's id is the last but one number in it.
const HEADER: usize = 100;
const APPLICATION_AT: usize = 68;
/// Pages of 4 KiB in the write-ahead log before they are moved to the database: 8 MiB.
const CHECKPOINT: u32 = 2_000;
/// The log may have grown while a backup was reading; afterwards it is cut to this, in bytes.
const LOG_KEPT: u32 = 64 << 20;
/// The writer's cache, in KiB.
const CACHE: i32 = 8_192;
/// How long to wait for another program that has the file locked.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the first bytes of a file say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// A history in use.
    History,
    /// A backup that no hub has opened yet.
    Backup,
}

pub(super) fn open(dir: &Path, settings: Settings) -> Result<Store, OpenError> {
    fs::create_dir_all(dir).map_err(|error| StoreError::io(dir, &error))?;
    let lock = lock(dir)?;
    let path: Arc<Path> = dir.join(DATABASE).into();
    if dir.join(SALVAGING).exists() {
        let what = "a salvage was interrupted".to_owned();
        return Err(StoreError::Damaged { path: path.to_path_buf(), what }.into());
    }
    let exists = path.try_exists().map_err(|error| StoreError::io(&path, &error))?;
    let claim = if exists {
        claim(&path)?
    } else {
        create(dir, &path, settings.now_ms)?;
        log::info!("{}: there was no history here; a new one begins", path.display());
        Claim::History
    };
    if claim == Claim::Backup {
        // A log that lies here belongs to the database which the backup replaced; SQLite would replay it over the backup.
        for stale in [beside(&path, "-wal"), beside(&path, "-shm")] {
            remove(&stale)?;
        }
    }
    let mut db = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    upgrade(&mut db, &path)?;
    let failed = |error| StoreError::sqlite(&path, &error);
    // The first bytes may be those of an adoption that was cut short and taken back just now, by its journal.
    let id: i32 = db.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(failed)?;
    if id == schema::BACKUP {
        adopt(&mut db).map_err(failed)?;
        log::warn!("{}: a backup was put here; agents send again what they hold", path.display());
    }
    prepare(&db, &settings).map_err(failed)?;
    Ok(load(db, Names::of(&path)?, settings, lock).map_err(failed)?)
}

/// The name of `path` with something after it.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Takes the directory for this process; given back when the file is closed.
pub(crate) fn lock(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join(LOCK);
    let open = File::options().create(true).truncate(false).write(true).open(&path);
    let file = open.map_err(|error| StoreError::io(&path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked { path }),
        Err(TryLockError::Error(error)) => Err(StoreError::io(&path, &error).into()),
    }
}

/// A connection with the settings that all of ours share. Nothing has been read yet.
pub(crate) fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let failed = |error| StoreError::sqlite(path, &error);
    let db = Connection::open_with_flags(path, flags).map_err(failed)?;
    db.busy_timeout(PATIENCE).map_err(failed)?;
    db.set_prepared_statement_cache_capacity(64);
    Ok(db)
}

/// Reads what a file claims to be from its first bytes, without SQLite, which would already act on a log beside it.
pub(crate) fn claim(path: &Path) -> Result<Claim, OpenError> {
    if path.is_dir() {
        return Err(OpenError::NotAHistory { path: path.to_owned(), found: "a directory".to_owned() });
    }
    let mut header = Vec::with_capacity(HEADER);
    let read = File::open(path).and_then(|file| file.take(HEADER as u64).read_to_end(&mut header));
    read.map_err(|error| StoreError::io(path, &error))?;
    let damaged = |what: &str| StoreError::Damaged { path: path.to_owned(), what: what.to_owned() };
    if header.is_empty() {
        return Err(damaged("the file is empty").into());
    }
    if !header.starts_with(MAGIC) {
        let found = "no SQLite database (if it was one, its beginning is lost: restore a backup)".to_owned();
        return Err(OpenError::NotAHistory { path: path.to_owned(), found });
    }
    let id = header.get(APPLICATION_AT..APPLICATION_AT + 4).and_then(|id| id.try_into().ok());
    match id.map(i32::from_be_bytes) {
        None => Err(damaged("the file ends in its header").into()),
        Some(schema::APPLICATION) => Ok(Claim::History),
        Some(schema::BACKUP) => Ok(Claim::Backup),
        Some(_) => {
            let found = "a SQLite database of another program".to_owned();
            Err(OpenError::NotAHistory { path: path.to_owned(), found })
        }
    }
}

/// Makes a new file: under another name, synced, renamed.
fn create(dir: &Path, path: &Path, now_ms: u64) -> Result<(), StoreError> {
    let partial = create_partial(dir, now_ms)?;
    settle(dir, &partial, path).map_err(|error| StoreError::io(path, &error))
}

/// Makes a new file that does not have its name yet.
pub(crate) fn create_partial(dir: &Path, now_ms: u64) -> Result<PathBuf, StoreError> {
    let partial = dir.join("history.db.new");
    // What lies beside a file that somebody took away would be replayed over the new one.
    for name in [&partial, &dir.join(DATABASE)] {
        remove(&beside(name, "-wal"))?;
        remove(&beside(name, "-shm"))?;
    }
    remove(&partial)?;
    let failed = |error| StoreError::sqlite(&partial, &error);
    let mut db = connect(&partial, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
    schema::create(&mut db, now_ms).map_err(failed)?;
    db.close().map_err(|(_, error)| failed(error))?;
    Ok(partial)
}

/// Gives a finished file its name, for good.
pub(crate) fn settle(dir: &Path, partial: &Path, path: &Path) -> io::Result<()> {
    File::open(partial)?.sync_all()?;
    fs::rename(partial, path)?;
    File::open(dir)?.sync_all()
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::io(path, &error)),
        _ => Ok(()),
    }
}

/// Refuses what a newer hub wrote, and brings an older file up to date.
fn upgrade(db: &mut Connection, path: &Path) -> Result<(), OpenError> {
    let failed = |error| StoreError::sqlite(path, &error);
    let found: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
    let known = schema::version();
    if found > known {
        return Err(OpenError::Newer { path: path.to_owned(), found, known });
    }
    if found < 1 {
        let what = "it has no schema".to_owned();
        return Err(StoreError::Damaged { path: path.to_owned(), what }.into());
    }
    if found < known {
        schema::migrate(db, found).map_err(failed)?;
        log::info!("{}: brought from schema {found} to {known}", path.display());
    }
    Ok(())
}

/// Makes a backup a history of its own: agents that see another id send what they hold.
fn adopt(db: &mut Connection) -> rusqlite::Result<()> {
    let transaction = db.transaction()?;
    transaction.execute("UPDATE meta SET history = random()", [])?;
    transaction.pragma_update(None, "application_id", schema::APPLICATION)?;
    transaction.commit()
}

fn prepare(db: &Connection, settings: &Settings) -> rusqlite::Result<()> {
    db.pragma_update(None, "journal_mode", "WAL")?;
    // An ack follows a commit: nothing less than a sync at each will do.
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "wal_autocheckpoint", CHECKPOINT)?;
    db.pragma_update(None, "journal_size_limit", LOG_KEPT)?;
    db.pragma_update(None, "cache_size", -CACHE)?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    // The first read, which makes the log.
    db.query_row("SELECT 1 FROM meta", [], |_| Ok(()))?;
    if let Some(pages) = settings.max_pages {
        db.pragma_update(None, "max_page_count", pages)?;
    }
    Ok(())
}

fn load(db: Connection, names: Names, settings: Settings, lock: File) -> rusqlite::Result<Store> {
    let path = names.database();
    let history = db.query_row("SELECT history FROM meta", [], |row| row.get::<_, i64>(0))? as u64;
    let mut agents = Agents::load(&db)?;
    let index = Arc::new(Index::default());
    let Scan { accounts, last_row, bytes } = scan(&db, &mut agents, &index)?;
    let flushed = agents.iter().map(|(_, agent)| agent.flushed_upto).max();
    let datable = db
        .prepare("SELECT DISTINCT agent, boot FROM undated JOIN boots USING (agent, boot)")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let readers = Reader::new(Arc::clone(&path), Arc::clone(&index));
    Ok(Store {
        db,
        path,
        names,
        history,
        settings,
        agents,
        accounts,
        index,
        trust: Trust::default(),
        datable,
        look_again: None,
        boots: HashMap::new(),
        next_row: last_row.max(flushed.unwrap_or(0)) + 1,
        bytes_since_flush: bytes,
        plan: Plan::at_open(),
        pieces: (0, 0),
        chunks_changed: true,
        left_in_hours: HashSet::new(),
        readers,
        _lock: lock,
    })
}

/// What the inbox tells at open.
struct Scan {
    accounts: Accounts,
    /// The number of its last row.
    last_row: i64,
    /// How many bytes of records are in it.
    bytes: u64,
}

/// Walks the inbox: whose rows are where, and what they account for.
fn scan(db: &Connection, agents: &mut Agents, index: &Index) -> rusqlite::Result<Scan> {
    let mut accounts = Accounts::default();
    let (mut last, mut bytes) = (0, 0);
    let mut entered = Vec::new();
    let mut select = db.prepare("SELECT id, agent, received_ms, event, payload FROM inbox ORDER BY id")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        last = row.get(0)?;
        let id: u32 = row.get(1)?;
        let received_ms = row.get::<_, i64>(2)? as u64;
        let Some(agent) = agents.find_mut(id) else { continue };
        if last <= agent.flushed_upto {
            continue;
        }
        agent.last_ms = agent.last_ms.max(received_ms);
        entered.push((id, last));
        let payload = row.get_ref(4)?.as_blob()?;
        bytes += payload.len() as u64;
        if let Some(envelope) = envelope(row.get(3)?, payload) {
            accounts.replay(db, (id, envelope.run.0), &envelope, received_ms)?;
        }
    }
    index.enter(&entered);
    Ok(Scan { accounts, last_row: last, bytes })
}
