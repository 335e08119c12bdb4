//! How long a server wants to be left alone, by the headers of its answer. Pure.
//!
//! `Retry-After` (RFC 9110: seconds or a date) and `X-RateLimit-Remaining` with `X-RateLimit-Reset` (seconds since 1970, a date, or
//! seconds from now, depending on whom one asks). Dates are taken against the answer's own `Date`: this box may not know what day it
//! is.
//!
//! ```text
//! 429, Retry-After: 30                                             →  30 s
//! 200, X-RateLimit-Remaining: 0, Date: … 03:12:00 GMT, X-RateLimit-Reset: 2026-11-20T03:12:45+00:00   →  45 s
//! ```

use super::http::Answer;
use std::time::Duration;

/// When it does not say how long.
const USUAL: Duration = Duration::from_mins(1);
/// Whatever it says: a mistaken header must not end a probe.
const LONGEST: Duration = Duration::from_mins(15);
/// What is less cannot be seconds since 1970, and so is seconds from now.
const FROM_NOW: u64 = 1_000_000_000;

/// How long, if at all.
pub(super) fn asked_for(answer: &Answer) -> Option<Duration> {
    wanted(answer.status, |name| answer.header(name))
}

fn wanted<'a>(status: u16, header: impl Fn(&str) -> Option<&'a str>) -> Option<Duration> {
    let is_over = header("x-ratelimit-remaining").and_then(|text| text.trim().parse().ok()) == Some(0_u64);
    if status != 429 && !is_over && !(status == 503 && header("retry-after").is_some()) {
        return None;
    }
    let date = header("date").and_then(seconds);
    let until = |text: &str| match seconds(text)? {
        from_now if from_now < FROM_NOW => Some(from_now),
        at => Some(at.saturating_sub(date?)),
    };
    let wait = header("retry-after").and_then(until).or_else(|| header("x-ratelimit-reset").and_then(until));
    Some(wait.map_or(USUAL, Duration::from_secs).clamp(Duration::from_secs(1), LONGEST))
}

/// A number of seconds, or a date as seconds since 1970: `Fri, 20 Nov 2026 03:26:10 GMT`, `2026-11-20T03:26:10+01:00`.
fn seconds(text: &str) -> Option<u64> {
    let text = text.trim();
    text.parse().ok().or_else(|| of_http(text)).or_else(|| of_rfc3339(text))
}

/// A date as HTTP has it (RFC 9110, 5.6.7), in seconds since 1970.
pub(crate) fn of_http(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut words = text.split_once(", ")?.1.split(' ');
    let day = words.next()?.parse().ok()?;
    let month = words.next()?;
    let month = MONTHS.iter().position(|name| *name == month)? as u64 + 1;
    let year = words.next()?.parse().ok()?;
    let time = of_day(words.next()?)?;
    Some(days(year, month, day)? * 86_400 + time)
}

fn of_rfc3339(text: &str) -> Option<u64> {
    let (date, rest) = text.split_once(['T', ' '])?;
    let mut parts = date.splitn(3, '-').map(|part| part.parse().ok());
    let days = days(parts.next()??, parts.next()??, parts.next()??)?;
    let at = rest.find(['Z', 'z', '+', '-']).unwrap_or(rest.len());
    let (time, zone) = rest.split_at(at);
    let utc = days * 86_400 + of_day(time.split('.').next()?)?;
    let east = zone.strip_prefix('+').map(|zone| (true, zone));
    let (is_east, zone) =
        east.or_else(|| zone.strip_prefix('-').map(|zone| (false, zone))).unwrap_or((true, ""));
    let (hours, minutes) = zone.split_once(':').or_else(|| zone.split_at_checked(2)).unwrap_or(("0", "0"));
    let (hours, minutes) = (hours.parse::<u64>().ok()?, minutes.parse::<u64>().ok()?);
    let zone = (hours < 24 && minutes < 60).then(|| hours * 3600 + minutes * 60)?;
    if is_east { utc.checked_sub(zone) } else { utc.checked_add(zone) }
}

/// `03:26:10`.
fn of_day(text: &str) -> Option<u64> {
    let mut parts = text.splitn(3, ':').map(|part| part.parse::<u64>().ok());
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    (hours < 24 && minutes < 60 && seconds <= 60).then_some(hours * 3600 + minutes * 60 + seconds)
}

