//! Moments and spans as people and JSON read them. Knows no time zone but UTC and reads no clock.
//!
//! `1_795_145_119_250` is `2026-11-20T05:25:19.250Z`; 75 seconds are `1 min`.

use rackside_proto::Date;

/// RFC 3339 in UTC, with milliseconds.
pub fn rfc3339(utc_ms: u64) -> String {
    let (Date { year, month, day }, rest) = (Date::of_ms(utc_ms), utc_ms % 86_400_000);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        rest / 3_600_000,
        rest / 60_000 % 60,
        rest / 1000 % 60,
        rest % 1000
    )
}

/// How long, in the one unit that says it best: `4 s`, `3 min`, `2 h`, `5 d`.
pub fn span(ms: u64) -> String {
    let s = ms / 1000;
    match s {
        0..60 => format!("{s} s"),
        60..3600 => format!("{} min", s / 60),
        3600..172_800 => format!("{} h", s / 3600),
        _ => format!("{} d", s / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_the_calendars() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(rfc3339(1_704_067_199_999), "2023-12-31T23:59:59.999Z");
        assert_eq!(rfc3339(1_709_251_200_000), "2024-03-01T00:00:00.000Z");
    }

    #[test]
    fn spans_have_one_unit() {
        let said: Vec<_> = [900, 59_999, 60_000, 3_600_000, 172_799_000, 172_800_000].map(span).into();
        assert_eq!(said, ["0 s", "59 s", "1 min", "1 h", "47 h", "2 d"]);
    }
}
