//! `rackside-agent`: watches the box in the rack.
//!
//! A guided tour, along the way of one reading:
//!
//! 1. [`config`] says who this is and where to publish, and [`reload`] when that changed; [`host`] what machine it is.
//! 2. [`ticker`] says when to read, by the clocks of [`clock`] (nobody else reads one).
//! 3. [`sensor`] reads this machine into a report; [`sampler`] codes it against a catalog of its series,
//!    by itself or, on a line that costs money (`meter`), several in one record (`batch`).
//! 4. [`custody`] keeps each record until the hub has it, and decides what is sent when; [`spool`] is its disk, [`state`] where that is.
//! 5. [`agent`] ties these together; none of them does network I/O or knows whether there is a connection.
//! 6. [`session`] is one conversation with the broker, on the MQTT core of `rackside-link`; [`transport`] opens the stream
//!    of bytes that it runs on, with [`tls`] over it.
//! 7. [`panel`] is the rack's front: contacts and network tallies in, LEDs and relays out. Its changes are events in custody.
//! 8. [`probe`] asks the world around this box, each probe on a schedule of its own.
//! 9. [`app`] is the loop that moves bytes and time between them. [`cli`], [`check`], [`once`] and [`status`] are what a person calls.
//!
//! How a box gets the identity that it speaks with is told in [`join`], what its hub may have it run on in [`configure`], what it may have it do in [`command`].
//!
//! Connections to a machine by its name are made by [`dial`], whoever wants them; [`address`] says how addresses are written, [`proxy`] goes through one.
//!
//! One thread does all of this (async-io adds one of its own that waits for timers and sockets, a panel on a real board one that
//! waits for its edges); names are resolved on a thread that goes away again. There is no tokio here: why is told in ARCHITECTURE.md.

pub mod address;
pub mod agent;
pub mod app;
mod base64;
mod batch;
pub mod check;
pub mod cli;
pub mod clock;
pub mod command;
pub mod config;
pub mod configure;
pub mod custody;
pub mod dial;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
pub mod host;
pub mod join;
mod json;
pub mod logger;
mod loss;
mod meter;
mod obs;
pub mod once;
pub mod panel;
pub mod probe;
pub mod proxy;
pub mod reload;
pub mod sampler;
pub mod sensor;
pub mod session;
pub mod spool;
pub mod state;
pub mod status;
pub mod ticker;
pub mod tls;
pub mod transport;
mod units;
mod websocket;
