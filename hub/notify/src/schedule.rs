//! Times of the week by the clocks on a wall: `22:00-07:00`, `mon-fri 18:00-08:00`, `sat,sun`. Quiet hours and shifts are made of it.
//!
//! Not dates: those are `maintenance.rs`. A span belongs to the day on which it begins, and may go on into the next. Nights in which clocks change:
//! a time that is skipped is the moment of the change, so a span that lies within the skipped hour is none in that night; of a time that comes
//! twice a start is the first and an end the second, so that nothing falls out of the middle of a span.
//!
//! Invariant: [`Schedule::is_in`] holds from a moment in it until [`Schedule::ends_at`] of that moment, and not at that one.
//!
//! ```text
//! 02:00-03:00 in Berlin: an hour; none on 2026-03-29; two hours on 2026-10-25
//! ```

use chrono::{Datelike as _, Days, NaiveDate, NaiveDateTime, TimeDelta};
use rackside_onair::Zone;
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::str::FromStr;

/// Minutes of a day.
const DAY: u16 = 24 * 60;
/// Milliseconds of a day of 24 hours.
const DAY_MS: i64 = 86_400_000;
/// Most spans of a schedule.
const SPANS: usize = 50;
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const EVERY_DAY: u8 = 0b111_1111;
const EXAMPLES: &str = "write for example \"22:00-07:00\", \"mon-fri 18:00-08:00\" or \"sat,sun\"";

/// Spans of the week; without any, no time is in it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Schedule(Vec<DaySpan>);

/// A span on some days of the week.
#[derive(Clone, Copy, PartialEq, Eq)]
struct DaySpan {
    /// The days on which it begins; bit 0 is Monday.
    days: u8,
    /// Minutes since midnight.
    from: u16,
    /// The same, at most 24 hours after `from`.
    to: u16,
}

impl Schedule {
    /// Reads spans. The error is for a person.
    pub fn read<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Result<Self, String> {
        let spans: Vec<DaySpan> =
            texts.into_iter().map(|text| text.as_ref().parse()).collect::<Result<_, _>>()?;
        if spans.len() > SPANS { Err(format!("more than {SPANS} spans")) } else { Ok(Self(spans)) }
    }

    /// All the time.
    pub fn always() -> Self {
        Self(vec![DaySpan { days: EVERY_DAY, from: 0, to: DAY }])
    }

    /// Whether there is no span.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether every minute of an ordinary week is in it.
    pub fn is_whole_week(&self) -> bool {
        let mut minutes = vec![false; 7 * usize::from(DAY)];
        for span in &self.0 {
            for day in (0..7).filter(|day| span.days >> day & 1 == 1) {
                for minute in span.from..span.to {
                    let week = minutes.len();
                    minutes[(day * usize::from(DAY) + usize::from(minute)) % week] = true;
                }
            }
        }
        minutes.into_iter().all(|is_in| is_in)
    }

    /// Whether a moment is in it, by the clocks of `zone`.
    pub fn is_in(&self, now: i64, zone: Zone) -> bool {
        self.end_of_one(now, zone).is_some()
    }

    /// When the time ends that `now` is in: the first moment after it that is not. None, if `now` is in none. A time of which no end
    /// is near is taken to end in a fortnight, and looked at again then.
    pub fn ends_at(&self, now: i64, zone: Zone) -> Option<i64> {
        let mut end = self.end_of_one(now, zone)?;
        while end < now + 14 * DAY_MS
            && let Some(later) = self.end_of_one(end, zone)
        {
            end = later;
        }
        Some(end)
    }

    /// The next moment after `now` at which a span begins or ends.
    pub fn next_edge(&self, now: i64, zone: Zone) -> Option<i64> {
        let edges = self.around(now, zone, 8).flat_map(|(from, to)| [from, to]);
        edges.filter(|edge| *edge > now).min()
    }

    /// The latest end of the spans that `now` is in.
    fn end_of_one(&self, now: i64, zone: Zone) -> Option<i64> {
        let spans = self.around(now, zone, 1).filter(|(from, to)| *from <= now && now < *to);
        spans.map(|(_, to)| to).max()
    }

