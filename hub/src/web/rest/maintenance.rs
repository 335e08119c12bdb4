//! `/api/maintenance`: windows of maintenance, those that go on and those to come. They are made in the configuration and nowhere else.
//!
//! ```json
//! {"maintenance":[{"name":"Carrier's works","now":false,"sites":["arena-north"],"tags":[],"matchers":[],"starts_at":"…","ends_at":"…","time_zone":"Europe/Berlin"}],"next":null}
//! ```

use super::moment;
use super::on_air::ahead;
use super::paging::Paging;
use super::tag;
use crate::clock;
use crate::web::Web;
use crate::web::api::Form;
use crate::web::maintenance::announced;
use crate::web::problem::Problem;
use crate::web::visitor::Visitor;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
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
            })
        });
        let body = json!({ "maintenance": told.collect::<Vec<_>>(), "next": next }).to_string();
        Ok(tag::json(&headers, body.clone(), &body))
    });
    writing.await.expect("writing JSON does not panic, and is not cancelled")
}
