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
mod gather;
mod words;

pub(in crate::web) use words::words;

use super::accept::answer;
use super::api::{Failure, Form};
use super::problem::Problem;
use super::venue::Venues;
use super::visitor::Visitor;
use super::{Web, page as pages};
use crate::clock;
use crate::moment::rfc3339;
use asked::{Asked, EVER};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use gather::{Page, Reading, Told};
use rackside_history::Cursor;
use rackside_pages::alerts::Choice;
use rackside_pages::log::{Entry, Log};
use rackside_pages::{Here, When};
use rackside_promql::{ErrorType, Stop};
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Entries of the page.
const PAGE: usize = 100;

pub(super) async fn page(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let form = Form::of_address(&uri);
    let (asked, trouble) = match Asked::of(&form, &web.venues(), PAGE) {
        Ok(asked) => (asked, String::new()),
        Err(why) => (Asked { limit: PAGE, range: EVER, ..Asked::default() }, format!("{why}.")),
    };
    let found = read(&web, &visitor, &asked).await;
    let trouble = if let Err(failure) = &found { told(failure).1 } else { trouble };
    let found = found.unwrap_or_default();
    pages::whole(headers, move || shown(&web, &visitor, &form, &asked, (found, trouble)).html()).await
}

/// On a thread of the queries', of which there are so many.
async fn read(web: &Arc<Web>, visitor: &Visitor, asked: &Asked) -> Result<Page, Failure> {
    let (held, visitor, asked) = (Arc::clone(web), visitor.clone(), asked.clone());
    let reading = move |stopped: &dyn Fn() -> Option<Stop>| {
        let venues = held.venues();
        Reading { web: &held, venues: &venues, visitor: &visitor, asked: &asked }.page(stopped)
    };
    web.api.reads(reading).await
}

/// Code and words; the hub's own log says why.
fn told(failure: &Failure) -> (StatusCode, String) {
    log::error!("the log cannot be read: {failure}");
    let why = if failure.kind() == ErrorType::Internal {
        "the hub cannot read its history; its own log says why"
    } else {
        "the hub is too busy to read the log; try again"
    };
    (StatusCode::SERVICE_UNAVAILABLE, why.to_owned())
}

fn shown(web: &Web, visitor: &Visitor, form: &Form, asked: &Asked, (found, trouble): (Page, String)) -> Log {
    let (venues, now) = (web.venues(), clock::now().utc_ms as i64);
    let zone = venues.zone(&asked.site);
    let kinds = words::KINDS.iter().map(|&(value, label)| Choice {
        value: value.to_owned(),
        label: label.to_owned(),
        on: asked.kind == value,
    });
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
        live: asked.is_newest() && form.first("until").is_empty(),
        looked: found.looked.map(|ms| When::new(ms as i64, zone, now).text).unwrap_or_default(),
        newest: if asked.is_newest() { String::new() } else { asked.address(form, ("", None)) },
        newer: found.newer.map(|place| asked.address(form, ("newer", Some(&place)))).unwrap_or_default(),
        older: found.older.map(|place| asked.address(form, ("after", Some(&place)))).unwrap_or_default(),
    }
}

/// The newest entries of a site, at least so many if there are; none, if the history cannot be read.
pub(super) fn newest(web: &Web, visitor: &Visitor, site: &str, limit: usize) -> Vec<Entry> {
    let (venues, now) = (web.venues(), clock::now().utc_ms);
    let asked = Asked { site: site.to_owned(), limit, range: 0..now + 1, ..Asked::default() };
    let reading = Reading { web, venues: &venues, visitor, asked: &asked };
    let found = reading.page(&|| None).map(|page| page.entries);
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
    let asked = match Asked::of(&Form::of_address(&uri), &web.venues(), PAGE) {
        Ok(asked) => asked,
        Err(why) => return Problem::bad_request(why).into_response(),
    };
    match read(&web, &visitor, &asked).await {
        Ok(page) => {
            let entries: Vec<Json> = page.entries.iter().map(json).collect();
            let place = |place: Option<Cursor>| place.map(|place| place.to_string());
            let body = json!({ "log": entries, "next": place(page.older), "newer": place(page.newer) });
            answer(&headers, "application/json", body.to_string())
        }
        Err(failure) => {
            let (code, why) = told(&failure);
            Problem::new(code, why).into_response()
        }
    }
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
