//! What else was going on when an alert began: what changed at its site just before, what the agent did about it, what else fires, and what was measured.
//!
//! Sample: `StreamDown` at 21:04:10; at 21:03:52 the way out became wwan0, at 21:04:01 camera-1 went on program; at 21:04:40 the agent restarted the encoder.

use super::line::{Kept, Pen, what};
use crate::web::Web;
use crate::web::log::words;
use rackside_history::{Happened, LogQuery};
use rackside_notify::Booked;
use rackside_onair::Zone;
use rackside_pages::When;
use rackside_pages::alert::Happening;
use rackside_pages::alerts::Line;
use rackside_promql::{Reduce, Select, Source as _, Wanted, is_stale, parse_selector};
use rackside_proto::AgentName;
use std::cmp::Reverse;
use std::ops::{ControlFlow, Range};

const MINUTE: i64 = 60_000;
/// What counts as just before.
const BEFORE: i64 = 10 * MINUTE;
/// Entries of each list.
const MOST: usize = 40;

/// The appliances of a site, as the hub knows them.
fn racks(web: &Web, site: &str) -> Vec<AgentName> {
    let ingest = web.shared.read();
    let appliances = ingest.fleet().appliances().iter();
    appliances.filter(|one| one.name.site.as_str() == site).map(|one| one.name.clone()).collect()
}

/// What happened at these appliances, and to the hub itself, the newest first.
fn events(web: &Web, agents: &[AgentName], hub: bool, range: Range<i64>) -> Vec<rackside_history::LogEntry> {
    let range = range.start.max(0) as u64..range.end.max(0) as u64;
    let query = LogQuery { range, agents: Some(agents), hub, limit: 10 * MOST, ..LogQuery::default() };
    match web.queries.log(&query) {
        Ok(page) => page.entries,
        Err(error) => {
            log::error!("the page of an alert goes without the log: {error}");
            Vec::new()
        }
    }
}

/// What changed at the site in the ten minutes before it began, the newest first.
pub(super) fn before(web: &Web, alert: &Booked, sees_hub: bool, (zone, now): (Zone, i64)) -> Vec<Happening> {
    let agents = racks(web, alert.site());
    let range = alert.active_at - BEFORE..alert.active_at + 1000;
    let mut found: Vec<(i64, &'static str, String)> = events(web, &agents, sees_hub, range.clone())
        .into_iter()
        .map(|entry| {
            let (kind, text) = words(&entry.what);
            (entry.place.ms as i64, kind, of_one(&agents, entry.agent.as_ref(), text))
        })
        .collect();
    found.extend(edges(web, alert.site(), &range));
    let others = web.notifications.look(|notifier, _| {
        let others = notifier.alerts().filter(|one| one.id != alert.id && one.site() == alert.site());
        others
            .filter(|one| range.contains(&one.starts_at))
            .map(|one| (one.starts_at, "alert", what(one)))
            .collect::<Vec<_>>()
    });
    found.extend(others);
    told(found, zone, now)
}

/// Where a site has several appliances it is said which.
fn of_one(agents: &[AgentName], agent: Option<&AgentName>, text: String) -> String {
    match agent.filter(|_| agents.len() > 1) {
        Some(agent) => format!("{}: {text}", agent.appliance),
        None => text,
    }
}

fn told(mut found: Vec<(i64, &'static str, String)>, zone: Zone, now: i64) -> Vec<Happening> {
    found.sort_by_key(|(at, ..)| Reverse(*at));
    found.truncate(MOST);
    let one = |(at, kind, what)| Happening { when: When::new(at, zone, now), what, kind };
    found.into_iter().map(one).collect()
}

/// When the site went on air or off; that an appliance came or went is in the log.
fn edges(web: &Web, site: &str, range: &Range<i64>) -> Vec<(i64, &'static str, String)> {
    let selector = format!("rackside_site_on_air{{site=\"{site}\"}}");
    let Ok(matchers) = parse_selector(&selector) else { return Vec::new() };
    let wanted = Select {
        matchers: &matchers,
        from: range.start - 5 * MINUTE,
        to: range.end,
        wanted: Wanted::All,
        step: None,
        window: Some(range.end - range.start),
        reduce: Reduce::Samples,
    };
    let mut found = Vec::new();
    let mut take = |labels: &rackside_promql::Labels, samples: &[rackside_promql::Sample]| {
        for pair in samples.windows(2) {
            let [from, to] = pair else { continue };
            let is_edge =
                (from.value > 0.0) != (to.value > 0.0) && !is_stale(from.value) && !is_stale(to.value);
            if !is_edge || !range.contains(&to.at) {
                continue;
            }
            let says = if to.value > 0.0 { "on air" } else { "no longer on air" };
            found.push((
                to.at,
                "tally",
                format!("the site is {says} by {}", super::page::by(labels.value("reason"))),
            ));
        }
        ControlFlow::Continue(())
    };
    if let Err(error) = web.queries.select(&wanted, &mut take) {
        log::error!("the page of an alert goes without who was heard: {error}");
    }
    found
}

/// What the agent did about it, the newest first.
pub(super) fn tried(web: &Web, alert: &Booked, zone: Zone, now: i64) -> Vec<Happening> {
    let Ok(agent) = AgentName::new(alert.site(), alert.appliance()) else { return Vec::new() };
    let end = alert.ends_at.map_or(now, |end| end + BEFORE);
    let entries = events(web, &[agent], false, alert.active_at - BEFORE..end + 1);
    let is_of_it = |subject: &str| {
        let of = subject.split_once('/').map_or("", |(_, of)| of);
        subject.starts_with("recovery/")
            && ["probe", "stream"].iter().all(|name| {
                let value = alert.labels.value(name);
                value.is_empty() || *name == "stream" || value == of
            })
    };
    let done = entries.into_iter().filter_map(|entry| match &entry.what {
        Happened::Text { subject, .. } if is_of_it(subject) => {
            let (kind, text) = words(&entry.what);
            Some((entry.place.ms as i64, kind, text))
        }
        _ => None,
    });
    told(done.collect(), zone, now)
}

/// What else fires at the site, the worst first.
pub(super) fn beside(web: &Web, alert: &Booked, pen: &mut Pen<'_>) -> Vec<Line> {
    if alert.site().is_empty() {
        return Vec::new();
    }
    let (mut others, kept) = web.notifications.look(|notifier, _| {
        let others = notifier.alerts().filter(|one| one.id != alert.id && one.site() == alert.site());
        let firing: Vec<Booked> = others.filter(|one| one.fires()).cloned().collect();
        (firing, Kept::of(notifier))
    });
    others.sort_by_key(|one| (Reverse(one.severity), one.starts_at, one.id));
    others.iter().take(MOST).map(|one| pen.line(one, &kept)).collect()
}

/// The expression of the rule that made it, if that is known.
pub(super) fn expression(web: &Web, alert: &Booked) -> String {
    let expressions = web.rules.expressions();
    let expressions = expressions.borrow();
    expressions.get(alert.name()).map_or_else(String::new, ToString::to_string)
}
