//! Which records are accounted for: the one place that decides whether a record is new.
//!
//! Invariant: an account is what table `runs` says, and every row of the inbox beyond its agent's `flushed_upto` (its number
//! and all below its floor). [`Accounts`] holds the sum for each run that has such rows; any other run is read from the
//! table. A commit works on copies, which replace these once the disk has them.

use crate::{Account, Seqs};
use rackside_proto::{AgentName, Envelope, Run};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// An agent's run: (agent, run).
pub(crate) type RunKey = (u32, u32);

/// The account of one run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Held {
    pub(crate) seqs: Seqs,
    pub(crate) lost: u64,
    pub(crate) first_ms: u64,
    pub(crate) last_ms: u64,
    /// How many rows of the inbox it has.
    pub(crate) rows: u32,
}

impl Held {
    /// Opens the account of a run that was first heard of by this record: what lies below its floor was never asked for.
    pub(crate) fn open(envelope: &Envelope, received_ms: u64) -> Self {
        let mut held = Self { first_ms: received_ms, last_ms: received_ms, ..Self::default() };
        held.seqs.fill_below(envelope.floor);
        held
    }

    /// Enters a record and what is below its floor.
    pub(crate) fn enter(&mut self, envelope: &Envelope, received_ms: u64) {
        // Unbounded here: the bound is for what comes from the network, and ingest has applied it.
        self.seqs.insert_within(envelope.seq, usize::MAX);
        self.seqs.fill_below(envelope.floor);
        self.last_ms = self.last_ms.max(received_ms);
    }

    pub(crate) fn into_account(self, agent: AgentName, run: u32) -> Account {
        Account { agent, run: Run(run), seqs: self.seqs, lost: self.lost }
    }

    /// What table `runs` says of a run.
    pub(crate) fn load(db: &Connection, (agent, run): RunKey) -> rusqlite::Result<Option<Self>> {
        let mut select = db
            .prepare_cached("SELECT seqs, lost, first_ms, last_ms FROM runs WHERE agent = ?1 AND run = ?2")?;
        select.query_row(params![agent, run], Self::from_row).optional()
    }

    /// Reads the columns `seqs, lost, first_ms, last_ms`.
    pub(crate) fn from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        let seqs = Seqs::from_bytes(row.get_ref(0)?.as_blob()?).ok_or_else(|| {
            let why = "the account of a run is not what was written".into();
            rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Blob, why)
        })?;
        Ok(Self {
            seqs,
            lost: row.get::<_, i64>(1)? as u64,
            first_ms: row.get::<_, i64>(2)? as u64,
            last_ms: row.get::<_, i64>(3)? as u64,
            rows: 0,
        })
    }

    /// Writes it to table `runs`.
    pub(crate) fn save(&self, db: &Connection, (agent, run): RunKey) -> rusqlite::Result<()> {
        db.prepare_cached(
            "INSERT INTO runs (agent, run, seqs, lost, first_ms, last_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (agent, run) DO UPDATE SET seqs = ?3, lost = ?4, last_ms = ?6",
        )?
        .execute(params![
            agent,
            run,
            self.seqs.to_bytes(),
            self.lost as i64,
            self.first_ms as i64,
            self.last_ms as i64
        ])?;
        Ok(())
    }
}

/// The accounts of runs that have rows in the inbox.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    held: HashMap<RunKey, Held>,
}

impl Accounts {
    /// The account, from memory or from the table.
    pub(crate) fn find(&self, db: &Connection, key: RunKey) -> rusqlite::Result<Option<Held>> {
        self.held.get(&key).map_or_else(|| Held::load(db, key), |held| Ok(Some(held.clone())))
    }

    /// The account if it is in memory.
    pub(crate) fn held(&self, key: RunKey) -> Option<&Held> {
        self.held.get(&key)
    }

    /// All that are in memory.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (RunKey, &Held)> {
        self.held.iter().map(|(&key, held)| (key, held))
    }

    /// Replaces an account by what is on the disk now.
    pub(crate) fn put(&mut self, key: RunKey, held: Held) {
        if held.rows == 0 {
            self.held.remove(&key);
        } else {
            self.held.insert(key, held);
        }
    }

    /// At open: a row of the inbox that has not moved on.
    pub(crate) fn replay(
        &mut self,
        db: &Connection,
        key: RunKey,
        envelope: &Envelope,
        received_ms: u64,
    ) -> rusqlite::Result<()> {
        let held = match self.held.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                place.insert(Held::load(db, key)?.unwrap_or_else(|| Held::open(envelope, received_ms)))
            }
        };
        held.enter(envelope, received_ms);
        held.rows += 1;
        Ok(())
    }
}
