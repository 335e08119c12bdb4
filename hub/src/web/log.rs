//! `/log` and `/api/log`: what happened, the newest first: what appliances tell as events, and what became of alerts.
//!
//! The history has the events by time (`Reader::log`), the notifier's book what became of alerts in the last week. A page is a stretch of time: it has all of both that
//! falls into it, so pages lie end to end, whatever is asked for, and its end is a place in the history's log that stays what it is.
//!
//! Sample: `/api/log?site=arena-north&kind=tally&limit=2`
//!
//! ```json
//! {"log": [{"id": "1795145110021.1.s7", "at": "…", "site": "arena-north", "appliance": "rack-1", "kind": "tally", "what": "camera-1 is on program"}],
//!  "next": "1795145110021.1.s7"}
//! ```

mod asked;
mod words;

pub(in crate::web) use words::words;

use super::accept::answer;
use super::api::Form;
use super::problem::Problem;
use super::venue::Venues;
use super::visitor::Visitor;
use super::{Web, page as pages};
use crate::clock;
use crate::moment::rfc3339;
use asked::Asked;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use rackside_history::{Cursor, LogEntry, LogPage, LogQuery, StoreError};
use rackside_notify::What;
use rackside_pages::alerts::Choice;
use rackside_pages::log::{Entry, Log};
use rackside_pages::{Here, When};
use rackside_proto::AgentName;
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Entries that are read at a time, and how often for one page: a text that is nowhere costs so much and no more.
const READ: usize = 2_000;
const READS: usize = 10;
/// Entries of the page.
const PAGE: usize = 100;

/// Something that happened, ready to be told.
#[derive(Debug, Clone)]
struct Told {
    /// Its place; of an alert the moment and its number.
    id: String,
    at: i64,
    site: String,
    appliance: String,
    kind: &'static str,
    what: String,
    /// The alert's number, or nothing.
    alert: String,
}

/// A page of it.
struct Page {
    entries: Vec<Told>,
    /// Where it goes on.
    next: Option<Cursor>,
    /// Whether it ends before it is full, since so much was read already.
    is_cut: bool,
}

pub(super) async fn page(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    pages::whole(headers, move || shown(&web, &visitor, &uri).html()).await
}

fn shown(web: &Web, visitor: &Visitor, uri: &Uri) -> Log {
    let (venues, now) = (web.venues(), clock::now().utc_ms as i64);
    let form = Form::of_address(uri);
    let (asked, mut trouble) = match Asked::of(&form, &venues, PAGE) {
        Ok(asked) => (asked, String::new()),
        Err(why) => (Asked { limit: PAGE, ..Asked::default() }, format!("{why}.")),
    };
    let found = read(web, &venues, visitor, &asked).unwrap_or_else(|error| {
        log::error!("the log cannot be read: {error}");
        "The hub cannot read its history; its own log says why.".clone_into(&mut trouble);
        Page { entries: Vec::new(), next: None, is_cut: false }
    });
    let zone = venues.zone(&asked.site);
    let kinds = words::KINDS.iter().map(|&(value, label)| Choice {
        value: value.to_owned(),
        label: label.to_owned(),
        on: asked.kind == value,
    });
    let looked = found.next.as_ref().filter(|_| found.is_cut);
    Log {
        frame: web.live_frame("Log", Here::Log, visitor),
        sites: sites(web, &venues, visitor, &asked.site),
        appliance: asked.appliance.clone(),
        kinds: kinds.collect(),
        text: asked.text.clone(),
        from: form.first("from").to_owned(),
        until: form.first("until").to_owned(),
        zone: zone.name().to_owned(),
        on: asked.is_narrow(),
        trouble,
        empty: found.entries.is_empty(),
        entries: found.entries.iter().map(|one| entry(one, &venues, now)).collect(),
        live: asked.before.is_none() && form.first("until").is_empty(),
        looked: looked.map(|next| When::new(next.ms as i64, zone, now).text).unwrap_or_default(),
        newest: if asked.before.is_some() { asked.address(&form, None) } else { String::new() },
        older: found.next.map(|next| asked.address(&form, Some(&next))).unwrap_or_default(),
    }
}

