//! One SQLite file for the hub's user alone: made, opened, asked, changed, copied.
//!
//! A [`Form`] says what a file is: its name, its tables, what each version has more than the one before, what follows when it is damaged. A [`File`] is one that is
//! open. The hub and the command line work on it side by side. Each change is one transaction, synced before it returns, so what somebody was told
//! holds after a power cut.
//!
//! Files that are no secret have forms of their own in other crates; [`copy()`] is for them.
//!
//! Not here: what stands in the tables, and what is asked of them. That is of who has the form.
//!
//! Invariants: nobody but its owner reads the file, nor a copy of it. A file that is not whole is an error, and never an empty one; it is looked through
//! before a new version is made of it.
//!
//! ```text
//! access.db           users, sessions, tokens         rackside-access
//! identity.db         codes, certificates             rackside-identity
//! configuration.db    what each box is to run on      rackside-configure
//! ```

mod copy;
mod error;
mod file;
pub mod private;

pub use copy::{CopyError, copy};
pub use error::{Fault, StoreError};
pub use file::{File, Form};
