//! An alert as a line of a page: what the list, the alert's own page and its neighbours have in common.
//!
//! Sample: `critical`, "Arena North: SoC at 84.2 °C", for 3 min, on air, told crew and desk, not told by a mute.

use super::held;
use crate::clock::Now;
use crate::moment::span;
use crate::onair::OnAir;
use crate::web::venue::Venues;
use rackside_notify::{Booked, Held, Mutes, Notifier, Severity, State as At, What, Where, Work, Works};
use rackside_onair::{Show, Zone};
use rackside_pages::When;
use rackside_pages::alerts::{Line, Span};
use std::collections::BTreeMap;

/// The hour of the morning until which somebody sleeps.
const MORNING: u32 = 8;

/// What people keep alerts quiet by. It counts from the moment at which it is made, whenever their groups are looked at.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) mutes: Mutes,
    works: Works,
}

impl Kept {
    /// All that there are.
    pub(super) fn of(notifier: &Notifier) -> Self {
        Self { mutes: notifier.mutes().clone(), works: notifier.works().clone() }
    }

    /// The maintenance by hand that keeps an alert quiet.
    fn work(&self, alert: &Booked, venues: &Venues, now: i64) -> Option<&Work> {
        let tags = venues.config(alert.site()).map_or(&[][..], |config| &config.tags);
        self.works.under_way(&alert.labels, tags, now)
    }
}

/// What lines are made with: looked up once for many of them.
pub(super) struct Pen<'a> {
    pub(super) venues: &'a Venues,
    pub(super) on_air: &'a OnAir,
    pub(super) now: Now,
    pub(super) may: bool,
    known: BTreeMap<String, Site>,
}

/// What is so at a site.
#[derive(Clone)]
struct Site {
    zone: Zone,
    /// None, where nobody can say.
    on_air: Option<bool>,
    show: Option<Show>,
}

impl<'a> Pen<'a> {
    pub(super) fn new(venues: &'a Venues, on_air: &'a OnAir, now: Now, may: bool) -> Self {
        Self { venues, on_air, now, may, known: BTreeMap::new() }
    }

    pub(super) fn at(&self) -> i64 {
        self.now.utc_ms as i64
    }

    fn site(&mut self, site: &str) -> Site {
        if let Some(known) = self.known.get(site) {
            return known.clone();
        }
        let id = site.parse().ok();
        let view = id.as_ref().and_then(|id| self.on_air.view(id, self.now));
        let show = id.as_ref().and_then(|id| self.on_air.shows(id, self.now).0);
        let found = Site { zone: self.venues.zone(site), on_air: view.map(|view| view.on_air()), show };
        self.known.insert(site.to_owned(), found.clone());
        found
    }

    /// The line of an alert.
    pub(super) fn line(&mut self, alert: &Booked, kept: &Kept) -> Line {
        let now = self.at();
        let Site { zone, on_air, show } = self.site(alert.site());
        let counts = alert.counts_as_firing();
        let lasts = match alert.ends_at.filter(|_| !alert.fires()) {
            Some(end) => format!("lasted {}", span(end.abs_diff(alert.starts_at))),
            None => format!("for {}", span(now.abs_diff(alert.starts_at))),
        };
        let dash = if alert.appliance().is_empty() { "" } else { "/" };
        Line {
            id: alert.id.to_string(),
            state: state(alert),
            word: word(alert),
            what: what(alert),
            name: alert.name().to_owned(),
            place: format!("{}{dash}{}", alert.site(), alert.appliance()),
            since: When::new(alert.starts_at, zone, now),
            lasts,
            air: match on_air {
                Some(true) => "on air",
                Some(false) => "off air",
                None => "",
            },
            on_air: on_air == Some(true),
            who: who(alert, zone, now),
            told: told(alert),
            held: why_held(alert, kept, self.venues, now),
            can_acknowledge: self.may && counts && alert.acknowledged.is_none(),
            can_release: self.may && alert.acknowledged.is_some(),
            can_mute: self.may && (counts || alert.state == At::Pending),
            spans: spans(zone, show.as_ref(), now),
            zone: zone.name().to_owned(),
        }
    }
}

/// What is the matter, in a line.
pub(in crate::web) fn what(alert: &Booked) -> String {
    alert.annotations.get("summary").filter(|text| !text.is_empty()).cloned().unwrap_or_else(|| {
        let place = [alert.site(), alert.appliance()].into_iter().filter(|part| !part.is_empty());
        [alert.name().to_owned()].into_iter().chain(place.map(str::to_owned)).collect::<Vec<_>>().join(" ")
    })
}

/// Of its mark.
fn state(alert: &Booked) -> &'static str {
    match (alert.state, alert.severity) {
        (At::Resolved, _) if alert.flaps.since.is_none() => "well",
        (At::Unknown, _) => "unknown",
        // As on the page of a site: what may become bad is not bad yet.
        (At::Pending, _) | (_, Severity::Info) => "info",
        (_, Severity::Critical) => "critical",
        (_, Severity::Warning) => "warning",
    }
}

/// The same as a word.
fn word(alert: &Booked) -> &'static str {
    match alert.state {
        At::Resolved if alert.flaps.since.is_some() => "flapping",
        At::Resolved => "over",
        At::Unknown => "unknown",
        At::Pending => match alert.severity {
            Severity::Critical => "pending critical",
            Severity::Warning => "pending warning",
            Severity::Info => "pending info",
        },
        At::Firing | At::Acknowledged => alert.severity.as_str(),
    }
}

/// Who has it in hand.
pub(super) fn who(alert: &Booked, zone: Zone, now: i64) -> String {
    alert.acknowledged.as_ref().map_or_else(String::new, |one| {
        let note = if one.note.is_empty() { String::new() } else { format!(": {}", one.note) };
        format!("{} since {}{note}", one.by, When::short(one.at, zone, now))
    })
}

