//! A site's time zone: IANA's, compiled in, so that every hub has the same ones whatever its system has.
//!
//! A local time that does not exist (clocks went forward over it) is read as if they had not: 02:30 is 03:30 then. Of one that exists
//! twice (clocks went back) a start is the first and an end of an entered show the second, so that the show is covered.
//!
//! ```text
//! Europe/Berlin, 2026-03-29T02:30 → 01:30Z (03:30 summer time); 2026-10-25T02:30 → 00:30Z, the second time 01:30Z
//! ```

use chrono::{DateTime, Days, MappedLocalTime, NaiveDateTime, Offset, TimeZone};
use chrono_tz::{TZ_VARIANTS, Tz};
use std::fmt;
use std::str::FromStr;

/// A time zone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Zone(Tz);

/// There is no such zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownZone {
    name: String,
    meant: Option<&'static str>,
}

impl Zone {
    /// Where no other zone is said.
    pub const UTC: Self = Self(Tz::UTC);

    /// The moment of a local time, in milliseconds since 1970; the first, if there are two.
    pub fn moment(self, local: NaiveDateTime) -> i64 {
        self.both(local).0
    }

    /// The same; the second, if there are two.
    pub fn last_moment(self, local: NaiveDateTime) -> i64 {
        self.both(local).1
    }

    fn both(self, local: NaiveDateTime) -> (i64, i64) {
        match self.0.from_local_datetime(&local) {
            MappedLocalTime::Single(at) => (at.timestamp_millis(), at.timestamp_millis()),
            MappedLocalTime::Ambiguous(a, b) => (a.timestamp_millis(), b.timestamp_millis()),
            MappedLocalTime::None => {
                // No zone changes its clocks twice within a day: the day before has the offset from before the change.
                let before = local.checked_sub_days(Days::new(1)).unwrap_or(local);
                let offset = self.0.offset_from_utc_datetime(&before).fix().local_minus_utc();
                let at = local.and_utc().timestamp_millis() - i64::from(offset) * 1000;
                (at, at)
            }
        }
    }

    /// What clocks on the wall show at a moment.
    pub fn local(self, ms: i64) -> NaiveDateTime {
        DateTime::from_timestamp_millis(ms).unwrap_or_default().with_timezone(&self.0).naive_local()
    }

    /// IANA's name.
    pub fn name(self) -> &'static str {
        self.0.name()
    }
}

impl FromStr for Zone {
    type Err = UnknownZone;

    fn from_str(name: &str) -> Result<Self, UnknownZone> {
        name.parse().map(Self).map_err(|_| UnknownZone { name: name.to_owned(), meant: meant(name) })
    }
}

/// The zone that was probably meant: by another case, or by its city alone.
fn meant(name: &str) -> Option<&'static str> {
    let like = name.trim().replace(' ', "_");
    let names = || TZ_VARIANTS.iter().map(|zone| zone.name());
    let city = |zone: &&str| zone.rsplit('/').next().is_some_and(|city| city.eq_ignore_ascii_case(&like));
    names().find(|zone| zone.eq_ignore_ascii_case(&like)).or_else(|| names().find(city))
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for UnknownZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no IANA time zone", self.name)?;
        match self.meant {
            Some(meant) => write!(f, "; did you mean {meant:?}?"),
            None => f.write_str("; write for example \"Europe/Berlin\""),
        }
    }
}

impl std::error::Error for UnknownZone {}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(zone: &str, local: &str) -> [i64; 2] {
        let zone: Zone = zone.parse().unwrap();
        let local: NaiveDateTime = local.parse().unwrap();
        [zone.moment(local), zone.last_moment(local)]
    }

    fn utc(text: &str) -> i64 {
        text.parse::<DateTime<chrono::Utc>>().unwrap().timestamp_millis()
    }

    #[test]
    fn a_time_that_exists_once_is_that_moment() {
        assert_eq!(moment("Europe/Berlin", "2026-11-20T19:00:00"), [utc("2026-11-20T18:00:00Z"); 2]);
        assert_eq!(moment("America/New_York", "2026-07-04T19:00:00"), [utc("2026-07-04T23:00:00Z"); 2]);
        assert_eq!(moment("UTC", "2026-11-20T19:00:00"), [utc("2026-11-20T19:00:00Z"); 2]);
    }

    #[test]
    fn a_time_that_is_skipped_is_read_by_the_clock_before_the_change() {
        assert_eq!(moment("Europe/Berlin", "2026-03-29T02:30:00"), [utc("2026-03-29T01:30:00Z"); 2]);
        assert_eq!(moment("America/New_York", "2026-03-08T02:30:00"), [utc("2026-03-08T07:30:00Z"); 2]);
        assert_eq!(moment("Australia/Lord_Howe", "2026-10-04T02:15:00"), [utc("2026-10-03T15:45:00Z"); 2]);
    }

    #[test]
    fn a_time_that_comes_twice_has_two_moments() {
        let berlin = [utc("2026-10-25T00:30:00Z"), utc("2026-10-25T01:30:00Z")];
        assert_eq!(moment("Europe/Berlin", "2026-10-25T02:30:00"), berlin);
        let new_york = [utc("2026-11-01T05:30:00Z"), utc("2026-11-01T06:30:00Z")];
        assert_eq!(moment("America/New_York", "2026-11-01T01:30:00"), new_york);
    }

    #[test]
    fn a_zone_that_is_not_there_is_said_with_what_was_meant() {
        let said = |name: &str| name.parse::<Zone>().unwrap_err().to_string();
        assert_eq!(said("Berlin"), "\"Berlin\" is no IANA time zone; did you mean \"Europe/Berlin\"?");
        assert_eq!(said("new york"), "\"new york\" is no IANA time zone; did you mean \"America/New_York\"?");
        assert_eq!(
            said("europe/berlin"),
            "\"europe/berlin\" is no IANA time zone; did you mean \"Europe/Berlin\"?"
        );
        assert_eq!(said("Mars"), "\"Mars\" is no IANA time zone; write for example \"Europe/Berlin\"");
    }

    #[test]
    fn a_moment_and_its_local_time_are_each_others() {
        let berlin: Zone = "Europe/Berlin".parse().unwrap();
        let at = utc("2026-07-01T20:30:00Z");
        assert_eq!(berlin.local(at).to_string(), "2026-07-01 22:30:00");
        assert_eq!(berlin.moment(berlin.local(at)), at);
    }
}
