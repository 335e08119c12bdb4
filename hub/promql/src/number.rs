//! Numbers as Go writes them without an exponent, which is how `count_values` makes labels of them. Not how the JSON API writes samples:
//! there the largest and the smallest have an exponent.

/// As Go's `strconv.FormatFloat(v, 'f', -1, 64)`: the fewest digits that give the number back, never an exponent.
pub fn format_float(value: f64) -> String {
    match value {
        value if value.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        value => value.to_string(),
    }
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
}
