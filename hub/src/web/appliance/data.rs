//! What charts are drawn of, as JSON, and the latest values ready to be read.
//!
//! ```json
//! {"from": "2026-11-20T17:00:00.000Z", "to": "…", "series": [{"series": "rackside_load1", "kind": "gauge", "unit": "", "width": 338, "until": 338,
//!   "columns": [{"x": 0, "min": 0.1, "mean": 0.2, "max": 0.4, "last": 0.2, "joins": false, "text": "0.2 (0.1 – 0.4)"}]}]}
//! ```

use super::range::Range;
use super::{Parameters, called, charts, help, nobody, series_of};
use crate::clock;
use crate::json;
use crate::moment::rfc3339;
use crate::query::{Curved, UP, WantedCurves};
use crate::web::Web;
use crate::web::accept::answer;
use crate::web::problem::Problem;
use crate::web::visitor::Visitor;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use rackside_pages::chart::{Column, States, said};
use rackside_pages::quantity::Unit;
use rackside_proto::Kind;
use serde::Serialize;
use std::sync::Arc;

/// Series of one request.
const MOST: usize = 64;
/// Columns of one.
const WIDEST: usize = 4_000;

#[derive(Serialize)]
struct Answer {
    from: String,
    to: String,
    series: Vec<OfSeries>,
}

#[derive(Serialize)]
struct OfSeries {
    series: String,
    kind: &'static str,
    /// What the numbers are in: of a counter how fast it rises.
    unit: &'static str,
    width: u32,
    until: u32,
    columns: Vec<OfColumn>,
}

#[derive(Serialize)]
struct OfColumn {
    x: u32,
    min: f64,
    mean: f64,
    max: f64,
    last: f64,
    joins: bool,
    text: String,
}

pub(in crate::web) async fn data(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    Path((site, appliance)): Path<(String, String)>,
    Query(query): Query<Parameters>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let now = clock::now();
    let subject = web.subject(&visitor, &site, &appliance, now).ok_or_else(|| nobody(&site, &appliance))?;
    let range = Range::of(&query, subject.zone, now.utc_ms as i64).map_err(Problem::bad_request)?;
    let names = series_of(&query, MOST)?;
    let width = match query.iter().find(|(name, _)| name == "width") {
        None => None,
        Some((_, text)) => {
            Some(text.parse().ok().filter(|width| (1..=WIDEST).contains(width)).ok_or_else(|| {
                Problem::bad_request(format!("width={text:?} is no number of columns from 1 to {WIDEST}"))
            })?)
        }
    };
    let series = Arc::clone(&web.queries);
    let read = web.api.reads(move |stopped| {
        let mut wanted = charts::wanted(&subject, range, Some(&names), stopped);
        wanted.width = width.unwrap_or(wanted.width);
        let mut found = series.curves(&wanted, &|name| subject.kind(name), now)?;
        if names.len() > 1
            && let Some(up) = names.iter().find(|name| *name.metric == *UP)
        {
            let only = Some(std::slice::from_ref(up));
            found.extend(series.curves(&WantedCurves { only, ..wanted }, &|_| None, now)?);
        }
        let ms = |at: i64| rfc3339(at.max(0) as u64);
        let series = found.iter().map(of_series).collect();
        Ok(json::text(&Answer { from: ms(range.from), to: ms(range.until), series }))
    });
    let text = read.await.map_err(|failure| Problem::new(failure.code(), failure.to_string()))?;
    Ok(answer(&headers, "application/json", text))
}

fn of_series(one: &Curved) -> OfSeries {
    let metric = &one.name.metric;
    let unit = Unit::of_chart(metric, one.kind == Kind::Counter);
    let states = (one.kind == Kind::State).then(|| States::of_metric(metric, help(metric)));
    let text = |column: &Column| {
        let of = |value| said(value, unit, states.as_ref());
        let is_level = column.min.to_bits() == column.max.to_bits();
        match &states {
            Some(_) if is_level => of(column.last),
            Some(_) => format!("{} and {}", of(column.min), of(column.max)),
            None if is_level => of(column.mean),
            None => format!("{} ({} – {})", of(column.mean), of(column.min), of(column.max)),
        }
    };
    let columns = one.curve.columns.iter().map(|column| OfColumn {
        x: column.x,
        min: column.min,
        mean: column.mean,
        max: column.max,
        last: column.last,
        joins: column.joins,
        text: text(column),
    });
    OfSeries {
        kind: called(one.kind),
        unit: unit_name(unit),
        width: one.curve.width,
        until: one.curve.until,
        columns: columns.collect(),
        series: one.name.to_string(),
    }
}

/// Base units by their names.
fn unit_name(unit: Unit) -> &'static str {
    match unit {
        Unit::Number => "",
        Unit::Celsius => "celsius",
        Unit::Ratio => "ratio",
        Unit::Seconds | Unit::Date => "seconds",
        Unit::Bytes => "bytes",
        Unit::BytesPerSecond => "bytes per second",
        Unit::BitsPerSecond => "bps",
        Unit::Dbm => "dbm",
        Unit::Fps => "fps",
        Unit::Rpm => "rpm",
        Unit::PerMinute => "per minute",
        Unit::SecondsPerSecond => "seconds per second",
        Unit::Dbfs => "dbfs",
        Unit::Hertz => "hertz",
        Unit::Volts => "volts",
    }
}

#[derive(Serialize)]
struct Latest {
    time: Option<String>,
    series: Vec<OfLatest>,
}

#[derive(Serialize)]
struct Whose<'a> {
    site: &'a str,
    appliance: &'a str,
    #[serde(flatten)]
    latest: Latest,
}

#[derive(Serialize)]
struct OfLatest {
    series: String,
    value: Option<f64>,
    text: String,
}

pub(in crate::web) async fn latest(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    Path((site, appliance)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let now = clock::now();
    let subject = web.subject(&visitor, &site, &appliance, now).ok_or_else(|| nobody(&site, &appliance))?;
    let writing = tokio::task::spawn_blocking(move || {
        answer(&headers, "application/json", json::text(&read(subject.latest.as_ref())))
    });
    Ok(writing.await.expect("writing JSON does not panic, and is not cancelled"))
}

/// The same with whose they are, as `/api/live` has it.
pub(in crate::web) fn told(site: &str, appliance: &str, latest: &crate::fleet::Latest) -> String {
    json::text(&Whose { site, appliance, latest: read(Some(latest)) })
}

/// Counters have no value that says something by itself: of them a chart tells how fast they rise.
fn read(latest: Option<&crate::fleet::Latest>) -> Latest {
    let Some(latest) = latest else { return Latest { time: None, series: Vec::new() } };
    let each = latest.listing.series().iter().zip(&latest.values);
    let told = each.filter(|(entry, _)| entry.served && entry.kind != Kind::Counter).map(|(entry, value)| {
        OfLatest {
            series: crate::query::SeriesName { metric: entry.name.clone(), labels: entry.labels.clone() }
                .to_string(),
            value: value.known().map(|number| entry.scale.value(number)),
            text: charts::in_words(entry, *value),
        }
    });
    Latest { time: latest.time_ms.map(rfc3339), series: told.collect() }
}
