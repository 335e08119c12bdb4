//! Metrics whose names are not known when the agent is built: each distinct one is kept for good.
//!
//! All of the agent holds metrics as `&'static Metric` and tells them apart by where they are, so one of a program's own is made once and
//! leaked. Invariant: no more than [`MOST`] in the life of the process, some 300 bytes each, whatever programs print.

use super::text::Pairs;
use rackside_proto::Kind;
use rackside_proto::metric::Metric;
use std::sync::{Mutex, PoisonError};

/// Most distinct metrics of all programs together.
pub(super) const MOST: usize = 256;
/// Labels that every probe's metric begins with.
const EVERYBODYS: [&str; 2] = ["probe", "stream"];

static NAMES: Mutex<Names> = Mutex::new(Names(Vec::new()));

/// The metric of that name, kind, and labels beside `probe` and `stream`; nothing when there are too many already.
pub(super) fn metric(name: &str, kind: Kind, labels: &Pairs) -> Option<&'static Metric> {
    NAMES.lock().unwrap_or_else(PoisonError::into_inner).metric(name, kind, labels)
}

/// Those that were made.
#[derive(Debug)]
struct Names(Vec<&'static Metric>);

impl Names {
    fn metric(&mut self, name: &str, kind: Kind, labels: &Pairs) -> Option<&'static Metric> {
        let names = || labels.iter().map(|(name, _)| name.as_str());
        let is_it = |metric: &&&'static Metric| {
            let own = metric.labels.iter().copied().skip(EVERYBODYS.len());
            metric.name == name && metric.kind == kind && own.eq(names())
        };
        if let Some(metric) = self.0.iter().find(is_it) {
            return Some(metric);
        }
        if self.0.len() >= MOST {
            return None;
        }
        let leak = |text: &str| -> &'static str { Box::leak(text.into()) };
        let labels: Vec<&'static str> = EVERYBODYS.into_iter().chain(names().map(leak)).collect();
        let labels = Box::leak(labels.into_boxed_slice());
        let made =
            Metric { name: leak(name), unit: "", kind, labels, help: "Of a program of the user's own" };
        let made: &'static Metric = Box::leak(Box::new(made));
        self.0.push(made);
        Some(made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_metric_is_made_once_and_there_is_an_end_to_it() {
        let mut names = Names(Vec::new());
        let mut metric = |name: &str, kind, labels: &Pairs| names.metric(name, kind, labels);
        let label = |name: &str| vec![(name.to_owned(), "x".to_owned())];
        let one = metric("names_test_one", Kind::Gauge, &label("fan")).expect("room");
        assert_eq!((one.name, one.labels), ("names_test_one", &["probe", "stream", "fan"][..]));
        let again = metric("names_test_one", Kind::Gauge, &label("fan")).expect("it is there");
        assert!(std::ptr::eq(one, again));
        let other = metric("names_test_one", Kind::Gauge, &label("disk")).expect("room");
        assert!(!std::ptr::eq(one, other));
        let made = (0..2 * MOST)
            .filter(|at| metric(&format!("names_test_{at}"), Kind::Gauge, &Vec::new()).is_some())
            .count();
        assert_eq!(made, MOST - 2);
        assert!(metric("names_test_one", Kind::Gauge, &label("fan")).is_some(), "who is known stays");
    }
}
