//! What is told of rules and alerts: series, errors, views.

use rackside_alerting::{Cause, Severity, Standing, State};

use crate::scene::{GONE, Scene, labels, states};

const MINUTE: i64 = 60_000;

#[test]
fn the_series_of_an_alert_are_prometheuss() {
    let mut scene = Scene::new(
        "groups: [{name: a, rules: [{alert: Hot, expr: soc > 75, for: 1m, labels: {severity: warning}}]}]",
    );
    let soc = labels("soc", &[("site", "hall")]);
    scene.sample(&soc, 1_500, 80.0);
    scene.evaluate(1_500);
    let pending = r#"ALERTS{alertname="Hot", alertstate="pending", severity="warning", site="hall"} 1"#;
    assert_eq!(scene.query("ALERTS", 1_500), [pending]);
    let since = r#"ALERTS_FOR_STATE{alertname="Hot", severity="warning", site="hall"} 1"#;
    assert_eq!(scene.query("ALERTS_FOR_STATE", 1_500), [since]);
    scene.sample(&soc, 2 * MINUTE, 80.0);
    scene.evaluate(2 * MINUTE);
    assert_eq!(scene.query("ALERTS", 2 * MINUTE), [pending.replace("pending", "firing")]);
    scene.sample(&soc, 3 * MINUTE, GONE);
    scene.evaluate(3 * MINUTE);
    assert!(scene.query("{__name__=~\"ALERTS.*\"}", 3 * MINUTE).is_empty());
}

