//! Why a message was not taken. A small set that stays as it is: dashboards hold on to the words.

use rackside_proto::{DecodeError, TopicError};

/// Why a message was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The topic does not begin with the configured prefix.
    Prefix,
    /// The topic's second word is another wire's version.
    TopicVersion,
    /// The topic's third word is not a site's id.
    Site,
    /// The topic's fourth word is not an appliance's id.
    Appliance,
    /// The topic does not end in a channel's name.
    Channel,
    /// A channel on which only the hub speaks.
    NotFromAgents,
    /// A channel that this version does not speak yet, or that this hub is told not to take.
    NotSpoken,
    /// There are no bytes.
    Empty,
    /// Written by a newer version than this hub reads.
    Newer,
    /// Longer than its channel allows.
    TooLong,
    /// The bytes do not form a message.
    Malformed,
    /// Well formed, but beyond one of the wire's bounds or not plausible.
    Limit,
    /// The fleet has no room for one more.
    FleetFull,
    /// A still that is not the picture that it says it is, that a broker had kept, or whose appliance has not said that it is there.
    Picture,
}

impl Reason {
    /// Every reason, in the order of the metric's lines.
    pub const ALL: [Self; 14] = [
        Self::Prefix,
        Self::TopicVersion,
        Self::Site,
        Self::Appliance,
        Self::Channel,
        Self::NotFromAgents,
        Self::NotSpoken,
        Self::Empty,
        Self::Newer,
        Self::TooLong,
        Self::Malformed,
        Self::Limit,
        Self::FleetFull,
        Self::Picture,
    ];

    /// The word in `rackside_hub_rejected_total{reason}`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Prefix => "prefix",
            Self::TopicVersion => "topic_version",
            Self::Site => "site",
            Self::Appliance => "appliance",
            Self::Channel => "channel",
            Self::NotFromAgents => "not_from_agents",
            Self::NotSpoken => "not_spoken",
            Self::Empty => "empty",
            Self::Newer => "newer",
            Self::TooLong => "too_long",
            Self::Malformed => "malformed",
            Self::Limit => "limit",
            Self::FleetFull => "fleet_full",
            Self::Picture => "picture",
        }
    }
}

impl From<TopicError> for Reason {
    fn from(error: TopicError) -> Self {
        match error {
            TopicError::Prefix => Self::Prefix,
            TopicError::Version => Self::TopicVersion,
            TopicError::Site => Self::Site,
            TopicError::Appliance => Self::Appliance,
            TopicError::Channel => Self::Channel,
        }
    }
}

impl From<DecodeError> for Reason {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Empty => Self::Empty,
            DecodeError::Newer { .. } => Self::Newer,
            DecodeError::TooLong { .. } => Self::TooLong,
            DecodeError::Malformed(_) => Self::Malformed,
            DecodeError::Limit(_) => Self::Limit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_listed_at_its_place() {
        for (at, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, at);
        }
    }
}
