//! `/api/fleet/configuration`: the same for programs.
//!
//! ```text
//! GET  /api/fleet/configuration?to=hall     {"directory":"…","plan":{"seal":"…","same":3,"groups":[…],"faults":[],"remarks":[]},"roll_out":{…}}
//! POST /api/fleet/configuration/roll_out    {"to":"hall","stages":"1,100%","wait":"10m","on_air":false,"seal":"…"}, or nothing     201 {"id":3}
//! POST /api/fleet/configuration/stop        {"id":3}
//! POST /api/fleet/configuration/back        {"stages":"1,100%","wait":"10m","on_air":false}, or nothing                          201 {"id":4}
//! ```

use super::{Look, Pace};
use crate::moment::rfc3339;
use crate::web::Web;
use crate::web::accept::answer;
use crate::web::api::Form;
use crate::web::body;
use crate::web::problem::Problem;
use crate::web::visitor::Visitor;
use axum::body::Body;
use axum::extract::State as Of;
use axum::http::{HeaderMap, Request, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rackside_rollout::{Change, Fault, Group, Member, Plan, RollOut, State, Step};
use serde::Deserialize;
use serde_json::{Value as Json, json};
use std::sync::Arc;

/// Most appliances of a roll-out that are told one by one: those first with whom something is.
const MEMBERS: usize = 1_000;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Asked {
    to: String,
    seal: String,
    stages: String,
    wait: String,
    on_air: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Back {
    stages: String,
    wait: String,
    on_air: bool,
}

fn at(ms: i64) -> String {
    rfc3339(ms.max(0) as u64)
}

fn change(Change { key, was, will }: &Change) -> Json {
    json!({ "key": key, "was": was, "will": will })
}

fn group(Group { changes, names }: &Group) -> Json {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    json!({ "appliances": names, "changes": changes.iter().map(change).collect::<Vec<_>>() })
}

fn plan(plan: &Result<Plan, Vec<Fault>>) -> Json {
    let words = |faults: &[Fault]| faults.iter().map(ToString::to_string).collect::<Vec<_>>();
    match plan {
        Ok(plan) => json!({
            "seal": plan.seal(),
            "same": plan.same,
            "groups": plan.groups().iter().map(group).collect::<Vec<_>>(),
            "faults": words(&plan.faults),
            "remarks": plan.remarks,
        }),
        Err(faults) => {
            json!({ "seal": null, "same": 0, "groups": [], "faults": words(faults), "remarks": [] })
        }
    }
}

fn member(of: &Member) -> Json {
    let why = if let Step::Failed { why, .. } = &of.step { why } else { &of.note };
    json!({
        "site": of.name.site.as_str(),
        "appliance": of.name.appliance.as_str(),
        "stage": of.stage.map(|stage| stage + 1),
        "step": of.step.as_str(),
        "revision": of.step.told().map(|told| told.revision),
        "told_at": of.step.told().map(|told| at(told.at)),
        "why": Some(why).filter(|why| !why.is_empty()),
    })
}

fn roll_out(of: &RollOut) -> Json {
    let (state, ended_at, why) = match &of.state {
        State::Running => ("running", None, None),
        State::Done { at: ended } => ("done", Some(*ended), None),
        State::Stopped { at: ended, why } => ("stopped", Some(*ended), Some(why)),
    };
    let mut members: Vec<&Member> = of.members.iter().collect();
    let rank = |member: &Member| match member.step {
        Step::Failed { .. } => 0,
        Step::Told(_) | Step::Applied { .. } => 1,
        Step::Due => 2,
        Step::Proven(_) => 3,
    };
    members.sort_by_key(|member| rank(member));
    let counts = of.counts();
    let count = |word: &str| counts.get(word).copied().unwrap_or_default();
    json!({
        "id": of.id,
        "back_of": of.back_of,
        "by": of.by,
        "begun_at": at(of.begun_at),
        "stages": of.stages.to_string(),
        "wait_seconds": of.wait / 1000,
        "on_air": of.on_air_too,
        "stage": of.stage + 1,
        "state": state,
        "ended_at": ended_at.map(at),
        "why": why,
        "counts": {
            "due": count("due"),
            "told": count("told"),
            "applied": count("applied"),
            "proven": count("proven"),
            "failed": count("failed"),
            "away": of.away(),
        },
        "appliances": members.iter().take(MEMBERS).map(|member| self::member(member)).collect::<Vec<_>>(),
    })
}

/// On a thread that may wait for the disk.
async fn done<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, super::Refusal> + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await.expect("it does not panic, and is not cancelled");
    done.map_err(|(code, why)| Problem::new(code, why))
}

fn begun(id: i64) -> Response {
    let body = json!({ "id": id }).to_string();
    (StatusCode::CREATED, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

pub(in crate::web) async fn look(
    Of(web): Of<Arc<Web>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let to = Form::of_address(&uri).first("to").to_owned();
    let body = done(move || {
        let Look { directory, plan: planned, newest } = web.look_at_fleet(&to)?;
        Ok(json!({
            "directory": directory.map(|directory| directory.display().to_string()),
            "plan": plan(&planned),
            "roll_out": newest.map(|newest| roll_out(&newest)),
        }))
    });
    Ok(answer(&headers, "application/json", body.await?.to_string()))
}

pub(in crate::web) async fn begin(
    Of(web): Of<Arc<Web>>,
    visitor: Visitor,
    request: Request<Body>,
) -> Result<Response, Problem> {
    let Asked { to, seal, stages, wait, on_air } = body::json_or_default(request).await?;
    let pace = Pace { stages, wait, on_air_too: on_air };
    Ok(begun(done(move || web.begin_roll_out(&visitor, &to, &seal, &pace)).await?))
}

pub(in crate::web) async fn stop(
    Of(web): Of<Arc<Web>>,
    visitor: Visitor,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = done(move || web.stop_roll_out(&visitor)).await?;
    Ok(answer(&headers, "application/json", json!({ "id": id }).to_string()))
}

pub(in crate::web) async fn back(
    Of(web): Of<Arc<Web>>,
    visitor: Visitor,
    request: Request<Body>,
) -> Result<Response, Problem> {
    let Back { stages, wait, on_air } = body::json_or_default(request).await?;
    let pace = Pace { stages, wait, on_air_too: on_air };
    Ok(begun(done(move || web.take_back_roll_out(&visitor, &pace)).await?))
}
