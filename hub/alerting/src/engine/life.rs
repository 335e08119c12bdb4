//! The life of one alert, as Prometheus 2.42 has it, and one thing more: an alert whose appliance is silent freezes.
//!
//! ```text
//!            holds               held for `for`            not in the result, `keep_firing_for` over
//! (nothing) ──────▶ pending ─────────────────▶ firing ──────────────────────────────────────────────▶ inactive, 15 min ──▶ (nothing)
//!                      └── not in the result ──▶ (nothing)
//! ```
//!
//! What is not in the result because its appliance cannot be heard stays what it was, and is unknown. Not here: labels, values, and how it
//! is known whether somebody is silent.
//!
//! Sample: begun at 12:00 with `for: 5m`, it fires at the first evaluation at or after 12:05 in which it is still in the result.

use serde::{Deserialize, Serialize};

/// How long an alert that has ended is remembered, so that it can be told as resolved; in milliseconds.
const REMEMBERED: i64 = 15 * 60 * 1000;

/// What an alert is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It does not hold, or no longer.
    Inactive,
    /// It holds, and not yet long enough.
    Pending,
    /// Somebody should know.
    Firing,
}

impl State {
    /// As Prometheus writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Pending => "pending",
            Self::Firing => "firing",
        }
    }
}

/// How long an alert waits; in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spans {
    /// `for`: before it fires.
    pub hold: i64,
    /// `keep_firing_for`: before it ends.
    pub keep_firing: i64,
}

/// Where an alert is in its life; all times in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Life {
    /// What it is at.
    pub state: State,
    /// Since when it has been in the result without a gap.
    pub active_at: i64,
    /// Since when it fires or has fired.
    pub fired_at: Option<i64>,
    /// Since when it is inactive.
    pub resolved_at: Option<i64>,
    /// Since when it fires only because of `keep_firing_for`.
    pub keep_firing_since: Option<i64>,
    /// Since when nobody knows whether it still holds.
    pub unknown_since: Option<i64>,
    /// When it was last in the result.
    pub seen_at: i64,
}

impl Life {
    /// A life that begins with the evaluation at `now`; [`Life::holds`] goes on from here.
    pub fn begin(now: i64) -> Self {
        Self {
            state: State::Pending,
            active_at: now,
            fired_at: None,
            resolved_at: None,
            keep_firing_since: None,
            unknown_since: None,
            seen_at: now,
        }
    }

    /// The alert is in the result of the evaluation at `now`.
    pub fn holds(&mut self, now: i64, spans: Spans) {
        if self.state == State::Inactive {
            *self = Self::begin(now);
        }
        self.keep_firing_since = None;
        self.unknown_since = None;
        self.seen_at = now;
        if self.state == State::Pending && now.saturating_sub(self.active_at) >= spans.hold {
            self.state = State::Firing;
            self.fired_at = Some(now);
        }
    }

    /// The alert is not in the result of the evaluation at `now`. `silent` says whether that is because nobody can be heard who would say so, and
    /// is asked only of one that is pending or fires. Returns whether it can be forgotten.
    pub fn misses(&mut self, now: i64, spans: Spans, silent: impl FnOnce() -> bool) -> bool {
        if self.state == State::Inactive {
            return self.resolved_at.is_none_or(|at| now.saturating_sub(at) > REMEMBERED);
        }
        if silent() {
            self.unknown_since.get_or_insert(now);
            return false;
        }
        self.unknown_since = None;
        if self.state == State::Pending {
            self.state = State::Inactive;
            return true;
        }
        if spans.keep_firing > 0 {
            let since = *self.keep_firing_since.get_or_insert(now);
            if now.saturating_sub(since) < spans.keep_firing {
                return false;
            }
        }
        self.state = State::Inactive;
        self.resolved_at = Some(now);
        false
    }

    /// Whether it is pending or fires.
    pub fn is_active(&self) -> bool {
        self.state != State::Inactive
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIVE: Spans = Spans { hold: 300_000, keep_firing: 0 };
    const KEPT: Spans = Spans { hold: 0, keep_firing: 120_000 };

    #[test]
    fn an_alert_fires_when_it_has_held_long_enough() {
        let mut life = Life::begin(0);
        for (now, state) in [(0, State::Pending), (299_999, State::Pending), (300_000, State::Firing)] {
            life.holds(now, FIVE);
            assert_eq!(life.state, state, "{now}");
        }
        assert_eq!((life.active_at, life.fired_at), (0, Some(300_000)));
    }

    #[test]
    fn a_pending_one_that_ends_is_forgotten_and_a_firing_one_remembered_for_a_while() {
        let mut pending = Life::begin(0);
        pending.holds(0, FIVE);
        assert!(pending.misses(60_000, FIVE, || false));
        let mut firing = Life::begin(0);
        firing.holds(0, Spans { hold: 0, keep_firing: 0 });
        assert!(!firing.misses(60_000, FIVE, || false));
        assert_eq!((firing.state, firing.resolved_at), (State::Inactive, Some(60_000)));
        assert!(!firing.misses(60_000 + REMEMBERED, FIVE, || panic!("nobody asks of what has ended")));
        assert!(firing.misses(60_001 + REMEMBERED, FIVE, || false));
    }

    #[test]
    fn what_is_kept_firing_ends_when_it_has_been_away_all_that_time() {
        let mut life = Life::begin(0);
        life.holds(0, KEPT);
        life.misses(60_000, KEPT, || false);
        life.misses(120_000, KEPT, || false);
        assert_eq!((life.state, life.keep_firing_since), (State::Firing, Some(60_000)));
        life.holds(150_000, KEPT);
        life.misses(170_000, KEPT, || false);
        life.misses(289_999, KEPT, || false);
        assert_eq!(life.state, State::Firing);
        life.misses(290_000, KEPT, || false);
        assert_eq!((life.state, life.resolved_at), (State::Inactive, Some(290_000)));
    }

    #[test]
    fn silence_neither_resolves_nor_fires() {
        let mut life = Life::begin(0);
        life.holds(0, FIVE);
        assert!(!life.misses(600_000, FIVE, || true));
        assert_eq!((life.state, life.unknown_since), (State::Pending, Some(600_000)));
        life.misses(700_000, FIVE, || true);
        assert_eq!(life.unknown_since, Some(600_000));
        life.holds(800_000, FIVE);
        assert_eq!((life.state, life.unknown_since, life.active_at), (State::Firing, None, 0));
        life.misses(900_000, FIVE, || true);
        assert_eq!((life.state, life.unknown_since), (State::Firing, Some(900_000)));
        life.misses(1_000_000, FIVE, || false);
        assert_eq!((life.state, life.unknown_since), (State::Inactive, None));
    }

    #[test]
    fn one_that_comes_again_is_a_new_one() {
        let mut life = Life::begin(0);
        life.holds(0, KEPT);
        life.misses(10, Spans { hold: 0, keep_firing: 0 }, || false);
        life.holds(20, FIVE);
        assert_eq!(
            (life.state, life.active_at, life.fired_at, life.resolved_at),
            (State::Pending, 20, None, None)
        );
    }
}
