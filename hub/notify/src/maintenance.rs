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
    /// By a rule: `FREQ=MONTHLY;BYDAY=1SU`. As in calendars, the first one is at its start, whether the rule names that or not.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Policy, Tables};
    use rackside_onair::local_time;

    fn maintenance(keys: &str) -> Vec<Maintenance> {
        let tables: Tables = rackside_config::parse(keys, "hub.toml").expect("it is right");
        Policy::new(&tables).expect("it can be").maintenance
    }

    fn one(keys: &str) -> Maintenance {
        maintenance(&format!("[[maintenance]]\nname = \"one\"\n{keys}")).remove(0)
    }

    fn zone(name: &str) -> Zone {
        name.parse().expect("a zone")
    }

    fn at(zone: Zone, text: &str) -> i64 {
        zone.moment(local_time(text).expect("a local time"))
    }

    fn labels(text: &str) -> Labels {
        Labels::new(text.split_whitespace().map(|pair| pair.split_once('=').expect("a pair")))
    }

    fn place(site: &str, tags: &[&str], name: &str) -> Place {
        Place {
            site: site.to_owned(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            zone: zone(name),
            on_air: Some(false),
        }
    }

    /// Its times from November 2026 to the end of January, by the clocks of Berlin.
    fn times(keys: &str, site: &str) -> Vec<String> {
        let berlin = zone("Europe/Berlin");
        let window = Window { from: at(berlin, "2026-11-01T00:00"), to: at(berlin, "2027-02-01T00:00") };
        let shown = |ms| berlin.local(ms).format("%m-%d %H:%M").to_string();
        one(keys)
            .times(zone(site), window)
            .iter()
            .map(|(from, to)| format!("{} - {}", shown(*from), shown(*to)))
            .collect()
    }

    #[test]
    fn it_is_once_on_days_or_by_a_rule() {
        let start = "start = \"2026-11-22T02:00\"\n";
        for (keys, expected) in [
            ("duration = \"2h\"", vec!["11-22 02:00 - 11-22 04:00"]),
            ("end = \"2026-11-23T02:30\"", vec!["11-22 02:00 - 11-23 02:30"]),
            (
                "duration = \"2h\"\ndays = [\"sun\"]\nuntil = \"2026-12-06\"",
                vec!["11-22 02:00 - 11-22 04:00", "11-29 02:00 - 11-29 04:00", "12-06 02:00 - 12-06 04:00"],
            ),
            (
                "duration = \"90m\"\nrule = \"FREQ=MONTHLY;BYDAY=1SU\"",
                vec!["11-22 02:00 - 11-22 03:30", "12-06 02:00 - 12-06 03:30", "01-03 02:00 - 01-03 03:30"],
            ),
            (
                "duration = \"1h\"\nrule = \"FREQ=WEEKLY;COUNT=2\"",
                vec!["11-22 02:00 - 11-22 03:00", "11-29 02:00 - 11-29 03:00"],
            ),
            (
                "duration = \"1h\"\nrule = \"FREQ=MONTHLY;BYDAY=1SU\"\nuntil = \"2026-12-31\"",
                vec!["11-22 02:00 - 11-22 03:00", "12-06 02:00 - 12-06 03:00"],
            ),
            (
                "duration = \"1d\"\ndays = [\"sun\", \"mon\"]\nuntil = \"2026-11-23\"",
                vec!["11-22 02:00 - 11-24 02:00"],
            ),
        ] {
            assert_eq!(times(&format!("{start}{keys}"), "Europe/Berlin"), expected, "{keys}");
        }
    }

    #[test]
    fn its_clocks_are_the_sites_or_its_own() {
        let keys = "start = \"2026-11-22T02:00\"\nduration = \"1h\"\n";
        assert_eq!(times(keys, "America/New_York"), ["11-22 08:00 - 11-22 09:00"]);
        assert_eq!(
            times(&format!("{keys}time_zone = \"Europe/Berlin\""), "America/New_York"),
            ["11-22 02:00 - 11-22 03:00"]
        );
        assert_eq!(
            times(&format!("{keys}rule = \"FREQ=DAILY;COUNT=1\"\n"), "America/New_York"),
            ["11-22 08:00 - 11-22 09:00"]
        );
    }

    #[test]
    fn it_concerns_what_it_names() {
        let alert = labels("site=arena-north component=network");
        for (keys, concerns) in [
            ("", true),
            ("sites = [\"arena-north\"]", true),
            ("sites = [\"arena-south\"]", false),
            ("tags = [\"north\"]", true),
            ("tags = [\"south\"]", false),
            ("match = ['component=\"network\"']", true),
            ("match = ['component!=\"network\"']", false),
            ("sites = [\"arena-north\"]\nmatch = ['component=\"box\"']", false),
        ] {
            let one = one(&format!("start = \"2026-11-22T02:00\"\nduration = \"1h\"\n{keys}"));
            assert_eq!(one.concerns(&alert, &place("arena-north", &["north"], "UTC")), concerns, "{keys}");
        }
    }

    #[test]
    fn of_several_under_way_the_one_that_ends_last_is_told() {
        let all = maintenance(
            "[[maintenance]]\nname = \"short\"\nstart = \"2026-11-22T02:00\"\nduration = \"1h\"\n\
             [[maintenance]]\nname = \"long\"\nsites = [\"a\"]\nstart = \"2026-11-22T02:30\"\nduration = \"2h\"\n",
        );
        let mut plan = Plan::default();
        let mut found = |site, time: &str| {
            let (place, now) = (place(site, &[], "UTC"), at(Zone::UTC, &format!("2026-11-22T{time}")));
            let under_way = plan.under_way(&all, &labels("x=y"), &place, now)?;
            Some((
                under_way.maintenance.name.to_string(),
                Zone::UTC.local(under_way.until).format("%H:%M").to_string(),
            ))
        };
        let is = |name: &str, until: &str| Some((name.to_owned(), until.to_owned()));
        assert_eq!(found("a", "01:59:59"), None);
        assert_eq!(found("a", "02:00"), is("short", "03:00"));
        assert_eq!(found("a", "02:30"), is("long", "04:30"));
        assert_eq!(found("b", "02:30"), is("short", "03:00"));
        assert_eq!(found("b", "03:00"), None);
        assert_eq!(found("a", "04:29:59"), is("long", "04:30"));
    }

    #[test]
    fn what_was_worked_out_ahead_is_what_would_be_worked_out_now() {
        let all = maintenance(
            "[[maintenance]]\nname = \"days\"\nstart = \"2026-10-01T01:30\"\nduration = \"1h\"\ndays = [\"tue\", \"sun\"]\n\
             [[maintenance]]\nname = \"rule\"\nstart = \"2026-10-01T23:00\"\nduration = \"36h\"\nrule = \"FREQ=WEEKLY;INTERVAL=2\"\n",
        );
        let (berlin, mut plan) = (zone("Europe/Berlin"), Plan::default());
        let (mut now, mut seen) = (at(berlin, "2026-09-25T00:00"), 0);
        let end = at(berlin, "2026-11-25T00:00");
        // A clock that goes back is borne, too.
        for step in 0.. {
            now += if step % 500 == 499 { -6 * 86_400_000 } else { 1_934_567 };
            if now >= end {
                break;
            }
            let of_place = place("a", &[], "Europe/Berlin");
            let found = plan
                .under_way(&all, &labels("x=y"), &of_place, now)
                .map(|it| (it.maintenance.name.clone(), it.until));
            let fresh = Plan::default()
                .under_way(&all, &labels("x=y"), &of_place, now)
                .map(|it| (it.maintenance.name.clone(), it.until));
            assert_eq!(found, fresh, "{}", berlin.local(now));
            seen += usize::from(found.is_some());
        }
        assert!(seen > 100, "{seen} moments within maintenance");
    }
}
