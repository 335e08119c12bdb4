//! Who may see the hub, and who may change what.
//!
//! [`Visitor`] is whoever asks, with a [`Role`] and a [`Reach`]. [`Access`] makes one of a session's secret or a token, and knows logins and their
//! limits. [`Store`] is `access.db`, where users, sessions and tokens are kept, for the hub and for the command line beside it.
//!
//! Not the hub's: knows no HTTP, no fleet and no clock. Time is an argument, in milliseconds since 1970. Nothing sleeps or spawns; what is slow by
//! intention (passwords) says so, and whoever calls it bounds how many run.
//!
//! Invariants: what is not granted is refused; no secret is kept, shown by `Debug` or told in an error; a file that cannot be read lets nobody in.

mod access;
mod begun;
mod error;
mod limit;
mod password;
mod secret;
mod store;
mod visitor;

pub use access::{Access, Credential, Knock, KnockError, Pass, Visit};
pub use begun::Begun;
pub use error::ChangeError;
pub use password::{LONGEST, PasswordFault, SHORTEST, check as check_password};
pub use rackside_store::{Fault, StoreError};
pub use secret::{Secret, TOKEN_PREFIX, is_same};
pub use store::{
    Arrival, Browser, FILE, Identity, Lasting, NewToken, NewUser, Note, Session, Store, Token, User, backup,
};
pub use visitor::{How, Reach, Right, Role, Scopes, UnknownRight, UnknownRole, Visitor};
