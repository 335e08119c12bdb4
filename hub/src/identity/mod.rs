//! Identities of appliances, for the parts of a running hub: the listener asks how a certificate stands, `POST /join` has questions answered.
//!
//! What is decided is decided in `rackside-identity`; here are its file, a lock, and a task ([`Identities::keep`]) that looks whether the command line has
//! changed the file, writes what the listener has seen, and tells who wants to know. Whoever stands before the listener waits for no disk: it asks a
//! copy in memory.
//!
//! Invariant: what is revoked is revoked for every connection, also one that is open, within [`LOOK_EVERY`].

mod commissioning;
pub mod config;
mod desk;
mod handout;
mod list;

pub(crate) use commissioning::{Item, Kind, Progress};
pub use config::JoinConfig;
pub(crate) use desk::DeskError;
pub(crate) use handout::Handout;
#[cfg(test)]
pub(crate) use list::Joined;
pub(crate) use list::{Listed, listed};

use crate::clock;
use crate::config::Config;
use crate::inbound::{Outbound, Outlet};
use crate::ingest::task::Shared;
use crate::shutdown;
use crate::storage;
use bytes::Bytes;
use rackside_identity::{
    Answered, Askers, Authority, Commissioning, Credential, End, Identity, KeyError, Offer, Registrar, Roll,
    ServerCertificate, Standing, Store, StoreError, Summary, Told, refusal,
};
use rackside_proto::join::Refusal;
use rackside_proto::{AgentName, Channel, Prefix, Topic};
use rustls::pki_types::CertificateDer;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::watch;

/// How often the file is looked at.
pub const LOOK_EVERY: Duration = Duration::from_millis(500);
/// What of the listener waits to be written down; more is written when it comes again.
const WAITING: usize = 50_000;
/// Questions that are answered at once: each is half a millisecond of a core.
const AT_ONCE: usize = 4;

/// Why there are no identities.
#[derive(Debug)]
pub enum IdentityError {
    /// There is no authority.
    Key(KeyError),
    /// The file cannot be used.
    Store(StoreError),
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for IdentityError {}

/// Opens authority and file of a hub with this configuration.
pub(crate) fn registrar(config: &Config) -> Result<Registrar, IdentityError> {
    let directory = storage::whole(&config.data);
    let authority =
        config.join.authority_key.as_deref().map_or_else(|| Authority::open(&directory), Authority::read);
    let store = Store::open(&directory).map_err(IdentityError::Store)?;
    Ok(Registrar::new(authority.map_err(IdentityError::Key)?, store))
}

/// The identities of a running hub. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Identities(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registrar: Mutex<Registrar>,
    authority: Arc<Authority>,
    certificate: CertificateDer<'static>,
    roll: RwLock<Roll>,
    /// When a box came last whose name another one has now.
    old_came: RwLock<HashMap<AgentName, i64>>,
    /// Whose appliances those are, once that is known.
    fleet: OnceLock<Shared>,
    /// Boxes that are being set up.
    commissioning: RwLock<HashMap<AgentName, Commissioning>>,
    noted: Mutex<Noted>,
    askers: Mutex<Askers>,
    turns: tokio::sync::Semaphore,
    offer: RwLock<Result<Arc<Offer>, String>>,
    /// Where boxes reach the pages, or why nobody knows.
    url: Result<String, String>,
    /// The hub itself has changed the file: its version tells only of others.
    wrote: AtomicBool,
    changed: watch::Sender<u64>,
    told: [AtomicU64; Told::WORDS.len()],
    held_off: AtomicU64,
}

/// What the listener has seen and nobody has written down yet.
#[derive(Debug, Default)]
struct Noted {
    seen: Vec<Credential>,
    turned_away: Vec<Credential>,
    new: Vec<(Credential, Vec<u8>)>,
}

/// An answer to a question, for HTTP.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) bytes: Vec<u8>,
    pub(crate) how: How,
}

/// What kind of answer it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// A certificate.
    Granted,
    /// None, signed for who has proven something.
    Refused,
    /// It could not be read.
    Unreadable,
    /// Asked too often; again in so many seconds.
    TooOften(u64),
    /// The hub cannot answer.
    Failing,
}