/// The newest entries of a site, at least so many if there are; none, if the history cannot be read.
pub(super) fn newest(web: &Web, visitor: &Visitor, site: &str, limit: usize) -> Vec<Entry> {
    let (venues, now) = (web.venues(), clock::now().utc_ms);
    let asked = Asked { site: site.to_owned(), limit, range: 0..now + 1, ..Asked::default() };
    let found = read(web, &venues, visitor, &asked).map(|page| page.entries);
    let found = found.unwrap_or_else(|error| {
        log::error!("the log cannot be read: {error}");
        Vec::new()
    });
    found.iter().map(|one| entry(one, &venues, now as i64)).collect()
}

fn entry(one: &Told, venues: &Venues, now: i64) -> Entry {
    Entry {
        id: one.id.clone(),
        when: When::new(one.at, venues.zone(&one.site), now),
        site: if one.site.is_empty() { String::new() } else { venues.title(&one.site) },
        site_href: format!("/sites/{}", one.site),
        appliance: one.appliance.clone(),
        appliance_href: format!("/sites/{}/{}", one.site, one.appliance),
        kind: one.kind,
        what: one.what.clone(),
        href: if one.alert.is_empty() { String::new() } else { format!("/alerts/{}", one.alert) },
    }
}

/// Sites that the visitor sees, to choose from.
fn sites(web: &Web, venues: &Venues, visitor: &Visitor, chosen: &str) -> Vec<Choice> {
    let mut ids: BTreeSet<String> = venues.all().map(|(id, _)| id.to_owned()).collect();
    {
        let ingest = web.shared.read();
        ids.extend(ingest.fleet().appliances().iter().map(|one| one.name.site.to_string()));
    }
    let seen = ids.into_iter().filter(|id| venues.sees(visitor, id));
    seen.map(|id| Choice { label: venues.title(&id), on: id == chosen, value: id }).collect()
}

pub(super) async fn api(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let reading = tokio::task::spawn_blocking(move || {
        let venues = web.venues();
        let asked = match Asked::of(&Form::of_address(&uri), &venues, PAGE) {
            Ok(asked) => asked,
            Err(why) => return Problem::bad_request(why).into_response(),
        };
        match read(&web, &venues, &visitor, &asked) {
            Ok(page) => {
                let entries: Vec<Json> = page.entries.iter().map(json).collect();
                let next = page.next.map(|next| next.to_string());
                answer(&headers, "application/json", json!({ "log": entries, "next": next }).to_string())
            }
            Err(error) => {
                log::error!("the log cannot be read: {error}");
                let why = "the hub cannot read its history; its own log says why";
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, why).into_response()
            }
        }
    });
    reading.await.expect("reading the log does not panic, and is not cancelled")
}

/// An entry as `/api/log` has it.
fn json(one: &Told) -> Json {
    let text = |text: &str| if text.is_empty() { Json::Null } else { Json::from(text) };
    json!({
        "id": one.id,
        "at": rfc3339(one.at.max(0) as u64),
        "site": text(&one.site),
        "appliance": text(&one.appliance),
        "kind": one.kind,
        "what": one.what,
        "alert": text(&one.alert),
    })
}

/// The appliances whose events are read; `None` stands for everybody's.
fn agents(web: &Web, venues: &Venues, visitor: &Visitor, asked: &Asked) -> Option<Vec<AgentName>> {
    let is_wanted = |name: &AgentName| {
        (asked.site.is_empty() || name.site.as_str() == asked.site)
            && (asked.appliance.is_empty() || name.appliance.as_str() == asked.appliance)
            && venues.sees(visitor, name.site.as_str())
    };
    let sees_all = venues.sees(visitor, "");
    if sees_all && asked.site.is_empty() && asked.appliance.is_empty() {
        return None;
    }
    let ingest = web.shared.read();
    let names = ingest.fleet().appliances().iter().map(|one| &one.name);
    Some(names.filter(|name| is_wanted(name)).cloned().collect())
}

