//! Why a connection to the broker ended or did not come to be: for the log, and for the LED.

use crate::panel::led::Link;
use crate::panel::reach;
use crate::tls::alert;
use crate::transport::ConnectError;
use rackside_link::LinkError;
use rustls::AlertDescription;
use std::fmt;
use std::io;

/// Why a connection ended.
#[derive(Debug)]
pub(crate) enum Loss {
    /// It did not come to be.
    Connect(ConnectError),
    /// The broker refused, fell silent, or said what cannot be.
    Link(LinkError),
    /// The stream broke.
    Io(io::Error),
    /// The broker closed it.
    Closed,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => error.fmt(f),
            Self::Link(error) => error.fmt(f),
            Self::Io(error) => write!(f, "the link broke: {error}"),
            Self::Closed => f.write_str("the broker closed the connection"),
        }
    }
}

impl Loss {
    /// What the other side said against this box once it had proven who it is itself.
    pub(crate) fn alert(&self) -> Option<AlertDescription> {
        match self {
            Self::Io(error) => alert::of(error),
            Self::Connect(_) | Self::Link(_) | Self::Closed => None,
        }
    }

    /// What it says about the way to the hub.
    pub(crate) fn link(&self) -> Link {
        match self {
            Self::Connect(error) => reach::loss(error),
            Self::Io(_) if self.alert() == Some(AlertDescription::CertificateRevoked) => Link::Refused,
            Self::Link(_) | Self::Io(_) | Self::Closed => Link::HubUnreachable,
        }
    }
}
