//! From alerts to messages: who is told what, and when. A pure core: time is an argument, the world is a trait, what is to be sent is returned.
//!
//! 1. [`Policy`] is the checked configuration: receivers, teams, routes, maintenance, inhibition (`config/`).
//! 2. A [`Notifier`] takes what the rules' engine says of alerts ([`Observed`]) and keeps it in its book (`book.rs`).
//! 3. What it asks of its surroundings is [`World`]: sites, who is on air, who is up, its own uplink.
//! 4. [`Notifier::step`] gives [`Outgoing`]: messages and their receivers, for an outbox.
//!
//! ```text
//! Observed ─▶ book (flapping) ─▶ route ─▶ group ··· its time ···▶ unknown, being set up, outage, cut off, inhibit, mute, maintenance, quiet hours ─▶ dedup ─▶ Outgoing
//! ```
//!
//! An alert is given to its routes and groups when it begins (again when its site goes on or off air, or the policy changes), and what holds it back is asked only when its group is looked at: that is then true at the
//! moment of the message, what ends in between (a mute, an explanation) needs no bookkeeping, and who was told of an alert is told of its end even if
//! something holds it back by then. Whether it flaps is in the book, because it is so whatever the route. The first thing that holds an alert
//! back is the one that is shown.
//!
//! Invariants: an alert is never told as resolved while nobody knows; a firing alert that a route catches and nothing holds back is told; the same is
//! not told twice to the same receiver, not even over a restart between [`Notifier::save`] and [`Notifier::restore`]; the same calls give the
//! same messages, to the byte.

mod book;
mod cause;
mod compose;
pub mod config;
mod dedup;
mod escalate;
mod flap;
mod flush;
mod group;
mod inhibit;
mod keep;
mod lapse;
mod maintenance;
mod matcher;
mod message;
mod mute;
mod notifier;
mod observed;
mod outage;
mod outage_news;
mod refresh;
mod rota;
mod route;
mod schedule;
mod trial;
mod work;
mod world;

pub use book::{Booked, Happened, Held, What};
pub use config::Policy;
pub use flap::Flaps;
pub use keep::KeepError;
pub use maintenance::{Maintenance, Plan, Recurrence, UnderWay};
pub use matcher::Matchers;
pub use message::{
    Acknowledged, AlertId, Contact, Entry, Kind, MOST_ALERTS, MOST_SITES, Message, MessageId, NoAlertId,
    Outgoing, Severity, SiteFacts, State, Status,
};
pub use mute::{Mute, MuteError, MuteId, Mutes, NewMute};
pub use notifier::{Notifier, Trial};
pub use observed::Observed;
pub use rota::{Override, Rotation, Shift, Team};
pub use route::{GroupBy, Place, Route, Step, Taken, Target};
pub use schedule::Schedule;
pub use work::{NewWork, Where, Work, WorkError, WorkId, Works};
pub use world::{Gone, Nowhere, Uplink, World};