    /// The spans that begin from two days before `now` to `days` days after it, as moments.
    fn around(&self, now: i64, zone: Zone, days: u64) -> impl Iterator<Item = (i64, i64)> {
        let today = zone.local(now).date();
        let first = today.checked_sub_days(Days::new(2)).unwrap_or(today);
        let dates = std::iter::successors(Some(first), |date| date.checked_add_days(Days::new(1)));
        dates.take(days as usize + 3).flat_map(move |date| {
            let day = date.weekday().num_days_from_monday();
            let spans = self.0.iter().filter(move |span| span.days >> day & 1 == 1);
            spans.filter_map(move |span| {
                let from = first_moment(zone, at_minute(date, span.from)?);
                let to = last_moment(zone, at_minute(date, span.to)?);
                (from < to).then_some((from, to))
            })
        })
    }
}

fn at_minute(date: NaiveDate, minute: u16) -> Option<NaiveDateTime> {
    date.and_hms_opt(0, 0, 0)?.checked_add_signed(TimeDelta::try_minutes(i64::from(minute))?)
}

/// When clocks show a time, for the first time; of one that is skipped, the moment of the change.
pub(crate) fn first_moment(zone: Zone, local: NaiveDateTime) -> i64 {
    not_skipped(zone, local, zone.moment(local))
}

/// The same, for the last time.
pub(crate) fn last_moment(zone: Zone, local: NaiveDateTime) -> i64 {
    not_skipped(zone, local, zone.last_moment(local))
}

/// `at`, if clocks show `local` there. Else they went forward over it, and show more there: the moment at which they did.
fn not_skipped(zone: Zone, local: NaiveDateTime, at: i64) -> i64 {
    let skipped = (zone.local(at) - local).num_milliseconds();
    if skipped <= 0 {
        return at;
    }
    let (mut before, mut after) = (at - skipped, at);
    while before + 1 < after {
        let middle = before + (after - before) / 2;
        if zone.local(middle) < local { before = middle } else { after = middle }
    }
    after
}

impl FromStr for DaySpan {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no time of the week; {EXAMPLES}");
        let mut words = text.split_ascii_whitespace();
        let (first, second) = (words.next().ok_or_else(wrong)?, words.next());
        if words.next().is_some() {
            return Err(wrong());
        }
        let (listed, hours) = match (first.starts_with(|c: char| c.is_ascii_digit()), second) {
            (true, None) => (None, Some(first)),
            (false, hours) => (Some(first), hours),
            (true, Some(_)) => return Err(wrong()),
        };
        let days = listed.map_or(Some(EVERY_DAY), days).ok_or_else(wrong)?;
        let Some(hours) = hours else { return Ok(Self { days, from: 0, to: DAY }) };
        let (from, to) = hours.split_once('-').ok_or_else(wrong)?;
        let (from, to) = (minute(from).ok_or_else(wrong)?, minute(to).ok_or_else(wrong)?);
        if from == to || from == DAY {
            return Err(format!("{text:?} is no time at all; a whole day is \"00:00-24:00\""));
        }
        Ok(Self { days, from, to: if to < from { to + DAY } else { to } })
    }
}

/// `mon-fri`, `sat,sun`, `fri-mon`.
fn days(text: &str) -> Option<u8> {
    text.split(',').try_fold(0, |days, part| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let day = |name: &str| DAYS.iter().position(|day| day.eq_ignore_ascii_case(name));
        let (from, to) = (day(from)?, day(to)?);
        let count = (to + 7 - from) % 7;
        Some((0..=count).fold(days, |days, more| days | 1 << ((from + more) % 7)))
    })
}

/// `07:30`, `24:00`.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str, most: u16| {
        let is_right = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|number: &u16| is_right && *number <= most)
    };
    Some(number(hour, 24)? * 60 + number(minute, 59)?).filter(|minute| *minute <= DAY)
}

/// `mon,tue 22:00-07:00`.
impl fmt::Display for DaySpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.days != EVERY_DAY {
            let days: Vec<&str> = DAYS
                .iter()
                .enumerate()
                .filter(|(at, _)| self.days >> at & 1 == 1)
                .map(|(_, day)| *day)
                .collect();
            write!(f, "{} ", days.join(","))?;
        }
        let to = if self.to > DAY { self.to - DAY } else { self.to };
        write!(f, "{:02}:{:02}-{:02}:{:02}", self.from / 60, self.from % 60, to / 60, to % 60)
    }
}

