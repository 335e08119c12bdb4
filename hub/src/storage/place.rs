//! Where the history goes, and whether it can: for `rackside-hub check`, which changes nothing.
//!
//! `history goes to /var/lib/rackside/history.db: 812 MiB so far, 24.1 GiB free`

use super::{free_bytes, whole};
use rustix::fs::{Access, access};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Less room than this is none: the history's log alone takes 8 MiB before it is cut.
const LEAST: u64 = 8 << 20;

/// Why the history cannot go there.
#[derive(Debug)]
pub enum PlaceError {
    /// Something else has that name.
    NotADirectory(PathBuf),
    /// There is no room.
    Full(PathBuf),
    /// It is there and cannot be written, or it cannot be made.
    Denied {
        /// The directory, or the one that it would be made in.
        directory: PathBuf,
        /// What the system says.
        why: io::Error,
    },
}

impl fmt::Display for PlaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotADirectory(path) => {
                write!(f, "data: {} is not a directory; name one in `data`", path.display())
            }
            Self::Full(path) => write!(
                f,
                "data: there is no room under {}; make some, or name a directory on another disk in `data`",
                path.display()
            ),
            Self::Denied { directory, why } => write!(
                f,
                "data: {} cannot be written: {why}; give the hub's user access to it, or name another directory in `data`",
                directory.display()
            ),
        }
    }
}

impl std::error::Error for PlaceError {}

/// What there is to say of the history in `data`, in one line.
pub fn place(data: &Path) -> Result<String, PlaceError> {
    let directory = whole(data);
    let file = directory.join("history.db");
    let so_far = size(&file).map_or_else(|| "new".to_owned(), |bytes| format!("{} so far", amount(bytes)));
    // What is not there is made in the first directory above it that is.
    let there = directory.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    if !there.is_dir() {
        return Err(PlaceError::NotADirectory(there.to_owned()));
    }
    for path in [there, &file] {
        if path.exists() {
            let wanted = Access::WRITE_OK | Access::READ_OK;
            access(path, wanted)
                .map_err(|error| PlaceError::Denied { directory: path.to_owned(), why: error.into() })?;
        }
    }
    let free = free_bytes(there);
    if free.is_some_and(|bytes| bytes < LEAST) {
        return Err(PlaceError::Full(there.to_owned()));
    }
    let free = free.map_or_else(String::new, |bytes| format!(", {} free", amount(bytes)));
    Ok(format!("history goes to {}: {so_far}{free}", file.display()))
}

fn size(file: &Path) -> Option<u64> {
    std::fs::metadata(file).ok().map(|meta| meta.len())
}

fn amount(bytes: u64) -> String {
    let (mib, gib) = (bytes as f64 / 1_048_576.0, bytes as f64 / 1_073_741_824.0);
    if gib >= 1.0 { format!("{gib:.1} GiB") } else { format!("{mib:.0} MiB") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_new_and_is_not_made() {
        let above = tempfile::tempdir().expect("a temporary directory");
        let data = above.path().join("a/b");
        let said = place(&data).expect("it can be made");
        let file = data.join("history.db");
        assert!(said.starts_with(&format!("history goes to {}: new, ", file.display())), "{said}");
        assert!(!data.exists());
    }

    #[test]
    fn what_is_there_is_told_with_its_size() {
        let data = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(data.path().join("history.db"), vec![0; 3 << 20]).expect("written");
        let said = place(data.path()).expect("it can be written");
        assert!(said.contains("history.db: 3 MiB so far, "), "{said}");
    }

    #[test]
    fn a_file_is_no_directory_and_proc_takes_no_files() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        let line = place(&file.path().join("data")).expect_err("a file").to_string();
        assert_eq!(line, format!("data: {} is not a directory; name one in `data`", file.path().display()));
    }
}
