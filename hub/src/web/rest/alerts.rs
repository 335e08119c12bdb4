//! `/api/alerts`: what is pending, fires, or was over lately, what needs somebody first; one of them; and saying that one has it in hand.
//!
//! ```json
//! {"alerts":[{"id":"274019e265251482","state":"firing","severity":"critical","labels":{"site":"arena-north"},"history":[…],…}],"next":null}
//! ```

use super::paging::Paging;
use super::tag;
use crate::web::Web;
use crate::web::alerts::{NOTE, WHO, json, line};
use crate::web::api::Form;
use crate::web::body;
use crate::web::problem::Problem;
use crate::web::visitor::Visitor;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Request, Uri};
use axum::response::Response;
use rackside_notify::{AlertId, Booked, Notifier, State as At};
use serde::Deserialize;
use serde_json::{Value as Json, json};
use std::sync::Arc;

/// Where an alert stands in the list, as text that sorts so: what needs somebody, then the worse, then the newer.
fn place(alert: &Booked) -> String {
    let rank = match alert.state {
        At::Firing => 0,
        At::Unknown => 1,
        At::Acknowledged => 2,
        At::Pending => 3,
        At::Resolved => 4,
    };
    let (severity, age) = (9 - alert.severity as u8, i64::MAX - alert.starts_at.max(0));
    format!("{rank}{severity}-{age:019}-{}", alert.id)
}

/// Whether the visitor may see it. What concerns no site is for those who see all.
fn sees(visitor: &Visitor, alert: &Booked) -> bool {
    visitor.sees(alert.site(), &[])
}

pub(in crate::web) async fn list(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let form = Form::of_address(&uri);
    let paging = Paging::of(&form)?;
    let [site, appliance, state] = ["site", "appliance", "state"].map(|name| form.first(name).to_owned());
    let states = [At::Pending, At::Firing, At::Acknowledged, At::Unknown, At::Resolved].map(At::as_str);
    if !state.is_empty() && !states.contains(&&*state) {
        return Err(Problem::bad_request(format!("no state {state:?}; there are {}", states.join(", "))));
    }
    let writing = tokio::task::spawn_blocking(move || {
        let is_meant = |alert: &&Booked| {
            sees(&visitor, alert)
                && (site.is_empty() || alert.site() == site)
                && (appliance.is_empty() || alert.appliance() == appliance)
                && (state.is_empty() || alert.state.as_str() == state)
        };
        let mut alerts: Vec<(String, Booked)> = web.notifications.look(|notifier, _| {
            notifier.alerts().filter(is_meant).map(|alert| (place(alert), alert.clone())).collect()
        });
        alerts.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let (page, next) = paging.cut(alerts, |(place, _)| place.clone())?;
        let alerts: Vec<Json> = page.iter().map(|(_, alert)| json(alert)).collect();
        let body = json!({ "alerts": alerts, "next": next }).to_string();
        Ok(tag::json(&headers, body.clone(), &body))
    });
    writing.await.expect("writing JSON does not panic, and is not cancelled")
}

/// The alert of that number that the visitor may see.
pub(in crate::web) fn booked(web: &Web, visitor: &Visitor, id: &str) -> Result<Booked, Problem> {
    let missing = || Problem::not_found(format!("there is no alert {id:?}"));
    let number: AlertId = id.parse().map_err(|_| missing())?;
    let found = web.notifications.look(|notifier, _| notifier.alert(number).cloned());
    found.filter(|alert| sees(visitor, alert)).ok_or_else(missing)
}

pub(in crate::web) async fn alert(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let body = json(&booked(&web, &visitor, &id)?).to_string();
    Ok(tag::json(&headers, body.clone(), &body))
}

/// What an acknowledgement says.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Said {
    /// Who has it in hand; of no meaning where whoever asks has a name.
    who: String,
    note: String,
}

/// Under which name something is noted: the visitor's own, else the one that they say.
pub(in crate::web) fn noted(visitor: &Visitor, said: &str) -> Result<String, Problem> {
    let who = line(said, WHO);
    match visitor.name {
        Some(_) => Ok(visitor.shown().to_owned()),
        None if who.is_empty() => Err(Problem::bad_request("say who you are: `who` is empty")),
        None => Ok(who),
    }
}

pub(in crate::web) async fn acknowledge(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    Path(id): Path<String>,
    request: Request<Body>,
) -> Result<Response, Problem> {
    let headers = request.headers().clone();
    let said: Said = body::json_or_default(request).await?;
    let alert = booked(&web, &visitor, &id)?;
    let (by, note) = (noted(&visitor, &said.who)?, line(&said.note, NOTE));
    changed(&web, &alert, &headers, "it does not fire", |notifier, now| {
        notifier.acknowledge(alert.id, &by, &note, now)
    })
}

pub(in crate::web) async fn release(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let alert = booked(&web, &visitor, &id)?;
    changed(&web, &alert, &headers, "nobody has it in hand", |notifier, now| {
        notifier.unacknowledge(alert.id, now)
    })
}

/// The alert as it is after the change; a conflict with `why`, if it could not be made.
fn changed(
    web: &Web,
    alert: &Booked,
    headers: &HeaderMap,
    why: &str,
    change: impl FnOnce(&mut Notifier, i64) -> bool,
) -> Result<Response, Problem> {
    if !web.notifications.with(change) {
        return Err(Problem::conflict(format!("alert {}: {why}", alert.id)));
    }
    let after = web.notifications.look(|notifier, _| notifier.alert(alert.id).cloned());
    let body = json(after.as_ref().unwrap_or(alert)).to_string();
    Ok(crate::web::accept::answer(headers, "application/json", body))
}
