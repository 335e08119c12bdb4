//! Where the thread of notifications finds what it is to do: news from the rules, a new policy, a hand on its shoulder, the end.
//!
//! Invariant: whoever puts something in waits for nothing. News keep the order in which the rules told them.

use rackside_alerting::Change;
use rackside_notify::{Observed, Policy};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The inbox. Cheap to clone; all clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Inbox(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    letters: Mutex<Letters>,
    rings: Condvar,
}

/// What is in it.
#[derive(Debug, Default)]
pub(super) struct Letters {
    /// What has become of alerts.
    pub(super) news: Vec<Observed>,
    /// What to go by from now on.
    pub(super) policy: Option<Policy>,
    /// Somebody has changed something, or there is an answer that was waited for.
    pub(super) rung: bool,
    /// The thread is to end.
    pub(super) stops: bool,
}

impl Letters {
    fn is_empty(&self) -> bool {
        self.news.is_empty() && self.policy.is_none() && !self.rung && !self.stops
    }
}

impl Inbox {
    /// What has become of alerts in one turn of the rules.
    pub fn told(&self, changes: &[Change]) {
        if !changes.is_empty() {
            self.put(|letters| letters.news.extend(changes.iter().map(Observed::from)));
        }
    }

    pub(super) fn load(&self, policy: Policy) {
        self.put(|letters| letters.policy = Some(policy));
    }

    pub(super) fn ring(&self) {
        self.put(|letters| letters.rung = true);
    }

    pub(super) fn stop(&self) {
        self.put(|letters| letters.stops = true);
    }

    /// Waits until something is in it, or for so long; takes it out. That it is the end stays.
    pub(super) fn wait(&self, most: Duration) -> Letters {
        let waited = self.0.rings.wait_timeout_while(self.letters(), most, |letters| letters.is_empty());
        let (mut letters, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let stops = letters.stops;
        let taken = std::mem::take(&mut *letters);
        letters.stops = stops;
        taken
    }

    fn put(&self, letter: impl FnOnce(&mut Letters)) {
        letter(&mut self.letters());
        self.0.rings.notify_one();
    }

    fn letters(&self) -> MutexGuard<'_, Letters> {
        self.0.letters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
