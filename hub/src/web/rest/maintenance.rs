//! `/api/maintenance`: windows of maintenance, those that go on and those to come. They are made in the configuration, or announced and ended here; see `works`.
//!
//! ```text
//! POST   /api/maintenance      {"site": "arena-north", "appliance": "rack-1", "ends_at": "2026-11-20T22:00", "comment": "new switch"}     201, {"id": 3}
//! DELETE /api/maintenance/3    204
//! ```
//!
//! ```json
//! {"maintenance":[{"name":"Carrier's works","now":false,"sites":["arena-north"],"tags":[],"matchers":[],"starts_at":"…","ends_at":"…","time_zone":"Europe/Berlin","id":null,"by":null,"comment":null}],"next":null}
//! ```

use super::moment;
use super::on_air::ahead;
use super::paging::Paging;
use super::tag;
use crate::clock;
use crate::web::Web;
use crate::web::api::Form;
use crate::web::body;
use crate::web::maintenance::announced;
use crate::web::problem::Problem;
use crate::web::visitor::Visitor;
use crate::web::works::zone_of;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Request, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rackside_notify::{NewWork, Where, WorkId};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

pub(in crate::web) async fn list(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let form = Form::of_address(&uri);
    let (paging, ahead) = (Paging::of(&form)?, ahead(&form)?);
    let site = Some(form.first("site")).filter(|site| !site.is_empty()).map(str::to_owned);
    // Rules of calendars are followed over a year.
    let writing = tokio::task::spawn_blocking(move || {
        let (venues, now) = (web.venues(), clock::now().utc_ms as i64);
        let windows = web
            .notifications
            .look(|notifier, _| announced(notifier, (&venues, &visitor), site.as_deref(), now, ahead));
        // As text that sorts so: by its beginning.
        let placed = windows.into_iter().enumerate().map(|(nth, one)| {
            (format!("{:019}-{:019}-{}-{nth:06}", one.from.max(0), one.to.max(0), one.name), one)
        });
        let mut placed: Vec<_> = placed.collect();
        placed.sort_by(|one, other| one.0.cmp(&other.0));
        let (page, next) = paging.cut(placed, |(place, _)| place.clone())?;
        let told = page.iter().map(|(_, one)| {
            json!({
                "name": one.name,
                "now": one.from <= now,
                "sites": one.sites,
                "tags": one.tags,
                "matchers": one.matchers,
                "starts_at": moment::text(one.from),
                "ends_at": moment::text(one.to),
                "time_zone": one.zone.name(),
                "id": one.hand.as_ref().map(|hand| hand.id),
                "by": one.hand.as_ref().map(|hand| &hand.by),
                "comment": one.hand.as_ref().map(|hand| &hand.comment),
            })
        });
        let body = json!({ "maintenance": told.collect::<Vec<_>>(), "next": next }).to_string();
        Ok(tag::json(&headers, body.clone(), &body))
    });
    writing.await.expect("writing JSON does not panic, and is not cancelled")
}

/// What is announced.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent {
    site: Option<String>,
    appliance: Option<String>,
    tag: Option<String>,
    name: Option<String>,
    starts_at: Option<moment::Given>,
    ends_at: moment::Given,
    /// Of no meaning where whoever asks has a name.
    by: Option<String>,
    comment: String,
}

impl Sent {
    fn at(&self) -> Result<Where, Problem> {
        match (&self.site, &self.appliance, &self.tag) {
            (Some(site), None, None) => Ok(Where::Site(site.clone())),
            (Some(site), Some(appliance), None) => {
                Ok(Where::Appliance { site: site.clone(), appliance: appliance.clone() })
            }
            (None, None, Some(tag)) => Ok(Where::Tag(tag.clone())),
            _ => Err(Problem::bad_request("say where: `site`, `site` and `appliance`, or `tag`")),
        }
    }
}

pub(in crate::web) async fn begin(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    request: Request<Body>,
) -> Result<Response, Problem> {
    let sent: Sent = body::json(request).await?;
    let at = sent.at()?;
    let zone = zone_of(&web.venues(), &at);
    let starts_at = sent.starts_at.as_ref().map(|given| given.ms(zone)).transpose();
    let new = NewWork {
        name: sent.name.unwrap_or_default(),
        at,
        starts_at: starts_at.map_err(Problem::bad_request)?,
        ends_at: sent.ends_at.ms(zone).map_err(Problem::bad_request)?,
        by: sent.by.unwrap_or_default(),
        comment: sent.comment,
    };
    let id = web.begin_work(&visitor, new)?;
    let kind = [(header::CONTENT_TYPE, "application/json")];
    Ok((StatusCode::CREATED, kind, json!({ "id": id }).to_string()).into_response())
}

pub(in crate::web) async fn end(
    State(web): State<Arc<Web>>,
    Path(id): Path<WorkId>,
    visitor: Visitor,
    uri: Uri,
) -> Result<StatusCode, Problem> {
    web.end_work(&visitor, id, Form::of_address(&uri).first("by"))?;
    Ok(StatusCode::NO_CONTENT)
}
