//! A moment, as `toTime` and `humanizeTimestamp` have it: UTC, to the millisecond. Not a clock.
//!
//! Sample: 1795145096.5 is `2026-11-20 03:24:56.5 +0000 UTC`.

use super::value::{Named, Value};
use crate::calendar::{civil, days_to};
use std::fmt::Write as _;

/// Milliseconds since 1970, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment(i64);

const DAY: i64 = 86_400_000;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// The pieces of a layout, in the order in which Go looks for them; a longer one before its own beginning.
const PIECES: [&str; 28] = [
    "January",
    "Jan",
    "Monday",
    "Mon",
    "MST",
    "2006",
    "-07:00:00",
    "-070000",
    "-07:00",
    "-0700",
    "-07",
    "Z07:00:00",
    "Z070000",
    "Z07:00",
    "Z0700",
    "Z07",
    "002",
    "01",
    "02",
    "03",
    "04",
    "05",
    "06",
    "15",
    "PM",
    "pm",
    "_2",
    "1",
];

/// A moment by the calendar.
struct Date {
    year: i64,
    month: i64,
    day: i64,
    day_of_year: i64,
    weekday: i64,
    hour: i64,
    minute: i64,
    second: i64,
    milli: i64,
}

impl Moment {
    /// The moment so many seconds after 1970, in whole milliseconds; or why there is none.
    pub(super) fn of_seconds(seconds: f64) -> Result<Self, String> {
        let nanos = seconds * 1e9;
        if nanos > i64::MAX as f64 || nanos < i64::MIN as f64 {
            return Err(format!(
                "{} cannot be represented as a nanoseconds timestamp since it overflows int64",
                super::float::written(seconds, 'g', None)
            ));
        }
        Ok(Self(nanos as i64 / 1_000_000))
    }

    /// A method of Go's `time.Time`, if it is one that templates can call without arguments.
    pub(super) fn method(self, name: &str) -> Option<Value> {
        let date = self.date();
        Some(match name {
            "UTC" | "Local" => Value::Moment(self),
            "Unix" => Value::Int(self.0.div_euclid(1000)),
            "UnixMilli" => Value::Int(self.0),
            "UnixMicro" => Value::Int(self.0 * 1000),
            "UnixNano" => Value::Int(self.0 * 1_000_000),
            "Year" => Value::Int(date.year),
            "Month" => Value::Named(Named {
                type_name: "time.Month",
                number: date.month,
                name: MONTHS[(date.month - 1) as usize],
            }),
            "Weekday" => Value::Named(Named {
                type_name: "time.Weekday",
                number: date.weekday,
                name: DAYS[date.weekday as usize],
            }),
            "Day" => Value::Int(date.day),
            "YearDay" => Value::Int(date.day_of_year),
            "Hour" => Value::Int(date.hour),
            "Minute" => Value::Int(date.minute),
            "Second" => Value::Int(date.second),
            "Nanosecond" => Value::Int(date.milli * 1_000_000),
            "IsZero" => Value::Bool(false),
            "String" => Value::text(self.to_string()),
            _ => return None,
        })
    }

    fn date(self) -> Date {
        let (days, millis) = (self.0.div_euclid(DAY), self.0.rem_euclid(DAY));
        let (year, month, day) = civil(days);
        Date {
            year,
            month,
            day,
            day_of_year: days - days_to(year) + 1,
            weekday: (days + 4).rem_euclid(7),
            hour: millis / 3_600_000,
            minute: millis / 60_000 % 60,
            second: millis / 1000 % 60,
            milli: millis % 1000,
        }
    }

    /// As Go's `Format` writes it.
    pub(super) fn format(self, layout: &str) -> String {
        let date = self.date();
        let mut text = String::new();
        let mut rest = layout;
        while !rest.is_empty() {
            let length = date.piece(rest, &mut text);
            rest = &rest[length..];
        }
        text
    }
}

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.format("2006-01-02 15:04:05.999999999 -0700 MST"))
    }
}

