//! Who would get what: the files held against what the appliances were told.

use crate::book::{Had, Snapshot, digest_of};
use crate::diff::{Group, group};
use crate::error::Fault;
use crate::selection::Selection;
use crate::sources::{Named, Sources};
use rackside_proto::{AgentName, Id};
use std::collections::BTreeSet;

/// One appliance that would get something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Which.
    pub name: AgentName,
    /// What counts there.
    pub has: String,
    /// What it would get.
    pub gets: String,
}

/// What a roll-out would be about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Who would get something, by name.
    pub entries: Vec<Entry>,
    /// How many are as they are to be.
    pub same: usize,
    /// Why some can get nothing; then nobody does.
    pub faults: Vec<Fault>,
    /// Files that are for nobody.
    pub remarks: Vec<String>,
    /// What it is made of.
    pub snapshot: Snapshot,
}

impl Plan {
    /// Of those who are selected. `tags` are a site's.
    pub fn new<'t>(
        sources: &Sources,
        all: &[Had],
        tags: impl Fn(&Id) -> &'t [String],
        selection: &Selection,
    ) -> Self {
        let files = sources.files.iter().cloned().zip(sources.texts.iter().cloned()).collect();
        let snapshot = Snapshot { selection: selection.clone(), files };
        let mut plan = Self { remarks: remarks(sources, all, &tags), snapshot, ..Self::default() };
        for had in all {
            let tags = tags(&had.name.site);
            if !selection.has(&had.name, tags) {
                continue;
            }
            match sources.render(&had.name, tags) {
                // What it was told last is what it will have, if it takes it; what it refused is told again by nobody.
                Ok(text) if text.toml == had.sent => plan.same += 1,
                Ok(text) => plan.entries.push(Entry {
                    name: had.name.clone(),
                    has: had.counts.clone(),
                    gets: text.toml,
                }),
                Err(faults) => plan.faults.extend(faults),
            }
        }
        let mut seen = BTreeSet::new();
        plan.faults.retain(|fault| seen.insert(fault.0.clone()));
        plan
    }

    /// Who gets the same change, the largest group first.
    pub fn groups(&self) -> Vec<Group> {
        let of = |entry: &'_ Entry| entry.name.clone();
        group(self.entries.iter().map(|entry| (of(entry), entry.has.as_str(), entry.gets.as_str())))
    }

    /// What tells it from another plan: whoever has seen it can say that it is this one that he means.
    pub fn seal(&self) -> String {
        let lines: Vec<String> = self
            .entries
            .iter()
            .map(|entry| format!("{} {} {}", entry.name, digest_of(&entry.has), digest_of(&entry.gets)))
            .collect();
        digest_of(&lines.join("\n"))
    }

    /// For a roll-out.
    pub fn texts(&self) -> Vec<(AgentName, String, String)> {
        let one = |entry: &Entry| (entry.name.clone(), entry.has.clone(), entry.gets.clone());
        self.entries.iter().map(one).collect()
    }
}

fn remarks<'t>(sources: &Sources, all: &[Had], tags: &impl Fn(&Id) -> &'t [String]) -> Vec<String> {
    let sites: BTreeSet<&Id> = all.iter().map(|had| &had.name.site).collect();
    let has_tag = |tag: &str| sites.iter().any(|site| tags(site).iter().any(|of| of == tag));
    let for_nobody = |named: Named<'_>| match named {
        Named::Tag(tag) if !has_tag(tag) => {
            Some(format!("tags/{tag}.toml: no site with an appliance has this tag"))
        }
        Named::Site(site) if !sites.contains(site) => {
            Some(format!("sites/{site}.toml: no appliance is known there"))
        }
        Named::Appliance(name) if all.iter().all(|had| had.name != *name) => {
            Some(format!("sites/{name}.toml: this appliance is not known yet"))
        }
        _ => None,
    };
    sources.named().filter_map(for_nobody).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn had(site: &str, appliance: &str, sent: &str, counts: &str) -> Had {
        let name = AgentName::new(site, appliance).expect("a name");
        Had { name, sent: sent.to_owned(), revision: 1, counts: counts.to_owned() }
    }

    fn plan(files: &[(&str, &str)], all: &[Had], selection: &str) -> Plan {
        let files: Vec<_> =
            files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        let sources = Sources::of(&files).expect("they are good");
        let city = ["city".to_owned(), "sea".to_owned()];
        let tags = |site: &Id| if site.as_str() == "hall" { &city[..] } else { &[] };
        let selection =
            if selection.is_empty() { Selection::default() } else { selection.parse().expect("one") };
        Plan::new(&sources, all, tags, &selection)
    }

    #[test]
    fn those_get_something_who_were_not_told_it_yet() {
        let files = [("base.toml", "tick = '5s'\n"), ("tags/city.toml", "log = 'warn'\n")];
        let hall = "tick = \"5s\"\nlog = \"warn\"\n";
        let all = [
            had("club", "rack-1", "tick = \"5s\"\n", "tick = \"5s\"\n"),
            had("hall", "rack-1", "", ""),
            had("hall", "rack-2", hall, ""),
            had("hall", "rack-3", "tick = \"1s\"\n", "tick = \"5s\"\n"),
        ];
        let whole = plan(&files, &all, "");
        assert_eq!(whole.same, 2, "what was refused is not told again");
        let names: Vec<_> = whole.entries.iter().map(|entry| entry.name.to_string()).collect();
        assert_eq!(names, ["hall/rack-1", "hall/rack-3"]);
        assert_eq!(whole.groups()[1].changes.len(), 1, "against what counts there");
        let part = plan(&files, &all, "hall/rack-1");
        assert_eq!((part.entries.len(), part.same), (1, 0));
        assert_ne!(part.seal(), whole.seal());
        assert_eq!(part.seal(), plan(&files, &all, "hall/rack-1").seal());
    }

    #[test]
    fn files_for_nobody_are_told_and_faults_once() {
        let files = [
            ("tags/sae.toml", "log = 'warn'\n"),
            ("tags/city.toml", "remove = ['tick']\n"),
            ("sites/theatre.toml", ""),
            ("sites/hall/rack-9.toml", ""),
        ];
        let all = [had("hall", "rack-1", "", ""), had("hall", "rack-2", "", "")];
        let plan = plan(&files, &all, "");
        assert_eq!(plan.faults.len(), 1, "{:?}", plan.faults);
        assert_eq!(
            plan.remarks,
            [
                "tags/sae.toml: no site with an appliance has this tag",
                "sites/theatre.toml: no appliance is known there",
                "sites/hall/rack-9.toml: this appliance is not known yet"
            ]
        );
    }
}
