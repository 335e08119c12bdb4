//! The φ-quantile of some values: what `quantile_over_time` and the aggregation `quantile` share.

use std::cmp::Ordering;

/// Between two values by their distance to the rank. NaN counts as the smallest value. Below 0 and above 1 there are only the
/// infinities; of no values and for φ = NaN the answer is NaN. Reorders `values`.
pub(crate) fn of(phi: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || phi.is_nan() {
        return f64::NAN;
    }
    if phi < 0.0 {
        return f64::NEG_INFINITY;
    }
    if phi > 1.0 {
        return f64::INFINITY;
    }
    let rank = phi * (values.len() - 1) as f64;
    let weight = rank - rank.floor();
    let (_, below, rest) = values.select_nth_unstable_by(rank.floor() as usize, |a, b| nan_first(*a, *b));
    let below = *below;
    // The last value has none above it, and needs none.
    let above = rest.iter().copied().min_by(|a, b| nan_first(*a, *b)).unwrap_or(below);
    below * (1.0 - weight) + above * weight
}

fn nan_first(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_between_two_are_weighted() {
        let mut values = [3.0, 1.0, 2.0, 10.0];
        for (phi, expected) in [(0.0, 1.0), (0.5, 2.5), (0.75, 4.75), (1.0, 10.0)] {
            assert_eq!(of(phi, &mut values), expected, "{phi}");
        }
        assert_eq!(of(0.3, &mut [7.0]), 7.0);
    }

    #[test]
    fn outside_of_zero_and_one_there_are_infinities() {
        assert_eq!(of(-0.1, &mut [1.0]), f64::NEG_INFINITY);
        assert_eq!(of(1.1, &mut [1.0]), f64::INFINITY);
        assert!(of(f64::NAN, &mut [1.0]).is_nan());
        assert!(of(2.0, &mut []).is_nan());
    }

    #[test]
    fn nan_is_below_every_value() {
        assert!(of(0.0, &mut [1.0, f64::NAN, 2.0]).is_nan());
        assert_eq!(of(1.0, &mut [1.0, f64::NAN, 2.0]), 2.0);
        assert_eq!(of(0.5, &mut [f64::NEG_INFINITY, f64::NAN, 2.0]), f64::NEG_INFINITY);
    }

    #[test]
    fn an_infinity_without_weight_makes_the_answer_nan() {
        // As with Prometheus: 0 times an infinity.
        assert!(of(0.0, &mut [1.0, f64::INFINITY]).is_nan());
    }
}
