//! Whose history there is, for a command beside a hub that may be running.

use crate::StoreError;
use crate::store::{DATABASE, connect, name};
use rackside_proto::AgentName;
use rusqlite::OpenFlags;
use std::path::Path;

/// Every appliance that `data/history.db` has ever heard of; nobody where there is no such file. Nothing is changed.
pub fn appliances(data: &Path) -> Result<Vec<AgentName>, StoreError> {
    let path = data.join(DATABASE);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let db = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let failed = |error| StoreError::sqlite(&path, &error);
    let mut select = db.prepare("SELECT name FROM agents ORDER BY name").map_err(failed)?;
    let names = select.query_map([], |row| name(row.get_ref(0)?.as_str()?)).map_err(failed)?;
    names.collect::<Result<_, _>>().map_err(failed)
}
