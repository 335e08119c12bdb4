//! The way in for fuzzing: a text of anybody's, read, printed and evaluated. Not a part of the program.
//!
//! A query may be refused, and its evaluation may meet a limit; it may not panic, nor go on after it was told to stop, nor have an answer that is
//! larger than its limits. What was taken reads the same when it is printed, on one line and over several.

use std::cell::Cell;
use std::sync::LazyLock;

use crate::{
    Answer, Labels, Limits, Memory, ParseError, Query, STALE, Sample, Stop, format_query, parse_selector,
};

/// A name, and what takes the bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All of this crate, by name.
pub const TARGETS: &[Target] = &[("promql", promql)];

/// How often an evaluation may ask whether it is to stop before it is.
const LOOKS: u32 = 20;

/// How many values it may hold, and so how large an answer may be.
const CELLS: u64 = 20_000;

/// When is asked: at the end of what there is.
const NOW: i64 = 600_000;

fn promql(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(matchers) = parse_selector(text) {
        assert!(!matchers.iter().all(|matcher| matcher.accepts("")), "a selector of everything");
    }
    let Ok(query) = Query::parse(text) else {
        assert!(format_query(text).is_err(), "what is no query is formatted");
        return;
    };
    let printed = query.to_string();
    let over_lines = format_query(text).expect("what is a query is formatted");
    for again in [&printed, &over_lines] {
        match Query::parse(again) {
            Ok(again) => assert_eq!(again.to_string(), printed),
            // Indents and escapes make it longer.
            Err(ParseError::TooLarge { what: "bytes", .. }) => {}
            Err(error) => panic!("{again:?}: {error}"),
        }
    }
    assert!(query.reach().is_none_or(|past| past >= 0));
    evaluate(&query);
}

fn evaluate(query: &Query) {
    static SERIES: LazyLock<Memory> = LazyLock::new(series);
    for range in [None, Some((0, NOW, 60_000)), Some((NOW - 2_000, i64::MAX, i64::MAX / 3))] {
        let looks = Cell::new(0);
        let stop = || {
            looks.set(looks.get() + 1);
            (looks.get() > LOOKS).then_some(Stop::Timeout)
        };
        let limits = Limits { series: 100, samples: 1_000_000, cells: CELLS, points: 100, stop: Some(&stop) };
        let outcome = match range {
            None => query.instant(&*SERIES, NOW, &limits),
            Some((start, end, every)) => query.range(&*SERIES, start, end, every, &limits),
        };
        assert!(looks.get() <= LOOKS + 1, "asked on after it was told to stop");
        let Ok(outcome) = outcome else { continue };
        let size = match outcome.answer {
            Answer::Scalar(_) | Answer::String { .. } => 1,
            Answer::Vector(points) => points.len(),
            Answer::Matrix(lines) => lines.iter().map(|line| line.samples.len()).sum(),
        };
        assert!(size as u64 <= CELLS, "an answer of {size} values");
    }
}

/// A gauge with a gap and an end, a counter with a reset, a histogram, and values that nobody wants; every 15 s.
fn series() -> Memory {
    let mut memory = Memory::new();
    let mut put = |name: &str, labels: [(&str, &str); 2], value: &dyn Fn(i64) -> f64| {
        let labels = Labels::new([("__name__", name)].into_iter().chain(labels));
        memory.push(labels, (0..=40).map(|at| Sample::new(at * 15_000, value(at))));
    };
    for (site, first) in [("a", 20), ("b", 30)] {
        put("g", [("site", site), ("x", "1")], &|at| (at * 7 % first) as f64 - 3.5);
        put("c", [("site", site), ("x", "")], &|at| (at % first * 10) as f64);
        put("e", [("site", site), ("x", "2")], &|at| if at == first { STALE } else { 1.0 });
    }
    for (le, factor) in [("0.1", 1.0), ("1", 2.0), ("+Inf", 3.0)] {
        put("h_bucket", [("le", le), ("site", "a")], &|at| at as f64 * factor);
    }
    for (kind, value) in [("nan", f64::NAN), ("inf", f64::INFINITY), ("zero", -0.0), ("huge", 1e308)] {
        put("odd", [("kind", kind), ("x", "")], &|_| value);
    }
    memory
}
