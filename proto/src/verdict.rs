//! What the hub thinks of an appliance: shown by its LED, which the verdict can only make worse.

use crate::codec::{Input, put};
use crate::{DecodeError, EncodeError, Sink, WIRE, limits};
use serde::{Deserialize, Serialize};

/// The hub's opinion. It expires, so that a hub that is gone has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The worst severity among the alerts that concern the appliance.
    pub severity: Severity,
    /// How many alerts fire.
    pub firing: u32,
    /// Seconds for which this holds from its receipt.
    pub valid_s: u32,
}

/// How bad. The order is the order of badness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Severity {
    /// Nothing fires.
    Well,
    /// Worth knowing.
    Info,
    /// Look at it by daylight.
    Warning,
    /// Look at it now.
    Critical,
}

impl Severity {
    /// The severity as a word: `well`, `info`, `warning`, `critical`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl Verdict {
    /// Appends the body.
    pub fn encode<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        sink.put(&[WIRE])?;
        put(sink, self)
    }

    /// Reads a body.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Input::body(bytes, limits::SMALL)?.take("verdict")
    }
}
