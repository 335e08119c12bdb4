//! Space on the file systems that an operator means by "the disk", from `/proc/mounts` and `statvfs`.
//!
//! ```text
//! /dev/mmcblk0p2 / ext4 rw,noatime 0 0
//! /dev/sda1 /media/USB\040stick vfat rw,relatime 0 0
//! ```
//!
//! Shown are file systems on block devices, ZFS pools, and whatever `/` is. Not shown: loop devices (images, snaps), file
//! systems without a device, and further mounts of a device that is shown already. What is not shown is not touched either:
//! a network or FUSE file system whose server is gone would hang whoever asks it for its size, and with it the agent. That
//! is why this sensor does not use sysinfo, which asks every mount, and keeps the old figures where a disk has failed.

use super::{Machine, Report, SPACE, SensorError, text};
use crate::clock::Moment;
use rackside_proto::{Value, metric};
use std::collections::HashSet;
use std::io;

/// A mounted file system.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mount {
    device: String,
    path: String,
}

pub(super) fn read(machine: &mut Machine, _: &Moment, report: &mut Report) -> Result<(), SensorError> {
    let mut mounts = candidates(&text(&machine.roots.proc.join("mounts"))?);
    mounts.retain(|mount| {
        let is_text = !mount.path.contains(char::REPLACEMENT_CHARACTER);
        if !is_text {
            report.notes.push(format!("the disk at {:?} is left out: its name is not UTF-8", mount.path));
        }
        is_text
    });
    for Mount { path, .. } in
        unique(mounts, |path| may_be_disk(std::fs::metadata(path).map(|found| found.is_dir())))
    {
        let labels = [path.as_str()];
        if let Ok(found) = rustix::fs::statvfs(path.as_str()) {
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
    }
    Ok(())
}

/// Blocks in use, and blocks that ordinary users can have at all: what is in use and what is available to them. What is kept
/// back for root is in neither, so the disk is full for them at used = total, and the ratio is what `df` calls `Use%`.
fn space(blocks: u64, free: u64, available: u64) -> (u64, u64) {
    let used = blocks.saturating_sub(free);
    (used, used + available)
}

/// The mounts that may be worth showing. Of several on one path the last one hides the others.
fn candidates(mounts: &str) -> Vec<Mount> {
    let mut found: Vec<Mount> = Vec::new();
    let mut covered: HashSet<&str> = HashSet::new();
    for line in mounts.lines().rev() {
        let mut words = line.split(' ');
        let (Some(device), Some(path), Some(system)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        if !covered.insert(path) {
            continue;
        }
        let root = path == "/" && system != "rootfs";
        let block = device.starts_with("/dev/") && !device.starts_with("/dev/loop");
        let image = matches!(system, "squashfs" | "iso9660" | "erofs") || system.starts_with("fuse");
        // ntfs-3g and exfat-fuse are "fuseblk": FUSE, but on a disk of this machine.
        if root || (block && (!image || system == "fuseblk")) || system == "zfs" {
            found.push(Mount { device: unescaped(device), path: unescaped(path) });
        }
    }
    found
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
fn unescaped(word: &str) -> String {
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

    fn shown(mounts: &str) -> Vec<String> {
        unique(candidates(mounts), |_| true).into_iter().map(|mount| mount.path).collect()
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
        let shown = unique(candidates(&mounts.join("\n")), |_| {
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
    fn a_name_that_is_no_text_hides_no_other_disk() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let disk = dir.path().join("disk");
        std::fs::create_dir(&disk).expect("a directory");
        let good = format!("/dev/sda1 {} ext4 rw 0 0\n", disk.display());
        let mounts = [b"/dev/sdb1 /media/B\xfchne vfat rw 0 0\n", good.as_bytes()].concat();
        std::fs::write(dir.path().join("mounts"), mounts).expect("written");
        let mut machine =
            Machine::new(super::super::Roots { proc: dir.path().into(), sys: dir.path().into() });
        let moment = crate::clock::Clock::new(crate::clock::Trust::Auto, dir.path()).read();
        let mut report = Report::default();
        assert_eq!(read(&mut machine, &moment, &mut report), Ok(()));
        assert_eq!(report.entries().len(), 2, "used and total of the good one");
        assert!(report.notes()[0].contains("/media/B\u{fffd}hne"), "{:?}", report.notes());
    }

    #[test]
    fn a_single_file_of_the_hosts_disk_is_no_disk() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (file, disk) = (dir.path().join("hosts"), dir.path().join("disk"));
        std::fs::write(&file, "").expect("a file");
        std::fs::create_dir(&disk).expect("a directory");
        let mounts =
            format!("/dev/sda1 {} ext4 rw 0 0\n/dev/sda1 {} ext4 rw 0 0\n", file.display(), disk.display());
        std::fs::write(dir.path().join("mounts"), mounts).expect("written");
        let mut machine =
            Machine::new(super::super::Roots { proc: dir.path().into(), sys: dir.path().into() });
        let moment = crate::clock::Clock::new(crate::clock::Trust::Auto, dir.path()).read();
        let mut report = Report::default();
        read(&mut machine, &moment, &mut report).expect("a table");
        let names: Vec<_> = report.entries().iter().map(|e| (e.metric.name, e.labels[0].clone())).collect();
        let path = disk.display().to_string();
        assert_eq!(names, [(metric::DISK_USED.name, path.clone()), (metric::DISK_TOTAL.name, path)]);
        assert!(report.entries()[1].value.known().is_some_and(|total| total > 0));
    }
}
