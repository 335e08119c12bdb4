//! `hub.toml`. Every key has a default, so that the hub runs without a file; `etc/hub.example.toml` explains each.
//!
//! ```toml
//! prefix = "rackside"
//! [listener]
//! address = "127.0.0.1:1883"
//! [history]
//! raw = "30d"
//! [[site]]
//! id = "arena-north"
//! [[receiver]]
//! name = "crew"
//! [query]
//! timeout = "30s"
//! [web]
//! address = "127.0.0.1:8080"
//! [log]
//! level = "info"
//! ```
//!
//! Invariant: a [`Config`] that exists is one that the hub can try to run with.

use crate::broker::MqttConfig;
use crate::identity::JoinConfig;
use crate::listener::ListenerConfig;
use crate::rollout::FleetConfig;
use crate::rules::RulesConfig;
use crate::site::{self, SiteConfig};
use crate::status::StatusConfig;
use crate::storage::HistoryConfig;
use crate::web::api::QueryConfig;
use crate::web::{OidcConfig, cors};
use log::LevelFilter;
use rackside_config::{ConfigError, Span};
use rackside_notify::Policy;
use rackside_notify::config::{
    InhibitConfig, MaintenanceConfig, NotifyConfig, ReceiverConfig, RouteConfig, Tables, TeamConfig,
};
use rackside_proto::Prefix;
use serde::Deserialize;
use serde::de::Error;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// The whole configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The first word of all topics.
    #[serde(deserialize_with = "prefix")]
    pub prefix: Prefix,
    /// The directory of what must last.
    pub data: PathBuf,
    /// How long history is kept.
    pub history: HistoryConfig,
    /// The hub's own MQTT listener; defaults, unless `mqtt` names an outside broker.
    pub listener: Option<ListenerConfig>,
    /// An outside broker, instead of the listener.
    pub mqtt: Option<MqttConfig>,
    /// Alert rules.
    pub rules: RulesConfig,
    /// What the hub is told of venues.
    pub site: Vec<SiteConfig>,
    /// Notifications as a whole.
    pub notify: NotifyConfig,
    /// How boxes get an identity of their own.
    pub join: JoinConfig,
    /// How appliances are to be configured.
    pub fleet: FleetConfig,
    /// Who can be told.
    pub receiver: Vec<ReceiverConfig>,
    /// Who is on call.
    pub team: Vec<TeamConfig>,
    /// Who is told what.
    pub route: Vec<RouteConfig>,
    /// When work is done.
    pub maintenance: Vec<MaintenanceConfig>,
    /// What explains what.
    pub inhibit: Vec<InhibitConfig>,
    /// What the public may know.
    pub status: StatusConfig,
    /// What queries may cost.
    pub query: QueryConfig,
    /// Pages, metrics, API.
    pub web: WebConfig,
    /// The log.
    pub log: LogConfig,
}

/// `[web]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebConfig {
    /// Where to listen.
    #[serde(deserialize_with = "rackside_config::listen_address")]
    pub address: SocketAddr,
    /// Whether everybody who reaches the address may read everything, from other machines too, without a name.
    pub allow_anonymous: bool,
    /// Proxies beside those on this machine whose `X-Forwarded-For` is believed.
    pub proxies: Vec<IpAddr>,
    /// Origins whose pages may ask `/api/` from elsewhere.
    pub cors: Vec<String>,
    /// How long a login lasts at most.
    pub session: Span,
    /// How long it lasts without being used.
    pub session_idle: Span,
    /// Whether stills of streams are taken from agents that send them, for operators to see.
    pub stills: bool,
    /// Through which provider people log in.
    pub oidc: Option<OidcConfig>,
}

/// `[log]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// `off`, `error`, `warn`, `info`, `debug`, `trace`.
    pub level: Level,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Nothing.
    Off,
    /// What failed.
    Error,
    /// And what is strange.
    Warn,
    /// And what happens.
    Info,
    /// And why.
    Debug,
    /// And everything else.
    Trace,
}

