//! What is strange in a configuration that can be: `check` tells it, and the hub runs all the same.
//!
//! Sample: `team "stage": nobody is on call Sat 2026-11-21 00:00 - Mon 2026-11-23 00:00, and it has no fallback`.

use super::Policy;
use crate::maintenance::Recurrence;
use crate::rota::Team;
use crate::route::{Route, Target};
use rackside_config::nearest;
use rackside_onair::Zone;
use std::collections::BTreeSet;

/// For how long rotas are looked at: a week, in milliseconds.
const WEEK: i64 = 7 * 86_400_000;
/// Most gaps that are told of one team.
const GAPS: usize = 3;

/// The sites that the configuration names, as far as routes and maintenance ask for them.
#[derive(Clone, Debug, Default)]
pub struct KnownSites<'c> {
    /// Their ids.
    pub ids: BTreeSet<&'c str>,
    /// All of their tags.
    pub tags: BTreeSet<&'c str>,
}

impl Policy {
    /// What is strange, a line each. `now` is where the week begins in which rotas are looked at.
    pub fn remarks(&self, sites: &KnownSites<'_>, now: i64) -> Vec<String> {
        let mut remarks: Vec<String> = self.teams.iter().flat_map(|team| of_team(team, now)).collect();
        remarks.extend(self.of_routes());
        remarks.extend(self.of_names());
        let asked =
            self.routes.iter().map(|route| (format!("route {:?}", route.name), &route.sites, &route.tags));
        let asked = asked.chain(
            self.maintenance.iter().map(|one| (format!("maintenance {:?}", one.name), &one.sites, &one.tags)),
        );
        for (of, ids, tags) in asked {
            let none = |word: &str| format!("{of}: no [[site]] has the {word}");
            remarks.extend(ids.iter().filter_map(|id| unknown(&none("id"), id, &sites.ids)));
            remarks.extend(tags.iter().filter_map(|tag| unknown(&none("tag"), tag, &sites.tags)));
        }
        remarks.extend(self.over(now));
        remarks
    }

    fn of_routes(&self) -> Vec<String> {
        if self.routes.is_empty() && !self.receivers.is_empty() {
            return vec!["there are receivers, but no [[route]]: nobody is told of alerts".to_owned()];
        }
        let Some(last) = self.routes.iter().position(|route| takes_all(route) && !route.goes_on) else {
            return Vec::new();
        };
        let behind = self.routes.iter().skip(last + 1);
        let all = &self.routes[last].name;
        behind
            .map(|route| {
                format!("route {:?} is never asked: {all:?}, further up, takes every alert", route.name)
            })
            .collect()
    }

    /// Receivers and teams that nobody names.
    fn of_names(&self) -> Vec<String> {
        let of_routes = self
            .routes
            .iter()
            .flat_map(|route| route.to.iter().chain(route.escalate.iter().flat_map(|step| &step.to)));
        let named: BTreeSet<&Target> =
            of_routes.chain(self.heartbeat.iter().flat_map(|heartbeat| &heartbeat.to)).collect();
        let of_team = |team: &Team| {
            let shifts = team.shifts.iter().flat_map(|shift| shift.who.clone());
            let overrides = team.overrides.iter().flat_map(|one| one.who.clone());
            shifts.chain(overrides).chain(team.fallback.clone()).collect::<Vec<_>>()
        };
        let members: BTreeSet<_> = self.teams.iter().flat_map(of_team).collect();
        let receivers = self.receivers.iter().map(|receiver| &receiver.name);
        let receivers = receivers
            .filter(|name| !members.contains(*name) && !named.contains(&Target::Receiver((*name).clone())));
        let teams = self.teams.iter().map(|team| &team.name);
        let teams = teams.filter(|name| !named.contains(&Target::Team((*name).clone())));
        receivers
            .map(|name| format!("receiver {name:?} is named by no route, team or heartbeat"))
            .chain(teams.map(|name| format!("team {name:?} is named by no route or heartbeat")))
            .collect()
    }

    /// Maintenance that was once, and is past wherever its site is.
    fn over(&self, now: i64) -> Vec<String> {
        let is_over = |end: i64| end < now - 86_400_000;
        let once = self.maintenance.iter().filter(|one| one.again == Recurrence::Once);
        let past = once.filter(|one| is_over(Zone::UTC.moment(one.start) + one.length));
        past.map(|one| format!("maintenance {:?} is over; it can be taken out", one.name)).collect()
    }
}

fn takes_all(route: &Route) -> bool {
    route.matchers.is_empty()
        && route.sites.is_empty()
        && route.tags.is_empty()
        && route.on_air.is_none()
        && route.severity.is_none_or(|least| least == crate::message::Severity::Info)
}

fn of_team(team: &Team, now: i64) -> Vec<String> {
    let gaps = team.gaps(now, WEEK);
    if team.shifts.is_empty() || gaps.is_empty() {
        return Vec::new();
    }
    let shown = |at: i64| team.zone.local(at).format("%a %Y-%m-%d %H:%M").to_string();
    let listed = gaps.iter().take(GAPS).map(|(from, to)| format!("{} - {}", shown(*from), shown(*to)));
    let listed = listed.collect::<Vec<_>>().join(", ");
    let more = match gaps.len().saturating_sub(GAPS) {
        0 => String::new(),
        more => format!(" and {more} times more within a week"),
    };
    let then = if team.fallback.is_empty() {
        "and it has no `fallback`: a message to it goes nowhere then"
    } else {
        "so its `fallback` is told then"
    };
    vec![format!("team {:?}: nobody is on call {listed}{more}, {then}", team.name)]
}

