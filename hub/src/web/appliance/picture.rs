//! `…/chart.svg?series=…`: one chart as a picture that stands alone, for a report or a ticket.

use super::range::Range;
use super::{Parameters, charts, nobody, series_of};
use crate::clock;
use crate::web::Web;
use crate::web::accept::answer;
use crate::web::problem::Problem;
use crate::web::visitor::Visitor;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use rackside_pages::chart::{Chart, Size, svg};
use std::sync::Arc;

pub(in crate::web) async fn picture(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    Path((site, appliance)): Path<(String, String)>,
    Query(query): Query<Parameters>,
    headers: HeaderMap,
) -> Response {
    let now = clock::now();
    let Some(subject) = web.subject(&visitor, &site, &appliance, now) else {
        return nobody(&site, &appliance).into_response();
    };
    let range = Range::of(&query, subject.zone, now.utc_ms as i64).map_err(Problem::bad_request);
    let (range, names) = match range.and_then(|range| Ok((range, series_of(&query, 1)?))) {
        Ok(asked) => asked,
        Err(problem) => return problem.into_response(),
    };
    let series = Arc::clone(&web.queries);
    let drawn = web.api.reads(move |stopped| {
        let wanted = charts::wanted(&subject, range, Some(&names), stopped);
        let wanted = crate::query::WantedCurves { width: Size::WIDE.columns(), ..wanted };
        let found = series.curves(&wanted, &|name| subject.kind(name), now)?;
        let Some(one) = found.into_iter().find(|one| Some(&one.name) == names.first()) else {
            return Ok(None);
        };
        let meanwhile = series.meanwhile(&subject.agent, &(range.from..range.until), stopped)?;
        let marks = charts::marks(&subject, range, &meanwhile);
        let chart = charts::chart(&subject, range, one, &marks);
        let title = format!("{}, {} {}", chart.title, subject.title, subject.agent.appliance);
        Ok(Some(svg(&Chart { title, size: Size::WIDE, is_titled: true, ..chart })))
    });
    match drawn.await {
        Ok(Some(svg)) => answer(&headers, "image/svg+xml", svg),
        Ok(None) => Problem::not_found("the appliance has no such series").into_response(),
        Err(failure) => Problem::new(failure.code(), failure.to_string()).into_response(),
    }
}
