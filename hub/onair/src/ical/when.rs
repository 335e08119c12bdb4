//! Dates, times and durations of iCal: `20261120`, `20261120T190000`, `20261120T190000Z`, `PT2H30M`.

use super::{lines::Property, windows};
use crate::show::{DAY, HOUR, MINUTE};
use crate::zone::Zone;
use chrono::{NaiveDate, NaiveDateTime, NaiveTime};

/// A date or a time, and by which clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct When {
    /// What that clock shows; of a date its midnight.
    pub(crate) local: NaiveDateTime,
    /// That clock; the site's own for dates and for times that float.
    pub(crate) zone: Zone,
    /// Whether it is a date, a whole day.
    pub(crate) is_date: bool,
}

impl When {
    /// Its moment.
    pub(crate) fn moment(self) -> i64 {
        self.zone.moment(self.local)
    }

    /// Whether it names the occurrence that begins at `local` in `zone`: by its moment, or by its day.
    pub(crate) fn names(self, local: NaiveDateTime, zone: Zone) -> bool {
        if self.is_date { self.local.date() == local.date() } else { self.moment() == zone.moment(local) }
    }
}

/// The one date or time of a property.
pub(crate) fn one(property: &Property, site: Zone) -> Result<When, String> {
    read(&property.value, zone(property, site)?)
}

/// The zone that a property's times are in.
pub(crate) fn zone(property: &Property, site: Zone) -> Result<Zone, String> {
    let Some(name) = property.parameter("TZID") else { return Ok(site) };
    let mut known = windows::iana(name).unwrap_or(name).parse::<Zone>();
    // A name with a slash in front is a program's own, which ends in IANA's as a rule: /mozilla.org/20050126_1/Europe/Berlin.
    let mut rest = name;
    while let (true, Some((_, after))) = (known.is_err() && name.starts_with('/'), rest.split_once('/')) {
        rest = after;
        known = known.or_else(|error| rest.parse().map_err(|_| error));
    }
    known.map_err(|error| format!("{}: {error}", property.name))
}

/// A date or a time whose clock is `zone`, unless it says that it is UTC.
pub(crate) fn read(text: &str, zone: Zone) -> Result<When, String> {
    let text = text.trim();
    let wrong = || format!("{text:?} is no date and no time; 20261120T190000 is");
    let (bare, zone) = text.strip_suffix('Z').map_or((text, zone), |bare| (bare, Zone::UTC));
    let digits = |text: &str, count: usize| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    let (date, time) = bare.split_once('T').map_or((bare, None), |(date, time)| (date, Some(time)));
    if !digits(date, 8) || time.is_some_and(|time| !digits(time, 6)) {
        return Err(wrong());
    }
    let date = NaiveDate::parse_from_str(date, "%Y%m%d").map_err(|_| wrong())?;
    // Beyond these years zones are guesses, and sums overflow.
    if !(1900..=2200).contains(&chrono::Datelike::year(&date)) {
        return Err(format!("{text:?} is not between 1900 and 2200"));
    }
    let clock = match time {
        // A leap second is the one before it.
        Some(time) => {
            let time = if time.ends_with("60") { format!("{}59", &time[..4]) } else { time.to_owned() };
            NaiveTime::parse_from_str(&time, "%H%M%S").map_err(|_| wrong())?
        }
        None => NaiveTime::MIN,
    };
    Ok(When { local: date.and_time(clock), zone, is_date: time.is_none() })
}

/// How long: days by the calendar, and milliseconds beyond them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Length {
    /// Days, whatever their hours.
    pub(crate) days: u64,
    /// Time beyond them.
    pub(crate) ms: i64,
}

