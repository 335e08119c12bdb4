//! Rule files, good and bad, against the real `promtool check rules`: what it takes is taken here, what it refuses is refused.
//!
//! What is said of a bad file is ours, and stands beside it: `bad/<name>.yml` beside `bad/<name>.txt`, the exact lines. To write them
//! anew: `UPDATE_GOLDEN=1 cargo test -p rackside-alerting --test check`, and read the difference.

use std::path::{Path, PathBuf};
use std::process::Command;

use rackside_alerting::RuleFile;

fn files(directory: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(directory);
    let entries = std::fs::read_dir(directory).expect("the directory is there");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("it can be read").path()).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "yml"));
    files.sort();
    files
}

fn name(file: &Path) -> String {
    file.file_name().map(|name| name.to_string_lossy().into_owned()).expect("a file has a name")
}

/// Our word on a file: the faults, a line each.
fn faults(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).expect("it can be read");
    let faults = RuleFile::parse(&name(file), &text).err().unwrap_or_default();
    faults.iter().map(ToString::to_string).collect()
}

/// Whether promtool takes it, and what it says.
fn promtool(file: &Path) -> (bool, String) {
    let output = Command::new("promtool")
        .args(["check", "rules"])
        .arg(file)
        .output()
        .expect("promtool is not installed; ./tests/run installs what the tests need");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn what_promtool_takes_is_taken() {
    let files = files("good");
    assert!(files.len() >= 15);
    for file in files {
        let (taken, said) = promtool(&file);
        assert!(taken, "{}: {said}", file.display());
        assert_eq!(faults(&file), [""; 0], "{}", file.display());
    }
}

#[test]
fn what_promtool_refuses_is_refused_with_these_lines() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let files = files("bad");
    assert!(files.len() >= 25);
    for file in files {
        let (taken, said) = promtool(&file);
        assert!(!taken, "{}: {said}", file.display());
        let lines = faults(&file);
        assert!(!lines.is_empty(), "{} is taken; promtool says {said}", file.display());
        let golden = file.with_extension("txt");
        if update {
            std::fs::write(&golden, lines.join("\n") + "\n").expect("it can be written");
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        assert_eq!(lines.join("\n"), expected.trim_end(), "{}", file.display());
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let faults = RuleFile::open(Path::new("/nowhere/box.yml")).expect_err("it is not there");
    let line = faults[0].to_string();
    assert!(line.starts_with("/nowhere/box.yml: cannot be read: "), "{line}");
}

/// As many distinct rules as each has: promtool counts them, and so do we.
#[test]
fn promtool_finds_as_many_rules() {
    for file in files("good") {
        let text = std::fs::read_to_string(&file).expect("it can be read");
        let read = RuleFile::parse(&name(&file), &text).expect("a good file");
        let rules: usize = read.groups.iter().map(|group| group.rules.len()).sum();
        let (_, said) = promtool(&file);
        let twice = said.contains("duplicate rule(s)");
        assert!(
            twice || said.contains(&format!("SUCCESS: {rules} rules found")),
            "{}: {rules}, {said}",
            file.display()
        );
        assert_eq!(
            twice,
            read.lints().iter().any(|lint| lint.what.contains("the same in name")),
            "{}",
            file.display()
        );
    }
}

/// Whatever the text, there is an answer, and every fault is one line.
#[test]
fn rubbish_is_refused_or_read_and_nothing_falls_over() {
    const PIECES: [&str; 20] = [
        "- ", "{", "}", "[", "&a ", "*a", "\n", "  ", ": ", "|", ">", "'", "\"", "%", "---", "<<: *a", "\t",
        "é", "\u{0}", "!!x ",
    ];
    let mut random = fastrand::Rng::with_seed(6);
    let texts: Vec<Vec<u8>> = files("good")
        .iter()
        .chain(&files("bad"))
        .map(|file| std::fs::read(file).expect("it can be read"))
        .collect();
    for _ in 0..3_000 {
        let mut text = texts[random.usize(..texts.len())].clone();
        for _ in 0..random.usize(1..8) {
            let at = random.usize(..=text.len());
            if random.bool() {
                text.splice(at..at, PIECES[random.usize(..PIECES.len())].bytes());
            } else {
                text.drain(at..(at + random.usize(..6)).min(text.len()));
            }
        }
        let text = String::from_utf8_lossy(&text);
        for fault in RuleFile::parse("rubbish.yml", &text).err().unwrap_or_default() {
            assert!(fault.line.is_some() && !fault.to_string().contains('\n'), "{fault}\n{text}");
        }
    }
}
