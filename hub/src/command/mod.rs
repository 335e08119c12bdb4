//! What the hub tells a box to do: flash its LEDs, run a probe now, tell its last log lines, mute its local alarm.
//!
//! A command is signed by the authority and goes the way that acks go, through the listener or an outside broker, which cannot make one. What was given
//! and what came of it is in [`Book`]; here are its lock, the fleet that says who can be told, and the way out. [`door`] is where the command
//! line comes in.
//!
//! Invariant: nothing is sent but to a run that is up and has said that it takes such a command: it has joined, and its venue allows it.
//!
//! ```text
//! page, API, command line ──► send ──► listener or broker ──► agent ──► reply ──► ingest ──► replied ──► look, answered
//! ```

mod book;
pub mod door;
mod json;

pub use book::{Book, Counts, Given, NotGiven, State, Told, Wanted};
pub(crate) use json::{json, level, why};

use crate::clock::{self, Now};
use crate::identity::Identities;
use crate::inbound::{Outbound, Outlet};
use crate::ingest::Ingest;
use crate::ingest::task::{Shared, Watcher};
use bytes::Bytes;
use rackside_proto::{AgentName, COMMAND_LABEL, Channel, Prefix, Reply, Run, Signed, Topic, limits};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// Why a command was not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendError {
    /// There is no such appliance.
    Unknown,
    /// It cannot be reached.
    Away,
    /// It does not take such a command.
    NotTaken,
    /// The hub cannot sign.
    NoAuthority,
    /// It has not answered what it was told before.
    Busy,
    /// The command itself is beyond a bound.
    Bounds(String),
    /// The way out is blocked.
    Blocked,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "there is no such appliance",
            Self::Away => "the appliance cannot be reached now; commands do not wait for it",
            Self::NotTaken => {
                "the appliance does not take this: it has not joined (a box with user and password cannot know the hub), its venue does not \
                 allow it ([commands] in its own configuration), or its agent is too old"
            }
            Self::NoAuthority => "the hub cannot sign: its identities are not there, as its log says",
            Self::Busy => "the appliance has not answered what it was told before; wait for that",
            Self::Bounds(what) => return write!(f, "this cannot be asked for: {what}"),
            Self::Blocked => "the way to the appliance is blocked now; try again",
        })
    }
}

impl std::error::Error for SendError {}

/// A reply as it came in.
#[derive(Debug, Clone)]
pub struct Replied {
    /// From whom.
    pub agent: AgentName,
    /// Its body, which has been read once.
    pub body: Bytes,
}

/// What commands need.
pub struct Ground {
    /// Who signs; none, and nothing is sent.
    pub identities: Option<Identities>,
    /// Who can be told.
    pub shared: Shared,
    /// The way out.
    pub outlet: Arc<dyn Outlet>,
    /// The first word of every topic.
    pub prefix: Prefix,
}

/// The commands of a running hub. Cheap to clone.
#[derive(Clone)]
pub struct Commands(Arc<Inner>);

struct Inner {
    book: Mutex<Book>,
    ground: Ground,
    changed: watch::Sender<u64>,
    /// Whether a reply that nobody has asked for was warned of.
    warned: AtomicBool,
}

impl fmt::Debug for Commands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Commands(..)")
    }
}

