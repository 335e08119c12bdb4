//! The loop around [`Ingest`]: takes what comes from both ways in, has batches written, sends what the core wants sent,
//! tells the pages what changed. Decides nothing.

use super::Ingest;
use crate::clock::{self, Now};
use crate::command::Replied;
use crate::configure::Adoption;
use crate::inbound::{Inbound, Outlet};
use crate::query::Touched;
use crate::shutdown;
use crate::storage::{Commits, Outcome};
use rackside_alerting::Standings;
use rackside_proto::AgentName;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// What waits for the disk when the hub stops has so long to get there.
const FINISH: Duration = Duration::from_millis(2500);

/// The core, shared with the pages that read it.
#[derive(Debug, Clone)]
pub struct Shared(Arc<RwLock<Ingest>>);

impl Shared {
    /// Shares `ingest`.
    pub fn new(ingest: Ingest) -> Self {
        Self(Arc::new(RwLock::new(ingest)))
    }

    /// To read; never across an await.
    pub fn read(&self) -> RwLockReadGuard<'_, Ingest> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// A turn of ingest without its loop.
    #[cfg(test)]
    pub(crate) fn tick(&self, now: clock::Now) {
        self.write().tick(now);
    }

    /// A message without its loop.
    #[cfg(test)]
    pub(crate) fn take(&self, message: &Inbound, now: clock::Now) {
        self.write().take(message, now);
    }

    /// Something happened to the hub itself, for the log: `hub/start`.
    pub fn note(&self, subject: &'static str, text: &str, now: Now) {
        self.write().note_of_hub(subject, text, now);
    }

    /// Something was said of an appliance that is known, for the log: `agent/service`.
    pub(crate) fn note_of(&self, name: &AgentName, subject: &'static str, text: &str, now: Now) {
        self.write().note_of(name, subject, text, now);
    }

    /// Who is retired, and was heard in a run that nobody knew, since this was last asked.
    pub(crate) fn take_returned(&self) -> BTreeSet<AgentName> {
        self.write().take_returned()
    }

    /// These appliances are retired, and since when; all others are not.
    pub(crate) fn set_retired(&self, retired: &BTreeMap<AgentName, u64>, now: Now) {
        self.write().set_retired(retired, now);
    }

    fn write(&self) -> RwLockWriteGuard<'_, Ingest> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Told of the appliances that changed, with the core to look at.
pub trait Watcher: Send {
    /// `changed` are slots.
    fn changed(&mut self, ingest: &Ingest, changed: &[usize]);

    /// These have new entries in the history's log, which can be read now.
    fn logged(&mut self, _ingest: &Ingest, _logged: &BTreeSet<usize>) {}

    /// Appliances said something of the configurations that they were handed; they are taken by whoever wants them.
    fn adopted(&mut self, _adoptions: &mut Vec<(AgentName, Adoption)>) {}

    /// The hub itself has new entries there.
    fn logged_itself(&mut self) {}

    /// These series changed out of turn. Nothing waits for whoever is told: it must not take long.
    fn touched(&mut self, _touched: &[Touched]) {}

