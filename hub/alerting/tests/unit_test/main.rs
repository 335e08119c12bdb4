//! Unit tests of rules, good ones, failing ones and wrong ones, against the real `promtool test rules`: the verdicts are the same.
//!
//! What is said of a file that fails is ours, and stands beside it: `files/<name>.yml` beside `files/<name>.txt`. To write these anew:
//! `UPDATE_GOLDEN=1 cargo test -p rackside-alerting --test unit_test`, and read the difference. Where it is one word of a notation that matters,
//! the word stands in a table here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use rackside_alerting::unit_test;

/// Promtool's verdicts on files in a directory, by one run of it: of each file, whether it is a success.
fn promtool(directory: &Path, files: &[String]) -> BTreeMap<String, bool> {
    let output = Command::new("promtool")
        .args(["test", "rules"])
        .args(files)
        .current_dir(directory)
        .output()
        .expect("promtool is not installed; ./tests/run installs what the tests need");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut verdicts = BTreeMap::new();
    for part in said.split("Unit Testing:").skip(1) {
        let mut lines = part.lines();
        let name = lines.next().unwrap_or_default().trim().to_owned();
        verdicts.insert(name, lines.any(|line| line.trim() == "SUCCESS"));
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(verdicts.len(), files.len(), "promtool has not looked at every file:\n{said}\n{errors}");
    verdicts
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/unit_test/files")
}

fn files() -> Vec<String> {
    let entries = std::fs::read_dir(directory()).expect("the directory is there");
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("it can be read").file_name().to_string_lossy().into_owned())
        .collect();
    files.retain(|file| Path::new(file).extension().is_some_and(|ending| ending == "yml"));
    files.sort();
    files
}

/// Our report on a file, with paths as they are from its directory.
fn report(directory: &Path, file: &str) -> (bool, String) {
    let report = unit_test::run(&directory.join(file));
    let said = report.to_string().replace(&format!("{}/", directory.display()), "");
    (report.is_success(), said.replace(&directory.display().to_string(), "."))
}

#[test]
fn files_have_promtools_verdicts_and_failures_are_told_in_these_words() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let (directory, files) = (directory(), files());
    assert!(files.len() >= 45, "there are only {} files", files.len());
    let verdicts = promtool(&directory, &files);
    assert!(verdicts.values().filter(|good| **good).count() >= 15);
    for file in files {
        let (good, said) = report(&directory, &file);
        assert_eq!(
            good,
            verdicts[&file],
            "promtool takes {file} for {}\n{said}",
            if good { "a failure" } else { "a success" }
        );
        let golden = directory.join(&file).with_extension("txt");
        if good {
            assert!(!golden.exists(), "{} tells of a failure, and there is none", golden.display());
            continue;
        }
        if update {
            std::fs::write(&golden, &said).expect("it can be written");
        }
        assert_eq!(said, std::fs::read_to_string(&golden).unwrap_or_default(), "{file}");
    }
}

/// Compares the verdicts on tests that differ in a word.
fn compare(what: &str, words: &[&str], test: impl Fn(&str) -> String) {
    let directory = tempfile::tempdir().expect("a directory");
    let names: Vec<String> = (0..words.len()).map(|number| format!("{what}{number}.yml")).collect();
    for (name, word) in names.iter().zip(words) {
        std::fs::write(directory.path().join(name), test(word)).expect("it can be written");
    }
    let verdicts = promtool(directory.path(), &names);
    let both = verdicts.values().any(|good| *good) && verdicts.values().any(|good| !good);
    assert!(both, "of the {what} some are taken, and some refused");
    for (name, word) in names.iter().zip(words) {
        let (good, said) = report(directory.path(), name);
        assert_eq!(good, verdicts[name], "{word}\n{said}");
    }
}

#[test]
fn values_are_taken_and_refused_as_by_promtool() {
    let words = [
        "1",
        "1+2",
        "1_2",
        "stale+1x3",
        "0x3",
        "1 x3",
        "a",
        "_x",
        "1e999",
        "-Inf+1x2",
        "1x-1",
        "+1-1x3",
        "08",
        "1,2",
        "5.",
        ".",
        "stalex2",
        "{}",
        "1 {a=\"b\"}",
        "1+ 2x3",
        "1 #2",
        "NaNx3",
        "infx2",
        "inf+1x2",
        "--1",
        "_ _x3 1",
        "_x0",
        "1x0",
        "1e3x2",
        "1E-3",
        "nan STALE",
        "0b1",
        "1x1.5",
        "",
        "  ",
    ];
    compare("value", &words, |word| {
        let values = serde_json::Value::from(word);
        format!("tests:\n- interval: 1m\n  input_series: [{{series: up, values: {values}}}]\n")
    });
}

