//! The configuration file: where it is, whether it changed while the agent runs, and what a new one changes.
//!
//! What is done with a new configuration is [`app`](crate::app)'s business. Invariant: a file that cannot be read or is wrong
//! changes nothing.

use crate::config::{Config, FileMqtt};
use crate::configure::Handed;
use crate::join::IDENTITY;
use crate::proxy::Proxy;
use crate::state;
use rackside_config::{ConfigError, Watched};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Where the file is unless somebody names one; the first that is there counts. The others are on a card's boot partition, which every
/// laptop can write: Raspberry Pi OS 12 has it at `/boot/firmware`, earlier ones at `/boot`.
pub const USUAL: [&str; 3] =
    ["/etc/rackside/agent.toml", "/boot/firmware/rackside.toml", "/boot/rackside.toml"];

/// What decides whether there is something to join, and where that is kept; the rest is not looked at.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Peek {
    mqtt: FileMqtt,
    spool: PeekSpool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PeekSpool {
    directory: Option<PathBuf>,
}

/// A configuration file, and how it looked when it was last read.
#[derive(Debug)]
pub struct ConfigFile {
    watched: Watched,
    /// The usual ones, in their order; none when the file was named.
    usual: Vec<PathBuf>,
}

impl ConfigFile {
    /// The file at `path`, not read yet.
    pub fn new(path: PathBuf) -> Self {
        Self { watched: Watched::new(path), usual: Vec::new() }
    }

    /// The first of the [`USUAL`] ones that is there, else the identity of a box that joined, which may bring the hub's configuration. `root` is
    /// where the file system is.
    pub fn usual(root: &Path) -> Option<Self> {
        let within = |path: &Path| root.join(path.strip_prefix("/").unwrap_or(path));
        let usual: Vec<PathBuf> = USUAL.iter().map(|path| within(Path::new(path))).collect();
        let identity = within(&state::directory(None)).join(IDENTITY);
        let found = usual.iter().chain([&identity]).find(|path| path.exists())?.clone();
        Some(Self { watched: Watched::new(found), usual })
    }

    /// The files in which a code to join with may wait: this one first.
    pub fn candidates(&self) -> Vec<PathBuf> {
        let others = self.usual.iter().filter(|path| *path != self.path());
        std::iter::once(self.path().to_owned()).chain(others.cloned()).collect()
    }

    /// The state directory that it names, or the usual one.
    pub fn state_directory(&self) -> Result<PathBuf, ConfigError> {
        Ok(state::directory(self.peek()?.spool.directory.as_deref()))
    }

    /// Why nothing has to be joined: the file says where to go.
    pub fn names_a_broker(&self) -> Result<Option<String>, ConfigError> {
        let address = self.peek()?.mqtt.address;
        Ok(address.map(|address| format!("{} has an address of its own, {address}", self.path().display())))
    }

    /// The proxy through which a box that joins asks its hub, if the file has one.
    pub fn proxy(&self) -> Result<Option<Proxy>, ConfigError> {
        let file = self.path().display().to_string();
        self.peek()?.mqtt.proxy(&|key, why| ConfigError::file(&file, format_args!("{key}: {why}")))
    }

    fn peek(&self) -> Result<Peek, ConfigError> {
        rackside_config::parse(&rackside_config::read(self.path())?, &self.path().display().to_string())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.watched.path()
    }

    /// Another usual one that is there as well, and so is ignored, or goes before this one from the next start on.
    pub fn other(&self) -> Option<&Path> {
        self.usual.iter().map(PathBuf::as_path).find(|path| *path != self.path() && path.exists())
    }

    /// What there is to say of [`other`](Self::other).
    pub fn about_other(&self) -> Option<String> {
        let (this, other) = (self.path(), self.other()?);
        let place = |path: &Path| self.usual.iter().position(|usual| usual == path);
        Some(if place(other) > place(this) {
            format!("{} is ignored: {} goes before it", other.display(), this.display())
        } else {
            format!(
                "{} is there now and goes before {} from the next start on",
                other.display(),
                this.display()
            )
        })
    }

    /// Whether it looks otherwise than when it was last read, or this was last asked.
    pub fn has_changed(&mut self) -> bool {
        self.watched.changed()
    }

    /// Reads and checks it.
    pub fn read(&mut self) -> Result<Config, ConfigError> {
        // A change while it is read is then a change to come.
        self.watched.changed();
        Config::read(self.watched.path())
    }
}

impl ConfigFile {
    /// The same, with what the hub has handed out as far as that is known.
    pub fn read_again(&mut self, handed: Option<Handed>) -> Result<Config, ConfigError> {
        self.watched.changed();
        Config::read_again(self.watched.path(), handed)
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
        ("commands", old.commands != fresh.commands),
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
    fn the_first_of_the_usual_files_counts_and_the_others_are_named() {
        let root = tempfile::tempdir().expect("a temporary directory");
        assert!(ConfigFile::usual(root.path()).is_none());
        let [etc, boot, old] = USUAL.map(|path| root.path().join(&path[1..]));
        let put = |path: &Path| {
            std::fs::create_dir_all(path.parent().expect("it has one")).expect("made");
            std::fs::write(path, TEXT).expect("written");
        };
        let found = || ConfigFile::usual(root.path()).expect("one is there");
        put(&old);
        assert_eq!((found().path(), found().about_other()), (old.as_path(), None));
        put(&boot);
        let running = found();
        let (boot, old) = (boot.display(), old.display());
        assert_eq!(running.about_other(), Some(format!("{old} is ignored: {boot} goes before it")));
        put(&etc);
        let etc = etc.display();
        assert_eq!(
            running.about_other(),
            Some(format!("{etc} is there now and goes before {boot} from the next start on"))
        );
        assert_eq!(found().about_other(), Some(format!("{boot} is ignored: {etc} goes before it")));
        let named = ConfigFile::new(running.path().to_owned());
        assert_eq!(named.about_other(), None, "who names a file knows which");
    }

    #[test]
    fn what_differs_is_named_as_in_the_file() {
        let config = |text: &str| Config::parse(text, "agent.toml").expect("a good file");
        let old = config(TEXT);
        assert_eq!(changes(&old, &config(TEXT)), [""; 0]);
        assert_eq!(changes(&old, &config(&format!("log = \"debug\"\n{TEXT}"))), [""; 0]);
        let all = format!(
            "tick = \"1s\"\nclock = \"trust\"\n{TEXT}user = \"u\"\n[spool]\nresend_rate = 1\n[limits]\ndisk = {{}}\n[[led]]\nname = \"rack\"\npin = 22\n[commands]\naccept = []\n"
        );
        assert_eq!(
            changes(&old, &config(&all)),
            ["tick", "clock", "mqtt", "spool", "limits", "panel", "commands"]
        );
    }
}
