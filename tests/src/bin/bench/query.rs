//! Range queries over a day at 60 s step, of the hub and of Debian's Prometheus, side by side, on the same series of a thousand appliances.
//!
//! The hub's day goes through its own store into its data directory, as in `history.rs`, and it is started on it; Prometheus gets
//! its day by remote write and makes its blocks of it. Each appliance has only four of its sixty series here, so that a day is written in
//! minutes; what is asked reads one of them a time.
//!
//! *First* is the first time that an expression is asked after the start of the hub, and after the import of Prometheus; files are in the
//! kernel's cache. *Again* is the median of five further times. Times are from the request to the last byte of the answer, JSON without
//! compression on a connection that is kept.

use crate::asked::{Asked, difference, middle};
use crate::history::Writer;
use crate::{Effort, build, fleet};
use rackside_proto::Run;
use rackside_tests::day::{self, DAY_MS, Day, Rack, Recorder, Ticks};
use rackside_tests::hub::{Hub, Way};
use rackside_tests::prometheus::{Prometheus, Series};
use rackside_tests::{clock, http, measure};
use std::iter::Peekable;
use std::path::Path;
use std::time::Duration;

const APPLIANCES: usize = 1000;
/// Of each: a temperature of its processor and of its power supply, a core's usage, the bytes that it has sent.
const SERIES: usize = 4;
/// Of these Prometheus gets those that are asked for.
const ASKED: [&str; 2] = ["rackside_soc_temperature_celsius", "rackside_network_transmit_bytes_total"];
const EXPRESSIONS: [&str; 4] = [
    "rackside_soc_temperature_celsius",
    "avg_over_time(rackside_soc_temperature_celsius[5m])",
    "rate(rackside_network_transmit_bytes_total[5m])",
    "sum by (site) (rate(rackside_network_transmit_bytes_total[5m])) * 8",
];
const STEP_MS: u64 = 60_000;
const HOUR_MS: u64 = 3_600_000;
/// So much is written at once.
const SLICE_MS: u64 = 600_000;
/// How often a query is timed after its first time.
const AGAIN: usize = 5;
/// Prometheus makes blocks of what is older than three hours.
const BLOCKS: Duration = Duration::from_mins(5);

/// Times and answers of a day's range queries.
pub(crate) fn query(effort: Effort) -> Result<(), String> {
    let appliances = effort.appliances.unwrap_or(APPLIANCES);
    // The day is over for long enough that its hours are closed, and young enough to be kept raw.
    let start_ms = (clock::unix_ms() - DAY_MS) / HOUR_MS * HOUR_MS - 2 * HOUR_MS;
    let day = Day { start_ms, ..Day::new(appliances, 1) };
    let mut hub = Hub::with(Way::Listener, &build::hub()?, "\n[rules]\ndefaults = false\n");
    hub.stop().ok_or_else(|| hub.last_words())?;
    ours(&day, &hub.data())?;
    let mut prometheus = Prometheus::start();
    theirs(&day, &mut prometheus);
    hub.come_up();
    let mut asked = [Asked::new("the hub", hub.web())?, Asked::new("Prometheus", prometheus.address())?];
    println!("\n{appliances} appliances, a day at 10 s, asked at a step of 60 s; times in ms\n");
    println!("{:<70} {:<6} {:>9} {:>11} {:>6}", "expression", "", "hub", "Prometheus", "ratio");
    // The first step has a window behind it, the last one a sample before it.
    let range = (start_ms + SLICE_MS, start_ms + DAY_MS - STEP_MS, STEP_MS);
    let mut wrong = Vec::new();
    for expression in EXPRESSIONS {
        if let Some(difference) = compare(expression, range, &mut asked)? {
            println!("  THE ANSWERS DIFFER: {difference}");
            wrong.push(expression);
        }
    }
    let memory = [hub.id(), prometheus.id()].map(|id| (measure::memory(id).rss_kib, measure::peak(id)));
    println!("RSS afterwards: the hub {} KiB, Prometheus {} KiB", memory[0].0, memory[1].0);
    println!("the most at any time, Prometheus's import included: {} KiB, {} KiB", memory[0].1, memory[1].1);
    if wrong.is_empty() { Ok(()) } else { Err(format!("the answers to {} differ", wrong.join(", "))) }
}

