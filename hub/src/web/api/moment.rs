//! Times and durations as parameters have them: seconds since 1970 with fractions, or RFC 3339; seconds, or `1h30m`. Pure; reads no clock.
//!
//! What Prometheus 2.42 takes is taken, and refused with its words. Two kinds of numbers it takes for moments long before or after all
//! others, by overflow: those that are none (`NaN`, `Inf`) and those of more than 292 million years. Here they are refused.
//!
//! `1795145096.123`, `2026-11-20T03:24:56.123Z` and `2026-11-20T04:24:56.123+01:00` are the same.

use super::json::quoted;
use rackside_promql::duration;
use std::borrow::Cow;

/// Nanoseconds since 1970; a day of any year that anybody writes fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::web) struct Moment(i128);

const NANOSECONDS: i128 = 1_000_000_000;
/// Seconds between 1970 and the first and last moments that Prometheus has a name for.
const FARTHEST: i128 = 9_223_309_901_257_974;
/// Go's first and last moment, which clients send for "no limit"; no parser of dates takes such years.
const NAMED: [(&str, Moment); 2] =
    [("-292273086-05-16T16:47:06Z", Moment::FIRST), ("292277025-08-18T07:12:54.999999999Z", Moment::LAST)];

impl Moment {
    /// Before every other.
    pub(super) const FIRST: Self = Self(-FARTHEST * NANOSECONDS);
    /// After every other.
    pub(super) const LAST: Self = Self(FARTHEST * NANOSECONDS + NANOSECONDS - 1);

    /// From milliseconds since 1970.
    pub(super) fn of_ms(ms: u64) -> Self {
        Self(i128::from(ms) * 1_000_000)
    }

    /// Milliseconds since 1970, the part of one cut off.
    pub(in crate::web) fn ms(self) -> i64 {
        // Within a moment's bounds.
        i64::try_from(self.0.div_euclid(1_000_000)).unwrap_or(i64::MAX)
    }

    /// Nanoseconds to a later moment.
    pub(super) fn until(self, later: Self) -> i128 {
        later.0 - self.0
    }

    /// Reads a parameter. The error is Prometheus's.
    pub(in crate::web) fn parse(text: &str) -> Result<Self, String> {
        let named = || NAMED.iter().find(|(name, _)| *name == text).map(|(_, moment)| *moment);
        of_seconds(text)
            .or_else(|| rfc3339(text))
            .or_else(named)
            .ok_or_else(|| format!("cannot parse {} to a valid timestamp", quoted(text)))
    }
}

/// Seconds, rounded to milliseconds.
fn of_seconds(text: &str) -> Option<Moment> {
    let seconds = number(text)?;
    if seconds.is_nan() || seconds.abs() > FARTHEST as f64 {
        return None;
    }
    // In floating point to the end, as there: once in a while it makes a millisecond's difference.
    let nanoseconds = (seconds.fract() * 1000.0).round() / 1000.0 * 1e9;
    Some(Moment(seconds.trunc() as i128 * NANOSECONDS + nanoseconds as i128))
}

/// A number as Go reads one, but for hexadecimal digits, which nobody sends.
fn number(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    // Rust takes a NaN with a sign.
    if unsigned.len() < text.len() && unsigned.eq_ignore_ascii_case("nan") {
        return None;
    }
    let number: f64 = without_separators(text)?.parse().ok()?;
    // What is too large for a number is no number in Go.
    let is_word = unsigned.starts_with(|c: char| c.is_ascii_alphabetic());
    (number.is_finite() || is_word).then_some(number)
}

/// Without the underscores that may stand between digits.
fn without_separators(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('_') {
        return Some(Cow::Borrowed(text));
    }
    let ends_and_begins_with_digits = |pair: [&str; 2]| {
        pair[0].ends_with(|c: char| c.is_ascii_digit()) && pair[1].starts_with(|c: char| c.is_ascii_digit())
    };
    let parts: Vec<&str> = text.split('_').collect();
    let is_right = parts.windows(2).all(|pair| ends_and_begins_with_digits([pair[0], pair[1]]));
    is_right.then(|| Cow::Owned(parts.concat()))
}

