//! `rackside-hub rules check` and `rules test`: what they print and how they end. What is right and what is wrong, the crate `rackside-alerting` knows.
//!
//! Good files are told on stdout, faults on stderr, each fault in a line that begins with its file and line, as editors like it.
//!
//! ```text
//! $ rackside-hub rules check hub/rules/box.yml
//! hub/rules/box.yml: 14 rules in 2 groups are good
//! $ rackside-hub rules test hub/rules/tests/box.yml
//! hub/rules/tests/box.yml: SUCCESS, 12 checks
//! ```

use rackside_alerting::{RuleFile, unit_test};
use std::path::{Path, PathBuf};

/// What a command has to say.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// For stdout.
    pub good: String,
    /// For stderr.
    pub bad: String,
    /// How many files are not as they should be.
    pub failed: usize,
}

/// Checks rule files.
pub fn check(files: &[PathBuf]) -> Said {
    let mut said = Said::default();
    for path in files {
        match RuleFile::open(path) {
            Ok(file) => {
                for lint in file.lints() {
                    said.bad.extend([lint.to_string(), " (the file is good all the same)\n".to_owned()]);
                }
                said.good += &good(path, &file);
            }
            Err(faults) => {
                said.failed += 1;
                said.bad.extend(faults.iter().map(|fault| format!("{fault}\n")));
            }
        }
    }
    said
}

/// One line about a good file.
fn good(path: &Path, file: &RuleFile) -> String {
    let rules: usize = file.groups.iter().map(|group| group.rules.len()).sum();
    let path = path.display();
    match (rules, file.groups.len()) {
        (0, _) => format!("{path}: no rules, which is good\n"),
        (1, _) => format!("{path}: 1 rule is good\n"),
        (rules, 1) => format!("{path}: {rules} rules in 1 group are good\n"),
        (rules, groups) => format!("{path}: {rules} rules in {groups} groups are good\n"),
    }
}

/// What a hub with these files evaluates.
pub fn how_many(files: &[RuleFile]) -> String {
    let rules: usize = files.iter().flat_map(|file| &file.groups).map(|group| group.rules.len()).sum();
    match (rules, files.len()) {
        (0, _) => "no rules are evaluated".to_owned(),
        (1, 1) => "1 rule in 1 file".to_owned(),
        (rules, 1) => format!("{rules} rules in 1 file"),
        (1, files) => format!("1 rule in {files} files"),
        (rules, files) => format!("{rules} rules in {files} files"),
    }
}

/// Runs files of unit tests.
pub fn test(files: &[PathBuf]) -> Said {
    let mut said = Said::default();
    for path in files {
        let report = unit_test::run(path);
        if report.is_success() {
            said.good += &report.to_string();
        } else {
            said.failed += 1;
            said.bad += &report.to_string();
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(directory: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
        let path = directory.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    }

    #[test]
    fn good_files_are_counted_and_faults_are_told_one_a_line() {
        let directory = tempfile::tempdir().expect("a directory");
        let good = written(
            &directory,
            "good.yml",
            "groups:\n- {name: a, rules: [{alert: A, expr: up == 0}, {record: b, expr: up}]}\n- {name: c}\n",
        );
        let bad = written(
            &directory,
            "bad.yml",
            "groups:\n- name: a\n  rules:\n  - {alert: A, expr: 'up >'}\n  - {expr: up}\n",
        );
        let said = check(&[good.clone(), bad.clone(), directory.path().join("none.yml")]);
        assert_eq!(said.good, format!("{}: 2 rules in 2 groups are good\n", good.display()));
        assert_eq!(said.failed, 2);
        let lines: Vec<_> = said.bad.lines().collect();
        assert!(
            lines[0].starts_with(&format!("{}:4: group \"a\", alert \"A\": expr: ", bad.display())),
            "{lines:?}"
        );
        assert!(
            lines[1].starts_with(&format!("{}:5: group \"a\", rule 2: one of", bad.display())),
            "{lines:?}"
        );
        assert!(lines[2].contains("none.yml: cannot be read: "), "{lines:?}");
    }

    #[test]
    fn tests_that_fail_are_told_apart_from_those_that_do_not() {
        let directory = tempfile::tempdir().expect("a directory");
        let test = |value| {
            format!(
                "tests:\n- interval: 1m\n  promql_expr_test: [{{expr: vector(1), exp_samples: [{{value: {value}}}]}}]\n"
            )
        };
        let good = written(&directory, "good.yml", &test(1));
        let bad = written(&directory, "bad.yml", &test(2));
        let said = super::test(&[good.clone(), bad.clone()]);
        assert_eq!(said.good, format!("{}: SUCCESS, 1 check\n", good.display()));
        let expected = format!(
            "{0}: FAILED\n  {0}:3: expression vector(1) at 0s:\n    {{}}: expected 2, got 1\n",
            bad.display()
        );
        assert_eq!((said.bad, said.failed), (expected, 1));
    }
}
