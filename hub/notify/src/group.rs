//! Alerts that are told together, and when: the timetable of Alertmanager 0.25.
//!
//! A group is one route's alerts with the same values of its `group_by`. It is told `group_wait` after its first alert came, or at once if that alert has
//! begun longer ago than that; from then on it is looked at every `group_interval`. An alert that is over leaves it once that was looked at.
//!
//! ```text
//! first alert ── group_wait ──▶ flush ── group_interval ──▶ flush ── group_interval ──▶ flush …   empty: gone
//! ```
//!
//! Three things differ. An empty group ends at its next flush, not at some tick of half a minute. Where the route does not set `group_wait`, critical
//! alerts are groups of their own, so that they wait for no warning's timetable. And where it does not set `group_interval`, a critical alert that is new to an old
//! group does not wait for it: five minutes are long for who sleeps, and a second cause is no news of the first one. It waits as in a new group, and
//! until half a minute after the last look, so that a storm is a message every half minute at most. The group's own times stay as they are.
//!
//! Not here: whether there is anything to tell at a flush (`dedup.rs`), and what is held back (`flush.rs`).
//!
//! Sample: `on air:{site="hall"}`: first alert at 12:00:00.0, told at 12:00:01.0, looked at at 12:05:01.0.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::message::AlertId;

/// So long after a look at a group it is looked at again for a critical alert, at the earliest, in milliseconds.
const LOOKS_APART: i64 = 30_000;

/// How long the answer of the hub's own uplink is waited for, in milliseconds.
const ANSWER: i64 = 10_000;
/// How often it is asked for meanwhile, in milliseconds.
const ASK: i64 = 1_000;

/// An alert in a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Member {
    /// Its route still catches it. One that went on to another route stays, if it was told here, until it is over.
    pub(crate) is_current: bool,
    /// How far it was escalated.
    pub(crate) step: usize,
    /// When it was first told; when it was told anew, if somebody had it in hand before and it came back.
    pub(crate) told_at: Option<i64>,
    /// The groups from which it came, by another route; who was told there is not told here.
    pub(crate) from: BTreeSet<String>,
}

impl Member {
    fn new() -> Self {
        Self { is_current: true, step: 0, told_at: None, from: BTreeSet::new() }
    }
}

/// Alerts that are told together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Group {
    pub(crate) route: Arc<str>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) members: BTreeMap<AlertId, Member>,
    /// When it is looked at next.
    pub(crate) next: i64,
    /// When it was looked at last by its timetable.
    flushed_at: Option<i64>,
    /// When it is looked at before its time.
    hurries_at: Option<i64>,
    /// Since when alerts of it wait for what the hub's own uplink is like.
    pub(crate) checking_since: Option<i64>,
}

impl Group {
    /// It is looked at now.
    pub(crate) fn flushed(&mut self, now: i64, interval: i64) {
        self.flushed_at = Some(now);
        let is_early = self.hurries_at.take_if(|at| *at <= now).is_some() && self.checking_since.is_none();
        if !is_early || self.next <= now {
            self.next = now.saturating_add(interval);
            self.hurries_at = None;
        }
    }

    /// When it is looked at next, in its time or before.
    pub(crate) fn due(&self) -> i64 {
        self.hurries_at.map_or(self.next, |at| at.min(self.next))
    }

    /// It is looked at no later than that. Says whether it would have been.
    pub(crate) fn bound(&mut self, latest: i64) -> bool {
        let is_later = self.next > latest || self.hurries_at.is_some_and(|at| at > latest);
        self.next = self.next.min(latest);
        self.hurries_at = self.hurries_at.map(|at| at.min(latest));
        is_later
    }

    /// The clock was set by so much.
    pub(crate) fn shift(&mut self, by_ms: i64) {
        let told = self.members.values_mut().filter_map(|member| member.told_at.as_mut());
        let own =
            [&mut self.checking_since, &mut self.flushed_at, &mut self.hurries_at].into_iter().flatten();
        for at in told.chain(own).chain([&mut self.next]) {
            *at = at.saturating_add(by_ms);
        }
    }

    /// Alerts of it wait for what the uplink is like, or none does: if so, it is looked at again soon.
    pub(crate) fn waits_for_uplink(&mut self, now: i64, waits: bool) {
        if waits {
            self.checking_since.get_or_insert(now);
            self.next = self.next.min(now.saturating_add(ASK));
        } else {
            self.checking_since = None;
        }
    }

    /// Whether its alerts have waited long enough for that.
    pub(crate) fn has_waited(&self, now: i64) -> bool {
        self.checking_since.is_some_and(|since| now.saturating_sub(since) >= ANSWER)
    }
}

/// All groups, by their keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Groups {
    pub(crate) all: BTreeMap<String, Group>,
}

