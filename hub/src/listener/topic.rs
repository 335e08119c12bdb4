//! Topic names and topic filters as MQTT 3.1.1 section 4.7 has them: what is valid, and what matches.
//!
//! rumqttc's own `matches` is not used: it panics on some UTF-8 and never matches `$SYS/#`. The router does not call
//! [`matches()`] for each message either (its index walks a trie); this is the plain rule that the index is tested
//! against, and what retained messages are looked up by.
//!
//! | filter | matches | does not match |
//! |---|---|---|
//! | `site/+/temp` | `site/a/temp`, `site//temp` | `site/temp`, `site/a/b/temp` |
//! | `site/#` | `site`, `site/`, `site/a/b` | `sites` |
//! | `#`, `+/x` | everything else | `$SYS/x` |
//!
//! Invariant: levels are separated by `/` and may be empty; nothing here allocates.

use super::config::Limits;
use std::fmt;

/// Why a topic name or a filter is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TopicFault {
    /// No characters at all.
    Empty,
    /// Longer than the limit, in bytes.
    TooLong,
    /// More levels than the limit.
    TooDeep,
    /// U+0000, which the standard forbids.
    Null,
    /// `+` or `#` where it may not stand.
    Wildcard,
}

impl fmt::Display for TopicFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "an empty topic",
            Self::TooLong => "a topic longer than limits.topic_length",
            Self::TooDeep => "a topic with more levels than limits.topic_levels",
            Self::Null => "a topic with a null character",
            Self::Wildcard => "a topic with a misplaced wildcard",
        })
    }
}

/// Checks a topic that a message is published to.
pub(super) fn check_name(topic: &str, limits: &Limits) -> Result<(), TopicFault> {
    check_common(topic, limits)?;
    if topic.contains(['+', '#']) { Err(TopicFault::Wildcard) } else { Ok(()) }
}

/// Checks a filter that a client subscribes to: wildcards fill a whole level, `#` only the last one.
pub(super) fn check_filter(filter: &str, limits: &Limits) -> Result<(), TopicFault> {
    check_common(filter, limits)?;
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        let fits = match level {
            "+" => true,
            "#" => levels.peek().is_none(),
            word => !word.contains(['+', '#']),
        };
        if !fits {
            return Err(TopicFault::Wildcard);
        }
    }
    Ok(())
}

fn check_common(topic: &str, limits: &Limits) -> Result<(), TopicFault> {
    if topic.is_empty() {
        return Err(TopicFault::Empty);
    }
    if topic.len() > limits.topic_length {
        return Err(TopicFault::TooLong);
    }
    if topic.contains('\0') {
        return Err(TopicFault::Null);
    }
    if topic.split('/').count() > limits.topic_levels {
        return Err(TopicFault::TooDeep);
    }
    Ok(())
}

/// Whether a filter has wildcards.
pub(super) fn is_wild(filter: &str) -> bool {
    filter.contains(['+', '#'])
}

/// What every topic that matches `filter` begins with: the filter up to its first wildcard's level. `a/b/+/c` → `a/b/`,
/// but `a/#` → `a`, for it matches `a` too.
pub(super) fn literal_start(filter: &str) -> &str {
    match filter.find(['+', '#']) {
        None => filter,
        Some(at) => {
            let start = &filter[..at];
            if filter[at..].starts_with('#') { start.strip_suffix('/').unwrap_or(start) } else { start }
        }
    }
}

/// Whether `filter` (a valid one) matches the topic name `topic`.
pub(super) fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut words = topic.split('/');
    for level in filter.split('/') {
        match (level, words.next()) {
            // Also when no word is left: `a/#` matches `a`.
            ("#", _) => return true,
            ("+", Some(_)) => {}
            (level, Some(word)) if level == word => {}
            _ => return false,
        }
    }
    words.next().is_none()
}

