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
use crate::query::{SeriesName, UP};
use crate::web::Web;
use crate::web::api::{Api, Failure};
use crate::web::change::Peer;
use crate::web::places::{Place, Places};
use crate::web::problem::Problem;
use crate::web::visitor::Visitor;
use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use rackside_promql::{
    Labels, METRIC_NAME, Matcher, Reduce, Sample, Select, Source, SourceError, Stop, Take, Test, Wanted,
};
use rackside_proto::AgentName;
use std::fmt::Write;
use std::io;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Samples of a day are read at once.
const PIECE: i64 = 86_400_000;
/// So much is sent at once, or a day.
const PART: usize = 64 * 1024;
/// The whole file is on its way for at most so long.
const SENT_WITHIN: Duration = Duration::from_mins(5);

/// Files on their way at once, and from one address: each reads again and again for as long as it is taken.
pub(in crate::web) const FILES: usize = 32;
pub(in crate::web) const FILES_OF_ONE: usize = 8;

pub(in crate::web) async fn csv(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    Extension(peer): Extension<Peer>,
    Path(of): Path<(String, String)>,
    Query(query): Query<Parameters>,
    headers: HeaderMap,
) -> Response {
    match place(&web.files, web.door.address(&headers, peer)) {
        Ok(place) => {
            file(&web, &visitor, of, &query, place).await.unwrap_or_else(IntoResponse::into_response)
        }
        Err(refusal) => *refusal,
    }
}

fn place(files: &Arc<Places>, address: IpAddr) -> Result<Place, Box<Response>> {
    files.take(address).map_err(|full| {
        let (all, of_one) = (
            "too many files are on their way already; try again later",
            "too many files are on their way to this address already; wait until one has come",
        );
        Box::new(full.told(all, of_one))
    })
}

async fn file(
    web: &Arc<Web>,
    visitor: &Visitor,
    (site, appliance): (String, String),
    query: &Parameters,
    place: Place,
) -> Result<Response, Problem> {
    let now = clock::now();
    let subject = web.subject(visitor, &site, &appliance, now).ok_or_else(|| nobody(&site, &appliance))?;
    let range = Range::of(query, subject.zone, now.utc_ms as i64).map_err(Problem::bad_request)?;
    let name = series_of(query, 1)?.remove(0);
    let unit = unit(web, &subject, &name).await?;
    let file = format!("{}-{}-{}.csv", subject.agent.site, subject.agent.appliance, name.metric);
    let (head, asked) = (header(&name, &unit), Asked { agent: subject.agent, name, range });
    let body = on_its_way(Arc::clone(&web.api), Arc::clone(&web.queries), asked, head, place);
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8; header=present"));
    let disposition = format!("attachment; filename=\"{}\"", plain(&file));
    if let Ok(disposition) = HeaderValue::from_str(&disposition) {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    Ok(response)
}

/// The file, which keeps its place until it is taken, or cannot be.
fn on_its_way<S: Source + Send + Sync + 'static>(
    api: Arc<Api>,
    series: Arc<S>,
    asked: Asked,
    head: String,
    place: Place,
) -> Body {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let _place = place;
        let sent = send(&api, &series, Arc::new(asked), head, &sender);
        tokio::select! {
            sent = tokio::time::timeout(SENT_WITHIN, sent) => match sent {
                Ok(Ok(())) => {}
                Ok(Err(failure)) => log::warn!("a CSV file ends early: {failure}"),
                Err(_) => log::info!("a CSV file was not taken within five minutes, and ends early"),
            },
            () = sender.closed() => {}
        }
    });
    Body::from_stream(futures_util::stream::unfold(Some(receiver), |receiver| async {
        let mut receiver: mpsc::Receiver<Part> = receiver?;
        match receiver.recv().await {
            Some(Part::Rows(text)) => Some((Ok(text), Some(receiver))),
            Some(Part::End) => None,
            None => Some((Err(io::Error::other("the file could not be sent to its end")), None)),
        }
    }))
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

/// What a file is made of.
struct Asked {
    agent: AgentName,
    name: SeriesName,
    range: Range,
}

/// What goes to the reader.
enum Part {
    Rows(String),
    /// There was no more: without it the file is not whole.
    End,
}

/// Reads day by day, each in a place of the queries', and sends outside of it: a reader who is slow keeps no query waiting.
async fn send<S: Source + Send + Sync + 'static>(
    api: &Api,
    series: &Arc<S>,
    asked: Arc<Asked>,
    head: String,
    sender: &mpsc::Sender<Part>,
) -> Result<(), Failure> {
    let (mut text, mut from) = (head, asked.range.from);
    while from < asked.range.until {
        let to = asked.range.until.min(from + PIECE) - 1;
        let (series, asked) = (Arc::clone(series), Arc::clone(&asked));
        text += &api.reads(move |stopped| rows(&*series, &asked, (from, to), stopped)).await?;
        if text.len() >= PART && sender.send(Part::Rows(std::mem::take(&mut text))).await.is_err() {
            return Ok(());
        }
        from = to + 1;
    }
    // Who has gone needs no end.
    if sender.send(Part::Rows(text)).await.is_ok() {
        let _gone = sender.send(Part::End).await;
    }
    Ok(())
}

