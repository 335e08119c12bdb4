//! Moments, with and without a clock.

use serde::{Deserialize, Serialize};

/// When something happened, as its agent knew it. Never rewritten afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Time {
    /// The clock was known: milliseconds since 1970-01-01 UTC.
    Utc {
        /// Milliseconds since 1970-01-01 UTC.
        ms: u64,
    },
    /// The clock was not known: the kernel's `CLOCK_BOOTTIME` in one boot of the Pi. An anchor event, or the hub's
    /// time on receipt, dates it later.
    Boot {
        /// The first four bytes of the kernel's boot id.
        boot: u32,
        /// Milliseconds since that boot.
        ms: u64,
    },
}

impl Time {
    /// The moment `ms` milliseconds later on the same clock.
    #[must_use]
    pub const fn plus(self, after: u64) -> Self {
        match self {
            Self::Utc { ms } => Self::Utc { ms: ms.saturating_add(after) },
            Self::Boot { boot, ms } => Self::Boot { boot, ms: ms.saturating_add(after) },
        }
    }

    /// Milliseconds from `earlier` to `self`, if both are on the same clock and in that order.
    pub const fn since(self, earlier: Self) -> Option<u64> {
        match (self, earlier) {
            (Self::Utc { ms }, Self::Utc { ms: before }) => ms.checked_sub(before),
            (Self::Boot { boot, ms }, Self::Boot { boot: same, ms: before }) if boot == same => {
                ms.checked_sub(before)
            }
            _ => None,
        }
    }
}

/// Where an agent's clock comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ClockSource {
    /// The kernel said, at least once in this run, that it is synchronised.
    Ntp,
    /// Dated by the hub.
    Hub,
    /// Not known.
    None,
    /// Nobody disciplines it; the agent's configuration says that it is right all the same.
    Trusted,
}

impl ClockSource {
    /// `ntp`, `hub`, `none` or `trusted`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ntp => "ntp",
            Self::Hub => "hub",
            Self::None => "none",
            Self::Trusted => "trusted",
        }
    }
}
