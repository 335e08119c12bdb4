//! What the sites are called that somebody does not see, and what is there: a text in which any of it stands is none for them.
//!
//! Rules and their templates are written for the whole fleet and may name anything of it; nothing else tells whose they are.
//!
//! Sample: for who sees the hall alone `quarry`, "The quarry", `quarry-pi` and the number of its office are in it; `rack-1`, which the hall has as well, is not.

use super::Web;
use crate::fleet::Appliance;
use std::collections::BTreeSet;

/// Labels whose values people choose.
const CHOSEN: [&str; 4] = ["probe", "stream", "process", "tally"];
/// A shorter name is looked for as a word of its own: it would be a part of too many others.
const LONG: usize = 4;

/// Names that are not to be told.
#[derive(Debug, Default)]
pub(super) struct Names {
    long: BTreeSet<String>,
    short: BTreeSet<String>,
}

impl Names {
    /// Those of `foreign`, but for what is in `own` as well.
    fn new(foreign: BTreeSet<String>, own: &BTreeSet<String>) -> Self {
        let foreign = foreign.into_iter().filter(|name| !name.is_empty() && !own.contains(name));
        let (long, short) = foreign.partition(|name| name.len() >= LONG);
        Self { long, short }
    }

    /// Whether one of them stands in a text. Of a word are `-` and `_`: what is measured is called `rackside_appliance_up` everywhere.
    pub(super) fn are_in(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        let mut words = text.split(|one: char| !one.is_alphanumeric() && !"-_".contains(one));
        self.long.iter().any(|name| text.contains(name))
            || words.any(|word| self.short.contains(word.trim_matches('_')))
    }
}

impl Web {
    /// What is called how where somebody sees nothing who sees these sites alone.
    pub(super) fn names_beyond(&self, sites: &BTreeSet<String>) -> Names {
        let (mut own, mut foreign) = (BTreeSet::new(), BTreeSet::new());
        let mut note = |site: &str, name: &str| {
            let names = if sites.contains(site) { &mut own } else { &mut foreign };
            names.insert(name.to_lowercase());
        };
        for (site, config) in self.venues().all() {
            note(site, site);
            note(site, config.title());
            note(site, config.public_title());
            for contact in &config.contact {
                note(site, &contact.name);
                note(site, &contact.phone);
                note(site, &contact.email);
            }
        }
        for one in self.shared.read().fleet().appliances() {
            let site = one.name.site.as_str();
            note(site, site);
            note(site, one.name.appliance.as_str());
            chosen(one, |name| note(site, name));
        }
        Names::new(foreign, &own)
    }
}

/// What people call the things that an appliance watches.
fn chosen(one: &Appliance, mut note: impl FnMut(&str)) {
    let Some(latest) = one.shown().and_then(|run| run.latest.as_ref()) else { return };
    let labels = latest.listing.series().iter().flat_map(|entry| &entry.labels);
    for (name, value) in labels {
        if CHOSEN.contains(&&**name) {
            note(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_wherever_it_stands_and_a_short_one_as_a_word() {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        let names = Names::new(set(&["quarry", "the quarry", "up", "rack-1", ""]), &set(&["rack-1", "hall"]));
        for text in ["x{site=~\"hall|QUARRY.*\"}", "up", "_up_", "at the quarry", "quarry-cam"] {
            assert!(names.are_in(text), "{text}");
        }
        for text in ["rackside_appliance_up", "rack-1", "backup", "", "hall"] {
            assert!(!names.are_in(text), "{text}");
        }
    }
}
