//! The configuration file while the agent runs: whether it changed, and what a new one changes.
//!
//! What is done with a new configuration is [`app`](crate::app)'s business. Invariant: a file that cannot be read or is wrong
//! changes nothing.

use crate::config::Config;
use rackside_config::{ConfigError, Watched};
use std::path::PathBuf;

/// A configuration file, and how it looked when it was last read.
#[derive(Debug)]
pub struct ConfigFile(Watched);

impl ConfigFile {
    /// The file at `path`, not read yet.
    pub fn new(path: PathBuf) -> Self {
        Self(Watched::new(path))
    }

    /// Whether it looks otherwise than when it was last read, or this was last asked.
    pub fn has_changed(&mut self) -> bool {
        self.0.changed()
    }

    /// Reads and checks it.
    pub fn read(&mut self) -> Result<Config, ConfigError> {
        // A change while it is read is then a change to come.
        self.0.changed();
        Config::read(self.0.path())
    }
}

/// What differs, by the names that it has in the file; without site, appliance and the log level.
pub fn changes(old: &Config, fresh: &Config) -> Vec<&'static str> {
    let rows = [
        ("tick", old.tick != fresh.tick),
        ("clock", old.clock != fresh.clock),
        ("mqtt", old.mqtt != fresh.mqtt),
        ("spool", old.spool != fresh.spool),
        ("limits", old.limits != fresh.limits),
        ("panel", old.panel != fresh.panel),
        ("probes", old.probes != fresh.probes),
    ];
    rows.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "site = \"arena-north\"\nappliance = \"rack-1\"\n[mqtt]\naddress = \"hub\"\n";

    #[test]
    fn a_change_is_told_once_it_is_there_until_it_is_read() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("agent.toml");
        std::fs::write(&path, TEXT).expect("written");
        let mut file = ConfigFile::new(path.clone());
        assert!(file.read().is_ok());
        assert!(!file.has_changed());
        std::fs::write(&path, format!("{TEXT}nonsense = 1\n")).expect("written");
        assert!(file.has_changed());
        assert!(file.read().is_err());
        assert!(!file.has_changed(), "a bad file is complained of once");
        std::fs::remove_file(&path).expect("it was there");
        assert!(file.has_changed(), "and so is one that is gone");
        assert!(file.read().is_err());
        assert!(!file.has_changed());
    }

    #[test]
    fn what_differs_is_named_as_in_the_file() {
        let config = |text: &str| Config::parse(text, "agent.toml").expect("a good file");
        let old = config(TEXT);
        assert_eq!(changes(&old, &config(TEXT)), [""; 0]);
        assert_eq!(changes(&old, &config(&format!("log = \"debug\"\n{TEXT}"))), [""; 0]);
        let all = format!(
            "tick = \"1s\"\nclock = \"trust\"\n{TEXT}user = \"u\"\n[spool]\nresend_rate = 1\n[limits]\ndisk = {{}}\n[[led]]\nname = \"rack\"\npin = 22\n"
        );
        assert_eq!(changes(&old, &config(&all)), ["tick", "clock", "mqtt", "spool", "limits", "panel"]);
    }
}
