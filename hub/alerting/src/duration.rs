//! Durations as Prometheus writes them in rule files: `1h30m`, `15s`, `0`. Not those of the configuration, which are `Span`s.
//!
//! Units in falling order, each once: `y` (365 days), `w`, `d`, `h`, `m`, `s`, `ms`; whole numbers; `0` needs none. Printed with the same units,
//! and years, weeks and days only where nothing is left over.
//!
//! Sample: `1h30m` is 5,400,000 ms.

use std::fmt::Write as _;

/// The units in falling order, and their milliseconds; whether they are printed only when they fit exactly.
const UNITS: [(&str, u64, bool); 7] = [
    ("y", 31_536_000_000, true),
    ("w", 604_800_000, true),
    ("d", 86_400_000, false),
    ("h", 3_600_000, false),
    ("m", 60_000, false),
    ("s", 1_000, false),
    ("ms", 1, false),
];

/// Longest duration in milliseconds: Prometheus counts in nanoseconds in 64 bits, 292 years.
const LONGEST: u64 = i64::MAX as u64 / 1_000_000;

/// Reads a duration, in milliseconds.
pub fn parse(text: &str) -> Result<i64, String> {
    match text {
        "" => return Err("empty duration string; write for example \"30s\", \"5m\" or \"1h30m\"".to_owned()),
        "0" => return Ok(0),
        _ => {}
    }
    let wrong =
        || format!("not a valid duration string: {text:?}; write for example \"30s\", \"5m\" or \"1h30m\"");
    let mut rest = text;
    let mut total = 0_u64;
    let mut units = UNITS.iter();
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number = &rest[..digits];
        let letters = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |at| digits + at);
        let unit = &rest[digits..letters];
        if number.is_empty() {
            return Err(wrong());
        }
        let (_, milliseconds, _) = units.by_ref().find(|(name, ..)| *name == unit).ok_or_else(wrong)?;
        total = number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(*milliseconds))
            .and_then(|part| total.checked_add(part))
            .filter(|total| *total <= LONGEST)
            .ok_or_else(|| format!("duration out of range: {text:?}; 292 years is the longest"))?;
        rest = &rest[letters..];
    }
    Ok(total as i64)
}

/// Writes a duration of so many milliseconds.
pub fn format(milliseconds: i64) -> String {
    let mut rest = milliseconds.unsigned_abs();
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut text = if milliseconds < 0 { "-".to_owned() } else { String::new() };
    for (name, unit, only_exact) in UNITS {
        if rest < unit || (only_exact && !rest.is_multiple_of(unit)) {
            continue;
        }
        write!(text, "{}{name}", rest / unit).expect("a string takes all");
        rest %= unit;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_fall_and_each_is_given_once() {
        for (text, milliseconds) in [
            ("0", 0),
            ("0s", 0),
            ("324ms", 324),
            ("3s", 3_000),
            ("1h30m", 5_400_000),
            ("4d1h", 349_200_000),
            ("3w2d1h", 1_990_800_000),
            ("10y", 315_360_000_000),
        ] {
            assert_eq!(parse(text), Ok(milliseconds), "{text}");
        }
        for text in [
            "",
            "1",
            "1y1m1d",
            "-1w",
            "1.5d",
            "d",
            "294y",
            "1m1m",
            "5 m",
            "1h5",
            "99999999999999999999s",
            "é",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_printed_is_read_as_the_same() {
        for text in ["0s", "324ms", "3s", "5m", "1h", "4d", "4d1h", "14d", "3w", "3w2d1h", "10y", "1h30m"] {
            let milliseconds = parse(text).expect(text);
            assert_eq!(parse(&format(milliseconds)), Ok(milliseconds), "{text} {}", format(milliseconds));
        }
        assert_eq!((format(14 * 86_400_000), format(15 * 86_400_000)), ("2w".to_owned(), "15d".to_owned()));
    }
}
