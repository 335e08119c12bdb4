//! What the public is told at a moment, for the page and for JSON: made of public sites, of alerts that are incidents, and of what somebody wrote.
//!
//! Alerts of one site with the same words that overlap, or follow each other within five minutes, are one incident.

use crate::moment::{rfc3339, span};
use crate::site::SiteConfig;
use crate::status::{Set, day};
use crate::web::Web;
use rackside_notify::{Booked, What, Where};
use rackside_onair::{Window, Zone};
use rackside_pages::When;
use rackside_pages::status::{Day, Desk, Incident, Maintenance, Site, Status};
use rackside_status::BookError;
use serde_json::{Value as Json, json};
use std::cmp::Reverse;
use std::collections::BTreeMap;

const DAY: i64 = 86_400_000;
const HOUR: i64 = 3_600_000;
/// Days in the bar.
const DAYS: i64 = 90;
/// How wide one is, with the gap behind it.
const WIDTH: usize = 4;
/// How high the bar is.
const HEIGHT: usize = 28;
/// Incidents that are over are told for so long.
const PAST: i64 = 14 * DAY;
/// One that comes back so soon was not over.
const SAME: i64 = 5 * 60_000;
/// Maintenance is announced so long ahead.
pub(super) const AHEAD: i64 = 14 * DAY;
/// What a rule may say to the public, as an annotation.
const WORDS: &str = "public";

/// From when, and until when if it is over.
type Lasted = (i64, Option<i64>);

/// All of it.
pub(super) struct Told {
    pub(super) title: String,
    pub(super) now: i64,
    pub(super) sites: Vec<OneSite>,
    /// The newest first.
    pub(super) incidents: Vec<OneIncident>,
    pub(super) maintenance: Vec<OneMaintenance>,
}

pub(super) struct OneSite {
    name: String,
    zone: Zone,
    is_disturbed: bool,
    is_maintained: bool,
    today: i64,
    days: BTreeMap<i64, rackside_status::Day>,
}

pub(super) struct OneIncident {
    /// Its number, if somebody wrote it.
    pub(super) id: i64,
    pub(super) title: String,
    pub(super) place: String,
    pub(super) text: String,
    pub(super) zone: Zone,
    pub(super) from: i64,
    pub(super) until: Option<i64>,
    /// When what is told of it was news last.
    pub(super) changed: i64,
}

pub(super) struct OneMaintenance {
    pub(super) name: String,
    pub(super) place: String,
    pub(super) zone: Zone,
    pub(super) from: i64,
    pub(super) until: i64,
}

/// What is so now.
pub(super) fn told(web: &Web, public: &Set, now: i64) -> Result<Told, BookError> {
    let configs = public.sites(&web.on_air);
    let title = |id: &str| {
        let found = configs.iter().find(|site| site.id.as_str() == id);
        found.map(|site| (site.public_title().to_owned(), site.zone()))
    };
    let mut incidents = of_alerts(&public.alerts(&web.notifications), &configs, has_receivers(web));
    for one in public.book.incidents(now - PAST)? {
        let everywhere = || ("everywhere".to_owned(), configs.first().map_or(Zone::UTC, SiteConfig::zone));
        let place = if one.site.is_empty() { Some(everywhere()) } else { title(&one.site) };
        // A site that is no longer public takes its incidents with it.
        let Some((place, zone)) = place else { continue };
        let (from, until) = (one.starts_at, one.ends_at);
        incidents.push(OneIncident {
            id: one.id,
            title: one.title,
            place,
            text: one.text,
            zone,
            from,
            until,
            changed: one.changed_at,
        });
    }
    incidents.retain(|one| one.until.is_none_or(|until| until > now - PAST));
    incidents.sort_by_key(|one| Reverse((one.from, one.id)));
    let maintenance = maintenance(web, &configs, now);
    let mut sites = Vec::new();
    for site in &configs {
        let name = site.public_title().to_owned();
        let today = day(site.zone(), now);
        let disturbs =
            |one: &OneIncident| one.until.is_none() && (one.place == name || one.place == "everywhere");
        let keeps =
            |one: &OneMaintenance| one.from <= now && one.place.split(", ").any(|place| place == name);
        sites.push(OneSite {
            is_disturbed: incidents.iter().any(disturbs),
            is_maintained: maintenance.iter().any(keeps),
            zone: site.zone(),
            days: public.book.days(site.id.as_str(), today - DAYS + 1)?,
            today,
            name,
        });
    }
    Ok(Told { title: public.config.title.clone(), now, sites, incidents, maintenance })
}

