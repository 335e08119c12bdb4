//! Durations as Prometheus writes them in rule files: `1h30m`, `15s`, `0`. Not those of the configuration, which are `Span`s.
//!
//! Units and order are those of queries, and read as there; `0` needs no unit here, and may be.
//!
//! Sample: `1h30m` is 5,400,000 ms.

use rackside_promql::duration::{self, Misread};

/// Reads a duration, in milliseconds.
pub(crate) fn parse(text: &str) -> Result<i64, String> {
    let example = "write for example \"30s\", \"5m\" or \"1h30m\"";
    match text {
        "" => return Err(format!("empty duration string; {example}")),
        "0" => return Ok(0),
        _ => {}
    }
    duration::read(text).map(|milliseconds| milliseconds as i64).map_err(|why| match why {
        Misread::Malformed => format!("not a valid duration string: {text:?}; {example}"),
        Misread::OutOfRange => format!("duration out of range: {text:?}; 292 years is the longest"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rackside_promql::duration::printed as format;

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
