//! Damping: an alert that goes up and down again and again is told once as flapping, and then held as if it fired, until it was quiet.
//!
//! Sample: fires at 12:00, 12:04, 12:07 and 12:09: flapping since 12:09. Last seen to change at 12:11, it is steady at 12:26; if it is over then,
//! that is told.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// So many times within [`WINDOW`] is too often.
const TOO_OFTEN: usize = 4;
/// How far back risings count, in milliseconds.
const WINDOW: i64 = 30 * 60 * 1000;
/// How long it has to stay as it is, in milliseconds.
const QUIET: i64 = 15 * 60 * 1000;

/// How often an alert has gone up and down of late.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flaps {
    /// Since when it flaps.
    pub since: Option<i64>,
    /// When it began to fire, the last few times.
    risings: VecDeque<i64>,
    /// When it last began or ended.
    changed: i64,
}

impl Flaps {
    /// It begins to fire. Says whether it has begun to flap with that.
    pub(crate) fn rises(&mut self, at: i64) -> bool {
        self.changed = self.changed.max(at);
        self.risings.push_back(at);
        while self.risings.len() > TOO_OFTEN
            || self.risings.front().is_some_and(|first| at.saturating_sub(*first) > WINDOW)
        {
            self.risings.pop_front();
        }
        let begins = self.since.is_none() && self.risings.len() == TOO_OFTEN;
        if begins {
            self.since = Some(at);
        }
        begins
    }

    /// It is over.
    pub(crate) fn falls(&mut self, at: i64) {
        self.changed = self.changed.max(at);
    }

    /// When it will be steady again, if nothing comes.
    pub(crate) fn steady_at(&self) -> Option<i64> {
        self.since.map(|_| self.changed.saturating_add(QUIET))
    }

    /// The clock was set by so much.
    pub(crate) fn shift(&mut self, by_ms: i64) {
        for at in self.risings.iter_mut().chain(&mut self.since).chain([&mut self.changed]) {
            *at = at.saturating_add(by_ms);
        }
    }

    /// It has been quiet for long enough.
    pub(crate) fn settle(&mut self) {
        self.since = None;
        self.risings.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    #[test]
    fn the_fourth_rising_within_half_an_hour_is_one_too_many() {
        let mut flaps = Flaps::default();
        let begins: Vec<bool> = [0, 10, 20, 30, 31].map(|minute| flaps.rises(minute * MINUTE)).into();
        assert_eq!(begins, [false, false, false, true, false]);
        assert_eq!(flaps.since, Some(30 * MINUTE));
    }

    #[test]
    fn slow_ones_do_not_count() {
        let mut flaps = Flaps::default();
        assert!((0..50).all(|n| !flaps.rises(n * 10 * MINUTE + n)));
    }

    #[test]
    fn it_is_steady_a_quarter_of_an_hour_after_its_last_change() {
        let mut flaps = Flaps::default();
        for minute in 0..4 {
            flaps.rises(minute * MINUTE);
        }
        flaps.falls(5 * MINUTE);
        assert_eq!(flaps.steady_at(), Some(20 * MINUTE));
        flaps.settle();
        assert_eq!((flaps.steady_at(), flaps.rises(21 * MINUTE)), (None, false));
    }
}
