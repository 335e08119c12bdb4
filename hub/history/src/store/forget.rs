//! Catalogs that nobody needs any more.
//!
//! Chunks do not need them: series have rows of their own. An agent makes a new catalog many times a day, and each is larger
//! than an hour of samples; so of a run the latest stay, and those that records which are not in chunks yet were coded
//! against. Should an older record come all the same, its agent is asked for the catalog again.

use super::Store;
use crate::StoreError;
use crate::keys::HOUR_MS;
use crate::view::walk;
use rackside_proto::{Data, Event, Record, What};
use rusqlite::params;
use std::collections::HashSet;

/// So many catalogs of a run stay.
const LATEST: u32 = 2;
/// And those that came within this.
const FRESH_MS: u64 = HOUR_MS;

/// Catalogs that may go: there are newer ones of the run, or the run is an old one and the agent has newer ones.
const OLD: &str = "
    (old.received_ms < ?1 AND
       (SELECT count(*) FROM catalogs AS new
        WHERE new.agent = old.agent AND new.run = old.run AND new.number > old.number) >= ?3
     OR old.received_ms < ?2 AND
       old.id < (SELECT max(new.id) FROM catalogs AS new WHERE new.agent = old.agent))
    AND NOT EXISTS (SELECT 1 FROM agents WHERE id = old.agent AND run = old.run AND number = old.number)
    AND NOT EXISTS (SELECT 1 FROM undated WHERE undated.agent = old.agent)";

impl Store {
    /// The agents that have such catalogs.
    pub(super) fn agents_with_old_catalogs(&self, now_ms: u64) -> Result<Vec<u32>, StoreError> {
        let found = || {
            self.db
                .prepare_cached(&format!("SELECT DISTINCT agent FROM catalogs AS old WHERE {OLD}"))?
                .query_map(self.before(now_ms), |row| row.get(0))?
                .collect::<rusqlite::Result<Vec<u32>>>()
        };
        found().map_err(self.failed())
    }

    /// Deletes those of one agent.
    pub(super) fn forget_catalogs(&self, agent: u32, now_ms: u64) -> Result<(), StoreError> {
        let forget = || -> rusqlite::Result<()> {
            let mut used = HashSet::new();
            walk(&self.db, &self.index.rows(agent), &mut |_, row, _| {
                used.extend(catalog_of(row.event, row.payload));
                Ok::<_, rusqlite::Error>(std::ops::ControlFlow::Continue(()))
            })?;
            let [fresh, raw, latest] = self.before(now_ms);
            let old: Vec<(i64, (u32, u32))> = self
                .db
                .prepare_cached(&format!(
                    "SELECT id, run, number FROM catalogs AS old WHERE old.agent = ?4 AND {OLD}"
                ))?
                .query_map(params![fresh, raw, latest, agent], |row| {
                    Ok((row.get(0)?, (row.get(1)?, row.get(2)?)))
                })?
                .collect::<Result<_, _>>()?;
            let transaction = self.db.unchecked_transaction()?;
            for (id, _) in old.iter().filter(|(_, catalog)| !used.contains(catalog)) {
                transaction.prepare_cached("DELETE FROM catalogs WHERE id = ?1")?.execute([id])?;
            }
            transaction.commit()
        };
        forget().map_err(self.failed())
    }

    fn before(&self, now_ms: u64) -> [i64; 3] {
        let raw_ms = now_ms.saturating_sub(self.settings.raw.as_millis() as u64);
        [now_ms.saturating_sub(FRESH_MS) as i64, raw_ms as i64, i64::from(LATEST)]
    }
}

/// The run and catalog that a record was coded against.
fn catalog_of(event: bool, payload: &[u8]) -> Option<(u32, u32)> {
    if event {
        let record = Record::<Event<'_>>::decode(payload).ok()?;
        return match record.body.what {
            What::Sample { catalog, .. } => Some((record.envelope.run.0, catalog)),
            What::Text { .. } | What::Anchor { .. } | What::Configuration { .. } => None,
        };
    }
    let record = Record::<Data<'_>>::decode(payload).ok()?;
    match record.body {
        Data::Readings(readings) => Some((record.envelope.run.0, readings.catalog)),
        Data::Catalog(_) => None,
    }
}
