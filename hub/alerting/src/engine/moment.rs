//! Moments and numbers as Prometheus's API writes them: RFC 3339 in UTC, and Go's `%e`. Not a clock.
//!
//! Sample: 1,795,145,096,120 ms is `2026-11-20T03:24:56.12Z`; 78.5 is `7.85e+01`.

use crate::calendar::civil;

/// A moment in milliseconds since 1970, with as many digits of a second as it needs. Nothing is year 1, as Go's zero time.
pub(super) fn rfc3339(at: Option<i64>) -> String {
    let Some(at) = at else { return "0001-01-01T00:00:00Z".to_owned() };
    let (days, of_day) = (at.div_euclid(86_400_000), at.rem_euclid(86_400_000));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (of_day / 3_600_000, of_day / 60_000 % 60, of_day / 1000 % 60);
    let fraction = match of_day % 1000 {
        0 => String::new(),
        milliseconds => format!(".{milliseconds:03}").trim_end_matches('0').to_owned(),
    };
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

/// A number as Go writes it with `%e` and as many digits as it needs.
pub(super) fn exponent(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
    format!("{digits}e{sign}{exponent:0>2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_the_calendar() {
        for (at, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (1_795_145_096_120, "2026-11-20T03:24:56.12Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (4_107_542_400_001, "2100-03-01T00:00:00.001Z"),
        ] {
            assert_eq!(rfc3339(Some(at)), text);
        }
        assert_eq!(rfc3339(None), "0001-01-01T00:00:00Z");
    }

    #[test]
    fn numbers_are_written_as_go_writes_them() {
        let cases = [
            (0.0, "0e+00"),
            (1.0, "1e+00"),
            (78.5, "7.85e+01"),
            (-1e-7, "-1e-07"),
            (1e300, "1e+300"),
            (0.1, "1e-01"),
        ];
        for (value, text) in cases {
            assert_eq!(exponent(value), text);
        }
        assert_eq!([f64::INFINITY, f64::NEG_INFINITY, f64::NAN].map(exponent), ["+Inf", "-Inf", "NaN"]);
    }
}
