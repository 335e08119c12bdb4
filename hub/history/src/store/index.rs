//! Where an agent's records are in the inbox: row numbers in memory, so that a commit appends to one place on disk and
//! dirties nothing else. About eight bytes a record; rebuilt at open by one pass over the inbox.
//!
//! Invariant: rows are entered after their commit and removed after the commit that moved them on. So whoever takes the rows
//! first and a snapshot of the database afterwards finds each record exactly once: at `agents.flushed_upto` or below it has
//! moved on (whether its row is still there or not), above it is a row.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

/// Rows by agent, in order.
#[derive(Debug, Default)]
pub(crate) struct Index {
    rows: RwLock<HashMap<u32, Vec<i64>>>,
}

impl Index {
    /// The agent's rows, oldest first.
    pub(crate) fn rows(&self, agent: u32) -> Vec<i64> {
        self.read(agent, <[i64]>::to_vec)
    }

    /// The agent's first rows: at most `most`, none above `upto`.
    pub(crate) fn first(&self, agent: u32, upto: i64, most: usize) -> Vec<i64> {
        self.read(agent, |rows| {
            let end = rows.partition_point(|&row| row <= upto).min(most);
            rows.iter().take(end).copied().collect()
        })
    }

    /// The agent's last row that is not above `upto`.
    pub(crate) fn last(&self, agent: u32, upto: i64) -> Option<i64> {
        self.read(agent, |rows| {
            let end = rows.partition_point(|&row| row <= upto);
            end.checked_sub(1).and_then(|at| rows.get(at)).copied()
        })
    }

    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.rows.read().unwrap_or_else(PoisonError::into_inner).values().map(Vec::len).sum()
    }

    /// The agents that have rows up to `upto`.
    pub(crate) fn agents(&self, upto: i64) -> Vec<u32> {
        let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
        let mut agents: Vec<u32> = rows
            .iter()
            .filter(|(_, rows)| rows.first().is_some_and(|&row| row <= upto))
            .map(|(&agent, _)| agent)
            .collect();
        agents.sort_unstable();
        agents
    }

    /// The oldest row of all.
    pub(crate) fn oldest(&self) -> Option<i64> {
        let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
        rows.values().filter_map(|rows| rows.first()).min().copied()
    }

    /// Enters rows that are committed; they are above all that were entered before.
    pub(crate) fn enter(&self, new: &[(u32, i64)]) {
        let mut rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        for &(agent, row) in new {
            rows.entry(agent).or_default().push(row);
        }
    }

    /// Forgets an agent's rows up to `upto`.
    pub(crate) fn leave(&self, agent: u32, upto: i64) {
        let mut all = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(rows) = all.get_mut(&agent) {
            let end = rows.partition_point(|&row| row <= upto);
            rows.drain(..end);
            rows.shrink_to(2 * rows.len());
            if rows.is_empty() {
                all.remove(&agent);
            }
        }
    }

    fn read<T>(&self, agent: u32, of: impl FnOnce(&[i64]) -> T) -> T {
        let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
        of(rows.get(&agent).map_or(&[], Vec::as_slice))
    }
}
