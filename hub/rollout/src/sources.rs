//! The files: a directory under the operator's version control.
//!
//! ```text
//! base.toml                      every appliance
//! tags/north.toml                those of sites with this tag
//! sites/arena-north.toml         those of this site
//! sites/arena-north/rack-1.toml  this one
//! ```
//!
//! Invariant: what is read says nothing that must not be sent. A file that nobody reads is a fault, because somebody thinks that it counts.

use crate::error::Fault;
use crate::path::KeyPath;
use crate::rules;
use crate::tree::{self, Node, Origin, Table, Value};
use rackside_config::nearest;
use rackside_proto::{AgentName, Id};
use std::collections::BTreeMap;
use std::path::Path;

/// Most bytes of a file.
pub const LARGEST: u64 = 64 * 1024;
/// Most files: one for each appliance of a large fleet, and more.
pub const MOST: usize = 20_000;
/// Levels of directories that are looked into.
const DEEPEST: usize = 3;
/// The key of a layer that takes out what those before it say.
const REMOVE: &str = "remove";
const BASE: &str = "base.toml";
const LAYOUT: &str = "there are base.toml, tags/TAG.toml, sites/SITE.toml and sites/SITE/APPLIANCE.toml";

/// What one file says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layer {
    pub(crate) says: Table,
    /// What it takes out of the layers before it.
    pub(crate) removes: Vec<(KeyPath, Origin)>,
}

/// All files, read and checked.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// Their names below the directory.
    pub(crate) files: Vec<String>,
    /// What they say, in the same order.
    pub(crate) texts: Vec<String>,
    pub(crate) base: Layer,
    pub(crate) tags: BTreeMap<String, Layer>,
    pub(crate) sites: BTreeMap<Id, Layer>,
    pub(crate) appliances: BTreeMap<AgentName, Layer>,
}

enum Place {
    Base,
    Tag(String),
    Site(Id),
    Appliance(AgentName),
}

impl Sources {
    /// Reads a directory. Files and directories that begin with a dot, and `README.md`, are nobody's business.
    pub fn read(directory: &Path) -> Result<Self, Vec<Fault>> {
        let mut files = Vec::new();
        gather(directory, "", 0, &mut files).map_err(|fault| vec![fault])?;
        files.sort();
        Self::of(&files)
    }

    /// Of texts with their names below the directory.
    pub fn of(files: &[(String, String)]) -> Result<Self, Vec<Fault>> {
        let mut sources = Self::default();
        let mut faults = Vec::new();
        for (name, text) in files {
            let number = sources.files.len();
            sources.files.push(name.clone());
            sources.texts.push(text.clone());
            let read = place(name).and_then(|place| Ok((place, layer(text, number, name)?)));
            match read {
                Ok((Place::Base, layer)) => sources.base = layer,
                Ok((Place::Tag(tag), layer)) => drop(sources.tags.insert(tag, layer)),
                Ok((Place::Site(site), layer)) => drop(sources.sites.insert(site, layer)),
                Ok((Place::Appliance(name), layer)) => drop(sources.appliances.insert(name, layer)),
                Err(fault) => faults.push(fault),
            }
        }
        if faults.is_empty() { Ok(sources) } else { Err(faults) }
    }

    /// How many files there are.
    pub fn count(&self) -> usize {
        self.files.len()
    }

    /// Tags, sites and appliances that have a file: for whoever wants to know whether there are any such.
    pub fn named(&self) -> impl Iterator<Item = Named<'_>> {
        let tags = self.tags.keys().map(|tag| Named::Tag(tag));
        tags.chain(self.sites.keys().map(Named::Site)).chain(self.appliances.keys().map(Named::Appliance))
    }

    pub(crate) fn at(&self, origin: Origin) -> String {
        format!("{}:{}", self.files.get(origin.file).map_or("?", String::as_str), origin.line)
    }
}

