//! Where a configuration comes from: the box's own file, and what the hub that it joined has handed out.
//!
//! One rule: **what the box's own file says counts, key by key and table by table of the top level; what it says nothing of, the hub fills in.** A `[panel]` of
//! the box's own is the whole of `[panel]`. A file that says nothing but `[join]` leaves everything to the hub, `[config] accept = false` nothing.
//!
//! Some things are the box's own to say, and the hub is refused them: where its files are, which programs it runs, how it joins, what it lets the hub do. Where it
//! goes and who it is, it has from its identity.
//!
//! A text of the hub's that cannot be used (a newer agent, another file of the box's own) is no reason not to start: it is left out, and told.

use super::{Config, File};
use crate::configure::{Handed, Kept};
use crate::join::{IDENTITY, Identity, Store};
use crate::panel::config::FilePanel;
use crate::state;
use rackside_config::ConfigError;
use std::fmt;
use std::path::{Path, PathBuf};

/// What the hub's text is called in errors.
const HUB: &str = "the hub's configuration";
/// Programs that probes start without being told which.
const KNOWN: [&str; 2] = ["ffmpeg", "ffprobe"];

/// What of a configuration the hub has handed out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FromHub {
    /// The newest that may count; also if it does not.
    pub handed: Option<Handed>,
    /// Which keys and tables of the top level are its.
    pub fills: Vec<&'static str>,
    /// Whether the box may take one: it has joined, and its own file does not forbid it.
    pub accepts: bool,
    /// Why the one that was handed out is left out.
    pub objection: Option<String>,
}

impl FromHub {
    /// The revision that counts; 0 for none, and for what came along with joining.
    pub fn revision(&self) -> u32 {
        let counts = self.handed.as_ref().filter(|_| self.accepts && self.objection.is_none());
        counts.map_or(0, |handed| handed.revision)
    }
}

/// What a box has of its own: its file, and who it is since it joined.
pub(super) struct Own {
    text: String,
    file: String,
    identity: Option<Identity>,
    directory: PathBuf,
}

/// Takes over what the box's own text does not say, and says what that was.
macro_rules! fill {
    ($own:ident from $hub:ident: $($key:ident)*) => {{
        let mut fills = Vec::new();
        $(if $own.$key.is_none() && $hub.$key.is_some() {
            $own.$key = $hub.$key;
            fills.push(stringify!($key));
        })*
        fills
    }};
}

impl Own {
    /// A text without an identity.
    pub(super) fn of(text: &str, file: &str) -> Self {
        Self { text: text.to_owned(), file: file.to_owned(), identity: None, directory: PathBuf::new() }
    }

    fn read(path: &Path) -> Result<Self, ConfigError> {
        let file = path.display().to_string();
        if path.file_name().is_some_and(|name| name == IDENTITY) {
            // A box that joined and has no file of its own.
            let directory = path.parent().unwrap_or(path).to_owned();
            let none = || ConfigError::file(&file, "is gone; join again");
            let identity = Some(Store::new(directory.clone()).read()?.ok_or_else(none)?);
            return Ok(Self { text: String::new(), file, identity, directory });
        }
        let text = rackside_config::read(path)?;
        let raw: File = rackside_config::parse(&text, &file)?;
        let directory = state::directory(raw.spool.and_then(|spool| spool.directory).as_deref());
        let has_address = raw.mqtt.is_some_and(|mqtt| mqtt.address.is_some());
        let identity = if has_address { None } else { Store::new(directory.clone()).read()? };
        Ok(Self { text, file, identity, directory })
    }

    /// What the hub has handed out: the newest that has proven good, else what came along with joining.
    fn handed(&self) -> Option<Handed> {
        let identity = self.identity.as_ref()?;
        Kept::new(self.directory.clone(), identity).counts().or_else(|| with_joining(identity))
    }

