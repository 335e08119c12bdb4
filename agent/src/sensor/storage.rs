//! What cards and disks have been through, and what an ext4 has found wrong with itself.
//!
//! | file | says |
//! |---|---|
//! | `/sys/block/mmcblk0/device/life_time` | eMMC only: `0x01 0x02`, tenths of its life that are used up, for each of its two kinds of memory |
//! | `/sys/block/mmcblk0/device/pre_eol_info` | eMMC only: reserve blocks: `0x01` normal, `0x02` most are used up, `0x03` nearly none is left |
//! | `/sys/block/mmcblk0/stat` | the seventh number: sectors of 512 bytes written since it was found |
//! | `/sys/fs/ext4/mmcblk0p2/lifetime_write_kbytes` | written since the file system was made |
//! | `/sys/fs/ext4/mmcblk0p2/errors_count` | errors since it was last repaired |
//!
//! An SD card says nothing of its wear: what was written to it is all that there is. Asked for once a minute.

use super::kept::{Kept, count, word};
use super::{Machine, Report, Roots, SensorError};
use crate::clock::Moment;
use rackside_proto::metric::{self, Metric};
use rackside_proto::{Scale, Value, limits};
use std::path::Path;

/// Steps of what was written: a card that idles is written to all the time, and its wear is counted in terabytes.
const WRITTEN: Scale = Scale::times(1 << 20);
const LIFETIME_WRITTEN: Scale = Scale::times(64 << 20);

const TENTHS: Scale = Scale::per(10);

/// A series, ready to be reported.
type Line = (&'static Metric, String, Scale, Value);

pub(super) type State = Kept<Vec<Line>>;

/// An ext4 that the disk's sensor shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ext4 {
    /// Where it is mounted.
    pub(super) mount: String,
    /// Its device's number: `179:2`.
    pub(super) number: String,
}

#[expect(clippy::unnecessary_wraps, reason = "every sensor may fail, and this one happens not to")]
pub(super) fn read(machine: &mut Machine, moment: &Moment, report: &mut Report) -> Result<(), SensorError> {
    let Machine { roots, storage, ext4s, .. } = machine;
    for (metric, label, scale, value) in storage.at(moment.now, || ask(roots, ext4s)) {
        report.put_value(metric, &[label], *scale, *value);
    }
    Ok(())
}

fn ask(roots: &Roots, ext4s: &[Ext4]) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut put = |metric, label: &str, scale, value: Option<Value>| {
        lines.extend(value.map(|value| (metric, label.to_owned(), scale, value)));
    };
    let entries = std::fs::read_dir(roots.sys.join("block")).into_iter().flatten().flatten();
    // What has a device behind it is a disk or a card; loops, RAM disks and mappings have none.
    let mut disks: Vec<_> =
        entries.map(|entry| entry.path()).filter(|disk| disk.join("device").exists()).collect();
    disks.sort();
    for disk in disks {
        let Some(name) = disk.file_name().and_then(|name| name.to_str()) else { continue };
        let ask = |name: &str, read: fn(&str) -> Option<Value>| match word(&disk.join(name)) {
            Ok(text) => read(&text?),
            Err(_) => Some(Value::Unknown),
        };
        put(&metric::STORAGE_LIFE_USED, name, TENTHS, ask("device/life_time", life_used));
        put(&metric::STORAGE_RESERVE, name, Scale::ONE, ask("device/pre_eol_info", reserve));
        // Reserved areas of an eMMC are disks of their own, and nobody writes there.
        if !(name.starts_with("mmcblk") && name.contains("boot")) {
            put(&metric::STORAGE_WRITTEN, name, WRITTEN, ask("stat", written));
        }
    }
    for Ext4 { mount, number: device } in ext4s {
        let Some(name) = kernel_name(&roots.sys, device) else { continue };
        let file = |file: &str| count(&roots.sys.join("fs/ext4").join(&name).join(file));
        put(&metric::DISK_ERRORS, mount, Scale::ONE, file("errors_count"));
        let written = file("lifetime_write_kbytes").map(|value| match value {
            Value::Known(kilobytes) => steps(kilobytes.unsigned_abs().saturating_mul(1024), LIFETIME_WRITTEN),
            silent => silent,
        });
        put(&metric::DISK_LIFETIME_WRITTEN, mount, LIFETIME_WRITTEN, written);
    }
    lines
}

/// `mmcblk0p2` for `179:2`.
fn kernel_name(sys: &Path, number: &str) -> Option<String> {
    let target = std::fs::read_link(sys.join("dev/block").join(number)).ok()?;
    Some(target.file_name()?.to_str()?.to_owned())
}

/// The worse of both, in tenths: the upper end of what each number stands for. `0x00` is a card that does not tell.
fn life_used(text: &str) -> Option<Value> {
    match text.split_whitespace().map(hexadecimal).collect::<Option<Vec<i64>>>()?.into_iter().max()? {
        0 => None,
        tenths @ 1..=11 => Some(Value::Known(tenths)),
        _ => Some(Value::Unknown),
    }
}

