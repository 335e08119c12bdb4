//! How a series changed within a window: `rate`, `increase`, `delta`, `irate`, `idelta`, `changes`, `resets`.
//!
//! `rate` and `increase` take the series for a counter: a value below its predecessor is a restart at zero. The change between the
//! first and the last sample is extrapolated to the whole window, except where the series evidently begins or ends within it, and never
//! to before a counter was zero. Two samples are the least; with fewer there is no answer.

use super::Window;
use crate::sample::Sample;

/// Up to this many times the average distance between two samples a series is taken to go on to the end of the window.
const GAP_TOLERANCE: f64 = 1.1;

pub(super) fn rate(window: &Window<'_>) -> Option<f64> {
    // Into the factor first, as Prometheus rounds it.
    extrapolate(window, grown(window.samples), Kind::Counter, seconds(window.from, window.to))
}

pub(super) fn increase(window: &Window<'_>) -> Option<f64> {
    extrapolate(window, grown(window.samples), Kind::Counter, 1.0)
}

pub(super) fn delta(window: &Window<'_>) -> Option<f64> {
    extrapolate(window, difference(window.samples), Kind::Gauge, 1.0)
}

pub(super) fn irate(window: &Window<'_>) -> Option<f64> {
    let (before, last) = last_two(window.samples)?;
    let grown = if last.value < before.value { last.value } else { last.value - before.value };
    Some(grown / seconds(before.at, last.at))
}

pub(super) fn idelta(window: &Window<'_>) -> Option<f64> {
    last_two(window.samples).map(|(before, last)| last.value - before.value)
}

pub(super) fn changes(window: &Window<'_>) -> Option<f64> {
    Some(count_pairs(window.samples, |from, to| from != to && !(from.is_nan() && to.is_nan())))
}

pub(super) fn resets(window: &Window<'_>) -> Option<f64> {
    Some(count_pairs(window.samples, |from, to| to < from))
}

fn count_pairs(samples: &[Sample], counts: impl Fn(f64, f64) -> bool) -> f64 {
    samples.array_windows().filter(|[from, to]| counts(from.value, to.value)).count() as f64
}

fn last_two(samples: &[Sample]) -> Option<(Sample, Sample)> {
    match samples {
        // At the end of all time samples may be equally old.
        [.., before, last] if before.at < last.at => Some((*before, *last)),
        _ => None,
    }
}

fn difference(samples: &[Sample]) -> f64 {
    match samples {
        [first, .., last] => last.value - first.value,
        _ => 0.0,
    }
}

/// The difference, plus what each restart threw away.
fn grown(samples: &[Sample]) -> f64 {
    let fell = |[from, to]: &[Sample; 2]| to.value < from.value;
    let grown = difference(samples);
    // Most windows have no restart. To look for one without a branch takes a third of the time of adding up at once.
    if !samples.array_windows().fold(false, |any, pair| any | fell(pair)) {
        return grown;
    }
    let restarts = samples.array_windows().filter(|pair| fell(pair));
    restarts.fold(grown, |grown, [from, _]| grown + from.value)
}

fn seconds(from: i64, to: i64) -> f64 {
    to.saturating_sub(from) as f64 / 1000.0
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
}

/// `change` is from the first to the last sample; the answer is for the whole window, divided by `per`.
fn extrapolate(window: &Window<'_>, change: f64, kind: Kind, per: f64) -> Option<f64> {
    let [first, .., last] = window.samples else { return None };
    let mut before = seconds(window.from, first.at);
    let after = seconds(last.at, window.to);
    let sampled = seconds(first.at, last.at);
    let distance = sampled / (window.samples.len() - 1) as f64;
    if kind == Kind::Counter && change > 0.0 && first.value >= 0.0 {
        let since_zero = sampled * (first.value / change);
        if since_zero < before {
            before = since_zero;
        }
    }
    let mut covered = sampled;
    for gap in [before, after] {
        covered += if gap < distance * GAP_TOLERANCE { gap } else { distance / 2.0 };
    }
    Some(change * (covered / sampled / per))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{every_ten_seconds, window};
    use super::*;

    fn all(function: fn(&Window<'_>) -> Option<f64>, values: &[f64]) -> Option<f64> {
        let samples = every_ten_seconds(values);
        function(&window(&samples, 0, samples.last().expect("a sample").at))
    }

    #[test]
    fn a_restart_of_a_counter_counts_from_zero() {
        assert_eq!(all(increase, &[5.0, 8.0, 2.0, 4.0]), Some(7.0));
        assert_eq!(all(rate, &[5.0, 8.0, 2.0, 5.0]), Some(8.0 * (1.0 / 30.0)));
        assert_eq!(all(delta, &[5.0, 8.0, 2.0, 4.0]), Some(-1.0));
        assert_eq!(all(irate, &[5.0, 8.0, 2.0]), Some(0.2));
        assert_eq!(all(idelta, &[5.0, 8.0, 2.0]), Some(-6.0));
    }

    #[test]
    fn one_sample_has_no_rate_but_changes_and_resets() {
        for function in [rate, increase, delta, irate, idelta] {
            assert_eq!(all(function, &[5.0]), None);
        }
        assert_eq!(all(changes, &[5.0]), Some(0.0));
        assert_eq!(all(resets, &[5.0]), Some(0.0));
    }

    #[test]
    fn nan_after_nan_is_no_change() {
        assert_eq!(all(changes, &[1.0, f64::NAN, f64::NAN, 1.0, 1.0, 2.0]), Some(3.0));
        assert_eq!(all(resets, &[3.0, f64::NAN, 1.0, 0.0]), Some(1.0));
    }

    #[test]
    fn extrapolation_ends_where_the_series_does() {
        let samples = every_ten_seconds(&[100.0, 110.0, 120.0]);
        // 5 s before and after: within 1.1 distances, so the window is taken as covered.
        assert_eq!(increase(&window(&samples, -5_000, 25_000)), Some(30.0));
        // 30 s before and after: half a distance on either side.
        assert_eq!(increase(&window(&samples, -30_000, 50_000)), Some(30.0));
    }

    #[test]
    fn extrapolation_stops_where_a_counter_was_zero() {
        let samples = every_ten_seconds(&[2.0, 12.0]);
        assert_eq!(increase(&window(&samples, -10_000, 10_000)), Some(12.0));
        assert_eq!(delta(&window(&samples, -10_000, 10_000)), Some(20.0));
    }
}