impl Identities {
    /// Of a hub with this configuration.
    pub fn open(config: &Config) -> Result<Self, IdentityError> {
        let mut registrar = registrar(config)?;
        let roll = roll(registrar.store()).map_err(IdentityError::Store)?;
        let old_came = old_came(&registrar.store().summaries().map_err(IdentityError::Store)?);
        let commissioning = by_name(registrar.store().commissionings().map_err(IdentityError::Store)?);
        Ok(Self(Arc::new(Inner {
            authority: Arc::clone(registrar.authority()),
            certificate: registrar.authority().certificate().clone(),
            registrar: Mutex::new(registrar),
            roll: RwLock::new(roll),
            fleet: OnceLock::new(),
            commissioning: RwLock::new(commissioning),
            old_came: RwLock::new(old_came),
            noted: Mutex::default(),
            askers: Mutex::default(),
            turns: tokio::sync::Semaphore::new(AT_ONCE),
            offer: RwLock::new(config::offer(config, None).map(Arc::new)),
            url: config::url(config),
            wrote: AtomicBool::new(false),
            changed: watch::Sender::new(0),
            told: Default::default(),
            held_off: AtomicU64::new(0),
        })))
    }

    /// What of authority and file belongs together, at one moment.
    pub(crate) fn with_all<T>(&self, what: impl FnOnce(&Authority, &[Identity]) -> T) -> Result<T, String> {
        let mut registrar = self.registrar();
        let all = registrar.store().identities().map_err(|error| error.to_string())?;
        Ok(what(registrar.authority(), &all))
    }

    /// Once the listener listens, where it does is known.
    pub(crate) fn listens(&self, config: &Config, tls: Option<SocketAddr>) {
        let offer = config::offer(config, tls).map(Arc::new);
        *self.0.offer.write().unwrap_or_else(PoisonError::into_inner) = offer;
    }

    /// Who comes without a certificate is known from the fleet: a name that was heard is in service, and pages when it joins.
    /// Who is retired, the fleet does not wait for.
    pub(crate) fn know_fleet(&self, shared: &Shared) {
        // It is told once, when the hub starts.
        let _ = self.0.fleet.set(shared.clone());
        let fleet = shared.clone();
        let is_in_service = move |name: &AgentName| {
            fleet.read().fleet().find(name).is_some_and(|one| one.retired_ms.is_none())
        };
        let mut registrar = self.registrar();
        registrar.set_in_service(Box::new(is_in_service));
        match retired(registrar.store()) {
            Ok(retired) => shared.set_retired(&retired, clock::now()),
            Err(error) => log::error!("identities: {error}"),
        }
    }

    fn offer(&self) -> Result<Arc<Offer>, String> {
        self.0.offer.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn registrar(&self) -> MutexGuard<'_, Registrar> {
        self.0.registrar.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.0.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The authority's certificate.
    pub(crate) fn certificate(&self) -> &CertificateDer<'static> {
        &self.0.certificate
    }

    /// The hub's signature of a command or a configuration for this appliance; see [`rackside_proto::Signed`].
    pub fn sign(&self, label: &[u8], agent: &AgentName, content: &[u8]) -> Vec<u8> {
        self.0.authority.sign(label, agent, content)
    }

    /// A certificate for the hub's own listener.
    pub(crate) fn serve(&self, now: i64) -> ServerCertificate {
        let names = config::names(self.offer().ok().as_deref());
        self.registrar().authority().serve(&names, now)
    }

    /// How a certificate stands that the authority has signed.
    pub(crate) fn standing(&self, credential: &Credential, now: i64) -> Standing {
        self.0.roll.read().unwrap_or_else(PoisonError::into_inner).standing(credential, now)
    }

    /// Whether this name has joined: then nobody else speaks for it.
    pub(crate) fn is_joined(&self, name: &AgentName) -> bool {
        self.0.roll.read().unwrap_or_else(PoisonError::into_inner).is_joined(name)
    }

    /// When the box that has this name now took the place of another one, if it did, in milliseconds since 1970.
    pub(crate) fn replaced_at(&self, name: &AgentName) -> Option<u64> {
        let at = self.0.roll.read().unwrap_or_else(PoisonError::into_inner).replaced_at(name);
        at.map(|at| at.max(0).unsigned_abs())
    }

    /// Whether this name was taken out of service.
    pub(crate) fn is_retired(&self, name: &AgentName) -> bool {
        self.0.roll.read().unwrap_or_else(PoisonError::into_inner).is_retired(name)
    }

    /// How many names have joined.
    pub(crate) fn joined(&self) -> usize {
        self.0.roll.read().unwrap_or_else(PoisonError::into_inner).joined()
    }

