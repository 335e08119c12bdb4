//! Which configuration the hub wants each appliance to run on, and what became of it: `configuration.db`.
//!
//! A configuration gets a revision when it is wanted ([`Store::want`]); what the appliance says of it ([`Store::runs`] by its birth,
//! [`Store::became`] by an event) makes its [`Outcome`]. [`check`] refuses what must not travel. Who signs and publishes is the hub
//! (`hub/src/configure`); who decides what is wanted where is somebody else again.
//!
//! Not here: keys, MQTT, a clock. Time is an argument, in milliseconds since 1970.
//!
//! Invariants: revisions of an appliance only rise, above what it says to run on as well, since it passes over what is not newer; no secret stands in the file,
//! as far as that can be told.
//!
//! ```text
//! want ──► sent ──► applied
//!               ├─► refused: line 12: probe.ping.every: …     rolled back: the hub was not reached
//!               └─► not taken: its own file forbids it
//! ```

mod outcome;
mod store;
mod travel;

pub use outcome::{Outcome, State};
pub use rackside_store::{Fault, StoreError};
pub use store::{FILE, Store, backup};
pub use travel::check;
