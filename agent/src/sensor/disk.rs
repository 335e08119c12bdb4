//! Space on the file systems that an operator means by "the disk", and whether they can still be written to, from `/proc/self/mountinfo` and
//! `statvfs`.
//!
//! ```text
//! 26 1 179:2 / / rw,noatime shared:1 - ext4 /dev/mmcblk0p2 rw,errors=remount-ro
//! 71 26 8:1 / /media/USB\040stick rw,relatime shared:40 - vfat /dev/sda1 rw
//!       number  path                                     system device   what holds for the whole file system
//! ```
//!
//! Shown are file systems on block devices, ZFS pools, and whatever `/` is. Not shown: loop devices (images, snaps), file
//! systems without a device, and further mounts of a device that is shown already. What is not shown is not touched either:
//! a network or FUSE file system whose server is gone would hang whoever asks it for its size, and with it the agent. That
//! is why this sensor does not use sysinfo, which asks every mount, and keeps the old figures where a disk has failed.
//!
//! Read-only is what the whole file system is, not what a mount of it is: under systemd's `ProtectSystem=strict` every mount says `ro` to this
//! program. And it is a fault only in what is meant to be written to ([`fstab`](super::fstab)): others have no series, so whatever finds a 1 may
//! object without asking further.

use super::fstab::Fstab;
use super::kept::Kept;
use super::storage::Ext4;
use super::{Machine, Report, SPACE, SensorError, text};
use crate::clock::Moment;
use rackside_proto::{Scale, Value, metric};
use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

/// A mounted file system.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mount {
    device: String,
    /// Its device's number: `179:2`.
    number: String,
    path: String,
    system: String,
    is_read_only: bool,
}

impl Mount {
    fn key(&self) -> (String, String) {
        (self.device.clone(), self.path.clone())
    }
}

/// What is meant to be written to.
#[derive(Debug, Default)]
pub(super) struct State {
    fstab: Kept<Fstab>,
    /// Devices and paths that have been writable since the agent started.
    writable: HashSet<(String, String)>,
}

pub(super) fn read(machine: &mut Machine, moment: &Moment, report: &mut Report) -> Result<(), SensorError> {
    let Machine { roots, disk, ext4s, .. } = machine;
    ext4s.clear();
    let mut mounts = candidates(&text(&roots.proc.join("self/mountinfo"))?);
    mounts.retain(|mount| {
        let is_text = !mount.path.contains(char::REPLACEMENT_CHARACTER);
        if !is_text {
            report.notes.push(format!("the disk at {:?} is left out: its name is not UTF-8", mount.path));
        }
        is_text
    });
    let seen = |path: &str| within(&roots.root, path);
    let mounts =
        unique(mounts, |path| may_be_disk(std::fs::metadata(seen(path)).map(|found| found.is_dir())));
    // A stick that comes back is another one.
    disk.writable.retain(|known| mounts.iter().any(|mount| mount.key() == *known));
    for mount in mounts {
        let labels = [mount.path.as_str()];
        if let Ok(found) = rustix::fs::statvfs(seen(&mount.path)) {
            let (used, total) = space(found.f_blocks, found.f_bfree, found.f_bavail);
            let block = found.f_frsize as f64;
            if total > 0 {
                report.put(&metric::DISK_USED, &labels, SPACE, used as f64 * block);
                report.put(&metric::DISK_TOTAL, &labels, SPACE, total as f64 * block);
            }
        } else {
            // It is mounted and does not answer: a card that was pulled out, or died.
            report.put_value(&metric::DISK_USED, &labels, SPACE, Value::Unknown);
            report.put_value(&metric::DISK_TOTAL, &labels, SPACE, Value::Unknown);
        }
        let fstab = disk.fstab.at(moment.now, || Fstab::read(&within(&roots.root, "/etc/fstab")));
        if let Some(fault) = is_fault(&mount, fstab, &mut disk.writable) {
            report.put_value(&metric::DISK_READ_ONLY, &labels, Scale::ONE, Value::Known(fault.into()));
        }
        if mount.system == "ext4" {
            ext4s.push(Ext4 { mount: mount.path, number: mount.number });
        }
    }
    Ok(())
}

