//! Retained messages: the last one of each topic, for those who subscribe later.
//!
//! Sorted by topic, so that a filter looks only at what begins with its literal start. In memory only: after a restart
//! the agents bring theirs again.
//!
//! Invariant: `bytes` is the sum of the messages' sizes; neither it nor the number passes its limit.

use super::message::Message;
use super::topic;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// The store.
#[derive(Debug)]
pub(super) struct Retained {
    messages: BTreeMap<Box<str>, Arc<Message>>,
    bytes: usize,
    most_messages: usize,
    most_bytes: usize,
}

impl Retained {
    /// An empty store with its limits.
    pub(super) fn new(most_messages: usize, most_bytes: usize) -> Self {
        Self { messages: BTreeMap::new(), bytes: 0, most_messages, most_bytes }
    }

    /// Keeps `message` as its topic's last one; an empty payload clears the topic. False if there is no room: what was
    /// kept before is then gone too, for it is no longer the last one.
    pub(super) fn keep(&mut self, message: &Arc<Message>) -> bool {
        let topic = message.topic();
        if let Some(old) = self.messages.remove(topic) {
            self.bytes -= old.size();
        }
        if message.payload().is_empty() {
            return true;
        }
        if self.messages.len() >= self.most_messages || self.bytes + message.size() > self.most_bytes {
            return false;
        }
        self.bytes += message.size();
        self.messages.insert(topic.into(), Arc::clone(message));
        true
    }

    /// Everything that `filter` matches, in the order of topics.
    pub(super) fn matching<'a>(&'a self, filter: &'a str) -> impl Iterator<Item = &'a Arc<Message>> + 'a {
        let start = topic::literal_start(filter);
        let exact = !topic::is_wild(filter);
        self.messages
            .range::<str, _>((Bound::Included(start), Bound::Unbounded))
            .take_while(move |(name, _)| if exact { ***name == *start } else { name.starts_with(start) })
            .filter(move |(name, _)| exact || topic::matches(filter, name))
            .map(|(_, message)| message)
    }

    /// How many messages are kept.
    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    /// How many bytes they take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::Qos;
    use super::*;

    fn keep(store: &mut Retained, topic: &str, payload: &str) -> bool {
        store.keep(&Message::new(topic, payload.as_bytes(), Qos::AtLeastOnce))
    }

    fn found(store: &Retained, filter: &str) -> Vec<String> {
        store.matching(filter).map(|message| message.topic().to_owned()).collect()
    }

    #[test]
    fn the_last_message_wins_and_an_empty_one_clears() {
        let mut store = Retained::new(10, 10_000);
        assert!(keep(&mut store, "a", "one"));
        assert!(keep(&mut store, "a", "two"));
        assert_eq!(store.matching("a").next().expect("kept").payload(), b"two");
        assert!(keep(&mut store, "a", ""));
        assert_eq!((store.len(), store.bytes()), (0, 0));
    }

    #[test]
    fn filters_find_what_they_match_and_nothing_else() {
        let mut store = Retained::new(10, 10_000);
        for topic in ["a", "a/b", "a/c/d", "ab", "$SYS/x", "b"] {
            keep(&mut store, topic, "x");
        }
        assert_eq!(found(&store, "a/#"), ["a", "a/b", "a/c/d"]);
        assert_eq!(found(&store, "a/+"), ["a/b"]);
        assert_eq!(found(&store, "a"), ["a"]);
        assert_eq!(found(&store, "#"), ["a", "a/b", "a/c/d", "ab", "b"]);
        assert_eq!(found(&store, "$SYS/#"), ["$SYS/x"]);
        assert_eq!(found(&store, "c"), [""; 0]);
    }

    #[test]
    fn a_full_store_refuses_and_keeps_no_stale_message() {
        let mut store = Retained::new(2, 1_000);
        assert!(keep(&mut store, "a", "x"));
        assert!(keep(&mut store, "b", "x"));
        assert!(!keep(&mut store, "c", "x"));
        assert!(keep(&mut store, "a", "y"));
        assert!(!keep(&mut store, "a", &"z".repeat(1_000)));
        assert_eq!(found(&store, "#"), ["b"]);
    }
}
