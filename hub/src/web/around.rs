//! What stands around appliances: what fires of them, and of the hub itself, and which site is on air. An alert whose appliance nobody has heard counts as its site's, one
//! whose site nobody knows makes that site known: nothing that fires is on no page. Gathered once for a page or for a round of live updates, so
//! that a thousand rows cost one look at the alerts and one at the sites.
//!
//! Not to be made while ingest is held: it waits for the notifier.
//!
//! ```text
//! arena-north          on air: program tally · Sunday service until 11:30
//! arena-north/rack-1   2 fire, the worst: critical, "SoC is at 84 °C" since 21:04, desk has it in hand
//! ```

use super::Web;
use super::alerts::told;
use crate::clock::Now;
use crate::identity::Identities;
use crate::onair::OnAir;
use crate::site::SiteConfig;
use rackside_notify::{Booked, Held, Severity, State};
use rackside_onair::{Phase, Reason, Show, Site, View, Zone};
use rackside_pages::fleet::{Air, AlertLink, Standing};
use rackside_proto::{AgentName, Id};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A show that begins within this is what comes next, in milliseconds.
const AHEAD: i64 = 14 * 86_400_000;
const DAY: i64 = 86_400_000;

/// What fires of an appliance, or of a site itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Fires {
    worst: Option<Worst>,
    heard: usize,
    muted: usize,
    /// Since when an alert is about to fire.
    pending: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Worst {
    severity: Severity,
    since: i64,
    id: String,
    text: String,
    hand: String,
    told: String,
}

impl Worst {
    fn weight(&self) -> (Severity, bool, i64) {
        weight(self.severity, &self.hand, self.since)
    }
}

/// Of two that are as bad, what nobody has in hand comes first, and then the newer one.
fn weight(severity: Severity, hand: &str, since: i64) -> (Severity, bool, i64) {
    (severity, hand.is_empty(), since)
}

impl Fires {
    fn add(&mut self, alert: &Booked) {
        if alert.state == State::Pending {
            self.pending = Some(self.pending.map_or(alert.active_at, |before| before.min(alert.active_at)));
            return;
        }
        if matches!(alert.held, Some(Held::Muted(_) | Held::Maintenance(_) | Held::Commissioning)) {
            self.muted += 1;
            return;
        }
        self.heard += 1;
        let hand = alert.acknowledged.as_ref().map_or("", |by| &by.by);
        let weight = weight(alert.severity, hand, alert.starts_at);
        if self.worst.as_ref().is_none_or(|worst| weight > worst.weight()) {
            self.worst = Some(Worst {
                severity: alert.severity,
                since: alert.starts_at,
                id: alert.id.to_string(),
                text: text(alert),
                hand: hand.to_owned(),
                told: told(alert),
            });
        }
    }

    /// How what it is about stands by it.
    pub(super) fn standing(&self) -> Standing {
        match self.worst.as_ref().map(|worst| worst.severity) {
            Some(Severity::Critical) => Standing::Critical,
            Some(Severity::Warning) => Standing::Warning,
            None if self.muted > 0 => Standing::Muted,
            Some(Severity::Info) | None => Standing::Well,
        }
    }

    /// Since when the worst of it fires, in milliseconds since 1970.
    pub(super) fn since(&self) -> Option<u64> {
        self.worst.as_ref().map(|worst| worst.since.max(0) as u64)
    }

    /// Who has the worst of it in hand.
    pub(super) fn hand(&self) -> String {
        self.worst
            .as_ref()
            .filter(|worst| !worst.hand.is_empty())
            .map_or_else(String::new, |worst| format!("in hand: {}", worst.hand))
    }

    /// Who was told of the worst of it, where nobody has it in hand.
    pub(super) fn told(&self) -> String {
        let Some(worst) = self.worst.as_ref().filter(|worst| worst.hand.is_empty()) else {
            return String::new();
        };
        if worst.told.is_empty() { "nobody told".to_owned() } else { format!("told: {}", worst.told) }
    }

    /// Since when an alert of it is about to fire, in milliseconds since 1970.
    pub(super) fn pending(&self) -> Option<u64> {
        self.pending.map(|at| at.max(0) as u64)
    }

    /// Takes in what fires elsewhere.
    fn join(&mut self, other: Self) {
        self.heard += other.heard;
        self.muted += other.muted;
        self.pending = self.pending.into_iter().chain(other.pending).min();
        self.worst = self.worst.take().into_iter().chain(other.worst).max_by_key(Worst::weight);
    }

