//! What the page of an alert has beside the alert, as JSON; and muting because of one.
//!
//! ```json
//! {"cause":["arena-north/rack-1 is gone: it explains 3 alerts here."],"before":[{"at":"…","kind":"network","what":"the way out is wwan0"}],"tried":[…],
//!  "beside":[{"id":"274019e265251482","state":"firing","severity":"critical","what":"…"}],"expression":"rackside_stream_up == 0",
//!  "runbook":{"text":"…","url":null},"contacts":[…],"access":"Ring.","on_call":[{"team":"crew","who":["first"],"until":"…","time_zone":"…"}]}
//! ```

use super::act::{self, NOTE, Wanted, line};
use super::around::{before, expression, tried};
use super::cause::cause;
use super::line::what;
use super::page::what_to_do;
use crate::clock;
use crate::web::Web;
use crate::web::accept::answer;
use crate::web::body;
use crate::web::problem::Problem;
use crate::web::rest::alerts::{booked, noted};
use crate::web::rest::on_call::teams;
use crate::web::rest::tag;
use crate::web::visitor::Visitor;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use rackside_notify::Booked;
use rackside_pages::alert::Happening;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use std::cmp::Reverse;
use std::sync::Arc;

/// Most other alerts of the site.
const BESIDE: usize = 40;

fn told(all: &[Happening]) -> Vec<Json> {
    all.iter().map(|one| json!({ "at": one.when.at, "kind": one.kind, "what": one.what })).collect()
}

/// What else fires at the site, the worst first.
fn beside(web: &Web, alert: &Booked) -> Vec<Json> {
    if alert.site().is_empty() {
        return Vec::new();
    }
    web.notifications.look(|notifier, _| {
        let others = notifier.alerts().filter(|one| one.id != alert.id && one.site() == alert.site());
        let mut firing: Vec<&Booked> = others.filter(|one| one.fires()).collect();
        firing.sort_by_key(|one| (Reverse(one.severity), one.starts_at, one.id));
        let told = firing.iter().take(BESIDE).map(|one| {
            json!({
                "id": one.id.to_string(),
                "state": one.state.as_str(),
                "severity": one.severity.as_str(),
                "what": what(one),
            })
        });
        told.collect()
    })
}

/// All of it.
fn of(web: &Web, alert: &Booked, sees_hub: bool) -> Json {
    let (now, venues) = (clock::now().utc_ms as i64, web.venues());
    let zone = venues.zone(alert.site());
    let text = |name: &str| alert.annotations.get(name).cloned().unwrap_or_default();
    let runbook = what_to_do(&text("runbook_url"), &text("runbook"));
    let words = [runbook.first, runbook.text].into_iter().find(|words| !words.is_empty());
    let config = venues.config(alert.site());
    let contacts = config
        .map_or(&[][..], |config| &config.contact)
        .iter()
        .map(|one| json!({ "role": one.role, "name": one.name, "phone": one.phone, "email": one.email, "hours": one.hours }));
    let teams = web.notifications.look(teams);
    json!({
        "cause": cause(web, alert),
        "before": told(&before(web, alert, sees_hub, (zone, now))),
        "tried": told(&tried(web, alert, zone, now)),
        "beside": beside(web, alert),
        "expression": Some(expression(web, alert)).filter(|text| !text.is_empty()),
        "runbook": { "text": words, "url": Some(runbook.href).filter(|url| !url.is_empty()) },
        "contacts": contacts.collect::<Vec<_>>(),
        "access": config.map_or("", |config| &config.access),
        "on_call": teams,
    })
}

/// `GET /api/alerts/{id}/around`.
pub(in crate::web) async fn around(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let alert = booked(&web, &visitor, &id)?;
    let sees_hub = web.venues().sees(&visitor, "");
    // The history is read.
    let writing = tokio::task::spawn_blocking(move || {
        let mut told = of(&web, &alert, sees_hub);
        if let Some(sites) = visitor.only() {
            // A rule may name any site.
            let beyond = web.names_beyond(sites);
            if told["expression"].as_str().is_some_and(|text| beyond.are_in(text)) {
                told["expression"] = Json::Null;
            }
        }
        let body = told.to_string();
        tag::json(&headers, body.clone(), &body)
    });
    Ok(writing.await.expect("writing JSON does not panic, and is not cancelled"))
}

/// What a mute of an alert says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    /// `1h`, `show`, `morning`, `until`.
    r#for: String,
    #[serde(default)]
    until: String,
    /// `alert`, `appliance`, `site`.
    #[serde(default = "this_one")]
    what: String,
    #[serde(default)]
    who: String,
    #[serde(default)]
    note: String,
}

fn this_one() -> String {
    "alert".to_owned()
}

/// `POST /api/alerts/{id}/mute`.
pub(in crate::web) async fn mute(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    Path(id): Path<String>,
    request: Request<Body>,
) -> Result<Response, Problem> {
    let headers = request.headers().clone();
    let said: Said = body::json(request).await?;
    let alert = booked(&web, &visitor, &id)?;
    if !["alert", "appliance", "site"].contains(&said.what.as_str()) {
        return Err(Problem::bad_request(format!("`what` is alert, appliance or site, not {:?}", said.what)));
    }
    let by = noted(&visitor, &said.who)?;
    let wanted = Wanted { span: &said.r#for, until: &said.until, what: &said.what };
    let made = act::mute(&web, &alert, &web.venues(), &wanted, (by, line(&said.note, NOTE)));
    let id = made.map_err(Problem::bad_request)?;
    let answer = answer(&headers, "application/json", json!({ "id": id }).to_string());
    Ok((StatusCode::CREATED, answer).into_response())
}
