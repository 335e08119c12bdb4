//! Whether a directory is worth a spool: does what is written there outlive a power cut, and may we write there at all?
//!
//! The mounts decide, from `/proc/self/mountinfo`; the directory itself is asked only what they cannot know. A network file
//! system is not even asked: its server may be gone, and whoever asks hangs. When in doubt the answer is no: records in memory
//! that are called safe would be a lie, and what is said names the cure. Only a container's own layer is taken to be on its host's disk.
//!
//! ```text
//! 29 1 179:2 / / rw,noatime shared:1 - ext4 /dev/mmcblk0p2 rw                                   a Pi's card
//! 30 1 0:31 / / rw,relatime - overlay overlay rw,lowerdir=/lower,upperdir=/upper/data,…         its overlay root, in memory
//! ```

use rustix::fs::{Access, Mode, OFlags};
use std::fmt;
use std::fs;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// Less than this is a full disk: a few segments.
const ROOM: u64 = 1024 * 1024;
/// Overlays upon overlays that are looked through.
const DEPTH: usize = 4;

/// A directory that keeps what is written to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Durable {
    /// Bytes that an ordinary user can still write there.
    pub free: u64,
}

/// Why a directory is not worth a spool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    /// The directory.
    pub directory: PathBuf,
    /// Why.
    pub why: Why,
}

/// Why a directory is not worth a spool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// It is in memory: a `tmpfs`, a `ramfs`, a disk made of memory.
    InMemory {
        /// The file system: `tmpfs`.
        system: String,
        /// Where that is mounted.
        mount: PathBuf,
    },
    /// It is on an overlay whose upper layer is in memory.
    Overlay {
        /// Where writes go.
        upper: PathBuf,
        /// Whether that is known to be memory; else it is out of sight, and the machine was started with an overlay root.
        in_memory: bool,
    },
    /// Another machine or program serves it and may hang us.
    Served {
        /// The file system: `nfs4`.
        system: String,
    },
    /// The file system is mounted read-only.
    ReadOnly,
    /// It does not exist and cannot be made.
    Missing {
        /// What the system said.
        error: String,
    },
    /// There is something that is no directory.
    NotADirectory,
    /// We may not write there.
    Permission,
    /// There is no room.
    Full {
        /// Bytes that are left.
        free: u64,
    },
    /// Nobody can tell.
    Unknown {
        /// What the system said.
        error: String,
    },
}

impl Unfit {
    /// Whether asking again later makes sense without anybody doing anything to the machine's mounts.
    pub const fn may_heal(&self) -> bool {
        matches!(self.why, Why::Full { .. } | Why::Missing { .. } | Why::Permission | Why::ReadOnly)
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let directory = self.directory.display();
        match &self.why {
            Why::InMemory { system, mount } => write!(
                f,
                "{directory} is in memory ({system} on {}): give [spool] directory one on a disk",
                mount.display()
            ),
            Why::Overlay { in_memory: true, .. } => write!(
                f,
                "{directory} is on an overlay that keeps its changes in memory: mount a disk there, or switch the \
                 overlay off"
            ),
            Why::Overlay { upper, .. } => write!(
                f,
                "{directory} is on an overlay whose changes go to {}, out of sight, and this machine was started with an \
                 overlay root, which is in memory: mount a disk there, or switch the overlay off",
                upper.display()
            ),
            Why::Served { system } => write!(
                f,
                "{directory} is on {system}, which may hang with its server: give [spool] directory one on a disk of this \
                 machine"
            ),
            Why::ReadOnly => write!(f, "{directory} is on a file system that is mounted read-only"),
            Why::Missing { error } => write!(f, "{directory} does not exist and cannot be made: {error}"),
            Why::NotADirectory => write!(f, "{directory} is not a directory"),
            Why::Permission => write!(f, "this user may not write to {directory}: make it theirs"),
            // Not how much: what is wrong is said once, and that changes all the time.
            Why::Full { .. } => {
                write!(f, "the disk of {directory} is full: less than 1 MiB is left; make room")
            }
            Why::Unknown { error } => {
                write!(f, "cannot tell whether {directory} outlives a power cut: {error}")
            }
        }
    }
}

impl std::error::Error for Unfit {}

/// What to do about a directory that does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Make it, for this user alone.
    Make,
    /// Judge the one that it would be made in.
    Leave,
}

