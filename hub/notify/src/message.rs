//! What one receiver is told: a message, as data. What it looks like is the receivers' business. It waits on the disk, so all of it is
//! (de)serialisable, by formats that describe themselves (JSON) and by those that do not (postcard).
//!
//! Sample: `{"id":7,"kind":"alerts","at":1795145096120,"group_key":"on air:{site=\"hall\"}","status":"firing","alerts":[..],..}`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use rackside_promql::Labels;
use serde::{Deserialize, Serialize};

/// The number of a message; it grows, over restarts as well.
pub type MessageId = u64;

/// The most alerts that a message spells out; the others are counted in `truncated`.
pub const MOST_ALERTS: usize = 100;

/// The most sites that a message spells out.
pub const MOST_SITES: usize = 10;

/// One message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Its number.
    pub id: MessageId,
    /// What it is about.
    pub kind: Kind,
    /// When it was made, in milliseconds since 1970.
    pub at: i64,
    /// Which group it is of: messages with the same key are news of the same matter. Stable over restarts.
    pub group_key: String,
    /// The labels that the group has in common by its route's `group_by`.
    pub group_labels: BTreeMap<String, String>,
    /// The route's name; empty where none is concerned.
    pub route: String,
    /// Firing, as long as one of its alerts fires.
    pub status: Status,
    /// At most [`MOST_ALERTS`]: firing ones first, then by severity, site and labels.
    pub alerts: Vec<Entry>,
    /// How many alerts more there are.
    pub truncated: usize,
    /// How many of all of them fire, those that are not spelt out included.
    pub firing: usize,
    /// How many of all of them are over.
    pub resolved: usize,
    /// What probably explains it, in one line.
    pub cause: Option<String>,
    /// How many alerts that explains, those that are not told one by one included.
    pub explains: usize,
    /// 0 is the first to be told; 1 is told because 0 did not acknowledge, and so on.
    pub escalation: usize,
    /// The sites concerned, at most [`MOST_SITES`].
    pub sites: Vec<SiteFacts>,
    /// How many sites are concerned.
    pub site_count: usize,
}

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Alerts of a group.
    Alerts,
    /// Many sites at once, or the hub's own uplink.
    Outage,
    /// Somebody tries a receiver or a route.
    Test,
    /// "Still watching".
    Heartbeat,
}

/// Whether it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It does.
    Firing,
    /// It is over.
    Resolved,
}

/// An alert, as a message has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Which.
    pub id: AlertId,
    /// `alertname`, `site`, `appliance`, `severity` among them.
    pub labels: BTreeMap<String, String>,
    /// `summary`, `description`, `runbook`, as the rule has them.
    pub annotations: BTreeMap<String, String>,
    /// What the rule's expression gave.
    #[serde(with = "number")]
    pub value: f64,
    /// What it is at.
    pub state: State,
    /// Since when it fires.
    pub starts_at: i64,
    /// Since when it does not any more.
    pub ends_at: Option<i64>,
    /// How bad it is.
    pub severity: Severity,
    /// Whether its site is on air; none, where it has no site.
    pub on_air: Option<bool>,
    /// Who has it in hand.
    pub acknowledged: Option<Acknowledged>,
    /// It goes up and down, and is not told again until it was quiet for a while.
    pub flapping: bool,
    /// The rule's expression; empty, if it is not known.
    pub query: String,
}

/// What an alert is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It holds, and not yet long enough. Nobody is told of it.
    Pending,
    /// Somebody should know.
    Firing,
    /// Somebody knows.
    Acknowledged,
    /// It was firing when its appliance was last heard.
    Unknown,
    /// It is over.
    Resolved,
}

impl State {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Acknowledged => "acknowledged",
            Self::Unknown => "unknown",
            Self::Resolved => "resolved",
        }
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Somebody looks.
    Warning,
    /// Somebody gets up.
    Critical,
}

impl Severity {
    /// As the label has it.
    pub fn as_str(self) -> &'static str {
        rackside_alerting::Severity::from(self).as_str()
    }
}

impl From<rackside_alerting::Severity> for Severity {
    fn from(severity: rackside_alerting::Severity) -> Self {
        match severity {
            rackside_alerting::Severity::Info => Self::Info,
            rackside_alerting::Severity::Warning => Self::Warning,
            rackside_alerting::Severity::Critical => Self::Critical,
        }
    }
}

impl From<Severity> for rackside_alerting::Severity {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Info => Self::Info,
            Severity::Warning => Self::Warning,
            Severity::Critical => Self::Critical,
        }
    }
}

/// Who has an alert in hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// Who.
    pub by: String,
    /// Since when.
    pub at: i64,
    /// What they say of it; may be empty.
    pub note: String,
}

/// What is good to know of a site when something is wrong there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteFacts {
    /// As its appliances call it.
    pub id: String,
    /// What people call it.
    pub title: String,
    /// IANA's name.
    pub time_zone: String,
    /// Whether it is on air.
    pub on_air: bool,
    /// How to get in.
    pub access: String,
    /// Whom to call there.
    pub contacts: Vec<Contact>,
}

/// Somebody at a site.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// What for: `technician`.
    pub role: String,
    /// Who; may be empty.
    pub name: String,
    /// Where.
    pub phone: String,
    /// When; may be empty.
    pub hours: String,
    /// Where else, by mail; may be empty. Messages that waited while the hub was brought up to date have none.
    #[serde(default)]
    pub email: String,
}

/// A message and who gets it.
#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing {
    /// The receiver's name.
    pub receiver: Arc<str>,
    /// What it is told.
    pub message: Message,
}

/// An alert's identity: the fingerprint of its labels, as Alertmanager computes it. As text it has 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AlertId(pub u64);

impl AlertId {
    /// Of these labels: FNV-1a of each name and value in the order of names, with a byte 255 behind each.
    pub fn of(labels: &Labels) -> Self {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for label in labels.iter() {
            for part in [&label.name, &label.value] {
                for byte in part.bytes().chain([0xff]) {
                    hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
                }
            }
        }
        Self(hash)
    }
}

impl fmt::Display for AlertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for AlertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not that of an alert's identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoAlertId;

impl fmt::Display for NoAlertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an alert's id has 16 hexadecimal digits")
    }
}

impl std::error::Error for NoAlertId {}

impl FromStr for AlertId {
    type Err = NoAlertId;

    fn from_str(text: &str) -> Result<Self, NoAlertId> {
        let is_hex = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u64::from_str_radix(text, 16).ok().filter(|_| is_hex);
        number.map(Self).ok_or(NoAlertId)
    }
}

impl Serialize for AlertId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AlertId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A number as text, since JSON has no infinities and no NaN.
pub(crate) mod number {
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands in a reference")]
    pub(crate) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_alertmanagers_fingerprints() {
        let labels =
            Labels::new([("alertname", "EncoderStopped"), ("severity", "critical"), ("venue", "hall-1")]);
        assert_eq!(AlertId::of(&labels).to_string().parse(), Ok(AlertId::of(&labels)));
        assert_eq!(AlertId::of(&Labels::empty()).to_string(), "cbf29ce484222325");
        for bad in ["", "1", "+bf29ce484222325", "cbf29ce48422232g", "cbf29ce4842223255"] {
            assert_eq!(bad.parse::<AlertId>(), Err(NoAlertId), "{bad}");
        }
    }
}
