//! Series and questions in few words, for the tests of the language.

use rackside_promql::{Answer, EvalError, Labels, Limits, Memory, Query, STALE, Sample};

/// Series with a sample every minute from 1970 on: `("up{site=a}", "1 2 _ stale nan")`; `_` is a gap.
pub(crate) fn series(all: &[(&str, &str)]) -> Memory {
    let mut memory = Memory::new();
    for (name, values) in all {
        let samples = values.split_whitespace().enumerate().filter_map(|(minute, value)| {
            let value = match value {
                "_" => return None,
                "stale" => STALE,
                number => number.parse().expect("a number, _ or stale"),
            };
            Some(Sample::new(minute as i64 * 60_000, value))
        });
        memory.push(labels(name), samples);
    }
    memory
}

/// `up{site=a,job=b}`
fn labels(text: &str) -> Labels {
    let (name, rest) = text.split_once('{').unwrap_or((text, "}"));
    let pairs = rest.trim_end_matches('}').split(',').filter_map(|pair| pair.split_once('='));
    Labels::new(pairs.chain([("__name__", name)]))
}

/// The answer at a minute, one series a line: `up{site="a"} 1`.
pub(crate) fn at(minute: i64, memory: &Memory, query: &str) -> Result<Vec<String>, EvalError> {
    let query = Query::parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    Ok(lines(query.instant(memory, minute * 60_000, &Limits::default())?.answer))
}

/// The answer at every minute from 0 to `last`: `up{site="a"} 1@0 2@1`.
pub(crate) fn until(last: i64, memory: &Memory, query: &str) -> Result<Vec<String>, EvalError> {
    let query = Query::parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    Ok(lines(query.range(memory, 0, last * 60_000, 60_000, &Limits::default())?.answer))
}

/// One series a line.
pub(crate) fn lines(answer: Answer) -> Vec<String> {
    match answer {
        Answer::Scalar(sample) => vec![sample.value.to_string()],
        Answer::String { text, .. } => vec![text],
        Answer::Vector(points) => {
            points.iter().map(|point| format!("{} {}", point.labels, point.sample.value)).collect()
        }
        Answer::Matrix(lines) => lines
            .iter()
            .map(|line| {
                let samples: Vec<_> =
                    line.samples.iter().map(|s| format!("{}@{}", s.value, s.at as f64 / 60_000.0)).collect();
                format!("{} {}", line.labels, samples.join(" "))
            })
            .collect(),
    }
}
