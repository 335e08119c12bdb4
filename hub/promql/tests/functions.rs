//! Every function against what Prometheus 2.42.0 answers over the same series: `functions/series.txt` has the series,
//! `functions/expressions.txt` the expressions and Prometheus's answers. Not a test of many random expressions over steps: that is the
//! differential test in `tests/`, which needs Prometheus itself.

use std::fmt::Write;

use rackside_promql::{Answer, Labels, Limits, METRIC_NAME, Memory, Query, Sample};

/// When the expressions were asked, in milliseconds since 1970.
const NOW: i64 = 1_795_100_300_000;
/// From one sample to the next.
const EVERY: i64 = 15_000;
/// The libraries of Go and Rust may differ in the last digits of a sine.
const TOLERANCE: f64 = 1e-12;

fn series() -> Memory {
    let mut memory = Memory::new();
    for line in content(include_str!("functions/series.txt")) {
        let (series, values) = line.split_once("} ").expect("a series, then its values");
        let values: Vec<&str> = values.split(' ').collect();
        let first = NOW - EVERY * (values.len() as i64 - 1);
        let samples = (0..)
            .zip(values)
            .filter(|(_, value)| *value != "_")
            .map(|(at, value)| Sample::new(first + at * EVERY, value.parse().expect("a value")));
        memory.push(labels(series), samples.collect::<Vec<_>>());
    }
    memory
}

/// The labels of `name{a="b",c="d"`.
fn labels(series: &str) -> Labels {
    let (name, rest) = series.split_once('{').expect("a brace");
    let pairs = rest.split(',').map(|pair| {
        let (name, value) = pair.split_once('=').expect("a label");
        (name, value.trim_matches('"'))
    });
    Labels::new(pairs.chain([(METRIC_NAME, name)]))
}

fn content(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// An expression and the lines of its answer.
fn expressions() -> Vec<(&'static str, Vec<&'static str>)> {
    let mut expressions: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in content(include_str!("functions/expressions.txt")) {
        match (line.strip_prefix("  "), expressions.last_mut()) {
            (Some(answer), Some((_, answers))) => answers.push(answer),
            _ => expressions.push((line, Vec::new())),
        }
    }
    expressions
}

fn answer(memory: &Memory, expression: &str) -> Vec<String> {
    let query = match Query::parse(expression) {
        Ok(query) => query,
        Err(error) => return vec![format!("error {}", error.error_type().as_str())],
    };
    match query.instant(memory, NOW, &Limits::default()).map(|outcome| outcome.answer) {
        Ok(Answer::Scalar(sample)) => vec![format!("scalar {:?}", sample.value)],
        Ok(Answer::Vector(points)) if points.is_empty() => vec!["empty".to_owned()],
        Ok(Answer::Vector(points)) => {
            let mut lines: Vec<String> =
                points.iter().map(|point| format!("{} {:?}", point.labels, point.sample.value)).collect();
            if !expression.starts_with("sort") {
                lines.sort();
            }
            lines
        }
        Ok(other) => panic!("{expression}: neither a scalar nor a vector: {other:?}"),
        Err(error) => vec![format!("error {}", error.error_type().as_str())],
    }
}

/// Whether two lines of an answer say the same; what stands after the last space may be two close numbers.
fn agree(ours: &str, theirs: &str) -> bool {
    let (Some((our_series, our_value)), Some((their_series, their_value))) =
        (ours.rsplit_once(' '), theirs.rsplit_once(' '))
    else {
        return ours == theirs;
    };
    let close = |ours: f64, theirs: f64| {
        if theirs.is_finite() {
            (ours - theirs).abs() <= TOLERANCE * theirs.abs()
        } else {
            ours.total_cmp(&theirs).is_eq() || (ours.is_nan() && theirs.is_nan())
        }
    };
    our_series == their_series
        && (our_value == their_value
            || our_value.parse().ok().zip(their_value.parse().ok()).is_some_and(|(a, b)| close(a, b)))
}

#[test]
fn functions_answer_as_prometheus_does() {
    let memory = series();
    let mut differences = String::new();
    for (expression, theirs) in expressions() {
        let ours = answer(&memory, expression);
        if ours.len() != theirs.len() || !ours.iter().zip(&theirs).all(|(ours, theirs)| agree(ours, theirs)) {
            writeln!(differences, "{expression}\n  ours   {ours:?}\n  theirs {theirs:?}").expect("memory");
        }
    }
    assert!(differences.is_empty(), "{differences}");
}

#[test]
fn a_window_with_at_stays_while_other_arguments_change() {
    // Prometheus moves it on with each step: see DIFFERENCES.md.
    let query =
        Query::parse("quantile_over_time(time() % 10 / 10, c{i=\"1\"}[2m] @ 1795100200)").expect("a query");
    let outcome = query.range(&series(), NOW, NOW + 10_000, 5_000, &Limits::default()).expect("an answer");
    let Answer::Matrix(lines) = outcome.answer else { panic!("{:?}", outcome.answer) };
    let values: Vec<f64> = lines[0].samples.iter().map(|sample| sample.value).collect();
    assert_eq!(values, [5.0, 13.0, 5.0]);
}

#[test]
fn labels_do_not_double_without_end() {
    for (head, tail) in [
        ("label_join(", r#", "site", "", "site", "site")"#),
        ("label_replace(", r#", "site", "$1$1", "site", "(.*)")"#),
    ] {
        let query = Query::parse(&format!("{}up{}", head.repeat(40), tail.repeat(40))).expect("a query");
        let error = query.instant(&series(), NOW, &Limits::default()).expect_err("a label of terabytes");
        assert!(error.to_string().contains("bytes in the value of a label"), "{head}: {error}");
    }
}