    /// Both as one.
    pub(super) fn with(&self, handed: Option<&Handed>) -> Result<Config, ConfigError> {
        let mut raw: File = rackside_config::parse(&self.text, &self.file)?;
        let accepts = self.identity.is_some() && raw.config.as_ref().is_none_or(|config| config.accept);
        let text = handed.filter(|_| accepts).map_or("", |handed| &*handed.text);
        let hub: File = rackside_config::parse(text, HUB)?;
        for (key, is_there) in [
            ("join", hub.join.is_some()),
            ("config", hub.config.is_some()),
            ("command", hub.command.is_some()),
            ("commands", hub.commands.is_some()),
            ("spool.directory", hub.spool.as_ref().is_some_and(|spool| spool.directory.is_some())),
            ("panel.simulated", hub.panel.as_ref().is_some_and(FilePanel::is_simulated)),
        ] {
            if is_there {
                let why = "is for the box's own file to say, not for the hub; take it out";
                return Err(ConfigError::at(text, HUB, key, why));
            }
        }
        let fills = fill!(raw from hub: site appliance tick clock log mqtt spool limits panel tally button led relay probes probe);
        let wrong = |key: &str, message: &dyn fmt::Display| {
            let top = key.split('.').next().unwrap_or(key);
            let (text, file) = if fills.contains(&top) { (text, HUB) } else { (&*self.text, &*self.file) };
            ConfigError::at(text, file, key, message)
        };
        let mut config = Config::of(raw, self.identity.clone(), &self.file, &wrong)?;
        if fills.contains(&"probe") {
            for probe in &config.probes.probes {
                if let Some(program) = probe.settings.programs().iter().find(|name| !KNOWN.contains(name)) {
                    let name = &probe.common.name;
                    let why = format!(
                        "the probe {name} runs {program}; which programs run is for the box's own file to say, not for the hub"
                    );
                    return Err(ConfigError::file(HUB, why));
                }
            }
        }
        config.hub = FromHub { handed: handed.cloned(), fills, accepts, objection: None };
        Ok(config)
    }

    /// The same; but a text of the hub's that cannot be used is left out.
    fn with_or_without(&self, handed: Option<Handed>) -> Result<Config, ConfigError> {
        self.with(handed.as_ref()).or_else(|objection| {
            let mut config = self.with(None)?;
            (config.hub.handed, config.hub.objection) = (handed, Some(objection.to_string()));
            Ok(config)
        })
    }
}

/// What came along with joining.
fn with_joining(identity: &Identity) -> Option<Handed> {
    let text = &*identity.configuration;
    (!text.is_empty()).then(|| Handed { revision: 0, text: text.into() })
}

impl Config {
    /// Reads and checks the box's own file, with its identity if the file names no broker, and what the hub has handed out.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let own = Own::read(path)?;
        let handed = own.handed();
        own.with_or_without(handed)
    }

    /// The same with what is known to be handed out; if that is nothing, it is looked for.
    pub fn read_again(path: &Path, handed: Option<Handed>) -> Result<Self, ConfigError> {
        let own = Own::read(path)?;
        let handed = handed.or_else(|| own.handed());
        own.with_or_without(handed)
    }

    /// The same, to look whether it can be used.
    pub fn try_with(path: &Path, handed: &Handed) -> Result<Self, ConfigError> {
        Own::read(path)?.with(Some(handed))
    }

    /// What a box starts with that has an identity and no file of its own: the hub's configuration, or the defaults.
    pub fn start(identity: &Identity, file: &str) -> Result<Self, ConfigError> {
        let own = Own { identity: Some(identity.clone()), ..Own::of("", file) };
        own.with(with_joining(identity).as_ref())
    }
}

