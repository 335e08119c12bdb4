//! What changes, key by key, and for whom: appliances that get the same change are told together.

use crate::tree;
use rackside_proto::AgentName;
use std::collections::BTreeMap;
use std::fmt;

/// One key that changes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// Its path.
    pub key: String,
    /// What it was, as TOML; none, if it was not there.
    pub was: Option<String>,
    /// What it will be; none, if it will not be there.
    pub will: Option<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, was, will } = self;
        match (was, will) {
            (Some(was), Some(will)) => write!(f, "~ {key}: {was} -> {will}"),
            (None, Some(will)) => write!(f, "+ {key} = {will}"),
            (Some(was), None) => write!(f, "- {key} = {was}"),
            (None, None) => write!(f, "  {key}"),
        }
    }
}

/// What changes from one text to another. One that is no TOML counts as empty: it is none of ours.
pub fn changes(before: &str, after: &str) -> Vec<Change> {
    let leaves = |text: &str| -> BTreeMap<String, String> {
        let table = tree::read(text, 0, "").unwrap_or_default();
        table.leaves().into_iter().map(|(path, node)| (path.to_string(), node.value.to_string())).collect()
    };
    let (before, mut after) = (leaves(before), leaves(after));
    let mut changes = Vec::new();
    for (key, was) in before {
        match after.remove(&key) {
            Some(will) if will == was => {}
            will => changes.push(Change { key, was: Some(was), will }),
        }
    }
    changes.extend(after.into_iter().map(|(key, will)| Change { key, was: None, will: Some(will) }));
    changes.sort();
    changes
}

/// Appliances that get the same change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// What changes; nothing, if a text is sent again.
    pub changes: Vec<Change>,
    /// For whom.
    pub names: Vec<AgentName>,
}

/// Brings together who gets the same change, the largest group first.
pub fn group<'t>(all: impl IntoIterator<Item = (AgentName, &'t str, &'t str)>) -> Vec<Group> {
    let mut known: BTreeMap<(&str, &str), Vec<Change>> = BTreeMap::new();
    let mut groups: BTreeMap<Vec<Change>, Vec<AgentName>> = BTreeMap::new();
    for (name, before, after) in all {
        // Most of a fleet has the same text.
        let changes = known.entry((before, after)).or_insert_with(|| changes(before, after));
        if let Some(names) = groups.get_mut(changes) {
            names.push(name);
        } else {
            groups.insert(changes.clone(), vec![name]);
        }
    }
    let mut groups: Vec<Group> =
        groups.into_iter().map(|(changes, names)| Group { changes, names }).collect();
    for group in &mut groups {
        group.names.sort();
    }
    groups.sort_by(|one, other| {
        other.names.len().cmp(&one.names.len()).then_with(|| one.names.cmp(&other.names))
    });
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_told_by_key() {
        let before = "tick = '10s'\nlog = 'info'\n[[probe.ping]]\nname = 'a'\nevery = '30s'\n[[probe.ping]]\nname = 'b'\n";
        let after = "log = \"info\"\n[[probe.ping]]\nname = 'b'\n[[probe.ping]]\nname = 'a'\nevery = '5s'\ncount = 3\n";
        let told: Vec<_> = changes(before, after).iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            ["+ probe.ping.a.count = 3", "~ probe.ping.a.every: \"30s\" -> \"5s\"", "- tick = \"10s\"",]
        );
        assert_eq!(changes(before, before), []);
        assert_eq!(changes("", "a = 1").len(), 1);
    }

    #[test]
    fn who_gets_the_same_is_told_together() {
        let name = |appliance: &str| AgentName::new("hall", appliance).expect("a name");
        let all = [
            (name("c"), "x = 1", "x = 2"),
            (name("b"), "y = 1\nx = 1", "y = 1\nx = 2"),
            (name("a"), "x = 1", "x = 3"),
        ];
        let groups = group(all);
        assert_eq!(groups.len(), 2);
        assert_eq!(groups[0].names, [name("b"), name("c")]);
        assert_eq!(groups[1].changes[0].to_string(), "~ x: 1 -> 3");
    }
}