fn has_receivers(web: &Web) -> bool {
    web.notifications.look(|notifier, _| !notifier.policy().receivers.is_empty())
}

/// Alerts of public sites as incidents. What is over and nobody was told of was kept from people on purpose.
fn of_alerts(alerts: &[Booked], configs: &[SiteConfig], has_receivers: bool) -> Vec<OneIncident> {
    let was_told = |alert: &Booked| {
        let told = alert.history.iter().any(|event| matches!(event.what, What::Told { .. }));
        alert.fires() || told || !has_receivers
    };
    let mut of_one: BTreeMap<(&str, String), Vec<Lasted>> = BTreeMap::new();
    for alert in alerts.iter().filter(|alert| was_told(alert)) {
        let words = alert.annotations.get(WORDS).map(|text| text.trim()).filter(|text| !text.is_empty());
        let words = words.unwrap_or("A disturbance").chars().take(120).collect();
        let until = alert.ends_at.filter(|_| !alert.fires());
        of_one.entry((alert.site(), words)).or_default().push((alert.starts_at, until));
    }
    let mut incidents = Vec::new();
    for ((site, words), mut spans) in of_one {
        let Some(config) = configs.iter().find(|config| config.id.as_str() == site) else { continue };
        spans.sort_unstable();
        let mut joined: Vec<Lasted> = Vec::new();
        for (from, until) in spans {
            match joined.last_mut() {
                Some((_, end)) if end.is_none_or(|end| from <= end + SAME) => {
                    *end = end.zip(until).map(|(one, other)| one.max(other));
                }
                _ => joined.push((from, until)),
            }
        }
        incidents.extend(joined.into_iter().map(|(from, until)| OneIncident {
            id: 0,
            title: words.clone(),
            place: config.public_title().to_owned(),
            text: String::new(),
            zone: config.zone(),
            from,
            until,
            changed: until.unwrap_or(from),
        }));
    }
    incidents
}

/// Windows that are about public sites by name; others are nobody's business.
fn maintenance(web: &Web, configs: &[SiteConfig], now: i64) -> Vec<OneMaintenance> {
    let mut found = web.notifications.look(|notifier, _| {
        let mut found = Vec::new();
        for one in &notifier.policy().maintenance {
            let named: Vec<&SiteConfig> =
                configs.iter().filter(|site| one.sites.iter().any(|id| id == site.id.as_str())).collect();
            let Some(first) = named.first() else { continue };
            let zone = one.time_zone.unwrap_or_else(|| first.zone());
            let times = one.times(zone, Window { from: now, to: now + AHEAD });
            let place: Vec<&str> = named.iter().map(|site| site.public_title()).collect();
            let next = times.into_iter().find(|(_, until)| *until > now);
            found.extend(next.map(|(from, until)| OneMaintenance {
                name: one.name.to_string(),
                place: place.join(", "),
                zone,
                from,
                until,
            }));
        }
        for work in notifier.works().iter().filter(|work| now < work.ends_at && work.starts_at < now + AHEAD)
        {
            // What is done at one box says little of its site, and what a tag covers names none.
            let Where::Site(id) = &work.at else { continue };
            let site = configs.iter().find(|site| site.id.as_str() == id);
            found.extend(site.map(|site| OneMaintenance {
                name: work.name.clone(),
                place: site.public_title().to_owned(),
                zone: site.zone(),
                from: work.starts_at,
                until: work.ends_at,
            }));
        }
        found
    });
    found.sort_by_key(|one| one.from);
    found
}