/// A page of what is asked for, the newest first.
fn read(web: &Web, venues: &Venues, visitor: &Visitor, asked: &Asked) -> Result<Page, StoreError> {
    let agents = agents(web, venues, visitor, asked);
    let (mut entries, mut before): (Vec<Told>, _) = (Vec::new(), asked.before.clone());
    for nth in 1..=READS {
        // Nobody's events are not everybody's.
        let found = if agents.as_ref().is_some_and(Vec::is_empty) || asked.kind == "alert" {
            LogPage::default()
        } else {
            let range = asked.range.clone();
            web.queries.log(&LogQuery {
                range,
                before: before.as_ref(),
                agents: agents.as_deref(),
                limit: READ,
            })?
        };
        let newer = before.as_ref().map_or(asked.range.end, |before| before.ms);
        let older = found.next.as_ref().map_or(asked.range.start, |next| next.ms);
        let told = |entry: LogEntry| {
            let (kind, what) = words(&entry.what);
            Told {
                id: entry.place.to_string(),
                at: entry.place.ms as i64,
                site: entry.agent.site.to_string(),
                appliance: entry.agent.appliance.to_string(),
                kind,
                what,
                alert: String::new(),
            }
        };
        let mut stretch: Vec<Told> = found.entries.into_iter().map(told).collect();
        stretch.extend(of_alerts(web, venues, visitor, older as i64..newer as i64));
        stretch.retain(|told| asked.wants(told));
        stretch.sort_by(|one, other| (other.at, &other.id).cmp(&(one.at, &one.id)));
        for told in stretch {
            let last: Option<&Told> = entries.last();
            // What happened in one moment stays together.
            if entries.len() >= asked.limit
                && let Some(last) = last.filter(|last| last.at != told.at)
            {
                let next = Some(Cursor::at(last.at.max(0) as u64));
                return Ok(Page { entries, next, is_cut: false });
            }
            entries.push(told);
        }
        match found.next {
            None => return Ok(Page { entries, next: None, is_cut: false }),
            Some(next) if nth == READS => return Ok(Page { entries, next: Some(next), is_cut: true }),
            Some(next) => before = Some(next),
        }
    }
    Ok(Page { entries, next: before, is_cut: true })
}

/// What became of alerts in a stretch of time.
fn of_alerts(
    web: &Web,
    venues: &Venues,
    visitor: &Visitor,
    range: std::ops::Range<i64>,
) -> impl Iterator<Item = Told> {
    let mut found = Vec::new();
    web.notifications.look(|notifier, _| {
        for alert in notifier.alerts().filter(|alert| venues.sees(visitor, alert.site())) {
            for event in alert.history.iter().filter(|event| range.contains(&event.at)) {
                let Some(says) = became(&event.what) else { continue };
                let what = super::alerts::what(alert);
                found.push(Told {
                    id: format!("{}.{}", event.at, alert.id),
                    at: event.at,
                    site: alert.site().to_owned(),
                    appliance: alert.appliance().to_owned(),
                    kind: "alert",
                    what: format!("{says}: {what}"),
                    alert: alert.id.to_string(),
                });
            }
        }
    });
    found.into_iter()
}

fn became(what: &What) -> Option<String> {
    Some(match what {
        What::Firing => "fires".to_owned(),
        What::Unknown => "unknown, its appliance is not heard".to_owned(),
        What::Heard => "fires still".to_owned(),
        What::Resolved | What::Dropped => "is over".to_owned(),
        What::Acknowledged { by, .. } => format!("{by} has it in hand"),
        What::Unacknowledged => "given back".to_owned(),
        What::Flapping => "flaps".to_owned(),
        What::Pending | What::Steady | What::Told { .. } => return None,
    })
}
