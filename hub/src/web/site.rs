//! `/sites/{site}`: a venue's page, and what can be done there: put it on air by hand, take that back, let go of what tallies hold.
//!
//! ```text
//! GET  /sites/arena-north
//! POST /sites/arena-north   do=on_air&until=2026-11-20T22:00   303, back to the page
//! POST /sites/arena-north   do=take_back
//! POST /sites/arena-north   do=let_go
//! ```

use super::accept::wants_page;
use super::alerts::{on_call, refused, site_of, told};
use super::api::Form;
use super::around::{text, when};
use super::log::newest;
use super::maintenance::announced;
use super::page::{group, whole};
use super::venue::Venues;
use super::visitor::Visitor;
use super::{Web, missing, row};
use crate::clock::{self, Now};
use crate::fleet::Appliance;
use crate::moment::{rfc3339, span};
use crate::site::SiteConfig;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Request, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rackside_access::Right;
use rackside_notify::{Booked, Held, Notifier, Severity, State as At};
use rackside_onair::{Local, Phase, Show as Planned, Zone};
use rackside_pages::Here;
use rackside_pages::fleet::{Group, Row, Standing};
use rackside_pages::site::{Alert, Contact, Hand, Hold, Retired, Show, Site};
use rackside_proto::Id;
use std::sync::Arc;

/// Shows, mutes and maintenance within this are on the page, in milliseconds.
const AHEAD: i64 = 14 * 86_400_000;
/// Most of each.
const MOST: usize = 50;
/// Entries of the log.
const LATEST: usize = 8;
/// The longest that a site can be put on air by hand for.
const LONGEST: i64 = 14 * 86_400_000;
const HOUR: i64 = 3_600_000;

impl Web {
    /// The page of a site; none, if nobody knows it or the visitor does not see it.
    fn site(&self, id: &Id, visitor: &Visitor, wrong: &str) -> Option<String> {
        let now = clock::now();
        let at = now.utc_ms as i64;
        let config = self.site_config(id);
        let around = self.around(now);
        let venue = around.venue(id.as_str());
        let rows = self.rows_of(id, now, &around);
        let zone = config.as_ref().map_or(Zone::UTC, SiteConfig::zone);
        let retired = self.retired_of(id, zone);
        if venue.is_none() && rows.is_empty() && retired.is_empty() {
            return None;
        }
        let group = group(id.as_str(), venue, rows);
        if !visitor.sees(&group.site, &group.tags) {
            return None;
        }
        let (shows, is_set) = self
            .on_air
            .look(id, |site| (shows(site.shows(), zone, at), site.is_set_by_hand(at)))
            .unwrap_or_default();
        let venues = self.venues();
        let (alerts, held) = self.notifications.look(|notifier, _| {
            let held = holds(notifier, &group, None, (zone, at), (&venues, visitor));
            (alerts(notifier, &group.site, None, now), held)
        });
        let on_call = self.notifications.look(|notifier, _| on_call(notifier, at));
        let has_shows = config.as_ref().is_some_and(|config| config.settings().has_shows);
        let contacts: Vec<Contact> = config.iter().flat_map(|config| &config.contact).map(contact).collect();
        let access: Vec<String> =
            config.iter().flat_map(|config| config.access.lines()).map(str::to_owned).collect();
        let unsaid = [
            (contacts.is_empty(), "whom to ring"),
            (access.is_empty(), "how to get in"),
            (!has_shows, "its shows"),
        ];
        let unsaid: Vec<&str> = unsaid.into_iter().filter(|(is, _)| *is).map(|(_, what)| what).collect();
        let page = Site {
            frame: self.live_frame(&group.title, Here::Fleet, visitor),
            blank: vec![Group { rows: vec![Row::default()], ..Group::default() }],
            has_title: group.title != group.site,
            local: zone.local(at).format("%a %H:%M").to_string(),
            zone: zone.name().to_owned(),
            has_zone: config.as_ref().is_some_and(|config| config.time_zone.is_some()),
            hand: Hand {
                may: visitor.may(Right::Act),
                is_set,
                until: zone.local(proposed(at)).format("%Y-%m-%dT%H:%M").to_string(),
                wrong: wrong.to_owned(),
            },
            has_whom: !contacts.is_empty() || !on_call.is_empty(),
            standing: standing(&group),
            contacts,
            access,
            unsaid: unsaid.join(", "),
            on_call,
            log: newest(self, visitor, id.as_str(), LATEST),
            shows,
            has_shows,
            alerts,
            held,
            retired,
            group,
        };
        Some(page.html())
    }

