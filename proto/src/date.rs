//! The calendar, for people: which day a moment is on, in UTC. Not on the wire.
//!
//! `1_795_145_119_250` is on 2026-11-20.

/// A day of the Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date {
    /// 1970 and later.
    pub year: u64,
    /// 1 to 12.
    pub month: u64,
    /// 1 to 31.
    pub day: u64,
}

impl Date {
    /// The day of a moment in milliseconds since 1970-01-01 UTC.
    ///
    /// By days since 0000-03-01 in eras of 400 years: leap days come last in years that begin in March (Howard Hinnant,
    /// "chrono-Compatible Low-Level Date Algorithms").
    pub const fn of_ms(utc_ms: u64) -> Self {
        let days = utc_ms / 86_400_000 + 719_468;
        let (era, of_era) = (days / 146_097, days % 146_097);
        let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let from_march = (5 * of_year + 2) / 153;
        let day = of_year - (153 * from_march + 2) / 5 + 1;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        Self { year: year + era * 400 + (month <= 2) as u64, month, day }
    }
}
