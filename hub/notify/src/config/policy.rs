//! The configuration, checked: what a notifier runs on.
//!
//! Sample: `Policy { receivers: [crew], teams: [stage], routes: ["on air" → crew, team:stage], .. }`.

use super::given::Given;
use super::{
    DeadManConfig, HeartbeatConfig, InhibitConfig, MaintenanceConfig, NotifyConfig, Objection, Receiver,
    ReceiverConfig, Tables, Way, check_url, line, ms, objection, within,
};
use crate::maintenance::Maintenance;
use crate::matcher::Matchers;
use crate::rota::Team;
use crate::route::{Route, Target};
use rackside_config::{Span, host_and_port, nearest};
use rackside_onair::Zone;
use rackside_promql::is_label_name;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Most places that are tried to know whether the hub is cut off.
const MOST_PLACES: usize = 8;
/// Most receivers, teams, routes, windows of maintenance and inhibitions, each.
const MOST: usize = 500;

/// The words behind the prefix of the hub's own topics: the wire's version, and the mirror.
const OWN: [&str; 2] = ["1", "json"];

/// What `[notify]`, `[[receiver]]`, `[[team]]`, `[[route]]`, `[[maintenance]]` and `[[inhibit]]` say, checked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policy {
    /// Where people reach this hub, without a slash at the end; empty, if nobody said.
    pub external_url: String,
    /// Where readers' clocks are, unless their receiver says otherwise; none: nobody said.
    pub time_zone: Option<Zone>,
    /// "Still watching".
    pub heartbeat: Option<Heartbeat>,
    /// What is asked for as long as the hub lives.
    pub dead_man: Option<DeadMan>,
    /// What is tried to know whether this hub is cut off, `host:port` each; none: its receivers.
    pub uplink: Option<Vec<String>>,
    /// Through whom requests go out, unless their receiver says otherwise; one that is a secret is held to
    /// [`ProxyAddress::read`](super::ProxyAddress::read) once it is read.
    pub proxy: Option<Given>,
    /// The certificates of those who may vouch for receivers, in place of the system's, unless their receiver says otherwise.
    pub ca: Option<PathBuf>,
    /// Who can be told.
    pub receivers: Vec<Receiver>,
    /// Who is on call.
    pub teams: Vec<Team>,
    /// What is told to whom, in this order.
    pub routes: Vec<Route>,
    /// When work is done.
    pub maintenance: Vec<Maintenance>,
    /// What explains what, beside what the notifier knows itself.
    pub inhibitions: Vec<Inhibition>,
}

/// "Still watching".
#[derive(Clone, Debug, PartialEq)]
pub struct Heartbeat {
    /// How often, in milliseconds.
    pub every: i64,
    /// Whom.
    pub to: Vec<Target>,
}

/// A page that is asked for as long as the hub lives.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadMan {
    /// Which; one that is a secret is held to [`check_url`] once it is read.
    pub url: Given,
    /// How often, in milliseconds.
    pub every: i64,
    /// Whether `http://` may leave this machine.
    pub allow_plain: bool,
}

/// An inhibition of the user's own.
#[derive(Clone, Debug, PartialEq)]
pub struct Inhibition {
    /// What pages call it.
    pub name: Arc<str>,
    /// What explains.
    pub source: Matchers,
    /// What is explained.
    pub target: Matchers,
    /// In which labels both are the same; a label that neither has is the same in both.
    pub equal: Vec<String>,
}

/// The names that there are.
pub(super) struct Names<'c> {
    receivers: Vec<&'c str>,
    teams: Vec<String>,
}