/// `2026-11-20T03:24:56.123+01:00`; the hour may have one digit, the fraction a comma, as Go reads it.
fn rfc3339(text: &str) -> Option<Moment> {
    let mut rest = text.as_bytes();
    let year = digits(&mut rest, 4)?;
    sign(&mut rest, b'-')?;
    let month = digits(&mut rest, 2)?;
    sign(&mut rest, b'-')?;
    let day = digits(&mut rest, 2)?;
    sign(&mut rest, b'T')?;
    let hour = digits(&mut rest, 2).or_else(|| digits(&mut rest, 1))?;
    sign(&mut rest, b':')?;
    let minute = digits(&mut rest, 2)?;
    sign(&mut rest, b':')?;
    let second = digits(&mut rest, 2)?;
    let fraction = fraction(&mut rest);
    let offset = zone(rest)?;
    let in_range = (1..=12).contains(&month)
        && (1..=days_of(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !in_range {
        return None;
    }
    let seconds = ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second - offset;
    Some(Moment(i128::from(seconds) * NANOSECONDS + i128::from(fraction)))
}

/// Takes exactly so many digits; nothing is taken if there are fewer.
fn digits(rest: &mut &[u8], count: usize) -> Option<i64> {
    let (taken, after) = rest.split_at_checked(count)?;
    let text = std::str::from_utf8(taken).ok().filter(|_| taken.iter().all(u8::is_ascii_digit))?;
    *rest = after;
    text.parse().ok()
}

fn sign(rest: &mut &[u8], wanted: u8) -> Option<()> {
    *rest = rest.strip_prefix(&[wanted])?;
    Some(())
}

/// Nanoseconds of `.123`, if there is one; more than nine digits say nothing.
fn fraction(rest: &mut &[u8]) -> i64 {
    let [b'.' | b',', after @ ..] = *rest else { return 0 };
    let count = after.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 {
        return 0;
    }
    let (taken, after) = after.split_at(count);
    *rest = after;
    let padded = taken.iter().chain(std::iter::repeat(&b'0')).take(9);
    padded.fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'))
}

/// Seconds east of UTC: `Z`, `+01:00`.
fn zone(text: &[u8]) -> Option<i64> {
    let (east, mut rest) = match text {
        b"Z" => return Some(0),
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let hours = digits(&mut rest, 2)?;
    sign(&mut rest, b':')?;
    let minutes = digits(&mut rest, 2)?;
    rest.is_empty().then_some(east * (hours * 60 + minutes) * 60)
}

fn days_of(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970 of a date; years begin in March, so that the leap day is a year's last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let of_year = (153 * month + 2) / 5 + day - 1;
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year - 719_468
}

/// Nanoseconds of a duration, of either sign. The error is Prometheus's.
pub(super) fn duration(text: &str) -> Result<i64, String> {
    if let Some(seconds) = number(text) {
        let nanoseconds = seconds * 1e9;
        if nanoseconds.abs() > i64::MAX as f64 {
            return Err(format!("cannot parse {} to a valid duration. It overflows int64", quoted(text)));
        }
        // What is no number is no time.
        return Ok(if nanoseconds.is_nan() { i64::MIN } else { nanoseconds as i64 });
    }
    let milliseconds = duration::read(text).ok().filter(|_| !text.is_empty());
    milliseconds
        // The longest has as many nanoseconds as there are.
        .map(|milliseconds| milliseconds as i64 * 1_000_000)
        .ok_or_else(|| format!("cannot parse {} to a valid duration", quoted(text)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(text: &str) -> Option<i64> {
        Moment::parse(text).ok().map(Moment::ms)
    }

    #[test]
    fn seconds_are_taken_with_fractions_and_signs() {
        for (text, expected) in [
            ("0", 0),
            ("1795145096.123", 1_795_145_096_123),
            ("1.0006", 1_001),
            ("-1.5", -1_500),
            ("-0.001", -1),
            ("+5", 5_000),
            ("1e3", 1_000_000),
            (".5", 500),
            ("5.", 5_000),
            ("1_000", 1_000_000),
            ("9223309901257974", 9_223_309_901_257_974_000),
        ] {
            assert_eq!(ms(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn dates_are_taken_as_go_takes_them() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-11-20T03:24:56.123Z", 1_795_145_096_123),
            ("2026-11-20T04:24:56.123+01:00", 1_795_145_096_123),
            ("2026-11-20T03:24:56,123999999999Z", 1_795_145_096_123),
            ("2026-11-20T3:24:56Z", 1_795_145_096_000),
            ("2024-02-29T00:00:00Z", 1_709_164_800_000),
            ("1969-12-31T23:59:59.5Z", -500),
            ("0001-01-01T00:00:00Z", -62_135_596_800_000),
            ("-292273086-05-16T16:47:06Z", -9_223_309_901_257_974_000),
            ("292277025-08-18T07:12:54.999999999Z", 9_223_309_901_257_974_999),
        ] {
            assert_eq!(ms(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_moment_is_refused_with_prometheus_words() {
        for text in [
            "",
            "x",
            "1s",
            "0x10",
            "1__000",
            "_1",
            "1_",
            "1_.5",
            "NaN",
            "+nan",
            "Inf",
            "1e400",
            "1e30",
            "2026-11-20",
            "2026-11-20t03:24:56Z",
            "2026-11-20T03:24:56z",
            "2026-11-20T03:24:56",
            "2026-11-20T03:24:56.Z",
            "2026-11-20T24:00:00Z",
            "2026-11-20T03:60:00Z",
            "2026-11-20T03:24:60Z",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-11-20T03:24:56+0100",
            "2026-11-20T03:24:56Z ",
            "۲۰۲۶-11-20T03:24:56Z",
        ] {
            assert_eq!(ms(text), None, "{text}");
        }
        let error = Moment::parse("to\"day").expect_err("no moment");
        assert_eq!(error, r#"cannot parse "to\"day" to a valid timestamp"#);
    }

    #[test]
    fn durations_are_seconds_or_units() {
        for (text, expected) in [
            ("15", 15_000_000_000),
            ("0.5", 500_000_000),
            ("-1", -1_000_000_000),
            ("0", 0),
            ("1h30m", 5_400_000_000_000),
            ("15s", 15_000_000_000),
            ("1m250ms", 60_250_000_000),
            ("0s", 0),
            ("NaN", i64::MIN),
        ] {
            assert_eq!(duration(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_with_prometheus_words() {
        for text in ["", "x", "1.5h", "1x", "30m1h", "1m1m", "-1m", "s", "300y", "99999999999999999999s"] {
            assert_eq!(duration(text), Err(format!("cannot parse \"{text}\" to a valid duration")));
        }
        for text in ["1e30", "Inf", "-Inf"] {
            let error = format!("cannot parse \"{text}\" to a valid duration. It overflows int64");
            assert_eq!(duration(text), Err(error));
        }
    }

    proptest! {
        #[test]
        fn no_text_does_harm(text in "\\PC*", near in "[-+]?[0-9eE.]{0,24}|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.,Z+-]{0,24}|([0-9]{1,20}(y|w|d|h|m|s|ms)){0,7}") {
            for text in [text, near] {
                if let Ok(moment) = Moment::parse(&text) {
                    prop_assert!(moment >= Moment::FIRST && moment <= Moment::LAST);
                    prop_assert!(moment.ms() < i64::MAX);
                }
                let _ = duration(&text);
            }
        }

        #[test]
        fn what_the_hub_writes_is_read(utc_ms in 0_u64..253_402_300_800_000) {
            prop_assert_eq!(ms(&crate::moment::rfc3339(utc_ms)), Some(utc_ms as i64));
        }
    }
}
