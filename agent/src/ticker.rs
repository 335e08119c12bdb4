//! The steady tick: when to read next.
//!
//! Ticks lie on a grid that starts with the first reading, so they do not drift, however long a reading takes. A stall (a
//! suspended machine, a busy processor) skips what it missed: one reading follows, not a burst, and the grid stays.
//!
//! ```text
//! grid     0    10    20    30    40    50
//! reading  0    10         [32]   40    50      stalled from 12 to 32: one tick skipped
//! ```

use std::time::{Duration, Instant};

/// A grid of moments, and the next one to come.
#[derive(Debug)]
pub struct Ticker {
    period: Duration,
    next: Instant,
}

impl Ticker {
    /// A grid that begins at `now`; the first tick is due at once. `period` is not zero.
    pub fn new(period: Duration, now: Instant) -> Self {
        assert!(!period.is_zero(), "a tick takes time");
        Self { period, next: now }
    }

    /// When the next tick is due.
    pub const fn next(&self) -> Instant {
        self.next
    }

    /// Takes the tick that is due, and says how many were missed before it; `None` when none is due yet.
    pub fn take(&mut self, now: Instant) -> Option<u64> {
        let late = now.checked_duration_since(self.next)?;
        let missed = late.as_nanos() / self.period.as_nanos();
        let missed = u32::try_from(missed).unwrap_or(u32::MAX);
        self.next += self.period.saturating_mul(missed.saturating_add(1));
        Some(u64::from(missed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use proptest::prelude::*;

    const TICK: Duration = Duration::from_secs(10);

    #[test]
    fn the_first_tick_is_due_at_once() {
        let start = Clock::now();
        let mut ticker = Ticker::new(TICK, start);
        assert_eq!(ticker.take(start), Some(0));
        assert_eq!(ticker.take(start), None);
        assert_eq!(ticker.next(), start + TICK);
    }

    #[test]
    fn a_stall_is_one_reading_and_a_count() {
        let start = Clock::now();
        let mut ticker = Ticker::new(TICK, start);
        ticker.take(start);
        assert_eq!(ticker.take(start + TICK * 5 + TICK / 2), Some(4));
        assert_eq!(ticker.take(start + TICK * 5 + TICK / 2), None, "no burst");
        assert_eq!(ticker.next(), start + TICK * 6, "still on the grid");
    }

    proptest! {
        #[test]
        fn ticks_stay_on_the_grid_and_none_is_lost_or_made_up(steps in proptest::collection::vec(0_u64..60_000, 1..200)) {
            let start = Clock::now();
            let mut now = start;
            let mut ticker = Ticker::new(TICK, start);
            let mut ticks = 0;
            for step in steps {
                now += Duration::from_millis(step);
                if let Some(missed) = ticker.take(now) {
                    ticks += missed + 1;
                }
                prop_assert!(ticker.next() > now, "whatever is due has been taken");
                prop_assert!(ticker.next() <= now + TICK);
                prop_assert_eq!(ticker.next(), start + TICK * ticks as u32);
            }
        }
    }
}
