//! Which board this is: the device tree says its name, rppal says whether it is a Raspberry Pi whose pins it can drive.
//!
//! Neither is an error: most machines that try the agent out are no Pi.

use rppal::system::DeviceInfo;
use std::path::Path;

/// A board.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Board {
    /// What it calls itself (`Raspberry Pi 4 Model B Rev 1.4`), or nothing.
    pub model: String,
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
        Self { model: tree.or(pi).unwrap_or_default(), gpio }
    }
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
    fn a_name_in_the_tree_wins_and_a_machine_without_pins_has_none() {
        let root = tempfile::tempdir().expect("a temporary directory");
        std::fs::create_dir_all(root.path().join("proc/device-tree")).expect("a directory");
        std::fs::write(root.path().join("proc/device-tree/model"), b"Some Board\0").expect("a file");
        assert_eq!(Board::recognise(root.path()), Board { model: "Some Board".into(), gpio: false });
    }
}
