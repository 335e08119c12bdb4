//! Salvage: what can be read of a damaged history goes into a new one; the damaged file stays, under another name.
//!
//! Nothing is believed: keys are looked for from both ends of a table and between whatever cannot be read, each row is read
//! alone, and a chunk is copied only if its checksums hold. The new history has a new id, so agents send what they hold;
//! accounts are copied, so nothing comes in twice.

use crate::chunk::Chunk;
use crate::keys::parts;
use crate::log::HUB;
use crate::store::{
    DATABASE, SALVAGING, beside, catalog, claim, connect, create_partial, lock, name, settle,
};
use crate::{OpenError, Seqs, StoreError, rollup};
use rackside_proto::Date;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, params, params_from_iter};
use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

/// What a salvage did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Salvaged {
    /// The damaged file, which is kept.
    pub kept: PathBuf,
    /// By table.
    pub tables: Vec<SalvagedTable>,
}

/// What became of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SalvagedTable {
    /// Its name.
    pub name: &'static str,
    /// Rows copied.
    pub copied: u64,
    /// Rows that were found and could not be read, or belong to an agent whose name is lost.
    pub lost: u64,
    /// Whether parts of the table could not be read, so that nobody knows how many rows were there.
    pub gaps: bool,
}

/// How a table is walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Walk {
    /// By its integer key of this name.
    Key(&'static str),
    /// Agent by agent.
    Agent,
}

const TABLES: [(&str, Walk); 13] = [
    ("agents", Walk::Key("id")),
    ("series", Walk::Agent),
    ("catalogs", Walk::Key("id")),
    ("runs", Walk::Agent),
    ("boots", Walk::Agent),
    ("inbox", Walk::Key("id")),
    ("undated", Walk::Key("id")),
    ("texts", Walk::Agent),
    ("edges", Walk::Agent),
    ("hours", Walk::Key("key")),
    ("days", Walk::Key("key")),
    ("minutes", Walk::Key("key")),
    ("months", Walk::Key("key")),
];
/// Most places of a table at which reading is tried again after an error.
const TRIES: u32 = 20_000;
/// A catalog has no more series: numbers that may have been given before are jumped over by so many.
const JUMP: u32 = 4_096;

/// Makes a new `history.db` of what can be read of the one in `dir`, which is kept as `history.db.damaged-<UTC>`.
pub fn salvage(dir: &Path, now_ms: u64) -> Result<Salvaged, OpenError> {
    let _lock = lock(dir)?;
    let path = dir.join(DATABASE);
    let marker = dir.join(SALVAGING);
    if !marker.exists() && !path.exists() {
        return Err(OpenError::Nothing { path });
    }
    if path.is_dir() {
        claim(&path)?;
    }
    let kept = set_aside(dir, &path, &marker, now_ms).map_err(|error| StoreError::io(&path, &error))?;
    let partial = create_partial(dir, now_ms)?;
    let failed = |error| StoreError::sqlite(&partial, &error);
    let new = connect(&partial, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // Synced once, at the end.
    new.pragma_update(None, "synchronous", "OFF").map_err(failed)?;
    let tables = match connect(&kept, OpenFlags::SQLITE_OPEN_READ_ONLY) {
        Ok(old) => copy_all(&old, &new, now_ms).map_err(failed)?,
        Err(_) => Vec::new(),
    };
    new.close().map_err(|(_, error)| failed(error))?;
    // Whoever runs this need not be the hub's user.
    let given = fs::metadata(&kept).and_then(|meta| chown(&partial, Some(meta.uid()), Some(meta.gid())));
    if let Err(error) = given {
        log::warn!("{}: does not belong to whom the damaged file does: {error}", path.display());
    }
    let settled = settle(dir, &partial, &path).and_then(|()| fs::remove_file(&marker));
    settled.map_err(|error| StoreError::io(&path, &error))?;
    Ok(Salvaged { kept, tables })
}

/// Gives the damaged file its new name. A marker is written ahead of that, so that no hub begins an empty history when this
/// is interrupted; a salvage that finds the marker goes on with the file that it names.
fn set_aside(dir: &Path, path: &Path, marker: &Path, now_ms: u64) -> std::io::Result<PathBuf> {
    let kept = match fs::read_to_string(marker) {
        Ok(name) => dir.join(name),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let first = format!("{DATABASE}.damaged-{}", stamp(now_ms));
            let mut names = std::iter::once(first.clone()).chain((2..).map(|n| format!("{first}-{n}")));
            let name = names.find(|name| !dir.join(name).exists()).unwrap_or(first);
            let mut file = fs::File::create(marker)?;
            file.write_all(name.as_bytes())?;
            file.sync_all()?;
            dir.join(name)
        }
        Err(error) => return Err(error),
    };
    // What was kept already stays as it is: then `path` is what an earlier attempt made of it.
    if !kept.exists() {
        for suffix in ["-wal", ""] {
            let from = beside(path, suffix);
            if from.exists() {
                fs::rename(&from, beside(&kept, suffix))?;
            }
        }
    }
    let _ = fs::remove_file(beside(path, "-shm"));
    fs::File::open(dir)?.sync_all()?;
    Ok(kept)
}

