//! Windows of maintenance as somebody is told of them: what goes on and what comes, and where.
//!
//! Invariant: of a window that is not of their sites alone, who sees some sites is told when it is and which of theirs it concerns, and neither its name nor what
//! it is about: those may name others.
//!
//! Sample: "Carrier's works", at `arena-north`, of `alertname="StreamDown"`, Sunday 03:00 to 05:00.

use super::venue::Venues;
use super::visitor::Visitor;
use rackside_notify::{Maintenance, Notifier};
use rackside_onair::{Window, Zone};

/// One of them.
#[derive(Debug, Clone)]
pub(super) struct Announced {
    pub(super) name: String,
    /// At these sites; none where it is not said of which.
    pub(super) sites: Vec<String>,
    /// At sites with one of these tags.
    pub(super) tags: Vec<String>,
    /// Of which alerts; of all, if nothing is said.
    pub(super) matchers: Vec<String>,
    pub(super) from: i64,
    pub(super) to: i64,
    /// Whose clocks count.
    pub(super) zone: Zone,
}

/// What is left of a window for somebody.
struct Seen {
    is_whole: bool,
    /// The sites that are named, or that are theirs and concerned.
    sites: Vec<String>,
}

fn concerns(one: &Maintenance, venues: &Venues, site: &str) -> bool {
    let tags = venues.config(site).map_or(&[][..], |config| &config.tags);
    (one.sites.is_empty() || one.sites.iter().any(|named| named == site))
        && (one.tags.is_empty() || one.tags.iter().any(|tag| tags.contains(tag)))
}

/// Nothing, where it is none of theirs.
fn seen(one: &Maintenance, venues: &Venues, visitor: &Visitor) -> Option<Seen> {
    let Some(theirs) = visitor.only() else {
        return Some(Seen { is_whole: true, sites: one.sites.clone() });
    };
    let is_whole = !one.sites.is_empty() && one.sites.iter().all(|site| theirs.contains(site));
    let sites: Vec<String> = theirs.iter().filter(|site| concerns(one, venues, site)).cloned().collect();
    (!sites.is_empty()).then_some(Seen { is_whole, sites })
}

/// What `visitor` is told of what goes on at `now` or begins within `ahead`; of one site alone, if it is said which. In the order in which it begins.
pub(super) fn announced(
    notifier: &Notifier,
    (venues, visitor): (&Venues, &Visitor),
    site: Option<&str>,
    now: i64,
    ahead: i64,
) -> Vec<Announced> {
    let mut found = Vec::new();
    for one in &notifier.policy().maintenance {
        let Some(Seen { is_whole, sites }) = seen(one, venues, visitor) else { continue };
        if site.is_some_and(|site| !visitor.sees(site, &[]) || !concerns(one, venues, site)) {
            continue;
        }
        let place = site.or(sites.first().map(String::as_str));
        let zone = one.time_zone.unwrap_or_else(|| place.map_or(Zone::UTC, |site| venues.zone(site)));
        let texts = |all: &[String]| if is_whole { all.to_vec() } else { Vec::new() };
        let times = one.times(zone, Window { from: now, to: now + ahead });
        found.extend(times.into_iter().filter(|(_, to)| now < *to).map(|(from, to)| Announced {
            name: if is_whole { one.name.to_string() } else { "Maintenance".to_owned() },
            sites: sites.clone(),
            tags: texts(&one.tags),
            matchers: if is_whole { one.matchers.texts() } else { Vec::new() },
            from,
            to,
            zone,
        }));
    }
    found.sort_by(|one, other| (one.from, one.to, &one.name).cmp(&(other.from, other.to, &other.name)));
    found
}
