//! Why a link ended, or would not take something.

use std::fmt;
use std::time::Duration;

/// Why a link ended ([`Busy`](Self::Busy) and [`TooLarge`](Self::TooLarge): why it did not take a message).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkError {
    /// The broker answered the CONNECT with a refusal.
    Refused(Refusal),
    /// The broker did not answer the CONNECT in this time.
    NoAnswer(Duration),
    /// Nothing came from the broker for this time, although it was asked: the path is cut, or the peer is gone.
    Silent(Duration),
    /// The broker answers pings and has taken no message for this time: it is stuck, another connection may not be. Found by
    /// whoever uses the link.
    Stuck(Duration),
    /// The peer broke the protocol.
    Protocol(String),
    /// A message is larger than a packet may be.
    TooLarge {
        /// Its packet's size in bytes, at least.
        size: usize,
        /// The largest packet in bytes.
        limit: usize,
    },
    /// The link is not connected, or as much is in flight as may be; see [`Link::may_publish`](crate::Link::may_publish).
    Busy,
}

/// The refusals of MQTT 3.1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It does not speak MQTT 3.1.1.
    ProtocolVersion,
    /// It does not like the client id.
    ClientId,
    /// It is not ready.
    Unavailable,
    /// Unknown user or wrong password.
    BadLogin,
    /// The user may not connect, or not with this will.
    NotAuthorized,
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(Refusal::ProtocolVersion) => f.write_str("the broker does not speak MQTT 3.1.1"),
            Self::Refused(Refusal::ClientId) => f.write_str("the broker refused the client id"),
            Self::Refused(Refusal::Unavailable) => f.write_str("the broker says that it is not ready"),
            Self::Refused(Refusal::BadLogin) => f.write_str(
                "the broker refused the user name or the password; check both in the configuration",
            ),
            Self::Refused(Refusal::NotAuthorized) => {
                // Mosquitto says so of a wrong password, too.
                f.write_str(
                    "the broker says that this user may not connect; check user name and password here, and its permissions there",
                )
            }
            Self::NoAnswer(time) => write!(
                f,
                "connected, but no answer to the MQTT greeting within {time:?}; is it an MQTT port, and plain or TLS as configured?"
            ),
            Self::Silent(time) => write!(f, "nothing came from the broker for {time:?}; the link is cut"),
            Self::Stuck(time) => write!(f, "the broker took no message for {time:?}"),
            Self::Protocol(what) => write!(f, "the broker broke the MQTT protocol: {what}"),
            Self::TooLarge { size, limit } => {
                write!(f, "the message needs a packet of {size} bytes, more than {limit}")
            }
            Self::Busy => f.write_str("the link takes no message now"),
        }
    }
}

impl std::error::Error for LinkError {}
