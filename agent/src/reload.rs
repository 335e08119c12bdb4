//! The configuration file while the agent runs: whether it changed, and what a new one changes.
//!
//! What is done with a new configuration is [`app`](crate::app)'s business. Invariant: a file that cannot be read or is wrong
//! changes nothing.

use crate::config::Config;
use rackside_config::ConfigError;
use std::path::PathBuf;
use std::time::SystemTime;

/// By which a change of a file is seen: when it was written, and its length.
type Stamp = (SystemTime, u64);

/// A configuration file, and how it looked when it was last read.
#[derive(Debug)]
pub struct ConfigFile {
    path: PathBuf,
    known: Option<Stamp>,
}

impl ConfigFile {
    /// The file at `path`, not read yet.
    pub const fn new(path: PathBuf) -> Self {
        Self { path, known: None }
    }

    /// Whether it looks otherwise than when it was last read.
    pub fn has_changed(&self) -> bool {
        self.stamp() != self.known
    }

    /// Reads and checks it.
    pub fn read(&mut self) -> Result<Config, ConfigError> {
        // Stamped before it is read: a change in between is then a change to come.
        self.known = self.stamp();
        Config::read(&self.path)
    }

    fn stamp(&self) -> Option<Stamp> {
        let metadata = std::fs::metadata(&self.path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    }
}

/// What differs, by the names that it has in the file; without site, appliance and the log level.
pub fn changes(old: &Config, fresh: &Config) -> Vec<&'static str> {
    let rows = [
        ("tick", old.tick != fresh.tick),
        ("clock", old.clock != fresh.clock),
        ("mqtt", old.mqtt != fresh.mqtt),
        ("spool", old.spool != fresh.spool),
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
        let all = format!("tick = \"1s\"\nclock = \"trust\"\n{TEXT}user = \"u\"\n[spool]\nresend_rate = 1\n");
        assert_eq!(changes(&old, &config(&all)), ["tick", "clock", "mqtt", "spool"]);
    }
}
