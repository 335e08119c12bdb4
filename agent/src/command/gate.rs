//! Which message is a command that is to be done. Pure; time is an argument.
//!
//! Replay protection lives in memory alone, so that the card is not written for it: a command names the run that it is for, and within a run
//! numbers only rise. Whether one has expired is judged by this box's clock if that is known, else by the hub's time in its last ack, counted on.
//! Acks are not signed: who makes them can keep a command back from a box without a clock, and never make it count twice.

use crate::clock::Moment;
use crate::join::signed::{HubKey, NotTheHubs};
use log::{info, warn};
use rackside_proto::{Action, AgentName, COMMAND_LABEL, Capabilities, Command, Refused, Run, limits};
use std::time::{Duration, Instant};

/// A signature costs a Pi Zero about a millisecond: no more of them are looked at within [`PERIOD`].
const MOST: u32 = 20;
const PERIOD: Duration = Duration::from_secs(10);

/// What a message comes to.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard<'a> {
    /// It is to be done.
    Do(Command<'a>),
    /// It is the hub's, and is not done.
    Refuse(u64, Refused),
    /// Nobody gets an answer: it is not the hub's, or has come before.
    Ignore,
}

/// Decides.
#[derive(Debug)]
pub struct Gate {
    /// The hub that this box has joined; none, and nothing is believed.
    key: Option<HubKey>,
    accepts: Capabilities,
    /// The number of the newest command of this run.
    newest: u64,
    /// What the hub's last ack said, and when.
    hub: Option<(u64, Instant)>,
    /// Since when signatures are counted, and how many.
    checked: Option<(Instant, u32)>,
    refused: u64,
    /// What was warned of already: forged ones, repeated ones.
    warned: [bool; 2],
}

impl Gate {
    /// Of a box that joined the hub with this key, at a venue that accepts this.
    pub fn new(key: Option<HubKey>, accepts: Capabilities) -> Self {
        let (newest, hub, checked) = (0, None, None);
        Self { key, accepts, newest, hub, checked, refused: 0, warned: [false; 2] }
    }

    /// From now on.
    pub fn configure(&mut self, key: Option<HubKey>, accepts: Capabilities) {
        (self.key, self.accepts) = (key, accepts);
    }

    /// What of the hub is done here, as the birth says it: nothing where there is no key to know the hub by.
    pub fn accepts(&self) -> Capabilities {
        if self.key.is_some() { self.accepts } else { Capabilities::default() }
    }

    /// Whether there is a hub to believe.
    pub const fn is_joined(&self) -> bool {
        self.key.is_some()
    }

    /// How many messages on the channel were not done; `None` where there is nobody to believe.
    pub fn refused(&self) -> Option<u64> {
        self.key.as_ref().map(|_| self.refused)
    }

    /// One that was not looked at.
    pub const fn count(&mut self) {
        self.refused += 1;
    }

    /// An ack of the hub has said what time it is.
    pub const fn hub_said(&mut self, utc_ms: u64, now: Instant) {
        self.hub = Some((utc_ms, now));
    }

    /// What time it is, as far as anybody knows.
    pub fn time(&self, moment: &Moment) -> Option<u64> {
        if moment.known {
            return Some(moment.utc_ms);
        }
        let (utc_ms, at) = self.hub?;
        Some(utc_ms.saturating_add(moment.now.saturating_duration_since(at).as_millis() as u64))
    }

    /// What a message on the channel comes to.
    pub fn hear<'a>(&mut self, body: &'a [u8], agent: &AgentName, run: Run, moment: &Moment) -> Heard<'a> {
        let heard = self.judge(body, agent, run, moment);
        match &heard {
            Heard::Do(_) => {}
            Heard::Ignore => self.count(),
            Heard::Refuse(_, why) => {
                self.count();
                info!("a command of the hub is not done: {}", why.as_str());
            }
        }
        heard
    }

    fn judge<'a>(&mut self, body: &'a [u8], agent: &AgentName, run: Run, moment: &Moment) -> Heard<'a> {
        let Some(key) = &self.key else { return Heard::Ignore };
        let (since, count) =
            self.checked.filter(|(since, _)| moment.now < *since + PERIOD).unwrap_or((moment.now, 0));
        if count >= MOST {
            return Heard::Ignore;
        }
        self.checked = Some((since, count + 1));
        let content = key.check(COMMAND_LABEL, agent, body, limits::SMALL);
        let command = content.and_then(|content| Command::decode(content).map_err(NotTheHubs::Unreadable));
        let command = match command {
            Ok(command) => command,
            Err(why) => {
                if !std::mem::replace(&mut self.warned[0], true) {
                    warn!("a command was refused: {why}. Others like it are counted and not told");
                }
                return Heard::Ignore;
            }
        };
        if command.run != run {
            return Heard::Refuse(command.id, Refused::OtherRun);
        }
        if command.id <= self.newest {
            // A broker may deliver twice what it has taken once: no answer, which would take the place of the first one's.
            if !std::mem::replace(&mut self.warned[1], true) {
                warn!("a command was refused: it came before. Others like it are counted and not told");
            }
            return Heard::Ignore;
        }
        let Some(now) = self.time(moment) else { return Heard::Refuse(command.id, Refused::NoClock) };
        if now >= command.expires_ms {
            return Heard::Refuse(command.id, Refused::Expired);
        }
        self.newest = command.id;
        match allowed(&command.action) {
            None => Heard::Refuse(command.id, Refused::Unknown),
            Some(kind) if !self.accepts.has(kind) => Heard::Refuse(command.id, Refused::Forbidden),
            Some(_) => Heard::Do(command),
        }
    }
}

/// What a venue has to allow.
const fn allowed(action: &Action<'_>) -> Option<Capabilities> {
    Some(match action {
        Action::Identify { .. } => Capabilities::IDENTIFY,
        Action::Probe { .. } => Capabilities::PROBE,
        Action::Log => Capabilities::LOG,
        Action::Mute { .. } => Capabilities::MUTE,
        Action::Other(_) => return None,
    })
}
