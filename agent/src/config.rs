//! The agent's configuration: one TOML file, checked as a whole before anything starts.
//!
//! [`Config::parse`] is pure: text in, a checked [`Config`] or one line that names file, line and key out. Secrets are
//! named in the file and read later, so that `check` can say which is missing. `etc/agent.example.toml` is the complete
//! example, and a test reads it.
//!
//! ```toml
//! site = "arena-north"
//! appliance = "rack-1"
//!
//! [mqtt]
//! address = "hub.example.org:8883"
//! tls = { ca = "/etc/rackside/ca.pem" }
//! ```

mod sources;

pub use sources::FromHub;
#[cfg(feature = "fuzzing")]
pub(crate) use sources::fuzz;

use crate::address::{Address, PORT, PORT_TLS};
use crate::clock::Trust;
use crate::command::FileCommands;
use crate::configure::FileConfig;
use crate::custody;
use crate::join::Identity;
use crate::join::card::Table;
use crate::panel::config as panel;
use crate::panel::limits::{FileLimits, Limits};
use crate::probe::config as probe;
use crate::probe::recovery::plan;
use crate::proxy::Proxy;
use rackside_config::{ConfigError, Secret, Size, Span};
use rackside_proto::join::ADDRESSES;
use rackside_proto::{AgentName, Capabilities, Id, Prefix};
use serde::Deserialize;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const TICK: Span = Span::seconds(10);

/// A checked configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Who this is.
    pub name: AgentName,
    /// From one reading to the next.
    pub tick: Duration,
    /// Whom to believe about the clock.
    pub clock: Trust,
    /// What to log.
    pub level: log::LevelFilter,
    /// Where to publish.
    pub mqtt: Mqtt,
    /// How records are kept until the hub has them.
    pub spool: Spool,
    /// From what on the site itself objects.
    pub limits: Limits,
    /// The rack's front.
    pub panel: panel::Config,
    /// What is asked of the world around.
    pub probes: probe::Config,
    /// What of it the hub has handed out.
    pub hub: FromHub,
    /// What of the hub's commands is done here.
    pub commands: Capabilities,
}

/// How records are kept until the hub has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spool {
    /// The state directory, below which the spool lies; systemd's, or the usual one, when not set.
    pub directory: Option<PathBuf>,
    /// Most bytes on the disk; 0 for none at all.
    pub disk: u64,
    /// What holds for memory, and on the way between the two and to the hub.
    pub limits: custody::Limits,
}

/// The way to the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mqtt {
    /// Where the broker is to be had, in the order to try; at least one.
    pub addresses: Vec<Address>,
    /// Through which all goes, if through one.
    pub proxy: Option<Proxy>,
    /// The first word of every topic.
    pub prefix: Prefix,
    /// The user's name.
    pub user: Option<String>,
    /// The password; only with a user.
    pub password: Option<Secret>,
    /// How to encrypt, where an address wants that.
    pub tls: Option<Tls>,
    /// What a joined box shows and believes; the addresses are then its hub's.
    pub identity: Option<Arc<Identity>>,
}

impl fmt::Display for Mqtt {
    /// `hub.example.org:8883 with TLS`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tls = match (&self.identity, self.addresses.first().is_some_and(|address| address.is_tls)) {
            (Some(_), _) => "with TLS, by this box's identity",
            (None, true) => "with TLS",
            (None, false) => "without TLS",
        };
        let mut addresses = self.addresses.iter();
        write!(f, "{} {tls}", addresses.next().expect("there is one"))?;
        for other in addresses {
            write!(f, ", else {other}")?;
        }
        self.proxy.iter().try_for_each(|proxy| write!(f, ", through the proxy {proxy}"))
    }
}

impl Mqtt {
    /// Who else may read the password: it may be on a card's boot partition.
    pub fn exposed(&self) -> Option<String> {
        let path = self.password.as_ref()?.exposed()?.display();
        Some(format!(
            "{path}: FAT has no permissions: everybody with an account on this machine, and whoever takes the card, can read this password"
        ))
    }

