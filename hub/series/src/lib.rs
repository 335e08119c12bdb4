//! Series for rules and queries: the last window of what appliances measure, and what the hub makes itself.
//!
//! - [`Recent`]: the last minutes of every series of every appliance, in memory, compressed, fed as readings come in.
//! - [`Derived`]: series that the hub makes, in memory and in `hub.db`, of which [`HubDb`] is the way in.
//!
//! Nothing here knows MQTT, the wire's records or a clock: moments are arguments, in milliseconds since 1970. The history is not
//! here either: whoever asks joins the three.

mod appliance;
mod chunk;
mod db;
mod derived;
mod kept;
mod layout;
mod line;
mod names;
mod older;
mod rack;
mod recent;

pub use db::{FILE, HubDb, HubDbError, backup};
pub use derived::{Derived, MOST};
pub use layout::Layout;
pub use recent::{Asked, Found, LONGEST, Listed, Recent, SHORTEST, Stored};
