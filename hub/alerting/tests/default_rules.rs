//! What the rules that ship (`hub/rules`) read is made by somebody, and what they record is read. Their form and their unit tests are a matter
//! for `defaults.rs`.
//!
//! What series there are stands in `docs/metrics.md`, which other tests hold to the code. What else a rule may read stands in `docs/alerts.md`: what a
//! program of the user's own may print, and what a rule of his own may record.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rackside_alerting::{RuleFile, RuleSpec};
use rackside_promql::{METRIC_NAME, Matcher, Test};

const METRICS: &str = include_str!("../../../docs/metrics.md");
const RUNBOOK: &str = include_str!("../../../docs/alerts.md");
/// A name with a place in the project's vocabulary, for a probe that is to come.
const RESERVED: &str = "rackside_errors_total";
/// What every series of an appliance has.
const COMMON: [&str; 2] = ["site", "appliance"];

fn rules() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules")
}

fn loaded() -> Vec<RuleFile> {
    let entries = std::fs::read_dir(rules()).expect("the rules are there");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("it can be read").path()).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "yml"));
    files.sort();
    assert!(files.len() >= 5, "{files:?}");
    files.iter().map(|file| RuleFile::open(file).unwrap_or_else(|faults| panic!("{faults:#?}"))).collect()
}

/// All rules, each with the name of its file.
fn each(files: &[RuleFile]) -> impl Iterator<Item = (&str, &RuleSpec)> {
    files.iter().flat_map(|file| {
        let name = file.name.rsplit('/').next().unwrap_or_default();
        file.groups.iter().flat_map(move |group| group.rules.iter().map(move |rule| (name, rule)))
    })
}

/// What stands in backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Each metric of `docs/metrics.md` with its labels.
fn documented() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let row = |line: &'static str| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let ["", name, _unit, "gauge" | "counter" | "state" | "histogram", labels, ..] = cells[..] else {
            return None;
        };
        Some((quoted(name).next()?, quoted(labels).chain(COMMON).collect()))
    };
    METRICS.lines().filter_map(row).collect()
}

/// What a program of the user's own may print, with the prefix that it gets: the first column of a table of the runbook.
fn of_programs() -> BTreeSet<String> {
    let (_, table) = RUNBOOK.split_once("| it prints |").expect("the table is there");
    let (table, _) = table.split_once("\n\n").expect("it ends");
    let names = table.lines().skip(2).filter_map(|line| quoted(line).next()?.split(' ').next());
    names.map(|name| format!("rackside_exec_{name}")).collect()
}

fn equal<'a>(selector: &'a [Matcher], label: &str) -> Option<&'a str> {
    selector.iter().find_map(|matcher| match &matcher.test {
        Test::Equal(value) if *matcher.name == *label => Some(&**value),
        _ => None,
    })
}

#[test]
fn what_the_rules_read_is_made_by_somebody() {
    let (files, documented, of_programs) = (loaded(), documented(), of_programs());
    assert!(documented.len() > 150 && of_programs.len() == 3, "{} {of_programs:?}", documented.len());
    let named = |alert: bool| each(&files).filter(move |(_, rule)| rule.is_alert() == alert);
    let alerts: BTreeSet<&str> = named(true).map(|(_, rule)| &*rule.name).collect();
    let recorded: BTreeSet<&str> = named(false).map(|(_, rule)| &*rule.name).collect();
    let mut wrong = Vec::new();
    for (file, rule) in each(&files) {
        for selector in rule.query.selectors() {
            let name = equal(selector, METRIC_NAME).unwrap_or("a selector without a name");
            let fault = match documented.get(name) {
                Some(labels) => selector
                    .iter()
                    .find(|matcher| *matcher.name != *METRIC_NAME && !labels.contains(&*matcher.name))
                    .map(|matcher| format!("has no label {}", matcher.name)),
                None if name == "ALERTS" => {
                    let alert = equal(selector, "alertname").unwrap_or_default();
                    (!alerts.contains(alert)).then(|| format!("of {alert:?}, which is no alert"))
                }
                None if recorded.contains(name) || of_programs.contains(name) || name == RESERVED => None,
                None if RUNBOOK.contains(&format!(" record: {name}\n")) => None,
                None => Some("is made by nobody".to_owned()),
            };
            wrong.extend(fault.map(|fault| format!("{file}:{} {}: {name} {fault}", rule.line, rule.name)));
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn what_is_recorded_is_read() {
    let files = loaded();
    let read: BTreeSet<&str> = each(&files)
        .flat_map(|(_, rule)| rule.query.selectors())
        .filter_map(|selector| equal(selector, METRIC_NAME))
        .collect();
    let recorded = each(&files).filter(|(_, rule)| !rule.is_alert()).map(|(_, rule)| &*rule.name);
    let idle: Vec<_> = recorded.filter(|name| !read.contains(name)).collect();
    assert_eq!(idle, [""; 0]);
}

#[test]
fn every_paragraph_of_the_runbook_is_about_an_alert() {
    let files = loaded();
    let names: BTreeSet<&str> = each(&files).map(|(_, rule)| &*rule.name).collect();
    let paragraphs: Vec<_> = RUNBOOK.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    assert!(paragraphs.len() > 40, "{paragraphs:?}");
    let stale: Vec<_> = paragraphs.into_iter().filter(|name| !names.contains(name)).collect();
    assert_eq!(stale, [""; 0]);
}