/// `["22:00-07:00"]`.
impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(DaySpan::to_string)).finish()
    }
}

/// A list of texts.
impl<'de> Deserialize<'de> for Schedule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read(Vec::<String>::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{DateTime, Utc};
    use proptest::prelude::*;
    use rackside_onair::local_time;

    const MINUTE: i64 = 60_000;
    const HOUR: i64 = 60 * MINUTE;

    fn zone(name: &str) -> Zone {
        name.parse().expect("a zone")
    }

    fn schedule(texts: &[&str]) -> Schedule {
        Schedule::read(texts).expect("right")
    }

    fn utc(text: &str) -> i64 {
        text.parse::<DateTime<Utc>>().expect("a moment").timestamp_millis()
    }

    /// A moment by the clocks of a zone; the first, if there are two.
    fn local(zone: Zone, text: &str) -> i64 {
        zone.moment(local_time(text).expect("a local time"))
    }

    #[test]
    fn spans_are_read_and_written_in_one_form() {
        for (text, written) in [
            ("22:00-07:00", "22:00-07:00"),
            ("00:00-24:00", "00:00-24:00"),
            ("12:00-00:00", "12:00-24:00"),
            ("mon-fri 18:00-08:00", "mon,tue,wed,thu,fri 18:00-08:00"),
            ("sat,sun", "sat,sun 00:00-24:00"),
            ("Fri-Mon 01:00-02:00", "mon,fri,sat,sun 01:00-02:00"),
            ("wed", "wed 00:00-24:00"),
            ("mon-sun", "00:00-24:00"),
            ("  sun   23:59-00:01 ", "sun 23:59-00:01"),
        ] {
            assert_eq!(format!("{:?}", schedule(&[text])), format!("[{written:?}]"), "{text}");
        }
        for text in [
            "",
            "22:00",
            "22-07",
            "22:00 - 07:00",
            "7:00-8:00",
            "24:01-07:00",
            "22:60-07:00",
            "22:00-07:00 mon",
            "monday 22:00-07:00",
            "mon- 22:00-07:00",
            "22:00-07:00-08:00",
            "-1:00-02:00",
            "mon,, 22:00-23:00",
            "mön 22:00-23:00",
            "+2:00-03:00",
        ] {
            let why = Schedule::read([text]).expect_err(text);
            assert_eq!(why, format!("{text:?} is no time of the week; {EXAMPLES}"));
        }
        for text in ["07:00-07:00", "24:00-07:00"] {
            assert!(Schedule::read([text]).expect_err(text).contains("is no time at all"), "{text}");
        }
        assert_eq!(Schedule::read(vec!["sun"; 51]).expect_err("too many"), "more than 50 spans");
    }

    #[test]
    fn a_moment_is_in_until_the_end_of_what_it_is_in() {
        let berlin = zone("Europe/Berlin");
        // 2026-11-20 is a Friday.
        for (texts, now, ends) in [
            (&["22:00-07:00"][..], "2026-11-20T21:59:59", None),
            (&["22:00-07:00"], "2026-11-20T22:00", Some("2026-11-21T07:00")),
            (&["22:00-07:00"], "2026-11-21T06:59:59", Some("2026-11-21T07:00")),
            (&["22:00-07:00"], "2026-11-21T07:00", None),
            (&["mon-fri 22:00-07:00"], "2026-11-21T03:00", Some("2026-11-21T07:00")),
            (&["mon-fri 22:00-07:00"], "2026-11-21T23:00", None),
            (&["sat,sun"], "2026-11-21T12:00", Some("2026-11-23T00:00")),
            (&["sat,sun", "22:00-07:00"], "2026-11-20T23:00", Some("2026-11-23T07:00")),
            (&["sat,sun", "22:00-07:00"], "2026-11-23T23:00", Some("2026-11-24T07:00")),
            (&["12:00-13:00", "12:30-14:00", "15:00-16:00"], "2026-11-20T12:45", Some("2026-11-20T14:00")),
            (&["00:00-12:00", "12:00-23:00"], "2026-11-20T05:00", Some("2026-11-20T23:00")),
            (&[], "2026-11-20T12:00", None),
        ] {
            let (schedule, at) = (schedule(texts), local(berlin, now));
            let expected = ends.map(|ends| local(berlin, ends));
            assert_eq!(schedule.ends_at(at, berlin), expected, "{texts:?} at {now}");
            assert_eq!(schedule.is_in(at, berlin), expected.is_some(), "{texts:?} at {now}");
        }
    }

    #[test]
    fn what_has_no_end_is_looked_at_again_in_a_fortnight() {
        let now = utc("2026-11-20T12:00:00Z");
        let ends = Schedule::always().ends_at(now, Zone::UTC).expect("it is in");
        assert!((now + 14 * DAY_MS..=now + 15 * DAY_MS).contains(&ends));
        assert!(
            Schedule::always().is_whole_week()
                && schedule(&["mon-fri", "sat 00:00-12:00", "sat 12:00-00:00", "sun"]).is_whole_week()
        );
        assert!(schedule(&["07:00-20:00", "20:00-07:00"]).is_whole_week());
        assert!(!schedule(&["mon-sat", "sun 00:01-24:00"]).is_whole_week());
    }

    /// When one span of a day is, in a night in which clocks change: from, and how many minutes.
    #[test]
    fn nights_in_which_clocks_change() {
        for (name, text, noon_before, from, minutes) in [
            // Forward: 02:00 is 03:00.
            ("Europe/Berlin", "02:00-03:00", "2026-03-28T11:00:00Z", "", 0),
            ("Europe/Berlin", "02:15-02:45", "2026-03-28T11:00:00Z", "", 0),
            ("Europe/Berlin", "02:30-03:30", "2026-03-28T11:00:00Z", "2026-03-29T01:00:00Z", 30),
            ("Europe/Berlin", "01:30-02:30", "2026-03-28T11:00:00Z", "2026-03-29T00:30:00Z", 30),
            ("Europe/Berlin", "22:00-07:00", "2026-03-28T11:00:00Z", "2026-03-28T21:00:00Z", 8 * 60),
            ("America/New_York", "02:30-04:00", "2026-03-07T17:00:00Z", "2026-03-08T07:00:00Z", 60),
            ("Australia/Lord_Howe", "02:00-03:00", "2026-10-03T02:00:00Z", "2026-10-03T15:30:00Z", 30),
            // Back: 03:00 is 02:00 again.
            ("Europe/Berlin", "02:00-03:00", "2026-10-24T10:00:00Z", "2026-10-25T00:00:00Z", 120),
            ("Europe/Berlin", "01:30-02:30", "2026-10-24T10:00:00Z", "2026-10-24T23:30:00Z", 120),
            ("Europe/Berlin", "02:30-02:45", "2026-10-24T10:00:00Z", "2026-10-25T00:30:00Z", 75),
            ("Europe/Berlin", "22:00-07:00", "2026-10-24T10:00:00Z", "2026-10-24T20:00:00Z", 10 * 60),
            // Back over midnight: 00:00 on the 1st is 23:00 on the day before again, and forward from 00:00 to 01:00.
            ("Atlantic/Azores", "23:00-02:00", "2026-10-24T12:00:00Z", "2026-10-24T23:00:00Z", 240),
            ("America/Havana", "00:00-01:00", "2026-03-07T17:00:00Z", "", 0),
            ("America/Havana", "23:30-00:30", "2026-03-07T17:00:00Z", "2026-03-08T04:30:00Z", 30),
        ] {
            let (zone, schedule, noon) = (zone(name), schedule(&[text]), utc(noon_before));
            let minutes_in: Vec<i64> = (0..24 * 60)
                .map(|minute| noon + minute * MINUTE)
                .filter(|at| schedule.is_in(*at, zone))
                .collect();
            assert_eq!(minutes_in.len(), minutes, "{name} {text}");
            if let (Some(first), Some(last)) = (minutes_in.first(), minutes_in.last()) {
                assert_eq!(*first, utc(from), "{name} {text}");
                assert_eq!(
                    schedule.ends_at(*first, zone),
                    Some(last + MINUTE),
                    "{name} {text}: without a hole"
                );
            }
        }
    }

    #[test]
    fn the_next_edge_is_a_beginning_or_an_end() {
        let berlin = zone("Europe/Berlin");
        let next = |texts: &[&str], now: &str| {
            schedule(texts).next_edge(local(berlin, now), berlin).map(|at| berlin.local(at).to_string())
        };
        assert_eq!(next(&["sun 10:00-12:00"], "2026-11-20T12:00").as_deref(), Some("2026-11-22 10:00:00"));
        assert_eq!(next(&["sun 10:00-12:00"], "2026-11-22T10:00").as_deref(), Some("2026-11-22 12:00:00"));
        assert_eq!(next(&["sun 10:00-12:00"], "2026-11-22T12:00").as_deref(), Some("2026-11-29 10:00:00"));
        assert_eq!(next(&[], "2026-11-22T12:00"), None);
    }

    const ZONES: [&str; 7] = [
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
        "America/Havana",
        "Asia/Kathmandu",
        "Atlantic/Azores",
    ];

    fn spans() -> impl Strategy<Value = Vec<String>> {
        let day = || proptest::sample::select(DAYS.to_vec());
        let span = (day(), day(), 0..1440u16, 1..=1440u16).prop_map(|(first, last, from, length)| {
            let to = (from + length) % 1440;
            let to = if to == 0 { 1440 } else { to };
            format!("{first}-{last} {:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)
        });
        proptest::collection::vec(span, 0..4)
    }

    proptest! {
        /// Over a year with both changes: it is in until its end, not at its end, and an edge is where that changes.
        #[test]
        fn is_in_and_ends_at_agree(
            texts in spans(),
            name in proptest::sample::select(ZONES.to_vec()),
            minute in 0..366 * 24 * 60i64,
        ) {
            let zone = zone(name);
            // A whole day by "07:00-07:00" is refused, as it should be.
            let Ok(schedule) = Schedule::read(&texts) else { return Ok(()) };
            let now = utc("2026-01-01T00:00:00Z") + minute * MINUTE + 12_345;
            let ends = schedule.ends_at(now, zone);
            prop_assert_eq!(schedule.is_in(now, zone), ends.is_some());
            let edge = schedule.next_edge(now, zone);
            if let Some(ends) = ends {
                prop_assert!(now < ends);
                prop_assert!(ends >= now + 14 * DAY_MS || !schedule.is_in(ends, zone));
                prop_assert!(schedule.is_in(ends - 1, zone));
                for part in 0..50 {
                    prop_assert!(schedule.is_in(now + (ends - 1 - now) / 50 * part, zone));
                }
                prop_assert!(edge.is_some_and(|edge| edge <= ends));
            } else if let Some(edge) = edge {
                prop_assert!(schedule.is_in(edge, zone) && !schedule.is_in(edge - 1, zone));
                prop_assert!(!schedule.is_in(now + (edge - 1 - now) / 2, zone));
            } else {
                prop_assert!(schedule.is_empty() || (0..8 * 24).all(|hour| !schedule.is_in(now + hour * HOUR, zone)));
            }
        }

        /// On days without a change it is what one reads off a clock.
        #[test]
        fn it_is_what_the_clock_says(texts in spans(), minute in 0..14 * 24 * 60i64) {
            let Ok(schedule) = Schedule::read(&texts) else { return Ok(()) };
            let berlin = zone("Europe/Berlin");
            let now = utc("2026-06-01T00:00:00Z") + minute * MINUTE;
            let clock = berlin.local(now);
            let day = clock.date().weekday().num_days_from_monday();
            let of_day = u16::try_from((clock - at_minute(clock.date(), 0).expect("midnight")).num_minutes()).expect("a day");
            let expected = schedule.0.iter().any(|span| {
                let begins = |day: u32| span.days >> (day % 7) & 1 == 1;
                begins(day) && span.from <= of_day && of_day < span.to
                    || begins(day + 6) && span.from <= of_day + DAY && of_day + DAY < span.to
            });
            prop_assert_eq!(schedule.is_in(now, berlin), expected);
        }

        #[test]
        fn any_moment_and_any_text_are_borne(text in "[a-z0-9:, é-]{0,20}", now in any::<i64>()) {
            let schedule = Schedule::read([text]).unwrap_or_else(|_| Schedule::always());
            let now = now / 4;
            prop_assert_eq!(schedule.is_in(now, Zone::UTC), schedule.ends_at(now, Zone::UTC).is_some());
        }
    }
}
