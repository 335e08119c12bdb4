//! From the files to what one appliance is to have: base, then its site's tags, its site, the appliance. What comes later counts.
//!
//! Tags have no order among themselves. Where two of a site's say different things of one key, its own file or the appliance's has to say
//! which, and nothing is sent until one does: an order that nobody has chosen would decide otherwise.

use crate::error::Fault;
use crate::path::KeyPath;
use crate::sources::{Layer, Sources};
use crate::text::Text;
use crate::tree::{Node, Origin, Table, Value};
use rackside_proto::AgentName;

/// Most bytes that an appliance takes.
pub const LARGEST_TEXT: usize = 32 * 1024;

impl Sources {
    /// What an appliance is to have whose site has these tags. An empty text: nothing from the hub.
    pub fn render(&self, name: &AgentName, tags: &[String]) -> Result<Text, Vec<Fault>> {
        let mut tags: Vec<&Layer> = {
            let mut named: Vec<&String> = tags.iter().collect();
            named.sort();
            named.dedup();
            named.into_iter().filter_map(|tag| self.tags.get(tag)).collect()
        };
        let own: Vec<&Layer> =
            [self.sites.get(&name.site), self.appliances.get(name)].into_iter().flatten().collect();
        let mut faults = self.conflicts(name, &tags, &own);
        let mut table = self.base.says.clone();
        // What tags take out they take out of the base, whoever is first.
        for layer in &tags {
            self.take_out(layer, &self.base.says, &mut table, &mut faults);
        }
        for layer in tags.drain(..) {
            merge(&mut table, &layer.says);
        }
        for layer in own {
            let before = table.clone();
            self.take_out(layer, &before, &mut table, &mut faults);
            merge(&mut table, &layer.says);
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        fill(&mut table, name);
        let text = Text::of(&table);
        if text.toml.len() > LARGEST_TEXT {
            let size = text.toml.len();
            return Err(vec![Fault(format!(
                "{name}: would get {size} bytes; 32 KiB is the most that an appliance takes"
            ))]);
        }
        Ok(text)
    }

    /// Which file and line say what stands in a line of a text, from 1.
    pub fn origin(&self, text: &Text, line: usize) -> Option<String> {
        text.origins.get(line.checked_sub(1)?).map(|origin| self.at(*origin))
    }

    fn take_out(&self, layer: &Layer, before: &Table, table: &mut Table, faults: &mut Vec<Fault>) {
        for (path, at) in &layer.removes {
            if !before.clone().remove(&path.0) {
                faults.push(Fault(format!("{}: remove: nothing before this file says {path}", self.at(*at))));
            }
            table.remove(&path.0);
        }
    }

    /// Where two tags contradict each other and nobody decides.
    fn conflicts(&self, name: &AgentName, tags: &[&Layer], own: &[&Layer]) -> Vec<Fault> {
        if tags.len() < 2 {
            return Vec::new();
        }
        let all: Vec<Vec<Claim<'_>>> = tags.iter().map(|layer| claims(layer)).collect();
        let decided: Vec<Claim<'_>> = own.iter().flat_map(|layer| claims(layer)).collect();
        let mut faults = Vec::new();
        for (number, one) in all.iter().enumerate() {
            for other in &all[number + 1..] {
                for mine in one {
                    for theirs in other.iter().filter(|theirs| mine.contradicts(theirs)) {
                        let inner = if mine.path.covers(&theirs.path) { &theirs.path } else { &mine.path };
                        if decided.iter().any(|claim| claim.path.covers(inner)) {
                            continue;
                        }
                        faults.push(Fault(format!(
                            "{name}: {} and {} say different things of {inner}; say in sites/{}.toml which counts",
                            self.at(mine.at),
                            self.at(theirs.at),
                            name.site
                        )));
                    }
                }
            }
        }
        faults
    }
}

/// That a layer says something of a path.
struct Claim<'l> {
    path: KeyPath,
    at: Origin,
    /// None, if it takes it out.
    says: Option<&'l Value>,
}

impl Claim<'_> {
    fn contradicts(&self, other: &Self) -> bool {
        if !(self.path.covers(&other.path) || other.path.covers(&self.path)) {
            return false;
        }
        match (self.says, other.says) {
            (None, None) => false,
            (Some(one), Some(other_one)) if self.path == other.path => {
                one.to_string() != other_one.to_string()
            }
            _ => true,
        }
    }
}