    /// Turns over whenever a certificate may stand otherwise than before.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    /// A box was let in.
    pub(crate) fn let_in(&self, credential: &Credential, der: &[u8], standing: Standing) {
        let mut noted = self.noted();
        if noted.seen.len() + noted.new.len() >= WAITING {
            return;
        }
        if standing == Standing::New {
            noted.new.push((credential.clone(), der.to_vec()));
        }
        noted.seen.push(credential.clone());
    }

    /// When the box came last that had this name before the one that has it now, if it did.
    pub(crate) fn old_came(&self, name: &AgentName) -> Option<i64> {
        self.0.old_came.read().unwrap_or_else(PoisonError::into_inner).get(name).copied()
    }

    /// A box was turned away for its certificate.
    pub(crate) fn turned_away(&self, credential: &Credential) {
        let now = clock::now().utc_ms as i64;
        if self.standing(credential, now) == Standing::Ended(End::Replaced)
            && self.is_joined(&credential.name)
        {
            let mut old_came = self.0.old_came.write().unwrap_or_else(PoisonError::into_inner);
            old_came.insert(credential.name.clone(), now);
        }
        let mut noted = self.noted();
        if noted.turned_away.len() < WAITING {
            noted.turned_away.push(credential.clone());
        }
    }

    /// How often each thing came of a question, for `/metrics`.
    pub(crate) fn told(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let told = Told::WORDS.into_iter().zip(&self.0.told).map(|(word, count)| (word, count.load(Relaxed)));
        told.chain([("held_off", self.0.held_off.load(Relaxed))])
    }

    /// Answers a question that came from this address.
    pub(crate) async fn answer(&self, from: IpAddr, question: Bytes) -> Said {
        let now = clock::now().utc_ms as i64;
        let waits = self.0.askers.lock().unwrap_or_else(PoisonError::into_inner).ask(from, now);
        if let Err(wait) = waits {
            self.0.held_off.fetch_add(1, Relaxed);
            let seconds = wait.as_secs() + 1;
            let bytes = refusal(Refusal::Wait(u32::try_from(seconds).unwrap_or(u32::MAX)));
            return Said { bytes, how: How::TooOften(seconds) };
        }
        let _turn = self.0.turns.acquire().await.expect("the semaphore is never closed");
        let identities = self.clone();
        let answered = tokio::task::spawn_blocking(move || identities.answer_now(&question, now)).await;
        let Ok(Answered { bytes, told }) = answered else {
            return Said { bytes: refusal(Refusal::Failing), how: How::Failing };
        };
        let how = match told {
            Told::Joined(_) | Told::Renewed(_) | Told::Repeated(_) => How::Granted,
            Told::Refused(_, Refusal::Wait(seconds)) => How::TooOften(seconds.into()),
            Told::Refused(_, Refusal::Unreadable) | Told::Unreadable => How::Unreadable,
            Told::Refused(..) | Told::Stranger => How::Refused,
            Told::Failed(_) => How::Failing,
        };
        Said { bytes, how }
    }

    fn answer_now(&self, question: &[u8], now: i64) -> Answered {
        let answered = match self.offer() {
            Ok(offer) => self.registrar().answer(question, &offer, now),
            Err(why) => Answered { bytes: refusal(Refusal::Failing), told: Told::Failed(why) },
        };
        let place = Told::WORDS.iter().position(|word| *word == answered.told.as_str());
        if let Some(count) = place.and_then(|place| self.0.told.get(place)) {
            count.fetch_add(1, Relaxed);
        }
        match &answered.told {
            told @ (Told::Joined(_) | Told::Renewed(_) | Told::Repeated(_)) => log::info!("join: {told}"),
            told @ (Told::Refused(..) | Told::Failed(_)) => log::warn!("join: {told}"),
            told @ (Told::Stranger | Told::Unreadable) => log::debug!("join: {told}"),
        }
        if matches!(answered.told, Told::Joined(_) | Told::Renewed(_) | Told::Refused(..)) {
            self.wrote();
        }
        answered
    }

    /// The file was changed here.
    fn wrote(&self) {
        self.0.wrote.store(true, Relaxed);
        self.read_again();
    }

    /// Copies the file into memory, and tells those who want to know.
    fn read_again(&self) {
        let read = {
            let mut registrar = self.registrar();
            let store = registrar.store();
            roll(store).and_then(|roll| Ok((roll, store.commissionings()?)))
        };
        match read {
            Ok((roll, commissioning)) => {
                *self.0.roll.write().unwrap_or_else(PoisonError::into_inner) = roll;
                *self.0.commissioning.write().unwrap_or_else(PoisonError::into_inner) =
                    by_name(commissioning);
                self.0.changed.send_modify(|turn| *turn += 1);
            }
            // What stood before stands until the file can be read again.
            Err(error) => log::error!("identities: {error}"),
        }
    }

