//! Logins through a provider (`OpenID` Connect): what is asked of it, what it vouches for, and which role that comes to.
//!
//! [`Registration`] is what the hub is to a provider: it finds out what the provider says of itself ([`Known`]), makes the address that a browser is
//! sent to, and turns the code that comes back into [`Claims`] that were verified. [`grant`] makes a role and a reach of those, by the configuration.
//! A login is the authorization code flow with PKCE (S256), a state and a nonce; all three follow from what the browser keeps
//! ([`rackside_access::Begun`]).
//!
//! Not here: sockets (an HTTP client is handed in), pages, cookies, users, a clock. What is cached and for how long is the hub's.
//!
//! Invariant: nobody is who an ID token says whose signature, issuer, audience, nonce or time is wrong, whatever the algorithm in it; and no secret and
//! no token is in any `Debug` or error.
//!
//! ```text
//! discover ─▶ Known ─ way ─▶ browser ─▶ code ─ redeem ─▶ Redeemed ─ vouched ─▶ Claims ─ granted ─▶ operator of hall
//! ```

mod claims;
mod error;
pub mod grant;
mod provider;

pub use claims::Claims;
pub use error::{LoginError, TokenFault};
pub use grant::{Grant, Ungranted, granted};
pub use openidconnect::http;
pub use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
pub use provider::{Known, Redeemed, Registration};
