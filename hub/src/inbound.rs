//! What passes between the two ways in (the hub's own listener, an outside broker) and the one ingest behind them.
//!
//! Nothing downstream of [`Inbound`] knows which way a message came, except to count it.

use bytes::Bytes;
use tokio::sync::mpsc;

/// A message as it came in, whichever way.
#[derive(Debug, Clone)]
pub struct Inbound {
    /// Its topic, as the client wrote it.
    pub topic: String,
    /// Its body, not looked at yet.
    pub payload: Bytes,
    /// Whether a broker kept it for us: it may be old.
    pub retained: bool,
    /// Which way it came.
    pub via: Via,
}

/// Which way a message came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Via {
    /// Over a connection to the hub's own listener, numbered since the hub's start.
    Listener {
        /// The connection's number.
        connection: u64,
    },
    /// Through an outside broker.
    Broker,
}

/// A message of the hub's own, sent with QoS 1.
#[derive(Debug, Clone)]
pub struct Outbound {
    /// Its topic.
    pub topic: String,
    /// Its body.
    pub payload: Bytes,
    /// Whether it is kept for those who subscribe later.
    pub retain: bool,
}

/// Where both ways put what came in: one `Vec` for each read of a socket. Waiting for room is the back-pressure.
pub type InboundSender = mpsc::Sender<Vec<Inbound>>;

/// The way back is blocked: the message was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocked;

/// The way back to agents and subscribers.
pub trait Outlet: Send + Sync {
    /// Sends `message`, or says that the way is blocked.
    fn send(&self, message: Outbound) -> Result<(), Blocked>;

    /// The same for what is said again anyway.
    fn publish(&self, message: Outbound) {
        let _ = self.send(message);
    }

    /// Whether anybody listens to the JSON mirror.
    fn mirror_wanted(&self) -> bool;
}
