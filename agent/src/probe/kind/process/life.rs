//! What becomes of a process from one look to the next: restarts, a restart loop, the processor time it takes. Pure.
//!
//! A restart is that none of the processes of the last look at which there were any is there any more, and others are. So a daemon whose parent
//! ends has not restarted; two restarts between two looks are one.
//!
//! ```text
//! 4711 · 4711 · none · 4802      1 restart
//! 3 restarts within 5 minutes    a loop, until the first of them is older than that
//! ```

use super::table::{MEMBERS, Process};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The looks so far.
#[derive(Debug)]
pub(super) struct Life {
    /// So many restarts within so long are a loop.
    many: usize,
    within: Duration,
    restarts: u64,
    recent: VecDeque<Instant>,
    /// The processes of the last look that had any.
    last: Vec<Process>,
    /// When that was, unless a look that had none came after it.
    at: Option<Instant>,
}

impl Life {
    pub(super) const fn new(many: usize, within: Duration) -> Self {
        Self { many, within, restarts: 0, recent: VecDeque::new(), last: Vec::new(), at: None }
    }

    /// One look. The processor time taken since the one before, as a share of one processor, where both saw something; `tick` is the length
    /// of one of the kernel's ticks.
    pub(super) fn look(&mut self, found: &[Process], tick: Duration, now: Instant) -> Option<f64> {
        self.recent.retain(|at| now.saturating_duration_since(*at) <= self.within);
        if found.is_empty() {
            self.at = None;
            return None;
        }
        let before = |process: &Process| self.last.iter().find(|other| other.is(process));
        if !self.last.is_empty() && found.iter().all(|process| before(process).is_none()) {
            self.restarts += 1;
            self.recent.push_back(now);
            self.recent.drain(..self.recent.len().saturating_sub(self.many));
        }
        let used: u64 = found
            .iter()
            .map(|process| process.ticks.saturating_sub(before(process).map_or(0, |other| other.ticks)))
            .sum();
        let passed = self.at.map(|at| now.saturating_duration_since(at)).filter(|passed| !passed.is_zero());
        self.at = Some(now);
        self.last.clear();
        self.last.extend(found.iter().take(MEMBERS));
        passed.map(|passed| used as f64 * tick.as_secs_f64() / passed.as_secs_f64())
    }

    pub(super) const fn restarts(&self) -> u64 {
        self.restarts
    }

    /// Whether it starts again and again.
    pub(super) fn is_loop(&self) -> bool {
        self.recent.len() >= self.many
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    const TICK: Duration = Duration::from_millis(10);

    fn process(pid: u32, start: u64, ticks: u64) -> Process {
        Process { pid, start, ticks, pages: 1 }
    }

    fn life() -> Life {
        Life::new(3, Duration::from_mins(5))
    }

    #[test]
    fn another_process_is_a_restart_and_a_child_that_stays_is_none() {
        let (mut life, now) = (life(), Clock::now());
        let mut restarts = |found: &[Process]| {
            life.look(found, TICK, now);
            life.restarts()
        };
        let (parent, child) = (process(10, 100, 0), process(11, 101, 0));
        assert_eq!(restarts(&[]), 0);
        assert_eq!(restarts(&[parent, child]), 0, "the first one is no restart");
        assert_eq!(restarts(&[child]), 0);
        assert_eq!(restarts(&[]), 0);
        assert_eq!(restarts(&[child]), 0, "a look that missed it is none");
        assert_eq!(restarts(&[process(11, 900, 0)]), 1, "its number came to another");
        assert_eq!(restarts(&[process(12, 950, 0)]), 2);
    }

    #[test]
    fn three_restarts_within_five_minutes_are_a_loop_until_they_are_old() {
        let (mut life, start) = (life(), Clock::now());
        let mut at = |seconds, pid| {
            life.look(&[process(pid, u64::from(pid), 0)], TICK, start + Duration::from_secs(seconds));
            life.is_loop()
        };
        assert!(!at(0, 1) && !at(10, 2) && !at(20, 3));
        assert!(at(30, 4));
        assert!(at(310, 4));
        assert!(!at(311, 4), "the first of them is too old");
        assert!(at(312, 5));
    }

    #[test]
    fn processor_time_is_what_the_same_and_the_new_have_used() {
        let (mut life, start) = (life(), Clock::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(life.look(&[process(1, 1, 5000), process(2, 1, 70)], TICK, at(0)), None);
        let found = [process(1, 1, 5050), process(3, 9, 25)];
        assert_eq!(life.look(&found, TICK, at(1)), Some(0.75), "one that ended takes nothing back");
        assert_eq!(life.look(&[], TICK, at(2)), None);
        assert_eq!(life.look(&found, TICK, at(3)), None, "nobody knows since when");
    }
}