/// Two texts, with a zero byte in between: whatever the hub's says, the box's own stands, and what is its own to say is not the hub's.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (text, hub) = text.split_once('\0').unwrap_or((text, ""));
    let identity = Identity {
        name: rackside_proto::AgentName::new("arena-north", "rack-1").expect("a name"),
        url: "https://hub.example.org".to_owned(),
        code: [1; 8],
        fingerprint: [2; 16],
        addresses: vec!["mqtts://hub.example.org".to_owned()],
        key: Vec::new(),
        certificate: Vec::new(),
        authority: Vec::new(),
        configuration: String::new(),
        not_before: 0,
        not_after: u64::MAX,
    };
    let own = Own { identity: Some(identity), ..Own::of(text, "agent.toml") };
    let handed = Handed { revision: 7, text: hub.into() };
    let Ok(mut alone) = own.with(None) else {
        // With another text it may be good: a relay that a probe of the hub's names. Its own faults are told all the same.
        let _ = own.with(Some(&handed));
        return;
    };
    let config = own.with_or_without(Some(handed.clone())).expect("without the hub's text it is good");
    assert_eq!(config.hub.handed.as_ref(), Some(&handed));
    assert_eq!((&config.name, &config.mqtt.addresses), (&alone.name, &alone.mqtt.addresses));
    assert_eq!((&config.mqtt.identity, &config.commands), (&alone.mqtt.identity, &alone.commands));
    assert_eq!((&config.spool.directory, config.hub.accepts), (&alone.spool.directory, alone.hub.accepts));
    assert_eq!(config.panel.simulated, alone.panel.simulated);
    if config.hub.objection.is_some() || !config.hub.accepts {
        alone.hub.clone_from(&config.hub);
        assert_eq!(config, alone, "nothing of it counts");
        return;
    }
    let written: std::collections::BTreeMap<String, Option<serde::de::IgnoredAny>> =
        rackside_config::parse(text, "agent.toml").expect("it was read");
    for key in &config.hub.fills {
        assert!(!written.contains_key(*key), "{key} is the box's own");
    }
    for (key, same) in [
        ("tick", config.tick == alone.tick),
        ("clock", config.clock == alone.clock),
        ("log", config.level == alone.level),
        ("limits", config.limits == alone.limits),
    ] {
        assert!(same || config.hub.fills.contains(&key), "{key} is another without the hub having said so");
    }
    let runs = |config: &Config| -> Vec<String> {
        let programs = config.probes.probes.iter().flat_map(|probe| probe.settings.programs());
        programs.filter(|program| !KNOWN.contains(program)).map(str::to_owned).collect()
    };
    assert_eq!(runs(&config), runs(&alone), "the hub has it run something");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::join::tests::joined;
    use std::fs;
    use std::time::Duration;

    fn own(text: &str) -> Own {
        let (identity, _) = joined(vec!["mqtts://hub.example.org".to_owned()]);
        Own { identity: Some(identity), ..Own::of(text, "agent.toml") }
    }

    fn handed(text: &str) -> Handed {
        Handed { revision: 7, text: text.into() }
    }

    fn refused(own_text: &str, hub: &str) -> String {
        own(own_text).with(Some(&handed(hub))).expect_err(hub).to_string()
    }

    #[test]
    fn what_the_boxs_own_file_says_counts_and_the_hub_fills_in_the_rest() {
        let hub = "tick = \"5s\"\nlog = \"debug\"\n[limits]\ndisk = { warning = 50 }\n[[probe.tcp]]\nname = \"encoder\"\ntarget = \"192.0.2.30:1935\"\n[mqtt]\nprefix = \"hall\"\n";
        let config = own("[join]\nurl = \"http://hub\"\n").with(Some(&handed(hub))).expect("good");
        assert_eq!((config.tick, config.level), (Duration::from_secs(5), log::LevelFilter::Debug));
        assert_eq!(config.hub.fills, ["tick", "log", "mqtt", "limits", "probe"]);
        assert_eq!((config.hub.revision(), config.mqtt.prefix.as_str()), (7, "hall"));
        assert!(config.probes.probes.iter().any(|probe| probe.common.name == "encoder"));
        // A table of the box's own is the whole of it.
        let text = "tick = \"30s\"\n[limits]\n[[probe.tcp]]\nname = \"page\"\ntarget = \"192.0.2.7:80\"\n";
        let config = own(text).with(Some(&handed(hub))).expect("good");
        assert_eq!((config.tick, &*config.hub.fills), (Duration::from_secs(30), &["log", "mqtt"][..]));
        assert_eq!(config.limits, own("").with(None).expect("good").limits);
        assert!(!config.probes.probes.iter().any(|probe| probe.common.name == "encoder"));
    }

    #[test]
    fn a_box_that_forbids_it_or_has_not_joined_takes_nothing() {
        let hub = handed("tick = \"5s\"\n");
        let config = own("[config]\naccept = false\n").with(Some(&hub)).expect("good");
        assert_eq!(
            (config.tick, config.hub.accepts, config.hub.revision()),
            (Duration::from_secs(10), false, 0)
        );
        let text = "site = \"a\"\nappliance = \"b\"\n[mqtt]\naddress = \"hub\"\n";
        let config = Own::of(text, "agent.toml").with(Some(&hub)).expect("good");
        assert_eq!((config.tick, config.hub.accepts), (Duration::from_secs(10), false));
    }

    #[test]
    fn what_is_wrong_is_told_at_its_line_in_its_text() {
        for (own, hub, said) in [
            (
                "",
                "\ntick = \"0s\"\n",
                "the hub's configuration:2: tick: \"0s\" is out of range; from \"1s\" to \"1h\" is possible",
            ),
            (
                "",
                "tick = \"5s\"\nnonsense = 1\n",
                "the hub's configuration:2: unknown key `nonsense` at the top level",
            ),
            ("\ntick = \"0s\"\n", "log = \"debug\"\n", "agent.toml:2: tick: \"0s\" is out of range"),
            (
                "",
                "site = \"arena-south\"\n",
                "the hub's configuration:1: site: is \"arena-south\" here, and this box joined as \"arena-north\"",
            ),
            (
                "",
                "[mqtt]\naddress = \"elsewhere\"\n",
                "the hub's configuration:2: mqtt.address: does not go with an identity",
            ),
            (
                "",
                "[mqtt]\npassword = \"hunter2\"\n",
                "the hub's configuration:2: mqtt.password: a secret does not belong in this file",
            ),
        ] {
            let told = refused(own, hub);
            assert!(told.starts_with(said) && !told.contains("hunter2"), "{told}");
        }
    }

    #[test]
    fn some_things_are_the_boxs_own_to_say() {
        for (hub, key) in [
            ("[join]\nurl = \"http://hub\"\n", "join"),
            ("[config]\naccept = true\n", "config"),
            ("[[command]]\nname = \"x\"\nrun = [\"/bin/true\"]\n", "command"),
            ("[spool]\ndirectory = \"/tmp\"\n", "spool.directory"),
            ("[panel]\nsimulated = \"/tmp\"\n", "panel.simulated"),
        ] {
            let said = refused("", hub);
            assert!(said.contains(&format!(" {key}: is for the box's own file to say")), "{said}");
        }
        for hub in [
            "[[probe.exec]]\nname = \"x\"\nrun = [\"/bin/true\"]\n",
            "[[probe.stream]]\nname = \"x\"\nurl = \"rtmp://192.0.2.1/live/main\"\nffmpeg = \"/tmp/ffmpeg\"\n",
        ] {
            let said = refused("", hub);
            assert!(said.contains("which programs run is for the box's own file to say"), "{said}");
            assert!(own(hub).with(None).is_ok(), "there it may be said");
        }
        assert!(
            own("")
                .with(Some(&handed("[[probe.stream]]\nname = \"x\"\nurl = \"rtmp://192.0.2.1/live/main\"\n")))
                .is_ok()
        );
    }

    #[test]
    fn a_file_is_read_with_what_is_kept_and_without_it_if_that_does_not_go() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (identity, _) = joined(vec!["mqtts://hub.example.org".to_owned()]);
        let identity = Identity { configuration: "tick = \"5s\"\n".to_owned(), ..identity };
        Store::new(dir.path().to_owned()).put(IDENTITY, identity.text().as_bytes()).expect("written");
        let path = dir.path().join("agent.toml");
        fs::write(&path, format!("[spool]\ndirectory = \"{}\"\n", dir.path().display())).expect("written");
        let read = |path: &Path| Config::read(path).expect("good");
        assert_eq!((read(&path).tick, read(&path).hub.revision()), (Duration::from_secs(5), 0));
        let kept = Kept::new(dir.path().to_owned(), &identity);
        kept.put(&Handed { revision: 3, text: "tick = \"7s\"\n".into() }).expect("written");
        assert_eq!(read(&path).tick, Duration::from_secs(5), "that is on trial");
        kept.keep().expect("renamed");
        assert_eq!((read(&path).tick, read(&path).hub.revision()), (Duration::from_secs(7), 3));
        // The same without a file of the box's own.
        assert_eq!(read(&dir.path().join(IDENTITY)).tick, Duration::from_secs(7));
        kept.put(&Handed { revision: 4, text: "[future]\nx = 1\n".into() }).expect("written");
        kept.keep().expect("renamed");
        let config = read(&path);
        assert_eq!((config.tick, config.hub.revision()), (Duration::from_secs(10), 0));
        let objection = config.hub.objection.expect("it is told");
        assert!(objection.starts_with("the hub's configuration:1: unknown key `future`"), "{objection}");
        let again = Config::read_again(&path, Some(handed("tick = \"8s\"\n"))).expect("good");
        assert_eq!(again.tick, Duration::from_secs(8), "what runs goes before what the disk has");
    }
}
