//! Whether the threads of rules and of notifications turn. One that hangs says nothing, and nobody would be told of anything: so others look.
//!
//! Each marks its turns itself, at least once a second unless it works; the longest work of the rules' thread ends after 20 s. Who looks: the watchdog's
//! pulse, `/health/readiness`, the dead man's URL.
//!
//! ```text
//! rules: 0.4 s ago, notifications: 73 s ago ─▶ "the thread of notifications has not turned for 73 s: nobody is told of alerts"
//! ```

use crate::clock::Now;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A thread that has not turned for so long hangs.
const LATE: Duration = Duration::from_mins(1);

/// When a thread turned last. Cheap to clone; all clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Turn(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    begun: Instant,
    /// Milliseconds after that.
    last: AtomicU64,
}

impl Turn {
    /// Of a thread that begins now.
    pub(crate) fn new(now: Now) -> Self {
        Self(Arc::new(Inner { begun: now.instant, last: AtomicU64::new(0) }))
    }

    /// The thread turns.
    pub(crate) fn turn(&self, now: Now) {
        self.0.last.store(now.since(self.0.begun).as_millis() as u64, Ordering::Relaxed);
    }

    /// How long ago it did.
    pub(crate) fn ago(&self, now: Now) -> Duration {
        now.since(self.0.begun).saturating_sub(Duration::from_millis(self.0.last.load(Ordering::Relaxed)))
    }
}

/// The threads without which nobody is told of anything.
#[derive(Debug, Clone)]
pub(crate) struct Turns {
    /// Evaluates rules.
    pub(crate) rules: Turn,
    /// Makes messages of alerts.
    pub(crate) notifications: Turn,
}

impl Turns {
    /// Two threads that begin now.
    #[cfg(test)]
    pub(crate) fn new(now: Now) -> Self {
        Self { rules: Turn::new(now), notifications: Turn::new(now) }
    }

    /// Those that hang: what they are, and what comes of it.
    fn late(&self, now: Now) -> impl Iterator<Item = (&'static str, &Turn, &'static str)> {
        let all = [
            ("rules", &self.rules, "alerts neither begin nor end"),
            ("notifications", &self.notifications, "nobody is told of alerts"),
        ];
        all.into_iter().filter(move |(_, turn, _)| turn.ago(now) >= LATE)
    }

    /// What comes of those that hang; the same words for as long as they do.
    pub(crate) fn missing(&self, now: Now) -> Option<String> {
        let said: Vec<String> =
            self.late(now).map(|(name, _, so)| format!("the thread of {name} does not turn: {so}")).collect();
        (!said.is_empty()).then(|| said.join("; "))
    }

    /// Which of them hang, if any does, in one sentence.
    pub(crate) fn trouble(&self, now: Now) -> Option<String> {
        let late = self.late(now);
        let said: Vec<String> = late
            .map(|(name, turn, so)| {
                format!("the thread of {name} has not turned for {} s: {so}", turn.ago(now).as_secs())
            })
            .collect();
        (!said.is_empty()).then(|| said.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn a_thread_that_has_not_turned_for_a_minute_hangs() {
        let now = clock::now();
        let turns = Turns::new(now);
        assert_eq!(turns.trouble(now.plus(Duration::from_secs(59))), None, "it has just begun");
        turns.rules.turn(now.plus(Duration::from_secs(30)));
        let said = turns.trouble(now.plus(Duration::from_secs(73))).expect("one hangs");
        assert_eq!(said, "the thread of notifications has not turned for 73 s: nobody is told of alerts");
        let said = turns.trouble(now.plus(Duration::from_secs(90))).expect("both hang");
        assert!(
            said.starts_with("the thread of rules has not turned for 60 s: alerts neither begin"),
            "{said}"
        );
        assert!(said.contains("; the thread of notifications"), "{said}");
    }
}