    /// The way to the worst of it.
    pub(super) fn link(&self) -> AlertLink {
        let more = match (self.heard, self.muted) {
            (0 | 1, 0) => String::new(),
            (0, muted) => format!("{muted} muted"),
            (heard, 0) => format!("and {} more", heard - 1),
            (heard, muted) => format!("and {} more, {muted} muted", heard - 1),
        };
        let worst = self.worst.as_ref();
        AlertLink {
            text: worst.map_or_else(String::new, |worst| worst.text.clone()),
            id: worst.map_or_else(String::new, |worst| worst.id.clone()),
            more,
        }
    }
}

/// A site, beside its appliances.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Venue {
    /// What people call it.
    pub(super) title: String,
    /// Words to find it by.
    pub(super) tags: Vec<String>,
    /// Whether it is on air, in words.
    pub(super) air: Air,
    /// Whether its racks are meant to have power.
    pub(super) has_power: bool,
    /// What fires of the site itself.
    pub(super) fires: Fires,
}

/// All of it at a moment.
#[derive(Debug, Default)]
pub(super) struct Around {
    venues: BTreeMap<String, Venue>,
    /// By site, then by appliance.
    fires: HashMap<String, HashMap<String, Fires>>,
    /// Of the hub itself: what is of no site.
    hub: Fires,
    /// Site and appliance of those that are being set up.
    set_up: BTreeSet<(String, String)>,
    /// Who has joined.
    identities: Option<Identities>,
}

impl Around {
    /// Every site that is configured, or that on-air awareness knows.
    pub(super) fn venues(&self) -> &BTreeMap<String, Venue> {
        &self.venues
    }

    /// A site.
    pub(super) fn venue(&self, site: &str) -> Option<&Venue> {
        self.venues.get(site)
    }

    /// What fires of an appliance.
    pub(super) fn fires(&self, site: &str, appliance: &str) -> Option<&Fires> {
        self.fires.get(site)?.get(appliance)
    }

    /// What fires of the hub itself.
    pub(super) fn hub(&self) -> &Fires {
        &self.hub
    }

    /// Who has joined.
    pub(super) fn identities(&self) -> Option<&Identities> {
        self.identities.as_ref()
    }

    /// Whether an appliance is being set up.
    pub(super) fn is_set_up(&self, site: &str, appliance: &str) -> bool {
        !self.set_up.is_empty() && self.set_up.contains(&(site.to_owned(), appliance.to_owned()))
    }

    /// The appliances of which something else fires than there does, or of which only one has them being set up.
    pub(super) fn differing<'a>(&'a self, before: &'a Self) -> Vec<(&'a str, &'a str)> {
        let all = |of: &'a Self| {
            of.fires.iter().flat_map(|(site, fires)| {
                fires.iter().map(move |(appliance, fires)| (&**site, &**appliance, fires))
            })
        };
        let one_way = |of: &'a Self, than: &'a Self| {
            all(of)
                .filter(move |(site, appliance, fires)| than.fires(site, appliance) != Some(fires))
                .map(|(site, appliance, _)| (site, appliance))
        };
        let set_up = self.set_up.symmetric_difference(&before.set_up);
        let set_up = set_up.map(|(site, appliance)| (&**site, &**appliance));
        let mut differing: Vec<_> =
            one_way(self, before).chain(one_way(before, self)).chain(set_up).collect();
        differing.sort_unstable();
        differing.dedup();
        differing
    }
}

impl Web {
    /// What stands around appliances now.
    pub(super) fn around(&self, now: Now) -> Around {
        self.around_of(None, now)
    }

    /// The same of one site alone, for less work.
    pub(super) fn around_of(&self, only: Option<&str>, now: Now) -> Around {
        let wants = |site: &str| only.is_none_or(|only| only == site);
        let mut around = Around { identities: self.identities.clone(), ..Around::default() };
        let set_up = self.identities.as_ref().map(Identities::being_set_up).unwrap_or_default();
        let set_up = set_up.into_iter().map(|(name, _)| (name.site.to_string(), name.appliance.to_string()));
        around.set_up = set_up.filter(|(site, _)| wants(site)).collect();
        let told = self.on_air.configs();
        let told = told.borrow();
        let configs: HashMap<&Id, &SiteConfig> = told.iter().map(|config| (&config.id, config)).collect();
        venues(&self.on_air, &configs, &wants, now.utc_ms as i64, &mut around.venues);
        self.notifications.look(|notifier, _| {
            let is_on = |alert: &&Booked| alert.fires() || alert.state == State::Pending;
            for alert in notifier.alerts().filter(is_on).filter(|alert| wants(alert.site())) {
                let of_site = around.fires.entry(alert.site().to_owned()).or_default();
                of_site.entry(alert.appliance().to_owned()).or_default().add(alert);
            }
        });
        // What names no site that there can be is the hub's.
        let of_hub = around.fires.extract_if(|site, _| site.parse::<Id>().is_err());
        for fires in of_hub.flat_map(|(_, fires)| fires.into_values()) {
            around.hub.join(fires);
        }
        let ingest = self.shared.read();
        let is_heard = |site: &str, appliance: &str| {
            AgentName::new(site, appliance).is_ok_and(|name| ingest.fleet().slot(&name).is_some())
        };
        for (site, fires) in &mut around.fires {
            let of_site: Vec<Fires> =
                fires.extract_if(|appliance, _| !is_heard(site, appliance)).map(|(_, fires)| fires).collect();
            if of_site.is_empty() {
                continue;
            }
            let bare = || Venue { title: site.clone(), has_power: true, ..Venue::default() };
            let venue = around.venues.entry(site.clone()).or_insert_with(bare);
            for fires in of_site {
                venue.fires.join(fires);
            }
        }
        drop(ingest);
        around
    }
}

