//! Configurations that the hub hands out to appliances: signed, published, and what became of them.
//!
//! What is wanted and what came of it is in `configuration.db` (`rackside-configure`); whoever decides what is wanted where calls
//! [`publish`](Configurations::publish) and asks [`state`](Configurations::state). The task ([`keep`](Configurations::keep)) signs and sends, hears what appliances
//! say of it, and sees what the command line has changed beside the hub.
//!
//! Sent is: everything after a start of the hub, since its listener forgets what it keeps; what is new; and again to who was born without it, since a broker may
//! have forgotten. An appliance passes over what it knows.
//!
//! ```text
//! publish ─► configuration.db ─► keep: signs ─► …/config, retained       births, events ─► Heard ─► keep ─► configuration.db ─► state
//! ```

mod heard;

pub use heard::Adoption;
pub(crate) use heard::Ears;

use crate::clock;
use crate::identity::Identities;
use crate::inbound::{Outbound, Outlet};
use crate::shutdown;
use bytes::Bytes;
use heard::Queue;
use rackside_configure::{Outcome, State, Store, StoreError, check};
use rackside_proto::{AgentName, CONFIG_LABEL, Channel, Configuration, Prefix, Signed, Topic};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::watch;

/// How often the file is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Messages that are made at once: a largest one takes 32 KiB.
const AT_ONCE: usize = 64;

/// Why a configuration was not taken to be published.
#[derive(Debug)]
pub enum PublishError {
    /// The appliance has no identity, so it could not tell the hub's word from anybody's.
    NotJoined(AgentName),
    /// The text must not travel, or is none; where, and why.
    Text(String),
    /// Its revisions are used up.
    NoMore(AgentName),
    /// The file cannot be used.
    Store(StoreError),
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJoined(name) => write!(
                f,
                "{name} has not joined, and takes no configuration: give it an identity with `rackside-hub join {name}`"
            ),
            Self::Text(why) => f.write_str(why),
            Self::NoMore(name) => {
                write!(f, "{name} has had as many revisions as there are; have it join anew")
            }
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for PublishError {}

impl From<StoreError> for PublishError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// The configurations of a running hub. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Configurations(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Mutex<Store>,
    identities: Identities,
    book: RwLock<BTreeMap<AgentName, Outcome>>,
    /// Whom to send what is wanted.
    due: Mutex<BTreeSet<AgentName>>,
    heard: Arc<Queue>,
    changed: watch::Sender<u64>,
}

