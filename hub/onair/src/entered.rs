//! A show that is entered by hand in `hub.toml`: local times, once or on days of the week.
//!
//! Its times are what clocks on the wall show, on each day anew: a show from 22:00 to 04:00 ends at 04:00 in the night in which the
//! clocks change, too.
//!
//! ```text
//! start 2026-11-20T19:00, end 2026-11-20T21:30, days fri and sat, until 2026-12-31
//! ```

use crate::show::{DAY, LONGEST, Margins, Show, Window};
use crate::zone::Zone;
use chrono::{Datelike, Days, NaiveDate, NaiveDateTime, TimeDelta, Weekday};

/// A show, or one of each week.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entered {
    /// What it is called.
    pub name: Box<str>,
    /// When it is live, the first time.
    pub start: NaiveDateTime,
    /// How long, by clocks on the wall, in milliseconds.
    pub length: i64,
    /// The days on which it is, from the start's on; none: it is once.
    pub days: Vec<Weekday>,
    /// The last day on which it can begin.
    pub until: Option<NaiveDate>,
    /// Its rig-up and strike.
    pub margins: Margins,
}

impl Entered {
    /// The shows that have part in `window`, in their order.
    pub fn shows(&self, zone: Zone, window: Window) -> Vec<Show> {
        let at = |start: NaiveDateTime| {
            let end = start.checked_add_signed(TimeDelta::try_milliseconds(self.length)?)?;
            let show = Show::new(&self.name, zone.moment(start), zone.last_moment(end), self.margins)?;
            window.has(&show).then_some(show)
        };
        if self.days.is_empty() {
            return at(self.start).into_iter().collect();
        }
        let reach = LONGEST + self.margins.rig_up + self.margins.strike + DAY;
        let from = zone.local(window.from - reach).date().max(self.start.date());
        let to = zone.local(window.to + reach).date();
        let last = self.until.map_or(to, |until| until.min(to));
        let dates = std::iter::successors(Some(from), |date| date.checked_add_days(Days::new(1)))
            .take_while(|date| *date <= last);
        dates
            .filter(|date| self.days.contains(&date.weekday()))
            .filter_map(|date| at(date.and_time(self.start.time())))
            .collect()
    }
}

/// Reads `2026-11-20T19:00`, with or without seconds.
pub fn local_time(text: &str) -> Option<NaiveDateTime> {
    ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::show::HOUR;

    fn entered(start: &str, end: &str, days: &[Weekday]) -> Entered {
        let (start, end) = (local_time(start).unwrap(), local_time(end).unwrap());
        let margins = Margins { rig_up: 2 * HOUR, strike: HOUR };
        Entered {
            name: "show".into(),
            start,
            length: (end - start).num_milliseconds(),
            days: days.to_vec(),
            until: None,
            margins,
        }
    }

    fn window(zone: Zone, from: &str, to: &str) -> Window {
        Window { from: zone.moment(local_time(from).unwrap()), to: zone.moment(local_time(to).unwrap()) }
    }

    /// Start and end of the live part as local times.
    fn live(entered: &Entered, zone: &str, from: &str, to: &str) -> Vec<String> {
        let zone: Zone = zone.parse().unwrap();
        let shows = entered.shows(zone, window(zone, from, to));
        shows.iter().map(|show| format!("{} – {}", zone.local(show.live), zone.local(show.end))).collect()
    }

    #[test]
    fn a_show_once_is_there_while_it_has_part_in_the_window() {
        let show = entered("2026-11-20T19:00", "2026-11-20T21:30", &[]);
        let there = |from, to| !live(&show, "Europe/Berlin", from, to).is_empty();
        assert!(there("2026-11-20T16:00", "2026-11-20T17:01"), "its rig-up");
        assert!(!there("2026-11-20T16:00", "2026-11-20T17:00"));
        assert!(there("2026-11-20T22:29", "2026-11-20T23:00"), "its strike");
        assert!(!there("2026-11-20T22:30", "2026-11-20T23:00"));
    }

    #[test]
    fn days_of_the_week_begin_with_the_start_and_end_with_the_last_day() {
        let mut show = entered("2026-11-20T19:00", "2026-11-20T21:00", &[Weekday::Fri, Weekday::Sat]);
        show.until = NaiveDate::from_ymd_opt(2026, 11, 28);
        assert_eq!(
            live(&show, "UTC", "2026-11-01T00:00", "2026-12-31T00:00"),
            [
                "2026-11-20 19:00:00 – 2026-11-20 21:00:00",
                "2026-11-21 19:00:00 – 2026-11-21 21:00:00",
                "2026-11-27 19:00:00 – 2026-11-27 21:00:00",
                "2026-11-28 19:00:00 – 2026-11-28 21:00:00",
            ]
        );
    }

    #[test]
    fn the_wall_clock_counts_in_the_nights_of_the_change() {
        let show = entered("2026-03-01T22:00", "2026-03-02T04:00", &[Weekday::Sat]);
        let berlin: Zone = "Europe/Berlin".parse().unwrap();
        let length = |from, to| {
            let shows = show.shows(berlin, window(berlin, from, to));
            (shows[0].end - shows[0].live) / HOUR
        };
        assert_eq!(length("2026-03-28T23:00", "2026-03-28T23:01"), 5, "an hour is skipped");
        assert_eq!(length("2026-10-24T23:00", "2026-10-24T23:01"), 7, "an hour comes twice");
        assert_eq!(length("2026-10-31T23:00", "2026-10-31T23:01"), 6);
    }

    #[test]
    fn an_end_that_comes_twice_is_the_second() {
        let show = entered("2026-10-24T20:00", "2026-10-25T02:30", &[]);
        let berlin: Zone = "Europe/Berlin".parse().unwrap();
        let shows = show.shows(berlin, Window { from: 0, to: i64::MAX / 4 });
        assert_eq!((shows[0].end - shows[0].live) * 2 / HOUR, 15, "20:00 to the second 02:30 are 7.5 hours");
    }

    #[test]
    fn a_show_of_several_days_that_comes_again_is_found_from_its_middle() {
        let show = entered("2026-11-20T10:00", "2026-11-22T18:00", &[Weekday::Fri]);
        let found = live(&show, "Europe/Berlin", "2026-12-06T12:00", "2026-12-06T12:01");
        assert_eq!(found, ["2026-12-04 10:00:00 – 2026-12-06 18:00:00"]);
    }

    #[test]
    fn a_local_time_is_read_with_and_without_seconds() {
        assert_eq!(local_time("2026-11-20T19:00"), local_time("2026-11-20T19:00:00"));
        for text in ["", "2026-11-20", "19:00", "2026-11-20T24:00", "2026-02-30T10:00", "2026-11-20T19:00Z"] {
            assert_eq!(local_time(text), None, "{text}");
        }
    }
}