fn copy_all(old: &Connection, new: &Connection, now_ms: u64) -> rusqlite::Result<Vec<SalvagedTable>> {
    // Otherwise SQLite reads nothing of a file that has fewer pages than its first one says.
    old.pragma_update(None, "writable_schema", "ON")?;
    let mut done = Vec::new();
    let mut agents = HashSet::new();
    for (of, walk) in TABLES {
        let transaction = new.unchecked_transaction()?;
        let mut table = SalvagedTable { name: of, copied: 0, lost: 0, gaps: false };
        if let Some(columns) = columns(old, new, of)? {
            let copy = Copy { old, new, name: of, columns, agents: &agents };
            match walk {
                Walk::Key(key) => copy.by_key(key, &mut table)?,
                Walk::Agent => copy.by_agent(&mut table)?,
            }
        } else {
            table.gaps = true;
        }
        if of == "agents" {
            if table.gaps || table.lost > 0 {
                table.copied += names_from_index(old, new, now_ms)?;
            }
            agents = numbers(new, "SELECT id FROM agents")?;
            // What is said of the hub itself.
            agents.insert(HUB);
        }
        transaction.commit()?;
        done.push(table);
    }
    if done.iter().any(|table| table.name == "series" && (table.gaps || table.lost > 0)) {
        let transaction = new.unchecked_transaction()?;
        restore_series(new, &agents)?;
        transaction.commit()?;
    }
    Ok(done)
}

/// Agents whose rows are lost, from the index of their names. With nothing moved on, rows of the inbox that are in chunks are
/// made into the same samples once more.
fn names_from_index(old: &Connection, new: &Connection, now_ms: u64) -> rusqlite::Result<u64> {
    let Ok(mut select) = old.prepare("SELECT id, name FROM agents INDEXED BY sqlite_autoindex_agents_1")
    else {
        return Ok(0);
    };
    let mut rows = select.query([])?;
    let mut copied = 0;
    while let Ok(Some(row)) = rows.next() {
        let (Ok(id), Ok(text)) = (row.get::<_, u32>(0), row.get::<_, String>(1)) else { continue };
        if name(&text).is_err() {
            continue;
        }
        copied += new
            .prepare_cached(
                "INSERT OR IGNORE INTO agents (id, name, flushed_upto, last_ms) VALUES (?1, ?2, 0, ?3)",
            )?
            .execute(params![id, text, now_ms as i64])?;
    }
    Ok(copied as u64)
}

/// The columns that both files have of a table; `None` if the damaged one does not tell.
fn columns(old: &Connection, new: &Connection, table: &str) -> rusqlite::Result<Option<Vec<String>>> {
    let of = |db: &Connection| -> rusqlite::Result<Vec<String>> {
        db.prepare("SELECT name FROM pragma_table_info(?1)")?.query_map([table], |row| row.get(0))?.collect()
    };
    let known = of(new)?;
    let Ok(found) = of(old) else { return Ok(None) };
    let both: Vec<String> = known.into_iter().filter(|name| found.contains(name)).collect();
    Ok((!both.is_empty()).then_some(both))
}

fn numbers(db: &Connection, sql: &str) -> rusqlite::Result<HashSet<u32>> {
    db.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
}

/// Copies the rows of one table.
struct Copy<'c> {
    old: &'c Connection,
    new: &'c Connection,
    name: &'static str,
    columns: Vec<String>,
    /// Agents whose names are known.
    agents: &'c HashSet<u32>,
}