#[test]
fn a_recorded_series_is_seen_by_later_rules_and_ends_when_it_is_gone() {
    let text = "
groups:
- name: a
  rules:
  - {record: r, expr: x * 2, labels: {tier: derived, job: ''}}
  - {record: s, expr: r + 1}
  - {record: n, expr: 1 + 1}
";
    let mut scene = Scene::new(text);
    let x = labels("x", &[("job", "rack"), ("site", "hall")]);
    scene.sample(&x, 0, 20.0);
    scene.evaluate(0);
    assert_eq!(scene.query("r", 0), [r#"r{site="hall", tier="derived"} 40"#]);
    assert_eq!(scene.query("s", 0), [r#"s{site="hall", tier="derived"} 41"#]);
    assert_eq!(scene.query("n", 0), ["n 2"]);
    scene.sample(&x, MINUTE, GONE);
    scene.evaluate(MINUTE);
    assert!(scene.query("r", MINUTE).is_empty() && scene.query("s", MINUTE).is_empty());
}

#[test]
fn a_rule_that_fails_keeps_what_it_has_and_stops_no_other() {
    let text = "
groups:
- name: a
  rules:
  - {alert: Twice, expr: x > 0, labels: {site: everywhere}}
  - {record: twice, expr: x, labels: {site: everywhere}}
  - {record: text, expr: '\"text\"'}
  - {alert: Good, expr: x > 0}
";
    let mut scene = Scene::new(text);
    scene.sample(&labels("x", &[("site", "a")]), 0, 1.0);
    scene.evaluate(0);
    assert_eq!(scene.alerts(), ["Good a firing", "Twice everywhere firing"]);
    scene.sample(&labels("x", &[("site", "b")]), MINUTE, 1.0);
    scene.evaluate(MINUTE);
    assert_eq!(scene.alerts(), ["Good a firing", "Good b firing", "Twice everywhere firing"]);
    let shown = serde_json::to_value(scene.engine.rules()).expect("it can be written");
    let errors: Vec<&str> = (0..4)
        .map(|rule| shown["groups"][0]["rules"][rule]["lastError"].as_str().unwrap_or_default())
        .collect();
    let expected = [
        "vector contains metrics with the same labelset after applying alert labels",
        "vector contains metrics with the same labelset after applying rule labels",
        "rule result is not a vector or scalar",
        "",
    ];
    assert_eq!(errors, expected);
    assert_eq!(scene.engine.rules().groups[0].counts.failures, 4);
    // What could not be recorded is an error as well, and is made up for.
    scene.series.full = true;
    scene.evaluate(2 * MINUTE);
    let shown = serde_json::to_value(scene.engine.rules()).expect("it can be written");
    assert_eq!(shown["groups"][0]["rules"][3]["lastError"], "no room");
    assert_eq!(shown["groups"][0]["rules"][3]["health"], "err");
    scene.series.full = false;
    scene.evaluate(3 * MINUTE);
    assert_eq!(scene.query("ALERTS{alertname=\"Good\"}", 3 * MINUTE).len(), 2);
}

#[test]
fn a_group_that_makes_more_than_its_limit_makes_nothing() {
    let text = "
groups:
- name: a
  limit: 1
  rules:
  - {alert: Many, expr: x > 0}
  - {record: many, expr: x}
";
    let mut scene = Scene::new(text);
    scene.sample(&labels("x", &[("site", "a")]), 0, 1.0);
    scene.evaluate(0);
    assert_eq!(scene.alerts(), ["Many a firing"]);
    scene.sample(&labels("x", &[("site", "b")]), MINUTE, 1.0);
    let changes = scene.evaluate(MINUTE);
    let dropped = changes.iter().filter(|change| change.cause == Cause::Limit).count();
    assert_eq!((dropped, scene.alerts().len()), (2, 0));
    let shown = serde_json::to_value(scene.engine.rules()).expect("it can be written");
    assert_eq!(shown["groups"][0]["rules"][0]["lastError"], "exceeded limit of 1 with 2 alerts");
    assert_eq!(shown["groups"][0]["rules"][1]["lastError"], "exceeded limit of 1 with 2 series");
}

#[test]
fn the_views_have_the_fields_of_prometheus() {
    let text = "
groups:
- name: box
  interval: 30s
  limit: 10
  rules:
  - alert: Hot
    expr: soc>75
    for: 1m
    keep_firing_for: 2m
    labels: {severity: warning}
    annotations: {summary: too hot}
  - {record: r, expr: soc}
";
    let mut scene = Scene::new(text);
    let soc = labels("soc", &[("site", "hall")]);
    let begin = 1_795_145_096_000;
    for at in [begin, begin + MINUTE, begin + 2 * MINUTE] {
        scene.sample(&soc, at, 78.5);
        scene.evaluate(at);
    }
    scene.sample(&soc, begin + 3 * MINUTE, 20.0);
    scene.evaluate(begin + 3 * MINUTE);
    let alert = serde_json::json!({
        "labels": {"alertname": "Hot", "severity": "warning", "site": "hall"},
        "annotations": {"summary": "too hot"},
        "state": "firing",
        "activeAt": "2026-11-20T03:24:56Z",
        "keepFiringSince": "2026-11-20T03:27:56Z",
        "value": "7.85e+01",
    });
    assert_eq!(
        serde_json::to_value(scene.engine.alerts()).expect("it can be written"),
        serde_json::json!([alert])
    );
    let expected = serde_json::json!({"groups": [{
        "name": "box", "file": "rules.yml", "interval": 30.0, "limit": 10,
        "evaluationTime": 0.0, "lastEvaluation": "2026-11-20T03:27:56Z",
        "rules": [{
            "state": "firing", "name": "Hot", "query": "soc > 75", "duration": 60.0, "keepFiringFor": 120.0,
            "labels": {"severity": "warning"}, "annotations": {"summary": "too hot"}, "alerts": [alert],
            "health": "ok", "evaluationTime": 0.0, "lastEvaluation": "2026-11-20T03:27:56Z", "type": "alerting",
        }, {
            "name": "r", "query": "soc", "health": "ok", "evaluationTime": 0.0,
            "lastEvaluation": "2026-11-20T03:27:56Z", "type": "recording",
        }],
    }]});
    assert_eq!(serde_json::to_value(scene.engine.rules()).expect("it can be written"), expected);
}

#[test]
fn an_appliance_stands_as_bad_as_its_worst_firing_alert() {
    let text = "
groups:
- name: a
  rules:
  - {alert: A, expr: x > 0, labels: {severity: warning}}
  - {alert: B, expr: x > 1, labels: {severity: critical}}
  - {alert: C, expr: x > 0, for: 1h, labels: {severity: critical}}
  - {alert: S, expr: sum by (site) (x) > 10, labels: {severity: info}}
";
    let mut scene = Scene::new(text);
    scene.sample(&labels("x", &[("site", "hall"), ("appliance", "rack")]), 0, 1.0);
    scene.sample(&labels("x", &[("site", "hall"), ("appliance", "desk")]), 0, 20.0);
    assert_eq!(states(&scene.evaluate(0)).iter().filter(|(_, state)| *state == State::Firing).count(), 4);
    let standings = scene.engine.standings();
    let standing = |site, appliance| standings.of(site, appliance);
    assert_eq!(standing("hall", "rack"), Standing { worst: Some(Severity::Warning), firing: 2 });
    assert_eq!(standing("hall", "desk"), Standing { worst: Some(Severity::Critical), firing: 3 });
    assert_eq!(standing("hall", "door"), Standing { worst: Some(Severity::Info), firing: 1 });
    assert_eq!(standing("tent", "rack"), Standing { worst: None, firing: 0 });
}
