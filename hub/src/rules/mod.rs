//! The rules of a running hub: a thread that owns their timetable, told of what events touch, and what others see of it.
//!
//! ```text
//! ingest ── touched ──▶ ┌──────────────┐ ── recorded series, ALERTS ──▶ Derived
//! files  ── reload ───▶ │ thread rules │ ── state ──▶ hub.db
//! clock  ── interval ─▶ └──────────────┘ ── RulesView ──▶ /api/v1/rules, /metrics
//! ```
//!
//! What a rule means stands in `rackside-alerting`; here is when, over which series, and what is kept. A file with a fault never stops the
//! hub, and a rule that fails never stops another.

mod config;
mod files;
mod own;
mod saver;
mod thread;
mod witness;

pub use config::RulesConfig;
pub use files::{DEFAULTS, Files, Loaded, defaults};

use crate::clock;
use crate::ingest::Ingest;
use crate::ingest::task::{Shared, Watcher};
use crate::notify::Inbox;
use crate::query::{Fleetwide, Touched};
use crate::shutdown;
use crate::turns::Turn;
use rackside_alerting::{Engine, Overview, RulesView, Standings};
use rackside_notify::Observed;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use tokio::sync::{oneshot, watch};

/// Touches that wait for the thread. What is beyond is seen at the next regular evaluation.
const TOUCHES: usize = 65_536;

/// The rules, for whoever tells them something or looks at them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Rules(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    engine: Mutex<Engine>,
    /// What the thread has been told and has not looked at.
    inbox: Mutex<Vec<Touched>>,
    rings: Condvar,
    /// The thread is to end, an evaluation in the middle.
    stops: AtomicBool,
    /// What is wrong with rule files, as last read.
    faults: Mutex<Vec<String>>,
    /// As it was after the last turn.
    overview: Mutex<Overview>,
    /// All rules and their alerts, as the thread has put them down.
    shown: Mutex<Arc<RulesView>>,
    /// How every appliance stands, as it was then.
    standings: watch::Sender<Arc<Standings>>,
    /// What the alerts watch.
    expressions: watch::Sender<Arc<Expressions>>,
    /// When the thread turned last.
    turn: Turn,
}

/// The expression of each alerting rule, by the name of its alerts. Where rules of one name differ, none is told.
pub(crate) type Expressions = HashMap<Arc<str>, Arc<str>>;

/// What rules stand on.
#[derive(Debug, Clone)]
pub struct Ground {
    /// The fleet, for who is silent.
    pub shared: Shared,
    /// What they read, and where what they make goes; the database behind it is where alerts outlast the hub.
    pub series: Arc<Fleetwide>,
    /// Where they put what has become of alerts.
    pub news: Inbox,
}

impl Rules {
    /// Reads the files and starts the thread. The second one resolves when it has ended: to an error if it panicked.
    pub fn start(config: RulesConfig, ground: Ground) -> std::io::Result<(Self, oneshot::Receiver<()>)> {
        let engine = Mutex::new(Engine::new(thread::settings(&config)));
        let rules = Self(Arc::new(Inner {
            engine,
            inbox: Mutex::default(),
            rings: Condvar::new(),
            stops: AtomicBool::new(false),
            faults: Mutex::default(),
            overview: Mutex::default(),
            shown: Mutex::new(Arc::new(RulesView { groups: Vec::new() })),
            standings: watch::Sender::default(),
            expressions: watch::Sender::default(),
            turn: Turn::new(clock::now()),
        }));
        let (ended, end) = oneshot::channel();
        let thread = thread::Thread::new(rules.clone(), config, ground)?;
        let work = move || {
            thread.run();
            // Whoever waited for the end may be gone.
            let _ = ended.send(());
        };
        std::thread::Builder::new().name("rules".to_owned()).spawn(work)?;
        Ok((rules, end))
    }

    /// When the thread turned last.
    pub(crate) fn turn(&self) -> &Turn {
        &self.0.turn
    }

