//! `/sites/{site}/{appliance}`: the page itself. Charts are drawn on the queries' threads; where that fails the page says why and shows the rest.
//!
//! `?view=now` is the page without its charts, which `appliance.js` asks for when something is new; `?q=encoder` leaves out series of another name.

use super::charts::{self, Asked, MOST};
use super::range::{Range, USUAL};
use super::{Parameters, Subject, about, encoded, probes, runs};
use crate::clock::{self, Now};
use crate::query::{Fleetwide, LINES};
use crate::web::api::Failure;
use crate::web::visitor::Visitor;
use crate::web::{Web, missing, page};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use rackside_history::LogEntry;
use rackside_pages::Here;
use rackside_pages::appliance::{self as shown, Appliance, Choice, Probe};
use rackside_pages::commands::Commands;
use rackside_pages::stills::Stills;
use rackside_promql::{SourceError, Stop};
use std::sync::Arc;

/// How far back the log is looked at for what is so since when, in milliseconds, and how many lines.
const BACK: i64 = 90 * 86_400_000;
const BACKWARDS: usize = 500;
/// With more probes that stand well than this they are folded away.
const UNFOLDED: usize = 8;
/// The longest text that is looked for.
const LONGEST: usize = 80;

/// What was read of its past.
pub(super) struct Past {
    pub(super) probes: Vec<probes::Standing>,
    pub(super) runs: Vec<runs::Run>,
}

/// What was read for the page.
struct Read {
    charts: Option<charts::Page>,
    log: Vec<LogEntry>,
    has_more: bool,
    past: Past,
}