/// Where a path of the machine is, seen from here.
fn within(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

/// Whether it is read-only and should not be; `None` for one that is meant to be, or of which nobody knows. The table of file systems
/// decides; for what is not in it, whether it has been writable before.
fn is_fault(mount: &Mount, fstab: &Fstab, writable: &mut HashSet<(String, String)>) -> Option<bool> {
    let key = mount.key();
    if !mount.is_read_only {
        writable.insert(key);
        return Some(false);
    }
    let meant = fstab.is_writable(&mount.path).unwrap_or_else(|| writable.contains(&key));
    meant.then_some(true)
}

/// Blocks in use, and blocks that ordinary users can have at all: what is in use and what is available to them. What is kept
/// back for root is in neither, so the disk is full for them at used = total, and the ratio is what `df` calls `Use%`.
fn space(blocks: u64, free: u64, available: u64) -> (u64, u64) {
    let used = blocks.saturating_sub(free);
    (used, used + available)
}

/// The mounts that may be worth showing. Of several on one path the last one hides the others.
fn candidates(table: &str) -> Vec<Mount> {
    let mut found: Vec<Mount> = Vec::new();
    let mut covered: HashSet<&str> = HashSet::new();
    for line in table.lines().rev() {
        let Some([number, path, system, device, options]) = columns(line) else { continue };
        if !covered.insert(path) {
            continue;
        }
        let root = path == "/" && system != "rootfs";
        let block = device.starts_with("/dev/") && !device.starts_with("/dev/loop");
        let image = matches!(system, "squashfs" | "iso9660" | "erofs") || system.starts_with("fuse");
        // ntfs-3g and exfat-fuse are "fuseblk": FUSE, but on a disk of this machine.
        if root || (block && (!image || system == "fuseblk")) || system == "zfs" {
            found.push(Mount {
                device: unescaped(device),
                number: number.to_owned(),
                path: unescaped(path),
                system: system.to_owned(),
                is_read_only: options.split(',').any(is_read_only),
            });
        }
    }
    found
}

/// The device's number, the path, the system, the device and the whole file system's options. Between path and system stands any number of
/// words, up to a dash.
fn columns(line: &str) -> Option<[&str; 5]> {
    let (mount, system) = line.split_once(" - ")?;
    let mut mount = mount.split(' ').skip(2);
    let mut system = system.split(' ');
    Some([mount.next()?, mount.nth(1)?, system.next()?, system.next()?, system.next()?])
}

/// How a file system says that it takes nothing any more: mounted so or put so after an error, in the words of ext4 since Linux 6.15, or shut
/// down.
fn is_read_only(option: &str) -> bool {
    matches!(option, "ro" | "emergency_ro" | "shutdown")
}

/// Of several mounts of one device, the one with the shortest path is the file system and the others are views of it.
/// Containers have single files mounted from the host's disk, and /etc/hosts is no disk; asked is only about those that might
/// be chosen: there may be thousands.
fn unique(mut mounts: Vec<Mount>, is_dir: impl Fn(&str) -> bool) -> Vec<Mount> {
    mounts.sort_by(|a, b| (a.path.len(), &a.path).cmp(&(b.path.len(), &b.path)));
    let mut chosen: Vec<Mount> = Vec::new();
    for mount in mounts {
        if !chosen.iter().any(|other| other.device == mount.device) && is_dir(&mount.path) {
            chosen.push(mount);
        }
    }
    chosen.sort_by(|a, b| a.path.cmp(&b.path));
    chosen
}

/// Whether what is mounted there is a file system that this process can see. A disk that has died is one, all the same.
fn may_be_disk(is_dir: io::Result<bool>) -> bool {
    is_dir.unwrap_or_else(|error| {
        !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied)
    })
}

