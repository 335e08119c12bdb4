//! Local times, dates, days of the week and time zones as they are written in a configuration file.
//!
//! ```toml
//! start = "2026-11-20T19:00"   # or 2026-11-20T19:00:00, which TOML has as well
//! until = "2026-12-31"
//! days = ["fri", "sat"]
//! time_zone = "Europe/Berlin"
//! ```

use crate::entered::local_time;
use crate::zone::Zone;
use chrono::{NaiveDate, NaiveDateTime, Weekday};
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::str::FromStr;

/// A local time: `"2026-11-20T19:00"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Local(pub NaiveDateTime);

/// A date: `"2026-11-20"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date(pub NaiveDate);

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "days of the week")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// A text, or one of TOML's own dates and times, which serde sees as a table of one text.
fn of_date<'de, T: FromStr<Err = String>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct Text;

    impl<'de> Visitor<'de> for Text {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a date and time such as \"2026-11-20T19:00\"")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
            Ok(text.to_owned())
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<String, A::Error> {
            let entry = map.next_entry::<String, String>()?;
            entry.map(|(_, text)| text).ok_or_else(|| A::Error::custom("an empty table is no date"))
        }
    }

    deserializer.deserialize_any(Text)?.parse().map_err(D::Error::custom)
}

impl<'de> Deserialize<'de> for Local {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        of_date(deserializer)
    }
}

impl FromStr for Local {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no local time; write for example \"2026-11-20T19:00\"");
        local_time(text).map(Self).ok_or_else(wrong)
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        of_date(deserializer)
    }
}

impl FromStr for Date {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| format!("{text:?} is no date; write for example \"2026-11-20\""))
    }
}

impl From<Day> for Weekday {
    fn from(day: Day) -> Self {
        match day {
            Day::Mon => Self::Mon,
            Day::Tue => Self::Tue,
            Day::Wed => Self::Wed,
            Day::Thu => Self::Thu,
            Day::Fri => Self::Fri,
            Day::Sat => Self::Sat,
            Day::Sun => Self::Sun,
        }
    }
}

/// IANA's name.
impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
