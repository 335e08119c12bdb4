//! Which board this is: the device tree says its name, the kernel its revision code, and rppal whether it is a Raspberry Pi whose pins it
//! can drive.
//!
//! None of it is an error: most machines that try the agent out are no Pi. The revision code stands in `/proc/cpuinfo` on Raspberry Pi OS
//! (`Revision : c04170`), and on other systems' kernels in the device tree alone, as four bytes, where the firmware puts it
//! (`/proc/device-tree/system/linux,revision`).

use rackside_proto::Revision;
use rppal::system::DeviceInfo;
use std::path::Path;

/// A board.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Board {
    /// What it calls itself (`Raspberry Pi 4 Model B Rev 1.4`), or nothing.
    pub model: String,
    /// The revision code of a Raspberry Pi.
    pub revision: Option<Revision>,
    /// Whether it has pins that a program can drive.
    pub gpio: bool,
}

impl Board {
    /// Asks the device tree and rppal.
    pub fn recognise(root: &Path) -> Self {
        let tree =
            std::fs::read(root.join("proc/device-tree/model")).ok().and_then(|text| parse_model(&text));
        let pi = DeviceInfo::new().ok().map(|info| info.model().to_string());
        let gpio = pi.is_some() && root.join("dev/gpiochip0").exists();
        let model = tree.or(pi).unwrap_or_default();
        let revision = model.starts_with("Raspberry Pi").then(|| revision(root)).flatten();
        Self { model, revision, gpio }
    }
}

fn revision(root: &Path) -> Option<Revision> {
    let table = std::fs::read(root.join("proc/cpuinfo")).ok();
    let tree = std::fs::read(root.join("proc/device-tree/system/linux,revision")).ok();
    let code = table.and_then(|table| parse_revision(&String::from_utf8_lossy(&table)));
    let code = code.or_else(|| Some(u32::from_be_bytes(tree?.try_into().ok()?)));
    code.filter(|code| *code != 0).map(Revision)
}

/// `Revision : c04170`, among the last lines of `/proc/cpuinfo`. Processors of other makers have a line like it for each core.
fn parse_revision(table: &str) -> Option<u32> {
    let code =
        table.lines().rev().find_map(|line| line.strip_prefix("Revision")?.trim_start().strip_prefix(':'))?;
    u32::from_str_radix(code.trim(), 16).ok()
}

/// The device tree ends its texts with a zero byte.
fn parse_model(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_end_matches('\0').trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_device_trees_name_loses_its_zero_byte() {
        let model = parse_model(b"Raspberry Pi 5 Model B Rev 1.0\0");
        assert_eq!(model.as_deref(), Some("Raspberry Pi 5 Model B Rev 1.0"));
        assert_eq!(parse_model(b"\0"), None);
    }

    #[test]
    fn the_revision_code_is_hexadecimal() {
        let table = "processor\t: 0\nCPU revision\t: 1\n\nRevision\t: c04170\nSerial\t\t: 10000000abcdef01\n";
        assert_eq!(parse_revision(table), Some(0x00c0_4170));
        for table in ["", "Revision\t: \n", "Revision\n", "Revision\t: pi\n", "Revision\t: 1234567890\n"] {
            assert_eq!(parse_revision(table), None, "{table:?}");
        }
    }

    #[test]
    fn without_the_kernels_table_the_device_tree_has_the_code_and_other_boards_have_none() {
        let root = tempfile::tempdir().expect("a temporary directory");
        let tree = root.path().join("proc/device-tree");
        std::fs::create_dir_all(tree.join("system")).expect("a directory");
        std::fs::write(tree.join("model"), b"Raspberry Pi 3 Model B\0").expect("a file");
        assert_eq!(Board::recognise(root.path()).revision, None);
        std::fs::write(tree.join("system/linux,revision"), [0x00, 0xa0, 0x20, 0x82]).expect("a file");
        assert_eq!(Board::recognise(root.path()).revision, Some(Revision(0x00a0_2082)));
        std::fs::write(root.path().join("proc/cpuinfo"), "Revision\t: a22082\n").expect("a file");
        assert_eq!(Board::recognise(root.path()).revision, Some(Revision(0x00a2_2082)));
        std::fs::write(tree.join("model"), b"Some Board\0").expect("a file");
        assert_eq!(Board::recognise(root.path()).revision, None);
    }

    #[test]
    fn a_name_in_the_tree_wins_and_a_machine_without_pins_has_none() {
        let root = tempfile::tempdir().expect("a temporary directory");
        std::fs::create_dir_all(root.path().join("proc/device-tree")).expect("a directory");
        std::fs::write(root.path().join("proc/device-tree/model"), b"Some Board\0").expect("a file");
        assert_eq!(Board::recognise(root.path()), Board { model: "Some Board".into(), ..Board::default() });
    }
}