/// Judges a directory. `proc` is where `/proc` is mounted.
pub fn judge(directory: &Path, proc: &Path, missing: Missing) -> Result<Durable, Unfit> {
    judged(directory, proc, missing).map_err(|why| Unfit { directory: directory.to_owned(), why })
}

fn judged(directory: &Path, proc: &Path, missing: Missing) -> Result<Durable, Why> {
    let unknown = |error: io::Error| Why::Unknown { error: error.to_string() };
    let path = proc.join("self/mountinfo");
    let mounts = fs::read(&path)
        .map_err(|error| Why::Unknown { error: format!("{}: {error}", path.display()) })
        .map(|text| parse(&text))?;
    // First by name, so that nothing is touched that may hang.
    let absolute = std::path::absolute(directory).map_err(unknown)?;
    if let Some(Why::Served { system }) = under(&mounts, &absolute).and_then(|mount| fault(&mounts, mount, 0))
    {
        return Err(Why::Served { system });
    }
    let found = match there(&absolute, missing) {
        // A read-only disk is the reason to be told, not that nothing can be made there.
        Err(Why::Missing { error }) => {
            let mount = under(&mounts, &absolute);
            let read_only = mount.and_then(|mount| fault(&mounts, mount, 0)) == Some(Why::ReadOnly);
            return Err(if read_only { Why::ReadOnly } else { Why::Missing { error } });
        }
        other => other?,
    };
    let real = found.canonicalize().map_err(unknown)?;
    let mount = by_number(&mounts, &real, proc).or_else(|| under(&mounts, &real));
    let mount = mount.ok_or_else(|| Why::Unknown { error: "no mount is listed for it".to_owned() })?;
    match fault(&mounts, mount, 0) {
        // A container's own layer, on its host's disk, unless the host itself runs on an overlay.
        Some(Why::Overlay { in_memory: false, .. }) if !has_overlay_root(proc) => {}
        Some(why) => return Err(why),
        None => {}
    }
    match rustix::fs::access(&real, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => {}
        Err(rustix::io::Errno::ROFS) => return Err(Why::ReadOnly),
        Err(rustix::io::Errno::ACCESS | rustix::io::Errno::PERM) => return Err(Why::Permission),
        Err(error) => return Err(unknown(error.into())),
    }
    let space = rustix::fs::statvfs(&real).map_err(|error| unknown(error.into()))?;
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    if free < ROOM { Err(Why::Full { free }) } else { Ok(Durable { free }) }
}

/// Whether the kernel was told to put an overlay over its root: `boot=overlay` by Raspberry Pi OS's own script,
/// `overlayroot=tmpfs` by the package of that name.
fn has_overlay_root(proc: &Path) -> bool {
    let told = fs::read_to_string(proc.join("cmdline")).unwrap_or_default();
    told.split_whitespace().any(|word| word == "boot=overlay" || word.starts_with("overlayroot="))
}

/// The directory to judge.
fn there(directory: &Path, missing: Missing) -> Result<&Path, Why> {
    match fs::metadata(directory) {
        Ok(found) if found.is_dir() => return Ok(directory),
        Ok(_) => return Err(Why::NotADirectory),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(Why::Permission),
        Err(error) => return Err(Why::Unknown { error: error.to_string() }),
    }
    match missing {
        Missing::Make => {
            let made = fs::DirBuilder::new().mode(0o700).create(directory);
            made.map(|()| directory).map_err(|error| Why::Missing { error: error.to_string() })
        }
        Missing::Leave => match directory.parent() {
            Some(parent) if parent.is_dir() => Ok(parent),
            _ => Err(Why::Missing { error: "nor does the directory above it".to_owned() }),
        },
    }
}

/// A line of `/proc/self/mountinfo`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mount {
    number: u64,
    path: PathBuf,
    options: String,
    system: String,
    device: String,
    /// The file system's own options.
    inner: Vec<u8>,
}

fn parse(text: &[u8]) -> Vec<Mount> {
    text.split(|byte| *byte == b'\n').filter_map(parse_line).collect()
}

fn parse_line(line: &[u8]) -> Option<Mount> {
    let mut words = line.split(|byte| *byte == b' ');
    let text = |word: &[u8]| String::from_utf8_lossy(word).into_owned();
    let number = text(words.next()?).parse().ok()?;
    let path = PathBuf::from(std::ffi::OsString::from_vec(unescaped(words.nth(3)?)));
    let options = text(words.next()?);
    words.find(|word| word == b"-")?;
    let (system, device) = (text(words.next()?), text(words.next()?));
    Some(Mount { number, path, options, system, device, inner: words.next().unwrap_or_default().to_vec() })
}