/// The rows of a piece.
fn rows(
    series: &dyn Source,
    asked: &Asked,
    (from, to): (i64, i64),
    stopped: &dyn Fn() -> Option<Stop>,
) -> Result<String, SourceError> {
    let is = |name: &str, value: &str| Matcher { name: name.into(), test: Test::Equal(value.into()) };
    let mut matchers = vec![
        is(METRIC_NAME, &asked.name.metric),
        is("site", asked.agent.site.as_str()),
        is("appliance", asked.agent.appliance.as_str()),
    ];
    matchers.extend(asked.name.labels.iter().map(|(name, value)| is(name, value)));
    let wanted = Select {
        matchers: &matchers,
        from,
        to,
        wanted: Wanted::All,
        step: None,
        window: Some(asked.range.span()),
        reduce: Reduce::Samples,
    };
    let mut rows = Rows { name: &asked.name, from, to, text: String::new(), stopped };
    series.select(&wanted, &mut rows)?;
    Ok(rows.text)
}

/// Takes the samples of one series and makes rows of them.
struct Rows<'a> {
    name: &'a SeriesName,
    from: i64,
    to: i64,
    text: String,
    stopped: &'a dyn Fn() -> Option<Stop>,
}

impl Take for Rows<'_> {
    fn series(&mut self, labels: &Labels, samples: &[Sample]) -> ControlFlow<()> {
        // A series with more labels passes the matchers as well.
        if SeriesName::of(labels) != *self.name {
            return ControlFlow::Continue(());
        }
        let within = self.from..=self.to;
        for sample in samples.iter().filter(|sample| within.contains(&sample.at) && !sample.is_stale()) {
            row(&mut self.text, sample);
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
    use rackside_onair::Zone;
    use rackside_promql::Memory;

    const NOW: i64 = 1_795_145_119_000;

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

    /// A file of two days, a sample each second of the first hour.
    fn file() -> (Arc<Memory>, Arc<Asked>) {
        let pairs = [(METRIC_NAME, "rackside_load1"), ("site", "hall"), ("appliance", "rack-1")];
        let labels = Labels::new(pairs);
        let mut memory = Memory::new();
        memory.push(labels, (0..3_600).map(|second| Sample::new(NOW - 2 * PIECE + second * 1_000, 1.5)));
        let query = [("from", NOW - 2 * PIECE), ("to", NOW)];
        let query = query.map(|(name, ms)| (name.to_owned(), (ms / 1_000).to_string()));
        let range = Range::of(&query.into(), Zone::UTC, NOW).expect("a range");
        let agent = AgentName::new("hall", "rack-1").expect("a name");
        let name = "rackside_load1".parse().expect("a series");
        (Arc::new(memory), Arc::new(Asked { agent, name, range }))
    }

    #[tokio::test]
    async fn readers_who_take_nothing_keep_no_query_waiting() {
        let (api, (memory, asked)) = (Api::with_places(2), file());
        let mut readers = Vec::new();
        for _ in 0..2 {
            let (sender, receiver) = mpsc::channel(1);
            // The way is full already.
            sender.try_send(Part::Rows(String::new())).expect("there is room");
            let (api, memory, asked) = (Arc::clone(&api), Arc::clone(&memory), Arc::clone(&asked));
            let sending = async move { send(&api, &memory, asked, String::new(), &sender).await };
            readers.push((tokio::spawn(sending), receiver));
        }
        api.has_read(2).await;
        for _ in 0..3 {
            let read = tokio::time::timeout(Duration::from_secs(20), api.reads(|_| Ok(7))).await;
            assert_eq!(read.expect("it has a place"), Ok(7));
        }
        for (sending, mut receiver) in readers {
            assert!(!sending.is_finished());
            let mut text = String::new();
            while let Some(Part::Rows(part)) = receiver.recv().await {
                text += &part;
            }
            assert_eq!(text.lines().count(), 3_600);
            assert_eq!(sending.await.expect("no panic"), Ok(()));
        }
    }

    #[tokio::test]
    async fn a_file_keeps_its_place_until_it_is_taken_or_nobody_wants_it() {
        let (files, phone) = (Places::new(2, 1, &[]), IpAddr::from([192, 0, 2, 1]));
        let api = Api::with_places(2);
        let begin = |address| {
            let (memory, asked) = file();
            let asked = Arc::into_inner(asked).expect("nobody else has it");
            place(&files, address)
                .map(|place| on_its_way(Arc::clone(&api), memory, asked, String::new(), place))
        };
        let code = |refused: Result<Body, Box<Response>>| {
            let refusal = refused.expect_err("there is no place");
            assert_eq!(refusal.headers()[header::RETRY_AFTER], "10");
            assert_eq!(refusal.headers()[header::CONTENT_TYPE], "application/problem+json");
            refusal.status().as_u16()
        };
        let one = begin(phone).expect("the first");
        api.has_read(2).await;
        assert_eq!(code(begin(phone)), 429, "all of it is read, and nothing is taken yet");
        let other = begin([192, 0, 2, 2].into()).expect("another address");
        assert_eq!(code(begin([192, 0, 2, 3].into())), 503);
        let text = axum::body::to_bytes(one, usize::MAX).await.expect("a whole file");
        assert_eq!(text.split(|byte| *byte == b'\n').count(), 3_601);
        drop(other);
        let free = async {
            while files.taken() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), free).await.expect("both places are given back");
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
