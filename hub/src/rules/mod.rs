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

use crate::ingest::Ingest;
use crate::ingest::task::{Shared, Watcher};
use crate::query::{Fleetwide, Touched};
use crate::shutdown;
use rackside_alerting::{Engine, Overview, RulesView};
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
}

/// What rules stand on.
#[derive(Debug, Clone)]
pub struct Ground {
    /// The fleet, for who is silent.
    pub shared: Shared,
    /// What they read, and where what they make goes; the database behind it is where alerts outlast the hub.
    pub series: Arc<Fleetwide>,
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

    /// These series changed out of turn. Takes no time.
    pub fn told(&self, touched: Vec<Touched>) {
        let mut inbox = self.inbox();
        let room = TOUCHES.saturating_sub(inbox.len());
        inbox.extend(touched.into_iter().take(room));
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

    /// All rules and their alerts. Waits while a group is evaluated, which may ask ingest for who is silent: not while ingest is held.
    pub fn view(&self) -> RulesView {
        self.engine().rules()
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

    fn touched(&mut self, touched: Vec<Touched>) {
        self.told(touched);
    }
}
