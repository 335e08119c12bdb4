//! How a parcel gets there: HTTP, SMTP, MQTT. What comes of it is an [`Outcome`](crate::Outcome), whatever happens.
//!
//! Not here: what a parcel holds and what a receiver's answer means (`format`), and when it is tried again (`worker`).
//!
//! ```text
//! Parcel ─▶ Carrier::Http ─▶ Reply ─ judge ─▶ Outcome
//! ```

mod carrier;
mod dial;
mod http;
mod mail;
mod mqtt;
mod pace;
mod place;
mod trust;

pub use carrier::Carrier;
pub use dial::DialError;
pub use http::{HttpClient, HttpError, Limits, Proxy, Reply};
pub use mail::{MailError, MailServer, Mailer, Security};
pub use mqtt::{Publisher, Publishing};
pub(crate) use pace::Pace;
pub use pace::Rate;
pub use trust::{Trust, TrustError};