impl From<Level> for LevelFilter {
    fn from(level: Level) -> Self {
        match level {
            Level::Off => Self::Off,
            Level::Error => Self::Error,
            Level::Warn => Self::Warn,
            Level::Info => Self::Info,
            Level::Debug => Self::Debug,
            Level::Trace => Self::Trace,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            prefix: Prefix::default(),
            data: PathBuf::from("./rackside-data"),
            history: HistoryConfig::default(),
            rules: RulesConfig::default(),
            listener: None,
            mqtt: None,
            site: Vec::new(),
            notify: NotifyConfig::default(),
            join: JoinConfig::default(),
            fleet: FleetConfig::default(),
            receiver: Vec::new(),
            team: Vec::new(),
            route: Vec::new(),
            maintenance: Vec::new(),
            inhibit: Vec::new(),
            status: StatusConfig::default(),
            query: QueryConfig::default(),
            web: WebConfig::default(),
            log: LogConfig::default(),
        }
    }
}

impl Default for WebConfig {
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            allow_anonymous: false,
            proxies: Vec::new(),
            cors: Vec::new(),
            session: Span::seconds(30 * 86_400),
            session_idle: Span::seconds(7 * 86_400),
            stills: true,
            oidc: None,
        }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { level: Level::Info }
    }
}

fn prefix<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Prefix, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| {
        D::Error::custom(format!(
            "{text:?} is not a topic's word: 1 to 64 bytes without / + # $ or white space"
        ))
    })
}

