//! Runs promtool's unit-test files of rules, with promtool's verdicts. What is said about a failure is ours.
//!
//! `read.rs` reads a file, `series.rs` its series, `play.rs` plays each test over the rules, `report.rs` says what is not as expected.
//! Where a verdict can differ from promtool 2.42's stands in the crate's `DIFFERENCES.md`.
//!
//! ```
//! use rackside_alerting::unit_test;
//!
//! let rules = "groups:\n- name: box\n  rules:\n  - {alert: SocHot, expr: soc > 75}\n";
//! let test = "
//! rule_files: [box.yml]
//! tests:
//! - interval: 1m
//!   input_series: [{series: 'soc{site=\"hall\"}', values: 70 80}]
//!   alert_rule_test:
//!   - {eval_time: 1m, alertname: SocHot, exp_alerts: [{exp_labels: {site: hall}}]}
//! ";
//! let directory = tempfile::tempdir()?;
//! std::fs::write(directory.path().join("box.yml"), rules)?;
//! std::fs::write(directory.path().join("test.yml"), test)?;
//! let report = unit_test::run(&directory.path().join("test.yml"));
//! assert!(report.is_success(), "{report}");
//! # Ok::<(), std::io::Error>(())
//! ```

mod play;
mod read;
mod report;
mod series;

use std::path::{Component, Path, PathBuf};

pub use report::{Failure, Report};

use crate::file::RuleFile;
use read::TestFile;

/// Runs all tests of a file. The rule files that it names are looked for beside it.
pub fn run(path: &Path) -> Report {
    let mut report = Report { file: path.display().to_string(), ..Report::default() };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            let title = format!("cannot be read: {error}; check the path and who may read it");
            report.failures.push(Failure { title, lines: Vec::new() });
            return report;
        }
    };
    let file = match read::file(&report.file, &text) {
        Ok(file) => file,
        Err(faults) => {
            report
                .failures
                .extend(faults.iter().map(|fault| Failure { title: fault.to_string(), lines: Vec::new() }));
            return report;
        }
    };
    let paths = match rule_files(path, &file, &mut report) {
        Ok(paths) => paths,
        Err(failure) => {
            report.failures.push(failure);
            return report;
        }
    };
    if file.tests.is_empty() {
        report.warnings.push("there are no tests in it".to_owned());
        return report;
    }
    let mut files = Vec::with_capacity(paths.len());
    for path in paths {
        match RuleFile::open(&path) {
            Ok(file) => files.push(file),
            Err(faults) => {
                report.failures.extend(
                    faults.iter().map(|fault| Failure { title: fault.to_string(), lines: Vec::new() }),
                );
            }
        }
    }
    if report.is_success() {
        let name = report.file.clone();
        for test in &file.tests {
            report.checks += test.alerts.len() + test.expressions.len();
            report.failures.extend(play::play(&name, &file, test, &files));
        }
    }
    report
}

/// The rule files that a file names, each once, in its order.
fn rule_files(path: &Path, file: &TestFile, report: &mut Report) -> Result<Vec<PathBuf>, Failure> {
    let beside = path.parent().unwrap_or(Path::new(""));
    let mut paths = Vec::new();
    for (place, pattern) in &file.rule_files {
        let whole = if pattern.is_empty() { PathBuf::new() } else { clean(&beside.join(pattern)) };
        let found = crate::glob::matching(&whole).map_err(|why| Failure {
            title: format!("{}:{}: rule file {pattern:?}: {why}", path.display(), place.line),
            lines: Vec::new(),
        })?;
        if found.is_empty() {
            let looked = if pattern.is_empty() { "\"\"".to_owned() } else { whole.display().to_string() };
            let (test, line) = (path.display(), place.line);
            report.warnings.push(format!("{test}:{line}: no rule file is called {looked}"));
        }
        for path in found {
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
    }
    Ok(paths)
}

/// The path without `.` and `..` where that can be told from its text, as Go cleans paths.
fn clean(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir
                if matches!(cleaned.components().next_back(), Some(Component::Normal(_))) =>
            {
                cleaned.pop();
            }
            part => cleaned.push(part),
        }
    }
    if cleaned.as_os_str().is_empty() { PathBuf::from(".") } else { cleaned }
}
