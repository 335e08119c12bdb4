//! A file that is read again when it changes.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// By which a change of a file is seen: when it was written, and its length.
type Stamp = (SystemTime, u64);

/// A file, and what it looked like when that was last asked.
#[derive(Debug)]
pub struct Watched {
    path: PathBuf,
    known: Option<Stamp>,
}

impl Watched {
    /// To be made before the file is read: a change in between is then a change to come.
    pub fn new(path: PathBuf) -> Self {
        Self { known: stamp(&path), path }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it changed, came or went since this was last asked. Ask before reading it, too.
    pub fn changed(&mut self) -> bool {
        let found = stamp(&self.path);
        std::mem::replace(&mut self.known, found) != found
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}
