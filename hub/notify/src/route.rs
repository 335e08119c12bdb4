//! Which routes take an alert, and whether they tell it now or wait for the end of quiet hours.
//!
//! A flat list: the first route that takes an alert is the last one asked, unless it goes on. Whether the site is on air is one of the conditions,
//! so the same alert goes another way during the show; it is asked anew whenever something is to be told. Not here: what becomes of it in
//! a group, and who of a team is on call (`rota.rs`).
//!
//! ```text
//! "on air"  on_air, critical  → crew, team:stage        now
//! "else"    quiet 22:00-07:00 → crew                    waits until 07:00
//! ```

use crate::config::Policy;
use crate::matcher::Matchers;
use crate::message::Severity;
use crate::schedule::Schedule;
use crate::world::World;
use rackside_onair::Zone;
use rackside_promql::Labels;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How long a new group waits for more alerts, in milliseconds, unless its route says: what is critical, and what is not.
const WAITS: (i64, i64) = (1000, 30_000);

/// A route, checked. Durations are in milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// What pages and messages call it.
    pub name: Arc<str>,
    /// What labels must be.
    pub matchers: Matchers,
    /// At which sites; without any, at all of them.
    pub sites: Vec<String>,
    /// At sites that have one of these tags; without any, at all of them.
    pub tags: Vec<String>,
    /// From which severity on.
    pub severity: Option<Severity>,
    /// Only while the site is on air, or only while it is not.
    pub on_air: Option<bool>,
    /// When nobody is told.
    pub quiet: Schedule,
    /// Where the clocks of `quiet` are, if not at the site.
    pub time_zone: Option<Zone>,
    /// From which severity on quiet hours do not count.
    pub breaks_quiet: Option<Severity>,
    /// Who is told.
    pub to: Vec<Target>,
    /// Which alerts are one message.
    pub group_by: GroupBy,
    /// How long a new group waits for more; [`Route::wait`] knows the default.
    pub group_wait: Option<i64>,
    /// How long a group waits for further news.
    pub group_interval: i64,
    /// How long until the same is told again.
    pub repeat_interval: i64,
    /// Whether the routes below are asked as well.
    pub goes_on: bool,
    /// Who is told if nobody acknowledges, the sooner first.
    pub escalate: Vec<Step>,
}

/// Whom a route names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// A receiver.
    Receiver(Arc<str>),
    /// Who of a team is on call.
    Team(Arc<str>),
}

/// Which alerts of a route are one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// Those that agree in these labels; without any, all.
    Labels(Vec<Box<str>>),
    /// Each by itself.
    All,
}

/// A step of escalation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// How long after the first message, in milliseconds.
    pub after: i64,
    /// Who is told.
    pub to: Vec<Target>,
}

/// What routes ask of an alert's site.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// The site; empty, if the alert has none.
    pub site: String,
    /// The words that it is found by.
    pub tags: Vec<String>,
    /// Where its clocks are.
    pub zone: Zone,
    /// Whether it is on air; none, if there is no site.
    pub on_air: Option<bool>,
}

/// A route that takes an alert.
#[derive(Clone, Debug, PartialEq)]
pub struct Taken<'p> {
    /// Which.
    pub route: &'p Route,
    /// Until when it waits; none: it is told now.
    pub waits_until: Option<i64>,
}

impl Place {
    /// Where an alert with these labels is.
    pub fn of(labels: &Labels, world: &dyn World) -> Self {
        let site = labels.value("site");
        if site.is_empty() {
            return Self { site: String::new(), tags: Vec::new(), zone: Zone::UTC, on_air: None };
        }
        Self {
            site: site.to_owned(),
            tags: world.tags(site),
            zone: world.zone(site),
            on_air: Some(world.on_air(site)),
        }
    }

    /// Whether it is one of `sites` and has one of `tags`; a list that is empty does not ask.
    pub(crate) fn is_among(&self, sites: &[String], tags: &[String]) -> bool {
        (sites.is_empty() || sites.contains(&self.site))
            && (tags.is_empty() || tags.iter().any(|tag| self.tags.contains(tag)))
    }
}

impl Route {
    /// Whether it takes an alert, now or later.
    pub fn takes(&self, labels: &Labels, place: &Place) -> bool {
        self.severity.is_none_or(|least| severity(labels) >= least)
            && self.on_air.is_none_or(|wanted| place.on_air == Some(wanted))
            && place.is_among(&self.sites, &self.tags)
            && self.matchers.matches(labels)
    }

    /// Until when an alert that it takes has to wait; none: it is told now.
    pub fn waits_until(&self, labels: &Labels, place: &Place, now: i64) -> Option<i64> {
        if self.breaks_quiet.is_some_and(|least| severity(labels) >= least) {
            return None;
        }
        self.quiet.ends_at(now, self.time_zone.unwrap_or(place.zone))
    }

    /// How long a new group waits for more, in milliseconds, if its worst is this.
    pub fn wait(&self, worst: Severity) -> i64 {
        let (urgent, other) = WAITS;
        self.group_wait.unwrap_or(if worst == Severity::Critical { urgent } else { other })
    }

    /// The labels that the group of such an alert has in common. A label that the alert does not have is left out.
    pub fn group_labels(&self, labels: &Labels) -> BTreeMap<String, String> {
        let is_asked = |name: &str| match &self.group_by {
            GroupBy::All => true,
            GroupBy::Labels(names) => names.iter().any(|asked| **asked == *name),
        };
        let asked = labels.iter().filter(|label| is_asked(&label.name));
        asked.map(|label| (label.name.to_string(), label.value.to_string())).collect()
    }
}

fn severity(labels: &Labels) -> Severity {
    rackside_alerting::Severity::of(labels).into()
}

impl Policy {
    /// The routes that take an alert, in their order; none of them: it is not routed.
    pub fn routed(&self, labels: &Labels, place: &Place, now: i64) -> Vec<Taken<'_>> {
        let mut taken = Vec::new();
        for route in self.routes.iter().filter(|route| route.takes(labels, place)) {
            taken.push(Taken { route, waits_until: route.waits_until(labels, place, now) });
            if !route.goes_on {
                break;
            }
        }
        taken
    }

    /// The route of this name.
    pub fn route(&self, name: &str) -> Option<&Route> {
        self.routes.iter().find(|route| *route.name == *name)
    }
}
