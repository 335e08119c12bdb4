//! The dashboard that ships, `docs/grafana.json`: every expression in it is PromQL, and asks for metrics that there are. Grafana itself is not run here.
//!
//! ```text
//! rate(rackside_network_receive_bytes_total{site="$site",appliance="$appliance"}[$__rate_interval]) * 8
//! ```

use rackside_promql::{METRIC_NAME, Query, Test, parse_selector};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

fn doc(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// As Grafana sends it.
fn filled(text: &str) -> String {
    let variables = [
        ("$__rate_interval", "1m"),
        ("$__interval", "15s"),
        ("$site", "arena-north"),
        ("$appliance", "rack-1"),
    ];
    variables.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
}

/// Every text under that key, anywhere in it.
fn texts<'a>(json: &'a Value, key: &str, found: &mut Vec<&'a str>) {
    match json {
        Value::Array(all) => all.iter().for_each(|one| texts(one, key, found)),
        Value::Object(all) => {
            for (name, one) in all {
                match one {
                    Value::String(text) if name == key => found.push(text),
                    _ => texts(one, key, found),
                }
            }
        }
        _ => {}
    }
}

fn of_dashboard(key: &str) -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&doc("grafana.json")).expect("it is JSON");
    let mut found = Vec::new();
    texts(&dashboard, key, &mut found);
    found.into_iter().map(filled).collect()
}

fn is_known(metric: &str) -> bool {
    let page = doc("metrics.md");
    metric == "ALERTS" || page.lines().any(|line| line.starts_with(&format!("| `{metric}` |")))
}

#[test]
fn every_expression_is_promql_over_metrics_that_there_are() {
    let expressions = of_dashboard("expr");
    assert!(expressions.len() >= 15, "{}", expressions.len());
    let mut metrics = BTreeSet::new();
    for text in &expressions {
        assert!(!text.contains('$'), "a variable that nobody fills: {text}");
        let query = Query::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        for selector in query.selectors() {
            let name = selector.iter().find_map(|matcher| match &matcher.test {
                Test::Equal(name) if &*matcher.name == METRIC_NAME => Some(name.to_string()),
                _ => None,
            });
            metrics.insert(name.unwrap_or_else(|| panic!("{text}: of all metrics")));
        }
    }
    for metric in metrics {
        assert!(is_known(&metric), "{metric} is not in docs/metrics.md");
    }
}

#[test]
fn variables_are_values_of_labels_of_metrics_that_there_are() {
    let variables = of_dashboard("definition");
    assert_eq!(variables.len(), 2);
    for text in variables {
        let inside = text.strip_prefix("label_values(").and_then(|text| text.strip_suffix(')'));
        let (selector, label) =
            inside.and_then(|text| text.rsplit_once(", ")).expect("label_values(…, label)");
        parse_selector(selector).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert!(is_known(selector.split('{').next().unwrap_or_default()), "{text}");
        assert!(["site", "appliance"].contains(&label), "{text}");
    }
}
