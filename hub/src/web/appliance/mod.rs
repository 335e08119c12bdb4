//! An appliance: its page, its charts as pictures and as data, its samples as CSV.
//!
//! ```text
//! /sites/{site}/{appliance}                      the page
//! /sites/{site}/{appliance}/chart.svg?series=…    one chart, as a picture that stands alone
//! /sites/{site}/{appliance}/chart.csv?series=…    its samples
//! /api/sites/{site}/{appliance}                  all that the page says, as JSON
//! /api/sites/{site}/{appliance}/chart?series=…    what charts are drawn of, as JSON
//! /api/sites/{site}/{appliance}/latest           the latest values, ready to be read
//! ```
//!
//! Whoever may not see the site is told that there is no such appliance. What reads the history runs on the queries' threads, so many at once, and ends
//! when whoever asked has gone.

pub(super) mod about;
mod charts;
mod csv;
mod data;
mod head;
mod page;
mod picture;
mod probes;
mod range;
mod runs;
pub(super) mod set_up;
mod whole;

pub(super) use csv::{FILES, FILES_OF_ONE, csv};
pub(super) use data::{data, latest, told};
pub(super) use page::page;
pub(super) use picture::picture;
pub(super) use whole::whole;

use super::Web;
use super::problem::Problem;
use super::visitor::Visitor;
use crate::clock::Now;
use crate::fleet::{About, Latest, RunState, State};
use crate::query::SeriesName;
use rackside_onair::Zone;
use rackside_proto::{AgentName, ClockSource, Kind, Reason, Run};
use std::time::Duration;

/// Parameters of a request, in their order; a name may come more than once.
type Parameters = Vec<(String, String)>;

/// An appliance as it is now: what was copied while the fleet was locked.
#[derive(Debug, Clone)]
struct Subject {
    agent: AgentName,
    /// What people call its site.
    title: String,
    /// The clocks of its site.
    zone: Zone,
    state: State,
    since_ms: u64,
    seen_ms: u64,
    /// That more than one machine has its name, in words.
    machines: String,
    /// Since when it is retired.
    retired_ms: Option<u64>,
    /// When a box came last that had its name before.
    old_came_ms: Option<u64>,
    interval: Duration,
    run: Option<String>,
    about: Option<About>,
    clock: Option<ClockSource>,
    latest: Option<Latest>,
    records: crate::json::Records,
    /// Why its runs ended, as far as that was said to this hub.
    ends: Vec<(Run, Reason)>,
}

impl Web {
    /// The name of an appliance at a site that the visitor sees, whether or not there is such an appliance.
    pub(super) fn name_of(&self, visitor: &Visitor, site: &str, appliance: &str) -> Option<AgentName> {
        AgentName::new(site, appliance).ok().filter(|_| self.venues().sees(visitor, site))
    }

    /// The appliance of that name, if there is one that the visitor sees.
    fn subject(&self, visitor: &Visitor, site: &str, appliance: &str, now: Now) -> Option<Subject> {
        let (agent, venues) = (self.name_of(visitor, site, appliance)?, self.venues());
        let (title, zone) = (venues.title(site), venues.zone(site));
        let old_came = self.identities.as_ref().and_then(|identities| identities.old_came(&agent));
        let old_came_ms = old_came.map(|at| at.max(0).unsigned_abs());
        let ingest = self.shared.read();
        let fleet = ingest.fleet();
        let (slot, found) = (fleet.slot(&agent)?, fleet.find(&agent)?);
        let run = found.shown();
        Some(Subject {
            title,
            zone,
            state: found.state,
            since_ms: found.since_ms,
            seen_ms: found.seen.utc_ms,
            machines: crate::web::row::machines(found, self.identities.as_ref(), now),
            retired_ms: found.retired_ms,
            old_came_ms,
            interval: found.interval(),
            run: run.map(|run| run.run.to_string()),
            about: run.and_then(|run| run.about.clone()),
            clock: run.and_then(RunState::clock_source),
            latest: run.and_then(|run| run.latest.clone()),
            records: ingest.records(slot),
            ends: found.ends().collect(),
            agent,
        })
    }
}

