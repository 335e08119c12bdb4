//! The rules that ship keep to the habits at the head of `docs/alerts.md`, and their own unit tests (`hub/rules/tests`) pass, here and with
//! the real promtool.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rackside_alerting::template::Template;
use rackside_alerting::yaml::{Node, Value};
use rackside_alerting::{Action, AlertSpec, RuleFile, RuleSpec, unit_test, yaml};

/// No rule that reads its own `ALERTS` is evaluated less often: a series ends after five minutes.
const SELDOM: i64 = 120_000;

fn at_top(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

fn text(path: &str) -> String {
    std::fs::read_to_string(at_top(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn shipped() -> Vec<RuleFile> {
    let files = std::fs::read_dir(at_top("hub/rules")).expect("the rules are there");
    let mut paths: Vec<_> = files.map(|file| file.expect("it can be read").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "yml"));
    paths.sort();
    let taken = |path: &PathBuf| RuleFile::open(path).unwrap_or_else(|faults| panic!("{faults:?}"));
    paths.iter().map(taken).collect()
}

fn alerts(files: &[RuleFile]) -> impl Iterator<Item = (&RuleSpec, &AlertSpec, Option<i64>)> {
    let groups = files.iter().flat_map(|file| &file.groups);
    groups.flat_map(|group| group.rules.iter().map(|rule| (rule, group.interval))).filter_map(
        |(rule, interval)| match &rule.action {
            Action::Alert(alert) => Some((rule, &**alert, interval)),
            Action::Record { .. } => None,
        },
    )
}

fn has(pairs: &[(Arc<str>, Template)], wanted: &str) -> Option<String> {
    pairs.iter().find(|(name, _)| &**name == wanted).map(|(_, value)| value.text().to_string())
}

#[test]
fn shipped_rules_are_taken_without_a_word() {
    let files = shipped();
    assert!(files.len() >= 5 && alerts(&files).count() >= 40, "{} files", files.len());
    for file in files {
        assert!(file.lints().is_empty(), "{:?}", file.lints());
    }
}

#[test]
fn each_alert_says_how_bad_it_is_who_is_asked_and_where_to_read_on() {
    let (files, page) = (shipped(), text("docs/alerts.md"));
    for (rule, alert, _) in alerts(&files) {
        let name = &rule.name;
        let severity = has(&alert.labels, "severity").unwrap_or_default();
        assert!(["info", "warning", "critical"].contains(&severity.as_str()), "{name}: {severity:?}");
        let component = has(&alert.labels, "component").unwrap_or_default();
        let components = ["box", "network", "hub", "stream", "device"];
        assert!(components.contains(&component.as_str()), "{name}: {component:?}");
        for wanted in ["summary", "description"] {
            assert!(
                has(&alert.annotations, wanted).is_some_and(|text| !text.contains('\n')),
                "{name}: {wanted}"
            );
        }
        let runbook = format!("docs/alerts.md#{}", name.to_lowercase());
        assert_eq!(has(&alert.annotations, "runbook"), Some(runbook), "{name}");
        assert!(page.lines().any(|line| line.strip_prefix("### ") == Some(name)), "{name} has no heading");
    }
}

#[test]
fn a_lower_figure_holds_what_fires_and_is_looked_at_often_enough() {
    let files = shipped();
    let mut held = 0;
    for (rule, _, interval) in alerts(&files) {
        let own = format!("ALERTS{{alertname=\"{}\"", rule.name);
        for at in rule.expr.match_indices(&own).map(|(at, _)| at) {
            let selector = rule.expr[at..].split('}').next().unwrap_or_default();
            assert!(selector.contains("alertstate=\"firing\""), "{}: {selector}", rule.name);
            assert!(interval.is_none_or(|interval| interval <= SELDOM), "{}: {interval:?}", rule.name);
            held += 1;
        }
    }
    assert!(held >= 15, "{held}");
}

fn unit_tests() -> Vec<PathBuf> {
    let files = std::fs::read_dir(at_top("hub/rules/tests")).expect("the tests are there");
    let mut paths: Vec<_> = files.map(|file| file.expect("it can be read").path()).collect();
    paths.sort();
    paths
}

/// What stands under a key, or nothing.
fn under<'a>(node: &'a Node, wanted: &str) -> Option<&'a Node> {
    let Value::Mapping(pairs) = &node.value else { return None };
    pairs.iter().find(|(key, _)| key.scalar() == Some(wanted)).map(|(_, value)| &**value)
}

/// The entries of the list under a key; none, if there is no list.
fn entries<'a>(node: &'a Node, wanted: &str) -> &'a [Arc<Node>] {
    match under(node, wanted).map(|node| &node.value) {
        Some(Value::Sequence(entries)) => entries,
        _ => &[],
    }
}

/// Name and severity of each alert that a file of unit tests expects: of those that fire, since promtool expects no others.
fn expected(path: &Path) -> BTreeSet<(String, String)> {
    let text = std::fs::read_to_string(path).expect("it is text");
    let document = yaml::read(&text).unwrap_or_else(|errors| panic!("{}: {errors:?}", path.display()));
    let root = document.root.expect("it has tests");
    let checks = entries(&root, "tests").iter().flat_map(|test| entries(test, "alert_rule_test"));
    let alerts = checks.flat_map(|check| {
        let name = under(check, "alertname").and_then(Node::scalar).expect("it has a name");
        entries(check, "exp_alerts").iter().map(move |alert| (name, alert))
    });
    let severity = |alert: &Arc<Node>| {
        let labels = under(alert, "exp_labels").expect("it has labels");
        under(labels, "severity").and_then(Node::scalar).expect("it has a severity").to_owned()
    };
    alerts.map(|(name, alert)| (name.to_owned(), severity(alert))).collect()
}

#[test]
fn each_alert_has_a_unit_test_in_which_it_fires() {
    let files = shipped();
    let fired: BTreeSet<_> = unit_tests().iter().flat_map(|path| expected(path)).collect();
    let wanted: BTreeSet<_> = alerts(&files)
        .map(|(rule, alert, _)| (rule.name.to_string(), has(&alert.labels, "severity").unwrap_or_default()))
        .collect();
    let never: Vec<_> = wanted.difference(&fired).collect();
    assert!(never.is_empty(), "these fire in no unit test: {never:?}");
}

#[test]
fn their_unit_tests_pass_here() {
    for path in unit_tests() {
        let report = unit_test::run(&path);
        assert!(report.is_success() && report.warnings.is_empty() && report.checks > 0, "{report}");
    }
}

#[test]
fn their_unit_tests_pass_with_promtool() {
    let output = Command::new("promtool")
        .args(["test", "rules"])
        .args(unit_tests())
        .output()
        .expect("promtool is not installed; ./tests/run installs what the tests need");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn the_rules_to_measure_by_are_twenty() {
    let file = RuleFile::open(&at_top("tests/rules/twenty.yml")).expect("a good file");
    assert_eq!(file.groups.iter().map(|group| group.rules.len()).sum::<usize>(), 20);
}
