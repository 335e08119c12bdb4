//! How this box gets an identity of its own, and keeps it: by a one-time code, from the command line or from the card, and by renewal.
//!
//! [`exchange`] makes the question and judges the answer, [`ask`] carries both over HTTP, `store` keeps what was granted, `identity` is
//! that, [`card`] finds a code in a configuration file and blanks it, [`start`] does all of it when the agent starts or somebody says so, `error` says in words for a technician what failed and what to do. [`signed`] is what a joined box
//! believes of whoever says to be its hub.
//! The wire is [`rackside_proto::join`]'s.
//!
//! Invariants: nothing is written but a key before an answer was proven to be that of the hub that the code is from; the code is in no log; the
//! private key leaves this box never.
//!
//! ```text
//! key made ── question ──► hub ── answer: fingerprint? signature? our key? ──► identity.toml ──► TLS with a certificate at mqtts://…
//! ```

pub mod ask;
pub mod card;
mod error;
pub mod exchange;
mod identity;
pub mod signed;
pub mod start;
mod store;
#[cfg(test)]
pub(crate) mod tests;

pub use error::JoinError;
pub use identity::Identity;
pub use store::{IDENTITY, Store, StoreError};

use crate::probe::Context;
use crate::probe::http::Url;
use exchange::{Asked, Entitled, Granted};
use rackside_proto::join::Code;

/// Joins the hub at `url` with a code. What was granted is on the disk when this returns.
pub async fn join(store: &Store, url: &Url, code: &Code, context: &Context) -> Result<Granted, JoinError> {
    let joined = store.read().map_err(JoinError::Config)?;
    let key = store.key(joined.as_ref()).map_err(JoinError::Store)?;
    let asked = Asked::new(Entitled::Code(code), &key, &url.origin())?;
    granted(store, &asked, url, context).await
}

/// Renews an identity, which keeps its key. The new certificate is on the disk when this returns.
pub async fn renew(store: &Store, identity: &Identity, context: &Context) -> Result<Granted, JoinError> {
    let url = Url::parse(&identity.url).map_err(JoinError::Url)?;
    let asked = Asked::new(Entitled::Identity(identity), &identity.key, &identity.url)?;
    granted(store, &asked, &url, context).await
}

async fn granted(store: &Store, asked: &Asked, url: &Url, context: &Context) -> Result<Granted, JoinError> {
    let answer = ask::ask(url, asked.question(), context).await?;
    let granted = asked.hear(&answer)?;
    let (store, identity) = (store.clone(), granted.identity.clone());
    // A slow card takes its time, and whoever renews has other things to do.
    smol::unblock(move || store.write(&identity)).await.map_err(JoinError::Store)?;
    Ok(granted)
}
