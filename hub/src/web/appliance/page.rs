//! `/sites/{site}/{appliance}`: the page itself. Charts are drawn on the queries' threads; where that fails the page says why and shows the rest.

use super::charts::{self, MOST};
use super::range::{Range, USUAL};
use super::{Parameters, Subject, about};
use crate::clock::{self, Now};
use crate::query::Fleetwide;
use crate::web::api::Failure;
use crate::web::visitor::Visitor;
use crate::web::{Web, missing, page};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use rackside_history::{LogEntry, RunSpan};
use rackside_pages::Here;
use rackside_pages::appliance::{Appliance, Choice};
use rackside_pages::stills::Stills;
use rackside_promql::{SourceError, Stop};
use std::sync::Arc;

/// How far back the log is looked at for what is so since when, in milliseconds, and how many lines.
const BACK: i64 = 90 * 86_400_000;
const LINES: usize = 500;
/// Runs that are told.
const RUNS: usize = 20;

/// What was read for the page.
struct Read {
    page: charts::Page,
    log: Vec<LogEntry>,
    runs: Vec<RunSpan>,
}

pub(in crate::web) async fn page(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    Path((site, appliance)): Path<(String, String)>,
    Query(query): Query<Parameters>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let now = clock::now();
    let asking = (Arc::clone(&web), visitor.clone());
    let found = tokio::task::spawn_blocking(move || asking.0.subject(&asking.1, &site, &appliance, now));
    let Some(subject) = found.await.expect("a look at the fleet does not panic, and is not cancelled") else {
        return missing::not_found(headers, uri).await;
    };
    let (range, objection) = match Range::of(&query, subject.zone, now.utc_ms as i64) {
        Ok(range) => (range, String::new()),
        Err(objection) => (Range::last_day(now.utc_ms as i64), objection),
    };
    let part = query.iter().find(|(name, _)| name == "part").and_then(|(_, part)| part.parse().ok());
    // Parts are counted from 1.
    let part = part.unwrap_or(1_usize).max(1) - 1;
    let subject = Arc::new(subject);
    let read = {
        let (series, subject) = (Arc::clone(&web.queries), Arc::clone(&subject));
        web.api.reads(move |stopped| read(&series, &subject, range, part, stopped, now)).await
    };
    let is_refused = !objection.is_empty();
    let mut response = page::whole(headers, move || {
        let frame =
            web.live_frame(&format!("{} {}", subject.title, subject.agent.appliance), Here::Fleet, &visitor);
        let blank = blank(&subject, range, objection, now);
        let stills = web.stills_for(&visitor, &subject.agent, now);
        Appliance { frame, stills, ..with(blank, &subject, range, part, read, now) }.html()
    })
    .await;
    if is_refused {
        *response.status_mut() = StatusCode::BAD_REQUEST;
    }
    response
}

fn read(
    series: &Fleetwide,
    subject: &Subject,
    range: Range,
    part: usize,
    stopped: &dyn Fn() -> Option<Stop>,
    now: Now,
) -> Result<Read, SourceError> {
    let page = charts::page(series, subject, range, part, stopped, now)?;
    let end = now.utc_ms as i64 + 1;
    let (log, _) = series.log_of(&subject.agent, &(end - BACK..end), LINES)?;
    let runs = series.runs_of(&subject.agent, RUNS)?;
    Ok(Read { page, log, runs })
}

/// The page without what was read.
fn blank(subject: &Subject, range: Range, objection: String, now: Now) -> Appliance {
    let AgentPlace { here, data } = AgentPlace::of(subject);
    let shown = |at: i64, form: &str| subject.zone.local(at).format(form).to_string();
    let (long, input) = ("%a %-d %b %Y %H:%M", "%Y-%m-%dT%H:%M");
    Appliance {
        frame: crate::web::frame::bare("", Here::Fleet),
        site: subject.agent.site.to_string(),
        site_title: subject.title.clone(),
        appliance: subject.agent.appliance.to_string(),
        state: if subject.state.is_up() { "well" } else { "down" },
        word: if subject.state.is_up() { "up" } else { "down" },
        says: about::says(subject, now),
        remarks: about::remarks(subject),
        ranges: USUAL
            .iter()
            .map(|(name, label, _)| Choice {
                label: (*label).to_owned(),
                href: format!("{here}?range={name}"),
                here: range.usual == Some(name),
            })
            .collect(),
        from: shown(range.from, input),
        until: shown(range.until, input),
        range: format!("{} to {}", shown(range.from, long), shown(range.until, long)),
        zone: subject.zone.name().to_owned(),
        from_ms: range.from,
        until_ms: range.until,
        is_now: range.usual.is_some(),
        objection,
        data,
        groups: Vec::new(),
        empty: true,
        failure: String::new(),
        parts: Vec::new(),
        log: Vec::new(),
        more_log: false,
        stills: Stills::default(),
        probes: about::probes(subject, &[], subject.zone, now),
        facts: about::facts(subject),
        runs: Vec::new(),
        series: subject.latest.as_ref().map_or(0, |latest| latest.listing.len()),
        catalog: about::catalog(subject, now),
    }
}

fn with(
    blank: Appliance,
    subject: &Subject,
    range: Range,
    part: usize,
    read: Result<Read, Failure>,
    now: Now,
) -> Appliance {
    let Read { page, log, runs } = match read {
        Ok(read) => read,
        Err(failure) => return Appliance { failure: failure.to_string(), empty: false, ..blank },
    };
    let AgentPlace { here, .. } = AgentPlace::of(subject);
    let parts = if page.parts > 1 { 0..page.parts } else { 0..0 };
    Appliance {
        empty: page.groups.is_empty(),
        groups: page.groups,
        parts: parts
            .map(|nth| Choice {
                label: format!("{} – {}", nth * MOST + 1, (nth + 1) * MOST),
                href: format!("{here}?{}&part={}", range.query(), nth + 1),
                here: nth == part,
            })
            .collect(),
        log: charts::lines(subject, range, &page.meanwhile),
        more_log: page.meanwhile.has_more,
        probes: about::probes(subject, &log, subject.zone, now),
        runs: about::runs(subject, &runs, now),
        ..blank
    }
}

/// Where an appliance is.
struct AgentPlace {
    here: String,
    data: String,
}

impl AgentPlace {
    fn of(subject: &Subject) -> Self {
        let (site, appliance) = (&subject.agent.site, &subject.agent.appliance);
        Self { here: format!("/sites/{site}/{appliance}"), data: format!("/api/sites/{site}/{appliance}") }
    }
}
