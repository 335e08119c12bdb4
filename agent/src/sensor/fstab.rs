//! Which file systems are meant to be written to, as `/etc/fstab` has it.
//!
//! ```text
//! PARTUUID=738a4d67-01  /boot/firmware  vfat  defaults           0  2
//! PARTUUID=738a4d67-02  /               ext4  defaults,noatime   0  1
//! UUID=5f1c             /srv/archive    ext4  ro,nofail          0  2
//! ```
//!
//! Not here: what mounts itself without the table. Of that nobody knows what it is meant to be.

use super::disk::unescaped;
use std::path::Path;

/// The table: paths, and whether they are meant to be writable.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Fstab(Vec<(String, bool)>);

impl Fstab {
    /// Reads it; where there is none, nothing is meant.
    pub(super) fn read(path: &Path) -> Self {
        std::fs::read(path).map(|bytes| Self::parse(&String::from_utf8_lossy(&bytes))).unwrap_or_default()
    }

    fn parse(table: &str) -> Self {
        let line = |line: &str| {
            let mut words = line.split_whitespace();
            let device = words.next().filter(|device| !device.starts_with('#'))?;
            let (path, _, options) = (words.next()?, words.next()?, words.next().unwrap_or("defaults"));
            let is_swap = path == "none" || path == "swap";
            (!device.is_empty() && !is_swap).then(|| (unescaped(path), is_writable(options)))
        };
        Self(table.lines().filter_map(line).collect())
    }

    /// Whether what is mounted there is meant to be written to; `None` if it is not in the table.
    pub(super) fn is_writable(&self, path: &str) -> Option<bool> {
        self.0.iter().rev().find(|row| row.0 == path).map(|row| row.1)
    }
}

/// Of `ro` and `rw` the last one counts, as `mount(8)` has it.
fn is_writable(options: &str) -> bool {
    options.split(',').rfind(|option| matches!(*option, "ro" | "rw")) != Some("ro")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_table_has_is_meant_and_of_the_rest_nobody_knows() {
        let fstab = Fstab::parse(
            "# a comment\n\nproc /proc proc defaults 0 0\nPARTUUID=1-02 / ext4 defaults,noatime,errors=remount-ro 0 1\n\
             UUID=5f1c\t/srv/my\\040archive\text4\tro,nofail 0 2\nUUID=2 none swap sw 0 0\nUUID=3 /twice ext4 ro,rw\nUUID=4 /bare ext4\nbroken\n",
        );
        for (path, meant) in [
            ("/", Some(true)),
            ("/srv/my archive", Some(false)),
            ("/twice", Some(true)),
            ("/bare", Some(true)),
            ("none", None),
            ("/media/stick", None),
        ] {
            assert_eq!(fstab.is_writable(path), meant, "{path}");
        }
        assert_eq!(Fstab::read(Path::new("/nowhere/fstab")), Fstab::default());
    }
}
