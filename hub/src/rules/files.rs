//! The rule files of a hub: those that come with it, and those that its configuration names.
//!
//! A file with a fault is left out as a whole, and told; the others count. When the hub reads its files again, a file that has a fault
//! now goes on as it was when it last had none.

use super::RulesConfig;
use rackside_alerting::{Fault, RuleFile};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The rules that come with the hub, by the names under which they are shown.
pub const DEFAULTS: [(&str, &str); 5] = [
    ("rackside/box.yml", include_str!("../../rules/box.yml")),
    ("rackside/network.yml", include_str!("../../rules/network.yml")),
    ("rackside/streams.yml", include_str!("../../rules/streams.yml")),
    ("rackside/devices.yml", include_str!("../../rules/devices.yml")),
    ("rackside/hub.yml", include_str!("../../rules/hub.yml")),
];

/// What a file looks like from outside, so that a change is noticed without reading it.
type Look = Option<(SystemTime, u64)>;

/// The files of a running hub.
#[derive(Debug, Default)]
pub struct Files {
    /// As they were when they last had no fault.
    good: BTreeMap<PathBuf, RuleFile>,
    looks: BTreeMap<PathBuf, Look>,
    /// As they looked when a change was noticed that may not be whole yet.
    restless: Option<BTreeMap<PathBuf, Look>>,
}

/// All files, read.
#[derive(Debug)]
pub struct Loaded {
    /// Those that can be evaluated.
    pub files: Vec<RuleFile>,
    /// What is wrong with the others, and with patterns.
    pub faults: Vec<String>,
}

impl Files {
    /// Reads all of them.
    pub fn read(&mut self, config: &RulesConfig) -> Loaded {
        let mut loaded = Loaded { files: Vec::new(), faults: Vec::new() };
        if config.defaults {
            loaded.files.extend(defaults());
        }
        let paths = paths(config, &mut loaded.faults);
        self.good.retain(|path, _| paths.contains(path));
        for path in &paths {
            match RuleFile::open(path) {
                Ok(file) => {
                    self.good.insert(path.clone(), file);
                }
                Err(faults) => loaded.faults.extend(faults.iter().map(Fault::to_string)),
            }
            loaded.files.extend(self.good.get(path).cloned());
        }
        self.looks = looks(&paths);
        self.restless = None;
        loaded
    }

    /// Whether a file has come, gone or changed since they were read, and looks as it did when this was last asked: whoever writes it has come to an end.
    pub fn changed(&mut self, config: &RulesConfig) -> bool {
        let looks = looks(&paths(config, &mut Vec::new()));
        if looks == self.looks {
            self.restless = None;
            return false;
        }
        let is_whole = self.restless.as_ref() == Some(&looks);
        self.restless = Some(looks);
        is_whole
    }
}

/// The rules that come with the hub.
pub fn defaults() -> Vec<RuleFile> {
    DEFAULTS
        .iter()
        .map(|(name, text)| {
            RuleFile::parse(name, text).expect("the hub's own rules are good: a test reads them")
        })
        .collect()
}

/// The files that the configuration names, each once.
fn paths(config: &RulesConfig, faults: &mut Vec<String>) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for pattern in &config.files {
        match rackside_alerting::glob(Path::new(pattern)) {
            Ok(found) if found.is_empty() && !pattern.contains('*') => {
                faults.push(format!(
                    "rules: {pattern} is not there; take it out of `files` in [rules], or make it"
                ));
            }
            Ok(found) => paths.extend(found),
            Err(why) => faults.push(format!("rules: {pattern:?} in `files` of [rules]: {why}")),
        }
    }
    paths.sort();
    paths.dedup();
    paths
}

fn looks(paths: &[PathBuf]) -> BTreeMap<PathBuf, Look> {
    let look = |path: &PathBuf| {
        let meta = std::fs::metadata(path).ok()?;
        Some((meta.modified().ok()?, meta.len()))
    };
    paths.iter().map(|path| (path.clone(), look(path))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        "groups:\n- name: own\n  rules:\n  - {alert: Hot, expr: rackside_soc_temperature_celsius > 60}\n";

    fn config(pattern: &Path) -> RulesConfig {
        RulesConfig { defaults: false, files: vec![pattern.display().to_string()], ..RulesConfig::default() }
    }

    #[test]
    fn the_rules_that_come_with_the_hub_are_good() {
        let groups: usize = defaults().iter().map(|file| file.groups.len()).sum();
        assert!(groups >= DEFAULTS.len());
    }

    #[test]
    fn a_file_that_is_spoilt_goes_on_as_it_was_and_is_told() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (own, other) = (directory.path().join("own.yml"), directory.path().join("other.yml"));
        std::fs::write(&own, GOOD).expect("written");
        let config = config(&directory.path().join("*.yml"));
        let mut files = Files::default();
        let loaded = files.read(&config);
        assert_eq!((loaded.files.len(), loaded.faults.len()), (1, 0));
        assert!(!files.changed(&config));
        std::fs::write(&own, "groups: [").expect("written");
        std::fs::write(&other, GOOD).expect("written");
        assert!(!files.changed(&config), "it may still be written");
        std::fs::write(&own, "groups: [{").expect("written");
        assert!(!files.changed(&config), "it was");
        assert!(files.changed(&config));
        let loaded = files.read(&config);
        assert_eq!(loaded.files.len(), 2, "the spoilt one as it was, and the new one");
        assert!(loaded.faults[0].contains("own.yml:2: "), "{:?}", loaded.faults);
        std::fs::remove_file(&own).expect("it is there");
        assert_eq!(files.read(&config).files.len(), 1, "what is taken away is gone");
    }

    #[test]
    fn a_file_that_is_not_there_is_told_and_a_pattern_without_files_is_none() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let faults = |name: &str| Files::default().read(&config(&directory.path().join(name))).faults;
        assert!(faults("own.yml")[0].contains("is not there"));
        assert!(faults("*.yml").is_empty());
    }
}
