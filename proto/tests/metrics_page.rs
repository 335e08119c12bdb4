//! `docs/metrics.md` says what `src/metric.rs` says.

use rackside_proto::Kind;
use rackside_proto::metric::{self, Histogram, Metric};
use std::collections::HashSet;

fn row(metric: &Metric) -> String {
    let kind = match metric.kind {
        Kind::Gauge => "gauge",
        Kind::Counter => "counter",
        Kind::State => "state",
    };
    let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
    format!("| `{}` | {} | {kind} | {} | {} |", metric.name, metric.unit, labels.join(" "), metric.help)
}

#[test]
fn the_page_lists_every_metric_as_the_code_has_it() {
    let page = include_str!("../../docs/metrics.md");
    for metric in metric::ALL {
        assert!(
            page.lines().any(|line| line == row(metric)),
            "docs/metrics.md lacks this line:\n{}",
            row(metric)
        );
    }
}

#[test]
fn every_histogram_is_three_metrics_and_on_the_page() {
    let page = include_str!("../../docs/metrics.md");
    let mut parts = HashSet::new();
    for Histogram { name, unit, help } in metric::HISTOGRAMS {
        let [bucket, sum, count] = Histogram::PARTS.map(|part| {
            let name = format!("{name}{part}");
            metric::find(&name).unwrap_or_else(|| panic!("there is no {name}"))
        });
        assert_eq!(bucket.labels.split_last(), Some((&"le", sum.labels)));
        assert_eq!((sum.labels, sum.unit), (count.labels, *unit));
        let labels: Vec<_> = sum.labels.iter().map(|label| format!("`{label}`")).collect();
        let row = format!("| `{name}` | {unit} | histogram | {} | {help} |", labels.join(" "));
        assert!(page.lines().any(|line| line == row), "docs/metrics.md lacks this line:\n{row}");
        parts.extend([bucket.name, sum.name, count.name]);
    }
    let is_part = |metric: &&&Metric| Histogram::PARTS.iter().any(|part| metric.name.ends_with(part));
    let all: HashSet<_> = metric::ALL.iter().filter(is_part).map(|metric| metric.name).collect();
    assert_eq!(parts, all, "each part belongs to a histogram");
}

#[test]
fn names_follow_the_convention() {
    let mut seen = HashSet::new();
    for metric in metric::ALL {
        let Metric { name, unit, kind, help, .. } = metric;
        assert!(seen.insert(name), "{name} twice");
        assert!(name.starts_with("rackside_"), "{name}");
        // A histogram is three series, each of which only rises.
        let of_histogram = Histogram::PARTS.iter().find_map(|part| name.strip_suffix(part));
        let is_counted = name.ends_with("_total") || of_histogram.is_some();
        assert_eq!(is_counted, *kind == Kind::Counter, "{name}");
        let stem = of_histogram.unwrap_or_else(|| name.trim_end_matches("_total"));
        assert!(unit.is_empty() || stem.ends_with(unit), "{name} does not end in its unit {unit}");
        assert!(!help.ends_with('.') && !help.is_empty(), "{name}");
        assert_eq!(metric::find(name), Some(*metric));
    }
    assert_eq!(metric::find("rackside_nothing"), None);
}
