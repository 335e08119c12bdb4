//! Times of day at which nothing is restarted: `quiet = ["22:00-06:00"]`, in the box's local time. Pure but for reading the zone.
//!
//! The zone is `/etc/localtime`, UTC where there is none. Who does not know what time it is does not know that it is not a quiet one.
//!
//! ```text
//! ["22:00-06:00"], Europe/Berlin, 2026-07-01T20:30:00Z  →  22:30, quiet
//! ```

use std::fs;
use std::str::FromStr;
use std::time::{Duration, Instant};
use tz::TimeZone;

/// Zones change by law, and a Pi moves seldom.
const ZONE: &str = "/etc/localtime";
const READ_AGAIN: Duration = Duration::from_hours(1);
const DAY: u32 = 24 * 60;

/// From one minute of the day to another, which may be the next day's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    from: u32,
    to: u32,
}

impl Window {
    const fn has(self, minute: u32) -> bool {
        if self.from <= self.to {
            self.from <= minute && minute < self.to
        } else {
            self.from <= minute || minute < self.to
        }
    }
}

impl FromStr for Window {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let minute = |text: &str| {
            let (hours, minutes) = text.trim().split_once(':')?;
            let is_number = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            let numbers = (is_number(hours) && is_number(minutes))
                .then_some(())
                .and_then(|()| Some((hours.parse::<u32>().ok()?, minutes.parse::<u32>().ok()?)));
            numbers
                .filter(|(hours, minutes)| *hours * 60 + *minutes <= DAY && *minutes < 60)
                .map(|(hours, minutes)| hours * 60 + minutes)
        };
        let parts = text.split_once('-').and_then(|(from, to)| Some((minute(from)?, minute(to)?)));
        match parts {
            Some((from, to)) if from != to && from < DAY => Ok(Self { from, to }),
            _ => Err(format!("\"{text}\" is no time of day; \"22:00-06:00\" is")),
        }
    }
}

/// The quiet times of a site.
#[derive(Debug, Default)]
pub struct Quiet {
    windows: Vec<Window>,
    zone: Option<(Instant, TimeZone)>,
}

impl Quiet {
    /// These.
    pub const fn new(windows: Vec<Window>) -> Self {
        Self { windows, zone: None }
    }

    /// Whether it is one of them now; `utc_ms` is the date, if somebody vouches for it.
    pub fn is_now(&mut self, utc_ms: Option<u64>, now: Instant) -> bool {
        if self.windows.is_empty() {
            return false;
        }
        let Some(utc_ms) = utc_ms else { return true };
        if self.zone.as_ref().is_none_or(|(read, _)| now.saturating_duration_since(*read) >= READ_AGAIN) {
            let read = fs::read(ZONE).ok().and_then(|bytes| TimeZone::from_tz_data(&bytes).ok());
            self.zone = Some((now, read.unwrap_or_else(TimeZone::utc)));
        }
        let zone = self.zone.as_ref().map(|(_, zone)| zone);
        let minute = zone.and_then(|zone| minute_of_day(zone, (utc_ms / 1000) as i64));
        minute.is_none_or(|minute| self.windows.iter().any(|window| window.has(minute)))
    }
}

/// The minute of the day in that zone, `seconds` after 1970 began in UTC.
fn minute_of_day(zone: &TimeZone, seconds: i64) -> Option<u32> {
    let offset = zone.find_local_time_type(seconds).ok()?.ut_offset();
    let of_day = seconds.checked_add(i64::from(offset))?.rem_euclid(i64::from(DAY) * 60);
    u32::try_from(of_day / 60).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use proptest::prelude::*;

    /// 2026-07-01T20:30:00Z.
    const SUMMER_EVENING: u64 = 1_782_937_800;

    fn has(window: &str, minute: u32) -> bool {
        window.parse::<Window>().expect("a window").has(minute)
    }

    /// `/etc/localtime` as RFC 8536 has it, with a rule and nothing else.
    fn zone_file(rule: &str) -> Vec<u8> {
        let counts: [u32; 6] = [0, 0, 0, 0, 1, 4];
        let block =
            [b"TZif2".as_slice(), &[0; 15], &counts.map(u32::to_be_bytes).concat(), &[0; 6], b"CET\0"]
                .concat();
        [block.as_slice(), &block, b"\n", rule.as_bytes(), b"\n"].concat()
    }

    #[test]
    fn a_window_may_go_over_midnight() {
        assert!(has("22:00-06:00", 22 * 60) && has("22:00-06:00", 0) && has("22:00-06:00", 359));
        assert!(!has("22:00-06:00", 360) && !has("22:00-06:00", 22 * 60 - 1));
        assert!(has("09:30-12:00", 570) && !has("09:30-12:00", 720));
        assert!(has("00:00-24:00", 0) && has("00:00-24:00", DAY - 1));
    }

    #[test]
    fn what_is_no_time_of_day_is_refused() {
        for text in [
            "",
            "22:00",
            "22-06",
            "25:00-06:00",
            "22:60-23:00",
            "+2:00-03:00",
            "8:00-9:00",
            "22:00-22:00",
            "24:00-06:00",
        ] {
            assert!(text.parse::<Window>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_time_is_local_with_its_summer_time() {
        let zone = TimeZone::from_tz_data(&zone_file("CET-1CEST,M3.5.0,M10.5.0/3")).expect("a zone");
        assert_eq!(minute_of_day(&zone, SUMMER_EVENING as i64), Some(22 * 60 + 30));
        let winter = SUMMER_EVENING as i64 - 181 * 86_400;
        assert_eq!(minute_of_day(&zone, winter), Some(21 * 60 + 30));
        assert_eq!(minute_of_day(&TimeZone::utc(), -60), Some(DAY - 1));
    }

    #[test]
    fn without_a_date_any_time_may_be_a_quiet_one() {
        let now = Clock::now();
        let mut quiet = Quiet::new(vec!["09:00-09:01".parse().expect("a window")]);
        assert!(quiet.is_now(None, now));
        assert!(!Quiet::default().is_now(None, now), "where there are no quiet times nobody has to know");
        let all_day = vec!["00:00-24:00".parse().expect("a window")];
        assert!(Quiet::new(all_day).is_now(Some(SUMMER_EVENING * 1000), now));
    }

    proptest! {
        #[test]
        fn any_text_is_a_window_or_refused(text in "[0-9:\\- ]{0,14}") {
            let _ = text.parse::<Window>();
        }
    }
}
