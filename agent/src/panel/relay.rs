//! When a relay closes: for as long as it is bad enough, or for a pulse, and never longer than its own limit.
//!
//! Pure. It opens as soon as the site is better; a sounder that has sounded for its time is silent until the site was better for a minute:
//! what comes and goes at a limit is one alarm, and its time is counted from the first moment on. A relay that stuck would be worse than none.
//!
//! ```text
//! severity   well ─ critical ──────────── well (1 min) ─ critical
//! closed            ▇▇▇▇▇ (most = 30s)                   ▇▇▇▇▇
//! ```

use rackside_proto::Severity;
use std::time::{Duration, Instant};

/// What was over for this long is another time when it comes again.
const CALM: Duration = Duration::from_mins(1);

/// One relay's rule, and how far it is in it.
#[derive(Debug)]
pub struct Rule {
    on: Option<Severity>,
    most: Duration,
    /// When it was closed first for what is wrong now.
    since: Option<Instant>,
    /// Since when the site is better, after that.
    better: Option<Instant>,
    /// When a pulse ends.
    pulse: Option<Instant>,
}

impl Rule {
    /// Closes from `on` upward, for `most` at most.
    pub const fn new(on: Option<Severity>, most: Duration) -> Self {
        Self { on, most, since: None, better: None, pulse: None }
    }

    /// Closes for so long, though for `most` at most. Only one that no severity closes has pulses.
    pub fn pulse(&mut self, lasts: Duration, now: Instant) {
        if self.on.is_none() && self.pulse.is_none_or(|end| end <= now) {
            self.pulse = Some(now + lasts.min(self.most));
        }
    }

    /// Whether it is to be closed. One that is `muted` begins anew afterwards.
    pub fn step(&mut self, severity: Severity, muted: bool, now: Instant) -> bool {
        let Some(on) = self.on else {
            self.pulse = self.pulse.filter(|end| now < *end);
            return self.pulse.is_some();
        };
        if muted || self.better.is_some_and(|better| now >= better + CALM) {
            (self.since, self.better) = (None, None);
        }
        if muted {
            return false;
        }
        if severity < on {
            self.better = self.since.and(self.better.or(Some(now)));
            return false;
        }
        self.better = None;
        now < *self.since.get_or_insert(now) + self.most
    }

    /// When it opens by itself, unless that is past.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        let since = self.since.filter(|_| self.better.is_none());
        since.map(|since| since + self.most).or(self.pulse).filter(|end| *end > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use rackside_proto::Severity::{Critical, Warning, Well};

    #[test]
    fn a_relay_closes_while_it_is_bad_enough_and_not_longer_than_it_may() {
        let start = Clock::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut rule = Rule::new(Some(Critical), Duration::from_secs(30));
        assert!(!rule.step(Warning, false, at(0)));
        assert!(rule.step(Critical, false, at(1)));
        assert_eq!(rule.deadline(at(1)), Some(at(31)));
        assert!(rule.step(Critical, false, at(30)));
        assert!(!rule.step(Critical, false, at(31)), "it may no longer");
        assert_eq!(rule.deadline(at(31)), None);
        assert!(!rule.step(Critical, false, at(500)));
        assert!(!rule.step(Well, false, at(501)));
        assert!(!rule.step(Well, false, at(560)));
        assert!(!rule.step(Critical, false, at(560)), "it was better for less than a minute");
        assert!(!rule.step(Well, false, at(561)));
        assert!(rule.step(Critical, false, at(621)), "this is another time");
    }

    #[test]
    fn what_comes_and_goes_at_the_limit_is_one_alarm() {
        let start = Clock::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut rule = Rule::new(Some(Warning), Duration::from_secs(30));
        let closed: Vec<u64> = (0..600)
            .step_by(10)
            .filter(|second| {
                let severity = if second % 20 == 0 { Warning } else { Well };
                let closed = rule.step(severity, false, at(*second));
                assert!(severity == Warning || !closed && rule.deadline(at(*second)).is_none());
                closed
            })
            .collect();
        assert_eq!(closed, [0, 20], "open as soon as it is better, and no longer than 30 s in all");
    }

    #[test]
    fn a_muted_relay_is_open_and_begins_anew_when_the_mute_ends() {
        let start = Clock::now();
        let mut rule = Rule::new(Some(Warning), Duration::from_secs(30));
        assert!(rule.step(Critical, false, start));
        assert!(!rule.step(Critical, true, start + Duration::from_secs(1)));
        let later = start + Duration::from_mins(15);
        assert!(rule.step(Critical, false, later));
        assert_eq!(rule.deadline(later), Some(later + Duration::from_secs(30)));
    }

    #[test]
    fn a_pulse_ends_by_itself_and_is_no_longer_than_the_relay_may_be_closed() {
        let start = Clock::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut rule = Rule::new(None, Duration::from_secs(10));
        assert!(!rule.step(Critical, false, at(0)), "no severity closes it");
        rule.pulse(Duration::from_mins(1), at(1));
        rule.pulse(Duration::from_mins(1), at(5));
        assert!(rule.step(Well, false, at(10)));
        assert_eq!(rule.deadline(at(10)), Some(at(11)));
        assert!(!rule.step(Well, false, at(11)));
        rule.pulse(Duration::from_secs(2), at(12));
        assert!(rule.step(Well, false, at(13)) && !rule.step(Well, false, at(14)));
        let mut sounder = Rule::new(Some(Critical), Duration::from_secs(10));
        sounder.pulse(Duration::from_secs(2), at(0));
        assert!(!sounder.step(Well, false, at(1)));
    }
}