    fn site_config(&self, id: &Id) -> Option<SiteConfig> {
        self.on_air.configs().borrow().iter().find(|config| config.id == *id).cloned()
    }

    fn rows_of(&self, id: &Id, now: Now, around: &super::around::Around) -> Vec<Row> {
        let curves = self.sparks.newest(&self.queries, now);
        let ingest = self.shared.read();
        let here = |appliance: &&Appliance| appliance.name.site == *id;
        let rows = ingest.fleet().in_service().filter(here).map(|appliance| {
            let mut row = row::of(appliance, now, around);
            let name = (row.site.clone(), row.appliance.clone());
            row.spark = curves.get(&name).cloned().unwrap_or_default();
            row
        });
        rows.collect()
    }

    /// Appliances that are out of service, by name.
    fn retired_of(&self, id: &Id, zone: Zone) -> Vec<Retired> {
        let ingest = self.shared.read();
        let here = ingest.fleet().appliances().iter().filter(|one| one.name.site == *id);
        let retired = here.filter_map(|one| {
            let since = zone.local(i64::try_from(one.retired_ms?).unwrap_or(i64::MAX));
            let since = since.format("%a %-d %b %Y").to_string();
            Some(Retired { appliance: one.name.appliance.to_string(), since })
        });
        let mut retired: Vec<Retired> = retired.collect();
        retired.sort_by(|one, other| one.appliance.cmp(&other.appliance));
        retired
    }

    /// Does what the form asks for.
    fn at_site(&self, id: &Id, form: &Form, who: &str) -> Result<(), String> {
        let word = match form.first("do") {
            "on_air" => {
                let zone = self.site_config(id).map_or(Zone::UTC, |config| config.zone());
                let until: Local = form.first("until").parse()?;
                Word::OnAir(zone.last_moment(until.0))
            }
            "take_back" => Word::TakeBack,
            "let_go" => Word::LetGo,
            _ => return Err("`do` is on_air, take_back or let_go".to_owned()),
        };
        self.change_on_air(id, word, who)
    }

    /// Takes somebody's word for a site. The error is for whoever said it.
    pub(super) fn change_on_air(&self, id: &Id, word: Word, who: &str) -> Result<(), String> {
        let now = clock::now();
        let at = now.utc_ms as i64;
        let unknown = |_| format!("there is no site {id}");
        match word {
            Word::OnAir(until) => {
                if until <= at {
                    return Err("that is over already: say a moment to come".to_owned());
                }
                if until > at + LONGEST {
                    return Err("that is more than a fortnight ahead: say when it ends".to_owned());
                }
                self.on_air.on_by_hand(id, Some(until)).map_err(unknown)?;
                log::info!("site {id}: on air by hand until {}, says {who}", rfc3339(until as u64));
            }
            Word::TakeBack => {
                self.on_air.off_by_hand(id).map_err(unknown)?;
                log::info!("site {id}: no longer on air by hand, says {who}");
            }
            Word::LetGo => {
                self.on_air.let_go(id, now).map_err(unknown)?;
                log::info!("site {id}: the show is over, says {who}; tallies hold nothing");
            }
        }
        Ok(())
    }
}

/// What somebody says of a site.
#[derive(Debug, Clone, Copy)]
pub(super) enum Word {
    /// It is on air until this moment, in milliseconds since 1970.
    OnAir(i64),
    /// It is not, as far as anybody said so by hand.
    TakeBack,
    /// The show is over, whatever tallies hold.
    LetGo,
}

/// Two hours from now, at the next quarter.
fn proposed(now: i64) -> i64 {
    let quarter = HOUR / 4;
    (now + 2 * HOUR).div_euclid(quarter) * quarter + quarter
}

/// How it stands, in a word.
fn standing(group: &Group) -> &'static str {
    let is_it = |standing: &&Standing| standing.as_str() == group.state;
    Standing::ALL.iter().find(is_it).map_or("", |standing| standing.label())
}

fn contact(contact: &crate::site::Contact) -> Contact {
    Contact::new(&contact.role, &contact.name, (&contact.phone, &contact.email), &contact.hours)
}