impl Commands {
    /// None given yet.
    pub fn new(ground: Ground) -> Self {
        let (book, changed, warned) = (Mutex::default(), watch::Sender::new(0), AtomicBool::new(false));
        Self(Arc::new(Inner { book, ground, changed, warned }))
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whom it would go to.
    fn target(&self, agent: &AgentName, wanted: &Wanted) -> Result<Run, SendError> {
        let ingest = self.0.ground.shared.read();
        let fleet = ingest.fleet();
        let slot = fleet.slot(agent).ok_or(SendError::Unknown)?;
        let appliance = &fleet.appliances()[slot];
        let run = appliance.shown().filter(|_| appliance.state.is_up()).ok_or(SendError::Away)?;
        let about = run.about.as_ref().ok_or(SendError::Away)?;
        if about.capabilities.has(wanted.needs()) { Ok(run.run) } else { Err(SendError::NotTaken) }
    }

    /// Sends a command, and says by which number it is known.
    pub fn send(&self, agent: &AgentName, wanted: Wanted, by: &str, now: Now) -> Result<u64, SendError> {
        let Ground { identities, outlet, prefix, .. } = &self.0.ground;
        let run = self.target(agent, &wanted)?;
        let identities = identities.as_ref().ok_or(SendError::NoAuthority)?;
        let (by, said) = (limits::fit(by), wanted.to_string());
        let given = self.book().give(agent, run, wanted, by, now.utc_ms);
        let (id, content) = given.map_err(|error| match error {
            NotGiven::Busy => SendError::Busy,
            NotGiven::Bounds(error) => SendError::Bounds(error.to_string()),
        })?;
        let signature = identities.sign(COMMAND_LABEL, agent, &content);
        let mut payload = Vec::new();
        Signed { signature: &signature, content: &content }
            .encode(&mut payload)
            .expect("a signature is small, and a Vec has room");
        let topic = Topic { agent: agent.clone(), channel: Channel::Command }.under(prefix).to_string();
        if outlet.send(Outbound { topic, payload: payload.into(), retain: false }).is_err() {
            self.book().take_back(id);
            return Err(SendError::Blocked);
        }
        log::info!("command {id}: {said}, for {agent}, by {by}");
        Ok(id)
    }

    /// How a command stands.
    pub fn look(&self, id: u64, now: Now) -> Option<Given> {
        self.book().look(id, now.utc_ms).cloned()
    }

    /// Those for this appliance, the newest first.
    pub fn of(&self, agent: &AgentName, now: Now) -> Vec<Given> {
        self.book().of(agent, now.utc_ms).cloned().collect()
    }

    /// What was counted since the hub's start.
    pub fn counts(&self, now: Now) -> Counts {
        self.book().counts(now.utc_ms)
    }

    /// How a command stands once it has an answer or is waited for no more, or after `patience` as it stands then.
    pub async fn answered(&self, id: u64, patience: Duration) -> Option<Given> {
        let mut changed = self.0.changed.subscribe();
        let answer = async {
            loop {
                let given = self.look(id, clock::now())?;
                if given.state != State::Waiting {
                    return Some(given);
                }
                let left = given.expires_ms.saturating_sub(clock::now().utc_ms) + 1;
                // The sender lives as long as this does.
                let _ = tokio::time::timeout(Duration::from_millis(left), changed.changed()).await;
            }
        };
        match tokio::time::timeout(patience, answer).await {
            Ok(given) => given,
            Err(_) => self.look(id, clock::now()),
        }
    }

    fn hear(&self, replied: &Replied, now: Now) {
        let Ok(reply) = Reply::decode(&replied.body) else { return };
        let mut book = self.book();
        if let Some(given) = book.hear(&replied.agent, &reply, now.utc_ms) {
            let why = match &given.state {
                State::Refused(why) => format!(" ({})", why.as_str()),
                State::Failed(why) => format!(" ({})", why.escape_debug()),
                _ => String::new(),
            };
            log::info!("command {}: {}{why}, says {}", given.id, given.state.as_str(), given.agent);
        } else if !self.0.warned.swap(true, Relaxed) {
            let agent = &replied.agent;
            log::warn!(
                "{agent} answers what it was not asked, or late: its reply is not taken; others like it are counted and not told"
            );
        }
        drop(book);
        self.0.changed.send_modify(|turn| *turn += 1);
    }
}

impl Watcher for Commands {
    fn changed(&mut self, _: &Ingest, _: &[usize]) {}

    fn replied(&mut self, replies: &[Replied]) {
        for replied in replies {
            self.hear(replied, clock::now());
        }
    }
}
