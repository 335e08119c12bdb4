//! Space on the file systems that an operator means by "the disk", by sysinfo from `/proc/mounts` and `statvfs`.
//!
//! Shown are file systems on block devices, ZFS pools, and whatever `/` is. Not shown: loop devices (images, snaps), file
//! systems without a device, network ones (asking them may hang), and further mounts of a device that is shown already.

use super::{Machine, Report, SPACE, SensorError};
use crate::clock::Moment;
use rackside_proto::metric;
use std::fmt;
use sysinfo::{DiskRefreshKind, Disks};

/// sysinfo's list, kept so that it asks again only for what it knows.
#[derive(Default)]
pub(super) struct State(Option<Disks>);

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("State")
    }
}

/// A mounted file system.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mount {
    device: String,
    path: String,
    system: String,
    /// In bytes.
    total: u64,
    /// What an ordinary user can still fill, in bytes.
    available: u64,
}

pub(super) fn read(machine: &mut Machine, _: &Moment, report: &mut Report) -> Result<(), SensorError> {
    let kind = DiskRefreshKind::nothing().with_storage();
    let disks = match &mut machine.disk.0 {
        Some(disks) => {
            disks.refresh_specifics(true, kind);
            disks
        }
        none => {
            let disks = Disks::new_with_refreshed_list_specifics(kind);
            none.insert(disks.map_err(|error| SensorError::new("the mounted file systems", error))?)
        }
    };
    let mounts = disks.iter().map(|disk| Mount {
        device: disk.name().to_string_lossy().into_owned(),
        path: disk.mount_point().to_string_lossy().into_owned(),
        system: disk.file_system().to_string_lossy().into_owned(),
        total: disk.total_space(),
        available: disk.available_space(),
    });
    for disk in choose(mounts.collect()) {
        let labels = [disk.path.as_str()];
        report.put(&metric::DISK_USED, &labels, SPACE, disk.total.saturating_sub(disk.available) as f64);
        report.put(&metric::DISK_TOTAL, &labels, SPACE, disk.total as f64);
    }
    Ok(())
}

/// The mounts worth showing, by their paths.
fn choose(mut mounts: Vec<Mount>) -> Vec<Mount> {
    mounts.retain(|mount| mount.total > 0 && (mount.path == "/" || is_disk(mount)));
    // Of several mounts of one device, the one with the shortest path is the file system and the others are views of it.
    mounts.sort_by(|a, b| (a.path.len(), &a.path).cmp(&(b.path.len(), &b.path)));
    let mut chosen: Vec<Mount> = Vec::new();
    for mount in mounts {
        if !chosen.iter().any(|other| other.path == mount.path || other.device == mount.device) {
            chosen.push(mount);
        }
    }
    chosen.sort_by(|a, b| a.path.cmp(&b.path));
    chosen
}

fn is_disk(mount: &Mount) -> bool {
    let block = mount.device.starts_with("/dev/") && !mount.device.starts_with("/dev/loop");
    // A bind mount of a single file, as containers have for /etc/hosts, is seen by its device being shown elsewhere.
    let real = !matches!(mount.system.as_str(), "squashfs" | "iso9660" | "erofs" | "overlay");
    (block && real) || mount.system == "zfs"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(device: &str, path: &str, system: &str) -> Mount {
        Mount { device: device.into(), path: path.into(), system: system.into(), total: 1, available: 0 }
    }

    fn shown(mounts: &[Mount]) -> Vec<String> {
        choose(mounts.to_vec()).into_iter().map(|mount| mount.path).collect()
    }

    #[test]
    fn a_pi_shows_its_root_and_its_boot_partition() {
        let mounts = [
            mount("/dev/mmcblk0p1", "/boot/firmware", "vfat"),
            mount("/dev/mmcblk0p2", "/", "ext4"),
            mount("tmpfs", "/tmp", "tmpfs"),
            mount("/dev/loop3", "/snap/core/1", "squashfs"),
        ];
        assert_eq!(shown(&mounts), ["/", "/boot/firmware"]);
    }

    #[test]
    fn a_device_is_shown_once_at_its_shortest_path() {
        let mounts = [
            mount("/dev/sda1", "/srv/recordings", "ext4"),
            mount("/dev/sda1", "/srv", "ext4"),
            mount("/dev/sda1", "/etc/hosts", "ext4"),
        ];
        assert_eq!(shown(&mounts), ["/srv"]);
    }

    #[test]
    fn a_container_shows_its_root_whatever_it_is() {
        let mounts = [mount("overlay", "/", "overlay"), mount("overlay", "/var/lib/x", "overlay")];
        assert_eq!(shown(&mounts), ["/"]);
    }

    #[test]
    fn a_file_system_without_size_is_not_a_disk() {
        let empty = Mount { total: 0, ..mount("/dev/sda1", "/media/card", "vfat") };
        assert!(shown(&[empty]).is_empty());
    }
}
