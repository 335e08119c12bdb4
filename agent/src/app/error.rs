//! Why the agent does not start.
//!
//! `the password of user arena: /etc/rackside/secret: cannot be read: No such file or directory (os error 2)`

use crate::transport::TlsError;
use rackside_config::ConfigError;
use std::fmt;
use std::io;

/// Why the agent does not start.
#[derive(Debug)]
pub enum StartError {
    /// The configuration cannot be read, or is wrong.
    Config(ConfigError),
    /// A secret is missing.
    Password {
        /// Whose.
        user: String,
        /// Why.
        why: ConfigError,
    },
    /// TLS cannot be set up.
    Tls(TlsError),
    /// The system refuses something that every Linux has.
    System {
        /// What.
        what: &'static str,
        /// Why.
        why: io::Error,
    },
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Password { user, why } => write!(f, "the password of user {user}: {why}"),
            Self::Tls(error) => error.fmt(f),
            Self::System { what, why } => write!(f, "the system gives no {what}: {why}"),
        }
    }
}

impl std::error::Error for StartError {}
