//! `access.db`: users, their sessions and tokens, in one SQLite file for the hub's user alone.
//!
//! It is the truth, and nothing of it is kept in memory: what the command line changes beside a running hub counts with the next request. Each
//! change is one transaction, synced before it returns, with a note of who made it.
//!
//! Invariants: neither a password nor a token nor a session's secret stands in it. Where there are users, one of them is an admin whom nothing
//! limits, unless a provider has made the last one less. A file that is not whole is an error, and never an empty one.
//!
//! ```text
//! user      name, role, reach, password's hash, or issuer and subject
//! session   digest, user, since when, seen when, from where           ends with its user
//! token     digest, name, owner, scopes, reach, until when, used on   ends with its owner
//! place     user, address                                             from where somebody has logged in
//! setup     digest, until when                                        while there are no users
//! passwords until when                                                passwords are taken where a provider stands for them
//! note      when, who, what                                           the last 1,000
//! ```

mod audit;
mod open;
mod provided;
mod reach;
mod session;
mod setup;
mod token;
mod user;

pub use audit::Note;
pub use open::{FILE, backup};
pub use provided::{Arrival, Identity};
pub(crate) use session::Live;
pub use session::{Browser, Lasting, Session};
pub(crate) use token::Good;
pub use token::{NewToken, Token};
pub(crate) use user::LONGEST as LONGEST_NAME;
pub use user::{NewUser, User};

use crate::error::ChangeError;
use rackside_store::{File, StoreError};
use rusqlite::Transaction;
use std::path::Path;

/// Milliseconds of a day.
const DAY: i64 = 24 * 60 * 60 * 1000;

/// The open file.
#[derive(Debug)]
pub struct Store {
    file: File,
}

impl Store {
    /// Opens the file in this directory, or makes it.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        open::FORM.open(directory).map(|file| Self { file })
    }

    /// Changes: all of it or nothing.
    fn change<T>(&mut self, what: impl FnOnce(&Transaction) -> Result<T, Refusal>) -> Result<T, ChangeError> {
        self.file.attempt(what).map_err(|refusal| match refusal {
            Refusal::Change(error) => error,
            Refusal::Sqlite(error) => ChangeError::Store(self.file.failed(&error)),
        })
    }
}

/// Why a transaction is not made.
enum Refusal {
    Change(ChangeError),
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<ChangeError> for Refusal {
    fn from(error: ChangeError) -> Self {
        Self::Change(error)
    }
}
