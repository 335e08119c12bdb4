//! Where notifications go: what a message looks like at each receiver, and how it gets there.
//!
//! [`mod@format`] makes a [`Parcel`] of a message, by the receiver's rules and within its limits, and judges the receiver's [`Answer`]: delivered,
//! later again, or never. That half is pure: no clock, no socket. It knows neither routes nor rules; who is told what and when is decided
//! before (`rackside-notify`). The other half keeps messages until they are delivered ([`outbox`]), sends them over HTTP, SMTP or MQTT
//! ([`send`]), and tries again ([`worker`]).
//!
//! Invariant: any text makes a parcel that the receiver takes, and no secret is in any `Debug`, error or log line.
//!
//! ```text
//! Message ─ outbox ─ worker ─ format ─▶ Parcel ─ send ─▶ the world ─ Answer ─ judge ─▶ Delivered | Retry | Elsewhere | Final
//! ```

pub mod chart;
mod expression;
pub mod format;
pub mod outbox;
pub mod parcel;
pub mod quantity;
pub mod receiver;
pub mod runbook;
mod sample;
pub mod send;
pub mod template;
pub mod view;
pub mod worker;

pub use format::Extras;
pub use outbox::{Bounds, Outbox};
pub use parcel::{Answer, Attachment, HttpParcel, MailParcel, Method, MqttParcel, Outcome, Parcel};
pub use receiver::{Hidden, Kind, Receiver, Signer, Way};
pub use worker::Couriers;
