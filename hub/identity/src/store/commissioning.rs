//! Commissioning: what was seen of a box since it joined, until it is in service.
//!
//! It begins in the transaction in which a code is used, and ends by somebody's word or when all was seen. What there is to see is not decided here: steps are
//! kinds and names. A box that joins anew begins anew.
//!
//! Invariant: steps and their number are bounded, whatever a box lists.
//!
//! ```text
//! hall/rack-1   since 12:00, holds pages   led by desk 12:04 · tally camera-1 12:05 · probe encoder 12:01
//! ```

use super::{Store, identity};
use rackside_proto::AgentName;
use rackside_store::StoreError;
use rusqlite::{Row, Transaction, params};

/// Most steps of one box.
pub const STEPS: usize = 512;

/// A box that is being set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commissioning {
    /// Whose.
    pub name: AgentName,
    /// Since when, in milliseconds since 1970.
    pub since: i64,
    /// Whether its name was in no service before, so that nobody is to be paged for it yet.
    pub holds: bool,
    /// What was seen: kind, name and when.
    pub steps: Vec<Step>,
}

/// Something that was seen of a box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// `led`, `tally`, `probe`.
    pub kind: String,
    /// Which of these; of an LED, who has seen it.
    pub name: String,
    /// When, in milliseconds since 1970.
    pub at: i64,
}

/// A box has joined: what was seen of the one before counts no more.
pub(super) fn begin(
    transaction: &Transaction,
    name: &AgentName,
    holds: bool,
    now: i64,
) -> rusqlite::Result<()> {
    end(transaction, name)?;
    transaction.execute(
        "INSERT INTO commissioning (site, appliance, since, holds) VALUES (?1, ?2, ?3, ?4)",
        params![name.site.as_str(), name.appliance.as_str(), now, holds],
    )?;
    Ok(())
}

/// Whether a box is being set up that nobody is paged for yet.
pub(super) fn is_held(transaction: &Transaction, name: &AgentName) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM commissioning WHERE site = ?1 AND appliance = ?2 AND holds";
    transaction.prepare(sql)?.exists([name.site.as_str(), name.appliance.as_str()])
}

/// It is over, or was never. Says whether it was under way.
pub(super) fn end(transaction: &Transaction, name: &AgentName) -> rusqlite::Result<bool> {
    let of = params![name.site.as_str(), name.appliance.as_str()];
    transaction.execute("DELETE FROM commissioning_step WHERE site = ?1 AND appliance = ?2", of)?;
    Ok(transaction.execute("DELETE FROM commissioning WHERE site = ?1 AND appliance = ?2", of)? > 0)
}

impl Store {
    /// Every box that is being set up, by name.
    pub fn commissionings(&self) -> Result<Vec<Commissioning>, StoreError> {
        let step = |row: &Row<'_>| {
            Ok((identity::name(row, 0)?, Step { kind: row.get(2)?, name: row.get(3)?, at: row.get(4)? }))
        };
        let one = |row: &Row<'_>| {
            let name = identity::name(row, 0)?;
            Ok(Commissioning { name, since: row.get(2)?, holds: row.get(3)?, steps: Vec::new() })
        };
        self.file.ask(|connection| {
            let sql = "SELECT site, appliance, since, holds FROM commissioning ORDER BY site, appliance";
            let mut all: Vec<Commissioning> =
                connection.prepare(sql)?.query_map([], one)?.collect::<Result<_, _>>()?;
            let sql = "SELECT site, appliance, kind, name, at FROM commissioning_step ORDER BY site, appliance, at, name";
            for found in connection.prepare(sql)?.query_map([], step)? {
                let (name, step) = found?;
                if let Ok(at) = all.binary_search_by(|one| one.name.cmp(&name)) {
                    all[at].steps.push(step);
                }
            }
            Ok(all)
        })
    }

    /// Something was seen of a box that is being set up; the first time counts. Says whether it is news.
    pub fn step(
        &mut self,
        name: &AgentName,
        (kind, what): (&str, &str),
        now: i64,
    ) -> Result<bool, StoreError> {
        self.file.change(|transaction| {
            let of = [name.site.as_str(), name.appliance.as_str()];
            let done = transaction.execute(
                "INSERT OR IGNORE INTO commissioning_step (site, appliance, kind, name, at)
                 SELECT site, appliance, ?3, ?4, ?5 FROM commissioning WHERE site = ?1 AND appliance = ?2
                 AND (SELECT count(*) FROM commissioning_step WHERE site = ?1 AND appliance = ?2) < ?6",
                params![of[0], of[1], kind, what, now, STEPS as i64],
            )?;
            Ok(done > 0)
        })
    }

    /// A box is in service. Says whether it was being set up.
    pub fn in_service(&mut self, name: &AgentName) -> Result<bool, StoreError> {
        self.file.change(|transaction| end(transaction, name))
    }
}