/// Reads `P1DT2H`, `PT90M`, `P2W`. A negative one is none.
pub(crate) fn length(text: &str) -> Result<Length, String> {
    let wrong = || format!("{text:?} is no duration; PT2H30M is");
    let bare = text.trim();
    let mut rest = bare.strip_prefix('+').unwrap_or(bare).strip_prefix('P').ok_or_else(wrong)?;
    let (mut days, mut ms, mut in_time) = (0_u64, 0_i64, false);
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        if let (false, Some(after)) = (in_time, rest.strip_prefix('T')) {
            (rest, in_time) = (after, true);
            if rest.is_empty() {
                return Err(wrong());
            }
        }
        let end = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        // Six digits of any unit are far beyond every show.
        let number: u32 = rest[..end].parse().ok().filter(|_| end <= 6).ok_or_else(wrong)?;
        let unit = rest[end..].chars().next().ok_or_else(wrong)?;
        match (unit, in_time) {
            ('W', false) => days += u64::from(number) * 7,
            ('D', false) => days += u64::from(number),
            ('H', true) => ms += i64::from(number) * HOUR,
            ('M', true) => ms += i64::from(number) * MINUTE,
            ('S', true) => ms += i64::from(number) * 1000,
            _ => return Err(wrong()),
        }
        rest = &rest[end + 1..];
    }
    Ok(Length { days, ms })
}

/// Reads a duration that is told in milliseconds, days as 24 hours.
pub(crate) fn span(text: &str) -> Result<i64, String> {
    length(text).map(|Length { days, ms }| {
        i64::try_from(days).unwrap_or(i64::MAX).saturating_mul(DAY).saturating_add(ms)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_of_a_time_is_read() {
        let berlin: Zone = "Europe/Berlin".parse().unwrap();
        let when = |text: &str| read(text, berlin).unwrap();
        assert_eq!(when("20261120T190000").local.to_string(), "2026-11-20 19:00:00");
        assert_eq!(when("20261120T190000").zone, berlin);
        assert_eq!(when("20261120T190000Z").zone, Zone::UTC);
        assert!(when("20261120").is_date);
        assert_eq!(when("20261231T235960Z").local.to_string(), "2026-12-31 23:59:59");
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "T",
            "2026-11-20",
            "20261320",
            "20260230",
            "20261120T1900",
            "20261120T250000",
            "1899",
            "18991231",
            "é0261120",
            "20261120T19é000",
        ] {
            assert!(read(text, Zone::UTC).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_have_days_and_time() {
        assert_eq!(length("P1DT2H").unwrap(), Length { days: 1, ms: 2 * HOUR });
        assert_eq!(length("P2W").unwrap(), Length { days: 14, ms: 0 });
        assert_eq!(length("PT1H30M5S").unwrap(), Length { days: 0, ms: HOUR + 30 * MINUTE + 5000 });
        assert_eq!(span("P1DT1H").unwrap(), 25 * HOUR);
        assert_eq!(span(&format!("P{}T1H", "999999W".repeat(20_000))).unwrap(), i64::MAX);
        for text in [
            "",
            "P",
            "PT",
            "1H",
            "P1H",
            "PT1D",
            "P1",
            "-PT1H",
            "PT1",
            "P9999999D",
            "PTé",
            "P1éDT2H",
            "P1DTT1H",
        ] {
            assert!(length(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_zone_of_a_programs_own_is_known_by_its_end() {
        let of = |line: &str| {
            let property = super::super::lines::properties(line).next().unwrap().unwrap();
            zone(&property, Zone::UTC).map(Zone::name)
        };
        assert_eq!(of("DTSTART;TZID=/mozilla.org/20050126_1/Europe/Berlin:1").unwrap(), "Europe/Berlin");
        assert_eq!(
            of("DTSTART;TZID=America/Argentina/Buenos_Aires:1").unwrap(),
            "America/Argentina/Buenos_Aires"
        );
        assert_eq!(of("DTSTART:1").unwrap(), "UTC");
        assert_eq!(of("DTSTART;TZID=W. Europe Standard Time:1").unwrap(), "Europe/Berlin");
        assert_eq!(
            of("DTSTART;TZID=Mitteleuropa:1").unwrap_err(),
            "DTSTART: \"Mitteleuropa\" is no IANA time zone; write for example \"Europe/Berlin\""
        );
    }
}
