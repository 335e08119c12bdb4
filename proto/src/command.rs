//! What the hub asks a box to do.
//!
//! A command is signed ([`Signed`]), meant for one run of one agent, numbered so that it counts once, and ends by itself: a broker can
//! keep it back, and neither make it nor repeat it. It is never retained.
//!
//! ```text
//! Command { run: 0badcafe, id: 1_795_145_096_123, issued_ms: 1_795_145_096_123, expires_ms: 1_795_145_126_123, by: "anna", action: Identify { seconds: 30 } }
//! ```

use crate::codec::{Input, checked, put};
use crate::{COMMAND_LABEL, DecodeError, EncodeError, Run, Signed, Sink, limits};
use serde::{Deserialize, Serialize};

/// The longest that a command may be waited with, in milliseconds.
pub const EXPIRY_MOST: u64 = 10 * 60 * 1000;
/// The longest that LEDs flash, in seconds.
pub const IDENTIFY_MOST: u32 = 60 * 60;
/// The longest that an alarm is muted, in seconds.
pub const MUTE_MOST: u32 = 24 * 60 * 60;

/// A command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Command<'a> {
    /// The run that it is for: a later start does not do it.
    pub run: Run,
    /// Its number, which rises from one command of a hub to the next; within a run an older one is not done.
    pub id: u64,
    /// When it was given, by the hub's clock, in milliseconds since 1970-01-01 UTC.
    pub issued_ms: u64,
    /// Until when it is to be begun.
    pub expires_ms: u64,
    /// Who gave it, for the log at the venue.
    pub by: &'a str,
    /// What is to be done.
    pub action: Action<'a>,
}

/// What is to be done. New kinds are added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action<'a> {
    /// All LEDs flicker together.
    Identify {
        /// For so long, 1 to [`IDENTIFY_MOST`].
        seconds: u32,
    },
    /// A probe is run at once.
    Probe {
        /// Its name; empty for all of them.
        name: &'a str,
    },
    /// The last lines of the agent's own log are told.
    Log,
    /// The local alarm is silent, until something worse begins.
    Mute {
        /// For so long, 1 to [`MUTE_MOST`].
        seconds: u32,
    },
    /// Something that this version does not know; it cannot be written.
    Other(u32),
}

/// What stands before the action.
#[derive(Serialize, Deserialize)]
struct Head<'a> {
    run: Run,
    id: u64,
    issued_ms: u64,
    expires_ms: u64,
    by: &'a str,
}

impl Action<'_> {
    /// The action as a word: `identify`, `probe`, `log`, `mute`.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Identify { .. } => "identify",
            Self::Probe { .. } => "probe",
            Self::Log => "log",
            Self::Mute { .. } => "mute",
            Self::Other(_) => "unknown",
        }
    }

    fn encode<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        match self {
            Self::Identify { seconds } => put(sink, &(0_u32, *seconds)),
            Self::Probe { name } => put(sink, &(1_u32, *name)),
            Self::Log => put(sink, &2_u32),
            Self::Mute { seconds } => put(sink, &(3_u32, *seconds)),
            Self::Other(_) => Err(EncodeError::Limit("action")),
        }
    }

    /// What of it is beyond a bound.
    fn beyond(&self) -> Option<&'static str> {
        let is_within = match self {
            Self::Identify { seconds } => (1..=IDENTIFY_MOST).contains(seconds),
            Self::Mute { seconds } => (1..=MUTE_MOST).contains(seconds),
            Self::Probe { name } => name.len() <= limits::STRING,
            Self::Log | Self::Other(_) => true,
        };
        (!is_within).then_some("action")
    }
}

impl<'a> Command<'a> {
    /// Appends the content: what is signed under [`COMMAND_LABEL`].
    pub fn encode<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        checked(self.by, "name of whoever gave the command")?;
        if let Some(what) = self.beyond() {
            return Err(EncodeError::Limit(what));
        }
        let Self { run, id, issued_ms, expires_ms, by, action } = *self;
        put(sink, &Head { run, id, issued_ms, expires_ms, by })?;
        action.encode(sink)
    }

    /// Reads a content.
    pub fn decode(content: &'a [u8]) -> Result<Self, DecodeError> {
        let mut input = Input::new(content);
        let Head { run, id, issued_ms, expires_ms, by } = input.take("command")?;
        let action = match input.take::<u32>("action")? {
            0 => Action::Identify { seconds: input.take("seconds")? },
            1 => Action::Probe { name: input.take("name of the probe")? },
            2 => Action::Log,
            3 => Action::Mute { seconds: input.take("seconds")? },
            other => Action::Other(other),
        };
        let command = Self { run, id, issued_ms, expires_ms, by, action };
        if checked(by, "").is_err() {
            return Err(DecodeError::Limit("name of whoever gave the command"));
        }
        command.beyond().map_or(Ok(command), |what| Err(DecodeError::Limit(what)))
    }

    /// Reads a body without checking who has signed it: for whoever only shows it.
    pub fn shown(body: &'a [u8]) -> Result<(Signed<'a>, Self), DecodeError> {
        let signed = Signed::decode(body, limits::SMALL)?;
        Ok((signed, Self::decode(signed.content)?))
    }

    /// Under which label it is signed.
    pub const LABEL: &'static [u8] = COMMAND_LABEL;

    fn beyond(&self) -> Option<&'static str> {
        let lasts = self.expires_ms.checked_sub(self.issued_ms);
        if lasts.is_some_and(|lasts| (1..=EXPIRY_MOST).contains(&lasts)) {
            self.action.beyond()
        } else {
            Some("expiry")
        }
    }
}