    /// These series changed out of turn. Takes no time.
    pub fn told(&self, touched: &[Touched]) {
        let mut inbox = self.inbox();
        let room = TOUCHES.saturating_sub(inbox.len());
        inbox.extend(touched.iter().take(room).cloned());
        self.0.rings.notify_one();
    }

    /// Ends when the thread has: after `shutdown` has said so and what is to last is written, or because the thread has failed.
    pub async fn until(self, mut shutdown: watch::Receiver<bool>, mut end: oneshot::Receiver<()>) {
        let failed = tokio::select! {
            () = shutdown::asked(&mut shutdown) => None,
            ended = &mut end => Some(ended),
        };
        let ended = if let Some(ended) = failed {
            ended
        } else {
            let inbox = self.inbox();
            self.0.stops.store(true, Ordering::Relaxed);
            self.0.rings.notify_one();
            drop(inbox);
            end.await
        };
        ended.expect("its thread has panicked");
    }

    /// All rules and their alerts, as they were a moment ago. Waits for nobody, however long a rule takes.
    pub fn view(&self) -> Arc<RulesView> {
        Arc::clone(&self.0.shown.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn show(&self, view: RulesView) {
        *self.0.shown.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(view);
    }

    /// Every alert that is pending or fires, as it is at `now` (milliseconds since 1970).
    pub fn observed(&self, now: i64) -> Vec<Observed> {
        self.engine().active().map(|alert| Observed::of(alert, now)).collect()
    }

    /// How every appliance stands: at first as it was restored, then as it is after each turn that changes it.
    pub fn standings(&self) -> watch::Receiver<Arc<Standings>> {
        self.0.standings.subscribe()
    }

    /// What the alerts watch, as the files say that were read last.
    pub(crate) fn expressions(&self) -> watch::Receiver<Arc<Expressions>> {
        self.0.expressions.subscribe()
    }

    /// Tells how every appliance stands, if that is new.
    fn stood(&self, standings: Standings) {
        self.0.standings.send_if_modified(|told| {
            let is_new = **told != standings;
            if is_new {
                *told = Arc::new(standings);
            }
            is_new
        });
    }

    fn counted(&self, overview: Overview) {
        *self.0.overview.lock().unwrap_or_else(PoisonError::into_inner) = overview;
    }

    fn overview(&self) -> Overview {
        self.0.overview.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is wrong with rule files.
    pub fn faults(&self) -> Vec<String> {
        self.0.faults.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn engine(&self) -> MutexGuard<'_, Engine> {
        self.0.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn inbox(&self) -> MutexGuard<'_, Vec<Touched>> {
        self.0.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stops(&self) -> bool {
        self.0.stops.load(Ordering::Relaxed)
    }
}

/// Ingest tells the rules of what an event has touched.
impl Watcher for Rules {
    fn changed(&mut self, _: &Ingest, _: &[usize]) {}

    fn touched(&mut self, touched: &[Touched]) {
        self.told(touched);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::NoPast;
    use crate::query::Kept;
    use rackside_alerting::{RuleView, State};
    use rackside_history::{Settings, Store};
    use rackside_promql::{Labels, METRIC_NAME};
    use rackside_proto::Prefix;
    use rackside_series::{Derived, Recent, SHORTEST};
    use std::sync::mpsc;
    use std::time::Duration;

    const PATIENCE: Duration = Duration::from_mins(1);

    struct Desk {
        rules: Rules,
        series: Arc<Fleetwide>,
        since: clock::Now,
        // Held as long as the desk.
        _store: Store,
        _directory: tempfile::TempDir,
    }

    impl Desk {
        /// One rule, which fires once there is an `edge`. What is in memory has not been read yet.
        fn new() -> Self {
            let directory = tempfile::tempdir().expect("a temporary directory");
            let file = directory.path().join("edge.yml");
            let text = "groups: [{name: edges, interval: 1h, rules: [{alert: Edge, expr: edge == 1}]}]\n";
            std::fs::write(&file, text).expect("the directory can be written");
            let since = clock::now();
            let store =
                Store::open(directory.path(), Settings::new(since.utc_ms)).expect("the history opens");
            let ingest = Ingest::new(Prefix::default(), store.id(), Arc::new(NoPast), since);
            let derived = Arc::new(Derived::new(None, SHORTEST, 0).expect("in memory"));
            let kept = Kept { raw: 86_400_000, minute: 86_400_000 };
            let series =
                Arc::new(Fleetwide::new(Arc::new(Recent::default()), derived, Some((store.reader(), kept))));
            let files = vec![file.display().to_string()];
            let config = RulesConfig { defaults: false, files, ..RulesConfig::default() };
            let ground =
                Ground { shared: Shared::new(ingest), series: Arc::clone(&series), news: Inbox::default() };
            let (rules, _) = Rules::start(config, ground).expect("a thread");
            Self { rules, series, since, _store: store, _directory: directory }
        }

        fn edge(&self) {
            let (labels, at) = (Labels::new([(METRIC_NAME, "edge")]), clock::now().utc_ms as i64);
            self.series.derived().push(&labels, at, 1.0);
            self.rules.told(&[Touched { labels, at }]);
        }

        fn fires(&self) -> bool {
            let view = self.rules.view();
            let rules = view.groups.iter().flat_map(|group| &group.rules);
            rules
                .into_iter()
                .any(|rule| matches!(rule, RuleView::Alerting(rule) if rule.state == State::Firing))
        }

        fn wait_until_it_fires(&self) {
            let patience = clock::now().plus(PATIENCE);
            while !self.fires() {
                assert!(clock::now().instant < patience.instant, "{:?}", self.rules.view());
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }

    impl Drop for Desk {
        fn drop(&mut self) {
            self.rules.0.stops.store(true, Ordering::Relaxed);
            self.rules.0.rings.notify_all();
        }
    }

    #[test]
    fn rules_begin_when_memory_is_warm_and_what_was_touched_before_is_kept() {
        let desk = Desk::new();
        desk.edge();
        std::thread::sleep(Duration::from_millis(200));
        let evaluations = desk.rules.overview().groups[0].counts;
        let is_early = clock::now().since(desk.since.instant) < Duration::from_secs(8);
        assert!(!is_early || evaluations.at_once + evaluations.regular == 0, "{evaluations:?}");
        desk.series.warm(&[], clock::now(), &|| false);
        desk.wait_until_it_fires();
    }

    #[test]
    fn a_thread_that_hangs_turns_no_more() {
        let desk = Desk::new();
        desk.series.warm(&[], clock::now(), &|| false);
        let turns = |desk: &Desk, patience: Duration| {
            let (turn, begun) = (desk.rules.turn(), clock::now());
            let turned_after = || turn.ago(clock::now()) < clock::now().since(begun.instant);
            while !turned_after() && clock::now().since(begun.instant) < patience {
                std::thread::sleep(Duration::from_millis(10));
            }
            turned_after()
        };
        assert!(turns(&desk, PATIENCE) && turns(&desk, PATIENCE), "with nothing to do it turns each second");
        let hangs = desk.rules.engine();
        // One that waits for its time turns once more.
        let still = (0..10).find(|_| !turns(&desk, Duration::from_secs(3)));
        assert!(still.is_some(), "it waits for what never comes");
        drop(hangs);
        assert!(turns(&desk, PATIENCE), "and goes on");
    }

    #[test]
    fn what_is_shown_waits_for_no_evaluation() {
        let desk = Desk::new();
        desk.series.warm(&[], clock::now(), &|| false);
        desk.edge();
        desk.wait_until_it_fires();
        let evaluating = desk.rules.engine();
        let (shown, seen) = mpsc::channel();
        let rules = desk.rules.clone();
        std::thread::spawn(move || shown.send(rules.view().groups.len()));
        assert_eq!(seen.recv_timeout(PATIENCE), Ok(1));
        drop(evaluating);
    }
}