fn venues(
    on_air: &OnAir,
    configs: &HashMap<&Id, &SiteConfig>,
    wants: &dyn Fn(&str) -> bool,
    now: i64,
    venues: &mut BTreeMap<String, Venue>,
) {
    on_air.each(|id, site| {
        if !wants(id.as_str()) {
            return;
        }
        let config = configs.get(id);
        let zone = config.map_or(Zone::UTC, |config| config.zone());
        let view = site.view(now);
        venues.insert(
            id.to_string(),
            Venue {
                title: config.map_or_else(|| id.to_string(), |config| config.title().to_owned()),
                tags: config.map(|config| config.tags.clone()).unwrap_or_default(),
                has_power: view.power_expected,
                air: air(site, &view, zone, now),
                fires: Fires::default(),
            },
        );
    });
}

/// What is wrong, where it is known already of which appliance.
pub(super) fn text(alert: &Booked) -> String {
    let summary = alert.annotations.get("summary").map_or("", String::as_str);
    let whose = format!("{}/{}: ", alert.site(), alert.appliance());
    let text = summary.strip_prefix(&*whose).unwrap_or(summary);
    if text.is_empty() { alert.name().to_owned() } else { text.to_owned() }
}

/// Whether a site is on air, why, until when, and what comes next, by its own clocks.
pub(super) fn air(site: &Site, view: &View, zone: Zone, now: i64) -> Air {
    let on = view.on_air();
    let mut why: Vec<String> = view
        .reasons
        .iter()
        .filter(|(_, is)| *is)
        .map(|(reason, _)| said(*reason, site, view, zone, now))
        .collect();
    if !on {
        let phase = |phase: Phase, word: &str| {
            let show = site.shows().iter().find(|show| show.phase(now) == Some(phase))?;
            Some(format!("{word} {}", show.name))
        };
        why.extend(phase(Phase::RigUp, "rig-up for").or_else(|| phase(Phase::Strike, "strike after")));
    }
    if view.tallies[2] > 0 {
        why.push("tally not known".to_owned());
    }
    let can_tell = on || view.tallies != [0; 3] || view.phases.is_some();
    let next = site
        .shows()
        .iter()
        .filter(|show| now < show.live && show.live < now + AHEAD)
        .min_by_key(|show| show.live);
    Air {
        on,
        word: if on {
            "on air"
        } else if can_tell {
            "off air"
        } else {
            ""
        },
        why: why.join(" · "),
        next_ms: next.map_or(0, |show| show.live.max(0) as u64),
        next: next
            .map_or_else(String::new, |show| format!("next: {}, {}", show.name, when(show.live, zone, now))),
    }
}

fn said(reason: Reason, site: &Site, view: &View, zone: Zone, now: i64) -> String {
    match reason {
        Reason::Tally if view.tallies[0] > 0 => "program tally".to_owned(),
        Reason::Tally => "tally is over, and held".to_owned(),
        Reason::Calendar => live(site, now).map_or_else(
            || "calendar".to_owned(),
            |show| format!("{} until {}", show.name, when(show.end, zone, now)),
        ),
        Reason::Manual => match site.by_hand(now) {
            Some(Some(until)) => format!("by hand until {}", when(until, zone, now)),
            Some(None) | None => "by hand".to_owned(),
        },
    }
}

/// The show that is live; of several, the one that ends last.
fn live(site: &Site, now: i64) -> Option<&Show> {
    site.shows().iter().filter(|show| show.phase(now) == Some(Phase::Live)).max_by_key(|show| show.end)
}

/// A moment by the clocks of the place: `19:00`, `Fri 19:00`, `2026-12-05 19:00`.
pub(super) fn when(at: i64, zone: Zone, now: i64) -> String {
    let (local, today) = (zone.local(at), zone.local(now));
    let form = if local.date() == today.date() {
        "%H:%M"
    } else if (now - DAY..now + 6 * DAY).contains(&at) {
        "%a %H:%M"
    } else {
        "%Y-%m-%d %H:%M"
    };
    local.format(form).to_string()
}