/// From when to when, by the clocks of the place: `Fri 27 Nov 19:00–22:00`.
fn stretch(from: i64, to: i64, zone: Zone) -> String {
    let (from, to) = (zone.local(from), zone.local(to));
    let end = if from.date() == to.date() { "%H:%M" } else { "%a %-d %b %H:%M" };
    format!("{}–{}", from.format("%a %-d %b %H:%M"), to.format(end))
}

fn shows(all: &[Planned], zone: Zone, now: i64) -> Vec<Show> {
    let mut ahead: Vec<&Planned> =
        all.iter().filter(|show| now < show.strike && show.rig_up < now + AHEAD).collect();
    ahead.sort_by_key(|show| show.live);
    let line = |show: &&Planned| {
        let time = |at: i64| zone.local(at).format("%H:%M").to_string();
        let parts = [
            (show.rig_up < show.live).then(|| format!("rig-up {}", time(show.rig_up))),
            (show.end < show.strike).then(|| format!("strike until {}", time(show.strike))),
        ];
        Show {
            name: show.name.to_string(),
            live: stretch(show.live, show.end, zone),
            around: parts.into_iter().flatten().collect::<Vec<_>>().join(", "),
            is_live: show.phase(now) == Some(Phase::Live),
            phase: match show.phase(now) {
                Some(Phase::RigUp) => "rig-up",
                Some(Phase::Live) => "live",
                Some(Phase::Strike) => "strike",
                None => "",
            },
        }
    };
    ahead.iter().take(MOST).map(line).collect()
}

/// What fires at a site or is about to, the worst first; of one appliance: of that, and of the site itself.
pub(super) fn alerts(notifier: &Notifier, site: &str, appliance: Option<&str>, now: Now) -> Vec<Alert> {
    let is_here = |alert: &Booked| {
        alert.site() == site && appliance.is_none_or(|one| ["", one].contains(&alert.appliance()))
    };
    let mut all: Vec<&Booked> =
        notifier.alerts().filter(|alert| is_here(alert) && alert.state != At::Resolved).collect();
    all.sort_by_key(|alert| {
        (!alert.fires(), std::cmp::Reverse(alert.severity), std::cmp::Reverse(alert.starts_at))
    });
    let line = |alert: &&Booked| {
        let is_muted =
            matches!(alert.held, Some(Held::Muted(_) | Held::Maintenance(_) | Held::Commissioning));
        let state = match (alert.state, alert.severity) {
            _ if is_muted => Standing::Muted.as_str(),
            (At::Unknown, _) => Standing::Unknown.as_str(),
            (_, Severity::Info) => "info",
            (_, Severity::Warning) => Standing::Warning.as_str(),
            (_, Severity::Critical) => Standing::Critical.as_str(),
        };
        let since = alert.starts_at.max(0) as u64;
        Alert {
            id: alert.id.to_string(),
            state,
            word: match alert.state {
                _ if is_muted => format!("muted {}", alert.severity.as_str()),
                At::Pending => format!("pending {}", alert.severity.as_str()),
                _ => alert.severity.as_str().to_owned(),
            },
            text: text(alert),
            appliance: alert.appliance().to_owned(),
            since: span(now.utc_ms.saturating_sub(since)),
            since_at: rfc3339(since),
            who: alert.acknowledged.as_ref().map_or_else(
                || {
                    Some(told(alert))
                        .filter(|told| !told.is_empty())
                        .map_or_else(String::new, |told| format!("told: {told}"))
                },
                |by| format!("in hand: {}", by.by),
            ),
        }
    };
    all.iter().take(MOST).map(line).collect()
}