impl OneSite {
    fn state(&self) -> (&'static str, &'static str) {
        if self.is_disturbed {
            ("critical", "disturbed")
        } else if self.is_maintained {
            ("info", "maintenance")
        } else if self.days.contains_key(&self.today) || self.days.contains_key(&(self.today - 1)) {
            ("well", "well")
        } else {
            ("unknown", "not known yet")
        }
    }

    /// The share of what is known that was well; none, if nothing is.
    fn share(&self) -> Option<f64> {
        let known: i64 = self.days.values().map(|day| day.known_ms).sum();
        let disturbed: i64 = self.days.values().map(|day| day.disturbed_ms).sum();
        (known > 0).then(|| (known - disturbed) as f64 / known as f64)
    }
}

/// Never rounded up to all of it.
fn percent(share: f64) -> String {
    let cut = (share * 10_000.0).floor() / 100.0;
    format!("{cut} %")
}

/// 1970-01-01 and so many days.
fn date(day: i64) -> String {
    rfc3339((day * DAY).max(0) as u64)[..10].to_owned()
}

/// The level of a day, and how high it is drawn.
fn level(day: Option<&rackside_status::Day>) -> (&'static str, usize) {
    match day {
        None => ("unknown", 4),
        Some(day) if day.known_ms == 0 => ("unknown", 4),
        Some(day) if day.disturbed_ms == 0 => ("well", HEIGHT),
        Some(day) if day.disturbed_ms < HOUR => ("slight", 20),
        Some(_) => ("bad", 12),
    }
}

fn said_of(number: i64, day: Option<&rackside_status::Day>) -> String {
    let date = date(number);
    match day.filter(|day| day.known_ms > 0) {
        None => format!("{date}: nothing known"),
        Some(day) if day.disturbed_ms == 0 => format!("{date}: well"),
        Some(day) => format!("{date}: disturbed for {}", span(day.disturbed_ms as u64)),
    }
}

impl Told {
    fn state(&self) -> (&'static str, &'static str) {
        if self.incidents.iter().any(|one| one.until.is_none()) {
            ("critical", "There is a disturbance.")
        } else if self.sites.iter().any(|site| site.is_maintained) {
            ("info", "Maintenance goes on.")
        } else {
            ("well", "All is well.")
        }
    }

    fn site(of: &OneSite) -> Site {
        let (state, word) = of.state();
        let share = of.share().map(|share| format!("{} of what is known was well", percent(share)));
        let share = share.unwrap_or_default();
        let from = of.today - DAYS + 1;
        let days = (from..=of.today).enumerate().map(|(nth, number)| {
            let (level, height) = level(of.days.get(&number));
            let text = said_of(number, of.days.get(&number));
            Day { x: nth * WIDTH, level, height, y: HEIGHT - height, text }
        });
        let said = if share.is_empty() {
            "Nothing is known yet.".to_owned()
        } else {
            format!("The last {DAYS} days: {share}.")
        };
        Site { name: of.name.clone(), state, word, share, said, days: days.collect() }
    }

    fn incident(&self, of: &OneIncident) -> Incident {
        let lasts = match of.until {
            None => format!("for {}", span((self.now - of.from).max(0) as u64)),
            Some(until) => format!("over after {}", span((until - of.from).max(0) as u64)),
        };
        Incident {
            title: of.title.clone(),
            place: of.place.clone(),
            text: of.text.clone(),
            since: When::new(of.from, of.zone, self.now),
            lasts,
            id: of.id,
        }
    }

