//! `…/chart.csv?series=…`: the samples of one series, by RFC 4180, written while they are read.
//!
//! What is too old to be kept sample by sample comes as what a query would read: minutes or hours. A program that opens the file sees no formula: a text that begins
//! like one has an apostrophe ahead of it.
//!
//! ```text
//! time,rackside_soc_temperature_celsius [celsius]
//! 2026-11-20T18:40:02.113Z,48.3
//! ```
//!
//! Invariant: a file that ends early ends its connection, so that nobody takes it for whole.

use super::range::Range;
use super::{Parameters, Subject, nobody, series_of};
use crate::clock;
use crate::moment::rfc3339;
use crate::query::{Fleetwide, SeriesName, UP};
use crate::web::Web;
use crate::web::problem::Problem;
use crate::web::visitor::Visitor;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use rackside_promql::{
    Labels, METRIC_NAME, Matcher, Reduce, Sample, Select, Source, SourceError, Stop, Take, Test, Wanted,
};
use std::fmt::Write;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Samples of a day are read at once.
const PIECE: i64 = 86_400_000;
/// A part of the file on its way.
const PART: usize = 64 * 1024;

pub(in crate::web) async fn csv(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    Path((site, appliance)): Path<(String, String)>,
    Query(query): Query<Parameters>,
) -> Result<Response, Problem> {
    let now = clock::now();
    let subject = web.subject(&visitor, &site, &appliance, now).ok_or_else(|| nobody(&site, &appliance))?;
    let range = Range::of(&query, subject.zone, now.utc_ms as i64).map_err(Problem::bad_request)?;
    let name = series_of(&query, 1)?.remove(0);
    let unit = unit(&web, &subject, &name).await?;
    let file = format!("{}-{}-{}.csv", subject.agent.site, subject.agent.appliance, name.metric);
    let (sender, receiver) = mpsc::channel::<io::Result<Vec<u8>>>(4);
    let mut out = Out { text: header(&name, &unit), sender };
    tokio::spawn(async move {
        let series = Arc::clone(&web.queries);
        let failed = out.sender.clone();
        let written =
            web.api.reads(move |stopped| write(&series, &subject, &name, range, &mut out, stopped)).await;
        if let Err(failure) = written {
            // Nobody may be there any more.
            let _gone = failed.send(Err(io::Error::other(failure.to_string()))).await;
        }
    });
    let parts = futures_util::stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|part| (part, receiver))
    });
    let mut response = Response::new(Body::from_stream(parts));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8; header=present"));
    let disposition = format!("attachment; filename=\"{}\"", plain(&file));
    if let Ok(disposition) = HeaderValue::from_str(&disposition) {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    Ok(response)
}

/// The unit of a series; there has to be such a series.
async fn unit(web: &Arc<Web>, subject: &Subject, name: &SeriesName) -> Result<String, Problem> {
    if *name.metric == *UP && name.labels.is_empty() {
        return Ok(String::new());
    }
    let listing = subject.latest.as_ref().map(|latest| &latest.listing);
    let entries = listing.iter().flat_map(|listing| listing.series());
    let entry = entries.into_iter().find(|entry| entry.name == name.metric && entry.labels == name.labels);
    if let Some(entry) = entry {
        return Ok(entry.unit.to_string());
    }
    let (series, agent, wanted) = (Arc::clone(&web.queries), subject.agent.clone(), name.clone());
    let listed = web.api.reads(move |_| Ok(series.series_of(&agent)?.contains_key(&wanted))).await;
    match listed {
        Ok(true) => {
            let known = rackside_proto::metric::ALL.iter().find(|known| *known.name == *name.metric);
            Ok(known.map_or("", |known| known.unit).to_owned())
        }
        Ok(false) => Err(Problem::not_found(format!("the appliance has no series {:?}", name.to_string()))),
        Err(failure) => Err(Problem::new(failure.code(), failure.to_string())),
    }
}

/// The text so far, and the way out.
struct Out {
    text: String,
    sender: mpsc::Sender<io::Result<Vec<u8>>>,
}

