//! The Gregorian calendar, by days counted from 1970-01-01. Not a clock, and no time of day.
//!
//! Invariant: `civil(days_to(year))` is the first of January of that year. Sample: day 20,777 is 2026-11-20.

/// Days from 1970 to the first of January of a year.
pub(crate) fn days_to(year: i64) -> i64 {
    let before = year - 1;
    before * 365 + before.div_euclid(4) - before.div_euclid(100) + before.div_euclid(400) - 719_162
}

/// Year, month and day of a day. Years are counted from March, so that the leap day is the last of its year.
pub(crate) fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_follow_each_other_through_all_years_that_a_moment_can_have() {
        let mut expected = (1678, 1, 1);
        for day in days_to(1678)..days_to(2262) {
            assert_eq!(civil(day), expected);
            let (year, month, of_month) = expected;
            let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let lengths = [31, if is_leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
            expected = match (month, of_month < lengths[(month - 1) as usize]) {
                (_, true) => (year, month, of_month + 1),
                (12, false) => (year + 1, 1, 1),
                (_, false) => (year, month + 1, 1),
            };
        }
        assert_eq!((civil(0), civil(20_777)), ((1970, 1, 1), (2026, 11, 20)));
    }
}