impl Names<'_> {
    /// Receivers only.
    pub(super) fn receivers(&self, key: &str, names: &[String]) -> Result<Vec<Arc<str>>, Objection> {
        let each = names.iter().map(|name| match self.target(key, name)? {
            Target::Receiver(name) => Ok(name),
            Target::Team(_) => objection(key, format!("{name:?} is a team; only receivers can be here")),
        });
        each.collect()
    }

    /// Receivers and teams, none of them twice.
    pub(super) fn targets(&self, key: &str, names: &[String]) -> Result<Vec<Target>, Objection> {
        let mut targets = Vec::new();
        for name in names {
            let target = self.target(key, name)?;
            if targets.contains(&target) {
                return objection(key, format!("{name:?} is named twice"));
            }
            targets.push(target);
        }
        Ok(targets)
    }

    fn target(&self, key: &str, name: &str) -> Result<Target, Objection> {
        if self.receivers.contains(&name) {
            return Ok(Target::Receiver(name.into()));
        }
        if let Some(team) = name.strip_prefix("team:")
            && self.teams.iter().any(|known| known == name)
        {
            return Ok(Target::Team(team.into()));
        }
        let all: Vec<&str> =
            self.receivers.iter().copied().chain(self.teams.iter().map(String::as_str)).collect();
        let bare = || all.iter().copied().find(|known| known.strip_prefix("team:") == Some(name));
        let meant = nearest(name, &all).or_else(bare);
        let meant = meant.map(|meant| format!("; did you mean {meant:?}?")).unwrap_or_default();
        let what = if name.starts_with("team:") { "[[team]]" } else { "[[receiver]]" };
        objection(key, format!("there is no {what} for {name:?}{meant}"))
    }
}

impl Policy {
    /// Checks what the tables say: the policy, or the first key that cannot be (`route.0.to`), and why.
    pub fn new(tables: &Tables) -> Result<Self, Objection> {
        let Tables { notify, receiver, team, route, maintenance, inhibit } = tables;
        for (table, count) in [
            ("receiver", receiver.len()),
            ("team", team.len()),
            ("route", route.len()),
            ("maintenance", maintenance.len()),
            ("inhibit", inhibit.len()),
        ] {
            if count > MOST {
                return objection(table, format!("there are more than {MOST}"));
            }
        }
        once("receiver", receiver.iter().map(|receiver| receiver.name.as_str()))?;
        once("team", team.iter().map(|team| team.name.as_str()))?;
        once("route", route.iter().map(|route| route.name.as_str()))?;
        once("maintenance", maintenance.iter().map(|one| one.name.as_str()))?;
        let names = Names {
            receivers: receiver.iter().map(|receiver| receiver.name.as_str()).collect(),
            teams: team.iter().map(|team| format!("team:{}", team.name)).collect(),
        };
        Ok(Self {
            receivers: each("receiver", receiver, ReceiverConfig::checked)?,
            teams: each("team", team, |team| team.checked(&names))?,
            routes: each("route", route, |route| route.checked(&names))?,
            maintenance: each("maintenance", maintenance, MaintenanceConfig::checked)?,
            inhibitions: inhibit
                .iter()
                .enumerate()
                .map(|(at, one)| within("inhibit", at, one.checked(at)))
                .collect::<Result<_, _>>()?,
            ..notify.checked(&names).map_err(|(key, why)| (format!("notify.{key}"), why))?
        })
    }

    /// Whether no receiver of kind "mqtt" publishes among the hub's own topics, which begin with `prefix`: `ack` and `verdict` are the hub's word,
    /// and what stands under `json` is said of appliances.
    pub fn stays_off(&self, prefix: &str) -> Result<(), Objection> {
        let is_own = |topic: &str| {
            let below = topic.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('/'));
            below.and_then(|rest| rest.split('/').next()).is_some_and(|word| OWN.contains(&word))
        };
        let found = self.receivers.iter().position(|receiver| match &receiver.way {
            Way::Mqtt { topic, .. } => is_own(topic),
            _ => false,
        });
        match found {
            None => Ok(()),
            Some(at) => objection(
                format!("receiver.{at}.topic"),
                format!(
                    "what begins with {prefix}/1/ or {prefix}/json/ is the hub's own; write for example \"{prefix}/alerts\""
                ),
            ),
        }
    }

    /// The receiver of this name.
    pub fn receiver(&self, name: &str) -> Option<&Receiver> {
        self.receivers.iter().find(|receiver| *receiver.name == *name)
    }

    /// The team of this name.
    pub fn team(&self, name: &str) -> Option<&Team> {
        self.teams.iter().find(|team| *team.name == *name)
    }

    /// Who these are at `now`: receivers as they are named, of teams those who are on call. Each once.
    pub fn told(&self, targets: &[Target], now: i64) -> Vec<Arc<str>> {
        let mut told: Vec<Arc<str>> = Vec::new();
        for target in targets {
            let found = match target {
                Target::Receiver(name) => vec![Arc::clone(name)],
                Target::Team(name) => self.team(name).map(|team| team.on_call(now)).unwrap_or_default(),
            };
            for name in found {
                if !told.contains(&name) {
                    told.push(name);
                }
            }
        }
        told
    }
}