impl Groups {
    /// An alert that fires since `starts_at` comes to a group at `now`, or comes to it again.
    pub(crate) fn insert(&mut self, key: &str, seed: Seed<'_>, id: AlertId, starts_at: i64, now: i64) {
        let wait = seed.wait;
        let group = self.all.entry(key.to_owned()).or_insert_with(|| Group {
            route: Arc::clone(seed.route),
            labels: seed.labels,
            members: BTreeMap::new(),
            next: now.saturating_add(wait),
            flushed_at: None,
            hurries_at: None,
            checking_since: None,
        });
        let is_new = !group.members.contains_key(&id);
        let member = group.members.entry(id).or_insert(Member::new());
        member.is_current = true;
        let at = if starts_at.saturating_add(wait) < now { now } else { now.saturating_add(wait) };
        match group.flushed_at {
            None => group.next = group.next.min(at),
            Some(last) if is_new && seed.hurries => {
                let at = at.max(last.saturating_add(LOOKS_APART));
                group.hurries_at = Some(group.hurries_at.map_or(at, |other| other.min(at)));
            }
            Some(_) => {}
        }
    }

    /// An alert that is told in one group goes on to another: the first keeps it for those whom it has told.
    pub(crate) fn hand_on(&mut self, id: AlertId, from: &str, to: &str) {
        let Some(told_at) = self.member(id, from).map(|member| member.told_at) else { return };
        if let Some(member) = self.member(id, to) {
            member.told_at = member.told_at.or(told_at);
            member.from.insert(from.to_owned());
            member.from.remove(to);
        }
    }

    /// An alert that somebody had in hand is over: should it come back while it is still here, its escalation begins anew.
    pub(crate) fn let_go(&mut self, id: AlertId) {
        let members = self.all.values_mut().filter_map(|group| group.members.get_mut(&id));
        members.for_each(|member| member.told_at = None);
    }

    /// The groups in which an alert waits that was let go.
    pub(crate) fn of_those_let_go(&self, id: AlertId, mut of: impl FnMut(&str)) {
        let waits = |group: &Group| group.members.get(&id).is_some_and(|member| member.told_at.is_none());
        self.all.iter().filter(|(_, group)| waits(group)).for_each(|(key, _)| of(key));
    }

    /// An alert of which nobody was told in these groups is over: as if it had never been there. A group that had nothing else has not begun.
    pub(crate) fn leave(&mut self, id: AlertId, is_told: impl Fn(&str) -> bool) {
        self.all.retain(|key, group| {
            if !group.members.contains_key(&id) || is_told(key) {
                return true;
            }
            group.members.remove(&id);
            !group.members.is_empty()
        });
    }

    /// An alert in a group.
    pub(crate) fn member(&mut self, id: AlertId, key: &str) -> Option<&mut Member> {
        self.all.get_mut(key)?.members.get_mut(&id)
    }

    /// The groups that an alert is in.
    pub(crate) fn of(&self, id: AlertId) -> impl Iterator<Item = (&String, &Group)> {
        self.all.iter().filter(move |(_, group)| group.members.contains_key(&id))
    }
}

/// What a new group is made of.
pub(crate) struct Seed<'a> {
    pub(crate) route: &'a Arc<str>,
    pub(crate) labels: BTreeMap<String, String>,
    /// How long a new group waits for more, in milliseconds.
    pub(crate) wait: i64,
    /// Whether this alert, if it is new, is told before the old group's time.
    pub(crate) hurries: bool,
}

/// A group's key: its route and its labels, and whether it is one of those that do not wait for others.
pub(crate) fn key(route: &str, labels: &BTreeMap<String, String>, is_urgent: bool) -> String {
    let texts: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{route}:{{{}}}{}", texts.join(", "), if is_urgent { " critical" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insert(groups: &mut Groups, id: u64, wait: i64, starts_at: i64, now: i64) -> i64 {
        let route = "all".into();
        let seed = Seed { route: &route, labels: BTreeMap::new(), wait, hurries: false };
        groups.insert("all:{}", seed, AlertId(id), starts_at, now);
        groups.all["all:{}"].next
    }

    #[test]
    fn the_first_alert_sets_the_time_and_later_ones_do_not() {
        let mut groups = Groups::default();
        assert_eq!(insert(&mut groups, 1, 30, 1_000, 1_000), 1_030);
        assert_eq!(insert(&mut groups, 2, 30, 1_020, 1_020), 1_030);
    }

    #[test]
    fn one_that_began_long_ago_does_not_wait() {
        let mut groups = Groups::default();
        assert_eq!(insert(&mut groups, 1, 30, 970, 1_000), 1_030, "exactly then is not before");
        assert_eq!(insert(&mut groups, 2, 30, 969, 1_000), 1_000);
    }

    #[test]
    fn the_shortest_wait_counts_until_the_first_flush() {
        let mut groups = Groups::default();
        insert(&mut groups, 1, 30, 1_000, 1_000);
        assert_eq!(insert(&mut groups, 2, 1, 1_005, 1_005), 1_006);
        groups.all.get_mut("all:{}").expect("it is there").flushed(1_006, 300);
        assert_eq!(insert(&mut groups, 3, 1, 900, 1_010), 1_306);
    }

    #[test]
    fn keys_tell_routes_and_labels() {
        let labels =
            BTreeMap::from([("site".to_owned(), "a\"b".to_owned()), ("a".to_owned(), "1".to_owned())]);
        assert_eq!(key("on air", &labels, true), "on air:{a=\"1\", site=\"a\\\"b\"} critical");
        assert_eq!(key("all", &BTreeMap::new(), false), "all:{}");
    }
}
