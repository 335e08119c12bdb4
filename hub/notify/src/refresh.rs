//! Alertmanagers forget an alert that they are not told again, and then say that it is over. So they are told again, as often as their `stands` asks, whatever
//! `repeat_interval` says and whoever has it in hand.
//!
//! Of a thing that was told, only its end ends that: what is muted or held back here meanwhile is the other one's to mute.
//!
//! Sample: `stands = "5m"`: told at 12:00:01, again at 12:01:41, 12:03:21, …, until the alert is over.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::Policy;
use crate::book::Booked;
use crate::config::Way;
use crate::dedup::{Key, Known, News};
use crate::flush::{Round, To};
use crate::keep::Kept;
use crate::message::MOST_ALERTS;

/// So often within the time that an alert stands it is told: two messages may be lost.
const TIMES: i64 = 3;

/// How long an alert stands at a receiver of this name, if that is an Alertmanager; in milliseconds.
fn stands(policy: &Policy, receiver: &str) -> Option<i64> {
    match policy.receiver(receiver)?.way {
        Way::Alertmanager { stands, .. } => Some(stands),
        _ => None,
    }
}

/// How often an Alertmanager of this name is told again, in milliseconds; none, if it is none.
pub(crate) fn period(policy: &Policy, receiver: &str) -> Option<i64> {
    stands(policy, receiver).map(|stands| stands / TIMES)
}

/// Entries of the log that are to be told again, and when.
fn waiting<'k>(policy: &'k Policy, kept: &'k Kept) -> impl Iterator<Item = (&'k Key, &'k Known, i64)> {
    let has_group = |key: &Key| kept.groups.all.contains_key(&key.0);
    let all = kept.log.all().filter(move |(key, known)| !known.firing.is_empty() && has_group(key));
    all.filter_map(|(key, known)| Some((key, known, known.at.saturating_add(period(policy, &key.2)?))))
}

/// When the next one is to be told again.
pub(crate) fn due(policy: &Policy, kept: &Kept) -> Option<i64> {
    let is_one = |way: &Way| matches!(way, Way::Alertmanager { .. });
    // As a rule there is none, and the log need not be gone through.
    let is_any = policy.receivers.iter().any(|receiver| is_one(&receiver.way));
    waiting(policy, kept).filter(|_| is_any).map(|(.., at)| at).min()
}

impl Round<'_> {
    /// How many alerts go into one message for a receiver: an Alertmanager has to know of each, so it is told in several.
    pub(crate) fn most_alerts(&self, receiver: &str) -> usize {
        if stands(self.policy, receiver).is_some() { MOST_ALERTS } else { usize::MAX }
    }

    /// Tells again what has to be.
    pub(crate) fn refresh(&mut self) {
        let due = waiting(self.policy, self.kept).filter(|(.., at)| *at <= self.now);
        let due: Vec<(Key, Known)> = due.map(|(key, known, _)| (key.clone(), known.clone())).collect();
        for ((key, step, receiver), known) in due {
            let Some(mut group) = self.kept.groups.all.remove(&key) else { continue };
            self.has_changed = true;
            let receiver: Arc<str> = receiver.into();
            let book = &self.kept.book;
            let still =
                known.firing.iter().filter(|id| book.alert(**id).is_some_and(Booked::counts_as_firing));
            let news = News { firing: still.copied().collect::<BTreeSet<_>>(), ..News::default() };
            self.kept.log.set(&key, step, &receiver, Known { at: self.now, ..known.clone() });
            let to = To { key: &key, step, receiver: &receiver, is_current: false };
            self.send(to, &mut group, news, &known, false);
            self.kept.groups.all.insert(key, group);
        }
    }
}