    /// Why the packaged agent will not find the password that root finds.
    pub fn withheld(&self) -> Option<String> {
        let path = self.password.as_ref()?.of_root_alone()?.display();
        Some(format!(
            "{path}: only root may read this password; as systemd runs the agent, user rackside-agent, it would not start. Put the file into /etc/rackside/secrets and name it as the example does"
        ))
    }

    /// Whether a password may go over the network in clear.
    pub fn is_bare(&self) -> bool {
        self.password.is_some() && self.addresses.iter().any(|address| !address.is_tls)
    }
}

/// How to encrypt, and whom to believe.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// The certificates of the authorities that may vouch for the broker; the system's when not set.
    pub ca: Option<PathBuf>,
    /// The name in the broker's certificate; the one in `address` when not set.
    pub server_name: Option<String>,
}

/// A text as it stands. What it does not say is left to whoever fills it in.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    site: Option<String>,
    appliance: Option<String>,
    tick: Option<Span>,
    clock: Option<Trust>,
    log: Option<Level>,
    mqtt: Option<FileMqtt>,
    /// Read by [`join::card`](crate::join::card); here it is known, so that it is no mistake.
    join: Option<Table>,
    config: Option<FileConfig>,
    spool: Option<FileSpool>,
    limits: Option<FileLimits>,
    panel: Option<panel::FilePanel>,
    tally: Option<Vec<panel::FileTally>>,
    button: Option<Vec<panel::FileButton>>,
    led: Option<Vec<panel::FileLed>>,
    relay: Option<Vec<panel::FileRelay>>,
    probes: Option<probe::General>,
    probe: Option<probe::FileProbes>,
    command: Option<Vec<plan::FileCommand>>,
    commands: Option<FileCommands>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileMqtt {
    #[serde(default)]
    pub(crate) address: Option<String>,
    #[serde(default)]
    fallback: Vec<String>,
    #[serde(default)]
    proxy: Option<String>,
    #[serde(default)]
    proxy_user: Option<String>,
    #[serde(default)]
    proxy_password: Option<Secret>,
    #[serde(default)]
    prefix: Option<String>,
    #[serde(default)]
    user: Option<String>,
    #[serde(default)]
    password: Option<Secret>,
    #[serde(default)]
    tls: Option<Tls>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct FileSpool {
    directory: Option<PathBuf>,
    disk: Size,
    spill_after: Span,
    memory: Size,
    resend_rate: u32,
}

impl Default for FileSpool {
    /// 64 MiB are two months of readings at the usual tick, 1 MiB is about a day; 200 records a second bring a day back within a
    /// minute. A power cut may take half a minute, and a card that is written twice a minute only during an outage lasts.
    fn default() -> Self {
        Self {
            directory: None,
            disk: Size::mebibytes(64),
            spill_after: Span::seconds(30),
            memory: Size::mebibytes(1),
            resend_rate: 200,
        }
    }
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

impl Config {
    /// Checks a text that needs no identity; `file` is what it is called in errors.
    pub fn parse(text: &str, file: &str) -> Result<Self, ConfigError> {
        sources::Own::of(text, file).with(None)
    }

    /// What a text makes. `wrong` knows where a key stands, if there is one.
    fn of(
        raw: File,
        identity: Option<Identity>,
        file: &str,
        wrong: &dyn Fn(&str, &dyn fmt::Display) -> ConfigError,
    ) -> Result<Self, ConfigError> {
        let name = name(raw.site, raw.appliance, raw.join.as_ref(), identity.as_ref(), wrong, file)?;
        let mqtt = match (raw.mqtt, identity) {
            (mqtt, Some(identity)) => mqtt.unwrap_or_default().joined(identity, wrong)?,
            (Some(mqtt), None) => mqtt.check(wrong)?,
            (None, None) => return Err(ConfigError::file(file, missing("mqtt", raw.join.as_ref()))),
        };
        let written = raw.tick.unwrap_or(TICK);
        let tick = written.get();
        if !(Duration::from_secs(1)..=Duration::from_hours(1)).contains(&tick) {
            return Err(wrong(
                "tick",
                &format_args!("\"{written}\" is out of range; from \"1s\" to \"1h\" is possible"),
            ));
        }
        let panel = panel::File {
            panel: raw.panel.unwrap_or_default(),
            tally: raw.tally.unwrap_or_default(),
            button: raw.button.unwrap_or_default(),
            led: raw.led.unwrap_or_default(),
            relay: raw.relay.unwrap_or_default(),
        };
        let panel = panel.check(wrong)?;
        let mut probes = probe::check(raw.probes.unwrap_or_default(), raw.probe.unwrap_or_default(), wrong)?;
        plan::check(&mut probes, raw.command.unwrap_or_default(), &panel.relays, wrong)?;
        Ok(Self {
            name,
            tick,
            clock: raw.clock.unwrap_or_default(),
            level: raw.log.unwrap_or_default().into(),
            spool: raw.spool.unwrap_or_default().check(wrong)?,
            limits: raw.limits.unwrap_or_default().check(wrong)?,
            mqtt,
            panel,
            probes,
            hub: FromHub::default(),
            commands: raw.commands.unwrap_or_default().accepted(),
        })
    }
}

/// What there is to say of a key that is not there.
fn missing(key: &str, join: Option<&Table>) -> String {
    if join.is_some() {
        "this box has not joined its hub yet: rackside-agent run does it with the code in [join], or rackside-agent join URL CODE by hand"
            .to_owned()
    } else {
        format!("`{key}` is missing")
    }
}

/// Who this is: as the file says, or as it joined, and never both in two ways.
fn name(
    site: Option<String>,
    appliance: Option<String>,
    join: Option<&Table>,
    identity: Option<&Identity>,
    wrong: &dyn Fn(&str, &dyn fmt::Display) -> ConfigError,
    file: &str,
) -> Result<AgentName, ConfigError> {
    let one = |key: &str, written: Option<String>, joined: Option<&Id>| match (written, joined) {
        (Some(written), Some(joined)) if written != joined.as_str() => {
            let message = format!(
                "is \"{written}\" here, and this box joined as \"{joined}\"; take the line out, or join with a code for it"
            );
            Err(wrong(key, &message))
        }
        (_, Some(joined)) => Ok(joined.clone()),
        (Some(written), None) => written.parse().map_err(|error| wrong(key, &error)),
        (None, None) => Err(ConfigError::file(file, missing(key, join))),
    };
    let site = one("site", site, identity.map(|identity| &identity.name.site))?;
    Ok(AgentName {
        site,
        appliance: one("appliance", appliance, identity.map(|identity| &identity.name.appliance))?,
    })
}

impl Default for Spool {
    fn default() -> Self {
        let file = FileSpool::default();
        let limits = custody::Limits {
            memory: file.memory.bytes() as usize,
            spill_after: file.spill_after.get(),
            resend_rate: file.resend_rate,
        };
        Self { directory: file.directory, disk: file.disk.bytes(), limits }
    }
}

impl FileSpool {
    fn check(self, wrong: &dyn Fn(&str, &dyn fmt::Display) -> ConfigError) -> Result<Spool, ConfigError> {
        let Self { directory, disk, spill_after, memory, resend_rate } = self;
        if let Some(relative) = directory.as_ref().filter(|directory| !directory.is_absolute()) {
            let message = format!("\"{}\" does not begin with a slash", relative.display());
            return Err(wrong("spool.directory", &message));
        }
        if disk.bytes() != 0 && !(1 << 20..=64 << 30).contains(&disk.bytes()) {
            let message = format!(
                "\"{disk}\" is out of range; from \"1 MiB\" to \"64 GiB\" is possible, or 0 for memory only"
            );
            return Err(wrong("spool.disk", &message));
        }
        let after = spill_after.get();
        if !(Duration::from_secs(1)..=Duration::from_hours(1)).contains(&after) {
            let message = format!("\"{spill_after}\" is out of range; from \"1s\" to \"1h\" is possible");
            return Err(wrong("spool.spill_after", &message));
        }
        if !(64 << 10..=1 << 30).contains(&memory.bytes()) {
            let message = format!("\"{memory}\" is out of range; from \"64 KiB\" to \"1 GiB\" is possible");
            return Err(wrong("spool.memory", &message));
        }
        if !(1..=10_000).contains(&resend_rate) {
            let message = "is out of range; from 1 to 10000 records a second is possible";
            return Err(wrong("spool.resend_rate", &message));
        }
        let limits = custody::Limits { memory: memory.bytes() as usize, spill_after: after, resend_rate };
        Ok(Spool { directory, disk: disk.bytes(), limits })
    }
}

impl FileMqtt {
    /// Of a box that joined: where to go the hub has said.
    fn joined(
        self,
        identity: Identity,
        wrong: &dyn Fn(&str, &dyn std::fmt::Display) -> ConfigError,
    ) -> Result<Mqtt, ConfigError> {
        for (key, is_there) in [
            ("mqtt.address", self.address.is_some()),
            ("mqtt.fallback", !self.fallback.is_empty()),
            ("mqtt.user", self.user.is_some()),
            ("mqtt.password", self.password.is_some()),
            ("mqtt.tls", self.tls.is_some()),
        ] {
            if is_there {
                return Err(wrong(
                    key,
                    &"does not go with an identity: a box that joined has it from the hub; take it out",
                ));
            }
        }
        let addresses = identity.targets();
        if addresses.is_empty() {
            return Err(wrong("mqtt", &"the identity has no address that is known here"));
        }
        let prefix = self.prefix(wrong)?;
        let (proxy, identity) = (self.proxy(wrong)?, Some(Arc::new(identity)));
        Ok(Mqtt { addresses, proxy, prefix, user: None, password: None, tls: None, identity })
    }

    /// The proxy through which everything goes, if there is one.
    pub(crate) fn proxy(
        self,
        wrong: &dyn Fn(&str, &dyn std::fmt::Display) -> ConfigError,
    ) -> Result<Option<Proxy>, ConfigError> {
        let Some(url) = self.proxy else {
            let is_half = self.proxy_user.is_some() || self.proxy_password.is_some();
            return if is_half {
                Err(wrong("mqtt", &"has a user for a proxy, and no `proxy`"))
            } else {
                Ok(None)
            };
        };
        let proxy = Proxy::new(&url, self.proxy_user, self.proxy_password);
        proxy.map(Some).map_err(|(key, why)| wrong(&format!("mqtt.{key}"), &why))
    }

    /// All addresses, the first one first.
    fn addresses(
        &self,
        wrong: &dyn Fn(&str, &dyn std::fmt::Display) -> ConfigError,
    ) -> Result<Vec<Address>, ConfigError> {
        let is_tls = self.tls.is_some();
        let port = if is_tls { PORT_TLS } else { PORT };
        let written = self.address.as_deref().ok_or_else(|| wrong("mqtt", &"has no `address`"))?;
        let all = std::iter::once(("mqtt.address", written))
            .chain(self.fallback.iter().map(|text| ("mqtt.fallback", text.as_str())));
        let mut addresses = Vec::new();
        for (key, text) in all {
            let address = Address::parse(text, is_tls).ok_or_else(|| {
                let message = format!(
                    "\"{text}\" is no address; write for example \"hub.example.org:{port}\" or \"wss://hub.example.org/mqtt\""
                );
                wrong(key, &message)
            })?;
            if is_tls && !address.is_tls {
                let message =
                    format!("\"{text}\" goes without TLS, and [mqtt.tls] is set; write \"wss://…\"");
                return Err(wrong(key, &message));
            }
            addresses.push(address);
        }
        if addresses.len() > ADDRESSES {
            return Err(wrong("mqtt.fallback", &format_args!("has more than {} addresses", ADDRESSES - 1)));
        }
        Ok(addresses)
    }

    fn prefix(
        &self,
        wrong: &dyn Fn(&str, &dyn std::fmt::Display) -> ConfigError,
    ) -> Result<Prefix, ConfigError> {
        let Some(word) = &self.prefix else { return Ok(Prefix::default()) };
        word.parse().map_err(|_| {
            let message =
                format!("\"{word}\" cannot be a topic's first word; 1 to 64 bytes without / + # $ or spaces");
            wrong("mqtt.prefix", &message)
        })
    }

    fn check(self, wrong: &dyn Fn(&str, &dyn std::fmt::Display) -> ConfigError) -> Result<Mqtt, ConfigError> {
        let (addresses, prefix) = (self.addresses(wrong)?, self.prefix(wrong)?);
        if self.user.as_deref() == Some("") {
            return Err(wrong("mqtt.user", &"is empty; leave it out for a broker without users"));
        }
        if self.password.is_some() && self.user.is_none() {
            return Err(wrong("mqtt.password", &"needs a user; MQTT 3.1.1 knows no password without one"));
        }
        if let Some(name) = self.tls.as_ref().and_then(|tls| tls.server_name.as_deref())
            && rustls::pki_types::ServerName::try_from(name).is_err()
        {
            let message = format!("\"{name}\" is neither a host's name nor an address");
            return Err(wrong("mqtt.tls.server_name", &message));
        }
        let (user, password, tls) = (self.user.clone(), self.password.clone(), self.tls.clone());
        let proxy = self.proxy(wrong)?;
        Ok(Mqtt { addresses, proxy, prefix, user, password, tls, identity: None })
    }
}

impl From<Level> for log::LevelFilter {
    fn from(level: Level) -> Self {
        match level {
            Level::Error => Self::Error,
            Level::Warn => Self::Warn,
            Level::Info => Self::Info,
            Level::Debug => Self::Debug,
            Level::Trace => Self::Trace,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALLEST: &str = "site = \"arena-north\"\nappliance = \"rack-1\"\n[mqtt]\naddress = \"hub\"\n";

    #[test]
    fn the_smallest_file_has_sound_defaults() {
        let config = Config::parse(SMALLEST, "agent.toml").expect("a good file");
        assert_eq!(config.name.to_string(), "arena-north/rack-1");
        assert_eq!((config.tick, config.level), (Duration::from_secs(10), log::LevelFilter::Info));
        assert_eq!(config.mqtt.addresses, [Address::parse("hub:1883", false).expect("good")]);
        let limits =
            custody::Limits { memory: 1 << 20, spill_after: Duration::from_secs(30), resend_rate: 200 };
        assert_eq!(config.spool, Spool { directory: None, disk: 64 << 20, limits });
        assert_eq!(config.spool, Spool::default());
        assert!(config.mqtt.tls.is_none());
    }

    #[test]
    fn tls_has_a_port_of_its_own() {
        let config = Config::parse(&format!("{SMALLEST}tls = {{}}\n"), "agent.toml").expect("a good file");
        assert_eq!(config.mqtt.addresses, [Address::parse("mqtts://hub", false).expect("good")]);
    }

    #[test]
    fn where_else_to_go_and_through_what() {
        let text = format!(
            "{SMALLEST}fallback = [\"wss://hub\"]\nproxy = \"http://proxy:3128\"\nproxy_user = \"rack\"\n"
        );
        let mqtt = Config::parse(&text, "agent.toml").expect("a good file").mqtt;
        assert_eq!(
            mqtt.to_string(),
            "hub:1883 without TLS, else wss://hub:443/mqtt, through the proxy proxy:3128"
        );
    }
}
