//! Who brings messages to their receivers: one courier a receiver, each at its own queue, so that a receiver that is gone delays no other.
//!
//! What fails is tried again by the receiver's word, else by [`Patience`]; what can never arrive is marked, shown and passed over, and what a receiver
//! fails at while it takes others is set aside (`line.rs`). Couriers sleep until a message comes, and end within a second of being told to.
//!
//! Not here: how a message goes over the wire (`send`), and what is on the disk (`outbox`).
//!
//! ```text
//! couriers.set(posts)      crew: 2 wait, next try 03:12:40, "hooks.example.org: nobody listens there"
//!                          desk: 0 wait, 17 delivered
//! ```

mod courier;
mod dead_man;
mod line;
mod patience;
mod status;

pub use dead_man::{DeadMan, DeadManStatus};
pub use patience::Patience;
pub use status::{Aside, ReceiverStatus, Trouble};

use crate::chart::Chart;
use crate::outbox::Outbox;
use crate::send::Carrier;
use crate::{Outcome, Receiver};
use courier::{Courier, progress};
use rackside_notify::Message;
use status::Progress;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What time it is, in milliseconds since 1970.
pub type Clock = Box<dyn Fn() -> i64 + Send + Sync>;

/// The last hour of what a message's alert watches. It may take a while: it is called where that holds nobody up.
pub type Charts = Box<dyn Fn(&Message, i64) -> Option<Chart> + Send + Sync>;

/// A receiver and the way to it.
#[derive(Debug)]
pub struct Post {
    /// Who.
    pub receiver: Receiver,
    /// By what; or why there is no way, such as certificates that cannot be read. Messages wait then.
    pub carrier: Result<Carrier, String>,
}

/// What couriers ask.
pub struct Surroundings {
    /// What time it is.
    pub clock: Clock,
    /// Pictures, where somebody makes them.
    pub charts: Option<Charts>,
    /// When to try again.
    pub patience: Patience,
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings").field("patience", &self.patience).finish_non_exhaustive()
    }
}

/// All couriers.
#[derive(Debug)]
pub struct Couriers {
    outbox: Arc<Outbox>,
    surroundings: Arc<Surroundings>,
    // By name. Held while couriers are exchanged, so that there are never two of one receiver.
    exchange: tokio::sync::Mutex<()>,
    running: Mutex<BTreeMap<Arc<str>, Running>>,
}

#[derive(Debug)]
struct Running {
    post: Arc<Post>,
    progress: Arc<Mutex<Progress>>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Couriers {
    /// None yet.
    pub fn new(outbox: Arc<Outbox>, surroundings: Surroundings) -> Self {
        let (surroundings, running) = (Arc::new(surroundings), Mutex::default());
        Self { outbox, surroundings, exchange: tokio::sync::Mutex::default(), running }
    }

    /// These receivers, in place of those before. What waits for one that is gone is given up; what is counted goes on.
    pub async fn set(&self, posts: Vec<Post>) {
        self.exchange(posts, &BTreeSet::new()).await;
    }

    /// The same, but couriers of these names that are there already go on as they are: nothing has changed for them.
    pub async fn exchange(&self, posts: Vec<Post>, unchanged: &BTreeSet<Arc<str>>) {
        let _alone = self.exchange.lock().await;
        let stays: BTreeSet<Arc<str>> =
            lock(&self.running).keys().filter(|name| unchanged.contains(*name)).cloned().collect();
        let before = self.end(&stays).await;
        let mut running = BTreeMap::new();
        for post in posts {
            let name: Arc<str> = Arc::from(post.receiver.name.as_str());
            if stays.contains(&name) {
                continue;
            }
            let mut kept = before.get(&name).cloned().unwrap_or_default();
            let waits = !before.contains_key(&name);
            // The configuration may have changed what was wrong.
            (kept.disabled, kept.moved_to, kept.next_try_at) = (None, None, None);
            kept.aside.clear();
            let (post, progress) = (Arc::new(post), Arc::new(Mutex::new(kept)));
            let (stop, stopped) = watch::channel(false);
            let mut courier = Courier::new(
                Arc::clone(&post),
                Arc::clone(&self.outbox),
                Arc::clone(&self.surroundings),
                Arc::clone(&progress),
                stopped,
            );
            courier.waits = waits;
            let task = tokio::spawn(courier.run());
            running.insert(name, Running { post, progress, stop, task });
        }
        let gone: Vec<Arc<str>> = self.outbox.status().into_iter().map(|queue| queue.receiver).collect();
        let gone = gone.into_iter().filter(|name| !running.contains_key(name) && !stays.contains(name));
        let gone: Vec<Arc<str>> = gone.collect();
        lock(&self.running).extend(running);
        if gone.is_empty() {
            return;
        }
        let (outbox, now) = (Arc::clone(&self.outbox), (self.surroundings.clock)());
        // It waits for the disk. If the runtime ends first, the next start does it.
        let _ = tokio::task::spawn_blocking(move || {
            for name in gone {
                outbox.withdraw(&name, "there is no receiver of this name any more", now);
            }
        })
        .await;
    }

    /// How each receiver fares, by names.
    pub fn status(&self) -> Vec<ReceiverStatus> {
        let queues = self.outbox.status();
        let running = lock(&self.running);
        let status = |(name, running): (&Arc<str>, &Running)| {
            let queue = queues.iter().find(|queue| queue.receiver == *name);
            progress(&running.progress).with(name, running.post.receiver.way.kind(), queue)
        };
        running.iter().map(status).collect()
    }

    /// Sends a message past the queue, once, and says what came of it; nothing, if there is no such receiver. For tries that somebody looks at.
    pub async fn send_once(&self, receiver: &str, message: Message) -> Option<Outcome> {
        let (post, moved_to) = {
            let running = lock(&self.running);
            let found = running.get(receiver)?;
            (Arc::clone(&found.post), progress(&found.progress).moved_to)
        };
        let sent = courier::deliver(&post, &self.surroundings, &Arc::new(message), moved_to).await;
        Some(sent.0)
    }

    /// Ends all couriers. What is on its way has most of a second to arrive.
    pub async fn stop(&self) {
        let _alone = self.exchange.lock().await;
        self.end(&BTreeSet::new()).await;
    }

    /// Ends all but these.
    async fn end(&self, stays: &BTreeSet<Arc<str>>) -> BTreeMap<Arc<str>, Progress> {
        let running = {
            let mut all = lock(&self.running);
            let (stay, end) =
                std::mem::take(&mut *all).into_iter().partition(|(name, _)| stays.contains(name));
            *all = stay;
            let end: BTreeMap<Arc<str>, Running> = end;
            end
        };
        // All at once: none waits for another's last message.
        for running in running.values() {
            running.stop.send_replace(true);
        }
        let mut left = BTreeMap::new();
        for (name, running) in running {
            if running.task.await.is_err() {
                log::error!("{name}: its courier has failed; this is a fault of the hub's");
            }
            left.insert(name, progress(&running.progress).clone());
        }
        left
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
