//! Whether the clock was set: the calendar's clock went further, or less far, than the one that never jumps.
//!
//! Slewing is no step: what is less than five seconds between two looks, a second or so apart, is let be.
//!
//! ```text
//! 12:00:00 ─ 1 s ─▶ 12:00:01 nothing ─ 1 s ─▶ 13:00:02 set by 3,600,000 ms
//! ```

use crate::clock::Now;

/// From here on it is a step, in milliseconds.
const LEAST: i64 = 5_000;

/// When the clocks were looked at last.
#[derive(Debug)]
pub(super) struct Watchman(Now);

/// The clock was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    /// By so many milliseconds.
    pub(super) by: i64,
    /// Within the last so many milliseconds.
    pub(super) within: i64,
}

impl Watchman {
    pub(super) fn new(now: Now) -> Self {
        Self(now)
    }

    /// What happened to the clock since the last look.
    pub(super) fn look(&mut self, now: Now) -> Option<Step> {
        let within = now.since(self.0.instant).as_millis() as i64;
        let by = now.utc_ms as i64 - self.0.utc_ms as i64 - within;
        self.0 = now;
        (by.abs() > LEAST).then_some(Step { by, within })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use std::time::Duration;

    #[test]
    fn a_clock_that_is_set_is_noticed_once_and_one_that_is_slewed_is_not() {
        let mut now = clock::now();
        let mut watchman = Watchman::new(now);
        now = now.plus(Duration::from_mins(10));
        now.utc_ms += 5_000;
        assert_eq!(watchman.look(now), None);
        now = now.plus(Duration::from_secs(1));
        now.utc_ms += 86_400_000;
        assert_eq!(watchman.look(now), Some(Step { by: 86_400_000, within: 1_000 }));
        now = now.plus(Duration::from_secs(2));
        assert_eq!(watchman.look(now), None);
        now.utc_ms -= 86_400_000;
        assert_eq!(watchman.look(now), Some(Step { by: -86_400_000, within: 0 }));
    }
}
