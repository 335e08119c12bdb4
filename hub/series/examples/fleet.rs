//! What a fleet costs in memory, and how long it takes to ask for the newest of a thousand series and for fifteen minutes of them:
//! `cargo run --release -p rackside-series --example fleet [APPLIANCES]`.
//!
//! The series are made to be like a rack's: some never move, some a little, counters of bytes a lot.

use rackside_promql::{METRIC_NAME, Matcher, Sample, Test};
use rackside_proto::{Scale, Value};
use rackside_series::{Asked, Listed, Recent};
use std::ops::ControlFlow;

/// Names and values.
type Pairs = Box<[(Box<str>, Box<str>)]>;

const SERIES: usize = 60;
const ROWS: i64 = 180;

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches("kB").trim().parse().unwrap_or_default()
}

fn number(slot: usize, series: usize, row: i64) -> i64 {
    let noise = |range: i64| {
        let mixed =
            (slot as u64 * 60 + series as u64) * 0x9e37_79b9_7f4a_7c15 + row as u64 * 0xbf58_476d_1ce4_e5b9;
        ((mixed ^ mixed >> 29).wrapping_mul(0x94d0_49bb_1331_11eb) >> 33) as i64 % range
    };
    match series % 10 {
        0..4 => 1 + series as i64,
        4..6 => 480 + noise(12),
        6 => noise(1000),
        7 => 14_000 + noise(4000),
        8 => row * 1_000_000 + noise(400_000),
        _ => row * 3 + noise(2),
    }
}

/// Processor time of this thread so far, in milliseconds: on a busy machine the clock says nothing.
fn worked() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).unwrap_or_default() / 1e6
}

fn timed(what: &str, times: u32, mut ask: impl FnMut() -> usize) {
    let found = ask();
    let start = worked();
    for _ in 0..times {
        ask();
    }
    println!("{what}: {:.3} ms of processor time, {found} samples", (worked() - start) / f64::from(times));
}

fn main() {
    let appliances: usize = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1000);
    let recent = Recent::default();
    recent.set_window(15 * 60_000);
    let before = resident();
    let names: Vec<String> =
        (0..SERIES).map(|series| format!("rackside_quantity_{}_number", series / 2)).collect();
    let labels: Vec<Pairs> =
        (0..SERIES).map(|series| [("probe".into(), format!("probe-{}", series % 2).into())].into()).collect();
    let mut layouts = Vec::new();
    for slot in 0..appliances {
        recent.open(slot, &format!("site-{}", slot / 2), &format!("rack-{}", slot % 2), i64::MIN);
        let listed = (0..SERIES).map(|series| Listed {
            name: &names[series],
            labels: &labels[series],
            scale: Scale::per(10),
            served: true,
        });
        layouts.push(recent.layout(slot, listed).expect("open"));
    }
    println!("labels and layouts: {} KiB", resident() - before);
    let mut values = vec![Value::Absent; SERIES * appliances];
    let mut spent = 0.0;
    for row in 0..ROWS {
        for (at, value) in values.iter_mut().enumerate() {
            *value = Value::Known(number(at / SERIES, at % SERIES, row));
        }
        let start = worked();
        for (slot, (layout, values)) in layouts.iter().zip(values.chunks_exact(SERIES)).enumerate() {
            recent.reading(slot, layout, row * 10_000, values, row * 10_000);
        }
        spent += worked() - start;
    }
    let readings = ROWS as f64 * appliances as f64;
    println!("a reading of {SERIES} series: {:.2} µs of processor time", spent * 1000.0 / readings);
    let (series, bytes) = recent.size();
    println!(
        "{series} series, {} KiB of samples; in all {} KiB more than before",
        bytes / 1024,
        resident() - before
    );
    let matchers = [
        Matcher { name: METRIC_NAME.into(), test: Test::Equal("rackside_quantity_7_number".into()) },
        Matcher { name: "probe".into(), test: Test::Equal("probe-1".into()) },
    ];
    let to = ROWS * 10_000;
    let ask = |from: i64, newest: bool| {
        let mut count = 0;
        let mut take = |samples: &[Sample]| count += samples.len();
        recent.select(&Asked { matchers: &matchers, from, to, newest, slot: None }, &mut |found| {
            take(found.samples);
            ControlFlow::Continue(())
        });
        count
    };
    timed("newest of one series of each", 200, || ask(to - 300_000, true));
    timed("fifteen minutes of one series of each", 50, || ask(to - 900_000, false));
}
