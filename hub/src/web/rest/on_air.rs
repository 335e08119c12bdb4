//! `/api/sites/{site}/on_air` and `/api/shows`: whether a site is on air and why, putting it there by hand, and what its calendar has.
//!
//! ```text
//! GET    /api/sites/arena-north/on_air     {"site":"arena-north","on":true,"reasons":["manual"],"by_hand":{"until":"…"},"show":null,"next":{…},…}
//! POST   /api/sites/arena-north/on_air     {"until": "2026-11-20T22:00"}    the same, as it is then
//! DELETE /api/sites/arena-north/on_air     takes back what was set by hand
//! POST   /api/sites/arena-north/let_go     ends what tallies hold
//! GET    /api/shows?site=arena-north       {"shows":[{"site":"arena-north","name":"Sunday service","starts_at":"…",…}],"next":null}
//! ```

use super::moment;
use super::paging::Paging;
use super::tag;
use crate::clock::{self, Now};
use crate::web::accept::answer;
use crate::web::api::Form;
use crate::web::body;
use crate::web::problem::Problem;
use crate::web::visitor::Visitor;
use crate::web::{Web, site};
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Request, Uri};
use axum::response::Response;
use rackside_onair::Show;
use rackside_proto::Id;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use std::sync::Arc;

/// How far ahead shows are told, unless it is said, and at most; in days.
const AHEAD: i64 = 14;
const FARTHEST: i64 = 366;
const DAY: i64 = 86_400_000;

/// What a POST says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Until {
    until: moment::Given,
}

/// The site of that name, if the hub knows it and the visitor sees it.
fn known(web: &Web, visitor: &Visitor, site: &str) -> Result<Id, Problem> {
    let missing = || Problem::not_found(format!("there is no site {site:?}"));
    let id: Id = site.parse().map_err(|_| missing())?;
    let is_known = web.on_air.look(&id, |_| ()).is_some();
    if is_known && web.venues().sees(visitor, site) { Ok(id) } else { Err(missing()) }
}

fn of_show(show: &Show, now: i64) -> Json {
    json!({
        "name": &*show.name,
        "phase": show.phase(now).map(rackside_onair::Phase::as_str),
        "rig_up_at": moment::text(show.rig_up),
        "starts_at": moment::text(show.live),
        "ends_at": moment::text(show.end),
        "strike_until": moment::text(show.strike),
    })
}

/// How a site stands.
fn state(web: &Web, id: &Id, now: Now) -> Json {
    let at = now.utc_ms as i64;
    let (show, next) = web.on_air.shows(id, now);
    let hand = web.on_air.look(id, |site| (site.by_hand(at), site.is_set_by_hand(at)));
    let (by_hand, is_set) = hand.unwrap_or_default();
    let by_hand =
        by_hand.map(|until| json!({ "until": until.map(moment::text), "can_be_taken_back": is_set }));
    let view = web.on_air.view(id, now);
    let reasons: Vec<&str> = view
        .iter()
        .flat_map(|view| &view.reasons)
        .filter(|(_, is)| *is)
        .map(|(reason, _)| reason.as_str())
        .collect();
    json!({
        "site": id.as_str(),
        "on": !reasons.is_empty(),
        "reasons": reasons,
        "by_hand": by_hand,
        "power_expected": view.as_ref().is_none_or(|view| view.power_expected),
        "show": show.map(|show| of_show(&show, at)),
        "next": next.map(|show| of_show(&show, at)),
    })
}

/// What a change is answered with: how the site stands then.
fn done(web: &Web, id: &Id, headers: &HeaderMap) -> Response {
    answer(headers, "application/json", state(web, id, clock::now()).to_string())
}

pub(in crate::web) async fn look(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    Path(site): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = known(&web, &visitor, &site)?;
    let body = state(&web, &id, clock::now()).to_string();
    Ok(tag::json(&headers, body.clone(), &body))
}

pub(in crate::web) async fn put(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    Path(site): Path<String>,
    request: Request<Body>,
) -> Result<Response, Problem> {
    let id = known(&web, &visitor, &site)?;
    let headers = request.headers().clone();
    let Until { until } = body::json(request).await?;
    let until = until.ms(web.venues().zone(&site)).map_err(Problem::bad_request)?;
    web.change_on_air(&id, site::Word::OnAir(until), visitor.shown()).map_err(Problem::bad_request)?;
    Ok(done(&web, &id, &headers))
}

pub(in crate::web) async fn take_back(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    Path(site): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = known(&web, &visitor, &site)?;
    web.change_on_air(&id, site::Word::TakeBack, visitor.shown()).map_err(Problem::bad_request)?;
    Ok(done(&web, &id, &headers))
}

pub(in crate::web) async fn let_go(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    Path(site): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = known(&web, &visitor, &site)?;
    web.change_on_air(&id, site::Word::LetGo, visitor.shown()).map_err(Problem::bad_request)?;
    Ok(done(&web, &id, &headers))
}

/// How many days ahead are asked for, in milliseconds.
pub(super) fn ahead(form: &Form) -> Result<i64, Problem> {
    let days = match form.first("days") {
        "" => Ok(AHEAD),
        text => text.parse().ok().filter(|days| (1..=FARTHEST).contains(days)).ok_or_else(|| {
            Problem::bad_request(format!("`days` is a number from 1 to {FARTHEST}, not {text:?}"))
        }),
    };
    days.map(|days| days * DAY)
}

pub(in crate::web) async fn shows(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let form = Form::of_address(&uri);
    let (paging, ahead) = (Paging::of(&form)?, ahead(&form)?);
    let (wanted, at) = (form.first("site"), clock::now().utc_ms as i64);
    let venues = web.venues();
    let mut all: Vec<(String, String, Show)> = Vec::new();
    web.on_air.each(|id, site| {
        let is_meant = wanted.is_empty() || wanted == id.as_str();
        if is_meant && venues.sees(&visitor, id.as_str()) {
            let ahead = site.shows().iter().filter(|show| at < show.strike && show.rig_up < at + ahead);
            all.extend(ahead.map(|show| (place(id, show), id.to_string(), show.clone())));
        }
    });
    all.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let (page, next) = paging.cut(all, |(place, ..)| place.clone())?;
    let told = page.iter().map(|(_, site, show)| {
        let mut told = of_show(show, at);
        told["site"] = Json::from(site.as_str());
        told
    });
    let body = json!({ "shows": told.collect::<Vec<_>>(), "next": next }).to_string();
    Ok(tag::json(&headers, body.clone(), &body))
}

/// Where a show stands in the list, as text that sorts so: by its beginning.
fn place(site: &Id, show: &Show) -> String {
    format!("{:019}-{site}-{:019}-{}", show.live.max(0), show.end.max(0), show.name)
}
