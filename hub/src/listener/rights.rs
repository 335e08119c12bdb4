//! What a user may read who is to read a part only: the filters of `[listener.read]`.
//!
//! ```toml
//! [listener.read]
//! desk = ["rackside/json/arena-north/#", "rackside/1/arena-north/+/presence"]
//! ```
//!
//! A subscription that meets none of them is refused. One that meets some is granted, and each message is looked at before it goes out: so
//! `rackside/#` is good for everybody, and brings each what is theirs.
//!
//! Invariant: nothing reaches a reader but by [`Rights::allow`], be it live, retained or a will.

use super::config::Limits;
use super::topic;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The filters of one user.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rights(Box<[Box<str>]>);

/// The rights of every user who reads a part only.
pub(super) type Readers = HashMap<Box<str>, Arc<Rights>>;

/// Of what the configuration says.
pub(super) fn readers(read: &BTreeMap<String, Vec<String>>) -> Readers {
    read.iter().map(|(user, filters)| (user.as_str().into(), Arc::new(Rights::new(filters)))).collect()
}

/// Why this cannot be what somebody may read.
pub(crate) fn objection(filters: &[String]) -> Option<String> {
    if filters.is_empty() {
        return Some(
            "is empty; name what this user may read, or take the user out of the users file".to_owned(),
        );
    }
    let limits = Limits::default();
    filters.iter().find_map(|filter| {
        let fault = topic::check_filter(filter, &limits).err()?;
        Some(format!("{filter:?} is {fault}; write for example \"rackside/json/arena-north/#\""))
    })
}

impl Rights {
    /// To read what these filters match.
    pub(super) fn new(filters: &[String]) -> Self {
        Self(filters.iter().map(|filter| filter.as_str().into()).collect())
    }

    /// Whether a message to this topic may be read.
    pub(super) fn allow(&self, topic: &str) -> bool {
        self.0.iter().any(|right| topic::matches(right, topic))
    }

    /// Whether a subscription to `filter` could bring anything.
    pub(super) fn meet(&self, filter: &str) -> bool {
        self.0.iter().any(|right| meet(right, filter))
    }
}

/// Whether there is a topic that both filters match.
fn meet(one: &str, other: &str) -> bool {
    let reserved = |level: &str| level.starts_with('$');
    let (mut one, mut other) = (one.split('/'), other.split('/'));
    let mut first = true;
    loop {
        match (one.next(), other.next()) {
            (None, None) => return true,
            // It stands for the level above it as well. At the very beginning it leaves out what is the server's.
            (Some("#"), rest) | (rest, Some("#")) => return !(first && rest.is_some_and(reserved)),
            (Some("+"), Some(level)) | (Some(level), Some("+")) if first && reserved(level) => return false,
            (Some("+"), Some(_)) | (Some(_), Some("+")) => {}
            (Some(one), Some(other)) if one == other => {}
            _ => return false,
        }
        first = false;
    }
}

#[cfg(test)]
mod tests {
    use super::super::topic::tests::levels;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn filters_that_match_one_topic_meet(one in levels(true), other in levels(true), topic in levels(false)) {
            prop_assert_eq!(meet(&one, &other), meet(&other, &one));
            if topic::matches(&one, &topic) && topic::matches(&other, &topic) {
                prop_assert!(meet(&one, &other));
            }
        }

        #[test]
        fn filters_that_meet_have_a_topic_in_common(one in levels(true), other in levels(true)) {
            // Wildcards are filled from the other filter, or with anything.
            let level = |filter: &str, at: usize| match filter.split('/').nth(at) {
                Some("#" | "+") | None => None,
                Some(word) => Some(word.to_owned()),
            };
            let depth = |filter: &str| filter.split('/').filter(|level| *level != "#").count();
            let levels = depth(&one).max(depth(&other)).max(1);
            let filled: Vec<_> = (0..levels)
                .map(|at| level(&one, at).or_else(|| level(&other, at)).unwrap_or_else(|| "x".to_owned()))
                .collect();
            let topic = filled.join("/");
            let common = topic::matches(&one, &topic) && topic::matches(&other, &topic);
            prop_assert_eq!(meet(&one, &other), common, "{} and {} by {}", one, other, topic);
        }
    }

    #[test]
    fn a_reader_hears_what_its_rights_match_however_it_asks() {
        let rights = Rights::new(&[
            "rackside/json/arena-north/#".to_owned(),
            "rackside/1/+/rack-1/presence".to_owned(),
        ]);
        for (topic, may) in [
            ("rackside/json/arena-north/rack-1/data", true),
            ("rackside/json/arena-north", true),
            ("rackside/1/arena-south/rack-1/presence", true),
            ("rackside/json/arena-south/rack-1/data", false),
            ("rackside/1/arena-north/rack-1/data", false),
            ("home/lamp", false),
        ] {
            assert_eq!(rights.allow(topic), may, "{topic}");
        }
        for (filter, may) in [
            ("#", true),
            ("rackside/#", true),
            ("rackside/json/+/rack-2/data", true),
            ("rackside/1/arena-south/+/presence", true),
            ("rackside/1/arena-south/rack-2/presence", false),
            ("rackside/json/arena-south/#", false),
            ("rackside/json", false),
            ("home/#", false),
            ("$SYS/#", false),
        ] {
            assert_eq!(rights.meet(filter), may, "{filter}");
        }
    }
}