/// Mutes and maintenance that hold here, or will within a fortnight; of one appliance: without those of others.
pub(super) fn holds(
    notifier: &Notifier,
    group: &Group,
    appliance: Option<&str>,
    (zone, now): (Zone, i64),
    (venues, visitor): (&Venues, &Visitor),
) -> Vec<Hold> {
    let mutes = notifier.mutes().iter().filter(|mute| now < mute.ends_at && mute.starts_at < now + AHEAD);
    let here = mutes.filter(|mute| {
        mute.matchers.iter().all(|matcher| match (&*matcher.name, appliance) {
            ("site", _) => matcher.accepts(&group.site),
            ("appliance", Some(appliance)) => matcher.accepts(appliance),
            _ => true,
        })
    });
    let mut holds: Vec<(i64, Hold)> = here
        .map(|mute| {
            // One that is not of this site alone may name others, in its words as well.
            let is_whole = visitor.only().is_none() || site_of(mute) == group.site;
            let by = match (is_whole, mute.comment.is_empty()) {
                (false, _) => String::new(),
                (true, true) => mute.by.clone(),
                (true, false) => format!("{}: {}", mute.by, mute.comment),
            };
            let hold = Hold {
                kind: "mute",
                is_now: mute.holds(now),
                what: if is_whole { mute.matchers.texts().join(", ") } else { "some alerts".to_owned() },
                when: format!("until {}", when(mute.ends_at, zone, now)),
                by,
                ends: String::new(),
            };
            (mute.starts_at, hold)
        })
        .collect();
    let announced = announced(notifier, (venues, visitor), Some(&group.site), now, AHEAD);
    let here = announced
        .into_iter()
        .filter(|one| one.appliance.as_deref().zip(appliance).is_none_or(|(theirs, asked)| theirs == asked));
    holds.extend(here.map(|one| {
        let what = match &one.appliance {
            Some(appliance) => format!("all alerts of {appliance}"),
            None if one.matchers.is_empty() => "all alerts".to_owned(),
            None => one.matchers.join(", "),
        };
        let hold = Hold {
            kind: "maintenance",
            is_now: one.from <= now,
            what: format!("{}: {what}", one.name),
            when: stretch(one.from, one.to, zone),
            by: one.said(),
            ends: one.ends(),
        };
        (one.from, hold)
    }));
    holds.sort_by_key(|(from, _)| *from);
    holds.truncate(MOST);
    holds.into_iter().map(|(_, hold)| hold).collect()
}

pub(super) async fn site(
    State(web): State<Arc<Web>>,
    Path(site): Path<String>,
    visitor: Visitor,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    shown(web, site, visitor, headers, uri, String::new()).await
}

async fn shown(
    web: Arc<Web>,
    site: String,
    visitor: Visitor,
    headers: HeaderMap,
    uri: Uri,
    wrong: String,
) -> Response {
    let Ok(id) = site.parse::<Id>() else { return missing::not_found(headers, uri).await };
    let writing = tokio::task::spawn_blocking(move || web.site(&id, &visitor, &wrong));
    let page = writing.await.expect("writing the page does not panic, and is not cancelled");
    let Some(page) = page else { return missing::not_found(headers, uri).await };
    whole(headers, move || page).await
}

pub(super) async fn change(
    State(web): State<Arc<Web>>,
    Path(site): Path<String>,
    visitor: Visitor,
    request: Request<Body>,
) -> Response {
    let (headers, uri) = (request.headers().clone(), request.uri().clone());
    let Ok(form) = Form::read(request).await else {
        return refused(StatusCode::BAD_REQUEST, "the form cannot be read");
    };
    let tags = |id: &Id| web.site_config(id).map(|config| config.tags).unwrap_or_default();
    let Some(id) = site.parse::<Id>().ok().filter(|id| visitor.sees(id.as_str(), &tags(id))) else {
        return missing::not_found(headers, uri).await;
    };
    let who = visitor.name.as_deref().unwrap_or("somebody at the hub's own machine").to_owned();
    match web.at_site(&id, &form, &who) {
        Ok(()) if wants_page(&headers) => {
            (StatusCode::SEE_OTHER, [(header::LOCATION, format!("/sites/{id}"))]).into_response()
        }
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(why) if wants_page(&headers) => {
            let mut response = shown(web, site, visitor, headers, uri, why).await;
            if response.status() == StatusCode::OK {
                *response.status_mut() = StatusCode::BAD_REQUEST;
            }
            response
        }
        Err(why) => refused(StatusCode::BAD_REQUEST, &why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: i64 = 1_795_176_000_000;

    #[test]
    fn what_is_proposed_is_two_hours_ahead_at_a_quarter() {
        assert_eq!(rfc3339(proposed(NOON + 60_000) as u64), "2026-11-20T14:15:00.000Z");
        assert_eq!(rfc3339(proposed(NOON + 14 * 60_000) as u64), "2026-11-20T14:15:00.000Z");
    }

    #[test]
    fn a_stretch_over_midnight_names_both_days() {
        assert_eq!(stretch(NOON, NOON + HOUR, Zone::UTC), "Fri 20 Nov 12:00–13:00");
        assert_eq!(stretch(NOON, NOON + 13 * HOUR, Zone::UTC), "Fri 20 Nov 12:00–Sat 21 Nov 01:00");
    }
}
