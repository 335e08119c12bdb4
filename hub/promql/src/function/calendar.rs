//! What the calendar says of a second: `year`, `month`, `day_of_month`, `day_of_week`, `day_of_year`, `days_in_month`, `hour`,
//! `minute`. Always UTC, Gregorian in both directions.
//!
//! Seconds come from sample values, so that they may be anything. As in Go they are counted from a year so early that none is
//! negative, and wrap around at its end: nonsense in, the same nonsense out.

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// From the first second counted to 1970.
const TO_1970: u64 = 9_223_372_028_715_321_600;
/// The year of the first second counted. Like 2001 it follows a leap year whose number 400 divides, and begins on a Monday.
const FIRST_YEAR: i64 = -292_277_022_399;
const DAYS_OF_400_YEARS: u64 = 400 * 365 + 97;
const DAYS_OF_100_YEARS: u64 = 100 * 365 + 24;
const DAYS_OF_4_YEARS: u64 = 4 * 365 + 1;
const MONTHS: [u64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// A second of the calendar.
#[derive(Clone, Copy, Debug)]
struct Second(u64);

/// A day, as the calendar names it.
struct Date {
    year: i64,
    /// 0 is January.
    month: usize,
    /// 1 is the month's first.
    day: u64,
    /// 0 is the year's first.
    of_year: u64,
}

impl Second {
    /// The second since 1970 that a value names; what no number of seconds can be is the earliest one.
    fn named_by(value: f64) -> Self {
        const END: f64 = 9_223_372_036_854_775_808.0;
        let seconds = if (-END..END).contains(&value) { value as i64 } else { i64::MIN };
        Self(seconds.cast_unsigned().wrapping_add(TO_1970))
    }

    fn date(self) -> Date {
        let days = self.0 / DAY;
        let (cycles, days) = (days / DAYS_OF_400_YEARS, days % DAYS_OF_400_YEARS);
        // The last day of a leap year belongs to the year that it ends, not to a fifth one.
        let centuries = (days / DAYS_OF_100_YEARS).min(3);
        let days = days - centuries * DAYS_OF_100_YEARS;
        let (leaps, days) = (days / DAYS_OF_4_YEARS, days % DAYS_OF_4_YEARS);
        let years = (days / 365).min(3);
        let of_year = days - years * 365;
        let since_first = cycles * 400 + centuries * 100 + leaps * 4 + years;
        let year = FIRST_YEAR.wrapping_add_unsigned(since_first);
        let mut day = of_year;
        let mut month = 0;
        while day >= days_in(year, month) {
            day -= days_in(year, month);
            month += 1;
        }
        Date { year, month, day: day + 1, of_year }
    }
}

fn days_in(year: i64, month: usize) -> u64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    MONTHS[month] + u64::from(month == 1 && leap)
}

pub(super) fn year(seconds: f64) -> f64 {
    Second::named_by(seconds).date().year as f64
}

pub(super) fn month(seconds: f64) -> f64 {
    (Second::named_by(seconds).date().month + 1) as f64
}

pub(super) fn day_of_month(seconds: f64) -> f64 {
    Second::named_by(seconds).date().day as f64
}

pub(super) fn day_of_year(seconds: f64) -> f64 {
    (Second::named_by(seconds).date().of_year + 1) as f64
}

/// 0 is Sunday.
pub(super) fn day_of_week(seconds: f64) -> f64 {
    ((Second::named_by(seconds).0 / DAY + 1) % 7) as f64
}

pub(super) fn days_in_month(seconds: f64) -> f64 {
    let date = Second::named_by(seconds).date();
    days_in(date.year, date.month) as f64
}

pub(super) fn hour(seconds: f64) -> f64 {
    (Second::named_by(seconds).0 % DAY / HOUR) as f64
}

pub(super) fn minute(seconds: f64) -> f64 {
    (Second::named_by(seconds).0 % HOUR / MINUTE) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Year, month, day, day of the week, day of the year, days in the month, hour, minute.
    fn all(value: f64) -> [f64; 8] {
        [year, month, day_of_month, day_of_week, day_of_year, days_in_month, hour, minute]
            .map(|function| function(value))
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0.0, [1970.0, 1.0, 1.0, 4.0, 1.0, 31.0, 0.0, 0.0]),
            (-1.0, [1969.0, 12.0, 31.0, 3.0, 365.0, 31.0, 23.0, 59.0]),
            (951_825_599.9, [2000.0, 2.0, 29.0, 2.0, 60.0, 29.0, 11.0, 59.0]),
            (1_735_603_200.0, [2024.0, 12.0, 31.0, 2.0, 366.0, 31.0, 0.0, 0.0]),
            (4_107_542_399.0, [2100.0, 2.0, 28.0, 0.0, 59.0, 28.0, 23.0, 59.0]),
            (1_795_145_096.1, [2026.0, 11.0, 20.0, 5.0, 324.0, 30.0, 3.0, 24.0]),
        ] {
            assert_eq!(all(seconds), expected, "{seconds}");
        }
    }

    #[test]
    fn what_is_no_second_is_the_earliest_one() {
        let earliest = all(f64::NAN);
        for value in [f64::INFINITY, f64::NEG_INFINITY, 1e300, -1e300, 9_223_372_036_854_775_808.0] {
            assert_eq!(all(value), earliest, "{value}");
        }
        // As Prometheus 2.42 answers: counted on from the end.
        assert_eq!(earliest, [292_277_026_596.0, 12.0, 4.0, 0.0, 339.0, 31.0, 15.0, 30.0]);
    }
}