fn reserve(text: &str) -> Option<Value> {
    match hexadecimal(text)? {
        0 => None,
        state @ 1..=3 => Some(Value::Known(state)),
        _ => Some(Value::Unknown),
    }
}

/// `0x0a`
fn hexadecimal(word: &str) -> Option<i64> {
    i64::from_str_radix(word.strip_prefix("0x")?, 16).ok()
}

/// The seventh number, in sectors.
#[expect(clippy::unnecessary_wraps, reason = "one of the three things that a disk is asked for")]
fn written(stat: &str) -> Option<Value> {
    let sectors = stat.split_whitespace().nth(6).and_then(|word| word.parse::<u64>().ok());
    let bytes = sectors.and_then(|sectors| sectors.checked_mul(512));
    Some(bytes.map_or(Value::Unknown, |bytes| steps(bytes, WRITTEN)))
}

/// Whole steps of `scale`; what is left over comes with the next.
fn steps(bytes: u64, scale: Scale) -> Value {
    Value::Known((bytes / u64::from(scale.times) % limits::MAGNITUDE as u64) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn the_worse_memory_of_an_emmc_counts() {
        assert_eq!(life_used("0x01 0x02"), Some(Value::Known(2)));
        assert_eq!(life_used("0x0b 0x01"), Some(Value::Known(11)), "it has outlived its promise");
        assert_eq!(life_used("0x00 0x00"), None, "it does not tell");
        assert_eq!(life_used("0x0c 0x01"), Some(Value::Unknown));
        for text in ["", "1 2", "0x01 worn"] {
            assert_eq!(life_used(text), None, "{text}");
        }
        let states = ["0x01", "0x03", "0x04", "0x00", ""].map(reserve);
        assert_eq!(states, [Some(Value::Known(1)), Some(Value::Known(3)), Some(Value::Unknown), None, None]);
    }

    #[test]
    fn the_seventh_number_is_what_was_written() {
        let stat =
            "12345      678   987654     4321    54321     1234  7654321    98765        0    45678   103086";
        assert_eq!(written(stat), Some(Value::Known((7_654_321 * 512) >> 20)));
        for text in ["1 2 3 4 5 6", "a b c d e f g", "", "1 2 3 4 5 6 18446744073709551615"] {
            assert_eq!(written(text), Some(Value::Unknown), "{text}");
        }
    }

    /// `metric{label} number`.
    fn shown(root: &Path, ext4s: &[Ext4]) -> Vec<String> {
        let line = |(metric, label, _, value): Line| {
            let value = value.known().map_or("?".to_owned(), |number| number.to_string());
            format!("{} {label} {value}", metric.name.trim_start_matches("rackside_"))
        };
        ask(&Roots::below(root), ext4s).into_iter().map(line).collect()
    }

    #[test]
    fn a_card_an_emmc_and_an_ext4_tell_what_they_can() {
        let root = tempfile::tempdir().expect("a temporary directory");
        let write = |path: &str, text: &str| {
            let path = root.path().join("sys").join(path);
            fs::create_dir_all(path.parent().expect("below the root")).expect("directories");
            fs::write(path, text).expect("written");
        };
        assert_eq!(shown(root.path(), &[]), [""; 0]);
        write("block/mmcblk0/device/type", "MMC\n");
        write("block/mmcblk0/device/life_time", "0x01 0x02\n");
        write("block/mmcblk0/device/pre_eol_info", "0x01\n");
        write("block/mmcblk0/stat", "0 0 0 0 0 0 4096 0 0 0 0\n");
        write("block/mmcblk0boot0/device/type", "MMC\n");
        write("block/mmcblk0boot0/stat", "0 0 0 0 0 0 0 0 0 0 0\n");
        write("block/loop0/stat", "0 0 0 0 0 0 9999 0 0 0 0\n");
        write("block/sda/device/model", "USB\n");
        write("block/sda/stat", "garbage\n");
        write("fs/ext4/mmcblk0p2/errors_count", "3\n");
        write("fs/ext4/mmcblk0p2/lifetime_write_kbytes", "1048576\n");
        write("fs/ext4/features/lazy_itable_init", "supported\n");
        fs::create_dir_all(root.path().join("sys/dev/block")).expect("a directory");
        symlink("../../block/mmcblk0/mmcblk0p2", root.path().join("sys/dev/block/179:2")).expect("a link");
        let ext4s = [
            Ext4 { mount: "/".into(), number: "179:2".into() },
            Ext4 { mount: "/srv".into(), number: "8:1".into() },
        ];
        let expected = [
            "storage_life_used_ratio mmcblk0 2",
            "storage_reserve_state mmcblk0 1",
            "storage_written_bytes_total mmcblk0 2",
            "storage_written_bytes_total sda ?",
            "disk_errors_total / 3",
            "disk_lifetime_written_bytes_total / 16",
        ];
        assert_eq!(shown(root.path(), &ext4s), expected);
    }
}