/// The kernel writes space, tab, line end and backslash as three octal digits.
fn unescaped(word: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((&first, behind)) = rest.split_first() {
        let digits = behind.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if first == b'\\' => {
                out.push(byte);
                rest = behind.get(3..).unwrap_or_default();
            }
            _ => {
                out.push(first);
                rest = behind;
            }
        }
    }
    out
}

/// The mount that a path is on, by name: the longest that leads to it, and of several on one path the last.
fn under<'m>(mounts: &'m [Mount], path: &Path) -> Option<&'m Mount> {
    let leading = mounts.iter().filter(|mount| path.starts_with(&mount.path));
    leading.max_by_key(|mount| mount.path.as_os_str().len())
}

/// The mount that a directory is on, as the kernel says it.
fn by_number<'m>(mounts: &'m [Mount], path: &Path, proc: &Path) -> Option<&'m Mount> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::open(path, flags, Mode::empty()).ok()?;
    let info = fs::read_to_string(proc.join(format!("self/fdinfo/{}", directory.as_raw_fd()))).ok()?;
    let number = info.lines().find_map(|line| line.strip_prefix("mnt_id:"))?.trim().parse::<u64>().ok()?;
    mounts.iter().find(|mount| mount.number == number)
}

/// What is wrong with a mount.
fn fault(mounts: &[Mount], mount: &Mount, depth: usize) -> Option<Why> {
    let system = mount.system.as_str();
    let served = matches!(
        system,
        "nfs"
            | "nfs4"
            | "cifs"
            | "smb3"
            | "smbfs"
            | "ceph"
            | "afs"
            | "coda"
            | "glusterfs"
            | "lustre"
            | "autofs"
    ) || system.starts_with("fuse.");
    let memory_disk = ["/dev/zram", "/dev/ram"].iter().any(|start| mount.device.starts_with(start));
    let inner = String::from_utf8_lossy(&mount.inner);
    // Newer kernels leave a card that ext4 gave up on `rw` in the table.
    let is_read_only = |option| matches!(option, "ro" | "emergency_ro");
    let read_only = mount.options.split(',').chain(inner.split(',')).any(is_read_only);
    if served {
        Some(Why::Served { system: mount.system.clone() })
    } else if read_only || matches!(system, "squashfs" | "iso9660" | "erofs") {
        Some(Why::ReadOnly)
    } else if memory_disk || matches!(system, "tmpfs" | "ramfs" | "devtmpfs" | "rootfs") {
        Some(Why::InMemory { system: mount.system.clone(), mount: mount.path.clone() })
    } else if system == "overlay" {
        overlaid(mounts, mount, depth)
    } else {
        None
    }
}