/// Who was told that it fires, this time.
pub(in crate::web) fn told(alert: &Booked) -> String {
    let mut names: Vec<&str> = Vec::new();
    for event in alert.history.iter().filter(|event| event.at >= alert.starts_at) {
        if let What::Told { receiver, .. } = &event.what
            && !names.contains(&receiver.as_str())
        {
            names.push(receiver);
        }
    }
    names.join(", ")
}

/// Why nobody is told of it, if that is so.
fn why_held(alert: &Booked, kept: &Kept, venues: &Venues, now: i64) -> String {
    let zone = venues.zone(alert.site());
    if !alert.counts_as_firing() && alert.state != At::Pending {
        return String::new();
    }
    if let Some(mute) = kept.mutes.mutes(&alert.labels, now) {
        let until = When::short(mute.ends_at, zone, now);
        return format!("muted until {until} by {}: {}", mute.by, mute.comment);
    }
    if let Some(work) = kept.work(alert, venues, now) {
        let until = When::short(work.ends_at, zone, now);
        // What is of other sites as well may name them.
        let said = match work.at {
            Where::Tag(_) => String::new(),
            _ => format!(", says {}: {}", work.by, work.comment),
        };
        return format!("maintenance until {until}{said}");
    }
    match &alert.held {
        // It has ended since, and its group has not been looked at.
        Some(Held::Muted(_)) => String::new(),
        Some(Held::Quiet(until)) => format!("quiet hours until {}", When::short(*until, zone, now)),
        other => held(other.as_ref()),
    }
}

/// Whether it is kept from people now. What no route takes is not: it waits for somebody to look.
pub(super) fn is_held(alert: &Booked, kept: &Kept, venues: &Venues, now: i64) -> bool {
    kept.mutes.mutes(&alert.labels, now).is_some()
        || kept.work(alert, venues, now).is_some()
        || alert.held.as_ref().is_some_and(|held| !matches!(held, Held::Muted(_) | Held::NotRouted))
}

/// For how long one may sensibly mute.
fn spans(zone: Zone, show: Option<&Show>, now: i64) -> Vec<Span> {
    let mut spans = vec![Span { value: "1h", label: "1 hour".to_owned() }];
    if let Some(end) = show.map(|show| show.end).filter(|end| *end > now) {
        let label = format!("until the show's end, {}", When::short(end, zone, now));
        spans.push(Span { value: "show", label });
    }
    let label = format!("until morning, {}", When::short(morning(zone, now), zone, now));
    spans.push(Span { value: "morning", label });
    spans
}

/// The end of a mute that was asked for; or why there is none, for a person.
pub(super) fn mute_ends(
    span: &str,
    entered: &str,
    zone: Zone,
    show: Option<&Show>,
    now: i64,
) -> Result<i64, String> {
    match span {
        "1h" => Ok(now + 3_600_000),
        "morning" => Ok(morning(zone, now)),
        "show" => show
            .map(|show| show.end)
            .filter(|end| *end > now)
            .ok_or_else(|| "no show is on there any more; choose another time".to_owned()),
        "until" => rackside_onair::local_time(entered)
            .map(|local| zone.moment(local))
            .ok_or_else(|| format!("until when? {entered:?} is no time; write for example 2026-11-21T08:00")),
        _ => Err("for how long? `for` is 1h, show, morning or until".to_owned()),
    }
}

/// The next time that it is morning.
fn morning(zone: Zone, now: i64) -> i64 {
    let today = zone.local(now).date();
    let days = [Some(today), today.succ_opt()].into_iter().flatten();
    let mornings = days.filter_map(|day| day.and_hms_opt(MORNING, 0, 0)).map(|local| zone.moment(local));
    mornings.into_iter().find(|at| *at > now).unwrap_or(now + 86_400_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_145_119_000; // Fri 2026-11-20 04:25:19 in Berlin.
    const HOUR: i64 = 3_600_000;

    fn berlin() -> Zone {
        "Europe/Berlin".parse().expect("a zone")
    }

    fn show() -> Show {
        let margins = rackside_onair::Margins { rig_up: HOUR, strike: HOUR };
        Show::new("evening", NOW - HOUR, NOW + 2 * HOUR, margins).expect("a show")
    }

    #[test]
    fn mutes_end_when_people_mean() {
        let end = |span, entered| mute_ends(span, entered, berlin(), Some(&show()), NOW);
        let at = |span, entered| end(span, entered).map(|end| When::short(end, berlin(), NOW));
        assert_eq!(at("1h", ""), Ok("05:25".to_owned()));
        assert_eq!(at("morning", ""), Ok("08:00".to_owned()));
        assert_eq!(at("show", ""), Ok("06:25".to_owned()));
        assert_eq!(at("until", "2026-11-21T09:30"), Ok("Sat 09:30".to_owned()));
        for (span, entered) in [("until", ""), ("until", "soon"), ("", ""), ("ever", "")] {
            assert!(end(span, entered).is_err(), "{span} {entered}");
        }
        assert!(mute_ends("show", "", berlin(), None, NOW).is_err());
        let later = NOW + 5 * HOUR;
        let morning = mute_ends("morning", "", berlin(), None, later).expect("there is one");
        assert_eq!(When::short(morning, berlin(), later), "Sat 08:00");
    }

    #[test]
    fn a_show_that_is_on_is_offered() {
        let labels = |show: Option<&Show>| {
            spans(berlin(), show, NOW).into_iter().map(|span| span.label).collect::<Vec<_>>()
        };
        assert_eq!(labels(None), ["1 hour", "until morning, 08:00"]);
        assert_eq!(labels(Some(&show()))[1], "until the show's end, 06:25");
    }
}
