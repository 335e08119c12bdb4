//! Notifications of a running hub: a thread that owns the notifier, told by the rules of each change, and the outbox that it fills.
//!
//! ```text
//! rules ── Observed ──▶ ┌───────────────┐ ── state and messages, one transaction ──▶ notify.db ──▶ a worker a receiver
//! pages ── ack, mute ─▶ │ thread notify │
//! clock ── due ───────▶ └───────────────┘ ── alerts, mutes, history ──▶ /alerts, /api/alerts
//! ```
//!
//! Who is told what, and when, stands in `rackside-notify`; what it looks like and how it gets there in `rackside-receivers`. Here is when the
//! notifier has its turn, what it is told of the world, and what is kept. Invariant: a change that the rules have told is in the book before the
//! next message is made, and a message that was made is on the disk, with the book that made it, before anybody sends it.

pub(crate) mod address;
mod charts;
mod inbox;
mod key;
mod own;
mod patient;
pub(crate) mod post;
mod step;
mod task;
mod uplink;
mod world;

pub(crate) use charts::charts;
pub use inbox::Inbox;
pub use key::LinkKey;
pub(crate) use post::{ByTheHub, Office};

use crate::clock::{self, Now};
use crate::identity::Identities;
use crate::ingest::task::Shared;
use crate::onair::OnAir;
use crate::rules::Rules;
use crate::shutdown;
use crate::storage;
use crate::turns::Turn;
use crate::web::WayIn;
use patient::Patient;
use rackside_notify::{Notifier, Policy};
use rackside_receivers::{Bounds, Outbox};
use std::path::Path;
use std::sync::{Arc, MutexGuard, PoisonError, RwLock};
use tokio::sync::{oneshot, watch};

/// The notifications, for whoever looks at them or has a say. Cheap to clone; all clones are the same.
#[derive(Debug, Clone)]
pub struct Notifications(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    notifier: Patient<Notifier>,
    inbox: Inbox,
    office: Office,
    /// When the thread turned last.
    turn: Turn,
    /// Where people reach the hub, for whoever must not wait for the notifier.
    external_url: RwLock<Arc<str>>,
}

/// What notifications stand on.
pub struct Ground {
    /// The fleet, for who is up and who is gone.
    pub shared: Shared,
    /// Which site is on air, and what is known of sites.
    pub on_air: OnAir,
    /// Whether anybody can be heard.
    pub way: Arc<dyn WayIn>,
    /// What they hold when the hub starts.
    pub rules: Rules,
    /// Where they put their news.
    pub inbox: Inbox,
    /// Who is being set up, of whom nobody is told yet; nobody, where nobody joins.
    pub(crate) identities: Option<Identities>,
    /// Where messages wait, and who brings them.
    pub(crate) office: Office,
}

/// Messages that wait, in the hub's data directory.
pub(crate) fn outbox(data: &Path, now: Now) -> Arc<Outbox> {
    Arc::new(Outbox::open(&storage::whole(data), Bounds::default(), now.utc_ms as i64))
}

impl Notifications {
    /// Goes on where the hub before this one was, and starts the thread. The second one resolves when it has ended: to an error if it panicked.
    pub fn start(policy: Policy, ground: Ground) -> std::io::Result<(Self, oneshot::Receiver<()>)> {
        let mut notifier = Notifier::new(policy);
        if let Some(state) = ground.office.outbox().load_state()
            && let Err(error) = notifier.restore(&state)
        {
            log::error!(
                "notifications: {error}; who was told what is not known any more, and what fires is told again"
            );
        }
        let (inbox, office) = (ground.inbox.clone(), ground.office.clone());
        let external_url = RwLock::new(Arc::from(notifier.policy().external_url.as_str()));
        let notifications = Self(Arc::new(Inner {
            notifier: Patient::new(notifier),
            inbox,
            office,
            turn: Turn::new(clock::now()),
            external_url,
        }));
        let (ended, end) = oneshot::channel();
        let thread = task::Thread::new(notifications.clone(), ground);
        let work = move || {
            thread.run();
            // Whoever waited for the end may be gone.
            let _ = ended.send(());
        };
        std::thread::Builder::new().name("notify".to_owned()).spawn(work)?;
        Ok((notifications, end))
    }

    /// Ends when the thread has: after `shutdown` has said so and what was made is kept, or because the thread has failed.
    pub async fn until(self, mut shutdown: watch::Receiver<bool>, mut end: oneshot::Receiver<()>) {
        let failed = tokio::select! {
            () = shutdown::asked(&mut shutdown) => None,
            ended = &mut end => Some(ended),
        };
        let ended = if let Some(ended) = failed {
            ended
        } else {
            self.0.inbox.stop();
            end.await
        };
        ended.expect("its thread has panicked");
    }

    /// Goes by this policy from now on.
    pub fn load(&self, policy: Policy) {
        let external_url = Arc::from(policy.external_url.as_str());
        *self.0.external_url.write().unwrap_or_else(PoisonError::into_inner) = external_url;
        self.0.office.load(&policy);
        self.0.inbox.load(policy);
    }

    /// Where people reach the hub; empty, if that is not configured.
    pub fn external_url(&self) -> Arc<str> {
        Arc::clone(&self.0.external_url.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks at the notifier: not for long, and not while ingest is held.
    pub fn look<T>(&self, look: impl FnOnce(&Notifier, i64) -> T) -> T {
        look(&self.notifier(), clock::now().utc_ms as i64)
    }

    /// Changes something in the notifier. It is kept and told at once.
    pub fn with<T>(&self, look: impl FnOnce(&mut Notifier, i64) -> T) -> T {
        let said = look(&mut self.notifier(), clock::now().utc_ms as i64);
        self.0.inbox.ring();
        said
    }

    /// When the thread turned last.
    pub(crate) fn turn(&self) -> &Turn {
        &self.0.turn
    }

    /// Where messages wait, and who brings them.
    pub(crate) fn office(&self) -> &Office {
        &self.0.office
    }

    fn notifier(&self) -> MutexGuard<'_, Notifier> {
        self.0.notifier.lock()
    }
}
