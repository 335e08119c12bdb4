//! Which sessions want a message: an exact map for filters without wildcards, a trie for those with.
//!
//! Thousands of agents subscribe to their own exact topics; they cost one hash look-up, however many they are. Wildcard
//! filters are few, and their trie is walked level by level: cost goes with the topic's levels, not with the filters.
//!
//! Invariant: a session appears at most once under one filter; branches of the trie that lead nowhere are removed.

use super::message::Qos;
use super::session::Session;
use super::topic;
use std::collections::HashMap;
use std::sync::Arc;

/// One session's interest.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    pub(super) session: Arc<Session>,
    pub(super) qos: Qos,
}

/// The index.
#[derive(Debug, Default)]
pub(super) struct Index {
    exact: HashMap<Arc<str>, Vec<Wish>>,
    wild: Branch,
}

#[derive(Debug, Default)]
struct Branch {
    below: HashMap<Box<str>, Branch>,
    /// The level `+`.
    any: Option<Box<Branch>>,
    /// Filters that end here.
    here: Vec<Wish>,
    /// Filters that end here with `#`.
    rest: Vec<Wish>,
}

impl Index {
    /// Adds or changes what `session` wants of `filter`. True if it is new.
    pub(super) fn insert(&mut self, filter: &Arc<str>, session: &Arc<Session>, qos: Qos) -> bool {
        let wishes = if topic::is_wild(filter) {
            self.wild.place(filter)
        } else {
            // One entry is what nearly every topic has; do not reserve four.
            self.exact.entry(Arc::clone(filter)).or_insert_with(|| Vec::with_capacity(1))
        };
        if let Some(wish) = wishes.iter_mut().find(|wish| wish.session.number() == session.number()) {
            wish.qos = qos;
            return false;
        }
        wishes.push(Wish { session: Arc::clone(session), qos });
        true
    }

    /// Removes what `session` wanted of `filter`.
    pub(super) fn remove(&mut self, filter: &str, session: &Session) {
        if topic::is_wild(filter) {
            let levels: Vec<&str> = filter.split('/').collect();
            self.wild.remove(&levels, session);
        } else if let Some(wishes) = self.exact.get_mut(filter) {
            wishes.retain(|wish| wish.session.number() != session.number());
            if wishes.is_empty() {
                self.exact.remove(filter);
            }
        }
    }

    /// Collects who wants `topic` into `found` (emptied first): each session once, with the highest QoS it was granted.
    pub(super) fn find<'a>(&'a self, topic: &str, found: &mut Vec<&'a Wish>) {
        found.clear();
        if let Some(wishes) = self.exact.get(topic) {
            found.extend(wishes);
        }
        self.wild.walk(topic.starts_with('$'), Some(topic), found);
        if found.len() > 1 {
            found.sort_unstable_by_key(|wish| (wish.session.number(), std::cmp::Reverse(wish.qos)));
            found.dedup_by_key(|wish| wish.session.number());
        }
    }
}

impl Branch {
    fn place(&mut self, filter: &str) -> &mut Vec<Wish> {
        let mut branch = self;
        for level in filter.split('/') {
            branch = match level {
                "#" => return &mut branch.rest,
                "+" => &mut **branch.any.get_or_insert_default(),
                word => branch.below.entry(word.into()).or_default(),
            };
        }
        &mut branch.here
    }

    /// As deep as the filter has levels, which is limited.
    fn remove(&mut self, levels: &[&str], session: &Session) {
        match levels {
            [] => self.here.retain(|wish| wish.session.number() != session.number()),
            ["#"] => self.rest.retain(|wish| wish.session.number() != session.number()),
            ["+", deeper @ ..] => {
                if let Some(any) = &mut self.any {
                    any.remove(deeper, session);
                    if any.is_bare() {
                        self.any = None;
                    }
                }
            }
            [word, deeper @ ..] => {
                if let Some(branch) = self.below.get_mut(*word) {
                    branch.remove(deeper, session);
                    if branch.is_bare() {
                        self.below.remove(*word);
                    }
                }
            }
        }
    }

    fn is_bare(&self) -> bool {
        self.below.is_empty() && self.any.is_none() && self.here.is_empty() && self.rest.is_empty()
    }