/// Days since 1970-01-01 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1970..10_000).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = year - u64::from(month <= 2);
    let (era, of_era) = (year / 400, year % 400);
    let from_march = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * from_march + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

/// Headers, a line each: whatever they say, there is an end to waiting.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let headers: Vec<(&str, &str)> = text.lines().filter_map(|line| line.split_once(": ")).collect();
    let header = |name: &str| headers.iter().find(|(other, _)| *other == name).map(|(_, value)| *value);
    assert!(wanted(429, header).is_some_and(|wait| (Duration::from_secs(1)..=LONGEST).contains(&wait)));
    assert!(wanted(200, header).is_none_or(|wait| wait <= LONGEST));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rackside_proto::Date;

    fn waits(status: u16, headers: &[(&str, &'static str)]) -> Option<u64> {
        let header = |name: &str| headers.iter().find(|(other, _)| *other == name).map(|(_, value)| *value);
        wanted(status, header).map(|wait| wait.as_secs())
    }

    #[test]
    fn who_has_something_left_and_is_not_refused_waits_for_nothing() {
        assert_eq!(waits(200, &[("x-ratelimit-remaining", "12"), ("x-ratelimit-reset", "1795145170")]), None);
        assert_eq!(waits(200, &[]), None);
        assert_eq!(waits(503, &[]), None);
        assert_eq!(waits(200, &[("x-ratelimit-remaining", "many")]), None);
    }

    #[test]
    fn a_refusal_says_how_long_in_many_ways() {
        let date = ("date", "Fri, 20 Nov 2026 03:25:10 GMT");
        assert_eq!(waits(429, &[("retry-after", "30")]), Some(30));
        assert_eq!(waits(503, &[("retry-after", "30")]), Some(30));
        assert_eq!(waits(429, &[date, ("retry-after", "Fri, 20 Nov 2026 03:25:55 GMT")]), Some(45));
        for reset in [
            "1795145155",
            "2026-11-20T03:25:55+00:00",
            "2026-11-20T04:25:55.25+01:00",
            "2026-11-20T01:25:55-0200",
            "45",
        ] {
            assert_eq!(
                waits(200, &[date, ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", reset)]),
                Some(45),
                "{reset}"
            );
        }
    }

    #[test]
    fn what_cannot_be_read_is_a_minute_and_nothing_is_longer_than_a_quarter_of_an_hour() {
        assert_eq!(waits(429, &[]), Some(60));
        assert_eq!(waits(429, &[("retry-after", "soon")]), Some(60));
        assert_eq!(
            waits(429, &[("x-ratelimit-reset", "1795145155")]),
            Some(60),
            "without a date nobody knows when that is"
        );
        for reset in [
            "2026-11-20T03:25:55-5124095576030431:59",
            "2026-11-20T03:25:55+24:00",
            "2026-11-20T03:25:55+00:60",
        ] {
            let date = ("date", "Fri, 20 Nov 2026 03:25:10 GMT");
            assert_eq!(waits(429, &[date, ("x-ratelimit-reset", reset)]), Some(60), "{reset}");
        }
        assert_eq!(waits(429, &[("retry-after", "86400")]), Some(900));
        assert_eq!(waits(429, &[("retry-after", "0")]), Some(1));
    }

    proptest! {
        #[test]
        fn a_date_is_the_day_that_the_calendar_says(days_since in 0_u64..1_000_000) {
            let Date { year, month, day } = Date::of_ms(days_since * 86_400_000);
            prop_assert_eq!(days(year, month, day), Some(days_since));
            let text = format!("{year:04}-{month:02}-{day:02}T00:00:00Z");
            prop_assert_eq!(of_rfc3339(&text), Some(days_since * 86_400));
        }

        #[test]
        fn any_header_is_read_or_passed_over(text in ".{0,40}", date in ".{0,40}", number in any::<u64>()) {
            let number = number.to_string();
            for text in [&text, &number] {
                let header = |name: &str| Some(if name == "date" { date.as_str() } else { text.as_str() });
                prop_assert!(wanted(429, header).is_some_and(|wait| wait <= LONGEST));
            }
        }
    }
}
