//! Random rules over random series: what becomes of alerts and recorded series here is written as unit-test files, and the real
//! `promtool test rules` has to agree with every minute of them.
//!
//! Every rule shape that a life depends on is in it: waiting, keeping, hysteresis through `ALERTS`, rules that read what others record, rules
//! before and behind those that they read. A world is known by its seed, which is told when promtool does not agree.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use fastrand::Rng;
use rackside_alerting::State;
use rackside_promql::{Answer, Labels, Limits, Query};

use crate::scene::{GONE, Scene, labels};

const WORLDS: u64 = 40;
const MINUTES: i64 = 40;
const MINUTE: i64 = 60_000;
/// What is looked at each minute beside the alerts.
const ASKED: [&str; 4] = ["ALERTS", "ALERTS_FOR_STATE", "r", "n"];

fn rules(random: &mut Rng) -> String {
    let mut lines = vec![
        "{record: r, expr: x * 2, labels: {tier: derived}}".to_owned(),
        "{record: n, expr: 'count by (site) (ALERTS{alertstate=\"firing\"})'}".to_owned(),
    ];
    for rule in 0..6 {
        let limit = random.u32(2..8);
        let expr = match random.u32(..7) {
            0 => format!("x > {limit}"),
            1 => format!(
                "x > {limit} or x > {} and on (site, rack) ALERTS{{alertname=\"A{rule}\", alertstate=\"firing\"}}",
                limit - 2
            ),
            2 => format!("r > {}", 2 * limit),
            3 => format!("count by (site) (x > {limit}) > 1"),
            4 => "absent(x{rack=\"1\", site=\"hall\"})".to_owned(),
            5 => format!("max_over_time(x[3m]) > {limit}"),
            _ => "sum by (site) (n) > 1".to_owned(),
        };
        let wait = ["0", "1m", "90s", "3m", "5m"][random.usize(..5)];
        let keep = ["0", "1m", "2m", "4m"][random.usize(..4)];
        let level = ["fixed", "{{ if gt $value 6.0 }}high{{ else }}low{{ end }}", "{{ $labels.rack }}"]
            [random.usize(..3)];
        lines.push(format!(
            "{{alert: A{rule}, expr: '{expr}', for: {wait}, keep_firing_for: {keep}, labels: {{level: '{level}'}}, \
             annotations: {{text: '{{{{ $labels.site }}}} has {{{{ $value }}}}'}}}}"
        ));
    }
    random.shuffle(&mut lines);
    let cut = random.usize(1..lines.len());
    let (first, second) = lines.split_at(cut);
    let list =
        |lines: &[String]| lines.iter().map(|line| format!("\n  - {line}")).collect::<Vec<_>>().concat();
    format!("groups:\n- name: a\n  rules:{}\n- name: b\n  rules:{}\n", list(first), list(second))
}

/// A series as promtool reads it, and its samples by the minute.
fn series(random: &mut Rng) -> (String, Vec<Option<f64>>) {
    let mut notation = Vec::new();
    let mut values = Vec::new();
    let mut value = 0_u32;
    for _ in 0..MINUTES {
        match random.u32(..10) {
            0 => {
                notation.push("stale".to_owned());
                values.push(Some(GONE));
            }
            1 | 2 => {
                notation.push("_".to_owned());
                values.push(None);
            }
            more => {
                if more > 5 {
                    value = random.u32(..10);
                }
                notation.push(value.to_string());
                values.push(Some(f64::from(value)));
            }
        }
    }
    (notation.join(" "), values)
}

/// Plays a world and writes what was seen as a unit test.
fn world(seed: u64, directory: &Path) -> String {
    let mut random = Rng::with_seed(seed);
    let text = rules(&mut random);
    let mut scene = Scene::new(&text);
    let mut unit = format!(
        "rule_files: [rules{seed}.yml]\nevaluation_interval: 1m\ngroup_eval_order: [a, b]\ntests:\n- interval: 1m\n  input_series:\n"
    );
    for (site, rack) in [("hall", "1"), ("hall", "2"), ("tent", "1")] {
        let x = labels("x", &[("site", site), ("rack", rack)]);
        let (notation, values) = series(&mut random);
        writeln!(unit, "  - {{series: '{x}', values: '{notation}'}}").expect("a string takes all");
        for (minute, value) in (0..).zip(values) {
            if let Some(value) = value {
                scene.sample(&x, minute * MINUTE, value);
            }
        }
    }
    let (mut alerts, mut asked) = (String::new(), String::new());
    for minute in 0..MINUTES {
        let at = minute * MINUTE;
        scene.evaluate(at);
        let shown = scene.engine.rules();
        assert!(
            shown.groups.iter().all(|group| group.counts.failures == 0),
            "seed {seed}: a rule failed\n{text}"
        );
        expect_alerts(&scene, minute, &mut alerts);
        for query in ASKED {
            writeln!(
                asked,
                "  - {{eval_time: {minute}m, expr: '{query}', exp_samples: [{}]}}",
                samples(&scene, query, at)
            )
            .expect("a string takes all");
        }
    }
    write!(unit, "  alert_rule_test:\n{alerts}  promql_expr_test:\n{asked}").expect("a string takes all");
    std::fs::write(directory.join(format!("rules{seed}.yml")), &text).expect("it can be written");
    std::fs::write(directory.join(format!("test{seed}.yml")), unit).expect("it can be written");
    format!("test{seed}.yml")
}