impl Subject {
    /// After a longer pause than this there is a gap in a chart, in milliseconds.
    fn pause(&self) -> i64 {
        let tick = self.latest.as_ref().map(|latest| latest.listing.tick_ms);
        let tick = tick.or(self.about.as_ref().map(|about| about.tick_ms)).unwrap_or(10_000);
        let sent = self.interval.as_millis() as i64;
        (i64::from(tick) * 5 / 2).max(25_000).max(sent)
    }

    /// Whether what it said last says nothing of how it is now.
    fn is_old(&self, now: Now) -> bool {
        let read = self.latest.as_ref().and_then(|latest| latest.time_ms);
        let late = |ms: u64| now.utc_ms.saturating_sub(ms) > (self.pause() as u64 * 2).max(60_000);
        !self.state.is_up() || read.is_some_and(late)
    }

    /// How a series of the present catalog moves.
    fn kind(&self, name: &SeriesName) -> Option<Kind> {
        let listing = &self.latest.as_ref()?.listing;
        let is_it = |entry: &&crate::fleet::Entry| *entry.name == *name.metric && entry.labels == name.labels;
        listing.series().iter().find(is_it).map(|entry| entry.kind)
    }
}

/// The series that are asked for by name, at most so many.
fn series_of(query: &Parameters, most: usize) -> Result<Vec<SeriesName>, Problem> {
    let texts: Vec<&String> =
        query.iter().filter(|(name, _)| name == "series").map(|(_, text)| text).collect();
    if texts.is_empty() || texts.len() > most {
        let asked = texts.len();
        let what = format!("{asked} series are asked for; name 1 to {most} as series=NAME{{LABELS}}");
        return Err(Problem::bad_request(what));
    }
    texts.into_iter().map(|text| text.parse().map_err(|why: String| Problem::bad_request(why))).collect()
}

pub(super) fn nobody(site: &str, appliance: &str) -> Problem {
    Problem::not_found(format!("there is no appliance {:?}", format!("{site}/{appliance}")))
}

/// What a metric means, if it is known here.
fn help(metric: &str) -> &'static str {
    let known = rackside_proto::metric::ALL.iter().find(|known| known.name == metric);
    known.map_or("", |known| known.help)
}

/// What a kind is called.
fn called(kind: Kind) -> &'static str {
    match kind {
        Kind::Gauge => "gauge",
        Kind::Counter => "counter",
        Kind::State => "state",
    }
}

/// A text within a URL's query.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte as char),
            byte => {
                let digit = |half: u8| char::from(b"0123456789ABCDEF"[usize::from(half & 15)]);
                out.extend(['%', digit(byte >> 4), digit(byte)]);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_has_a_text_that_reads_back() {
        for text in ["rackside_load1", "x{a=\"b\"}", "x{a=\"1 \\\"2\\\" \\\\ 3\\n\",b=\"<script>\"}"] {
            let name: SeriesName = text.parse().expect("a series");
            assert_eq!(name.to_string(), text);
        }
        let query = vec![("series".to_owned(), "x{b=\"2\", a=\"1\"}".to_owned())];
        assert_eq!(series_of(&query, 1).expect("one")[0].to_string(), "x{a=\"1\",b=\"2\"}");
    }

    #[test]
    fn what_is_no_series_is_said() {
        for text in ["", "x{a=~\"b\"}", "{a=\"b\"}", "x + y", "x[5m]", "🦀"] {
            assert!(text.parse::<SeriesName>().is_err(), "{text}");
        }
        assert!(series_of(&Vec::new(), 3).is_err());
    }

    #[test]
    fn a_text_in_a_url_is_only_that() {
        assert_eq!(encoded("x{a=\"é&\"}"), "x%7Ba%3D%22%C3%A9%26%22%7D");
    }
}