    /// Keeps memory and file the same, until the hub stops.
    pub async fn keep(self, outlet: Arc<dyn Outlet>, prefix: Prefix, mut shutdown: watch::Receiver<bool>) {
        let (mut known, mut cleared) = (None, BTreeMap::new());
        let mut said = String::new();
        loop {
            let identities = self.clone();
            let kept = tokio::task::spawn_blocking(move || identities.look(known)).await;
            let Ok(kept) = kept else { return };
            match kept {
                Ok(Looked { version, retired }) => {
                    said.clear();
                    known = Some(version);
                    if let Some(retired) = retired {
                        for name in retired.keys().filter(|name| !cleared.contains_key(*name)) {
                            clear(outlet.as_ref(), &prefix, name);
                        }
                        if let Some(fleet) = self.0.fleet.get() {
                            fleet.set_retired(&retired, clock::now());
                        }
                        cleared = retired;
                    }
                }
                Err(error) => {
                    let error = error.to_string();
                    if error != said {
                        log::error!("identities: {error}; they stay as they were");
                    }
                    said = error;
                }
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = shutdown::asked(&mut shutdown) => return,
            }
        }
    }

    fn look(&self, known: Option<i64>) -> Result<Looked, StoreError> {
        let Noted { seen, turned_away, new } = std::mem::take(&mut *self.noted());
        let now = clock::now().utc_ms as i64;
        let mut registrar = self.registrar();
        for (credential, der) in &new {
            registrar.adopt(credential, der, now)?;
            log::warn!(
                "{} came with a certificate of ours that identity.db does not know: it was issued after the backup that this hub was restored from, and is taken",
                credential.name
            );
        }
        for name in self.0.fleet.get().map(Shared::take_returned).unwrap_or_default() {
            if registrar.store().returned(&name)? {
                self.0.wrote.store(true, Relaxed);
                log::info!("{name} was retired, and is in service again: it was heard in a new run");
            }
        }
        let ended = registrar.store().seen(&seen, now)?;
        registrar.store().turned_away(&turned_away, now)?;
        let version = registrar.store().version()?;
        let wrote = self.0.wrote.swap(false, Relaxed);
        if !(ended || wrote || !new.is_empty() || known != Some(version)) {
            return Ok(Looked { version, retired: None });
        }
        let retired = retired(registrar.store())?;
        drop(registrar);
        self.read_again();
        Ok(Looked { version, retired: Some(retired) })
    }
}

/// Where another box than before has the name, when the one before came last.
fn old_came(summaries: &[Summary]) -> HashMap<AgentName, i64> {
    let came = summaries.iter().filter(|one| one.end.is_none());
    came.filter_map(|one| Some((one.name.clone(), one.turned_away_at?))).collect()
}

fn by_name(all: Vec<Commissioning>) -> HashMap<AgentName, Commissioning> {
    all.into_iter().map(|one| (one.name.clone(), one)).collect()
}

/// What a look at the file came to.
struct Looked {
    version: i64,
    /// Every name that was retired and when, if anything has changed.
    retired: Option<BTreeMap<AgentName, u64>>,
}

/// Who is retired, and since when, in milliseconds since 1970.
fn retired(store: &Store) -> Result<BTreeMap<AgentName, u64>, StoreError> {
    let retired = store.retired()?.into_iter();
    Ok(retired.map(|(name, at)| (name, at.max(0).unsigned_abs())).collect())
}

fn roll(store: &Store) -> Result<Roll, StoreError> {
    Ok(Roll::new(&store.identities()?, store.retired()?.into_keys().collect()))
}

/// Nobody is to be told any more by the listener or a broker that this appliance was there.
fn clear(outlet: &dyn Outlet, prefix: &Prefix, name: &AgentName) {
    for channel in Channel::ALL.into_iter().filter(|channel| channel.is_retained()) {
        let topic = Topic { agent: name.clone(), channel }.under(prefix).to_string();
        let message = Outbound { topic: topic.clone(), payload: Bytes::new(), retain: true };
        if outlet.send(message).is_err() {
            log::warn!("{name} was retired, and what a broker keeps of it cannot be cleared now: {topic}");
        }
    }
}
