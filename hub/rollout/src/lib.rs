//! What the appliances of a fleet are to be configured like, and how they get there.
//!
//! ```text
//! Sources     the operator's files: base.toml, tags/TAG.toml, sites/SITE.toml, sites/SITE/APPLIANCE.toml
//!   render    one appliance's configuration, made of them: Text
//!   changes   what is other than before, and for whom: Group
//! ```
//!
//! No clock, no HTTP, no MQTT: who publishes is told what to publish, and tells what became of it.
//!
//! Invariant: what is rendered says nothing that must not be sent (a box's name, its way to the hub, secrets).

mod diff;
mod error;
mod path;
mod render;
mod rules;
mod sources;
mod text;
mod tree;

pub use diff::{Change, Group, changes, group};
pub use error::Fault;
pub use render::LARGEST_TEXT;
pub use sources::{LARGEST, MOST, Named, Sources};
pub use text::Text;