fn claims(layer: &Layer) -> Vec<Claim<'_>> {
    let says = layer.says.leaves().into_iter().map(|(path, node)| Claim {
        path,
        at: node.at,
        says: Some(&node.value),
    });
    let removes = layer.removes.iter();
    // Who takes something out and puts something else in its place says what it puts.
    let removes = removes.map(|(path, at)| Claim { path: path.clone(), at: *at, says: None });
    says.chain(removes).collect()
}

/// Puts `over` over `under`: tables key by key, lists of named tables name by name, everything else as a whole.
fn merge(under: &mut Table, over: &Table) {
    for (key, node) in &over.0 {
        let Some(found) = under.find_mut(key) else {
            under.0.push((key.clone(), node.clone()));
            continue;
        };
        match (&mut found.value, &node.value) {
            (Value::Table(inner), Value::Table(more)) | (Value::Named(inner), Value::Named(more)) => {
                merge(inner, more);
                found.at = node.at;
            }
            _ => *found = node.clone(),
        }
    }
}

/// Puts the appliance's names where a text says `{site}` or `{appliance}`.
fn fill(table: &mut Table, name: &AgentName) {
    for (_, node) in &mut table.0 {
        fill_in(node, name);
    }
}

fn fill_in(node: &mut Node, name: &AgentName) {
    match &mut node.value {
        Value::Text(text) if text.contains('{') => {
            *text =
                text.replace("{site}", name.site.as_str()).replace("{appliance}", name.appliance.as_str());
        }
        Value::Text(_) | Value::Plain(_) => {}
        Value::List(list) => list.iter_mut().for_each(|one| fill_in(one, name)),
        Value::Table(inner) | Value::Named(inner) => fill(inner, name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(files: &[(&str, &str)]) -> Sources {
        let files: Vec<_> =
            files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        Sources::of(&files).expect("they are good")
    }

    fn rack() -> AgentName {
        AgentName::new("hall", "rack-1").expect("a name")
    }

    fn tags(tags: &[&str]) -> Vec<String> {
        tags.iter().map(|tag| (*tag).to_owned()).collect()
    }

    fn rendered(files: &[(&str, &str)], of: &[&str]) -> String {
        sources(files).render(&rack(), &tags(of)).expect("it can be").toml
    }

    fn faults(files: &[(&str, &str)], of: &[&str]) -> Vec<String> {
        let faults = sources(files).render(&rack(), &tags(of)).expect_err("it cannot be");
        faults.iter().map(ToString::to_string).collect()
    }

    const BASE: (&str, &str) = (
        "base.toml",
        "tick = '10s'\n[[probe.ping]]\nname = 'hub'\ntarget = 'hub.example.org'\nevery = '30s'\n[[probe.ping]]\nname = 'gateway'\ntarget = 'gateway'\n",
    );

    #[test]
    fn later_files_count_and_named_tables_are_changed_by_name() {
        let files = [
            BASE,
            ("sites/hall.toml", "[[probe.ping]]\nname = 'hub'\nevery = '10s'\n"),
            ("sites/hall/rack-1.toml", "tick = '5s'\n[[probe.ping]]\nname = 'desk'\ntarget = '192.0.2.1'\n"),
            ("sites/hall/rack-2.toml", "tick = '1s'\n"),
            ("sites/club.toml", "tick = '2s'\n"),
            ("tags/city.toml", "log = 'warn'\n"),
            ("tags/sea.toml", "log = 'debug'\n"),
        ];
        assert_eq!(
            rendered(&files, &["city"]),
            "tick = \"5s\"\nlog = \"warn\"\n[[probe.ping]]\nname = \"hub\"\ntarget = \"hub.example.org\"\nevery = \"10s\"\n\
             [[probe.ping]]\nname = \"gateway\"\ntarget = \"gateway\"\n[[probe.ping]]\nname = \"desk\"\ntarget = \"192.0.2.1\"\n"
        );
        assert_eq!(sources(&[]).render(&rack(), &[]).expect("it can be").toml, "");
    }

    #[test]
    fn a_line_of_the_text_leads_to_its_file() {
        let sources =
            sources(&[BASE, ("sites/hall.toml", "\n[[probe.ping]]\nname = 'hub'\nevery = '10s'\n")]);
        let text = sources.render(&rack(), &[]).expect("it can be");
        let line = text
            .toml
            .lines()
            .position(|line| line.contains("10s") && line.contains("every"))
            .expect("it is there");
        assert_eq!(sources.origin(&text, line + 1).as_deref(), Some("sites/hall.toml:4"));
        assert_eq!(sources.origin(&text, 1).as_deref(), Some("base.toml:1"));
        assert_eq!(sources.origin(&text, 0), None);
        assert_eq!(sources.origin(&text, 99), None);
    }

    #[test]
    fn tags_that_contradict_each_other_are_a_fault_until_somebody_decides() {
        let one = ("tags/city.toml", "tick = '5s'\n");
        let other = ("tags/sea.toml", "log = 'debug'\ntick = '1s'\n");
        let said = [
            "hall/rack-1: tags/city.toml:1 and tags/sea.toml:2 say different things of tick; say in sites/hall.toml which counts",
        ];
        assert_eq!(faults(&[BASE, one, other], &["sea", "city"]), said);
        assert_eq!(faults(&[BASE, one, other], &["city", "sea"]), said);
        let decides = ("sites/hall.toml", "tick = '2s'\n");
        assert!(rendered(&[BASE, one, other, decides], &["city", "sea"]).starts_with("tick = \"2s\"\n"));
        let same = ("tags/sea.toml", "tick = '5s'\n");
        assert!(rendered(&[BASE, one, same], &["city", "sea", "sea"]).starts_with("tick = \"5s\"\n"));
        assert!(rendered(&[BASE, one, other], &["city"]).starts_with("tick = \"5s\"\n"), "only one of them");
    }

    #[test]
    fn who_takes_out_what_another_tag_changes_contradicts_it() {
        let one = ("tags/city.toml", "remove = ['probe.ping.hub']\n");
        let other = ("tags/sea.toml", "[[probe.ping]]\nname = 'hub'\nevery = '5s'\n");
        assert_eq!(faults(&[BASE, one, other], &["city", "sea"]).len(), 2, "name and every");
        let decides = ("sites/hall.toml", "remove = ['probe.ping.hub']\n");
        let text = rendered(&[BASE, one, other, decides], &["city", "sea"]);
        assert!(!text.contains("\"hub\""), "{text}");
        let both = ("tags/sea.toml", "remove = ['probe.ping.hub']\n");
        assert!(!rendered(&[BASE, one, both], &["city", "sea"]).contains("\"hub\""));
    }

    #[test]
    fn what_is_taken_out_must_be_there_and_may_be_replaced() {
        let wrong = ("sites/hall.toml", "remove = ['probe.ping.hbu']\n");
        assert_eq!(
            faults(&[BASE, wrong], &[]),
            ["sites/hall.toml:1: remove: nothing before this file says probe.ping.hbu"]
        );
        let all = (
            "sites/hall.toml",
            "remove = ['probe.ping', 'tick']\n[[probe.ping]]\nname = 'x'\ntarget = 'gateway'\n",
        );
        assert_eq!(rendered(&[BASE, all], &[]), "[[probe.ping]]\nname = \"x\"\ntarget = \"gateway\"\n");
        let none = ("sites/hall.toml", "remove = ['probe', 'tick']\n");
        assert_eq!(rendered(&[BASE, none], &[]), "");
    }

    #[test]
    fn names_are_filled_in_and_other_braces_stay() {
        let base = (
            "base.toml",
            "[[probe.rtmp]]\nname = '{appliance}'\nurl = 'rtmp://live/{site}/{key}'\nlist = ['{site}']\n",
        );
        assert_eq!(
            rendered(&[base], &[]),
            "[[probe.rtmp]]\nname = \"rack-1\"\nurl = \"rtmp://live/hall/{key}\"\nlist = [\"hall\"]\n"
        );
    }

    #[test]
    fn more_than_an_appliance_takes_is_a_fault() {
        let long = format!("x = '{}'\n", "a".repeat(LARGEST_TEXT));
        let said = faults(&[("base.toml", &long)], &[]);
        assert!(said[0].starts_with("hall/rack-1: would get "), "{said:?}");
    }
}