impl Configurations {
    /// Of the hub with this data directory.
    pub fn open(directory: &Path, identities: Identities) -> Result<Self, StoreError> {
        let store = Store::open(directory)?;
        let book: BTreeMap<_, _> = store.all()?.into_iter().collect();
        let due =
            book.iter().filter(|(_, outcome)| outcome.wanted > 0).map(|(name, _)| name.clone()).collect();
        Ok(Self(Arc::new(Inner {
            store: Mutex::new(store),
            identities,
            book: RwLock::new(book),
            due: Mutex::new(due),
            heard: Arc::default(),
            changed: watch::Sender::new(0),
        })))
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.0.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn due(&self) -> MutexGuard<'_, BTreeSet<AgentName>> {
        self.0.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who is told of births and events.
    pub(crate) fn ears(&self) -> Ears {
        Ears::new(Arc::clone(&self.0.heard))
    }

    /// Has an appliance run on a text from now on, and says under which revision. What it runs on already, or is on its way to it, keeps its revision; an empty
    /// text takes back what was wanted before. Waits for the disk; it is sent within a second.
    pub fn publish(&self, name: &AgentName, text: &str) -> Result<u32, PublishError> {
        check(text, "the configuration").map_err(|error| PublishError::Text(error.to_string()))?;
        if !self.0.identities.is_joined(name) {
            return Err(PublishError::NotJoined(name.clone()));
        }
        let mut store = self.store();
        let revision = store.want(name, text, clock::now().utc_ms as i64)?;
        let outcome = store.outcome(name)?;
        drop(store);
        self.put(name, outcome);
        self.due().insert(name.clone());
        self.0.heard.wake();
        revision.ok_or_else(|| PublishError::NoMore(name.clone()))
    }

    /// What is known of an appliance; nothing, if nothing was ever wanted of it.
    pub fn state(&self, name: &AgentName) -> Option<Outcome> {
        self.0.book.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Everybody of whom something is known.
    pub fn all(&self) -> Vec<(AgentName, Outcome)> {
        let book = self.0.book.read().unwrap_or_else(PoisonError::into_inner);
        book.iter().map(|(name, outcome)| (name.clone(), outcome.clone())).collect()
    }

    /// The revision and the text that an appliance is to run on. Asks the disk.
    pub fn wanted(&self, name: &AgentName) -> Result<Option<(u32, String)>, StoreError> {
        self.store().wanted(name)
    }

    /// Turns over whenever an outcome is another one.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    /// Notes how an appliance stands now.
    fn put(&self, name: &AgentName, outcome: Option<Outcome>) {
        let mut book = self.0.book.write().unwrap_or_else(PoisonError::into_inner);
        let before = book.get(name).cloned();
        let is_another = before != outcome;
        match outcome {
            Some(outcome) => book.insert(name.clone(), outcome),
            None => book.remove(name),
        };
        drop(book);
        if is_another {
            self.0.changed.send_modify(|turn| *turn += 1);
        }
    }

    /// Hears, signs and sends, until the hub stops.
    pub async fn keep(self, outlet: Arc<dyn Outlet>, prefix: Prefix, mut shutdown: watch::Receiver<bool>) {
        let (mut known, mut said) = (None, String::new());
        loop {
            let configurations = self.clone();
            let under = prefix.clone();
            let looked = tokio::task::spawn_blocking(move || configurations.look(known, &under)).await;
            let Ok(looked) = looked else { return };
            match looked {
                Ok((version, messages)) => {
                    said.clear();
                    known = Some(version);
                    for (name, message) in messages {
                        if outlet.send(message).is_err() {
                            self.due().insert(name);
                        }
                    }
                }
                Err(error) => {
                    let error = error.to_string();
                    if error != said {
                        log::error!("configurations: {error}");
                    }
                    said = error;
                }
            }
            tokio::select! {
                () = self.0.heard.woken(LOOK_EVERY) => {}
                () = shutdown::asked(&mut shutdown) => return,
            }
        }
    }

    /// Writes what was heard, reads what somebody else has written, and makes what is to be sent.
    fn look(
        &self,
        known: Option<i64>,
        prefix: &Prefix,
    ) -> Result<(i64, Vec<(AgentName, Outbound)>), StoreError> {
        let now = clock::now().utc_ms as i64;
        for (name, adoption) in self.0.heard.take() {
            // Only who has an identity can have been handed something.
            if self.0.identities.is_joined(&name) {
                self.hear(&name, &adoption, now)?;
            }
        }
        let version = self.store().version()?;
        if known.is_some_and(|known| known != version) {
            self.read_again()?;
        }
        self.forget_retired()?;
        let mut due = self.due();
        let names: Vec<AgentName> = (0..AT_ONCE).map_while(|_| due.pop_first()).collect();
        drop(due);
        let mut messages = Vec::new();
        for name in names {
            if self.0.identities.is_joined(&name)
                && let Some(message) = self.message(&name, prefix)?
            {
                messages.push((name, message));
            }
        }
        Ok((version, messages))
    }

    fn hear(&self, name: &AgentName, adoption: &Adoption, now: i64) -> Result<(), StoreError> {
        let outcome = match adoption {
            Adoption::Runs { revision, takes } => self.store().runs(name, *revision, *takes, now)?,
            Adoption::Became { revision, adopted, why } => {
                self.store().became(name, (*revision, *adopted, why), now)?
            }
        };
        let Some(outcome) = outcome else { return Ok(()) };
        if matches!(adoption, Adoption::Runs { .. }) && outcome.is_pending() {
            self.due().insert(name.clone());
        }
        let before = self.state(name);
        if before.as_ref().map(|before| (before.state, before.since_ms))
            != Some((outcome.state, outcome.since_ms))
        {
            say(name, &outcome);
        }
        self.put(name, Some(outcome));
        Ok(())
    }

    /// The command line has changed the file.
    fn read_again(&self) -> Result<(), StoreError> {
        let all = self.store().all()?;
        for (name, outcome) in all {
            let before = self.state(&name);
            if before.as_ref().map(|before| before.wanted) != Some(outcome.wanted) {
                self.due().insert(name.clone());
            }
            self.put(&name, Some(outcome));
        }
        Ok(())
    }

    /// Who was retired is to run on nothing any more; what a broker keeps of it is cleared with the rest.
    fn forget_retired(&self) -> Result<(), StoreError> {
        let retired = self.all().into_iter().filter(|(name, _)| self.0.identities.is_retired(name));
        for (name, _) in retired.collect::<Vec<_>>() {
            self.store().forget(&name)?;
            self.put(&name, None);
        }
        Ok(())
    }

    /// What an appliance is sent; nothing, if nothing is wanted of it.
    fn message(&self, name: &AgentName, prefix: &Prefix) -> Result<Option<Outbound>, StoreError> {
        let Some((revision, text)) = self.wanted(name)? else { return Ok(None) };
        let (mut content, mut payload) = (Vec::with_capacity(text.len() + 8), Vec::new());
        let encoded = Configuration { revision, text: &text }.encode(&mut content);
        let signature = self.0.identities.sign(CONFIG_LABEL, name, &content);
        let encoded =
            encoded.and_then(|()| Signed { signature: &signature, content: &content }.encode(&mut payload));
        if let Err(error) = encoded {
            log::error!("configuration {revision} of {name} cannot be sent: {error}");
            return Ok(None);
        }
        let topic = Topic { agent: name.clone(), channel: Channel::Config }.under(prefix).to_string();
        Ok(Some(Outbound { topic, payload: Bytes::from(payload), retain: true }))
    }
}

fn say(name: &AgentName, outcome: &Outcome) {
    let Outcome { wanted, state, why, .. } = outcome;
    match state {
        State::Applied => log::info!("{name} runs on configuration {wanted}"),
        State::Sent => log::info!("{name} is to run on configuration {wanted}"),
        State::Refused | State::RolledBack | State::NotTaken => {
            log::warn!("{name}: configuration {wanted} was {}: {}", state.as_str(), why);
        }
    }
}

#[cfg(test)]
mod tests;
