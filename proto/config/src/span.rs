//! Durations as people write them: `"500ms"`, `"10s"`, `"2m"`, `"1h"`, `"7d"`.

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A duration: a whole number and one unit, at most 100 years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(Duration);

/// The units, the largest first, in milliseconds.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
/// 100 years of 365 days: far beyond every use, and far below every overflow.
const LONGEST_MS: u64 = 100 * 365 * 86_400_000;
const EXAMPLES: &str = "write for example \"10s\", \"500ms\" or \"2m\"";

impl Span {
    /// Whole seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// Whole milliseconds.
    pub const fn milliseconds(milliseconds: u64) -> Self {
        Self(Duration::from_millis(milliseconds))
    }

    /// The duration.
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a duration; {EXAMPLES}");
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        if unit.is_empty() && digits > 0 {
            return Err(format!("{text:?} has no unit; {EXAMPLES}"));
        }
        let (_, unit) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        if digits == 0 {
            return Err(wrong());
        }
        let milliseconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(*unit));
        match milliseconds {
            Some(ms) if ms <= LONGEST_MS => Ok(Self::milliseconds(ms)),
            _ => Err(format!("{text:?} is longer than 100 years")),
        }
    }
}

impl fmt::Display for Span {
    /// In the largest unit that keeps it whole.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.as_millis() as u64;
        let (unit, worth) =
            UNITS.iter().find(|(_, worth)| ms >= *worth && ms.is_multiple_of(*worth)).unwrap_or(&("s", 1));
        write!(f, "{}{unit}", ms / worth)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Span;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a duration; {EXAMPLES}")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Span, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Span, E> {
                Err(E::custom(format_args!("{number} has no unit; {EXAMPLES}")))
            }
        }

        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_unit_is_read_and_written() {
        for (text, ms) in [
            ("500ms", 500),
            ("10s", 10_000),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("7d", 604_800_000),
            ("0s", 0),
        ] {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.get(), Duration::from_millis(ms), "{text}");
            assert_eq!(span.to_string(), text);
        }
        assert_eq!(Span::seconds(90).to_string(), "90s");
        assert_eq!(Span::milliseconds(1500).to_string(), "1500ms");
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "s",
            "10",
            "10 s",
            "-1s",
            "1.5s",
            "10S",
            "10min",
            "1h30m",
            "18446744073709551616ms",
            "36501d",
        ] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }
}
