//! `/api/v1/metadata`: what metrics mean, of what kind they are and in what unit: the agents' vocabulary and the hub's own.
//!
//! `{"rackside_load1":[{"type":"gauge","help":"Processes running or waiting, averaged over one minute","unit":""}]}`

use super::Api;
use super::form::Form;
use super::reply::{Failure, text};
use crate::web::accept::gzip;
use axum::extract::{Request, State};
use axum::response::Response;
use rackside_proto::Kind;
use rackside_proto::metric::{ALL, HISTOGRAMS, Histogram};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What one metric is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Meaning {
    /// `counter`, `gauge`, `histogram`.
    #[serde(rename = "type")]
    pub kind: String,
    /// In one sentence.
    pub help: String,
    /// `seconds`, or nothing.
    pub unit: String,
}

/// Meanings by the names of metrics.
pub type Meanings = BTreeMap<String, Meaning>;

/// What the vocabulary says. A histogram is one metric, and not its three series.
pub fn of_vocabulary() -> Meanings {
    let is_part = |name: &str| {
        HISTOGRAMS
            .iter()
            .any(|of| name.strip_prefix(of.name).is_some_and(|rest| Histogram::PARTS.contains(&rest)))
    };
    let metrics = ALL.iter().filter(|metric| !is_part(metric.name)).map(|metric| {
        let kind = if metric.kind == Kind::Counter { "counter" } else { "gauge" };
        (metric.name, kind, metric.help, metric.unit)
    });
    let histograms = HISTOGRAMS.iter().map(|of| (of.name, "histogram", of.help, of.unit));
    metrics
        .chain(histograms)
        .map(|(name, kind, help, unit)| {
            (name.to_owned(), Meaning { kind: kind.to_owned(), help: help.to_owned(), unit: unit.to_owned() })
        })
        .collect()
}

/// What the heads of families in OpenMetrics' text say.
pub fn of_openmetrics(exposition: &str) -> Meanings {
    let mut meanings = Meanings::new();
    for line in exposition.lines() {
        let mut words = line.splitn(4, ' ');
        let (Some("#"), Some(what), Some(name)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        let meaning = meanings.entry(name.to_owned()).or_insert_with(|| Meaning {
            kind: String::new(),
            help: String::new(),
            unit: String::new(),
        });
        let text = words.next().unwrap_or("").to_owned();
        match what {
            "TYPE" => meaning.kind = text,
            "HELP" => meaning.help = text,
            "UNIT" => meaning.unit = text,
            _ => {}
        }
    }
    // A counter's series have an ending that its family has not; here names are those of series.
    let named = meanings.into_iter().map(|(name, meaning)| {
        let name = if meaning.kind == "counter" { format!("{name}_total") } else { name };
        (name, meaning)
    });
    named.collect()
}

pub(super) async fn metadata(State(api): State<Arc<Api>>, request: Request) -> Response {
    let is_packed = gzip(request.headers());
    let question = async {
        let form = Form::read(request).await?;
        let limit = match form.first("limit") {
            "" => None,
            text => {
                let number = text.parse::<i64>().map_err(|_| Failure::bad_data("limit must be a number"))?;
                usize::try_from(number).ok()
            }
        };
        Ok((form.first("metric").to_owned(), limit))
    };
    match question.await {
        Ok((metric, limit)) => {
            api.said(is_packed, move |api| {
                let all = (api.behind.metadata)();
                let wanted = all.iter().filter(|(name, _)| metric.is_empty() || **name == metric);
                let wanted =
                    wanted.take(limit.unwrap_or(usize::MAX)).map(|(name, meaning)| (name, [meaning]));
                text(&wanted.collect::<BTreeMap<_, _>>(), &[])
            })
            .await
        }
        Err(failure) => Failure::response(&failure),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vocabulary_is_told_with_a_histogram_as_one() {
        let all = of_vocabulary();
        let load = &all["rackside_load1"];
        assert_eq!((load.kind.as_str(), load.unit.as_str()), ("gauge", ""));
        assert_eq!(all["rackside_network_receive_bytes_total"].kind, "counter");
        assert_eq!(all["rackside_track_switch_duration_seconds"].kind, "histogram");
        assert!(!all.contains_key("rackside_track_switch_duration_seconds_bucket"));
    }

    #[test]
    fn heads_are_read_and_counters_have_their_series_name() {
        let text = "# TYPE a counter\n# HELP a How many\na_total 1\n# TYPE b_seconds gauge\n# UNIT b_seconds seconds\n# HELP b_seconds Long\nb_seconds 2\n# EOF\n";
        let all = of_openmetrics(text);
        let meaning = |kind: &str, help: &str, unit: &str| Meaning {
            kind: kind.to_owned(),
            help: help.to_owned(),
            unit: unit.to_owned(),
        };
        assert_eq!(all["a_total"], meaning("counter", "How many", ""));
        assert_eq!(all["b_seconds"], meaning("gauge", "Long", "seconds"));
        assert_eq!(all.len(), 2);
    }
}
