//! `/api/silences`: mutes, to be listed, made, changed and ended. Whoever may act may change them: see `admit`.
//!
//! ```text
//! GET /api/silences                 {"silences": [{"id": 3, "matchers": ["site=\"arena-north\""], "ends_at": "…", …}]}
//! POST /api/silences                {"matchers": ["site=\"arena-north\""], "ends_at": 1795180000000, "by": "desk", "comment": "switch is replaced"}
//! PUT /api/silences/3               the same as for POST; 204
//! DELETE /api/silences/3?by=desk    204
//! ```

use super::Web;
use super::api::Form;
use super::body;
use super::problem::Problem;
use super::rest::paging::Paging;
use super::rest::tag;
use super::visitor::Visitor;
use crate::moment::rfc3339;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Request, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rackside_notify::{Matchers, Mute, MuteError, NewMute};
use serde_json::{Value as Json, json};
use std::sync::Arc;

/// A mute as `/api/silences` has it.
pub(super) fn json(mute: &Mute, now: i64) -> Json {
    let at = |ms: i64| rfc3339(ms.max(0) as u64);
    json!({
        "id": mute.id,
        "matchers": mute.matchers,
        "state": if mute.ends_at <= now { "expired" } else if mute.starts_at > now { "pending" } else { "active" },
        "starts_at": at(mute.starts_at),
        "ends_at": at(mute.ends_at),
        "by": mute.by,
        "comment": mute.comment,
        "made_at": at(mute.made_at),
        "changed_at": at(mute.changed_at),
        "ended_by": mute.ended_by,
    })
}

pub(super) async fn list(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let paging = Paging::of(&Form::of_address(&uri))?;
    let (page, now) = web.notifications.look(|notifier, now| {
        let mutes = notifier.mutes().iter().filter(|mute| within(&visitor, &mute.matchers).is_ok());
        let mut mutes: Vec<Mute> = mutes.cloned().collect();
        mutes.sort_unstable_by_key(|mute| mute.id);
        (paging.cut(mutes, |mute| mute.id), now)
    });
    let (page, next) = page?;
    let silences: Vec<Json> = page.iter().map(|mute| json(mute, now)).collect();
    let body = json!({ "silences": silences, "next": next }).to_string();
    Ok(tag::json(&headers, body.clone(), &body))
}

/// Whoever sees some sites alone mutes what is said of one of them, and nothing else.
fn within(visitor: &Visitor, matchers: &Matchers) -> Result<(), Problem> {
    let Some(sites) = visitor.only() else { return Ok(()) };
    let texts = matchers.texts();
    if sites.iter().any(|site| texts.contains(&format!("site=\"{site}\""))) {
        return Ok(());
    }
    let what = "a mute of yours needs a matcher for one of your sites, such as site=\"arena-north\"";
    Err(Problem::forbidden(what))
}

/// The same of a mute that there is. What is none of theirs is not there for them.
fn within_theirs(web: &Web, visitor: &Visitor, id: u64) -> Result<(), Problem> {
    web.notifications.look(|notifier, _| match notifier.mutes().iter().find(|mute| mute.id == id) {
        Some(mute) => within(visitor, &mute.matchers)
            .map_err(|_| Problem::not_found(MuteError::Unknown(id).to_string())),
        None => Ok(()),
    })
}

/// A mute as it was sent, of whoever may make it.
async fn sent(visitor: &Visitor, request: Request<Body>) -> Result<NewMute, Problem> {
    let mut new: NewMute = body::json(request).await?;
    within(visitor, &new.matchers)?;
    // Whoever has a name, or a token that has one, is who they are.
    if let Some(name) = &visitor.name {
        new.by = name.to_string();
    }
    Ok(new)
}

pub(super) async fn make(State(web): State<Arc<Web>>, visitor: Visitor, request: Request<Body>) -> Response {
    let new = match sent(&visitor, request).await {
        Ok(new) => new,
        Err(refusal) => return refusal.into_response(),
    };
    match web.notifications.with(|notifier, now| notifier.mute(new, now)) {
        Ok(id) => {
            let place = [(header::CONTENT_TYPE, "application/json".to_owned())];
            (StatusCode::CREATED, place, json!({ "id": id }).to_string()).into_response()
        }
        Err(error) => failed(&error),
    }
}

pub(super) async fn change(
    State(web): State<Arc<Web>>,
    Path(id): Path<u64>,
    visitor: Visitor,
    request: Request<Body>,
) -> Response {
    if let Err(refusal) = within_theirs(&web, &visitor, id) {
        return refusal.into_response();
    }
    let new = match sent(&visitor, request).await {
        Ok(new) => new,
        Err(refusal) => return refusal.into_response(),
    };
    match web.notifications.with(|notifier, now| notifier.change_mute(id, new, now)) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => failed(&error),
    }
}

pub(super) async fn end(
    State(web): State<Arc<Web>>,
    Path(id): Path<u64>,
    visitor: Visitor,
    uri: Uri,
) -> Response {
    if let Err(refusal) = within_theirs(&web, &visitor, id) {
        return refusal.into_response();
    }
    let form = Form::of_address(&uri);
    // Whoever is logged in is who they are.
    let by = visitor.name.as_deref().unwrap_or_else(|| form.first("by"));
    match web.notifications.with(|notifier, now| notifier.unmute(id, by, now)) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => failed(&error),
    }
}

fn failed(error: &MuteError) -> Response {
    let why = error.to_string();
    let problem = match error {
        MuteError::Unknown(_) => Problem::not_found(why),
        MuteError::Over(_) => Problem::conflict(why),
        _ => Problem::bad_request(why),
    };
    problem.into_response()
}