impl Out {
    /// Sends what is there; a reader who is slow is waited for, one who is gone ends it.
    fn send(&mut self) -> ControlFlow<()> {
        let part = std::mem::take(&mut self.text).into_bytes();
        if part.is_empty() || self.sender.blocking_send(Ok(part)).is_ok() {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    }
}

fn write(
    series: &Fleetwide,
    subject: &Subject,
    name: &SeriesName,
    range: Range,
    out: &mut Out,
    stopped: &dyn Fn() -> Option<Stop>,
) -> Result<(), SourceError> {
    let is = |name: &str, value: &str| Matcher { name: name.into(), test: Test::Equal(value.into()) };
    let mut matchers = vec![
        is(METRIC_NAME, &name.metric),
        is("site", subject.agent.site.as_str()),
        is("appliance", subject.agent.appliance.as_str()),
    ];
    matchers.extend(name.labels.iter().map(|(name, value)| is(name, value)));
    let mut from = range.from;
    while from < range.until {
        let to = range.until.min(from + PIECE) - 1;
        let wanted = Select {
            matchers: &matchers,
            from,
            to,
            wanted: Wanted::All,
            step: None,
            window: Some(range.span()),
            reduce: Reduce::Samples,
        };
        let mut rows = Rows { name, from, to, out, stopped, is_gone: false };
        series.select(&wanted, &mut rows)?;
        if rows.is_gone {
            return Err(SourceError::Stopped(Stop::Canceled));
        }
        from = to + 1;
    }
    if out.send().is_break() { Err(SourceError::Stopped(Stop::Canceled)) } else { Ok(()) }
}

/// Takes the samples of one series and makes rows of them.
struct Rows<'a> {
    name: &'a SeriesName,
    from: i64,
    to: i64,
    out: &'a mut Out,
    stopped: &'a dyn Fn() -> Option<Stop>,
    is_gone: bool,
}

impl Take for Rows<'_> {
    fn series(&mut self, labels: &Labels, samples: &[Sample]) -> ControlFlow<()> {
        // A series with more labels passes the matchers as well.
        if SeriesName::of(labels) != *self.name {
            return ControlFlow::Continue(());
        }
        let within = self.from..=self.to;
        for sample in samples.iter().filter(|sample| within.contains(&sample.at) && !sample.is_stale()) {
            row(&mut self.out.text, sample);
            if self.out.text.len() >= PART && self.out.send().is_break() {
                self.is_gone = true;
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    fn stopped(&self) -> Option<Stop> {
        (self.stopped)()
    }

    fn warn(&mut self, _: &str) {}
}

fn header(name: &SeriesName, unit: &str) -> String {
    let named = if unit.is_empty() { name.to_string() } else { format!("{name} [{unit}]") };
    format!("time,{}\r\n", cell(&named))
}

fn row(text: &mut String, sample: &Sample) {
    let time = rfc3339(u64::try_from(sample.at).unwrap_or_default());
    write!(text, "{time},{}\r\n", sample.value).expect("a String takes every write");
}

/// A text in a cell of its own.
fn cell(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if is_formula { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

/// A name that every system takes for a file.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_a_head_and_rows() {
        let name: SeriesName = "rackside_disk_used_bytes{mount=\"/\"}".parse().expect("a series");
        let mut text = header(&name, "bytes");
        row(&mut text, &Sample::new(1_795_145_119_250, 48.3));
        row(&mut text, &Sample::new(1_795_145_129_250, f64::INFINITY));
        let lines = "time,\"rackside_disk_used_bytes{mount=\"\"/\"\"} [bytes]\"\r\n\
                     2026-11-20T03:25:19.250Z,48.3\r\n2026-11-20T03:25:29.250Z,inf\r\n";
        assert_eq!(text, lines);
    }

    #[test]
    fn no_cell_is_a_formula() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"] {
            assert!(cell(text).trim_start_matches('"').starts_with('\''), "{text}");
        }
        assert_eq!(cell("a"), "a");
        assert_eq!(plain("a/b \"c\".csv"), "a_b__c_.csv");
    }
}
