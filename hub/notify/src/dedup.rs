//! What was told to whom: the notification log. By it nothing is told twice that is the same, not even after a restart.
//!
//! The rule is that of Alertmanager 0.25 (`needsUpdate`): tell when an alert fires that the receiver does not know of, when none fires any more, when
//! one is over (and the receiver wants to know), and when the last message is older than `repeat_interval`. Ours besides: one that has begun to
//! flap, and no repetition while everything that fires is in somebody's hand.
//!
//! Sample: `on air:{site="hall"}`, step 0, `crew`: told of 2 that fire at 12:00:01; now 2 fire and 1 is over: told again.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::message::AlertId;

/// Whom an entry is about: the group's key, the step of the escalation, the receiver.
pub(crate) type Key = (String, usize, String);

/// What a receiver knows of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Known {
    /// Those that fire, as far as it knows.
    pub(crate) firing: BTreeSet<AlertId>,
    /// Those that were over at the last message.
    pub(crate) resolved: BTreeSet<AlertId>,
    /// Those of which it knows that they flap.
    pub(crate) flapping: BTreeSet<AlertId>,
    /// When it was last told.
    pub(crate) at: i64,
}

/// Before any time that a repetition counts from, and after the one that is taken where nothing is repeated.
const LONG_AGO: i64 = 0;

/// What there is to tell now.
#[derive(Clone, Debug, Default)]
pub(crate) struct News {
    pub(crate) firing: BTreeSet<AlertId>,
    pub(crate) resolved: BTreeSet<AlertId>,
    pub(crate) flapping: BTreeSet<AlertId>,
    /// Somebody has all that fires in hand.
    pub(crate) in_hand: bool,
}

/// How a receiver wants to be told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    pub(crate) send_resolved: bool,
    /// In milliseconds.
    pub(crate) repeat: i64,
}

/// Whether there is something to tell to somebody who knows that.
pub(crate) fn is_new(known: Option<&Known>, news: &News, manner: Manner, now: i64) -> bool {
    let Some(known) = known else { return !news.firing.is_empty() };
    if !news.firing.is_subset(&known.firing) {
        return true;
    }
    if news.firing.is_empty() {
        return !known.firing.is_empty();
    }
    if manner.send_resolved && !news.resolved.is_subset(&known.resolved) {
        return true;
    }
    if !news.flapping.is_subset(&known.flapping) {
        return true;
    }
    !news.in_hand && known.at < now.saturating_sub(manner.repeat)
}

/// All entries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Log {
    entries: BTreeMap<Key, Known>,
}

impl Log {
    pub(crate) fn known(&self, group: &str, step: usize, receiver: &str) -> Option<&Known> {
        self.entries.get(&(group.to_owned(), step, receiver.to_owned()))
    }

    pub(crate) fn set(&mut self, group: &str, step: usize, receiver: &str, known: Known) {
        self.entries.insert((group.to_owned(), step, receiver.to_owned()), known);
    }

    /// The receivers that know something of a step of a group.
    pub(crate) fn receivers(&self, group: &str, step: usize) -> impl Iterator<Item = (&str, &Known)> {
        let from = (group.to_owned(), step, String::new());
        self.entries
            .range(from..)
            .take_while(move |((of, at, _), _)| of == group && *at == step)
            .map(|((_, _, receiver), known)| (receiver.as_str(), known))
    }

    /// Whether anybody was told that an alert of a group fires, and not yet that it is over.
    pub(crate) fn is_told(&self, group: &str, id: AlertId) -> bool {
        self.of(group).any(|(_, known)| known.firing.contains(&id))
    }

    /// Whether this receiver was told so, and was told something since that moment.
    pub(crate) fn is_told_to(&self, group: &str, id: AlertId, receiver: &str, since: i64) -> bool {
        self.of(group)
            .any(|((.., name), known)| name == receiver && known.firing.contains(&id) && known.at >= since)
    }

    /// Whoever knows that an alert of a group fires was told so too long ago: it is repeated at the next look.
    pub(crate) fn grow_old(&mut self, group: &str, id: AlertId) {
        let from = (group.to_owned(), 0, String::new());
        let of_group = self.entries.range_mut(from..).take_while(|((of, ..), _)| of == group);
        of_group.filter(|(_, known)| known.firing.contains(&id)).for_each(|(_, known)| known.at = LONG_AGO);
    }

    /// Every entry.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&Key, &Known)> {
        self.entries.iter()
    }

    /// The entries of a group.
    pub(crate) fn of(&self, group: &str) -> impl Iterator<Item = (&Key, &Known)> {
        let from = (group.to_owned(), 0, String::new());
        self.entries.range(from..).take_while(move |((of, ..), _)| of == group)
    }

    /// The clock was set by so much.
    pub(crate) fn shift(&mut self, by_ms: i64) {
        for known in self.entries.values_mut() {
            known.at = known.at.saturating_add(by_ms);
        }
    }

    /// The group is no more.
    pub(crate) fn forget(&mut self, group: &str) {
        self.entries.retain(|(of, ..), _| of != group);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(ids: &[u64]) -> BTreeSet<AlertId> {
        ids.iter().copied().map(AlertId).collect()
    }

    fn asked(known: Option<(&[u64], &[u64])>, firing: &[u64], resolved: &[u64], now: i64) -> bool {
        let known = known.map(|(firing, resolved)| Known {
            firing: ids(firing),
            resolved: ids(resolved),
            ..Known::default()
        });
        let news = News { firing: ids(firing), resolved: ids(resolved), ..News::default() };
        is_new(known.as_ref(), &news, Manner { send_resolved: true, repeat: 100 }, now)
    }

    #[test]
    fn it_is_as_in_alertmanagers_own_cases() {
        for (known, firing, resolved, now, told) in [
            (None, &[][..], &[][..], 0, false),
            (None, &[1][..], &[][..], 0, true),
            (None, &[][..], &[1][..], 0, false),
            (Some((&[1][..], &[][..])), &[1, 2][..], &[][..], 0, true),
            (Some((&[1, 2], &[])), &[1], &[], 0, false),
            (Some((&[1, 2], &[])), &[1], &[2], 0, true),
            (Some((&[1], &[2])), &[1], &[2], 0, false),
            (Some((&[1], &[])), &[], &[1], 0, true),
            (Some((&[], &[1])), &[], &[1, 2], 0, false),
            (Some((&[1], &[])), &[1], &[], 100, false),
            (Some((&[1], &[])), &[1], &[], 101, true),
        ] {
            assert_eq!(asked(known, firing, resolved, now), told, "{known:?} {firing:?} {resolved:?} {now}");
        }
    }

    #[test]
    fn what_is_in_hand_is_not_repeated() {
        let known = Known { firing: ids(&[1]), ..Known::default() };
        let manner = Manner { send_resolved: true, repeat: 100 };
        let mut news = News { firing: ids(&[1]), in_hand: true, ..News::default() };
        assert!(!is_new(Some(&known), &news, manner, 1_000));
        news.firing = ids(&[1, 2]);
        assert!(is_new(Some(&known), &news, manner, 1_000));
    }

    #[test]
    fn flapping_is_told_once() {
        let mut known = Known { firing: ids(&[1]), ..Known::default() };
        let manner = Manner { send_resolved: true, repeat: 100 };
        let news = News { firing: ids(&[1]), flapping: ids(&[1]), ..News::default() };
        assert!(is_new(Some(&known), &news, manner, 0));
        known.flapping = ids(&[1]);
        assert!(!is_new(Some(&known), &news, manner, 0));
    }
}