/// Whether `filter` can match any topic below `stem`: for `a/json`, the filters `#`, `a/+/x`, `a/json/#` can.
pub(super) fn reaches_below(filter: &str, stem: &str) -> bool {
    if stem.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut levels = filter.split('/');
    for word in stem.split('/') {
        match levels.next() {
            Some("#") => return true,
            Some(level) if level == "+" || level == word => {}
            _ => return false,
        }
    }
    levels.next().is_some()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The standard's rules, written once more in the slowest and plainest way: by trying every cut.
    fn matches_naively(filter: &[&str], topic: &[&str], first: bool) -> bool {
        match (filter, topic) {
            ([] | ["#"], []) => true,
            (["#"], _) => !(first && topic[0].starts_with('$')),
            (["+", filter @ ..], [word, topic @ ..]) => {
                !(first && word.starts_with('$')) && matches_naively(filter, topic, false)
            }
            ([level, filter @ ..], [word, topic @ ..]) => {
                level == word && matches_naively(filter, topic, false)
            }
            _ => false,
        }
    }

    pub(in super::super) fn levels(wild: bool) -> impl Strategy<Value = String> {
        let word = if wild {
            prop::sample::select(vec!["a", "b", "", "é", "$s", "+", "+", "rackside"])
        } else {
            prop::sample::select(vec!["a", "b", "", "é", "$s", "rackside"])
        };
        (prop::collection::vec(word, 1..5), any::<bool>()).prop_map(move |(mut words, hash)| {
            if wild && hash {
                words.push("#");
            }
            words.join("/")
        })
    }

    proptest! {
        #[test]
        fn matching_agrees_with_the_plain_rules(filter in levels(true), topic in levels(false)) {
            let parts: Vec<&str> = filter.split('/').collect();
            let words: Vec<&str> = topic.split('/').collect();
            prop_assert_eq!(matches(&filter, &topic), matches_naively(&parts, &words, true));
        }

        #[test]
        fn any_text_is_checked_and_matched_without_a_panic(filter in ".{0,40}", topic in ".{0,40}") {
            let limits = Limits::default();
            let valid = check_filter(&filter, &limits).is_ok() && check_name(&topic, &limits).is_ok();
            let hit = matches(&filter, &topic);
            if valid && hit {
                prop_assert!(topic.starts_with(literal_start(&filter)));
            }
        }

        #[test]
        fn a_filter_that_matches_below_a_stem_is_said_to_reach_it(filter in levels(true), rest in levels(false)) {
            if matches(&filter, &format!("a/b/{rest}")) {
                prop_assert!(reaches_below(&filter, "a/b"));
            }
        }
    }

    #[test]
    fn the_standards_own_examples_hold() {
        for (filter, topic, hit) in [
            ("sport/tennis/player1/#", "sport/tennis/player1", true),
            ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true),
            ("sport/#", "sport", true),
            ("sport/tennis/+", "sport/tennis/player1/ranking", false),
            ("sport/+", "sport", false),
            ("sport/+", "sport/", true),
            ("+/+", "/finance", true),
            ("/+", "/finance", true),
            ("+", "/finance", false),
            ("#", "$SYS/monitor", false),
            ("+/monitor", "$SYS/monitor", false),
            ("$SYS/#", "$SYS/monitor", true),
            ("$SYS/monitor/+", "$SYS/monitor/clients", true),
            ("é/x", "é/x", true),
        ] {
            assert_eq!(matches(filter, topic), hit, "{filter} against {topic}");
        }
    }

    #[test]
    fn misplaced_wildcards_and_nulls_are_refused() {
        let limits = Limits::default();
        for filter in ["a/#/b", "a#", "a/b+", "+a", "##", "#/"] {
            assert_eq!(check_filter(filter, &limits), Err(TopicFault::Wildcard), "{filter}");
        }
        assert_eq!(check_filter("", &limits), Err(TopicFault::Empty));
        assert_eq!(check_filter("a\0", &limits), Err(TopicFault::Null));
        assert_eq!(check_name("a/+", &limits), Err(TopicFault::Wildcard));
        assert_eq!(check_filter(&"/".repeat(limits.topic_levels), &limits), Err(TopicFault::TooDeep));
        assert_eq!(check_filter(&"x".repeat(limits.topic_length + 1), &limits), Err(TopicFault::TooLong));
        for filter in ["+", "#", "/", "a//+/#", "$SYS/#"] {
            assert_eq!(check_filter(filter, &limits), Ok(()), "{filter}");
        }
    }

    #[test]
    fn reaching_below_a_stem_follows_wildcards() {
        for (filter, reaches) in [
            ("#", true),
            ("rackside/#", true),
            ("rackside/json/#", true),
            ("rackside/+/a/b/data", true),
            ("rackside/json", false),
            ("rackside/1/#", false),
            ("+/+", false),
            ("$SYS/#", false),
        ] {
            assert_eq!(reaches_below(filter, "rackside/json"), reaches, "{filter}");
        }
    }
}
