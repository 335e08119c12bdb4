//! How fast a backlog goes: a token bucket.
//!
//! A twentieth of a second's worth may go in one go, so that the timer need not fire for each record.

use std::time::{Duration, Instant};

/// Hands out permissions at a bounded rate.
#[derive(Debug)]
pub(super) struct Pace {
    apart: Duration,
    burst: u32,
    /// When the bucket was, or will be, empty by one.
    next: Option<Instant>,
}

impl Pace {
    /// `rate` a second; 0 counts as 1.
    pub(super) fn new(rate: u32) -> Self {
        let rate = rate.max(1);
        Self { apart: Duration::from_secs(1) / rate, burst: (rate / 20).max(1), next: None }
    }

    /// Takes a permission, if there is one.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let full = now.checked_sub(self.apart * (self.burst - 1)).unwrap_or(now);
        let next = self.next.map_or(full, |next| next.max(full));
        if next > now {
            return false;
        }
        self.next = Some(next + self.apart);
        true
    }

    /// When there will be one.
    pub(super) fn next(&self, now: Instant) -> Instant {
        self.next.map_or(now, |next| next.max(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn the_rate_is_kept_over_a_second() {
        let start = Clock::now();
        let mut pace = Pace::new(200);
        let taken = (0..1000).filter(|ms| pace.take(start + Duration::from_millis(*ms))).count();
        assert!((195..=210).contains(&taken), "{taken}");
    }

    #[test]
    fn idleness_is_not_saved_up() {
        let start = Clock::now();
        let mut pace = Pace::new(200);
        assert!(pace.take(start));
        let later = start + Duration::from_hours(1);
        let burst = (0..1000).filter(|_| pace.take(later)).count();
        assert_eq!(burst, 10);
        assert!(pace.next(later) > later);
        assert!(pace.take(pace.next(later)));
    }

    #[test]
    fn the_slowest_rate_is_one_a_second() {
        let start = Clock::now();
        let mut pace = Pace::new(0);
        assert!(pace.take(start));
        assert!(!pace.take(start + Duration::from_millis(999)));
        assert!(pace.take(start + Duration::from_secs(1)));
    }
}