fn each<T, P>(
    table: &str,
    all: &[T],
    checked: impl Fn(&T) -> Result<P, Objection>,
) -> Result<Vec<P>, Objection> {
    all.iter().enumerate().map(|(at, one)| within(table, at, checked(one))).collect()
}

/// Each name is there once.
fn once<'n>(table: &str, names: impl Iterator<Item = &'n str>) -> Result<(), Objection> {
    let mut seen = BTreeSet::new();
    for (at, name) in names.enumerate() {
        if !seen.insert(name) {
            return objection(
                format!("{table}.{at}.name"),
                format!("there is a [[{table}]] {name:?} already, further up"),
            );
        }
    }
    Ok(())
}

fn at_least(key: &str, span: Span, least: Duration, said: &str) -> Result<i64, Objection> {
    if span.get() < least {
        return objection(key, format!("\"{span}\" is too often; at least {said}"));
    }
    Ok(ms(span))
}

impl NotifyConfig {
    /// What is in this table, of a policy.
    fn checked(&self, names: &Names<'_>) -> Result<Policy, Objection> {
        if !self.external_url.is_empty() {
            // It is what people's browsers go to: nothing is sent there.
            check_url(&self.external_url, true).map_err(|why| ("external_url".to_owned(), why))?;
        }
        if let Some(proxy) = &self.proxy {
            super::proxy::checked(proxy)?;
        }
        let inside = |table: &'static str| move |(key, why): Objection| (format!("{table}.{key}"), why);
        let heartbeat = self.heartbeat.as_ref().map(|it| it.checked(names));
        let dead_man = self.dead_man.as_ref().map(DeadManConfig::checked);
        let uplink = self.uplink.as_deref().map(places);
        Ok(Policy {
            external_url: self.external_url.trim_end_matches('/').to_owned(),
            time_zone: self.time_zone,
            heartbeat: heartbeat.transpose().map_err(inside("heartbeat"))?,
            dead_man: dead_man.transpose().map_err(inside("dead_man"))?,
            uplink: uplink.transpose().map_err(|why| ("uplink".to_owned(), why))?,
            proxy: self.proxy.clone(),
            ca: self.ca.clone(),
            ..Policy::default()
        })
    }
}

/// Places that can be tried.
fn places(texts: &[String]) -> Result<Vec<String>, String> {
    if texts.len() > MOST_PLACES {
        return Err(format!("names more than {MOST_PLACES} places; one that answers is enough"));
    }
    let bad = texts.iter().find(|text| host_and_port(text).is_none_or(|(_, port)| port.is_none()));
    match bad {
        Some(text) => Err(format!("{text:?} is no place to try; write host:port")),
        None => Ok(texts.to_vec()),
    }
}

impl HeartbeatConfig {
    fn checked(&self, names: &Names<'_>) -> Result<Heartbeat, Objection> {
        if self.to.is_empty() {
            return objection("to", "is empty; name one at least");
        }
        let every = at_least("every", self.every, Duration::from_mins(1), "\"1m\"")?;
        Ok(Heartbeat { every, to: names.targets("to", &self.to)? })
    }
}

impl DeadManConfig {
    fn checked(&self) -> Result<DeadMan, Objection> {
        if let Some(url) = self.url.here() {
            check_url(url, self.allow_plain).map_err(|why| ("url".to_owned(), why))?;
        }
        let every = at_least("every", self.every, Duration::from_secs(10), "\"10s\"")?;
        Ok(DeadMan { url: self.url.clone(), every, allow_plain: self.allow_plain })
    }
}

impl InhibitConfig {
    fn checked(&self, at: usize) -> Result<Inhibition, Objection> {
        if let Some(name) = &self.name {
            line("name", name)?;
        }
        let side = |key: &str, texts: &[String]| {
            let matchers = Matchers::read(texts).map_err(|why| (key.to_owned(), why))?;
            if matchers.accept_nothing_there() {
                return objection(key, "would match every alert; name a label that has to be there");
            }
            Ok(matchers)
        };
        if let Some(label) = self.equal.iter().find(|label| !is_label_name(label)) {
            return objection("equal", format!("{label:?} is no name of a label"));
        }
        let name = self.name.clone().unwrap_or_else(|| format!("inhibit {}", at + 1));
        Ok(Inhibition {
            name: name.into(),
            source: side("source", &self.source)?,
            target: side("target", &self.target)?,
            equal: self.equal.clone(),
        })
    }
}
