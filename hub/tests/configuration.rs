//! Bad configuration files and what is said of each: `bad/<name>.toml` beside `bad/<name>.txt`, the exact line. To write
//! the lines anew: `UPDATE_GOLDEN=1 cargo test -p rackside-hub --test configuration`, and read the difference.

use rackside_hub::config::Config;
use std::path::{Path, PathBuf};

fn bad() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad");
    let entries = std::fs::read_dir(directory).expect("the directory is there");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("it can be read").path()).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "toml"));
    files.sort();
    files
}

#[test]
fn every_bad_file_is_refused_with_its_exact_line() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let files = bad();
    assert!(files.len() >= 12);
    for file in files {
        let line = Config::read(&file).err().map(|error| error.to_string());
        let line = line.unwrap_or_else(|| panic!("{} is taken", file.display()));
        assert!(!line.contains('\n'), "{}: more than one line:\n{line}", file.display());
        let golden = file.with_extension("txt");
        if update {
            std::fs::write(&golden, format!("{line}\n")).expect("it can be written");
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        assert_eq!(line, expected.trim_end(), "{}", file.display());
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Config::read(Path::new("/nowhere/hub.toml")).expect_err("it is not there").to_string();
    assert!(error.starts_with("/nowhere/hub.toml: cannot be read: "), "{error}");
}
