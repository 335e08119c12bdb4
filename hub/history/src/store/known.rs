//! What a hub that starts knows of its agents.

use super::Store;
use super::account::Held;
use super::agents::Agent;
use crate::{Account, StoreError};
use bytes::Bytes;
use rackside_proto::{AgentName, Run};
use rusqlite::{OptionalExtension, params};
use std::collections::{HashMap, HashSet};

/// Most runs of an agent that are told of.
const RUNS: usize = 32;

/// An agent with history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownAgent {
    /// Who.
    pub name: AgentName,
    /// When it was last heard of, in milliseconds since 1970-01-01 UTC on the hub's clock.
    pub last_ms: u64,
    /// The accounts of its latest runs, at most 32; the one that was heard of last is the last.
    pub runs: Vec<Account>,
    /// The newest catalog of the newest of these runs that has one, as `rackside_proto::Catalog` encodes it.
    pub catalog: Option<(Run, Bytes)>,
}

impl Store {
    /// All agents with history, in order of their names.
    pub fn known(&self) -> Result<Vec<KnownAgent>, StoreError> {
        let mut held: HashMap<u32, Vec<(u32, Held)>> = HashMap::new();
        for ((agent, run), account) in self.accounts.iter() {
            held.entry(agent).or_default().push((run, account.clone()));
        }
        let mut known = Vec::new();
        for (id, agent) in self.agents.iter() {
            let held = held.remove(&id).unwrap_or_default();
            known.push(self.known_agent(id, agent, held).map_err(self.failed())?);
        }
        known.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(known)
    }

    fn known_agent(
        &self,
        id: u32,
        agent: &Agent,
        mut runs: Vec<(u32, Held)>,
    ) -> rusqlite::Result<KnownAgent> {
        let in_memory: HashSet<u32> = runs.iter().map(|(run, _)| *run).collect();
        let mut select = self.db.prepare_cached(
            "SELECT seqs, lost, first_ms, last_ms, run FROM runs WHERE agent = ?1 ORDER BY last_ms DESC LIMIT ?2",
        )?;
        let saved = select.query_map(params![id, (RUNS + in_memory.len()) as i64], |row| {
            Ok((row.get::<_, u32>(4)?, Held::from_row(row)?))
        })?;
        for saved in saved {
            let (run, held) = saved?;
            if !in_memory.contains(&run) {
                runs.push((run, held));
            }
        }
        runs.sort_by_key(|(_, held)| (held.last_ms, held.first_ms));
        let runs = runs.split_off(runs.len().saturating_sub(RUNS));
        let mut catalog = None;
        for (run, _) in runs.iter().rev() {
            let body = self
                .db
                .prepare_cached(
                    "SELECT body FROM catalogs WHERE agent = ?1 AND run = ?2 ORDER BY number DESC LIMIT 1",
                )?
                .query_row([id, *run], |row| row.get::<_, Vec<u8>>(0))
                .optional()?;
            catalog = body.map(|body| (Run(*run), Bytes::from(body)));
            if catalog.is_some() {
                break;
            }
        }
        let name = &agent.name;
        let runs = runs.into_iter().map(|(run, held)| held.into_account(name.clone(), run)).collect();
        Ok(KnownAgent { name: name.clone(), last_ms: agent.last_ms, runs, catalog })
    }
}
