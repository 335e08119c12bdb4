//! The wire between `rackside-agent` and `rackside-hub`.
//!
//! Everything that crosses MQTT is defined here and nowhere else; the byte tables are in `WIRE.md`. The crate is
//! `no_std`, decodes without allocating, and never panics, whatever the bytes.
//!
//! A guided tour, in the order in which an appliance uses it:
//!
//! 1. [`AgentName`] says who speaks, [`Topic`] where: `rackside/1/arena-north/rack-1/data`.
//! 2. [`Presence`] comes first on a connection, and is the Last Will.
//! 3. [`Birth`] says what the appliance is, and carries a copy of its newest [`Catalog`]: the list of its [`Series`].
//! 4. Everything from here on is in custody: a [`Record`] is numbered by run and `seq`, and the agent keeps it until
//!    the hub's [`Ack`] covers it. A record is a [`Data`] (a catalog, or [`Readings`] coded against one) or an [`Event`].
//! 5. [`Verdict`] tells the appliance what the hub thinks of it.
//! 6. [`Still`] is a picture of a stream, where the appliance's own configuration wants one sent. It is in nobody's custody.
//! 7. [`Command`] is what the hub asks an appliance to do, signed; [`Reply`] what came of it.
//! 8. [`join`] is not on MQTT: how an appliance gets the identity that it speaks with.
//!
//! Every body is one version byte, then postcard. [`Message::decode`] takes any channel's bytes.
//!
//! ```
//! use rackside_proto::{Message, Presence, Reason, Run, Channel, Sink};
//!
//! let presence = Presence { run: Run(7), connection: 1, online: true, reason: Reason::Start };
//! let mut body = heapless::Vec::<u8, 64>::new();
//! presence.encode(&mut body)?;
//! assert_eq!(Message::decode(Channel::Presence, &body)?, Message::Presence(presence));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
#![no_std]

#[cfg(feature = "alloc")]
extern crate alloc;

mod ack;
mod birth;
mod board;
mod bound;
mod catalog;
mod codec;
mod command;
mod config;
mod data;
mod date;
mod error;
mod event;
mod id;
pub mod join;
pub mod limits;
mod message;
pub mod metric;
mod presence;
mod record;
mod reply;
mod signed;
mod still;
mod time;
mod topic;
mod value;
mod verdict;

pub use ack::{Ack, Safe, Want};
pub use birth::{Birth, Capabilities, SpoolPlace};
pub use board::{Board, Revision};
pub use bound::Bound;
pub use catalog::{Catalog, CatalogHead, Kind, Label, Labels, Scale, Series, SeriesIter};
pub use codec::Sink;
pub use command::{Action, Command, EXPIRY_MOST, IDENTIFY_MOST, MUTE_MOST};
pub use config::{Adopted, Configuration};
pub use data::{Change, Changes, Data, Reading, ReadingIter, Readings};
pub use date::Date;
pub use error::{DecodeError, EncodeError};
pub use event::{Event, What};
pub use id::{AgentName, Id, IdError};
pub use message::Message;
pub use presence::{Presence, Reason};
pub use record::{Envelope, Record, Run, Sending};
pub use reply::{Body, Finding, Found, LINE, LogLine, Outcome, REPLY_BODY, Refused, Reply};
pub use signed::{COMMAND_LABEL, CONFIG_LABEL, Signed, signed_head};
pub use still::{Format, Still};
pub use time::{ClockSource, Time};
pub use topic::{Channel, Prefix, TOPIC_MAX, Topic, TopicError};
pub use value::Value;
pub use verdict::{Severity, Verdict};

/// The wire's major version: the version byte of every body, and the second word of every topic.
pub const WIRE: u8 = 1;
