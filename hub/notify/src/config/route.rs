//! `[[route]]`: what is told to whom, how it is grouped, and what happens if nobody reacts.
//!
//! ```toml
//! [[route]]
//! name = "in the morning"
//! quiet = ["22:00-07:00"]
//! to = ["crew"]
//! [[route.escalate]]
//! after = "5m"
//! to = ["phone"]
//! ```

use super::policy::Names;
use super::{Objection, line, ms, objection, within};
use crate::matcher::Matchers;
use crate::message::Severity;
use crate::route::{GroupBy, Route, Step};
use crate::schedule::Schedule;
use rackside_config::Span;
use rackside_onair::Zone;
use rackside_promql::is_label_name;
use serde::Deserialize;

/// Most steps of escalation.
const STEPS: usize = 10;
/// Most entries of a list.
const MOST: usize = 200;

/// `[[route]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteConfig {
    /// What pages and messages call it; what is kept of its groups goes by it.
    pub name: String,
    /// What labels must be, each of them.
    #[serde(default, rename = "match")]
    pub matches: Vec<String>,
    /// At which sites; without any, at all of them.
    #[serde(default)]
    pub sites: Vec<String>,
    /// At sites that have one of these tags.
    #[serde(default)]
    pub tags: Vec<String>,
    /// From which severity on.
    pub severity: Option<Severity>,
    /// Only while the site is on air, or only while it is not.
    pub on_air: Option<bool>,
    /// When nobody is told; what still fires when it ends is told then.
    #[serde(default)]
    pub quiet: Schedule,
    /// Where the clocks of `quiet` are, if not at the site.
    pub time_zone: Option<Zone>,
    /// From which severity on quiet hours do not count.
    pub breaks_quiet: Option<Severity>,
    /// Receivers, and teams as `team:stage`. None: what it catches is told nobody.
    pub to: Vec<String>,
    /// Alerts that agree in these labels are one message; `...` for all labels.
    pub group_by: Option<Vec<String>>,
    /// How long a new group waits for more.
    pub group_wait: Option<Span>,
    /// How long a group waits for further news.
    pub group_interval: Option<Span>,
    /// How long until the same is told again.
    pub repeat_interval: Option<Span>,
    /// Whether the routes below are asked as well.
    #[serde(default, rename = "continue")]
    pub goes_on: bool,
    /// Who is told if nobody acknowledges.
    #[serde(default)]
    pub escalate: Vec<EscalateConfig>,
}

/// `[[route.escalate]]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EscalateConfig {
    /// How long after the first message.
    pub after: Span,
    /// Whom.
    pub to: Vec<String>,
}

impl RouteConfig {
    pub(super) fn checked(&self, names: &Names<'_>) -> Result<Route, Objection> {
        line("name", &self.name)?;
        let matchers = Matchers::read(&self.matches).map_err(|why| ("match".to_owned(), why))?;
        for (key, list) in [("sites", &self.sites), ("tags", &self.tags), ("to", &self.to)] {
            if list.len() > MOST {
                return objection(key, format!("there are more than {MOST}"));
            }
        }
        if self.quiet.is_whole_week() {
            return objection("quiet", "never ends, so nobody would ever be told; for that, write `to = []`");
        }
        for (key, is_given) in
            [("breaks_quiet", self.breaks_quiet.is_some()), ("time_zone", self.time_zone.is_some())]
        {
            if is_given && self.quiet.is_empty() {
                return objection(key, "is about `quiet`, which is not given");
            }
        }
        let (interval, repeat) = self.intervals()?;
        Ok(Route {
            name: self.name.as_str().into(),
            matchers,
            sites: self.sites.clone(),
            tags: self.tags.clone(),
            severity: self.severity,
            on_air: self.on_air,
            quiet: self.quiet.clone(),
            time_zone: self.time_zone,
            breaks_quiet: self.breaks_quiet,
            to: names.targets("to", &self.to)?,
            group_by: self.group_by()?,
            group_wait: self.group_wait.map(ms),
            group_interval: interval,
            keeps_interval: self.group_interval.is_some(),
            repeat_interval: repeat,
            goes_on: self.goes_on,
            escalate: self.steps(names)?,
        })
    }

    fn intervals(&self) -> Result<(i64, i64), Objection> {
        let interval = self.group_interval.unwrap_or(Span::seconds(300));
        let repeat = self.repeat_interval.unwrap_or(Span::seconds(4 * 3600).max(interval));
        if ms(interval) == 0 {
            return objection(
                "group_interval",
                "\"0s\" would tell each change by itself; write for example \"5m\"",
            );
        }
        if repeat < interval {
            let why = format!(
                "\"{repeat}\" is shorter than `group_interval`, \"{interval}\": a group is looked at no more often than that"
            );
            return objection("repeat_interval", why);
        }
        if let Some(wait) = self.group_wait
            && ms(wait) > 86_400_000
        {
            return objection(
                "group_wait",
                format!("\"{wait}\" is more than a day; for what can wait there is `quiet`"),
            );
        }
        Ok((ms(interval), ms(repeat)))
    }

    fn group_by(&self) -> Result<GroupBy, Objection> {
        let Some(labels) = &self.group_by else { return Ok(GroupBy::Labels(vec!["site".into()])) };
        if labels.iter().any(|label| label == "...") {
            return if labels.len() == 1 {
                Ok(GroupBy::All)
            } else {
                objection("group_by", "\"...\" stands for all labels; leave out the others")
            };
        }
        let mut names: Vec<Box<str>> = Vec::new();
        for label in labels {
            if !is_label_name(label) {
                return objection("group_by", format!("{label:?} is no name of a label"));
            }
            if names.iter().any(|name| **name == **label) {
                return objection("group_by", format!("{label:?} is named twice"));
            }
            names.push(label.as_str().into());
        }
        Ok(GroupBy::Labels(names))
    }

    fn steps(&self, names: &Names<'_>) -> Result<Vec<Step>, Objection> {
        if self.escalate.len() > STEPS {
            return objection("escalate", format!("there are more than {STEPS}"));
        }
        let mut steps: Vec<Step> = Vec::new();
        for (at, step) in self.escalate.iter().enumerate() {
            let checked = || {
                let after = ms(step.after);
                let before = steps.last().map_or(0, |step| step.after);
                if after <= before {
                    let why = format!(
                        "\"{}\" is not later than the step before; it counts from the first message",
                        step.after
                    );
                    return objection("after", why);
                }
                if step.to.is_empty() {
                    return objection("to", "is empty; name one at least");
                }
                Ok(Step { after, to: names.targets("to", &step.to)? })
            };
            let step = within("escalate", at, checked())?;
            steps.push(step);
        }
        Ok(steps)
    }
}