    /// `left` is what of the topic is still to be matched. `reserved`: a leading wildcard does not match it.
    fn walk<'a>(&'a self, reserved: bool, left: Option<&str>, found: &mut Vec<&'a Wish>) {
        if !reserved {
            found.extend(&self.rest);
        }
        let Some(left) = left else {
            found.extend(&self.here);
            return;
        };
        let (word, left) = match left.split_once('/') {
            Some((word, left)) => (word, Some(left)),
            None => (left, None),
        };
        if !reserved && let Some(any) = &self.any {
            any.walk(false, left, found);
        }
        if let Some(branch) = self.below.get(word) {
            branch.walk(false, left, found);
        }
    }
}

/// Lines: filters, and a topic as the last. The index finds what the plain rule matches, and nothing is left of filters that go.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(bytes: &[u8]) {
    let limits = super::config::Limits::default();
    let text = String::from_utf8_lossy(bytes);
    let (filters, topic) = text.rsplit_once('\n').unwrap_or((&text, "site/rack"));
    if topic::check_name(topic, &limits).is_err() {
        return;
    }
    let filters = filters.lines().filter(|filter| topic::check_filter(filter, &limits).is_ok());
    let (mut index, mut expected, mut sessions) = (Index::default(), Vec::new(), Vec::new());
    for (number, filter) in (0..).zip(filters) {
        let session = Session::new(number, None);
        assert!(index.insert(&filter.into(), &session, Qos::AtLeastOnce));
        if topic::matches(filter, topic) {
            assert!(topic.starts_with(topic::literal_start(filter)), "{filter} matches {topic}");
            expected.push(number);
        }
        if let Some((stem, _)) = topic.split_once('/') {
            assert!(!topic::matches(filter, topic) || topic::reaches_below(filter, stem), "{filter}, {stem}");
        }
        sessions.push((filter, session));
    }
    let mut found = Vec::new();
    index.find(topic, &mut found);
    assert_eq!(found.into_iter().map(|wish| wish.session.number()).collect::<Vec<_>>(), expected);
    for (filter, session) in sessions {
        index.remove(filter, &session);
    }
    assert!(index.exact.is_empty() && index.wild.is_bare());
}

#[cfg(test)]
mod tests {
    use super::super::topic::tests::levels;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_index_finds_what_the_plain_rule_matches(
            filters in prop::collection::vec((levels(true), 0_u64..4, any::<bool>(), any::<bool>()), 0..20),
            topic in levels(false),
        ) {
            let sessions: Vec<_> = (0..4).map(|number| Session::new(number, None)).collect();
            let mut index = Index::default();
            let mut plain: Vec<(String, u64, Qos)> = Vec::new();
            for (filter, session, high, keep) in filters {
                let qos = if high { Qos::AtLeastOnce } else { Qos::AtMostOnce };
                plain.retain(|(known, who, _)| (known, *who) != (&filter, session));
                if keep {
                    index.insert(&filter.as_str().into(), &sessions[session as usize], qos);
                    plain.push((filter, session, qos));
                } else {
                    index.remove(&filter, &sessions[session as usize]);
                }
            }
            let mut found = Vec::new();
            index.find(&topic, &mut found);
            let found: Vec<_> = found.into_iter().map(|wish| (wish.session.number(), wish.qos)).collect();
            let expected: Vec<_> = (0..4)
                .filter_map(|who| {
                    let hits = plain.iter().filter(|(filter, by, _)| *by == who && topic::matches(filter, &topic));
                    hits.map(|(_, _, qos)| *qos).max().map(|qos| (who, qos))
                })
                .collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn what_is_removed_leaves_nothing_behind() {
        let session = Session::new(1, None);
        let mut index = Index::default();
        let filters = ["a/b", "a/+/c", "#", "a/#", "+/+"];
        for filter in filters {
            assert!(index.insert(&filter.into(), &session, Qos::AtMostOnce));
            assert!(!index.insert(&filter.into(), &session, Qos::AtLeastOnce));
        }
        for filter in filters {
            index.remove(filter, &session);
        }
        assert!(index.exact.is_empty() && index.wild.is_bare());
    }
}