    /// This came of commands.
    fn replied(&mut self, _replies: &[Replied]) {}
}

/// What the loop talks to beside the core.
pub struct Ends<W> {
    /// Messages as they come in.
    pub inbound: mpsc::Receiver<Vec<Inbound>>,
    /// The way back to agents and subscribers.
    pub outlet: Arc<dyn Outlet>,
    /// The pages.
    pub watcher: W,
    /// True while somebody listens to the JSON mirror.
    pub mirror: watch::Receiver<bool>,
    /// What writes to the disk.
    pub commits: Commits,
    /// How everybody stands, by the rules.
    pub standings: watch::Receiver<Arc<Standings>>,
}

/// Runs until `shutdown` says so or nobody can send any more; then what waits is written and acked, if that can be done
/// soon.
pub async fn run<W: Watcher>(shared: Shared, mut ends: Ends<W>, mut shutdown: watch::Receiver<bool>) {
    let mut batches = Vec::new();
    let (mut mirror_ended, mut standings_ended) = (false, false);
    shared.write().mirror(ends.outlet.mirror_wanted());
    ends.mirror.mark_unchanged();
    // What the rules have restored goes before the first message.
    let restored = Arc::clone(&ends.standings.borrow_and_update());
    shared.write().stand(restored, clock::now());
    loop {
        let (due, full) = {
            let ingest = shared.read();
            (ingest.due(), ingest.is_full(clock::now()))
        };
        let mut outcome = None;
        tokio::select! {
            // While too much waits for the disk, the sockets wait, too.
            count = ends.inbound.recv_many(&mut batches, 64), if !full => if count == 0 { break },
            became = ends.commits.outcome() => match became {
                Some(became) => outcome = Some(became),
                None => return,
            },
            () = tokio::time::sleep_until(due.into()) => {}
            changed = ends.mirror.changed(), if !mirror_ended => match changed {
                Ok(()) => {
                    let wanted = *ends.mirror.borrow_and_update();
                    shared.write().mirror(wanted);
                }
                Err(_) => mirror_ended = true,
            },
            changed = ends.standings.changed(), if !standings_ended => match changed {
                Ok(()) => {
                    let standings = Arc::clone(&ends.standings.borrow_and_update());
                    shared.write().stand(standings, clock::now());
                }
                Err(_) => standings_ended = true,
            },
            () = shutdown::asked(&mut shutdown) => break,
        }
        turn(&shared, &mut ends, outcome, batches.drain(..).flatten());
    }
    let last = tokio::time::timeout(FINISH, finish(&shared, &mut ends)).await;
    if last.is_err() {
        log::warn!("the disk took too long to write what waited; it is still with the agents");
    }
}

/// One turn: what came in, what became of the last batch, what is due.
fn turn<W: Watcher>(
    shared: &Shared,
    ends: &mut Ends<W>,
    outcome: Option<Outcome>,
    messages: impl Iterator<Item = Inbound>,
) {
    let mut ingest = shared.write();
    let now = clock::now();
    match outcome {
        Some(Outcome::Committed) => ingest.committed(now),
        Some(Outcome::Failed) => ingest.failed(now),
        None => {}
    }
    for message in messages {
        ingest.take(&message, now);
    }
    ingest.tick(now);
    if let Some(batch) = ingest.take_batch(now) {
        ends.commits.write(batch);
    }
    let changed = ingest.take_changed();
    let (out, touched, replies) = (ingest.take_out(), ingest.take_touched(), ingest.take_replies());
    if !changed.is_empty() {
        ends.watcher.changed(&ingest, &changed);
    }
    let mut adoptions = ingest.take_adoptions();
    let logged = ingest.take_logged();
    if !logged.is_empty() {
        ends.watcher.logged(&ingest, &logged);
    }
    if ingest.take_logged_itself() {
        ends.watcher.logged_itself();
    }
    drop(ingest);
    if !adoptions.is_empty() {
        ends.watcher.adopted(&mut adoptions);
    }
    if !touched.is_empty() {
        ends.watcher.touched(&touched);
    }
    if !replies.is_empty() {
        ends.watcher.replied(&replies);
    }
    for message in out {
        ends.outlet.publish(message);
    }
}

/// Takes what has been read, and writes and acks what waits. Gives up when the disk does: the agents have it.
async fn finish<W: Watcher>(shared: &Shared, ends: &mut Ends<W>) {
    let mut batches = Vec::new();
    while let Ok(batch) = ends.inbound.try_recv() {
        batches.push(batch);
    }
    turn(shared, ends, None, batches.into_iter().flatten());
    let mut outcome = None;
    while outcome != Some(Outcome::Failed) {
        shared.write().hurry(clock::now());
        turn(shared, ends, outcome, std::iter::empty());
        if !shared.read().is_writing() {
            return;
        }
        outcome = ends.commits.outcome().await;
        if outcome.is_none() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inbound::{Blocked, Outbound, Via};
    use crate::ingest::NoPast;
    use crate::rack::{Rack, vitals};
    use crate::storage::{self, Journal, Status};
    use rackside_history::{Batch, Stats, Step, StoreError};
    use rackside_proto::{Ack, Prefix};
    use std::sync::Mutex;

    /// A disk that takes everything at once.
    struct Disk;

    impl Journal for Disk {
        fn commit(&mut self, _: &Batch, _: u64) -> Result<(), StoreError> {
            Ok(())
        }

        fn maintain(&mut self, now_ms: u64, _: Duration) -> Result<Step, StoreError> {
            Ok(Step::IdleUntil(now_ms + 60_000))
        }

        fn stats(&mut self) -> Result<Stats, StoreError> {
            Ok(Stats::default())
        }
    }

    /// What the hub said.
    #[derive(Default)]
    struct Said(Mutex<Vec<Outbound>>);

    impl Outlet for Said {
        fn send(&self, message: Outbound) -> Result<(), Blocked> {
            self.0.lock().expect("nobody panics with it").push(message);
            Ok(())
        }

        fn mirror_wanted(&self) -> bool {
            false
        }
    }

    struct Nobody;

    impl Watcher for Nobody {
        fn changed(&mut self, _: &Ingest, _: &[usize]) {}
    }

    #[tokio::test]
    async fn what_was_read_before_the_stop_is_written_and_acked() {
        // Which of two things that are there comes first is drawn by lot.
        for _ in 0..20 {
            let (sockets, inbound) = mpsc::channel(1);
            let (topic, body) = Rack::new("arena-north", "rack-1").catalog(&vitals());
            let via = Via::Listener { connection: 1 };
            let message = Inbound { topic, payload: body.into(), retained: false, via };
            sockets.try_send(vec![message]).expect("there is room");
            let (_stop, asked) = watch::channel(true);
            let (_listeners, mirror) = watch::channel(false);
            let (_rules, standings) = watch::channel(Arc::default());
            let (commits, _end) = storage::start(Disk, Status::new("/data".into())).expect("a thread");
            let said = Arc::new(Said::default());
            let outlet: Arc<dyn Outlet> = said.clone();
            let ingest = Ingest::new(Prefix::default(), 1, Arc::new(NoPast), clock::now());
            run(
                Shared::new(ingest),
                Ends { inbound, outlet, watcher: Nobody, mirror, commits, standings },
                asked,
            )
            .await;
            let said = said.0.lock().expect("nobody panics with it");
            let acks = said.iter().filter(|message| message.topic.ends_with("/ack"));
            let below: Vec<u64> = acks
                .map(|message| Ack::decode(&message.payload).expect("an ack"))
                .filter_map(|ack| ack.safe.first().map(|safe| safe.below))
                .collect();
            assert_eq!(below, [1]);
        }
    }
}
