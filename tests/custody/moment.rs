//! Virtual time: a monotonic moment for what is due, and the true date, which no machine in the simulation need know.

use std::time::{Duration, Instant};

/// A moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Virtual {
    /// On the monotonic clock that all machines share.
    pub(crate) instant: Instant,
    /// The truth, in milliseconds since 1970-01-01 UTC.
    pub(crate) true_ms: u64,
    /// When it all began, on both: rounding must not add up.
    origin: (Instant, u64),
}

impl Virtual {
    /// The beginning.
    pub(crate) fn begin(instant: Instant, true_ms: u64) -> Self {
        Self { instant, true_ms, origin: (instant, true_ms) }
    }

    /// The moment at `instant`.
    pub(crate) fn at(self, instant: Instant) -> Self {
        let passed = instant.saturating_duration_since(self.origin.0);
        Self { instant, true_ms: self.origin.1 + passed.as_millis() as u64, ..self }
    }

    /// The moment `after` this one.
    pub(crate) fn plus(self, after: Duration) -> Self {
        self.at(self.instant + after)
    }

    /// What a clock shows that is wrong by `error_ms`; a clock cannot show a time before 1970.
    pub(crate) fn shown(self, error_ms: i64) -> u64 {
        self.true_ms.saturating_add_signed(error_ms)
    }
}