impl Config {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let name =
            path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned());
        Self::parse(&rackside_config::read(path)?, &name)
    }

    /// Reads a text; `file` is what it is called in errors.
    pub fn parse(text: &str, file: &str) -> Result<Self, ConfigError> {
        let config: Self = rackside_config::parse(text, file)?;
        let objection = |key: &str, message: &str| Err(ConfigError::at(text, file, key, message));
        if config.listener.is_some() && config.mqtt.is_some() {
            return objection(
                "mqtt",
                "agents come in through [listener] or through a broker, not both; leave out one of the two tables",
            );
        }
        if config.web.session_idle > config.web.session {
            return objection(
                "web.session_idle",
                "it is longer than `session`, after which a login has ended anyway",
            );
        }
        if config.web.session_idle < Span::seconds(60) {
            return objection(
                "web.session_idle",
                "it is less than a minute, to which it is counted; write for example \"7d\"",
            );
        }
        if let Some(why) = config.web.cors.iter().find_map(|origin| cors::objection(origin)) {
            return objection("web.cors", &why);
        }
        if let Some(listener) = &config.listener {
            let open = listener.is_open();
            let beside = listener.tls.as_ref().and_then(|tls| tls.address);
            for (key, at) in [("listener.address", Some(listener.address)), ("listener.tls.address", beside)]
            {
                if open && at.is_some_and(|at| !at.ip().to_canonical().is_loopback()) {
                    let message = "other machines could come in without a password; name a file of `users`, or say \
                                   `allow_anonymous = true` in [listener]";
                    return objection(key, message);
                }
            }
        }
        if let Some(Err((key, why))) = config.listener.as_ref().map(ListenerConfig::check_read) {
            return objection(&key, &why);
        }
        let checks = [
            config.history.check(),
            config.query.check(),
            config.rules.check(),
            config.status.check(),
            config.join.check(),
            config.fleet.check(),
        ];
        for checked in checks {
            if let Err((key, message)) = checked {
                return objection(key, &message);
            }
        }
        if let Err((key, message)) = site::check(&config.site) {
            return objection(&key, &message);
        }
        let policy = match config.policy() {
            Ok(policy) => policy,
            Err((key, message)) => return objection(&key, &message),
        };
        if let Some(oidc) = &config.web.oidc
            && let Err((key, message)) = oidc.check(&policy.external_url)
        {
            return objection(key, &message);
        }
        if let Some(mqtt) = &config.mqtt
            && let Err((key, message)) = mqtt.check()
        {
            return objection(key, message);
        }
        if let Some(Err((key, why))) = config.mqtt.as_ref().map(|mqtt| mqtt.check_files(&config.prefix)) {
            return objection(&key, &why);
        }
        Ok(config)
    }

    /// Who is told what, or the first key that cannot be, and why.
    pub(crate) fn policy(&self) -> Result<Policy, (String, String)> {
        let mut policy = Policy::new(&Tables {
            notify: self.notify.clone(),
            receiver: self.receiver.clone(),
            team: self.team.clone(),
            route: self.route.clone(),
            maintenance: self.maintenance.clone(),
            inhibit: self.inhibit.clone(),
        })?;
        policy.stays_off(self.prefix.as_str())?;
        if policy.external_url.is_empty() {
            self.rules.external_url.trim_end_matches('/').clone_into(&mut policy.external_url);
        }
        Ok(policy)
    }

    /// The listener's part, with what it needs of the rest.
    pub fn listener(&self) -> ListenerConfig {
        let listener = self.listener.clone().unwrap_or_default();
        ListenerConfig { prefix: self.prefix.clone(), ..listener }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_the_defaults() {
        let text = include_str!("../etc/hub.example.toml");
        let example = Config::parse(text, "hub.example.toml").expect("the example is right");
        let defaults = Config { listener: Some(ListenerConfig::default()), ..Config::default() };
        assert_eq!(format!("{example:?}"), format!("{defaults:?}"));
    }

    #[test]
    fn every_line_of_the_example_that_is_commented_out_is_right_too() {
        let text = include_str!("../etc/hub.example.toml");
        let uncommented = |from: &str| {
            let part = text.split(from).nth(1).expect("the example has it");
            let part = part.split("\n\n").next().expect("split gives one at least");
            let keys =
                part.lines().filter_map(|line| line.strip_prefix("#")).filter(|line| !line.starts_with('#'));
            keys.collect::<Vec<_>>().join("\n")
        };
        let site = format!("[[site]]\n{}", uncommented("\n#[[site]]"));
        let config = Config::parse(&site, "hub.toml").expect("right");
        assert_eq!((config.site[0].contact.len(), config.site[0].show.len()), (1, 2));
        let notify = format!("[notify]\n{}", uncommented("\n#[notify]"));
        let policy = Config::parse(&notify, "hub.toml").expect("right").policy().expect("it was checked");
        let bodies = policy.receivers.iter().filter_map(|receiver| receiver.template.body.as_deref());
        let bodies: Vec<_> = bodies.map(rackside_receivers::template::check_payload).collect();
        assert_eq!(bodies, [Ok(())], "of the webhook");
        let counts =
            [policy.receivers.len(), policy.teams.len(), policy.routes.len(), policy.maintenance.len()];
        assert_eq!((counts, policy.inhibitions.len()), ([5, 1, 3, 1], 1));
        let external = "[notify]\nexternal_url = \"https://hub.example.org\"\n";
        let oidc = format!("{external}[web.oidc]\n{}", uncommented("\n#[web.oidc]"));
        let config = Config::parse(&oidc, "hub.toml").expect("right");
        assert!(config.web.oidc.is_some_and(|oidc| oidc.grant.len() == 1 && oidc.proxy.is_some()));
        let mqtt = format!("[mqtt]\n{}", uncommented("\n#[mqtt]"));
        let config = Config::parse(&mqtt, "hub.toml").expect("right");
        let files = config.mqtt.as_ref().and_then(|mqtt| mqtt.files.as_ref());
        assert!(files.is_some_and(|files| files.reader.len() == 1 && files.names.len() == 1));
        let readers =
            format!("[listener]\nusers = \"a\"\n[listener.read]\n{}", uncommented("\n#[listener.read]"));
        let config_of_readers = Config::parse(&readers, "hub.toml").expect("right");
        assert_eq!(config_of_readers.listener().read.len(), 1);
        assert!(
            config
                .mqtt
                .is_some_and(|mqtt| mqtt.password.is_some() && mqtt.tls.is_some_and(|tls| tls.ca.is_some()))
        );
    }

    #[test]
    fn nothing_beyond_this_machine_is_open_by_default() {
        let config = Config::default();
        assert!(config.web.address.ip().is_loopback());
        assert!(config.listener().address.ip().is_loopback());
    }
}