/// An overlay is as good as what its changes go to.
fn overlaid(mounts: &[Mount], overlay: &Mount, depth: usize) -> Option<Why> {
    let options = unescaped(&overlay.inner);
    let upper = options.split(|byte| *byte == b',').find_map(|option| option.strip_prefix(b"upperdir="));
    let Some(upper) = upper else { return Some(Why::ReadOnly) };
    let upper = PathBuf::from(std::ffi::OsStr::from_bytes(upper));
    // Its path is of the time when it was mounted. If that leads back to the overlay itself, it is out of sight.
    let Some(below) = under(mounts, &upper).filter(|below| below.number != overlay.number && depth < DEPTH)
    else {
        return Some(Why::Overlay { upper, in_memory: false });
    };
    match fault(mounts, below, depth + 1) {
        Some(Why::InMemory { .. }) => Some(Why::Overlay { upper, in_memory: true }),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARD: &str = "29 1 179:2 / / rw,noatime shared:1 - ext4 /dev/mmcblk0p2 rw\n";

    /// What the mounts alone say of `/var/lib/rackside`.
    fn said(mountinfo: &str) -> Option<Why> {
        let mounts = parse(mountinfo.as_bytes());
        let mount = under(&mounts, Path::new("/var/lib/rackside")).expect("a mount");
        fault(&mounts, mount, 0)
    }

    fn with_card(line: &str) -> Option<Why> {
        said(&format!("{CARD}{line}\n"))
    }

    #[test]
    fn a_pis_card_is_durable() {
        assert_eq!(said(CARD), None);
        assert_eq!(
            with_card("40 29 0:35 / /run rw - tmpfs tmpfs rw"),
            None,
            "another mount is of no concern"
        );
        assert_eq!(with_card("40 29 0:35 / /var/libx rw - tmpfs tmpfs rw"), None, "nor one of a like name");
    }

    #[test]
    fn memory_is_not_durable_whatever_its_name() {
        let memory =
            |system: &str, mount: &str| Some(Why::InMemory { system: system.into(), mount: mount.into() });
        assert_eq!(with_card("40 29 0:35 / /var/lib rw - tmpfs tmpfs rw"), memory("tmpfs", "/var/lib"));
        assert_eq!(with_card("40 29 0:35 / /var rw - ramfs none rw"), memory("ramfs", "/var"));
        assert_eq!(
            with_card("40 29 252:0 / /var rw - ext4 /dev/zram0 rw"),
            memory("ext4", "/var"),
            "log2ram"
        );
    }

    #[test]
    fn read_only_is_seen_in_either_place() {
        assert_eq!(said("29 1 179:2 / / ro,noatime - ext4 /dev/mmcblk0p2 rw\n"), Some(Why::ReadOnly));
        assert_eq!(
            said("29 1 179:2 / / rw - ext4 /dev/mmcblk0p2 ro,errors=remount-ro\n"),
            Some(Why::ReadOnly)
        );
        assert_eq!(said("29 1 179:2 / / rw - ext4 /dev/mmcblk0p2 rw,errors=remount-ro\n"), None);
        assert_eq!(
            said("29 1 179:2 / / rw,noatime - ext4 /dev/mmcblk0p2 rw,abort,emergency_ro\n"),
            Some(Why::ReadOnly),
            "errors=remount-ro"
        );
        assert_eq!(said("29 1 7:1 / / rw - squashfs /dev/loop1 rw\n"), Some(Why::ReadOnly));
        assert_eq!(
            said("29 1 0:9 / / rw - overlay overlay rw,lowerdir=/a:/b\n"),
            Some(Why::ReadOnly),
            "no upper"
        );
    }

    #[test]
    fn raspberry_pi_oss_overlay_root_is_in_memory() {
        // Bookworm: the overlayroot package leaves the memory in sight.
        let package = "\
22 1 0:20 / / rw,relatime - overlay overlayroot rw,lowerdir=/media/root-ro,upperdir=/media/root-rw/overlay,workdir=/media/root-rw/overlay-workdir/_
23 22 179:2 / /media/root-ro ro,relatime - ext4 /dev/mmcblk0p2 ro
24 22 0:19 / /media/root-rw rw,relatime - tmpfs tmpfs-root rw
";
        let upper = |path: &str, in_memory| Some(Why::Overlay { upper: path.into(), in_memory });
        assert_eq!(said(package), upper("/media/root-rw/overlay", true));
        // Before: raspi-config's own script, whose memory is out of sight.
        let script = "22 1 0:20 / / rw,relatime - overlay overlay rw,lowerdir=/lower,upperdir=/upper/data,workdir=/upper/work\n";
        assert_eq!(said(script), upper("/upper/data", false));
    }

    #[test]
    fn an_overlay_is_as_good_as_its_upper_layer() {
        let on = |upper: &str| {
            format!("50 29 0:50 / /var rw - overlay o rw,lowerdir=/l,upperdir={upper},workdir=/w")
        };
        assert_eq!(with_card(&on("/data/upper")), None);
        let stick = "41 29 8:1 / /media/my\\040stick ro - vfat /dev/sda1 ro\n";
        assert_eq!(with_card(&format!("{stick}{}", on("/media/my\\040stick/up"))), Some(Why::ReadOnly));
    }

    #[test]
    fn an_overlay_upon_itself_ends() {
        let circle = "50 29 0:50 / /var rw - overlay o rw,lowerdir=/l,upperdir=/srv/up,workdir=/w\n\
                      51 29 0:51 / /srv rw - overlay o rw,lowerdir=/l,upperdir=/var/up,workdir=/w";
        assert!(matches!(with_card(circle), Some(Why::Overlay { in_memory: false, .. })));
    }

    #[test]
    fn what_another_machine_serves_may_hang() {
        for system in ["nfs4", "cifs", "fuse.sshfs"] {
            let line = format!("40 29 0:44 / /var/lib rw - {system} hub:/srv rw");
            assert_eq!(with_card(&line), Some(Why::Served { system: system.into() }));
        }
        assert_eq!(with_card("40 29 8:1 / /var/lib rw - fuseblk /dev/sda1 rw"), None, "ntfs-3g is a disk");
    }

    #[test]
    fn the_last_mount_on_a_path_is_the_one() {
        let twice = "40 29 8:1 / /var rw - ext4 /dev/sda1 rw\n41 40 0:44 / /var rw - tmpfs tmpfs rw";
        assert!(matches!(with_card(twice), Some(Why::InMemory { .. })));
    }

    #[test]
    fn nonsense_is_no_mount() {
        assert_eq!(parse(b"\n\n1\n1 2 3 4 5\nx 1 1:1 / / rw - ext4 d rw\n1 1 1:1 / / rw no dash\n"), []);
    }

    /// A `/proc` with these mounts.
    fn proc(mountinfo: &str) -> tempfile::TempDir {
        let proc = tempfile::tempdir().expect("a directory");
        fs::create_dir(proc.path().join("self")).expect("made");
        fs::write(proc.path().join("self/mountinfo"), mountinfo).expect("written");
        proc
    }

    #[test]
    fn a_missing_directory_is_made_for_this_user_alone_or_left() {
        use std::os::unix::fs::PermissionsExt as _;
        let (proc, above) = (proc(CARD), tempfile::tempdir().expect("a directory"));
        let state = above.path().join("rackside");
        assert!(judge(&state, proc.path(), Missing::Leave).is_ok());
        assert!(!state.exists(), "only looked at");
        assert!(judge(&state, proc.path(), Missing::Make).is_ok_and(|durable| durable.free >= ROOM));
        assert_eq!(fs::metadata(&state).expect("made").permissions().mode() & 0o777, 0o700);
        let deep = above.path().join("a/b");
        for missing in [Missing::Make, Missing::Leave] {
            let unfit = judge(&deep, proc.path(), missing).expect_err("nothing to make it in");
            assert!(matches!(unfit.why, Why::Missing { .. }) && unfit.may_heal(), "{unfit}");
        }
    }

    #[test]
    fn a_missing_directory_on_a_read_only_disk_says_read_only() {
        let proc = proc("29 1 179:2 / / ro - ext4 /dev/mmcblk0p2 ro\n");
        let unfit = judge(Path::new("/proc/rackside"), proc.path(), Missing::Make).expect_err("unfit");
        assert_eq!(unfit.to_string(), "/proc/rackside is on a file system that is mounted read-only");
    }

    #[test]
    fn an_overlay_out_of_sight_is_a_containers_disk_unless_the_machine_has_an_overlay_root() {
        let hidden =
            "22 1 0:20 / / rw - overlay overlay rw,lowerdir=/lower,upperdir=/upper/data,workdir=/w\n";
        let (proc, state) = (proc(hidden), tempfile::tempdir().expect("a directory"));
        // The table knows nothing of where the directory really is: the mount is found by its path.
        assert!(judge(state.path(), proc.path(), Missing::Leave).is_ok());
        for told in ["quiet boot=overlay", "overlayroot=tmpfs rootwait"] {
            fs::write(proc.path().join("cmdline"), told).expect("written");
            let unfit = judge(state.path(), proc.path(), Missing::Leave).expect_err("in memory");
            assert!(matches!(unfit.why, Why::Overlay { in_memory: false, .. }), "{unfit}");
        }
    }

    #[test]
    fn a_file_is_no_directory() {
        let (proc, file) = (proc(CARD), tempfile::NamedTempFile::new().expect("a file"));
        let unfit = judge(file.path(), proc.path(), Missing::Make).expect_err("unfit");
        assert_eq!(unfit.why, Why::NotADirectory);
    }

    #[test]
    fn without_a_table_of_mounts_nobody_can_tell() {
        let nothing = tempfile::tempdir().expect("a directory");
        let unfit = judge(nothing.path(), nothing.path(), Missing::Make).expect_err("unfit");
        assert!(unfit.to_string().contains("self/mountinfo"), "{unfit}");
    }

    #[test]
    fn this_machines_memory_is_recognised_through_a_link() {
        let memory = Path::new("/dev/shm");
        if !fs::read_to_string("/proc/self/mountinfo").expect("a table").contains(" /dev/shm ") {
            return;
        }
        let dir = tempfile::tempdir().expect("a directory");
        let link = dir.path().join("state");
        std::os::unix::fs::symlink(memory, &link).expect("a link");
        let unfit = judge(&link, Path::new("/proc"), Missing::Make).expect_err("in memory");
        assert!(matches!(unfit.why, Why::InMemory { .. }), "{unfit}");
    }
}
