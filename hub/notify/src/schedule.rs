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
