//! What the appliances of a fleet are to be configured like, and how they get there.
//!
//! ```text
//! Sources     the operator's files: base.toml, tags/TAG.toml, sites/SITE.toml, sites/SITE/APPLIANCE.toml
//!   render    one appliance's configuration, made of them: Text
//!   changes   what is other than before, and for whom: Group
//! Plan        who would get what: the files held against what everybody was told
//! RollOut     who gets it when: stages, proof, the first failure
//! Book        fleet.db: what everybody was told, and the roll-outs
//! ```
//!
//! No clock, no HTTP, no MQTT: who publishes is told what to publish, and tells what became of it.
//!
//! Invariant: what is rendered says nothing that must not be sent (a box's name, its way to the hub, secrets).

mod book;
mod diff;
mod error;
mod path;
mod plan;
mod render;
mod roll_out;
mod rules;
mod selection;
mod sources;
mod stages;
mod text;
mod tree;

pub use book::{Base, Begun, Book, Had, MOST_APPLIANCES, Newcomer, Snapshot, Wanted, backup, digest_of};
pub use diff::{Change, Group, changes, group};
pub use error::{BookError, Fault};
pub use plan::{Entry, Plan};
pub use render::LARGEST_TEXT;
pub use roll_out::{
    ANSWER_WITHIN, Alarm, Digest, GONE_AFTER, Member, Order, Outcome, RollOut, Sight, State, Step, Told,
};
pub use selection::Selection;
pub use sources::{LARGEST, MOST, Named, Sources};
pub use stages::Stages;
pub use text::Text;
