//! When what failed is tried again: as the receiver asks, else after a time that doubles, with full jitter. Pure.
//!
//! `within 1 s, 2 s, 4 s, 8 s … 5 min` from the first failure on; a receiver that asks for more than an hour is asked after an hour.

use std::time::Duration;

/// How long to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// At most so long after the first failure.
    pub first: Duration,
    /// At most so long after any.
    pub longest: Duration,
}

/// A receiver that broke off is not asked again sooner.
const LEAST: Duration = Duration::from_millis(100);
/// What a receiver asks for is believed up to here: a slip of it must not cost a night.
const BELIEVED: Duration = Duration::from_hours(1);

impl Default for Patience {
    fn default() -> Self {
        Self { first: Duration::from_secs(1), longest: Duration::from_mins(5) }
    }
}

impl Patience {
    /// How long to wait after this many failures, with `chance` from 0 to 1.
    pub fn wait(self, failures: u32, asked: Option<Duration>, chance: f64) -> Duration {
        let doubled = self.first.saturating_mul(1 << failures.saturating_sub(1).min(20));
        let own = doubled.min(self.longest).mul_f64(chance.clamp(0.0, 1.0));
        asked.map_or(own, |asked| asked.min(BELIEVED)).max(LEAST.min(self.longest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_five_minutes() {
        let most = |failures| Patience::default().wait(failures, None, 1.0).as_secs();
        assert_eq!([1, 2, 3, 9, 10, 1_000_000].map(most), [1, 2, 4, 256, 300, 300]);
    }

    #[test]
    fn any_time_in_between_may_come_but_none_at_all() {
        let patience = Patience::default();
        assert_eq!(patience.wait(9, None, 0.5), Duration::from_secs(128));
        assert_eq!(patience.wait(9, None, 0.0), LEAST);
    }

    #[test]
    fn what_the_receiver_asks_for_counts_up_to_an_hour() {
        let asked = |seconds| Patience::default().wait(1, Some(Duration::from_secs(seconds)), 0.9).as_secs();
        assert_eq!([3, 600, 86_400].map(asked), [3, 600, 3_600]);
    }
}
