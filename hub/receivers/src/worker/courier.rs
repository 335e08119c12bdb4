//! One receiver's courier: takes the message of its queue whose turn it is, sends it, marks it, and only then takes the next.
//!
//! Invariant: one message is on its way at a time, in the order that `line.rs` gives; what is not marked is sent again. Who was set aside is not
//! written down: after a restart, or a change of the configuration, all are in order again.

use super::line::{Came, Line, SCOUTS, Waiting};
use super::status::Aside;
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
    line: Line,
}

/// A message whose turn it is.
struct Turn {
    queued: Queued,
    /// From when on, if not now.
    due: Option<Instant>,
    /// The first in line.
    first: Option<Queued>,
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
        Self { name, post, outbox, surroundings, progress, stop, pace, waits: true, line: Line::default() }
    }

    /// Works until it is to stop.
    pub(super) async fn run(mut self) {
        let bell = self.outbox.bell(&self.name);
        self.wait_as_before_a_restart();
        while !*self.stop.borrow() {
            let Some(Turn { queued, due, first }) = self.turn() else {
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
                self.mark(queued, first, Outcome::Final { why, disable: false }).await;
                continue;
            }
            let now = Instant::now();
            let due = due.unwrap_or(now).max(self.pace.next(now));
            if due > now {
                self.shows_wait(due.saturating_duration_since(now));
                let mut stop = self.stop.clone();
                tokio::select! {
                    () = sleep_until(due) => {}
                    // What comes now may go before one that was set aside.
                    () = bell.notified() => {}
                    () = told(&mut stop) => return,
                }
                // It may have been given up meanwhile.
                continue;
            }
            self.pace.take(now);
            progress(&self.progress).next_try_at = None;
            let Some(outcome) = self.unless_stopped(self.deliver(&queued.message)).await else { return };
            self.mark(queued, first, outcome).await;
        }
    }

    /// What failed before a restart waits for its time. A clock that was set meanwhile must not make it wait for ever.
    fn wait_as_before_a_restart(&mut self) {
        let Some(first) = self.outbox.next(&self.name).filter(|one| self.waits && one.not_before > 0) else {
            return;
        };
        let left = first.not_before.saturating_sub((self.surroundings.clock)()).max(0);
        let left = Duration::from_millis(left as u64).min(self.surroundings.patience.longest);
        self.line.wait(Instant::now() + left);
    }

    /// Whose turn it is; nobody's, if nothing waits.
    fn turn(&mut self) -> Option<Turn> {
        self.forget_who_is_gone();
        let mut in_line = self.outbox.first(&self.name, SCOUTS + 1, |id| self.line.is_aside(id));
        let waiting: Vec<Waiting<'_>> =
            in_line.iter().map(|one| Waiting { id: one.id, matter: &one.message.group_key }).collect();
        if let Some((id, due)) = self.line.next(&waiting) {
            let at = in_line.iter().position(|one| one.id == id)?;
            let first = in_line.first().cloned();
            return Some(Turn { queued: in_line.swap_remove(at), due, first });
        }
        let (id, due) = self.line.next_aside()?;
        Some(Turn { queued: self.outbox.waiting(&self.name, id)?, due: Some(due), first: None })
    }

    /// What is given up waits no more, in line or aside.
    fn forget_who_is_gone(&mut self) {
        if self.line.stumbled().is_empty() {
            return;
        }
        let (outbox, name) = (&self.outbox, &self.name);
        self.line.keep(|id| outbox.waiting(name, id).is_some());
        progress(&self.progress).aside.retain(|one| self.line.is_aside(one.id));
    }

    fn shows_wait(&self, wait: Duration) {
        progress(&self.progress).next_try_at =
            Some((self.surroundings.clock)().saturating_add(wait.as_millis() as i64));
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
    async fn mark(&mut self, queued: Queued, first: Option<Queued>, outcome: Outcome) {
        let now = (self.surroundings.clock)();
        let (id, outbox) = (queued.id, Arc::clone(&self.outbox));
        let came = match outcome {
            Outcome::Delivered => {
                let old = self.outrun_by(&queued);
                self.no_more_aside(|one| one == id || old.iter().any(|old| old.id == one));
                written(move || {
                    outbox.delivered(&queued, now);
                    for old in old {
                        outbox.given_up(&old, "later news of the same has arrived before it", now);
                    }
                })
                .await;
                self.arrived(now);
                Came::There
            }
            Outcome::Final { why, disable } => {
                let said = why.clone();
                self.no_more_aside(|one| one == id);
                if disable {
                    log::error!(
                        "{}: nothing is sent there any more until its configuration changes: {why}",
                        self.name
                    );
                    progress(&self.progress).disabled = Some(why.clone());
                }
                written(move || outbox.refused(&queued, &said, now)).await;
                self.failed(&why, now);
                Came::Over
            }
            Outcome::Retry { after, why } => {
                Came::Away(self.again(queued, first.as_ref(), after, &why, now).await)
            }
            Outcome::Stumbles { after, why } => {
                let again = self.again(queued, first.as_ref(), after, &why, now).await;
                let came = Came::Stumbled(again);
                if self.line.came(id, first.map(|one| one.id), came).is_some() {
                    log::warn!("{}: a message is set aside, since others arrive: {why}", self.name);
                    progress(&self.progress).aside.push(Aside { id, at: now, why });
                }
                return;
            }
            Outcome::Elsewhere { .. } | Outcome::Plainer { .. } => return,
        };
        self.line.came(id, first.map(|one| one.id), came);
    }

    /// A message did not arrive, and is tried again: when.
    async fn again(
        &self,
        queued: Queued,
        first: Option<&Queued>,
        after: Option<Duration>,
        why: &str,
        now: i64,
    ) -> Instant {
        // Of those in line it is the receiver that waits, whoever was tried.
        let failures = queued.tries.max(first.map_or(0, |one| one.tries)).saturating_add(1);
        let wait = self.surroundings.patience.wait(failures, after, fastrand::f64());
        let retry_at = now.saturating_add(wait.as_millis() as i64);
        let outbox = Arc::clone(&self.outbox);
        written(move || outbox.failed(&queued, retry_at, now)).await;
        self.failed(why, now);
        progress(&self.progress).retries += 1;
        Instant::now() + wait
    }

    /// Older news of the same matter that the receiver failed at: after this it would only confuse.
    fn outrun_by(&self, arrived: &Queued) -> Vec<Queued> {
        let earlier = self.line.stumbled().into_iter().filter(|id| *id < arrived.id);
        let earlier = earlier.filter_map(|id| self.outbox.waiting(&self.name, id));
        earlier.filter(|one| one.message.group_key == arrived.message.group_key).collect()
    }

    /// These are over, or will be in a moment.
    fn no_more_aside(&self, is_over: impl Fn(u64) -> bool) {
        progress(&self.progress).aside.retain(|one| !is_over(one.id));
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
