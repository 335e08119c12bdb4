//! The way to the broker as a stream of bytes: TCP, through a proxy if there is one, a WebSocket and TLS over it, as the address says; nobody above
//! notices.

mod backoff;
mod connect;
mod socket;
mod tls;
mod traffic;

pub use crate::tls::TlsError;
pub use backoff::Backoff;
pub use connect::{ConnectError, Connector};
pub use traffic::Traffic;

use futures_lite::{AsyncRead, AsyncWrite};

/// A stream of bytes in both directions.
pub trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}
