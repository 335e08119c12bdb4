//! Why a page could not be had, in words for people.

use super::Url;
use crate::probe::dial::DialError;
use crate::probe::secure::SecureError;
use std::fmt;
use std::time::Duration;

/// How far a request had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The name was being looked up, and a connection made.
    Connect,
    /// TLS was being agreed on.
    Tls,
    /// The request was out, and nothing had come back.
    FirstByte,
    /// The answer was coming in.
    Transfer,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum FetchError {
    /// Name or address.
    Dial(DialError),
    /// TLS.
    Tls(SecureError),
    /// Authorities cannot be read, or a secret cannot be; nothing was asked.
    Own(String),
    /// What came is no HTTP, or the connection ended too early.
    Protocol {
        /// Who.
        origin: String,
        /// What is wrong.
        why: String,
    },
    /// It leads from one page to the next.
    Redirects {
        /// Where it began.
        origin: String,
        /// So many were followed.
        most: u8,
    },
    /// It leads to something that is no address.
    Astray {
        /// Who.
        origin: String,
        /// What is wrong with the address.
        why: String,
    },
    /// Its time was over.
    Late {
        /// Who.
        origin: String,
        /// What it waited for.
        step: Step,
        /// How long it had.
        within: Duration,
    },
}

impl FetchError {
    pub(super) fn protocol(url: &Url, why: impl Into<String>) -> Self {
        Self::Protocol { origin: url.origin(), why: why.into() }
    }

    /// Whether nothing was asked at all, so that nothing is known of the target.
    pub const fn is_own(&self) -> bool {
        matches!(self, Self::Own(_))
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dial(error) => error.fmt(f),
            Self::Own(why) => f.write_str(why),
            Self::Tls(error) => error.fmt(f),
            Self::Protocol { origin, why } => write!(f, "{origin}: {why}"),
            Self::Redirects { origin, most } => {
                write!(f, "{origin} sends from one address to the next, more than {most} times")
            }
            Self::Astray { origin, why } => {
                write!(f, "{origin} sends to an address that is none: {why}")
            }
            Self::Late { origin, step, within } => {
                let missing = match step {
                    Step::Connect => "there was no connection",
                    Step::Tls => "TLS was not agreed on",
                    Step::FirstByte => "no answer had begun",
                    Step::Transfer => "the answer had not ended",
                };
                write!(f, "{origin}: {missing} after {within:?}")
            }
        }
    }
}

impl std::error::Error for FetchError {}
