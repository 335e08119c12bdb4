//! Sizes in bytes as people write them: `"64 KiB"`, `"1 MiB"`, `512`.

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use std::fmt;
use std::str::FromStr;

/// A number of bytes; units of 1,024 only, so that nobody has to guess.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(u64);

/// The units, the largest first.
const UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];
const EXAMPLES: &str = "write for example \"64 KiB\", \"1 MiB\" or a number of bytes";

impl Size {
    /// Bytes as they are.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// Multiples of 1,024 bytes.
    pub const fn kibibytes(number: u32) -> Self {
        Self((number as u64) << 10)
    }

    /// Multiples of 1,048,576 bytes.
    pub const fn mebibytes(number: u32) -> Self {
        Self((number as u64) << 20)
    }

    /// The number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a size; {EXAMPLES}");
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let unit = if unit.is_empty() { "B" } else { unit.trim_start_matches(' ') };
        let (_, unit) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(*unit));
        bytes.map(Self).ok_or_else(wrong)
    }
}

impl fmt::Display for Size {
    /// In the largest unit that keeps it whole.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |worth: u64| self.0 >= worth && self.0.is_multiple_of(worth);
        let (unit, worth) = UNITS.iter().find(|(_, worth)| fits(*worth)).unwrap_or(&("B", 1));
        write!(f, "{} {unit}", self.0 / worth)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrNumber;

        impl Visitor<'_> for TextOrNumber {
            type Value = Size;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a size; {EXAMPLES}")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Size, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Size, E> {
                let wrong = |_| E::custom(format_args!("{number} is not a size; {EXAMPLES}"));
                u64::try_from(number).map(Size).map_err(wrong)
            }
        }

        deserializer.deserialize_any(TextOrNumber)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_unit_is_read_and_written() {
        for (text, bytes) in
            [("5 B", 5), ("64 KiB", 65_536), ("1 MiB", 1 << 20), ("3 GiB", 3 << 30), ("0 B", 0)]
        {
            let size: Size = text.parse().unwrap();
            assert_eq!((size.bytes(), size.to_string().as_str()), (bytes, text));
        }
        assert_eq!("64KiB".parse(), Ok(Size::kibibytes(64)));
        assert_eq!("1500".parse(), Ok(Size::from_bytes(1500)));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "KiB", "64 kB", "64 MB", "1.5 MiB", "-1", "1 kib", "18446744073709551615 KiB"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }
}
