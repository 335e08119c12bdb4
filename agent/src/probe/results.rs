//! What is known of a probe between its runs: the newest outcome, as series, until it is too old to be believed.
//!
//! Pure. A result stands for 2.5 times the probe's schedule after its run ended (and the timeout, which the next run may take), so that
//! one run that comes late is no gap; then every series of it is absent.

use super::config::Planned;
use super::outcome::Outcome;
use crate::panel::{Happened, Reading};
use rackside_proto::metric::{self, Metric};
use rackside_proto::{Kind, Scale, Value};
use std::time::{Duration, Instant};

/// A run's duration goes in tenths of a millisecond.
const DURATION: Scale = Scale::per(10_000);

/// A series of a probe, and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    /// What is measured.
    pub metric: &'static Metric,
    /// All of its labels.
    pub labels: Vec<String>,
    /// What one step of the number is worth.
    pub scale: Scale,
    /// The value.
    pub value: Value,
}

/// The newest outcome of a probe.
#[derive(Debug, Clone)]
pub struct Latest {
    /// When its run ended.
    pub at: Instant,
    /// How long that took.
    pub took: Duration,
    /// What it found.
    pub outcome: Outcome,
}

/// What is known of one probe.
#[derive(Debug, Default)]
pub struct Results {
    latest: Option<Latest>,
    series: Vec<Series>,
}

impl Results {
    /// The newest outcome, however old.
    pub const fn latest(&self) -> Option<&Latest> {
        self.latest.as_ref()
    }

    /// A run ended; the states that changed by it, each at that moment.
    pub fn take(&mut self, planned: &Planned, latest: Latest) -> Vec<Happened> {
        let fresh = series(planned, Some(&latest));
        let changed = fresh.iter().filter(|one| {
            let before = self.series.iter().find(|other| is_same(one, other)).map(|other| other.value);
            // What was never known is no news: it comes with the next reading, which has a catalog for it.
            one.metric.kind == Kind::State && before.is_some_and(|before| before != one.value)
        });
        let happened = |one: &Series| Happened {
            at: latest.at,
            reading: Reading { metric: one.metric, labels: one.labels.clone(), value: one.value },
        };
        let happened = changed.map(happened).collect();
        self.series = fresh;
        self.latest = Some(latest);
        happened
    }

    /// Its series at `now`.
    pub fn series(&self, planned: &Planned, now: Instant) -> Vec<Series> {
        let Some(latest) = &self.latest else { return series(planned, None) };
        let stands = planned.every * 5 / 2 + planned.timeout;
        let is_old = now.saturating_duration_since(latest.at) > stands;
        let value = |one: &Series| if is_old { Value::Absent } else { one.value };
        self.series.iter().map(|one| Series { value: value(one), ..one.clone() }).collect()
    }
}

fn is_same(one: &Series, other: &Series) -> bool {
    std::ptr::eq(one.metric, other.metric) && one.labels == other.labels
}

/// The series of an outcome; without one, those that every probe has, absent.
fn series(planned: &Planned, latest: Option<&Latest>) -> Vec<Series> {
    let success = latest.map_or(Value::Absent, |latest| latest.outcome.state.value());
    let took = latest.map_or(Value::Absent, |latest| {
        DURATION.number(latest.took.as_secs_f64()).map_or(Value::Unknown, Value::Known)
    });
    let mut all = vec![
        Series {
            metric: &metric::PROBE_SUCCESS,
            labels: labels(&metric::PROBE_SUCCESS, planned, &[]),
            scale: Scale::ONE,
            value: success,
        },
        Series {
            metric: &metric::PROBE_DURATION,
            labels: labels(&metric::PROBE_DURATION, planned, &[]),
            scale: DURATION,
            value: took,
        },
    ];
    for sample in latest.iter().flat_map(|latest| &latest.outcome.samples) {
        let labels = labels(sample.metric, planned, &sample.labels);
        all.push(Series { metric: sample.metric, labels, scale: sample.scale, value: sample.value });
    }
    all
}

/// All labels of a metric: its own in their order, and those that every probe has by their names.
fn labels(metric: &Metric, planned: &Planned, own: &[String]) -> Vec<String> {
    let mut own = own.iter();
    let value = |name: &&str| match *name {
        "probe" => planned.common.name.clone(),
        "type" => planned.kind.name.to_owned(),
        "stream" => planned.common.stream.clone().unwrap_or_default(),
        _ => own.next().cloned().unwrap_or_default(),
    };
    metric.labels.iter().map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::super::config::{Config, FileProbes, General, check};
    use super::*;
    use crate::clock::Clock;
    use rackside_config::ConfigError;

    fn planned() -> Planned {
        let text = "[[tcp]]\nname = \"encoder\"\nstream = \"main\"\ntarget = \"192.0.2.1:80\"\n";
        let file: FileProbes = rackside_config::parse(text, "x").expect("a good table");
        let wrong = |key: &str, message: &dyn std::fmt::Display| ConfigError::at(text, "x", key, message);
        let Config { mut probes, .. } = check(General::default(), file, &wrong).expect("a good probe");
        probes.remove(0)
    }

    fn values(results: &Results, planned: &Planned, at: Instant) -> Vec<Value> {
        results.series(planned, at).iter().map(|series| series.value).collect()
    }

    #[test]
    fn a_result_stands_until_two_and_a_half_schedules_have_passed() {
        let (planned, at) = (planned(), Clock::now());
        let mut results = Results::default();
        assert_eq!(values(&results, &planned, at), [Value::Absent; 2]);
        let latest = Latest { at, took: Duration::from_micros(1820), outcome: Outcome::up() };
        assert_eq!(results.take(&planned, latest), [], "what was never known is no news");
        let stands = at + Duration::from_secs(30) * 5 / 2 + Duration::from_secs(5);
        assert_eq!(values(&results, &planned, stands), [Value::Known(1), Value::Known(18)]);
        let old = stands + Duration::from_millis(1);
        assert_eq!(values(&results, &planned, old), [Value::Absent; 2]);
        assert_eq!(results.series(&planned, old)[0].labels, ["encoder", "tcp", "main"]);
    }
}
