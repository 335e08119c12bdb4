//! Where notifications go: what a message looks like at each receiver, and how it gets there.
//!
//! [`format`] makes a [`Parcel`] of a message, by the receiver's rules and within its limits, and judges the receiver's [`Answer`]: delivered,
//! later again, or never. That half is pure: no clock, no socket. It knows neither routes nor rules; who is told what and when is decided
//! before (`rackside-notify`).
//!
//! Invariant: any text makes a parcel that the receiver takes, and no secret is in any `Debug`, error or log line.
//!
//! ```text
//! Message ─ format ─▶ Parcel ─ send ─▶ the world ─ Answer ─ judge ─▶ Delivered | Retry | Elsewhere | Final
//! ```

pub mod chart;
pub mod format;
pub mod outbox;
pub mod parcel;
pub mod quantity;
pub mod receiver;
mod sample;
pub mod template;
pub mod view;

pub use format::Extras;
pub use outbox::{Bounds, Outbox};
pub use parcel::{Answer, Attachment, HttpParcel, MailParcel, Method, MqttParcel, Outcome, Parcel};
pub use receiver::{Hidden, Kind, Receiver, Way};