fn expect_alerts(scene: &Scene, minute: i64, into: &mut String) {
    let mut firing: BTreeMap<String, Vec<String>> =
        (0..6).map(|rule| (format!("A{rule}"), Vec::new())).collect();
    for alert in scene.engine.active().filter(|alert| alert.life.state == State::Firing) {
        let name = alert.labels.value("alertname");
        let labels =
            map(alert.labels.without(&["alertname"]).iter().map(|label| (&*label.name, &*label.value)));
        let annotations = map(alert.annotations.iter().map(|(name, text)| (&**name, &**text)));
        let expected = format!("{{exp_labels: {labels}, exp_annotations: {annotations}}}");
        firing.get_mut(name).expect("an alert of these rules").push(expected);
    }
    for (name, expected) in firing {
        let expected = expected.join(", ");
        writeln!(into, "  - {{eval_time: {minute}m, alertname: {name}, exp_alerts: [{expected}]}}")
            .expect("a string takes all");
    }
}

fn map<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let pairs: Vec<String> = pairs.map(|(name, value)| format!("{name}: '{value}'")).collect();
    format!("{{{}}}", pairs.join(", "))
}

fn samples(scene: &Scene, query: &str, at: i64) -> String {
    let query = Query::parse(query).expect("a good query");
    let outcome = query.instant(&scene.series.memory, at, &Limits::default()).expect("it can be answered");
    let Answer::Vector(points) = outcome.answer else { panic!("a selector gives a vector") };
    let text = |labels: &Labels, value: f64| format!("{{labels: '{labels}', value: {value}}}");
    let samples: Vec<String> = points.iter().map(|point| text(&point.labels, point.sample.value)).collect();
    samples.join(", ")
}

#[test]
fn promtool_agrees_with_every_minute_of_random_worlds() {
    let directory = tempfile::tempdir().expect("a directory of its own");
    let tests: Vec<String> = (0..WORLDS).map(|seed| world(seed, directory.path())).collect();
    let output = Command::new("promtool")
        .current_dir(directory.path())
        .args(["test", "rules"])
        .args(&tests)
        .output()
        .expect("promtool is not installed; ./tests/run installs what the tests need");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    if !output.status.success() {
        let shown: String =
            said.lines().filter(|line| !line.is_empty()).take(60).collect::<Vec<_>>().join("\n");
        panic!("promtool does not agree (kept in {}):\n{shown}", directory.keep().display());
    }
    assert_eq!(said.matches("SUCCESS").count() as u64, WORLDS, "{said}");
}

#[test]
fn the_worlds_are_full_of_life() {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for seed in 0..WORLDS {
        let mut random = Rng::with_seed(seed);
        let mut scene = Scene::new(&rules(&mut random));
        for (site, rack) in [("hall", "1"), ("hall", "2"), ("tent", "1")] {
            let x = labels("x", &[("site", site), ("rack", rack)]);
            for (minute, value) in (0..).zip(series(&mut random).1) {
                if let Some(value) = value {
                    scene.sample(&x, minute * MINUTE, value);
                }
            }
        }
        for minute in 0..MINUTES {
            for change in scene.evaluate(minute * MINUTE) {
                *seen.entry(change.alert.life.state.as_str()).or_default() += 1;
            }
            let kept = scene.engine.active().filter(|alert| alert.life.keep_firing_since.is_some()).count();
            *seen.entry("kept").or_default() += kept;
        }
    }
    assert!(seen.len() == 4 && seen.values().all(|count| *count > 200), "{seen:?}");
}
