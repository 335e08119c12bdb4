//! One receiver's courier: takes the first message of its queue, sends it, marks it, and only then takes the next.
//!
//! Invariant: one message is on its way at a time, in the order of ids; what is not marked is sent again.

use super::status::{Progress, Trouble};
use super::{Post, Surroundings};
use crate::Outcome;
use crate::chart::Chart;
use crate::format::{self, Extras};
use crate::outbox::{Outbox, Queued};
use crate::send::{Pace, Rate};
use rackside_notify::Message;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

/// What is on its way when the hub stops gets so long to arrive.
const GRACE: Duration = Duration::from_millis(700);
/// How often a message is made anew because a receiver wants it otherwise, before that counts as a failure.
const MAKINGS: usize = 3;

pub(super) struct Courier {
    pub(super) name: Arc<str>,
    pub(super) post: Arc<Post>,
    pub(super) outbox: Arc<Outbox>,
    pub(super) surroundings: Arc<Surroundings>,
    pub(super) progress: Arc<Mutex<Progress>>,
    pub(super) stop: watch::Receiver<bool>,
    pace: Pace,
    /// Whether what was tried before a restart of the hub waits for its time. Not after a change of the configuration: that may have mended it.
    pub(super) waits: bool,
    /// The message that failed, and when it is tried again.
    again: Option<(u64, Instant)>,
}

/// Why a courier looks up.
enum Woken {
    Now,
    Stopped,
}

impl Courier {
    pub(super) fn new(
        post: Arc<Post>,
        outbox: Arc<Outbox>,
        surroundings: Arc<Surroundings>,
        progress: Arc<Mutex<Progress>>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let name = Arc::from(post.receiver.name.as_str());
        let pace = Pace::new(Rate::of(post.receiver.way.kind()));
        Self { name, post, outbox, surroundings, progress, stop, pace, waits: true, again: None }
    }

    /// Works until it is to stop.
    pub(super) async fn run(mut self) {
        let bell = self.outbox.bell(&self.name);
        while !*self.stop.borrow() {
            let Some(queued) = self.outbox.next(&self.name) else {
                progress(&self.progress).next_try_at = None;
                let mut stop = self.stop.clone();
                tokio::select! {
                    () = bell.notified() => {}
                    () = told(&mut stop) => return,
                }
                continue;
            };
            let disabled = progress(&self.progress).disabled.clone();
            if let Some(why) = disabled {
                let why = format!("nothing is sent there any more since it said: {why}");
                self.mark(queued, Outcome::Final { why, disable: false }).await;
                continue;
            }
            if let Some(due) = self.due(&queued) {
                if let Woken::Stopped = self.wait_until(due).await {
                    return;
                }
                // It may have been given up meanwhile.
                continue;
            }
            self.pace.take(Instant::now());
            progress(&self.progress).next_try_at = None;
            let Some(outcome) = self.unless_stopped(self.deliver(&queued.message)).await else { return };
            self.mark(queued, outcome).await;
        }
    }

    /// When this message may go, if not now.
    fn due(&self, queued: &Queued) -> Option<Instant> {
        let now = Instant::now();
        let paced = self.pace.next(now);
        let due = match self.again {
            Some((id, at)) if id == queued.id => paced.max(at),
            // It failed before a restart. A clock that was set meanwhile must not make it wait for ever.
            _ if self.waits && queued.not_before > 0 && self.again.is_none() => {
                let left = queued.not_before.saturating_sub((self.surroundings.clock)()).max(0);
                let left = Duration::from_millis(left as u64).min(self.surroundings.patience.longest);
                paced.max(now + left)
            }
            _ => paced,
        };
        (due > now).then_some(due)
    }

    async fn wait_until(&mut self, due: Instant) -> Woken {
        let wait = due.saturating_duration_since(Instant::now());
        progress(&self.progress).next_try_at =
            Some((self.surroundings.clock)().saturating_add(wait.as_millis() as i64));
        if self.again.is_none() {
            // So that the wait for what failed before a restart is counted once.
            self.again = self.outbox.next(&self.name).map(|queued| (queued.id, due));
        }
        tokio::select! {
            () = sleep_until(due) => Woken::Now,
            () = told(&mut self.stop) => Woken::Stopped,
        }
    }

