//! What a fleet counts.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Steps per doubling: percentiles are exact to 3 %.
const STEPS: usize = 32;
/// Doublings of a microsecond: up to 35 minutes.
const DOUBLINGS: usize = 31;

/// Running numbers of a whole fleet.
#[derive(Debug)]
pub struct Tally {
    connected: AtomicU64,
    hearing: AtomicU64,
    connects: AtomicU64,
    failures: AtomicU64,
    made: AtomicU64,
    sent: AtomicU64,
    resent: AtomicU64,
    published: AtomicU64,
    acked: AtomicU64,
    acks: AtomicU64,
    bytes: AtomicU64,
    latencies: Vec<AtomicU64>,
    last_failure: std::sync::Mutex<Option<String>>,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            connected: AtomicU64::new(0),
            hearing: AtomicU64::new(0),
            connects: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            made: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            resent: AtomicU64::new(0),
            published: AtomicU64::new(0),
            acked: AtomicU64::new(0),
            acks: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            latencies: (0..STEPS * DOUBLINGS).map(|_| AtomicU64::new(0)).collect(),
            last_failure: std::sync::Mutex::new(None),
        }
    }
}

/// The end of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Connections made.
    pub connects: u64,
    /// Connections that failed or broke.
    pub failures: u64,
    /// Why the last of them did.
    pub last_failure: Option<String>,
    /// Records made.
    pub made: u64,
    /// Records sent, the repeated ones not counted.
    pub sent: u64,
    /// Records sent once more.
    pub resent: u64,
    /// PUBACKs received.
    pub published: u64,
    /// Records acknowledged.
    pub acked: u64,
    /// Acks received.
    pub acks: u64,
    /// Bytes of data records' bodies sent.
    pub bytes: u64,
    /// From a record's making to the ack that covers it.
    pub latency: Percentiles,
    /// Whether every record was acknowledged at the end.
    pub is_complete: bool,
}

/// Some percentiles of a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Percentiles {
    /// Half took at most this.
    pub p50: Duration,
    /// 90 % did.
    pub p90: Duration,
    /// 99 % did.
    pub p99: Duration,
    /// All did.
    pub max: Duration,
}

fn add(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

impl Tally {
    pub(crate) fn came(&self) {
        add(&self.connected, 1);
        add(&self.connects, 1);
    }

    pub(crate) fn went(&self) {
        self.connected.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn heard_the_hub(&self) {
        add(&self.hearing, 1);
    }

    pub(crate) fn lost_the_hub(&self) {
        self.hearing.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn failed(&self, why: String) {
        add(&self.failures, 1);
        *self.last_failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(why);
    }

    pub(crate) fn made(&self) {
        add(&self.made, 1);
    }

    pub(crate) fn sent(&self, bytes: usize, again: bool) {
        add(if again { &self.resent } else { &self.sent }, 1);
        add(&self.bytes, bytes as u64);
    }

    pub(crate) fn published(&self, messages: u64) {
        add(&self.published, messages);
    }

    pub(crate) fn ack(&self) {
        add(&self.acks, 1);
    }

    pub(crate) fn acked(&self, after: Duration) {
        add(&self.acked, 1);
        if let Some(step) = self.latencies.get(step(after)) {
            add(step, 1);
        }
    }

    /// How many are connected now.
    pub fn connected(&self) -> u64 {
        read(&self.connected)
    }

    /// How many have had an ack on their present connection.
    pub fn hearing(&self) -> u64 {
        read(&self.hearing)
    }

    /// Records acknowledged so far.
    pub fn acked_so_far(&self) -> u64 {
        read(&self.acked)
    }

    /// Records sent so far, each once.
    pub fn sent_so_far(&self) -> u64 {
        read(&self.sent)
    }

    /// Whether every record is acknowledged.
    pub fn is_settled(&self) -> bool {
        read(&self.acked) >= read(&self.made)
    }

    pub(crate) fn report(&self, is_complete: bool) -> Report {
        let last_failure =
            self.last_failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        Report {
            connects: read(&self.connects),
            failures: read(&self.failures),
            last_failure,
            made: read(&self.made),
            sent: read(&self.sent),
            resent: read(&self.resent),
            published: read(&self.published),
            acked: read(&self.acked),
            acks: read(&self.acks),
            bytes: read(&self.bytes),
            latency: self.latency(),
            is_complete,
        }
    }

    /// From records' making to their acks, so far.
    pub fn latency(&self) -> Percentiles {
        Percentiles {
            p50: self.percentile(0.5),
            p90: self.percentile(0.9),
            p99: self.percentile(0.99),
            max: self.percentile(1.0),
        }
    }

    /// Lets [`latency`](Self::latency) begin anew.
    pub fn forget_latencies(&self) {
        for step in &self.latencies {
            step.store(0, Ordering::Relaxed);
        }
    }

    fn percentile(&self, share: f64) -> Duration {
        let counts: Vec<u64> = self.latencies.iter().map(read).collect();
        let wanted = (counts.iter().sum::<u64>() as f64 * share).ceil() as u64;
        let mut sum = 0;
        for (at, count) in counts.iter().enumerate() {
            sum += count;
            if *count > 0 && sum >= wanted {
                return upper_end(at);
            }
        }
        Duration::ZERO
    }
}

/// Which step a time falls into: the doubling, then where in it.
fn step(time: Duration) -> usize {
    let micros = (time.as_micros() as u64).max(1);
    let doubling = micros.ilog2() as usize;
    let within = (u128::from(micros - (1 << doubling)) * STEPS as u128) >> doubling;
    (doubling * STEPS + within as usize).min(STEPS * DOUBLINGS - 1)
}

fn upper_end(step: usize) -> Duration {
    let (doubling, within) = (step / STEPS, step % STEPS);
    Duration::from_micros((1_u64 << doubling) + (((within as u64 + 1) << doubling) / STEPS as u64))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "connects    {}   failures {}", self.connects, self.failures)?;
        if let Some(why) = &self.last_failure {
            writeln!(f, "last failure: {why}")?;
        }
        writeln!(f, "records     made {}   sent {}   resent {}", self.made, self.sent, self.resent)?;
        writeln!(f, "PUBACKs     {}   acks {}   bytes of data {}", self.published, self.acks, self.bytes)?;
        let Percentiles { p50, p90, p99, max } = self.latency;
        writeln!(f, "latency     p50 {p50:?}   p90 {p90:?}   p99 {p99:?}   max {max:?}")?;
        let missing = self.made - self.acked.min(self.made);
        write!(f, "acked       {} of {}   missing {missing}", self.acked, self.made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_exact_to_a_few_per_cent() {
        let tally = Tally::default();
        for micros in 1..=10_000 {
            tally.acked(Duration::from_micros(micros));
        }
        for (share, micros) in [(0.5, 5_000), (0.9, 9_000), (0.99, 9_900), (1.0, 10_000)] {
            let found = tally.percentile(share).as_micros() as i64;
            assert!((found - micros).abs() * 100 <= micros * 4, "{share}: {found}");
        }
    }

    #[test]
    fn the_longest_time_has_a_step() {
        assert_eq!(step(Duration::from_secs(1 << 40)), STEPS * DOUBLINGS - 1);
        assert_eq!(step(Duration::ZERO), 0);
    }
}
