//! The configuration of notifications: who can be told, who is told, when, and when not.
//!
//! [`Tables`] is what `hub.toml` says, table by table, as serde reads it; [`Policy`] is the same, checked: names are resolved, durations are
//! milliseconds, each receiver has what its kind needs. Not here: whether a template can be rendered (who renders them says so), and secrets,
//! which are read when something is sent.
//!
//! Invariant: a [`Policy`] that exists is one that a notifier can run with. No `Debug` shows a secret.
//!
//! ```toml
//! [[receiver]]
//! name = "crew"
//! kind = "slack"
//! url = { file = "/run/credentials/rackside-hub.service/secrets_slack" }
//! [[route]]
//! name = "on air"
//! on_air = true
//! match = ['severity="critical"']
//! to = ["crew", "team:stage"]
//! ```

mod given;
mod maintenance;
mod policy;
mod proxy;
mod receiver;
mod remarks;
mod route;
mod team;
mod url;

pub use given::Given;
pub use maintenance::MaintenanceConfig;
pub use policy::{DeadMan, Heartbeat, Inhibition, Policy};
pub use proxy::{ProxyAddress, Proxying};
pub use receiver::{
    Chat, Email, Login, MailTls, Receiver, ReceiverConfig, ReceiverKind, TemplateConfig, Way,
};
pub use remarks::KnownSites;
pub use route::{EscalateConfig, RouteConfig};
pub use team::{OverrideConfig, ShiftConfig, TeamConfig};
pub use url::check_url;

use rackside_config::Span;
use rackside_onair::Zone;
use serde::Deserialize;
use std::path::PathBuf;

/// Most characters of a name.
const LINE: usize = 80;

/// All tables of `hub.toml` that are about notifications.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tables {
    /// `[notify]`
    pub notify: NotifyConfig,
    /// `[[receiver]]`
    pub receiver: Vec<ReceiverConfig>,
    /// `[[team]]`
    pub team: Vec<TeamConfig>,
    /// `[[route]]`
    pub route: Vec<RouteConfig>,
    /// `[[maintenance]]`
    pub maintenance: Vec<MaintenanceConfig>,
    /// `[[inhibit]]`
    pub inhibit: Vec<InhibitConfig>,
}

/// `[notify]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NotifyConfig {
    /// Where people reach this hub: `https://hub.example.org`. Empty: as `[rules]` says, or there are no links.
    pub external_url: String,
    /// Where readers' clocks are, unless their receiver says otherwise.
    pub time_zone: Option<Zone>,
    /// "Still watching", now and then.
    pub heartbeat: Option<HeartbeatConfig>,
    /// A page of somebody else's who tells when the hub itself is gone.
    pub dead_man: Option<DeadManConfig>,
    /// What is tried to know whether this hub is cut off, `host:port` each; none: its receivers.
    pub uplink: Option<Vec<String>>,
    /// Through whom requests go out, unless their receiver says otherwise.
    pub proxy: Option<Given>,
    /// The certificates of those who may vouch for receivers, in place of the system's.
    pub ca: Option<PathBuf>,
}

/// `heartbeat`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeartbeatConfig {
    /// How often.
    #[serde(default = "a_day")]
    pub every: Span,
    /// Whom.
    pub to: Vec<String>,
}

/// `dead_man`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeadManConfig {
    /// What is asked for.
    pub url: Given,
    /// How often.
    #[serde(default = "a_minute")]
    pub every: Span,
    /// Whether `http://` may leave this machine.
    #[serde(default)]
    pub allow_plain: bool,
}

/// `[[inhibit]]`: while an alert of the source fires, alerts of the target that agree with it in all labels of `equal` are not told.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InhibitConfig {
    /// What pages call it.
    pub name: Option<String>,
    /// What explains.
    pub source: Vec<String>,
    /// What is explained.
    pub target: Vec<String>,
    /// In which labels both are the same.
    #[serde(default)]
    pub equal: Vec<String>,
}

const fn a_day() -> Span {
    Span::seconds(86_400)
}

const fn a_minute() -> Span {
    Span::seconds(60)
}

/// A key that cannot be, `route.0.to`, and why.
pub type Objection = (String, String);

fn objection<T>(key: impl Into<String>, why: impl Into<String>) -> Result<T, Objection> {
    Err((key.into(), why.into()))
}

/// Puts an objection into its table.
fn within<T>(table: &str, at: usize, result: Result<T, Objection>) -> Result<T, Objection> {
    result.map_err(|(key, why)| (format!("{table}.{at}.{key}"), why))
}

/// A line of text that pages show.
fn line(key: &str, text: &str) -> Result<(), Objection> {
    if text.trim().is_empty() {
        return objection(key, "is empty");
    }
    if text.chars().count() > LINE || text.chars().any(char::is_control) {
        return objection(key, format!("is more than one line of {LINE} characters"));
    }
    Ok(())
}

fn ms(span: Span) -> i64 {
    i64::try_from(span.get().as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
