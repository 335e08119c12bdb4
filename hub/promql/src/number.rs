//! Numbers as Go writes them, and the one statistic that an aggregation and a function of windows share.

/// As Go's `strconv.FormatFloat(v, 'f', -1, 64)`: the fewest digits that give the number back, never an exponent.
pub fn format_float(value: f64) -> String {
    match value {
        value if value.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        value => value.to_string(),
    }
}

/// The `q`-quantile of values in any order, between two of them if need be; NaN counts as the smallest.
pub(crate) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    values.sort_unstable_by(|one, other| match (one.is_nan(), other.is_nan()) {
        (false, false) => one.total_cmp(other),
        (one, other) => other.cmp(&one),
    });
    let rank = q * (values.len() - 1) as f64;
    let weight = rank - rank.floor();
    let lower = rank.floor() as usize;
    let upper = (lower + 1).min(values.len() - 1);
    values[lower] * (1.0 - weight) + values[upper] * weight
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_go_writes_them() {
        for (value, text) in
            [(1.0, "1"), (-0.0, "-0"), (0.1, "0.1"), (1e21, "1000000000000000000000"), (1.5e-7, "0.00000015")]
        {
            assert_eq!(format_float(value), text);
        }
        assert_eq!([f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(format_float), ["NaN", "+Inf", "-Inf"]);
    }

    #[test]
    fn a_quantile_lies_between_its_neighbours_and_nan_is_the_smallest() {
        assert_eq!(quantile(0.5, &mut [3.0, 1.0]), 2.0);
        assert_eq!(quantile(1.0, &mut [3.0, f64::NAN, 1.0]), 3.0);
        assert!(quantile(0.0, &mut [3.0, f64::NAN, 1.0]).is_nan());
        assert_eq!(
            (quantile(-0.1, &mut [1.0]), quantile(1.1, &mut [1.0])),
            (f64::NEG_INFINITY, f64::INFINITY)
        );
        assert!(quantile(f64::NAN, &mut [1.0]).is_nan() && quantile(0.5, &mut []).is_nan());
    }
}
