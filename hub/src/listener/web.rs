//! Clients that the web server brings: MQTT over WebSocket, at `/mqtt`. The web server moves bytes; who they are is found out here.
//!
//! Two things go through such a line, as the client says by its subprotocol:
//!
//! | subprotocol | what is in it | who comes so |
//! |---|---|---|
//! | `mqtts` | TLS of the hub's own, and MQTT in that | appliances, with the certificates that they joined with, as at the TLS port |
//! | `mqtt` | MQTT | subscribers and agents with user and password |
//!
//! The TLS that a web server or a proxy on the way has ended proves nothing of an appliance, and nothing of the hub to it. So theirs goes from end to
//! end inside of that: whoever opens the outer one can cut the line and no more.
//!
//! Invariant: nobody is let in here for where they come from, since a proxy on this machine brings the world.

use super::accept::shake_hands;
use super::config::{ListenerConfig, TlsConfig};
use super::connection;
use super::doors::{Doors, Pass};
use super::shared::Shared;
use super::stats::Reason;
use super::tls::{self, TlsError};
use crate::identity::Identities;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

/// The way in for those that the web server brings.
#[derive(Clone)]
pub(crate) struct WebDoor {
    shared: Arc<Shared>,
    inner: Option<TlsAcceptor>,
    /// Weak: the listener waits for all who hold the other kind.
    alive: mpsc::WeakSender<()>,
}

impl std::fmt::Debug for WebDoor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebDoor").finish_non_exhaustive()
    }
}

/// A place for one client.
pub(crate) struct Seat {
    shared: Arc<Shared>,
    pass: Pass,
    alive: mpsc::Sender<()>,
}

/// What appliances shake hands with inside of WebSocket: what is at the TLS port, or else of the hub's own authority, if there is one.
pub(super) fn inner(
    config: &ListenerConfig,
    at_port: Option<&TlsAcceptor>,
    identities: Option<&Identities>,
) -> Result<Option<TlsAcceptor>, TlsError> {
    match (at_port, identities) {
        _ if !config.websocket => Ok(None),
        (Some(acceptor), _) => Ok(Some(acceptor.clone())),
        (None, None) => Ok(None),
        (None, identities) => {
            let own = TlsConfig { address: None, certificate: None, key: None };
            tls::acceptor(&own, identities).map(Some)
        }
    }
}

impl WebDoor {
    pub(super) fn new(shared: Arc<Shared>, inner: Option<TlsAcceptor>, alive: &mpsc::Sender<()>) -> Self {
        Self { shared, inner, alive: alive.downgrade() }
    }

    /// The largest packet that is taken, in bytes.
    pub(crate) fn largest(&self) -> usize {
        self.shared.limits.packet.bytes() as usize
    }

    /// Whether appliances can come.
    pub(crate) const fn takes_appliances(&self) -> bool {
        self.inner.is_some()
    }

    /// A place for somebody who comes from there, if there is one.
    pub(crate) fn seat(&self, peer: SocketAddr) -> Result<Seat, Reason> {
        let shared = Arc::clone(&self.shared);
        let admitted = self.alive.upgrade().ok_or(Reason::TooManyClients);
        let admitted =
            admitted.and_then(|alive| Ok((alive, Doors::admit(&shared.doors, &shared.limits, peer)?)));
        match admitted {
            Ok((alive, mut pass)) => {
                pass.is_brought = true;
                shared.counters.accepted.fetch_add(1, Relaxed);
                Ok(Seat { shared, pass, alive })
            }
            Err(reason) => {
                shared.counters.count(reason);
                let what = reason.as_str();
                shared.log.warn(format_args!("listener: {peer} is turned away at /mqtt: {what}"));
                Err(reason)
            }
        }
    }

    /// Serves an appliance, or whoever else speaks TLS inside, to its end.
    pub(crate) async fn serve_secure<S>(self, stream: S, seat: Seat)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let Seat { shared, pass, alive } = seat;
        if let Some(acceptor) = self.inner {
            shake_hands(alive, acceptor, stream, shared, pass).await;
        }
    }
}

impl Seat {
    /// Serves whoever speaks MQTT to its end.
    pub(crate) async fn serve<S>(self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let Self { shared, pass, alive } = self;
        connection::serve(stream, shared, pass, alive, None).await;
    }
}
