//! Files that nobody but their owner reads.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::Path;

/// For its owner alone.
const MODE: u32 = 0o600;

/// Begins an empty file. There must be none.
fn begin(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)
}

/// Makes an empty file in `directory`, if there is none, as [`give`] says; takes one that is there away from everybody else.
pub fn make(directory: &Path, path: &Path) -> io::Result<()> {
    match begin(path) {
        Ok(file) => give(&file, directory),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let mode = fs::metadata(path)?.permissions().mode() & 0o777;
            if mode & !MODE != 0 {
                fs::set_permissions(path, Permissions::from_mode(MODE))?;
            }
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Begins an empty file; what was left there is gone.
pub fn anew(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    begin(path)
}

/// Made by root, a file belongs to whom the directory belongs to: the hub.
pub fn give(file: &File, directory: &Path) -> io::Result<()> {
    let (own, of) = (file.metadata()?, fs::metadata(directory)?);
    if own.uid() != of.uid() {
        // Not root: then it is the hub's user who has to see to it, and is told when it opens the file.
        let _ = fchown(file, Some(of.uid()), Some(of.gid()));
    }
    Ok(())
}