/// The kernel writes space, tab, line end and backslash as three octal digits.
pub(super) fn unescaped(word: &str) -> String {
    let mut parts = word.split('\\');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        if let Some(byte) = digits.filter(u8::is_ascii) {
            text.push(char::from(byte));
            text.push_str(&part[3..]);
        } else {
            text.push('\\');
            text.push_str(part);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `/dev/sda1 /srv ext4 rw` as the kernel has it.
    fn mountinfo(mounts: &str) -> String {
        let line = |(at, line): (usize, &str)| {
            let words: Vec<&str> = line.split(' ').collect();
            let [device, path, system, options, ..] = words.as_slice() else { return line.to_owned() };
            format!("{at} 1 8:{at} / {path} ro,relatime shared:{at} - {system} {device} {options}")
        };
        mounts.lines().enumerate().map(line).collect::<Vec<_>>().join("\n")
    }

    fn shown(mounts: &str) -> Vec<String> {
        unique(candidates(&mountinfo(mounts)), |_| true).into_iter().map(|mount| mount.path).collect()
    }

    #[test]
    fn a_disk_is_full_when_only_root_could_still_write() {
        // An ext4 of 1,000 blocks keeps 50 for root.
        assert_eq!(space(1000, 700, 650), (300, 950));
        assert_eq!(space(1000, 50, 0), (950, 950));
        assert_eq!(space(0, 0, 0), (0, 0), "proc and its kind have no blocks");
    }

    #[test]
    fn a_pi_shows_its_root_and_its_boot_partition() {
        let mounts = "\
sysfs /sys sysfs rw,nosuid 0 0
/dev/mmcblk0p2 / ext4 rw,noatime 0 0
tmpfs /run tmpfs rw,nosuid 0 0
/dev/mmcblk0p1 /boot/firmware vfat rw,relatime 0 0
/dev/loop3 /snap/core/1 squashfs ro 0 0
hub:/srv /mnt/share nfs4 rw,hard 0 0
me@hub:/ /mnt/ssh fuse.sshfs rw 0 0
";
        assert_eq!(shown(mounts), ["/", "/boot/firmware"]);
    }

    #[test]
    fn a_device_is_shown_once_at_its_shortest_path() {
        let mounts = "/dev/sda1 /srv/recordings ext4 rw 0 0\n/dev/sda1 /srv ext4 rw 0 0\n/dev/sda1 /var/lib/x ext4 rw 0 0\n";
        assert_eq!(shown(mounts), ["/srv"]);
    }

    #[test]
    fn a_container_shows_its_root_whatever_it_is() {
        assert_eq!(shown("overlay / overlay rw 0 0\noverlay /var/lib/x overlay rw 0 0\n"), ["/"]);
        assert_eq!(shown("rootfs / rootfs rw 0 0\n/dev/root / ext4 ro 0 0\n"), ["/"]);
    }

    #[test]
    fn what_is_mounted_over_is_hidden() {
        assert_eq!(shown("/dev/sda1 /srv ext4 rw 0 0\ntmpfs /srv tmpfs rw 0 0\n"), [""; 0]);
    }

    #[test]
    fn a_stick_has_any_name_and_may_be_ntfs() {
        assert_eq!(shown("/dev/sdb1 /media/USB\\040stick\\134x fuseblk rw 0 0\n"), ["/media/USB stick\\x"]);
        assert_eq!(unescaped("a\\9b"), "a\\9b");
        assert_eq!(unescaped("end\\04"), "end\\04");
    }

    #[test]
    fn a_disk_that_died_is_still_a_disk() {
        let failed = |number| may_be_disk(Err(io::Error::from_raw_os_error(number)));
        let (eio, enoent, eacces) = (5, 2, 13);
        assert_eq!((failed(eio), failed(enoent), failed(eacces)), (true, false, false));
        assert_eq!((may_be_disk(Ok(true)), may_be_disk(Ok(false))), (true, false));
    }

    #[test]
    fn thousands_of_views_of_a_device_are_one_disk_and_one_question() {
        let mounts: Vec<String> =
            (0..20_000).map(|n| format!("/dev/sda1 /var/lib/pods/{n:05} ext4 rw 0 0")).collect();
        let asked = std::cell::Cell::new(0);
        let shown = unique(candidates(&mountinfo(&mounts.join("\n"))), |_| {
            asked.set(asked.get() + 1);
            true
        });
        assert_eq!((shown.len(), shown[0].path.as_str(), asked.get()), (1, "/var/lib/pods/00000", 1));
    }

    #[test]
    fn nonsense_is_no_mount() {
        assert_eq!(shown("\n/dev/sda1\n/dev/sda1 /srv\n"), [""; 0]);
    }

    #[test]
    fn optional_words_may_be_missing_or_many() {
        let number = |line: &str| columns(line).map(|columns| columns[0].to_owned());
        assert_eq!(number("26 1 179:2 / / rw - ext4 /dev/root rw").as_deref(), Some("179:2"));
        assert_eq!(
            number("26 1 179:2 / / rw shared:1 master:2 - ext4 /dev/root rw").as_deref(),
            Some("179:2")
        );
        for line in [
            "",
            "26 1 179:2 / / rw ext4 /dev/root rw",
            "26 1 179:2 - ext4 /dev/root rw",
            "26 1 179:2 / / rw - ext4",
        ] {
            assert_eq!(number(line), None, "{line}");
        }
    }

    /// A machine whose mounts are below a directory.
    struct Bench {
        root: tempfile::TempDir,
        machine: Machine,
        moment: Moment,
    }

    impl Bench {
        fn new(fstab: &str) -> Self {
            let root = tempfile::tempdir().expect("a temporary directory");
            for path in ["proc/self", "root/etc", "root/srv"] {
                std::fs::create_dir_all(root.path().join(path)).expect("directories");
            }
            std::fs::write(root.path().join("root/etc/fstab"), fstab).expect("written");
            let machine = Machine::new(super::super::Roots::below(root.path()));
            let moment = crate::clock::Clock::new(crate::clock::Trust::Auto, root.path()).read();
            Self { root, machine, moment }
        }

        fn reads(&mut self, mountinfo: impl AsRef<[u8]>) -> Report {
            std::fs::write(self.root.path().join("proc/self/mountinfo"), mountinfo).expect("written");
            let mut report = Report::default();
            read(&mut self.machine, &self.moment, &mut report).expect("a table");
            report
        }

        /// What the series about `/srv` says; it is mounted with these options.
        fn srv(&mut self, options: &str) -> Option<Value> {
            let report = self.reads(mountinfo(&format!("/dev/sda1 /srv ext4 {options}")));
            let read_only = |entry: &&super::super::Entry| entry.metric.name == metric::DISK_READ_ONLY.name;
            report.entries().iter().find(read_only).map(|entry| entry.value)
        }
    }

    #[test]
    fn the_whole_file_system_counts_and_not_a_mount_of_it() {
        // Each of these mounts says `ro`, as under ProtectSystem=strict.
        assert_eq!(Bench::new("").srv("rw,errors=remount-ro"), Some(Value::Known(0)));
    }

    #[test]
    fn what_is_meant_to_be_written_to_and_is_not_is_a_fault() {
        let fault = Some(Value::Known(1));
        let mut meant = Bench::new("UUID=1 /srv ext4 defaults,noatime 0 2\n");
        assert_eq!(
            [meant.srv("ro,errors=remount-ro"), meant.srv("rw,emergency_ro"), meant.srv("rw,shutdown")],
            [fault; 3]
        );
        let mut nobody_knows = Bench::new("");
        assert_eq!(nobody_knows.srv("ro"), None);
        assert_eq!(nobody_knows.srv("rw"), Some(Value::Known(0)));
        assert_eq!(nobody_knows.srv("ro"), fault, "it has become so");
        nobody_knows.reads("");
        assert_eq!(nobody_knows.srv("ro"), None, "and this is another one");
    }

    #[test]
    fn what_is_read_only_by_design_is_none() {
        let mut bench = Bench::new("UUID=1 /srv ext4 ro,noatime 0 2\n");
        assert_eq!([bench.srv("ro"), bench.srv("rw"), bench.srv("ro")], [None, Some(Value::Known(0)), None]);
        // Nobody lists the lower half of an overlay, or an image as the root.
        let design = "/dev/root / squashfs ro\n/dev/mmcblk0p2 /srv ext4 ro";
        let report = bench.reads(mountinfo(design));
        assert!(!report.entries().iter().any(|entry| entry.metric.name == metric::DISK_READ_ONLY.name));
    }

    #[test]
    fn a_name_that_is_no_text_hides_no_other_disk() {
        let good = mountinfo("/dev/sda1 /srv ext4 rw");
        let bad = b"9 1 8:17 / /media/B\xfchne rw - vfat /dev/sdb1 rw\n";
        let report = Bench::new("").reads([bad, good.as_bytes()].concat());
        assert_eq!(report.entries().len(), 3, "used, total and read-only of the good one");
        assert!(report.notes()[0].contains("/media/B\u{fffd}hne"), "{:?}", report.notes());
    }

    #[test]
    fn a_single_file_of_the_hosts_disk_is_no_disk() {
        let mut bench = Bench::new("");
        let report = bench.reads(mountinfo("/dev/sda1 /etc/fstab ext4 rw\n/dev/sda1 /srv ext4 rw"));
        let names: Vec<_> = report.entries().iter().map(|e| (e.metric.name, e.labels[0].as_str())).collect();
        let expected = [&metric::DISK_USED, &metric::DISK_TOTAL, &metric::DISK_READ_ONLY];
        assert_eq!(names, expected.map(|metric| (metric.name, "/srv")));
        assert!(report.entries()[1].value.known().is_some_and(|total| total > 0));
        assert_eq!(bench.machine.ext4s, [Ext4 { mount: "/srv".into(), number: "8:1".into() }]);
    }
}
