//! When a probe is due. Pure.
//!
//! The first run is put off by a random part of `spread`, so that twenty probes of a rack, and the racks of a fleet after a power cut,
//! do not ask at the same moment. From then on runs keep their distance from each other, not from when the one before ended; a run
//! that was missed is left out.

use std::time::{Duration, Instant};

/// A probe's schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    every: Duration,
    next: Instant,
}

impl Schedule {
    /// From `now` on; `random` is any number.
    pub fn new(every: Duration, spread: Duration, random: u64, now: Instant) -> Self {
        let spread_ms = spread.as_millis().max(1) as u64;
        Self { every, next: now + Duration::from_millis(random % spread_ms) }
    }

    /// When the next run is due.
    pub const fn next(&self) -> Instant {
        self.next
    }

    /// The next run is due no later than `at`; from then on runs keep their distance from that one.
    pub fn hasten(&mut self, at: Instant) {
        self.next = self.next.min(at);
    }

    /// A run begins.
    pub fn begin(&mut self, now: Instant) {
        let late = now.saturating_duration_since(self.next);
        let missed = (late.as_nanos() / self.every.as_nanos()) as u32;
        self.next += self.every * (missed + 1);
    }
}

/// Which are due at `now`, by their places: those first that have been for the longest. So whoever waits for room is begun before anybody who
/// became due after him, and none waits for ever.
pub fn due<'a>(schedules: impl Iterator<Item = &'a Schedule>, now: Instant) -> Vec<usize> {
    let all = schedules.map(Schedule::next).enumerate();
    let mut due: Vec<(usize, Instant)> = all.filter(|(_, next)| *next <= now).collect();
    due.sort_by_key(|(_, next)| *next);
    due.into_iter().map(|(at, _)| at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    const EVERY: Duration = Duration::from_secs(30);

    #[test]
    fn the_first_run_is_somewhere_within_the_spread() {
        let now = Clock::now();
        for random in [0, 4_999, 5_000, u64::MAX] {
            let schedule = Schedule::new(EVERY, Duration::from_secs(5), random, now);
            assert!(schedule.next() >= now && schedule.next() < now + Duration::from_secs(5));
        }
        assert_eq!(Schedule::new(EVERY, Duration::ZERO, 7, now).next(), now);
    }

    #[test]
    fn runs_keep_their_distance_and_missed_ones_are_left_out() {
        let now = Clock::now();
        let mut schedule = Schedule::new(EVERY, Duration::ZERO, 0, now);
        schedule.begin(now + Duration::from_secs(1));
        assert_eq!(schedule.next(), now + EVERY);
        schedule.begin(now + Duration::from_secs(95));
        assert_eq!(schedule.next(), now + EVERY * 4);
    }

    #[test]
    fn who_has_been_due_for_longest_is_first() {
        let now = Clock::now();
        let after = |seconds| Schedule::new(EVERY, Duration::ZERO, 0, now + Duration::from_secs(seconds));
        let schedules = [after(4), after(2), after(9), after(1), after(2)];
        assert_eq!(due(schedules.iter(), now + Duration::from_secs(4)), [3, 1, 4, 0]);
        assert_eq!(due(schedules.iter(), now), [0; 0]);
    }

    #[test]
    fn a_run_may_come_sooner_and_never_later() {
        let now = Clock::now();
        let mut schedule = Schedule::new(EVERY, Duration::ZERO, 0, now);
        schedule.begin(now);
        schedule.hasten(now + EVERY * 2);
        assert_eq!(schedule.next(), now + EVERY);
        let sooner = now + Duration::from_secs(5);
        schedule.hasten(sooner);
        assert_eq!(schedule.next(), sooner);
        schedule.begin(sooner);
        assert_eq!(schedule.next(), sooner + EVERY);
    }
}
