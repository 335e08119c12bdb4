//! `docs/metrics.md` says what `src/metric.rs` says.

use rackside_proto::Kind;
use rackside_proto::metric::{self, Metric};
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
fn names_follow_the_convention() {
    let mut seen = HashSet::new();
    for metric in metric::ALL {
        let Metric { name, unit, kind, help, .. } = metric;
        assert!(seen.insert(name), "{name} twice");
        assert!(name.starts_with("rackside_"), "{name}");
        // A histogram is three series, each of which only rises.
        let of_histogram = ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part));
        let is_counted = name.ends_with("_total") || of_histogram.is_some();
        assert_eq!(is_counted, *kind == Kind::Counter, "{name}");
        let stem = of_histogram.unwrap_or_else(|| name.trim_end_matches("_total"));
        assert!(unit.is_empty() || stem.ends_with(unit), "{name} does not end in its unit {unit}");
        assert!(!help.ends_with('.') && !help.is_empty(), "{name}");
        assert_eq!(metric::find(name), Some(*metric));
    }
    assert_eq!(metric::find("rackside_nothing"), None);
}
