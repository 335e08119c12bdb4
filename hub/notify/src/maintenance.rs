//! Windows of maintenance: once, on days of the week, or by a rule of iCal's, by the site's clocks.
//!
//! Their dates are `rackside-onair`'s, which reads calendars: a window is a show of which nobody is told.
//!
//! ```text
//! "updates of the switches", tag north, Sundays 02:00 for 2 h  →  2026-11-22 02:00-04:00 at arena-north
//! ```

use crate::matcher::Matchers;
use crate::route::Place;
use rackside_onair::{Calendar, Entered, Margins, NaiveDate, NaiveDateTime, Weekday, Window, Zone};
use rackside_promql::Labels;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A window of maintenance, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Maintenance {
    /// What pages call it.
    pub name: Arc<str>,
    /// At which sites; without any, at all of them.
    pub sites: Vec<String>,
    /// At sites that have one of these tags; without any, at all of them.
    pub tags: Vec<String>,
    /// Of which alerts.
    pub matchers: Matchers,
    /// When it begins, the first time.
    pub start: NaiveDateTime,
    /// How long it takes, in milliseconds.
    pub length: i64,
    /// How it comes again.
    pub again: Recurrence,
    /// The last date on which it can begin.
    pub until: Option<NaiveDate>,
    /// Where the clocks are, if not at the site.
    pub time_zone: Option<Zone>,
}

/// How it comes again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recurrence {
    /// Not at all.
    Once,
    /// On days of the week.
    Days(Vec<Weekday>),
    /// By a rule: `FREQ=MONTHLY;BYDAY=1SU`.
    Rule(Box<str>),
}

/// For how long windows are worked out ahead: a week, in milliseconds.
const AHEAD: i64 = 7 * 86_400_000;
/// They have no rig-up and no strike.
const BARE: Margins = Margins { rig_up: 0, strike: 0 };

impl Maintenance {
    /// Whether it is about an alert.
    pub fn concerns(&self, labels: &Labels, place: &Place) -> bool {
        place.is_among(&self.sites, &self.tags) && self.matchers.matches(labels)
    }

    /// When it is, as far as that has part in `window`; `site` is where the site's clocks are. In order; those that touch are one.
    pub fn times(&self, site: Zone, window: Window) -> Vec<(i64, i64)> {
        let zone = self.time_zone.unwrap_or(site);
        let shows = match &self.again {
            Recurrence::Once => self.entered(Vec::new()).shows(zone, window),
            Recurrence::Days(days) => self.entered(days.clone()).shows(zone, window),
            Recurrence::Rule(rule) => {
                let calendar = read_rule(rule, self.start, self.length, zone).unwrap_or_default();
                calendar.shows(window, BARE).0
            }
        };
        let in_time = |from: i64| self.until.is_none_or(|until| zone.local(from).date() <= until);
        let mut times: Vec<(i64, i64)> = Vec::new();
        for (from, to) in
            shows.into_iter().map(|show| (show.live, show.end)).filter(|(from, _)| in_time(*from))
        {
            match times.last_mut() {
                Some((_, end)) if from <= *end => *end = to.max(*end),
                _ => times.push((from, to)),
            }
        }
        times
    }

    fn entered(&self, days: Vec<Weekday>) -> Entered {
        Entered {
            name: (*self.name).into(),
            start: self.start,
            length: self.length,
            days,
            until: self.until,
            margins: BARE,
        }
    }
}

/// A rule as a calendar of one event. The error is for a person.
pub(crate) fn read_rule(
    rule: &str,
    start: NaiveDateTime,
    length: i64,
    zone: Zone,
) -> Result<Calendar, String> {
    let text = format!(
        "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:{}\nDURATION:PT{}S\nRRULE:{rule}\nEND:VEVENT\nEND:VCALENDAR\n",
        start.format("%Y%m%dT%H%M%S"),
        (length + 999) / 1000,
    );
    let (calendar, problems) = Calendar::read(&text, zone);
    match problems.first() {
        None => Ok(calendar),
        Some(problem) => {
            let what = problem.what.split_once("is left out: ").map_or(problem.what.as_str(), |(_, why)| why);
            Err(what.strip_prefix("RRULE: ").unwrap_or(what).to_owned())
        }
    }
}

/// Which maintenance goes on, with what was worked out kept for a week.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    ahead: BTreeMap<(usize, &'static str), Ahead>,
}

#[derive(Clone, Debug)]
struct Ahead {
    from: i64,
    times: Vec<(i64, i64)>,
}

/// Maintenance that goes on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UnderWay<'m> {
    /// Which.
    pub maintenance: &'m Maintenance,
    /// When it ends, in milliseconds since 1970.
    pub until: i64,
}

impl Plan {
    /// The maintenance that concerns an alert at `now`; of several that which ends last. `all` has to be the same each time: another one
    /// needs another plan.
    pub fn under_way<'m>(
        &mut self,
        all: &'m [Maintenance],
        labels: &Labels,
        place: &Place,
        now: i64,
    ) -> Option<UnderWay<'m>> {
        let concerned = all.iter().enumerate().filter(|(_, one)| one.concerns(labels, place));
        let going = concerned.filter_map(|(at, maintenance)| {
            let until = self.end(at, maintenance, place.zone, now)?;
            Some(UnderWay { maintenance, until })
        });
        going.max_by_key(|one| one.until)
    }

    fn end(&mut self, at: usize, maintenance: &Maintenance, zone: Zone, now: i64) -> Option<i64> {
        let worked_out = || {
            let window = Window { from: now, to: now + AHEAD };
            Ahead { from: now, times: maintenance.times(zone, window) }
        };
        let ahead = self.ahead.entry((at, zone.name())).or_insert_with(worked_out);
        if now < ahead.from || ahead.from + AHEAD <= now {
            *ahead = worked_out();
        }
        ahead.times.iter().find(|(from, to)| *from <= now && now < *to).map(|(_, to)| *to)
    }
}
