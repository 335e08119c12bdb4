//! The agents of the history and their numbers, in memory.
//!
//! A number is never given twice: `agents` rows are not deleted.

use rackside_proto::AgentName;
use rusqlite::Connection;
use std::collections::HashMap;

/// What the writer knows of an agent.
#[derive(Debug, Clone)]
pub(crate) struct Agent {
    pub(crate) name: AgentName,
    /// Rows of the inbox up to this one have moved on.
    pub(crate) flushed_upto: i64,
    /// When it was last heard of.
    pub(crate) last_ms: u64,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Agents {
    by_id: HashMap<u32, Agent>,
    by_name: HashMap<AgentName, u32>,
    last_id: u32,
}

impl Agents {
    pub(crate) fn load(db: &Connection) -> rusqlite::Result<Self> {
        let mut agents = Self::default();
        let mut select = db.prepare("SELECT id, name, flushed_upto, last_ms FROM agents")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let agent = Agent {
                name: name(row.get_ref(1)?.as_str()?)?,
                flushed_upto: row.get(2)?,
                last_ms: row.get::<_, i64>(3)? as u64,
            };
            agents.put(row.get(0)?, agent);
        }
        Ok(agents)
    }

    pub(crate) fn put(&mut self, id: u32, agent: Agent) {
        self.by_name.insert(agent.name.clone(), id);
        self.by_id.insert(id, agent);
        self.last_id = self.last_id.max(id);
    }

    pub(crate) fn id(&self, name: &AgentName) -> Option<u32> {
        self.by_name.get(name).copied()
    }

    pub(crate) fn find(&self, id: u32) -> Option<&Agent> {
        self.by_id.get(&id)
    }

    pub(crate) fn find_mut(&mut self, id: u32) -> Option<&mut Agent> {
        self.by_id.get_mut(&id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Agent)> {
        self.by_id.iter().map(|(&id, agent)| (id, agent))
    }

    /// The highest number given.
    pub(crate) const fn last_id(&self) -> u32 {
        self.last_id
    }
}

/// `arena-north/rack-1` as table `agents` has it.
pub(crate) fn name(text: &str) -> rusqlite::Result<AgentName> {
    let (site, appliance) = text.split_once('/').unwrap_or((text, ""));
    AgentName::new(site, appliance).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(1, rusqlite::types::Type::Text, Box::new(error))
    })
}
