//! Where a series is heading: `deriv`, `predict_linear` (least squares), `holt_winters` (smoothing by two factors).

use super::Window;
use super::kahan::Sum;
use crate::error::EvalError;
use crate::sample::Sample;

pub(super) fn deriv(window: &Window<'_>) -> Option<f64> {
    let [first, _, ..] = window.samples else { return None };
    Some(Line::through(window.samples, first.at).slope)
}

/// As many seconds after the step as the scalar says (not after the window's end, which an offset moves).
pub(super) fn predict_linear(window: &Window<'_>) -> Option<f64> {
    let [_, _, ..] = window.samples else { return None };
    let line = Line::through(window.samples, window.at);
    Some(line.slope * window.scalars[0] + line.value)
}

/// Double exponential smoothing. The scalars are the weights of new values and of new trends, each within (0, 1).
pub(super) fn holt_winters(window: &Window<'_>) -> Result<Option<f64>, EvalError> {
    let smoothing = within_one("invalid smoothing factor. Expected: 0 < sf < 1", window.scalars[0])?;
    let trending = within_one("invalid trend factor. Expected: 0 < tf < 1", window.scalars[1])?;
    let [first, second, ..] = window.samples else { return Ok(None) };
    let mut before = 0.0;
    let mut smoothed = first.value;
    let mut trend = second.value - first.value;
    for (i, sample) in window.samples.iter().enumerate().skip(1) {
        if i > 1 {
            trend = trending * (smoothed - before) + (1.0 - trending) * trend;
        }
        let next = smoothing * sample.value + (1.0 - smoothing) * (smoothed + trend);
        (before, smoothed) = (smoothed, next);
    }
    Ok(Some(smoothed))
}

/// NaN passes, as with Prometheus, and makes the answer NaN.
fn within_one(problem: &str, factor: f64) -> Result<f64, EvalError> {
    if factor <= 0.0 || factor >= 1.0 {
        return Err(EvalError::Argument(format!("{problem}, got: {factor:.6}")));
    }
    Ok(factor)
}

/// The line with the least squares of distances: units per second, and its value at a given time.
struct Line {
    slope: f64,
    value: f64,
}

impl Line {
    fn through(samples: &[Sample], at: i64) -> Self {
        let constant = samples[0].value;
        if samples.iter().all(|sample| sample.value == constant) {
            return if constant.is_infinite() {
                Self { slope: f64::NAN, value: f64::NAN }
            } else {
                Self { slope: 0.0, value: constant }
            };
        }
        let [mut times, mut values, mut products, mut squares] = [Sum::default(); 4];
        for sample in samples {
            let time = sample.at.saturating_sub(at) as f64 / 1000.0;
            times.add(time);
            values.add(sample.value);
            products.add(time * sample.value);
            squares.add(time * time);
        }
        let (times, values) = (times.exact(), values.exact());
        let count = samples.len() as f64;
        let slope = (products.exact() - times * values / count) / (squares.exact() - times * times / count);
        Self { slope, value: values / count - slope * times / count }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{every_ten_seconds, window};
    use super::*;

    #[test]
    fn a_straight_line_is_continued() {
        let samples = every_ten_seconds(&[0.0, 10.0, 20.0, 30.0]);
        let window = Window { scalars: &[60.0], ..window(&samples, 0, 30_000) };
        assert_eq!(deriv(&window), Some(1.0));
        assert_eq!(predict_linear(&window), Some(90.0));
        assert_eq!(predict_linear(&Window { at: 130_000, ..window }), Some(190.0));
    }

    #[test]
    fn a_constant_is_not_fitted() {
        let samples = every_ten_seconds(&[0.1; 5]);
        let window = Window { scalars: &[1e9], ..window(&samples, 0, 40_000) };
        assert_eq!(deriv(&window), Some(0.0));
        assert_eq!(predict_linear(&window), Some(0.1));
        let infinite = every_ten_seconds(&[f64::INFINITY; 2]);
        assert!(deriv(&Window { samples: &infinite, ..window }).is_some_and(f64::is_nan));
    }

    #[test]
    fn one_sample_has_no_trend() {
        let samples = every_ten_seconds(&[5.0]);
        let window = Window { scalars: &[0.5, 0.5], ..window(&samples, 0, 0) };
        assert_eq!(deriv(&window), None);
        assert_eq!(predict_linear(&window), None);
        assert_eq!(holt_winters(&window), Ok(None));
    }

    #[test]
    fn smoothing_follows_a_straight_line_exactly() {
        let samples = every_ten_seconds(&[1.0, 2.0, 3.0, 4.0]);
        let window = Window { scalars: &[0.25, 0.5], ..window(&samples, 0, 30_000) };
        assert_eq!(holt_winters(&window), Ok(Some(4.0)));
    }

    #[test]
    fn factors_outside_of_zero_and_one_are_refused() {
        let samples = every_ten_seconds(&[1.0]);
        for (scalars, said) in [
            ([0.0, 0.5], "invalid smoothing factor. Expected: 0 < sf < 1, got: 0.000000"),
            ([0.5, 1.5], "invalid trend factor. Expected: 0 < tf < 1, got: 1.500000"),
        ] {
            let window = Window { scalars: &scalars, ..window(&samples, 0, 0) };
            assert_eq!(holt_winters(&window), Err(EvalError::Argument(said.to_owned())));
        }
    }
}