impl Copy<'_> {
    fn by_key(&self, key: &str, table: &mut SalvagedTable) -> rusqlite::Result<()> {
        let mut keys = Keys { db: self.old, table: self.name, key, found: Vec::new(), tries: TRIES };
        table.gaps = !keys.between(0, i64::MAX);
        let select = format!("SELECT {} FROM {} WHERE {key} = ?1", self.columns.join(", "), self.name);
        for key in keys.found {
            let row = self.old.prepare_cached(&select).and_then(|mut select| {
                select.query_row([key], |row| (0..self.columns.len()).map(|at| row.get(at)).collect())
            });
            self.put(row, table)?;
        }
        Ok(())
    }

    fn by_agent(&self, table: &mut SalvagedTable) -> rusqlite::Result<()> {
        for agent in self.agents {
            let select = format!("SELECT {} FROM {} WHERE agent = ?1", self.columns.join(", "), self.name);
            let Ok(mut select) = self.old.prepare_cached(&select) else {
                table.gaps = true;
                continue;
            };
            let width = self.columns.len();
            let rows = select.query_map([agent], |row| {
                (0..width).map(|at| row.get(at)).collect::<Result<Vec<Value>, _>>()
            })?;
            for row in rows {
                // After an error this cursor gives nothing more.
                if row.is_err() {
                    table.gaps = true;
                    break;
                }
                self.put(row, table)?;
            }
        }
        Ok(())
    }

    fn put(&self, row: rusqlite::Result<Vec<Value>>, table: &mut SalvagedTable) -> rusqlite::Result<()> {
        let Some(row) = row.ok().filter(|row| self.is_sound(row)) else {
            table.lost += 1;
            return Ok(());
        };
        let marks = vec!["?"; row.len()].join(", ");
        let insert =
            format!("INSERT OR IGNORE INTO {} ({}) VALUES ({marks})", self.name, self.columns.join(", "));
        match self.new.prepare_cached(&insert)?.execute(params_from_iter(row)) {
            Ok(_) => table.copied += 1,
            // A value that the schema does not allow.
            Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation) => {
                table.lost += 1;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn is_sound(&self, row: &[Value]) -> bool {
        let value = |column: &str| row.get(self.columns.iter().position(|name| name == column)?);
        let number = |column| if let Value::Integer(number) = value(column)? { Some(*number) } else { None };
        let text = |column| if let Value::Text(text) = value(column)? { Some(text) } else { None };
        let agent = number("key").map(|key| parts(key).1).or_else(|| number("agent")?.try_into().ok());
        let blob =
            || row.iter().find_map(|value| if let Value::Blob(blob) = value { Some(blob) } else { None });
        match self.name {
            "agents" => text("name").is_some_and(|text| name(text).is_ok()),
            _ if !agent.is_some_and(|agent| self.agents.contains(&agent)) => false,
            "series" => catalog::is_series(number("kind"), text("labels").map(String::as_str)),
            "runs" => blob().is_some_and(|seqs| Seqs::from_bytes(seqs).is_some()),
            "hours" | "days" => {
                blob().is_some_and(|blob| Chunk::open(blob).and_then(|chunk| chunk.columns()).is_ok())
            }
            "minutes" | "months" => blob().is_some_and(|blob| rollup::decode(blob).is_ok()),
            _ => true,
        }
    }
}

/// Looks for the keys of a table that has unreadable parts.
struct Keys<'c> {
    db: &'c Connection,
    table: &'c str,
    key: &'c str,
    found: Vec<i64>,
    tries: u32,
}

impl Keys<'_> {
    /// Finds the keys from `first` to `last`. Says whether all could be read.
    fn between(&mut self, first: i64, last: i64) -> bool {
        let Err(from) = self.scan((first, last), "ASC") else { return true };
        let Err(to) = self.scan((from, last), "DESC") else { return false };
        // What lies between could be read from neither end. Its halves may be.
        if from < to && self.tries > 0 {
            self.tries -= 1;
            let middle = from + (to - from) / 2;
            self.between(from, middle);
            self.between(middle + 1, to);
        }
        false
    }

    /// Walks until an error, and then says where that was: before this key going up, after it going down.
    fn scan(&mut self, (first, last): (i64, i64), order: &str) -> Result<(), i64> {
        let Self { table, key, .. } = self;
        let sql = format!("SELECT {key} FROM {table} WHERE {key} BETWEEN ?1 AND ?2 ORDER BY {key} {order}");
        let (mut at, step) = if order == "ASC" { (first, 1) } else { (last, -1) };
        let mut walk = || -> rusqlite::Result<()> {
            let mut select = self.db.prepare(&sql)?;
            let mut rows = select.query([first, last])?;
            while let Some(row) = rows.next()? {
                let key: i64 = row.get(0)?;
                self.found.push(key);
                at = key.saturating_add(step);
            }
            Ok(())
        };
        walk().map_err(|_| at)
    }
}

/// Series whose rows are lost, from the catalogs that list them; and no number is given that may have been given before.
fn restore_series(db: &Connection, agents: &HashSet<u32>) -> rusqlite::Result<()> {
    catalog::restore_series(db)?;
    for agent in agents {
        let last: u32 =
            db.query_row("SELECT coalesce(max(id), 0) FROM series WHERE agent = ?1", [agent], |row| {
                row.get(0)
            })?;
        db.execute(
            "INSERT INTO series (agent, id, name, labels, unit, kind, times, per)
             VALUES (?1, ?2, 'rackside_hub_salvaged', '', '', 0, 1, 1)",
            [*agent, last + JUMP],
        )?;
    }
    Ok(())
}

/// `20261120T084500Z`.
fn stamp(ms: u64) -> String {
    let (Date { year, month, day }, second) = (Date::of_ms(ms), ms / 1000 % 86_400);
    format!("{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::stamp;

    #[test]
    fn stamps_are_what_date_prints() {
        assert_eq!(stamp(0), "19700101T000000Z");
        assert_eq!(stamp(1_795_145_119_000), "20261120T032519Z");
        assert_eq!(stamp(1_709_164_800_000), "20240229T000000Z");
        assert_eq!(stamp(4_107_542_399_000), "21000228T235959Z");
    }
}
