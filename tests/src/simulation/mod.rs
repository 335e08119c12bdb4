//! Simulated appliances: as many as wanted, over real MQTT, honouring custody.
//!
//! Their series are those of the realistic [`day`](crate::day). Each appliance is a task that connects (with its Last Will), says that it is there, publishes its birth and its
//! catalog, then a reading at each tick, and keeps every record until an ack covers it. So what a run reports is what real
//! agents would see: how many records went out, how many were acknowledged and when, and whether any is left over.
//! One or two threads, each with a runtime of its own; nothing is shared between appliances but the numbers in [`Tally`].
//!
//! Not here: sensors. The real agent has those; this is for loading a hub.

mod appliance;
mod custody;
mod discard;
mod options;
mod tally;
mod transport;

pub use discard::Discard;
pub use options::{Mode, SimulationOptions, Transport};
pub use tally::{Percentiles, Report, Tally};

use crate::clock;
use appliance::Appliance;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How long the end of a run may take: until the last record is acknowledged, and the connections are closed.
const WIND_DOWN: Duration = Duration::from_secs(20);

/// A fleet under way.
#[derive(Debug)]
pub struct Simulation {
    tally: Arc<Tally>,
    phase: watch::Sender<Phase>,
    threads: Vec<thread::JoinHandle<()>>,
}

/// What all appliances are doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Making records.
    Working,
    /// Losing their power one after another, from a moment on and over so long; then dark.
    Dark {
        /// When the first one goes.
        from: Instant,
        /// How long it is until the last one does.
        over: Duration,
    },
    /// Making none any more, waiting for the last acks.
    Finishing,
    /// Gone.
    Over,
}

impl Simulation {
    /// Starts every appliance; they connect one after another over `options.ramp`.
    pub fn start(options: &SimulationOptions) -> Result<Self, String> {
        let options = Arc::new(options.clone());
        let shared = transport::shared(&options.transport)?;
        let tally = Arc::new(Tally::default());
        let (phase, watch) = watch::channel(Phase::Working);
        let workers = options.threads.clamp(1, 2);
        let start = clock::now();
        let mut threads = Vec::new();
        for worker in 0..workers {
            let (options, tally, watch) = (Arc::clone(&options), Arc::clone(&tally), watch.clone());
            let numbers = (worker..options.appliances).step_by(workers);
            let fleet = numbers
                .map(|number| Ok((number, transport::of(number, &options.transport, shared.as_ref())?)))
                .collect::<Result<Vec<_>, String>>()?;
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| format!("cannot start a runtime: {error}"))?;
            threads.push(thread::spawn(move || {
                let local = tokio::task::LocalSet::new();
                for (number, tls) in fleet {
                    let appliance =
                        Appliance::new(number, &options, start, Arc::clone(&tally), watch.clone(), tls);
                    local.spawn_local(appliance.run());
                }
                runtime.block_on(local);
            }));
        }
        Ok(Self { tally, phase, threads })
    }

    /// The numbers so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Waits until every appliance is connected.
    pub fn wait_connected(&self, appliances: usize, within: Duration) -> bool {
        clock::eventually(within, || (self.tally.connected() >= appliances as u64).then_some(())).is_some()
    }

    /// Takes the power away from one appliance after another: connections break without a goodbye.
    pub fn lose_power(&self, over: Duration) {
        let _ = self.phase.send(Phase::Dark { from: clock::now(), over });
    }

    /// Gives it back to all of them.
    pub fn regain_power(&self) {
        let _ = self.phase.send(Phase::Working);
    }

    /// Ends it: no more records, then patience for the last acks, then the connections are closed.
    pub fn finish(mut self) -> Report {
        let _ = self.phase.send(Phase::Finishing);
        let settled = clock::eventually(WIND_DOWN, || self.tally.is_settled().then_some(()));
        let _ = self.phase.send(Phase::Over);
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so on stderr already.
            let _ = thread.join();
        }
        self.tally.report(settled.is_some())
    }
}

impl Drop for Simulation {
    fn drop(&mut self) {
        let _ = self.phase.send(Phase::Over);
    }
}

/// The seed's next number: Steele, Lea and Flood's `SplitMix64`, because a run must be repeatable and nothing more.
pub(crate) fn random(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
