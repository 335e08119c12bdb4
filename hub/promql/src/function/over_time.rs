//! One number for all samples in a window: the `*_over_time` functions.
//!
//! NaN is a value: `min` and `max` prefer any number to it, everything else passes it on. An infinite average stays infinite unless an
//! infinity of the other sign or NaN meets it.

use super::kahan::Sum;
use super::{Window, quantile};

pub(super) fn avg(window: &Window<'_>) -> Option<f64> {
    let (mut mean, mut count) = (Sum::default(), 0.0);
    for sample in window.samples {
        count += 1.0;
        let so_far = mean.value();
        // Taking an infinite average from the same infinity would give NaN; a finite value changes nothing.
        if so_far.is_infinite() && (sample.value.is_finite() || sample.value == so_far) {
            continue;
        }
        mean.add(sample.value / count - so_far / count);
    }
    Some(mean.total())
}

pub(super) fn sum(window: &Window<'_>) -> Option<f64> {
    let mut sum = Sum::default();
    for sample in window.samples {
        sum.add(sample.value);
    }
    Some(sum.total())
}

pub(super) fn count(window: &Window<'_>) -> Option<f64> {
    Some(window.samples.len() as f64)
}

pub(super) fn last(window: &Window<'_>) -> Option<f64> {
    window.samples.last().map(|sample| sample.value)
}

pub(super) fn present(_: &Window<'_>) -> Option<f64> {
    Some(1.0)
}

pub(super) fn max(window: &Window<'_>) -> Option<f64> {
    extreme(window, |value, so_far| value > so_far)
}

pub(super) fn min(window: &Window<'_>) -> Option<f64> {
    extreme(window, |value, so_far| value < so_far)
}

fn extreme(window: &Window<'_>, beats: impl Fn(f64, f64) -> bool) -> Option<f64> {
    let values = window.samples.iter().map(|sample| sample.value);
    values.reduce(|so_far, value| if so_far.is_nan() || beats(value, so_far) { value } else { so_far })
}

pub(super) fn stddev(window: &Window<'_>) -> Option<f64> {
    stdvar(window).map(f64::sqrt)
}

/// Welford's recursion, both sums with their dropped parts.
pub(super) fn stdvar(window: &Window<'_>) -> Option<f64> {
    let (mut mean, mut squares, mut count) = (Sum::default(), Sum::default(), 0.0);
    for sample in window.samples {
        count += 1.0;
        let deviation = sample.value - mean.exact();
        mean.add(deviation / count);
        squares.add(deviation * (sample.value - mean.exact()));
    }
    Some(squares.exact() / count)
}

/// `quantile_over_time(0.9, x[5m])`: the scalar is 0.9.
pub(super) fn phi_quantile(window: &Window<'_>) -> Option<f64> {
    let mut values: Vec<f64> = window.samples.iter().map(|sample| sample.value).collect();
    Some(quantile::of(window.scalars[0], &mut values))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{every_ten_seconds, window};
    use super::*;

    const INF: f64 = f64::INFINITY;
    const NAN: f64 = f64::NAN;

    fn all(function: fn(&Window<'_>) -> Option<f64>, values: &[f64]) -> f64 {
        let samples = every_ten_seconds(values);
        function(&window(&samples, 0, 1_000_000)).expect("an answer")
    }

    #[test]
    fn plain_values() {
        let of = |function: fn(&Window<'_>) -> Option<f64>| all(function, &[1.0, 4.0, 1.0, 2.0]);
        assert_eq!([avg, sum, count, last, present, max, min].map(of), [2.0, 8.0, 4.0, 2.0, 1.0, 4.0, 1.0]);
        assert_eq!([stdvar, stddev].map(of), [1.5, 1.5f64.sqrt()]);
    }

    #[test]
    fn the_scalar_says_which_quantile() {
        let samples = every_ten_seconds(&[1.0, 4.0, 1.0, 2.0]);
        let window = Window { scalars: &[0.5], ..window(&samples, 0, 30_000) };
        assert_eq!(phi_quantile(&window), Some(1.5));
    }

    #[test]
    fn any_number_beats_nan_in_min_and_max() {
        assert_eq!(all(max, &[NAN, -INF, NAN]), -INF);
        assert_eq!(all(min, &[NAN, INF, 3.0, NAN]), 3.0);
        assert!(all(min, &[NAN, NAN]).is_nan());
    }

    #[test]
    fn an_infinite_average_stays_until_its_opposite_comes() {
        assert_eq!(all(avg, &[1.0, INF, 2.0, INF, -3.0]), INF);
        assert_eq!(all(avg, &[-INF, 5.0]), -INF);
        assert!(all(avg, &[INF, -INF, 1.0]).is_nan());
        assert!(all(avg, &[INF, NAN]).is_nan());
    }

    #[test]
    fn averages_of_large_values_do_not_overflow() {
        assert_eq!(all(avg, &[1.5e308, 1.5e308, 1.5e308]), 1.5e308);
        assert_eq!(all(sum, &[1.5e308, 1.5e308]), INF);
    }

    #[test]
    fn deviation_of_a_constant_is_zero() {
        assert_eq!(all(stddev, &[1.599_050_586_376_3e9; 7]), 0.0);
    }

    #[test]
    fn deviation_with_an_infinity_is_unknown() {
        assert!(all(stdvar, &[1.0, INF]).is_nan());
    }
}
