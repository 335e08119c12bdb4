//! The only file of the hub that reads a clock. Everything else is told what time it is.
//!
//! A moment has two faces: a monotonic one, by which things are due and silent, and the calendar's, which is shown and
//! sent. `Now { instant: .., utc_ms: 1_795_145_119_000 }` is 2026-11-20T05:25:19Z.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A moment, on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// For what is due, and for silence: never jumps.
    pub instant: Instant,
    /// Milliseconds since 1970-01-01 UTC: for people and for the wire. Jumps when somebody sets the clock.
    pub utc_ms: u64,
}

impl Now {
    /// The moment `after` this one.
    #[must_use]
    pub fn plus(self, after: Duration) -> Self {
        Self { instant: self.instant + after, utc_ms: self.utc_ms + after.as_millis() as u64 }
    }

    /// How long ago `earlier` was; nothing if it is yet to come.
    pub fn since(self, earlier: Instant) -> Duration {
        self.instant.saturating_duration_since(earlier)
    }
}

/// Reads both clocks.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the clocks")]
pub fn now() -> Now {
    let utc = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now { instant: Instant::now(), utc_ms: utc.as_millis() as u64 }
}

/// What the kernel's `CLOCK_MONOTONIC` shows, for whoever compares it with a clock of another process.
pub fn monotonic() -> Duration {
    let shown = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Duration::try_from(shown).unwrap_or_default()
}

/// Whether NTP keeps the calendar right, as the kernel says; no, where it cannot be asked.
pub fn is_synchronised() -> bool {
    rackside_sys::kernel_clock().is_ok_and(rackside_sys::KernelClock::is_synchronised)
}

/// A random number from the system, as the standard library's hash maps get theirs. Not for secrets.
pub fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_faces_move_together() {
        let now = now();
        let later = now.plus(Duration::from_millis(1500));
        assert_eq!(later.utc_ms, now.utc_ms + 1500);
        assert_eq!(later.since(now.instant), Duration::from_millis(1500));
        assert_eq!(now.since(later.instant), Duration::ZERO);
    }

    #[test]
    fn random_numbers_differ() {
        assert_ne!(random(), random());
    }
}