/// What is asked for.
#[derive(Clone)]
struct Wish {
    range: Range,
    asked: Asked,
    has_charts: bool,
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
    let value = |wanted: &str| query.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    // Parts are counted from 1.
    let part = value("part").and_then(|part| part.parse().ok()).unwrap_or(1_usize).max(1) - 1;
    let text = value("q").unwrap_or_default().trim().chars().take(LONGEST).collect();
    let wish = Wish { range, asked: Asked { text, part }, has_charts: value("view") != Some("now") };
    let subject = Arc::new(subject);
    let read = {
        let (series, subject, wish) = (Arc::clone(&web.queries), Arc::clone(&subject), wish.clone());
        web.api.reads(move |stopped| read(&series, &subject, &wish, stopped, now)).await
    };
    let is_refused = !objection.is_empty();
    let mut response = page::whole(headers, move || {
        let title = format!("{} {}", subject.title, subject.agent.appliance);
        let frame = web.live_frame(&title, Here::Fleet, &visitor);
        let blank = blank(&subject, &wish, objection, now);
        let stills = web.stills_for(&visitor, &subject.agent, now);
        let head = web.head(&subject, &visitor, now);
        let set_up = web.set_up(&visitor, &subject.agent, subject.zone);
        let commands = web.commands_of(&subject.agent, &visitor, now);
        Appliance { frame, stills, commands, head, set_up, ..with(blank, &subject, &wish, read, now) }.html()
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
    wish: &Wish,
    stopped: &dyn Fn() -> Option<Stop>,
    now: Now,
) -> Result<Read, SourceError> {
    let past = past(series, subject, stopped, now)?;
    let Range { from, until, .. } = wish.range;
    if wish.has_charts {
        let mut charts = charts::page(series, subject, wish.range, &wish.asked, stopped, now)?;
        let log = std::mem::take(&mut charts.meanwhile.log);
        return Ok(Read { has_more: charts.meanwhile.has_more, charts: Some(charts), log, past });
    }
    let (log, has_more) = series.log_of(&subject.agent, &(from..until), LINES)?;
    Ok(Read { charts: None, log, has_more, past })
}

/// How its probes stand and since when, and its runs.
pub(super) fn past(
    series: &Fleetwide,
    subject: &Subject,
    stopped: &dyn Fn() -> Option<Stop>,
    now: Now,
) -> Result<Past, SourceError> {
    let end = now.utc_ms as i64 + 1;
    let (log, _) = series.log_of(&subject.agent, &(end - BACK..end), BACKWARDS)?;
    let since = series.since(&subject.agent, &probes::named(subject), &log, stopped, now)?;
    let spans = series.runs_of(&subject.agent, runs::MOST)?;
    Ok(Past {
        probes: probes::standing(subject, Some(&since), &log),
        runs: runs::told(series, subject, &spans, now)?,
    })
}

/// The page without what was read.
fn blank(subject: &Subject, wish: &Wish, objection: String, now: Now) -> Appliance {
    let AgentPlace { here, data } = AgentPlace::of(subject);
    let Wish { range, asked, .. } = wish;
    let at = |at: i64, form: &str| subject.zone.local(at).format(form).to_string();
    let (long, input) = ("%a %-d %b %Y %H:%M", "%Y-%m-%dT%H:%M");
    let text = if asked.text.is_empty() { String::new() } else { format!("&q={}", encoded(&asked.text)) };
    Appliance {
        frame: crate::web::frame::bare("", Here::Fleet),
        site: subject.agent.site.to_string(),
        site_title: subject.title.clone(),
        appliance: subject.agent.appliance.to_string(),
        head: shown::Head::default(),
        set_up: None,
        wanted: asked.text.clone(),
        all: format!("{here}?{}", range.query()),
        is_narrowed: range.usual.is_none() || !asked.text.is_empty() || !objection.is_empty(),
        asked: range.parameters().into_iter().map(|(name, value)| shown::Asked { name, value }).collect(),
        ranges: USUAL
            .iter()
            .map(|(name, label, _)| Choice {
                label: (*label).to_owned(),
                href: format!("{here}?range={name}{text}"),
                here: range.usual == Some(name),
            })
            .collect(),
        from: at(range.from, input),
        until: at(range.until, input),
        range: format!("{} to {}", at(range.from, long), at(range.until, long)),
        zone: subject.zone.name().to_owned(),
        from_ms: range.from,
        until_ms: range.until,
        is_now: range.usual.is_some(),
        objection,
        data,
        fresh: format!("{here}?view=now&{}", range.query()),
        groups: Vec::new(),
        empty: wish.has_charts,
        failure: String::new(),
        parts: Vec::new(),
        log: Vec::new(),
        more_log: false,
        stills: Stills::default(),
        commands: Commands::default(),
        failing: Vec::new(),
        probes: Vec::new(),
        probes_say: String::new(),
        probes_folded: false,
        facts: about::facts(subject),
        runs: Vec::new(),
        series: subject.latest.as_ref().map_or(0, |latest| latest.listing.len()),
        catalog: about::catalog(subject, now),
    }
}

fn with(
    blank: Appliance,
    subject: &Subject,
    wish: &Wish,
    read: Result<Read, Failure>,
    now: Now,
) -> Appliance {
    let Read { charts, log, has_more, past } = match read {
        Ok(read) => read,
        Err(failure) => {
            let standing = probes::standing(subject, None, &[]);
            let blank = with_probes(blank, probes::shown(standing, subject, now));
            return Appliance { failure: failure.to_string(), empty: false, ..blank };
        }
    };
    let AgentPlace { here, .. } = AgentPlace::of(subject);
    let blank = with_probes(blank, probes::shown(past.probes, subject, now));
    let (groups, parts) = charts.map_or((Vec::new(), 0), |charts| (charts.groups, charts.parts));
    let query = wish.range.query();
    let text = &wish.asked.text;
    let text = if text.is_empty() { String::new() } else { format!("&q={}", encoded(text)) };
    Appliance {
        empty: wish.has_charts && groups.is_empty(),
        groups,
        parts: (0..if parts > 1 { parts } else { 0 })
            .map(|nth| Choice {
                label: format!("{} – {}", nth * MOST + 1, (nth + 1) * MOST),
                href: format!("{here}?{query}{text}&part={}", nth + 1),
                here: nth == wish.asked.part,
            })
            .collect(),
        log: charts::lines(subject, wish.range, &log),
        more_log: has_more,
        runs: runs::shown(past.runs, subject, now),
        ..blank
    }
}

/// What does not stand well first, and how many of each there are.
fn with_probes(blank: Appliance, all: Vec<Probe>) -> Appliance {
    let (probes, failing): (Vec<Probe>, Vec<Probe>) = all.into_iter().partition(|probe| probe.is_well);
    let count = |word: &str| failing.iter().filter(|probe| probe.word == word).count();
    let counts = [(count("failed"), "failed"), (count("unknown"), "unknown"), (probes.len(), "well")];
    let said = counts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}"));
    Appliance {
        probes_say: said.collect::<Vec<_>>().join(", "),
        probes_folded: probes.len() > UNFOLDED,
        failing,
        probes,
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
