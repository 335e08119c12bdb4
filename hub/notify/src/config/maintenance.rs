//! `[[maintenance]]`: when work is done, once or again and again, and nobody is told of what it brings.
//!
//! ```toml
//! [[maintenance]]
//! name = "updates of the switches"
//! tags = ["north"]
//! start = "2026-11-22T02:00"
//! duration = "2h"
//! days = ["sun"]
//! until = "2027-06-30"
//! ```

use super::{Objection, line, ms, objection};
use crate::maintenance::{Maintenance, Recurrence};
use crate::matcher::Matchers;
use rackside_config::Span;
use rackside_onair::{Date, Day, LONGEST, Local, Weekday, Zone};
use serde::Deserialize;

/// Most bytes of a rule.
const RULE: usize = 500;
/// Most entries of a list.
const MOST: usize = 200;

/// `[[maintenance]]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaintenanceConfig {
    /// What pages call it.
    pub name: String,
    /// At which sites; without any, at all of them.
    #[serde(default)]
    pub sites: Vec<String>,
    /// At sites that have one of these tags.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Of which alerts.
    #[serde(default, rename = "match")]
    pub matches: Vec<String>,
    /// When it begins, the first time.
    pub start: Local,
    /// When that ends.
    pub end: Option<Local>,
    /// Or how long it takes.
    pub duration: Option<Span>,
    /// The days of the week on which it is, from the start's on.
    #[serde(default)]
    pub days: Vec<Day>,
    /// Or a rule of iCal's: `FREQ=MONTHLY;BYDAY=1SU`.
    pub rule: Option<String>,
    /// The last date on which it can begin.
    pub until: Option<Date>,
    /// Where the clocks are, if not at the site.
    pub time_zone: Option<Zone>,
}

impl MaintenanceConfig {
    pub(super) fn checked(&self) -> Result<Maintenance, Objection> {
        line("name", &self.name)?;
        let matchers = Matchers::read(&self.matches).map_err(|why| ("match".to_owned(), why))?;
        for (key, list) in [("sites", &self.sites), ("tags", &self.tags)] {
            if list.len() > MOST {
                return objection(key, format!("there are more than {MOST}"));
            }
        }
        let length = self.length()?;
        let again = match (&self.rule, self.days.is_empty()) {
            (Some(_), false) => {
                return objection("rule", "both `days` and `rule` are given; keep one of them");
            }
            (Some(rule), true) => Recurrence::Rule(self.rule(rule, length)?),
            (None, false) => Recurrence::Days(self.days.iter().map(|day| Weekday::from(*day)).collect()),
            (None, true) => Recurrence::Once,
        };
        if let Some(until) = self.until {
            if again == Recurrence::Once {
                return objection(
                    "until",
                    "is for what comes again: give `days`, for example [\"sun\"], or a `rule`",
                );
            }
            if until.0 < self.start.0.date() {
                return objection("until", "is before the first date");
            }
        }
        Ok(Maintenance {
            name: self.name.as_str().into(),
            sites: self.sites.clone(),
            tags: self.tags.clone(),
            matchers,
            start: self.start.0,
            length,
            again,
            until: self.until.map(|until| until.0),
            time_zone: self.time_zone,
        })
    }

    /// How long it takes, by clocks on the wall, in milliseconds.
    fn length(&self) -> Result<i64, Objection> {
        let (key, length) = match (self.end, self.duration) {
            (Some(end), None) => ("end", (end.0 - self.start.0).num_milliseconds()),
            (None, Some(duration)) => ("duration", ms(duration)),
            (Some(_), Some(_)) => {
                return objection("duration", "both `end` and `duration` are given; keep one of them");
            }
            (None, None) => return objection("start", "when it ends is missing: give `end` or `duration`"),
        };
        if length <= 0 {
            return objection(key, "it ends before it begins");
        }
        if length > LONGEST {
            return objection(key, "maintenance lasts 31 days at most");
        }
        Ok(length)
    }

    fn rule(&self, rule: &str, length: i64) -> Result<Box<str>, Objection> {
        if rule.len() > RULE || rule.contains(|c: char| c.is_control()) {
            return objection("rule", format!("is more than one line of {RULE} bytes"));
        }
        let rule = rule.strip_prefix("RRULE:").unwrap_or(rule);
        match crate::maintenance::read_rule(rule, self.start.0, length, Zone::UTC) {
            Ok(_) => Ok(rule.into()),
            Err(why) => objection("rule", format!("{why}; write for example \"FREQ=MONTHLY;BYDAY=1SU\"")),
        }
    }
}
