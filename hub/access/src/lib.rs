//! Who may see the hub, and who may change what.
//!
//! Not the hub's: knows no HTTP, no fleet and no clock. Time is an argument, in milliseconds since 1970.

mod visitor;

pub use visitor::{How, Reach, Right, Role, Scopes, UnknownRight, UnknownRole, Visitor};
