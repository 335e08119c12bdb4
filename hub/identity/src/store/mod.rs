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
//! retired    name, since when
//! identity   serial, name, key, certificate, of which code, after which other    ended and why    seen when
//! ```

mod code;
mod commissioning;
mod identity;
mod open;
mod retired;

pub use code::{CodeRow, Ended};
pub use commissioning::{Commissioning, STEPS, Step};
pub(crate) use identity::Issued;
pub use identity::{End, Identity, Summary};
pub use open::{FILE, backup};

use rackside_store::{File, StoreError};
use std::path::Path;

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

    /// A number that is another one whenever somebody else has changed the file.
    pub fn version(&self) -> Result<i64, StoreError> {
        self.file.version()
    }
}