fn unknown(none: &str, asked: &str, known: &BTreeSet<&str>) -> Option<String> {
    if known.contains(asked) {
        return None;
    }
    let all: Vec<&str> = known.iter().copied().collect();
    let meant = nearest(asked, &all).map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
    Some(format!("{none} {asked:?}{meant}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Tables;
    use rackside_onair::local_time;

    fn remarks(text: &str) -> Vec<String> {
        let receivers = ["crew", "desk"]
            .map(|name| format!("[[receiver]]\nname = \"{name}\"\nkind = \"mqtt\"\ntopic = \"{name}\"\n"))
            .concat();
        let tables: Tables =
            rackside_config::parse(&format!("{receivers}{text}"), "hub.toml").expect("it is right");
        let sites = KnownSites { ids: BTreeSet::from(["arena-north"]), tags: BTreeSet::from(["north"]) };
        // A Friday.
        let now = Zone::UTC.moment(local_time("2026-11-20T12:00").expect("a time"));
        Policy::new(&tables).expect("it can be").remarks(&sites, now)
    }

    const ALL: &str = "[[route]]\nname = \"all\"\nto = [\"crew\", \"desk\"]\n";

    #[test]
    fn what_is_whole_has_no_remarks() {
        assert_eq!(remarks(ALL), [""; 0]);
        let team = "[[team]]\nname = \"stage\"\ntime_zone = \"UTC\"\nfallback = [\"desk\"]\n[[team.shift]]\nwho = [\"crew\"]\n";
        let route =
            "[[route]]\nname = \"a\"\nsites = [\"arena-north\"]\ntags = [\"north\"]\nto = [\"team:stage\"]\n";
        assert_eq!(remarks(&format!("{team}{route}")), [""; 0]);
    }

    #[test]
    fn holes_of_a_rota_are_told() {
        let team = "[[team]]\nname = \"stage\"\ntime_zone = \"Europe/Berlin\"\n";
        let shift = "[[team.shift]]\nwho = [\"crew\"]\nhours = [\"mon-fri\"]\n";
        let route = "[[route]]\nname = \"a\"\nto = [\"team:stage\", \"desk\"]\n";
        let hole = "team \"stage\": nobody is on call Sat 2026-11-21 00:00 - Mon 2026-11-23 00:00, ";
        assert_eq!(
            remarks(&format!("{team}{shift}{route}")),
            [format!("{hole}and it has no `fallback`: a message to it goes nowhere then")]
        );
        assert_eq!(
            remarks(&format!("{team}fallback = [\"desk\"]\n{shift}{route}")),
            [format!("{hole}so its `fallback` is told then")]
        );
        let days =
            remarks(&format!("{team}[[team.shift]]\nwho = [\"crew\"]\nhours = [\"09:00-17:00\"]\n{route}"));
        assert!(
            days[0].contains("Fri 2026-11-20 17:00 - Sat 2026-11-21 09:00")
                && days[0].contains(" and 4 times more within a week, "),
            "{days:?}"
        );
        assert_eq!(
            remarks(&format!("{team}fallback = [\"crew\"]\n{route}")),
            [""; 0],
            "no rota, no hole in it"
        );
    }

    #[test]
    fn what_nobody_names_or_nobody_has_is_told() {
        assert_eq!(
            remarks(""),
            [
                "there are receivers, but no [[route]]: nobody is told of alerts",
                "receiver \"crew\" is named by no route, team or heartbeat",
                "receiver \"desk\" is named by no route, team or heartbeat",
            ]
        );
        let team = "[[team]]\nname = \"stage\"\ntime_zone = \"UTC\"\nfallback = [\"desk\"]\n";
        assert_eq!(remarks(&format!("{team}{ALL}")), ["team \"stage\" is named by no route or heartbeat"]);
        let route = "[[route]]\nname = \"a\"\nsites = [\"arena-noth\"]\ntags = [\"south\"]\nto = [\"crew\"]\n[[route.escalate]]\nafter = \"5m\"\nto = [\"desk\"]\n";
        assert_eq!(
            remarks(route),
            [
                "route \"a\": no [[site]] has the id \"arena-noth\"; did you mean \"arena-north\"?",
                "route \"a\": no [[site]] has the tag \"south\"",
            ]
        );
    }

    #[test]
    fn what_is_never_asked_and_what_is_over_is_told() {
        let last = "[[route]]\nname = \"last\"\nto = [\"crew\"]\n";
        assert_eq!(
            remarks(&format!("{ALL}{last}")),
            ["route \"last\" is never asked: \"all\", further up, takes every alert"]
        );
        assert_eq!(remarks(&format!("{ALL}continue = true\n{last}")), [""; 0]);
        assert_eq!(remarks(&format!("{ALL}on_air = true\n{last}")), [""; 0]);
        let maintenance =
            |start: &str| format!("[[maintenance]]\nname = \"m\"\nduration = \"2h\"\nstart = \"{start}\"\n");
        assert_eq!(
            remarks(&format!("{ALL}{}", maintenance("2026-11-18T02:00"))),
            ["maintenance \"m\" is over; it can be taken out"]
        );
        assert_eq!(remarks(&format!("{ALL}{}", maintenance("2026-11-20T02:00"))), [""; 0]);
        assert_eq!(remarks(&format!("{ALL}{}days = [\"sun\"]\n", maintenance("2026-11-18T02:00"))), [""; 0]);
    }
}