impl Date {
    /// Writes the piece that `rest` begins with and gives its length; an ordinary character is a piece as well.
    fn piece(&self, rest: &str, text: &mut String) -> usize {
        if let Some(length) = self.fraction(rest, text) {
            return length;
        }
        let lower = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase());
        let found = PIECES.iter().copied().chain(["2", "3", "4", "5"]).find(|piece| {
            rest.strip_prefix(piece).is_some_and(|behind| match *piece {
                // `Janet` and `Monty` hold no names.
                "Jan" | "Mon" => !lower(behind.chars().next()),
                // In `_2006` only the year is meant.
                "_2" => !behind.starts_with("006"),
                _ => true,
            })
        });
        let Some(piece) = found else {
            let next = rest.chars().next().unwrap_or_default();
            text.push(next);
            return next.len_utf8();
        };
        let month = MONTHS[(self.month - 1) as usize];
        let weekday = DAYS[self.weekday as usize];
        let hour = (self.hour + 11) % 12 + 1;
        let written = match piece {
            "January" => write!(text, "{month}"),
            "Jan" => write!(text, "{}", &month[..3]),
            "Monday" => write!(text, "{weekday}"),
            "Mon" => write!(text, "{}", &weekday[..3]),
            "MST" => write!(text, "UTC"),
            "2006" => write!(text, "{:04}", self.year),
            "-07:00:00" => write!(text, "+00:00:00"),
            "-070000" => write!(text, "+000000"),
            "-07:00" => write!(text, "+00:00"),
            "-0700" => write!(text, "+0000"),
            "-07" => write!(text, "+00"),
            "Z07:00:00" | "Z070000" | "Z07:00" | "Z0700" | "Z07" => write!(text, "Z"),
            "002" => write!(text, "{:03}", self.day_of_year),
            "01" => write!(text, "{:02}", self.month),
            "1" => write!(text, "{}", self.month),
            "02" => write!(text, "{:02}", self.day),
            "_2" => write!(text, "{:>2}", self.day),
            "2" => write!(text, "{}", self.day),
            "03" => write!(text, "{hour:02}"),
            "3" => write!(text, "{hour}"),
            "04" => write!(text, "{:02}", self.minute),
            "4" => write!(text, "{}", self.minute),
            "05" => write!(text, "{:02}", self.second),
            "5" => write!(text, "{}", self.second),
            "06" => write!(text, "{:02}", self.year.rem_euclid(100)),
            "15" => write!(text, "{:02}", self.hour),
            "PM" => write!(text, "{}", if self.hour >= 12 { "PM" } else { "AM" }),
            _ => write!(text, "{}", if self.hour >= 12 { "pm" } else { "am" }),
        };
        written.expect("a String takes everything");
        piece.len()
    }

    /// `.000` writes so many digits, `.999` those that are not 0.
    fn fraction(&self, rest: &str, text: &mut String) -> Option<usize> {
        let sign = rest.chars().next().filter(|sign| matches!(sign, '.' | ','))?;
        let digit = rest[1..].chars().next().filter(|digit| matches!(digit, '0' | '9'))?;
        let count = rest[1..].chars().take_while(|c| *c == digit).count();
        if rest[1 + count..].starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let nanos = format!("{:09}", self.milli * 1_000_000);
        let mut digits = nanos.get(..count).unwrap_or(&nanos).to_owned();
        if digit == '9' {
            digits.truncate(digits.trim_end_matches('0').len());
        } else {
            digits.extend(std::iter::repeat_n('0', count.saturating_sub(9)));
        }
        if !digits.is_empty() {
            text.push(sign);
            text.push_str(&digits);
        }
        Some(1 + count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_go_writes_them() {
        for (seconds, text) in [
            (0.0, "1970-01-01 00:00:00 +0000 UTC"),
            (1_795_145_096.5, "2026-11-20 03:24:56.5 +0000 UTC"),
            (-1.0, "1969-12-31 23:59:59 +0000 UTC"),
            (951_782_400.0, "2000-02-29 00:00:00 +0000 UTC"),
            (-8e9, "1716-06-28 09:46:40 +0000 UTC"),
            (9e9, "2255-03-14 16:00:00 +0000 UTC"),
        ] {
            assert_eq!(Moment::of_seconds(seconds).map(|moment| moment.to_string()), Ok(text.to_owned()));
        }
        assert!(Moment::of_seconds(1e10).is_err());
    }

    #[test]
    fn layouts_are_gos() {
        let moment = Moment::of_seconds(1_795_145_096.5).expect("within the bounds");
        for (layout, text) in [
            ("Mon, 02 Jan 2006 15:04:05 MST", "Fri, 20 Nov 2026 03:24:56 UTC"),
            ("Monday 2 January, 3:04 PM", "Friday 20 November, 3:24 AM"),
            ("2006-01-02T15:04:05.000Z07:00", "2026-11-20T03:24:56.500Z"),
            ("Janet 1/_2/06", "Janet 11/20/26"),
        ] {
            assert_eq!(moment.format(layout), text);
        }
    }
}
