//! `/api/incidents`: what operators tell the public, for programs: list, begin, tell more, end.
//!
//! ```text
//! GET  /api/incidents          {"incidents":[{"id":3,"site":"arena-north","title":"No picture","text":"…","starts_at":"…","ends_at":null,"by":"desk","changed_at":"…"}],"next":null}
//! POST /api/incidents          {"site":"arena-north","title":"No picture","text":"We are at it."}    201 {"id":3}; without a site it concerns all
//! PUT  /api/incidents/3        {"text":"It is the carrier."}                                         204
//! POST /api/incidents/3/end    {"text":"It is mended."}, or nothing                                  204
//! ```

use super::{Refusal, begun, changed, sees};
use crate::clock;
use crate::moment::rfc3339;
use crate::web::Web;
use crate::web::api::Form;
use crate::web::body;
use crate::web::problem::Problem;
use crate::web::rest::paging::Paging;
use crate::web::rest::tag;
use crate::web::visitor::Visitor;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Request, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rackside_status::Incident;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use std::sync::Arc;

/// Those that have been over for longer are not told.
const PAST: i64 = 90 * 86_400_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    #[serde(default)]
    site: String,
    title: String,
    #[serde(default)]
    text: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct More {
    text: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Last {
    text: Option<String>,
}

impl From<Refusal> for Problem {
    fn from((code, why): Refusal) -> Self {
        Self::new(code, why)
    }
}

fn told(one: &Incident) -> Json {
    let at = |ms: i64| rfc3339(ms.max(0) as u64);
    json!({
        "id": one.id,
        "site": Some(&one.site).filter(|site| !site.is_empty()),
        "title": one.title,
        "text": one.text,
        "starts_at": at(one.starts_at),
        "ends_at": one.ends_at.map(at),
        "by": one.by,
        "changed_at": at(one.changed_at),
    })
}

/// On a thread where it may wait for the disk.
async fn done<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Problem> {
    let working = tokio::task::spawn_blocking(work);
    Ok(working.await.expect("writing does not panic, and is not cancelled")?)
}

pub(in crate::web) async fn list(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let paging = Paging::of(&Form::of_address(&uri))?;
    let since = clock::now().utc_ms as i64 - PAST;
    let mut all = done(move || super::incidents(&web, since, |site| sees(&web, &visitor, site))).await?;
    all.sort_unstable_by_key(|one| one.id);
    let (page, next) = paging.cut(all, |one| one.id)?;
    let incidents: Vec<Json> = page.iter().map(told).collect();
    let body = json!({ "incidents": incidents, "next": next }).to_string();
    Ok(tag::json(&headers, body.clone(), &body))
}

pub(in crate::web) async fn begin(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    request: Request<Body>,
) -> Result<Response, Problem> {
    let New { site, title, text } = body::json(request).await?;
    let id = done(move || begun(&web, &visitor, &site, &title, &text)).await?;
    let body = json!({ "id": id }).to_string();
    Ok((StatusCode::CREATED, [(header::CONTENT_TYPE, "application/json")], body).into_response())
}

pub(in crate::web) async fn change(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    Path(id): Path<i64>,
    request: Request<Body>,
) -> Result<StatusCode, Problem> {
    let More { text } = body::json(request).await?;
    done(move || changed(&web, &visitor, id, Some(&text), false)).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(in crate::web) async fn end(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    Path(id): Path<i64>,
    request: Request<Body>,
) -> Result<StatusCode, Problem> {
    let Last { text } = body::json_or_default(request).await?;
    done(move || changed(&web, &visitor, id, text.as_deref(), true)).await?;
    Ok(StatusCode::NO_CONTENT)
}