/// Times one expression; how the answers differ, if they do.
fn compare(
    expression: &str,
    range: (u64, u64, u64),
    asked: &mut [Asked; 2],
) -> Result<Option<String>, String> {
    let mut first = [Duration::ZERO; 2];
    let mut bodies = [String::new(), String::new()];
    for ((asked, first), body) in asked.iter_mut().zip(&mut first).zip(&mut bodies) {
        (*first, *body) = asked.range(expression, range)?;
    }
    let mut again = [Vec::new(), Vec::new()];
    for _ in 0..AGAIN {
        for (asked, times) in asked.iter_mut().zip(&mut again) {
            times.push(asked.range(expression, range)?.0);
        }
    }
    let [ours, theirs] = again.each_mut().map(|times| middle(times).0);
    row(expression, "first", first[0], first[1]);
    row("", "again", ours, theirs);
    if let Some((_, warnings)) = bodies[0].rsplit_once("\"warnings\":") {
        println!("  the hub warns: {warnings:.300}");
    }
    let [ours, theirs] = [0, 1].map(|at| asked[at].found(expression, &std::mem::take(&mut bodies[at])));
    let (ours, theirs) = (ours?, theirs?);
    println!("  {} series, {} points", theirs.len(), theirs.values().map(Vec::len).sum::<usize>());
    Ok(difference(&ours, &theirs, true))
}

fn row(expression: &str, which: &str, ours: Duration, theirs: Duration) {
    let [ours, theirs] = [ours, theirs].map(|took| took.as_secs_f64() * 1000.0);
    println!("{expression:<70} {which:<6} {ours:>9.1} {theirs:>11.1} {:>6.2}", ours / theirs);
}

/// A rack with few series, and its readings' moments.
fn rack(day: &Day, number: usize) -> (Rack, Ticks) {
    let rack = Rack::new(day::name(number), SERIES, day.seed + number as u64, day.start_ms);
    (rack, day.rack(number).1)
}

/// The day in the hub's data directory, its hours closed.
fn ours(day: &Day, directory: &Path) -> Result<(), String> {
    let start = clock::now();
    let recorder = |number| Recorder::new(rack(day, number), Run(number as u32 + 1));
    let mut writer = Writer::of(directory, day.start_ms, (0..day.appliances).map(recorder).collect())?;
    let end = day.start_ms + day.lasts_ms;
    for from in (day.start_ms..end).step_by(SLICE_MS as usize) {
        writer.take(from..from + SLICE_MS)?;
    }
    writer.settle(end + HOUR_MS)?;
    println!("the hub's day was written in {:.0} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// The same day in Prometheus, as far as it is asked for.
fn theirs(day: &Day, prometheus: &mut Prometheus) {
    let start = clock::now();
    let mut racks: Vec<(Rack, Peekable<Ticks>)> = (0..day.appliances)
        .map(|number| rack(day, number))
        .map(|(rack, ticks)| (rack, ticks.peekable()))
        .collect();
    let end = day.start_ms + day.lasts_ms;
    for from in (day.start_ms..end).step_by(SLICE_MS as usize) {
        let mut series = Vec::new();
        for (rack, ticks) in &mut racks {
            read(rack, ticks, from + SLICE_MS, &mut series);
        }
        prometheus.store(&series);
    }
    println!("Prometheus's day was written in {:.0} s", start.elapsed().as_secs_f64());
    let is_done = || {
        let metrics = http::get(prometheus.address(), "/metrics", "*/*").ok()?.body;
        let of = |name: &str| -> Option<f64> {
            metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
        };
        let span = of("prometheus_tsdb_head_max_time ")? - of("prometheus_tsdb_head_min_time ")?;
        (span <= 3.0 * HOUR_MS as f64).then_some(())
    };
    match clock::eventually(BLOCKS, is_done) {
        Some(()) => println!("and it has its blocks after {:.0} s", start.elapsed().as_secs_f64()),
        None => println!("but it has not made its blocks within {BLOCKS:?}"),
    }
}

/// What a rack reads before `until_ms`.
fn read(rack: &mut Rack, ticks: &mut Peekable<Ticks>, until_ms: u64, series: &mut Vec<Series>) {
    let named: Vec<_> = rack.describe().map(|series| (series.name, series.scale)).collect();
    let mut all: Vec<Series> =
        fleet::labels(rack).map(|labels| Series { labels, samples: Vec::new() }).collect();
    while let Some(ms) = ticks.next_if(|ms| *ms < until_ms) {
        for ((value, (_, scale)), series) in rack.read(ms).iter().zip(&named).zip(&mut all) {
            // None of what is asked for is ever absent.
            series.samples.extend(value.known().map(|number| (ms as i64, scale.value(number))));
        }
    }
    let wanted = all.into_iter().zip(&named).filter(|(_, (name, _))| ASKED.contains(name));
    series.extend(wanted.map(|(one, _)| one));
}
