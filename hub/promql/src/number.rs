//! Numbers as Go writes them, in the ways in which Prometheus lets it: without an exponent, which is how `count_values` makes labels of
//! them, and as the HTTP API writes samples, where the largest and the smallest have one.
//!
//! Sample: 1e21 is `1000000000000000000000` for `count_values` and `1e+21` in a JSON answer.

/// As Go's `strconv.FormatFloat(v, 'f', -1, 64)`: the fewest digits that give the number back, never an exponent.
pub fn format_float(value: f64) -> String {
    match value {
        value if value.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        value => value.to_string(),
    }
}

/// As the HTTP API of Prometheus writes the value of a sample in JSON, without its quotes: with an exponent below 1e-6 and from 1e21 on.
pub fn format_value(value: f64) -> String {
    if value == 0.0 || !value.is_finite() || (1e-6..1e21).contains(&value.abs()) {
        return format_float(value);
    }
    exponential(value)
}

/// As Go's `fmt.Sprint(v)`, which is how Prometheus prints the numbers of a query: with an exponent below 1e-4 and from 1e6 on.
pub(crate) fn format_general(value: f64) -> String {
    if value == 0.0 || !value.is_finite() || (1e-4..1e6).contains(&value.abs()) {
        return format_float(value);
    }
    exponential(value)
}

/// As Go's `strconv.FormatFloat(v, 'e', -1, 64)`: the exponent has a sign and two digits or three.
fn exponential(value: f64) -> String {
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').expect("the format has an exponent");
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
    format!("{digits}e{sign}{exponent:0>2}")
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
    fn samples_have_an_exponent_where_prometheus_writes_one() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1e-6, "0.000001"),
            (9.99e-7, "9.99e-07"),
            (-1.5e-300, "-1.5e-300"),
            (123_456_789.125, "123456789.125"),
            (-999_999_999_999_999_900_000.0, "-999999999999999900000"),
            (1e21, "1e+21"),
            (1.25e100, "1.25e+100"),
        ] {
            assert_eq!(format_value(value), text);
        }
        assert_eq!([f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(format_value), ["NaN", "+Inf", "-Inf"]);
    }
}