#[test]
fn series_are_taken_and_refused_as_by_promtool() {
    let words = [
        "up",
        "up{",
        "up{a}",
        "up{a=b}",
        "up {a=\"b\"}",
        "{}",
        "",
        "{a=\"b\"}",
        "up{a=\"b\",}",
        "up{a='b'}",
        "up{a=`b`}",
        "up{a=\"b\",a=\"c\"}",
        "on",
        "sum",
        "inf",
        "up{a!=\"b\"}",
        "a:b",
        "up{1=\"b\"}",
        "up{__name__=\"x\"}",
        "up{a=\"\\q\"}",
        "smoothed",
        "group_left",
        "UP{a=\"\"}",
        "up{on=\"x\"}",
        "up{a = \"b\"}",
        "bool{a=\"b\"}",
        "avg",
        "up{,}",
        "up{a=\"b\" c=\"d\"}",
        "{__name__=\"up\"}",
        "up{a=\"\\u00e9\"}",
        "atan2",
        "Nan",
        ":",
        "up{a:b=\"c\"}",
        "up{a=\"b}",
    ];
    compare("series", &words, |word| {
        let series = serde_json::Value::from(word);
        format!("tests:\n- interval: 1m\n  input_series: [{{series: {series}, values: '1'}}]\n")
    });
}

#[test]
fn keys_and_types_are_taken_and_refused_as_by_promtool() {
    let words = [
        "interval: 1x",
        "interval: 1",
        "interval: 0",
        "interval: ''",
        "interval: '1m30s'",
        "interval: 1h30m15s",
        "interval: -1m",
        "interval: [1m]",
        "name: [a]",
        "name: 5",
        "nam: x",
        "external_labels: {a: 1}",
        "external_labels: [a]",
        "external_labels: {a: }",
        "external_url: 5",
        "input_series: {a: b}",
        "input_series: [{series: up, value: 1}]",
        "input_series: [{series: up, values: 5}]",
        "alert_rule_test: {}",
        "alert_rule_test: [{eval_time: 5, alertname: x}]",
        "alert_rule_test: [{eval_time: 1m, alertname: x, exp_alerts: {}}]",
        "alert_rule_test: [{eval_time: 1m, alertname: x, exp_alerts: [{exp_label: {a: b}}]}]",
        "alert_rule_test: [{alertname: true}]",
        "alert_rule_test: [{alertname: x, alertname: y}]",
        "alert_rule_test: [{alertname: x, exp_alerts: [{exp_labels: {a: [b]}}]}]",
        "alert_rule_test:",
        "input_series: ~",
        "promql_expr_test: [{expr: up >, eval_time: 1m}]",
        "promql_expr_test: [{eval_time: 1m}]",
        "promql_expr_test: [{expr: up, at: 1m}]",
        "promql_expr_test: [{expr: up, eval_time: 1m, exp_samples: [{label: up, value: 1}]}]",
    ];
    compare("key", &words, |word| format!("tests:\n- {word}\n"));
}

#[test]
fn numbers_are_taken_and_refused_as_by_promtool() {
    let words = [
        "5 5",
        "5 5.0",
        "8 010",
        "1000 1_000",
        "1000.5 1_000.5",
        "0 -0",
        "0.1+0.2 0.3",
        "0.1+0.2 0.30000000000000004",
        "3 0b11",
        "8 0o10",
        "5 !!float 5",
        "5 +5",
        "1.5 15e-1",
        "1 1.",
        "vector(0)",
        "Inf Inf",
        "Inf .inf",
        "Inf +.Inf",
        "-Inf -.inf",
        "NaN NaN",
        "NaN .nan",
        "1 true",
        "1 '1'",
        "16 0x10",
        "1000 1e3",
        "1000 1e+3",
        "1000 1E3",
        "0.5 .5",
        "5 5 ",
        "8 08",
        "1 ~",
        "0 ~",
    ];
    compare("number", &words, |word| {
        let (expression, value) = word.split_once(' ').unwrap_or((word, ""));
        format!(
            "tests:\n- promql_expr_test: [{{expr: '{expression}', exp_samples: [{{value: {value}}}]}}]\n  interval: 1m\n"
        )
    });
}