/// Whom a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named<'s> {
    /// Sites with this tag.
    Tag(&'s str),
    /// A site.
    Site(&'s Id),
    /// An appliance.
    Appliance(&'s AgentName),
}

fn gather(
    directory: &Path,
    below: &str,
    depth: usize,
    files: &mut Vec<(String, String)>,
) -> Result<(), Fault> {
    let unreadable =
        |path: &Path, error: &std::io::Error| Fault(format!("{}: cannot be read: {error}", path.display()));
    let listed = std::fs::read_dir(directory).map_err(|error| unreadable(directory, &error))?;
    for entry in listed {
        let entry = entry.map_err(|error| unreadable(directory, &error))?;
        let path = entry.path();
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
            return Err(Fault(format!("{}: its name is no text", path.display())));
        };
        if name.starts_with('.') || (below.is_empty() && name == "README.md") {
            continue;
        }
        let called = format!("{below}{name}");
        let found = std::fs::metadata(&path).map_err(|error| unreadable(&path, &error))?;
        if found.is_dir() && depth + 1 < DEEPEST {
            gather(&path, &format!("{called}/"), depth + 1, files)?;
            continue;
        }
        if !found.is_file() {
            return Err(Fault(format!("{called}: is nothing that is read; {LAYOUT}")));
        }
        if found.len() > LARGEST {
            return Err(Fault(format!(
                "{called}: is larger than 64 KiB, and what an appliance takes is 32 KiB at most"
            )));
        }
        if files.len() >= MOST {
            return Err(Fault(format!("{}: has more than {MOST} files", directory.display())));
        }
        let text = std::fs::read_to_string(&path).map_err(|error| unreadable(&path, &error))?;
        files.push((called, text));
    }
    Ok(())
}

/// Whom a file is for, by its name.
fn place(name: &str) -> Result<Place, Fault> {
    let wrong = |why: &str| Err(Fault(format!("{name}: {why}")));
    let id = |text: &str| {
        text.parse::<Id>().map_err(|_| {
            Fault(format!("{name}: {text:?} is no name of a site or an appliance: 1 to 32 of a-z, 0-9 and -"))
        })
    };
    let words: Vec<&str> = name.split('/').collect();
    let Some(stem) = name.strip_suffix(".toml") else {
        return wrong(&format!("nobody reads this file; {LAYOUT}"));
    };
    match words.as_slice() {
        [_] if name == BASE => Ok(Place::Base),
        [file] => {
            let near =
                nearest(file, &[BASE]).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            wrong(&format!("nobody reads this file{near} ({LAYOUT})"))
        }
        ["tags", _] => match stem.strip_prefix("tags/") {
            Some(tag) if !tag.is_empty() => Ok(Place::Tag(tag.to_owned())),
            _ => wrong("has no name"),
        },
        ["sites", _] => Ok(Place::Site(id(stem.trim_start_matches("sites/"))?)),
        ["sites", site, appliance] => {
            let appliance = id(appliance.trim_end_matches(".toml"))?;
            Ok(Place::Appliance(AgentName { site: id(site)?, appliance }))
        }
        [first, ..] => {
            let near = nearest(first, &["tags", "sites"]).map(|near| format!("; did you mean {near}/?"));
            wrong(&format!("nobody reads this file{} ({LAYOUT})", near.unwrap_or_default()))
        }
        [] => wrong("has no name"),
    }
}

fn layer(text: &str, number: usize, name: &str) -> Result<Layer, Fault> {
    let mut says = tree::read(text, number, name)?;
    let removes = says.take(REMOVE).map(|node| removals(&node, name)).transpose()?.unwrap_or_default();
    if number == 0 && name == BASE && !removes.is_empty() {
        return Err(Fault(format!(
            "{name}: {REMOVE}: nothing comes before this file, so there is nothing to take out"
        )));
    }
    rules::check(&says, name)?;
    Ok(Layer { says, removes })
}

fn removals(node: &Node, name: &str) -> Result<Vec<(KeyPath, Origin)>, Fault> {
    let wrong = |line: usize| {
        Fault(format!(
            "{name}:{line}: {REMOVE}: write the keys to take out as texts, for example [\"probe.ping.hub\", \"panel\"]"
        ))
    };
    let Value::List(list) = &node.value else { return Err(wrong(node.at.line)) };
    let path = |one: &Node| match &one.value {
        Value::Text(text) => {
            KeyPath::parse(text).map(|path| (path, one.at)).ok_or_else(|| wrong(one.at.line))
        }
        _ => Err(wrong(one.at.line)),
    };
    list.iter().map(path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(name: &str, text: &str) -> String {
        let faults = Sources::of(&[(name.to_owned(), text.to_owned())]).expect_err("it is wrong");
        faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_file_that_nobody_reads_is_a_fault_that_says_what_was_meant() {
        let layout = LAYOUT;
        for (name, said) in [
            ("bsae.toml", format!("bsae.toml: nobody reads this file; did you mean base.toml? ({layout})")),
            ("arena.toml", format!("arena.toml: nobody reads this file ({layout})")),
            (
                "tag/north.toml",
                format!("tag/north.toml: nobody reads this file; did you mean tags/? ({layout})"),
            ),
            ("sites/arena.yaml", format!("sites/arena.yaml: nobody reads this file; {layout}")),
            (
                "sites/Arena.toml",
                "sites/Arena.toml: \"Arena\" is no name of a site or an appliance: 1 to 32 of a-z, 0-9 and -"
                    .to_owned(),
            ),
            (
                "sites/arena/.toml",
                "sites/arena/.toml: \"\" is no name of a site or an appliance: 1 to 32 of a-z, 0-9 and -"
                    .to_owned(),
            ),
        ] {
            assert_eq!(faults(name, ""), said);
        }
    }

    #[test]
    fn every_fault_of_every_file_is_told() {
        let files =
            [("base.toml", "site = 'a'\n"), ("tags/a.toml", "x = \n"), ("tags/b.toml", "tick = '5s'\n")];
        let files = files.map(|(name, text)| (name.to_owned(), text.to_owned()));
        assert_eq!(Sources::of(&files).expect_err("two are wrong").len(), 2);
    }

    #[test]
    fn what_is_taken_out_is_named_by_texts() {
        for text in ["remove = 'a'\n", "remove = [1]\n", "remove = ['a b']\n"] {
            assert!(faults("tags/a.toml", text).contains("tags/a.toml:1: remove: write the keys"), "{text}");
        }
        assert!(faults("base.toml", "remove = ['a']\n").contains("nothing comes before"));
    }

    #[test]
    fn a_directory_is_read_with_its_sites_and_what_is_hidden_is_left_alone() {
        let directory = tempfile::tempdir().expect("a directory");
        for name in [
            ".git/config",
            "README.md",
            "base.toml",
            "tags/city.toml",
            "sites/hall.toml",
            "sites/hall/rack-1.toml",
        ] {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().expect("it is below")).expect("made");
            std::fs::write(path, "").expect("written");
        }
        let sources = Sources::read(directory.path()).expect("they are good");
        assert_eq!((sources.count(), sources.named().count()), (4, 3));
        std::fs::write(directory.path().join("sites/hall/large.toml"), " ".repeat(65 * 1024))
            .expect("written");
        let faults = Sources::read(directory.path()).expect_err("too large");
        assert!(faults[0].0.starts_with("sites/hall/large.toml: is larger than 64 KiB"), "{faults:?}");
    }
}
