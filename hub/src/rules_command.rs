//! `rackside-hub rules check`, `rules test` and `rules defaults`: what they print, write, and how they end. What is right and what is wrong, the crate `rackside-alerting` knows.
//!
//! Good files are told on stdout, faults on stderr, each fault in a line that begins with its file and line, as editors like it.
//!
//! ```text
//! $ rackside-hub rules check hub/rules/box.yml
//! hub/rules/box.yml: 21 rules in 3 groups are good
//! $ rackside-hub rules test hub/rules/tests/box_test.yml
//! hub/rules/tests/box_test.yml: SUCCESS, 65 checks
//! ```

use crate::rules;
use rackside_alerting::{RuleFile, unit_test};
use std::fmt;
use std::io::{self, Write as _};
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

/// Why the rules that come with the hub were not written.
#[derive(Debug)]
pub enum WriteError {
    /// The directory cannot be made.
    Directory(PathBuf, io::Error),
    /// Files that are there and say something else. Nothing was written.
    Differ(Vec<PathBuf>),
    /// A file that can be neither read nor written.
    File(PathBuf, io::Error),
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path, error) => write!(f, "{}: cannot be made: {error}", path.display()),
            Self::Differ(paths) => {
                let paths: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
                let (are, them) = if paths.len() == 1 { ("is", "it") } else { ("are", "them") };
                write!(
                    f,
                    "{} {are} there and not as with this hub; nothing was written: move {them} away, or name another directory",
                    paths.join(", ")
                )
            }
            Self::File(path, error) => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for WriteError {}

/// Writes the rules that come with the hub into a directory, which is made. No file is ever changed: one that says the same stays, which is
/// `false` beside its path; any other, and none is written.
pub fn write(to: &Path) -> Result<Vec<(PathBuf, bool)>, WriteError> {
    let files = rules::DEFAULTS.map(|(name, text)| (to.join(name.rsplit('/').next().unwrap_or(name)), text));
    let mut differ = Vec::new();
    for (path, text) in &files {
        match std::fs::read(path) {
            Ok(there) if there != text.as_bytes() => differ.push(path.clone()),
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(WriteError::File(path.clone(), error));
            }
            Ok(_) | Err(_) => {}
        }
    }
    if !differ.is_empty() {
        return Err(WriteError::Differ(differ));
    }
    std::fs::create_dir_all(to).map_err(|error| WriteError::Directory(to.to_owned(), error))?;
    let mut written = Vec::new();
    for (path, text) in files {
        let is_new = create(&path, text).map_err(|error| WriteError::File(path.clone(), error))?;
        written.push((path, is_new));
    }
    Ok(written)
}

/// Writes a file that is not there, as a whole or not at all; `false` if it is there.
fn create(path: &Path, text: &str) -> io::Result<bool> {
    let mut file = match std::fs::File::create_new(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
        made => made?,
    };
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    if written.is_err() {
        // Half a file would be in the way of the next attempt; that it stays is no worse than what is told anyway.
        let _ = std::fs::remove_file(path);
    }
    written.map(|()| true)
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
