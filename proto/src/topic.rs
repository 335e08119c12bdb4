//! Topics: `<prefix>/1/<site>/<appliance>/<channel>`.

use crate::{AgentName, Id, WIRE, limits};
use core::fmt;
use core::str::FromStr;

/// The longest topic that [`Topic`] writes, in bytes: prefix, version, two ids, the longest channel, four slashes.
pub const TOPIC_MAX: usize = limits::STRING + 1 + Id::MAX * 2 + 8 + 4;

/// The first word of every topic, `rackside` unless configured: 1 to 64 bytes without `/`, `+`, `#`, `$`, white space
/// or control characters.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Prefix(heapless::String<{ limits::STRING }>);

impl Prefix {
    /// The word as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Prefix {
    fn default() -> Self {
        Self(heapless::String::from_str("rackside").expect("eight bytes fit into 64"))
    }
}

impl FromStr for Prefix {
    type Err = TopicError;

    fn from_str(text: &str) -> Result<Self, TopicError> {
        let bad = |c: char| matches!(c, '/' | '+' | '#' | '$') || c.is_whitespace() || c.is_control();
        if text.is_empty() || text.contains(bad) {
            return Err(TopicError::Prefix);
        }
        heapless::String::from_str(text).map(Self).map_err(|_| TopicError::Prefix)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The last word of a topic: what the message is, and who may send it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Channel {
    /// Online or offline; retained, and the Last Will.
    Presence,
    /// Who the appliance is, with a copy of its newest catalog; retained.
    Birth,
    /// A data record: readings, or a catalog.
    Data,
    /// An event record.
    Event,
    /// The hub's receipt.
    Ack,
    /// The hub's opinion of the appliance.
    Verdict,
    /// What the appliance is asked to do.
    Command,
    /// The outcome of a command.
    Reply,
    /// The appliance's configuration; retained.
    Config,
    /// A picture of a stream.
    Still,
}

impl Channel {
    /// Every channel, in the order of the table in `WIRE.md`.
    pub const ALL: [Self; 10] = [
        Self::Presence,
        Self::Birth,
        Self::Data,
        Self::Event,
        Self::Ack,
        Self::Verdict,
        Self::Command,
        Self::Reply,
        Self::Config,
        Self::Still,
    ];

    /// The word in the topic.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Presence => "presence",
            Self::Birth => "birth",
            Self::Data => "data",
            Self::Event => "event",
            Self::Ack => "ack",
            Self::Verdict => "verdict",
            Self::Command => "command",
            Self::Reply => "reply",
            Self::Config => "config",
            Self::Still => "still",
        }
    }

    /// Whether only the hub may publish here. A forged ack would empty a spool.
    pub const fn is_from_hub(self) -> bool {
        matches!(self, Self::Ack | Self::Verdict | Self::Command | Self::Config)
    }

    /// Whether messages are retained by the broker.
    pub const fn is_retained(self) -> bool {
        matches!(self, Self::Presence | Self::Birth | Self::Config)
    }

    /// The largest body, in bytes. A data record may be a catalog, so it has the large bound here; readings are held to
    /// the small one when they are decoded.
    pub const fn limit(self) -> usize {
        match self {
            Self::Birth | Self::Data => limits::LARGE,
            _ => limits::SMALL,
        }
    }
}

impl FromStr for Channel {
    type Err = TopicError;

    fn from_str(text: &str) -> Result<Self, TopicError> {
        Self::ALL.into_iter().find(|channel| channel.as_str() == text).ok_or(TopicError::Channel)
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a message goes. Written by [`Display`](fmt::Display), read by [`Topic::parse`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Topic {
    /// Whose topic.
    pub agent: AgentName,
    /// What for.
    pub channel: Channel,
}

impl Topic {
    /// Reads a topic under `prefix`.
    pub fn parse(prefix: &Prefix, text: &str) -> Result<Self, TopicError> {
        let mut words = text.split('/');
        if words.next() != Some(prefix.as_str()) {
            return Err(TopicError::Prefix);
        }
        let version = words.next().ok_or(TopicError::Version)?;
        if version.parse() != Ok(WIRE) || version.starts_with(['0', '+']) {
            return Err(TopicError::Version);
        }
        let site = words.next().and_then(|word| word.parse().ok()).ok_or(TopicError::Site)?;
        let appliance = words.next().and_then(|word| word.parse().ok()).ok_or(TopicError::Appliance)?;
        let channel = words.next().ok_or(TopicError::Channel)?.parse()?;
        if words.next().is_some() {
            return Err(TopicError::Channel);
        }
        Ok(Self { agent: AgentName { site, appliance }, channel })
    }

    /// The topic under `prefix`, for writing.
    pub fn under<'a>(&'a self, prefix: &'a Prefix) -> impl fmt::Display + 'a {
        Under { topic: self, prefix }
    }
}

struct Under<'a> {
    topic: &'a Topic,
    prefix: &'a Prefix,
}

impl fmt::Display for Under<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{WIRE}/{}/{}", self.prefix, self.topic.agent, self.topic.channel)
    }
}

/// Why a text is not one of our topics: the first word that does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopicError {
    /// The first word is not the prefix.
    Prefix,
    /// The second word is not the wire's version.
    Version,
    /// The third word is not a site's id.
    Site,
    /// The fourth word is not an appliance's id.
    Appliance,
    /// The fifth word is no channel, or more words follow.
    Channel,
}

impl fmt::Display for TopicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prefix => f.write_str(
                "the topic's first word is not the configured prefix (1 to 64 bytes without / + # $ or spaces)",
            ),
            Self::Version => write!(f, "the topic's second word is not {WIRE}, the wire's version"),
            Self::Site => f.write_str("the topic's third word is not a site's id"),
            Self::Appliance => f.write_str("the topic's fourth word is not an appliance's id"),
            Self::Channel => f.write_str("the topic does not end in a channel's name"),
        }
    }
}

impl core::error::Error for TopicError {}
