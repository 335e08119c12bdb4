//! Whether the files that are open still have their names.
//!
//! A file that was deleted, moved or replaced, or over whose directory something was mounted, takes commits as before, and
//! nobody ever reads them. An ack for such a record would empty a spool for nothing.

use super::beside;
use crate::StoreError;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The database and its log, as they were opened: device and inode.
#[derive(Debug)]
pub(super) struct Names {
    files: [(PathBuf, (u64, u64)); 2],
}

impl Names {
    /// After the first read: SQLite has made the log by then.
    pub(super) fn of(path: &Path) -> Result<Self, StoreError> {
        let file = |path: PathBuf| {
            let there = identity(&path).map_err(|error| StoreError::io(&path, &error))?;
            Ok((path, there))
        };
        Ok(Self { files: [file(path.to_owned())?, file(beside(path, "-wal"))?] })
    }

    /// The database's.
    pub(super) fn database(&self) -> Arc<Path> {
        self.files[0].0.as_path().into()
    }

    /// An error if another file has one of the names by now, or none.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        for (path, opened) in &self.files {
            match identity(path) {
                Ok(there) if there == *opened => {}
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(StoreError::io(path, &error));
                }
                _ => return Err(StoreError::Gone { path: path.clone() }),
            }
        }
        Ok(())
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::metadata(path).map(|meta| (meta.dev(), meta.ino()))
}
