//! Who an appliance is: the hub's certificate authority, one-time codes, certificates and their end.
//!
//! In the order in which a box meets it: a person has a [`Code`](rackside_proto::join::Code) made for a name ([`Store::make_code`]); the box asks
//! with it, and [`Registrar::answer`] checks both signatures of its question and has the [`Authority`] sign a certificate; at the listener the
//! [`Roll`], which is the memory's copy of `identity.db`, says how that certificate stands; before it ends the box asks again, with the
//! certificate in the code's place.
//!
//! Not here: sockets, HTTP, MQTT, a clock. Time is an argument, in milliseconds since 1970.
//!
//! Invariants: a certificate names the appliance that a person has made the code for, and no other. A name has one box at a time: a new code,
//! once used, ends what was before it. No secret of a code is kept, so who steals `identity.db` joins nothing. Strangers learn nothing.
//!
//! ```text
//! code       made ──► used by one key          │ revoked, expired after a day
//! identity   issued ──► renewed ──► renewed …  │ replaced by a new code · revoked · retired
//! ```

#[cfg(any(test, feature = "asking"))]
pub mod asking;
mod authority;
mod certificate;
mod exchange;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod limit;
mod outside;
mod proof;
mod roll;
mod store;

pub use authority::{Authority, FILE as KEY_FILE, KeyError, ServerCertificate};
pub use certificate::{Credential, LIFE, Serial};
pub use exchange::{Answered, InService, Offer, OfferError, Registrar, Told, refusal};
pub use limit::Askers;
pub use outside::{BrokerCertificate, named, revoked};
pub use proof::make_code;
pub use rackside_store::{Fault, StoreError};
pub use roll::{Roll, Standing};
pub use store::{CodeRow, Commissioning, End, Ended, FILE, Identity, STEPS, Step, Store, Summary, backup};

#[cfg(test)]
mod tests;
