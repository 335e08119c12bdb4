//! What became of queries, for `/metrics`: how many, by outcome; how long they took; how many wait.
//!
//! A query's time is from when it was asked to when its answer was there, the time that it waited included, that to send it not.
//!
//! ```text
//! rackside_hub_queries_total{outcome="timeout"} 2
//! rackside_hub_query_seconds_bucket{le="0.01"} 40
//! ```

use crate::clock;
use crate::text::{Kind, Sink};
use rackside_promql::ErrorType;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// In the order of [`place`].
const OUTCOMES: [&str; 6] = ["success", "bad_data", "execution", "timeout", "canceled", "internal"];
/// Upper bounds of the histogram, in milliseconds and as they are written.
const BOUNDS: [(u64, &str); 8] = [
    (1, "0.001"),
    (10, "0.01"),
    (50, "0.05"),
    (100, "0.1"),
    (500, "0.5"),
    (1_000, "1.0"),
    (5_000, "5.0"),
    (30_000, "30.0"),
];

/// Where an outcome is counted; `None` is success.
fn place(failure: Option<ErrorType>) -> usize {
    match failure {
        None => 0,
        Some(ErrorType::BadData) => 1,
        Some(ErrorType::Execution) => 2,
        Some(ErrorType::Timeout) => 3,
        Some(ErrorType::Canceled) => 4,
        Some(ErrorType::Internal) => 5,
    }
}

/// What became of queries so far.
#[derive(Debug, Default)]
pub(super) struct Counts {
    waiting: AtomicU64,
    ended: Mutex<Ended>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Ended {
    outcomes: [u64; OUTCOMES.len()],
    /// Not added up.
    buckets: [u64; BOUNDS.len()],
    took: Duration,
}

impl Counts {
    /// A query is asked; it waits.
    pub(super) fn asked(self: &Arc<Self>) -> Running {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Running {
            counts: Arc::clone(self),
            since: clock::now().instant,
            is_waiting: true,
            // Dropped before it ended: whoever asked has gone.
            outcome: Some(ErrorType::Canceled),
        }
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    fn ended(&self) -> Ended {
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many have had this outcome.
    #[cfg(test)]
    pub(super) fn of(&self, outcome: &str) -> u64 {
        let at = OUTCOMES.iter().position(|name| *name == outcome).expect("an outcome");
        self.ended().outcomes[at]
    }

    /// As metrics.
    pub(super) fn write(&self, text: &mut dyn Sink) {
        let Ended { outcomes, buckets, took } = self.ended();
        let by_outcome = OUTCOMES.into_iter().zip(outcomes);
        let help = "Queries over the API that have ended, by outcome; those for series and labels among them";
        text.counters("rackside_hub_queries_total", help, "outcome", by_outcome);
        let help = "Queries that wait for others to end";
        text.gauge("rackside_hub_queries_waiting", "", help, self.waiting() as f64);
        let (name, help) =
            ("rackside_hub_query_seconds", "How long queries took, the time that they waited included");
        text.family(name, Kind::Histogram, "seconds", help);
        let bucket = format!("{name}_bucket");
        let mut sum = 0;
        for ((_, bound), count) in BOUNDS.iter().zip(buckets) {
            sum += count;
            text.sample(&bucket, &[("le", bound)], sum as f64);
        }
        let all: u64 = outcomes.iter().sum();
        text.sample(&bucket, &[("le", "+Inf")], all as f64);
        text.sample(&format!("{name}_sum"), &[], took.as_secs_f64());
        text.sample(&format!("{name}_count"), &[], all as f64);
    }
}

/// A query that has not ended. When it is dropped it has.
#[derive(Debug)]
pub(super) struct Running {
    counts: Arc<Counts>,
    since: Instant,
    is_waiting: bool,
    outcome: Option<ErrorType>,
}

impl Running {
    /// It waits no longer.
    pub(super) fn begins(&mut self) {
        if std::mem::take(&mut self.is_waiting) {
            self.counts.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        // Dropped from now on before it ended: it has panicked.
        self.outcome = Some(ErrorType::Internal);
    }

    /// What has become of it.
    pub(super) fn ended(&mut self, failure: Option<ErrorType>) {
        self.outcome = failure;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.is_waiting {
            self.counts.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        let took = clock::now().since(self.since);
        let mut ended = self.counts.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.outcomes[place(self.outcome)] += 1;
        ended.took += took;
        let bucket = BOUNDS.iter().position(|(ms, _)| took <= Duration::from_millis(*ms));
        if let Some(at) = bucket {
            ended.buckets[at] += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{Format, Text};

    #[test]
    fn what_ended_is_counted_once_and_what_waits_is_seen() {
        let counts = Arc::new(Counts::default());
        let (mut first, second) = (counts.asked(), counts.asked());
        assert_eq!(counts.waiting(), 2);
        first.begins();
        first.ended(None);
        drop((first, second));
        assert_eq!((counts.waiting(), counts.of("success"), counts.of("canceled")), (0, 1, 1));
        let mut broken = counts.asked();
        broken.begins();
        drop(broken);
        let mut text = Text::new(Format::Text, 0);
        counts.write(&mut text);
        for line in [
            "rackside_hub_queries_total{outcome=\"internal\"} 1",
            "rackside_hub_queries_waiting 0",
            "rackside_hub_query_seconds_bucket{le=\"+Inf\"} 3",
            "rackside_hub_query_seconds_count 3",
        ] {
            assert!(text.out.lines().any(|one| one == line), "{line}\n{}", text.out);
        }
    }
}
