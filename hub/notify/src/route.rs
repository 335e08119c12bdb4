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
    /// Whether critical alerts wait for that as well: somebody has set it.
    pub keeps_interval: bool,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Tables;
    use rackside_onair::local_time;

    const RECEIVERS: &str = "[[receiver]]\nname = \"crew\"\nkind = \"mqtt\"\ntopic = \"a\"\n[[receiver]]\nname = \"phone\"\nkind = \"mqtt\"\ntopic = \"b\"\n";

    fn policy(routes: &str) -> Policy {
        let tables: Tables =
            rackside_config::parse(&format!("{RECEIVERS}{routes}"), "hub.toml").expect("it is right");
        Policy::new(&tables).expect("it can be")
    }

    fn labels(text: &str) -> Labels {
        Labels::new(text.split_whitespace().map(|pair| pair.split_once('=').expect("a pair")))
    }

    fn berlin() -> Zone {
        "Europe/Berlin".parse().expect("a zone")
    }

    fn place(site: &str, on_air: bool) -> Place {
        Place {
            site: site.to_owned(),
            tags: vec!["north".to_owned(), "city".to_owned()],
            zone: berlin(),
            on_air: Some(on_air),
        }
    }

    /// Berlin's clocks, on Friday 2026-11-20.
    fn at(time: &str) -> i64 {
        berlin().moment(local_time(&format!("2026-11-20T{time}")).expect("a time"))
    }

    /// The routes that take an alert, with the time until which they wait.
    fn taken(policy: &Policy, labels: &Labels, place: &Place, now: i64) -> String {
        let taken = policy.routed(labels, place, now);
        let each = taken.iter().map(|Taken { route, waits_until }| match waits_until {
            None => route.name.to_string(),
            Some(until) => format!("{} at {}", route.name, berlin().local(*until).format("%a %H:%M")),
        });
        each.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn each_condition_of_a_route_counts() {
        for (keys, takes) in [
            ("", true),
            ("match = ['severity=\"critical\"', 'stream=\"\"']", true),
            ("match = ['severity=\"critical\"', 'component=\"box\"']", false),
            ("sites = [\"arena-south\", \"arena-north\"]", true),
            ("sites = [\"arena-south\"]", false),
            ("tags = [\"south\", \"north\"]", true),
            ("tags = [\"south\"]", false),
            ("sites = [\"arena-north\"]\ntags = [\"south\"]", false),
            ("severity = \"warning\"", true),
            ("severity = \"critical\"", true),
            ("on_air = true", true),
            ("on_air = false", false),
        ] {
            let policy = policy(&format!("[[route]]\nname = \"one\"\nto = [\"crew\"]\n{keys}\n"));
            let critical = labels("site=arena-north severity=critical");
            let found = taken(&policy, &critical, &place("arena-north", true), 0);
            assert_eq!(found == "one", takes, "{keys}");
        }
    }

    #[test]
    fn the_least_severity_takes_what_is_worse_as_well() {
        for (least, takes) in [("info", "iwcx"), ("warning", "wcx"), ("critical", "c")] {
            let policy = policy(&format!("[[route]]\nname = \"one\"\nto = []\nseverity = \"{least}\"\n"));
            let found: String = [("i", "info"), ("w", "warning"), ("c", "critical"), ("x", "strange")]
                .iter()
                .filter(|(_, severity)| {
                    !policy.routed(&labels(&format!("severity={severity}")), &place("a", false), 0).is_empty()
                })
                .map(|(letter, _)| *letter)
                .collect();
            assert_eq!(found, takes, "{least}");
        }
    }

    #[test]
    fn the_first_route_is_the_last_unless_it_goes_on() {
        let policy = policy(
            "[[route]]\nname = \"log\"\nto = [\"crew\"]\ncontinue = true\n[[route]]\nname = \"box\"\nmatch = ['component=box']\nto = [\"crew\"]\n\
             [[route]]\nname = \"critical\"\nseverity = \"critical\"\nto = [\"phone\"]\n",
        );
        let found = |text: &str| taken(&policy, &labels(text), &place("a", false), 0);
        assert_eq!(found("component=box severity=critical"), "log, box");
        assert_eq!(found("severity=critical"), "log, critical");
        assert_eq!(found("severity=info"), "log");
    }

    #[test]
    fn what_no_route_takes_is_not_routed() {
        let policy = policy("[[route]]\nname = \"one\"\nmatch = ['component=box']\nto = [\"crew\"]\n");
        assert_eq!(policy.routed(&labels("component=stream"), &place("a", false), 0), []);
        let nobody = Policy::default();
        assert_eq!(nobody.routed(&labels("component=box"), &place("a", false), 0), []);
    }

    #[test]
    fn the_same_alert_pages_during_the_show_and_waits_for_the_morning_otherwise() {
        let policy = policy(
            "[[route]]\nname = \"show\"\non_air = true\nto = [\"phone\"]\n\
             [[route]]\nname = \"night\"\nquiet = [\"22:00-07:00\", \"sat,sun\"]\nbreaks_quiet = \"critical\"\nto = [\"crew\"]\n",
        );
        let warning = labels("site=arena-north severity=warning");
        let critical = labels("site=arena-north severity=critical");
        for (alert, on_air, now, expected) in [
            (&warning, true, "23:00", "show"),
            (&warning, false, "12:00", "night"),
            (&warning, false, "02:00", "night at Fri 07:00"),
            (&warning, false, "23:00", "night at Mon 07:00"),
            (&critical, false, "23:00", "night"),
            (&critical, true, "23:00", "show"),
        ] {
            assert_eq!(
                taken(&policy, alert, &place("arena-north", on_air), at(now)),
                expected,
                "{now} {on_air}"
            );
        }
    }

    #[test]
    fn quiet_hours_go_by_the_sites_clocks_or_the_routes() {
        let tokyo = Place { zone: "Asia/Tokyo".parse().expect("a zone"), ..place("a", false) };
        let quiet = "[[route]]\nname = \"one\"\nto = [\"crew\"]\nquiet = [\"22:00-07:00\"]\n";
        let of_site = policy(quiet);
        assert_eq!(taken(&of_site, &labels("a=b"), &tokyo, at("12:00")), "one", "20:00 there");
        assert_eq!(taken(&of_site, &labels("a=b"), &tokyo, at("15:00")), "one at Fri 23:00", "23:00 there");
        let of_route = policy(&format!("{quiet}time_zone = \"Europe/Berlin\"\n"));
        assert_eq!(taken(&of_route, &labels("a=b"), &tokyo, at("15:00")), "one");
        assert_eq!(taken(&of_route, &labels("a=b"), &tokyo, at("23:00")), "one at Sat 07:00");
    }

    #[test]
    fn an_alert_without_a_site_is_neither_on_air_nor_off() {
        let policy = policy(
            "[[route]]\nname = \"on\"\non_air = true\nto = []\n[[route]]\nname = \"off\"\non_air = false\nto = []\n\
             [[route]]\nname = \"tag\"\ntags = [\"north\"]\nto = []\n[[route]]\nname = \"any\"\nto = []\n",
        );
        let nowhere = Place { site: String::new(), tags: Vec::new(), zone: Zone::UTC, on_air: None };
        assert_eq!(taken(&policy, &labels("alertname=HubDiskFull"), &nowhere, 0), "any");
    }

    #[test]
    fn a_group_is_known_by_the_labels_that_it_has() {
        let alert = labels("alertname=SocHot site=arena-north severity=warning");
        for (keys, expected) in [
            ("", vec![("site", "arena-north")]),
            ("group_by = []", vec![]),
            ("group_by = [\"stream\", \"alertname\"]", vec![("alertname", "SocHot")]),
            (
                "group_by = [\"...\"]",
                vec![("alertname", "SocHot"), ("severity", "warning"), ("site", "arena-north")],
            ),
        ] {
            let policy = policy(&format!("[[route]]\nname = \"one\"\nto = []\n{keys}\n"));
            let expected =
                expected.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            assert_eq!(policy.routes[0].group_labels(&alert), expected, "{keys}");
        }
    }

    #[test]
    fn a_team_is_who_is_on_call_and_nobody_is_told_twice() {
        let policy = policy(
            "[[team]]\nname = \"stage\"\ntime_zone = \"Europe/Berlin\"\nfallback = [\"crew\"]\n[[team.shift]]\nwho = [\"phone\"]\nhours = [\"18:00-24:00\"]\n\
             [[route]]\nname = \"one\"\nto = [\"crew\", \"team:stage\"]\n",
        );
        let told = |time| policy.told(&policy.routes[0].to, at(time));
        assert_eq!(told("12:00"), [Arc::from("crew")]);
        assert_eq!(told("19:00"), [Arc::from("crew"), Arc::from("phone")]);
    }
}
