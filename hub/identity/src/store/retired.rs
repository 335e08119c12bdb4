//! Who was taken out of service, with or without a certificate of its own.
//!
//! It outlives the certificates, which are forgotten when they could not be renewed any more. It ends when a box joins by that name; and, of a name that
//! had no certificate to lose, when its box is heard again ([`Store::returned`]).
//!
//! ```text
//! hall/rack-9   since 12:00
//! ```

use super::{Store, identity};
use rackside_proto::AgentName;
use rackside_store::StoreError;
use rusqlite::{Row, Transaction, params};
use std::collections::BTreeMap;

/// It is out of service. Says whether it was in service.
pub(super) fn begin(transaction: &Transaction, name: &AgentName, now: i64) -> rusqlite::Result<bool> {
    let sql = "INSERT INTO retired (site, appliance, at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
    Ok(transaction.execute(sql, params![name.site.as_str(), name.appliance.as_str(), now])? > 0)
}

/// A box has joined by that name.
pub(super) fn end(transaction: &Transaction, name: &AgentName) -> rusqlite::Result<()> {
    let sql = "DELETE FROM retired WHERE site = ?1 AND appliance = ?2";
    transaction.execute(sql, [name.site.as_str(), name.appliance.as_str()]).map(drop)
}

impl Store {
    /// Everybody who is out of service, and since when, in milliseconds since 1970.
    pub fn retired(&self) -> Result<BTreeMap<AgentName, i64>, StoreError> {
        let one = |row: &Row<'_>| Ok((identity::name(row, 0)?, row.get(2)?));
        self.file.ask(|connection| {
            connection.prepare("SELECT site, appliance, at FROM retired")?.query_map([], one)?.collect()
        })
    }

    /// The box of this name was heard again in a new run. It is in service, unless its certificate was taken away with its name: then a new code alone
    /// brings it back. Says whether it is in service by that.
    pub fn returned(&mut self, name: &AgentName) -> Result<bool, StoreError> {
        let sql = "DELETE FROM retired WHERE site = ?1 AND appliance = ?2 AND NOT EXISTS (
            SELECT 1 FROM identity WHERE identity.site = ?1 AND identity.appliance = ?2 AND identity.end = 'retired')";
        self.file.change(|transaction| {
            Ok(transaction.execute(sql, [name.site.as_str(), name.appliance.as_str()])? > 0)
        })
    }
}