    /// What comes of it; nothing, if the hub stops and it takes too long.
    async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut stop = self.stop.clone();
        tokio::select! {
            done = work => Some(done),
            () = async { told(&mut stop).await; sleep(GRACE).await } => None,
        }
    }

    async fn deliver(&self, message: &Arc<Message>) -> Outcome {
        let moved_to = progress(&self.progress).moved_to;
        let (outcome, moved) = deliver(&self.post, &self.surroundings, message, moved_to).await;
        if moved != moved_to
            && let Some(chat) = moved
        {
            log::warn!("{}: the group has moved to {chat}; write this as its `chat_id`", self.name);
            progress(&self.progress).moved_to = moved;
        }
        outcome
    }

    /// Writes down what came of it, and then counts it: what is counted as delivered waits no more.
    async fn mark(&mut self, queued: Queued, outcome: Outcome) {
        let now = (self.surroundings.clock)();
        self.again = None;
        let outbox = Arc::clone(&self.outbox);
        match outcome {
            Outcome::Delivered => {
                written(move || outbox.delivered(&queued, now)).await;
                self.arrived(now);
            }
            Outcome::Final { why, disable } => {
                let said = why.clone();
                written(move || outbox.refused(&queued, &said, now)).await;
                self.failed(&why, now);
                if disable {
                    log::error!(
                        "{}: nothing is sent there any more until its configuration changes: {why}",
                        self.name
                    );
                    progress(&self.progress).disabled = Some(why);
                }
            }
            Outcome::Retry { after, why } => {
                let failures = queued.tries.saturating_add(1);
                let wait = self.surroundings.patience.wait(failures, after, fastrand::f64());
                self.again = Some((queued.id, Instant::now() + wait));
                let retry_at = now.saturating_add(wait.as_millis() as i64);
                written(move || outbox.failed(&queued, retry_at, now)).await;
                self.failed(&why, now);
                progress(&self.progress).retries += 1;
            }
            Outcome::Elsewhere { .. } | Outcome::Plainer { .. } => {}
        }
    }

    fn arrived(&self, now: i64) {
        let mut progress = progress(&self.progress);
        progress.delivered += 1;
        progress.last_delivered_at = Some(now);
        if std::mem::take(&mut progress.is_failing) {
            log::info!("{}: messages arrive again", self.name);
        }
    }

    fn failed(&self, why: &str, now: i64) {
        let mut progress = progress(&self.progress);
        if !std::mem::replace(&mut progress.is_failing, true) {
            log::warn!("{}: a message did not arrive: {why}", self.name);
        }
        progress.last_error = Some(Trouble { at: now, why: why.to_owned() });
    }
}

/// Does what waits for the disk. A runtime that ends before it began takes it along: then it is as after a kill.
async fn written(work: impl FnOnce() + Send + 'static) {
    let _ = tokio::task::spawn_blocking(work).await;
}

/// Makes the message into what the receiver takes, and sends it; with the chat that it has moved to, if it has.
pub(super) async fn deliver(
    post: &Arc<Post>,
    surroundings: &Arc<Surroundings>,
    message: &Arc<Message>,
    mut moved_to: Option<i64>,
) -> (Outcome, Option<i64>) {
    let carrier = match &post.carrier {
        Ok(carrier) => carrier,
        Err(why) => return (Outcome::Retry { after: None, why: why.clone() }, moved_to),
    };
    let mut plain = false;
    let mut last = String::new();
    for _ in 0..MAKINGS {
        let now = (surroundings.clock)();
        let receiver = moved_to.map_or_else(|| post.receiver.clone(), |chat| post.receiver.moved(chat));
        let made = {
            let (receiver, message) = (receiver.clone(), Arc::clone(message));
            let surroundings = Arc::clone(surroundings);
            // Drawing takes a while, and so does what is drawn.
            tokio::task::spawn_blocking(move || {
                let charts = surroundings.charts.as_ref().filter(|_| !plain && receiver.takes_pictures());
                let chart: Option<Chart> = charts.and_then(|charts| charts(&message, now));
                (format::parcel(&message, &receiver, &Extras { chart: chart.as_ref(), now }), chart.is_some())
            })
        };
        let Ok((parcel, pictured)) = made.await else {
            let why = "no message could be made of it; this is a fault of the hub's".to_owned();
            return (Outcome::Final { why, disable: false }, moved_to);
        };
        match carrier.carry(&parcel, &receiver, pictured, now).await {
            Outcome::Elsewhere { chat_id, why } => (moved_to, last) = (Some(chat_id), why),
            Outcome::Plainer { why } => (plain, last) = (true, why),
            outcome => return (outcome, moved_to),
        }
    }
    (Outcome::Retry { after: None, why: last }, moved_to)
}

/// Returns when the flag is up, or when whoever could raise it is gone.
pub(super) async fn told(stop: &mut watch::Receiver<bool>) {
    // The borrow that comes back must not live across an await.
    let _ = stop.wait_for(|stop| *stop).await;
}

pub(super) fn progress(progress: &Mutex<Progress>) -> MutexGuard<'_, Progress> {
    progress.lock().unwrap_or_else(PoisonError::into_inner)
}
