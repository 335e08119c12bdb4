//! The way to the broker as a stream of bytes: TCP now, TLS over it where configured; WebSocket and proxies fit on top of the
//! same [`Stream`] without anybody above noticing.

mod backoff;
mod connect;
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
