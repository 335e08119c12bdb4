//! Windows of maintenance as somebody is told of them, of the configuration and by hand: what goes on and what comes, and where.
//!
//! Invariant: of a window that is not of their sites alone, who sees some sites is told when it is and which of theirs it concerns, and neither its name nor what
//! it is about: those may name others.
//!
//! Sample: "Carrier's works", at `arena-north`, of `alertname="StreamDown"`, Sunday 03:00 to 05:00.

use super::venue::Venues;
use super::visitor::Visitor;
use super::works::{may_work, zone_of};
use rackside_notify::{Maintenance, Notifier, Where, Work, WorkId};
use rackside_onair::{Window, Zone};
use std::collections::BTreeSet;

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
    /// Of this appliance of its site alone.
    pub(super) appliance: Option<String>,
    /// What there is to say of one that was announced by hand.
    pub(super) hand: Option<Hand>,
}

/// Of one that was announced by hand.
#[derive(Debug, Clone)]
pub(super) struct Hand {
    pub(super) id: WorkId,
    pub(super) by: String,
    pub(super) comment: String,
    /// Whether whoever looks may end it.
    pub(super) may: bool,
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

/// One by hand, as far as somebody sees it; of one site alone, if it is said which.
fn of_work(work: &Work, (venues, visitor): (&Venues, &Visitor), site: Option<&str>) -> Option<Announced> {
    let is_here = |site: &str| {
        let tags = venues.config(site).map_or(&[][..], |config| &config.tags);
        work.at.has(site, tags) && venues.sees(visitor, site)
    };
    if site.is_some_and(|site| !is_here(site)) {
        return None;
    }
    let (is_whole, sites) = match (&work.at, visitor.only()) {
        (Where::Site(one) | Where::Appliance { site: one, .. }, _) => {
            (true, Some(one.clone()).filter(|one| is_here(one)).into_iter().collect::<Vec<_>>())
        }
        (Where::Tag(_), None) => (true, Vec::new()),
        (Where::Tag(_), Some(theirs)) => (false, theirs.iter().filter(|one| is_here(one)).cloned().collect()),
    };
    let tag = work.at.tag().filter(|_| is_whole).map(str::to_owned);
    if sites.is_empty() && tag.is_none() {
        return None;
    }
    let hand = Hand {
        id: work.id,
        by: work.by.clone(),
        comment: work.comment.clone(),
        may: may_work(visitor, venues, &work.at),
    };
    let appliance = work.at.appliance().map(str::to_owned);
    let zone = match sites.first() {
        Some(site) if !is_whole => venues.zone(site),
        _ => zone_of(venues, &work.at),
    };
    Some(Announced {
        name: if is_whole { work.name.clone() } else { "Maintenance".to_owned() },
        sites,
        tags: tag.into_iter().collect(),
        matchers: appliance.iter().map(|name| format!("appliance={name:?}")).collect(),
        from: work.starts_at,
        to: work.ends_at,
        zone,
        appliance,
        hand: is_whole.then_some(hand),
    })
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
            appliance: None,
            hand: None,
        }));
    }
    let works = notifier.works().iter().filter(|work| now < work.ends_at && work.starts_at < now + ahead);
    found.extend(works.filter_map(|work| of_work(work, (venues, visitor), site)));
    found.sort_by(|one, other| (one.from, one.to, &one.name).cmp(&(other.from, other.to, &other.name)));
    found
}

/// What was announced by hand and begins at `from` or later, for whoever may have to call it off.
pub(super) fn later(
    notifier: &Notifier,
    (venues, visitor): (&Venues, &Visitor),
    from: i64,
) -> Vec<Announced> {
    let works =
        notifier.works().iter().filter(|work| work.starts_at >= from && work.starts_at < work.ends_at);
    let mut later: Vec<Announced> = works.filter_map(|work| of_work(work, (venues, visitor), None)).collect();
    later.sort_by_key(|one| one.from);
    later
}

/// Of what comes again and again the next time alone.
pub(super) fn next_of_each(all: Vec<Announced>) -> Vec<Announced> {
    let mut told = BTreeSet::new();
    let mut is_next = |one: &Announced| {
        one.hand.is_some() || told.insert((one.name.clone(), one.sites.clone(), one.matchers.clone()))
    };
    all.into_iter().filter(|one| is_next(one)).collect()
}
