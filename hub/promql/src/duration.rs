//! Durations as Prometheus writes them, in queries, rule files and parameters: `1d12h`, `5m`, `90s`, `1y`, in this order of units and without fractions.

use crate::error::ParseError;

/// The units in the order in which they must be written, in milliseconds.
const UNITS: [(&str, u64); 7] = [
    ("y", 31_536_000_000),
    ("w", 604_800_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// The longest duration: what Go counts in nanoseconds in 63 bits, 292 years, in milliseconds.
const LONGEST: u64 = i64::MAX as u64 / 1_000_000;

/// Why a text is no duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misread {
    /// It is not written as one.
    Malformed,
    /// It is longer than 292 years.
    OutOfRange,
}

/// Milliseconds of a duration: `1h30m`, `0s`. An empty text is none at all, and 0: whether that will do is for who asks.
pub fn read(text: &str) -> Result<u64, Misread> {
    let mut rest = text;
    let mut total: u64 = 0;
    let mut units = UNITS.iter();
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
        let (unit, after) = after.split_at(after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len()));
        let (_, milliseconds) = units.find(|(name, _)| *name == unit).ok_or(Misread::Malformed)?;
        if number.is_empty() {
            return Err(Misread::Malformed);
        }
        let part = number.parse::<u64>().ok().and_then(|number| number.checked_mul(*milliseconds));
        total = part
            .and_then(|part| total.checked_add(part))
            .filter(|total| *total <= LONGEST)
            .ok_or(Misread::OutOfRange)?;
        rest = after;
    }
    Ok(total)
}

/// Milliseconds of a duration in a query; at least 1.
pub(crate) fn parse(text: &str) -> Result<u64, ParseError> {
    match read(text) {
        Ok(0) => Err(ParseError::Meaning("duration must be greater than 0".to_owned())),
        Ok(milliseconds) => Ok(milliseconds),
        Err(Misread::Malformed) => Err(ParseError::Meaning(format!("not a valid duration string: {text:?}"))),
        Err(Misread::OutOfRange) => Err(ParseError::Meaning(format!("duration out of range: {text:?}"))),
    }
}

/// A duration in a form that every parser reads alike: no part of it needs more than 32 bits.
pub(crate) fn plain(milliseconds: u64) -> String {
    let (days, rest) = (milliseconds / 86_400_000, milliseconds % 86_400_000);
    match (days, rest) {
        (0, rest) => format!("{rest}ms"),
        (days, 0) => format!("{days}d"),
        (days, rest) => format!("{days}d{rest}ms"),
    }
}

/// A duration as Prometheus prints it: years and weeks only if nothing is left over, `1h30m`, `90d`.
pub fn printed(milliseconds: i64) -> String {
    let mut rest = milliseconds.unsigned_abs();
    let mut text = String::new();
    for (unit, length) in UNITS {
        let is_exact = rest.is_multiple_of(length);
        if rest >= length && (is_exact || !matches!(unit, "y" | "w")) {
            text.extend([(rest / length).to_string().as_str(), unit]);
            rest %= length;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_add_up_in_their_order() {
        assert_eq!(
            parse("1y2w3d4h5m6s7ms"),
            Ok(31_536_000_000 + 1_209_600_000 + 259_200_000 + 14_400_000 + 300_000 + 6_007)
        );
        assert_eq!(parse("90m"), Ok(5_400_000));
        for wrong in ["5", "m", "5x", "5s5m", "1.5h", "5m5m", "-5m", ""] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_overflows_is_refused_and_not_taken_for_zero() {
        assert!(parse("292y").is_ok());
        for wrong in ["293y", "99999999999999999999s", "18446744073709551615ms", "0s"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_printed_duration_has_years_and_weeks_only_by_themselves() {
        for (written, as_printed) in [
            ("300s", "5m"),
            ("90s", "1m30s"),
            ("3600001ms", "1h1ms"),
            ("24h", "1d"),
            ("14d", "2w"),
            ("15d", "15d"),
            ("1w1h", "7d1h"),
            ("730d", "2y"),
            ("366d", "366d"),
        ] {
            assert_eq!(parse(written).map(|ms| printed(ms as i64)), Ok(as_printed.to_owned()));
        }
    }

    #[test]
    fn the_plain_form_means_the_same() {
        for milliseconds in [1, 86_399_999, 86_400_000, 86_400_001, 9_223_372_036_854] {
            assert_eq!(parse(&plain(milliseconds)), Ok(milliseconds));
        }
    }
}
