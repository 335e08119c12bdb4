//! Every target with its corpus, without libFuzzer: so that no target rots, and nothing that was found comes back.
//!
//! A corpus is small and by hand: a file is a message as a server, a device or a program of ours sends it, or what libFuzzer found and we
//! mended. What libFuzzer gathers on its way stays out of it.

mod targets;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap_or_else(|why| panic!("{}: {why}", directory.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

#[test]
fn what_a_corpus_holds_is_read_and_so_is_every_beginning_of_it() {
    for (name, target) in targets::all() {
        for file in files(&corpus().join(name)) {
            let bytes = fs::read(&file).expect("a file");
            // Named before it is read: what panics is what was named last.
            println!("{name}: {}", file.display());
            target(&bytes);
            (0..bytes.len().min(512)).for_each(|end| target(&bytes[..end]));
        }
    }
}

#[test]
fn every_target_has_a_corpus_and_every_corpus_a_target() {
    let targets: BTreeSet<String> = targets::all().into_iter().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(targets.len(), targets::all().len(), "a name stands for one target");
    let found = files(&corpus());
    let found: BTreeSet<String> =
        found.iter().map(|path| path.file_name().expect("a name").to_string_lossy().into_owned()).collect();
    assert_eq!(found, targets);
    for name in &targets {
        assert!(!files(&corpus().join(name)).is_empty(), "{name} has nothing to begin with");
    }
}
