//! When a relay closes: for as long as it is bad enough, or for a pulse, and never longer than its own limit.
//!
//! Pure. A sounder that has sounded for its time is silent until the site was better meanwhile; a relay that stuck would be worse than none.
//!
//! ```text
//! severity   well ─ critical ──────────── well ─ critical
//! closed            ▇▇▇▇▇ (most = 30s)           ▇▇▇▇▇
//! ```

use rackside_proto::Severity;
use std::time::{Duration, Instant};

/// One relay's rule, and how far it is in it.
#[derive(Debug)]
pub struct Rule {
    on: Option<Severity>,
    most: Duration,
    /// Since when it has been closed for what is wrong now.
    since: Option<Instant>,
    /// When a pulse ends.
    pulse: Option<Instant>,
}

impl Rule {
    /// Closes from `on` upward, for `most` at most.
    pub const fn new(on: Option<Severity>, most: Duration) -> Self {
        Self { on, most, since: None, pulse: None }
    }

    /// Closes for so long, though for `most` at most. Only one that no severity closes has pulses.
    pub fn pulse(&mut self, lasts: Duration, now: Instant) {
        if self.on.is_none() && self.pulse.is_none_or(|end| end <= now) {
            self.pulse = Some(now + lasts.min(self.most));
        }
    }

    /// Whether it is to be closed. One that is `muted` begins anew afterwards.
    pub fn step(&mut self, severity: Severity, muted: bool, now: Instant) -> bool {
        if self.on.is_none() {
            self.pulse = self.pulse.filter(|end| now < *end);
            return self.pulse.is_some();
        }
        if self.on.is_none_or(|on| severity < on) || muted {
            self.since = None;
            return false;
        }
        now < *self.since.get_or_insert(now) + self.most
    }

    /// When it opens by itself, unless that is past.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        self.since.map(|since| since + self.most).or(self.pulse).filter(|end| *end > now)
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
        assert!(rule.step(Critical, false, at(502)), "this is another time");
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
