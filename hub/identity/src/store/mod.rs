//! `identity.db`: codes and certificates, in one SQLite file for the hub's user alone.
//!
//! It is the truth; the hub copies it into its [`Roll`](crate::Roll) whenever it has changed, whoever changed it: the command line works beside a running hub. Each change
//! is one transaction, synced before it returns, so what a box was told holds after a power cut.
//!
//! Invariants: no secret stands in it. A code is used by one key. Of a name, only certificates of one box are not ended.
//!
//! ```text
//! code       id, key, name, until when    used by which key, when    ended and why     so many tries by others
//! commissioning   name, since when    what was seen of it, when
//! identity   serial, name, key, certificate, of which code, after which other    ended and why    seen when
//! ```

mod code;
mod commissioning;
mod identity;
mod open;

pub use code::CodeRow;
pub use commissioning::{Commissioning, STEPS, Step};
pub(crate) use identity::Issued;
pub use identity::{End, Identity, Summary};
pub(crate) use open::VERSION;
pub use open::{FILE, backup};

use crate::error::StoreError;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::path::PathBuf;

/// The open file.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    path: PathBuf,
}

impl Store {
    /// Asks.
    fn ask<T>(&self, what: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        what(&self.connection).map_err(|error| open::failed(&self.path, &error))
    }

    /// Changes: all of it or nothing.
    fn change<T>(&mut self, what: impl FnOnce(&Transaction) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let failed = |error: rusqlite::Error| open::failed(&self.path, &error);
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let done = what(&transaction).map_err(failed)?;
        transaction.commit().map_err(failed)?;
        Ok(done)
    }

    /// A number that is another one whenever somebody else has changed the file.
    pub fn version(&self) -> Result<i64, StoreError> {
        self.ask(|connection| connection.pragma_query_value(None, "data_version", |row| row.get(0)))
    }
}