    /// The page; with forms for an operator.
    pub(super) fn page(&self, desk: Option<Desk>) -> Status {
        let (state, headline) = self.state();
        let short = |one: &OneMaintenance, ms| When::short(ms, one.zone, self.now);
        let maintenance = self.maintenance.iter().map(|one| Maintenance {
            name: one.name.clone(),
            place: one.place.clone(),
            when: format!("{} to {} ({})", short(one, one.from), short(one, one.until), one.zone.name()),
            now: one.from <= self.now,
        });
        let incidents = |is_open: bool| {
            let found = self.incidents.iter().filter(move |one| one.until.is_none() == is_open);
            found.map(|one| self.incident(one)).collect()
        };
        Status {
            title: self.title.clone(),
            state,
            headline,
            at: When::new(self.now, self.sites.first().map_or(Zone::UTC, |site| site.zone), self.now),
            sites: self.sites.iter().map(Self::site).collect(),
            now: incidents(true),
            past: incidents(false),
            maintenance: maintenance.collect(),
            desk,
        }
    }

    /// The same for programs.
    pub(super) fn json(&self) -> Json {
        let at = |ms: i64| rfc3339(ms.max(0) as u64);
        let sites = self.sites.iter().map(|site| {
            let days = site.days.iter().map(|(number, day)| {
                json!({
                    "date": date(*number),
                    "known_seconds": day.known_ms / 1000,
                    "disturbed_seconds": day.disturbed_ms / 1000,
                })
            });
            json!({
                "name": site.name,
                "state": site.state().1,
                "share": site.share(),
                "days": days.collect::<Vec<_>>(),
            })
        });
        let incidents = self.incidents.iter().map(|one| {
            json!({
                "title": one.title,
                "place": one.place,
                "text": one.text,
                "starts_at": at(one.from),
                "ends_at": one.until.map(at),
            })
        });
        let maintenance = self.maintenance.iter().map(|one| {
            json!({ "name": one.name, "place": one.place, "starts_at": at(one.from), "ends_at": at(one.until) })
        });
        json!({
            "title": self.title,
            "state": match self.state().0 { "critical" => "disturbed", "info" => "maintenance", _ => "well" },
            "at": at(self.now),
            "sites": sites.collect::<Vec<_>>(),
            "incidents": incidents.collect::<Vec<_>>(),
            "maintenance": maintenance.collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rackside_status::Day as Counted;

    fn counted(known_ms: i64, disturbed_ms: i64) -> Counted {
        Counted { known_ms, disturbed_ms }
    }

    fn site(days: &[(i64, Counted)]) -> OneSite {
        OneSite {
            name: "Hall".to_owned(),
            zone: Zone::UTC,
            is_disturbed: false,
            is_maintained: false,
            today: 20_777,
            days: days.iter().copied().collect(),
        }
    }

    #[test]
    fn a_bar_has_ninety_days_and_what_nobody_counted_is_not_well() {
        let told = Told::site(&site(&[
            (20_777, counted(HOUR, 0)),
            (20_776, counted(DAY, 60_000)),
            (20_775, counted(DAY, HOUR)),
        ]));
        assert_eq!(told.days.len(), 90);
        let levels: Vec<_> = told.days.iter().rev().take(4).map(|day| day.level).collect();
        assert_eq!(levels, ["well", "slight", "bad", "unknown"]);
        assert_eq!(told.days[88].text, "2026-11-19: disturbed for 1 min");
        assert_eq!((told.state, told.days[89].x), ("well", 356));
        assert_eq!(Told::site(&site(&[])).state, "unknown");
    }

    #[test]
    fn almost_all_is_not_all() {
        assert_eq!(site(&[(1, counted(DAY * 1_000, 1))]).share().map(percent).as_deref(), Some("99.99 %"));
        assert_eq!(site(&[(1, counted(DAY, 0))]).share().map(percent).as_deref(), Some("100 %"));
        assert_eq!(site(&[]).share(), None);
    }
}
